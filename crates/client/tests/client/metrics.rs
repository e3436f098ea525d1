//! What a verifier says of itself.

use std::time::Duration;

use hokusai_client::api::keys::CreateKey;
use hokusai_client::{Attempt, ClientAddress, Decision, Demand, Refusal, Verifier, VerifierMetrics};

use crate::reports::service_token;
use crate::service::{Service, id, key_wish};

const ANYTHING: Attempt<'_> =
    Attempt { service_id: None, demand: Demand::Nothing, client: ClientAddress::Told("unknown") };

fn refused(metrics: &VerifierMetrics, wanted: Refusal) -> u64 {
    metrics.refused.iter().find(|(refusal, _)| *refusal == wanted).unwrap().1
}

#[tokio::test]
async fn a_verifier_tells_what_it_did_and_how_it_stands() {
    let service = Service::start().await;
    let wish = CreateKey { rate_limit_per_hour: Some(10), ..key_wish("a small key") };
    let small = service.operator.create_key(&wish).await.unwrap();
    let token = crate::secret(&service_token(&service).await);
    let verifier = Verifier::builder([&service.url], token).start().unwrap();
    for _ in 0..10 {
        let decision = verifier.admit(&small.api_key, &ANYTHING).await.unwrap();
        assert!(matches!(decision, Decision::Admitted { .. }));
    }
    let decision = verifier.admit(&small.api_key, &ANYTHING).await.unwrap();
    assert!(matches!(decision, Decision::Limited(_)));
    verifier.admit("no key at all", &ANYTHING).await.unwrap();
    service.operator.revoke_key(id(&small)).await.unwrap();
    let decision = verifier.admit(&small.api_key, &ANYTHING).await.unwrap();
    assert!(matches!(decision, Decision::Refused(Refusal::Revoked)));

    let metrics = verifier.metrics();
    assert_eq!((metrics.admitted, metrics.limited, metrics.unreachable, metrics.busy), (10, 1, 0, 0));
    assert_eq!((refused(&metrics, Refusal::InvalidKey), refused(&metrics, Refusal::Revoked)), (1, 1));
    // The first request, and the one after the change, wait for the service; some wait for units.
    assert!((1..=11).contains(&metrics.hits), "{metrics:?}");
    assert_eq!((metrics.look_ups, metrics.look_ups_in_flight), (2, 0));
    assert!(metrics.limit_messages >= 1 && metrics.limit_message_items >= metrics.limit_messages);
    assert!(!metrics.outage && metrics.silent_for < crate::PATIENCE && metrics.feed_age < crate::PATIENCE);
    assert_eq!((metrics.debt, metrics.debt_settled, metrics.open_debt), (0, 0, 0));
    assert!(metrics.to_prometheus().contains("hokusai_verifier_requests_total{outcome=\"admitted\"} 10\n"));
    verifier.stop(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_service_that_is_away_shows() {
    let verifier = Verifier::builder(["http://127.0.0.1:1"], crate::secret("a token")).start().unwrap();
    let key = Service::start().await.key("Unknown there").await.api_key;
    assert!(verifier.admit(&key, &ANYTHING).await.is_err());
    assert!(!verifier.metrics().outage);
    let waiting = async {
        while !verifier.metrics().outage {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::PATIENCE, waiting).await.expect("the outage shows");
    let metrics = verifier.metrics();
    assert_eq!((metrics.unreachable, metrics.admitted, metrics.hits), (1, 0, 0));
    assert!(metrics.silent_for >= Duration::from_secs(5) && metrics.feed_age >= Duration::from_secs(5));
}
