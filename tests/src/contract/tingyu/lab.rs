//! A real engine with Tingyu's listener, and boxes that join it.

use crate::{
    client,
    contract::{Answer, ContractClient, Lab, Recording},
};
use anyhow::Context;
use edgedeck_agent::identity;
use edgedeck_engine::{Actor, Clock, Engine, Session};
use edgedeck_gateway::{Options, Running};
use edgedeck_model::{
    NodeId,
    join::JoinTokenKind,
    node::{Disk, Facts, Nic, Runtime},
};
use edgedeck_protocol::{FromAgent, Hello, JoinRequest, ToAgent, VERSIONS};
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;

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
pub struct Box {
    pub id: NodeId,
    _session: Option<Session>,
    _frames: Option<Receiver<ToAgent>>,
}

impl Box {
    /// Its name, and the machine's.
    pub fn names(&self) -> (String, String) {
        let name = self.id.0.simple().to_string();
        (name.clone(), format!("tingyu-{name}"))
    }

    /// Says something over its link.
    pub async fn say(&self, frame: FromAgent) -> anyhow::Result<()> {
        let session = self._session.as_ref().context("its link")?;
        Ok(session.receive(frame).await?)
    }
}

impl Lab for TingyuLab {
    async fn start(recording: Recording) -> anyhow::Result<Self> {
        client::use_ring();
        let data = tempfile::tempdir()?;
        let clock = Clock::manual(edgedeck_agent::now());
        let running = edgedeck_gateway::start(Options {
            tingyu: Some("127.0.0.1:0".parse()?),
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
    pub async fn joined(&self, serial: &str) -> anyhow::Result<Box> {
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
        Ok(Box {
            id: reply.node,
            _session: None,
            _frames: None,
        })
    }

    /// A box whose link is up and that has told what it is.
    pub async fn linked(&self, serial: &str) -> anyhow::Result<Box> {
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
        session.receive(FromAgent::Facts(std::boxed::Box::new(facts))).await?;
        one._session = Some(session);
        one._frames = Some(frames);
        Ok(one)
    }
}
