//! What containers have used and the engine does not hold yet: readings in, reports out, without I/O.
//!
//! Readings are counters since a container's start. The ledger holds the last of each run, so that only what was added
//! since is counted, and divides that among the windows that it was used in.

use super::traffic::Bytes;
use edgedeck_model::{
    PlacementId, Time, VersionId,
    metering::{KEPT_BY_NODES, PartUsage, TrafficSource, WINDOW, window_of},
};
use edgedeck_protocol::Usage;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Instant};

/// Most parts in one report.
const PARTS_MAX: usize = 500;

/// Whose use it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    pub placement: PlacementId,
    pub part: String,
    pub version: VersionId,
    pub image: String,
    pub traffic: TrafficSource,
}

/// A container as it is found.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Tells one run of a container from the next.
    pub run: String,
    pub started_at: Time,
    pub owner: Owner,
    pub cpu_ns: u64,
    pub memory_bytes: u64,
    /// `None` where it is not known yet.
    pub disk_bytes: Option<u64>,
    pub bytes: Bytes,
}

/// When a reading was made.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub at: Time,
    pub clock: Instant,
}

impl Moment {
    pub fn now() -> Self {
        Self {
            at: crate::now(),
            clock: Instant::now(),
        }
    }
}

/// The last reading of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Last {
    owner: Owner,
    at: Time,
    /// Known within one process of the agent: the wall clock may be set.
    #[serde(skip)]
    clock: Option<Instant>,
    cpu_ns: u64,
    bytes: Bytes,
    memory_bytes: u64,
    disk_bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sums {
    bytes: Bytes,
    cpu_ns: u64,
    /// Bytes times milliseconds.
    memory: u128,
    disk_bytes: u64,
    measured_ms: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// Tells this ledger's numbers from those of one that was lost.
    pub epoch: u64,
    /// The number of the next report.
    pub next: u64,
    /// Runs that are older were not measured from their start.
    since: Time,
    runs: BTreeMap<String, Last>,
    open: BTreeMap<Time, BTreeMap<Owner, Sums>>,
}

impl Ledger {
    /// Numbers begin at the time, so that they also grow from a ledger that was lost to the next.
    pub fn new(epoch: u64, now: Time) -> Self {
        Self {
            epoch,
            next: u64::try_from(now.0).unwrap_or(0).max(1),
            since: now,
            runs: BTreeMap::new(),
            open: BTreeMap::new(),
        }
    }

    pub fn knows(&self, run: &str) -> bool {
        self.runs.contains_key(run)
    }

    pub fn runs(&self) -> impl Iterator<Item = &String> {
        self.runs.keys()
    }

    /// Counts what a run has used since its last reading.
    pub fn read(&mut self, reading: Reading, now: Moment) {
        let is_from_start = reading.started_at >= self.since;
        let old = self.runs.get(&reading.run);
        let from = match old {
            Some(old) => old.since(now),
            None if is_from_start => reading.started_at,
            None => now.at,
        };
        let cpu_ns = match old {
            Some(old) => grown(old.cpu_ns, reading.cpu_ns),
            None if is_from_start => reading.cpu_ns,
            None => 0,
        };
        // The node's interfaces do not begin with the container.
        let counts_from_start = is_from_start && reading.owner.traffic != TrafficSource::Node;
        let bytes = match old {
            Some(old) if old.owner.traffic == reading.owner.traffic => Bytes {
                sent: grown(old.bytes.sent, reading.bytes.sent),
                received: grown(old.bytes.received, reading.bytes.received),
            },
            None if counts_from_start => reading.bytes,
            _ => Bytes::default(),
        };
        let disk_bytes = reading.disk_bytes.or(old.map(|old| old.disk_bytes)).unwrap_or(0);
        let used = Used {
            cpu_ns,
            bytes,
            memory_bytes: reading.memory_bytes,
            disk_bytes,
        };
        self.add(&reading.owner, from, now.at, &used);
        let last = Last {
            owner: reading.owner,
            at: now.at,
            clock: Some(now.clock),
            cpu_ns: reading.cpu_ns,
            bytes: reading.bytes,
            memory_bytes: reading.memory_bytes,
            disk_bytes,
        };
        self.runs.insert(reading.run, last);
    }

    /// A run has ended, with these bytes where they are still known.
    pub fn end(&mut self, run: &str, bytes: Option<Bytes>, now: Moment) {
        let Some(last) = self.runs.remove(run) else { return };
        let Some(bytes) = bytes else { return };
        let used = Used {
            cpu_ns: 0,
            bytes: Bytes {
                sent: grown(last.bytes.sent, bytes.sent),
                received: grown(last.bytes.received, bytes.received),
            },
            memory_bytes: 0,
            disk_bytes: last.disk_bytes,
        };
        // When it ended is not known to the second: nothing but its bytes is added.
        self.add(&last.owner, now.at, now.at, &used);
    }

    fn add(&mut self, owner: &Owner, from: Time, to: Time, used: &Used) {
        let from = from.max(to.plus(-KEPT_BY_NODES));
        let length = u64::try_from(to.since(from)).unwrap_or(0);
        let mut window = if length == 0 { window_of(to) } else { window_of(from) };
        let mut done = 0;
        loop {
            let end = window.plus(WINDOW).min(to);
            let until = if end == to {
                length
            } else {
                u64::try_from(end.since(from)).unwrap_or(length)
            };
            let before = |total: u64| if done == 0 { 0 } else { part_of(total, done, length) };
            let share = |total: u64| part_of(total, until, length) - before(total);
            let sums = self.open.entry(window).or_default().entry(owner.clone()).or_default();
            sums.bytes.sent += share(used.bytes.sent);
            sums.bytes.received += share(used.bytes.received);
            sums.cpu_ns += share(used.cpu_ns);
            sums.memory += u128::from(used.memory_bytes) * u128::from(until - done);
            sums.disk_bytes = used.disk_bytes;
            sums.measured_ms += until - done;
            if end == to {
                return;
            }
            done = until;
            window = window.plus(WINDOW);
        }
    }

    /// Closes the windows that have ended, or all, and gives what they hold a number.
    pub fn close(&mut self, now: Time, all: bool) -> Vec<Usage> {
        // One that is to come is of a clock that was set back.
        let is_closed = |window: &Time| all || window.plus(WINDOW) <= now || *window > now;
        let mut reports = Vec::new();
        for (window, owners) in self.open.extract_if(.., |window, _| is_closed(window)) {
            let parts: Vec<PartUsage> = owners.into_iter().map(|(owner, sums)| usage(owner, &sums)).collect();
            for parts in parts.chunks(PARTS_MAX) {
                reports.push(Usage {
                    epoch: self.epoch,
                    number: self.next,
                    window,
                    parts: parts.to_vec(),
                });
                self.next += 1;
            }
        }
        reports
    }
}

impl Last {
    /// When this reading was, by the clock that a reading of now has.
    fn since(&self, now: Moment) -> Time {
        match self.clock {
            Some(clock) => {
                let elapsed = now.clock.saturating_duration_since(clock).as_millis();
                now.at.plus(-i64::try_from(elapsed).unwrap_or(i64::MAX))
            }
            None => self.at,
        }
    }
}

struct Used {
    cpu_ns: u64,
    bytes: Bytes,
    memory_bytes: u64,
    disk_bytes: u64,
}

/// What a counter has grown by; one that is smaller than before began anew.
fn grown(old: u64, new: u64) -> u64 {
    new.checked_sub(old).unwrap_or(new)
}

/// How much of a total falls on the first `until` of `length`.
fn part_of(total: u64, until: u64, length: u64) -> u64 {
    if until >= length {
        return total;
    }
    u64::try_from(u128::from(total) * u128::from(until) / u128::from(length)).unwrap_or(total)
}

fn usage(owner: Owner, sums: &Sums) -> PartUsage {
    let memory = sums.memory.checked_div(u128::from(sums.measured_ms)).unwrap_or(0);
    PartUsage {
        placement: owner.placement,
        part: owner.part,
        version: owner.version,
        image: owner.image,
        traffic: owner.traffic,
        sent_bytes: sums.bytes.sent,
        received_bytes: sums.bytes.received,
        cpu_ms: sums.cpu_ns / 1_000_000,
        memory_bytes: u64::try_from(memory).unwrap_or(u64::MAX),
        disk_bytes: sums.disk_bytes,
        measured_ms: sums.measured_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::time::SECOND;
    use proptest::prelude::*;
    use std::time::Duration;
    use uuid::Uuid;

    fn owner(traffic: TrafficSource) -> Owner {
        Owner {
            placement: PlacementId(Uuid::nil()),
            part: "main".to_owned(),
            version: VersionId(Uuid::nil()),
            image: "pcdn:v1".to_owned(),
            traffic,
        }
    }

    fn reading(run: &str, started_at: i64, sent: u64) -> Reading {
        Reading {
            run: run.to_owned(),
            started_at: Time(started_at),
            owner: owner(TrafficSource::Interface),
            cpu_ns: sent * 1_000_000,
            memory_bytes: 1_000,
            disk_bytes: Some(7),
            bytes: Bytes {
                sent,
                received: 2 * sent,
            },
        }
    }

    struct Clock(Instant);

    impl Clock {
        fn at(&self, at: i64) -> Moment {
            let clock = self.0 + Duration::from_millis(at.try_into().unwrap());
            Moment { at: Time(at), clock }
        }
    }

    fn sent(ledger: &mut Ledger, now: i64, all: bool) -> Vec<(u64, i64, u64, u64)> {
        let reports = ledger.close(Time(now), all);
        let sums = |report: &Usage| {
            let sent = report.parts.iter().map(|part| part.sent_bytes).sum();
            (report.number, report.window.0, sent, report.parts[0].measured_ms)
        };
        reports.iter().map(sums).collect()
    }

    #[test]
    fn what_was_added_is_counted_in_its_window() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(0));
        ledger.read(reading("a", 100_000, 10), clock.at(110_000));
        ledger.read(reading("a", 100_000, 30), clock.at(200_000));
        assert_eq!(sent(&mut ledger, 299_999, false), []);
        // Half before the end of the window and half after.
        ledger.read(reading("a", 100_000, 130), clock.at(400_000));
        assert_eq!(sent(&mut ledger, 400_000, false), [(1, 0, 80, 200_000)]);
        assert_eq!(sent(&mut ledger, 400_000, true), [(2, WINDOW, 50, 100_000)]);
        assert_eq!(sent(&mut ledger, 700_000, true), []);
    }

    #[test]
    fn a_run_from_before_counts_from_its_first_reading() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(50_000));
        ledger.read(reading("a", 40_000, 1_000), clock.at(60_000));
        ledger.read(reading("a", 40_000, 1_005), clock.at(70_000));
        ledger.read(reading("b", 60_000, 100), clock.at(70_000));
        let node = Reading {
            owner: owner(TrafficSource::Node),
            ..reading("c", 60_000, 9_000)
        };
        ledger.read(node, clock.at(70_000));
        let report = ledger.close(Time(70_000), true).remove(0);
        let of = |source| {
            let part = report.parts.iter().find(|part| part.traffic == source).unwrap();
            (part.sent_bytes, part.received_bytes, part.cpu_ms, part.measured_ms)
        };
        assert_eq!(of(TrafficSource::Interface), (105, 210, 105, 20_000));
        assert_eq!(of(TrafficSource::Node), (0, 0, 9_000, 10_000));
    }

    #[test]
    fn a_smaller_counter_began_anew() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(0));
        ledger.read(reading("a", 0, 100), clock.at(10_000));
        ledger.read(reading("a", 0, 30), clock.at(20_000));
        assert_eq!(sent(&mut ledger, 20_000, true), [(1, 0, 130, 20_000)]);
    }

    #[test]
    fn the_last_bytes_of_a_run_are_counted_once() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(0));
        ledger.read(reading("a", 0, 100), clock.at(10_000));
        let bytes = Some(Bytes { sent: 150, received: 0 });
        ledger.end("a", bytes, clock.at(15_000));
        ledger.end("a", bytes, clock.at(15_000));
        assert_eq!(sent(&mut ledger, 20_000, true), [(1, 0, 150, 10_000)]);
        assert!(!ledger.knows("a"));
    }

    #[test]
    fn bytes_of_another_source_are_not_compared() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(0));
        ledger.read(reading("a", 0, 100), clock.at(10_000));
        let other = Reading {
            owner: owner(TrafficSource::ControlGroup),
            ..reading("a", 0, 5_000)
        };
        ledger.read(other, clock.at(20_000));
        assert_eq!(sent(&mut ledger, 20_000, true), [(1, 0, 100, 10_000)]);
    }

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing_far() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(0));
        ledger.read(reading("a", 0, 100), clock.at(10_000));
        let set = Moment {
            at: Time(WINDOW * 10_000 + 20_000),
            ..clock.at(20_000)
        };
        ledger.read(reading("a", 0, 200), set);
        assert_eq!(
            sent(&mut ledger, set.at.0 + WINDOW, false),
            [(1, 0, 100, 10_000), (2, WINDOW * 10_000, 100, 10_000)]
        );
        // And back again: what lies in the future is closed at once.
        ledger.read(
            reading("a", 0, 300),
            Moment {
                at: Time(WINDOW * 9),
                ..clock.at(30_000)
            },
        );
        assert_eq!(sent(&mut ledger, 0, false), [(3, WINDOW * 8, 100, 10_000)]);
    }

    #[test]
    fn memory_is_a_mean_over_time() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(1, Time(0));
        ledger.read(reading("a", 0, 0), clock.at(30_000));
        let more = Reading {
            memory_bytes: 5_000,
            disk_bytes: None,
            ..reading("a", 0, 0)
        };
        ledger.read(more, clock.at(40_000));
        let part = ledger.close(Time(0), true).remove(0).parts.remove(0);
        assert_eq!(
            (part.memory_bytes, part.disk_bytes, part.measured_ms),
            (2_000, 7, 40_000)
        );
    }

    #[test]
    fn what_was_stored_goes_on() {
        let clock = Clock(Instant::now());
        let mut ledger = Ledger::new(9, Time(0));
        ledger.read(reading("a", 0, 100), clock.at(10_000));
        let bytes = edgedeck_protocol::encode(&ledger).unwrap();
        let mut back: Ledger = edgedeck_protocol::decode(&bytes).unwrap();
        // The kernel has counted on while nobody looked.
        back.read(reading("a", 0, 400), clock.at(WINDOW + 10_000));
        assert_eq!(
            sent(&mut back, WINDOW, true),
            [(1, 0, 390, 300_000), (2, WINDOW, 10, 10_000)]
        );
        assert_eq!(back.epoch, 9);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(steps in prop::collection::vec((1_i64..2_000_000, 0_u64..1_000_000, any::<bool>()), 1..30)) {
            let clock = Clock(Instant::now());
            let mut ledger = Ledger::new(1, Time(0));
            let (mut at, mut total, mut reported, mut measured) = (SECOND, 0, 0, 0);
            for (step, bytes, all) in steps {
                at += step;
                total += bytes;
                ledger.read(reading("a", SECOND, total), clock.at(at));
                for report in ledger.close(Time(at), all) {
                    prop_assert!(report.window.0 <= at);
                    reported += report.parts.iter().map(|part| part.sent_bytes).sum::<u64>();
                    measured += report.parts.iter().map(|part| part.measured_ms).sum::<u64>();
                }
            }
            for report in ledger.close(Time(at), true) {
                reported += report.parts.iter().map(|part| part.sent_bytes).sum::<u64>();
                measured += report.parts.iter().map(|part| part.measured_ms).sum::<u64>();
            }
            prop_assert_eq!((reported, measured), (total, (at - SECOND) as u64));
        }
    }
}
