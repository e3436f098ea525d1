//! The native half of the Python package `hokusai`: the client and the verifier, as Python calls them.
//!
//! The front in `python/hokusai` has the words and the types; here are the calls. Each call is one async
//! function, which a thread can wait for and a task can await. What goes in and comes out is JSON text.

mod admission;
mod asks;
mod bridge;
mod connection;
mod demand;
mod fault;
mod forks;
mod headers;
mod remote;
mod runtime;
mod verifier;

/// The module `hokusai._native`.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::admission::{Admitted, Denied};
    #[pymodule_export]
    use crate::connection::settle;
    #[pymodule_export]
    use crate::demand::Demand;
    #[pymodule_export]
    use crate::headers::without_keys;
    #[pymodule_export]
    use crate::remote::Remote;
    #[pymodule_export]
    use crate::verifier::Verifier;

    use pyo3::types::{PyModule, PyModuleMethods as _};
    use pyo3::{Bound, PyResult};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::runtime::end_with_python(module.py())?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
