//! What a report is made of.

use edgedeck_model::alarm::{AlarmKind, Severity};
use edgedeck_model::deployment::Wanted;
use edgedeck_model::node::NodeState;
use edgedeck_model::telemetry::Metric;
use edgedeck_model::{Lang, Time};

/// Everything a report shows. Lists are shown in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportData {
    /// Name of the lab.
    pub lab: String,
    pub generated_at: Time,
    /// Begin and end of the time the report speaks of.
    pub period: (Time, Time),
    /// IANA name of the zone in which times are written.
    pub tz: String,
    pub lang: Lang,
    pub kind: Kind,
    pub nodes: Vec<NodeLine>,
    /// Raised, or still active, within the period; newest first.
    pub alarms: Vec<AlarmLine>,
    pub deployments: Vec<DeploymentLine>,
    /// Of the whole lab; each becomes a chart.
    pub series: Vec<LabSeries>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the lab consists of and what is deployed on it.
    Inventory,
    /// How it did over the period: availability, load, alarms.
    Health,
    InventoryAndHealth,
}

impl Kind {
    pub(crate) fn has_inventory(self) -> bool {
        self != Self::Health
    }

    pub(crate) fn has_health(self) -> bool {
        self != Self::Inventory
    }
}

/// One node. Absent figures were not measured; they are never shown as zero.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeLine {
    pub name: String,
    pub serial: String,
    pub model: Option<String>,
    pub arch: String,
    pub os: String,
    pub state: NodeState,
    pub managed: bool,
    pub ip: Option<String>,
    /// Logical processors.
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Of all disks.
    pub disk_total_bytes: u64,
    pub disk_used_bytes: u64,
    /// Number of NPU chips.
    pub npus: u32,
    /// Name of the chips, such as "Ascend 310P3".
    pub npu_name: Option<String>,
    pub agent_version: String,
    /// Names of its groups.
    pub groups: Vec<String>,
    /// Share of the period in which the node was connected, 0 to 100.
    pub availability: Option<f64>,
    /// Percent over the period.
    pub cpu_mean: Option<f64>,
    pub cpu_max: Option<f64>,
    pub memory_mean: Option<f64>,
    pub memory_max: Option<f64>,
    /// Over all chips.
    pub npu_mean: Option<f64>,
    pub npu_max: Option<f64>,
    /// Degrees Celsius of the hottest chip.
    pub npu_temperature_max: Option<f64>,
    /// Alarms raised within the period.
    pub alarms: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlarmLine {
    pub severity: Severity,
    pub kind: AlarmKind,
    /// The alarm's sentence in the report's language.
    pub text: String,
    /// Name of the node; the engine's own alarms have none.
    pub node: Option<String>,
    pub raised_at: Time,
    /// Absent while the alarm is active.
    pub cleared_at: Option<Time>,
    pub acknowledged_by: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentLine {
    pub name: String,
    pub app: String,
    pub version: String,
    /// The target in words, such as a group's name.
    pub target: String,
    pub wanted: Wanted,
    /// Nodes it is placed on.
    pub nodes: u32,
    /// Instances that run.
    pub running: u32,
    pub failed: u32,
    /// Restarts of all instances.
    pub restarts: u32,
    pub updated_at: Time,
}

/// The mean of one metric over the lab.
#[derive(Clone, Debug, PartialEq)]
pub struct LabSeries {
    pub metric: Metric,
    /// Ascend in time; a point without a value is a gap.
    pub points: Vec<(Time, Option<f64>)>,
}
