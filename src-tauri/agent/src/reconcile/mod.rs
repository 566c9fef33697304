//! What has to be done so that a node runs what is wanted of it: a state machine without I/O.
//!
//! It is told what is wanted, what is seen and the time, and says what to do next. Each part has at most one action
//! under way. What must outlive the agent's process is in [`Memory`], which its owner writes before it acts.

mod machine;
mod part;
mod probing;
#[cfg(test)]
mod tests;

pub use machine::Machine;
pub use part::backoff;
pub use probing::{Outcome, Purpose, Trial};

use edgedeck_model::{
    PlacementId, Time, VersionId,
    app::{Part, Run},
    deployment::Reason,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// One part of one placement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartKey {
    pub placement: PlacementId,
    pub part: String,
}

impl PartKey {
    /// The name of its container and of its folders: short, and unique on the node.
    pub fn name(&self) -> String {
        // The end of a UUIDv7 is random; its begin is the time, which neighbours share.
        let hex = self.placement.0.simple().to_string();
        format!("edgedeck-{}-{}", hex.get(20..).unwrap_or(&hex), self.part)
    }
}

/// What runs a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    Container,
    Process,
}

impl Kind {
    pub fn of(part: &Part) -> Self {
        match part.run {
            Run::Container(_) => Self::Container,
            Run::Process(_) => Self::Process,
        }
    }
}

/// What a runtime sees of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub key: PartKey,
    pub kind: Kind,
    pub version: VersionId,
    /// [`spec_hash`] of what it was made from.
    pub hash: String,
    /// Tells one run from the next; empty before the first.
    pub run: String,
    pub state: SeenState,
    /// It runs, and its own check says that it is not well.
    pub unhealthy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeenState {
    /// There, and never started.
    Made,
    Running {
        since: Time,
    },
    Ended {
        since: Time,
        finished_at: Time,
        exit_code: i32,
        out_of_memory: bool,
    },
}

/// Everything that is seen; a runtime that does not answer tells nothing.
#[derive(Clone, Debug, Default)]
pub struct Look {
    pub containers: Option<Vec<Seen>>,
    pub processes: Option<Vec<Seen>>,
}

/// Something to be done, for one part.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Get the image or the package.
    Fetch { key: PartKey, part: Part },
    /// Make it where it is not there yet, and start it.
    Start {
        key: PartKey,
        part: Part,
        version: VersionId,
        hash: String,
    },
    /// Stop it and keep it.
    Stop { key: PartKey, kind: Kind },
    /// Stop it and remove every trace; of containers only where one may be there.
    Remove { key: PartKey, containers: bool },
}

impl Action {
    pub fn key(&self) -> &PartKey {
        match self {
            Self::Fetch { key, .. } | Self::Start { key, .. } | Self::Stop { key, .. } | Self::Remove { key, .. } => {
                key
            }
        }
    }
}

/// Why an action failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: Reason,
    /// In the words of whoever refused.
    pub detail: String,
}

impl Trouble {
    pub fn new(reason: Reason, detail: impl std::fmt::Display) -> Self {
        Self {
            reason,
            detail: edgedeck_model::name::tame(&detail.to_string(), 1_000),
        }
    }
}

/// What an agent remembers of its workloads over its own restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub parts: Vec<(PartKey, PartMemory)>,
    /// Placements of which every trace is gone, until the engine knows.
    pub removed: BTreeMap<PlacementId, Removed>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removed {
    pub version: VersionId,
    pub at: Time,
}

/// What is remembered of one part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PartMemory {
    /// [`spec_hash`] that the counts below belong to.
    pub hash: String,
    pub version: Option<VersionId>,
    /// What runs it, or ran it, where it was made.
    pub kind: Option<Kind>,
    /// A container or a folder may be there.
    pub made: bool,
    /// The last run that was seen.
    pub run: String,
    /// The last end of that run has been counted.
    pub ended: bool,
    /// It was stopped because that was wanted; its next start is no restart.
    pub stopped: bool,
    /// Getting or starting it failed last time.
    pub blocked: bool,
    pub restarts: u32,
    /// When the restarts within [`edgedeck_model::deployment::RESTART_WINDOW`] were.
    pub recent: Vec<Time>,
    /// Ends and failures in a row, for the back-off.
    pub failures: u32,
    /// Nothing is tried before this.
    pub next_at: Option<Time>,
    pub exit_code: Option<i32>,
    pub reason: Option<Reason>,
    pub detail: Option<String>,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    /// The last run that its liveness probe has condemned; empty once the probe has passed again.
    pub unhealthy_run: String,
}

/// What a part was made from, as one hash; another one means that it has to be made again.
pub fn spec_hash(version: VersionId, part: &Part, restarts: u32) -> String {
    // All are plain data, which always encodes; the name alone would still tell parts apart.
    let encoded = match restarts {
        // As it was before there were restarts.
        0 => edgedeck_protocol::encode(&(version, part)),
        restarts => edgedeck_protocol::encode(&(version, part, restarts)),
    };
    let bytes = encoded.unwrap_or_else(|_| part.name.clone().into_bytes());
    hex::encode(Sha256::digest(&bytes))
}
