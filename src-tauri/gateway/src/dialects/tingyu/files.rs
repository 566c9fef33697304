//! Files out of containers.

use super::{
    answer::{Failure, Outcome, Reply},
    containers::{self, Found},
    request::{Caller, Params},
    tasks,
};
use crate::archive;
use axum::{
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use edgedeck_engine::Engine;
use edgedeck_model::{
    JobId, Problem,
    api::PageQuery,
    job::{FileOf, ItemState, Job},
};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};
use tokio_util::io::ReaderStream;

const NOT_BEGUN: &str = "Abnormal error, please contact the administrator";
const NOT_THERE: &str = "get file info fail";

type Lab = State<Arc<Engine>>;

/// The container, or the pod, of this name.
fn named(engine: &Engine, name: &str) -> Result<Found, Problem> {
    let pod = || name.rsplitn(3, '-').nth(2);
    let found = match containers::named(engine, name)? {
        None => pod()
            .map(|deployment| containers::named(engine, deployment))
            .transpose()?
            .flatten(),
        found => found,
    };
    let found = found.filter(|found| found.deployment.name == name || found.pod() == name);
    found.ok_or_else(|| Problem::not_found("placement"))
}

pub async fn download(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    let begun = async {
        let found = named(&engine, params.text("name").unwrap_or_default())?;
        let part = found.part().map(|(part, _)| part.name.clone()).unwrap_or_default();
        let file = FileOf {
            placement: found.placement.id,
            part,
            path: params.text("filepath").unwrap_or_default().to_owned(),
        };
        engine.fetch_file(&actor, file).await
    };
    let job = begun.await.map_err(|problem: Problem| {
        tracing::debug!("{problem}");
        Failure::unknown_because(NOT_BEGUN)
    })?;
    Reply::with("jobId", tasks::id(job.id))
}

fn md5_of(mut file: File) -> io::Result<String> {
    let (mut hash, mut piece) = (Md5::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

async fn told(engine: &Arc<Engine>, id: JobId) -> Result<Value, Problem> {
    let job: Job = engine.job(id)?;
    let wanted = job.file.as_ref().ok_or_else(|| Problem::not_found("job"))?;
    let one = PageQuery {
        limit: 1,
        ..PageQuery::default()
    };
    let item = engine.job_items(id, &one)?.items.into_iter().next();
    let item = item.ok_or_else(|| Problem::not_found("job"))?;
    let mut told = json!({
        "jobId": tasks::id(id), "state": tasks::state(engine, &item), "filename": wanted.name(), "filepath": wanted.path,
    });
    match item.state {
        ItemState::Failed => return Err(item.problem.unwrap_or_else(|| Problem::not_found("file"))),
        // The job's own end follows that of its item.
        ItemState::Succeeded if job.state.is_over() => {
            let (_, item, file) = engine.fetched_file(id)?;
            let hashing = tokio::task::spawn_blocking(move || md5_of(file));
            let md5 = hashing.await.map_err(Problem::internal)?.map_err(Problem::internal)?;
            told["size"] = item.bytes.into();
            told["md5"] = md5.into();
            told["url"] = format!("/file/content/{}", tasks::id(id)).into();
        }
        ItemState::Succeeded => told["state"] = 2.into(),
        ItemState::Waiting | ItemState::Running => {}
    }
    Ok(told)
}

pub async fn info(State(engine): Lab, params: Params) -> Outcome {
    let asked = async {
        let id = tasks::job(params.text("jobId").unwrap_or_default()).ok_or_else(|| Problem::not_found("job"))?;
        told(&engine, id).await
    };
    let told = asked.await.map_err(|problem| {
        tracing::debug!("{problem}");
        Failure::unknown_because(NOT_THERE)
    })?;
    Reply::data(told)
}

/// The content of a file that was fetched; the caller may change containers, so may read what is in them.
pub async fn content(State(engine): Lab, Caller(_): Caller, Path(id): Path<String>) -> Response {
    let found = tasks::job(&id).map(|id| engine.fetched_file(id));
    match found {
        Some(Ok((job, _, file))) => {
            let name = job.file.as_ref().map(FileOf::name).unwrap_or_default().to_owned();
            let stream = ReaderStream::new(tokio::fs::File::from_std(file));
            archive::any_file(&name, Body::from_stream(stream))
        }
        _ => Failure::unknown_because(NOT_THERE).into_response(),
    }
}
