//! Nodes: the boxes of the lab.

use crate::{GroupId, NodeId, Problem, Time, certificate::NodeTrust, name::check_name, npu::NpuChip};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where a node stands, as the engine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Known by name only; its agent has never been seen.
    Registered,
    /// The agent has its certificate and has not connected yet.
    Installed,
    Online,
    /// The link is up, but the container runtime or a check is bad.
    Degraded,
    /// No heartbeat for longer than the timeout.
    Offline,
    /// Switched off by a user: its workloads are stopped.
    Disabled,
    Upgrading,
    Frozen,
    Deleting,
}

impl NodeState {
    pub const ALL: [Self; 9] = [
        Self::Registered,
        Self::Installed,
        Self::Online,
        Self::Degraded,
        Self::Offline,
        Self::Disabled,
        Self::Upgrading,
        Self::Frozen,
        Self::Deleting,
    ];

    /// Stable key, as in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Installed => "installed",
            Self::Online => "online",
            Self::Degraded => "degraded",
            Self::Offline => "offline",
            Self::Disabled => "disabled",
            Self::Upgrading => "upgrading",
            Self::Frozen => "frozen",
            Self::Deleting => "deleting",
        }
    }

    /// Whether the agent's link is up in this state.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Online | Self::Degraded | Self::Upgrading)
    }
}

impl Node {
    /// Whether something can be started there now.
    pub fn is_ready(&self) -> bool {
        self.managed && matches!(self.state, NodeState::Online | NodeState::Upgrading)
    }
}

/// What the agent finds out about its box. Absent means the box does not tell, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub host_name: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// Distribution and release, as `/etc/os-release` names it.
    pub os: String,
    pub kernel: String,
    /// Product name from DMI or the device tree.
    pub model: Option<String>,
    pub cpu_model: Option<String>,
    /// Logical processors.
    pub cpus: u32,
    pub memory_bytes: u64,
    pub disks: Vec<Disk>,
    pub nics: Vec<Nic>,
    /// First address that is not loopback.
    pub ip: Option<String>,
    pub boot_at: Option<Time>,
    pub runtime: Option<Runtime>,
    /// Why the container engine could not be asked though it is there.
    pub runtime_problem: Option<String>,
    pub agent_version: String,
    /// The version that the agent has downloaded and that waits to run.
    pub agent_waiting: Option<String>,
    /// A file of the agent's own that was damaged when it started, until it is whole again.
    pub agent_damaged: Option<String>,
    /// The disk with the agent's folder is almost full.
    pub agent_space_low: bool,
    pub npu_tool_version: Option<String>,
    pub npu_driver_version: Option<String>,
    /// Chips as last read; empty where there is no NPU tool.
    pub npus: Vec<NpuChip>,
    /// Why the NPUs could not be read though the tool is there.
    pub npu_problem: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub mount: String,
    pub device: String,
    pub filesystem: String,
    pub total_bytes: u64,
    pub used_bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nic {
    pub name: String,
    pub mac: Option<String>,
    /// It has a device of its own, and is no bridge, bond or the like.
    #[serde(default)]
    pub physical: bool,
    pub addresses: Vec<String>,
}

/// The container engine on a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// `docker`, or `podman` where it serves the same API.
    pub name: String,
    pub version: String,
    pub api_version: String,
}

/// Whose line a node hangs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    #[default]
    Mobile,
    Unicom,
    Telecom,
}

impl Carrier {
    pub const ALL: [Self; 3] = [Self::Mobile, Self::Unicom, Self::Telecom];

    /// Stable key, as in JSON.
    pub fn key(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Unicom => "unicom",
            Self::Telecom => "telecom",
        }
    }
}

/// The line that a node hangs on: as somebody has written it down, not measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    pub carrier: Carrier,
    /// A city or a province.
    pub area: String,
    /// Nominal rate in Mbit/s.
    pub mbps: u32,
}

/// Fastest line, in Mbit/s.
pub const LINE_MBPS_MAX: u32 = 10_000_000;

impl Line {
    /// # Errors
    /// [`crate::Code::Invalid`] with the field.
    pub fn check(&self) -> Result<(), Problem> {
        if !self.area.is_empty() {
            check_name("line.area", &self.area)?;
        }
        if self.mbps > LINE_MBPS_MAX {
            return Err(Problem::invalid("line.mbps", "number-range"));
        }
        Ok(())
    }
}

/// Everything that is known of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub rev: u64,
    pub name: String,
    pub serial: String,
    pub description: String,
    /// Put to work by a user; until then it only waits.
    pub managed: bool,
    pub state: NodeState,
    pub state_since: Time,
    pub labels: BTreeMap<String, String>,
    pub groups: Vec<GroupId>,
    #[serde(default)]
    pub line: Line,
    pub facts: Facts,
    pub joined_at: Time,
    pub last_seen: Option<Time>,
    /// When the agent's client certificate ends.
    pub certificate_ends: Option<Time>,
    /// SHA-256 of the agent's public key, in hex.
    pub key_hash: String,
    /// As its agent has said; none of an agent that is too old to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<NodeTrust>,
}

/// What lists and tiles show of a node: small, because every open window holds all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeRow {
    pub id: NodeId,
    pub rev: u64,
    pub name: String,
    pub serial: String,
    pub managed: bool,
    pub state: NodeState,
    pub state_since: Time,
    pub ip: Option<String>,
    pub model: Option<String>,
    pub arch: String,
    pub os: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Number of NPU chips.
    pub npus: u32,
    pub npu_name: Option<String>,
    pub agent_version: String,
    pub labels: BTreeMap<String, String>,
    pub groups: Vec<GroupId>,
}

impl Node {
    pub fn row(&self) -> NodeRow {
        let facts = &self.facts;
        NodeRow {
            id: self.id,
            rev: self.rev,
            name: self.name.clone(),
            serial: self.serial.clone(),
            managed: self.managed,
            state: self.state,
            state_since: self.state_since,
            ip: facts.ip.clone(),
            model: facts.model.clone(),
            arch: facts.arch.clone(),
            os: facts.os.clone(),
            cpus: facts.cpus,
            memory_bytes: facts.memory_bytes,
            npus: facts.npus.len() as u32,
            npu_name: facts.npus.first().map(|chip| chip.name.clone()),
            agent_version: facts.agent_version.clone(),
            labels: self.labels.clone(),
            groups: self.groups.clone(),
        }
    }
}
