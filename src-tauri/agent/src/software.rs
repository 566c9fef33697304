//! Other versions of the agent itself: downloaded, checked, and kept until the lab wants one to run.
//!
//! `software/` in the agent's folder holds the program that waits, under its hash; `software.cbor` says which it is and
//! what became of it. `switch` makes it run.

use crate::{
    fetch::{FetchError, fetch},
    home::{Home, HomeError},
    identity, join,
    runtime::package::EngineAccess,
};
use edgedeck_model::{
    Code, JobId, Problem,
    software::{Manifest, NAME, PACKAGE_BYTES_MAX, Rules, compare},
};
use edgedeck_protocol::{
    Answer, PACKAGE_PATH, SoftwareFrom,
    software::{Opened, PackageError, hash, open},
};
use futures::{
    FutureExt,
    future::{AbortHandle, BoxFuture, Shared, abortable},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{BufReader, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tempfile::NamedTempFile;
use tokio::sync::{RwLock, watch};

const KEPT: &str = "software.cbor";
const FOLDER: &str = "software";
/// The lab's key for software, in hex.
const KEY: &str = "software.key";
/// How long a package has to come and be checked.
const DOWNLOAD_TIME: Duration = Duration::from_secs(30 * 60);
/// How long a program has to tell its version.
const VERSION_TIME: Duration = Duration::from_secs(10);

/// What an agent must not forget of its versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// Downloaded, and not run yet.
    pub waiting: Option<Waiting>,
    pub trial: Option<Trial>,
    /// How the last switch ended.
    pub last: Option<Last>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    pub job: JobId,
    pub version: String,
    /// Of the program.
    pub sha256: String,
    /// By the lab.
    #[serde(default)]
    pub signed: bool,
}

/// A switch that has not ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    pub job: JobId,
    pub version: String,
    pub sha256: String,
    /// How long the new version has to say that it is well.
    pub seconds: u32,
    /// The new version was started; an agent that finds this at its start was interrupted.
    pub begun: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Last {
    pub job: JobId,
    pub version: String,
    pub problem: Option<Problem>,
}

impl Kept {
    /// A damaged one is as good as none: the version that is there runs on.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn load(home: &Home) -> Result<Self, HomeError> {
        Ok(home.load_or_none(KEPT)?.unwrap_or_default())
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn store(&self, home: &Home) -> Result<(), HomeError> {
        home.store(KEPT, self)
    }
}

/// Where a program waits.
pub fn place(home: &Home, sha256: &str) -> PathBuf {
    home.path().join(FOLDER).join(sha256)
}

/// Removes programs that wait for nothing.
pub fn sweep(home: &Home, kept: &Kept) {
    let used = kept.waiting.as_ref().map(|waiting| waiting.sha256.as_str());
    let Ok(entries) = fs::read_dir(home.path().join(FOLDER)) else {
        return;
    };
    for entry in entries.flatten() {
        if Some(entry.file_name().to_string_lossy().as_ref()) != used
            && let Err(error) = fs::remove_file(entry.path())
        {
            tracing::warn!("removing {}: {error}", entry.path().display());
        }
    }
}

/// Keeps the lab's key when a node joins.
///
/// # Errors
/// [`HomeError::Io`].
pub fn store_key(home: &Home, key: &str) -> Result<(), HomeError> {
    home.write(KEY, key.as_bytes())
}

/// Keeps the lab's key where there is none yet: who held the engine for a while must not change it.
///
/// # Errors
/// [`HomeError::Io`].
pub fn pin_key(home: &Home, key: &str) -> Result<(), HomeError> {
    match home.read(KEY) {
        Ok((_, pinned)) if pinned == key.as_bytes() => Ok(()),
        Ok(_) => {
            tracing::warn!(
                "the engine names another key for software than the one this node joined with; it is not used"
            );
            Ok(())
        }
        Err(HomeError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => store_key(home, key),
        Err(error) => Err(error),
    }
}

type Download = Shared<BoxFuture<'static, Result<Answer, Problem>>>;

/// The versions of a running agent.
pub struct Software {
    home: Home,
    access: Arc<RwLock<EngineAccess>>,
    serial: String,
    /// Why this agent does not change its version.
    fixed: Option<&'static str>,
    kept: Mutex<Kept>,
    download: Mutex<Option<(JobId, Download, AbortHandle)>>,
    /// The download that goes on, and how far it has come.
    progress: watch::Sender<Option<(JobId, u8)>>,
}

impl Software {
    pub fn new(
        home: Home,
        kept: Kept,
        access: Arc<RwLock<EngineAccess>>,
        serial: String,
        fixed: Option<&'static str>,
    ) -> Self {
        Self {
            kept: Mutex::new(kept),
            home,
            access,
            serial,
            fixed,
            download: Mutex::default(),
            progress: watch::Sender::new(None),
        }
    }

    /// Writes down what is known, where the file was found damaged.
    pub fn mend(&self) {
        if let Err(error) = self.kept.lock().store(&self.home) {
            tracing::error!("{}", crate::chain(&error));
        }
    }

    /// The version that was downloaded and waits.
    pub fn waiting(&self) -> Option<String> {
        self.kept.lock().waiting.as_ref().map(|waiting| waiting.version.clone())
    }

    /// Whether a switch was asked for that this process has to make way for.
    pub fn is_asked(&self) -> bool {
        self.kept.lock().trial.as_ref().is_some_and(|trial| !trial.begun)
    }

    pub fn progress(&self) -> watch::Receiver<Option<(JobId, u8)>> {
        self.progress.subscribe()
    }

    /// Downloads a version; whoever asks again for the same job waits for the same download. That of an earlier job, which
    /// nobody waits for any more, ends.
    pub fn download(self: &Arc<Self>, job: JobId, from: SoftwareFrom, rules: Rules) -> Download {
        let mut download = self.download.lock();
        if let Some((of, going_on, earlier)) = download.as_ref() {
            if *of == job && going_on.peek().is_none() {
                return going_on.clone();
            }
            if *of != job {
                earlier.abort();
            }
        }
        let this = self.clone();
        let (work, abort) = abortable(async move {
            if let Some(version) = this.has(job) {
                return Ok(Answer::Downloaded { version });
            }
            if let Some(reason) = this.fixed {
                return Err(Problem::conflict(reason));
            }
            let got = tokio::time::timeout(DOWNLOAD_TIME, this.get(job, from, &rules)).await;
            let version = got.map_err(|_| Problem::conflict("software-late"))??;
            Ok(Answer::Downloaded { version })
        });
        let begun = work.map(|done| done.unwrap_or_else(|_| Err(Problem::conflict("job-stopped"))));
        let begun = begun.boxed().shared();
        *download = Some((job, begun.clone(), abort));
        begun
    }

    /// The version that a job has brought already: it waits, is on trial, or runs.
    fn has(&self, job: JobId) -> Option<String> {
        let kept = self.kept.lock();
        let waiting = kept.waiting.as_ref().map(|waiting| (waiting.job, &waiting.version));
        let trial = kept.trial.as_ref().map(|trial| (trial.job, &trial.version));
        let last = kept
            .last
            .as_ref()
            .filter(|last| last.problem.is_none())
            .map(|last| (last.job, &last.version));
        let brought = [waiting, trial, last].into_iter().flatten().find(|(of, _)| *of == job);
        brought.map(|(_, version)| version.clone())
    }

    /// Begins to switch to what was downloaded, or tells how that went.
    ///
    /// # Errors
    /// [`Code::Conflict`] when nothing waits, or with why it failed.
    pub fn switch(&self, job: JobId, rules: &Rules) -> Result<Answer, Problem> {
        let mut kept = self.kept.lock();
        if let Some(last) = kept.last.as_ref().filter(|last| last.job == job) {
            return match &last.problem {
                None => Ok(Answer::Switched {
                    version: last.version.clone(),
                }),
                Some(problem) => Err(problem.clone()),
            };
        }
        match &kept.trial {
            Some(trial) if trial.job == job => return Ok(Answer::Switching),
            Some(_) => return Err(Problem::conflict("software-busy")),
            None => {}
        }
        if let Some(reason) = self.fixed {
            return Err(Problem::conflict(reason));
        }
        let waiting = kept
            .waiting
            .clone()
            .ok_or_else(|| Problem::conflict("nothing-waiting"))?;
        // What was allowed when it came may not be any more.
        if !waiting.signed && !rules.unsigned {
            return Err(Problem::conflict("software-unsigned"));
        }
        check_version(&waiting.version, rules)?;
        let asked = Kept {
            trial: Some(Trial {
                job,
                version: waiting.version,
                sha256: waiting.sha256,
                seconds: rules.trial_seconds,
                begun: false,
            }),
            ..kept.clone()
        };
        asked
            .store(&self.home)
            .map_err(|error| Problem::internal(crate::chain(&error)))?;
        *kept = asked;
        Ok(Answer::Switching)
    }

    async fn get(&self, job: JobId, from: SoftwareFrom, rules: &Rules) -> Result<String, Problem> {
        let tell = |percent| self.progress.send_replace(Some((job, percent)));
        let folder = self.home.path().join(FOLDER);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(Problem::internal)?;
        tell(10);
        let packed = match from {
            SoftwareFrom::Engine { sha256 } => self.fetch_from_engine(&folder, &sha256).await?,
            SoftwareFrom::Server {
                url,
                account,
                password,
                trusted,
            } => {
                let tls = identity::outside_client(&trusted).map_err(|error| failed(crate::chain(&error)))?;
                let client = join::client(tls).map_err(|error| failed(crate::chain(&error)))?;
                let request = client
                    .get(url)
                    .basic_auth(account, Some(password))
                    .header("nodeID", &self.serial);
                fetch(request, &folder, PACKAGE_BYTES_MAX).await.map_err(refused)?.0
            }
        };
        tell(40);
        let in_folder = folder.clone();
        let unpacking = tokio::task::spawn_blocking(move || unpack(packed, &in_folder));
        let (opened, program) = unpacking.await.map_err(Problem::internal)??;
        let signed = self.check(&opened, rules)?;
        tell(70);
        let manifest = opened.manifest;
        check_program(program.path(), &manifest).await?;
        let waiting = Waiting {
            job,
            version: manifest.version.clone(),
            sha256: manifest.sha256.clone(),
            signed,
        };
        let place = place(&self.home, &manifest.sha256);
        let stored = move || {
            program.as_file().sync_all()?;
            program.persist(&place).map_err(|error| error.error)?;
            File::open(&folder)?.sync_all()
        };
        tokio::task::spawn_blocking(stored)
            .await
            .map_err(Problem::internal)?
            .map_err(Problem::internal)?;
        {
            let mut kept = self.kept.lock();
            let with = Kept {
                waiting: Some(waiting),
                ..kept.clone()
            };
            with.store(&self.home)
                .map_err(|error| Problem::internal(crate::chain(&error)))?;
            sweep(&self.home, &with);
            *kept = with;
        }
        tell(100);
        Ok(manifest.version)
    }

    async fn fetch_from_engine(&self, folder: &Path, sha256: &str) -> Result<File, Problem> {
        let access = self.access.read().await.clone();
        let tls = access
            .trust
            .client(&access.identity)
            .map_err(|error| failed(crate::chain(&error)))?;
        let client = join::client(tls).map_err(|error| failed(crate::chain(&error)))?;
        let mut last = Problem::new(Code::Unreachable);
        for address in &access.addresses {
            let request = client.get(format!("https://{address}{PACKAGE_PATH}/{sha256}"));
            match fetch(request, folder, PACKAGE_BYTES_MAX).await {
                Ok((file, found)) if found == sha256 => return Ok(file),
                Ok(_) => return Err(Problem::invalid("package", "software-package")),
                Err(error) => last = refused(error),
            }
        }
        Err(last)
    }

    /// Whether a package may run here; and whether the lab has signed it.
    fn check(&self, opened: &Opened, rules: &Rules) -> Result<bool, Problem> {
        let manifest = &opened.manifest;
        let key = self
            .home
            .read(KEY)
            .ok()
            .and_then(|(_, key)| hex::decode(key).ok())
            .unwrap_or_default();
        let signed = opened.is_signed_by(&key);
        if !signed && !rules.unsigned {
            let reason = if opened.is_signed() {
                "software-signature"
            } else {
                "software-unsigned"
            };
            return Err(Problem::conflict(reason));
        }
        if manifest.arch != std::env::consts::ARCH {
            return Err(Problem::conflict("software-arch").with("arch", &manifest.arch));
        }
        check_version(&manifest.version, rules)?;
        Ok(signed)
    }
}

fn check_version(version: &str, rules: &Rules) -> Result<(), Problem> {
    let running = crate::version();
    if rules.lower || compare(version, running).is_gt() {
        return Ok(());
    }
    let refused = Problem::conflict("software-lower").with("version", version);
    Err(refused.with("running", running))
}

fn failed(detail: String) -> Problem {
    Problem {
        detail: Some(detail),
        ..Problem::conflict("download-failed")
    }
}

fn refused(error: FetchError) -> Problem {
    match error {
        FetchError::Status(status) => Problem::conflict("download-refused").with("status", status),
        FetchError::TooLarge(max) => Problem::new(Code::TooLarge).with("max", max),
        FetchError::Unreachable(detail) => failed(detail),
        FetchError::Disk(error) => Problem::internal(error),
    }
}

/// Unpacks the program of a package into the folder, to be run by its owner only.
fn unpack(packed: File, folder: &Path) -> Result<(Opened, NamedTempFile), Problem> {
    let mut program = NamedTempFile::new_in(folder).map_err(Problem::internal)?;
    let opened = open(BufReader::new(packed), &mut program).map_err(|error| match error {
        PackageError::Write(error) => Problem::internal(error),
        other => Problem {
            detail: Some(crate::chain(&other)),
            ..Problem::invalid("package", "software-package")
        },
    })?;
    let ready = program
        .flush()
        .and_then(|()| fs::set_permissions(program.path(), Permissions::from_mode(0o700)));
    ready.map_err(Problem::internal)?;
    Ok((opened, program))
}

/// Lets a program tell its version: one for another machine, or half of one, cannot.
async fn check_program(path: &Path, manifest: &Manifest) -> Result<(), Problem> {
    let refuse = |detail: String| Problem {
        detail: Some(detail),
        ..Problem::conflict("software-program")
    };
    // A file that is open for writing cannot be run, and this one stays open until it has its place.
    let copy = path.with_extension("check");
    let run = async {
        fs::copy(path, &copy)?;
        loop {
            let asked = tokio::process::Command::new(&copy)
                .arg("--version")
                .env_clear()
                .stdin(Stdio::null())
                .kill_on_drop(true)
                .output();
            match asked.await {
                // Another thread was just starting a process, which holds the copy open for a moment.
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                told => return told,
            }
        }
    };
    let told = tokio::time::timeout(VERSION_TIME, run)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let _gone = fs::remove_file(&copy);
    match told {
        // A folder that programs may not be run from says nothing about the program; its trial will.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(refuse(error.to_string())),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let expected = format!("{NAME} {}", manifest.version);
            if output.status.success() && said.trim() == expected {
                Ok(())
            } else {
                let said = edgedeck_model::name::tame(&said, 100);
                Err(refuse(format!("{}: {said:?} instead of {expected:?}", output.status)))
            }
        }
    }
}

/// Whether a program is the one with this hash.
pub fn is_program(path: &Path, sha256: &str) -> bool {
    File::open(path).and_then(hash).is_ok_and(|found| found == sha256)
}

/// Copies a program to another place, where it may be run. Half of one may be there if this is interrupted.
///
/// # Errors
/// Those of the file system.
pub fn copy_program(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    fs::set_permissions(to, Permissions::from_mode(0o755))?;
    File::open(to)?.sync_all()
}
