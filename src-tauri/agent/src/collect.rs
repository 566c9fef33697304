//! Packing this node's logs, and sending them to the engine.

use crate::{
    join,
    runtime::{LogRequest, package::EngineAccess},
    sources::Sources,
    workloads::Workloads,
};
use edgedeck_model::{Code, JobId, Problem, node::Facts};
use edgedeck_protocol::{Answer, JOB_PATH, LOG_LINES_MAX, Observed, SHA256_HEADER};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{RwLock, Semaphore},
    time::timeout,
};

/// Of the machine; none holds a secret.
const SYSTEM: &[&str] = &[
    "proc/meminfo",
    "proc/loadavg",
    "proc/uptime",
    "proc/mounts",
    "etc/os-release",
];
/// Newest lines of the agent's own journal.
const JOURNAL_LINES: &str = "5000";
const JOURNAL_TIME: Duration = Duration::from_secs(10);
/// How long the log of one part may take, and the whole.
const READING_TIME: Duration = Duration::from_secs(20);
const TIME: Duration = Duration::from_secs(600);

/// Collects for one job at a time.
#[derive(Clone)]
pub struct Collector {
    folder: PathBuf,
    sources: Sources,
    access: Arc<RwLock<EngineAccess>>,
    turn: Arc<Semaphore>,
}

/// What is known of the node at the moment.
pub struct Known {
    pub facts: Option<Facts>,
    pub observed: Option<Observed>,
}

impl Collector {
    /// Archives are written into `folder` until they are sent.
    pub fn new(folder: PathBuf, sources: Sources, access: Arc<RwLock<EngineAccess>>) -> Self {
        Self {
            folder,
            sources,
            access,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Packs and sends.
    ///
    /// # Errors
    /// [`Code::TooLarge`], or why it could not be written or sent.
    pub async fn collect(self, job: JobId, most: u64, known: Known, lines: Vec<Lines>) -> Result<Answer, Problem> {
        let collecting = timeout(TIME, self.collect_in_time(job, most, known, lines));
        collecting
            .await
            .unwrap_or_else(|_| Err(Problem::new(Code::Unreachable)))
    }

    async fn collect_in_time(&self, job: JobId, most: u64, known: Known, lines: Vec<Lines>) -> Result<Answer, Problem> {
        // One that was begun before, for an engine that has forgotten it or for a job that was stopped, ends first.
        let _turn = self.turn.acquire().await.map_err(Problem::internal)?;
        let mut texts = Vec::new();
        for Lines { name, reading } in lines {
            // A part that has no log yet, or no container, has nothing to tell.
            if let Ok(Ok(page)) = timeout(READING_TIME, reading).await {
                let text: String = page
                    .lines
                    .iter()
                    .map(|line| format!("{} {}\n", line.at.0, line.text))
                    .collect();
                texts.push((name, text.into_bytes()));
            }
        }
        texts.extend(
            journal(&self.sources)
                .await
                .map(|journal| ("agent/journal.log".to_owned(), journal)),
        );
        let (folder, sources) = (self.folder.clone(), self.sources.clone());
        let packing = tokio::task::spawn_blocking(move || pack(&folder, &sources, &known, texts, most));
        let packed = packing.await.map_err(Problem::internal)?;
        let packed = packed.map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => Problem::new(Code::TooLarge).with("max", most),
            _ => Problem::internal(format!("packing the logs: {error}")),
        })?;
        self.send(job, packed).await
    }

    /// Where files lie until they are sent.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Sends a file once it is there.
    ///
    /// # Errors
    /// Those of `file`, or why it could not be sent.
    pub async fn send_file(
        self,
        job: JobId,
        file: impl Future<Output = Result<Copied, Problem>> + Send,
    ) -> Result<Answer, Problem> {
        let sending = timeout(TIME, async { self.send(job, file.await?).await });
        sending.await.unwrap_or_else(|_| Err(Problem::new(Code::Unreachable)))
    }

    async fn send(&self, job: JobId, copied: Copied) -> Result<Answer, Problem> {
        let Copied { file, sha256, bytes } = copied;
        let access = self.access.read().await.clone();
        let tls = access
            .trust
            .client(&access.identity)
            .map_err(|error| Problem::internal(crate::chain(&error)))?;
        let client = join::client(tls).map_err(|error| Problem::internal(crate::chain(&error)))?;
        let mut last = Problem::new(Code::Unreachable);
        for address in &access.addresses {
            let mut file = file.try_clone().map_err(Problem::internal)?;
            file.rewind().map_err(Problem::internal)?;
            let sent = client
                .put(format!("https://{address}{JOB_PATH}/{job}"))
                .header(SHA256_HEADER, &sha256)
                .header("content-length", bytes)
                .body(tokio::fs::File::from_std(file))
                .send()
                .await;
            match sent {
                Ok(answer) if answer.status().is_success() => return Ok(Answer::Collected { sha256 }),
                // The engine's own refusal; another address leads to the same engine.
                Ok(answer) => {
                    let status = answer.status();
                    let refused = answer.json().await;
                    return Err(
                        refused.unwrap_or_else(|_| Problem::internal(format!("the engine answered HTTP {status}")))
                    );
                }
                Err(error) => last.detail = Some(crate::chain(&error)),
            }
        }
        Err(last)
    }
}

/// The newest lines of one part's log, to be read, and the file's name in the archive.
pub struct Lines {
    name: String,
    reading: futures::future::BoxFuture<'static, Result<edgedeck_model::api::LogPage, Problem>>,
}

/// The logs of everything that is there.
pub fn lines(workloads: &Workloads, observed: Option<&Observed>) -> Vec<Lines> {
    let instances = observed
        .map(|observed| observed.instances.as_slice())
        .unwrap_or_default();
    let parts = instances.iter().flat_map(|instance| {
        instance
            .parts
            .iter()
            .map(|part| (instance.placement, part.name.clone()))
    });
    parts
        .map(|(placement, part)| Lines {
            name: format!("workloads/{placement}-{part}.log"),
            reading: Box::pin(workloads.logs(placement, part, LogRequest::new(0, LOG_LINES_MAX, 0))),
        })
        .collect()
}

/// The agent's own journal, where systemd keeps one.
async fn journal(sources: &Sources) -> Option<Vec<u8>> {
    if !sources.is_real() {
        return None;
    }
    let asked = tokio::process::Command::new("journalctl")
        .args([
            "--unit",
            crate::service::UNIT,
            "--lines",
            JOURNAL_LINES,
            "--no-pager",
            "--output",
            "short-iso",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(JOURNAL_TIME, asked).await.ok()?.ok()?;
    output.status.success().then_some(output.stdout)
}

/// A file to be sent.
pub struct Copied {
    pub file: File,
    /// In hex.
    pub sha256: String,
    pub bytes: u64,
}

/// A file that counts and hashes what is written, and takes no more than it may.
pub struct Bounded {
    file: File,
    hash: Sha256,
    bytes: u64,
    most: u64,
}

impl Bounded {
    /// One without a name, in this folder.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn in_folder(folder: &Path, most: u64) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile_in(folder)?,
            hash: Sha256::new(),
            bytes: 0,
            most,
        })
    }

    pub fn end(self) -> Copied {
        Copied {
            file: self.file,
            sha256: hex::encode(self.hash.finalize()),
            bytes: self.bytes,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes + bytes.len() as u64 > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn pack(
    folder: &Path,
    sources: &Sources,
    known: &Known,
    texts: Vec<(String, Vec<u8>)>,
    most: u64,
) -> io::Result<Copied> {
    let out = Bounded::in_folder(folder, most)?;
    let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::default()));
    let now = u64::try_from(crate::now().0 / 1_000).unwrap_or(0);
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(now);
        archive.append_data(&mut header, name, bytes)
    };
    let about = serde_json::json!({ "agent": crate::version(), "facts": known.facts, "observed": known.observed });
    add("agent/about.json", serde_json::to_string_pretty(&about)?.as_bytes())?;
    for path in SYSTEM {
        let mut bytes = Vec::new();
        let read = File::open(sources.path(path)).and_then(|file| file.take(1 << 20).read_to_end(&mut bytes));
        if read.is_ok() {
            add(&format!("system/{}", path.replace('/', "-")), &bytes)?;
        }
    }
    for (name, bytes) in texts {
        add(&name, &bytes)?;
    }
    Ok(archive.into_inner()?.finish()?.end())
}
