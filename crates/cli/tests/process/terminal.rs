//! A terminal with the program in it, and somebody who reads and types.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::clock::eventually;

/// How long the program may take to say something, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal whose program runs. The program is killed when the test is over.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    /// The side that the program has, kept open so that its modes can be looked at.
    screen: Option<OwnedFd>,
    seen: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    /// Starts `hokusai`, at home in `home`.
    pub(crate) fn hokusai(home: &Path, args: &[&str]) -> Self {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&near).unwrap();
        unlockpt(&near).unwrap();
        let name = ptsname(&near, Vec::new()).unwrap();
        let screen = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let far = || screen.try_clone().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hokusai"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("HOKUSAI_") {
                command.env_remove(variable);
            }
        }
        command.args(args).env("HOME", home).env("NO_COLOR", "1").current_dir(home);
        let child = command.stdin(far()).stdout(far()).stderr(far()).spawn().unwrap();
        let keyboard = File::from(near);
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut screen_reader, text) = (keyboard.try_clone().unwrap(), seen.clone());
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = screen_reader.read(&mut bytes) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self { child, keyboard, screen: Some(screen), seen, reader: Some(reader) }
    }

    /// Waits until the last line on the screen begins so.
    pub(crate) fn waits_at(&self, question: &str) {
        eventually(PATIENCE, question, || {
            let seen = self.seen();
            seen.lines().last().filter(|last| last.starts_with(question)).map(drop)
        });
    }

    /// Waits until this is on the screen.
    pub(crate) fn says(&self, text: &str) {
        eventually(PATIENCE, text, || self.seen().contains(text).then_some(()));
    }

    /// Types a line, once what is typed is not shown.
    pub(crate) fn types_hidden(&mut self, line: &str) {
        eventually(PATIENCE, "a terminal that shows nothing", || (!self.shows_typing()).then_some(()));
        self.types(line);
    }

    pub(crate) fn types(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// What Ctrl-C does.
    pub(crate) fn interrupts(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// Whether what is typed is shown.
    pub(crate) fn shows_typing(&self) -> bool {
        tcgetattr(self.screen.as_ref().unwrap()).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// The exit status, and everything that was on the screen.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let status = eventually(PATIENCE, "the end of a process", || self.child.try_wait().unwrap());
        assert!(self.shows_typing(), "the terminal is left without echo");
        // Once nobody has the other side, what was written last is read to its end.
        drop(self.screen.take());
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.seen())
    }

    /// What is on the screen.
    pub(crate) fn seen(&self) -> String {
        self.seen.lock().unwrap().replace('\r', "")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
