//! Simulated instances: how far one has come is a function of when it was begun.

use crate::{chance::share, profile::Profile};
use edgedeck_model::{
    PlacementId, Time, VersionId,
    api::{LogLine, LogPage},
    app::{Part, Run, Spec},
    deployment::{InstanceState, PartStatus, RESTART_WINDOW, Reason, Wanted},
    time::{MINUTE, SECOND},
};
use edgedeck_protocol::{Desired, Instance};
use std::{collections::BTreeMap, time::Duration};

/// What is simulated of one placement.
struct Simulated {
    version: VersionId,
    wanted: Wanted,
    spec: Spec,
    begun: Time,
}

/// The instances of one node.
#[derive(Default)]
pub struct Instances {
    all: BTreeMap<PlacementId, Simulated>,
    removed: BTreeMap<PlacementId, (VersionId, Time)>,
    pub generation: u64,
}

/// A part that runs as a container.
pub struct Running {
    pub placement: PlacementId,
    pub version: VersionId,
    pub part: String,
    pub image: String,
    pub on_host: bool,
}

/// How an instance fares.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Runs,
    /// Its image is nowhere.
    NoImage,
    /// Ends after so many milliseconds, again and again.
    Crashes(i64),
}

/// What the fleet's options say about instances.
#[derive(Clone, Copy)]
pub struct Rules {
    pub faults: bool,
    pub start_delay: Duration,
}

impl Instances {
    pub fn want(&mut self, desired: Desired, now: Time) {
        if desired.generation < self.generation {
            return;
        }
        self.generation = desired.generation;
        let mut before = std::mem::take(&mut self.all);
        for workload in desired
            .workloads
            .into_iter()
            .filter(|workload| workload.wanted != Wanted::Gone)
        {
            let old = before.remove(&workload.placement);
            let same = |old: &Simulated| old.version == workload.version && old.wanted == workload.wanted;
            let begun = old.filter(same).map_or(now, |old| old.begun);
            self.removed.remove(&workload.placement);
            let (version, wanted, spec) = (workload.version, workload.wanted, workload.spec);
            self.all.insert(
                workload.placement,
                Simulated {
                    version,
                    wanted,
                    spec,
                    begun,
                },
            );
        }
        self.removed.extend(
            before
                .into_iter()
                .map(|(placement, gone)| (placement, (gone.version, now))),
        );
    }

    /// The engine knows what was reported.
    pub fn stored(&mut self) {
        self.removed.clear();
    }

    /// What is reported now, and when that changes by itself.
    pub fn report(&self, profile: &Profile, rules: Rules, now: Time) -> (Vec<Instance>, Option<Time>) {
        let mut next: Option<Time> = None;
        let mut list = Vec::with_capacity(self.all.len() + self.removed.len());
        for (placement, one) in &self.all {
            let mut at = one.begun;
            let parts = one.spec.parts.iter().enumerate().map(|(part_number, part)| {
                let (status, changed, changes) = one.part(part, part_number, *placement, profile, rules, now);
                at = at.max(changed);
                next = [next, changes].into_iter().flatten().min();
                status
            });
            let parts = parts.collect();
            list.push(Instance {
                placement: *placement,
                version: one.version,
                parts,
                removed: false,
                at,
            });
        }
        list.extend(self.removed.iter().map(|(placement, (version, at))| {
            let (placement, version, at) = (*placement, *version, *at);
            Instance {
                placement,
                version,
                parts: Vec::new(),
                removed: true,
                at,
            }
        }));
        (list, next)
    }

    /// Every part that runs now as a container, with its image.
    pub fn containers(&self, profile: &Profile, rules: Rules, now: Time) -> Vec<Running> {
        let mut running = Vec::new();
        for (placement, one) in &self.all {
            for (number, part) in one.spec.parts.iter().enumerate() {
                let (status, ..) = one.part(part, number, *placement, profile, rules, now);
                if let Run::Container(container) = &part.run
                    && status.state == InstanceState::Running
                {
                    running.push(Running {
                        placement: *placement,
                        version: one.version,
                        part: part.name.clone(),
                        image: container.image.clone(),
                        on_host: container.host_network,
                    });
                }
            }
        }
        running
    }

    /// Lines of a log that a program could have written: one each second since the instance was begun.
    pub fn logs(&self, placement: PlacementId, after: u64, lines: u32, now: Time) -> Option<LogPage> {
        let one = self.all.get(&placement)?;
        let count = u64::try_from(now.since(one.begun) / SECOND).unwrap_or(0);
        let lines = u64::from(lines);
        let first = if after == 0 || after > count {
            count.saturating_sub(lines)
        } else {
            after
        };
        let last = count.min(first + lines);
        let line = |number: u64| {
            let at = one.begun.plus(i64::try_from(number).unwrap_or(0) * SECOND);
            let milliseconds = 8.0 + share(&[placement.0.as_u128() as u64, number]) * 30.0;
            match number {
                0 => LogLine {
                    at,
                    error: false,
                    text: "模型已加载，开始推理 model loaded".to_owned(),
                },
                n if n % 97 == 96 => LogLine {
                    at,
                    error: true,
                    text: format!("frame {n}: dropped, queue full"),
                },
                n => LogLine {
                    at,
                    error: false,
                    text: format!("frame {n}: inference {milliseconds:.1} ms, 3 objects"),
                },
            }
        };
        Some(LogPage {
            lines: (first..last).map(line).collect(),
            next: last,
        })
    }
}

impl Simulated {
    /// The status of a part, since when, and until when.
    fn part(
        &self,
        part: &Part,
        part_number: usize,
        placement: PlacementId,
        profile: &Profile,
        rules: Rules,
        now: Time,
    ) -> (PartStatus, Time, Option<Time>) {
        let [seed, node, _] = profile.inputs(0);
        // Of the deployment, not of chance alone: a seeded share of nodes fails each version.
        let version = self.version.0.as_u128() as u64;
        let chance = |what: u64| share(&[seed, node, version, part_number as u64, what]);
        let fate = match chance(50) {
            _ if !rules.faults => Fate::Runs,
            x if x < 0.01 => Fate::NoImage,
            x if x < 0.03 => Fate::Crashes(5 * SECOND + (chance(51) * 15.0) as i64 * SECOND),
            _ => Fate::Runs,
        };
        let mut status = PartStatus {
            name: part.name.clone(),
            state: InstanceState::Stopped,
            restarts: 0,
            recent_restarts: 0,
            exit_code: None,
            reason: None,
            detail: None,
            started_at: None,
            finished_at: None,
            next_start_at: None,
            unhealthy: false,
            ready: None,
        };
        if self.wanted != Wanted::Running {
            return (status, self.begun, None);
        }
        let delay = rules.start_delay.as_millis() as f64;
        let pulled = self.begun.plus((delay * 0.7 * chance(52)) as i64);
        let started = pulled.plus((delay * 0.3 * chance(53)) as i64);
        if now < pulled {
            status.state = InstanceState::Pulling;
            return (status, self.begun, Some(pulled));
        }
        if fate == Fate::NoImage {
            status.state = InstanceState::Failed;
            status.reason = Some(Reason::ImageNotFound);
            status.detail = Some(format!("manifest unknown ({placement})"));
            return (status, pulled, None);
        }
        if now < started {
            status.state = InstanceState::Starting;
            return (status, pulled, Some(started));
        }
        status.state = InstanceState::Running;
        status.ready = part.readiness.as_ref().map(|_| true);
        status.started_at = Some(started);
        let Fate::Crashes(life) = fate else {
            return (status, started, None);
        };
        // Runs, ends, waits for longer and longer, as the real agent does.
        let mut begin = started;
        let mut starts = Vec::new();
        loop {
            let end = begin.plus(life);
            let wait = (SECOND << starts.len().min(9)).min(5 * MINUTE);
            let again = end.plus(wait);
            let recent = starts
                .iter()
                .filter(|at: &&Time| now.since(**at) < RESTART_WINDOW)
                .count();
            status.restarts = u32::try_from(starts.len()).unwrap_or(u32::MAX);
            status.recent_restarts = u32::try_from(recent).unwrap_or(u32::MAX);
            status.started_at = Some(begin);
            if now < end {
                return (status, begin, Some(end));
            }
            status.exit_code = Some(139);
            status.finished_at = Some(end);
            if now < again {
                status.state = InstanceState::BackOff;
                status.ready = None;
                status.reason = Some(Reason::Exited);
                status.next_start_at = Some(again);
                return (status, end, Some(again));
            }
            starts.push(again);
            begin = again;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::{
        DeploymentId,
        app::{Container, Run},
    };
    use edgedeck_protocol::Workload;
    use uuid::Uuid;

    const RULES: Rules = Rules {
        faults: true,
        start_delay: Duration::from_secs(3),
    };

    fn desired(generation: u64, wanted: Option<Wanted>) -> Desired {
        let part = Part {
            name: "main".to_owned(),
            run: Run::Container(Container::default()),
            args: vec![],
            env: BTreeMap::new(),
            resources: Default::default(),
            restart: Default::default(),
            liveness: None,
            readiness: None,
        };
        let workload = |wanted| Workload {
            placement: PlacementId(Uuid::from_u128(1)),
            deployment: DeploymentId(Uuid::from_u128(2)),
            name: "x".to_owned(),
            version: VersionId(Uuid::from_u128(3)),
            wanted,
            restarts: 0,
            spec: Spec {
                parts: vec![part.clone()],
            },
        };
        Desired {
            generation,
            workloads: wanted.map(workload).into_iter().collect(),
        }
    }

    #[test]
    fn instances_come_and_go_and_some_fail() {
        let mut states = BTreeMap::<InstanceState, u32>::new();
        for node in 0..1_000 {
            let profile = Profile::new(1, node);
            let mut instances = Instances::default();
            instances.want(desired(1, Some(Wanted::Running)), Time(0));
            let (first, next) = instances.report(&profile, RULES, Time(0));
            assert_eq!(first[0].parts[0].state, InstanceState::Pulling);
            assert!(next.is_some_and(|next| next.0 > 0));
            let (later, _) = instances.report(&profile, RULES, Time(10 * MINUTE));
            *states.entry(later[0].parts[0].state).or_default() += 1;
            instances.want(desired(2, Some(Wanted::Stopped)), Time(11 * MINUTE));
            assert_eq!(
                instances.report(&profile, RULES, Time(11 * MINUTE)).0[0].parts[0].state,
                InstanceState::Stopped
            );
            instances.want(desired(3, None), Time(12 * MINUTE));
            assert!(instances.report(&profile, RULES, Time(12 * MINUTE)).0[0].removed);
            instances.stored();
            assert_eq!(instances.report(&profile, RULES, Time(12 * MINUTE)), (vec![], None));
        }
        assert!(
            states[&InstanceState::Running] > 950 && states[&InstanceState::Failed] > 2,
            "{states:?}"
        );
        assert!(
            states.get(&InstanceState::BackOff).is_some_and(|count| *count > 2),
            "{states:?}"
        );
    }

    #[test]
    fn logs_go_on_where_they_ended() {
        let mut instances = Instances::default();
        instances.want(desired(1, Some(Wanted::Running)), Time(0));
        let id = PlacementId(Uuid::from_u128(1));
        let last = instances.logs(id, 0, 3, Time(10_000)).unwrap();
        assert_eq!((last.lines.len(), last.next), (3, 10));
        assert_eq!(instances.logs(id, 10, 3, Time(10_000)).unwrap().lines.len(), 0);
        assert_eq!(instances.logs(id, 10, 3, Time(12_000)).unwrap().lines.len(), 2);
        assert!(instances.logs(PlacementId(Uuid::nil()), 0, 3, Time(0)).is_none());
    }
}
