//! A lab with the MEF listener, and boxes that speak the agents' real protocol.

use crate::{
    client,
    contract::{
        Answer, ContractClient, Document, Lab, Recording,
        observed::{observed, part},
    },
};
use anyhow::Context;
use edgedeck_agent::{
    home::Home,
    identity::{self, Identity, Trust},
    link::Link,
    runtime::package::EngineAccess,
    software::{self, Kept, Software},
};
use edgedeck_engine::{Actor, AliasKind, Clock, Engine, System};
use edgedeck_gateway::{Options, Running, dialects::mef::MefOptions};
use edgedeck_model::{
    AppId, Code, GroupId, JobId, NodeId, Problem,
    deployment::{InstanceState, PartStatus, Reason},
    join::JoinTokenKind,
    node::{Facts, Runtime},
    telemetry::{Metric, Sample, Value as Measured},
};
use edgedeck_protocol::{
    Answer as Collected, FromAgent, Hello, JOB_PATH, JoinRequest, Observed, Outside, SHA256_HEADER, Task, ToAgent,
    VERSIONS,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use tokio::sync::{RwLock, mpsc, watch};

/// Asks until there is an answer. A macro, since the futures of cases are `Send` and async closures are not yet for
/// every lifetime.
macro_rules! until {
    ($what:expr, $ask:block) => {{
        let end = tokio::time::Instant::now() + crate::wait::USUAL;
        loop {
            if let Some(found) = $ask {
                break found;
            }
            anyhow::ensure!(tokio::time::Instant::now() < end, "there was still no {}", $what);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }};
}
pub(super) use until;

pub const MIB: u64 = 1 << 20;

/// A real engine with the MEF and the agents' listeners on free ports, on a clock that the cases move.
pub struct MefLab {
    pub north: ContractClient,
    pub http: reqwest::Client,
    pub base: String,
    pub running: Running,
    pub clock: Clock,
    recording: Recording,
    token: String,
    count: u32,
    _data: tempfile::TempDir,
}

impl Lab for MefLab {
    async fn start(recording: Recording) -> anyhow::Result<Self> {
        Self::start_with(recording, MefOptions { limited: false }).await
    }

    async fn stop(self) {
        self.running.stop().await;
    }
}

impl MefLab {
    pub async fn start_with(recording: Recording, mef_options: MefOptions) -> anyhow::Result<Self> {
        client::use_ring();
        let data = tempfile::tempdir()?;
        let clock = Clock::manual(edgedeck_agent::now());
        let free = Some("127.0.0.1:0".parse()?);
        let options = Options::new(data.path().join("lab"));
        let options = Options {
            agents: free,
            mef: free,
            mef_options,
            clock: clock.clone(),
            ..options
        };
        let running = edgedeck_gateway::start(options).await?;
        let address = running.listeners.get("mef").context("the MEF listener")?;
        let base = format!("https://{address}");
        let engine = &running.engine;
        let certificate = engine
            .create_client_certificate(&Actor::engine(), "integrator".to_owned())
            .await?;
        let pem = format!("{}{}", certificate.certificate_pem, certificate.key_pem);
        let http = http(&certificate.ca_pem, Some(&pem))?;
        let (_, token) = engine.create_join_token(&Actor::engine(), JoinTokenKind::Lab).await?;
        let north = recording.client(&base, http.clone());
        Ok(Self {
            north,
            http,
            base,
            clock,
            recording,
            token,
            count: 0,
            _data: data,
            running,
        })
    }

    pub fn recording(&self) -> Recording {
        self.recording.clone()
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.running.engine
    }

    pub fn document(&self) -> &Document {
        self.north.document()
    }

    /// Calls with a body.
    pub async fn send(&self, operation: &str, body: Value) -> anyhow::Result<Answer> {
        Ok(self.north.call(operation).json(&body).send().await?)
    }

    /// Calls with a body; the answer must be a success.
    pub async fn done(&self, operation: &str, body: Value) -> anyhow::Result<Answer> {
        self.send(operation, body).await?.success()
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

    pub fn is_error(&self, answer: &Answer, operation: &str, code: &str) -> anyhow::Result<()> {
        answer.expect_error(self.document(), &format!("{operation}/400/{code}"))
    }

    /// Calls with a body and expects a code.
    pub async fn refused(&self, operation: &str, code: &str, body: Value) -> anyhow::Result<Answer> {
        let answer = self.send(operation, body.clone()).await?;
        self.is_error(&answer, operation, code)
            .with_context(|| body.to_string())?;
        Ok(answer)
    }

    /// Calls with query parameters and expects a code.
    pub async fn unread(&self, operation: &str, code: &str, query: &[(&str, &str)]) -> anyhow::Result<Answer> {
        let answer = self.ask(operation, query).await?;
        self.is_error(&answer, operation, code)
            .with_context(|| format!("{query:?}"))?;
        Ok(answer)
    }

    /// What is no JSON of the operation's shape is 00001006, and what breaks a rule of a field 00001005.
    pub async fn checks_body(&self, operation: &str, wrong_types: &[Value], invalid: &[Value]) -> anyhow::Result<()> {
        for raw in ["", "{", "nothing", "\u{feff}{}", "{} x", "\"text\"", "7"] {
            let answer = self.north.call(operation).raw("application/json", raw).send().await?;
            self.is_error(&answer, operation, "00001006")
                .with_context(|| raw.to_owned())?;
        }
        let deep = "[".repeat(5_000);
        let answer = self.north.call(operation).raw("application/json", deep).send().await?;
        self.is_error(&answer, operation, "00001006")?;
        for body in wrong_types {
            self.refused(operation, "00001006", body.clone()).await?;
        }
        for body in invalid {
            self.refused(operation, "00001005", body.clone()).await?;
        }
        Ok(())
    }

    /// The rules of every paged list.
    pub async fn checks_page(&self, operation: &str) -> anyhow::Result<()> {
        let no_numbers: [&[(&str, &str)]; 5] = [
            &[],
            &[("pageNum", "1")],
            &[("pageSize", "10")],
            &[("pageNum", "one"), ("pageSize", "10")],
            &[("pageNum", "1"), ("pageSize", "99999999999999999999")],
        ];
        for query in no_numbers {
            self.unread(operation, "00001001", query).await?;
        }
        let long = "x".repeat(254);
        let invalid: [&[(&str, &str)]; 6] = [
            &[("pageNum", "0"), ("pageSize", "10")],
            &[("pageNum", "2147483648"), ("pageSize", "10")],
            &[("pageNum", "1"), ("pageSize", "0")],
            &[("pageNum", "1"), ("pageSize", "101")],
            &[("pageNum", "1"), ("pageSize", "10"), ("name", "a b")],
            &[("pageNum", "1"), ("pageSize", "10"), ("name", &long)],
        ];
        for query in invalid {
            self.unread(operation, "00001005", query).await?;
        }
        Ok(())
    }

    /// A list's search word and pages; `key` is its array, `name` the field that is searched, and two rows or more
    /// have `word` in it.
    pub async fn checks_search(&self, operation: &str, key: &str, name: &str, word: &str) -> anyhow::Result<()> {
        let rows = |answer: &Answer| {
            answer
                .at(&format!("/data/{key}"))
                .as_array()
                .cloned()
                .unwrap_or_default()
        };
        let all = self
            .read(operation, &[("pageNum", "1"), ("pageSize", "100"), ("name", "")])
            .await?;
        let unfiltered = self.read(operation, &[("pageNum", "1"), ("pageSize", "100")]).await?;
        anyhow::ensure!(rows(&all) == rows(&unfiltered), "an empty name filters");
        let found = self
            .read(operation, &[("pageNum", "1"), ("pageSize", "100"), ("name", word)])
            .await?;
        let found_rows = rows(&found);
        let expected: Vec<Value> = rows(&all)
            .into_iter()
            .filter(|row| row[name].as_str().is_some_and(|text| text.contains(word)))
            .collect();
        anyhow::ensure!(
            found_rows == expected && expected.len() >= 2,
            "{found_rows:?} for {word}, not {expected:?}"
        );
        anyhow::ensure!(
            found.at("/data/total") == expected.len(),
            "total is not {}",
            expected.len()
        );
        let upper = word.to_uppercase();
        let none = self
            .read(operation, &[("pageNum", "1"), ("pageSize", "100"), ("name", &upper)])
            .await?;
        anyhow::ensure!(
            none.at(&format!("/data/{key}")).is_null() && none.at("/data/total") == 0,
            "{}",
            none.shown()
        );
        let second = self
            .read(operation, &[("pageNum", "2"), ("pageSize", "1"), ("name", word)])
            .await?;
        anyhow::ensure!(rows(&second) == expected[1..2], "the second page is {}", second.shown());
        let far = self
            .read(
                operation,
                &[("pageNum", "2147483647"), ("pageSize", "100"), ("name", word)],
            )
            .await?;
        anyhow::ensure!(
            far.at(&format!("/data/{key}")).is_null(),
            "a page past the end: {}",
            far.shown()
        );
        anyhow::ensure!(
            far.at("/data/total") == expected.len(),
            "a page past the end forgets the total"
        );
        Ok(())
    }

    /// While the store has lost a table, calls with a query and expects a code.
    pub async fn unread_without(
        &self,
        table: &'static str,
        operation: &str,
        code: &str,
        query: &[(&str, &str)],
    ) -> anyhow::Result<()> {
        self.rename(table, "lost").await?;
        let answer = self.unread(operation, code, query).await;
        self.rename("lost", table).await?;
        answer.map(drop)
    }

    pub async fn refused_without(
        &self,
        table: &'static str,
        operation: &str,
        code: &str,
        body: Value,
    ) -> anyhow::Result<()> {
        self.rename(table, "lost").await?;
        let answer = self.refused(operation, code, body).await;
        self.rename("lost", table).await?;
        answer.map(drop)
    }

    async fn rename(&self, from: &'static str, to: &'static str) -> anyhow::Result<()> {
        self.sql(format!("ALTER TABLE {from} RENAME TO {to}")).await
    }

    /// Does something to the database that the engine itself never would.
    pub async fn sql(&self, sql: String) -> anyhow::Result<()> {
        Ok(self.engine().store.write(move |tx| Ok(tx.execute_batch(&sql)?)).await?)
    }

    /// A name that nothing else has.
    pub fn fresh(&mut self, word: &str) -> String {
        self.count += 1;
        format!("{word}{}", self.count)
    }

    pub async fn group(&mut self) -> anyhow::Result<u32> {
        let name = self.fresh("group");
        let made = self.done("createNodeGroup", json!({ "nodeGroupName": name })).await?;
        number(made.at("/data"))
    }

    /// An application of one container that requests a tenth of a core and 10 MiB.
    pub async fn app(&mut self) -> anyhow::Result<u32> {
        let name = self.fresh("app-");
        let made = self
            .done(
                "createApp",
                json!({ "appName": name, "containers": [container("main")] }),
            )
            .await?;
        number(made.at("/data"))
    }

    pub fn group_id(&self, number: u32) -> anyhow::Result<GroupId> {
        let id = self.engine().resolve(System::Mef, AliasKind::Group, number)?;
        Ok(GroupId(id.context("no such group")?))
    }

    pub fn app_id(&self, number: u32) -> anyhow::Result<AppId> {
        let id = self.engine().resolve(System::Mef, AliasKind::App, number)?;
        Ok(AppId(id.context("no such app")?))
    }

    /// A box that has joined and waits to be managed; it has never connected.
    pub async fn waiting(&mut self) -> anyhow::Result<Node> {
        let host = self.fresh("host");
        self.joined(host).await
    }

    pub async fn joined(&self, host: String) -> anyhow::Result<Node> {
        let serial = format!("SN-{host}");
        let key_pem = identity::new_key()?;
        let request = JoinRequest {
            token: self.token.clone(),
            csr_pem: identity::request(&key_pem, &serial)?,
            serial: serial.clone(),
            host_name: host,
            arch: "x86_64".to_owned(),
            agent_version: edgedeck_agent::version().to_owned(),
        };
        let reply = self.engine().join(request, "127.0.0.1").await?;
        let number = self
            .engine()
            .external(System::Mef, AliasKind::Node, reply.node.0)?
            .context("no number")?;
        let identity = Identity {
            key_pem,
            certificate_pem: reply.certificate_pem,
        };
        Ok(Node {
            id: reply.node,
            number,
            serial,
            identity,
        })
    }

    /// A managed node in these groups that has never connected.
    pub async fn node(&mut self, groups: &[u32]) -> anyhow::Result<Node> {
        let node = self.waiting().await?;
        self.manage(&node, groups).await?;
        Ok(node)
    }

    pub async fn manage(&mut self, node: &Node, groups: &[u32]) -> anyhow::Result<()> {
        let name = self.fresh("node-");
        let body = json!({ "name": name, "nodeID": node.number, "groupIDs": groups });
        self.done("manageNode", body).await.map(drop)
    }

    /// Connects a box; it is ready with these processors and this memory once this returns.
    pub async fn connect(&self, node: &Node, cpus: u32, memory_mib: u64) -> anyhow::Result<Connected> {
        let trust = Trust::new(&self.engine().pki.present().pem())?;
        let address = self
            .running
            .listeners
            .get("agents")
            .context("the agents' listener")?
            .to_string();
        let hello = Hello {
            versions: VERSIONS,
            agent_version: edgedeck_agent::version().to_owned(),
            serial: node.serial.clone(),
            boot_id: "boot".to_owned(),
            generation: 0,
            outside: Some(0),
            at: edgedeck_agent::now(),
        };
        let (link, welcome) = Link::open(&address, Arc::new(trust.client(&node.identity)?), hello).await?;
        let home = Home::new(self._data.path().join(&node.serial));
        home.create()?;
        software::pin_key(&home, &welcome.software_key.context("a key for software")?)?;
        let access = EngineAccess {
            trust,
            identity: node.identity.clone(),
            addresses: vec![address.clone()],
        };
        let access = Arc::new(RwLock::new(access));
        let software = Arc::new(Software::new(home, Kept::default(), access, node.serial.clone(), None));
        let (orders, taken) = mpsc::unbounded_channel();
        let (sent, outside) = watch::channel(Outside::default());
        let pem = format!("{}{}", node.identity.certificate_pem, node.identity.key_pem);
        let bulk = Bulk {
            http: http(&self.engine().pki.present().pem(), Some(&pem))?,
            base: format!("https://{address}"),
        };
        let runtime = Runtime {
            name: "docker".into(),
            version: "27".into(),
            api_version: "1.47".into(),
        };
        let facts = Facts {
            host_name: node.serial.trim_start_matches("SN-").to_owned(),
            arch: "x86_64".to_owned(),
            cpus,
            memory_bytes: memory_mib * MIB,
            ip: Some("192.0.2.10".to_owned()),
            runtime: Some(runtime),
            agent_version: edgedeck_agent::version().to_owned(),
            ..Facts::default()
        };
        let task = tokio::spawn(live(link, taken, sent, bulk, software, facts.clone()));
        let connected = Connected {
            orders,
            facts,
            outside,
            task,
        };
        connected.tell(Order::Facts(Box::new(connected.facts.clone())));
        self.until_status(node.number, "ready").await?;
        Ok(connected)
    }

    pub async fn until_status(&self, node: u32, status: &str) -> anyhow::Result<Answer> {
        let id = node.to_string();
        let found = until!(format!("node {node} that is {status}"), {
            let answer = self.read("getNode", &[("id", &id)]).await?;
            let told = status != "ready" || !answer.at("/data/ip").as_str().unwrap_or_default().is_empty();
            (answer.at("/data/status") == status && told).then_some(answer)
        });
        Ok(found)
    }

    /// The instances of an application once they are `count` in this state.
    pub async fn until_instances(&self, app: u32, count: usize, state: &str) -> anyhow::Result<Vec<Value>> {
        let id = app.to_string();
        let found = until!(format!("{count} instances of app {app} that are {state}"), {
            let answer = self.read("listAppDeployments", &[("appID", &id)]).await?;
            let rows = answer.at("/data/appInstances").as_array().cloned().unwrap_or_default();
            (rows.len() == count && rows.iter().all(|row| row["appStatus"] == state)).then_some(rows)
        });
        Ok(found)
    }
}

/// A box that has joined.
pub struct Node {
    pub id: NodeId,
    pub number: u32,
    pub serial: String,
    pub identity: Identity,
}

/// A box whose link is up; dropping it cuts the link.
pub struct Connected {
    orders: mpsc::UnboundedSender<Order>,
    pub facts: Facts,
    /// What it was sent of systems outside the lab.
    pub outside: watch::Receiver<Outside>,
    task: tokio::task::JoinHandle<bool>,
}

pub enum Order {
    Facts(Box<Facts>),
    /// What all its containers are doing from now on.
    Are(InstanceState, u32),
    /// What is wrong with all its containers from now on: their own check fails, or a reason.
    Suffer(bool, Option<Reason>),
    Disk(f32),
    /// Whether it can keep what it is sent of systems outside the lab.
    Keeps(bool),
    /// What it does when its logs are collected.
    Collects(Collects),
}

#[derive(Clone)]
pub enum Collects {
    /// It sends them.
    Sends,
    /// It sends so much that no buffer holds it.
    SendsMuch,
    /// It says that its disk is full.
    Fails,
    /// It says that it has sent them, and has not.
    Lies,
    Nothing,
    /// It says that it will not, or cannot.
    Refuses(Problem),
}

const MUCH: usize = 24 << 20;

/// Bytes that nothing makes smaller.
fn noise(bytes: usize) -> Vec<u8> {
    let (mut noise, mut last) = (Vec::with_capacity(bytes + 8), 0x9e37_79b9_7f4a_7c15_u64);
    while noise.len() < bytes {
        last ^= last << 13;
        last ^= last >> 7;
        last ^= last << 17;
        noise.extend_from_slice(&last.to_le_bytes());
    }
    noise
}

/// Where a box sends what is too large for its link.
struct Bulk {
    http: reqwest::Client,
    base: String,
}

impl Bulk {
    /// Sends an archive as a job has asked for, and tells its SHA-256.
    async fn send(&self, job: JobId, archive: Vec<u8>, sha256: Option<&str>) -> Result<String, Problem> {
        let own = hex::encode(Sha256::digest(&archive));
        let put = self.http.put(format!("{}{JOB_PATH}/{job}", self.base));
        let answer = put
            .header(SHA256_HEADER, sha256.unwrap_or(&own))
            .body(archive)
            .send()
            .await;
        let answer = answer.map_err(Problem::internal)?;
        if answer.status().is_success() {
            Ok(own)
        } else {
            Err(answer.json().await.map_err(Problem::internal)?)
        }
    }

    async fn sent(&self, job: JobId, archive: Vec<u8>) -> Result<Collected, Problem> {
        let sha256 = self.send(job, archive, None).await?;
        Ok(Collected::Collected { sha256 })
    }

    async fn collect(&self, how: Collects, job: JobId) -> Option<Result<Collected, Problem>> {
        Some(match how {
            Collects::Sends => self.sent(job, format!("logs of {job}").into_bytes()).await,
            Collects::SendsMuch => self.sent(job, noise(MUCH)).await,
            Collects::Fails => Err(Problem::new(Code::StoreUnavailable)),
            Collects::Lies => Ok(Collected::Collected {
                sha256: "00".to_owned(),
            }),
            Collects::Nothing => return None,
            Collects::Refuses(problem) => Err(problem),
        })
    }
}

impl Connected {
    pub fn tell(&self, order: Order) {
        // A link that has ended takes no orders; the case then sees nothing of them.
        let _taken = self.orders.send(order);
    }

    /// Waits for the engine to end the link, and tells whether the box was told that it is removed.
    pub async fn ended(self) -> anyhow::Result<bool> {
        Ok(tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .context("the link did not end")??)
    }
}

/// What an agent does on its link, with containers that only say what they are told to.
async fn live(
    mut link: Link,
    mut orders: mpsc::UnboundedReceiver<Order>,
    sent: watch::Sender<Outside>,
    bulk: Bulk,
    software: Arc<Software>,
    mut facts: Facts,
) -> bool {
    let (frames, mut own) = mpsc::unbounded_channel();
    let mut progress = software.progress();
    let mut desired = edgedeck_protocol::Desired::default();
    let (mut state, mut restarts, mut sequence, mut sample) = (InstanceState::Running, 0, 0, 0);
    let mut heartbeat = tokio::time::interval(Duration::from_secs(2));
    let mut ills = (false, None);
    let (mut keeps, mut collects) = (true, Collects::Sends);
    loop {
        let frame = tokio::select! {
            // How far a download came is told before its answer.
            biased;
            received = link.receive() => match received {
                Ok(ToAgent::Desired(wanted)) => {
                    desired = wanted;
                    sequence += 1;
                    FromAgent::Observed(report(&desired, state, restarts, sequence, ills))
                }
                Ok(ToAgent::Outside(outside)) => {
                    let (revision, problem) = (outside.revision, (!keeps).then(|| "the disk is full".to_owned()));
                    sent.send_replace(outside);
                    FromAgent::OutsideTaken { revision, problem }
                }
                Ok(ToAgent::Request { request, task: Task::CollectLogs { job, .. } }) => match bulk.collect(collects.clone(), job).await {
                    Some(outcome) => FromAgent::Answer { request, outcome },
                    None => continue,
                },
                Ok(ToAgent::Request { request, task: Task::Download { job, from, rules } }) => {
                    let (download, frames) = (software.download(job, from, rules), frames.clone());
                    tokio::spawn(async move { frames.send(FromAgent::Answer { request, outcome: download.await }) });
                    continue;
                }
                Ok(ToAgent::Request { request, task: Task::Switch { .. } }) => {
                    // Like a box whose new version is well at once.
                    let outcome = match facts.agent_waiting.take() {
                        Some(version) => {
                            facts.agent_version.clone_from(&version);
                            Ok(Collected::Switched { version })
                        }
                        None => Err(Problem::conflict("nothing-waiting")),
                    };
                    let told = link.send(&FromAgent::Facts(Box::new(facts.clone()))).await;
                    if told.is_err() {
                        return false;
                    }
                    FromAgent::Answer { request, outcome }
                }
                Ok(ToAgent::Removed) => return true,
                Ok(_) => continue,
                Err(_) => return false,
            },

            Ok(()) = progress.changed() => {
                let now = *progress.borrow_and_update();
                let Some((job, percent)) = now else { continue };
                if percent == 100 {
                    facts.agent_waiting = software.waiting();
                    let told = link.send(&FromAgent::Facts(Box::new(facts.clone()))).await;
                    if told.is_err() {
                        return false;
                    }
                }
                FromAgent::Progress { job, percent }
            }
            Some(frame) = own.recv() => frame,
            order = orders.recv() => match order {
                Some(Order::Facts(new)) => {
                    facts = *new;
                    FromAgent::Facts(Box::new(facts.clone()))
                }
                Some(Order::Are(new, count)) => {
                    (state, restarts) = (new, count);
                    sequence += 1;
                    FromAgent::Observed(report(&desired, state, restarts, sequence, ills))
                }
                Some(Order::Suffer(unhealthy, reason)) => {
                    ills = (unhealthy, reason);
                    sequence += 1;
                    FromAgent::Observed(report(&desired, state, restarts, sequence, ills))
                }
                Some(Order::Disk(value)) => {
                    sample += 1;
                    let values = vec![Measured { metric: Metric::DiskPercent, part: 0, value }];
                    FromAgent::Sample { number: sample, sample: Sample { at: edgedeck_agent::now(), values } }
                }
                Some(Order::Collects(now)) => {
                    collects = now;
                    continue;
                }
                Some(Order::Keeps(now)) => {
                    keeps = now;
                    continue;
                }
                None => return false,
            },
            _ = heartbeat.tick() => FromAgent::Heartbeat { at: edgedeck_agent::now() },
        };
        if link.send(&frame).await.is_err() {
            return false;
        }
    }
}

fn report(
    desired: &edgedeck_protocol::Desired,
    state: InstanceState,
    restarts: u32,
    sequence: u64,
    (unhealthy, reason): (bool, Option<Reason>),
) -> Observed {
    observed(desired, sequence, |_, name| PartStatus {
        restarts,
        reason,
        unhealthy,
        ..part(name, state)
    })
}

/// A client that trusts the lab's CA and shows a certificate.
pub fn http(ca_pem: &str, identity_pem: Option<&str>) -> anyhow::Result<reqwest::Client> {
    let builder = reqwest::Client::builder().tls_certs_only([reqwest::Certificate::from_pem(ca_pem.as_bytes())?]);
    let builder = match identity_pem {
        Some(pem) => builder.identity(reqwest::Identity::from_pem(pem.as_bytes())?),
        None => builder,
    };
    Ok(builder.timeout(Duration::from_secs(60)).build()?)
}

/// A container that requests a tenth of a core and 10 MiB.
pub fn container(name: &str) -> Value {
    json!({ "name": name, "cpuRequest": 0.1, "memRequest": 10, "image": "ubuntu", "imageVersion": "22.04" })
}

pub fn number(value: &Value) -> anyhow::Result<u32> {
    Ok(u32::try_from(
        value.as_u64().with_context(|| format!("{value} is no number"))?,
    )?)
}

/// The same JSON with one field set; null removes it.
pub fn with(mut body: Value, field: &str, value: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        if value.is_null() {
            fields.remove(field);
        } else {
            fields.insert(field.to_owned(), value);
        }
    }
    body
}

/// Which elements a batch answer says failed, as text, and which succeeded.
pub fn batch(answer: &Answer) -> (Vec<String>, Value) {
    let failed = answer.at("/data/failedInfos").as_object();
    let failed = failed
        .map(|failed| failed.keys().cloned().collect())
        .unwrap_or_default();
    (failed, answer.at("/data/successIDs").clone())
}
