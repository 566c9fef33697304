//! Joining nodes: tokens and the command to paste on a box.

use crate::{JoinTokenId, Time};
use serde::{Deserialize, Serialize};

/// How long a token of the lab lasts, and a single-use one.
pub const LAB_TOKEN_DAYS: i64 = 7;
pub const SINGLE_TOKEN_HOURS: i64 = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JoinTokenKind {
    /// For many nodes; a new one ends the old.
    Lab,
    /// For one node.
    Single,
}

/// A token as lists show it; its text is shown once, when it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinToken {
    pub id: JoinTokenId,
    pub rev: u64,
    pub kind: JoinTokenKind,
    pub created_at: Time,
    pub expires_at: Time,
    /// Nodes that joined with it.
    pub uses: u32,
}

/// A new token, with what to do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJoinToken {
    pub token: JoinToken,
    /// The secret text; not kept by the engine and not shown again.
    pub secret: String,
    /// SHA-256 of the lab's CA certificate (DER), in hex.
    pub ca_hash: String,
    /// The one line to paste on the box, for each address of the engine; likeliest first.
    pub commands: Vec<String>,
}
