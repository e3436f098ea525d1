//! Batches of usage. The text of a batch becomes records one by one, and nothing else of it is ever held: as
//! JSON values it could take forty times its size.

use std::fmt;

use axum::Json;
use axum::extract::{Request, State};
use hokusai_api::usage::UsageRecorded;
use hokusai_core::usage::{MAX_BATCH, Record};
use hokusai_engine::Declined;
use hokusai_store::Report;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Kind, read_record, recorded};
use crate::app::App;
use crate::body::{LIMIT, announced_length, json_text, no_body, no_json, no_object};
use crate::caller::UsageReporter;
use crate::error::ApiError;
use crate::fields::Fields;

/// The largest body of a batch, in bytes.
const BATCH_LIMIT: usize = 8 * 1024 * 1024;

/// The body is read once it is known who reports, and there is room.
pub(crate) async fn batch(
    State(app): State<App>,
    UsageReporter { reporter, source }: UsageReporter,
    request: Request,
) -> Result<Json<UsageRecorded>, ApiError> {
    let length = announced_length(request.headers()).unwrap_or(BATCH_LIMIT).min(BATCH_LIMIT);
    let turn = app.batches.turn(source.clone(), length).await.ok_or_else(ApiError::too_much_usage)?;
    let text = json_text(BATCH_LIMIT, request).await?;
    let records = read(&app, &text)?;
    drop((text, turn));
    let taken = app.engine.record_usage(source, Report { reporter, records, is_debit: false }).await;
    let taken = taken.map_err(|declined| match declined {
        Declined::UnknownKey { index } => {
            ApiError::field(&place(index, "key_id"), "names no API key that you may report on")
        }
        Declined::WrongInstant { index, why } => {
            ApiError::field(&place(index, "occurred_at"), why.to_string())
        }
        other => other.into(),
    })?;
    Ok(Json(recorded(taken)))
}

fn place(index: usize, field: &str) -> String {
    format!("records[{index}].{field}")
}

fn read(app: &App, text: &[u8]) -> Result<Vec<Record>, ApiError> {
    let mut records = Vec::new();
    for (index, item) in items(text)?.into_iter().enumerate() {
        let within = format!("records[{index}]");
        if item.get().len() > LIMIT {
            return Err(ApiError::field(&within, format!("must not be longer than {LIMIT} bytes")));
        }
        let value = serde_json::from_str(item.get()).map_err(|error| no_json_at(text, item, &error))?;
        let Value::Object(item) = value else {
            return Err(ApiError::field(&within, "must be an object"));
        };
        let mut fields = Fields::new(item);
        let record = read_record(app, &mut fields, None, Kind::Record);
        fields.finish_within(&within)?;
        records.extend(record);
    }
    Ok(records)
}

/// The texts of the records.
fn items(text: &[u8]) -> Result<Vec<&RawValue>, ApiError> {
    if text.is_empty() {
        return Err(no_body());
    }
    let no_json = |error: serde_json::Error| no_json(error.line(), error.column());
    if !text.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(text).map_err(no_json)?;
        return Err(no_object());
    }
    let body: Body<'_> = serde_json::from_slice(text).map_err(no_json)?;
    let records = body.records.ok_or_else(|| ApiError::field("records", "is required"))?;
    // What is no list has no items.
    let items = serde_json::from_str(records.get()).map_or_else(|_| Vec::new(), |Items(items)| items);
    if (1..=MAX_BATCH).contains(&items.len()) {
        Ok(items)
    } else {
        Err(ApiError::field("records", format!("must be a list of 1 to {MAX_BATCH} records")))
    }
}

/// Where in the whole text a part of it is no JSON after all: it nests too deeply, or has half a character.
fn no_json_at(text: &[u8], part: &RawValue, error: &serde_json::Error) -> ApiError {
    let offset = part.get().as_ptr().addr() - text.as_ptr().addr();
    let before = &text[..offset];
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let columns = before.iter().rev().take_while(|byte| **byte != b'\n').count();
    let columns = if error.line() == 1 { columns } else { 0 };
    no_json(lines + error.line(), columns + error.column())
}

/// The body of a batch. If it has a field twice, the last counts, as everywhere.
struct Body<'a> {
    records: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Body<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Body<'de>, A::Error> {
                let mut body = Body { records: None };
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if name == "records" {
                        body.records = Some(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(body)
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// The items of a list: all of them, or one more than there may be.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while items.len() <= MAX_BATCH {
                    let Some(item) = elements.next_element()? else { return Ok(Items(items)) };
                    items.push(item);
                }
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Items(items))
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Result<usize, String> {
        items(text.as_bytes()).map(|items| items.len()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn no_more_of_a_list_is_held_than_it_may_have() {
        let of = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        for (length, held) in [(0, 0), (1, 1), (10_000, 10_000), (10_001, 10_001), (100_000, 10_001)] {
            let text = of(length);
            let Items(items) = serde_json::from_str(&text).unwrap();
            assert_eq!(items.len(), held);
        }
        assert!(count(r#"{"records": [1, 2, {"a": [3]}], "more": {}}"#).is_ok_and(|count| count == 3));
        assert!(count(r#"{"records": 1, "rec\u006frds": [2]}"#).is_ok_and(|count| count == 1));
    }
}
