//! Nodes. A machine's uuid and its name are both its id.

use super::answer::{Failure, Outcome, Reply};
use crate::dialects::times::LocalTimes;
use axum::extract::{Query, State};
use edgedeck_engine::{Engine, Find};
use edgedeck_model::{
    Code, NodeId,
    node::{Carrier, Node, NodeState},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const GB: u64 = 1 << 30;
const MB: u64 = 1 << 20;

#[derive(Serialize)]
struct Detail {
    uuid: String,
    nodename: String,
    area: String,
    operator: &'static str,
    bandwith: u32,
    eth: String,
    diskinfo: String,
    operatingsystem: &'static str,
    osimage: String,
    architecture: String,
    kernelversion: String,
}

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    detail: Detail,
    systemos: String,
    address: String,
    cpu: u32,
    memory: u64,
    createtime: String,
    heartbeattime: String,
    status: &'static str,
}

fn operator(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Mobile => "移动",
        Carrier::Unicom => "联通",
        Carrier::Telecom => "电信",
    }
}

fn name(id: NodeId) -> String {
    id.0.simple().to_string()
}

/// The node with this name: 32 hex digits, as it is given out.
fn named(name: &str) -> Option<NodeId> {
    let is_ours = name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| Uuid::try_parse(name).ok().map(NodeId)).flatten()
}

fn detail(node: &Node) -> Detail {
    let facts = &node.facts;
    let nics = facts.nics.iter().map(|nic| {
        let ip = nic.addresses.iter().find(|address| !address.contains(':'));
        json!({ "Name": nic.name, "IP": ip.cloned().unwrap_or_default(), "Type": if nic.physical { "real" } else { "virt" } })
    });
    let disks = facts
        .disks
        .iter()
        .map(|disk| json!({ "Name": disk.mount, "Size": disk.total_bytes / GB, "Use": disk.used_bytes / GB }));
    Detail {
        uuid: format!("tingyu-{}", name(node.id)),
        nodename: name(node.id),
        area: node.line.area.clone(),
        operator: operator(node.line.carrier),
        bandwith: node.line.mbps,
        eth: serde_json::Value::from_iter(nics).to_string(),
        diskinfo: serde_json::Value::from_iter(disks).to_string(),
        operatingsystem: "linux",
        osimage: facts.os.clone(),
        architecture: match facts.arch.as_str() {
            "x86_64" => "amd64".to_owned(),
            "aarch64" => "arm64".to_owned(),
            other => other.to_owned(),
        },
        kernelversion: facts.kernel.clone(),
    }
}

/// Whether something can be started there.
fn is_ready(node: &Node) -> bool {
    node.managed && matches!(node.state, NodeState::Online | NodeState::Upgrading)
}

#[derive(Deserialize)]
pub struct Names {
    name: Option<String>,
}

/// Those of the names that there are.
pub async fn get(State(engine): State<Arc<Engine>>, Query(Names { name }): Query<Names>) -> Outcome {
    let names = name.ok_or_else(Failure::unknown)?;
    let mut found = Vec::new();
    for id in names.split(',').filter_map(|name| named(name.trim())) {
        match engine.node(id).map_err(edgedeck_model::Problem::from) {
            Ok(node) => found.push(detail(&node)),
            Err(problem) if problem.code == Code::NotFound => {}
            Err(problem) => return Err(problem.into()),
        }
    }
    Reply::data(found)
}

pub async fn list(State(engine): State<Arc<Engine>>) -> Outcome {
    let times = LocalTimes::of(&engine);
    let nodes = engine.find_nodes(&Find::ALL, None)?.items;
    let items = nodes.into_iter().map(|node| {
        let node = engine.as_present(node);
        let detail = detail(&node);
        Item {
            systemos: detail.osimage.clone(),
            address: detail.nodename.clone(),
            cpu: node.facts.cpus,
            memory: node.facts.memory_bytes / MB,
            createtime: times.text(node.joined_at),
            heartbeattime: times.text(node.last_seen.unwrap_or(node.joined_at)),
            status: if is_ready(&node) { "Ready" } else { "NotReady" },
            detail,
        }
    });
    Reply::data(items.collect::<Vec<_>>())
}
