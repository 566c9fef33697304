//! Watches the node: facts from time to time, samples at the pace that the engine asks for.

use crate::{facts, metrics::Meter, npu, runtime::docker::Docker, samples::Samples, sources::Sources};
use edgedeck_model::{
    name::tame,
    node::Facts,
    npu::NpuReport,
    telemetry::{Metric, Sample, Value},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, watch},
    time::sleep,
};

/// How often facts are read again.
const FACTS_INTERVAL: Duration = Duration::from_secs(5);
/// Bounds of the pace of samples.
const PACE: std::ops::RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(600);

/// What was observed; shared with the link.
#[derive(Clone)]
pub struct Observations {
    pub samples: Arc<Mutex<Samples>>,
    /// Told of every new sample.
    pub sampled: Arc<Notify>,
    /// `None` before the first reading.
    pub facts: watch::Receiver<Option<Facts>>,
    pace: watch::Sender<Duration>,
}

impl Observations {
    /// Changes how often samples are taken, from now on.
    pub fn set_pace(&self, milliseconds: u32) {
        let pace = Duration::from_millis(milliseconds.into()).clamp(*PACE.start(), *PACE.end());
        self.pace.send_if_modified(|old| std::mem::replace(old, pace) != pace);
    }

    /// The samples; whoever held them last did nothing that could leave them half-changed.
    pub fn samples(&self) -> std::sync::MutexGuard<'_, Samples> {
        self.samples.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Reads one node.
pub struct Observer {
    sources: Sources,
    meter: Meter,
    docker: Arc<Docker>,
    npu_tool: PathBuf,
    npus: NpuState,
    facts: watch::Sender<Option<Facts>>,
    shared: Observations,
    pace: watch::Receiver<Duration>,
}

#[derive(Default)]
struct NpuState {
    report: NpuReport,
    problem: Option<String>,
}

/// The NPU tool: named by `EDGEDECK_NPU_SMI`, else in the search path.
pub fn npu_tool() -> PathBuf {
    std::env::var_os("EDGEDECK_NPU_SMI")
        .filter(|path| !path.is_empty())
        .unwrap_or_else(|| npu::TOOL.into())
        .into()
}

impl Observer {
    pub fn new(sources: Sources, docker: Arc<Docker>, npu_tool: PathBuf) -> (Self, Observations) {
        let (facts, facts_seen) = watch::channel(None);
        let (pace_set, pace) = watch::channel(Duration::from_millis(edgedeck_protocol::SAMPLE_INTERVAL.into()));
        let shared = Observations {
            samples: Arc::new(Mutex::new(Samples::new(crate::now()))),
            sampled: Arc::new(Notify::new()),
            facts: facts_seen,
            pace: pace_set,
        };
        let meter = Meter::new(sources.clone());
        let npus = NpuState::default();
        (
            Self {
                sources,
                meter,
                docker,
                npu_tool,
                npus,
                facts,
                shared: shared.clone(),
                pace,
            },
            shared,
        )
    }

    /// Observes until it is dropped.
    pub async fn run(mut self) {
        self.read_npus().await;
        self.read_facts().await;
        let mut facts_read = Instant::now();
        loop {
            let pace = *self.pace.borrow_and_update();
            tokio::select! {
                () = sleep(pace) => {}
                changed = self.pace.changed() => {
                    // A quicker pace is for somebody who waits: measure at once.
                    if changed.is_err() { return }
                }
            }
            self.sample().await;
            if facts_read.elapsed() >= FACTS_INTERVAL {
                self.read_facts().await;
                facts_read = Instant::now();
            }
        }
    }

    async fn sample(&mut self) {
        let at = crate::now();
        let (mut sample, _) = self.meter.measure(at).await;
        if self.read_npus().await {
            npu_values(&self.npus.report, &mut sample);
        }
        self.shared.samples().push(sample);
        self.shared.sampled.notify_one();
    }

    /// Whether the chips could be read now. What was read before stays as facts.
    async fn read_npus(&mut self) -> bool {
        match npu::read(&self.npu_tool, npu::DEADLINE).await {
            // Half an answer must not make chips vanish: what was read whole before stays as facts.
            Ok(report) if report.unread_lines > 0 && report.chips.len() < self.npus.report.chips.len() => {
                self.npus.problem = Some(format!(
                    "{} lines of the NPU tool's answer are not readable",
                    report.unread_lines
                ));
                false
            }
            Ok(report) => {
                self.npus = NpuState { report, problem: None };
                true
            }
            Err(npu::NpuError::NotInstalled { .. }) => {
                self.npus = NpuState::default();
                false
            }
            Err(error) => {
                self.npus.problem = Some(tame(&crate::chain(&error), 300));
                false
            }
        }
    }

    /// Whether a container engine was there since this agent began.
    fn had_runtime(&self) -> bool {
        let facts = self.facts.borrow();
        facts
            .as_ref()
            .is_some_and(|facts| facts.runtime.is_some() || facts.runtime_problem.is_some())
    }

    async fn read_facts(&mut self) {
        let mut facts = facts::read(&self.sources).await;
        match self.docker.about().await {
            Some(Ok(runtime)) => facts.runtime = Some(runtime),
            Some(Err(problem)) => facts.runtime_problem = Some(problem),
            // One that was there and is not any more is missed; a box may do without one, too.
            None if self.had_runtime() => facts.runtime_problem = Some("its socket is gone".to_owned()),
            None => {}
        }
        let report = &self.npus.report;
        facts.npu_tool_version.clone_from(&report.tool_version);
        facts.npu_driver_version.clone_from(&report.driver_version);
        facts.npus = report.chips.iter().map(edgedeck_model::npu::NpuChip::lasting).collect();
        facts.npu_problem.clone_from(&self.npus.problem);
        self.facts.send_if_modified(|old| {
            let changed = old.as_ref().is_none_or(|old| !is_same(old, &facts));
            if changed {
                *old = Some(facts);
            }
            changed
        });
    }
}

/// Whether facts differ by less than is worth telling: a disk's use moves all the time.
fn is_same(old: &Facts, new: &Facts) -> bool {
    let disks_same = old.disks.len() == new.disks.len()
        && old.disks.iter().zip(&new.disks).all(|(old, new)| {
            let moved = old.used_bytes.abs_diff(new.used_bytes);
            let same_disk = (&old.mount, &old.device, old.total_bytes) == (&new.mount, &new.device, new.total_bytes);
            same_disk && moved < new.total_bytes / 200
        });
    disks_same
        && Facts {
            disks: Vec::new(),
            ..old.clone()
        } == Facts {
            disks: Vec::new(),
            ..new.clone()
        }
}

/// Adds what the chips measure, each under its key.
pub fn npu_values(report: &NpuReport, sample: &mut Sample) {
    for chip in &report.chips {
        let part = chip.key().part();
        let memory = chip.main_memory().filter(|memory| memory.total_bytes > 0);
        let readings = [
            (Metric::NpuPercent, chip.load_percent()),
            (
                Metric::NpuMemoryPercent,
                memory.map(|memory| memory.used_bytes as f64 * 100.0 / memory.total_bytes as f64),
            ),
            (Metric::NpuTemperature, chip.temperature_c),
            (Metric::NpuPower, chip.power_w),
        ];
        for (metric, value) in readings {
            let value = value.map(|value| value as f32).filter(|value| value.is_finite());
            sample.values.extend(value.map(|value| Value { metric, part, value }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::{Time, node::Disk};

    #[test]
    fn a_disk_must_move_by_half_a_percent() {
        let facts = |used_bytes| Facts {
            disks: vec![Disk {
                mount: "/".to_owned(),
                total_bytes: 1_000,
                used_bytes,
                ..Disk::default()
            }],
            ..Facts::default()
        };
        assert!(is_same(&facts(500), &facts(504)));
        assert!(!is_same(&facts(500), &facts(505)));
        assert!(!is_same(
            &facts(500),
            &Facts {
                kernel: "6".to_owned(),
                ..facts(500)
            }
        ));
        assert!(!is_same(&facts(500), &Facts::default()));
    }

    /// The vendor's tool, as a script that prints captured output.
    #[tokio::test]
    async fn chips_are_measured_and_a_broken_tool_is_told() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let captured = include_str!("../tests/npu/info-310P3-300I-Duo-partial-v25.2.0.txt");
        let good = crate::npu::parse_info(captured).unwrap();
        assert!(!good.chips.is_empty());
        std::fs::write(dir.path().join("out"), captured).unwrap();
        let tool = dir.path().join("npu-smi");
        let script = format!(
            "#!/bin/sh\n[ -f {0}/broken ] && exit 3\ncat {0}/out\n",
            dir.path().display()
        );
        std::fs::write(&tool, script).unwrap();
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        let (_machine, sources) = crate::facts::tests::machine(&[]);
        let node = edgedeck_model::NodeId(uuid::Uuid::nil());
        let outsides = crate::outside::Outsides::open(crate::home::Home::new("/nonexistent"), sources.clone());
        let docker = Docker::new(
            "unix:///nonexistent".to_owned(),
            node,
            sources.clone(),
            Arc::new(outsides),
        );
        let docker = Arc::new(docker);
        let (mut observer, shared) = Observer::new(sources, docker, tool);
        observer.sample().await;
        let (_, sample) = shared.samples().next_to_send().unwrap();
        let mut expected = Sample {
            at: Time(0),
            values: Vec::new(),
        };
        npu_values(&good, &mut expected);
        assert!(!expected.values.is_empty());
        assert_eq!(sample.values, expected.values);
        observer.read_facts().await;
        assert_eq!(shared.facts.borrow().as_ref().unwrap().npus.len(), good.chips.len());
        // The chips stay as facts, with the problem beside them; nothing is measured.
        std::fs::write(dir.path().join("broken"), "").unwrap();
        observer.sample().await;
        observer.read_facts().await;
        assert_eq!(shared.samples().next_to_send().unwrap().1.values, []);
        let facts = shared.facts.borrow().clone().unwrap();
        assert!(facts.npu_problem.is_some() && facts.npus.len() == good.chips.len() && facts.runtime.is_none());
    }
}
