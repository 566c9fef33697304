//! Certificates: outside authorities that the lab trusts, and the client certificates that it gives.

use crate::{ClientCertificateId, Time};
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
