//! Collecting the logs of nodes: each packs its own and sends the archive.

use crate::{Actor, Engine, error::Result};
use edgedeck_model::{
    Code, JobId, NodeId, Problem,
    api::PageQuery,
    job::{ItemState, Job, JobItem, JobKind, JobState, LOGS_BYTES_MAX},
    name,
    time::{DAY, HOUR},
};
use edgedeck_protocol::{Answer, Task};
use futures::StreamExt;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::watch;

/// Nodes that pack and send at a time.
const AT_ONCE: usize = 32;
/// How long one node has.
const NODE_TIME: Duration = Duration::from_secs(600);
/// How long the whole job has, in milliseconds.
const JOB_TIME: i64 = 2 * HOUR;
/// How long the archive can be downloaded, in milliseconds.
const FILE_KEPT: i64 = DAY;
/// How long a node that was connected when the engine stopped has to come back.
const RETURN_TIME: Duration = Duration::from_secs(60);

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
            let job = tx.create_job(&actor, JobKind::Logs, &nodes)?;
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

    /// Waits for the link of a node that may just not be back after a restart of the engine.
    async fn linked(&self, node: NodeId) -> bool {
        let mut round = tokio::time::interval(Duration::from_millis(200));
        let back = async {
            loop {
                round.tick().await;
                if self.hub.is_linked(node) {
                    return true;
                }
                if !self.hub.is_expected(node) {
                    return false;
                }
            }
        };
        tokio::time::timeout(RETURN_TIME, back).await.unwrap_or(false)
    }

    async fn collect_from(&self, job: JobId, node: NodeId) -> std::result::Result<(u64, String), Problem> {
        if !self.linked(node).await {
            return Err(Problem::new(Code::Unreachable));
        }
        let task = Task::CollectLogs {
            job,
            bytes: LOGS_BYTES_MAX,
        };
        match self.hub.ask(node, task, NODE_TIME).await? {
            // What counts is what has arrived.
            Answer::Collected { .. } => self
                .sent_file(job, node)
                .ok_or_else(|| Problem::conflict("nothing-sent")),
            Answer::Logs(_) => Err(Problem::internal("an answer to another question")),
        }
    }

    async fn begin_item(&self, job: JobId, node: NodeId) -> Result<bool> {
        self.store
            .write(move |tx| {
                let Some(mut item) = super::item(tx, job, node)? else {
                    return Ok(false);
                };
                item.state = ItemState::Running;
                item.started_at = Some(tx.now());
                tx.put_item(job, &item)?;
                // So that whoever looks at the job learns of it.
                let mut row = super::job(tx, job)?;
                tx.put(&mut row)?;
                Ok(true)
            })
            .await
    }

    async fn end_item(
        &self,
        id: JobId,
        node: NodeId,
        outcome: std::result::Result<(u64, String), Problem>,
    ) -> Result<()> {
        self.store
            .write(move |tx| {
                let (Some(mut item), mut job) = (super::item(tx, id, node)?, super::job(tx, id)?) else {
                    return Ok(());
                };
                item.finished_at = Some(tx.now());
                match outcome {
                    Ok((bytes, sha256)) => {
                        item.state = ItemState::Succeeded;
                        item.bytes = bytes;
                        item.sha256 = Some(sha256);
                        job.succeeded += 1;
                        job.bytes += bytes;
                    }
                    Err(problem) => {
                        item.state = ItemState::Failed;
                        item.problem = Some(tame(problem));
                        job.failed += 1;
                    }
                }
                tx.put_item(id, &item)?;
                tx.put(&mut job)
            })
            .await
    }
}

/// What a node says, kept short.
fn tame(problem: Problem) -> Problem {
    let short = |text: &str| name::tame(text, 300);
    Problem {
        code: problem.code,
        facts: problem
            .facts
            .iter()
            .take(8)
            .map(|(key, value)| (short(key), short(value)))
            .collect(),
        detail: problem.detail.as_deref().map(short),
    }
}

/// Runs a collection to its end. Where the store cannot write it is tried again, until it can or the engine ends.
pub async fn run(engine: Weak<Engine>, id: JobId, stop: watch::Receiver<bool>) {
    loop {
        let Some(running) = engine.upgrade() else { return };
        match work(&running, id, stop.clone()).await {
            Ok(()) => {
                running.jobs.running.lock().remove(&id);
                return;
            }
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, %id, "a job cannot go on now"),
        }
        drop(running);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}

async fn work(engine: &Arc<Engine>, id: JobId, stop: watch::Receiver<bool>) -> Result<()> {
    let begun = engine.store.write(move |tx| {
        let mut job = super::job(tx, id)?;
        if job.state == JobState::Waiting {
            job.state = JobState::Running;
            job.started_at = Some(tx.now());
            tx.put(&mut job)?;
        }
        Ok(job)
    });
    let begun = begun.await?;
    if begun.state.is_over() {
        return Ok(());
    }
    let begun_stopping = begun.state == JobState::Stopping;
    let deadline = begun.started_at.unwrap_or(begun.created_at).plus(JOB_TIME);
    let all = PageQuery {
        limit: u32::MAX,
        ..PageQuery::default()
    };
    let open: Vec<JobItem> = engine
        .job_items(id, &all)?
        .items
        .into_iter()
        .filter(|item| matches!(item.state, ItemState::Waiting | ItemState::Running))
        .collect();
    let outcomes = futures::stream::iter(open).map(|item| {
        let mut stop = stop.clone();
        async move {
            let why = |reason| Err(Problem::conflict(reason));
            let outcome = if *stop.borrow() || begun_stopping {
                why("job-stopped")
            } else if engine.clock.now() >= deadline {
                why("job-late")
            } else if !engine.begin_item(id, item.node).await? {
                return Ok(());
            } else {
                tokio::select! {
                    outcome = engine.collect_from(id, item.node) => outcome,
                    // Never, if nobody can stop it any more.
                    Ok(_) = stop.wait_for(|stop| *stop) => why("job-stopped"),
                }
            };
            engine.end_item(id, item.node, outcome).await
        }
    });
    let mut outcomes = Box::pin(outcomes.buffer_unordered(AT_ONCE));
    while let Some(outcome) = outcomes.next().await {
        outcome?;
    }
    let ended = engine
        .store
        .write(move |tx| {
            let mut job = super::job(tx, id)?;
            let stopped = job.state == JobState::Stopping;
            job.state = match (job.succeeded, job.failed) {
                _ if stopped => JobState::Stopped,
                (_, 0) => JobState::Succeeded,
                (0, _) => JobState::Failed,
                _ => JobState::Partly,
            };
            let now = tx.now();
            job.finished_at = Some(now);
            job.file_until = (job.succeeded > 0 && !stopped).then(|| now.plus(FILE_KEPT));
            tx.put(&mut job)?;
            tx.audit(&Actor::engine(), "job.end", &id.to_string())?;
            Ok(job)
        })
        .await?;
    engine.forget_sent(id);
    if ended.file_until.is_none() {
        engine.drop_job_files(id);
    }
    Ok(())
}
