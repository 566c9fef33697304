//! Fetching a file out of a container.

use super::Done;
use crate::{Actor, Engine, store::row};
use edgedeck_model::{
    Code, NodeId, Problem,
    deployment::{Placement, Wanted},
    job::{FileOf, Job, JobKind, SENT_BYTES_MAX},
};
use edgedeck_protocol::Task;
use std::{sync::Arc, time::Duration};

/// How long the node has.
const TIME: Duration = Duration::from_secs(600);

impl Engine {
    /// Fetches a file out of a container; several may be fetched at a time.
    ///
    /// # Errors
    /// [`Code::Invalid`] for the path, [`Code::NotFound`] for the instance or its part.
    pub async fn fetch_file(self: &Arc<Self>, actor: &Actor, file: FileOf) -> std::result::Result<Job, Problem> {
        file.check()?;
        let actor = actor.clone();
        let job = self.store.write(move |tx| {
            let placement = row::get::<Placement>(tx, file.placement.0)?;
            let placement = placement.filter(|placement| placement.wanted != Wanted::Gone);
            let placement = placement.ok_or_else(|| Problem::not_found("placement"))?;
            let spec = crate::apps::version(tx, placement.version)?.spec;
            if !spec.parts.iter().any(|part| part.name == file.part) {
                return Err(Problem::not_found("part").into());
            }
            tx.audit(&actor, "file.fetch", &file.path)?;
            let mut job = tx.create_job(&actor, JobKind::File, None, &[placement.node])?;
            job.file = Some(file);
            tx.put(&mut job)?;
            tx.prune_jobs()?;
            Ok(job)
        });
        let job = job.await?;
        self.run_job(&job);
        Ok(job)
    }

    pub(super) async fn fetch_from(&self, job: &Job, node: NodeId) -> std::result::Result<Done, Problem> {
        let file = job
            .file
            .clone()
            .ok_or_else(|| Problem::internal("a job without its file"))?;
        if !self.linked(node).await {
            return Err(Problem::new(Code::Unreachable));
        }
        let task = Task::FetchFile {
            job: job.id,
            placement: file.placement,
            part: file.part,
            path: file.path,
            bytes: SENT_BYTES_MAX,
        };
        let answer = self.hub.ask(node, task, TIME).await?;
        self.sent_for(job.id, node, &answer)
    }
}
