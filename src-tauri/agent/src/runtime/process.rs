//! Processes out of packages, each under a small supervisor of its own.

use super::{
    LogRequest, Runtime, STOP_SECONDS, logfile, npu_check,
    package::Packages,
    process_exec,
    supervise::{self, End, RUN_FILE, RunState, TASK_FILE, Task},
};
use crate::{
    facts,
    home::Home,
    observer,
    reconcile::{Kind, Outcome, PartKey, Seen, SeenState, Trial, Trouble},
    sources::Sources,
};
use edgedeck_model::{
    Problem, VersionId,
    api::LogPage,
    app::{Part, Run},
    deployment::Reason,
};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    net::{IpAddr, Ipv4Addr},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    sync::{Mutex, Notify},
    time::{Instant, timeout},
};

/// What a work folder was made for.
const PART_FILE: &str = "part.json";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Made {
    key: PartKey,
    version: VersionId,
    hash: String,
    package: String,
}

/// The supervisor of processes.
pub struct Processes {
    home: Home,
    packages: Packages,
    /// The agent's own program, which is also the supervisor.
    program: PathBuf,
    boot_id: String,
    wake: Arc<Notify>,
    /// Packages that are fetched and about to be used.
    claims: Mutex<BTreeMap<PartKey, String>>,
}

impl Processes {
    /// `wake` is told when a process ends.
    pub fn new(home: Home, packages: Packages, program: PathBuf, wake: Arc<Notify>) -> Self {
        let boot_id = facts::boot_id(&Sources::default());
        Self {
            home,
            packages,
            program,
            boot_id,
            wake,
            claims: Mutex::new(BTreeMap::new()),
        }
    }

    fn folder(&self, key: &PartKey) -> PathBuf {
        self.home.work().join(key.name())
    }

    fn logs_of(&self, key: &PartKey) -> PathBuf {
        self.home.logs().join(key.name())
    }

    /// What is known of a work folder; `None` for one that was never completed.
    fn read(&self, folder: &Path) -> Option<Seen> {
        let made: Made = supervise::load(&folder.join(PART_FILE))?;
        let run: Option<RunState> = supervise::load(&folder.join(RUN_FILE));
        let (run, state) = match run {
            None => (String::new(), SeenState::Made),
            Some(run) => (name_of(&run), self.state(folder, run)),
        };
        Some(Seen {
            key: made.key,
            kind: Kind::Process,
            version: made.version,
            hash: made.hash,
            run,
            state,
            unhealthy: false,
        })
    }

    fn state(&self, folder: &Path, mut run: RunState) -> SeenState {
        let since = run.since;
        let end = match run.end {
            Some(end) => end,
            None if run.boot_id == self.boot_id && run.supervisor.is_alive() => return SeenState::Running { since },
            None => {
                // It may have written its end between the two looks.
                let again: Option<RunState> = supervise::load(&folder.join(RUN_FILE));
                if let Some(end) = again
                    .filter(|again| again.process == run.process)
                    .and_then(|again| again.end)
                {
                    end
                } else {
                    // The supervisor was killed, or the power went: nothing of it may go on unseen.
                    if run.boot_id == self.boot_id && run.process.is_alive() {
                        let _ = killpg(Pid::from_raw(run.process.pid), Signal::SIGKILL);
                    }
                    let end = End {
                        at: crate::now(),
                        exit_code: 128 + Signal::SIGKILL as i32,
                    };
                    run.end = Some(end);
                    if let Err(error) = supervise::store(&folder.join(RUN_FILE), &run) {
                        tracing::warn!("writing down the end of a process: {error}");
                    }
                    end
                }
            }
        };
        SeenState::Ended {
            since,
            finished_at: end.at,
            exit_code: end.exit_code,
            out_of_memory: false,
        }
    }

    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        match fs::read_dir(self.home.work()) {
            Ok(entries) => Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn make(&self, key: &PartKey, part: &Part, version: VersionId, hash: &str) -> Result<(), Trouble> {
        let Run::Process(process) = &part.run else {
            return Ok(());
        };
        let disk = |error: io::Error| Trouble::new(Reason::Refused, format!("making the work folder: {error}"));
        let top = self.packages.folder_of(&process.package);
        if !top.is_dir() {
            return Err(Trouble::new(
                Reason::PackageMissing,
                "the package is not there any more",
            ));
        }
        let program = top.join(&process.program);
        let meta = fs::symlink_metadata(&program).ok().filter(fs::Metadata::is_file);
        let Some(meta) = meta else {
            return Err(Trouble::new(Reason::ProgramMissing, &process.program));
        };
        // Archives made elsewhere often lose the bit.
        if meta.permissions().mode() & 0o111 == 0 {
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(disk)?;
        }
        let folder = self.folder(key);
        let data = folder.join("data");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data)
            .map_err(disk)?;
        let mut env = part.env.clone();
        env.entry("EDGEDECK_PACKAGE".to_owned())
            .or_insert_with(|| top.display().to_string());
        let task = Task {
            program,
            args: part.args.clone(),
            env,
            folder: data,
            logs: self.logs_of(key),
        };
        supervise::store(&folder.join(TASK_FILE), &task).map_err(disk)?;
        let made = Made {
            key: key.clone(),
            version,
            hash: hash.to_owned(),
            package: process.package.clone(),
        };
        // Last: with this file the folder counts.
        supervise::store(&folder.join(PART_FILE), &made).map_err(disk)
    }

    async fn spawn(&self, folder: &Path) -> Result<(), Trouble> {
        let refused = |detail: String| Trouble::new(Reason::Refused, detail);
        let mut supervisor = Command::new(&self.program)
            .arg("supervise")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| refused(format!("starting {}: {error}", self.program.display())))?;
        let mut said = String::new();
        if let Some(output) = supervisor.stdout.take() {
            let mut output = BufReader::new(output);
            let line = timeout(Duration::from_secs(15), output.read_line(&mut said)).await;
            if !matches!(line, Ok(Ok(_))) {
                said = "the supervisor says nothing".to_owned();
            }
        }
        let wake = self.wake.clone();
        tokio::spawn(async move {
            let _ = supervisor.wait().await;
            wake.notify_one();
        });
        if said.trim() == "started" {
            Ok(())
        } else {
            Err(refused(said.trim().to_owned()))
        }
    }

    async fn stop_in(&self, folder: &Path) -> Result<(), Trouble> {
        let Some(run) = supervise::load::<RunState>(&folder.join(RUN_FILE)) else {
            return Ok(());
        };
        if run.end.is_some() || run.boot_id != self.boot_id {
            return Ok(());
        }
        let is_there = || run.supervisor.is_alive() || run.process.is_alive();
        if run.supervisor.is_alive() {
            let _ = kill(Pid::from_raw(run.supervisor.pid), Signal::SIGTERM);
        } else if run.process.is_alive() {
            let _ = killpg(Pid::from_raw(run.process.pid), Signal::SIGTERM);
        }
        let insist = Instant::now() + Duration::from_secs(u64::from(STOP_SECONDS) + 5);
        while is_there() {
            if Instant::now() > insist && run.process.is_alive() {
                let _ = killpg(Pid::from_raw(run.process.pid), Signal::SIGKILL);
            }
            if Instant::now() > insist + Duration::from_secs(5) {
                return Err(Trouble::new(
                    Reason::Refused,
                    format!("process {} does not end", run.process.pid),
                ));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Removes packages that no work folder uses.
    pub async fn collect_packages(&self) {
        let mut used: BTreeSet<String> = self.claims.lock().await.values().cloned().collect();
        let Ok(folders) = self.folders() else { return };
        let made = folders
            .iter()
            .filter_map(|folder| supervise::load::<Made>(&folder.join(PART_FILE)));
        used.extend(made.map(|made| made.package));
        if let Err(error) = self.packages.keep_only(&used) {
            tracing::warn!("removing packages that nobody uses: {error}");
        }
    }
}

fn name_of(run: &RunState) -> String {
    format!("{} {} {}", run.boot_id, run.process.pid, run.since.0)
}

impl Runtime for Processes {
    async fn look(&self) -> Option<Vec<Seen>> {
        let folders = self
            .folders()
            .inspect_err(|error| tracing::warn!("reading the work folders: {error}"))
            .ok()?;
        Some(folders.iter().filter_map(|folder| self.read(folder)).collect())
    }

    async fn look_at(&self, key: &PartKey) -> Result<Option<Seen>, Trouble> {
        Ok(self.read(&self.folder(key)))
    }

    async fn fetch(&self, key: &PartKey, part: &Part) -> Result<(), Trouble> {
        let Run::Process(process) = &part.run else {
            return Ok(());
        };
        npu_check::check(&part.resources, &observer::npu_tool()).await?;
        self.claims.lock().await.insert(key.clone(), process.package.clone());
        self.packages.fetch(&process.package).await
    }

    async fn start(&self, key: &PartKey, part: &Part, version: VersionId, hash: &str) -> Result<(), Trouble> {
        let folder = self.folder(key);
        match self.read(&folder) {
            Some(seen) if seen.hash != hash => self.remove(key).await?,
            Some(Seen {
                state: SeenState::Running { .. },
                ..
            }) => return Ok(()),
            _ => {}
        }
        self.make(key, part, version, hash)?;
        self.claims.lock().await.remove(key);
        self.spawn(&folder).await
    }

    async fn stop(&self, key: &PartKey) -> Result<(), Trouble> {
        self.stop_in(&self.folder(key)).await
    }

    async fn remove(&self, key: &PartKey) -> Result<(), Trouble> {
        self.stop(key).await?;
        for folder in [self.folder(key), self.logs_of(key)] {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Trouble::new(
                        Reason::Refused,
                        format!("removing {}: {error}", folder.display()),
                    ));
                }
                _ => {}
            }
        }
        self.collect_packages().await;
        Ok(())
    }

    async fn address(&self, _: &PartKey, _: &Part) -> Result<Option<IpAddr>, Trouble> {
        Ok(Some(Ipv4Addr::LOCALHOST.into()))
    }

    async fn exec(&self, trial: &Trial, command: &[String], patience: Duration) -> Outcome {
        match supervise::load::<Task>(&self.folder(&trial.key).join(TASK_FILE)) {
            Some(task) => process_exec::exec(&task, command, patience).await,
            None => Outcome::Unknown,
        }
    }

    async fn logs(&self, key: &PartKey, request: LogRequest) -> Result<LogPage, Problem> {
        logfile::read(&self.logs_of(key), request)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Problem::not_found("placement"),
                _ => Problem::internal(format!("reading a log: {error}")),
            })
    }
}
