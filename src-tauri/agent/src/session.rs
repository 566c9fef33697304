//! The running agent: one link to the engine, and all that goes over it.

use crate::{
    collect::{self, Collector, Known},
    facts,
    home::{Home, HomeError, State},
    identity::{self, Identity, IdentityError, Trust},
    link::{Link, LinkError},
    metering::{self, Metering},
    observer::{self, Observations, Observer},
    outside::Outsides,
    runtime::{
        LogRequest,
        docker::{self, Docker},
        package::{EngineAccess, Packages},
        process::Processes,
    },
    service,
    software::{self, Kept, Software},
    sources::Sources,
    status::Status,
    switch,
    workloads::Workloads,
};
use edgedeck_model::{Code, JobId, Problem, node::Facts, time::HOUR};
use edgedeck_protocol::{Answer, FromAgent, HEARTBEAT, Hello, Outside, Task, ToAgent, VERSIONS, Welcome};
use futures::future::BoxFuture;
use nix::sys::statvfs::statvfs;
use ring::rand::{SecureRandom, SystemRandom};
use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, RwLock, Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

/// Set by an engine that runs the agent of its own machine, with the version that it brings.
pub const KEPT: &str = "EDGEDECK_AGENT_KEPT";
const BACKOFF_MIN: Duration = Duration::from_secs(1);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Requests of the engine that are worked on at a time.
const TASKS: usize = 32;
/// Free bytes of the disk with the agent's folder, below which it is almost full; on small disks it is less.
const SPACE_LEAST: u64 = 256 * 1024 * 1024;
/// Samples that are sent before anything else has its turn.
const SAMPLES_AT_ONCE: usize = 32;
/// How long removing every workload may take when the node is taken out of the lab.
const REMOVE_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("finding this program's own file")]
    Program(#[source] std::io::Error),
    #[error("showing that a new version is well")]
    Trial(#[source] std::io::Error),
    #[error(
        "the node was removed from the lab, but not every workload could be: see the log; run `edgedeck-agent leave`"
    )]
    LeftBehind,
}

/// How and where an agent runs.
#[derive(Clone, Debug)]
pub struct Options {
    pub home: Home,
    pub sources: Sources,
    /// `unix://…`
    pub docker_host: String,
    pub npu_tool: PathBuf,
    /// The agent's program, which supervises processes, and which another version may replace.
    pub program: PathBuf,
    /// This process is a new version that has to show that it is well.
    pub on_trial: bool,
    /// Somebody else looks after the program's version.
    pub is_kept: bool,
}

impl Options {
    /// As the machine and the environment have it.
    ///
    /// # Errors
    /// [`AgentError::Program`], [`AgentError::Trial`].
    pub fn of_machine(home: Home, docker_host: Option<String>) -> Result<Self, AgentError> {
        Ok(Self {
            on_trial: switch::is_on_trial().map_err(AgentError::Trial)?,
            is_kept: std::env::var_os(KEPT).is_some(),
            home,
            sources: Sources::default(),
            docker_host: docker_host.unwrap_or_else(docker::default_host),
            npu_tool: observer::npu_tool(),
            program: std::env::current_exe().map_err(AgentError::Program)?,
        })
    }
}

/// Why an agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to; its workloads run on.
    Stopped,
    /// Its node was taken out of the lab; nothing of it is left.
    Removed,
    /// Another version is to run; see [`switch`].
    Switching,
}

/// The parts of an agent that look after workloads; also what `leave` needs.
pub struct Base {
    pub state: State,
    pub access: Arc<RwLock<EngineAccess>>,
    pub docker: Arc<Docker>,
    pub outsides: Arc<Outsides>,
    pub workloads: Workloads,
}

impl Base {
    /// Begins looking after the workloads of a joined node.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn start(options: &Options) -> Result<Self, AgentError> {
        let home = &options.home;
        home.create()?;
        let state = home.state()?;
        let trust = Trust::new(&home.ca_pem()?)?;
        let identity = home.identity()?;
        let access = EngineAccess {
            trust,
            identity,
            addresses: state.addresses.clone(),
        };
        let access = Arc::new(RwLock::new(access));
        let wake = Arc::new(Notify::new());
        let outsides = Arc::new(Outsides::open(home.clone(), options.sources.clone()));
        let docker = Arc::new(Docker::new(
            options.docker_host.clone(),
            state.node,
            options.sources.clone(),
            outsides.clone(),
        ));
        let packages = Packages::new(home.packages(), Some(access.clone()));
        if let Err(error) = packages.sweep() {
            tracing::warn!("removing halves of packages: {error}");
        }
        let processes = Processes::new(home.clone(), packages, options.program.clone(), wake.clone());
        let workloads = Workloads::start(home.clone(), docker.clone(), Arc::new(processes), wake)?;
        Ok(Self {
            state,
            access,
            docker,
            outsides,
            workloads,
        })
    }
}

/// Runs the agent until it is asked to stop or its node is removed.
///
/// # Errors
/// When its folder is in use, missing or damaged; never because the engine is away.
pub async fn run(options: Options, kept: Kept, stop: impl Future<Output = ()>) -> Result<Ending, AgentError> {
    options.home.create()?;
    let _lock = options.home.lock()?;
    let base = Base::start(&options)?;
    let (observer, observations) =
        Observer::new(options.sources.clone(), base.docker.clone(), options.npu_tool.clone());
    let observing = tokio::spawn(observer.run());
    let metering = Metering::start(
        options.home.clone(),
        options.sources.clone(),
        base.docker.clone(),
        base.state.node,
    )?;
    let mut agent = Agent {
        boot_id: facts::boot_id(&options.sources),
        software: Arc::new(Software::new(
            options.home.clone(),
            kept,
            base.access.clone(),
            base.state.serial.clone(),
            if options.on_trial {
                Some("software-busy")
            } else {
                options.is_kept.then_some("software-own")
            },
        )),
        on_trial: options.on_trial,
        collector: Collector::new(options.home.work(), options.sources.clone(), base.access.clone()),
        home: options.home.clone(),
        sources: options.sources.clone(),
        base,
        observations,
        metering,
        status: Status {
            agent_version: crate::version().to_owned(),
            since: crate::now(),
            ..Status::default()
        },
        own: Own::default(),
        untold_damage: options.home.damaged(),
        renewal_asked: None,
        tells_trust: false,
        is_former: false,
    };
    if agent.untold_damage.is_some() {
        agent.software.mend();
    }
    tokio::pin!(stop);
    let ended = tokio::select! {
        () = &mut stop => Ok(Ending::Stopped),
        ending = agent.keep_linked() => match ending {
            Ending::Removed => agent.be_removed(&options.home).await,
            other => Ok(other),
        },
    };
    observing.abort();
    ended
}

struct Agent {
    home: Home,
    sources: Sources,
    boot_id: String,
    base: Base,
    observations: Observations,
    metering: Metering,
    collector: Collector,
    software: Arc<Software>,
    /// Until it was told that this version is well.
    on_trial: bool,
    status: Status,
    /// As it was told last.
    own: Own,
    /// Damage found at the start, until it was told once: it may be mended sooner than anybody hears of it.
    untold_damage: Option<String>,
    renewal_asked: Option<std::time::Instant>,
    /// The engine wants to know which CAs this agent goes by.
    tells_trust: bool,
    /// Its certificate does not come from the lab's present CA.
    is_former: bool,
}

/// What the agent tells of itself among the node's facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Own {
    waiting: Option<String>,
    damaged: Option<String>,
    space_low: bool,
}

/// Whether a disk is almost full; one that was stays so until there is somewhat more space.
fn is_low(total: u64, free: u64, was_low: bool) -> bool {
    let least = (total / 20).min(SPACE_LEAST);
    free < if was_low { least + least / 4 } else { least }
}

/// Why a link ended.
enum LinkEnd {
    Broken(LinkError),
    Removed,
    Switching,
}

impl Agent {
    /// Links again and again; ends when the node was removed, or is to run another version.
    async fn keep_linked(&mut self) -> Ending {
        let mut backoff = BACKOFF_MIN;
        loop {
            for address in self.base.state.addresses.clone() {
                match self.open(&address).await {
                    Ok((link, welcome)) => {
                        backoff = BACKOFF_MIN;
                        tracing::info!(address, "linked");
                        self.set_status(Some(address.clone()), None);
                        let end = self.serve(link, welcome, &address).await;
                        self.metering.unlink();
                        match end {
                            LinkEnd::Removed => return Ending::Removed,
                            LinkEnd::Switching => return Ending::Switching,
                            // Asked for over a link that broke before its answer.
                            LinkEnd::Broken(_) if self.software.is_asked() => return Ending::Switching,
                            LinkEnd::Broken(error) => self.unlinked(&address, &error),
                        }
                    }
                    Err(LinkError::Removed) => return Ending::Removed,
                    Err(error) => self.unlinked(&address, &error),
                }
            }
            sleep(jittered(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn unlinked(&mut self, address: &str, error: &LinkError) {
        let problem = format!("{address}: {}", crate::chain(error));
        if self.status.problem.as_ref() != Some(&problem) {
            tracing::warn!("no link: {problem}");
        }
        self.set_status(None, Some(problem));
    }

    fn set_status(&mut self, connected_to: Option<String>, problem: Option<String>) {
        if (&self.status.connected_to, &self.status.problem) == (&connected_to, &problem) {
            return;
        }
        if self.status.connected_to.is_some() != connected_to.is_some() {
            self.status.since = crate::now();
        }
        self.status.connected_to = connected_to;
        self.status.problem = problem;
        self.status.store(&self.home);
    }

    async fn open(&self, address: &str) -> Result<(Link, Welcome), LinkError> {
        let tls = {
            let access = self.base.access.read().await;
            access.trust.client(&access.identity)
        };
        // A certificate that cannot be used is like an engine that cannot be reached: somebody may mend it.
        let tls = tls.map_err(|error| LinkError::Refused(crate::chain(&error)))?;
        let hello = Hello {
            versions: VERSIONS,
            agent_version: crate::version().to_owned(),
            serial: self.base.state.serial.clone(),
            boot_id: self.boot_id.clone(),
            generation: self.base.workloads.generation(),
            outside: Some(self.base.outsides.revision()),
            at: crate::now(),
        };
        Link::open(address, Arc::new(tls), hello).await
    }

    /// Serves one link until it ends.
    async fn serve(&mut self, mut link: Link, welcome: Welcome, address: &str) -> LinkEnd {
        let heartbeat = Duration::from_millis(welcome.heartbeat.clamp(1_000, HEARTBEAT).into());
        if let Err(error) = self.welcomed(&mut link, welcome, address).await {
            return LinkEnd::Broken(error);
        }
        self.observations.samples().rewind();
        let mut facts = self.observations.facts.clone();
        facts.mark_changed();
        let mut observed = self.base.workloads.observed();
        observed.mark_changed();
        let sampled = self.observations.sampled.clone();
        let metered = self.metering.waiting();
        let mut progress = self.software.progress();
        let (answers, mut answer_queue) = mpsc::channel(TASKS);
        let tasks = Arc::new(Semaphore::new(TASKS));
        let mut beat = interval(heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let more = match self.send_samples(&mut link).await {
                Ok(more) => more,
                Err(error) => return LinkEnd::Broken(error),
            };
            if let Err(error) = self.send_usage(&mut link).await {
                return LinkEnd::Broken(error);
            }
            let outcome = tokio::select! {
                frame = link.receive() => match frame {
                    Ok(ToAgent::Removed) => {
                        link.close().await;
                        return LinkEnd::Removed;
                    }
                    Ok(ToAgent::Welcome(welcome)) => self.welcomed(&mut link, welcome, address).await,
                    Ok(ToAgent::Authorities { pem }) => self.take_authorities(&mut link, &pem).await,
                    Ok(ToAgent::Certificate { pem }) => self.renew(&mut link, pem).await,
                    Ok(ToAgent::Desired(desired)) => {
                        // The engine sends it to managed nodes only: one that just waited has been put to work.
                        self.set_managed(true);
                        self.base.workloads.want(desired);
                        Ok(())
                    }
                    Ok(ToAgent::Request { request, task }) => {
                        self.begin(request, task, &answers, &tasks);
                        Ok(())
                    }
                    Ok(ToAgent::Outside(outside)) => self.take_outside(&mut link, outside).await,
                    Ok(frame) => {
                        self.take(frame).await;
                        Ok(())
                    }
                    // A newer engine may say things that this agent does not know.
                    Err(LinkError::Frame(error)) => {
                        tracing::warn!("passed over: {}", crate::chain(&error));
                        Ok(())
                    }
                    Err(error) => Err(error),
                },
                changed = observed.changed() => match changed {
                    Ok(()) => {
                        let report = observed.borrow_and_update().clone();
                        self.report(&mut link, report).await
                    }
                    Err(_) => return LinkEnd::Broken(LinkError::Closed),
                },
                changed = facts.changed() => match changed {
                    Ok(()) => {
                        let read = facts.borrow_and_update().clone();
                        match read {
                            Some(read) => self.send_facts(&mut link, read).await,
                            None => Ok(()),
                        }
                    }
                    Err(_) => return LinkEnd::Broken(LinkError::Closed),
                },
                Some(answer) = answer_queue.recv() => {
                    // First how far it came: after its answer a download has no progress any more.
                    if progress.has_changed().unwrap_or(false)
                        && let Err(error) = tell_progress(&mut link, &mut progress, &mut facts).await
                    {
                        return LinkEnd::Broken(error);
                    }
                    let sent = send(&mut link, answer).await;
                    if self.software.is_asked() {
                        link.close().await;
                        return LinkEnd::Switching;
                    }
                    sent
                }
                Ok(()) = progress.changed() => tell_progress(&mut link, &mut progress, &mut facts).await,
                _ = beat.tick() => {
                    if self.own != self.present_own() {
                        facts.mark_changed();
                    }
                    self.beat(&mut link).await
                }
                () = sampled.notified() => Ok(()),
                () = metered.notified() => Ok(()),
                () = std::future::ready(()), if more => Ok(()),
            };
            if let Err(error) = outcome {
                return LinkEnd::Broken(error);
            }
        }
    }

    fn set_managed(&mut self, managed: bool) {
        if self.status.managed != Some(managed) {
            self.status.managed = Some(managed);
            self.status.store(&self.home);
        }
    }

    async fn welcomed(&mut self, link: &mut Link, welcome: Welcome, address: &str) -> Result<(), LinkError> {
        self.observations.set_pace(welcome.sample_interval);
        self.set_managed(welcome.managed);
        if let Some(key) = &welcome.software_key
            && let Err(error) = software::pin_key(&self.home, key)
        {
            tracing::error!("{}", crate::chain(&error));
        }
        if !welcome.managed {
            self.be_well();
        }
        let mut addresses: Vec<String> = welcome
            .addresses
            .into_iter()
            .filter(|one| crate::join::host_and_port(one).is_ok())
            .take(16)
            .collect();
        // The one that works stays in the list, whatever the engine thinks its addresses are.
        if !addresses.iter().any(|one| one == address) {
            addresses.push(address.to_owned());
        }
        if addresses != self.base.state.addresses {
            self.base.state.addresses.clone_from(&addresses);
            self.base.access.write().await.addresses = addresses;
            if let Err(error) = self.home.store_state(&self.base.state) {
                tracing::error!("{}", crate::chain(&error));
            }
        }
        self.metering.link(welcome.takes_usage);
        self.tells_trust = welcome.ca_pem.is_some();
        match welcome.ca_pem {
            Some(pem) => self.take_authorities(link, &pem).await,
            None => Ok(()),
        }
    }

    /// Trusts these CAs from now on, and tells the engine which they are; asks for a certificate of the first of them.
    async fn take_authorities(&mut self, link: &mut Link, pem: &str) -> Result<(), LinkError> {
        if let Err(problem) = self.trust(pem).await {
            tracing::error!("the lab's CAs are not taken: {problem}");
        }
        self.tell_trust(link).await?;
        if self.is_former {
            self.ask_renewal(link).await?;
        }
        Ok(())
    }

    async fn trust(&mut self, pem: &str) -> Result<(), String> {
        if self.home.ca_pem().is_ok_and(|present| present == pem) {
            return Ok(());
        }
        let trust = Trust::new(pem).map_err(|error| crate::chain(&error))?;
        let mut access = self.base.access.write().await;
        self.home.store_ca(pem).map_err(|error| crate::chain(&error))?;
        access.trust = trust;
        tracing::info!("the lab's CAs have changed");
        Ok(())
    }

    async fn tell_trust(&mut self, link: &mut Link) -> Result<(), LinkError> {
        let certificate = self.base.access.read().await.identity.certificate_pem.clone();
        let known = self.home.ca_pem().map_err(|error| crate::chain(&error));
        let trust = known.and_then(|ca| identity::trust_of(&ca, &certificate).map_err(|error| crate::chain(&error)));
        let trust = match trust {
            Ok(trust) => trust,
            Err(problem) => {
                tracing::error!("{problem}");
                return Ok(());
            }
        };
        self.is_former = trust.is_former();
        if self.tells_trust {
            send(link, FromAgent::Trusts(trust)).await?;
        }
        Ok(())
    }

    /// What is so now.
    fn present_own(&self) -> Own {
        let disk = statvfs(self.home.path()).ok();
        Own {
            waiting: self.software.waiting(),
            damaged: self.home.damaged(),
            // A disk that cannot be asked is no fuller than it was.
            space_low: disk.map_or(self.own.space_low, |disk| {
                let (total, free) = (
                    disk.blocks() * disk.fragment_size(),
                    disk.blocks_available() * disk.fragment_size(),
                );
                is_low(total, free, self.own.space_low)
            }),
        }
    }

    async fn send_facts(&mut self, link: &mut Link, mut facts: Facts) -> Result<(), LinkError> {
        let present = self.present_own();
        facts.agent_waiting.clone_from(&present.waiting);
        facts.agent_space_low = present.space_low;
        let told = present.damaged.clone().or_else(|| self.untold_damage.take());
        facts.agent_damaged.clone_from(&told);
        send(link, FromAgent::Facts(Box::new(facts))).await?;
        // Otherwise the next beat tells that it is mended.
        self.own = Own {
            damaged: told,
            ..present
        };
        Ok(())
    }

    /// The link is up, and what runs on the node was reported: all that a version on trial has to show.
    fn be_well(&mut self) {
        if std::mem::take(&mut self.on_trial) {
            switch::tell_well();
        }
    }

    async fn report(&mut self, link: &mut Link, report: Option<edgedeck_protocol::Observed>) -> Result<(), LinkError> {
        let Some(report) = report else { return Ok(()) };
        if self.status.instances != report.instances {
            self.status.instances.clone_from(&report.instances);
            self.status.store(&self.home);
        }
        send(link, FromAgent::Observed(report)).await
    }

    /// Sends some samples; true when there are more.
    async fn send_samples(&self, link: &mut Link) -> Result<bool, LinkError> {
        for _ in 0..SAMPLES_AT_ONCE {
            let next = self.observations.samples().next_to_send();
            let Some((number, sample)) = next else { return Ok(false) };
            send(link, FromAgent::Sample { number, sample }).await?;
        }
        Ok(true)
    }

    async fn send_usage(&self, link: &mut Link) -> Result<(), LinkError> {
        while let Some(report) = self.metering.next_to_send() {
            send(link, FromAgent::Usage(report)).await?;
        }
        Ok(())
    }

    async fn beat(&mut self, link: &mut Link) -> Result<(), LinkError> {
        send(link, FromAgent::Heartbeat { at: crate::now() }).await?;
        link.ping().await?;
        let identity = self.base.access.read().await.identity.clone();
        let asked_lately = self
            .renewal_asked
            .is_some_and(|at| at.elapsed() < Duration::from_millis(HOUR as u64));
        let due = self.is_former
            || identity::validity(&identity.certificate_pem)
                .is_ok_and(|life| identity::renewal_due(life, crate::now()));
        if due && !asked_lately {
            self.ask_renewal(link).await?;
        }
        Ok(())
    }

    async fn ask_renewal(&mut self, link: &mut Link) -> Result<(), LinkError> {
        let key_pem = self.base.access.read().await.identity.key_pem.clone();
        match identity::request(&key_pem, &self.base.state.serial) {
            Ok(csr_pem) => {
                self.renewal_asked = Some(std::time::Instant::now());
                tracing::info!("asking for a new certificate");
                send(link, FromAgent::Renew { csr_pem }).await
            }
            Err(error) => {
                tracing::error!("{}", crate::chain(&error));
                Ok(())
            }
        }
    }

    /// Takes what outside systems need, and tells the engine whether that went well.
    async fn take_outside(&mut self, link: &mut Link, outside: Outside) -> Result<(), LinkError> {
        let revision = outside.revision;
        let taken = self.base.outsides.take(outside);
        let problem = taken.err().map(|error| crate::chain(&error));
        if let Some(problem) = &problem {
            tracing::error!("{problem}");
        }
        send(link, FromAgent::OutsideTaken { revision, problem }).await
    }

    async fn take(&mut self, frame: ToAgent) {
        match frame {
            ToAgent::Acknowledge { number } => self.observations.samples().acknowledge(number),
            ToAgent::ObservedStored { sequence } => {
                self.base.workloads.stored(sequence);
                self.be_well();
            }
            ToAgent::UsageStored { number } => self.metering.stored(number),
            ToAgent::Pace { sample_interval } => self.observations.set_pace(sample_interval),
            // Those that end a link, or begin one, or ask something, were taken before.
            ToAgent::Refused { reason } => tracing::warn!("the engine refuses: {reason}"),
            ToAgent::Welcome(_)
            | ToAgent::Authorities { .. }
            | ToAgent::Certificate { .. }
            | ToAgent::Desired(_)
            | ToAgent::Outside(_)
            | ToAgent::Request { .. }
            | ToAgent::Removed => {}
        }
    }

    /// Takes a new certificate, if it fits the key.
    async fn renew(&mut self, link: &mut Link, certificate_pem: String) -> Result<(), LinkError> {
        self.take_certificate(certificate_pem).await;
        self.tell_trust(link).await
    }

    async fn take_certificate(&self, certificate_pem: String) {
        let mut access = self.base.access.write().await;
        let identity = Identity {
            certificate_pem,
            ..access.identity.clone()
        };
        let fits = access
            .trust
            .client(&identity)
            .map(drop)
            .map_err(|error| crate::chain(&error));
        let stored = fits.and_then(|()| {
            self.home
                .store_certificate(&identity.certificate_pem)
                .map_err(|error| crate::chain(&error))
        });
        match stored {
            Ok(()) => {
                tracing::info!("the certificate was renewed");
                access.identity = identity;
            }
            Err(error) => tracing::error!("a new certificate is not used: {error}"),
        }
    }

    /// Begins to work on a request; its answer comes through the queue.
    fn begin(&self, request: u64, task: Task, answers: &mpsc::Sender<FromAgent>, tasks: &Arc<Semaphore>) {
        let answers = answers.clone();
        let Ok(permit) = tasks.clone().try_acquire_owned() else {
            let outcome = Err(Problem::new(Code::Unreachable).with("reason", "busy"));
            tokio::spawn(async move { answers.send(FromAgent::Answer { request, outcome }).await });
            return;
        };
        let work: BoxFuture<'static, Result<Answer, Problem>> = match task {
            Task::Logs {
                placement,
                part,
                after,
                lines,
                wait,
            } => {
                let request = LogRequest::new(after, lines, wait);
                let reading = self.base.workloads.logs(placement, part, request);
                Box::pin(async { reading.await.map(Answer::Logs) })
            }
            Task::CollectLogs { job, bytes } => {
                let known = Known {
                    facts: self.observations.facts.borrow().clone(),
                    observed: self.base.workloads.observed().borrow().clone(),
                };
                let lines = collect::lines(&self.base.workloads, known.observed.as_ref());
                Box::pin(self.collector.clone().collect(job, bytes, known, lines))
            }
            Task::FetchFile {
                job,
                placement,
                part,
                path,
                bytes,
            } => {
                let file = self
                    .base
                    .workloads
                    .copy_out(placement, part, path, self.collector.folder(), bytes);
                Box::pin(self.collector.clone().send_file(job, file))
            }
            Task::Download { job, from, rules } => Box::pin(self.software.download(job, from, rules)),
            Task::Switch { job, rules } => Box::pin(std::future::ready(self.software.switch(job, &rules))),
        };
        tokio::spawn(async move {
            let outcome = work.await;
            drop(permit);
            // Nobody waits for it when the link has ended.
            let _ = answers.send(FromAgent::Answer { request, outcome }).await;
        });
    }

    /// The node is no longer of the lab: nothing of it stays.
    async fn be_removed(&mut self, home: &Home) -> Result<Ending, AgentError> {
        tracing::info!("this node was taken out of the lab: removing everything");
        if !self.base.workloads.remove_all(REMOVE_MAX).await {
            return Err(AgentError::LeftBehind);
        }
        self.base.outsides.remove();
        self.metering.stop().await;
        metering::end(&self.sources, self.base.state.node);
        if let Err(error) = service::remove() {
            tracing::warn!("removing the service: {error}");
        }
        home.remove()?;
        Ok(Ending::Removed)
    }
}

/// Tells how far a download has come; one that has ended, well or not, changes the facts.
async fn tell_progress(
    link: &mut Link,
    progress: &mut watch::Receiver<Option<(JobId, u8)>>,
    facts: &mut watch::Receiver<Option<Facts>>,
) -> Result<(), LinkError> {
    let told = *progress.borrow_and_update();
    if told.is_none_or(|(_, percent)| percent == 100) {
        facts.mark_changed();
    }
    match told {
        Some((job, percent)) => send(link, FromAgent::Progress { job, percent }).await,
        None => Ok(()),
    }
}

/// Sends a frame; one that is too large is passed over, because sending it again would not help.
async fn send(link: &mut Link, frame: FromAgent) -> Result<(), LinkError> {
    match link.send(&frame).await {
        Err(LinkError::Frame(error)) => {
            tracing::error!("not sent: {}", crate::chain(&error));
            match frame {
                FromAgent::Answer { request, .. } => {
                    let outcome = Err(Problem::new(Code::TooLarge));
                    link.send(&FromAgent::Answer { request, outcome }).await
                }
                _ => Ok(()),
            }
        }
        other => other,
    }
}

/// Between half and the whole of a time, so that a lab does not come back in one moment.
fn jittered(time: Duration) -> Duration {
    let mut byte = [0_u8; 2];
    // Without randomness all wait equally long, which still works.
    let _ = SystemRandom::new().fill(&mut byte);
    let share = f64::from(u16::from_le_bytes(byte)) / f64::from(u16::MAX);
    time.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_stays_full_until_there_is_space() {
        let gib = 1 << 30;
        assert!(is_low(100 * gib, 200 << 20, false) && !is_low(100 * gib, 300 << 20, false));
        assert!(is_low(100 * gib, 300 << 20, true) && !is_low(100 * gib, 400 << 20, true));
        // Of a small disk a twentieth.
        assert!(!is_low(gib, 60 << 20, false) && is_low(gib, 40 << 20, false));
    }

    #[test]
    fn jitter_stays_within_half_and_whole() {
        for _ in 0..1_000 {
            let wait = jittered(BACKOFF_MAX);
            assert!(wait >= BACKOFF_MAX / 2 && wait <= BACKOFF_MAX, "{wait:?}");
        }
    }
}
