//! What this node's containers use, measured and kept until the engine has it.
//!
//! [`ledger`] counts, without I/O. [`traffic`] has the kernel count the bytes of containers on the host's network, by
//! [`program`]s. Everything else comes from the container engine.

mod disk;
pub mod ledger;
mod program;
pub mod traffic;

use crate::{
    home::{Home, HomeError},
    runtime::{docker::Docker, docker_usage::Running},
    sources::Sources,
};
use edgedeck_model::{
    NodeId, Time,
    metering::{KEPT_BY_NODES, TrafficSource, WINDOW, window_of},
    time::MINUTE,
};
use edgedeck_protocol::Usage;
use ledger::{Ledger, Moment, Reading};
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};
use traffic::{Bytes, Traffic};

const LEDGER_FILE: &str = "usage.cbor";
/// How often the counters are read.
const READ_INTERVAL: Duration = Duration::from_secs(15);
/// How often what was counted is written down, and reported while the engine listens.
const KEEP_INTERVAL: Duration = Duration::from_millis(MINUTE as u64);
/// Reports that are kept; the oldest go first.
const REPORTS_MAX: usize = (KEPT_BY_NODES / WINDOW) as usize;
/// Reports that are sent and not stored yet, at most.
const AHEAD_MAX: usize = 8;

/// Measures until it is dropped.
pub struct Metering {
    reports: Arc<Mutex<Reports>>,
    waiting: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Metering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Metering {
    /// Goes on with what was counted before.
    ///
    /// # Errors
    /// When the folder cannot be read; damaged records are as good as none.
    pub fn start(home: Home, sources: Sources, docker: Arc<Docker>, node: NodeId) -> Result<Self, HomeError> {
        let ledger = home.load_or_none::<Ledger>(LEDGER_FILE)?;
        let ledger = ledger.unwrap_or_else(|| Ledger::new(random(), crate::now()));
        let reports = Arc::new(Mutex::new(Reports::open(home.clone(), ledger.next)));
        let waiting = Arc::new(Notify::new());
        let (asks, asked) = mpsc::channel(1);
        docker.set_before_stop(asks);
        let meter = Meter {
            traffic: Traffic::open(sources.clone(), node),
            home,
            sources,
            docker,
            ledger,
            reports: reports.clone(),
            waiting: waiting.clone(),
            kept: Instant::now(),
            is_telling: false,
            disk: Arc::default(),
            looked_at: (Time(0), HashSet::new()),
            untold: HashSet::new(),
        };
        Ok(Self {
            reports,
            waiting,
            task: tokio::spawn(meter.run(asked)),
        })
    }

    /// Reads no more, so that what is counted can be removed.
    pub async fn stop(&mut self) {
        self.task.abort();
        // It was ended, which is not an error.
        let _ended = (&mut self.task).await;
    }

    /// Told when there may be something to send.
    pub fn waiting(&self) -> Arc<Notify> {
        self.waiting.clone()
    }

    /// The engine at the other end of the link takes reports, or does not.
    pub fn link(&self, is_taken: bool) {
        self.reports.lock().is_taken = is_taken;
    }

    /// The link has ended: what was not stored is sent again over the next.
    pub fn unlink(&self) {
        let mut reports = self.reports.lock();
        reports.is_taken = false;
        reports.sent = 0;
    }

    /// The next report to send now.
    pub fn next_to_send(&self) -> Option<Usage> {
        self.reports.lock().next_to_send()
    }

    /// The engine has stored reports up to this one.
    pub fn stored(&self, number: u64) {
        self.reports.lock().stored(number);
    }
}

/// Counts nothing any longer, and leaves nothing in the kernel.
pub fn end(sources: &Sources, node: NodeId) {
    Traffic::open(sources.clone(), node).forget_all();
}

fn random() -> u64 {
    let mut bytes = [0_u8; 8];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        // It only has to differ from the one before.
        Err(_) => u64::try_from(crate::now().0).unwrap_or(1),
    }
}

/// Reports that the engine has not stored, each in a file of its own.
struct Reports {
    home: Home,
    numbers: VecDeque<u64>,
    /// The engine at the other end of the link takes them.
    is_taken: bool,
    /// How many of them, from the first, were sent over the present link.
    sent: usize,
}

impl Reports {
    fn open(home: Home, next: u64) -> Self {
        let names = fs::read_dir(home.usage()).into_iter().flatten().flatten();
        let numbers = names.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.strip_suffix(".cbor")?.parse::<u64>().ok()
        });
        let mut numbers: Vec<u64> = numbers.collect();
        numbers.sort_unstable();
        let reports = Self {
            home,
            is_taken: false,
            sent: 0,
            numbers: numbers.iter().copied().filter(|number| *number < next).collect(),
        };
        // Written, but what they hold was not taken out of the ledger yet.
        for number in numbers.into_iter().filter(|number| *number >= next) {
            reports.remove_file(number);
        }
        reports
    }

    fn name(number: u64) -> String {
        format!("usage/{number}.cbor")
    }

    fn path(&self, number: u64) -> PathBuf {
        self.home.path().join(Self::name(number))
    }

    fn remove_file(&self, number: u64) {
        let path = self.path(number);
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!("removing {}: {error}", path.display());
        }
    }

    fn remove_first(&mut self) {
        if let Some(number) = self.numbers.pop_front() {
            self.remove_file(number);
            self.sent = self.sent.saturating_sub(1);
        }
    }

    fn add(&mut self, numbers: impl IntoIterator<Item = u64>) {
        self.numbers.extend(numbers);
        while self.numbers.len() > REPORTS_MAX {
            tracing::warn!("a report of use that nobody took for long is given up");
            self.remove_first();
        }
    }

    fn next_to_send(&mut self) -> Option<Usage> {
        while self.is_taken && self.sent < AHEAD_MAX {
            let number = *self.numbers.get(self.sent)?;
            match self.home.load::<Usage>(&Self::name(number)) {
                Ok(Some(report)) => {
                    self.sent += 1;
                    return Some(report);
                }
                Ok(None) => {
                    self.numbers.remove(self.sent);
                }
                Err(error) => {
                    tracing::error!("{}", crate::chain(&error));
                    self.numbers.remove(self.sent);
                    self.remove_file(number);
                    self.home.give_up(&Self::name(number));
                }
            }
        }
        None
    }

    fn stored(&mut self, number: u64) {
        // Of those that were sent only.
        while self.sent > 0 && self.numbers.front().is_some_and(|first| *first <= number) {
            self.remove_first();
        }
    }
}

struct Meter {
    home: Home,
    sources: Sources,
    docker: Arc<Docker>,
    traffic: Traffic,
    ledger: Ledger,
    reports: Arc<Mutex<Reports>>,
    waiting: Arc<Notify>,
    /// When the ledger was last written down.
    kept: Instant,
    /// A container came or went, which is reported with the next reading that can be.
    is_telling: bool,
    /// Bytes on the disk by run.
    disk: Arc<Mutex<HashMap<String, u64>>>,
    /// The window, and the runs whose disks were looked at in it.
    looked_at: (Time, HashSet<String>),
    /// Runs whose traffic cannot be counted by their control group, which was said.
    untold: HashSet<String>,
}

impl Meter {
    async fn run(mut self, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
        let came_or_went = self.docker.came_or_went();
        let mut tick = interval(READ_INTERVAL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut reply = None;
            tokio::select! {
                _ = tick.tick() => {}
                () = came_or_went.notified() => {}
                Some(ask) = asked.recv() => reply = Some(ask),
            }
            let has_changed = self.read().await;
            if let Some(reply) = reply {
                // Whoever asked may have gone on without it.
                let _late = reply.send(());
            }
            self.is_telling |= has_changed;
            self.keep(has_changed);
        }
    }

    /// Reads every container; true when one came or went.
    async fn read(&mut self) -> bool {
        let Some((running, unread)) = self.docker.running().await else {
            return false;
        };
        self.look_at_disks(&running);
        let mut has_changed = false;
        let on_host = running.iter().filter(|one| one.host_network).count();
        let present: HashSet<String> = running.iter().map(|one| one.run.clone()).collect();
        for mut one in running {
            if one.host_network {
                (one.owner.traffic, one.bytes) = self.host_traffic(&one, on_host == 1);
            }
            has_changed |= !self.ledger.knows(&one.run);
            let disk_bytes = self.disk.lock().get(&one.run).copied();
            let reading = Reading {
                run: one.run,
                started_at: one.started_at,
                owner: one.owner,
                cpu_ns: one.cpu_ns,
                memory_bytes: one.memory_bytes,
                disk_bytes,
                bytes: one.bytes,
            };
            self.ledger.read(reading, one.moment);
        }
        let mut gone: Vec<String> = self.ledger.runs().cloned().chain(self.traffic.runs()).collect();
        // A run's name begins with its container's id.
        gone.retain(|run| !present.contains(run) && !unread.iter().any(|id| run.starts_with(id)));
        for run in gone {
            has_changed = true;
            let last = self.traffic.last(&run);
            self.ledger.end(&run, last, Moment::now());
            self.traffic.forget(&run);
            self.disk.lock().remove(&run);
            self.untold.remove(&run);
        }
        has_changed
    }

    /// The bytes of a container on the host's network, and how they are counted.
    fn host_traffic(&mut self, one: &Running, is_alone: bool) -> (TrafficSource, Bytes) {
        let problem = match self.traffic.count(&one.run, &one.id, one.pid) {
            Ok(bytes) => return (TrafficSource::ControlGroup, bytes),
            Err(error) => error,
        };
        if self.untold.insert(one.run.clone()) {
            let part = &one.owner.part;
            tracing::warn!(
                part,
                "traffic is not counted by control group: {}",
                crate::chain(&problem)
            );
        }
        match node_bytes(&self.sources).filter(|_| is_alone) {
            Some(bytes) => (TrafficSource::Node, bytes),
            None => (TrafficSource::Nothing, Bytes::default()),
        }
    }

    /// Adds up what containers hold on the disk, once a window and beside the readings.
    fn look_at_disks(&mut self, running: &[Running]) {
        let window = window_of(crate::now());
        if self.looked_at.0 != window {
            self.looked_at = (window, HashSet::new());
        }
        let mut due = running.to_vec();
        due.retain(|one| self.looked_at.1.insert(one.run.clone()));
        if due.is_empty() {
            return;
        }
        let (docker, disk) = (self.docker.clone(), self.disk.clone());
        tokio::spawn(async move {
            for one in due {
                let layer = docker.layer_bytes(&one.id).await.unwrap_or(0);
                let below = move || one.writable.iter().map(|folder| disk::bytes_below(folder)).sum::<u64>();
                if let Ok(below) = tokio::task::spawn_blocking(below).await {
                    disk.lock().insert(one.run, layer.saturating_add(below));
                }
            }
        });
    }

    /// Writes down what was counted, when it is time or when what is counted has changed, and makes reports of it.
    fn keep(&mut self, has_changed: bool) {
        let is_due = self.kept.elapsed() >= KEEP_INTERVAL;
        // Pieces of a window are reported only to somebody who takes them at once.
        let is_taken = {
            let reports = self.reports.lock();
            reports.is_taken && reports.numbers.is_empty()
        };
        let all = is_taken && (is_due || self.is_telling);
        if !is_due && !has_changed && !all {
            return;
        }
        if is_due {
            self.kept = Instant::now();
        }
        let mut ledger = self.ledger.clone();
        let closed = ledger.close(crate::now(), all);
        let mut written = closed
            .iter()
            .try_for_each(|report| self.home.store(&Reports::name(report.number), report));
        if written.is_ok() {
            written = self.home.store(LEDGER_FILE, &ledger);
        }
        if let Err(error) = written {
            // It stays in the ledger, and is tried again with what follows.
            tracing::error!("{}", crate::chain(&error));
            return;
        }
        self.ledger = ledger;
        self.is_telling &= !all;
        if !closed.is_empty() {
            self.reports.lock().add(closed.iter().map(|report| report.number));
            self.waiting.notify_one();
        }
    }
}

/// What went over the node's physical interfaces since they came up.
fn node_bytes(sources: &Sources) -> Option<Bytes> {
    let text = sources.text("proc/net/dev")?;
    let mut sum = None;
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':') else {
            continue;
        };
        if !sources.path(&format!("sys/class/net/{}/device", name.trim())).exists() {
            continue;
        }
        let mut counters = counters.split_whitespace();
        let received: u64 = counters.next()?.parse().ok()?;
        let sent: u64 = counters.nth(7)?.parse().ok()?;
        let before: Bytes = sum.unwrap_or_default();
        sum = Some(Bytes {
            sent: before.sent.saturating_add(sent),
            received: before.received.saturating_add(received),
        });
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports(next: u64) -> (tempfile::TempDir, Reports) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("agent"));
        home.create().unwrap();
        for number in 10..30 {
            let report = Usage {
                epoch: 1,
                number,
                window: Time(0),
                parts: Vec::new(),
            };
            home.store(&Reports::name(number), &report).unwrap();
        }
        (dir, Reports::open(home, next))
    }

    fn sent(reports: &mut Reports) -> Vec<u64> {
        std::iter::from_fn(|| reports.next_to_send())
            .map(|report| report.number)
            .collect()
    }

    #[test]
    fn what_is_not_stored_is_sent_again() {
        let (dir, mut reports) = reports(25);
        assert_eq!(sent(&mut reports), [0_u64; 0], "the engine does not take them");
        reports.is_taken = true;
        assert_eq!(sent(&mut reports), (10..18).collect::<Vec<_>>());
        assert_eq!(sent(&mut reports), [0_u64; 0], "only so many at a time");
        reports.stored(12);
        assert_eq!(sent(&mut reports), [18, 19, 20]);
        // A new link.
        reports.sent = 0;
        assert_eq!(sent(&mut reports), (13..21).collect::<Vec<_>>());
        // Of those that were sent only, whatever the engine says.
        reports.stored(u64::MAX);
        assert_eq!(sent(&mut reports), (21..25).collect::<Vec<_>>());
        reports.stored(24);
        assert_eq!(
            fs::read_dir(dir.path().join("agent/usage")).unwrap().count(),
            0,
            "nor those from 25 on"
        );
    }

    #[test]
    fn a_damaged_report_holds_nothing_up() {
        let (_dir, mut reports) = reports(13);
        fs::write(reports.path(11), [0xff]).unwrap();
        fs::remove_file(reports.path(10)).unwrap();
        reports.is_taken = true;
        assert_eq!(sent(&mut reports), [12]);
        assert_eq!((reports.home.damaged(), reports.path(11).exists()), (None, false));
    }

    #[test]
    fn the_oldest_reports_go_first() {
        let (_dir, mut reports) = reports(30);
        reports.add(30..10 + REPORTS_MAX as u64 + 5);
        assert_eq!(
            (reports.numbers.len(), reports.numbers.front()),
            (REPORTS_MAX, Some(&15))
        );
        assert!(!reports.path(14).exists() && reports.path(15).exists());
    }

    #[test]
    fn only_physical_interfaces_are_the_nodes() {
        let dev = "Inter-| x\n face |x\n    lo: 9 1 0 0 0 0 0 0 9 1\n  eth0: 100 1 0 0 0 0 0 0 50 1\n docker0: 7 1 0 0 0 0 0 0 7 1\n";
        let (_dir, sources) =
            crate::facts::tests::machine(&[("proc/net/dev", dev), ("sys/class/net/eth0/device/vendor", "1")]);
        assert_eq!(
            node_bytes(&sources),
            Some(Bytes {
                sent: 50,
                received: 100
            })
        );
        let (_dir, bare) = crate::facts::tests::machine(&[("proc/net/dev", dev)]);
        assert_eq!(node_bytes(&bare), None);
    }
}
