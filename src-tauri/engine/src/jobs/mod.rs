//! Jobs: work of the engine that takes its time, with an item per node. They go on after a restart.

mod fetch;
mod files;
mod logs;
mod rollout;
mod run;
mod software;

pub use files::JobUpload;

use crate::{
    Actor, Engine,
    error::Result,
    store::{Tx, row},
};
use edgedeck_model::{
    JobId, NodeId, Problem, Time,
    api::{Page, PageQuery},
    job::{ItemState, Job, JobItem, JobKind, JobState, NODES_MAX},
    name,
    node::Node,
    software::Source,
};
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use tokio::sync::watch;
use uuid::Uuid;

/// Jobs that are over and kept; the oldest go.
const KEPT: usize = 2_000;

/// Items of all jobs that are kept; the oldest go.
const ITEMS_KEPT: u64 = 200_000;

/// The jobs that run.
#[derive(Default)]
pub struct Jobs {
    /// How to stop each.
    running: Mutex<HashMap<JobId, watch::Sender<bool>>>,
    /// What has come of nodes that are asked.
    sent: Mutex<HashMap<(JobId, NodeId), Sent>>,
}

/// What has come of a node.
#[derive(Default)]
struct Done {
    bytes: u64,
    sha256: Option<String>,
}

/// A node's file for a job.
#[derive(PartialEq, Eq)]
enum Sent {
    Arriving,
    Whole { bytes: u64, sha256: String },
}

pub(super) fn item(connection: &Connection, job: JobId, node: NodeId) -> Result<Option<JobItem>> {
    let doc: Option<String> = connection
        .prepare_cached("SELECT doc FROM job_item WHERE job = ?1 AND node = ?2")?
        .query_row(params![job.0.as_bytes(), node.0.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
}

fn items(connection: &Connection, job: JobId, query: &PageQuery) -> Result<Vec<JobItem>> {
    let mut statement =
        connection.prepare_cached("SELECT doc FROM job_item WHERE job = ?1 ORDER BY place LIMIT ?2 OFFSET ?3")?;
    row::documents(statement.query(params![job.0.as_bytes(), query.limit, query.offset])?)
}

/// One that waits, with so many items.
fn new_job(actor: &Actor, kind: JobKind, items: usize, now: Time) -> Job {
    Job {
        id: JobId(Uuid::now_v7()),
        rev: 0,
        kind,
        state: JobState::Waiting,
        by: actor.name.clone(),
        created_at: now,
        started_at: None,
        finished_at: None,
        items: u32::try_from(items).unwrap_or(u32::MAX),
        succeeded: 0,
        failed: 0,
        bytes: 0,
        software: None,
        rollout: None,
        file: None,
        file_until: None,
    }
}

/// Ends an item of a job, and counts it there.
fn end_item(job: &mut Job, item: &mut JobItem, outcome: std::result::Result<Done, Problem>, now: Time) {
    item.finished_at = Some(now);
    match outcome {
        Ok(done) => {
            item.state = ItemState::Succeeded;
            item.progress = 100;
            item.bytes = done.bytes;
            item.sha256 = done.sha256;
            job.succeeded += 1;
            job.bytes += done.bytes;
        }
        Err(problem) => {
            item.state = ItemState::Failed;
            item.problem = Some(tame(problem));
            job.failed += 1;
        }
    }
}

/// Jobs of these kinds that are over and too many to be kept: the oldest. `kinds` is a condition of SQL.
fn too_many(connection: &Connection, kinds: &str, kept: usize) -> Result<Vec<JobId>> {
    let sql = format!(
        "SELECT id, doc ->> '$.items' FROM job WHERE {kinds} AND state IN ('succeeded', 'partly', 'failed', 'stopped') \
         ORDER BY created_at DESC"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let (mut jobs, mut items, mut old) = (0, 0, Vec::new());
    while let Some(row) = rows.next()? {
        jobs += 1;
        items += row.get::<_, u64>(1)?;
        if jobs > kept || items > ITEMS_KEPT {
            old.push(JobId(row.get(0)?));
        }
    }
    Ok(old)
}

/// Ends a job whose items all have.
fn finish(job: &mut Job, now: Time) {
    job.state = match (job.succeeded, job.failed) {
        (_, 0) => JobState::Succeeded,
        (0, _) => JobState::Failed,
        _ => JobState::Partly,
    };
    job.finished_at = Some(now);
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

pub(super) fn job(connection: &Connection, id: JobId) -> Result<Job> {
    Ok(row::get::<Job>(connection, id.0)?.ok_or_else(|| Problem::not_found("job"))?)
}

impl Tx<'_> {
    fn put_item(&mut self, job: JobId, item: &JobItem) -> Result<()> {
        self.prepare_cached("UPDATE job_item SET doc = ?3 WHERE job = ?1 AND node = ?2")?
            .execute(params![
                job.0.as_bytes(),
                item.node.0.as_bytes(),
                serde_json::to_string(item)?
            ])?;
        Ok(())
    }

    fn add_item(&mut self, job: JobId, place: usize, item: &JobItem) -> Result<()> {
        self.prepare_cached("INSERT INTO job_item (job, node, place, doc) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                job.0.as_bytes(),
                item.node.0.as_bytes(),
                place,
                serde_json::to_string(item)?
            ])?;
        Ok(())
    }

    /// Refuses while a job of a kind is not over.
    fn no_other_runs(&mut self, kind: JobKind) -> Result<()> {
        let same_kind = serde_json::to_value(kind)?;
        let others = row::select::<Job>(self, "WHERE kind = ?1", [same_kind.as_str()])?;
        if others.iter().any(|other| !other.state.is_over()) {
            return Err(Problem::conflict("job-runs").into());
        }
        Ok(())
    }

    /// Makes a job with an item for each node.
    fn create_job(&mut self, actor: &Actor, kind: JobKind, software: Option<Source>, nodes: &[NodeId]) -> Result<Job> {
        let different: HashSet<_> = nodes.iter().collect();
        if nodes.is_empty() || nodes.len() > NODES_MAX || different.len() != nodes.len() {
            return Err(Problem::invalid("nodes", "job-nodes").into());
        }
        let mut job = Job {
            software,
            ..new_job(actor, kind, nodes.len(), self.now())
        };
        for (place, id) in nodes.iter().enumerate() {
            let node = row::get::<Node>(self, id.0)?.ok_or_else(|| Problem::not_found("node").with("node", id))?;
            if kind == JobKind::Logs && !node.managed {
                return Err(Problem::conflict("not-managed").with("name", node.name).into());
            }
            self.add_item(job.id, place, &JobItem::waiting(&node))?;
        }
        self.put(&mut job)?;
        let kind = serde_json::to_value(kind)?;
        let subject = format!("{} ({})", kind.as_str().unwrap_or_default(), job.items);
        self.audit(actor, "job.create", &subject)?;
        Ok(job)
    }

    /// Forgets the oldest jobs that are over.
    fn prune_jobs(&mut self) -> Result<()> {
        let old = too_many(self, "kind <> 'deploy'", KEPT)?;
        self.forget_jobs(&old)
    }

    fn forget_jobs(&mut self, jobs: &[JobId]) -> Result<()> {
        for job in jobs {
            self.prepare_cached("DELETE FROM job_item WHERE job = ?1")?
                .execute([job.0.as_bytes()])?;
            self.delete::<Job>(job.0)?;
        }
        Ok(())
    }
}

impl Engine {
    /// The newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_jobs(&self, query: &PageQuery) -> Result<Page<Job>> {
        self.store.read(|connection| {
            let total = row::count::<Job>(connection, "", [])?;
            let items = row::select::<Job>(
                connection,
                "ORDER BY created_at DESC LIMIT ?1 OFFSET ?2",
                params![query.limit, query.offset],
            )?;
            Ok(Page { items, total })
        })
    }

    /// Jobs of a kind, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn jobs_of(&self, kind: JobKind) -> Result<Vec<Job>> {
        let kind = serde_json::to_value(kind)?;
        self.store
            .read(|connection| row::select(connection, "WHERE kind = ?1 ORDER BY created_at DESC", [kind.as_str()]))
    }

    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn job(&self, id: JobId) -> Result<Job> {
        self.store.read(|connection| job(connection, id))
    }

    /// A job's items in the order of its nodes.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn job_items(&self, id: JobId, query: &PageQuery) -> Result<Page<JobItem>> {
        self.store.read(|connection| {
            let total = job(connection, id)?.items.into();
            Ok(Page {
                items: items(connection, id, query)?,
                total,
            })
        })
    }

    /// Stops a job: what is under way ends, what waits is not begun.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`]; [`edgedeck_model::Code::Conflict`] when it is over.
    pub async fn stop_job(&self, actor: &Actor, id: JobId) -> std::result::Result<Job, Problem> {
        let actor = actor.clone();
        let stopping = self.store.write(move |tx| {
            let mut job = job(tx, id)?;
            if job.state.is_over() {
                return Err(Problem::conflict("job-over").into());
            }
            if job.kind == JobKind::Deploy {
                return Err(Problem::conflict("job-of-deployment").into());
            }
            job.state = JobState::Stopping;
            tx.put(&mut job)?;
            tx.audit(&actor, "job.stop", &id.to_string())?;
            Ok(job)
        });
        let stopping = stopping.await?;
        if let Some(stop) = self.jobs.running.lock().get(&id) {
            stop.send_replace(true);
        }
        Ok(stopping)
    }

    /// Goes on with the jobs that a restart has interrupted.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn resume_jobs(self: &Arc<Self>) -> Result<()> {
        let open = self.store.read(|connection| {
            let open = "WHERE state IN ('waiting', 'running', 'stopping') AND kind <> 'deploy'";
            row::select::<Job>(connection, open, [])
        })?;
        for job in open {
            self.run_job(&job);
        }
        Ok(())
    }

    fn run_job(self: &Arc<Self>, job: &Job) {
        let (stop, stopped) = watch::channel(job.state == JobState::Stopping);
        self.jobs.running.lock().insert(job.id, stop);
        tokio::spawn(run::run(Arc::downgrade(self), job.id, stopped));
    }
}
