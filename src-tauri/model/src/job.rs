//! Jobs: administrative work that takes its time, with an item per node.

use crate::{DeploymentId, JobId, NodeId, PlacementId, Problem, Time, node::Node, software::Source};
use serde::{Deserialize, Serialize};

/// Most nodes of one job.
pub const NODES_MAX: usize = 10_000;
/// Most that one node sends for a job, in bytes.
pub const SENT_BYTES_MAX: u64 = 200 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// Collects the logs of nodes into one archive.
    Logs,
    /// Lets nodes download a version of the agent.
    Download,
    /// Makes nodes run another version of the agent.
    Upgrade,
    /// Fetches a file out of a container.
    File,
    /// Lets nodes carry out a change of a deployment. It ends with the change and cannot be stopped by itself.
    Deploy,
}

impl JobKind {
    /// Jobs of these kinds may run beside each other, but not on the same node.
    pub const SOFTWARE: [Self; 2] = [Self::Download, Self::Upgrade];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    Waiting,
    Running,
    /// Somebody stopped it, or its time is over; what is under way ends.
    Stopping,
    /// Every item succeeded.
    Succeeded,
    /// Some did.
    Partly,
    /// None did.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

impl JobState {
    pub const ALL: [Self; 7] = [
        Self::Waiting,
        Self::Running,
        Self::Stopping,
        Self::Succeeded,
        Self::Partly,
        Self::Failed,
        Self::Stopped,
    ];

    /// It stays as it is.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partly | Self::Failed | Self::Stopped)
    }
}

/// What was done to a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Create,
    /// Another version.
    Update,
    Start,
    Stop,
    Restart,
    Delete,
}

/// A file in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOf {
    pub placement: PlacementId,
    pub part: String,
    /// Absolute, in the container.
    pub path: String,
}

/// Longest path of a file, in bytes.
const PATH_MAX: usize = 4_096;

impl FileOf {
    /// The file's name, without its folder.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// # Errors
    /// [`crate::Code::Invalid`] for a path that is not absolute, climbs, or leads to what the kernel shows of the node.
    pub fn check(&self) -> Result<(), Problem> {
        let mut parts = self.path.split('/').skip(1);
        let plain = self.path.starts_with('/')
            && self.path.len() <= PATH_MAX
            && !self.path.contains(char::is_control)
            && parts.all(|part| !matches!(part, "" | "." | ".."));
        let of_kernel = ["/proc/", "/sys/", "/dev/"]
            .iter()
            .any(|folder| self.path.starts_with(folder));
        if plain && !of_kernel {
            return Ok(());
        }
        Err(Problem::invalid("path", "path-form"))
    }
}

/// A change of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollout {
    pub deployment: DeploymentId,
    /// As the deployment is called.
    pub name: String,
    pub step: Step,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub rev: u64,
    pub kind: JobKind,
    pub state: JobState,
    /// Who began it.
    pub by: String,
    pub created_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Items in all, and those that have come to their end.
    pub items: u32,
    pub succeeded: u32,
    pub failed: u32,
    /// Size of what it has made, in bytes.
    #[serde(default)]
    pub bytes: u64,
    /// Where software comes from; of jobs with software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software: Option<Source>,
    /// What it changes; of jobs with a deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// What it fetches; of jobs with a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileOf>,
    /// What it has made can be downloaded until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_until: Option<Time>,
}

impl Job {
    /// In percent.
    pub fn progress(&self) -> u32 {
        if self.state.is_over() {
            return 100;
        }
        (self.succeeded + self.failed) * 100 / self.items.max(1)
    }

    pub fn has_file(&self, now: Time) -> bool {
        self.file_until.is_some_and(|until| now < until)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    Waiting,
    Running,
    Succeeded,
    Failed,
}

impl JobItem {
    pub fn waiting(node: &Node) -> Self {
        Self {
            node: node.id,
            name: node.name.clone(),
            serial: node.serial.clone(),
            state: ItemState::Waiting,
            progress: 0,
            started_at: None,
            finished_at: None,
            problem: None,
            bytes: 0,
            sha256: None,
        }
    }
}

/// What a job does with one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobItem {
    pub node: NodeId,
    /// As it was called when the job began.
    pub name: String,
    pub serial: String,
    pub state: ItemState,
    /// In percent, where the node tells.
    #[serde(default)]
    pub progress: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    #[serde(default)]
    pub bytes: u64,
    /// SHA-256 of what the node has sent, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}
