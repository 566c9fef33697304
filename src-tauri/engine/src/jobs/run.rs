//! Running a job to its end, node by node.

use super::{Done, finish};
use crate::{Actor, Engine, error::Result};
use edgedeck_model::{
    JobId, NodeId, Problem,
    api::PageQuery,
    job::{ItemState, Job, JobItem, JobKind, JobState},
    time::{DAY, HOUR},
};
use futures::StreamExt;
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::watch;

/// Nodes that are at work at a time.
const AT_ONCE: usize = 32;
/// How long the whole job has, in milliseconds.
const LOGS_TIME: i64 = 2 * HOUR;
const FILE_TIME: i64 = HOUR;
const SOFTWARE_TIME: i64 = 6 * HOUR;
/// How long an archive can be downloaded, in milliseconds.
const FILE_KEPT: i64 = DAY;
/// How long a node that was connected when the engine stopped has to come back.
const RETURN_TIME: Duration = Duration::from_secs(60);

impl Engine {
    /// Waits for the link of a node that may just not be back after a restart of the engine.
    pub(super) async fn linked(&self, node: NodeId) -> bool {
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

    async fn end_item(&self, id: JobId, node: NodeId, outcome: std::result::Result<Done, Problem>) -> Result<()> {
        self.store
            .write(move |tx| {
                let (Some(mut item), mut job) = (super::item(tx, id, node)?, super::job(tx, id)?) else {
                    return Ok(());
                };
                super::end_item(&mut job, &mut item, outcome, tx.now());
                tx.put_item(id, &item)?;
                tx.put(&mut job)
            })
            .await
    }
}

/// Runs a job to its end. Where the store cannot write it is tried again, until it can or the engine ends.
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

/// Does with one node what the job is about.
async fn act(engine: &Arc<Engine>, job: &Job, node: NodeId) -> std::result::Result<Done, Problem> {
    match job.kind {
        JobKind::Logs => engine.collect_from(job.id, node).await,
        JobKind::File => engine.fetch_from(job, node).await,
        JobKind::Download | JobKind::Upgrade => engine.change_software_of(job, node).await,
        JobKind::Deploy => Err(Problem::internal("nothing runs for a change of a deployment")),
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
    let time = match begun.kind {
        JobKind::Logs => LOGS_TIME,
        JobKind::File => FILE_TIME,
        JobKind::Download | JobKind::Upgrade | JobKind::Deploy => SOFTWARE_TIME,
    };
    let deadline = begun.started_at.unwrap_or(begun.created_at).plus(time);
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
        let begun = &begun;
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
                    outcome = act(engine, begun, item.node) => outcome,
                    // Never, if nobody can stop it any more.
                    Ok(_) = stop.wait_for(|stop| *stop) => why("job-stopped"),
                }
            };
            // However it ended; stopped, too.
            if begun.kind == JobKind::Upgrade {
                engine.set_upgrading(item.node, false).await?;
            }
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
            let now = tx.now();
            finish(&mut job, now);
            if stopped {
                job.state = JobState::Stopped;
            }
            let has_file = matches!(job.kind, JobKind::Logs | JobKind::File) && job.succeeded > 0 && !stopped;
            job.file_until = has_file.then(|| now.plus(FILE_KEPT));
            super::software::forget_password(tx, id)?;
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
