//! What a running agent leaves in its folder for `edgedeck-agent status`.

use crate::home::{self, Home};
use edgedeck_model::Time;
use edgedeck_protocol::Instance;
use serde::{Deserialize, Serialize};
use std::fs;

const STATUS: &str = "status.json";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub agent_version: String,
    /// The address that the link is open to; absent while there is none.
    pub connected_to: Option<String>,
    /// Since when there is a link, or is none.
    pub since: Time,
    /// Why there is no link.
    pub problem: Option<String>,
    /// Whether the engine has put this node to work; absent before it was asked.
    pub managed: Option<bool>,
    pub instances: Vec<Instance>,
}

impl Status {
    /// Writes it down; of no use to the agent itself, so that a failure is only logged.
    pub fn store(&self, home: &Home) {
        let stored = serde_json::to_vec(self).map_err(std::io::Error::other);
        if let Err(error) = stored.and_then(|bytes| home::replace(&home.path().join(STATUS), &bytes)) {
            tracing::warn!("writing the status: {error}");
        }
    }

    /// What the agent last wrote; `None` where it never did.
    pub fn load(home: &Home) -> Option<Self> {
        serde_json::from_slice(&fs::read(home.path().join(STATUS)).ok()?).ok()
    }
}
