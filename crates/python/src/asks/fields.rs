//! Fields that are texts in Python, and types here.

use std::str::FromStr;

use hokusai_client::{Day, ModelName, Month, UsageBy};

use crate::fault::Fault;

pub(super) fn id<T: FromStr>(field: &'static str, text: &str) -> Result<T, Fault> {
    let form = "must be an id, such as 550e8400-e29b-41d4-a716-446655440000";
    text.trim().parse().map_err(|_| Fault::Field(field, form.into()))
}

pub(super) fn month(period: Option<String>) -> Result<Option<Month>, Fault> {
    let form = "must be a month, such as 2025-01";
    period.map(|text| Month::parse(&text).ok_or_else(|| Fault::Field("period", form.into()))).transpose()
}

pub(super) fn day(field: &'static str, text: Option<String>) -> Result<Option<Day>, Fault> {
    let form = "must be a day, such as 2025-01-15";
    text.map(|text| Day::parse(&text).ok_or_else(|| Fault::Field(field, form.into()))).transpose()
}

pub(super) fn usage_by(name: &str) -> Result<UsageBy, Fault> {
    let all = [UsageBy::Day, UsageBy::Endpoint, UsageBy::Service];
    let found = all.into_iter().find(|by| by.name() == name);
    found.ok_or_else(|| Fault::Field("by", "must be day, endpoint or service".into()))
}

/// A model's name. One that no model can have is told so before anybody is asked.
pub(super) fn model_name(text: &str) -> Result<ModelName, Fault> {
    ModelName::parse(text).ok_or_else(|| {
        let form = "must have 1 to 100 characters, none of them a control character or one of / \\ : ; %, no \
                    dot at the beginning, and no white space around them";
        Fault::Field("name", form.into())
    })
}
