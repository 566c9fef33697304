//! What containers use of their nodes: traffic, processors, memory and disk, in windows of time.

use crate::{
    NodeId, PlacementId, Time, VersionId,
    time::{DAY, MINUTE},
};
use serde::{Deserialize, Serialize};

/// Length of a window, in milliseconds. Windows begin at whole multiples of it in UTC.
pub const WINDOW: i64 = 5 * MINUTE;
/// How long a node keeps what the engine has not taken, in milliseconds; the oldest goes first.
pub const KEPT_BY_NODES: i64 = 7 * DAY;

/// The begin of the window that a time is in.
pub fn window_of(at: Time) -> Time {
    at.plus(-at.0.rem_euclid(WINDOW))
}

/// How a container's traffic is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrafficSource {
    /// By the interface of its own.
    Interface,
    /// It is on the host's network: by its control group, without the loopback.
    ControlGroup,
    /// It is on the host's network, alone among the containers: by the node's physical interfaces, which may carry
    /// more than its own traffic.
    Node,
    /// Not at all.
    Nothing,
}

/// What one part of a placement used in one window, or in a piece of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartUsage {
    pub placement: PlacementId,
    pub part: String,
    pub version: VersionId,
    /// As its container was made from.
    pub image: String,
    pub traffic: TrafficSource,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub cpu_ms: u64,
    /// Mean working set while it was measured.
    pub memory_bytes: u64,
    /// Writable layer and what it may write of the host's folders, when that was last looked at.
    pub disk_bytes: u64,
    /// How long it was measured.
    pub measured_ms: u64,
}

/// What a set of rows is summed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageBy {
    /// All of it together.
    #[default]
    Total,
    /// By repository.
    Image,
    /// By repository and tag.
    Version,
    Node,
}

/// What was used over some time, by everything that is asked for together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Used {
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub cpu_ms: u64,
    /// Bytes in memory, times seconds.
    pub memory_byte_seconds: f64,
    /// Bytes on the disk, times seconds.
    pub disk_byte_seconds: f64,
    /// Running containers, times milliseconds.
    pub measured_ms: u64,
    /// Of these, those whose traffic could not be counted.
    #[serde(default)]
    pub uncounted_ms: u64,
}

impl Used {
    pub fn add(&mut self, other: &Self) {
        self.sent_bytes = self.sent_bytes.saturating_add(other.sent_bytes);
        self.received_bytes = self.received_bytes.saturating_add(other.received_bytes);
        self.cpu_ms = self.cpu_ms.saturating_add(other.cpu_ms);
        self.memory_byte_seconds += other.memory_byte_seconds;
        self.disk_byte_seconds += other.disk_byte_seconds;
        self.measured_ms = self.measured_ms.saturating_add(other.measured_ms);
        self.uncounted_ms = self.uncounted_ms.saturating_add(other.uncounted_ms);
    }

    /// Bits sent a second, in the mean over so many milliseconds.
    pub fn sent_bps(&self, ms: i64) -> f64 {
        bps(self.sent_bytes, ms)
    }

    pub fn received_bps(&self, ms: i64) -> f64 {
        bps(self.received_bytes, ms)
    }

    /// Processors in use, in the mean over so many milliseconds.
    pub fn cores(&self, ms: i64) -> f64 {
        self.cpu_ms as f64 / ms.max(1) as f64
    }

    /// Bytes in memory, in the mean over so many milliseconds.
    pub fn memory_bytes(&self, ms: i64) -> f64 {
        self.memory_byte_seconds * 1_000.0 / ms.max(1) as f64
    }

    /// Bytes on the disk, in the mean over so many milliseconds.
    pub fn disk_bytes(&self, ms: i64) -> f64 {
        self.disk_byte_seconds * 1_000.0 / ms.max(1) as f64
    }

    /// Running containers, in the mean over so many milliseconds; one at least, if anything was measured.
    pub fn containers(&self, ms: i64) -> u64 {
        let mean = self.measured_ms as f64 / ms.max(1) as f64;
        (mean.round() as u64).max(u64::from(self.measured_ms > 0))
    }
}

/// Asks what was used in a period.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageQuery {
    pub from: Time,
    pub to: Time,
    pub by: UsageBy,
    /// A repository, or its last component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
}

/// What was used in a period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsageReport {
    /// What of the period has sums: whole steps, the last of which may still grow.
    pub from: Time,
    pub to: Time,
    /// Length of a step, in milliseconds; peaks are the highest mean of one.
    pub step: i64,
    pub total: UsageRow,
    /// Most traffic sent first.
    pub rows: Vec<UsageRow>,
    /// What all of it came to, step by step; steps without anything are left out.
    pub points: Vec<UsagePoint>,
}

/// What one image, version or node used. What rows are not summed by is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UsageRow {
    pub repository: String,
    pub tag: String,
    pub node: Option<NodeId>,
    /// None where the node was removed.
    pub node_name: Option<String>,
    pub used: Used,
    pub peak_sent_bps: f64,
    pub peak_received_bps: f64,
    /// Means over the steps in which something ran.
    pub memory_bytes: f64,
    pub disk_bytes: f64,
}

/// What was used in one step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsagePoint {
    /// The step's end.
    pub at: Time,
    pub sent_bps: f64,
    pub received_bps: f64,
    pub cores: f64,
    pub memory_bytes: f64,
}

fn bps(bytes: u64, ms: i64) -> f64 {
    bytes as f64 * 8_000.0 / ms.max(1) as f64
}

/// The repository and the tag or digest of an image; `latest` where the reference names neither.
pub fn split_image(reference: &str) -> (&str, &str) {
    if let Some((repository, digest)) = reference.split_once('@') {
        let name = repository.rfind('/').map_or(0, |at| at + 1);
        let end = repository
            .get(name..)
            .and_then(|name| name.find(':'))
            .map(|at| name + at);
        return (end.and_then(|end| repository.get(..end)).unwrap_or(repository), digest);
    }
    let name = reference.rfind('/').map_or(0, |at| at + 1);
    match reference.rfind(':').filter(|at| *at >= name) {
        Some(at) => (&reference[..at], &reference[at + 1..]),
        None => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_whole_multiples() {
        assert_eq!(window_of(Time(WINDOW)), Time(WINDOW));
        assert_eq!(window_of(Time(2 * WINDOW - 1)), Time(WINDOW));
        assert_eq!(window_of(Time(-1)), Time(-WINDOW));
    }

    #[test]
    fn images_have_a_repository_and_a_tag() {
        for (reference, repository, tag) in [
            ("pcdn", "pcdn", "latest"),
            ("pcdn:v1", "pcdn", "v1"),
            ("lab:5443/cdn/pcdn", "lab:5443/cdn/pcdn", "latest"),
            ("lab:5443/cdn/pcdn:v1", "lab:5443/cdn/pcdn", "v1"),
            ("lab:5443/pcdn@sha256:00", "lab:5443/pcdn", "sha256:00"),
            ("lab:5443/pcdn:v1@sha256:00", "lab:5443/pcdn", "sha256:00"),
            ("pcdn:v1@sha256:00", "pcdn", "sha256:00"),
        ] {
            assert_eq!(split_image(reference), (repository, tag), "{reference}");
        }
    }
}
