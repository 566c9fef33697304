//! Joining: the HTTPS requests that an agent makes before it has a certificate, and the bulk ones after.

use edgedeck_model::NodeId;
use serde::{Deserialize, Serialize};

/// `POST`, with [`JoinRequest`]; answers [`JoinReply`] or a `Problem`.
pub const JOIN_PATH: &str = "/join";
/// `GET`, upgrades to the link; needs the client certificate.
pub const LINK_PATH: &str = "/link";
/// `POST`, takes the node of the client certificate out of the lab.
pub const LEAVE_PATH: &str = "/leave";
/// `GET`, the lab's CA certificate in PEM; compare it with the hash before trusting it.
pub const CA_PATH: &str = "/ca.pem";
/// `GET`, the script that the join command runs.
pub const SCRIPT_PATH: &str = "/join.sh";
/// `GET {path}/{arch}`, the agent for `x86_64` or `aarch64`.
pub const AGENT_PATH: &str = "/agent";
/// `GET {path}/{sha256}`, a package of a process or of software; needs the client certificate.
pub const PACKAGE_PATH: &str = "/packages";

/// `PUT {path}/{job}`, an archive that a job has asked for, with [`SHA256_HEADER`]; needs the client certificate.
pub const JOB_PATH: &str = "/jobs";
/// SHA-256 of a body, in hex.
pub const SHA256_HEADER: &str = "x-edgedeck-sha256";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    pub token: String,
    /// PKCS#10 in PEM; its key is the node's identity.
    pub csr_pem: String,
    pub serial: String,
    pub host_name: String,
    pub arch: String,
    pub agent_version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    pub node: NodeId,
    pub certificate_pem: String,
    pub ca_pem: String,
    /// Addresses (`host:port`) of the engine, likeliest first.
    pub addresses: Vec<String>,
    /// The key that the lab signs software with, in hex.
    #[serde(default)]
    pub software_key: Option<String>,
}
