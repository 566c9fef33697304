//! The change feed: one stream of revisions that every open window, long-poll and remote site reads.

use crate::{
    NodeId, Time,
    alarm::Alarm,
    app::{App, Version},
    deployment::{Deployment, Placement},
    event::Event,
    group::Group,
    job::Job,
    node::NodeRow,
    telemetry::Live,
};
use serde::{Deserialize, Serialize};

/// Asks for what changed after `rev` and `live`, waiting up to `wait` milliseconds for the first change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchQuery {
    /// The `rev` of the last answer; 0 for everything.
    pub rev: u64,
    /// The `live` of the last answer; 0 for every node's newest figures.
    pub live: u64,
    /// The `epoch` of the last answer; 0 at first.
    pub epoch: u64,
    /// At most 30,000.
    pub wait: u32,
}

/// Everything that changed. Apply `changes` in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Feed {
    pub rev: u64,
    pub live: u64,
    /// Changes when the engine has started anew; `live` of another epoch means nothing.
    pub epoch: u64,
    /// This is everything there is: forget what you had.
    pub whole: bool,
    pub now: Time,
    pub changes: Vec<Change>,
    pub figures: Vec<(NodeId, Live)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    Node(NodeRow),
    Group(Group),
    App(App),
    Version(Version),
    Deployment(Deployment),
    Placement(Placement),
    Alarm(Alarm),
    Event(Event),
    Job(Job),
    /// It is no more.
    Gone {
        kind: Kind,
        id: uuid::Uuid,
    },
}

/// What a row of the feed is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Node,
    Group,
    App,
    Version,
    Deployment,
    Placement,
    Alarm,
    Event,
    Job,
}
