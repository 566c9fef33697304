use super::*;
use edgedeck_model::{
    DeploymentId,
    app::{Container, Process, Restart, Run, Spec},
    deployment::{InstanceState, PartStatus, Wanted},
    probe::{Check, Probe},
    time::{DAY, MINUTE, SECOND},
};
use edgedeck_protocol::{Desired, Workload};
use proptest::prelude::*;
use uuid::Uuid;

fn container(name: &str, image: &str, restart: Restart) -> Part {
    let run = Run::Container(Container {
        image: image.to_owned(),
        ..Container::default()
    });
    Part {
        name: name.to_owned(),
        run,
        args: vec![],
        env: BTreeMap::new(),
        resources: Default::default(),
        restart,
        liveness: None,
        readiness: None,
    }
}

fn process(name: &str, digit: &str, restart: Restart) -> Part {
    let run = Run::Process(Process {
        package: digit.repeat(64),
        program: "bin/run".to_owned(),
    });
    Part {
        name: name.to_owned(),
        run,
        args: vec![],
        env: BTreeMap::new(),
        resources: Default::default(),
        restart,
        liveness: None,
        readiness: None,
    }
}

fn workload(placement: u128, version: u128, wanted: Wanted, parts: Vec<Part>) -> Workload {
    Workload {
        placement: PlacementId(Uuid::from_u128(placement)),
        deployment: DeploymentId(Uuid::from_u128(placement)),
        name: "web".to_owned(),
        version: VersionId(Uuid::from_u128(version)),
        wanted,
        restarts: 0,
        spec: Spec { parts },
    }
}

fn desired(generation: u64, workloads: Vec<Workload>) -> Desired {
    Desired { generation, workloads }
}

/// A machine on a node that does what it is told, unless it is told to fail.
struct Node {
    machine: Machine,
    there: BTreeMap<PartKey, Seen>,
    under_way: Vec<Action>,
    now: Time,
    runs: u32,
    containers_up: bool,
    failing: Option<Trouble>,
    trying: Vec<Trial>,
    /// How trials end in [`Node::settle`].
    answers: BTreeMap<Purpose, Outcome>,
}

impl Node {
    fn new() -> Self {
        Self {
            machine: Machine::new(Memory::default()),
            there: BTreeMap::new(),
            under_way: vec![],
            now: Time(DAY),
            runs: 0,
            containers_up: true,
            failing: None,
            trying: vec![],
            answers: BTreeMap::new(),
        }
    }

    fn look(&mut self) {
        let look = self.machine.begin_look();
        let of = |kind| {
            self.there
                .values()
                .filter(|seen| seen.kind == kind)
                .cloned()
                .collect::<Vec<_>>()
        };
        let containers = self.containers_up.then(|| of(Kind::Container));
        self.machine.looked(
            look,
            Look {
                containers,
                processes: Some(of(Kind::Process)),
            },
            self.now,
        );
    }

    fn begin(&mut self) {
        let actions = self.machine.actions(self.now);
        for action in &actions {
            assert!(
                self.under_way.iter().all(|other| other.key() != action.key()),
                "two actions for one part"
            );
        }
        self.under_way.extend(actions);
    }

    /// Ends the first action under way, as a runtime would.
    fn end_one(&mut self) -> bool {
        if self.under_way.is_empty() {
            return false;
        }
        let action = self.under_way.remove(0);
        let key = action.key().clone();
        if let Some(trouble) = self.failing.clone() {
            self.machine.finished(&key, Err(trouble), self.now);
            return true;
        }
        match action {
            Action::Fetch { .. } => {}
            Action::Start {
                part, version, hash, ..
            } => {
                self.runs += 1;
                if let Some(old) = self.there.get(&key) {
                    assert!(!matches!(old.state, SeenState::Running { .. }), "started while it runs");
                    assert_eq!(old.hash, hash, "started as something else");
                }
                let (run, state) = (self.runs.to_string(), SeenState::Running { since: self.now });
                let seen = Seen {
                    key: key.clone(),
                    kind: Kind::of(&part),
                    version,
                    hash,
                    run,
                    state,
                    unhealthy: false,
                };
                self.there.insert(key.clone(), seen);
            }
            Action::Stop { .. } => self.exit(&key, 143),
            Action::Remove { .. } => {
                self.there.remove(&key);
            }
        }
        let seen = self.there.get(&key).cloned();
        self.machine.finished(&key, Ok(seen), self.now);
        true
    }

    /// Begins the trials that are due, and gives up those that nobody waits for.
    fn try_probes(&mut self) {
        let trials = self.machine.trials(self.now);
        let is_waited_for = |trial: &Trial| self.machine.is_trying(&trial.key, trial.purpose, &trial.run);
        for trial in &trials {
            assert!(is_waited_for(trial));
            let is_busy = self.under_way.iter().any(|action| action.key() == &trial.key);
            assert!(!is_busy, "a probe of a part that is being changed");
        }
        let mut trying = std::mem::take(&mut self.trying);
        trying.retain(is_waited_for);
        for trial in &trials {
            let is_same = |other: &Trial| (&other.key, other.purpose) == (&trial.key, trial.purpose);
            assert!(!trying.iter().any(is_same), "two trials of one probe");
        }
        trying.extend(trials);
        self.trying = trying;
    }

    /// Ends the first trial.
    fn end_trial(&mut self, outcome: Outcome) -> bool {
        if self.trying.is_empty() {
            return false;
        }
        let trial = self.trying.remove(0);
        self.machine.tried(&trial.key, trial.purpose, &trial.run, outcome);
        true
    }

    fn exit(&mut self, key: &PartKey, exit_code: i32) {
        if let Some(seen) = self.there.get_mut(key)
            && let SeenState::Running { since } = seen.state
        {
            seen.state = SeenState::Ended {
                since,
                finished_at: self.now,
                exit_code,
                out_of_memory: false,
            };
        }
    }

    fn exit_all(&mut self, exit_code: i32) {
        let keys: Vec<PartKey> = self.there.keys().cloned().collect();
        keys.iter().for_each(|key| self.exit(key, exit_code));
        self.look();
    }

    /// Does everything that can be done without time passing.
    fn settle(&mut self) {
        self.look();
        for _ in 0..1_000 {
            self.begin();
            if self.end_one() {
                continue;
            }
            self.try_probes();
            let purpose = self.trying.first().map(|trial| trial.purpose);
            let answer = purpose.and_then(|purpose| self.answers.get(&purpose).cloned());
            if !self.end_trial(answer.unwrap_or(Outcome::Passed)) {
                return;
            }
        }
        panic!("never settles: {:?}", self.machine);
    }

    fn pass(&mut self, ms: i64) {
        self.now = self.now.plus(ms);
        self.settle();
    }

    fn part(&mut self) -> PartStatus {
        let report = self.machine.report(self.now);
        report[0].parts[0].clone()
    }

    /// The agent's process ends and another begins with what was on disk.
    fn restart_agent(&mut self) {
        let desired = self.machine.desired().cloned();
        self.machine = Machine::new(self.machine.memory());
        self.under_way.clear();
        self.trying.clear();
        if let Some(desired) = desired {
            self.machine.want(desired, self.now);
        }
    }
}

#[test]
fn back_off_doubles_to_five_minutes() {
    let waits: Vec<i64> = (0..11).map(|n| backoff(n) / SECOND).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(backoff(u32::MAX), 5 * MINUTE);
}

#[test]
fn a_part_that_ends_is_started_again_later_and_later() {
    let mut node = Node::new();
    node.machine.want(
        desired(
            1,
            vec![workload(
                1,
                1,
                Wanted::Running,
                vec![container("a", "x:1", Restart::Always)],
            )],
        ),
        node.now,
    );
    node.settle();
    assert_eq!(node.part().state, InstanceState::Running);
    for (n, wait) in [1, 2, 4, 8].into_iter().enumerate() {
        node.exit_all(137);
        let part = node.part();
        assert_eq!(
            (part.state, part.exit_code, part.reason),
            (InstanceState::BackOff, Some(137), Some(Reason::Exited))
        );
        assert_eq!(part.next_start_at, Some(node.now.plus(wait * SECOND)));
        assert_eq!(node.machine.wake_at(node.now), part.next_start_at);
        node.pass(wait * SECOND - 1);
        assert_eq!(node.part().state, InstanceState::BackOff);
        node.pass(1);
        let part = node.part();
        assert_eq!(
            (part.state, part.restarts, part.recent_restarts),
            (InstanceState::Running, n as u32 + 1, n as u32 + 1)
        );
        assert_eq!((part.reason, part.next_start_at), (None, None));
    }
    // Running for long enough makes up for it, and restarts are not recent for ever.
    node.pass(10 * MINUTE);
    assert_eq!((node.part().restarts, node.part().recent_restarts), (4, 0));
    node.exit_all(1);
    assert_eq!(node.part().next_start_at, Some(node.now.plus(SECOND)));
}

#[test]
fn policies() {
    for (restart, exit_code, state) in [
        (Restart::Always, 0, InstanceState::BackOff),
        (Restart::OnFailure, 0, InstanceState::Succeeded),
        (Restart::OnFailure, 3, InstanceState::BackOff),
        (Restart::Never, 0, InstanceState::Succeeded),
        (Restart::Never, 3, InstanceState::Failed),
    ] {
        let mut node = Node::new();
        node.machine.want(
            desired(
                1,
                vec![workload(1, 1, Wanted::Running, vec![container("a", "x:1", restart)])],
            ),
            node.now,
        );
        node.settle();
        node.exit_all(exit_code);
        node.settle();
        assert_eq!(node.part().state, state, "{restart:?} {exit_code}");
        node.pass(10 * MINUTE);
        let runs = if state == InstanceState::BackOff { 2 } else { 1 };
        assert_eq!(node.runs, runs, "{restart:?} {exit_code}");
        if runs == 1 {
            // What is done stays done, even when somebody prunes containers or the agent is restarted.
            node.there.clear();
            node.pass(MINUTE);
            node.restart_agent();
            node.pass(MINUTE);
            assert_eq!((node.runs, node.part().state), (1, state));
        }
    }
}

#[test]
fn stopping_keeps_and_starting_again_is_no_restart() {
    let mut node = Node::new();
    let wish = |generation, wanted| {
        desired(
            generation,
            vec![workload(1, 1, wanted, vec![container("a", "x:1", Restart::Never)])],
        )
    };
    node.machine.want(wish(1, Wanted::Running), node.now);
    node.settle();
    node.machine.want(wish(2, Wanted::Stopped), node.now);
    node.settle();
    assert_eq!((node.part().state, node.there.len()), (InstanceState::Stopped, 1));
    node.restart_agent();
    node.pass(MINUTE);
    assert_eq!((node.part().state, node.part().reason), (InstanceState::Stopped, None));
    node.machine.want(wish(3, Wanted::Running), node.now);
    node.settle();
    assert_eq!(
        (node.part().state, node.part().restarts, node.runs),
        (InstanceState::Running, 0, 2)
    );
}

#[test]
fn another_version_replaces_and_the_old_one_runs_until_its_image_is_there() {
    let mut node = Node::new();
    let wish = |generation, version, image: &str| {
        desired(
            generation,
            vec![workload(
                1,
                version,
                Wanted::Running,
                vec![container("a", image, Restart::Always)],
            )],
        )
    };
    node.machine.want(wish(1, 1, "x:1"), node.now);
    node.settle();
    node.machine.want(wish(2, 2, "x:2"), node.now);
    node.failing = Some(Trouble::new(Reason::ImageNotFound, "no such image"));
    node.settle();
    let part = node.part();
    assert_eq!(
        (part.state, part.reason),
        (InstanceState::Failed, Some(Reason::ImageNotFound))
    );
    assert_eq!(part.detail.as_deref(), Some("no such image"));
    assert!(
        node.there
            .values()
            .all(|seen| matches!(seen.state, SeenState::Running { .. }))
    );
    node.failing = None;
    node.pass(MINUTE);
    let report = node.machine.report(node.now);
    assert_eq!(report[0].version, VersionId(Uuid::from_u128(2)));
    assert_eq!(
        (node.part().state, node.part().restarts, node.runs, node.there.len()),
        (InstanceState::Running, 0, 2, 1)
    );
}

#[test]
fn what_is_not_wanted_goes_and_is_reported_until_that_is_known() {
    let mut node = Node::new();
    let parts = vec![
        container("a", "x:1", Restart::Always),
        process("b", "0", Restart::Always),
    ];
    node.machine
        .want(desired(1, vec![workload(1, 1, Wanted::Running, parts)]), node.now);
    node.settle();
    assert_eq!(node.there.len(), 2);
    node.machine.want(desired(2, vec![]), node.now);
    let report = node.machine.report(node.now);
    assert!(
        !report[0].removed && report[0].parts.iter().all(|part| part.state == InstanceState::Stopping),
        "{report:?}"
    );
    node.settle();
    assert!(node.there.is_empty() && node.machine.is_empty());
    node.restart_agent();
    node.settle();
    let report = node.machine.report(node.now);
    assert!(report.len() == 1 && report[0].removed, "{report:?}");
    node.machine.removal_stored(&[report[0].placement]);
    assert_eq!(node.machine.report(node.now), []);
    assert_eq!(node.machine.memory(), Memory::default());
}

#[test]
fn nothing_is_touched_before_it_is_known_what_is_wanted() {
    let mut node = Node::new();
    let key = PartKey {
        placement: PlacementId(Uuid::from_u128(9)),
        part: "a".to_owned(),
    };
    let state = SeenState::Running { since: node.now };
    let version = VersionId(Uuid::from_u128(1));
    let seen = Seen {
        key: key.clone(),
        kind: Kind::Container,
        version,
        hash: "h".to_owned(),
        run: "r".to_owned(),
        state,
        unhealthy: false,
    };
    node.there.insert(key, seen);
    node.settle();
    assert_eq!(node.there.len(), 1);
    node.machine.want(desired(1, vec![]), node.now);
    node.settle();
    assert_eq!(node.there.len(), 0);
}

#[test]
fn a_container_engine_that_does_not_answer_loses_nothing() {
    let mut node = Node::new();
    let wish = |generation, count: u128| {
        let all = (0..count).map(|n| workload(n, 1, Wanted::Running, vec![container("a", "x:1", Restart::Always)]));
        desired(generation, all.collect())
    };
    node.machine.want(wish(1, 1), node.now);
    node.settle();
    node.containers_up = false;
    node.machine.want(wish(2, 2), node.now);
    node.settle();
    let report = node.machine.report(node.now);
    let states: Vec<_> = report.iter().map(|i| (i.parts[0].state, i.parts[0].reason)).collect();
    assert_eq!(
        states,
        [
            (InstanceState::Unknown, Some(Reason::NoRuntime)),
            (InstanceState::Failed, Some(Reason::NoRuntime))
        ]
    );
    node.machine.want(wish(3, 0), node.now);
    node.settle();
    assert!(
        !node.machine.is_empty(),
        "what may still run must not be reported as gone"
    );
    node.containers_up = true;
    node.settle();
    assert!(node.machine.is_empty() && node.there.is_empty());
}

#[test]
fn a_specification_that_breaks_a_rule_is_not_tried() {
    let mut node = Node::new();
    node.machine.want(
        desired(
            1,
            vec![workload(
                1,
                1,
                Wanted::Running,
                vec![container("../x", "x:1", Restart::Always)],
            )],
        ),
        node.now,
    );
    node.settle();
    let part = node.part();
    assert_eq!(
        (part.state, part.reason, node.runs),
        (InstanceState::Failed, Some(Reason::Refused), 0)
    );
}

#[test]
fn a_clock_that_jumps_back_keeps_nobody_waiting() {
    let mut node = Node::new();
    node.machine.want(
        desired(
            1,
            vec![workload(
                1,
                1,
                Wanted::Running,
                vec![container("a", "x:1", Restart::Always)],
            )],
        ),
        node.now,
    );
    node.settle();
    node.exit_all(1);
    node.pass(-DAY);
    assert_eq!(node.part().state, InstanceState::Running);
}

#[test]
fn a_fetch_that_nobody_waits_for_is_ended() {
    let mut node = Node::new();
    let wish = |generation, image: &str| {
        desired(
            generation,
            vec![workload(
                1,
                1,
                Wanted::Running,
                vec![container("a", image, Restart::Always)],
            )],
        )
    };
    node.machine.want(wish(1, "x:1"), node.now);
    node.look();
    node.begin();
    assert_eq!(node.part().state, InstanceState::Pulling);
    assert_eq!(node.machine.obsolete(), []);
    node.machine.want(wish(2, "x:2"), node.now);
    let obsolete = node.machine.obsolete();
    assert_eq!(obsolete.len(), 1);
    node.under_way.clear();
    node.machine.cancelled(&obsolete[0], node.now);
    node.settle();
    assert_eq!(node.part().state, InstanceState::Running);
}

#[test]
fn success_without_effect_is_not_tried_for_ever() {
    let mut node = Node::new();
    node.machine.want(
        desired(
            1,
            vec![workload(
                1,
                1,
                Wanted::Running,
                vec![container("a", "x:1", Restart::Always)],
            )],
        ),
        node.now,
    );
    node.look();
    for _ in 0..2 {
        node.begin();
        let key = node.under_way.remove(0).key().clone();
        node.machine.finished(&key, Ok(None), node.now);
    }
    node.begin();
    assert_eq!(node.under_way, []);
    assert_eq!(
        (node.part().state, node.part().reason),
        (InstanceState::Failed, Some(Reason::Refused))
    );
}

#[test]
fn two_containers_for_one_part_both_go_and_one_comes() {
    let mut node = Node::new();
    node.machine.want(
        desired(
            1,
            vec![workload(
                1,
                1,
                Wanted::Running,
                vec![container("a", "x:1", Restart::Always)],
            )],
        ),
        node.now,
    );
    node.settle();
    let look = node.machine.begin_look();
    let one = node.there.values().next().unwrap().clone();
    let containers = Some(vec![one.clone(), one]);
    node.machine.looked(
        look,
        Look {
            containers,
            processes: Some(vec![]),
        },
        node.now,
    );
    node.begin();
    assert!(
        matches!(node.under_way[0], Action::Remove { .. }),
        "{:?}",
        node.under_way
    );
    node.end_one();
    node.settle();
    assert_eq!((node.part().state, node.there.len()), (InstanceState::Running, 1));
}

/// A part whose two probes are tried every ten seconds, from five seconds after its start.
fn probed(mut part: Part, failure_threshold: u32) -> Part {
    let probe = Probe {
        initial_delay_seconds: 5,
        failure_threshold,
        ..Probe::new(vec![Check::Tcp { port: 80 }])
    };
    part.readiness = Some(probe.clone());
    part.liveness = Some(probe);
    part
}

fn failed() -> Outcome {
    Outcome::Failed("nobody there".to_owned())
}

fn node_with(part: Part) -> Node {
    let mut node = Node::new();
    let wanted = desired(1, vec![workload(1, 1, Wanted::Running, vec![part])]);
    node.machine.want(wanted, node.now);
    node.settle();
    node
}

#[test]
fn probes_are_tried_after_their_delay_and_at_their_pace() {
    let mut node = node_with(probed(container("a", "x:1", Restart::Always), 2));
    let purposes = |node: &mut Node| {
        let trials = node.machine.trials(node.now);
        trials.iter().map(|trial| trial.purpose).collect::<Vec<_>>()
    };
    assert_eq!(node.part().ready, Some(false));
    assert_eq!(node.machine.wake_at(node.now), Some(node.now.plus(5 * SECOND)));
    node.now = node.now.plus(5 * SECOND - 1);
    assert_eq!(purposes(&mut node), []);
    node.now = node.now.plus(1);
    let began = node.now;
    assert_eq!(purposes(&mut node), [Purpose::Liveness, Purpose::Readiness]);
    // A trial that takes longer than the period is not begun again, and nobody is woken for it.
    node.now = node.now.plus(MINUTE);
    assert_eq!((purposes(&mut node), node.machine.wake_at(node.now)), (vec![], None));
    let seen = node.there.values().next().unwrap().clone();
    for purpose in [Purpose::Liveness, Purpose::Readiness] {
        node.machine.tried(&seen.key, purpose, &seen.run, Outcome::Passed);
        assert!(!node.machine.is_trying(&seen.key, purpose, &seen.run));
    }
    assert_eq!(node.part().ready, Some(true));
    assert_eq!(purposes(&mut node), [Purpose::Liveness, Purpose::Readiness]);
    assert!(node.now.since(began) == MINUTE);
    for purpose in [Purpose::Liveness, Purpose::Readiness] {
        node.machine.tried(&seen.key, purpose, &seen.run, Outcome::Passed);
    }
    assert_eq!(node.machine.wake_at(node.now), Some(node.now.plus(10 * SECOND)));
    // A clock that was set back does not keep them waiting.
    node.now = node.now.plus(-DAY);
    assert_eq!(purposes(&mut node), [Purpose::Liveness, Purpose::Readiness]);
}

#[test]
fn a_part_without_probes_is_not_tried_and_wakes_nobody() {
    let mut node = node_with(container("a", "x:1", Restart::Always));
    node.now = node.now.plus(DAY);
    assert_eq!(node.machine.trials(node.now), []);
    assert_eq!((node.machine.wake_at(node.now), node.part().ready), (None, None));
}

#[test]
fn a_part_that_is_done_wakes_nobody() {
    let mut node = node_with(container("a", "x:1", Restart::Never));
    node.exit_all(0);
    node.pass(MINUTE);
    assert_eq!(node.part().state, InstanceState::Succeeded);
    assert_eq!(node.machine.wake_at(node.now), None);
}

#[test]
fn a_part_that_fails_its_liveness_probe_is_started_anew_later_and_later() {
    let mut node = node_with(probed(container("a", "x:1", Restart::Always), 2));
    node.answers.insert(Purpose::Liveness, failed());
    for (n, wait) in [1, 2, 4].into_iter().enumerate() {
        let restarts = n as u32;
        node.pass(5 * SECOND);
        let part = node.part();
        assert_eq!((part.state, part.restarts), (InstanceState::Running, restarts));
        assert_eq!(part.unhealthy, n > 0, "one failure is not enough");
        node.now = node.now.plus(10 * SECOND);
        node.try_probes();
        while node.end_trial(failed()) {}
        assert!(node.part().unhealthy);
        node.begin();
        let stopping = node.part();
        assert_eq!(
            (stopping.state, stopping.reason),
            (InstanceState::Stopping, Some(Reason::Unhealthy))
        );
        node.settle();
        let part = node.part();
        assert_eq!(
            (part.state, part.reason),
            (InstanceState::BackOff, Some(Reason::Unhealthy))
        );
        assert_eq!((part.detail.as_deref(), part.ready), (Some("nobody there"), None));
        assert!(part.unhealthy);
        assert_eq!(part.next_start_at, Some(node.now.plus(wait * SECOND)));
        node.pass(wait * SECOND);
        let part = node.part();
        assert_eq!((part.state, part.restarts), (InstanceState::Running, restarts + 1));
        assert_eq!((part.reason, part.unhealthy, part.ready), (None, true, Some(false)));
    }
    // An agent that begins anew knows it, and what passes is well.
    node.restart_agent();
    node.settle();
    assert!(node.part().unhealthy);
    node.answers.clear();
    node.pass(5 * SECOND);
    let part = node.part();
    assert_eq!((part.unhealthy, part.ready, part.restarts), (false, Some(true), 3));
}

#[test]
fn failures_count_only_in_a_row_and_only_what_was_asked() {
    let mut node = node_with(probed(process("a", "0", Restart::Always), 2));
    node.pass(5 * SECOND);
    for outcome in [
        failed(),
        Outcome::Passed,
        failed(),
        Outcome::Unknown,
        Outcome::Passed,
        failed(),
    ] {
        node.answers.insert(Purpose::Liveness, outcome.clone());
        node.answers.insert(Purpose::Readiness, outcome);
        node.pass(10 * SECOND);
        let part = node.part();
        assert_eq!(
            (part.state, part.unhealthy, part.ready),
            (InstanceState::Running, false, Some(true))
        );
    }
    assert_eq!(node.runs, 1);
    // What was not asked is no break in the row either.
    node.answers = [Purpose::Liveness, Purpose::Readiness]
        .map(|purpose| (purpose, Outcome::Unknown))
        .into();
    node.pass(10 * SECOND);
    node.answers.insert(Purpose::Readiness, failed());
    node.pass(10 * SECOND);
    let part = node.part();
    assert_eq!(
        (part.ready, part.detail.as_deref()),
        (Some(false), Some("nobody there"))
    );
    assert_eq!(
        (part.state, part.reason, part.unhealthy),
        (InstanceState::Running, None, false)
    );
    node.answers.clear();
    node.pass(10 * SECOND);
    assert_eq!((node.part().ready, node.part().detail), (Some(true), None));
}

#[test]
fn an_outcome_says_nothing_about_a_later_run() {
    let mut node = node_with(probed(container("a", "x:1", Restart::Always), 1));
    node.now = node.now.plus(5 * SECOND);
    node.try_probes();
    let old = node.trying.clone();
    assert_eq!(old.len(), 2);
    node.exit_all(1);
    node.try_probes();
    assert_eq!(node.trying, [], "its trials end with it");
    node.pass(SECOND);
    node.pass(5 * SECOND);
    for trial in old {
        node.machine.tried(&trial.key, trial.purpose, &trial.run, failed());
    }
    let part = node.part();
    assert_eq!(
        (part.state, part.unhealthy, part.ready),
        (InstanceState::Running, false, Some(true))
    );
}

#[test]
fn policies_hold_for_what_is_unhealthy() {
    for (restart, state) in [
        (Restart::Always, InstanceState::BackOff),
        (Restart::OnFailure, InstanceState::BackOff),
        (Restart::Never, InstanceState::Failed),
    ] {
        let mut node = node_with(probed(container("a", "x:1", restart), 1));
        node.answers.insert(Purpose::Liveness, failed());
        node.now = node.now.plus(5 * SECOND);
        node.try_probes();
        node.end_trial(failed());
        // It ends politely when it is asked to, which does not make it a success.
        node.begin();
        node.exit_all(0);
        node.settle();
        let part = node.part();
        assert_eq!((part.state, part.exit_code), (state, Some(0)), "{restart:?}");
        assert_eq!(
            (part.reason, part.unhealthy),
            (Some(Reason::Unhealthy), true),
            "{restart:?}"
        );
    }
}

#[test]
fn what_is_stopped_is_not_unhealthy() {
    let mut node = node_with(probed(container("a", "x:1", Restart::Always), 1));
    node.answers.insert(Purpose::Liveness, failed());
    node.pass(5 * SECOND);
    assert!(node.part().unhealthy);
    let part = probed(container("a", "x:1", Restart::Always), 1);
    node.machine
        .want(desired(2, vec![workload(1, 1, Wanted::Stopped, vec![part])]), node.now);
    node.settle();
    assert_eq!(
        (node.part().state, node.part().unhealthy),
        (InstanceState::Stopped, false)
    );
    node.now = node.now.plus(DAY);
    assert_eq!(node.machine.trials(node.now), []);
}

/// What can happen to a node.
#[derive(Clone, Debug)]
enum Happening {
    Want(Vec<(u8, u8, bool, u8)>),
    Exit(u8, i32),
    Vanish(u8),
    Look,
    Begin,
    EndOne,
    Pass(i64),
    RestartAgent,
    Containers(bool),
    Failing(bool),
    Try,
    EndTrial(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    let wish = (0..3_u8, 1..3_u8, any::<bool>(), 0..5_u8);
    prop_oneof![
        2 => prop::collection::vec(wish, 0..3).prop_map(Happening::Want),
        2 => (any::<u8>(), -1..3_i32).prop_map(|(n, code)| Happening::Exit(n, code.max(0))),
        1 => any::<u8>().prop_map(Happening::Vanish),
        3 => Just(Happening::Look),
        5 => Just(Happening::Begin),
        5 => Just(Happening::EndOne),
        2 => (0..400_000_i64).prop_map(Happening::Pass),
        1 => Just(Happening::RestartAgent),
        1 => any::<bool>().prop_map(Happening::Containers),
        1 => any::<bool>().prop_map(Happening::Failing),
        4 => Just(Happening::Try),
        4 => (0..4_u8).prop_map(Happening::EndTrial),
    ]
}

fn wish(generation: u64, list: &[(u8, u8, bool, u8)]) -> Desired {
    let mut by_placement = BTreeMap::new();
    for (placement, version, running, shape) in list {
        let digit = version.to_string();
        let parts = match shape {
            0 => vec![container("a", &format!("x:{version}"), Restart::Always)],
            1 => vec![
                container("a", &format!("x:{version}"), Restart::Always),
                process("b", &digit, Restart::Always),
            ],
            2 => vec![process("a", &digit, Restart::Always)],
            3 => vec![probed(container("a", &format!("x:{version}"), Restart::Always), 2)],
            _ => vec![probed(process("a", &digit, Restart::Always), 1)],
        };
        let wanted = if *running { Wanted::Running } else { Wanted::Stopped };
        by_placement.insert(
            *placement,
            workload(u128::from(*placement), u128::from(*version), wanted, parts),
        );
    }
    desired(generation, by_placement.into_values().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever happens: `Node` checks that no part is started twice at once; and when it ends happening, the node
    /// comes to what is wanted, with nothing else left.
    #[test]
    fn it_converges(happenings in prop::collection::vec(happening(), 0..60)) {
        let mut node = Node::new();
        let mut generation = 0;
        for happening in happenings {
            let nth = |there: &BTreeMap<PartKey, Seen>, n: u8| there.keys().nth(usize::from(n) % there.len().max(1)).cloned();
            match happening {
                Happening::Want(list) => {
                    generation += 1;
                    node.machine.want(wish(generation, &list), node.now);
                    for key in node.machine.obsolete() {
                        node.under_way.retain(|action| action.key() != &key);
                        node.machine.cancelled(&key, node.now);
                    }
                }
                Happening::Exit(n, code) => if let Some(key) = nth(&node.there, n) { node.exit(&key, code) },
                Happening::Vanish(n) => if let Some(key) = nth(&node.there, n) { node.there.remove(&key); },
                Happening::Look => node.look(),
                Happening::Begin => node.begin(),
                Happening::EndOne => { node.end_one(); }
                Happening::Pass(ms) => node.now = node.now.plus(ms),
                Happening::RestartAgent => node.restart_agent(),
                Happening::Containers(up) => node.containers_up = up,
                Happening::Try => node.try_probes(),
                Happening::EndTrial(n) => {
                    let failed = Outcome::Failed("no".to_owned());
                    node.end_trial(match n { 0 => Outcome::Passed, 1 => Outcome::Unknown, _ => failed });
                }
                Happening::Failing(failing) => node.failing = failing.then(|| Trouble::new(Reason::Refused, "no")),
            }
        }
        if generation == 0 {
            return Ok(());
        }
        (node.containers_up, node.failing) = (true, None);
        while node.end_one() {}
        while node.end_trial(Outcome::Passed) {}
        for _ in 0..6 {
            node.pass(5 * MINUTE);
        }
        let wanted = node.machine.desired().unwrap().clone();
        let running: Vec<&PartKey> = node.there.values()
            .filter(|seen| matches!(seen.state, SeenState::Running { .. })).map(|seen| &seen.key).collect();
        let expected: Vec<PartKey> = {
            let mut keys: Vec<PartKey> = wanted.workloads.iter().filter(|w| w.wanted == Wanted::Running)
                .flat_map(|w| w.spec.parts.iter().map(|p| PartKey { placement: w.placement, part: p.name.clone() })).collect();
            keys.sort();
            keys
        };
        prop_assert_eq!(running, expected.iter().collect::<Vec<_>>());
        for seen in node.there.values() {
            let workload = wanted.workloads.iter().find(|w| w.placement == seen.key.placement);
            prop_assert!(workload.is_some_and(|w| w.version == seen.version), "left behind: {:?}", seen);
        }
        for instance in node.machine.report(node.now) {
            let is_wanted = wanted.workloads.iter().any(|w| w.placement == instance.placement);
            prop_assert_eq!(is_wanted, !instance.removed);
            for part in instance.parts {
                let calm = matches!(part.state, InstanceState::Running | InstanceState::Stopped);
                prop_assert!(calm && part.reason.is_none() && !part.unhealthy, "{:?}", part);
                prop_assert!(part.ready != Some(false), "{:?}", part);
            }
        }
    }
}

/// A running container carries the hash of what it was made from: were that another one after an upgrade of the agent,
/// every workload of the lab would be made again.
#[test]
fn what_was_written_before_there_were_probes_keeps_its_hash() {
    let old = |json: &str| serde_json::from_str::<Part>(json).unwrap();
    let container = old(
        r#"{"name":"a","run":{"kind":"container","image":"x:1","command":["sh"],"ports":[{"container":80,"host":8080}],
        "mounts":[{"host":"/a","container":"/b"}],"user":5,"hardened":true},"args":["-v"],"env":{"A":"1"},
        "resources":{"cpu_millis":500,"memory_limit_bytes":67108864,"npus":1},"restart":"on-failure"}"#,
    );
    let process = old(r#"{"name":"b","run":{"kind":"process","package":"00","program":"bin/run"}}"#);
    let version = VersionId(Uuid::from_u128(7));
    assert_eq!(
        [
            spec_hash(version, &container, 0),
            spec_hash(version, &process, 0),
            spec_hash(version, &process, 3)
        ],
        [
            "9745319aee319bfa4fadf82028f7c44dacdd5b878a5616340965c7a921c6f8a6",
            "80fd17b1ec20504330c1565b0a3f27be4186a2592c41e060a04bf872906d35b3",
            "b5ed28f5df836c5d9db34857ba851e372f0c433f8a4bc8a1f5d4782653a81c8a"
        ]
    );
}
