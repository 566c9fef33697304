//! Containers: deployments of one container on one node. Others are not shown.

use super::{
    answer::{Failure, Outcome, Reply},
    images, nodes,
    request::{Body, Caller, Params, split},
    tasks,
};
use crate::dialects::times::LocalTimes;
use axum::extract::State;
use edgedeck_engine::{Actor, Engine, Find, Single};
use edgedeck_model::{
    Code, DeploymentId, Lang, Problem,
    api::UpdateDeploymentBody,
    app::{Container as Image, MIB, Mount, Part, Resources, Restart, Run, Spec, Version},
    deployment::{Deployment, InstanceState, Placement, Target, Wanted},
    node::Carrier,
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

const NOT_READY: &str = "Node is not ready";
const NOT_RESOLVED: &str = "Get Deploymentname Fail";
/// The only part of a container that this system makes.
const PART: &str = "main";

type Lab = State<Arc<Engine>>;

#[derive(Clone, Serialize, Deserialize)]
struct Variable {
    key: String,
    value: String,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Volume {
    host_path: String,
    mount_path: String,
}

/// A container as a request has it; what is absent keeps its value.
#[derive(Deserialize)]
pub struct Given {
    uuid: Option<String>,
    deploymentname: Option<String>,
    image: Option<String>,
    imageversion: Option<String>,
    env: Option<Vec<Variable>>,
    volumes: Option<Vec<Volume>>,
    /// Cores.
    requestscpu: Option<f64>,
    limitscpu: Option<f64>,
    /// MB.
    requestsmemory: Option<f64>,
    limitsmemory: Option<f64>,
}

/// Why one of several was not done, in the words of the system below.
struct Refused(String);

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        if matches!(problem.code, Code::Internal | Code::StoreUnavailable) {
            tracing::error!("{problem}");
        }
        Self(problem.whole(Lang::En))
    }
}

impl From<edgedeck_engine::Error> for Refused {
    fn from(error: edgedeck_engine::Error) -> Self {
        Problem::from(error).into()
    }
}

fn absent(name: &str) -> Refused {
    Refused(format!("deployments.apps {name:?} not found"))
}

/// What became of one of several.
#[derive(Serialize)]
struct Changed {
    code: u16,
    deploymentname: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    jobid: Option<String>,
}

impl Changed {
    fn of(name: String, outcome: Result<Deployment, Refused>) -> Self {
        match outcome {
            Ok(deployment) => Self {
                code: 200,
                deploymentname: name,
                message: "success".to_owned(),
                jobid: deployment.job.map(tasks::id),
            },
            Err(Refused(message)) => Self {
                code: 500,
                deploymentname: name,
                message,
                jobid: None,
            },
        }
    }
}

/// A container as the lab has it.
pub struct Found {
    pub deployment: Deployment,
    pub placement: Placement,
    version: Version,
}

impl Found {
    /// Nothing for what this system cannot express.
    fn of((deployment, placement, version): (Deployment, Placement, Version)) -> Option<Self> {
        let is_one = matches!(
            version.spec.parts.as_slice(),
            [Part {
                run: Run::Container(_),
                ..
            }]
        );
        is_one.then_some(Self {
            deployment,
            placement,
            version,
        })
    }

    pub fn part(&self) -> Option<(&Part, &Image)> {
        let part = self.version.spec.parts.first()?;
        match &part.run {
            Run::Container(image) => Some((part, image)),
            Run::Process(_) => None,
        }
    }

    /// `<deployment>-<hash>-<suffix>`: the hash changes with the version, the suffix with every replacement.
    pub fn pod(&self) -> String {
        let version = self.version.id.0.simple().to_string();
        let suffix = (self.placement.id.0.as_u128() + u128::from(self.placement.restarts)) & 0xf_ffff;
        let hash = version.get(22..).unwrap_or(&version);
        format!("{}-{hash}-{suffix:05x}", self.deployment.name)
    }

    fn detail(&self) -> Value {
        let name = &self.deployment.name;
        let Some((part, image)) = self.part() else {
            return json!({ "name": name });
        };
        let env = part.env.iter().map(|(key, value)| Variable {
            key: key.clone(),
            value: value.clone(),
        });
        let volumes = image.mounts.iter().map(|mount| Volume {
            host_path: mount.host.clone(),
            mount_path: mount.container.clone(),
        });
        json!({
            "name": name,
            "image": image.image,
            "restart": match part.restart {
                Restart::Always => "Always",
                Restart::OnFailure => "OnFailure",
                Restart::Never => "Never",
            },
            "network": if image.host_network { "host" } else { "bridge" },
            "env": env.collect::<Vec<_>>(),
            "volumes": volumes.collect::<Vec<_>>(),
        })
    }
}

/// The container of this name.
///
/// # Errors
/// When the lab's database cannot be read.
pub fn named(engine: &Engine, name: &str) -> Result<Option<Found>, edgedeck_engine::Error> {
    let found = engine.single_deployments(Single::Named(name))?;
    Ok(found.into_iter().find_map(Found::of))
}

/// A container, on a node that can take a change now.
fn ready(engine: &Engine, name: &str) -> Result<Found, Refused> {
    let found = named(engine, name)?.ok_or_else(|| absent(name))?;
    if !nodes::present(engine, found.placement.node)?.is_some_and(|node| node.is_ready()) {
        return Err(Refused(NOT_READY.to_owned()));
    }
    Ok(found)
}

/// A quantity in thousandths, or in another part of its unit, rounded up.
fn quantity(field: &str, value: f64, parts: u64) -> Result<u64, Refused> {
    let scaled = (value * parts as f64).ceil();
    if !(0.0..=1e18).contains(&scaled) {
        let why = "must be greater than or equal to 0";
        return Err(Refused(format!("{field}: Invalid value: {value}: {why}")));
    }
    Ok(scaled as u64)
}

fn millis(field: &str, value: f64) -> Result<u32, Refused> {
    u32::try_from(quantity(field, value, 1_000)?)
        .map_err(|_| Refused(format!("{field}: Invalid value: {value}: too large")))
}

impl Given {
    /// Changes a part to what is given.
    fn apply(&self, engine: &Engine, part: &mut Part) -> Result<(), Refused> {
        let set = |to: &mut u32, field, value: Option<f64>| -> Result<(), Refused> {
            if let Some(value) = value {
                *to = millis(field, value)?;
            }
            Ok(())
        };
        let set_bytes = |to: &mut u64, field, value: Option<f64>| -> Result<(), Refused> {
            if let Some(value) = value {
                *to = quantity(field, value, MIB)?;
            }
            Ok(())
        };
        let resources = &mut part.resources;
        set(&mut resources.cpu_millis, "requestscpu", self.requestscpu)?;
        set(&mut resources.cpu_limit_millis, "limitscpu", self.limitscpu)?;
        set_bytes(&mut resources.memory_bytes, "requestsmemory", self.requestsmemory)?;
        set_bytes(&mut resources.memory_limit_bytes, "limitsmemory", self.limitsmemory)?;
        if let Some(env) = &self.env {
            part.env = env.iter().map(|one| (one.key.clone(), one.value.clone())).collect();
        }
        let Run::Container(container) = &mut part.run else {
            return Ok(());
        };
        if let Some(volumes) = &self.volumes {
            let mount = |volume: &Volume| Mount {
                name: String::new(),
                host: volume.host_path.clone(),
                container: volume.mount_path.clone(),
                read_only: false,
            };
            container.mounts = volumes.iter().map(mount).collect();
        }
        container.image = images::changed(
            engine,
            &container.image,
            self.image.as_deref(),
            self.imageversion.as_deref(),
        )?;
        Ok(())
    }
}

/// Refuses the whole of a request that names a machine which is not there.
fn check_machines(engine: &Engine, given: &[Given]) -> Result<(), Failure> {
    for uuid in given.iter().filter_map(|one| one.uuid.as_deref()) {
        nodes::by_uuid(engine, uuid)?;
    }
    Ok(())
}

async fn create_one(engine: &Engine, actor: &Actor, given: &Given, name: &str) -> Result<Deployment, Refused> {
    let uuid = given.uuid.as_deref().unwrap_or_default();
    let node = nodes::by_uuid(engine, uuid).map_err(|_| Refused(NOT_READY.to_owned()))?;
    check_name(name)?;
    if !node.is_ready() {
        return Err(Refused(NOT_READY.to_owned()));
    }
    let mut part = Part {
        name: PART.to_owned(),
        run: Run::Container(Image {
            host_network: true,
            ..Image::default()
        }),
        args: Vec::new(),
        env: BTreeMap::new(),
        resources: Resources::default(),
        restart: Restart::Always,
        liveness: None,
        readiness: None,
    };
    given.apply(engine, &mut part)?;
    let (spec, target) = (Spec { parts: vec![part] }, Target::Nodes(vec![node.id]));
    let made = engine.deploy_spec(actor, name.to_owned(), spec, target).await;
    made.map_err(|problem| match problem.code {
        Code::Taken => Refused(format!("deployments.apps {name:?} already exists")),
        _ => problem.into(),
    })
}

/// Names are Kubernetes' own, so that each can stand in a list.
fn check_name(name: &str) -> Result<(), Refused> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if name.starts_with(ends) && name.ends_with(ends) && name.chars().all(inner) {
        return Ok(());
    }
    let shown = edgedeck_model::name::tame(name, 64);
    Err(Refused(format!(
        "Deployment.apps {shown:?} is invalid: metadata.name: a lowercase RFC 1123 subdomain is needed"
    )))
}

pub async fn create(State(engine): Lab, Caller(actor): Caller, Body(given): Body<Vec<Given>>) -> Outcome {
    if given
        .iter()
        .any(|one| one.uuid.is_none() || one.deploymentname.is_none())
    {
        return Err(Failure::unknown());
    }
    check_machines(&engine, &given)?;
    let made = given.into_iter().map(async |one| {
        let name = one.deploymentname.clone().unwrap_or_default();
        let outcome = create_one(&engine, &actor, &one, &name).await;
        Changed::of(name, outcome)
    });
    Reply::data(join_all(made).await)
}

/// Changes a container's only part.
async fn change(
    engine: &Engine,
    actor: &Actor,
    found: &Found,
    apply: impl FnOnce(&mut Part) -> Result<(), Refused>,
) -> Result<Deployment, Refused> {
    let mut part = found
        .version
        .spec
        .parts
        .first()
        .cloned()
        .ok_or_else(|| absent(&found.deployment.name))?;
    apply(&mut part)?;
    let before = found.version.spec.clone();
    let changed = move |spec: Spec| {
        // Somebody else was faster: what is changed is what was looked at.
        if spec != before {
            return Err(Problem::new(Code::Changed));
        }
        Ok(Spec { parts: vec![part] })
    };
    Ok(engine.change_spec(actor, found.deployment.id, changed).await?)
}

pub async fn update(State(engine): Lab, Caller(actor): Caller, Body(given): Body<Vec<Given>>) -> Outcome {
    if given.iter().any(|one| one.deploymentname.is_none()) {
        return Err(Failure::unknown());
    }
    check_machines(&engine, &given)?;
    let mut updated = Vec::with_capacity(given.len());
    for one in given {
        let name = one.deploymentname.clone().unwrap_or_default();
        let outcome = match ready(&engine, &name) {
            Ok(found) => change(&engine, &actor, &found, |part| one.apply(&engine, part)).await,
            Err(refused) => Err(refused),
        };
        updated.push(Changed::of(name, outcome));
    }
    Reply::data(updated)
}

#[derive(Deserialize)]
pub struct Upgrade {
    deploymentnames: String,
    image: String,
    imageversion: String,
}

/// Brings containers to another image; all else of them stays.
pub async fn upgrade(State(engine): Lab, Caller(actor): Caller, Body(given): Body<Upgrade>) -> Outcome {
    let names = split(&given.deploymentnames);
    if names.is_empty() {
        return Err(Failure::unknown());
    }
    let mut upgraded = Vec::with_capacity(names.len());
    for name in names {
        let outcome = upgrade_one(&engine, &actor, &name, &given.image, &given.imageversion).await;
        upgraded.push(Changed::of(name, outcome));
    }
    Reply::data(upgraded)
}

async fn upgrade_one(
    engine: &Engine,
    actor: &Actor,
    name: &str,
    image: &str,
    tag: &str,
) -> Result<Deployment, Refused> {
    if named(engine, name)?.is_none() {
        return Err(Refused(NOT_RESOLVED.to_owned()));
    }
    let found = ready(engine, name)?;
    change(engine, actor, &found, |part| {
        if let Run::Container(container) = &mut part.run {
            container.image = images::changed(engine, &container.image, Some(image), Some(tag))?;
        }
        Ok(())
    })
    .await
}

#[derive(Deserialize)]
pub struct Inherit {
    area: String,
    operator: String,
    percent: f64,
    image: String,
    imageversion: String,
}

/// Brings a share of the containers that run an image, on the nodes of one area and operator, to another version.
pub async fn inherit(State(engine): Lab, Caller(actor): Caller, Body(given): Body<Inherit>) -> Outcome {
    let carrier = Carrier::ALL
        .into_iter()
        .find(|carrier| nodes::operator(*carrier) == given.operator);
    let Some(carrier) = carrier else {
        return Err(Failure::coded("TY0032", "运营商错误!正确为移动、联通和电信!"));
    };
    if !(0.0..=100.0).contains(&given.percent) || given.image.is_empty() || given.imageversion.is_empty() {
        return Err(Failure::unknown());
    }
    let mut candidates = Vec::new();
    for node in engine.find_nodes(&Find::ALL, None)?.items {
        if node.line.area != given.area || node.line.carrier != carrier {
            continue;
        }
        let here = engine.single_deployments(Single::On(node.id))?;
        let here = here.into_iter().filter_map(Found::of);
        candidates.extend(here.filter(|found| {
            found
                .part()
                .is_some_and(|(_, image)| images::is_of(&image.image, &given.image))
        }));
    }
    candidates.sort_by(|a, b| a.deployment.name.cmp(&b.deployment.name));
    // At most the number of them, which is small enough for either form.
    let share = (candidates.len() as f64 * given.percent / 100.0).ceil() as usize;
    let mut failed = Vec::new();
    for found in candidates.into_iter().take(share) {
        let name = found.deployment.name;
        let image = found.version.spec.parts.first().and_then(|part| match &part.run {
            Run::Container(image) => images::name_of(&image.image),
            Run::Process(_) => None,
        });
        let outcome = upgrade_one(
            &engine,
            &actor,
            &name,
            image.as_deref().unwrap_or(&given.image),
            &given.imageversion,
        );
        let outcome = outcome.await;
        if outcome.is_err() {
            failed.push(Changed::of(name, outcome));
        }
    }
    if failed.is_empty() {
        Reply::data(Value::Null)
    } else {
        Reply::data(failed)
    }
}

#[derive(Serialize)]
struct Item {
    code: u16,
    data: Value,
    message: String,
}

/// An answer for each name, with what `tell` says of the container.
fn tell(engine: &Engine, params: &Params, key: &str, tell: impl Fn(&Found) -> Value) -> Outcome {
    let item = |name: String| -> Result<Item, Failure> {
        Ok(match named(engine, &name)? {
            Some(found) => Item {
                code: 200,
                data: tell(&found),
                message: "success".to_owned(),
            },
            None => Item {
                code: 500,
                data: json!({ key: name }),
                message: absent(&name).0,
            },
        })
    };
    let items = params
        .list("name")?
        .into_iter()
        .map(item)
        .collect::<Result<Vec<_>, _>>()?;
    Reply::data(items)
}

pub async fn get(State(engine): Lab, params: Params) -> Outcome {
    tell(&engine, &params, "name", Found::detail)
}

pub async fn info(State(engine): Lab, params: Params) -> Outcome {
    let times = LocalTimes::of(&engine);
    tell(&engine, &params, "deploymentname", |found| {
        let state = phase(&engine, found);
        let pods = state.map(|state| json!({ "podname": found.pod(), "podstate": state }));
        json!({
            "deploymentname": found.deployment.name,
            "createtime": times.text(found.deployment.created_at),
            "podinfo": pods.into_iter().collect::<Vec<_>>(),
        })
    })
}

/// Kubernetes' phase of the container; nothing while it is stopped.
fn phase(engine: &Engine, found: &Found) -> Option<&'static str> {
    let node = nodes::present(engine, found.placement.node).ok().flatten();
    let seen = node.map_or(InstanceState::Unknown, |node| found.placement.seen(node.state));
    match seen {
        InstanceState::Running => Some("Running"),
        // Ended, and started again: Kubernetes counts that as running.
        InstanceState::BackOff => Some("Running"),
        InstanceState::Succeeded => Some("Succeeded"),
        InstanceState::Unknown => Some("Unknown"),
        InstanceState::Stopped => None,
        InstanceState::Pending if found.placement.wanted == Wanted::Stopped => None,
        InstanceState::Failed if found.placement.parts.iter().any(|part| part.started_at.is_some()) => Some("Failed"),
        // What could not be started, for want of its image say, keeps this phase.
        InstanceState::Failed | InstanceState::Pending | InstanceState::Pulling => Some("Pending"),
        InstanceState::Starting => Some("Pending"),
        InstanceState::Stopping => Some("Running"),
    }
}

pub async fn list(State(engine): Lab, params: Params) -> Outcome {
    let node = nodes::by_uuid(&engine, params.given("uuid")?)?;
    let found = engine.single_deployments(Single::On(node.id))?;
    let details = found.into_iter().filter_map(Found::of).map(|found| found.detail());
    Reply::data(details.collect::<Vec<_>>())
}

pub async fn delete(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    let deleted = params.list("name")?.into_iter().map(async |name| {
        let outcome = match ready(&engine, &name) {
            Ok(found) => engine
                .delete_deployment(&actor, found.deployment.id)
                .await
                .map_err(Refused::from),
            Err(refused) => Err(refused),
        };
        Changed::of(name, outcome)
    });
    Reply::data(join_all(deleted).await)
}

/// Does the same with all of the containers, or with none.
async fn steer(engine: &Engine, actor: &Actor, params: &Params, body: UpdateDeploymentBody) -> Result<(), Failure> {
    let ids = params.list("name")?.into_iter().map(|name| {
        let found = named(engine, &name)?;
        Ok(found.ok_or_else(Failure::unknown)?.deployment.id)
    });
    let ids = ids.collect::<Result<Vec<DeploymentId>, Failure>>()?;
    engine.update_deployments(actor, ids, body).await?;
    Ok(())
}

pub async fn start(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    let body = UpdateDeploymentBody {
        wanted: Some(Wanted::Running),
        ..UpdateDeploymentBody::default()
    };
    steer(&engine, &actor, &params, body).await?;
    Ok(Reply::worded("启动成功!"))
}

pub async fn stop(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    let body = UpdateDeploymentBody {
        wanted: Some(Wanted::Stopped),
        ..UpdateDeploymentBody::default()
    };
    steer(&engine, &actor, &params, body).await?;
    Ok(Reply::worded("停止成功!"))
}

/// Replaces what runs by the same; what is stopped is started.
pub async fn restart(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    let body = UpdateDeploymentBody {
        wanted: Some(Wanted::Running),
        restart: true,
        ..UpdateDeploymentBody::default()
    };
    steer(&engine, &actor, &params, body).await?;
    Ok(Reply::worded("重启成功!"))
}
