//! The fleet hub: links to agents, their presence, and what goes over them.
//!
//! Heartbeats and facts stay in memory; only a change of a node's state is a write.

use crate::{
    Clock, Engine,
    error::{Error, Result},
    fleet,
    store::{Store, Tx, row},
};
use edgedeck_model::{
    Code, Lang, NodeId, PlacementId, Problem, Time,
    alarm::AlarmKind,
    api::{LogPage, LogQuery},
    deployment::Placement,
    event::EventKind,
    name,
    node::{Facts, Node, NodeState},
};
use edgedeck_protocol::{
    Answer, Desired, FromAgent, HEARTBEAT, Hello, LOG_LINES_MAX, SAMPLE_INTERVAL, Task, ToAgent, Welcome, agree,
};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// A node is offline when nothing was heard of it for this long, in milliseconds.
pub const OFFLINE_AFTER: i64 = 30_000;
/// How often a node is measured while somebody looks at it, in milliseconds.
const WATCHED_SAMPLE_INTERVAL: u32 = 2_000;
/// How long that goes on after the last look, in milliseconds.
const WATCHED_FOR: i64 = 60_000;
/// Frames that may wait for a slow agent before its link is cut.
const QUEUE: usize = 64;
/// How long an agent has to answer, beyond the wait it was asked for.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Requests to one agent that may be open at once.
const REQUESTS_MAX: usize = 32;

/// Everything known in memory about the nodes' links.
pub struct Hub {
    nodes: Mutex<HashMap<NodeId, Presence>>,
    /// Nodes that somebody looks at, and the monotonic time until which they are measured more often.
    watched: Mutex<HashMap<NodeId, i64>>,
    /// Nodes whose agents change their version: away for a while, or back on trial.
    upgrading: Mutex<HashSet<NodeId>>,
    links: AtomicU64,
    requests: AtomicU64,
}

struct Presence {
    /// As last written to the store.
    state: NodeState,
    /// Monotonic time of the last frame.
    seen: Arc<AtomicI64>,
    link: Option<Link>,
    facts: Option<Facts>,
}

struct Link {
    number: u64,
    sender: mpsc::Sender<ToAgent>,
    waiting: HashMap<u64, oneshot::Sender<std::result::Result<Answer, Problem>>>,
}

/// Why an agent's link is not served.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The agent must not touch its workloads: the engine may have lost its memory, not the lab its node.
    #[error("this certificate belongs to no node of the lab")]
    Unknown,
    #[error("this node was taken out of the lab")]
    Removed,
    #[error("the agent speaks versions {0} to {1} of the protocol, and the engine {2} to {3}")]
    Version(u16, u16, u16, u16),
    #[error(transparent)]
    Engine(#[from] Error),
}

impl Hub {
    pub fn open(store: &Store, clock: &Clock) -> Result<Self> {
        let nodes = store.read(|connection| row::select::<Node>(connection, "", []))?;
        let now = clock.monotonic();
        // Whoever was connected when the engine stopped has its whole timeout to come back.
        let presence = |node: Node| {
            (
                node.id,
                Presence {
                    state: node.state,
                    seen: Arc::new(AtomicI64::new(now)),
                    link: None,
                    facts: None,
                },
            )
        };
        Ok(Self {
            nodes: Mutex::new(nodes.into_iter().map(presence).collect()),
            watched: Mutex::default(),
            upgrading: Mutex::default(),
            links: AtomicU64::new(0),
            requests: AtomicU64::new(0),
        })
    }

    pub fn facts(&self, node: NodeId) -> Option<Facts> {
        self.nodes.lock().get(&node)?.facts.clone()
    }

    pub fn connected(&self) -> usize {
        self.nodes.lock().values().filter(|node| node.link.is_some()).count()
    }

    /// The nodes whose link is up.
    pub fn linked(&self) -> Vec<NodeId> {
        let nodes = self.nodes.lock();
        let linked = nodes.iter().filter(|(_, presence)| presence.link.is_some());
        linked.map(|(node, _)| *node).collect()
    }

    /// Ends a node's link; its agent has to come again.
    pub fn cut(&self, node: NodeId) {
        if let Some(presence) = self.nodes.lock().get_mut(&node) {
            presence.link = None;
        }
    }

    pub fn is_linked(&self, node: NodeId) -> bool {
        self.nodes
            .lock()
            .get(&node)
            .is_some_and(|presence| presence.link.is_some())
    }

    fn is_upgrading(&self, node: NodeId) -> bool {
        self.upgrading.lock().contains(&node)
    }

    /// Whether a node is thought to be connected: linked, or not silent for long enough to say otherwise.
    pub fn is_expected(&self, node: NodeId) -> bool {
        self.nodes
            .lock()
            .get(&node)
            .is_some_and(|presence| presence.state.is_connected())
    }

    /// When a connected node was last heard of.
    pub fn last_seen(&self, node: NodeId, clock: &Clock) -> Option<Time> {
        let nodes = self.nodes.lock();
        let presence = nodes.get(&node)?;
        presence.facts.as_ref()?;
        Some(
            clock
                .now()
                .plus(presence.seen.load(Ordering::Relaxed) - clock.monotonic()),
        )
    }

    /// Sends a frame if the node is connected. An agent that does not take its frames loses its link.
    pub fn send(&self, node: NodeId, frame: ToAgent) {
        let mut nodes = self.nodes.lock();
        if let Some(presence) = nodes.get_mut(&node)
            && let Some(link) = &presence.link
            && link.sender.try_send(frame).is_err()
        {
            presence.link = None;
        }
    }

    /// How often a node is measured now, in milliseconds.
    fn sample_interval(&self, node: NodeId) -> u32 {
        if self.watched.lock().contains_key(&node) {
            WATCHED_SAMPLE_INTERVAL
        } else {
            SAMPLE_INTERVAL
        }
    }

    /// Tells a node that it was removed, and forgets it.
    pub fn dismiss(&self, node: NodeId) {
        if let Some(Presence { link: Some(link), .. }) = self.nodes.lock().remove(&node) {
            // A full queue ends the link all the same; the agent then learns at its next try that it is unknown.
            let _told = link.sender.try_send(ToAgent::Removed);
        }
    }

    pub fn close_all(&self) {
        self.nodes.lock().clear();
    }

    fn set_state(&self, node: NodeId, state: NodeState) {
        if let Some(presence) = self.nodes.lock().get_mut(&node) {
            presence.state = state;
        }
    }

    /// Nodes that were connected and have not been heard of for too long.
    fn lost(&self, now: i64) -> Vec<NodeId> {
        let upgrading = self.upgrading.lock();
        let mut nodes = self.nodes.lock();
        let mut lost = Vec::new();
        for (id, presence) in nodes.iter_mut() {
            if presence.state.is_connected()
                && !upgrading.contains(id)
                && now - presence.seen.load(Ordering::Relaxed) > OFFLINE_AFTER
            {
                presence.link = None;
                presence.facts = None;
                lost.push(*id);
            }
        }
        lost
    }

    pub async fn ask(&self, node: NodeId, task: Task, wait: Duration) -> std::result::Result<Answer, Problem> {
        let request = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        let answer = {
            let mut nodes = self.nodes.lock();
            let link = nodes.get_mut(&node).and_then(|presence| presence.link.as_mut());
            let link = link.ok_or_else(|| Problem::new(Code::Unreachable))?;
            link.waiting.retain(|_, waiting| !waiting.is_closed());
            if link.waiting.len() >= REQUESTS_MAX || link.sender.try_send(ToAgent::Request { request, task }).is_err() {
                return Err(Problem::new(Code::Unreachable));
            }
            let (sender, answer) = oneshot::channel();
            link.waiting.insert(request, sender);
            answer
        };
        match tokio::time::timeout(wait + ANSWER_TIME, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Problem::new(Code::Unreachable)),
        }
    }
}

/// One agent's link, from its hello to its end.
pub struct Session {
    engine: Weak<Engine>,
    node: NodeId,
    number: u64,
    seen: Arc<AtomicI64>,
    boot_id: String,
}

impl Engine {
    /// Begins the session of an agent whose certificate names `node` and carries the key with `key_hash`. What has to
    /// be sent comes out of the receiver, the welcome first; when the receiver ends, so must the link.
    ///
    /// # Errors
    /// [`SessionError`]: tell it to the agent and close.
    pub async fn connect(
        self: &Arc<Self>,
        node: NodeId,
        key_hash: &str,
        hello: Hello,
    ) -> std::result::Result<(Session, mpsc::Receiver<ToAgent>), SessionError> {
        let known = self.store.read(|connection| row::get::<Node>(connection, node.0))?;
        let known = known
            .filter(|known| known.key_hash == key_hash)
            .ok_or(SessionError::Unknown)?;
        let (low, high) = edgedeck_protocol::VERSIONS;
        let version =
            agree(hello.versions).ok_or(SessionError::Version(hello.versions.0, hello.versions.1, low, high))?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let number = self.hub.links.fetch_add(1, Ordering::Relaxed) + 1;
        let seen = {
            let mut nodes = self.hub.nodes.lock();
            let presence = nodes.entry(node).or_insert_with(|| Presence {
                state: known.state,
                seen: Arc::default(),
                link: None,
                facts: None,
            });
            presence.seen.store(self.clock.monotonic(), Ordering::Relaxed);
            // A second link of the same node replaces the first.
            presence.link = Some(Link {
                number,
                sender: sender.clone(),
                waiting: HashMap::new(),
            });
            presence.seen.clone()
        };
        let welcome = Welcome {
            version,
            at: self.clock.now(),
            heartbeat: HEARTBEAT,
            sample_interval: self.hub.sample_interval(node),
            addresses: self.agent_addresses(),
            managed: known.managed,
            software_key: Some(self.software.public_key()),
            ca_pem: Some(self.pki.present().pem()),
            takes_usage: true,
        };
        // The queue is new and empty.
        let _queued = sender.try_send(ToAgent::Welcome(welcome));
        self.outside_held(node, hello.outside);
        self.set_online(node, known.state, &hello).await?;
        self.send_desired(node);
        Ok((
            Session {
                engine: Arc::downgrade(self),
                node,
                number,
                seen,
                boot_id: hello.boot_id,
            },
            receiver,
        ))
    }

    async fn set_online(&self, node: NodeId, before: NodeState, hello: &Hello) -> Result<()> {
        if before == NodeState::Online || self.hub.is_upgrading(node) {
            return Ok(());
        }
        let version = name::tame(&hello.agent_version, 32);
        self.store
            .write(move |tx| {
                let Some(mut row) = row::get::<Node>(tx, node.0)? else {
                    return Ok(());
                };
                row.facts.agent_version = version;
                change_state(tx, &mut row, NodeState::Online, "")
            })
            .await?;
        self.hub.set_state(node, NodeState::Online);
        Ok(())
    }

    /// Sends a node all that is wanted of it.
    pub(crate) fn send_desired(&self, node: NodeId) {
        match self.desired(node) {
            Ok(Some(desired)) => {
                // First, because a workload may need it.
                self.send_outside(node);
                self.hub.send(node, ToAgent::Desired(desired));
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, %node, "computing the desired state"),
        }
    }

    fn desired(&self, node: NodeId) -> Result<Option<Desired>> {
        self.store
            .read(|connection| crate::deployments::desired(connection, node))
    }

    /// Somebody looks at a node's figures: it is measured more often for a while.
    pub fn watch_node(&self, node: NodeId) {
        let until = self.clock.monotonic() + WATCHED_FOR;
        if self.hub.nodes.lock().contains_key(&node) && self.hub.watched.lock().insert(node, until).is_none() {
            let sample_interval = WATCHED_SAMPLE_INTERVAL;
            self.hub.send(node, ToAgent::Pace { sample_interval });
        }
    }

    /// Returns nodes that nobody looks at any more to their usual pace.
    pub(crate) fn end_watches(&self) {
        let now = self.clock.monotonic();
        let ended: Vec<NodeId> = {
            let mut watched = self.hub.watched.lock();
            watched
                .extract_if(|_, until| *until <= now)
                .map(|(node, _)| node)
                .collect()
        };
        for node in ended {
            let sample_interval = SAMPLE_INTERVAL;
            self.hub.send(node, ToAgent::Pace { sample_interval });
        }
    }

    /// Writes down which nodes have gone silent.
    pub(crate) async fn mark_lost(&self) -> Result<()> {
        let lost = self.hub.lost(self.clock.monotonic());
        if lost.is_empty() {
            return Ok(());
        }
        let silent = lost.clone();
        self.store
            .write(move |tx| {
                for id in silent {
                    if let Some(mut node) = row::get::<Node>(tx, id.0)?
                        && node.state.is_connected()
                    {
                        node.last_seen = Some(tx.now().plus(-OFFLINE_AFTER));
                        change_state(tx, &mut node, NodeState::Offline, "")?;
                    }
                }
                Ok(())
            })
            .await?;
        for id in lost {
            self.hub.set_state(id, NodeState::Offline);
        }
        Ok(())
    }

    /// Lines of one part's log, asked of the node itself.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Unreachable`], or what the agent says.
    pub async fn logs(&self, placement: PlacementId, query: LogQuery) -> std::result::Result<LogPage, Problem> {
        let found = self
            .store
            .read(|connection| row::get::<Placement>(connection, placement.0))?;
        let found = found.ok_or_else(|| Problem::not_found("placement"))?;
        let wait = query.wait.min(20_000);
        let part = match query.part {
            part if part.is_empty() => found.parts.first().map(|part| part.name.clone()).unwrap_or_default(),
            part => part,
        };
        let task = Task::Logs {
            placement,
            part,
            after: query.after,
            lines: query.lines.clamp(1, LOG_LINES_MAX),
            wait,
        };
        match self
            .hub
            .ask(found.node, task, Duration::from_millis(wait.into()))
            .await?
        {
            Answer::Logs(page) => Ok(page),
            _ => Err(Problem::internal("an answer to another question")),
        }
    }

    pub fn is_linked(&self, node: NodeId) -> bool {
        self.hub.is_linked(node)
    }

    /// Nodes whose link is up.
    pub fn connected(&self) -> usize {
        self.hub.connected()
    }
}

impl Session {
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Takes a frame of the agent.
    ///
    /// # Errors
    /// When the store cannot write: the agent will send it again.
    pub async fn receive(&self, frame: FromAgent) -> Result<()> {
        let engine = self.engine.upgrade().ok_or(Error::Closed)?;
        self.seen.store(engine.clock.monotonic(), Ordering::Relaxed);
        match frame {
            FromAgent::Hello(_) | FromAgent::Heartbeat { .. } => Ok(()),
            FromAgent::Facts(facts) => engine.take_facts(self.node, *facts, &self.boot_id).await,
            FromAgent::Progress { job, percent } => engine.take_progress(job, self.node, percent).await,
            FromAgent::OutsideTaken { revision, problem } => {
                let problem = problem.map(|problem| name::tame(&problem, 300));
                engine.outside_taken(self.node, revision, problem);
                Ok(())
            }
            FromAgent::Sample { number, sample } => engine.take_sample(self.node, number, sample).await,
            FromAgent::Usage(usage) => {
                let number = usage.number;
                engine.take_usage(self.node, usage).await?;
                engine.hub.send(self.node, ToAgent::UsageStored { number });
                Ok(())
            }
            FromAgent::Observed(observed) => {
                let sequence = observed.sequence;
                engine.observe(self.node, observed).await?;
                engine.hub.send(self.node, ToAgent::ObservedStored { sequence });
                Ok(())
            }
            FromAgent::Answer { request, outcome } => {
                if let Err(problem) = &outcome {
                    engine.note_refusal(self.node, problem).await?;
                }
                let waiting = {
                    let mut nodes = engine.hub.nodes.lock();
                    let link = nodes.get_mut(&self.node).and_then(|presence| presence.link.as_mut());
                    link.filter(|link| link.number == self.number)
                        .and_then(|link| link.waiting.remove(&request))
                };
                if let Some(waiting) = waiting {
                    // Nobody waits any longer: the answer came too late.
                    let _late = waiting.send(outcome);
                }
                Ok(())
            }
            FromAgent::Trusts(trust) => engine.take_trust(self.node, trust).await,
            FromAgent::Renew { csr_pem } => engine.renew(self.node, &csr_pem).await,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(engine) = self.engine.upgrade() else {
            return;
        };
        let mut nodes = engine.hub.nodes.lock();
        if let Some(presence) = nodes.get_mut(&self.node)
            && presence.link.as_ref().is_some_and(|link| link.number == self.number)
        {
            // The node is not offline yet: it has its timeout to come back.
            presence.link = None;
        }
    }
}

/// Writes a node's new state, with its event and its alarm.
fn change_state(tx: &mut Tx<'_>, node: &mut Node, state: NodeState, detail: &str) -> Result<()> {
    if node.state == state {
        return tx.put(node);
    }
    let before = std::mem::replace(&mut node.state, state);
    node.state_since = tx.now();
    tx.put(node)?;
    let facts = [("node", node.name.as_str()), ("detail", detail)];
    match state {
        NodeState::Offline => {
            tx.event(EventKind::NodeOffline, Some(node.id), &facts)?;
            if node.managed {
                tx.raise(AlarmKind::NodeOffline, Some(node.id), "", &facts)?;
            }
        }
        NodeState::Degraded => tx.event(EventKind::NodeDegraded, Some(node.id), &facts)?,
        NodeState::Online => {
            if before != NodeState::Upgrading {
                tx.event(EventKind::NodeOnline, Some(node.id), &facts)?;
            }
            tx.clear(AlarmKind::NodeOffline, Some(node.id), "")?;
        }
        _ => {}
    }
    Ok(())
}

/// Facts without what moves all the time: what is worth a write when it changes.
fn lasting(facts: &Facts) -> Facts {
    let mut lasting = facts.clone();
    for disk in &mut lasting.disks {
        disk.used_bytes = 0;
    }
    for chip in &mut lasting.npus {
        *chip = chip.lasting();
    }
    lasting
}

impl Engine {
    async fn take_facts(&self, node: NodeId, mut facts: Facts, boot_id: &str) -> Result<()> {
        tame_facts(&mut facts);
        let stored = self.store_facts(node, &facts, boot_id).await;
        // Last, so that nobody is shown what deployments are not judged by yet.
        if let Some(presence) = self.hub.nodes.lock().get_mut(&node) {
            presence.facts = Some(facts);
        }
        stored
    }

    /// Writes down what lasts of a node's facts, and the state that they put it into, if either has changed.
    async fn store_facts(&self, node: NodeId, facts: &Facts, boot_id: &str) -> Result<()> {
        let fixed = lasting(facts);
        let trouble = facts.npu_problem.clone().or_else(|| facts.runtime_problem.clone());
        let state = if self.hub.is_upgrading(node) {
            NodeState::Upgrading
        } else if trouble.is_some() {
            NodeState::Degraded
        } else {
            NodeState::Online
        };
        let stored = self.store.read(|connection| fleet::get(connection, node))?;
        if stored.facts == fixed && stored.state == state {
            return Ok(());
        }
        let boot = boot_id.to_owned();
        self.store
            .write(move |tx| {
                let Some(mut row) = row::get::<Node>(tx, node.0)? else {
                    return Ok(());
                };
                let restarted =
                    matches!((row.facts.boot_at, fixed.boot_at), (Some(old), Some(new)) if new.since(old) > 60_000);
                if restarted && !boot.is_empty() {
                    tx.event(EventKind::NodeRestarted, Some(node), &[("node", &row.name)])?;
                }
                row.facts = fixed;
                change_state(tx, &mut row, state, trouble.as_deref().unwrap_or_default())?;
                tx.judge_facts(&row)
            })
            .await?;
        self.hub.set_state(node, state);
        Ok(())
    }

    /// Writes down that a node could not, or would not, do what it was asked.
    async fn note_refusal(&self, node: NodeId, problem: &Problem) -> Result<()> {
        let kind = match (problem.code, problem.fact("reason")) {
            (Code::Invalid | Code::Malformed, _) => EventKind::RequestInvalid,
            (Code::Forbidden | Code::NotBuilt, _) | (Code::Conflict, "software-own") => EventKind::RequestRefused,
            _ => return Ok(()),
        };
        let words = |lang| name::tame(&problem.text(lang), 300);
        let (zh, en) = (words(Lang::Zh), words(Lang::En));
        self.store
            .write(move |tx| {
                let Some(row) = row::get::<Node>(tx, node.0)? else {
                    return Ok(());
                };
                tx.event(
                    kind,
                    Some(node),
                    &[("node", &row.name), ("text_zh", &zh), ("text_en", &en)],
                )
            })
            .await
    }

    /// A node's agent begins to change its version, or has ended that.
    pub(crate) async fn set_upgrading(&self, node: NodeId, is_upgrading: bool) -> Result<()> {
        let facts = self.hub.facts(node).unwrap_or_default();
        let trouble = facts.npu_problem.or(facts.runtime_problem);
        let state = if is_upgrading {
            self.hub.upgrading.lock().insert(node);
            NodeState::Upgrading
        } else if !self.hub.upgrading.lock().remove(&node) {
            return Ok(());
        } else if trouble.is_some() {
            NodeState::Degraded
        } else {
            NodeState::Online
        };
        let written = self.store.write(move |tx| {
            let found = row::get::<Node>(tx, node.0)?;
            let Some(mut row) = found.filter(|row| row.state.is_connected()) else {
                return Ok(false);
            };
            change_state(tx, &mut row, state, trouble.as_deref().unwrap_or_default())?;
            Ok(true)
        });
        if written.await? {
            self.hub.set_state(node, state);
        }
        Ok(())
    }

    async fn renew(&self, node: NodeId, csr_pem: &str) -> Result<()> {
        let known = self.store.read(|connection| fleet::get(connection, node))?;
        let certificate = self.pki.sign_node(csr_pem, node, &known.serial, self.clock.now())?;
        if certificate.key_hash != known.key_hash {
            return Err(Problem::new(Code::Forbidden).into());
        }
        let pem = certificate.pem;
        self.store
            .write(move |tx| {
                let mut row = fleet::get(tx, node)?;
                row.certificate_ends = Some(certificate.ends);
                tx.put(&mut row)?;
                tx.clear(AlarmKind::CertificateExpiring, Some(node), "")
            })
            .await?;
        self.hub.send(node, ToAgent::Certificate { pem });
        Ok(())
    }
}

/// Cuts what a box says about itself to sizes that lists and the database can bear.
fn tame_facts(facts: &mut Facts) {
    let short = |text: &mut String| *text = name::tame(text, 253);
    let optional = |text: &mut Option<String>| {
        *text = text
            .as_deref()
            .map(|text| name::tame(text, 253))
            .filter(|text| !text.is_empty());
    };
    for text in [
        &mut facts.host_name,
        &mut facts.arch,
        &mut facts.os,
        &mut facts.kernel,
        &mut facts.agent_version,
    ] {
        short(text);
    }
    for text in [
        &mut facts.model,
        &mut facts.cpu_model,
        &mut facts.ip,
        &mut facts.agent_waiting,
        &mut facts.npu_tool_version,
        &mut facts.npu_driver_version,
        &mut facts.npu_problem,
        &mut facts.runtime_problem,
    ] {
        optional(text);
    }
    facts.disks.truncate(64);
    for disk in &mut facts.disks {
        for text in [&mut disk.mount, &mut disk.device, &mut disk.filesystem] {
            short(text);
        }
    }
    facts.nics.truncate(64);
    for nic in &mut facts.nics {
        short(&mut nic.name);
        optional(&mut nic.mac);
        nic.addresses.truncate(32);
        nic.addresses.iter_mut().for_each(short);
    }
    if let Some(runtime) = &mut facts.runtime {
        for text in [&mut runtime.name, &mut runtime.version, &mut runtime.api_version] {
            short(text);
        }
    }
    facts.npus.truncate(256);
    facts.npus.iter_mut().for_each(|chip| chip.tame());
}
