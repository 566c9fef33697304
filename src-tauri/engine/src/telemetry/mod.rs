//! Samples: the newest in memory for tiles, all of them in blocks in the store for charts.
//!
//! An agent keeps its samples until they are acknowledged, which is when their block is durable: a crash loses none.

mod block;
mod health;

pub use health::{Figure, Health};

use crate::{Engine, error::Result};
use edgedeck_model::{
    NodeId, Time,
    telemetry::{Live, Metric, Sample, Series, SeriesQuery, Value},
    time::{HOUR, MINUTE, SECOND},
};
use edgedeck_protocol::ToAgent;
use parking_lot::Mutex;
use rusqlite::params;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::watch;
use uuid::Uuid;

/// Samples of one node that are gathered before they become a block, and for how long at most.
const BLOCK_SAMPLES: usize = 20;
const BLOCK_TIME: i64 = 5 * MINUTE;
/// Longest span of one block, for finding the blocks of a period.
const BLOCK_SPAN: i64 = 2 * HOUR;
/// Most values of one sample that are kept.
const VALUES_MAX: usize = 1_024;
/// A sample from further in the future than this gets the engine's time.
const AHEAD_MAX: i64 = 5 * MINUTE;
/// Figures older than this do not count for the lab's mean.
const FRESH: i64 = 95 * SECOND;
/// Without a sample for this long, a line is broken.
const GAP: i64 = 95 * SECOND;
/// Most points of one series in an answer.
const POINTS_MAX: usize = 4_000;
/// The lab as a whole, among the nodes that have samples.
const LAB: NodeId = NodeId(Uuid::nil());

pub struct Telemetry {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    newest: HashMap<NodeId, (u64, Live)>,
    /// The nodes of `newest` by their number, so that a watcher reads only what is new.
    order: BTreeMap<u64, NodeId>,
    gathered: HashMap<NodeId, Gathered>,
    last: u64,
}

struct Gathered {
    samples: Vec<Sample>,
    /// Highest number among them, to be acknowledged.
    number: u64,
    /// Monotonic time of the first.
    since: i64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            revision: watch::channel(0).0,
        }
    }
}

impl Telemetry {
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// The newest figures of nodes whose figures changed after `live`.
    pub fn since(&self, live: u64) -> (u64, Vec<(NodeId, Live)>) {
        let state = self.state.lock();
        let newer = state.order.range(live.saturating_add(1)..);
        let figures = newer
            .filter_map(|(_, id)| state.newest.get(id).map(|(_, live)| (*id, live.clone())))
            .collect();
        (state.last, figures)
    }

    fn show(&self, node: NodeId, live: Live) {
        let mut state = self.state.lock();
        state.last += 1;
        let number = state.last;
        if let Some((old, _)) = state.newest.insert(node, (number, live)) {
            state.order.remove(&old);
        }
        state.order.insert(number, node);
        self.revision.send_replace(number);
    }

    fn gather(&self, node: NodeId, number: u64, sample: Sample, now: i64) {
        let mut state = self.state.lock();
        let gathered = state.gathered.entry(node).or_insert_with(|| Gathered {
            samples: Vec::new(),
            number: 0,
            since: now,
        });
        gathered.number = gathered.number.max(number);
        // An agent sends again what was not acknowledged before its link broke.
        if gathered.samples.iter().all(|other| other.at != sample.at) {
            gathered.samples.push(sample);
        }
    }

    fn due(&self, now: i64, all: bool) -> Vec<(NodeId, Gathered)> {
        let mut state = self.state.lock();
        let due = state.gathered.iter().filter(|(_, gathered)| {
            all || gathered.samples.len() >= BLOCK_SAMPLES || now - gathered.since >= BLOCK_TIME
        });
        let due: Vec<NodeId> = due.map(|(node, _)| *node).collect();
        due.into_iter()
            .filter_map(|node| state.gathered.remove_entry(&node))
            .collect()
    }

    fn all_gathered(&self) -> Vec<(NodeId, Vec<Sample>)> {
        self.state
            .lock()
            .gathered
            .iter()
            .map(|(node, gathered)| (*node, gathered.samples.clone()))
            .collect()
    }

    fn gathered(&self, node: NodeId) -> Vec<Sample> {
        self.state
            .lock()
            .gathered
            .get(&node)
            .map(|gathered| gathered.samples.clone())
            .unwrap_or_default()
    }
}

impl Engine {
    pub(crate) async fn take_sample(&self, node: NodeId, number: u64, mut sample: Sample) -> Result<()> {
        let now = self.clock.now();
        if sample.at > now.plus(AHEAD_MAX) {
            sample.at = now;
        }
        sample.values.retain(|value| value.value.is_finite());
        sample.values.truncate(VALUES_MAX);
        let live = Live::of(&sample);
        self.telemetry.gather(node, number, sample, self.clock.monotonic());
        if now.since(live.at) < FRESH {
            self.judge(node, &live).await?;
            self.telemetry.show(node, live);
        }
        Ok(())
    }

    /// Writes blocks that are full or old enough, or all, and acknowledges their samples.
    pub(crate) async fn flush_samples(&self, all: bool) -> Result<()> {
        let due = self.telemetry.due(self.clock.monotonic(), all);
        if due.is_empty() {
            return Ok(());
        }
        let blocks: Vec<(NodeId, i64, Vec<u8>)> = due
            .iter()
            .filter_map(|(node, gathered)| {
                let mut samples = gathered.samples.clone();
                samples.sort_by_key(|sample| sample.at);
                let start = samples.first()?.at.0;
                Some((*node, start, block::encode(&samples)))
            })
            .collect();
        let written = self
            .store
            .write(move |tx| {
                let mut insert =
                    tx.prepare_cached("INSERT OR REPLACE INTO samples (node, start, data) VALUES (?1, ?2, ?3)")?;
                for (node, start, data) in blocks {
                    insert.execute(params![node.0, start, data])?;
                }
                Ok(())
            })
            .await;
        if let Err(error) = written {
            let now = self.clock.monotonic();
            for (node, gathered) in due {
                for sample in gathered.samples {
                    self.telemetry.gather(node, gathered.number, sample, now);
                }
            }
            return Err(error);
        }
        for (node, gathered) in due {
            if node != LAB {
                self.hub.send(
                    node,
                    ToAgent::Acknowledge {
                        number: gathered.number,
                    },
                );
            }
        }
        Ok(())
    }

    /// Measures the lab as a whole: means over the nodes heard of lately, the hottest chip, all traffic.
    pub(crate) fn sample_lab(&self) {
        let now = self.clock.now();
        let (_, figures) = self.telemetry.since(0);
        let fresh: Vec<Live> = figures
            .into_iter()
            .map(|(_, live)| live)
            .filter(|live| now.since(live.at) < FRESH)
            .collect();
        let collect = |pick: fn(&Live) -> Option<f32>| fresh.iter().filter_map(pick).collect::<Vec<f32>>();
        let mean = |values: Vec<f32>| (!values.is_empty()).then(|| values.iter().sum::<f32>() / values.len() as f32);
        let values = [
            (Metric::CpuPercent, mean(collect(|live| live.cpu))),
            (Metric::MemoryPercent, mean(collect(|live| live.memory))),
            (Metric::DiskPercent, mean(collect(|live| live.disk))),
            (Metric::NpuPercent, mean(collect(|live| live.npu))),
            (Metric::NpuMemoryPercent, mean(collect(|live| live.npu_memory))),
            (
                Metric::NpuTemperature,
                collect(|live| live.npu_temperature).into_iter().reduce(f32::max),
            ),
            (
                Metric::NetworkReceived,
                collect(|live| live.received).into_iter().reduce(|a, b| a + b),
            ),
            (
                Metric::NetworkSent,
                collect(|live| live.sent).into_iter().reduce(|a, b| a + b),
            ),
        ];
        let values: Vec<Value> = values
            .into_iter()
            .filter_map(|(metric, value)| value.map(|value| Value { metric, part: 0, value }))
            .collect();
        if !values.is_empty() {
            self.telemetry
                .gather(LAB, 0, Sample { at: now, values }, self.clock.monotonic());
        }
    }

    /// The series of a metric over a period, one per chip where the metric is per chip. Gaps are points without value.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn series(&self, query: &SeriesQuery) -> Result<Vec<Series>> {
        let node = query.node.unwrap_or(LAB);
        let blocks: Vec<Vec<u8>> = self.store.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT data FROM samples WHERE node = ?1 AND start BETWEEN ?2 AND ?3 ORDER BY start",
            )?;
            let rows = statement.query_map(params![node.0, query.from.0 - BLOCK_SPAN, query.to.0], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        let mut lines: BTreeMap<u32, BTreeMap<Time, f32>> = BTreeMap::new();
        let mut add = |sample: &Sample| {
            if sample.at < query.from || sample.at > query.to {
                return;
            }
            for value in sample.values.iter().filter(|value| value.metric == query.metric) {
                lines.entry(value.part).or_default().insert(sample.at, value.value);
            }
        };
        for bytes in blocks {
            match block::decode(&bytes) {
                Some(samples) => samples.iter().for_each(&mut add),
                None => tracing::warn!(%node, "a block of samples is not readable and is left out"),
            }
        }
        self.telemetry.gathered(node).iter().for_each(&mut add);
        let line = |(part, points): (u32, BTreeMap<Time, f32>)| Series {
            metric: query.metric,
            part,
            points: with_gaps(thin(points.into_iter().collect())),
        };
        Ok(lines.into_iter().map(line).collect())
    }
}

/// Joins neighbours into their mean until there are few enough points.
fn thin(points: Vec<(Time, f32)>) -> Vec<(Time, f32)> {
    let share = points.len().div_ceil(POINTS_MAX).max(1);
    if share == 1 {
        return points;
    }
    let mean = |chunk: &[(Time, f32)]| {
        let middle = chunk.get(chunk.len() / 2)?.0;
        Some((
            middle,
            chunk.iter().map(|(_, value)| value).sum::<f32>() / chunk.len() as f32,
        ))
    };
    points.chunks(share).filter_map(mean).collect()
}

fn with_gaps(points: Vec<(Time, f32)>) -> Vec<(Time, Option<f32>)> {
    let mut usual: Vec<i64> = points
        .windows(2)
        .filter_map(|pair| Some(pair.get(1)?.0.since(pair.first()?.0)))
        .collect();
    usual.sort_unstable();
    // Thinned series have longer steps; a gap is what is much longer than the usual step.
    let gap = usual.get(usual.len() / 2).map_or(GAP, |step| (step * 3).max(GAP));
    let mut found: Vec<(Time, Option<f32>)> = Vec::with_capacity(points.len());
    for (at, value) in points {
        if let Some((before, _)) = found.last()
            && at.since(*before) > gap
        {
            found.push((before.plus(1), None));
        }
        found.push((at, Some(value)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_silence_breaks_the_line() {
        let points = [0, 30, 60, 300, 330]
            .map(|seconds| (Time(seconds * SECOND), 1.0))
            .to_vec();
        let line = with_gaps(points);
        assert_eq!(line.len(), 6);
        assert_eq!(line[3], (Time(60 * SECOND + 1), None));
    }

    #[test]
    fn thinning_keeps_the_mean() {
        let points: Vec<(Time, f32)> = (0..10_000).map(|n| (Time(n * SECOND), (n % 2) as f32)).collect();
        let thin = thin(points);
        assert!(thin.len() <= POINTS_MAX);
        let mean = thin.iter().map(|(_, value)| value).sum::<f32>() / thin.len() as f32;
        assert!((mean - 0.5).abs() < 0.2, "{mean}");
    }
}
