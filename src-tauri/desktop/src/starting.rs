//! Starts the engine beside the window, says how that went, tries again when asked, and stops it at the end.

use crate::failure::Failure;
use edgedeck_engine::OpenError;
use edgedeck_gateway::{Options, Running, StartError};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Mutex, Notify, watch};

/// How long quitting waits for the engine to stop. What was acknowledged is on disk in any case.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What answers the page's requests now.
#[derive(Clone)]
pub enum State {
    /// The engine is opening its database; requests wait.
    Starting,
    /// The gateway's router, for the local operator, or the way to the engine that runs elsewhere on this machine.
    Ready(axum::Router),
    /// The engine did not start.
    Failed(Arc<Failure>),
}

/// The engine as the window knows it. Clones are the same engine.
#[derive(Clone)]
pub struct Answers {
    state: Arc<watch::Sender<State>>,
    retry: Arc<Notify>,
    running: Arc<Mutex<Option<Running>>>,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            state: Arc::new(watch::Sender::new(State::Starting)),
            retry: Arc::new(Notify::new()),
            running: Arc::default(),
        }
    }
}

impl Answers {
    /// Starts the engine and returns at once, so that the window comes up meanwhile. Called once.
    pub fn start(&self, options: Options) {
        let these = self.clone();
        tauri::async_runtime::spawn(async move {
            loop {
                // Held while starting, so that a quit in between waits for the engine and then stops it.
                let mut running = these.running.lock().await;
                match edgedeck_gateway::start(options.clone()).await {
                    Ok(started) => {
                        these.state.send_replace(State::Ready(started.window_router()));
                        *running = Some(started);
                        return;
                    }
                    Err(error) => {
                        drop(running);
                        // `edgedeckd` holds the folder: the window shows its lab.
                        if matches!(error, StartError::Open(OpenError::InUse { .. }))
                            && let Ok(router) = edgedeck_gateway::local::attach(&options.data).await
                        {
                            these.state.send_replace(State::Ready(router));
                            return;
                        }
                        tracing::error!("the engine did not start: {error}");
                        these
                            .state
                            .send_replace(State::Failed(Arc::new(Failure::new(&error, &options.data))));
                    }
                }
                these.retry.notified().await;
            }
        });
    }

    /// The state once it is not `Starting` any more.
    pub async fn settled(&self) -> State {
        let mut state = self.state.subscribe();
        match state.wait_for(|state| !matches!(state, State::Starting)).await {
            Ok(state) => state.clone(),
            // The sender lives in `self`.
            Err(_) => State::Starting,
        }
    }

    /// The router, if the engine runs.
    pub fn router(&self) -> Option<axum::Router> {
        match &*self.state.borrow() {
            State::Ready(router) => Some(router.clone()),
            State::Starting | State::Failed(_) => None,
        }
    }

    /// Starts the engine again after a failure.
    pub fn retry(&self) {
        // Before the notice, so that the page's next request waits for the new start.
        self.state.send_if_modified(|state| {
            let failed = matches!(state, State::Failed(_));
            if failed {
                *state = State::Starting;
                self.retry.notify_one();
            }
            failed
        });
    }

    /// Stops the engine, in bounded time.
    pub async fn stop(&self) {
        let stopped = tokio::time::timeout(STOP_DEADLINE, async {
            if let Some(running) = self.running.lock().await.take() {
                running.stop().await;
            }
        });
        if stopped.await.is_err() {
            tracing::warn!("the engine had not stopped after {} s", STOP_DEADLINE.as_secs());
        }
    }
}
