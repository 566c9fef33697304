//! Instances of applications on nodes: one per application, group and node.

use super::{
    answer::{Code, Failure, Outcome, Reply},
    apps::GroupRef,
    common, container,
    request::{Query, page_of, read},
};
use crate::dialects::times::LocalTimes;
use axum::extract::State;
use edgedeck_engine::{AliasKind, Engine, Instances, Of};
use edgedeck_model::{
    Code as Why, Problem,
    app::{Run, Version},
    deployment::{InstanceState, Placement, Target},
};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

const OF_APP: Code = Code("40022009", "failed to list app instances by id");
const OF_NODE: Code = Code("40022010", "failed to list app instances by node");
const LIST: Code = Code("40022011", "failed to list app instances");

type Lab = State<Arc<Engine>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppInstance {
    #[serde(rename = "appID")]
    app_id: u32,
    app_name: String,
    app_status: &'static str,
    container_info: Vec<ContainerInfo>,
    created_at: String,
    node_group_info: GroupRef,
    #[serde(rename = "nodeID")]
    node_id: u32,
    node_name: String,
    node_status: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ContainerInfo {
    name: String,
    image: String,
    status: &'static str,
    restart_count: u32,
}

fn app_status(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending
        | InstanceState::Pulling
        | InstanceState::Starting
        | InstanceState::BackOff
        | InstanceState::Stopping => "pending",
        InstanceState::Running => "running",
        InstanceState::Succeeded | InstanceState::Stopped => "succeeded",
        InstanceState::Failed => "failed",
        InstanceState::Unknown => "unknown",
    }
}

fn container_status(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending | InstanceState::Pulling | InstanceState::Starting | InstanceState::BackOff => "waiting",
        InstanceState::Running | InstanceState::Stopping => "running",
        InstanceState::Succeeded | InstanceState::Stopped | InstanceState::Failed => "terminated",
        InstanceState::Unknown => "unknown",
    }
}

fn containers(placement: &Placement, version: &Version, is_ready: bool) -> Vec<ContainerInfo> {
    let info = |part: &edgedeck_model::app::Part| {
        let Run::Container(run) = &part.run else {
            return None;
        };
        let (image, tag) = container::split_reference(&run.image);
        let told = placement.parts.iter().find(|told| told.name == part.name);
        Some(ContainerInfo {
            name: part.name.clone(),
            image: container::reference(&image, &tag),
            // Of a container nobody has spoken of yet nothing is known.
            status: told
                .filter(|_| is_ready)
                .map_or("unknown", |told| container_status(told.state)),
            restart_count: told.map_or(0, |told| told.restarts),
        })
    };
    version.spec.parts.iter().filter_map(info).collect()
}

fn instances(engine: &Engine, of: Of, own: Code) -> Result<Vec<AppInstance>, Failure> {
    let found = read(engine.instances(of), own)?;
    let groups = common::groups_aimed_at(engine, found.deployments.values(), own)?;
    let apps = common::numbers(engine, AliasKind::App, found.apps.keys().map(|app| app.0), own)?;
    let nodes = common::numbers(engine, AliasKind::Node, found.nodes.keys().map(|node| node.0), own)?;
    let times = LocalTimes::of(engine);
    let wire = |placement: &Placement| {
        let Instances {
            deployments,
            apps: named,
            versions,
            nodes: boxes,
            ..
        } = &found;
        let deployment = deployments.get(&placement.deployment)?;
        let Target::Group(group) = deployment.target else {
            return None;
        };
        let version = versions.get(&placement.version)?;
        container::view(&version.spec)?;
        let node = boxes.get(&placement.node)?;
        let node_status = common::node_status(node.state);
        let is_ready = node_status == "ready";
        let state = if is_ready {
            placement.seen(node.state)
        } else {
            InstanceState::Unknown
        };
        Some(AppInstance {
            app_id: *apps.get(&deployment.app.0)?,
            app_name: named.get(&deployment.app)?.name.clone(),
            app_status: app_status(state),
            container_info: containers(placement, version, is_ready),
            created_at: times.text(placement.created_at),
            node_group_info: GroupRef::of(group, &groups)?,
            node_id: *nodes.get(&node.id.0)?,
            node_name: node.name.clone(),
            node_status,
        })
    };
    Ok(found.placements.iter().filter_map(wire).collect())
}

fn answer(instances: Vec<AppInstance>, total: u64, own: Code) -> Outcome {
    let instances = if instances.is_empty() { None } else { Some(instances) };
    Reply::data(json!({ "appInstances": instances, "total": total }), own)
}

/// All instances of something; of what does not exist there are none.
fn answer_all<T>(engine: &Engine, of: Result<T, Problem>, wrap: fn(T) -> Of, own: Code) -> Outcome {
    let found = match of {
        Ok(id) => instances(engine, wrap(id), own)?,
        Err(problem) if problem.code == Why::NotFound => Vec::new(),
        Err(problem) => return Err(own.because(problem)),
    };
    let total = found.len() as u64;
    answer(found, total, own)
}

pub async fn of_app(State(engine): Lab, query: Query) -> Outcome {
    let id = query.id("appID")?;
    answer_all(&engine, common::app(&engine, id), Of::App, OF_APP)
}

pub async fn of_node(State(engine): Lab, query: Query) -> Outcome {
    let id = query.id("nodeID")?;
    answer_all(&engine, common::node(&engine, id), Of::Node, OF_NODE)
}

pub async fn list(State(engine): Lab, query: Query) -> Outcome {
    let find = query.page()?;
    let mut found = instances(&engine, Of::Lab, LIST)?;
    found.retain(|instance| instance.app_name.contains(&find.name));
    let (found, total) = page_of(found, &find);
    answer(found, total, LIST)
}
