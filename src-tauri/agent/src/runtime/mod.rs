//! What runs workloads on a node: the container engine, and the agent's own supervisor of processes.

pub mod docker;
mod docker_create;
mod docker_exec;
mod docker_logs;
pub mod docker_usage;
pub mod logfile;
mod npu_check;
pub mod package;
pub mod page;
pub mod probe;
pub mod process;
mod process_exec;
pub mod supervise;

pub use page::LogRequest;

use crate::reconcile::{Outcome, PartKey, Seen, Trial, Trouble};
use edgedeck_model::{Problem, VersionId, api::LogPage, app::Part};
use std::{future::Future, net::IpAddr, time::Duration};

/// One way of running parts. Every action can be repeated.
pub trait Runtime {
    /// Everything of this node's workloads that is there; `None` when the runtime does not answer.
    fn look(&self) -> impl Future<Output = Option<Vec<Seen>>> + Send;

    /// One part; `None` when nothing is there of it.
    ///
    /// # Errors
    /// When the runtime does not answer.
    fn look_at(&self, key: &PartKey) -> impl Future<Output = Result<Option<Seen>, Trouble>> + Send;

    /// Gets image or package.
    fn fetch(&self, key: &PartKey, part: &Part) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Starts a part, making it first where it is not there.
    fn start(
        &self,
        key: &PartKey,
        part: &Part,
        version: VersionId,
        hash: &str,
    ) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Stops a part: asks, and after [`STOP_SECONDS`] insists.
    fn stop(&self, key: &PartKey) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Stops a part and removes every trace of it.
    fn remove(&self, key: &PartKey) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// Where the agent reaches what a part serves; `None` when it has no address.
    ///
    /// # Errors
    /// When the runtime does not answer.
    fn address(&self, key: &PartKey, part: &Part) -> impl Future<Output = Result<Option<IpAddr>, Trouble>> + Send;

    /// Runs a probe's command where the part runs, and ends it when it takes longer than it may.
    fn exec(&self, trial: &Trial, command: &[String], patience: Duration) -> impl Future<Output = Outcome> + Send;

    fn logs(&self, key: &PartKey, request: LogRequest) -> impl Future<Output = Result<LogPage, Problem>> + Send;
}

/// Seconds that a part has to end by itself.
pub const STOP_SECONDS: u32 = 10;
