//! Alarms: what is wrong now. An alarm is raised and cleared by its cause; people acknowledge it.

use crate::{AlarmId, NodeId, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Minor,
    Major,
    Critical,
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Critical, Self::Major, Self::Minor];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// No heartbeat for longer than the timeout.
    NodeOffline,
    /// Five restarts within ten minutes.
    CrashLoop,
    /// A disk of a node is over the threshold.
    DiskFull,
    /// A chip is over the temperature threshold.
    NpuHot,
    /// A node's or the engine's certificate ends soon.
    CertificateExpiring,
    /// The engine's own store cannot write, or its disk is nearly full.
    StoreTrouble,
    /// The container engine is there, and does not answer.
    RuntimeDown,
    /// A container's own check says that it is not well.
    ProbeFailed,
    /// A workload cannot have the NPUs or devices that it asks for.
    DeviceMissing,
    /// The NPU tool says that a chip is not healthy.
    NpuUnhealthy,
    /// The agent's own folder has hardly any space left.
    AgentSpace,
    /// What the agent has kept was damaged.
    AgentDamaged,
    /// The certificate of an outside authority ends soon, or has ended.
    AuthorityExpiring,
    /// A revocation list should have been replaced by now.
    RevocationsOverdue,
    /// The lab's own CA ends soon.
    CaExpiring,
    /// A node does not trust the lab's coming CA yet.
    CaNotTaken,
}

impl AlarmKind {
    pub const ALL: [Self; 16] = [
        Self::NodeOffline,
        Self::CrashLoop,
        Self::DiskFull,
        Self::NpuHot,
        Self::CertificateExpiring,
        Self::StoreTrouble,
        Self::RuntimeDown,
        Self::ProbeFailed,
        Self::DeviceMissing,
        Self::NpuUnhealthy,
        Self::AgentSpace,
        Self::AgentDamaged,
        Self::AuthorityExpiring,
        Self::RevocationsOverdue,
        Self::CaExpiring,
        Self::CaNotTaken,
    ];

    pub fn severity(self) -> Severity {
        match self {
            Self::StoreTrouble | Self::RuntimeDown | Self::NpuUnhealthy => Severity::Critical,
            Self::NodeOffline
            | Self::CrashLoop
            | Self::NpuHot
            | Self::DeviceMissing
            | Self::AgentDamaged
            | Self::AuthorityExpiring
            | Self::CaNotTaken => Severity::Major,
            Self::DiskFull
            | Self::CertificateExpiring
            | Self::ProbeFailed
            | Self::AgentSpace
            | Self::RevocationsOverdue
            | Self::CaExpiring => Severity::Minor,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub id: AlarmId,
    pub rev: u64,
    pub kind: AlarmKind,
    pub severity: Severity,
    /// The engine's own alarms have none.
    pub node: Option<NodeId>,
    /// What on the node it is about: a mount point, a chip's key, a placement's id; else empty.
    pub subject: String,
    /// For the sentence: `node`, `mount`, `percent`, `celsius`, `deployment` …
    pub facts: BTreeMap<String, String>,
    pub raised_at: Time,
    pub cleared_at: Option<Time>,
    pub acknowledged: Option<Acknowledged>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    pub by: String,
    pub at: Time,
}

/// When a measured value raises an alarm, and when it clears again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Percent of a disk.
    pub disk_raise: f32,
    pub disk_clear: f32,
    /// Degrees Celsius of a chip.
    pub npu_raise: f32,
    pub npu_clear: f32,
    /// Days before the end of a certificate.
    pub certificate_days: u32,
    /// Restarts within [`crate::deployment::RESTART_WINDOW`].
    pub restarts: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            disk_raise: 90.0,
            disk_clear: 85.0,
            npu_raise: 85.0,
            npu_clear: 78.0,
            certificate_days: 30,
            restarts: 5,
        }
    }
}
