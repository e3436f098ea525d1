//! Fourth phase: ask the verifier. It judges the key, and counts the request if it may pass.

use hokusai_client::{Attempt, ClientAddress, Demand, Denial, HourlyQuota, KnownKey, Scope, Secret};

use crate::gateway::{Caller, Parts};
use crate::routes::Place;

impl Parts {
    /// The facts of a key that may pass, and how its limit stands.
    pub(crate) async fn verify(
        &self,
        key: &Secret,
        place: &Place<'_>,
        demand: Demand<'_>,
        caller: &Caller,
    ) -> Result<(KnownKey, HourlyQuota), Denial> {
        let client = caller.origin.client;
        let attempt = Attempt { service_id: place.service(), demand, client: ClientAddress::Known(client) };
        let decision = self.verifier.admit(key.expose(), &attempt).await;
        Denial::unless_admitted(decision, Some(client), || scopes(demand))
    }
}

fn scopes(demand: Demand<'_>) -> Vec<String> {
    match demand {
        Demand::Nothing => Vec::new(),
        Demand::Scope(scope) => vec![scope.to_owned()],
        Demand::ReadWith(scopes) | Demand::ChangeWith(scopes) => {
            scopes.iter().map(Scope::to_string).collect()
        }
    }
}
