//! What belongs to one process. A forked process has a copy of it in which nothing runs and anything may be
//! locked: it must neither use that nor take it down, and makes its own.

use std::sync::{Mutex, PoisonError};

use pyo3::Python;

/// Something that each process has for itself.
#[derive(Debug)]
pub(crate) struct OfProcess<T>(Mutex<Option<(u32, T)>>);

impl<T: Clone> OfProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// This process's own, made by `make` if there is none yet.
    ///
    /// Python is held meanwhile: no process is forked by Python in which this lock is taken for ever. So `make`
    /// must not call Python, which could let go of it.
    pub(crate) fn get<E>(&self, _held: Python<'_>, make: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        match slot.take() {
            Some((maker, own)) if maker == process => {
                *slot = Some((maker, own.clone()));
                return Ok(own);
            }
            Some(theirs) => std::mem::forget(theirs),
            None => {}
        }
        let own = make()?;
        *slot = Some((process, own.clone()));
        Ok(own)
    }

    /// This process's own, if there is one.
    pub(crate) fn own(&self, _held: Python<'_>) -> Option<T> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.as_ref().filter(|(maker, _)| *maker == std::process::id()).map(|(_, own)| own.clone())
    }

    /// Takes this process's own out, if there is one.
    pub(crate) fn take(&self, _held: Python<'_>) -> Option<T> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.take() {
            Some((maker, own)) if maker == std::process::id() => Some(own),
            Some(theirs) => {
                std::mem::forget(theirs);
                None
            }
            None => None,
        }
    }
}

impl<T> Drop for OfProcess<T> {
    fn drop(&mut self) {
        let slot = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|(maker, _)| *maker != std::process::id()) {
            std::mem::forget(slot.take());
        }
    }
}
