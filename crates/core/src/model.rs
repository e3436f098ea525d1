//! Models in the catalogue: what their names, types and tags may be, and how many there may be.

use std::collections::BTreeMap;
use std::fmt;

/// The longest name, in characters.
pub const MAX_NAME: usize = 100;
/// The longest type, in bytes.
pub const MAX_TYPE: usize = 64;
/// The most tags of one thing.
pub const MAX_TAGS: usize = 50;
/// The longest key of a tag, in characters.
pub const MAX_TAG_KEY: usize = 64;
/// The longest value of a tag, in characters.
pub const MAX_TAG_VALUE: usize = 256;
/// The most bytes of all tags of one thing, written as JSON.
pub const MAX_TAG_BYTES: usize = 4096;
/// The longest description of a model or a version, in characters.
pub const MAX_DESCRIPTION: usize = 2000;
/// The longest source of a version, in characters.
pub const MAX_SOURCE: usize = 1000;
/// The most models in a catalogue.
pub const MAX_MODELS: i64 = 100_000;
/// The most versions of a model.
pub const MAX_VERSIONS: i64 = 10_000;

/// A name that a model can have. Two names are the same if all of their bytes are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Box<str>);

impl ModelName {
    /// What a name has to be, for whoever gave another.
    pub const RULE: &str = "must be 1 to 100 characters, none of them a control character or one of / \\ : ; %, \
                            and not begin with a dot";

    /// Reads a name: 1 to [`MAX_NAME`] characters without white space around them. It is one piece of a path that
    /// has to mean the same to every program on the way: control characters, `/`, `\`, `:`, `;` and `%` are not
    /// allowed, nor is a dot at its beginning.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':' | ';' | '%');
        let fits = (1..=MAX_NAME).contains(&text.chars().count());
        let is_name = fits && text == text.trim() && !text.starts_with('.') && text.chars().all(allowed);
        is_name.then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of model something is, such as `lead_scoring`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelType(Box<str>);

impl ModelType {
    /// Reads a type: 1 to [`MAX_TYPE`] of `a-z 0-9 _ -`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b);
        ((1..=MAX_TYPE).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A tag to find models by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl Tag {
    /// Reads a tag that is written as `key:value`. The first colon parts them: no key has one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once(':')?;
        is_tag(key, value).then(|| Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// Whether these can be the tags of one thing.
#[must_use]
pub fn are_tags(tags: &BTreeMap<String, String>) -> bool {
    tags.len() <= MAX_TAGS && tags.iter().all(|(key, value)| is_tag(key, value))
}

fn is_tag(key: &str, value: &str) -> bool {
    let is_line = |text: &str| !text.chars().any(char::is_control);
    let key_fits = (1..=MAX_TAG_KEY).contains(&key.chars().count()) && !key.contains(':');
    key_fits && value.chars().count() <= MAX_TAG_VALUE && is_line(key) && is_line(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_piece_of_a_path() {
        let longest = "ü".repeat(MAX_NAME);
        for name in
            ["a", "Lead scoring (EU)", "v1.2_final-x", "half \"off\"?", "模型 🚀", "a..", longest.as_str()]
        {
            assert_eq!(ModelName::parse(name).unwrap().as_str(), name);
        }
        let too_long = "x".repeat(MAX_NAME + 1);
        for text in [
            "",
            " ",
            " a",
            "a ",
            "\u{3000}a",
            "a/b",
            "a\\b",
            "a:b",
            "a;b",
            "100%",
            ".",
            "..",
            ".a",
            "a\nb",
            "a\u{85}b",
            "\0",
        ] {
            assert_eq!(ModelName::parse(text), None, "{text:?}");
        }
        assert_eq!(ModelName::parse(&too_long), None);
    }

    #[test]
    fn names_are_compared_exactly() {
        assert_ne!(ModelName::parse("Churn"), ModelName::parse("churn"));
        assert_ne!(ModelName::parse("caf\u{e9}"), ModelName::parse("cafe\u{301}"));
    }

    #[test]
    fn a_type_is_a_plain_word() {
        let (longest, too_long) = ("a".repeat(MAX_TYPE), "a".repeat(MAX_TYPE + 1));
        for text in ["lead_scoring", "gpt-2", "0", longest.as_str()] {
            assert_eq!(ModelType::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "Lead", "a b", "a.b", "ä", too_long.as_str()] {
            assert_eq!(ModelType::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_first_colon_parts_a_tag() {
        let tag = |key: &str, value: &str| Some(Tag { key: key.to_owned(), value: value.to_owned() });
        assert_eq!(Tag::parse("team:growth"), tag("team", "growth"));
        assert_eq!(Tag::parse("url:http://x"), tag("url", "http://x"));
        assert_eq!(Tag::parse("empty:"), tag("empty", ""));
        for text in ["", "team", ":growth", "te\nam:x", "team:x\0"] {
            assert_eq!(Tag::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn tags_are_bounded_in_number_and_length() {
        let tags = |pairs: Vec<(String, String)>| pairs.into_iter().collect::<BTreeMap<_, _>>();
        let numbered = |count: usize| tags((0..count).map(|n| (n.to_string(), String::new())).collect());
        let one = |key: usize, value: usize| tags(vec![("k".repeat(key), "v".repeat(value))]);
        for (tags, are) in [
            (numbered(0), true),
            (numbered(MAX_TAGS), true),
            (numbered(MAX_TAGS + 1), false),
            (one(MAX_TAG_KEY, MAX_TAG_VALUE), true),
            (one(MAX_TAG_KEY + 1, 1), false),
            (one(1, MAX_TAG_VALUE + 1), false),
            (one(0, 1), false),
            (tags(vec![("a:b".into(), String::new())]), false),
            (tags(vec![("a".into(), "\u{7f}".into())]), false),
        ] {
            assert_eq!(are_tags(&tags), are, "{tags:?}");
        }
    }
}
