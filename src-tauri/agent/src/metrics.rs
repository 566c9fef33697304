//! What a node measures, out of the kernel's counters.

use crate::{facts, sources::Sources};
use edgedeck_model::{
    Time,
    node::Disk,
    telemetry::{Metric, Sample, Value},
};
use std::time::{Duration, Instant};

/// Counters of the last measurement, to make rates of.
#[derive(Debug)]
pub struct Meter {
    sources: Sources,
    cpu: Option<CpuTimes>,
    network: Option<(Instant, NetworkBytes)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CpuTimes {
    busy: u64,
    all: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NetworkBytes {
    received: u64,
    sent: u64,
}

impl Meter {
    pub fn new(sources: Sources) -> Self {
        let cpu = cpu_times(&sources);
        let network = network_bytes(&sources).map(|bytes| (Instant::now(), bytes));
        Self { sources, cpu, network }
    }

    /// Measures everything but the NPUs. What cannot be read is left out.
    pub async fn measure(&mut self, at: Time) -> (Sample, Vec<Disk>) {
        let mut values = Vec::with_capacity(8);
        let mut push = |metric, value: Option<f32>| {
            values.extend(
                value
                    .filter(|value| value.is_finite())
                    .map(|value| Value { metric, part: 0, value }),
            );
        };
        push(Metric::CpuPercent, self.cpu_percent());
        if let Some((total, available)) = facts::memory(&self.sources).filter(|(total, _)| *total > 0) {
            let used = (total - available) as f64;
            push(Metric::MemoryUsed, Some(used as f32));
            push(Metric::MemoryPercent, Some((used * 100.0 / total as f64) as f32));
        }
        push(Metric::Load1, load1(&self.sources));
        let (received, sent) = self.network_rates(Instant::now()).unzip();
        push(Metric::NetworkReceived, received);
        push(Metric::NetworkSent, sent);
        let disks = facts::disks(&self.sources).await;
        push(Metric::DiskPercent, disks.iter().map(disk_percent).reduce(f32::max));
        (Sample { at, values }, disks)
    }

    fn cpu_percent(&mut self) -> Option<f32> {
        let new = cpu_times(&self.sources)?;
        let old = self.cpu.replace(new)?;
        let all = new.all.checked_sub(old.all).filter(|all| *all > 0)?;
        let busy = new.busy.saturating_sub(old.busy).min(all);
        Some((busy as f64 * 100.0 / all as f64) as f32)
    }

    fn network_rates(&mut self, now: Instant) -> Option<(f32, f32)> {
        let new = network_bytes(&self.sources)?;
        let (then, old) = self.network.replace((now, new))?;
        let seconds = now.duration_since(then).max(Duration::from_millis(1)).as_secs_f64();
        // An interface that went away takes its count with it: no rate this time.
        let received = new.received.checked_sub(old.received)? as f64 / seconds;
        let sent = new.sent.checked_sub(old.sent)? as f64 / seconds;
        Some((received as f32, sent as f32))
    }
}

fn disk_percent(disk: &Disk) -> f32 {
    (disk.used_bytes as f64 * 100.0 / disk.total_bytes.max(1) as f64) as f32
}

fn cpu_times(sources: &Sources) -> Option<CpuTimes> {
    let text = sources.text("proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    // user nice system idle iowait irq softirq steal; the guests after them are in user and nice already.
    let numbers: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let all: u64 = numbers.iter().sum();
    let idle = numbers.get(3)? + numbers.get(4).copied().unwrap_or(0);
    Some(CpuTimes { busy: all - idle, all })
}

fn load1(sources: &Sources) -> Option<f32> {
    sources.text("proc/loadavg")?.split_whitespace().next()?.parse().ok()
}

fn network_bytes(sources: &Sources) -> Option<NetworkBytes> {
    let text = sources.text("proc/net/dev")?;
    let mut sum = NetworkBytes { received: 0, sent: 0 };
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':') else {
            continue;
        };
        if name.trim() == "lo" {
            continue;
        }
        let mut counters = counters.split_whitespace();
        let received = counters.next()?.parse::<u64>().ok()?;
        let sent = counters.nth(7)?.parse::<u64>().ok()?;
        sum = NetworkBytes {
            received: sum.received.saturating_add(received),
            sent: sum.sent.saturating_add(sent),
        };
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::machine;
    use std::fs;

    fn value(sample: &Sample, metric: Metric) -> Option<f32> {
        sample
            .values
            .iter()
            .find(|value| value.metric == metric)
            .map(|value| value.value)
    }

    const DEV: &str =
        "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n";

    #[tokio::test]
    async fn rates_are_differences() {
        let dev = |received: u64, sent: u64| {
            format!(
                "{DEV}    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  eth0: {received} 1 0 0 0 0 0 0 {sent} 1 0 0 0 0 0 0\n"
            )
        };
        let (dir, sources) = machine(&[
            ("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\n"),
            ("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 250 kB\n"),
            ("proc/loadavg", "0.42 0.3 0.2 1/100 5\n"),
            ("proc/net/dev", &dev(1_000, 500)),
        ]);
        let mut meter = Meter::new(sources);
        fs::write(dir.path().join("proc/stat"), "cpu  130 0 110 860 0 0 0 0 0 0\n").unwrap();
        fs::write(dir.path().join("proc/net/dev"), dev(3_000, 400)).unwrap();
        let (sample, disks) = meter.measure(Time(5)).await;
        assert_eq!(value(&sample, Metric::CpuPercent), Some(40.0));
        assert_eq!(value(&sample, Metric::MemoryPercent), Some(75.0));
        assert_eq!(value(&sample, Metric::MemoryUsed), Some(768_000.0));
        assert_eq!(value(&sample, Metric::Load1), Some(0.42));
        // The counter of bytes sent ran backwards, so neither rate can be told.
        assert_eq!(value(&sample, Metric::NetworkReceived), None);
        assert_eq!(value(&sample, Metric::NetworkSent), None);
        assert_eq!(
            (sample.at, disks.len(), value(&sample, Metric::DiskPercent)),
            (Time(5), 0, None)
        );
    }

    #[test]
    fn bytes_a_second() {
        let (dir, sources) = machine(&[("proc/net/dev", &format!("{DEV} eth0: 0 0 0 0 0 0 0 0 0 0\n"))]);
        let mut meter = Meter::new(sources);
        let (then, _) = meter.network.unwrap();
        fs::write(
            dir.path().join("proc/net/dev"),
            format!("{DEV} eth0: 5000 0 0 0 0 0 0 0 2500 0\n"),
        )
        .unwrap();
        assert_eq!(
            meter.network_rates(then + Duration::from_secs(5)),
            Some((1_000.0, 500.0))
        );
    }

    #[tokio::test]
    async fn a_machine_that_tells_nothing_measures_nothing() {
        let (_dir, sources) = machine(&[("proc/stat", "cpu  x y\n"), ("proc/net/dev", "eth0: a b\n")]);
        let (sample, _) = Meter::new(sources).measure(Time(0)).await;
        assert_eq!(sample.values, []);
    }

    #[tokio::test]
    async fn this_machine() {
        let mut meter = Meter::new(Sources::default());
        let (sample, _) = meter.measure(Time(0)).await;
        assert!(
            value(&sample, Metric::MemoryUsed).is_some_and(|used| used > 0.0),
            "{sample:?}"
        );
        assert!(value(&sample, Metric::Load1).is_some(), "{sample:?}");
    }
}
