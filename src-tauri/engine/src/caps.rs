//! Limits that other systems' APIs promise: checked in the transaction that would break them.

use crate::{Engine, error::Result};
use edgedeck_model::{Problem, fit::Limits};

/// The `reason` of a refusal because a cap is reached.
pub const CAP_REACHED: &str = "limit-reached";

/// Most of everything that the asking API allows. The lab itself has none of these limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Managed nodes.
    pub nodes: u64,
    pub groups: u64,
    pub nodes_per_group: u64,
    pub groups_per_node: u64,
    pub apps: u64,
    /// Deployments aimed at one group.
    pub deployments_per_group: u64,
    /// Deployments on one node, if that is less than the lab's own limit.
    pub deployments_per_node: u32,
    /// An app is deployed to a group at most once.
    pub once_per_group: bool,
    /// Only CPU, memory and NPU are judged, and only on nodes that are online.
    pub capacity_of_online: bool,
}

impl Caps {
    pub const NONE: Self = Self {
        nodes: u64::MAX,
        groups: u64::MAX,
        nodes_per_group: u64::MAX,
        groups_per_node: u64::MAX,
        apps: u64::MAX,
        deployments_per_group: u64::MAX,
        deployments_per_node: u32::MAX,
        once_per_group: false,
        capacity_of_online: false,
    };
}

/// What a write keeps to: the lab's limits and the asking API's.
#[derive(Clone, Debug)]
pub struct Rules {
    pub limits: Limits,
    pub caps: Caps,
}

impl Engine {
    pub(crate) fn rules(&self, caps: Caps) -> Rules {
        let mut limits = self.settings().limits.clone();
        limits.deployments_per_node = limits.deployments_per_node.min(caps.deployments_per_node);
        Rules { limits, caps }
    }
}

/// Refuses when one more `what` would be more than `max`; `present` is only counted where there is a cap.
pub fn check(what: &str, max: u64, more: u64, present: impl FnOnce() -> Result<u64>) -> Result<()> {
    if max != u64::MAX && present()?.saturating_add(more) > max {
        return Err(Problem::conflict(CAP_REACHED)
            .with("what", what)
            .with("max", max)
            .into());
    }
    Ok(())
}
