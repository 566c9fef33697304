//! A real engine with Tingyu's listener, and boxes that join it.

use crate::{
    client,
    contract::{
        Answer, ContractClient, Lab, Recording,
        observed::{observed, part},
    },
    wait::Rounds,
};
use anyhow::Context;
use edgedeck_agent::identity;
use edgedeck_engine::{Actor, Clock, Engine, Session};
use edgedeck_gateway::{Options, Running};
use edgedeck_model::{
    JobId, NodeId, Problem,
    api::ManageBody,
    deployment::{InstanceState, PartStatus, Reason, Wanted},
    join::JoinTokenKind,
    node::{Disk, Facts, Nic, Runtime},
};
use edgedeck_protocol::{Answer as Collected, Desired, FromAgent, Hello, JoinRequest, Task, ToAgent, VERSIONS};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::{
    sync::{mpsc::Receiver, watch},
    task::JoinHandle,
};

pub struct TingyuLab {
    pub north: ContractClient,
    pub http: reqwest::Client,
    pub base: String,
    pub running: Running,
    pub clock: Clock,
    token: String,
    _data: tempfile::TempDir,
}

/// A box that has joined, with its link as long as this lives.
pub struct Machine {
    pub id: NodeId,
    link: Option<Link>,
}

struct Link {
    session: Arc<Session>,
    does: watch::Sender<Does>,
    task: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a box does with what is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// Nothing, and it tells nothing.
    Nothing,
    /// It is at it.
    Begins,
    /// What is wanted.
    All,
    /// Containers do not come up.
    Fails,
    /// The registry does not answer.
    Tries,
}

impl Machine {
    pub fn does(&self, does: Does) {
        if let Some(link) = &self.link {
            link.does.send_replace(does);
        }
    }

    /// The link of a box that has one.
    pub fn session(&self) -> anyhow::Result<&Session> {
        Ok(&self.link.as_ref().context("it has no link")?.session)
    }

    /// Its name, and the machine's.
    pub fn names(&self) -> (String, String) {
        let name = self.id.0.simple().to_string();
        (name.clone(), format!("tingyu-{name}"))
    }

    /// Says something over its link.
    pub async fn say(&self, frame: FromAgent) -> anyhow::Result<()> {
        let session = self.session()?;
        Ok(session.receive(frame).await?)
    }
}

/// The only file that these boxes have, and what is in it.
pub const FILE: (&str, &[u8]) = ("/var/log/run 日志.log", b"a");

fn hand_over(engine: &Arc<Engine>, job: JobId, node: NodeId, path: &str) -> Result<Collected, Problem> {
    if path != FILE.0 {
        return Err(Problem::not_found("file"));
    }
    let mut upload = engine.upload_job_file(job, node)?;
    upload.write(FILE.1)?;
    let sha256 = hex::encode(Sha256::digest(FILE.1));
    upload.keep(&sha256)?;
    Ok(Collected::Collected { sha256 })
}

/// What an agent does on its link.
async fn live(
    engine: Arc<Engine>,
    session: Arc<Session>,
    mut frames: Receiver<ToAgent>,
    mut does: watch::Receiver<Does>,
) {
    let (mut desired, mut sequence) = (Desired::default(), 0);
    loop {
        tokio::select! {
            frame = frames.recv() => match frame {
                Some(ToAgent::Desired(wanted)) => desired = wanted,
                Some(ToAgent::Request { request, task: Task::FetchFile { job, path, .. } }) => {
                    if *does.borrow() == Does::Nothing {
                        continue;
                    }
                    let outcome = hand_over(&engine, job, session.node(), &path);
                    let _heard = session.receive(FromAgent::Answer { request, outcome }).await;
                    continue;
                }
                Some(_) => continue,
                None => return,
            },
            Ok(()) = does.changed() => {}
        }
        let does = *does.borrow_and_update();
        if does == Does::Nothing {
            continue;
        }
        sequence += 1;
        let report = observed(&desired, sequence, |workload, name| match (does, workload.wanted) {
            (Does::Begins, _) => part(name, InstanceState::Pulling),
            (_, Wanted::Stopped) => part(name, InstanceState::Stopped),
            (Does::Tries, _) => PartStatus {
                reason: Some(Reason::ImageUnreachable),
                ..part(name, InstanceState::Failed)
            },
            (Does::Fails, _) => PartStatus {
                reason: Some(Reason::ImageNotFound),
                ..part(name, InstanceState::Failed)
            },
            _ => part(name, InstanceState::Running),
        });
        // A link that has ended hears nothing.
        let _heard = session.receive(FromAgent::Observed(report)).await;
    }
}

impl Lab for TingyuLab {
    async fn start(recording: Recording) -> anyhow::Result<Self> {
        client::use_ring();
        let data = tempfile::tempdir()?;
        let clock = Clock::manual(edgedeck_agent::now());
        let running = edgedeck_gateway::start(Options {
            tingyu: Some("127.0.0.1:0".parse()?),
            registry: Some("127.0.0.1:0".parse()?),
            clock: clock.clone(),
            ..Options::new(data.path().join("lab"))
        })
        .await?;
        let address = running.listeners.get("tingyu").context("Tingyu's listener")?;
        let base = format!("https://{address}");
        let ca = reqwest::Certificate::from_pem(running.engine.pki.present().pem().as_bytes())?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).build()?;
        let (_, token) = running
            .engine
            .create_join_token(&Actor::engine(), JoinTokenKind::Lab)
            .await?;
        Ok(Self {
            north: recording.client(&base, http.clone()),
            http,
            base,
            clock,
            running,
            token,
            _data: data,
        })
    }

    async fn stop(self) {
        self.running.stop().await;
    }
}

impl TingyuLab {
    pub fn engine(&self) -> &Arc<Engine> {
        &self.running.engine
    }

    /// Calls with query parameters.
    pub async fn ask(&self, operation: &str, query: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let mut request = self.north.call(operation);
        for (name, value) in query {
            request = request.query(name, value);
        }
        Ok(request.send().await?)
    }

    /// Calls with query parameters; the answer must be a success.
    pub async fn read(&self, operation: &str, query: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.ask(operation, query).await?.success()
    }

    /// Calls while a table cannot be read, and expects the general failure without a payload.
    pub async fn fails_without(
        &self,
        table: &'static str,
        operation: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        let rename = async |from: &'static str, to: &'static str| {
            let sql = format!("ALTER TABLE {from} RENAME TO {to}");
            self.engine().store.write(move |tx| Ok(tx.execute_batch(&sql)?)).await
        };
        rename(table, "lost").await?;
        let answer = self.ask(operation, query).await;
        rename("lost", table).await?;
        let answer = answer?;
        anyhow::ensure!(
            !answer.success
                && answer.at("/data").is_null()
                && answer.at("/info").is_null()
                && answer.at("/code") == 500,
            "{}",
            answer.shown()
        );
        Ok(())
    }

    /// A box that has joined and is not connected.
    pub async fn joined(&self, serial: &str) -> anyhow::Result<Machine> {
        let key = identity::new_key()?;
        let request = JoinRequest {
            token: self.token.clone(),
            csr_pem: identity::request(&key, serial)?,
            serial: serial.to_owned(),
            host_name: serial.to_lowercase(),
            arch: "x86_64".to_owned(),
            agent_version: "0".to_owned(),
        };
        let reply = self.engine().join(request, "127.0.0.1").await?;
        Ok(Machine {
            id: reply.node,
            link: None,
        })
    }

    /// A box whose link is up and that has told what it is.
    pub async fn linked(&self, serial: &str) -> anyhow::Result<Machine> {
        let mut one = self.joined(serial).await?;
        let key_hash = self.engine().node(one.id)?.key_hash;
        let hello = Hello {
            versions: VERSIONS,
            agent_version: "0".to_owned(),
            serial: serial.to_owned(),
            boot_id: "boot".to_owned(),
            generation: 0,
            outside: Some(0),
            at: self.engine().now(),
        };
        let (session, frames) = self.engine().connect(one.id, &key_hash, hello).await?;
        let facts = Facts {
            host_name: serial.to_lowercase(),
            arch: "aarch64".to_owned(),
            os: "openEuler 22.03".to_owned(),
            kernel: "5.10.0".to_owned(),
            cpus: 24,
            memory_bytes: 32_052 << 20,
            disks: vec![Disk {
                mount: "/".to_owned(),
                total_bytes: 100 << 30,
                used_bytes: (15 << 30) + 7,
                ..Disk::default()
            }],
            nics: vec![
                Nic {
                    name: "eth0".to_owned(),
                    physical: true,
                    addresses: vec!["fe80::1".to_owned(), "192.168.3.102".to_owned()],
                    ..Nic::default()
                },
                Nic {
                    name: "docker0".to_owned(),
                    ..Nic::default()
                },
            ],
            runtime: Some(Runtime {
                name: "docker".to_owned(),
                version: "27".to_owned(),
                api_version: "1.47".to_owned(),
            }),
            agent_version: "0".to_owned(),
            ..Facts::default()
        };
        session.receive(FromAgent::Facts(Box::new(facts))).await?;
        let (session, (does, told)) = (Arc::new(session), watch::channel(Does::All));
        let task = tokio::spawn(live(self.engine().clone(), session.clone(), frames, told));
        one.link = Some(Link { session, does, task });
        Ok(one)
    }

    /// A box that is managed, and does what is wanted of it.
    pub async fn managed(&self, serial: &str) -> anyhow::Result<Machine> {
        let one = self.linked(serial).await?;
        let body = ManageBody::default();
        self.engine().manage_node(&Actor::engine(), one.id, body).await?;
        Ok(one)
    }

    /// Ends the links of boxes until they count as silent; those of `others` stay.
    pub async fn silence(&self, boxes: Vec<Machine>, others: &[&Machine]) -> anyhow::Result<()> {
        drop(boxes);
        self.clock.advance(40_000);
        for other in others {
            let at = self.engine().now();
            other.session()?.receive(FromAgent::Heartbeat { at }).await?;
        }
        self.engine().tick().await;
        Ok(())
    }

    /// Calls with a JSON body.
    pub async fn send(&self, operation: &str, body: &Value) -> anyhow::Result<Answer> {
        Ok(self.north.call(operation).json(body).send().await?)
    }

    /// Waits until a task has come to a state.
    pub async fn task(&self, job: &Value, state: u64) -> anyhow::Result<Value> {
        let (job, rounds) = (job.as_str().context("no task")?, Rounds::of("task in that state"));
        loop {
            let answer = self.read("getTaskStatus", &[("jobid", job)]).await?;
            let task = answer.at("/info/0");
            if task["state"] == state {
                return Ok(task.clone());
            }
            rounds.next().await?;
        }
    }
}
