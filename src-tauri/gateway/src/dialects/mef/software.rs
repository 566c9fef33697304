//! The software of nodes: MEF Edge in MEF's words is the agent here. Its downloads and upgrades are jobs of the lab.

use super::{
    answer::{Batch, Code, Failure, INVALID, Outcome, QUERY, Reply},
    request::{Body, Caller, Query, read},
    rules::{self, given, require},
};
use axum::extract::State;
use edgedeck_engine::{Actor, Engine};
use edgedeck_model::{
    Code as Why, Lang, NodeId, Problem,
    job::{ItemState, JobKind},
    node::{Facts, Node},
    software::{Server, Source, host_of},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// The only software there is.
const NAME: &str = "MEFEdge";
const TELL: Code = Code("40012016", "send message to nodes failed");
const VERSION: Code = Code("40012018", "get node software version failed");
/// Not in the text, but what clients of the public source meet.
const PROGRESS: Code = Code("40062002", "get download progress failed");
const NODES_MAX: usize = 2048;
const URL_MAX: usize = 512;

type Lab = State<Arc<Engine>>;

/// A node's software, as lists of nodes and the operation for it have it.
pub fn items(facts: &Facts) -> Value {
    let waiting = facts.agent_waiting.as_deref().unwrap_or_default();
    json!([{ "Name": NAME, "Version": facts.agent_version, "InactiveVersion": waiting }])
}

#[derive(Deserialize)]
pub struct Download {
    #[serde(rename = "serialnumbers")]
    serials: Option<Vec<String>>,
    #[serde(rename = "softwarename")]
    name: Option<String>,
    #[serde(rename = "downloadinfo")]
    info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    package: Option<String>,
    #[serde(rename = "username")]
    account: Option<String>,
    password: Option<rules::Password>,
}

#[derive(Deserialize)]
pub struct Upgrade {
    #[serde(rename = "serialnumbers")]
    serials: Option<Vec<String>>,
    #[serde(rename = "softwarename")]
    name: Option<String>,
}

fn check(serials: Option<Vec<String>>, name: Option<String>) -> Result<Vec<String>, Failure> {
    let serials = given(serials)?;
    require((1..=NODES_MAX).contains(&serials.len()) && rules::is_unique(&serials))?;
    require(serials.iter().all(|serial| rules::is_node_name(serial)) && given(name)? == NAME)?;
    Ok(serials)
}

/// The address in `GET https://…`.
fn address(package: &str) -> Result<String, Failure> {
    let url = given(package.strip_prefix("GET "))?;
    let rest = given(url.strip_prefix("https://"))?;
    let plain = !rest.is_empty() && url.len() <= URL_MAX && !rest.contains(|c| "\n!\\|;$<>@` ".contains(c));
    let host = host_of(rest);
    require(
        plain
            && (rules::is_registry_ip(host) || (host.parse::<std::net::Ipv4Addr>().is_err() && rules::is_domain(host))),
    )?;
    Ok(url.to_owned())
}

/// The nodes that a message can be handed to; the others are in the batch with what is wrong.
fn reachable(engine: &Engine, serials: Vec<String>, batch: &mut Batch) -> Result<Vec<Node>, Failure> {
    let mut nodes = Vec::new();
    for serial in serials {
        let node = read(engine.node_by_serial(&serial), TELL)?;
        match node {
            Some(node) if engine.is_linked(node.id) => nodes.push(node),
            Some(_) => batch.add_as(Value::Null, serial, Err(Problem::new(Why::Unreachable))),
            None => batch.add_as(Value::Null, serial, Err(Problem::not_found("node"))),
        }
    }
    Ok(nodes)
}

async fn begin(
    engine: &Arc<Engine>,
    actor: &Actor,
    nodes: Vec<Node>,
    source: Source,
    kind: JobKind,
    mut batch: Batch,
) -> Outcome {
    let ids: Vec<NodeId> = nodes.iter().map(|node| node.id).collect();
    if !ids.is_empty() {
        let begun = engine.begin_software(actor, ids, source, kind, false).await;
        let (_, mut refused) = begun.map_err(|problem| match problem.code {
            Why::Invalid => INVALID.because(problem),
            _ => TELL.because(problem),
        })?;
        for node in nodes {
            let outcome = refused.remove(&node.id).map_or(Ok(()), Err);
            batch.add_as(node.serial.clone().into(), node.serial, outcome);
        }
    }
    batch.whole(TELL)
}

pub async fn download(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Download>) -> Outcome {
    let serials = check(body.serials, body.name)?;
    let info = given(body.info)?;
    let url = address(&given(info.package)?)?;
    let (account, password) = (given(info.account)?, given(given(info.password)?.text())?);
    require((6..=32).contains(&account.len()) && account.chars().all(|c| c.is_ascii_alphanumeric()))?;
    let mut batch = Batch::default();
    let nodes = reachable(&engine, serials, &mut batch)?;
    let host = host_of(url.trim_start_matches("https://"));
    require(nodes.iter().all(|node| node.facts.ip.as_deref() != Some(host)))?;
    let source = Source::Server(Server { url, account, password });
    begin(&engine, &actor, nodes, source, JobKind::Download, batch).await
}

pub async fn upgrade(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Upgrade>) -> Outcome {
    let serials = check(body.serials, body.name)?;
    let mut batch = Batch::default();
    let nodes = reachable(&engine, serials, &mut batch)?;
    begin(&engine, &actor, nodes, Source::Downloaded, JobKind::Upgrade, batch).await
}

/// The node that the query names.
fn node(engine: &Engine, query: &Query, own: Code) -> Result<Node, Failure> {
    let serial = query.text("serialNumber").filter(|serial| !serial.is_empty());
    let serial = serial.ok_or(Code(QUERY, "parse request body failed"))?;
    require(rules::is_node_name(serial))?;
    let found = read(engine.node_by_serial(serial), own)?;
    found.ok_or_else(|| own.because(Problem::not_found("node")))
}

#[derive(Serialize)]
struct Progress {
    msg: String,
    progress: u8,
    res: &'static str,
}

pub async fn progress(State(engine): Lab, query: Query) -> Outcome {
    let node = node(&engine, &query, PROGRESS)?;
    let newest = read(engine.newest_software(node.id), PROGRESS)?;
    let (job, item) = newest.ok_or_else(|| PROGRESS.because(Problem::not_found("job")))?;
    // An upgrade, too, begins anew.
    let untold = job.kind == JobKind::Upgrade || (item.state != ItemState::Failed && item.progress == 0);
    let progress = if untold {
        Progress {
            msg: String::new(),
            progress: 0,
            res: "",
        }
    } else {
        Progress {
            msg: item.problem.map(|problem| problem.whole(Lang::En)).unwrap_or_default(),
            progress: item.progress,
            res: if item.state == ItemState::Failed {
                "failed"
            } else {
                "success"
            },
        }
    };
    Reply::data(progress, PROGRESS)
}

pub async fn version(State(engine): Lab, query: Query) -> Outcome {
    let node = node(&engine, &query, VERSION)?;
    if node.facts.agent_version.is_empty() {
        return Err(VERSION.into());
    }
    Reply::data(items(&node.facts), VERSION)
}
