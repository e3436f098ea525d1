//! The program as a process: started, watched, stopped by its id.

use std::ffi::OsStr;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::clock::{eventually, now};
use crate::http::{Answer, Request};

/// How long the program may take to come up, or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program with arguments; nothing of the tests' own surroundings reaches it.
pub(crate) struct Program(Command);

/// A running process. It is killed when the test is over.
pub(crate) struct Process {
    child: Child,
    output: Output,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

/// What a process wrote, as far as it has.
struct Output {
    text: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    /// What it wrote: standard output and error.
    pub(crate) output: String,
}

impl Program {
    /// `hokusai` in `directory`.
    pub(crate) fn hokusai(directory: &Path) -> Self {
        Self::other(env!("CARGO_BIN_EXE_hokusai"), directory)
    }

    /// Another program in `directory`.
    pub(crate) fn other(name: &str, directory: &Path) -> Self {
        let mut command = Command::new(name);
        command.current_dir(directory);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("HOKUSAI_") {
                command.env_remove(variable);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.0.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(self) -> Process {
        self.start_when(listens_at)
    }

    /// Starts it and waits until its output tells the address.
    pub(crate) fn start_when(mut self, address: impl Fn(&str) -> Option<SocketAddr>) -> Process {
        let mut child = self.0.spawn().unwrap();
        let output = Output::of(&mut child);
        let began = now();
        loop {
            if let Some(address) = address(&output.so_far()) {
                return Process { child, output, address };
            }
            let ended = child.try_wait().unwrap();
            if ended.is_some() || began.elapsed() > PATIENCE {
                kill(&mut child);
                panic!("the process does not come up: {ended:?}\n{}", output.complete());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs it to its end.
    pub(crate) fn run(mut self) -> Ended {
        let mut child = self.0.spawn().unwrap();
        let output = Output::of(&mut child);
        let status = wait(&mut child);
        Ended { status, output: output.complete() }
    }

    /// Runs it to its end, with standard output and error apart: which is read first, nobody can say.
    pub(crate) fn run_apart(mut self) -> std::process::Output {
        self.0.output().unwrap()
    }
}

/// The address in the line of the log, or of the greeting, that says that all is ready.
pub(crate) fn listens_at(output: &str) -> Option<SocketAddr> {
    let is_ready = |line: &&str| line.contains("\"message\":\"ready\"") || line.contains(" is ready on ");
    let line = output.lines().find(is_ready)?;
    let (_, rest) = line.split_once("\"address\":\"").or_else(|| line.split_once("http://"))?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)))?;
    rest[..end].parse().ok()
}

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&self, request: Request) -> Answer {
        request.send(self.address)
    }

    /// What it wrote so far.
    pub(crate) fn output(&self) -> String {
        self.output.so_far()
    }

    /// The most memory that it has taken so far, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        kill(&mut self.child);
    }

    /// `SIGTERM`, and how the process ended.
    pub(crate) fn stop(mut self) -> Ended {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = wait(&mut self.child);
        Ended { status, output: self.output.so_far() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill(&mut self.child);
        if std::thread::panicking() {
            let output = self.output.so_far();
            let from = output.len().saturating_sub(4000);
            let tail = output.get(from..).unwrap_or(&output);
            eprintln!("process {} wrote last:\n{tail}", self.child.id());
        }
    }
}

impl Output {
    fn of(child: &mut Child) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            gather(child.stdout.take().unwrap(), text.clone()),
            gather(child.stderr.take().unwrap(), text.clone()),
        ];
        Self { text, readers }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn complete(self) -> String {
        for reader in self.readers {
            reader.join().unwrap();
        }
        let text = self.text.lock().unwrap();
        text.clone()
    }
}

fn gather(mut pipe: impl Read + Send + 'static, text: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = pipe.read(&mut bytes) {
            text.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    })
}

fn wait(child: &mut Child) -> Option<i32> {
    let status = eventually(PATIENCE, "the end of a process", || child.try_wait().unwrap());
    status.code()
}

fn kill(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
