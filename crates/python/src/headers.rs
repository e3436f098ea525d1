//! The headers of a request, as ASGI has them, and the key among them.

use hokusai_client::Secret;
use hokusai_client::credential::{Ambiguous, is_key, presented};
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A header may bear a key.
fn may_bear(name: &[u8]) -> Option<HeaderName> {
    // Servers hand names over in small letters.
    match name {
        b"authorization" => Some(AUTHORIZATION),
        b"x-api-key" => Some(API_KEY),
        _ => None,
    }
}

/// The key that a request bears, if it does.
pub(crate) fn key_in(headers: &Bound<'_, PyAny>) -> PyResult<Result<Option<Secret>, Ambiguous>> {
    let mut bearing = HeaderMap::new();
    for header in headers.try_iter()? {
        let header = header?;
        let name = header.get_item(0)?;
        if let Some(name) = may_bear(name.cast::<PyBytes>()?.as_bytes()) {
            let value = header.get_item(1)?;
            // A value that no header can have is no key, but stands where one belongs.
            let value = HeaderValue::from_bytes(value.cast::<PyBytes>()?.as_bytes());
            bearing.append(name, value.unwrap_or_else(|_| HeaderValue::from_static("Bearer")));
        }
    }
    Ok(presented(&bearing, std::iter::empty()))
}

/// The headers without those that bear a key. Credentials of other schemes stay.
#[pyfunction]
pub(crate) fn without_keys<'py>(headers: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut kept = Vec::new();
    for header in headers.try_iter()? {
        let header = header?;
        let (name, value) = (header.get_item(0)?, header.get_item(1)?);
        let bears = match may_bear(name.cast::<PyBytes>()?.as_bytes()) {
            Some(name) if name == API_KEY => true,
            Some(_) => is_key(value.cast::<PyBytes>()?.as_bytes()),
            None => false,
        };
        if !bears {
            kept.push(header);
        }
    }
    Ok(kept)
}
