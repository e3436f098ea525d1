//! Reports of usage, made by chance, with what the database has to hold once they are answered.

use hokusai_api::time;
use hokusai_core::id::KeyId;
use hokusai_core::time::{DAY, SECOND};
use hokusai_core::usage::RecordId;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::http::Request;
use crate::program::{Process, Program};
use crate::site::{NewKey, OPERATOR, Site, text_of};

/// Predictions that the key which may not pass its limit has in a month.
pub(crate) const FIXED_LIMIT: i64 = 100;
/// The most records in a batch; chance prefers small ones.
const LARGE_BATCH: usize = 300;

/// What a record has to be in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key_id: String,
    pub(crate) service_id: String,
    pub(crate) endpoint: String,
    pub(crate) status_code: i64,
    pub(crate) response_micros: i64,
    pub(crate) predictions: i64,
    pub(crate) compute_ms: i64,
    /// `None`: when it arrived.
    pub(crate) occurred_at: Option<i64>,
}

/// A report that can be sent again and again.
pub(crate) struct Report {
    path: String,
    bearer: Option<String>,
    body: Value,
    pub(crate) records: Vec<(RecordId, Record)>,
}

/// The keys that usage is reported of.
pub(crate) struct Keys {
    free: Vec<NewKey>,
    /// Its debits may not pass [`FIXED_LIMIT`].
    fixed: NewKey,
    made_at: i64,
}

/// `hokusai serve` with the plans of [`Keys`].
pub(crate) fn serve(site: &Site) -> Program {
    site.serve().env("HOKUSAI_BILLING_PLANS", "free=0.001,fixed")
}

impl Keys {
    pub(crate) fn create(node: &Process) -> Self {
        let wish = json!({"name": "fixed", "billing_plan": "fixed", "monthly_prediction_limit": FIXED_LIMIT});
        let fixed = node.as_operator("POST", "/api/v1/keys", &wish).expect(201);
        let fixed = NewKey { id: text_of(&fixed["key_id"]), text: text_of(&fixed["api_key"]) };
        let show = Request::new("GET", format!("/api/v1/keys/{}", fixed.id)).bearer(OPERATOR);
        let made_at = time::read(&text_of(&node.send(show).expect(200)["created_at"])).unwrap();
        Self { free: (0..4).map(|_| node.create_key(1000)).collect(), fixed, made_at }
    }

    /// The key whose debits may not pass its limit.
    pub(crate) fn fixed_id(&self) -> &str {
        &self.fixed.id
    }

    /// A batch, a record or a debit; `name` is told of no other.
    pub(crate) fn report(&self, name: &str, rng: &mut StdRng) -> Report {
        match rng.random_range(0..10) {
            0..2 => self.single(name, rng),
            2..4 => self.debit(name, rng),
            4..7 => self.batch(name, rng.random_range(1..20), rng),
            _ => self.batch(name, rng.random_range(1..LARGE_BATCH), rng),
        }
    }

    /// By an operator.
    pub(crate) fn batch(&self, name: &str, size: usize, rng: &mut StdRng) -> Report {
        let (mut items, mut records) = (Vec::new(), Vec::new());
        for number in 0..size {
            let key = &self.free[rng.random_range(0..self.free.len())];
            let (record, id, item) = self.record(key, &format!("{name}/{number}"), rng);
            items.push(with(item, "key_id", &key.id));
            records.push((id, record));
        }
        let (path, bearer) = ("/api/v1/usage/batch".to_owned(), Some(OPERATOR.to_owned()));
        Report { path, bearer, body: json!({"records": items}), records }
    }

    /// By the key itself.
    fn single(&self, name: &str, rng: &mut StdRng) -> Report {
        let key = &self.free[rng.random_range(0..self.free.len())];
        let (record, id, body) = self.record(key, name, rng);
        let path = format!("/api/v1/usage/{}", key.id);
        Report { path, bearer: Some(key.text.clone()), body, records: vec![(id, record)] }
    }

    /// By whoever is on this machine.
    pub(crate) fn debit(&self, name: &str, rng: &mut StdRng) -> Report {
        let key = if rng.random_bool(0.5) { &self.fixed } else { &self.free[0] };
        let (mut record, id, body) = self.record(key, name, rng);
        record.predictions += 1;
        let mut body = with(body, "model_id", "resnet");
        body["predictions_count"] = record.predictions.into();
        let path = format!("/api/v1/usage/{}/debit", key.id);
        Report { path, bearer: None, body, records: vec![(id, record)] }
    }

    fn record(&self, key: &NewKey, name: &str, rng: &mut StdRng) -> (Record, RecordId, Value) {
        let ago = rng.random_range(SECOND..30 * DAY);
        let record = Record {
            key_id: key.id.clone(),
            service_id: ["platform", "prediction"][rng.random_range(0..2)].to_owned(),
            endpoint: format!("/v1/{}", rng.random_range(0..8)),
            status_code: [200, 201, 404, 500][rng.random_range(0..4)],
            response_micros: rng.random_range(0..5000) * 1000,
            predictions: rng.random_range(0..20),
            compute_ms: rng.random_range(0..1000),
            occurred_at: rng.random_bool(0.5).then_some(self.made_at - ago),
        };
        let body = json!({
            "service_id": record.service_id, "endpoint": record.endpoint, "status_code": record.status_code,
            "response_time_ms": record.response_micros / 1000, "predictions_count": record.predictions,
            "compute_ms": record.compute_ms, "idempotency_key": name,
            "occurred_at": record.occurred_at.map(time::write),
        });
        let key: KeyId = key.id.parse().unwrap();
        (record, RecordId::of(key, name), body)
    }
}

impl Report {
    pub(crate) fn request(&self) -> Request {
        let request = Request::new("POST", self.path.clone()).json(&self.body);
        match &self.bearer {
            Some(credential) => request.bearer(credential),
            None => request,
        }
    }

    pub(crate) fn is_batch(&self) -> bool {
        self.path.ends_with("/batch")
    }

    pub(crate) fn is_debit(&self) -> bool {
        self.path.ends_with("/debit")
    }
}

fn with(mut body: Value, name: &str, value: &str) -> Value {
    body[name] = value.into();
    body
}
