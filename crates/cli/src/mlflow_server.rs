//! An MLflow server for `hokusai dev`: an installed one, as a process that ends with ours.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use hokusai_gateway::Mlflow;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use crate::failure::Failure;

/// How long it may take to start: it imports a great deal.
const STARTS_WITHIN: Duration = Duration::from_secs(180);
/// How long it may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(10);
const INSTALLING: &str = "install it: python3 -m venv mlflow-venv && mlflow-venv/bin/pip install mlflow==3.17.2, \
                          then say where it is: --mlflow=mlflow-venv/bin/mlflow";

/// A server that was started here, on an address that only this machine reaches.
pub(crate) struct MlflowServer {
    process: Child,
    /// The processes that it starts are in its group.
    group: Option<Pid>,
    pub(crate) url: String,
    log: PathBuf,
}

impl MlflowServer {
    /// Starts a program that is MLflow. All that it keeps is below `directory`.
    /// What the gateway does not pass on, it need not run.
    pub(crate) fn start(program: &Path, directory: &Path, runs_jobs: bool) -> Result<Self, Failure> {
        std::fs::create_dir_all(directory).with_context(|| format!("can't make {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let log = directory.join("mlflow.log");
        let output = std::fs::File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        let port = free_port()?;
        let mut command = Command::new(program);
        command
            .args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"])
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}", directory.join("mlflow.db").display()))
            .arg("--artifacts-destination")
            .arg(directory.join("artifacts"))
            .stdin(Stdio::null())
            .stderr(output.try_clone()?)
            .stdout(output)
            .process_group(0);
        if !runs_jobs {
            command.env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false");
        }
        // These are for clients, of the gateway perhaps.
        for name in ["MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_TOKEN"] {
            command.env_remove(name);
        }
        let process = command.spawn().map_err(|error| {
            let what = format!("{} can't be started: {error}", program.display());
            Failure::with_hint(anyhow::Error::msg(what), INSTALLING)
        })?;
        let group = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { process, group, url: format!("http://127.0.0.1:{port}"), log })
    }

    /// Waits until it answers.
    pub(crate) async fn wait_until_ready(&mut self, mlflow: &Mlflow) -> Result<(), Failure> {
        let answers = async {
            while !mlflow.answers().await {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let hint = format!("see {}", self.log.display());
        tokio::select! {
            waited = timeout(STARTS_WITHIN, answers) => match waited {
                Ok(()) => Ok(()),
                Err(_) => Err(Failure::with_hint(anyhow::Error::msg("MLflow does not answer"), hint)),
            },
            ended = self.process.wait() => {
                let what = format!("MLflow does not start: {}", ended?);
                Err(Failure::with_hint(anyhow::Error::msg(what), hint))
            }
        }
    }

    /// Ends it, and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.signal(Signal::TERM);
        if timeout(ENDS_WITHIN, self.process.wait()).await.is_err() {
            self.signal(Signal::KILL);
            let _ = self.process.wait().await;
        }
        self.group = None;
    }

    fn signal(&self, signal: Signal) {
        // It may have ended by itself.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for MlflowServer {
    /// Whatever goes wrong here, nothing is left behind.
    fn drop(&mut self) {
        self.signal(Signal::TERM);
    }
}

/// A port of this machine that nobody uses; somebody may, before MLflow does: then it does not start.
fn free_port() -> Result<u16, Failure> {
    let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?.port())
}
