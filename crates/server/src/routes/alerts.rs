//! Alerts: keys that somebody should look at.

use axum::Json;
use axum::extract::State;
use hokusai_api::alerts::{Alert as Shown, Alerts};
use hokusai_api::time;
use hokusai_core::time::HOUR;
use hokusai_engine::MOST_ALERTS;
use hokusai_store::{Alert, AlertKind};

use crate::app::App;
use crate::caller::AdminCaller;
use crate::error::ApiError;
use crate::routes::pages::Query;

pub(crate) async fn list(
    State(app): State<App>,
    AdminCaller(actor): AdminCaller,
    query: Query,
) -> Result<Json<Alerts>, ApiError> {
    query.only(&[])?;
    let (mut alerts, mut truncated) = (Vec::new(), false);
    let found = app.engine.alerts(&actor).await?;
    for kind in AlertKind::ALL {
        let of_kind: Vec<&Alert> = found.iter().filter(|alert| alert.kind == kind).collect();
        truncated |= of_kind.len() > MOST_ALERTS;
        alerts.extend(of_kind.into_iter().take(MOST_ALERTS).map(shown));
    }
    Ok(Json(Alerts { alerts, truncated }))
}

fn shown(alert: &Alert) -> Shown {
    let at = time::write(alert.at.0);
    let until = time::write(alert.at.plus(HOUR).0);
    let message = match alert.kind {
        AlertKind::ExpiresSoon => format!("expires at {at}: rotate it, or give it a new expiry"),
        AlertKind::UsedInGrace => format!("was rotated, is still used, and ends at {at}: use its successor"),
        AlertKind::ManyRefusals => {
            format!(
                "was refused {} times between {at} and {until}: see who still uses it, and how",
                alert.count
            )
        }
        AlertKind::ManyLimitHits => {
            format!(
                "reached its limit {} times between {at} and {until}: slow down, or raise it",
                alert.count
            )
        }
    };
    Shown {
        kind: alert.kind.name().into(),
        key_id: alert.key.to_string(),
        name: alert.name.clone(),
        user_id: alert.user_id.clone(),
        at,
        count: alert.count,
        message,
    }
}
