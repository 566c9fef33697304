//! Node groups.

use super::{
    answer::{Batch, Code, INVALID, Outcome, Reply, is_capped},
    common,
    nodes::{NodeInfo, wire_nodes},
    request::{Body, Caller, Query, read},
    rules::{self, given, require},
};
use crate::dialects::times::LocalTimes;
use axum::extract::State;
use edgedeck_engine::{AliasKind, Engine};
use edgedeck_model::{
    Code as Why, NodeId, Problem,
    api::{GroupBody, NodeQuery, NodeSort},
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

const FULL: Code = Code("40011000", "failed to check data size while creating");
const TAKEN: Code = Code("40012000", "failed to create/update data cause of duplicate");
const CREATE: Code = Code("40012001", "failed to create node group");
const LIST: Code = Code("40012002", "failed to list node group");
const GET: Code = Code("40012003", "failed to get node group detail");
const UPDATE: Code = Code("40012004", "failed to modify node group");
const STATS: Code = Code("40012005", "failed to count node groups");
const DELETE: Code = Code("40012006", "failed to delete node groups");
const ADD: Code = Code("40012012", "failed to add node to group");
const REMOVE: Code = Code("40012015", "failed to delete node from group");

type Lab = State<Arc<Engine>>;

#[derive(Deserialize)]
pub struct NewGroup {
    #[serde(rename = "nodegroupname")]
    name: Option<String>,
    description: Option<String>,
}

pub async fn create(State(engine): Lab, Caller(actor): Caller, Body(body): Body<NewGroup>) -> Outcome {
    let name = given(body.name)?;
    let description = body.description.unwrap_or_default();
    require(rules::is_group_name(&name) && rules::is_description(&description))?;
    let made = engine
        .create_group_within(&actor, GroupBody { name, description }, common::caps(&engine))
        .await;
    let group = made.map_err(|problem| match problem.code {
        Why::Taken => TAKEN.because(problem),
        _ if is_capped(&problem) => FULL.because(problem),
        _ => CREATE.because(problem),
    })?;
    let number = common::number(&engine, AliasKind::Group, group.id.0).map_err(|problem| CREATE.because(problem))?;
    Reply::data(number, CREATE)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupDetail {
    created_at: String,
    updated_at: String,
    description: String,
    group_name: String,
    id: u32,
    nodes: Option<Vec<NodeInfo>>,
}

pub async fn get(State(engine): Lab, query: Query) -> Outcome {
    let id = query.id("id")?;
    let group = common::group(&engine, id).and_then(|group| engine.group(group).map_err(Problem::from));
    let group = group.map_err(|problem| GET.because(problem))?;
    let members = NodeQuery {
        group: Some(group.id),
        sort: NodeSort::Joined,
        limit: u32::MAX,
        ..NodeQuery::default()
    };
    let nodes = read(engine.list_whole_nodes(&members), GET)?.items;
    let nodes = wire_nodes(&engine, &nodes, GET)?;
    let times = LocalTimes::of(&engine);
    let detail = GroupDetail {
        created_at: times.text(group.created_at),
        updated_at: times.text(group.updated_at),
        description: group.description,
        group_name: group.name,
        id,
        nodes: if nodes.is_empty() { None } else { Some(nodes) },
    };
    Reply::data(detail, GET)
}

#[derive(Deserialize)]
pub struct ChangedGroup {
    #[serde(rename = "groupid")]
    id: Option<i64>,
    #[serde(rename = "nodegroupname")]
    name: Option<String>,
    description: Option<String>,
}

pub async fn update(State(engine): Lab, Caller(actor): Caller, Body(body): Body<ChangedGroup>) -> Outcome {
    let (id, name) = (rules::id(body.id)?, given(body.name)?);
    require(rules::is_group_name(&name) && body.description.as_deref().is_none_or(rules::is_description))?;
    let changed = async {
        let id = common::group(&engine, id)?;
        engine.rename_group(&actor, id, name, body.description).await
    };
    match changed.await {
        Ok(_) => Ok(Reply::DONE),
        Err(problem) if problem.code == Why::Taken => Err(TAKEN.because(problem)),
        Err(problem) => Err(UPDATE.because(problem)),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupInfo {
    created_at: String,
    description: String,
    group_name: String,
    id: u32,
    node_count: u64,
    updated_at: String,
}

pub async fn list(State(engine): Lab, query: Query) -> Outcome {
    let page = read(engine.find_groups(&query.page()?), LIST)?;
    let times = LocalTimes::of(&engine);
    let ids = page.items.iter().map(|group| group.id);
    let numbers = common::numbers(&engine, AliasKind::Group, ids.clone().map(|id| id.0), LIST)?;
    let members = read(engine.count_members(ids), LIST)?;
    let mut groups = Vec::new();
    for (group, node_count) in page.items.into_iter().zip(members) {
        groups.push(GroupInfo {
            created_at: times.text(group.created_at),
            updated_at: times.text(group.updated_at),
            description: group.description,
            id: *numbers
                .get(&group.id.0)
                .ok_or_else(|| LIST.because(Problem::internal("a group without its number")))?,
            node_count,
            group_name: group.name,
        });
    }
    let groups = if groups.is_empty() { None } else { Some(groups) };
    Reply::data(json!({ "groups": groups, "total": page.total }), LIST)
}

#[derive(Deserialize)]
pub struct Groups {
    #[serde(rename = "groupids")]
    ids: Option<Vec<i64>>,
}

pub async fn delete(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Groups>) -> Outcome {
    let ids = rules::ids(body.ids)?;
    let deleted = join_all(ids.into_iter().map(|id| {
        let (engine, actor) = (&engine, &actor);
        async move {
            let outcome = match common::group(engine, id) {
                Ok(group) => engine.delete_group(actor, group).await,
                Err(problem) => Err(problem),
            };
            (id, outcome)
        }
    }));
    let mut batch = Batch::default();
    for (id, outcome) in deleted.await {
        batch.add(id, outcome);
    }
    batch.answer(DELETE)
}

pub async fn stats(State(engine): Lab) -> Outcome {
    let find = edgedeck_engine::Find {
        limit: 0,
        ..edgedeck_engine::Find::ALL
    };
    Reply::data(read(engine.find_groups(&find), STATS)?.total, STATS)
}

#[derive(Deserialize)]
pub struct Members {
    #[serde(rename = "groupid")]
    group: Option<i64>,
    #[serde(rename = "nodeids")]
    nodes: Option<Vec<i64>>,
}

pub async fn add(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Members>) -> Outcome {
    let (group, numbers) = (rules::id(body.group)?, rules::ids(body.nodes)?);
    let group = common::group(&engine, group).map_err(|problem| ADD.because(problem))?;
    let mut batch = Batch::default();
    let mut known: Vec<(u32, NodeId)> = Vec::new();
    for number in numbers {
        match common::node(&engine, number) {
            Ok(node) => known.push((number, node)),
            Err(problem) => batch.add(number, Err(problem)),
        }
    }
    let nodes = known.iter().map(|(_, node)| *node).collect();
    let outcomes = engine
        .add_each_to_group(&actor, group, nodes, common::caps(&engine))
        .await;
    let outcomes = outcomes.map_err(|problem| if is_capped(&problem) { FULL } else { ADD }.because(problem))?;
    for ((number, _), refused) in known.into_iter().zip(outcomes) {
        batch.add(number, refused.map_or(Ok(()), Err));
    }
    batch.answer(ADD)
}

pub async fn remove(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Members>) -> Outcome {
    let (group, numbers) = (rules::id(body.group)?, rules::ids(body.nodes)?);
    let pairs = numbers.into_iter().map(|node| (group, node)).collect();
    let mut batch = Batch::default();
    for (_, node, outcome) in take_out(&engine, &actor, pairs).await {
        batch.add(node, outcome);
    }
    batch.answer(REMOVE)
}

#[derive(Deserialize)]
pub struct Pair {
    #[serde(rename = "groupid")]
    group: Option<i64>,
    #[serde(rename = "nodeid")]
    node: Option<i64>,
}

/// Uninstalling the pods of a group on a node takes the node out of the group.
pub async fn delete_pods(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Vec<Pair>>) -> Outcome {
    require((1..=1024).contains(&body.len()))?;
    let pairs = body
        .into_iter()
        .map(|pair| Ok((rules::id(pair.group)?, rules::id(pair.node)?)));
    let pairs = pairs.collect::<Result<Vec<_>, super::answer::Failure>>()?;
    if !rules::is_unique(&pairs) {
        return Err(INVALID.into());
    }
    let mut batch = Batch::default();
    for (group, node, outcome) in take_out(&engine, &actor, pairs).await {
        let element = json!({ "groupID": group, "nodeID": node });
        batch.add_as(element, format!("groupID: {group}, nodeID: {node}"), outcome);
    }
    batch.answer(REMOVE)
}

/// Takes nodes out of groups, each pair of group and node on its own.
async fn take_out(
    engine: &Engine,
    actor: &edgedeck_engine::Actor,
    pairs: Vec<(u32, u32)>,
) -> Vec<(u32, u32, Result<(), Problem>)> {
    let taken = pairs.into_iter().map(async |(group, node)| {
        let outcome = match (common::group(engine, group), common::node(engine, node)) {
            (Ok(group), Ok(node)) => engine.take_from_group(actor, group, node).await,
            (Err(problem), _) | (_, Err(problem)) => Err(problem),
        };
        (group, node, outcome)
    });
    join_all(taken).await
}
