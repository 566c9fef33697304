//! How nodes did over a period: means and peaks of their samples, and how long they were connected.

use super::{BLOCK_SPAN, block};
use crate::{Engine, error::Result, store::row};
use edgedeck_model::{
    NodeId, Time,
    event::{Event, EventKind},
    node::Node,
    telemetry::{Metric, Sample},
};
use rusqlite::params;
use std::collections::{BTreeMap, HashMap};

/// Mean and peak of a metric over all samples and parts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    sum: f64,
    count: u64,
    peak: Option<f64>,
}

impl Figure {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        self.peak = Some(self.peak.map_or(value, |peak| peak.max(value)));
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    pub fn peak(&self) -> Option<f64> {
        self.peak
    }
}

/// Figures of one node by metric.
pub type Health = BTreeMap<Metric, Figure>;

impl Engine {
    /// Figures of every node that was measured within a period.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn health(&self, from: Time, to: Time) -> Result<HashMap<NodeId, Health>> {
        let mut found: HashMap<NodeId, Health> = HashMap::new();
        let mut add = |node: NodeId, samples: &[Sample]| {
            let health = found.entry(node).or_default();
            for value in samples
                .iter()
                .filter(|s| s.at >= from && s.at <= to)
                .flat_map(|s| &s.values)
            {
                health.entry(value.metric).or_default().add(value.value.into());
            }
        };
        self.store.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT node, data FROM samples WHERE start BETWEEN ?1 AND ?2")?;
            let mut rows = statement.query(params![from.0 - BLOCK_SPAN, to.0])?;
            while let Some(line) = rows.next()? {
                let bytes: Vec<u8> = line.get(1)?;
                if let Some(samples) = block::decode(&bytes) {
                    add(NodeId(line.get(0)?), &samples);
                }
            }
            Ok(())
        })?;
        for (node, samples) in self.telemetry.all_gathered() {
            add(node, &samples);
        }
        Ok(found)
    }

    /// Share of a period, 0 to 100, in which each node was connected; a node counts from when it joined.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn availability(&self, from: Time, to: Time) -> Result<HashMap<NodeId, f64>> {
        let (nodes, events) = self.store.read(|connection| {
            let changes =
                "WHERE at >= ?1 AND doc ->> '$.kind' IN ('node-online', 'node-offline') ORDER BY at DESC, rev DESC";
            Ok((
                row::select::<Node>(connection, "", [])?,
                row::select::<Event>(connection, changes, [from.0])?,
            ))
        })?;
        let mut by_node: HashMap<NodeId, Vec<Event>> = HashMap::new();
        for event in events {
            if let Some(node) = event.node {
                by_node.entry(node).or_default().push(event);
            }
        }
        let to = to.min(self.clock.now());
        let share = |node: &Node| {
            let from = from.max(node.joined_at);
            let span = to.since(from);
            if span <= 0 {
                return None;
            }
            // Backwards from what is known now.
            let (mut connected, mut until, mut up) = (node.state.is_connected(), self.clock.now(), 0);
            for event in by_node.get(&node.id).into_iter().flatten() {
                if connected {
                    up += until.min(to).since(event.at.max(from)).max(0);
                }
                connected = event.kind == EventKind::NodeOffline;
                until = event.at;
            }
            if connected {
                up += until.min(to).since(from).max(0);
            }
            Some((node.id, up as f64 / span as f64 * 100.0))
        };
        Ok(nodes.iter().filter_map(share).collect())
    }
}
