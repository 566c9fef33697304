//! The small process between the agent and a workload's process: writes its log, tells how it ended, stops it.
//!
//! It is the same program with another word, in a session of its own, so that a workload outlives the agent and the
//! agent learns afterwards what became of it.

use super::{STOP_SECONDS, logfile};
use crate::home;
use edgedeck_model::Time;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, setsid},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs, io,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
    signal::unix::{SignalKind, signal},
    sync::Mutex,
    task::JoinHandle,
};

/// What to run; written by the agent.
pub const TASK_FILE: &str = "task.json";
/// How it runs; written by the supervisor.
pub const RUN_FILE: &str = "run.json";
/// Longest piece of a line that is held.
const PIECE_MAX: usize = edgedeck_protocol::LOG_LINE_MAX;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Where it runs and may write.
    pub folder: PathBuf,
    pub logs: PathBuf,
}

/// One run of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunState {
    /// Process ids mean nothing after another boot.
    pub boot_id: String,
    pub supervisor: ProcessId,
    pub process: ProcessId,
    pub since: Time,
    pub end: Option<End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub at: Time,
    /// 128 + n for an end by signal n.
    pub exit_code: i32,
}

/// A process, told from a later one with the same number by when it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    pub pid: i32,
    /// Clock ticks since the boot.
    pub began: u64,
}

impl ProcessId {
    /// The process that has this number now; `None` when there is none, or only what is left of one.
    pub fn find(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets can hold anything, brackets too.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let began = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, began })
    }

    pub fn is_alive(self) -> bool {
        Self::find(self.pid) == Some(self)
    }
}

pub fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

/// Reads a JSON file of the agent's own; `None` when it is not there or not whole.
pub fn load<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// # Errors
/// Those of the file system.
pub fn store<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    home::replace(path, &serde_json::to_vec(value)?)
}

/// Runs the task in this folder until it ends. Says `started`, or why not, on standard output.
///
/// # Errors
/// When the task could not be started or its end not be written down.
pub async fn run(folder: &Path) -> io::Result<()> {
    // Fails only for the leader of a group, which has left already.
    let _ = setsid();
    match start(folder).await {
        Ok(running) => {
            println!("started");
            running.until_end().await
        }
        Err(error) => {
            println!("{error}");
            Err(error)
        }
    }
}

/// A program in a task's place: its folder, its variables, a group of its own.
pub fn command_of(task: &Task, program: impl AsRef<OsStr>) -> Command {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned());
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", &task.folder)
        .envs(&task.env)
        .current_dir(&task.folder)
        .process_group(0);
    command
}

struct Running {
    child: tokio::process::Child,
    state: RunState,
    file: PathBuf,
    readers: [JoinHandle<()>; 2],
}

async fn start(folder: &Path) -> io::Result<Running> {
    let task: Task = load(&folder.join(TASK_FILE)).ok_or_else(|| io::Error::other("there is no task"))?;
    let log = logfile::LogWriter::open(&task.logs, logfile::FILE_BYTES)?;
    let mut child = command_of(&task, &task.program)
        .args(&task.args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = Arc::new(Mutex::new(log));
    let (output, error) = (child.stdout.take(), child.stderr.take());
    let readers = [
        tokio::spawn(copy(output, false, log.clone())),
        tokio::spawn(copy(error, true, log)),
    ];
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or(0);
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    // A program that has ended already is still there to be asked how.
    let process = ProcessId::find(pid).unwrap_or(ProcessId { pid, began: 0 });
    let supervisor = ProcessId::find(own).unwrap_or(ProcessId { pid: own, began: 0 });
    let boot_id = crate::facts::boot_id(&crate::sources::Sources::default());
    let state = RunState {
        boot_id,
        supervisor,
        process,
        since: crate::now(),
        end: None,
    };
    let file = folder.join(RUN_FILE);
    store(&file, &state)?;
    Ok(Running {
        child,
        state,
        file,
        readers,
    })
}

impl Running {
    async fn until_end(mut self) -> io::Result<()> {
        let group = Pid::from_raw(self.state.process.pid);
        let mut asked = signal(SignalKind::terminate())?;
        let status = tokio::select! {
            status = self.child.wait() => status?,
            _ = asked.recv() => {
                // Who has ended needs no signal.
                let _ = killpg(group, Signal::SIGTERM);
                let patience = Duration::from_secs(STOP_SECONDS.into());
                match tokio::time::timeout(patience, self.child.wait()).await {
                    Ok(status) => status?,
                    Err(_) => {
                        let _ = killpg(group, Signal::SIGKILL);
                        self.child.wait().await?
                    }
                }
            }
        };
        // What it started and did not end goes with it, and with that the pipes come to their ends.
        let _ = killpg(group, Signal::SIGKILL);
        for reader in self.readers {
            let _ = tokio::time::timeout(Duration::from_secs(2), reader).await;
        }
        self.state.end = Some(End {
            at: crate::now(),
            exit_code: exit_code(status),
        });
        store(&self.file, &self.state)
    }
}

async fn copy(output: Option<impl AsyncRead + Unpin>, error: bool, log: Arc<Mutex<logfile::LogWriter>>) {
    let Some(output) = output else { return };
    let mut reader = BufReader::with_capacity(PIECE_MAX, output);
    let mut line: Vec<u8> = Vec::new();
    while let Ok(bytes) = reader.fill_buf().await {
        if bytes.is_empty() {
            break;
        }
        let room = PIECE_MAX.saturating_sub(line.len());
        let newline = bytes.iter().take(room).position(|byte| *byte == b'\n');
        let take = newline.unwrap_or(bytes.len().min(room));
        line.extend_from_slice(bytes.get(..take).unwrap_or_default());
        reader.consume(take + usize::from(newline.is_some()));
        if newline.is_some() || line.len() >= PIECE_MAX {
            // With the disk full the log has a gap; the program is not stopped for it.
            let _ = log.lock().await.write(crate::now(), error, &line);
            line.clear();
        }
    }
    if !line.is_empty() {
        let _ = log.lock().await.write(crate::now(), error, &line);
    }
}
