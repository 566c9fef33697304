//! One part: what is wanted of it, what is seen, and what follows.

use super::{Action, Kind, PartKey, PartMemory, Purpose, Seen, SeenState, Trouble, probing::Probing};
use edgedeck_model::{
    Time, VersionId,
    app::{Part, Restart},
    deployment::{InstanceState, PartStatus, RESTART_WINDOW, Reason, Wanted},
    time::{MINUTE, SECOND},
};

const BACKOFF_MAX: i64 = 5 * MINUTE;
/// After running for this long a part has proved itself, and back-off begins anew.
const PROVED: i64 = 10 * MINUTE;

/// How long to wait after so many ends or failures in a row, in milliseconds.
pub fn backoff(failures: u32) -> i64 {
    SECOND
        .checked_shl(failures.min(20))
        .map_or(BACKOFF_MAX, |wait| wait.min(BACKOFF_MAX))
}

/// What is wanted of a part.
#[derive(Clone, Debug)]
pub struct WantedPart {
    pub part: Part,
    pub version: VersionId,
    pub hash: String,
    pub wanted: Wanted,
    /// The specification breaks a rule and is not tried at all.
    pub invalid: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    Fetch,
    Start,
    Stop,
    Remove,
}

#[derive(Debug, Default)]
pub struct Tracked {
    pub wanted: Option<WantedPart>,
    pub memory: PartMemory,
    pub seen: Option<Seen>,
    /// More than one was seen: all go.
    pub doubled: bool,
    pub busy: Option<Busy>,
    /// Image or package of this hash is on its way.
    pub fetching: String,
    /// Image or package of this hash is there.
    pub fetched: Option<String>,
    /// The look at the runtimes that was newest when this was last changed.
    pub touched: u64,
    pub probing: Probing,
}

impl Tracked {
    /// Takes a new wish; counts begin anew with another specification.
    pub fn want(&mut self, wanted: Option<WantedPart>) {
        if let Some(new) = &wanted {
            if self.memory.hash != new.hash {
                self.memory = PartMemory {
                    hash: new.hash.clone(),
                    version: Some(new.version),
                    kind: self.memory.kind,
                    made: self.memory.made,
                    ..PartMemory::default()
                };
            }
            if new.wanted != Wanted::Running && !self.memory.stopped {
                self.memory.stopped = true;
                self.memory.blocked = false;
                self.memory.unhealthy_run.clear();
                self.memory.reason = None;
                self.memory.failures = 0;
                self.memory.next_at = None;
            }
            if new.wanted == Wanted::Running && self.is_running() && self.busy != Some(Busy::Stop) {
                self.memory.stopped = false;
            }
        } else if self.wanted.is_some() {
            // Removing does not wait for a restart's back-off.
            self.memory.next_at = None;
        }
        self.wanted = wanted;
    }

    /// Takes what a runtime sees, and counts a new run or a new end.
    pub fn see(&mut self, seen: Option<Seen>, now: Time) {
        if let Some(seen) = &seen {
            self.memory.made = true;
            self.memory.kind = Some(seen.kind);
            let fresh = self.wanted.as_ref().is_some_and(|wanted| wanted.hash == seen.hash);
            if fresh {
                self.count(seen, now);
            }
        }
        self.seen = seen;
    }

    fn count(&mut self, seen: &Seen, now: Time) {
        let memory = &mut self.memory;
        let since = match seen.state {
            SeenState::Made => return,
            SeenState::Running { since } | SeenState::Ended { since, .. } => since,
        };
        if memory.run != seen.run {
            if !memory.run.is_empty() && !memory.stopped {
                memory.restarts = memory.restarts.saturating_add(1);
                memory.recent.push(now);
                let overflow = memory.recent.len().saturating_sub(1_000);
                memory.recent.drain(..overflow);
            }
            memory.run.clone_from(&seen.run);
            memory.ended = false;
            memory.blocked = false;
            memory.reason = None;
            memory.detail = None;
            memory.next_at = None;
            memory.started_at = Some(since);
            if self
                .wanted
                .as_ref()
                .is_some_and(|wanted| wanted.wanted == Wanted::Running)
            {
                memory.stopped = false;
            }
        }
        let SeenState::Ended {
            since,
            finished_at,
            exit_code,
            out_of_memory,
        } = seen.state
        else {
            return;
        };
        if memory.ended {
            return;
        }
        memory.ended = true;
        memory.exit_code = Some(exit_code);
        memory.finished_at = Some(finished_at);
        if memory.stopped {
            memory.failures = 0;
            return;
        }
        if finished_at.since(since) >= PROVED {
            memory.failures = 0;
        }
        memory.reason = Some(if out_of_memory {
            Reason::OutOfMemory
        } else if memory.unhealthy_run == memory.run {
            Reason::Unhealthy
        } else {
            Reason::Exited
        });
        memory.next_at = Some(now.plus(backoff(memory.failures)));
        memory.failures = memory.failures.saturating_add(1);
    }

    /// An action failed: says so and tries again later.
    pub fn fail(&mut self, trouble: Trouble, now: Time) {
        let memory = &mut self.memory;
        memory.blocked = true;
        memory.reason = Some(trouble.reason);
        memory.detail = (!trouble.detail.is_empty()).then_some(trouble.detail);
        memory.next_at = Some(now.plus(backoff(memory.failures)));
        memory.failures = memory.failures.saturating_add(1);
    }

    pub fn is_stale(&self) -> bool {
        let wanted = self.wanted.as_ref();
        self.doubled
            || self.seen.as_ref().is_some_and(|seen| {
                wanted.is_none_or(|wanted| wanted.hash != seen.hash || Kind::of(&wanted.part) != seen.kind)
            })
    }

    fn is_running(&self) -> bool {
        self.runs_since().is_some()
    }

    pub fn runs_since(&self) -> Option<Time> {
        match self.seen.as_ref()?.state {
            SeenState::Running { since } => Some(since),
            _ => None,
        }
    }

    /// Whether its liveness probe failed for good in the present run.
    pub fn is_condemned(&self) -> bool {
        let condemned = &self.memory.unhealthy_run;
        !condemned.is_empty() && self.seen.as_ref().is_some_and(|seen| seen.run == *condemned)
    }

    /// Whether an ended part is started again by itself.
    fn restarts(&self, part: &Part) -> bool {
        match part.restart {
            _ if self.memory.stopped => true,
            Restart::Always => true,
            // What had to be stopped has failed, however politely it ended.
            Restart::OnFailure => !self.has_succeeded(),
            Restart::Never => false,
        }
    }

    fn has_succeeded(&self) -> bool {
        self.memory.exit_code == Some(0) && self.memory.reason != Some(Reason::Unhealthy)
    }

    /// Whether it ended and stays so, even if somebody takes its container away.
    fn is_done(&self, part: &Part) -> bool {
        let memory = &self.memory;
        let ended = memory.ended && !memory.run.is_empty() && !self.is_running();
        ended && !memory.blocked && !self.restarts(part)
    }

    /// A clock that was set back must not keep a part waiting for longer than the longest back-off.
    pub fn mend_clock(&mut self, now: Time) {
        if self.memory.next_at.is_some_and(|at| at.since(now) > BACKOFF_MAX) {
            self.memory.next_at = Some(now);
        }
    }

    /// When something is to be done next.
    pub fn waits_until(&self) -> Option<Time> {
        self.busy.is_none().then_some(self.memory.next_at).flatten()
    }

    /// What to do now. `up` says whether the runtime of a kind answers.
    pub fn decide(&self, key: &PartKey, now: Time, up: impl Fn(Kind) -> bool) -> Option<(Busy, Action)> {
        if self.busy.is_some() || self.memory.next_at.is_some_and(|at| at > now) {
            return None;
        }
        let remove = || {
            let kinds = [self.memory.kind, self.seen.as_ref().map(|seen| seen.kind)];
            let containers = self.doubled || kinds.contains(&Some(Kind::Container));
            Some((
                Busy::Remove,
                Action::Remove {
                    key: key.clone(),
                    containers,
                },
            ))
        };
        // What is there, or may be there unseen, can only be removed or replaced where it was made.
        let home = self.seen.as_ref().map(|seen| seen.kind);
        let home_up = home.or(self.memory.kind.filter(|_| self.memory.made)).is_none_or(&up);
        let Some(wanted) = self.wanted.as_ref() else {
            return if (self.memory.made || self.seen.is_some()) && home_up {
                remove()
            } else {
                None
            };
        };
        if wanted.invalid.is_some() {
            return if self.is_stale() && home_up { remove() } else { None };
        }
        if !up(Kind::of(&wanted.part)) || !home_up {
            return None;
        }
        if wanted.wanted != Wanted::Running {
            return if self.is_stale() {
                remove()
            } else if self.is_running() {
                Some((
                    Busy::Stop,
                    Action::Stop {
                        key: key.clone(),
                        kind: Kind::of(&wanted.part),
                    },
                ))
            } else {
                None
            };
        }
        if !self.is_stale() && self.is_running() && self.is_condemned() {
            let (key, kind) = (key.clone(), Kind::of(&wanted.part));
            return Some((Busy::Stop, Action::Stop { key, kind }));
        }
        if !self.is_stale() && (self.is_running() || self.is_done(&wanted.part)) {
            return None;
        }
        // The old one runs until the new one's image is there.
        if self.fetched.as_ref() != Some(&wanted.hash) {
            return Some((
                Busy::Fetch,
                Action::Fetch {
                    key: key.clone(),
                    part: wanted.part.clone(),
                },
            ));
        }
        if self.is_stale() {
            return remove();
        }
        let (part, version, hash) = (wanted.part.clone(), wanted.version, wanted.hash.clone());
        Some((
            Busy::Start,
            Action::Start {
                key: key.clone(),
                part,
                version,
                hash,
            },
        ))
    }

    /// What is reported of it. `up` as in [`Tracked::decide`].
    pub fn status(&self, name: &str, now: Time, up: impl Fn(Kind) -> bool) -> PartStatus {
        let memory = &self.memory;
        let (state, reason) = self.state(up);
        let waits = matches!(state, InstanceState::BackOff | InstanceState::Failed);
        let recent = memory
            .recent
            .iter()
            .filter(|at| (0..RESTART_WINDOW).contains(&now.since(**at)))
            .count();
        let invalid = self.wanted.as_ref().and_then(|wanted| wanted.invalid.clone());
        let ready = self.is_ready().filter(|_| state == InstanceState::Running);
        let seen_ill = state == InstanceState::Running && self.seen.as_ref().is_some_and(|seen| seen.unhealthy);
        let not_ready = || {
            let run = &self.seen.as_ref()?.run;
            self.probing
                .said(Purpose::Readiness, run)
                .filter(|_| ready == Some(false))
        };
        PartStatus {
            name: name.to_owned(),
            state,
            restarts: memory.restarts,
            recent_restarts: u32::try_from(recent).unwrap_or(u32::MAX),
            exit_code: memory.exit_code,
            reason,
            detail: invalid
                .or_else(|| memory.detail.clone().filter(|_| reason.is_some()))
                .or_else(not_ready),
            started_at: memory.started_at,
            finished_at: memory.finished_at,
            unhealthy: seen_ill || !memory.unhealthy_run.is_empty(),
            ready,
            next_start_at: memory.next_at.filter(|_| waits && reason != Some(Reason::NoRuntime)),
        }
    }

    /// Whether the present run's readiness probe passes; `None` where there is none.
    fn is_ready(&self) -> Option<bool> {
        self.wanted.as_ref()?.part.readiness.as_ref()?;
        let run = &self.seen.as_ref()?.run;
        Some(self.probing.passes(Purpose::Readiness, run))
    }

    fn state(&self, up: impl Fn(Kind) -> bool) -> (InstanceState, Option<Reason>) {
        let memory = &self.memory;
        let Some(wanted) = self.wanted.as_ref() else {
            let reason = memory.reason.filter(|_| memory.blocked);
            return (InstanceState::Stopping, reason);
        };
        if wanted.invalid.is_some() {
            return (InstanceState::Failed, Some(Reason::Refused));
        }
        let failed = (InstanceState::Failed, memory.reason);
        match self.busy {
            // A failure stays in sight while it is tried again.
            Some(Busy::Fetch | Busy::Start) if memory.blocked => return failed,
            Some(Busy::Fetch) => return (InstanceState::Pulling, None),
            Some(Busy::Start) => return (InstanceState::Starting, None),
            Some(Busy::Stop) => {
                let reason = self.is_condemned().then_some(Reason::Unhealthy);
                return (InstanceState::Stopping, reason);
            }
            Some(Busy::Remove) => {
                let state = if wanted.wanted == Wanted::Running {
                    InstanceState::Starting
                } else {
                    InstanceState::Stopping
                };
                return (state, None);
            }
            None => {}
        }
        if !up(Kind::of(&wanted.part)) {
            // Nobody knows what became of a running container while its engine does not answer.
            let state = if self.is_running() {
                InstanceState::Unknown
            } else {
                InstanceState::Failed
            };
            return (state, Some(Reason::NoRuntime));
        }
        if wanted.wanted != Wanted::Running {
            return if self.is_running() || self.is_stale() {
                (InstanceState::Stopping, memory.reason.filter(|_| memory.blocked))
            } else {
                // However it came to stop, and whatever failed on the way.
                (InstanceState::Stopped, None)
            };
        }
        if memory.blocked {
            return failed;
        }
        if self.is_stale() {
            return (InstanceState::Pending, None);
        }
        if self.is_running() {
            return (InstanceState::Running, None);
        }
        if self.is_done(&wanted.part) {
            return if self.has_succeeded() {
                (InstanceState::Succeeded, None)
            } else {
                failed
            };
        }
        let ended = self
            .seen
            .as_ref()
            .is_some_and(|seen| matches!(seen.state, SeenState::Ended { .. }));
        if ended && !memory.stopped {
            (InstanceState::BackOff, memory.reason)
        } else {
            (InstanceState::Pending, None)
        }
    }
}
