//! Somebody at a shell: variables, a home directory, and commands that are run to their end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clock::eventually;

/// How long a command may take: three attempts on a service that keeps silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// What commands find around them. Nothing of the tests' own surroundings is in it.
#[derive(Clone)]
pub(crate) struct Shell {
    home: Rc<TempDir>,
    variables: BTreeMap<&'static str, String>,
}

/// A command that runs. It is killed when the test is over.
pub(crate) struct Running {
    child: Child,
    readers: Option<[JoinHandle<String>; 2]>,
}

/// What a command printed, and how it ended. Shown, it is the same at every run.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

impl Shell {
    /// Somebody with this token, whose service is at `url`.
    pub(crate) fn at(url: &str, token: &str) -> Self {
        let home = Rc::new(TempDir::new().unwrap());
        let variables = BTreeMap::from([
            ("HOME", home.path().to_str().unwrap().to_owned()),
            ("TZ", "UTC".to_owned()),
            ("HOKUSAI_AUTH_SERVICE_URL", url.to_owned()),
            ("HOKUSAI_ADMIN_TOKEN", token.to_owned()),
        ]);
        Self { home, variables }
    }

    /// With another value of a variable.
    pub(crate) fn with(&self, variable: &'static str, value: &str) -> Self {
        let mut shell = self.clone();
        shell.variables.insert(variable, value.to_owned());
        shell
    }

    pub(crate) fn without(&self, variable: &str) -> Self {
        let mut shell = self.clone();
        shell.variables.remove(variable);
        shell
    }

    pub(crate) fn value(&self, variable: &str) -> &str {
        &self.variables[variable]
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `hokusai auth` and these words.
    pub(crate) fn auth(&self, words: &[&str]) -> Told {
        self.start(words).told()
    }

    /// The same, with something on standard input.
    pub(crate) fn auth_reading(&self, input: &str, words: &[&str]) -> Told {
        let mut child = self.command(words).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Running::of(child).told()
    }

    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::of(self.command(words).spawn().unwrap())
    }

    /// The same, before it runs.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hokusai"));
        command.arg("auth").args(words).env_clear().envs(&self.variables).current_dir(self.home());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Running {
    pub(crate) fn of(mut child: Child) -> Self {
        let readers = [reader(child.stdout.take()), reader(child.stderr.take())];
        Self { child, readers: Some(readers) }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) -> Told {
        self.child.kill().unwrap();
        self.end()
    }

    /// What it printed, once it has ended.
    pub(crate) fn told(mut self) -> Told {
        self.end()
    }

    fn end(&mut self) -> Told {
        let status = eventually(PATIENCE, "the end of a command", || self.child.try_wait().unwrap());
        let [stdout, stderr] = self.readers.take().unwrap().map(|reader| reader.join().unwrap());
        Told { stdout, stderr, status: status.code() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Told {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The key or token that is all of standard output.
    pub(crate) fn secret(&self) -> String {
        assert_eq!(self.status, Some(0), "{self:?}");
        let secret = self.stdout.strip_suffix('\n').unwrap();
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{self:?}");
        secret.to_owned()
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut known = Vec::new();
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                let text = redacted(text, &mut known);
                write!(f, "--- {name}\n{text}{}", if text.ends_with('\n') { "" } else { "⏎\n" })?;
            }
        }
        match self.status {
            Some(status) => write!(f, "--- exit {status}"),
            None => write!(f, "--- killed"),
        }
    }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut text = String::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_string(&mut text).unwrap();
        }
        text
    })
}

/// What differs from run to run, and what stands for it: `#` is a digit, `%` a hexadecimal one, `@` any
/// letter or digit, and `$` the number of an id in the order in which ids are met.
const CHANGING: [(&str, &str); 11] = [
    ("%%%%%%%%-%%%%-7%%%-%%%%-%%%%%%%%%%%%", "00000000-0000-7000-8000-00000000000$"),
    ("hk_live_@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", "hk_live_KEY"),
    ("hk_test_@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", "hk_test_KEY"),
    ("hk_dev_@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", "hk_dev_KEY"),
    ("hka_@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@", "hka_TOKEN"),
    ("hk_live_@@@***", "hk_live_ABC***"),
    ("hk_test_@@@***", "hk_test_ABC***"),
    ("hk_dev_@@@***", "hk_dev_ABC***"),
    ("hka_@@@***", "hka_ABC***"),
    ("####-##-## ##:## UTC", "YYYY-MM-DD hh:mm UTC"),
    ("127.0.0.1:#####", "127.0.0.1:PORT"),
];

fn redacted(text: &str, known: &mut Vec<String>) -> String {
    let mut told = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let found = CHANGING.iter().find_map(|(form, shown)| Some((beginning(rest, form)?, *shown)));
        let (length, shown) = match found.or_else(|| timed(rest)) {
            Some((part, shown)) if shown.contains('$') => {
                (part.len(), shown.replace('$', &number(part, known).to_string()))
            }
            Some((part, shown)) => (part.len(), shown.to_owned()),
            None => (next.len_utf8(), next.to_string()),
        };
        told += &shown;
        rest = &rest[length..];
    }
    told
}

fn number(part: &str, known: &mut Vec<String>) -> usize {
    known.iter().position(|other| other == part).unwrap_or_else(|| {
        known.push(part.to_owned());
        known.len() - 1
    }) + 1
}

/// What of `text` has this form, at its beginning.
fn beginning<'a>(text: &'a str, form: &str) -> Option<&'a str> {
    let part = text.get(..form.len())?;
    let fits = form.bytes().zip(part.bytes()).all(|(wanted, byte)| match wanted {
        b'#' => byte.is_ascii_digit(),
        b'%' => byte.is_ascii_hexdigit(),
        b'@' => byte.is_ascii_alphanumeric(),
        other => byte == other,
    });
    fits.then_some(part)
}

/// Times that depend on the clock's hour, or on how fast the test ran.
fn timed(text: &str) -> Option<(&str, &'static str)> {
    [
        ("resets in ", " seconds", "resets in N minutes"),
        ("resets in ", " minutes", "resets in N minutes"),
        ("resets ", "now", "resets in N minutes"),
        ("(", " seconds ago)", "(now)"),
        ("on the hour, in ", " min", "on the hour, in N min"),
        ("\"20", "Z\"", "\"TIME\""),
    ]
    .into_iter()
    .find_map(|(start, end, shown)| {
        let inner = text.strip_prefix(start)?;
        let inner = &inner[..inner.find(end)?];
        let is_time = inner.bytes().all(|byte| byte.is_ascii_digit() || b"-:.T".contains(&byte));
        is_time.then(|| (&text[..start.len() + inner.len() + end.len()], shown))
    })
}
