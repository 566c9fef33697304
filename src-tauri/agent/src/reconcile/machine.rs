//! All parts of a node together.

use super::{
    Action, Kind, Look, Memory, Outcome, PartKey, Purpose, Removed, Seen, SeenState, Trial, Trouble,
    part::{Busy, Tracked, WantedPart},
    spec_hash,
};
use edgedeck_model::{
    Lang, PlacementId, Time, VersionId,
    deployment::{Reason, Wanted},
};
use edgedeck_protocol::{Desired, Instance};
use std::collections::{BTreeMap, BTreeSet};

/// The state machine.
#[derive(Debug, Default)]
pub struct Machine {
    /// Nothing is done, and nothing removed, before it is known what is wanted.
    desired: Option<Desired>,
    parts: BTreeMap<PartKey, Tracked>,
    removed: BTreeMap<PlacementId, Removed>,
    /// Counts looks at the runtimes.
    looks: u64,
    /// A look has told something.
    ready: bool,
    containers_up: bool,
    processes_up: bool,
    reported: BTreeMap<PlacementId, Instance>,
}

impl Machine {
    pub fn new(memory: Memory) -> Self {
        let parts = memory
            .parts
            .into_iter()
            .map(|(key, memory)| {
                (
                    key,
                    Tracked {
                        memory,
                        ..Tracked::default()
                    },
                )
            })
            .collect();
        Self {
            parts,
            removed: memory.removed,
            ..Self::default()
        }
    }

    /// What must be on disk before the next action.
    pub fn memory(&self) -> Memory {
        Memory {
            parts: self
                .parts
                .iter()
                .map(|(key, tracked)| (key.clone(), tracked.memory.clone()))
                .collect(),
            removed: self.removed.clone(),
        }
    }

    /// The generation that is worked on; 0 for none.
    pub fn generation(&self) -> u64 {
        self.desired.as_ref().map_or(0, |desired| desired.generation)
    }

    pub fn desired(&self) -> Option<&Desired> {
        self.desired.as_ref()
    }

    /// Takes what is wanted from now on.
    pub fn want(&mut self, desired: Desired, now: Time) {
        let mut wanted: BTreeMap<PartKey, WantedPart> = BTreeMap::new();
        for workload in desired
            .workloads
            .iter()
            .filter(|workload| workload.wanted != Wanted::Gone)
        {
            self.removed.remove(&workload.placement);
            let invalid = workload.spec.check().err().map(|problem| problem.text(Lang::En));
            for part in &workload.spec.parts {
                let key = PartKey {
                    placement: workload.placement,
                    part: part.name.clone(),
                };
                let hash = spec_hash(workload.version, part, workload.restarts);
                let (part, version) = (part.clone(), workload.version);
                wanted.insert(
                    key,
                    WantedPart {
                        part,
                        version,
                        hash,
                        wanted: workload.wanted,
                        invalid: invalid.clone(),
                    },
                );
            }
        }
        for (key, tracked) in &mut self.parts {
            if !wanted.contains_key(key) {
                tracked.want(None);
            }
        }
        for (key, part) in wanted {
            self.parts.entry(key).or_default().want(Some(part));
        }
        self.desired = Some(desired);
        self.forget_gone(now);
    }

    /// A look at the runtimes begins; what changes meanwhile is newer than what it finds.
    pub fn begin_look(&mut self) -> u64 {
        self.looks += 1;
        self.looks
    }

    /// Takes what the look with this number found.
    pub fn looked(&mut self, look: u64, found: Look, now: Time) {
        self.ready = true;
        self.containers_up = found.containers.is_some();
        self.processes_up = found.processes.is_some();
        for (kind, list) in [(Kind::Container, found.containers), (Kind::Process, found.processes)] {
            let Some(list) = list else { continue };
            let mut by_key: BTreeMap<PartKey, Vec<Seen>> = BTreeMap::new();
            for seen in list {
                by_key.entry(seen.key.clone()).or_default().push(seen);
            }
            for key in by_key.keys() {
                self.parts.entry(key.clone()).or_default();
            }
            for (key, tracked) in &mut self.parts {
                if tracked.busy.is_some() || tracked.touched >= look {
                    continue;
                }
                let mut found = by_key.remove(key).unwrap_or_default();
                let here = !found.is_empty();
                let elsewhere = tracked.seen.as_ref().is_some_and(|seen| seen.kind != kind);
                if !here && elsewhere {
                    continue;
                }
                tracked.doubled = found.len() > 1 || (here && elsewhere);
                tracked.see(found.pop(), now);
            }
        }
        self.forget_gone(now);
    }

    /// What to do now; each action is under way from here on, until [`Machine::finished`].
    pub fn actions(&mut self, now: Time) -> Vec<Action> {
        if self.desired.is_none() || !self.ready {
            return Vec::new();
        }
        let up = self.up();
        let mut actions = Vec::new();
        for (key, tracked) in &mut self.parts {
            tracked.mend_clock(now);
            if let Some((busy, action)) = tracked.decide(key, now, up) {
                tracked.busy = Some(busy);
                match &action {
                    Action::Start { part, .. } => {
                        tracked.memory.made = true;
                        tracked.memory.kind = Some(Kind::of(part));
                    }
                    Action::Fetch { .. } => tracked.fetching.clone_from(&tracked.memory.hash),
                    Action::Stop { .. } | Action::Remove { .. } => {}
                }
                actions.push(action);
            }
        }
        actions
    }

    /// An action ended. `seen` is what is there of the part now; ignored after a fetch.
    pub fn finished(&mut self, key: &PartKey, outcome: Result<Option<Seen>, Trouble>, now: Time) {
        let looks = self.looks;
        let Some(tracked) = self.parts.get_mut(key) else { return };
        let Some(busy) = tracked.busy.take() else { return };
        tracked.touched = looks;
        let running = |seen: &Seen| matches!(seen.state, SeenState::Running { .. });
        let trouble = match outcome {
            Err(trouble) => Some(trouble),
            Ok(_) if busy == Busy::Fetch => {
                tracked.fetched = Some(std::mem::take(&mut tracked.fetching));
                None
            }
            Ok(seen) => {
                // Success that shows nothing would be tried again at once, and for ever.
                let without_effect = match busy {
                    Busy::Start => seen
                        .as_ref()
                        .is_none_or(|seen| seen.run == tracked.memory.run && !running(seen)),
                    Busy::Stop => seen.as_ref().is_some_and(running),
                    Busy::Remove => seen.is_some(),
                    Busy::Fetch => false,
                };
                match busy {
                    Busy::Remove if !without_effect => {
                        tracked.memory.made = false;
                        tracked.doubled = false;
                        tracked.memory.blocked = false;
                        tracked.memory.reason = None;
                    }
                    Busy::Stop if !without_effect => tracked.memory.blocked = false,
                    _ => {}
                }
                tracked.see(seen, now);
                without_effect.then(|| Trouble::new(Reason::Refused, format!("{busy:?}: no effect")))
            }
        };
        if let Some(trouble) = trouble {
            // The image may have been removed meanwhile: the next try looks again.
            tracked.fetched = None;
            tracked.fail(trouble, now);
        }
        self.forget_gone(now);
    }

    /// Probes to be tried now; each is under way from here on, until [`Machine::tried`].
    pub fn trials(&mut self, now: Time) -> Vec<Trial> {
        if self.desired.is_none() || !self.ready {
            return Vec::new();
        }
        let up = self.up();
        let trials = self
            .parts
            .iter_mut()
            .flat_map(|(key, tracked)| tracked.trials(key, now, up));
        trials.collect()
    }

    /// Whether somebody waits for the end of this trial; its owner ends it where nobody does.
    pub fn is_trying(&self, key: &PartKey, purpose: Purpose, run: &str) -> bool {
        let tracked = self.parts.get(key);
        tracked.is_some_and(|tracked| tracked.probing.is_under_way(purpose, run))
    }

    /// A trial ended.
    pub fn tried(&mut self, key: &PartKey, purpose: Purpose, run: &str, outcome: Outcome) {
        if let Some(tracked) = self.parts.get_mut(key) {
            tracked.tried(purpose, run, outcome);
        }
    }

    /// Whether the runtime of a kind answers.
    fn up(&self) -> impl Fn(Kind) -> bool + Copy + use<> {
        let (containers_up, processes_up) = (self.containers_up, self.processes_up);
        move |kind| match kind {
            Kind::Container => containers_up,
            Kind::Process => processes_up,
        }
    }

    /// Fetches under way that nobody wants any more; their owner ends them and calls [`Machine::cancelled`].
    pub fn obsolete(&self) -> Vec<PartKey> {
        let is_obsolete = |tracked: &Tracked| {
            let is_wanted = |wanted: &WantedPart| wanted.wanted == Wanted::Running && wanted.hash == tracked.fetching;
            tracked.busy == Some(Busy::Fetch) && !tracked.wanted.as_ref().is_some_and(is_wanted)
        };
        self.parts
            .iter()
            .filter(|(_, tracked)| is_obsolete(tracked))
            .map(|(key, _)| key.clone())
            .collect()
    }

    pub fn cancelled(&mut self, key: &PartKey, now: Time) {
        if let Some(tracked) = self.parts.get_mut(key) {
            tracked.busy = None;
        }
        self.forget_gone(now);
    }

    /// Forgets parts that are neither wanted nor there, and notes placements that are gone with them.
    fn forget_gone(&mut self, now: Time) {
        if self.desired.is_none() {
            return;
        }
        let mut gone: BTreeMap<PlacementId, Option<VersionId>> = BTreeMap::new();
        self.parts.retain(|key, tracked| {
            let keep =
                tracked.wanted.is_some() || tracked.busy.is_some() || tracked.memory.made || tracked.seen.is_some();
            if !keep {
                gone.insert(key.placement, tracked.memory.version);
            }
            keep
        });
        let left: BTreeSet<PlacementId> = self.parts.keys().map(|key| key.placement).collect();
        for (placement, version) in gone {
            if !left.contains(&placement)
                && let Some(version) = version
            {
                self.removed.insert(placement, Removed { version, at: now });
            }
        }
    }

    /// The engine knows that these are gone.
    pub fn removal_stored(&mut self, placements: &[PlacementId]) {
        for placement in placements {
            self.removed.remove(placement);
        }
    }

    /// Whether the runtimes were looked at, so that a report means something.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether no part of a workload is there any more.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// When to ask for actions and trials again after `now`, though nothing happens before. What was due by then and
    /// was not done waits for something to happen.
    pub fn wake_at(&self, now: Time) -> Option<Time> {
        let up = self.up();
        let parts = self.parts.values();
        let due = parts.flat_map(|tracked| [tracked.waits_until(), tracked.tries_at(up)]);
        due.flatten().filter(|at| *at > now).min()
    }

    /// Everything that is wanted, there, or newly gone. `at` is when it last changed.
    pub fn report(&mut self, now: Time) -> Vec<Instance> {
        let up = self.up();
        let mut versions: BTreeMap<PlacementId, VersionId> = BTreeMap::new();
        let mut parts = BTreeMap::new();
        if let Some(desired) = &self.desired {
            versions.extend(
                desired
                    .workloads
                    .iter()
                    .map(|workload| (workload.placement, workload.version)),
            );
        }
        for (key, tracked) in &self.parts {
            let version = tracked
                .wanted
                .as_ref()
                .map(|wanted| wanted.version)
                .or(tracked.memory.version);
            let Some(version) = version.or(tracked.seen.as_ref().map(|seen| seen.version)) else {
                continue;
            };
            versions.entry(key.placement).or_insert(version);
            let list: &mut Vec<_> = parts.entry(key.placement).or_default();
            let status = tracked.status(&key.part, now, up);
            // A part that only the version before had says nothing about the instance, unless it will not go.
            let replaced = self.desired.as_ref().is_some_and(|desired| {
                desired
                    .workloads
                    .iter()
                    .any(|workload| workload.placement == key.placement && workload.wanted != Wanted::Gone)
            });
            if tracked.wanted.is_some() || !replaced || status.reason.is_some() {
                list.push(status);
            }
        }
        let mut list = Vec::with_capacity(parts.len());
        for (placement, parts) in parts {
            let Some(version) = versions.get(&placement).copied() else {
                continue;
            };
            list.push(Instance {
                placement,
                version,
                parts,
                removed: false,
                at: now,
            });
        }
        for (placement, removed) in &self.removed {
            let (version, at) = (removed.version, removed.at);
            list.push(Instance {
                placement: *placement,
                version,
                parts: Vec::new(),
                removed: true,
                at,
            });
        }
        for instance in &mut list {
            if let Some(old) = self.reported.get(&instance.placement)
                && old.version == instance.version
                && old.parts == instance.parts
                && old.removed == instance.removed
            {
                instance.at = old.at;
            }
        }
        self.reported = list
            .iter()
            .map(|instance| (instance.placement, instance.clone()))
            .collect();
        list
    }
}
