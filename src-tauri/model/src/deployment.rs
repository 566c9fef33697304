//! Deployments: a version wanted on a target, and what is seen of it on each node.

use crate::{
    AppId, DeploymentId, GroupId, JobId, NodeId, PlacementId, Time, VersionId, app::Spec, node::NodeState,
    problem::Problem,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The time, in milliseconds, over which an agent counts recent restarts.
pub const RESTART_WINDOW: i64 = 10 * crate::time::MINUTE;
/// Most nodes that a fixed list may name.
pub const TARGET_NODES_MAX: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub id: DeploymentId,
    pub rev: u64,
    pub name: String,
    pub app: AppId,
    pub version: VersionId,
    /// The version before the last change, for going back.
    pub previous: Option<VersionId>,
    pub target: Target,
    pub wanted: Wanted,
    /// The job that its last change is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// Where a deployment aims: exactly one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    Nodes(Vec<NodeId>),
    Group(GroupId),
    /// All managed nodes that carry every one of these labels.
    Labels(BTreeMap<String, String>),
}

impl Target {
    /// # Errors
    /// [`crate::Code::Invalid`] for an empty or over-long target.
    pub fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Nodes(nodes) if nodes.is_empty() => Err(Problem::invalid("target", "target-empty")),
            Self::Nodes(nodes) if nodes.len() > TARGET_NODES_MAX => {
                Err(Problem::invalid("target", "list-too-long").with("max", TARGET_NODES_MAX))
            }
            Self::Labels(labels) if labels.is_empty() => Err(Problem::invalid("target", "target-empty")),
            Self::Labels(labels) => labels.iter().try_for_each(|(k, v)| crate::name::check_label(k, v)),
            _ => Ok(()),
        }
    }
}

/// What the user wants of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    Running,
    Stopped,
    /// Being undeployed: rows stay until every node has confirmed or is gone.
    Gone,
}

/// One deployment on one node: what is wanted there, and what the agent last said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    pub id: PlacementId,
    pub rev: u64,
    pub deployment: DeploymentId,
    pub node: NodeId,
    pub version: VersionId,
    pub wanted: Wanted,
    /// The generation of its node's desired state in which this placement last changed.
    pub generation: u64,
    /// The generation that the agent worked on when it last told something new.
    #[serde(default)]
    pub observed_generation: u64,
    /// How often somebody has asked for a restart.
    #[serde(default)]
    pub restarts: u32,
    pub state: InstanceState,
    pub parts: Vec<PartStatus>,
    pub created_at: Time,
    /// When the agent last told something new.
    pub observed_at: Option<Time>,
}

impl Placement {
    /// Whether its node has brought it to what is wanted, or has failed to; nothing while that is under way.
    pub fn outcome(&self) -> Option<bool> {
        if self.observed_generation < self.generation {
            return None;
        }
        let is_open = |part: &PartStatus| part.reason.is_some_and(Reason::may_pass);
        match (self.wanted, self.state) {
            (_, InstanceState::Failed | InstanceState::BackOff) if self.parts.iter().any(is_open) => None,
            (_, InstanceState::Failed | InstanceState::BackOff) => Some(false),
            (Wanted::Running, InstanceState::Running | InstanceState::Succeeded) => Some(true),
            (Wanted::Stopped, InstanceState::Stopped | InstanceState::Succeeded) => Some(true),
            _ => None,
        }
    }

    /// What can be said of it, given what is known of its node: of a silent node nobody knows anything.
    pub fn seen(&self, node: NodeState) -> InstanceState {
        match (node.is_connected(), self.state) {
            (false, InstanceState::Pending) | (true, _) => self.state,
            (false, _) => InstanceState::Unknown,
        }
    }
}

/// What an instance, or one part of it, is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Wanted; the agent has not begun.
    Pending,
    /// The image or package is on its way.
    Pulling,
    Starting,
    Running,
    /// Ended, and waits before its next start.
    BackOff,
    /// Ended with exit code 0 and is not started again.
    Succeeded,
    /// Cannot start, or ended badly and is not started again.
    Failed,
    Stopping,
    Stopped,
    /// The node does not answer, so nobody knows.
    Unknown,
}

impl InstanceState {
    pub const ALL: [Self; 10] = [
        Self::Pending,
        Self::Pulling,
        Self::Starting,
        Self::Running,
        Self::BackOff,
        Self::Succeeded,
        Self::Failed,
        Self::Stopping,
        Self::Stopped,
        Self::Unknown,
    ];

    /// The state of an instance out of those of its parts: the one that most needs attention.
    pub fn of_parts(parts: &[PartStatus]) -> Self {
        let rank = |state: Self| match state {
            Self::Failed => 9,
            Self::BackOff => 8,
            Self::Unknown => 7,
            Self::Stopping => 6,
            Self::Pulling => 5,
            Self::Pending => 4,
            Self::Starting => 3,
            Self::Running => 2,
            Self::Stopped => 1,
            Self::Succeeded => 0,
        };
        parts
            .iter()
            .map(|part| part.state)
            .max_by_key(|state| rank(*state))
            .unwrap_or(Self::Pending)
    }
}

/// What the agent says of one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartStatus {
    pub name: String,
    pub state: InstanceState,
    /// Starts after the first.
    pub restarts: u32,
    /// Starts within the last [`RESTART_WINDOW`] that followed an end.
    #[serde(default)]
    pub recent_restarts: u32,
    /// Of the last end; 128 + n for an end by signal n.
    pub exit_code: Option<i32>,
    /// Why it is in this state, where that needs saying.
    pub reason: Option<Reason>,
    /// What the container engine or the system said, at most 1,000 characters.
    pub detail: Option<String>,
    pub started_at: Option<Time>,
    pub finished_at: Option<Time>,
    /// When the next start is due, while in back-off.
    pub next_start_at: Option<Time>,
    /// Its own check or its liveness probe says that it is not well; stays over the restart that follows, until the
    /// probe passes.
    #[serde(default)]
    pub unhealthy: bool,
    /// Whether its readiness probe passes; `None` where it has none or does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}

impl PartStatus {
    /// Whether it can do its work: it runs, and its readiness probe passes where it has one.
    pub fn is_ready(&self) -> bool {
        self.state == InstanceState::Running && self.ready != Some(false)
    }
}

/// Why a part does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    ImageNotFound,
    ImageUnreachable,
    /// The registry does not take the account, or there is none for it.
    ImageDenied,
    PortTaken,
    NoRuntime,
    PackageMissing,
    PackageBroken,
    ProgramMissing,
    NoSuchDevice,
    OutOfMemory,
    Exited,
    /// Its liveness probe failed, and the agent stopped it.
    Unhealthy,
    /// The container engine refused; `detail` has its words.
    Refused,
}

impl Reason {
    /// Whether it may pass by itself: what has to be reached is not, at present.
    pub fn may_pass(self) -> bool {
        matches!(self, Self::ImageUnreachable | Self::NoRuntime)
    }
}

/// What a new deployment asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewDeployment {
    pub name: String,
    pub app: AppId,
    /// The newest where absent.
    #[serde(default)]
    pub version: Option<VersionId>,
    pub target: Target,
}

/// A spec on a target, to be judged before anything is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanRequest {
    pub spec: Spec,
    pub target: Target,
    /// The deployment that would be changed; its present share is not counted twice.
    #[serde(default)]
    pub replaces: Option<DeploymentId>,
}

/// Per node, why a spec would not fit; an empty list means that it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanNode {
    pub node: NodeId,
    pub misfits: Vec<crate::fit::Misfit>,
}
