//! What a request's key must be good for.

use std::sync::Arc;

use hokusai_client::Demand as ClientDemand;
use pyo3::prelude::*;

/// What a request's key must be good for. Clones share it.
#[pyclass(frozen, module = "hokusai._native")]
#[derive(Clone)]
pub(crate) struct Demand(Arc<Parts>);

struct Parts {
    service_id: Option<Box<str>>,
    scope: Option<Box<str>>,
}

#[pymethods]
impl Demand {
    #[new]
    #[pyo3(signature = (service_id, scope))]
    fn new(service_id: Option<&str>, scope: Option<&str>) -> Self {
        Self(Arc::new(Parts { service_id: service_id.map(Into::into), scope: scope.map(Into::into) }))
    }
}

impl Demand {
    /// The service that it must be for; `None`: any.
    pub(crate) fn service_id(&self) -> Option<&str> {
        self.0.service_id.as_deref()
    }

    /// What it must be for.
    pub(crate) fn scope(&self) -> ClientDemand<'_> {
        ClientDemand::scope(self.0.scope.as_deref())
    }

    /// The same, by name.
    pub(crate) fn scopes(&self) -> Vec<String> {
        self.0.scope.iter().map(|scope| scope.to_string()).collect()
    }
}
