//! What was used in a period, as the console shows it.

use super::{HOURS_KEPT, UsageBucket, UsageFind, UsageStep, WINDOWS_KEPT};
use crate::{Engine, error::Result, store::row};
use edgedeck_model::{
    Problem, Time,
    metering::{UsageBy, UsagePoint, UsageQuery, UsageReport, UsageRow, Used},
    node::Node,
    time::{DAY, HOUR},
};
use std::collections::BTreeMap;

/// Longest period that is divided into windows; longer ones are into hours.
const FINE_MAX: i64 = 2 * DAY;
/// Most rows of one report.
const ROWS_MAX: usize = 2_000;

/// Sums of one row, and what its means and peaks are made of.
#[derive(Default)]
struct Row {
    used: Used,
    steps: i64,
    peak_sent_bps: f64,
    peak_received_bps: f64,
}

impl Row {
    fn add(&mut self, used: &Used, step: i64) {
        self.used.add(used);
        self.steps += 1;
        self.peak_sent_bps = self.peak_sent_bps.max(used.sent_bps(step));
        self.peak_received_bps = self.peak_received_bps.max(used.received_bps(step));
    }

    fn shown(&self, step: i64) -> UsageRow {
        let measured = self.steps * step;
        UsageRow {
            used: self.used,
            peak_sent_bps: self.peak_sent_bps,
            peak_received_bps: self.peak_received_bps,
            memory_bytes: self.used.memory_bytes(measured),
            disk_bytes: self.used.disk_bytes(measured),
            ..UsageRow::default()
        }
    }
}

impl Engine {
    /// What was used in a period: in all, step by step, and by what is asked for.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`] when the period does not run forward.
    pub fn usage_report(&self, query: &UsageQuery) -> std::result::Result<UsageReport, Problem> {
        if query.to <= query.from {
            return Err(Problem::invalid("to", "time-order"));
        }
        let now = self.clock.now();
        let from = query.from.max(now.plus(-HOURS_KEPT));
        let to = query.to.min(now).max(from);
        // Nodes have hours only.
        let is_fine = to.since(from) <= FINE_MAX && query.node.is_none() && query.by != UsageBy::Node;
        let step = if is_fine { UsageStep::Window } else { UsageStep::Hour };
        let length = step.length();
        let find = UsageFind {
            from: from.plus(-from.0.rem_euclid(length)),
            to: to.plus((-to.0).rem_euclid(length)),
            step,
            by: query.by,
            image: query.image.clone(),
            tag: query.tag.clone(),
            node: query.node,
        };
        let buckets = self.usage(&find)?;
        let mut steps: BTreeMap<Time, Used> = BTreeMap::new();
        for bucket in &buckets {
            steps.entry(bucket.start).or_default().add(&bucket.used);
        }
        let mut total = Row::default();
        steps.values().for_each(|used| total.add(used, length));
        let points = steps.iter().map(|(start, used)| UsagePoint {
            at: start.plus(length),
            sent_bps: used.sent_bps(length),
            received_bps: used.received_bps(length),
            cores: used.cores(length),
            memory_bytes: used.memory_bytes(length),
        });
        Ok(UsageReport {
            from: find.from,
            to: find.to,
            step: length,
            total: total.shown(length),
            // One that has not ended looks like a fall.
            points: points.filter(|point| point.at <= now).collect(),
            rows: self.rows(&find, buckets)?,
        })
    }

    /// The steps that ended in a period, up to now: windows as long as they are kept, and hours before; the step that is
    /// asked for does not matter.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn usage_ended(&self, find: UsageFind) -> Result<Vec<UsageBucket>> {
        let now = self.clock.now();
        let ended = |step: UsageStep, from: Time, to: Time| UsageFind {
            from: from.plus(-step.length()),
            to: to.plus(-step.length()),
            step,
            ..find.clone()
        };
        let to = find.to.min(now.plus(1));
        // What is in an hour that has gone is not told again by its windows.
        let oldest = now.plus(-WINDOWS_KEPT);
        let fine_from = find.from.max(oldest.plus((-oldest.0).rem_euclid(HOUR) + 1));
        let mut buckets = self.usage(&ended(UsageStep::Hour, find.from, to.min(fine_from)))?;
        buckets.extend(self.usage(&ended(UsageStep::Window, fine_from, to))?);
        Ok(buckets)
    }

    fn rows(&self, find: &UsageFind, buckets: Vec<UsageBucket>) -> Result<Vec<UsageRow>> {
        if find.by == UsageBy::Total {
            return Ok(Vec::new());
        }
        let length = find.step.length();
        let mut rows: BTreeMap<_, Row> = BTreeMap::new();
        for bucket in buckets {
            let key = (bucket.repository, bucket.tag, bucket.node);
            rows.entry(key).or_default().add(&bucket.used, length);
        }
        let mut shown: Vec<UsageRow> = rows
            .into_iter()
            .map(|((repository, tag, node), row)| UsageRow {
                repository,
                tag,
                node,
                ..row.shown(length)
            })
            .collect();
        shown.sort_by_key(|row| std::cmp::Reverse(row.used.sent_bytes));
        shown.truncate(ROWS_MAX);
        self.store.read(|connection| {
            for row in &mut shown {
                if let Some(node) = row.node {
                    row.node_name = row::get::<Node>(connection, node.0)?.map(|node| node.name);
                }
            }
            Ok(())
        })?;
        Ok(shown)
    }
}
