//! People, their roles, sessions and API tokens.

use crate::{ApiTokenId, Time, UserId};
use serde::{Deserialize, Serialize};

/// What somebody may do. Each role includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Also runs the lab: nodes, groups, apps, deployments, alarms.
    Operator,
    /// Also users, tokens, settings, backup.
    Admin,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub rev: u64,
    pub name: String,
    pub role: Role,
    pub created_at: Time,
    pub last_login: Option<Time>,
}

/// A token for scripts, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    pub id: ApiTokenId,
    pub name: String,
    pub role: Role,
    pub created_at: Time,
    pub expires_at: Option<Time>,
}

/// Who is asking, and where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    pub name: String,
    pub role: Role,
    /// In the desktop window rather than a browser.
    pub window: bool,
    pub lab: String,
    /// IANA name of the lab's time zone.
    pub time_zone: String,
    pub version: String,
    /// Must be sent as `X-EdgeDeck-Csrf` with every change; empty where no cookie is used.
    pub csrf: String,
}
