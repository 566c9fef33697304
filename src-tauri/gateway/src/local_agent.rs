//! The engine's own machine as a node: joins it and keeps its agent running beside the engine.

use crate::agent_files;
use edgedeck_engine::{Actor, Engine};
use edgedeck_model::{Problem, join::JoinTokenKind};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{process::Command, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How long joining may take.
const JOIN_TIME: Duration = Duration::from_secs(60);
/// Wait before an agent that ended is started again.
const RESTART: Duration = Duration::from_secs(5);

/// The agent of the engine's own machine.
pub struct LocalAgent {
    /// The agent's state; there once it has joined.
    state: PathBuf,
    engine_address: Option<SocketAddr>,
    stop: CancellationToken,
    running: parking_lot::Mutex<Option<JoinHandle<()>>>,
}

impl LocalAgent {
    pub fn new(data: &Path, engine_address: Option<SocketAddr>) -> Self {
        let state = data.join("local-agent");
        Self {
            state,
            engine_address,
            stop: CancellationToken::new(),
            running: parking_lot::Mutex::new(None),
        }
    }

    pub fn is_joined(&self) -> bool {
        self.state.join("state.json").is_file()
    }

    /// Joins this machine with a token of its own, and starts its agent.
    ///
    /// # Errors
    /// When it is joined already, there is no agent program, or the agent says why it could not join.
    pub async fn join(&self, engine: &Arc<Engine>, actor: &Actor, agents: Option<&Path>) -> Result<(), Problem> {
        if self.is_joined() {
            return Err(Problem::conflict("joined-already"));
        }
        let program = self.program(agents).ok_or_else(|| Problem::conflict("no-agent"))?;
        let address = self.engine_address.ok_or_else(|| Problem::conflict("join-failed"))?;
        let (_, secret) = engine.create_join_token(actor, JoinTokenKind::Single).await?;
        let mut command = Command::new(&program);
        command
            .args([
                "join",
                &format!("https://127.0.0.1:{}", address.port()),
                "--token",
                &secret,
            ])
            .args([
                "--ca-hash",
                &engine.pki.present().current.hash,
                "--no-service",
                "--state",
            ])
            .arg(&self.state)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let failed = |detail: String| Problem {
            detail: Some(detail),
            ..Problem::conflict("join-failed")
        };
        let output = tokio::time::timeout(JOIN_TIME, command.output())
            .await
            .map_err(|_| failed("the agent did not answer in time".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(
                String::from_utf8_lossy(&output.stderr)
                    .trim()
                    .chars()
                    .take(1_000)
                    .collect(),
            ));
        }
        self.start(agents);
        Ok(())
    }

    fn program(&self, agents: Option<&Path>) -> Option<PathBuf> {
        agent_files::program(agents, std::env::consts::ARCH)
    }

    /// Starts the agent if this machine has joined, and starts it again whenever it ends.
    pub fn start(&self, agents: Option<&Path>) {
        let Some(program) = self.program(agents).filter(|_| self.is_joined()) else {
            return;
        };
        let mut running = self.running.lock();
        if running.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        *running = Some(tokio::spawn(keep_running(
            program,
            self.state.clone(),
            self.stop.clone(),
        )));
    }

    /// Ends the agent; its workloads run on.
    pub async fn stop(&self) {
        self.stop.cancel();
        let running = self.running.lock().take();
        if let Some(running) = running
            && running.await.is_err()
        {
            tracing::warn!("the local agent's keeper had panicked");
        }
    }
}

async fn keep_running(program: PathBuf, state: PathBuf, stop: CancellationToken) {
    // Without its state the machine has left the lab.
    while state.join("state.json").is_file() {
        let child = Command::new(&program)
            .arg("run")
            .arg("--state")
            .arg(&state)
            .env("EDGEDECK_AGENT_KEPT", "1")
            .stdin(Stdio::null())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                tracing::error!(%error, program = %program.display(), "starting the local agent");
                return;
            }
        };
        tokio::select! {
            ended = child.wait() => tracing::info!(?ended, "the local agent ended"),
            () = stop.cancelled() => {
                let id = child.id().and_then(|id| i32::try_from(id).ok());
                if let Some(id) = id
                    && let Err(error) = nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)
                {
                    tracing::debug!(%error, "the local agent had ended already");
                }
                if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err()
                    && let Err(error) = child.kill().await
                {
                    tracing::warn!(%error, "ending the local agent");
                }
                return;
            }
        }
        let asked = tokio::time::timeout(RESTART, stop.cancelled()).await;
        if asked.is_ok() {
            return;
        }
    }
}
