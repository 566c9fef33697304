//! Projects, as a client looks for its own by the name of its region.

use super::{answer::Failure, caller::Caller};
use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use edgedeck_engine::Engine;
use edgedeck_model::project::Project;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
pub struct Named {
    name: Option<String>,
}

fn shown(project: &Project, domain: &str) -> Value {
    json!({
        "id": project.id.hex(),
        "name": project.name,
        "description": project.description,
        "domain_id": domain,
        "parent_id": domain,
        "enabled": true,
        "is_domain": false,
        "links": { "self": format!("/v3/projects/{}", project.id.hex()), "next": null, "previous": null },
    })
}

/// The projects that the caller may use: a user all of them, an access key its own.
fn usable(engine: &Engine, caller: &Caller, name: Option<&str>) -> Result<Vec<Value>, Failure> {
    let (domain, _) = engine.domain()?;
    let projects = if caller.cloud.by_key {
        vec![caller.project().clone()]
    } else {
        engine.list_projects()?
    };
    let named = projects
        .iter()
        .filter(|project| name.is_none_or(|name| project.name == name));
    Ok(named.map(|project| shown(project, &domain)).collect())
}

fn listed(projects: Vec<Value>, path: &str) -> Json<Value> {
    Json(json!({ "projects": projects, "links": { "self": path, "next": null, "previous": null } }))
}

pub async fn list(
    State(engine): State<Arc<Engine>>,
    caller: Caller,
    query: Result<Query<Named>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(Named { name }) = query.map_err(|_| Failure::query())?;
    Ok(listed(usable(&engine, &caller, name.as_deref())?, "/v3/projects"))
}

pub async fn list_mine(State(engine): State<Arc<Engine>>, caller: Caller) -> Result<Json<Value>, Failure> {
    Ok(listed(usable(&engine, &caller, None)?, "/v3/auth/projects"))
}

/// The project of the path, which is the caller's.
pub async fn show(State(engine): State<Arc<Engine>>, caller: Caller) -> Result<Json<Value>, Failure> {
    let (domain, _) = engine.domain()?;
    Ok(Json(json!({ "project": shown(caller.project(), &domain) })))
}
