//! Events: what happened. Kept for 90 days.

use crate::{EventId, NodeId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    NodeJoined,
    NodeManaged,
    NodeRemoved,
    NodeOnline,
    NodeOffline,
    NodeDegraded,
    NodeRestarted,
    InstanceRunning,
    InstanceExited,
    InstanceFailed,
    InstanceRemoved,
    AlarmRaised,
    AlarmCleared,
    /// A node could not make sense of what the engine asked.
    RequestInvalid,
    /// A node does not do what the engine asked.
    RequestRefused,
    /// A node that is connected has not renewed its certificate in time.
    CertificateNotRenewed,
    /// A node has not taken the lab's coming CA in time.
    CaNotTaken,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: EventId,
    pub rev: u64,
    pub at: Time,
    pub kind: EventKind,
    pub node: Option<NodeId>,
    /// For the sentence: `node`, `deployment`, `part`, `exit_code`, `alarm` …
    pub facts: BTreeMap<String, String>,
}
