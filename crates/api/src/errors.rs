//! What a refused request is answered.

use serde::{Deserialize, Serialize};

/// The body of every error but those that deployed clients read differently: a refused key and a used-up
/// limit at validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What was wrong, for people.
    pub detail: String,
    /// What was wrong, for programs: a stable word.
    pub code: String,
    /// Which fields were wrong, if it was about fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Its name.
    pub field: String,
    /// What was wrong, and what would be right.
    pub message: String,
}
