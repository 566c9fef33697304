//! When the probes of a part are tried, and what follows from how that ends.
//!
//! They are tried while the part that is wanted runs, and begin anew with each run. The part of a version before, which
//! runs on while its successor's image is on the way, is left alone: its probes are not known any more.

use super::{Kind, PartKey, part::Tracked};
use edgedeck_model::{Time, app::Part, deployment::Wanted, probe::Probe, time::SECOND};
use std::collections::BTreeMap;

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// A part that fails it is started anew.
    Liveness,
    /// A part is ready while it passes.
    Readiness,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Liveness, Self::Readiness];

    pub fn probe(self, part: &Part) -> Option<&Probe> {
        match self {
            Self::Liveness => part.liveness.as_ref(),
            Self::Readiness => part.readiness.as_ref(),
        }
    }
}

/// A probe to be tried once.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    pub key: PartKey,
    pub purpose: Purpose,
    /// The run of the part that it is about.
    pub run: String,
    pub part: Part,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// In the words of whoever was asked.
    Failed(String),
    /// The part could not be asked, which says nothing about it.
    Unknown,
}

/// How the probes of one run stand.
#[derive(Debug, Default)]
pub struct Probing {
    run: String,
    standings: BTreeMap<Purpose, Standing>,
}

#[derive(Debug)]
struct Standing {
    next_at: Time,
    under_way: bool,
    /// In a row.
    failures: u32,
    /// What was last concluded.
    passes: Option<bool>,
    /// What was said at the first failure of the present row, and at the one that counted.
    said: Option<String>,
}

impl Probing {
    fn of(&self, purpose: Purpose, run: &str) -> Option<&Standing> {
        self.standings.get(&purpose).filter(|_| self.run == run)
    }

    pub fn is_under_way(&self, purpose: Purpose, run: &str) -> bool {
        self.of(purpose, run).is_some_and(|standing| standing.under_way)
    }

    pub fn passes(&self, purpose: Purpose, run: &str) -> bool {
        self.of(purpose, run).and_then(|standing| standing.passes) == Some(true)
    }

    pub fn said(&self, purpose: Purpose, run: &str) -> Option<String> {
        self.of(purpose, run)?.said.clone()
    }

    fn next_at(&self) -> Option<Time> {
        let idle = self.standings.values().filter(|standing| !standing.under_way);
        idle.map(|standing| standing.next_at).min()
    }
}

impl Tracked {
    /// The part and the run to be probed, if there is such.
    fn probed(&self) -> Option<(&Part, &str, Time)> {
        let wanted = self.wanted.as_ref()?;
        let is_wanted = wanted.wanted == Wanted::Running && wanted.invalid.is_none() && self.busy.is_none();
        let has_probes = Purpose::ALL.iter().any(|purpose| purpose.probe(&wanted.part).is_some());
        let since = self.runs_since()?;
        let is_probed = is_wanted && has_probes && !self.is_stale() && !self.is_condemned();
        is_probed.then_some((&wanted.part, self.seen.as_ref()?.run.as_str(), since))
    }

    /// What is to be tried now. `up` says whether the runtime of a kind answers.
    pub fn trials(&mut self, key: &PartKey, now: Time, up: impl Fn(Kind) -> bool) -> Vec<Trial> {
        let Some((part, run, since)) = self.probed() else {
            self.probing = Probing::default();
            return Vec::new();
        };
        if !up(Kind::of(part)) {
            return Vec::new();
        }
        let (part, run) = (part.clone(), run.to_owned());
        if self.probing.run != run {
            let first = |purpose: Purpose| {
                let delay = i64::from(purpose.probe(&part)?.initial_delay_seconds) * SECOND;
                // A clock that was set back since must not make the delay longer.
                let next_at = since.min(now).plus(delay);
                let standing = Standing {
                    next_at,
                    under_way: false,
                    failures: 0,
                    passes: None,
                    said: None,
                };
                Some((purpose, standing))
            };
            self.probing = Probing {
                run: run.clone(),
                standings: Purpose::ALL.into_iter().filter_map(first).collect(),
            };
        }
        let mut trials = Vec::new();
        for (purpose, standing) in &mut self.probing.standings {
            let Some(probe) = purpose.probe(&part) else { continue };
            let period = i64::from(probe.period_seconds) * SECOND;
            let longest = period.max(i64::from(probe.initial_delay_seconds) * SECOND);
            let is_far = standing.next_at.since(now) > longest;
            if standing.under_way || (standing.next_at > now && !is_far) {
                continue;
            }
            standing.under_way = true;
            standing.next_at = now.plus(period);
            trials.push(Trial {
                key: key.clone(),
                purpose: *purpose,
                run: run.clone(),
                part: part.clone(),
            });
        }
        trials
    }

    /// A trial ended. Says nothing about another run than the present.
    pub fn tried(&mut self, purpose: Purpose, run: &str, outcome: Outcome) {
        let threshold = self
            .wanted
            .as_ref()
            .and_then(|wanted| purpose.probe(&wanted.part))
            .map(|probe| probe.failure_threshold);
        let standing = self.probing.standings.get_mut(&purpose);
        let (Some(threshold), Some(standing)) = (threshold, standing.filter(|_| self.probing.run == run)) else {
            return;
        };
        standing.under_way = false;
        match outcome {
            Outcome::Unknown => {}
            Outcome::Passed => {
                standing.failures = 0;
                standing.passes = Some(true);
                standing.said = None;
                if purpose == Purpose::Liveness {
                    self.memory.unhealthy_run.clear();
                }
            }
            Outcome::Failed(words) => {
                standing.failures = standing.failures.saturating_add(1);
                if standing.failures == 1 || standing.failures == threshold {
                    standing.said = Some(edgedeck_model::name::tame(&words, 1_000));
                }
                if standing.failures < threshold {
                    return;
                }
                standing.passes = Some(false);
                if purpose == Purpose::Liveness {
                    run.clone_into(&mut self.memory.unhealthy_run);
                    self.memory.detail.clone_from(&standing.said);
                }
            }
        }
    }

    /// When the next trial is due.
    pub fn tries_at(&self, up: impl Fn(Kind) -> bool) -> Option<Time> {
        let (part, run, _) = self.probed()?;
        self.probing
            .next_at()
            .filter(|_| up(Kind::of(part)) && self.probing.run == run)
    }
}
