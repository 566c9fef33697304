//! Collecting the logs of nodes: each packs its own and sends the archive.

use super::Done;
use crate::{Actor, Engine, error::Result};
use edgedeck_model::{
    Code, JobId, NodeId, Problem,
    job::{Job, JobKind, SENT_BYTES_MAX},
};
use edgedeck_protocol::Task;
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
            for mut earlier in crate::store::row::select::<Job>(
                tx,
                "WHERE kind = 'logs' AND id <> ?1",
                [job.id.0.as_bytes().as_slice()],
            )? {
                if earlier.file_until.take().is_some() {
                    tx.put(&mut earlier)?;
                }
            }
            tx.prune_jobs()?;
            Ok(job)
        });
        let job = job.await?;
        self.run_job(&job);
        let engine = self.clone();
        // Some GB may take a while.
        tokio::task::spawn_blocking(move || {
            if let Err(error) = engine.drop_old_files() {
                tracing::warn!(%error, "looking for files of jobs that are to go");
            }
        });
        Ok(job)
    }

    /// Ends the time of archives that are too old, and removes the files of those.
    pub(crate) async fn retain_archives(&self) -> Result<()> {
        let now = self.clock.now();
        let gone = self.store.read(|connection| {
            let with_file = crate::store::row::select::<Job>(connection, "WHERE kind <> 'deploy'", [])?;
            Ok(with_file
                .into_iter()
                .filter(|job| job.state.is_over() && job.file_until.is_some() && !job.has_file(now))
                .collect::<Vec<Job>>())
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
        self.drop_old_files()
    }

    /// Removes the files of jobs whose time is over.
    fn drop_old_files(&self) -> Result<()> {
        let now = self.clock.now();
        let all = self
            .store
            .read(|connection| crate::store::row::select::<Job>(connection, "WHERE kind <> 'deploy'", []))?;
        let kept = all.iter().filter(|job| !job.state.is_over() || job.has_file(now));
        self.remove_job_files(&kept.map(|job| job.id).collect::<Vec<_>>());
        Ok(())
    }

    pub(super) async fn collect_from(&self, job: JobId, node: NodeId) -> std::result::Result<Done, Problem> {
        if !self.linked(node).await {
            return Err(Problem::new(Code::Unreachable));
        }
        let task = Task::CollectLogs {
            job,
            bytes: SENT_BYTES_MAX,
        };
        let answer = self.hub.ask(node, task, NODE_TIME).await?;
        self.sent_for(job, node, &answer)
    }
}
