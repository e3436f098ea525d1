//! Alerts of the real service.

use crate::service::{Service, id, key_wish};

#[tokio::test]
async fn a_key_that_expires_soon_is_told_to_those_who_may_see_it() {
    let service = Service::start().await;
    assert!(service.operator.alerts().await.unwrap().alerts.is_empty());
    let mut wish = key_wish("Ends soon");
    wish.expires_in_days = Some(1);
    let key = service.operator.create_key(&wish).await.unwrap();

    let told = service.operator.alerts().await.unwrap();
    let [alert] = told.alerts.as_slice() else { panic!("{told:?}") };
    assert_eq!((alert.kind.as_str(), &alert.key_id, alert.count), ("expires_soon", &key.key_id, 0));
    assert_eq!((alert.name.as_str(), alert.user_id.as_str()), ("Ends soon", "admin"));
    assert_eq!((alert.at.as_str(), told.truncated), ("2026-03-05T10:30:00Z", false));
    assert!(service.member("ada").await.alerts().await.unwrap().alerts.is_empty());

    service.operator.revoke_key(id(&key)).await.unwrap();
    assert!(service.operator.alerts().await.unwrap().alerts.is_empty());
}
