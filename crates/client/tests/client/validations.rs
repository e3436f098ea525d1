//! What became of a key's validations, as the real service counts them.

use hokusai_client::Error;
use hokusai_client::api::validate::ValidateKey;

use crate::no_key;
use crate::service::{Service, id};
use crate::{PATIENCE, secret};

#[tokio::test]
async fn validations_are_counted_by_hour_and_by_what_became_of_them() {
    let service = Service::start().await;
    let key = service.key("Validated").await;
    assert!(service.operator.validations(id(&key), None).await.unwrap().hours.is_empty());
    let other = ValidateKey { service_id: Some("prediction".into()), ..ValidateKey::default() };
    for question in [&ValidateKey::default(), &ValidateKey::default(), &other] {
        service.anyone().validate(&secret(&key.api_key), question).await.unwrap();
    }
    // Counts are handed in twice a second.
    let counted = async {
        loop {
            let told = service.operator.validations(id(&key), Some(1)).await.unwrap();
            if told.hours.iter().any(|hour| hour.valid + hour.service_mismatch == 3) {
                return told;
            }
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, counted).await.unwrap();
    let [hour] = told.hours.as_slice() else { panic!("{told:?}") };
    assert_eq!((told.key_id, hour.hour.as_str()), (key.key_id, "2026-03-04T10:00:00Z"));
    assert_eq!((hour.valid, hour.service_mismatch, hour.limited), (2, 1, 0));
    assert_eq!(hour.last_used_at.as_deref(), Some("2026-03-04T10:30:00Z"));
}

#[tokio::test]
async fn validations_of_a_key_that_is_not_there_are_not_found() {
    let service = Service::start().await;
    let error = service.operator.validations(no_key(), None).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
}
