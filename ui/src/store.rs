//! The lab as the change feed tells it, held once for every screen.
//!
//! The rows are plain data outside the reactive system: 100,000 nodes would be too many signals. One version signal
//! per kind says that something of that kind changed; a view tracks it and reads what it shows through [`lab`].

use crate::match_text::{folded, natural};
use edgedeck_model::{
    AlarmId, AppId, DeploymentId, GroupId, JobId, NodeId, PlacementId, Time, VersionId,
    alarm::{Alarm, Severity},
    app::{App, Version},
    deployment::{Deployment, Placement},
    event::Event,
    feed::{Change, Feed, Kind, WatchQuery},
    group::Group,
    job::Job,
    node::NodeRow,
    telemetry::Live,
};
use leptos::prelude::*;
use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};
use uuid::Uuid;

/// Most events that are held; older ones are asked for by their screen.
pub const EVENTS_MAX: usize = 500;

/// A node with what is derived from it once, so that lists need not.
#[derive(Clone, Debug)]
pub struct NodeEntry {
    pub row: NodeRow,
    pub live: Live,
    /// Name, serial, address, model and labels, folded for searching.
    pub search: String,
    /// Sorts `node-2` before `node-10`.
    pub sort: Arc<str>,
}

/// Everything the console knows of the lab.
#[derive(Debug, Default)]
pub struct Lab {
    nodes: Vec<NodeEntry>,
    places: HashMap<NodeId, u32>,
    /// Places in `nodes` by name; made again when names, or the nodes there are, have changed.
    order: Vec<u32>,
    order_is_stale: bool,
    pub groups: BTreeMap<GroupId, Arc<Group>>,
    pub apps: BTreeMap<AppId, Arc<App>>,
    pub versions: BTreeMap<VersionId, Arc<Version>>,
    pub deployments: BTreeMap<DeploymentId, Arc<Deployment>>,
    pub placements: HashMap<PlacementId, Arc<Placement>>,
    of_node: HashMap<NodeId, BTreeSet<PlacementId>>,
    of_deployment: HashMap<DeploymentId, BTreeSet<PlacementId>>,
    /// Those that are not cleared.
    pub alarms: BTreeMap<AlarmId, Arc<Alarm>>,
    /// The last ones, newest first.
    pub events: VecDeque<Arc<Event>>,
    pub jobs: BTreeMap<JobId, Arc<Job>>,
    rev: u64,
    live: u64,
    epoch: u64,
}

/// Which kinds a feed touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub nodes: bool,
    pub live: bool,
    pub groups: bool,
    pub apps: bool,
    pub deployments: bool,
    pub placements: bool,
    pub alarms: bool,
    pub events: bool,
    pub jobs: bool,
}

impl Touched {
    const ALL: Self = Self {
        nodes: true,
        live: true,
        groups: true,
        apps: true,
        deployments: true,
        placements: true,
        alarms: true,
        events: true,
        jobs: true,
    };
}

impl Lab {
    /// What to ask the engine for next.
    pub fn ask(&self, wait: u32) -> WatchQuery {
        WatchQuery {
            rev: self.rev,
            live: self.live,
            epoch: self.epoch,
            wait,
        }
    }

    pub fn apply(&mut self, feed: Feed) -> Touched {
        let mut touched = Touched::default();
        if feed.whole {
            *self = Self::default();
            touched = Touched::ALL;
        }
        (self.rev, self.live, self.epoch) = (feed.rev, feed.live, feed.epoch);
        for change in feed.changes {
            self.change(change, &mut touched);
        }
        for (node, live) in feed.figures {
            if let Some(entry) = self
                .places
                .get(&node)
                .and_then(|place| self.nodes.get_mut(*place as usize))
            {
                entry.live = live;
                touched.live = true;
            }
        }
        if std::mem::take(&mut self.order_is_stale) {
            let nodes = &self.nodes;
            self.order.sort_by(|a, b| sort_key(nodes, *a).cmp(&sort_key(nodes, *b)));
        }
        touched
    }

    fn change(&mut self, change: Change, touched: &mut Touched) {
        match change {
            Change::Node(row) => {
                touched.nodes = true;
                self.put_node(row);
            }
            Change::Group(group) => {
                touched.groups = true;
                self.groups.insert(group.id, Arc::new(group));
            }
            Change::App(app) => {
                touched.apps = true;
                self.apps.insert(app.id, Arc::new(app));
            }
            Change::Version(version) => {
                touched.apps = true;
                self.versions.insert(version.id, Arc::new(version));
            }
            Change::Deployment(deployment) => {
                touched.deployments = true;
                self.deployments.insert(deployment.id, Arc::new(deployment));
            }
            Change::Placement(placement) => {
                touched.placements = true;
                self.of_node.entry(placement.node).or_default().insert(placement.id);
                self.of_deployment
                    .entry(placement.deployment)
                    .or_default()
                    .insert(placement.id);
                self.placements.insert(placement.id, Arc::new(placement));
            }
            Change::Alarm(alarm) => {
                touched.alarms = true;
                if alarm.cleared_at.is_some() {
                    self.alarms.remove(&alarm.id);
                } else {
                    self.alarms.insert(alarm.id, Arc::new(alarm));
                }
            }
            Change::Event(event) => {
                touched.events = true;
                let at = self
                    .events
                    .partition_point(|held| (held.at, held.id) > (event.at, event.id));
                if self.events.get(at).is_none_or(|held| held.id != event.id) {
                    self.events.insert(at, Arc::new(event));
                    self.events.truncate(EVENTS_MAX);
                }
            }
            Change::Job(job) => {
                touched.jobs = true;
                self.jobs.insert(job.id, Arc::new(job));
            }
            Change::Gone { kind, id } => self.gone(kind, id, touched),
        }
    }

    fn put_node(&mut self, row: NodeRow) {
        let search = search_key(&row);
        let id = row.id;
        if let Some(entry) = self
            .places
            .get(&id)
            .and_then(|place| self.nodes.get_mut(*place as usize))
        {
            if entry.row.name != row.name {
                entry.sort = natural(&row.name).into();
                self.order_is_stale = true;
            }
            (entry.row, entry.search) = (row, search);
            return;
        }
        let sort = natural(&row.name).into();
        let place = self.nodes.len() as u32;
        self.nodes.push(NodeEntry {
            row,
            live: Live::default(),
            search,
            sort,
        });
        self.places.insert(id, place);
        self.order.push(place);
        self.order_is_stale = true;
    }

    fn gone(&mut self, kind: Kind, id: Uuid, touched: &mut Touched) {
        match kind {
            Kind::Node => {
                touched.nodes = true;
                self.drop_node(NodeId(id));
            }
            Kind::Group => {
                touched.groups = true;
                self.groups.remove(&GroupId(id));
            }
            Kind::App => {
                touched.apps = true;
                self.apps.remove(&AppId(id));
            }
            Kind::Version => {
                touched.apps = true;
                self.versions.remove(&VersionId(id));
            }
            Kind::Deployment => {
                touched.deployments = true;
                self.deployments.remove(&DeploymentId(id));
            }
            Kind::Placement => {
                touched.placements = true;
                let id = PlacementId(id);
                if let Some(placement) = self.placements.remove(&id) {
                    drop_from(&mut self.of_node, placement.node, id);
                    drop_from(&mut self.of_deployment, placement.deployment, id);
                }
            }
            Kind::Alarm => {
                touched.alarms = true;
                self.alarms.remove(&AlarmId(id));
            }
            Kind::Event => {
                touched.events = true;
                self.events.retain(|event| event.id.0 != id);
            }
            Kind::Job => {
                touched.jobs = true;
                self.jobs.remove(&JobId(id));
            }
        }
    }

    fn drop_node(&mut self, id: NodeId) {
        let Some(place) = self.places.remove(&id) else { return };
        self.nodes.swap_remove(place as usize);
        if let Some(moved) = self.nodes.get(place as usize) {
            self.places.insert(moved.row.id, place);
        }
        let last = self.nodes.len() as u32;
        self.order.retain(|at| *at != place);
        for at in &mut self.order {
            if *at == last {
                *at = place;
            }
        }
    }

    /// All nodes by name.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeEntry> {
        self.order.iter().filter_map(|place| self.nodes.get(*place as usize))
    }

    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    pub fn node(&self, id: NodeId) -> Option<&NodeEntry> {
        self.nodes.get(*self.places.get(&id)? as usize)
    }

    /// A node's name, or the start of its id where it is no more.
    pub fn node_name(&self, id: NodeId) -> String {
        self.node(id).map_or_else(
            || id.to_string().chars().take(8).collect(),
            |entry| entry.row.name.clone(),
        )
    }

    pub fn group_name(&self, id: GroupId) -> String {
        self.groups
            .get(&id)
            .map_or_else(|| id.to_string().chars().take(8).collect(), |group| group.name.clone())
    }

    pub fn placements_of_node(&self, id: NodeId) -> Vec<Arc<Placement>> {
        self.placed(self.of_node.get(&id))
    }

    pub fn placements_of_deployment(&self, id: DeploymentId) -> Vec<Arc<Placement>> {
        self.placed(self.of_deployment.get(&id))
    }

    fn placed(&self, ids: Option<&BTreeSet<PlacementId>>) -> Vec<Arc<Placement>> {
        ids.into_iter()
            .flatten()
            .filter_map(|id| self.placements.get(id).cloned())
            .collect()
    }

    /// Open alarms of a severity.
    pub fn alarm_count(&self, severity: Severity) -> usize {
        self.alarms.values().filter(|alarm| alarm.severity == severity).count()
    }

    /// The worst open alarm of every node that has one.
    pub fn worst_alarms(&self) -> HashMap<NodeId, Severity> {
        let mut worst = HashMap::new();
        for alarm in self.alarms.values() {
            if let Some(node) = alarm.node {
                let held = worst.entry(node).or_insert(alarm.severity);
                *held = (*held).max(alarm.severity);
            }
        }
        worst
    }
}

fn sort_key(nodes: &[NodeEntry], place: u32) -> Option<(&Arc<str>, NodeId)> {
    nodes.get(place as usize).map(|entry| (&entry.sort, entry.row.id))
}

fn drop_from<K: Eq + std::hash::Hash>(of: &mut HashMap<K, BTreeSet<PlacementId>>, key: K, id: PlacementId) {
    if let Some(ids) = of.get_mut(&key) {
        ids.remove(&id);
        if ids.is_empty() {
            of.remove(&key);
        }
    }
}

fn search_key(row: &NodeRow) -> String {
    let mut key = folded(&row.name);
    let more = [Some(&row.serial), row.ip.as_ref(), row.model.as_ref()];
    for text in more.into_iter().flatten() {
        key.push('\n');
        key.push_str(&folded(text));
    }
    for (name, value) in &row.labels {
        key.push('\n');
        key.push_str(&folded(&format!("{name}={value}")));
    }
    key
}

/// One signal per kind; its number moves when something of the kind has changed.
#[derive(Clone, Copy)]
pub struct Store {
    pub nodes: RwSignal<u64>,
    pub live: RwSignal<u64>,
    pub groups: RwSignal<u64>,
    /// Apps and their versions.
    pub apps: RwSignal<u64>,
    pub deployments: RwSignal<u64>,
    pub placements: RwSignal<u64>,
    pub alarms: RwSignal<u64>,
    pub events: RwSignal<u64>,
    pub jobs: RwSignal<u64>,
    /// The first feed has arrived.
    pub ready: RwSignal<bool>,
    /// The engine's clock at the last feed.
    pub now: RwSignal<Time>,
}

thread_local! {
    static LAB: RefCell<Lab> = RefCell::new(Lab::default());
    static STORE: OnceCell<Store> = const { OnceCell::new() };
}

/// The version signals.
pub fn store() -> Store {
    STORE.with(|cell| {
        *cell.get_or_init(|| Store {
            nodes: RwSignal::new(0),
            live: RwSignal::new(0),
            groups: RwSignal::new(0),
            apps: RwSignal::new(0),
            deployments: RwSignal::new(0),
            placements: RwSignal::new(0),
            alarms: RwSignal::new(0),
            events: RwSignal::new(0),
            jobs: RwSignal::new(0),
            ready: RwSignal::new(false),
            now: RwSignal::new(Time(0)),
        })
    })
}

/// Reads the lab as it is now. Tracks nothing: track the [`store`]'s signals of the kinds that are read.
pub fn lab<R>(read: impl FnOnce(&Lab) -> R) -> R {
    LAB.with_borrow(read)
}

/// Takes in what the engine told and wakes the views of what changed.
pub fn apply(feed: Feed) {
    let now = feed.now;
    let touched = LAB.with_borrow_mut(|lab| lab.apply(feed));
    let store = store();
    store.now.set(now);
    let kinds = [
        (touched.nodes, store.nodes),
        (touched.live, store.live),
        (touched.groups, store.groups),
        (touched.apps, store.apps),
        (touched.deployments, store.deployments),
        (touched.placements, store.placements),
        (touched.alarms, store.alarms),
        (touched.events, store.events),
        (touched.jobs, store.jobs),
    ];
    for (is_touched, version) in kinds {
        if is_touched {
            version.update(|version| *version += 1);
        }
    }
    if !store.ready.get_untracked() {
        store.ready.set(true);
    }
}

/// Forgets everything, for the next person who signs in.
pub fn forget() {
    LAB.with_borrow_mut(|lab| *lab = Lab::default());
    store().ready.set(false);
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use edgedeck_model::{EventId, event::EventKind, node::NodeState};

    pub fn row(number: u128, name: &str) -> NodeRow {
        NodeRow {
            id: NodeId(Uuid::from_u128(number)),
            rev: 1,
            name: name.to_owned(),
            serial: format!("SN{number}"),
            managed: true,
            state: NodeState::Online,
            state_since: Time(0),
            ip: Some(format!("10.0.0.{number}")),
            model: None,
            arch: "aarch64".to_owned(),
            os: String::new(),
            cpus: 8,
            memory_bytes: 8 << 30,
            npus: 1,
            npu_name: None,
            agent_version: String::new(),
            labels: BTreeMap::new(),
            groups: vec![],
        }
    }

    fn names(lab: &Lab) -> Vec<&str> {
        lab.nodes().map(|entry| entry.row.name.as_str()).collect()
    }

    fn gone(kind: Kind, number: u128) -> Change {
        Change::Gone {
            kind,
            id: Uuid::from_u128(number),
        }
    }

    #[test]
    fn nodes_stay_in_order_through_changes() {
        let mut lab = Lab::default();
        let nodes = [(1, "box-10"), (2, "box-2"), (3, "Box-1")].map(|(n, name)| Change::Node(row(n, name)));
        let touched = lab.apply(Feed {
            rev: 3,
            changes: nodes.into(),
            ..Feed::default()
        });
        assert_eq!(names(&lab), ["Box-1", "box-2", "box-10"]);
        assert_eq!(
            touched,
            Touched {
                nodes: true,
                ..Touched::default()
            }
        );
        let changes = vec![
            gone(Kind::Node, 1),
            Change::Node(row(2, "zoo")),
            Change::Node(row(4, "a")),
        ];
        lab.apply(Feed {
            rev: 6,
            changes,
            ..Feed::default()
        });
        assert_eq!(names(&lab), ["a", "Box-1", "zoo"]);
        assert_eq!(
            lab.node(NodeId(Uuid::from_u128(3))).map(|n| n.row.name.as_str()),
            Some("Box-1")
        );
        assert!(lab.node(NodeId(Uuid::from_u128(1))).is_none());
        assert_eq!(lab.ask(5).rev, 6);
    }

    #[test]
    fn a_whole_feed_replaces_and_figures_of_strangers_are_dropped() {
        let mut lab = Lab::default();
        lab.apply(Feed {
            rev: 1,
            changes: vec![Change::Node(row(1, "old"))],
            ..Feed::default()
        });
        let live = Live {
            cpu: Some(50.0),
            ..Live::default()
        };
        let figures = vec![
            (NodeId(Uuid::from_u128(2)), live.clone()),
            (NodeId(Uuid::from_u128(9)), live),
        ];
        let changes = vec![Change::Node(row(2, "new"))];
        let touched = lab.apply(Feed {
            rev: 9,
            live: 4,
            epoch: 7,
            whole: true,
            changes,
            figures,
            ..Feed::default()
        });
        assert_eq!(touched, Touched::ALL);
        assert_eq!(names(&lab), ["new"]);
        assert_eq!(
            lab.node(NodeId(Uuid::from_u128(2))).and_then(|n| n.live.cpu),
            Some(50.0)
        );
        assert_eq!(
            lab.ask(0),
            WatchQuery {
                rev: 9,
                live: 4,
                epoch: 7,
                wait: 0
            }
        );
    }

    #[test]
    fn removing_in_any_order_keeps_places_right() {
        for first in 0..8_u128 {
            let mut lab = Lab::default();
            let changes = (0..8).map(|n| Change::Node(row(n, &format!("n{n}")))).collect();
            lab.apply(Feed {
                changes,
                ..Feed::default()
            });
            for step in 0..8 {
                let victim = (first + step * 3) % 8;
                lab.apply(Feed {
                    changes: vec![gone(Kind::Node, victim)],
                    ..Feed::default()
                });
                assert_eq!(lab.nodes().count(), lab.node_count());
                for entry in lab.nodes() {
                    assert_eq!(lab.node(entry.row.id).map(|n| n.row.id), Some(entry.row.id));
                }
            }
            assert_eq!(lab.node_count(), 0);
        }
    }

    #[test]
    fn events_are_newest_first_once_each_and_bounded() {
        let event = |n: u128| Event {
            id: EventId(Uuid::from_u128(n)),
            rev: 1,
            at: Time(n as i64),
            kind: EventKind::NodeOnline,
            node: None,
            facts: BTreeMap::new(),
        };
        let mut lab = Lab::default();
        let numbers = (0..EVENTS_MAX as u128 + 20).chain([3, 500]);
        lab.apply(Feed {
            changes: numbers.map(|n| Change::Event(event(n))).collect(),
            ..Feed::default()
        });
        assert_eq!(lab.events.len(), EVENTS_MAX);
        assert!(
            lab.events
                .iter()
                .zip(lab.events.iter().skip(1))
                .all(|(newer, older)| newer.at > older.at)
        );
    }
}
