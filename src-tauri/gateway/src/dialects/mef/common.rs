//! What several operations need: numbers for ids, times as text, MEF's limits.

use super::answer::{Code, Failure};
use edgedeck_engine::{AliasKind, Caps, Engine, System};
use edgedeck_model::{
    AppId, GroupId, NodeId, Problem, Time,
    deployment::{Deployment, Target},
    group::Group,
    node::{Node, NodeState},
};
use jiff::{Timestamp, tz::TimeZone};
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

/// `YYYY-MM-DD hh:mm:ss` in the lab's time zone.
pub struct LocalTimes(TimeZone);

impl LocalTimes {
    pub fn of(engine: &Engine) -> Self {
        // Settings only take zones that exist.
        Self(TimeZone::get(&engine.settings().time_zone).unwrap_or(TimeZone::UTC))
    }

    pub fn text(&self, time: Time) -> String {
        stamp(time)
            .to_zoned(self.0.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
    }
}

/// RFC 3339 in UTC, to the second.
pub fn utc(time: Time) -> String {
    stamp(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 3339 in UTC, to the nanosecond.
pub fn precise(time: Time) -> String {
    stamp(time).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

fn stamp(time: Time) -> Timestamp {
    Timestamp::from_millisecond(time.0).unwrap_or(Timestamp::UNIX_EPOCH)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_forms() {
        let time = Time(1_672_111_773_999);
        assert_eq!(utc(time), "2022-12-27T03:29:33Z");
        let shanghai = LocalTimes(TimeZone::get("Asia/Shanghai").unwrap());
        assert_eq!(shanghai.text(time), "2022-12-27 11:29:33");
    }
}
