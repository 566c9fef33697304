//! Collecting the logs of nodes: each packs its own and sends the archive.

use super::Done;
use crate::{Actor, Engine, error::Result};
use edgedeck_model::{
    Code, JobId, NodeId, Problem,
    job::{Job, JobKind, LOGS_BYTES_MAX},
};
use edgedeck_protocol::{Answer, Task};
use std::{sync::Arc, time::Duration};

/// How long one node has.
const NODE_TIME: Duration = Duration::from_secs(600);

impl Engine {
    /// Collects the logs of managed nodes. The files of earlier collections go.
    ///
    /// # Errors
    /// [`Code::Invalid`], [`Code::NotFound`] for a node, [`Code::Conflict`] while another collection runs or for a
    /// node that is not managed.
    pub async fn collect_logs(
        self: &Arc<Self>,
        actor: &Actor,
        nodes: Vec<NodeId>,
    ) -> std::result::Result<Job, Problem> {
        let actor = actor.clone();
        let job = self.store.write(move |tx| {
            tx.no_other_runs(JobKind::Logs)?;
            let job = tx.create_job(&actor, JobKind::Logs, None, &nodes)?;
            for mut earlier in crate::store::row::select::<Job>(tx, "WHERE id <> ?1", [job.id.0.as_bytes().as_slice()])?
            {
                if earlier.file_until.take().is_some() {
                    tx.put(&mut earlier)?;
                }
            }
            tx.prune_jobs()?;
            Ok(job)
        });
        let job = job.await?;
        self.run_job(&job);
        let (engine, kept) = (self.clone(), job.id);
        // Some GB may take a while.
        tokio::task::spawn_blocking(move || engine.remove_job_files(&[kept]));
        Ok(job)
    }

    /// Ends the time of archives that are too old, and removes the files of those.
    pub(crate) async fn retain_archives(&self) -> Result<()> {
        let now = self.clock.now();
        let (kept, gone) = self.store.read(|connection| {
            let with_file = crate::store::row::select::<Job>(connection, "", [])?;
            Ok(with_file
                .into_iter()
                .filter(|job| !job.state.is_over() || job.file_until.is_some())
                .partition::<Vec<Job>, _>(|job| !job.state.is_over() || job.has_file(now)))
        })?;
        if !gone.is_empty() {
            self.store
                .write(move |tx| {
                    for mut job in gone {
                        job.file_until = None;
                        tx.put(&mut job)?;
                    }
                    Ok(())
                })
                .await?;
        }
        self.remove_job_files(&kept.iter().map(|job| job.id).collect::<Vec<_>>());
        Ok(())
    }

    pub(super) async fn collect_from(&self, job: JobId, node: NodeId) -> std::result::Result<Done, Problem> {
        if !self.linked(node).await {
            return Err(Problem::new(Code::Unreachable));
        }
        let task = Task::CollectLogs {
            job,
            bytes: LOGS_BYTES_MAX,
        };
        match self.hub.ask(node, task, NODE_TIME).await? {
            // What counts is what has arrived.
            Answer::Collected { .. } => {
                let (bytes, sha256) = self
                    .sent_file(job, node)
                    .ok_or_else(|| Problem::conflict("nothing-sent"))?;
                let sha256 = Some(sha256);
                Ok(Done { bytes, sha256 })
            }
            _ => Err(Problem::internal("an answer to another question")),
        }
    }
}
