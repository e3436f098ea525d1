//! Questions to a person at a terminal, on standard error.
//!
//! Dropping a question that is not answered yet gives the terminal back as it was, so a caller may end it at
//! any time.

use std::io::{self, IsTerminal as _, Write as _};

use hokusai_core::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;

use crate::commands::auth::prompt::is_yes;
use crate::failure::Failure;

/// Whether somebody sees a question and can answer it.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// What is typed, without blanks around it.
pub(super) async fn line(question: &str) -> Result<String, Failure> {
    Ok(answer(question).await?.expose().trim().to_owned())
}

/// What is typed, without showing it.
pub(super) async fn secret(question: &str) -> Result<Secret, Failure> {
    let _hidden = Hidden::begin()?;
    let typed = answer(question).await?;
    Ok(Secret::new(typed.expose().trim().to_owned()))
}

/// Whether the answer is a clear yes.
pub(super) async fn agrees(question: &str) -> Result<bool, Failure> {
    Ok(is_yes(&line(&format!("{question} [y/N] ")).await?))
}

async fn answer(question: &str) -> Result<Secret, Failure> {
    write!(io::stderr(), "{question}")?;
    let (sender, receiver) = oneshot::channel();
    // Nothing ends this thread before a line is there; the runtime would wait for one of its own.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        let line = Secret::new(line);
        // Whoever asked may be gone.
        let _ = sender.send(read.map(|length| (length > 0).then_some(line)));
    });
    let answer = receiver.await??;
    answer.ok_or_else(|| Failure::refused("the answers ended; nothing was changed", ""))
}

/// A terminal that shows nothing of what is typed but the end of the line.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        modes.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Now, &modes)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nothing to give back if the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
