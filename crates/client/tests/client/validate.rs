//! Validations by the real service, and answers that only look like one.

use std::time::Duration;

use hokusai_client::api::validate::ValidateKey;
use hokusai_client::{Error, Quota, Timestamp, Validation};

use crate::odd::{Odd, Reply};
use crate::secret;
use crate::service::{START, Service, id, key_wish};

/// Half an hour after the start begins the next hour.
const NEXT_HOUR: Timestamp = Timestamp(START.0 + 1_800_000_000);

fn nothing_special() -> ValidateKey {
    ValidateKey::default()
}

fn dry() -> ValidateKey {
    ValidateKey { dry_run: Some(true), ..ValidateKey::default() }
}

#[tokio::test]
async fn a_good_key_is_valid_and_costs_one_unit() {
    let service = Service::start().await;
    let created = service.key("Good").await;
    let client = service.anyone();
    for remaining in [999, 998] {
        let verdict = client.validate(&secret(&created.api_key), &nothing_special()).await.unwrap();
        let Validation::Valid { key, quota } = verdict else { panic!("{verdict:?}") };
        assert_eq!(key.key_id.as_ref(), Some(&created.key_id));
        assert_eq!(quota, Quota { limit: 1000, remaining, resets_at: NEXT_HOUR });
    }
}

#[tokio::test]
async fn a_refused_key_is_no_error() {
    let service = Service::start().await;
    let mut wish = key_wish("Reader");
    wish.scopes = Some(vec!["model:read".into()]);
    let created = service.operator.create_key(&wish).await.unwrap();
    let write = ValidateKey { required_scope: Some("model:write".into()), ..nothing_special() };

    let refusal = |verdict: Validation| match verdict {
        Validation::Refused { code, detail } => format!("{code}: {detail}"),
        other => panic!("{other:?}"),
    };
    let client = service.anyone();
    let key = secret(&created.api_key);
    let verdict = client.validate(&key, &write).await.unwrap();
    assert_eq!(refusal(verdict), "insufficient_scope: Key does not have required scope");

    service.operator.revoke_key(id(&created)).await.unwrap();
    let verdict = client.validate(&key, &nothing_special()).await.unwrap();
    assert_eq!(refusal(verdict), "revoked: API key is inactive or has been revoked");

    for no_key in ["hk_live_nonsense", "", " ", "two\nlines", "schlüssel"] {
        let verdict = client.validate(&secret(no_key), &nothing_special()).await.unwrap();
        assert_eq!(refusal(verdict), "invalid_key: Invalid API key", "{no_key:?}");
    }
}

#[tokio::test]
async fn a_used_up_key_is_limited_until_the_hour_ends() {
    let service = Service::start().await;
    let mut wish = key_wish("Small");
    wish.rate_limit_per_hour = Some(10);
    let created = service.operator.create_key(&wish).await.unwrap();
    let key = secret(&created.api_key);
    for _ in 0..10 {
        let verdict = service.anyone().validate(&key, &nothing_special()).await.unwrap();
        assert!(matches!(verdict, Validation::Valid { .. }), "{verdict:?}");
    }
    let verdict = service.anyone().validate(&key, &nothing_special()).await.unwrap();
    assert_eq!(verdict, Validation::Limited { retry_after: Duration::from_secs(1800) });
}

#[tokio::test]
async fn a_dry_run_costs_nothing_and_needs_a_token() {
    let service = Service::start().await;
    let created = service.key("Dry").await;
    let key = secret(&created.api_key);
    for _ in 0..2 {
        let verdict = service.operator.validate(&key, &dry()).await.unwrap();
        let Validation::Valid { quota, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(quota.remaining, 1000);
    }
    let error = service.anyone().validate(&key, &dry()).await.unwrap_err();
    let Error::Forbidden(told) = error else { panic!("{error:?}") };
    assert_eq!(told.code.as_deref(), Some("service_token_required"));
}

#[tokio::test]
async fn the_clients_token_is_not_shown_for_a_validation_that_needs_none() {
    let odd = Odd::replying([Reply::refusal(503, "", "store_unavailable")]).await;
    let client = odd.client().build().unwrap();
    client.validate(&secret("hk_live_x"), &nothing_special()).await.unwrap_err();
    client.validate(&secret("hk_live_x"), &dry()).await.unwrap_err();
    let shown: Vec<_> = odd.requests().iter().map(|request| request.contains("hka_the_token")).collect();
    assert_eq!(shown, [false, true]);
}

#[tokio::test]
async fn a_401_that_judges_no_key_is_an_error() {
    let odd = Odd::replying([Reply::refusal(401, "", "invalid_admin_token")]).await;
    let client = odd.client().build().unwrap();
    let error = client.validate(&secret("hk_live_x"), &nothing_special()).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
}

#[tokio::test]
async fn a_proxy_that_takes_no_more_requests_says_nothing_of_the_key() {
    let odd = Odd::replying([Reply::of(429, "retry-after: 9\r\n", "<h1>Too many</h1>")]).await;
    let client = odd.client().build().unwrap();
    let error = client.validate(&secret("hk_live_x"), &nothing_special()).await.unwrap_err();
    let Error::Limited { told, retry_after } = error else { panic!("{error:?}") };
    assert_eq!((told.code, retry_after), (None, Some(Duration::from_secs(9))));
}

#[tokio::test]
async fn a_200_that_does_not_say_valid_is_not_believed() {
    for body in [
        "{}",
        "[]",
        r#"{"is_valid": false, "code": "expired", "detail": "Expired"}"#,
        r#"{"is_valid": true}"#,
    ] {
        let odd = Odd::replying([Reply::json(200, "", body)]).await;
        let client = odd.client().build().unwrap();
        let error = client.validate(&secret("hk_live_x"), &nothing_special()).await.unwrap_err();
        assert!(matches!(error, Error::NotOurs { status: 200, .. }), "{body}: {error:?}");
    }
}
