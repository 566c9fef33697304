//! Changes of deployments as jobs. Nothing runs for them: their nodes tell how a change came out, and that ends an item.

use super::{Done, end_item, finish, new_job};
use crate::{
    Actor, Engine,
    error::Result,
    store::{Tx, row},
};
use edgedeck_model::{
    DeploymentId, JobId, Lang, NodeId, Problem,
    deployment::{Deployment, Placement},
    job::{ItemState, Job, JobItem, JobKind, JobState, Rollout, Step},
    node::Node,
    text,
    time::MINUTE,
};
use rusqlite::{Connection, params};
use uuid::Uuid;

/// Changes that are over and kept; the oldest go.
const KEPT: usize = 20_000;
/// How long a node that has begun may go without an outcome, in milliseconds.
const BEGUN_TIME: i64 = 10 * MINUTE;

/// Items that wait for what becomes of a deployment on a node, the oldest first.
fn open_items(connection: &Connection, node: NodeId, deployment: DeploymentId) -> Result<Vec<(JobId, JobItem)>> {
    let sql = "SELECT job_item.job, job_item.doc FROM job_item INDEXED BY job_item_open \
               JOIN job ON job.id = job_item.job WHERE job_item.node = ?1 AND job_item.state IN ('waiting', 'running') \
               AND job.deployment = ?2 ORDER BY job_item.job";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![node.0.as_bytes(), deployment.to_string()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (job, doc): (Uuid, String) = (row.get(0)?, row.get(1)?);
        found.push((JobId(job), serde_json::from_str(&doc)?));
    }
    Ok(found)
}

/// Why an instance is not what was wanted.
fn failure(placement: &Placement) -> Problem {
    let why = |lang| {
        let said = placement.parts.iter().find_map(|part| text::part_sentence(part, lang));
        said.unwrap_or_default()
    };
    Problem::conflict("instance-failed")
        .with("why_zh", why(Lang::Zh))
        .with("why_en", why(Lang::En))
}

impl Tx<'_> {
    /// Notes a change of a deployment as a job that is over when all of these placements are what is wanted of them.
    pub fn begin_rollout(
        &mut self,
        actor: &Actor,
        deployment: &mut Deployment,
        step: Step,
        placements: &[Placement],
    ) -> Result<()> {
        let now = self.now();
        let mut job = Job {
            state: JobState::Running,
            started_at: Some(now),
            rollout: Some(Rollout {
                deployment: deployment.id,
                name: deployment.name.clone(),
                step,
            }),
            ..new_job(actor, JobKind::Deploy, placements.len(), now)
        };
        for (place, placement) in placements.iter().enumerate() {
            let node = row::get::<Node>(self, placement.node.0)?;
            let node = node.ok_or_else(|| Problem::not_found("node").with("node", placement.node))?;
            let mut item = JobItem::waiting(&node);
            // What nothing had to be done for is done.
            if step != Step::Delete && placement.outcome() == Some(true) {
                item.state = ItemState::Succeeded;
                item.finished_at = Some(now);
                job.succeeded += 1;
            }
            self.add_item(job.id, place, &item)?;
        }
        if job.succeeded == job.items {
            finish(&mut job, now);
        }
        deployment.job = Some(job.id);
        self.put(&mut job)
    }

    /// Takes over into the jobs that wait for it how a placement came out.
    pub fn settle(&mut self, placement: &Placement) -> Result<()> {
        let has_begun = placement.observed_generation >= placement.generation;
        for (job, mut item) in open_items(self, placement.node, placement.deployment)? {
            match placement.outcome() {
                Some(true) => self.end_rollout(job, item, Ok(()))?,
                Some(false) => self.end_rollout(job, item, Err(failure(placement)))?,
                None if has_begun && item.state == ItemState::Waiting => {
                    item.state = ItemState::Running;
                    item.started_at = Some(self.now());
                    self.put_item(job, &item)?;
                    let mut row = super::job(self, job)?;
                    self.put(&mut row)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Ends what waits for a deployment on a node from which it is gone.
    pub fn settle_gone(&mut self, deployment: DeploymentId, node: NodeId) -> Result<()> {
        for (id, item) in open_items(self, node, deployment)? {
            let step = super::job(self, id)?.rollout.map(|rollout| rollout.step);
            let outcome = match step {
                Some(Step::Delete) => Ok(()),
                _ => Err(Problem::conflict("being-removed")),
            };
            self.end_rollout(id, item, outcome)?;
        }
        Ok(())
    }

    fn end_rollout(&mut self, id: JobId, mut item: JobItem, outcome: std::result::Result<(), Problem>) -> Result<()> {
        let (now, mut job) = (self.now(), super::job(self, id)?);
        end_item(&mut job, &mut item, outcome.map(|()| Done::default()), now);
        self.put_item(id, &item)?;
        if job.succeeded + job.failed >= job.items {
            finish(&mut job, now);
        }
        self.put(&mut job)
    }
}

impl Engine {
    /// Ends as failed what was begun long ago and has come to nothing since.
    pub(crate) async fn end_late_rollouts(&self) -> Result<()> {
        let begun_before = self.clock.now().plus(-BEGUN_TIME);
        let sql = "SELECT job_item.job, job_item.node, job.deployment FROM job_item INDEXED BY job_item_open \
                   JOIN job ON job.id = job_item.job WHERE job_item.state IN ('waiting', 'running') \
                   AND job_item.state = 'running' AND job.kind = 'deploy' AND job_item.doc ->> '$.started_at' < ?1";
        let late = self.store.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let late = statement.query_map([begun_before.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(late.collect::<rusqlite::Result<Vec<(Uuid, Uuid, String)>>>()?)
        })?;
        if late.is_empty() {
            return Ok(());
        }
        let ended = self.store.write(move |tx| {
            for (job, node, deployment) in late {
                let (job, of) = (JobId(job), params![NodeId(node).to_string(), deployment]);
                let placement = row::select::<Placement>(tx, "WHERE node = ?1 AND deployment = ?2", of)?;
                let item = super::item(tx, job, NodeId(node))?.filter(|item| item.state == ItemState::Running);
                if let (Some(placement), Some(item)) = (placement.first(), item) {
                    tx.end_rollout(job, item, Err(failure(placement)))?;
                }
            }
            Ok(())
        });
        ended.await
    }

    /// Forgets the oldest changes of deployments that are over.
    pub(crate) async fn retain_rollouts(&self) -> Result<()> {
        let old = self
            .store
            .read(|connection| super::too_many(connection, "kind = 'deploy'", KEPT))?;
        for some in old.chunks(500) {
            let some = some.to_vec();
            self.store.write(move |tx| tx.forget_jobs(&some)).await?;
        }
        Ok(())
    }
}
