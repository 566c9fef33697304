//! What several operations need: numbers for ids, times as text, MEF's limits.

use super::answer::{Code, Failure};
use edgedeck_engine::{AliasKind, Caps, Engine, System};
use edgedeck_model::{
    AppId, GroupId, NodeId, Problem,
    deployment::{Deployment, Target},
    group::Group,
    node::{Node, NodeState},
};
use std::collections::HashMap;
use uuid::Uuid;

/// What MEF promises.
const CAPS: Caps = Caps {
    nodes: 1024,
    groups: 1024,
    nodes_per_group: 1024,
    groups_per_node: 10,
    apps: 1000,
    deployments_per_group: 20,
    deployments_per_node: 20,
    once_per_group: true,
    capacity_of_online: true,
};

/// What MEF promises, or nothing of it if the settings say so; how MEF judges stays.
pub fn caps(engine: &Engine) -> Caps {
    if engine.settings().mef.caps {
        CAPS
    } else {
        Caps {
            once_per_group: CAPS.once_per_group,
            capacity_of_online: CAPS.capacity_of_online,
            ..Caps::NONE
        }
    }
}

fn resolve(engine: &Engine, kind: AliasKind, number: u32, noun: &str) -> Result<Uuid, Problem> {
    let found = engine.resolve(System::Mef, kind, number).map_err(Problem::from)?;
    found.ok_or_else(|| Problem::not_found(noun))
}

pub fn node(engine: &Engine, number: u32) -> Result<NodeId, Problem> {
    resolve(engine, AliasKind::Node, number, "node").map(NodeId)
}

pub fn group(engine: &Engine, number: u32) -> Result<GroupId, Problem> {
    resolve(engine, AliasKind::Group, number, "group").map(GroupId)
}

pub fn app(engine: &Engine, number: u32) -> Result<AppId, Problem> {
    resolve(engine, AliasKind::App, number, "app").map(AppId)
}

/// The number of one thing.
pub fn number(engine: &Engine, kind: AliasKind, id: Uuid) -> Result<u32, Problem> {
    let found = engine.external(System::Mef, kind, id).map_err(Problem::from)?;
    found.ok_or_else(|| Problem::internal("a thing without its number"))
}

/// The numbers of these things, as far as they have one.
pub fn numbers(
    engine: &Engine,
    kind: AliasKind,
    ids: impl Iterator<Item = Uuid> + Clone,
    own: Code,
) -> Result<HashMap<Uuid, u32>, Failure> {
    let numbers = super::request::read(engine.externals_of(System::Mef, kind, ids.clone()), own)?;
    Ok(ids
        .zip(numbers)
        .filter_map(|(id, number)| Some((id, number?)))
        .collect())
}

/// These groups, with their numbers.
pub fn groups(
    engine: &Engine,
    ids: impl Iterator<Item = GroupId>,
    own: Code,
) -> Result<HashMap<GroupId, (u32, Group)>, Failure> {
    let groups = super::request::read(engine.groups_by_id(&ids.collect()), own)?;
    let numbers = numbers(engine, AliasKind::Group, groups.iter().map(|group| group.id.0), own)?;
    let numbered = groups.into_iter();
    Ok(numbered
        .filter_map(|group| Some((group.id, (*numbers.get(&group.id.0)?, group))))
        .collect())
}

/// The groups of these nodes, with their numbers.
pub fn groups_of(engine: &Engine, nodes: &[Node], own: Code) -> Result<HashMap<GroupId, (u32, Group)>, Failure> {
    groups(engine, nodes.iter().flat_map(|node| node.groups.iter().copied()), own)
}

/// The groups that deployments are aimed at, with their numbers.
pub fn groups_aimed_at<'a>(
    engine: &Engine,
    deployments: impl Iterator<Item = &'a Deployment>,
    own: Code,
) -> Result<HashMap<GroupId, (u32, Group)>, Failure> {
    let aimed = deployments.filter_map(|deployment| match deployment.target {
        Target::Group(group) => Some(group),
        _ => None,
    });
    groups(engine, aimed, own)
}

/// A node's state in MEF's words. There is one link, so `abnormal`, of a second one, never applies.
pub fn node_status(state: NodeState) -> &'static str {
    match state {
        NodeState::Online | NodeState::Upgrading => "ready",
        NodeState::Degraded => "notReady",
        NodeState::Registered | NodeState::Installed | NodeState::Deleting => "offline",
        NodeState::Offline | NodeState::Disabled | NodeState::Frozen => "unknown",
    }
}
