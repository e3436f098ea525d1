//! A whole service at work: store, engine, jobs and listener, on a port of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hokusai_core::audit::AuditKey;
use hokusai_core::billing::Plans;
use hokusai_core::id::Epoch;
use hokusai_core::time::Timestamp;
use hokusai_core::token::PlainToken;
use hokusai_engine::{Clock, Engine, EngineOptions, Jobs, ManualClock};
use hokusai_server::{
    App, AppOptions, Exposition, ListenOptions, Listener, Tls, install_metrics, router, serve,
};
use hokusai_store::{NowFn, Store, StoreOptions};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Answer, Caller, IssuedKey, Place, Verifier, Wire};

/// When every service starts: 2026-03-04T10:30:00Z.
pub(crate) const START: Timestamp = Timestamp(1_772_620_200_000_000);

/// How a service shall differ from the usual one.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) app: AppOptions,
    pub(crate) engine: EngineOptions,
    pub(crate) listen: ListenOptions,
    /// The certificate and its key, as files.
    pub(crate) tls: Option<[PathBuf; 2]>,
}

impl Setup {
    /// With these billing plans alone: `NAME=DOLLARS`, or `NAME` for one without overage.
    pub(crate) fn with_plans(plans: &[&str]) -> Self {
        let texts: Vec<String> = plans.iter().map(|plan| (*plan).to_owned()).collect();
        let mut setup = Self::default();
        setup.engine.plans = Plans::parse(&texts).unwrap();
        setup.app.billing_plans = setup.engine.plans.names();
        setup
    }
}

/// A running service. Its clock stands until it is moved.
pub(crate) struct Service {
    pub(crate) clock: ManualClock,
    pub(crate) engine: Arc<Engine>,
    pub(crate) address: SocketAddr,
    pub(crate) operator: Caller,
    stop: oneshot::Sender<()>,
    listening: JoinHandle<()>,
    jobs: Jobs,
    pub(crate) place: Place,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        Self::at(Place::chosen().await, setup).await
    }

    /// For what there is to say of SQLite and not of PostgreSQL.
    pub(crate) async fn on_sqlite() -> Self {
        Self::at(Place::in_folder(), Setup::default()).await
    }

    /// A service on what an earlier one left behind.
    pub(crate) async fn again(place: Place, clock: ManualClock, operator: &str) -> Self {
        Self::on(place, Setup::default(), clock, operator).await
    }

    /// Stops this service, and starts another on what it leaves behind.
    pub(crate) async fn restart(self, setup: Setup) -> Self {
        let (clock, operator) = (self.clock.clone(), self.operator.text().to_owned());
        Self::on(self.stop().await, setup, clock, &operator).await
    }

    async fn at(place: Place, setup: Setup) -> Self {
        let operator = PlainToken::generate(&mut rand::rng());
        Self::on(place, setup, ManualClock::new(START), operator.expose()).await
    }

    async fn on(place: Place, setup: Setup, clock: ManualClock, operator: &str) -> Self {
        // As in the program: what is measured at the start is in the figures, too.
        let exposition = exposition();
        let store = Arc::new(Store::open(&store_options(&place, &clock)).await.unwrap());
        let engine = Arc::new(Engine::new(store, clock.clone().into(), setup.engine));
        let jobs = Jobs::start(engine.clone()).await.unwrap();
        engine.bootstrap(PlainToken::chosen(operator)).await.unwrap();

        let scheme = if setup.tls.is_some() { "https" } else { "http" };
        let tls = setup.tls.map(|[certificate, key]| Tls::load(certificate, key).unwrap());
        let listener = Listener::bind(([127, 0, 0, 1], 0).into(), tls, setup.listen).await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::new(engine.clone(), setup.app, exposition);
        let (stop, stopped) = oneshot::channel::<()>();
        let listening = tokio::spawn(serve(listener, router(app), async {
            // A service that is dropped has stopped, too.
            let _ = stopped.await;
        }));
        let operator = Caller::of(format!("{scheme}://{address}"), Some(operator.to_owned()));
        Self { clock, engine, address, operator, stop, listening, jobs, place }
    }

    /// Lets the listener finish what is in flight. What comes back is all that must outlive it.
    pub(crate) fn begin_stop(self) -> (JoinHandle<()>, Jobs, Place) {
        self.stop.send(()).unwrap();
        (self.listening, self.jobs, self.place)
    }

    /// Stops in order: every unit is given back, every use is noted.
    pub(crate) async fn stop(self) -> Place {
        let (listening, jobs, place) = self.begin_stop();
        listening.await.unwrap();
        jobs.stop(super::PATIENCE).await;
        place
    }

    /// A caller without a credential.
    pub(crate) fn anyone(&self) -> Caller {
        self.operator.with_token(None)
    }

    pub(crate) fn bearer(&self, token: &str) -> Caller {
        self.operator.with_token(Some(token.to_owned()))
    }

    pub(crate) async fn member(&self, user: &str) -> Caller {
        self.token(user, "member").await
    }

    pub(crate) async fn verifier(&self) -> Caller {
        self.token("gateway", "verifier").await
    }

    /// A new process that admits requests from memory, with a service token of its own.
    pub(crate) async fn process(&self) -> Verifier {
        Verifier::of(&self.verifier().await)
    }

    async fn token(&self, user: &str, role: &str) -> Caller {
        let wish = json!({"user_id": user, "name": format!("{user}'s token"), "role": role});
        let created = self.operator.post("/api/v1/admin-tokens", wish).await.created();
        self.bearer(created["token"].as_str().unwrap())
    }

    /// A key with these settings, made by the operator.
    pub(crate) async fn key(&self, settings: Value) -> IssuedKey {
        self.operator.key(settings).await
    }

    pub(crate) async fn validate(&self, key: &IssuedKey) -> Answer {
        self.ask(key, json!({})).await
    }

    /// Validates a key for what `question` says.
    pub(crate) async fn ask(&self, key: &IssuedKey, question: Value) -> Answer {
        self.bearer(&key.text).post("/api/v1/keys/validate", question).await
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::to(self.address).await
    }

    /// What `usage` says of a key.
    pub(crate) async fn used(&self, key: &IssuedKey) -> Value {
        self.operator.get(&key.path()).await.ok()["usage"]["requests_this_hour"].clone()
    }

    /// How many keys there are.
    pub(crate) async fn count_keys(&self) -> usize {
        self.operator.get("/api/v1/keys").await.ok().as_array().unwrap().len()
    }
}

fn store_options(place: &Place, clock: &ManualClock) -> StoreOptions {
    let now = Clock::from(clock.clone());
    StoreOptions {
        url: place.url(),
        now: NowFn::new(move || now.now()),
        inject_now_into_postgres: true,
        listen: true,
        connections: 4,
        timeout: Duration::from_secs(3),
        audit_key: AuditKey::new("the key that seals the audit log of tests".into()).unwrap(),
        epoch: Epoch::new(START, &mut StdRng::seed_from_u64(1)),
    }
}

/// A process has one set of figures; all its services add to it.
fn exposition() -> Exposition {
    static EXPOSITION: OnceLock<Exposition> = OnceLock::new();
    EXPOSITION.get_or_init(|| install_metrics().unwrap()).clone()
}
