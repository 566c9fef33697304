//! Tasks: the jobs that changes of containers are.

use super::{
    answer::{Outcome, Reply},
    nodes,
    request::Params,
};
use axum::extract::State;
use edgedeck_engine::Engine;
use edgedeck_model::{
    Code, JobId, Problem,
    api::PageQuery,
    job::{ItemState, JobItem},
};
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Serialize)]
struct Task {
    uuid: String,
    deviceid: String,
    deploymentname: String,
    state: u8,
}

/// A task's id is its job's.
pub fn id(job: JobId) -> String {
    job.0.simple().to_string()
}

/// The job of a task, as it is given out: 32 digits.
pub fn job(id: &str) -> Option<JobId> {
    Uuid::try_parse(id).ok().filter(|_| id.len() == 32).map(JobId)
}

/// 0 waits, 1 is sent to the node, 2 is under way; 3 has succeeded and 4 has failed, for good.
pub fn state(engine: &Engine, item: &JobItem) -> u8 {
    match item.state {
        ItemState::Waiting if engine.is_linked(item.node) => 1,
        ItemState::Waiting => 0,
        ItemState::Running => 2,
        ItemState::Succeeded => 3,
        ItemState::Failed => 4,
    }
}

/// Those of the tasks that there are.
pub async fn status(State(engine): State<Arc<Engine>>, params: Params) -> Outcome {
    let mut tasks = Vec::new();
    for id in params.list("jobid")? {
        let Some(id) = job(&id) else { continue };
        let job = match engine.job(id).map_err(Problem::from) {
            Ok(job) => job,
            Err(problem) if problem.code == Code::NotFound => continue,
            Err(problem) => return Err(problem.into()),
        };
        let Some(rollout) = job.rollout else { continue };
        let one = PageQuery {
            limit: 1,
            ..PageQuery::default()
        };
        for item in engine.job_items(id, &one)?.items {
            tasks.push(Task {
                uuid: nodes::name(item.node),
                deviceid: nodes::uuid(item.node),
                deploymentname: rollout.name.clone(),
                state: state(&engine, &item),
            });
        }
    }
    Reply::info(tasks)
}
