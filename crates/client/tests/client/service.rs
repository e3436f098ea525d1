//! The real service on SQLite, with a clock that stands still.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::map_request;
use hokusai_client::api::admin_tokens::CreateToken;
use hokusai_client::api::keys::{CreateKey, CreatedKey};
use hokusai_client::{Client, KeyId, Secret, Timestamp};
use hokusai_core::audit::AuditKey;
use hokusai_core::billing::Plans;
use hokusai_core::id::Epoch;
use hokusai_core::token::PlainToken;
use hokusai_engine::{Clock, Engine, EngineOptions, Jobs, ManualClock};
use hokusai_server::{App, AppOptions, Exposition, ListenOptions, Listener, install_metrics, router, serve};
use hokusai_store::{NowFn, Store, StoreOptions};
use tempfile::TempDir;

/// When every service starts: 2026-03-04T10:30:00Z.
pub(crate) const START: Timestamp = Timestamp(1_772_620_200_000_000);
const OPERATOR: &str = "the-first-operators-token";

/// A running service.
pub(crate) struct Service {
    pub(crate) url: String,
    /// A client with the first operator's token.
    pub(crate) operator: Client,
    validations: Arc<AtomicU64>,
    _jobs: Jobs,
    _folder: TempDir,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::from(ManualClock::new(START));
        let store = Arc::new(Store::open(&store_options(&folder, clock.clone())).await.unwrap());
        let plans = Plans::parse(&["free=0.001".into(), "fixed".into()]).unwrap();
        let billing_plans = plans.names();
        let options = EngineOptions { plans, ..EngineOptions::default() };
        let engine = Arc::new(Engine::new(store, clock, options));
        let jobs = Jobs::start(engine.clone()).await.unwrap();
        let operator = OPERATOR.to_owned();
        engine.bootstrap(PlainToken::chosen(&operator)).await.unwrap();

        let listener =
            Listener::bind(([127, 0, 0, 1], 0).into(), None, ListenOptions::default()).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let options = AppOptions { billing_plans, ..AppOptions::default() };
        let app = App::new(engine, options, exposition());
        let validations = Arc::new(AtomicU64::new(0));
        let counted = validations.clone();
        let router = router(app).layer(map_request(move |request: Request| {
            counted.fetch_add(u64::from(request.uri().path() == "/api/v1/keys/validate"), Ordering::Relaxed);
            std::future::ready(request)
        }));
        tokio::spawn(serve(listener, router, std::future::pending()));
        let operator = super::builder(&url).token(Secret::new(operator)).build().unwrap();
        Self { url, operator, validations, _jobs: jobs, _folder: folder }
    }

    /// How often it was asked about a key.
    pub(crate) fn validations(&self) -> u64 {
        self.validations.load(Ordering::Relaxed)
    }

    /// A client with this text as its token.
    pub(crate) fn client(&self, token: &str) -> Client {
        super::builder(&self.url).token(super::secret(token)).build().unwrap()
    }

    /// A client without a token.
    pub(crate) fn anyone(&self) -> Client {
        super::builder(&self.url).build().unwrap()
    }

    pub(crate) async fn member(&self, user: &str) -> Client {
        let wish = token_wish(user, "member");
        self.client(&self.operator.create_token(&wish).await.unwrap().token)
    }

    pub(crate) async fn key(&self, name: &str) -> CreatedKey {
        self.operator.create_key(&key_wish(name)).await.unwrap()
    }
}

pub(crate) fn key_wish(name: &str) -> CreateKey {
    CreateKey { name: name.into(), ..CreateKey::default() }
}

pub(crate) fn token_wish(user: &str, role: &str) -> CreateToken {
    let name = format!("{user}'s token");
    CreateToken { user_id: user.into(), name, role: role.into(), expires_in_days: None }
}

pub(crate) fn id(created: &CreatedKey) -> KeyId {
    created.key_id.parse().unwrap()
}

fn store_options(folder: &TempDir, clock: Clock) -> StoreOptions {
    StoreOptions {
        url: format!("sqlite://{}", folder.path().join("hokusai.db").display()),
        now: NowFn::new(move || clock.now()),
        inject_now_into_postgres: true,
        listen: true,
        connections: 4,
        timeout: Duration::from_secs(3),
        audit_key: AuditKey::new("the key that seals the audit log of tests".into()).unwrap(),
        epoch: Epoch::new(START, &mut rand::rng()),
    }
}

/// A process has one set of figures; all its services add to it.
fn exposition() -> Exposition {
    static EXPOSITION: OnceLock<Exposition> = OnceLock::new();
    EXPOSITION.get_or_init(|| install_metrics().unwrap()).clone()
}
