//! What time brings, with a clock in the test's hand: certificates near their end, silent nodes, tokens, and a wall
//! clock that jumps.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use edgedeck_engine::{Actor, Clock, Engine, Options};
use edgedeck_model::{
    Code, NodeId, Problem, Time,
    alarm::{Alarm, AlarmKind},
    api::{AlarmQuery, EventQuery, ManageBody},
    certificate::{CaStage, CaStep, LabAuthority, NodeTrust},
    event::EventKind,
    join::JoinTokenKind,
    node::NodeState,
    telemetry::{Metric, Sample, Value},
    time::{DAY, HOUR, SECOND},
};
use edgedeck_protocol::{FromAgent, Hello, JoinReply, JoinRequest, ToAgent};
use rcgen::{CertificateParams, KeyPair};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

const NOON: Time = Time(1_790_000_000_000);

/// A lab whose time only the test moves.
struct Lab {
    engine: Arc<Engine>,
    _data: TempDir,
}

/// A box with its key.
struct Machine {
    serial: &'static str,
    key: KeyPair,
    csr_pem: String,
}

impl Machine {
    fn new(serial: &'static str) -> Self {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::default().serialize_request(&key).unwrap();
        Self {
            serial,
            csr_pem: csr.pem().unwrap(),
            key,
        }
    }

    fn key_hash(&self) -> String {
        edgedeck_engine::key_hash(rcgen::PublicKeyData::der_bytes(&self.key))
    }
}

impl Lab {
    async fn open() -> Self {
        let data = TempDir::new().unwrap();
        let engine = Engine::open(Options {
            data: data.path().join("lab"),
            clock: Clock::manual(NOON),
            hosts: BTreeSet::new(),
            addresses: Vec::new(),
        });
        Self {
            engine: engine.await.unwrap(),
            _data: data,
        }
    }

    async fn token(&self, kind: JoinTokenKind) -> String {
        self.engine.create_join_token(&Actor::engine(), kind).await.unwrap().1
    }

    async fn join(&self, one: &Machine, token: &str) -> Result<JoinReply, Problem> {
        let request = JoinRequest {
            token: token.to_owned(),
            serial: one.serial.to_owned(),
            csr_pem: one.csr_pem.clone(),
            host_name: "box".to_owned(),
            arch: "x86_64".to_owned(),
            agent_version: "0".to_owned(),
        };
        self.engine.join(request, "192.0.2.1").await
    }

    async fn managed(&self, one: &Machine) -> NodeId {
        let token = self.token(JoinTokenKind::Single).await;
        let node = self.join(one, &token).await.unwrap().node;
        self.engine
            .manage_node(&Actor::engine(), node, ManageBody::default())
            .await
            .unwrap();
        node
    }

    async fn connect(&self, one: &Machine, node: NodeId) -> (edgedeck_engine::Session, Receiver<ToAgent>) {
        let hello = Hello {
            versions: edgedeck_protocol::VERSIONS,
            agent_version: "0".to_owned(),
            serial: one.serial.to_owned(),
            boot_id: "boot".to_owned(),
            generation: 0,
            outside: None,
            at: self.engine.now(),
        };
        self.engine.connect(node, &one.key_hash(), hello).await.ok().unwrap()
    }

    /// Lets time pass and has the engine make its round.
    async fn pass(&self, ms: i64) {
        self.engine.clock.advance(ms);
        self.engine.tick().await;
    }

    /// The same lab after a restart of the engine, which forgets what was only in memory.
    async fn reopen(self) -> Self {
        let Self { engine, _data } = self;
        let (clock, data) = (engine.clock.clone(), engine.data().to_owned());
        engine.close().await;
        // The engine's own loops let go of it within a round.
        let mut engine = Some(engine);
        let begun = std::time::Instant::now();
        while Arc::strong_count(engine.as_ref().unwrap()) > 1 {
            assert!(
                begun.elapsed().as_secs() < 30,
                "something still holds the closed engine"
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        drop(engine.take());
        let engine = Engine::open(Options {
            data,
            clock,
            hosts: BTreeSet::new(),
            addresses: Vec::new(),
        });
        Self {
            engine: engine.await.unwrap(),
            _data,
        }
    }

    fn alarms(&self) -> Vec<Alarm> {
        self.engine.list_alarms(&AlarmQuery::default()).unwrap().items
    }

    fn state(&self, node: NodeId) -> NodeState {
        self.engine.node(node).unwrap().state
    }
}

fn kinds(alarms: &[Alarm]) -> Vec<AlarmKind> {
    alarms.iter().map(|alarm| alarm.kind).collect()
}

#[tokio::test]
async fn a_certificate_near_its_end_is_an_alarm_until_it_is_renewed() {
    let (lab, one) = (Lab::open().await, Machine::new("A"));
    let node = lab.managed(&one).await;
    lab.pass(64 * DAY).await;
    assert_eq!(lab.alarms(), [], "its agent renews by itself first");
    lab.pass(3 * DAY).await;
    let alarms = lab.alarms();
    assert_eq!(kinds(&alarms), [AlarmKind::CertificateExpiring]);
    assert_eq!((alarms[0].node, alarms[0].facts["days"].as_str()), (Some(node), "23"));
    lab.pass(HOUR).await;
    assert_eq!(lab.alarms().len(), 1, "raised once");

    let (session, mut frames) = lab.connect(&one, node).await;
    let renew = FromAgent::Renew {
        csr_pem: one.csr_pem.clone(),
    };
    session.receive(renew).await.unwrap();
    let renewed =
        std::iter::from_fn(|| frames.try_recv().ok()).any(|frame| matches!(frame, ToAgent::Certificate { .. }));
    assert!(renewed, "the agent gets its new certificate");
    lab.engine.clock.advance(HOUR);
    session
        .receive(FromAgent::Heartbeat { at: lab.engine.now() })
        .await
        .unwrap();
    lab.engine.tick().await;
    assert_eq!(lab.alarms(), []);

    // The engine renews its own, which would end after two years.
    let own = lab.engine.pki.present().server.ends;
    lab.pass((730 - 67 - 31) * DAY).await;
    assert_eq!(lab.engine.pki.present().server.ends, own);
    lab.pass(2 * DAY).await;
    assert!(lab.engine.pki.present().server.ends > own.plus(600 * DAY));
    assert!(lab.alarms().iter().all(|alarm| alarm.node.is_some()));
}

/// The serials' CAs as an agent would tell them.
fn trust_of(lab: &Lab) -> NodeTrust {
    let cas = lab.engine.pki.present();
    NodeTrust {
        roots: cas.all().map(|ca| ca.hash.clone()).collect(),
        issuer: cas.current.hash.clone(),
    }
}

fn reason(outcome: Result<LabAuthority, Problem>) -> String {
    outcome
        .err()
        .map(|problem| problem.fact("reason").to_owned())
        .unwrap_or_default()
}

#[tokio::test]
async fn the_labs_ca_gives_way_to_the_next_when_everybody_is_ready() {
    let (lab, one) = (Lab::open().await, Machine::new("A"));
    let node = lab.managed(&one).await;
    let step = async |step, force| lab.engine.change_ca(&Actor::engine(), step, force).await;
    for early in [CaStep::Cancel, CaStep::Switch, CaStep::End] {
        assert_eq!(reason(step(early, true).await), "ca-step");
    }
    let first = lab.engine.pki.present().current.hash.clone();
    let actor = Actor::engine();
    let script = lab.engine.create_client_certificate(&actor, "script".to_owned());
    script.await.unwrap();

    let begun = step(CaStep::Begin, false).await.unwrap();
    let change = begun.change.unwrap();
    assert_eq!(
        (change.stage, change.behind_count, change.behind[0].id),
        (CaStage::Coming, 1, node)
    );
    assert_eq!(begun.pem.matches("BEGIN CERTIFICATE").count(), 2);
    assert_eq!(
        lab.engine.pki.present().current.hash,
        first,
        "nothing comes from it yet"
    );
    assert_eq!(reason(step(CaStep::Begin, true).await), "ca-step");
    assert_eq!(reason(step(CaStep::Switch, false).await), "ca-nodes");

    // Cancelled, it is as if it had never been.
    let cancelled = step(CaStep::Cancel, false).await.unwrap();
    assert!(cancelled.change.is_none() && cancelled.pem.matches("BEGIN CERTIFICATE").count() == 1);
    step(CaStep::Begin, false).await.unwrap();

    // A node that does not take it for a day is an alarm, and an event once.
    lab.pass(DAY + HOUR).await;
    lab.pass(HOUR).await;
    assert_eq!(kinds(&lab.alarms()), [AlarmKind::CaNotTaken]);
    let events = lab.engine.list_events(&EventQuery::default()).unwrap().items;
    assert_eq!(
        events
            .iter()
            .filter(|event| event.kind == EventKind::CaNotTaken)
            .count(),
        1
    );
    let (session, mut frames) = lab.connect(&one, node).await;
    assert!(
        matches!(frames.try_recv(), Ok(ToAgent::Welcome(welcome)) if welcome.ca_pem == Some(lab.engine.pki.present().pem()))
    );
    session.receive(FromAgent::Trusts(trust_of(&lab))).await.unwrap();
    assert_eq!(lab.alarms(), []);

    // What was committed is there after a restart.
    let lab = lab.reopen().await;
    let step = async |step, force| lab.engine.change_ca(&Actor::engine(), step, force).await;
    assert_eq!(lab.engine.lab_authority().unwrap().change.unwrap().behind_count, 0);
    let (session, mut frames) = lab.connect(&one, node).await;
    let second = lab.engine.pki.present().other.as_ref().unwrap().0.hash.clone();
    // A clock that is an hour ahead just then makes no difference to what comes from which CA.
    lab.engine.clock.jump(lab.engine.now().plus(HOUR));
    step(CaStep::Switch, false).await.unwrap();
    lab.engine.clock.jump(lab.engine.now().plus(-HOUR));
    let new = lab.engine.create_client_certificate(&actor, "new".to_owned());
    new.await.unwrap();
    assert_eq!(lab.engine.lab_authority().unwrap().change.unwrap().clients, 1);
    assert_eq!(lab.engine.pki.present().current.hash, second);
    let told = std::iter::from_fn(|| frames.try_recv().ok())
        .any(|frame| matches!(frame, ToAgent::Authorities { pem } if pem == lab.engine.pki.present().pem()));
    assert!(told, "the connected node is told");
    assert_eq!(reason(step(CaStep::End, false).await), "ca-nodes");
    session.receive(FromAgent::Trusts(trust_of(&lab))).await.unwrap();
    assert_eq!(reason(step(CaStep::End, false).await), "ca-clients");
    let lab = lab.reopen().await;
    let ended = lab.engine.change_ca(&Actor::engine(), CaStep::End, true).await.unwrap();
    assert!(ended.change.is_none());
    let cas = lab.engine.pki.present();
    assert_eq!(
        cas.all().map(|ca| ca.hash.as_str()).collect::<Vec<_>>(),
        [second.as_str()]
    );
    let clients = lab.engine.list_client_certificates().unwrap();
    let revoked = clients.iter().map(|one| (one.name.as_str(), one.revoked_at.is_some()));
    assert_eq!(
        revoked.collect::<BTreeMap<_, _>>(),
        BTreeMap::from([("script", true), ("new", false)])
    );
    let subjects = [&cas.current.facts.subject, &cas.current.facts.issuer];
    assert!(
        subjects.iter().all(|name| name.contains("EdgeDeck lab CA 2")),
        "{subjects:?}"
    );
}

#[tokio::test]
async fn a_ca_that_ends_gives_way_by_itself() {
    let lab = Lab::open().await;
    let change = |lab: &Lab| lab.engine.lab_authority().unwrap().change.map(|change| change.stage);
    let first = lab.engine.pki.present().current.hash.clone();
    lab.pass((7_300 - 181) * DAY).await;
    assert_eq!(change(&lab), None);
    lab.pass(2 * DAY).await;
    assert_eq!(change(&lab), Some(CaStage::Coming));
    lab.pass(148 * DAY).await;
    assert_eq!(
        (change(&lab), &lab.engine.pki.present().current.hash),
        (Some(CaStage::Coming), &first)
    );
    lab.pass(2 * DAY).await;
    assert_eq!(change(&lab), Some(CaStage::Former));
    assert_ne!(lab.engine.pki.present().current.hash, first);
    lab.pass(30 * DAY).await;
    assert_eq!(change(&lab), None);
    assert_eq!(lab.alarms(), []);
}

#[tokio::test]
async fn a_ca_found_near_its_end_gives_everybody_a_week_for_each_step() {
    let lab = Lab::open().await;
    let stage = |lab: &Lab| lab.engine.lab_authority().unwrap().change.map(|change| change.stage);
    lab.pass((7_300 - 20) * DAY).await;
    assert_eq!(stage(&lab), Some(CaStage::Coming));
    lab.pass(6 * DAY).await;
    assert_eq!(stage(&lab), Some(CaStage::Coming));
    lab.pass(2 * DAY).await;
    assert_eq!(stage(&lab), Some(CaStage::Former));

    // A clock that is years ahead for some hours begins a change, and nothing that could not be taken back.
    let lab = Lab::open().await;
    let first = lab.engine.pki.present().current.hash.clone();
    lab.engine.clock.jump(lab.engine.now().plus(7_400 * DAY));
    for _ in 0..5 {
        lab.pass(HOUR).await;
    }
    lab.engine.clock.jump(lab.engine.now().plus(-7_400 * DAY));
    lab.pass(HOUR).await;
    assert_eq!(stage(&lab), Some(CaStage::Coming));
    let cancelled = lab.engine.change_ca(&Actor::engine(), CaStep::Cancel, false).await;
    assert!(cancelled.unwrap().change.is_none());
    assert_eq!(lab.engine.pki.present().current.hash, first);
}

#[tokio::test]
async fn a_wall_clock_that_jumps_makes_no_node_silent_and_no_token_valid_for_ever() {
    let (lab, one) = (Lab::open().await, Machine::new("A"));
    let node = lab.managed(&one).await;
    let (session, _frames) = lab.connect(&one, node).await;
    let token = lab.token(JoinTokenKind::Single).await;
    for jump in [DAY, -DAY, -DAY, DAY] {
        lab.engine.clock.jump(lab.engine.now().plus(jump));
        lab.engine.tick().await;
        assert_eq!(lab.state(node), NodeState::Online, "after a jump by {jump} ms");
        lab.pass(5 * SECOND).await;
        session
            .receive(FromAgent::Heartbeat { at: lab.engine.now() })
            .await
            .unwrap();
        assert_eq!(lab.state(node), NodeState::Online);
    }
    // Real silence is told by the clock that only goes on.
    let mut waited = 0;
    while lab.state(node) == NodeState::Online {
        lab.pass(SECOND).await;
        waited += SECOND;
        assert!(waited <= edgedeck_engine::OFFLINE_AFTER + 2 * SECOND, "never offline");
    }
    assert!(waited >= edgedeck_engine::OFFLINE_AFTER, "offline after {waited} ms");
    assert_eq!(kinds(&lab.alarms()), [AlarmKind::NodeOffline]);

    lab.pass(2 * DAY).await;
    let late = lab.join(&Machine::new("B"), &token).await;
    assert_eq!(
        late.err().map(|problem| problem.code),
        Some(Code::BadToken),
        "an expired token"
    );
}

#[tokio::test]
async fn a_node_is_measured_more_often_while_somebody_looks() {
    let (lab, one) = (Lab::open().await, Machine::new("A"));
    let node = lab.managed(&one).await;
    let (session, mut frames) = lab.connect(&one, node).await;
    let mut pace = || {
        let paces = std::iter::from_fn(|| frames.try_recv().ok()).filter_map(|frame| match frame {
            ToAgent::Pace { sample_interval } => Some(sample_interval),
            ToAgent::Welcome(welcome) => Some(welcome.sample_interval),
            _ => None,
        });
        paces.collect::<Vec<_>>()
    };
    assert_eq!(pace(), [30_000]);
    for _ in 0..5 {
        lab.engine.watch_node(node);
        lab.pass(20 * SECOND).await;
        session
            .receive(FromAgent::Heartbeat { at: lab.engine.now() })
            .await
            .unwrap();
    }
    assert_eq!(pace(), [2_000], "told once");
    // A link that is opened anew learns it, too.
    let (session, mut again) = lab.connect(&one, node).await;
    let welcomed = std::iter::from_fn(|| again.try_recv().ok())
        .any(|frame| matches!(frame, ToAgent::Welcome(welcome) if welcome.sample_interval == 2_000));
    assert!(welcomed);
    lab.pass(25 * SECOND).await;
    session
        .receive(FromAgent::Heartbeat { at: lab.engine.now() })
        .await
        .unwrap();
    lab.pass(25 * SECOND).await;
    let slower = std::iter::from_fn(|| again.try_recv().ok()).any(|frame| {
        matches!(
            frame,
            ToAgent::Pace {
                sample_interval: 30_000
            }
        )
    });
    assert!(slower, "nobody looks any more");
}

#[tokio::test]
async fn a_node_that_was_hot_before_it_was_managed_is_an_alarm_afterwards() {
    let (lab, one) = (Lab::open().await, Machine::new("A"));
    let token = lab.token(JoinTokenKind::Single).await;
    let node = lab.join(&one, &token).await.unwrap().node;
    let (session, _frames) = lab.connect(&one, node).await;
    let mut number = 0;
    let mut measure = async |value: f32| {
        number += 1;
        lab.engine.clock.advance(SECOND);
        let sample = Sample {
            at: lab.engine.now(),
            values: vec![Value {
                metric: Metric::NpuTemperature,
                part: 0,
                value,
            }],
        };
        session.receive(FromAgent::Sample { number, sample }).await.unwrap();
        kinds(&lab.alarms())
    };
    assert_eq!(measure(90.0).await, [], "nobody looks after it yet");
    lab.engine
        .manage_node(&Actor::engine(), node, ManageBody::default())
        .await
        .unwrap();
    assert_eq!(measure(90.0).await, [AlarmKind::NpuHot]);
    assert_eq!(
        measure(80.0).await,
        [AlarmKind::NpuHot],
        "between the thresholds it stays"
    );
    assert_eq!(measure(78.0).await, []);
    assert_eq!(measure(84.9).await, []);
    assert_eq!(measure(85.0).await, [AlarmKind::NpuHot]);
}

#[tokio::test]
async fn images_that_a_kept_database_may_name_are_not_collected() {
    let lab = Lab::open().await;
    let data = lab.engine.data().to_owned();
    let (stray, kept) = (
        data.join("registry").join("ab".repeat(32)),
        data.join("edgedeck.db.before-restore"),
    );
    std::fs::create_dir_all(data.join("registry")).unwrap();
    std::fs::write(&stray, "a layer").unwrap();
    std::fs::write(&kept, "the database before").unwrap();
    lab.pass(2 * DAY).await;
    assert!(stray.exists(), "the restore can be undone");
    std::fs::remove_file(&kept).unwrap();
    lab.pass(2 * HOUR).await;
    assert!(!stray.exists());
}
