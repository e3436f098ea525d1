//! The one form of a path: what is matched is what goes upstream.
//!
//! Two programs that read a path differently are a hole: the gateway would judge one thing, and the service
//! behind it do another. So a path is written in one way (RFC 3986, section 6.2.2), and whatever servers are
//! known to read in several ways is refused.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The longest path, in bytes.
pub(crate) const LONGEST_PATH: usize = 8 * 1024;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathFault {
    /// It does not begin with a slash.
    #[error("it must begin with /")]
    NotAbsolute,
    /// It has more than [`LONGEST_PATH`] bytes.
    #[error("it is longer than 8192 bytes")]
    TooLong,
    /// Two slashes in a row.
    #[error("it has an empty segment (//)")]
    EmptySegment,
    /// `.` or `..`, however written.
    #[error("it has a segment . or ..")]
    DotSegment,
    /// A slash or backslash within a segment, plain or encoded.
    #[error("it has an encoded slash, or a backslash")]
    HiddenSlash,
    /// A semicolon: some servers end the segment there.
    #[error("it has a semicolon")]
    Semicolon,
    /// A character that must be encoded, or a control character, however written.
    #[error("it has a character that a path can't have")]
    Character,
    /// A `%` that does not begin an encoded byte, or one that hides another.
    #[error("it has a % that encodes nothing, or is encoded twice")]
    Encoding,
    /// The decoded path is no UTF-8.
    #[error("it is no UTF-8")]
    NotUtf8,
}

/// The path in its one form: letters, digits and `-._~` plain, everything else that is encoded in upper-case
/// hexadecimal.
///
/// # Errors
/// The [`PathFault`], if the path could be read in several ways.
pub(crate) fn canonical(path: &str) -> Result<Cow<'_, str>, PathFault> {
    if path.len() > LONGEST_PATH {
        return Err(PathFault::TooLong);
    }
    if !path.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    let path = if path.contains('%') { Cow::Owned(reencoded(path)?) } else { Cow::Borrowed(path) };
    for byte in path.bytes() {
        match byte {
            b'\\' => return Err(PathFault::HiddenSlash),
            b';' => return Err(PathFault::Semicolon),
            byte if byte == b'/' || byte == b'%' || is_plain(byte) || is_mark(byte) => {}
            _ => return Err(PathFault::Character),
        }
    }
    let mut segments = path[1..].split('/').peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathFault::EmptySegment);
        }
        if segment == "." || segment == ".." {
            return Err(PathFault::DotSegment);
        }
    }
    Ok(path)
}

/// Decodes what need not be encoded, and writes the rest in upper case.
fn reencoded(path: &str) -> Result<String, PathFault> {
    let (mut written, mut decoded) = (String::with_capacity(path.len()), Vec::with_capacity(path.len()));
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        if *byte != b'%' {
            written.push(char::from(*byte));
            decoded.push(*byte);
            rest = after;
            continue;
        }
        let hidden = hex_pair(after).ok_or(PathFault::Encoding)?;
        rest = &after[2..];
        match hidden {
            b'/' | b'\\' => return Err(PathFault::HiddenSlash),
            b';' => return Err(PathFault::Semicolon),
            0..0x20 | 0x7f => return Err(PathFault::Character),
            plain if is_plain(plain) => written.push(char::from(plain)),
            other => write!(written, "%{other:02X}").expect("a text takes whatever is written"),
        }
        decoded.push(hidden);
    }
    // Whoever decodes twice must find nothing more.
    let mut percents = written.match_indices("%25");
    if percents.any(|(at, percent)| hex_pair(&written.as_bytes()[at + percent.len()..]).is_some()) {
        return Err(PathFault::Encoding);
    }
    if std::str::from_utf8(&decoded).is_err() {
        return Err(PathFault::NotUtf8);
    }
    Ok(written)
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*text.first()?)?, digit(*text.get(1)?)?);
    u8::try_from(high * 16 + low).ok()
}

/// What never has to be encoded.
pub(crate) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// What else may stand plain in a segment, and means the same to everybody.
fn is_mark(byte: u8) -> bool {
    b"!$&'()*+,=:@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        for (path, expected) in [
            ("/", "/"),
            ("/v1/models", "/v1/models"),
            ("/v1/models/", "/v1/models/"),
            ("/%61dmin", "/admin"),
            ("/a%2Db%5f%7E", "/a-b_~"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/a%2bb", "/a%2Bb"),
            ("/100%25", "/100%25"),
            ("/a:b@c,d=e", "/a:b@c,d=e"),
            ("/...", "/..."),
            ("/.hidden", "/.hidden"),
        ] {
            assert_eq!(canonical(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn what_servers_read_in_several_ways_is_refused() {
        for (path, fault) in [
            ("", PathFault::NotAbsolute),
            ("*", PathFault::NotAbsolute),
            ("v1", PathFault::NotAbsolute),
            ("//", PathFault::EmptySegment),
            ("//v1", PathFault::EmptySegment),
            ("/v1//models", PathFault::EmptySegment),
            ("/v1/models//", PathFault::EmptySegment),
            ("/.", PathFault::DotSegment),
            ("/v1/..", PathFault::DotSegment),
            ("/v1/../admin", PathFault::DotSegment),
            ("/v1/%2e%2E/admin", PathFault::DotSegment),
            ("/v1/.%2e/admin", PathFault::DotSegment),
            ("/v1%2fmodels", PathFault::HiddenSlash),
            ("/v1%2Fmodels", PathFault::HiddenSlash),
            ("/v1%5cmodels", PathFault::HiddenSlash),
            ("/v1\\models", PathFault::HiddenSlash),
            ("/v1;x/models", PathFault::Semicolon),
            ("/v1/..;/admin", PathFault::Semicolon),
            ("/v1%3bx", PathFault::Semicolon),
            ("/v1%00", PathFault::Character),
            ("/v1%0d%0a", PathFault::Character),
            ("/v1%7f", PathFault::Character),
            ("/v1 models", PathFault::Character),
            ("/v1\tmodels", PathFault::Character),
            ("/v1\"", PathFault::Character),
            ("/v1<", PathFault::Character),
            ("/v1#x", PathFault::Character),
            ("/v1|x", PathFault::Character),
            ("/café", PathFault::Character),
            ("/%", PathFault::Encoding),
            ("/%6", PathFault::Encoding),
            ("/%zz", PathFault::Encoding),
            ("/%+1", PathFault::Encoding),
            ("/%u002e", PathFault::Encoding),
            ("/%2561dmin", PathFault::Encoding),
            ("/%252e%252e/admin", PathFault::Encoding),
            ("/%252f", PathFault::Encoding),
            ("/%25%36%31dmin", PathFault::Encoding),
            ("/%c0%af", PathFault::NotUtf8),
            ("/%ff", PathFault::NotUtf8),
        ] {
            assert_eq!(canonical(path), Err(fault), "{path}");
        }
        let long = format!("/{}", "a".repeat(LONGEST_PATH));
        assert_eq!(canonical(&long), Err(PathFault::TooLong));
    }

    #[test]
    fn the_form_of_a_form_is_itself() {
        for path in ["/%61%20%c3%a9", "/100%25", "/a%2bb/"] {
            let once = canonical(path).unwrap().into_owned();
            assert_eq!(canonical(&once).as_deref(), Ok(&*once), "{path}");
        }
    }
}
