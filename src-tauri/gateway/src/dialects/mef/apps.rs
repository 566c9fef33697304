//! Applications. An app of the lab that MEF's form cannot express does not exist here.

use super::{
    answer::{Batch, Code, Failure, Outcome, Reply, is_capped},
    common,
    container::{self, Container, Given},
    request::{self, Body, Caller, Query, page_of, read},
    rules::{self, given, require},
};
use crate::dialects::times::LocalTimes;
use axum::extract::State;
use edgedeck_engine::{Actor, AliasKind, AppInUse, Engine};
use edgedeck_model::{
    AppId, Code as Why, GroupId, Problem,
    api::NewAppBody,
    app::{Run, Spec},
    deployment::{Deployment, NewDeployment, Target},
    group::Group,
    name,
};
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::HashMap, sync::Arc};

const FULL: Code = Code("40021000", "failed to check data size while creating");
const CONVERT: Code = Code("40021001", "failed to convert request param to db");
const UNUSABLE: Code = Code("40021002", "failed to unmarshal container param from db");
const TAKEN: Code = Code("40022000", "failed to create/update data cause of duplicate");
const MISSING: Code = Code("40022001", "failed to query data cause of db data no found");
const CREATE: Code = Code("40022002", "failed to create app");
const GET: Code = Code("40022003", "failed to query app");
const LIST: Code = Code("40022004", "failed to list app");
const DEPLOY: Code = Code("40022005", "failed to deploy app");
const UNDEPLOY: Code = Code("40022006", "failed to undeploy app");
const UPDATE: Code = Code("40022007", "failed to update app");
const DELETE: Code = Code("40022008", "failed to delete app");

type Lab = State<Arc<Engine>>;

/// Answers what the domain refused of an application's fields, which MEF's rules had let pass.
fn refused(problem: Problem, own: Code) -> Failure {
    match problem.code {
        Why::Invalid if problem.fact("field").starts_with("parts.") => UNUSABLE.because(problem),
        Why::Invalid => CONVERT.because(problem),
        Why::Taken if problem.fact("what") == "app" => TAKEN.because(problem),
        _ if is_capped(&problem) => FULL.because(problem),
        _ => own.because(problem),
    }
}

/// An app that MEF can express.
fn visible(engine: &Engine, number: u32) -> Result<AppId, Problem> {
    let id = common::app(engine, number)?;
    let app = engine.app(id)?.app;
    let version = engine.version(app.latest)?;
    let expressed = container::view(&version.spec);
    expressed.map(|_| id).ok_or_else(|| Problem::not_found("app"))
}

fn aims_at_group(deployment: &Deployment) -> bool {
    matches!(deployment.target, Target::Group(_))
}

#[derive(Deserialize)]
pub struct NewApp {
    #[serde(rename = "appname")]
    name: Option<String>,
    description: Option<String>,
    containers: Option<Vec<Given>>,
}

/// Reads the richest of bodies and drops it: the entry for fuzzing.
///
/// # Panics
/// When containers that were let through cannot be told again.
pub fn parse_any(body: &[u8]) {
    let Ok(new) = request::parse::<NewApp>(body) else {
        return;
    };
    let _ = new.name.as_deref().map(rules::is_app_name);
    if let Ok(containers) = container::read(new.containers) {
        assert!(container::view(&container::spec(&containers)).is_some_and(|told| told.len() == containers.len()));
    }
}

pub async fn create(State(engine): Lab, Caller(actor): Caller, Body(body): Body<NewApp>) -> Outcome {
    let (name, description) = (given(body.name)?, body.description.unwrap_or_default());
    require(rules::is_app_name(&name) && rules::is_description(&description))?;
    let spec = container::spec(&container::read(body.containers)?);
    let new = NewAppBody {
        name,
        description,
        label: "1".to_owned(),
        spec,
    };
    let made = engine.create_app_within(&actor, new, common::caps(&engine)).await;
    let app = made.map_err(|problem| refused(problem, CREATE))?.app;
    let number = common::number(&engine, AliasKind::App, app.id.0).map_err(|problem| CREATE.because(problem))?;
    Reply::data(number, CREATE)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppInfo {
    #[serde(rename = "appID")]
    id: u32,
    app_name: String,
    containers: Vec<Container>,
    created_at: String,
    description: String,
    modified_at: String,
    node_group_infos: Vec<GroupRef>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct GroupRef {
    #[serde(rename = "nodeGroupID")]
    id: u32,
    #[serde(rename = "nodeGroupName")]
    name: String,
}

impl GroupRef {
    pub fn of(group: GroupId, groups: &HashMap<GroupId, (u32, Group)>) -> Option<Self> {
        groups.get(&group).map(|(id, group)| Self {
            id: *id,
            name: group.name.clone(),
        })
    }
}

/// Every app that MEF can express.
fn visible_apps(engine: &Engine, own: Code) -> Result<Vec<AppInfo>, Failure> {
    let found = read(engine.apps_in_use(), own)?;
    let groups = common::groups_aimed_at(engine, found.iter().flat_map(|used| &used.deployments), own)?;
    let numbers = common::numbers(engine, AliasKind::App, found.iter().map(|used| used.app.id.0), own)?;
    let times = LocalTimes::of(engine);
    let info = |used: AppInUse| {
        let aimed = |deployment: &Deployment| match deployment.target {
            Target::Group(group) => GroupRef::of(group, &groups),
            _ => None,
        };
        let mut node_group_infos: Vec<GroupRef> = used.deployments.iter().filter_map(aimed).collect();
        node_group_infos.sort();
        node_group_infos.dedup();
        Some(AppInfo {
            id: *numbers.get(&used.app.id.0)?,
            app_name: used.app.name,
            containers: container::view(&used.version.spec)?,
            created_at: times.text(used.app.created_at),
            description: used.app.description,
            modified_at: times.text(used.app.updated_at),
            node_group_infos,
        })
    };
    Ok(found.into_iter().filter_map(info).collect())
}

pub async fn get(State(engine): Lab, query: Query) -> Outcome {
    let id = query.id("appID")?;
    let found = visible_apps(&engine, GET)?.into_iter().find(|app| app.id == id);
    Reply::data(found.ok_or_else(|| MISSING.because(Problem::not_found("app")))?, GET)
}

pub async fn list(State(engine): Lab, query: Query) -> Outcome {
    let find = query.page()?;
    let mut apps = visible_apps(&engine, LIST)?;
    let deployed = apps.iter().filter(|app| !app.node_group_infos.is_empty()).count();
    let undeployed = apps.len() - deployed;
    apps.retain(|app| app.app_name.contains(&find.name));
    let (apps, total) = page_of(apps, &find);
    let apps = if apps.is_empty() { None } else { Some(apps) };
    let data = json!({ "appInfo": apps, "deployed": deployed, "unDeployed": undeployed, "total": total });
    Reply::worded("list apps Infos success", data, LIST)
}

#[derive(Deserialize)]
pub struct ChangedApp {
    #[serde(rename = "appid")]
    id: Option<i64>,
    #[serde(rename = "appname")]
    name: Option<String>,
    description: Option<String>,
    containers: Option<Vec<Given>>,
}

/// Changes image and version of the containers, by their position; everything else is checked and left as it is.
pub async fn update(State(engine): Lab, Caller(actor): Caller, Body(body): Body<ChangedApp>) -> Outcome {
    let (id, app_name) = (rules::id(body.id)?, given(body.name)?);
    require(rules::is_app_name(&app_name) && body.description.as_deref().is_none_or(rules::is_description))?;
    let containers = container::read(body.containers)?;
    // What the domain would refuse of a new application is refused of a changed one, used or not.
    let checked = name::check_description("description", body.description.as_deref().unwrap_or_default());
    checked
        .and_then(|()| container::spec(&containers).check())
        .map_err(|problem| refused(problem, UPDATE))?;
    let app = visible(&engine, id).map_err(|problem| match problem.code {
        Why::NotFound => MISSING.because(problem),
        _ => UPDATE.because(problem),
    })?;
    let images = containers
        .iter()
        .map(|new| container::reference(&new.image, &new.image_version))
        .collect();
    let change = move |spec| with_images(spec, images);
    let rolled = engine
        .roll_out(&actor, app, change, aims_at_group, common::caps(&engine))
        .await;
    rolled.map(|_| Reply::DONE).map_err(|problem| refused(problem, UPDATE))
}

/// A specification with other images.
fn with_images(mut spec: Spec, images: Vec<String>) -> Result<Spec, Problem> {
    if spec.parts.len() != images.len() {
        return Err(Problem::conflict("part-count"));
    }
    for (part, image) in spec.parts.iter_mut().zip(images) {
        if let Run::Container(container) = &mut part.run {
            container.image = image;
        }
    }
    Ok(spec)
}

#[derive(Deserialize)]
pub struct OnGroups {
    #[serde(rename = "appid")]
    app: Option<i64>,
    #[serde(rename = "nodegroupids")]
    groups: Option<Vec<i64>>,
}

pub async fn deploy(State(engine): Lab, Caller(actor): Caller, Body(body): Body<OnGroups>) -> Outcome {
    let (number, groups) = (rules::id(body.app)?, rules::ids(body.groups)?);
    let app = visible(&engine, number).and_then(|app| Ok(engine.app(app)?.app));
    let app = app.map_err(|problem| match problem.code {
        Why::NotFound => MISSING.because(problem),
        _ => DEPLOY.because(problem),
    })?;
    let deployed = groups.into_iter().map(async |group| {
        let outcome = match common::group(&engine, group) {
            Ok(target) => {
                let new = NewDeployment {
                    name: format!("{}-{group}", app.name),
                    app: app.id,
                    version: None,
                    target: Target::Group(target),
                };
                engine
                    .create_deployment_within(&actor, new, common::caps(&engine))
                    .await
                    .map(drop)
            }
            Err(problem) => Err(problem),
        };
        (group, outcome)
    });
    let mut batch = Batch::default();
    for (group, outcome) in join_all(deployed).await {
        batch.add(group, outcome);
    }
    batch.answer(DEPLOY)
}

pub async fn undeploy(State(engine): Lab, Caller(actor): Caller, Body(body): Body<OnGroups>) -> Outcome {
    let (number, groups) = (rules::id(body.app)?, rules::ids(body.groups)?);
    let app = visible(&engine, number).map_err(|problem| UNDEPLOY.because(problem))?;
    let undeployed = groups.into_iter().map(async |group| {
        let outcome = match common::group(&engine, group) {
            Ok(target) => engine.undeploy(&actor, app, target).await,
            Err(problem) => Err(problem),
        };
        (group, outcome)
    });
    let mut batch = Batch::default();
    for (group, outcome) in join_all(undeployed).await {
        batch.add(group, outcome);
    }
    batch.answer(UNDEPLOY)
}

#[derive(Deserialize)]
pub struct Apps {
    #[serde(rename = "appids")]
    ids: Option<Vec<i64>>,
}

pub async fn delete(State(engine): Lab, Caller(actor): Caller, Body(body): Body<Apps>) -> Outcome {
    let ids = rules::ids(body.ids)?;
    let deleted = ids
        .into_iter()
        .map(async |id| (id, delete_one(&engine, &actor, id).await));
    let mut batch = Batch::default();
    for (id, outcome) in join_all(deleted).await {
        batch.add(id, outcome);
    }
    batch.answer(DELETE)
}

async fn delete_one(engine: &Engine, actor: &Actor, number: u32) -> Result<(), Problem> {
    engine.delete_app(actor, visible(engine, number)?).await
}
