//! The platform gateway: lets requests with a good key through to the services behind it and to MLflow, and
//! answers about models.
//!
//! A request passes six phases, each in its own file: `receive` (is it well formed, and where does it lead),
//! `credential` (find the key, and take it off), `authorise` (what the key must be allowed to do), `verify`
//! (ask the verifier, which judges and counts), `forward` (to the upstream), and `answer`. What does not
//! pass is a [`Denial`](hokusai_client::Denial) that names why; nothing passes by default.

mod access;
mod alarm;
mod answer;
mod authorise;
mod bell;
mod body;
mod clock;
mod config;
mod connection;
mod credential;
mod forward;
mod gateway;
mod mlflow;
mod models;
mod own;
mod path;
mod pool;
mod receive;
mod routes;
mod traffic;
mod upstream;
mod verify;

pub use access::{ACCESS, Access, AccessLog};
pub use config::{Fault, RouteSummary, RouteTable, Surroundings};
pub use gateway::{Gateway, GatewayOptions, serve};
pub use mlflow::Mlflow;
