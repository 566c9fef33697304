//! Downloading software to nodes, and making them run it.

use super::Done;
use crate::{
    Actor, Engine,
    error::Result,
    seal,
    store::{Tx, row},
};
use edgedeck_model::{
    Code, JobId, NodeId, Problem,
    job::{ItemState, Job, JobItem, JobKind},
    software::{Server, Source, check_url, host_of},
};
use edgedeck_protocol::{Answer, SoftwareFrom, Task};
use rusqlite::{Connection, OptionalExtension};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout_at};

/// How long a node has to download and check a package.
const DOWNLOAD_TIME: Duration = Duration::from_secs(30 * 60);
/// How long a node has to change its version, beyond the trial of the new one.
const SWITCH_TIME: Duration = Duration::from_secs(120);
/// How often a node is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// The part of an upgrade's progress that is the download, in percent, and where the switch begins.
const DOWNLOAD_SHARE: u16 = 70;
const SWITCH_FROM: u8 = 80;

/// What was begun: the job, if there was anything left to do, and the nodes that it leaves out.
pub type Begun = (Option<Job>, HashMap<NodeId, Problem>);

fn password_name(job: JobId) -> String {
    format!("job-password-{job}")
}

/// The account's password is not needed any more.
pub fn forget_password(tx: &mut Tx<'_>, job: JobId) -> Result<()> {
    tx.forget_secret(&password_name(job))
}

/// Whether a job with software has not come to its end on a node.
fn is_busy(connection: &Connection, node: NodeId) -> Result<bool> {
    let sql = "SELECT count(*) FROM job_item JOIN job ON job.id = job_item.job WHERE job_item.node = ?1 \
               AND job_item.state IN ('waiting', 'running') AND job.kind IN ('download', 'upgrade') \
               AND job.state IN ('waiting', 'running', 'stopping')";
    let open: u64 = connection
        .prepare_cached(sql)?
        .query_row([node.0.as_bytes()], |row| row.get(0))?;
    Ok(open > 0)
}

impl Engine {
    /// Lets nodes download a version, or makes them run it.
    ///
    /// # Errors
    /// [`Code::Invalid`], [`Code::NotFound`], [`Code::Conflict`] when another job with software has one of them.
    pub async fn change_software(
        self: &Arc<Self>,
        actor: &Actor,
        nodes: Vec<NodeId>,
        source: Source,
        kind: JobKind,
    ) -> std::result::Result<Job, Problem> {
        match self.begin_software(actor, nodes, source, kind, true).await? {
            (Some(job), _) => Ok(job),
            (None, mut refused) => {
                let first = refused.drain().next();
                Err(first.map_or_else(|| Problem::invalid("nodes", "job-nodes"), |(_, problem)| problem))
            }
        }
    }

    /// As [`Self::change_software`], but nodes that another job has are left out; `whole` refuses all if any is.
    ///
    /// # Errors
    /// [`Code::Invalid`], [`Code::NotFound`].
    pub async fn begin_software(
        self: &Arc<Self>,
        actor: &Actor,
        nodes: Vec<NodeId>,
        mut source: Source,
        kind: JobKind,
        whole: bool,
    ) -> std::result::Result<Begun, Problem> {
        let mut secret = None;
        match &mut source {
            Source::Server(server) => {
                check_server(server)?;
                secret = Some(std::mem::take(&mut server.password));
            }
            Source::Lab { version } => {
                let kept = self.list_software().await?;
                if !kept.iter().any(|software| software.version == *version) {
                    return Err(Problem::not_found("software"));
                }
            }
            Source::Downloaded if kind == JobKind::Download => return Err(Problem::invalid("source", "required")),
            Source::Downloaded => {}
        }
        let (actor, sealing) = (actor.clone(), self.seal.clone());
        let begun = self.store.write(move |tx| {
            let mut refused = HashMap::new();
            let mut free = Vec::new();
            for node in nodes {
                if is_busy(tx, node)? {
                    refused.insert(node, Problem::conflict("software-busy"));
                } else {
                    free.push(node);
                }
            }
            if free.is_empty() && !refused.is_empty() || whole && !refused.is_empty() {
                return Ok((None, refused));
            }
            let job = tx.create_job(&actor, kind, Some(source), &free)?;
            if let Some(secret) = secret {
                let name = password_name(job.id);
                let sealed = sealing.seal(&name, secret.as_bytes()).map_err(Problem::internal)?;
                tx.put_secret(&name, &sealed)?;
            }
            tx.prune_jobs()?;
            Ok((Some(job), refused))
        });
        let begun = begun.await?;
        if let Some(job) = &begun.0 {
            self.run_job(job);
        }
        Ok(begun)
    }

    /// The newest job with software of a node, and what it has come to.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn newest_software(&self, node: NodeId) -> Result<Option<(Job, JobItem)>> {
        let sql = "SELECT job.doc, job_item.doc FROM job_item JOIN job ON job.id = job_item.job \
                   WHERE job_item.node = ?1 AND job.kind IN ('download', 'upgrade') \
                   ORDER BY job.created_at DESC, job.id DESC LIMIT 1";
        let docs: Option<(String, String)> = self.store.read(|connection| {
            Ok(connection
                .prepare_cached(sql)?
                .query_row([node.0.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?)
        })?;
        Ok(match docs {
            Some((job, item)) => Some((serde_json::from_str(&job)?, serde_json::from_str(&item)?)),
            None => None,
        })
    }

    /// A node tells how far its download has come.
    pub(crate) async fn take_progress(&self, job: JobId, node: NodeId, percent: u8) -> Result<()> {
        let percent = percent.min(100);
        self.put_progress(job, node, move |kind| match kind {
            JobKind::Upgrade => u8::try_from(u16::from(percent) * DOWNLOAD_SHARE / 100).unwrap_or(percent),
            _ => percent,
        })
        .await
    }

    async fn put_progress(
        &self,
        id: JobId,
        node: NodeId,
        percent: impl FnOnce(JobKind) -> u8 + Send + 'static,
    ) -> Result<()> {
        self.store
            .write(move |tx| {
                // A job that is gone, or that this node has no part in, is none of its business.
                let (Some(mut job), Some(mut item)) = (row::get::<Job>(tx, id.0)?, super::item(tx, id, node)?) else {
                    return Ok(());
                };
                let percent = percent(job.kind);
                if item.state != ItemState::Running || item.progress >= percent {
                    return Ok(());
                }
                item.progress = percent;
                tx.put_item(id, &item)?;
                tx.put(&mut job)
            })
            .await
    }

    /// What one node does for a job.
    pub(super) async fn change_software_of(&self, job: &Job, node: NodeId) -> std::result::Result<Done, Problem> {
        if let Some(from) = self.software_from(job, node)? {
            self.download_to(job.id, node, from).await?;
        }
        if job.kind == JobKind::Upgrade {
            self.put_progress(job.id, node, |_| SWITCH_FROM).await?;
            self.set_upgrading(node, true).await?;
            self.switch(job.id, node).await?;
        }
        Ok(Done::default())
    }

    /// Where a node gets its package; `None` when it has it.
    fn software_from(&self, job: &Job, node: NodeId) -> std::result::Result<Option<SoftwareFrom>, Problem> {
        let known = self.node(node)?;
        match job.software.as_ref() {
            None | Some(Source::Downloaded) => Ok(None),
            Some(Source::Lab { version }) => {
                let sha256 = self.software_for(version, &known.facts.arch)?.sha256;
                Ok(Some(SoftwareFrom::Engine { sha256 }))
            }
            Some(Source::Server(server)) => {
                let host = host_of(server.url.trim_start_matches("https://"));
                if known.facts.ip.as_deref() == Some(host) {
                    return Err(Problem::conflict("own-address"));
                }
                let trusted = self.software_trust()?;
                Ok(Some(SoftwareFrom::Server {
                    url: server.url.clone(),
                    account: server.account.clone(),
                    password: self.job_password(job.id)?,
                    trusted: trusted.ok_or_else(|| Problem::conflict("no-authority"))?,
                }))
            }
        }
    }

    fn job_password(&self, job: JobId) -> std::result::Result<String, Problem> {
        let name = password_name(job);
        let sealed = self.store.read(|connection| seal::stored(connection, &name))?;
        let sealed = sealed.ok_or_else(|| Problem::internal("a job without its password"))?;
        let password = self.seal.unseal(&name, &sealed).map_err(Problem::internal)?;
        Ok(String::from_utf8_lossy(&password).into_owned())
    }

    async fn download_to(&self, job: JobId, node: NodeId, from: SoftwareFrom) -> std::result::Result<(), Problem> {
        let until = Instant::now() + DOWNLOAD_TIME;
        let rules = self.settings().software.clone();
        loop {
            if !self.linked(node).await {
                return Err(Problem::new(Code::Unreachable));
            }
            let (from, rules) = (from.clone(), rules.clone());
            let asked = self.hub.ask(node, Task::Download { job, from, rules }, DOWNLOAD_TIME);
            match timeout_at(until, asked).await {
                Ok(Ok(Answer::Downloaded { .. })) => return Ok(()),
                Ok(Ok(_)) => return Err(Problem::internal("an answer to another question")),
                // The link broke, not the download: it goes on when the node is back.
                Ok(Err(problem)) if problem.code == Code::Unreachable && Instant::now() < until => sleep(PAUSE).await,
                Ok(Err(problem)) => return Err(problem),
                Err(_) => return Err(Problem::conflict("software-late")),
            }
        }
    }

    /// Asks a node to run what it has downloaded, again and again until it tells how that ended.
    async fn switch(&self, job: JobId, node: NodeId) -> std::result::Result<(), Problem> {
        let rules = self.settings().software.clone();
        let trial = Duration::from_secs(rules.trial_seconds.into());
        let until = Instant::now() + trial + SWITCH_TIME;
        // A node that is not there at the beginning is not waited for.
        if !self.linked(node).await {
            return Err(Problem::new(Code::Unreachable));
        }
        loop {
            let rules = rules.clone();
            let asked = self.hub.ask(node, Task::Switch { job, rules }, SWITCH_TIME);
            match timeout_at(until, asked).await {
                Ok(Ok(Answer::Switched { .. })) => return Ok(()),
                // Away, or on trial.
                Ok(Ok(Answer::Switching)) => {}
                Ok(Err(problem)) if problem.code == Code::Unreachable => {}
                Ok(Ok(_)) => return Err(Problem::internal("an answer to another question")),
                Ok(Err(problem)) => return Err(problem),
                Err(_) => return Err(Problem::conflict("software-late")),
            }
            if Instant::now() >= until {
                return Err(Problem::conflict("software-late"));
            }
            sleep(PAUSE).await;
        }
    }
}

fn check_server(server: &Server) -> std::result::Result<(), Problem> {
    check_url(&server.url)?;
    edgedeck_model::image::check_account(&server.account)?;
    edgedeck_model::image::check_password(&server.password)
}
