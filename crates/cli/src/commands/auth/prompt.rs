//! Asking before what can't be undone.

use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Asks a yes-or-no question on standard error; anything but a clear yes is a no. Where nobody can answer,
/// only `yes` (the flag `--yes`) will do.
pub(crate) fn confirm(question: &str, yes: bool) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::wrong_use(
            "this asks first, and nobody is there to answer",
            "add --yes to go on without being asked",
        ));
    }
    write!(anstream::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

/// Whether this answer is a clear yes.
pub(crate) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// What is said after a no.
pub(crate) fn left_alone() -> Failure {
    Failure::refused("nothing was changed", "")
}
