//! Reporting usage, and reading what became of it.

use hokusai_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Answer, Caller, IssuedKey};

/// What is reported of a request: these fields, and the usual ones unless they are among them.
pub(crate) fn report(fields: Value) -> Value {
    let mut report = json!({
        "service_id": "prediction", "endpoint": "/v1/predict", "status_code": 200, "response_time_ms": 10
    });
    report.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    report
}

/// The same as a batch holds it.
pub(crate) fn record_of(key: &IssuedKey, fields: Value) -> Value {
    let mut record = report(fields);
    record["key_id"] = key.id.clone().into();
    record
}

/// The instant that is written so.
pub(crate) fn instant(text: &str) -> Timestamp {
    Timestamp(hokusai_api::time::read(text).unwrap())
}

impl IssuedKey {
    pub(crate) fn usage_path(&self) -> String {
        format!("/api/v1/usage/{}", self.id)
    }
}

impl Caller {
    pub(crate) async fn report(&self, key: &IssuedKey, fields: Value) -> Answer {
        self.post(&key.usage_path(), report(fields)).await
    }

    pub(crate) async fn batch(&self, records: Vec<Value>) -> Answer {
        self.post("/api/v1/usage/batch", json!({"records": records})).await
    }

    /// A debit of so many predictions.
    pub(crate) async fn debit(&self, key: &IssuedKey, predictions: i64, idempotency_key: &str) -> Answer {
        let debit = json!({
            "model_id": "a-model", "predictions_count": predictions, "idempotency_key": idempotency_key
        });
        self.post(&format!("{}/debit", key.usage_path()), debit).await
    }

    /// What a key used, as `query` asks.
    pub(crate) async fn stats(&self, key: &IssuedKey, query: &str) -> Value {
        self.get(&format!("{}/stats{query}", key.usage_path())).await.ok()
    }

    /// How many requests of a key were recorded in the present month.
    pub(crate) async fn requests(&self, key: &IssuedKey) -> i64 {
        self.stats(key, "").await["total_requests"].as_i64().unwrap()
    }

    /// A key's bill for a month, or for the present one.
    pub(crate) async fn bill(&self, key: &IssuedKey, query: &str) -> Value {
        self.get(&format!("{}/billing{query}", key.usage_path())).await.ok()
    }
}
