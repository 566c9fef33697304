//! Certificates: outside authorities that the lab trusts, and the client certificates that it gives.

use crate::{ClientCertificateId, NodeId, Time};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Most certificates of one chain.
pub const CHAIN_MAX: usize = 10;
/// Largest chain in PEM, in bytes.
pub const CHAIN_BYTES_MAX: usize = 1 << 20;

/// What an outside authority is trusted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Programs that call the APIs which ask for a client certificate.
    Clients,
    /// The server that nodes download software from.
    Software,
    /// The registry that nodes pull images from.
    Images,
}

impl Purpose {
    pub const ALL: [Self; 3] = [Self::Clients, Self::Software, Self::Images];

    pub fn key(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Software => "software",
            Self::Images => "images",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl FromStr for Purpose {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|purpose| purpose.key() == text).ok_or(())
    }
}

/// What stands in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    pub subject: String,
    pub issuer: String,
    /// In hex, with colons.
    pub serial: String,
    /// SHA-256 of the whole, in hex with colons.
    pub fingerprint: String,
    pub begins: Time,
    pub ends: Time,
}

/// How far a change from one of the lab's CAs to the next has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaStage {
    /// The next one is there and becomes known to the nodes; nothing comes from it yet.
    Coming,
    /// The next one has taken over; the one before is trusted still.
    Former,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaStep {
    /// Make the next one.
    Begin,
    /// Drop the coming one again.
    Cancel,
    /// Let the coming one take over.
    Switch,
    /// Trust the former one no longer.
    End,
}

/// A change from one of the lab's CAs to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaChange {
    pub stage: CaStage,
    /// When this stage began.
    pub since: Time,
}

/// The lab's own CA.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabAuthority {
    pub current: Certificate,
    /// What clients have to trust, in PEM: the current one first, and during a change the other one.
    pub pem: String,
    /// When the engine's own certificate ends.
    pub server_ends: Time,
    /// The names and addresses that are in it.
    pub server_hosts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<CaChanging>,
}

/// Most nodes that [`CaChanging::behind`] names.
pub const BEHIND_SHOWN: usize = 100;

/// A change of the lab's CA that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaChanging {
    pub stage: CaStage,
    pub since: Time,
    /// The coming one, or the former one.
    pub other: Certificate,
    /// Nodes that are not ready for the next step: that do not trust the coming one yet, or whose own certificate is
    /// the former one's.
    pub behind: Vec<NodeBehind>,
    pub behind_count: u32,
    /// Client certificates of the former one that are still good.
    pub clients: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBehind {
    pub id: NodeId,
    pub name: String,
}

/// Which of the lab's CAs an agent goes by, each as the SHA-256 of its certificate in hex.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTrust {
    pub roots: Vec<String>,
    /// Where the agent's own certificate comes from; empty when none of the roots fits.
    pub issuer: String,
}

impl NodeTrust {
    /// Whether the agent's certificate comes from another CA than the present one, which is the first.
    pub fn is_former(&self) -> bool {
        self.roots.first() != Some(&self.issuer)
    }
}

/// An outside authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    pub purpose: Purpose,
    pub imported_at: Time,
    /// Its chain, as it was given.
    pub chain: Vec<Certificate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<Revocations>,
    /// The chain before this one is kept and can be put back.
    pub has_previous: bool,
}

/// What an authority has taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    pub imported_at: Time,
    /// Certificates on the lists.
    pub count: u32,
    /// When the first list should have been replaced by a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_update: Option<Time>,
}

/// A client certificate that the lab's own authority has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCertificate {
    pub id: ClientCertificateId,
    pub name: String,
    /// In hex, with colons.
    pub serial: String,
    pub created_at: Time,
    pub ends: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Time>,
}
