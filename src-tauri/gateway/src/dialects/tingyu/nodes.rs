//! Nodes. A machine's uuid and its name are both its id.

use super::{
    answer::{Failure, Outcome, Reply},
    request::{Params, split},
};
use crate::dialects::times::LocalTimes;
use axum::extract::State;
use edgedeck_engine::{Engine, Find};
use edgedeck_model::{
    Code, NodeId, Problem,
    node::{Carrier, Node},
};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const GB: u64 = 1 << 30;
const MB: u64 = 1 << 20;
/// A machine's uuid begins with this; the node's name follows.
const UUID_BEGIN: &str = "tingyu-";

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

pub fn operator(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Mobile => "移动",
        Carrier::Unicom => "联通",
        Carrier::Telecom => "电信",
    }
}

pub fn name(id: NodeId) -> String {
    id.0.simple().to_string()
}

/// The machine's uuid.
pub fn uuid(id: NodeId) -> String {
    format!("{UUID_BEGIN}{}", name(id))
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
        uuid: uuid(node.id),
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

/// A node as it is now, if it is there.
///
/// # Errors
/// When the lab's database cannot be read.
pub fn present(engine: &Engine, id: NodeId) -> Result<Option<Node>, Problem> {
    match engine.node(id).map_err(Problem::from) {
        Ok(node) => Ok(Some(engine.as_present(node))),
        Err(problem) if problem.code == Code::NotFound => Ok(None),
        Err(problem) => Err(problem),
    }
}

/// The node of a machine.
///
/// # Errors
/// `TY0015` where there is none.
pub fn by_uuid(engine: &Engine, uuid: &str) -> Result<Node, Failure> {
    let id = uuid.strip_prefix(UUID_BEGIN).and_then(named);
    let node = id.map(|id| present(engine, id)).transpose()?.flatten();
    node.ok_or_else(|| Failure::coded("TY0015", "uuid不存在!"))
}

/// Those of the names that there are.
pub async fn get(State(engine): State<Arc<Engine>>, params: Params) -> Outcome {
    let names = split(params.text("name").ok_or_else(Failure::unknown)?);
    let mut found = Vec::new();
    for id in names.iter().filter_map(|name| named(name)) {
        found.extend(present(&engine, id)?.as_ref().map(detail));
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
            status: if node.is_ready() { "Ready" } else { "NotReady" },
            detail,
        }
    });
    Reply::data(items.collect::<Vec<_>>())
}
