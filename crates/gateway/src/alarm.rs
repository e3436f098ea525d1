//! Alarms for whoever waits.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Sleep, sleep_until};

use crate::clock::after;

/// An alarm that can be set again and again. To set it later than before takes no lock, and no memory but the
/// first time.
#[derive(Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Rings when so much time has passed from now on, and not before.
    pub(crate) fn set(&mut self, patience: Duration) {
        let at = after(patience);
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(at),
            None => self.0 = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Never rings.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it rings; if not, whoever asks is woken when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}
