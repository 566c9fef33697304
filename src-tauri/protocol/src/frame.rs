//! The frames of the link.

use edgedeck_model::{
    DeploymentId, JobId, PlacementId, Problem, Time, VersionId,
    api::{LogLine, LogPage},
    app::Spec,
    certificate::NodeTrust,
    deployment::{PartStatus, Wanted},
    metering::PartUsage,
    node::Facts,
    software::Rules,
    telemetry::Sample,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// From the agent to the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromAgent {
    /// The first frame.
    Hello(Hello),
    /// Sent every [`crate::HEARTBEAT`]; any other frame counts as one, too.
    Heartbeat { at: Time },
    /// Sent after the welcome and whenever they change.
    Facts(Box<Facts>),
    /// Sent until it is acknowledged by number.
    Sample { number: u64, sample: Sample },
    /// Everything that runs or is wanted on the node, sent whenever it changes.
    Observed(Observed),
    /// The outcome of a [`ToAgent::Request`].
    Answer {
        request: u64,
        outcome: Result<Answer, Problem>,
    },
    /// Asks for a new certificate for the same key.
    Renew { csr_pem: String },
    /// How far a download has come, in percent.
    Progress { job: JobId, percent: u8 },
    /// Answers [`ToAgent::Authorities`] and a welcome with CAs, and tells that a new certificate is in use. Not for engines
    /// whose welcome has no CAs.
    Trusts(NodeTrust),
    /// Answers [`ToAgent::Outside`]: it is stored and in use, or why it is not.
    OutsideTaken { revision: u64, problem: Option<String> },
    /// Sent until it is stored. Not for engines whose welcome does not take it.
    Usage(Usage),
}

/// From the engine to the agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToAgent {
    /// Answers the hello.
    Welcome(Welcome),
    /// Answers a hello that cannot be served; the link ends.
    Refused {
        reason: String,
    },
    /// All that is wanted of the node: what is not in the list has to go.
    Desired(Desired),
    /// Samples up to this number are safe.
    Acknowledge {
        number: u64,
    },
    /// The observed state of this sequence is safe.
    ObservedStored {
        sequence: u64,
    },
    Request {
        request: u64,
        task: Task,
    },
    /// Measure this often, in milliseconds.
    Pace {
        sample_interval: u32,
    },
    Certificate {
        pem: String,
    },
    /// The lab's CAs to trust from now on, in PEM, instead of those before; the node's certificate must come from the first.
    Authorities {
        pem: String,
    },
    /// What the node needs to deal with systems outside the lab, instead of what it was sent before.
    Outside(Outside),
    /// The report of use with this number is safe, and those sent before it.
    UsageStored {
        number: u64,
    },
    /// The node was taken out of the lab: stop everything and forget the engine.
    Removed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// Lowest and highest version of the protocol.
    pub versions: (u16, u16),
    pub agent_version: String,
    pub serial: String,
    /// The system's boot; another one means that the node was restarted.
    #[serde(default)]
    pub boot_id: String,
    /// The generation of desired state that the agent holds; 0 for none.
    #[serde(default)]
    pub generation: u64,
    /// The revision of [`Outside`] that the agent holds, 0 for none; absent in agents that do not know of it.
    #[serde(default)]
    pub outside: Option<u64>,
    pub at: Time,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u16,
    pub at: Time,
    /// In milliseconds.
    pub heartbeat: u32,
    /// In milliseconds.
    pub sample_interval: u32,
    /// Addresses (`host:port`) to try from now on, in this order.
    pub addresses: Vec<String>,
    /// A managed node runs workloads; one that only waits does not.
    pub managed: bool,
    /// The key that the lab signs software with, in hex: for agents that joined before they were told.
    #[serde(default)]
    pub software_key: Option<String>,
    /// As [`ToAgent::Authorities`].
    #[serde(default)]
    pub ca_pem: Option<String>,
    /// The engine takes [`FromAgent::Usage`].
    #[serde(default)]
    pub takes_usage: bool,
}

/// What the containers of a node used in one window, or in a piece of it: what is reported later adds to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Made at random with the agent's records; numbers count within it.
    pub epoch: u64,
    /// Grows with every report.
    pub number: u64,
    /// The begin of the window.
    pub window: Time,
    pub parts: Vec<PartUsage>,
}

/// What a managed node needs to deal with systems outside the lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Outside {
    /// Grows with every change.
    pub revision: u64,
    pub registry: Option<RegistryAccount>,
    /// The authority of the image registry.
    pub images: Option<Trusted>,
    /// The lab's own registry.
    pub lab: Option<LabRegistry>,
}

/// The lab's own image registry, with this node's account for it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabRegistry {
    /// `host:port`, each as an image may name it.
    pub addresses: Vec<String>,
    pub account: String,
    pub password: String,
    pub ca_pem: String,
}

impl fmt::Debug for LabRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LabRegistry({} at {:?})", self.account, self.addresses)
    }
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryAccount {
    /// `host:port`.
    pub address: String,
    pub account: String,
    pub password: String,
}

impl fmt::Debug for RegistryAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryAccount({} at {})", self.account, self.address)
    }
}

/// An outside authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trusted {
    pub chain_pem: String,
    /// What it has taken back, as [`revocation_mark`]s.
    #[serde(default)]
    pub revoked: Vec<u64>,
}

/// A certificate on a revocation list, by the name of its issuer in DER and its serial number: short, because a list may
/// hold a hundred thousand. Two that share a mark by chance are both refused.
pub fn revocation_mark(issuer: &[u8], serial: &[u8]) -> u64 {
    // The zeros before a number are only of its encoding.
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    let digest = Sha256::new()
        .chain_update((issuer.len() as u64).to_be_bytes())
        .chain_update(issuer)
        .chain_update(&serial[zeros..])
        .finalize();
    u64::from_be_bytes(std::array::from_fn(|at| digest[at]))
}

/// Where an agent gets a package of software from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoftwareFrom {
    /// The engine, at [`crate::PACKAGE_PATH`].
    Engine { sha256: String },
    /// Another server, with HTTP Basic authentication.
    Server {
        url: String,
        account: String,
        password: String,
        trusted: Trusted,
    },
}

impl fmt::Debug for SoftwareFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine { sha256 } => write!(f, "Engine({sha256})"),
            Self::Server { url, account, .. } => write!(f, "Server({url} as {account})"),
        }
    }
}

/// The desired state of a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desired {
    /// Grows with every change of this node's desired state.
    pub generation: u64,
    pub workloads: Vec<Workload>,
}

/// One placement, as its node has to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    pub placement: PlacementId,
    pub deployment: DeploymentId,
    /// For names of containers and logs; not unique.
    pub name: String,
    pub version: VersionId,
    /// Running or stopped.
    pub wanted: Wanted,
    /// Grows when what runs has to be replaced by the same.
    #[serde(default)]
    pub restarts: u32,
    pub spec: Spec,
}

/// The observed state of a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Grows with every report of this agent process.
    pub sequence: u64,
    /// The generation of desired state that it is working on.
    pub generation: u64,
    pub instances: Vec<Instance>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    pub placement: PlacementId,
    pub version: VersionId,
    pub parts: Vec<PartStatus>,
    /// Every trace is gone; reported until the engine has stored it.
    pub removed: bool,
    pub at: Time,
}

/// Something an agent is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Task {
    /// Lines of one part's log after a position, waiting up to `wait` milliseconds for a new one.
    Logs {
        placement: PlacementId,
        part: String,
        after: u64,
        lines: u32,
        wait: u32,
    },
    /// Pack what the node has of logs, and send it to [`crate::JOB_PATH`] before answering.
    CollectLogs {
        job: JobId,
        /// Largest archive that is taken.
        bytes: u64,
    },
    /// Take a file out of a container, and send it to [`crate::JOB_PATH`] before answering.
    FetchFile {
        job: JobId,
        placement: PlacementId,
        part: String,
        path: String,
        /// Largest file that is taken.
        bytes: u64,
    },
    /// Get a package of software and keep it until [`Task::Switch`]. Asked again for the same job, it goes on.
    Download {
        job: JobId,
        from: SoftwareFrom,
        rules: Rules,
    },
    /// Run what was downloaded. Asked again for the same job, it tells how that ended.
    Switch { job: JobId, rules: Rules },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    Logs(LogPage),
    /// The archive, or the file, was sent and taken.
    Collected {
        sha256: String,
    },
    /// The package is there and whole.
    Downloaded {
        version: String,
    },
    /// The switch goes on; ask again when the node is back.
    Switching,
    /// This version runs, and is well.
    Switched {
        version: String,
    },
}

/// Most lines of one answer, and most bytes of one line; longer lines are cut.
pub const LOG_LINES_MAX: u32 = 2_000;
pub const LOG_LINE_MAX: usize = 16 * 1024;

/// Cuts a line of a log at a character's end, marking the cut.
pub fn cut_line(at: Time, error: bool, text: &str) -> LogLine {
    let mut end = text.len().min(LOG_LINE_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = if end < text.len() {
        format!("{}…", &text[..end])
    } else {
        text.to_owned()
    };
    LogLine { at, error, text }
}
