//! Drives the reconciler: tells it what is wanted and seen, does what it says, writes down what it must remember.

use crate::{
    collect::Copied,
    home::{Home, HomeError},
    reconcile::{Action, Kind, Look, Machine, Memory, Outcome, PartKey, Purpose, Seen, Trial, Trouble},
    runtime::{
        LogRequest, Runtime,
        docker::Docker,
        probe::{self, Web},
        process::Processes,
    },
};
use edgedeck_model::{Code, PlacementId, Problem, Time, api::LogPage};
use edgedeck_protocol::{Desired, Instance, Observed};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot, watch},
    task::{AbortHandle, JoinHandle},
    time::{Instant, sleep_until},
};

const DESIRED_FILE: &str = "desired.cbor";
const MEMORY_FILE: &str = "memory.cbor";
/// The runtimes are looked at this often even if nothing seems to happen.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Images and packages that are fetched at a time.
const FETCHES: usize = 3;

enum Command {
    Want(Desired),
    Stored(u64),
    RemoveAll(oneshot::Sender<()>),
}

/// The workloads of this node; they go on when this is dropped, but nobody looks after them.
pub struct Workloads {
    commands: mpsc::UnboundedSender<Command>,
    observed: watch::Receiver<Option<Observed>>,
    generation: watch::Receiver<u64>,
    docker: Arc<Docker>,
    processes: Arc<Processes>,
    driver: JoinHandle<()>,
    watcher: JoinHandle<()>,
}

impl Drop for Workloads {
    fn drop(&mut self) {
        self.driver.abort();
        self.watcher.abort();
    }
}

impl Workloads {
    /// Takes up what was wanted when the agent last ran. `wake` is what the processes' runtime tells of ends.
    ///
    /// # Errors
    /// When the folder cannot be read; a damaged memory is not fatal, what is wanted comes again from the engine.
    pub fn start(
        home: Home,
        docker: Arc<Docker>,
        processes: Arc<Processes>,
        wake: Arc<Notify>,
    ) -> Result<Self, HomeError> {
        let memory: Memory = home.load_or_none(MEMORY_FILE)?.unwrap_or_default();
        let desired: Option<Desired> = home.load_or_none(DESIRED_FILE)?;
        let mut machine = Machine::new(memory.clone());
        if let Some(desired) = desired {
            machine.want(desired, crate::now());
        }
        let (commands, command_queue) = mpsc::unbounded_channel();
        let (observed_out, observed) = watch::channel(None);
        let (generation_out, generation) = watch::channel(machine.generation());
        let (done, done_queue) = mpsc::unbounded_channel();
        let watcher = tokio::spawn({
            let (docker, wake) = (docker.clone(), wake.clone());
            async move { docker.watch(wake).await }
        });
        let driver = Driver {
            home,
            docker: docker.clone(),
            processes: processes.clone(),
            machine,
            saved: memory,
            done,
            fetches: Arc::new(Semaphore::new(FETCHES)),
            under_way: BTreeMap::new(),
            looking: false,
            look_again: true,
            look_at: Instant::now(),
            stepped_at: crate::now(),
            trials: BTreeMap::new(),
            web: Web::default(),
            sequence: 0,
            reported: Vec::new(),
            removal_reported: BTreeMap::new(),
            observed: observed_out,
            generation: generation_out,
            waiting_for_none: Vec::new(),
        };
        let driver = tokio::spawn(driver.run(command_queue, done_queue, wake));
        Ok(Self {
            commands,
            observed,
            generation,
            docker,
            processes,
            driver,
            watcher,
        })
    }

    /// The generation of desired state that is held; 0 for none.
    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Takes what is wanted, unless something newer is known.
    pub fn want(&self, desired: Desired) {
        // The driver ends only with this.
        let _ = self.commands.send(Command::Want(desired));
    }

    /// The engine has stored the report of this sequence.
    pub fn stored(&self, sequence: u64) {
        let _ = self.commands.send(Command::Stored(sequence));
    }

    /// What there is to report; `None` before the runtimes were looked at.
    pub fn observed(&self) -> watch::Receiver<Option<Observed>> {
        self.observed.clone()
    }

    /// Stops and removes everything. False when something is left after this time.
    pub async fn remove_all(&self, within: Duration) -> bool {
        let (reply, done) = oneshot::channel();
        let _ = self.commands.send(Command::RemoveAll(reply));
        matches!(tokio::time::timeout(within, done).await, Ok(Ok(())))
    }

    /// Lines of a part's log; of the first part where none is named.
    ///
    /// # Errors
    /// [`Code::NotFound`] when nothing is there of it.
    pub fn logs(
        &self,
        placement: PlacementId,
        part: String,
        request: LogRequest,
    ) -> impl Future<Output = Result<LogPage, Problem>> + Send + use<> {
        let first = || {
            let observed = self.observed.borrow();
            let instances = observed
                .as_ref()
                .map(|observed| observed.instances.as_slice())
                .unwrap_or_default();
            let instance = instances.iter().find(|instance| instance.placement == placement);
            instance
                .and_then(|instance| Some(instance.parts.first()?.name.clone()))
                .unwrap_or_default()
        };
        let key = PartKey {
            placement,
            part: if part.is_empty() { first() } else { part },
        };
        let (docker, processes) = (self.docker.clone(), self.processes.clone());
        async move {
            match processes.logs(&key, request).await {
                Err(problem) if problem.code == Code::NotFound => docker.logs(&key, request).await,
                other => other,
            }
        }
    }
}

impl Workloads {
    /// Copies a file out of a container into a file without a name in `folder`.
    ///
    /// # Errors
    /// As for [`Docker::copy_out`].
    pub fn copy_out(
        &self,
        placement: PlacementId,
        part: String,
        path: String,
        folder: PathBuf,
        most: u64,
    ) -> impl Future<Output = Result<Copied, Problem>> + Send + use<> {
        let (docker, key) = (self.docker.clone(), PartKey { placement, part });
        async move { docker.copy_out(&key, &path, &folder, most).await }
    }
}

enum Done {
    Looked(u64, Look),
    Acted(PartKey, Result<Option<Seen>, Trouble>),
    Tried(Box<Trial>, Outcome),
}

struct Driver {
    home: Home,
    docker: Arc<Docker>,
    processes: Arc<Processes>,
    machine: Machine,
    saved: Memory,
    done: mpsc::UnboundedSender<Done>,
    fetches: Arc<Semaphore>,
    under_way: BTreeMap<PartKey, AbortHandle>,
    looking: bool,
    look_again: bool,
    look_at: Instant,
    /// When the machine was last asked what to do.
    stepped_at: Time,
    trials: BTreeMap<(PartKey, Purpose), (String, AbortHandle)>,
    web: Web,
    sequence: u64,
    reported: Vec<Instance>,
    /// The first report that said that a placement is gone.
    removal_reported: BTreeMap<PlacementId, u64>,
    observed: watch::Sender<Option<Observed>>,
    generation: watch::Sender<u64>,
    waiting_for_none: Vec<oneshot::Sender<()>>,
}

impl Driver {
    async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut done: mpsc::UnboundedReceiver<Done>,
        wake: Arc<Notify>,
    ) {
        self.processes.collect_packages().await;
        loop {
            self.step();
            let due = self.due();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                Some(done) = done.recv() => self.done(done),
                () = wake.notified() => self.look_again = true,
                () = sleep_until(due) => {
                    if self.look_at <= Instant::now() {
                        self.look_again = true;
                    }
                }
            }
        }
    }

    /// When to go on by itself.
    fn due(&self) -> Instant {
        let next = self.machine.wake_at(self.stepped_at).map(|at| {
            let ms = u64::try_from(at.since(crate::now())).unwrap_or(0);
            Instant::now() + Duration::from_millis(ms.max(5))
        });
        next.map_or(self.look_at, |at| at.min(self.look_at))
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Want(desired) if desired.generation < self.machine.generation() => {
                tracing::debug!(generation = desired.generation, "older desired state passed over");
            }
            Command::Want(desired) => {
                if self.machine.desired() == Some(&desired) {
                    return;
                }
                if let Err(error) = self.home.store(DESIRED_FILE, &desired) {
                    tracing::error!("{}", crate::chain(&error));
                }
                self.machine.want(desired, crate::now());
            }
            Command::Stored(sequence) => {
                let stored = |reported: &u64| *reported <= sequence;
                let gone: Vec<PlacementId> = self
                    .removal_reported
                    .iter()
                    .filter(|(_, reported)| stored(reported))
                    .map(|(id, _)| *id)
                    .collect();
                self.machine.removal_stored(&gone);
                self.removal_reported.retain(|_, reported| !stored(reported));
            }
            Command::RemoveAll(reply) => {
                let generation = self.machine.generation();
                self.machine.want(
                    Desired {
                        generation,
                        workloads: Vec::new(),
                    },
                    crate::now(),
                );
                self.waiting_for_none.push(reply);
                self.look_again = true;
            }
        }
    }

    fn done(&mut self, done: Done) {
        let now = crate::now();
        match done {
            Done::Looked(number, look) => {
                self.looking = false;
                self.machine.looked(number, look, now);
            }
            Done::Acted(key, outcome) => {
                self.under_way.remove(&key);
                if let Err(trouble) = &outcome {
                    tracing::warn!(part = key.name(), reason = ?trouble.reason, "{}", trouble.detail);
                }
                self.machine.finished(&key, outcome, now);
            }
            Done::Tried(trial, outcome) => {
                if let Outcome::Failed(words) = &outcome {
                    tracing::debug!(part = trial.key.name(), purpose = ?trial.purpose, "probe failed: {words}");
                }
                self.machine.tried(&trial.key, trial.purpose, &trial.run, outcome);
            }
        }
    }

    /// Everything that can be done now.
    fn step(&mut self) {
        let now = crate::now();
        self.stepped_at = now;
        if self.look_again && !self.looking {
            self.look();
        }
        for key in self.machine.obsolete() {
            if let Some(task) = self.under_way.remove(&key) {
                task.abort();
            }
            self.machine.cancelled(&key, now);
        }
        let actions = self.machine.actions(now);
        let memory = self.machine.memory();
        if memory != self.saved {
            // Without this the counts of restarts are lost with the agent, but workloads still have to be run.
            match self.home.store(MEMORY_FILE, &memory) {
                Ok(()) => self.saved = memory,
                Err(error) => tracing::error!("{}", crate::chain(&error)),
            }
        }
        for action in actions {
            self.act(action);
        }
        self.probe(now);
        self.report(now);
        if self.machine.is_ready() && self.machine.is_empty() {
            for reply in self.waiting_for_none.drain(..) {
                let _ = reply.send(());
            }
        }
    }

    fn look(&mut self) {
        self.looking = true;
        self.look_again = false;
        self.look_at = Instant::now() + LOOK_INTERVAL;
        let number = self.machine.begin_look();
        let (docker, processes, done) = (self.docker.clone(), self.processes.clone(), self.done.clone());
        tokio::spawn(async move {
            let (containers, processes) = tokio::join!(docker.look(), processes.look());
            let _ = done.send(Done::Looked(number, Look { containers, processes }));
        });
    }

    fn act(&mut self, action: Action) {
        let key = action.key().clone();
        tracing::debug!(part = key.name(), "{}", name_of(&action));
        let (docker, processes, done) = (self.docker.clone(), self.processes.clone(), self.done.clone());
        let (fetches, acting_on) = (self.fetches.clone(), key.clone());
        let task = tokio::spawn(async move {
            let outcome = match &action {
                Action::Fetch { key, part } => {
                    let _permit = fetches.acquire().await;
                    act(Kind::of(part), &docker, &processes, key, &action).await
                }
                Action::Start { key, part, .. } => act(Kind::of(part), &docker, &processes, key, &action).await,
                Action::Stop { key, kind } => act(*kind, &docker, &processes, key, &action).await,
                Action::Remove { key, containers } => remove(&docker, &processes, key, *containers).await,
            };
            let _ = done.send(Done::Acted(acting_on, outcome));
        });
        self.under_way.insert(key, task.abort_handle());
    }

    fn probe(&mut self, now: Time) {
        let due = self.machine.trials(now);
        // Also those of an earlier run, and those that are over.
        self.trials.retain(|(key, purpose), (run, task)| {
            let is_waited_for = self.machine.is_trying(key, *purpose, run) && !task.is_finished();
            if !is_waited_for {
                task.abort();
            }
            is_waited_for
        });
        for trial in due {
            let at = (trial.key.clone(), trial.purpose);
            let run = trial.run.clone();
            let (docker, processes, done) = (self.docker.clone(), self.processes.clone(), self.done.clone());
            let web = self.web.clone();
            let task = tokio::spawn(async move {
                let outcome = match Kind::of(&trial.part) {
                    Kind::Container => probe::attempt(&*docker, &web, &trial).await,
                    Kind::Process => probe::attempt(&*processes, &web, &trial).await,
                };
                let _ = done.send(Done::Tried(Box::new(trial), outcome));
            });
            self.trials.insert(at, (run, task.abort_handle()));
        }
    }

    fn report(&mut self, now: Time) {
        if !self.machine.is_ready() {
            return;
        }
        let instances = self.machine.report(now);
        let generation = self.machine.generation();
        let first = self.observed.borrow().is_none();
        if !first && instances == self.reported && *self.generation.borrow() == generation {
            return;
        }
        self.sequence += 1;
        for instance in instances.iter().filter(|instance| instance.removed) {
            self.removal_reported.entry(instance.placement).or_insert(self.sequence);
        }
        self.removal_reported
            .retain(|id, _| instances.iter().any(|one| one.removed && one.placement == *id));
        self.reported.clone_from(&instances);
        self.generation.send_replace(generation);
        self.observed.send_replace(Some(Observed {
            sequence: self.sequence,
            generation,
            instances,
        }));
    }
}

fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Fetch { .. } => "fetch",
        Action::Start { .. } => "start",
        Action::Stop { .. } => "stop",
        Action::Remove { .. } => "remove",
    }
}

async fn act(
    kind: Kind,
    docker: &Docker,
    processes: &Processes,
    key: &PartKey,
    action: &Action,
) -> Result<Option<Seen>, Trouble> {
    match kind {
        Kind::Container => act_in(docker, key, action).await,
        Kind::Process => act_in(processes, key, action).await,
    }
}

async fn act_in(runtime: &impl Runtime, key: &PartKey, action: &Action) -> Result<Option<Seen>, Trouble> {
    match action {
        Action::Fetch { part, .. } => {
            runtime.fetch(key, part).await?;
            return Ok(None);
        }
        Action::Start {
            part, version, hash, ..
        } => runtime.start(key, part, *version, hash).await?,
        Action::Stop { .. } => runtime.stop(key).await?,
        Action::Remove { .. } => runtime.remove(key).await?,
    }
    runtime.look_at(key).await
}

async fn remove(
    docker: &Docker,
    processes: &Processes,
    key: &PartKey,
    containers: bool,
) -> Result<Option<Seen>, Trouble> {
    processes.remove(key).await?;
    if !containers {
        return Ok(None);
    }
    docker.remove(key).await?;
    docker.look_at(key).await
}
