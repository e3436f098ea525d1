//! The audit log and the sums of refused calls, for operators.

use hokusai_api::audit::{AuditEntry, RefusedCalls};

use crate::client::Client;
use crate::pages::{self, Pages};

/// Which entries of the audit log are asked for. Fields left out leave none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Only what this user did.
    pub user_id: Option<String>,
    /// Only this action, such as `key.revoke`.
    pub action: Option<String>,
    /// Only what was done to this key or token.
    pub target: Option<String>,
    /// Only what was done from this address.
    pub address: Option<String>,
    /// Only what was done at this time or later (RFC 3339).
    pub since: Option<String>,
    /// Only what was done before this time (RFC 3339).
    pub until: Option<String>,
    /// How many entries a page has at most: 1 to 1000.
    pub page_size: Option<u32>,
}

/// Which sums of refused calls are asked for. Fields left out leave none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedCallQuery {
    /// Only calls from this address.
    pub address: Option<String>,
    /// Only minutes from this time on (RFC 3339).
    pub since: Option<String>,
    /// Only minutes before this time (RFC 3339).
    pub until: Option<String>,
    /// How many sums a page has at most: 1 to 1000.
    pub page_size: Option<u32>,
}

impl Client {
    /// The audit log, the latest entry first, page by page.
    pub fn audit(&self, query: &AuditQuery) -> Pages<AuditEntry> {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([
            ("user_id", query.user_id.as_deref()),
            ("action", query.action.as_deref()),
            ("target", query.target.as_deref()),
            ("address", query.address.as_deref()),
            ("since", query.since.as_deref()),
            ("until", query.until.as_deref()),
            ("limit", page_size.as_deref()),
        ]);
        Pages::new(self.clone(), "/api/v1/audit", text)
    }

    /// How many admin calls were refused, by minute, address and code, page by page.
    pub fn refused_calls(&self, query: &RefusedCallQuery) -> Pages<RefusedCalls> {
        let page_size = query.page_size.map(|size| size.to_string());
        let text = pages::query([
            ("address", query.address.as_deref()),
            ("since", query.since.as_deref()),
            ("until", query.until.as_deref()),
            ("limit", page_size.as_deref()),
        ]);
        Pages::new(self.clone(), "/api/v1/audit/refused", text)
    }
}
