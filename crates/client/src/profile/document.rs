//! The text of the client's configuration: profiles with settings, line by line.
//!
//! A line is `[profile]`, `name = value`, a comment that begins with `#` or `;`, or blank. A value is taken
//! as it stands: no quotes, no escapes, no comment behind it. Editing a setting leaves every other line alone,
//! which no INI library at hand does without code of its own that is longer than this.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use hokusai_core::secret::Secret;

/// The setting above all profiles that names the current one.
const CURRENT: &str = "profile";
/// The profile that is used when nobody names one. It need not be in the file.
pub(super) const DEFAULT: &str = "default";
const FORM: &str = "a line is [profile], name = value, or a comment that begins with # or ;";

/// What a profile can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// What the gateway is asked with.
    ApiKey,
    /// What the service is asked with.
    AdminToken,
    /// Where the service is.
    AuthServiceUrl,
    /// Where the gateway is.
    ApiEndpoint,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ApiKey, Self::AdminToken, Self::AuthServiceUrl, Self::ApiEndpoint];

    /// Its name in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AdminToken => "admin_token",
            Self::AuthServiceUrl => "auth_service_url",
            Self::ApiEndpoint => "api_endpoint",
        }
    }

    /// The variable that goes before the file.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::ApiKey => "HOKUSAI_API_KEY",
            Self::AdminToken => "HOKUSAI_ADMIN_TOKEN",
            Self::AuthServiceUrl => "HOKUSAI_AUTH_SERVICE_URL",
            Self::ApiEndpoint => "HOKUSAI_API_ENDPOINT",
        }
    }
}

/// All lines, with what they say. Nothing of a line is shown, as any may hold a secret.
#[derive(Debug, Default)]
pub struct Document {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    text: Secret,
    says: Says,
}

#[derive(Debug)]
enum Says {
    Nothing,
    Profile(String),
    Value { name: String, value: Secret },
}

/// What is wrong with a line, or odd about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong or odd. No secret is in it.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Whether a profile can have this name.
#[must_use]
pub fn is_profile_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}

/// The candidate that somebody who wrote `name` most likely meant.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), candidate);
    let near = candidates.map(|candidate| (distance(candidate), candidate));
    near.min().filter(|(distance, _)| *distance <= 3).map(|(_, candidate)| candidate)
}

impl Document {
    /// Reads a text. What stands in it twice is refused: nobody could say which of the two counts.
    ///
    /// # Errors
    /// What is wrong with the first line that can't be read.
    pub fn parse(text: &str) -> Result<Self, Remark> {
        let mut document = Self::default();
        let mut profile: Option<String> = None;
        let mut seen = BTreeMap::new();
        for (index, text) in text.split_inclusive('\n').enumerate() {
            let line = Line::parse(text).map_err(|hint| Remark {
                line: index + 1,
                what: "this line can't be read".into(),
                hint: hint.into(),
            })?;
            let name = match &line.says {
                Says::Nothing => None,
                Says::Profile(name) => {
                    profile = Some(name.clone());
                    Some(None)
                }
                Says::Value { name, .. } => Some(Some(name.clone())),
            };
            if let Some(name) = name
                && let Some(first) = seen.insert((profile.clone(), name.clone()), index + 1)
            {
                return Err(twice(profile.as_deref(), name.as_deref(), first, index + 1));
            }
            document.lines.push(line);
        }
        Ok(document)
    }

    /// The names of all profiles, as they stand.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(Line::profile)
    }

    /// Whether the profile is in the file.
    #[must_use]
    pub fn has(&self, profile: &str) -> bool {
        self.profiles().any(|name| name == profile)
    }

    /// Whether somebody may ask for this profile.
    #[must_use]
    pub fn offers(&self, profile: &str) -> bool {
        profile == DEFAULT || self.has(profile)
    }

    /// The profile that the file names as the current one.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.find(None, CURRENT).map(Secret::expose)
    }

    /// What a profile sets; an empty value sets nothing.
    #[must_use]
    pub fn get(&self, profile: &str, setting: Setting) -> Option<&Secret> {
        self.find(Some(profile), setting.name())
    }

    /// Settings that nobody reads.
    #[must_use]
    pub fn oddities(&self) -> Vec<Remark> {
        let mut profile = None;
        let mut oddities = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            match &line.says {
                Says::Nothing => {}
                Says::Profile(name) => profile = Some(name.as_str()),
                Says::Value { name, .. } => {
                    let oddity =
                        odd(profile, name).map(|(what, hint)| Remark { line: index + 1, what, hint });
                    oddities.extend(oddity);
                }
            }
        }
        oddities
    }

    /// Makes a profile the current one.
    pub fn set_current(&mut self, profile: &str) {
        let is_new = self.find(None, CURRENT).is_none();
        self.put(None, CURRENT, profile);
        if is_new && self.lines.get(1).is_some_and(|next| !next.is_blank()) {
            self.lines.insert(1, Line::blank());
        }
    }

    /// Sets something in a profile, which begins at the end if it is new.
    pub fn set(&mut self, profile: &str, setting: Setting, value: &str) {
        if !self.has(profile) {
            if self.lines.last().is_some_and(|last| !last.is_blank()) {
                self.lines.push(Line::blank());
            }
            self.lines.push(Line::header(profile));
        }
        self.put(Some(profile), setting.name(), value);
    }

    /// The whole text, which ends with a line break.
    #[must_use]
    pub fn text(&self) -> Secret {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(line.text.expose());
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        Secret::new(text)
    }

    fn find(&self, profile: Option<&str>, wanted: &str) -> Option<&Secret> {
        self.lines[self.range(profile)?].iter().find_map(|line| match &line.says {
            Says::Value { name, value } if name == wanted && !value.expose().is_empty() => Some(value),
            _ => None,
        })
    }

    fn put(&mut self, profile: Option<&str>, name: &str, value: &str) {
        let Some(range) = self.range(profile) else { return };
        let line = Line::setting(name, value);
        if let Some(at) = range.clone().find(|at| self.lines[*at].name() == Some(name)) {
            self.lines[at] = line;
            return;
        }
        let last = range.clone().rev().find(|at| self.lines[*at].name().is_some());
        self.lines.insert(last.map_or(range.start, |at| at + 1), line);
    }

    /// Where a profile's lines are, or those above all profiles.
    fn range(&self, profile: Option<&str>) -> Option<Range<usize>> {
        let from = match profile {
            Some(_) => self.lines.iter().position(|line| line.profile() == profile)? + 1,
            None => 0,
        };
        let length = self.lines[from..].iter().take_while(|line| line.profile().is_none()).count();
        Some(from..from + length)
    }
}

impl Line {
    /// Reads a line; if it can't be read, says what form it must have.
    fn parse(raw: &str) -> Result<Self, &'static str> {
        let text = Secret::new(raw.to_owned());
        let trimmed = raw.trim_start_matches('\u{feff}').trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            return Ok(Self { text, says: Says::Nothing });
        }
        if let Some(name) = trimmed.strip_prefix('[') {
            let name = name.strip_suffix(']').map(str::trim).filter(|name| is_profile_name(name));
            let name =
                name.ok_or("a profile begins with its name in brackets: letters, digits, . _ and -")?;
            return Ok(Self { text, says: Says::Profile(name.to_owned()) });
        }
        let (name, value) = trimmed.split_once('=').ok_or(FORM)?;
        let (name, value) = (name.trim().to_owned(), Secret::new(value.trim().to_owned()));
        if name.is_empty() {
            return Err(FORM);
        }
        if value.expose().contains(char::is_control) {
            return Err("a value can't hold control characters");
        }
        Ok(Self { text, says: Says::Value { name, value } })
    }

    fn header(profile: &str) -> Self {
        Self { text: Secret::new(format!("[{profile}]\n")), says: Says::Profile(profile.to_owned()) }
    }

    fn setting(name: &str, value: &str) -> Self {
        let text = Secret::new(format!("{name} = {value}\n"));
        Self { text, says: Says::Value { name: name.to_owned(), value: Secret::new(value.to_owned()) } }
    }

    fn blank() -> Self {
        Self { text: Secret::new("\n".into()), says: Says::Nothing }
    }

    fn is_blank(&self) -> bool {
        self.text.expose().trim().is_empty()
    }

    fn profile(&self) -> Option<&str> {
        match &self.says {
            Says::Profile(name) => Some(name),
            _ => None,
        }
    }

    fn name(&self) -> Option<&str> {
        match &self.says {
            Says::Value { name, .. } => Some(name),
            _ => None,
        }
    }
}

fn twice(profile: Option<&str>, name: Option<&str>, first: usize, line: usize) -> Remark {
    let (what, hint) = match (profile, name) {
        (Some(profile), None) => (
            format!("[{profile}] stands here again, after line {first}"),
            "put all settings of a profile below one heading".to_owned(),
        ),
        (_, name) => {
            let name = Shown(name.unwrap_or_default());
            (format!("{name} is set again, after line {first}"), "keep one of the two lines".to_owned())
        }
    };
    Remark { line, what, hint }
}

/// What is odd about a name at this place, and what to do.
fn odd(profile: Option<&str>, name: &str) -> Option<(String, String)> {
    let settings = || Setting::ALL.into_iter().map(Setting::name);
    match profile {
        None if name == CURRENT => None,
        None if settings().any(|known| known == name) => {
            Some((format!("{name} belongs to no profile"), "put [default] on a line above it".into()))
        }
        Some(_) if settings().any(|known| known == name) => None,
        _ => {
            let known = settings().chain(profile.is_none().then_some(CURRENT));
            let hint = match nearest(name, known) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("a profile can set {}", settings().collect::<Vec<_>>().join(", ")),
            };
            Some((format!("unknown setting {}", Shown(name)), hint))
        }
    }
}

/// A name, unless it may be a secret that was pasted where a name belongs.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = self.0.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '-'));
        f.write_str(if plain && self.0.len() <= 24 { self.0 } else { "(not shown)" })
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    const TWO: &str = "\
# Mine.
[default]
admin_token = hka_default

; For customers.
[prod]
admin_token=hka_prod
";

    fn get<'a>(document: &'a Document, profile: &str, setting: Setting) -> Option<&'a str> {
        document.get(profile, setting).map(Secret::expose)
    }

    #[test]
    fn the_documented_file_reads_as_it_stands() {
        let document = Document::parse(
            "[default]\napi_key = hk_live_your_api_key_here\nadmin_token = your_admin_token_here\n\
             auth_service_url = https://auth.hokus.ai\n",
        )
        .unwrap();
        assert_eq!(get(&document, "default", Setting::ApiKey), Some("hk_live_your_api_key_here"));
        assert_eq!(get(&document, "default", Setting::AdminToken), Some("your_admin_token_here"));
        assert_eq!(get(&document, "default", Setting::AuthServiceUrl), Some("https://auth.hokus.ai"));
        assert_eq!(get(&document, "default", Setting::ApiEndpoint), None);
        assert_eq!(document.oddities(), []);
    }

    #[test]
    fn a_value_is_taken_as_it_stands() {
        let cases = [
            ("admin_token = a token; with # and = in it ", "a token; with # and = in it"),
            ("admin_token=%(x)s ${HOME} \\n", "%(x)s ${HOME} \\n"),
            ("\tadmin_token\t=\t\"quoted\"\r", "\"quoted\""),
        ];
        for (line, value) in cases {
            let document = Document::parse(&format!("\u{feff}[default]\r\n{line}\n")).unwrap();
            assert_eq!(get(&document, "default", Setting::AdminToken), Some(value), "{line}");
        }
    }

    #[test]
    fn an_empty_value_sets_nothing() {
        let document = Document::parse("profile =\n[default]\napi_key =\n").unwrap();
        assert_eq!((get(&document, "default", Setting::ApiKey), document.current()), (None, None));
    }

    #[test]
    fn what_can_not_be_read_is_refused_by_its_line() {
        let cases = [
            ("\n[default]\nhk_live_alone\n", 3, "this line can't be read"),
            ("[default\n", 1, "this line can't be read"),
            ("[two words]\n", 1, "this line can't be read"),
            ("[default]\n = x\n", 2, "this line can't be read"),
            ("[default]\napi_key = a\tb\n", 2, "this line can't be read"),
            ("[a]\n[b]\n[a]\n", 3, "[a] stands here again, after line 1"),
            ("[a]\napi_key = x\n\napi_key = x\n", 4, "api_key is set again, after line 2"),
            ("profile = a\nprofile = b\n", 2, "profile is set again, after line 1"),
        ];
        for (text, line, what) in cases {
            let fault = Document::parse(text).unwrap_err();
            assert_eq!((fault.line, fault.what.as_str()), (line, what), "{text}");
        }
    }

    #[test]
    fn one_name_may_stand_in_two_profiles() {
        assert!(Document::parse("[a]\napi_key = x\n[b]\napi_key = y\n").is_ok());
    }

    #[test]
    fn what_nobody_reads_is_named_with_what_may_have_been_meant() {
        let text = "api_key = x\nprofil = a\n[a]\nAPI_KEY = x\ntimeout = 3\nhka_0123456789abcdef==\n";
        let oddities = Document::parse(text).unwrap().oddities();
        let lines: Vec<String> =
            oddities.iter().map(|odd| format!("{}: {}; {}", odd.line, odd.what, odd.hint)).collect();
        assert_snapshot!(lines.join("\n"), @"
        1: api_key belongs to no profile; put [default] on a line above it
        2: unknown setting profil; did you mean profile?
        4: unknown setting API_KEY; did you mean api_key?
        5: unknown setting timeout; a profile can set api_key, admin_token, auth_service_url, api_endpoint
        6: unknown setting (not shown); a profile can set api_key, admin_token, auth_service_url, api_endpoint
        ");
    }

    #[test]
    fn setting_something_leaves_every_other_line_alone() {
        let mut document = Document::parse(TWO).unwrap();
        document.set("prod", Setting::AdminToken, "hka_new");
        document.set("default", Setting::ApiKey, "hk_dev_new");
        document.set("staging", Setting::AuthServiceUrl, "https://auth.staging.hokus.ai");
        document.set_current("staging");
        assert_snapshot!(document.text().expose(), @"
        profile = staging

        # Mine.
        [default]
        admin_token = hka_default
        api_key = hk_dev_new

        ; For customers.
        [prod]
        admin_token = hka_new

        [staging]
        auth_service_url = https://auth.staging.hokus.ai
        ");
        let again = Document::parse(document.text().expose()).unwrap();
        assert_eq!(again.current(), Some("staging"));
        assert_eq!(again.profiles().collect::<Vec<_>>(), ["default", "prod", "staging"]);
    }

    #[test]
    fn an_unchanged_text_stays_the_same() {
        for text in ["", "\n", TWO, "[a]\r\napi_key = x\r\n", "# only a comment\n"] {
            assert_eq!(Document::parse(text).unwrap().text().expose(), text);
        }
        assert_eq!(Document::parse("[a]").unwrap().text().expose(), "[a]\n");
    }

    #[test]
    fn a_new_file_holds_what_was_set() {
        let mut document = Document::default();
        document.set("default", Setting::AuthServiceUrl, "https://auth.hokus.ai");
        document.set("default", Setting::AdminToken, "hka_x");
        assert_snapshot!(document.text().expose(), @"
        [default]
        auth_service_url = https://auth.hokus.ai
        admin_token = hka_x
        ");
    }
}
