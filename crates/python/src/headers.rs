//! The headers of a request, as ASGI has them, and the key among them.

use hokusai_client::Secret;
use hokusai_client::credential::{Ambiguous, Presented, is_key};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

// Servers hand names over in small letters.
const AUTHORIZATION: &[u8] = b"authorization";
const API_KEY: &[u8] = b"x-api-key";

/// The name of a header, or its value: mostly it is a tuple of both.
fn part<'py>(header: &Bound<'py, PyAny>, place: usize) -> PyResult<Bound<'py, PyBytes>> {
    let part = match header.cast::<PyTuple>() {
        Ok(pair) => pair.get_item(place)?,
        Err(_) => header.get_item(place)?,
    };
    Ok(part.cast_into()?)
}

/// The key that a request bears, if it does.
pub(crate) fn key_in(headers: &Bound<'_, PyAny>) -> PyResult<Result<Option<Secret>, Ambiguous>> {
    let mut presented = Presented::default();
    for header in headers.try_iter()? {
        let header = header?;
        let seen = match part(&header, 0)?.as_bytes() {
            AUTHORIZATION => presented.see_authorization(part(&header, 1)?.as_bytes()),
            API_KEY => presented.see_api_key(part(&header, 1)?.as_bytes()),
            _ => Ok(()),
        };
        if let Err(ambiguous) = seen {
            return Ok(Err(ambiguous));
        }
    }
    Ok(Ok(presented.key()))
}

/// The headers without those that bear a key. Credentials of other schemes stay.
#[pyfunction]
pub(crate) fn without_keys<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut kept = Vec::new();
    for header in headers.try_iter()? {
        let header = header?;
        let bears = match part(&header, 0)?.as_bytes() {
            API_KEY => true,
            AUTHORIZATION => is_key(part(&header, 1)?.as_bytes()),
            _ => false,
        };
        if !bears {
            kept.push(header);
        }
    }
    Ok(kept)
}
