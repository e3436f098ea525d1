//! Keys of the real service, from their making to their end.

use hokusai_client::api::keys::UpdateKey;
use hokusai_client::{Error, KeyQuery};

use crate::no_key;
use crate::service::{Service, id, key_wish};

#[tokio::test]
async fn a_key_is_made_as_it_was_asked_for_and_can_be_looked_up() {
    let service = Service::start().await;
    let mut wish = key_wish("Training");
    wish.scopes = Some(vec!["model:read".into()]);
    wish.environment = Some("test".into());
    let created = service.operator.create_key(&wish).await.unwrap();
    assert!(created.api_key.starts_with("hk_test_"));
    assert_eq!(created.previous_key, None);

    let shown = service.operator.key(id(&created)).await.unwrap();
    assert_eq!(shown, created.key_info);
    assert_eq!(
        (shown.name.as_str(), shown.scopes.as_slice()),
        ("Training", ["model:read".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn a_change_tells_null_from_silence() {
    let service = Service::start().await;
    let mut wish = key_wish("Before");
    wish.expires_in_days = Some(7);
    wish.monthly_prediction_limit = Some(500);
    let created = service.operator.create_key(&wish).await.unwrap();

    let change = UpdateKey { name: Some("After".into()), expires_at: Some(None), ..UpdateKey::default() };
    let changed = service.operator.update_key(id(&created), &change).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.expires_at), ("After", None));
    assert_eq!(changed.monthly_prediction_limit, Some(500));

    let change = UpdateKey { monthly_prediction_limit: Some(None), ..UpdateKey::default() };
    let changed = service.operator.update_key(id(&created), &change).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.monthly_prediction_limit), ("After", None));
}

#[test]
fn a_change_reads_back_as_it_was_written() {
    let change = UpdateKey { expires_at: Some(None), scopes: Some(Vec::new()), ..UpdateKey::default() };
    let text = serde_json::to_string(&change).unwrap();
    assert_eq!(text, r#"{"scopes":[],"expires_at":null}"#);
    assert_eq!(serde_json::from_str::<UpdateKey>(&text).unwrap(), change);
}

#[tokio::test]
async fn a_rotated_key_has_a_successor_and_names_when_it_ends() {
    let service = Service::start().await;
    let old = service.key("Rotated").await;
    let new = service.operator.rotate_key(id(&old), Some(2)).await.unwrap();
    assert_ne!(new.api_key, old.api_key);
    assert_eq!(new.key_info.rotated_from.as_ref(), Some(&old.key_id));
    let previous = new.previous_key.unwrap();
    assert_eq!((previous.key_id, previous.valid_until.as_str()), (old.key_id, "2026-03-04T12:30:00Z"));
}

#[tokio::test]
async fn without_a_grace_the_service_chooses_it() {
    let service = Service::start().await;
    let old = service.key("Rotated").await;
    let new = service.operator.rotate_key(id(&old), None).await.unwrap();
    assert_eq!(new.previous_key.unwrap().valid_until, "2026-03-05T10:30:00Z");
}

#[tokio::test]
async fn a_key_can_be_revoked_again_but_not_rotated_any_more() {
    let service = Service::start().await;
    let key = service.key("Revoked").await;
    for _ in 0..2 {
        let revoked = service.operator.revoke_key(id(&key)).await.unwrap();
        assert_eq!(revoked.key_id, key.key_id);
    }
    let error = service.operator.rotate_key(id(&key), None).await.unwrap_err();
    let Error::Conflict(told) = &error else { panic!("{error:?}") };
    assert_eq!(told.code.as_deref(), Some("key_revoked"));
    assert_eq!(error.to_string(), "The key is revoked; create a new one");
}

#[tokio::test]
async fn keys_come_page_by_page_newest_first_and_filtered() {
    let service = Service::start().await;
    for number in 1..=5 {
        service.key(&number.to_string()).await;
    }
    let mut other = key_wish("other");
    other.environment = Some("test".into());
    service.operator.create_key(&other).await.unwrap();

    let query =
        KeyQuery { environment: Some("production".into()), page_size: Some(2), ..KeyQuery::default() };
    let mut pages = service.operator.keys(&query);
    let mut names = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        names.push(page.into_iter().map(|key| key.name).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(names, ["5 4", "3 2", "1"]);
    assert_eq!(pages.next().await.unwrap(), None);
}

#[tokio::test]
async fn revoked_keys_and_those_of_others_can_be_left_out() {
    let service = Service::start().await;
    let revoked = service.key("revoked").await;
    service.operator.revoke_key(id(&revoked)).await.unwrap();
    service.member("ada").await.create_key(&key_wish("hers")).await.unwrap();
    service.key("mine").await;

    for (query, names) in [
        (KeyQuery { active_only: true, ..KeyQuery::default() }, vec!["mine", "hers"]),
        (KeyQuery { user_id: Some("ada".into()), ..KeyQuery::default() }, vec!["hers"]),
        (
            KeyQuery { service_id: Some("platform".into()), ..KeyQuery::default() },
            vec!["mine", "hers", "revoked"],
        ),
        (KeyQuery { service_id: Some("prediction".into()), ..KeyQuery::default() }, vec![]),
    ] {
        let page = service.operator.keys(&query).next().await.unwrap().unwrap_or_default();
        assert_eq!(page.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), names, "{query:?}");
    }
}

#[tokio::test]
async fn wrong_fields_are_named() {
    let service = Service::start().await;
    let mut wish = key_wish(" ");
    wish.rate_limit_per_hour = Some(1);
    let error = service.operator.create_key(&wish).await.unwrap_err();
    let Error::Invalid { told, errors } = error else { panic!("{error:?}") };
    assert_eq!((told.status, told.code.as_deref()), (422, Some("invalid_request")));
    let fields: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["name", "rate_limit_per_hour"]);
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_found() {
    let service = Service::start().await;
    let error = service.operator.key(no_key()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert_eq!(error.to_string(), "API key not found");
    assert!(error.request_id().is_some_and(|id| id.len() == 36), "{error:?}");
}
