//! Collecting logs: MEF's log tasks are jobs of the lab.

use super::{
    answer::{Code, Failure, MALFORMED, Outcome, QUERY, Reply},
    common,
    request::{Body, Caller, Query, read},
    rules,
};
use crate::archive;
use crate::dialects::times;
use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use edgedeck_engine::Engine;
use edgedeck_model::{
    Code as Why, Lang, Time,
    job::{ItemState, Job, JobKind, JobState},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

const NODE: Code = Code("40051002", "get node info failed");
const BUSINESS: Code = Code("40052002", "log dump business error");
const PREFIX: &str = "dumpMultiNodesLog";
const FILE: &str = "edgeNodes.tar.gz";
const NODES_MAX: usize = 100;

type Lab = State<Arc<Engine>>;

#[derive(Deserialize)]
pub struct NewTask {
    module: Option<String>,
    #[serde(rename = "edgenodes")]
    nodes: Option<Vec<i64>>,
}

pub async fn create(State(engine): Lab, Caller(actor): Caller, Body(body): Body<NewTask>) -> Outcome {
    // A broken rule has the code of a broken body here.
    let malformed = |_| Failure::from(MALFORMED);
    let numbers = rules::different_ids(body.nodes.unwrap_or_default(), NODES_MAX).map_err(malformed)?;
    rules::require(body.module.as_deref() == Some("edgeNode") && !numbers.is_empty()).map_err(malformed)?;
    let mut nodes = Vec::new();
    for number in numbers {
        nodes.push(common::node(&engine, number).map_err(|problem| match problem.code {
            Why::NotFound => NODE.because(problem),
            _ => BUSINESS.because(problem),
        })?);
    }
    let begun = engine.collect_logs(&actor, nodes).await;
    let job = begun.map_err(|problem| match (problem.code, problem.fact("reason")) {
        (Why::NotFound, _) | (Why::Conflict, "not-managed") => NODE.because(problem),
        _ => BUSINESS.because(problem),
    })?;
    Reply::data(json!({ "taskId": task_id(&job) }), BUSINESS)
}

/// MEF's id of a job: the part of its own that never repeats.
fn task_id(job: &Job) -> String {
    let hex = job.id.0.simple().to_string();
    format!("{PREFIX}.{}", &hex[8..])
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Task {
    created_at: String,
    data: Option<serde_json::Value>,
    finished_at: Option<String>,
    progress: u32,
    reason: String,
    started_at: Option<String>,
    status: &'static str,
    task_id: String,
}

pub async fn get(State(engine): Lab, query: Query) -> Outcome {
    let id = query.text("taskId").filter(|id| !id.is_empty());
    let Some(id) = id else {
        let missing = Code(QUERY, "parse request body failed");
        return Err(Failure::new(StatusCode::BAD_REQUEST, missing));
    };
    let inner = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let good = id
        .strip_prefix(PREFIX)
        .is_some_and(|rest| (1..=128).contains(&rest.len()) && rest.chars().all(inner));
    if !good {
        return Err(MALFORMED.into());
    }
    let jobs = read(engine.jobs_of(JobKind::Logs), BUSINESS)?;
    let job = jobs.into_iter().find(|job| task_id(job) == id);
    let job = job.ok_or_else(|| BUSINESS.because(edgedeck_model::Problem::not_found("job")))?;
    let now = engine.now();
    let time = |time: Time| times::precise(time);
    let task = Task {
        created_at: time(job.created_at),
        data: job.has_file(now).then(|| json!({ "fileName": FILE })),
        finished_at: job.finished_at.map(time),
        progress: job.progress(),
        reason: reason(&engine, &job)?,
        started_at: job.started_at.map(time),
        status: status(&job),
        task_id: task_id(&job),
    };
    Reply::data(task, BUSINESS)
}

fn status(job: &Job) -> &'static str {
    match job.state {
        JobState::Waiting => "waiting",
        JobState::Running => "processing",
        JobState::Stopping => "aborting",
        JobState::Succeeded => "succeed",
        JobState::Partly => "partiallyFailed",
        JobState::Failed | JobState::Stopped => "failed",
    }
}

/// Why a task is in its state; of one that is over, the nodes that failed and why.
fn reason(engine: &Engine, job: &Job) -> Result<String, Failure> {
    Ok(match job.state {
        JobState::Waiting => "task is waiting".to_owned(),
        JobState::Running => "task is processing".to_owned(),
        JobState::Stopping => "task is aborting".to_owned(),
        JobState::Succeeded => "task succeeded".to_owned(),
        JobState::Partly | JobState::Failed | JobState::Stopped => {
            let (_, items) = read(engine.archive_of(job.clone()), BUSINESS)?;
            let ids = items.iter().map(|item| item.node.0);
            let numbers = common::numbers(engine, edgedeck_engine::AliasKind::Node, ids, BUSINESS)?;
            let failed = items
                .into_iter()
                .filter(|item| item.state == ItemState::Failed)
                .map(|item| {
                    let number = numbers.get(&item.node.0).map(ToString::to_string).unwrap_or_default();
                    let why = item.problem.map(|problem| problem.text(Lang::En)).unwrap_or_default();
                    format!("({number}){why}")
                });
            let failed: Vec<_> = failed.collect();
            format!("failed to dump log for following nodes:{}", failed.join(";"))
        }
    })
}

pub async fn download(State(engine): Lab) -> Response {
    match engine.newest_archive() {
        Ok(Some((job, items))) => archive::response(engine, job, items, FILE),
        // Not in the envelope, as the public source has it.
        Ok(None) => (StatusCode::BAD_REQUEST, Json("file is abnormal")).into_response(),
        Err(error) => BUSINESS.because(error).into_response(),
    }
}
