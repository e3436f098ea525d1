//! The line of log about a request, for people. There is one for each, so it is written without the detours by which
//! the library writes all others.

use std::borrow::Cow;
use std::io::Write as _;

use hokusai_gateway::{ACCESS, Access};

/// The most bytes of a line but for the route: its words, the longest id of a request, an address and a key's id.
const WORDS: usize = 384;

/// A line that is to be written.
pub(super) struct Line<'a> {
    access: &'a Access<'a>,
    route: Cow<'a, str>,
}

impl<'a> Line<'a> {
    pub(super) fn about(access: &'a Access<'a>) -> Self {
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        let route = match access.route {
            plain if plain.bytes().all(is_plain) => Cow::Borrowed(plain),
            other => {
                let quoted = format!("{other:?}");
                Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
            }
        };
        Self { access, route }
    }

    /// The most bytes that it has.
    pub(super) fn longest(&self) -> usize {
        WORDS + self.route.len()
    }

    /// Adds it to others, in the form in which the library writes events.
    pub(super) fn add_to(&self, lines: &mut Vec<u8>, time: &str) {
        let Access { request_id, method, status, client, key_id, took_us, .. } = *self.access;
        let [mut status_digits, mut took_digits] = [itoa::Buffer::new(); 2];
        add(lines, &[time, "  INFO ", ACCESS, ": request request_id=", request_id, " method=\"", method]);
        add(
            lines,
            &["\" route=\"", &self.route, "\" status=", status_digits.format(status), " client=", client],
        );
        if let Some(key_id) = key_id {
            write!(lines, " key_id={key_id}").expect("memory takes whatever is written");
        }
        add(lines, &[" took_us=", took_digits.format(took_us), "\n"]);
    }
}

fn add(lines: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| lines.extend_from_slice(part.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::held::{Lines, PIPE, Written};

    #[test]
    fn lines_are_as_the_library_writes_them() {
        let id = "018f0000-0000-7000-8000-000000000001";
        let longest = "x".repeat(64);
        let usual = Access {
            request_id: id,
            method: "GET",
            route: "/a b",
            status: 200,
            client: "::1",
            key_id: Some(id.parse().unwrap()),
            took_us: 7,
        };
        let others = [
            Access { route: "\u{1b}[31m\"'\\é", key_id: None, ..usual },
            Access {
                request_id: &longest,
                method: "OPTIONS",
                status: u16::MAX,
                client: "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
                took_us: u64::MAX,
                ..usual
            },
        ];
        for access in [usual].iter().chain(&others) {
            let written = Written::default();
            let logs = Lines::to(written.clone(), PIPE);
            let library = tracing_subscriber::fmt().with_ansi(false).with_writer(logs.writer()).finish();
            tracing::subscriber::with_default(library, || access.tell());
            drop(logs);
            let theirs = written.take().concat();
            let (line, mut ours) = (Line::about(access), Vec::new());
            line.add_to(&mut ours, theirs.split_once(' ').unwrap().0);
            assert_eq!(String::from_utf8(ours.clone()).unwrap(), theirs);
            assert!(ours.len() <= line.longest(), "{}", ours.len());
        }
    }
}
