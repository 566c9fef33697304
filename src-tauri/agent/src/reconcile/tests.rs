use super::*;
use edgedeck_model::{
    DeploymentId,
    app::{Container, Process, Restart, Run, Spec},
    deployment::{InstanceState, PartStatus, Wanted},
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
            if !self.end_one() {
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
        assert_eq!(node.machine.wake_at(), part.next_start_at);
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
}

fn happening() -> impl Strategy<Value = Happening> {
    let wish = (0..3_u8, 1..3_u8, any::<bool>(), 0..3_u8);
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
            _ => vec![process("a", &digit, Restart::Always)],
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
                Happening::Failing(failing) => node.failing = failing.then(|| Trouble::new(Reason::Refused, "no")),
            }
        }
        if generation == 0 {
            return Ok(());
        }
        (node.containers_up, node.failing) = (true, None);
        while node.end_one() {}
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
                prop_assert!(calm && part.reason.is_none(), "{:?}", part);
            }
        }
    }
}
