//! Nodes.

use super::{
    answer::{Batch, Code, Failure, Outcome, Reply, is_capped},
    common,
    request::{Body, Caller, Query, read},
    rules::{self, BATCH_MAX, given, require},
    software,
};
use crate::dialects::times::LocalTimes;
use axum::extract::State;
use edgedeck_engine::{Actor, AliasKind, Engine, Find};
use edgedeck_model::{Code as Why, GroupId, Problem, api::ManageBody, group::Group, node::Node};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

const FULL: Code = Code("40011000", "failed to check data size while creating");
const TAKEN: Code = Code("40012000", "failed to create/update data cause of duplicate");
const GET: Code = Code("40012007", "failed to get node detail");
const UPDATE: Code = Code("40012008", "failed to modify node");
const STATS: Code = Code("40012009", "failed to count node by status");
const LIST: Code = Code("40012010", "failed to list node");
const LIST_UNMANAGED: Code = Code("40012011", "failed to list node");
const MANAGE: Code = Code("40012013", "add node to mef system error");
const JOIN: Code = Code("40012013", "add node to mef success, but node cannot join some group");
const DELETE: Code = Code("40012014", "failed to delete node");

type Lab = State<Arc<Engine>>;

/// A node without its groups.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeInfo {
    created_at: String,
    description: String,
    id: u32,
    ip: String,
    is_managed: bool,
    node_name: String,
    node_type: &'static str,
    serial_number: String,
    software_info: String,
    status: &'static str,
    unique_name: String,
    updated_at: String,
}

#[derive(Serialize)]
struct NodeWithGroups {
    #[serde(flatten)]
    node: NodeInfo,
    #[serde(rename = "nodeGroup")]
    groups: String,
}

#[derive(Serialize)]
struct NodeDetail {
    #[serde(flatten)]
    node: NodeWithGroups,
    cpu: u64,
    memory: u64,
    npu: usize,
}

impl NodeInfo {
    fn of(node: &Node, number: u32, times: &LocalTimes) -> Self {
        let facts = &node.facts;
        let has_reported = node.managed && !facts.agent_version.is_empty();
        Self {
            created_at: times.text(node.joined_at),
            description: node.description.clone(),
            id: number,
            ip: facts.ip.clone().unwrap_or_default(),
            is_managed: node.managed,
            node_name: node.name.clone(),
            node_type: "",
            serial_number: node.serial.clone(),
            software_info: if has_reported {
                software::items(facts).to_string()
            } else {
                String::new()
            },
            status: common::node_status(node.state),
            unique_name: facts.host_name.clone(),
            updated_at: times.text(node.state_since.max(node.joined_at)),
        }
    }
}

pub fn wire_nodes(engine: &Engine, nodes: &[Node], own: Code) -> Result<Vec<NodeInfo>, Failure> {
    let times = LocalTimes::of(engine);
    let numbers = common::numbers(engine, AliasKind::Node, nodes.iter().map(|node| node.id.0), own)?;
    let wire = |node: &Node| {
        let number = numbers.get(&node.id.0);
        let number = number.ok_or_else(|| own.because(Problem::internal("a node without its number")))?;
        Ok(NodeInfo::of(node, *number, &times))
    };
    nodes.iter().map(wire).collect()
}

/// Names of a node's groups, in the order of their ids.
fn group_names(node: &Node, groups: &HashMap<GroupId, (u32, Group)>) -> String {
    let mut found: Vec<&(u32, Group)> = node.groups.iter().filter_map(|group| groups.get(group)).collect();
    found.sort_by_key(|(number, _)| *number);
    let names: Vec<&str> = found.iter().map(|(_, group)| group.name.as_str()).collect();
    names.join(",")
}

/// A page, null where it is empty.
fn page(nodes: Vec<impl Serialize>, total: u64, own: Code) -> Outcome {
    let nodes = if nodes.is_empty() { None } else { Some(nodes) };
    Reply::data(json!({ "nodes": nodes, "total": total }), own)
}

pub async fn list_unmanaged(State(engine): Lab, query: Query) -> Outcome {
    let found = read(engine.find_nodes(&query.page()?, Some(false)), LIST_UNMANAGED)?;
    page(
        wire_nodes(&engine, &found.items, LIST_UNMANAGED)?,
        found.total,
        LIST_UNMANAGED,
    )
}

pub async fn list_managed(State(engine): Lab, query: Query) -> Outcome {
    list_with_groups(&engine, &query.page()?, Some(true))
}

pub async fn list_all(State(engine): Lab, query: Query) -> Outcome {
    list_with_groups(&engine, &query.page()?, None)
}

fn list_with_groups(engine: &Engine, find: &Find, managed: Option<bool>) -> Outcome {
    let found = read(engine.find_nodes(find, managed), LIST)?;
    let groups = common::groups_of(engine, &found.items, LIST)?;
    let infos = wire_nodes(engine, &found.items, LIST)?.into_iter().zip(&found.items);
    let rows = infos
        .map(|(info, node)| NodeWithGroups {
            groups: group_names(node, &groups),
            node: info,
        })
        .collect();
    page(rows, found.total, LIST)
}

pub async fn stats(State(engine): Lab) -> Outcome {
    let words = ["ready", "notReady", "unknown", "offline", "abnormal"];
    let mut counts: BTreeMap<&str, u64> = words.into_iter().map(|word| (word, 0)).collect();
    for (state, nodes) in read(engine.count_node_states(), STATS)? {
        *counts.entry(common::node_status(state)).or_default() += nodes;
    }
    Reply::data(counts, STATS)
}

pub async fn get(State(engine): Lab, query: Query) -> Outcome {
    let node = match (query.text("id"), query.text("sn")) {
        (Some(_), None) => {
            let id = query.id("id")?;
            common::node(&engine, id).and_then(|node| engine.node(node).map_err(Problem::from))
        }
        (None, Some(serial)) => {
            require(rules::is_node_name(serial))?;
            let found = engine.node_by_serial(serial).map_err(Problem::from);
            found
                .and_then(|found| found.ok_or_else(|| Problem::not_found("node")))
                .and_then(|node| engine.node(node.id).map_err(Problem::from))
        }
        _ => return Err(Failure::query("id")),
    };
    let node = node.map_err(|problem| GET.because(problem))?;
    let groups = group_names(&node, &common::groups_of(&engine, std::slice::from_ref(&node), GET)?);
    let [info] = <[NodeInfo; 1]>::try_from(wire_nodes(&engine, std::slice::from_ref(&node), GET)?)
        .map_err(|_| GET.because(Problem::internal("one node, one answer")))?;
    let limits = engine.settings().limits.clone();
    let (cpu, memory, npu) = if info.status == "offline" {
        (0, 0, 0)
    } else {
        let millis = (u64::from(node.facts.cpus) * 1_000).saturating_sub(limits.reserve_cpu_millis.into());
        let memory = node.facts.memory_bytes.saturating_sub(limits.reserve_memory_bytes);
        (millis / 1_000, memory, node.facts.npus.len())
    };
    Reply::data(
        NodeDetail {
            node: NodeWithGroups { node: info, groups },
            cpu,
            memory,
            npu,
        },
        GET,
    )
}

#[derive(Deserialize)]
pub struct Managed {
    name: Option<String>,
    description: Option<String>,
    #[serde(rename = "groupids")]
    groups: Option<Vec<i64>>,
    #[serde(rename = "nodeid")]
    node: Option<i64>,
}

pub async fn manage(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Managed>) -> Outcome {
    let (name, number) = (given(body.name)?, rules::id(body.node)?);
    let description = body.description.unwrap_or_default();
    let most = common::caps(&engine).groups_per_node.min(BATCH_MAX as u64);
    let numbers = rules::different_ids(body.groups.unwrap_or_default(), most as usize)?;
    require(rules::is_node_name(&name) && rules::is_description(&description))?;
    let mut batch = Batch::default();
    let mut known: Vec<(u32, GroupId)> = Vec::new();
    for number in numbers {
        match common::group(&engine, number) {
            Ok(group) => known.push((number, group)),
            Err(problem) => batch.add(number, Err(problem)),
        }
    }
    let groups = known.iter().map(|(_, group)| *group).collect();
    let wanted = ManageBody {
        name: Some(name),
        description: Some(description),
        groups,
    };
    let managed = match common::node(&engine, number) {
        Ok(node) => {
            engine
                .manage_node_within(&actor, node, wanted, common::caps(&engine))
                .await
        }
        Err(problem) => Err(problem),
    };
    let managed = managed.map_err(|problem| if is_capped(&problem) { FULL } else { MANAGE }.because(problem));
    let (_, outcomes) = managed?;
    for ((number, _), refused) in known.into_iter().zip(outcomes) {
        batch.add(number, refused.map_or(Ok(()), Err));
    }
    batch.answer(JOIN)
}

#[derive(Deserialize)]
pub struct ChangedNode {
    #[serde(rename = "nodeid")]
    id: Option<i64>,
    #[serde(rename = "nodename")]
    name: Option<String>,
    description: Option<String>,
}

pub async fn update(State(engine): Lab, Caller(actor): Caller, Body(body): Body<ChangedNode>) -> Outcome {
    let (id, name) = (rules::id(body.id)?, given(body.name)?);
    require(rules::is_node_name(&name) && body.description.as_deref().is_none_or(rules::is_description))?;
    let changed = match common::node(&engine, id) {
        Ok(node) => engine.rename_node(&actor, node, name, body.description).await,
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(_) => Ok(Reply::DONE),
        Err(problem) if problem.code == Why::Taken => Err(TAKEN.because(problem)),
        Err(problem) => Err(UPDATE.because(problem)),
    }
}

#[derive(Deserialize)]
pub struct Nodes {
    #[serde(rename = "nodeids")]
    ids: Option<Vec<i64>>,
}

pub async fn delete_managed(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Nodes>) -> Outcome {
    delete(&engine, &actor, rules::ids(body.ids)?, true).await
}

pub async fn delete_unmanaged(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Nodes>) -> Outcome {
    delete(&engine, &actor, rules::ids(body.ids)?, false).await
}

async fn delete(engine: &Engine, actor: &Actor, ids: Vec<u32>, managed: bool) -> Outcome {
    let deleted = ids.into_iter().map(async |id| {
        let outcome = match common::node(engine, id) {
            Ok(node) => engine.remove_idle_node(actor, node, managed).await,
            Err(problem) => Err(problem),
        };
        (id, outcome)
    });
    let mut batch = Batch::default();
    for (id, outcome) in join_all(deleted).await {
        batch.add(id, outcome);
    }
    batch.answer(DELETE)
}
