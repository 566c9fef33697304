//! Changing the version of the agent that runs.
//!
//! The agent that was asked starts itself anew, and before it does anything else it runs the new version beside itself:
//! its child, from a file of its own. Only when the child has reported over its link that it is well does its file take
//! the place of the program, by one rename. So whatever dies meanwhile, what is started next is the old version or the
//! new one, and each of them finds out from `software.cbor` how far it came.

use crate::{
    home::{self, Home, HomeError},
    session::Options,
    software::{self, Kept, Last, Trial},
};
use edgedeck_model::Problem;
use nix::{
    sys::{
        prctl,
        signal::{Signal, kill},
    },
    unistd::{Pid, getppid},
};
use std::{
    ffi::OsString,
    fs,
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Set for a new version on trial: the process that watches over it.
const WATCHER: &str = "EDGEDECK_AGENT_WATCHER";
/// What a version on trial writes on its standard output when it is well.
const WELL: &str = "edgedeck-agent is well";
/// How long a version that was well has to end.
const END_TIME: Duration = Duration::from_secs(20);

/// What to do after a switch was gone on with.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Run, as the version that this is; with what is to be known of versions, which the disk may not say.
    Run(Box<Kept>),
    /// Start the program anew: it is another one now.
    Restart,
    /// End: the node has left its lab meanwhile.
    Removed,
    /// End: somebody asked for it.
    Stopped,
}

/// Whether this process is a new version on trial. It ends with the one that watches over it.
///
/// # Errors
/// When the watching process is gone already.
pub fn is_on_trial() -> io::Result<bool> {
    let Some(watcher) = std::env::var(WATCHER).ok().and_then(|pid| pid.parse::<i32>().ok()) else {
        return Ok(false);
    };
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() == Pid::from_raw(watcher) {
        Ok(true)
    } else {
        Err(io::Error::other("the agent that watched over this trial is gone"))
    }
}

/// A version on trial says that it is well.
pub fn tell_well() {
    println!("{WELL}");
}

/// Where the new program lies beside the old one, on the same file system.
fn beside(program: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(program.file_name().unwrap_or_default());
    name.push(".trial");
    program.with_file_name(name)
}

/// Goes on with a switch that was asked for, or finds out what became of one; call it before anything else runs.
///
/// # Errors
/// When the agent's folder cannot be read.
pub async fn go_on(options: &Options, mut stop: Pin<&mut impl Future<Output = ()>>) -> Result<Next, HomeError> {
    let home = &options.home;
    let mut kept = Kept::load(home)?;
    let beside = beside(&options.program);
    let Some(trial) = kept.trial.take() else {
        clear(home, &kept, &beside);
        return Ok(Next::Run(Box::new(kept)));
    };
    let ended = |mut kept: Kept, problem: Option<Problem>| {
        if problem.is_none() {
            kept.waiting = None;
        }
        kept.last = Some(Last {
            job: trial.job,
            version: trial.version.clone(),
            problem,
        });
        kept
    };
    // What cannot be written now is found out again at the next start; the version that is there runs either way.
    let end = |kept: Kept, problem: Option<Problem>| {
        let kept = ended(kept, problem);
        // First, so that there is space for what follows.
        clear(home, &kept, &beside);
        if let Err(error) = kept.store(home) {
            tracing::error!("{}", crate::chain(&error));
        }
        kept
    };
    if trial.begun {
        end_strays(&beside);
        let is_new = software::is_program(&options.program, &trial.sha256);
        let kept = end(kept, (!is_new).then(|| Problem::conflict("software-interrupted")));
        return Ok(Next::Run(Box::new(kept)));
    }
    let begun = Kept {
        trial: Some(Trial {
            begun: true,
            ..trial.clone()
        }),
        ..kept.clone()
    };
    if let Err(error) = begun.store(home) {
        // Without a trace of its beginning a trial must not begin.
        let detail = crate::chain(&error);
        tracing::error!("{detail}");
        return Ok(Next::Run(Box::new(ended(
            kept,
            Some(because("software-place", detail)),
        ))));
    }
    tracing::info!("trying version {}", trial.version);
    match run(options, &trial, &beside, stop.as_mut()).await {
        Outcome::Well => match take_place(&beside, &options.program) {
            Ok(()) => {
                tracing::info!("version {} takes over", trial.version);
                end(kept, None);
                // Whoever asked for an end meanwhile gets it.
                let is_stopped = tokio::time::timeout(Duration::ZERO, stop).await.is_ok();
                Ok(if is_stopped { Next::Stopped } else { Next::Restart })
            }
            Err(error) => Ok(Next::Run(Box::new(end(
                kept,
                Some(because("software-place", error.to_string())),
            )))),
        },
        // Neither is gone: whoever is started next finds the trial begun, and goes on as the old version.
        Outcome::Stopped => {
            remove(&beside);
            Ok(Next::Stopped)
        }
        Outcome::Failed(_) if !home.is_joined() => {
            remove(&beside);
            Ok(Next::Removed)
        }
        Outcome::Failed(problem) => {
            tracing::warn!("version {} is not taken: {problem}", trial.version);
            Ok(Next::Run(Box::new(end(kept, Some(problem)))))
        }
    }
}

/// Ends versions on trial that nobody watches over any more; good ones have ended by themselves.
fn end_strays(beside: &Path) {
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let id = process.file_name().to_string_lossy().parse::<i32>().ok();
        // Whatever supervises a process was started by it, too, and goes on.
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let is_agent = words.split(|byte| *byte == 0).nth(1) == Some(b"run");
        let is_stray = is_agent && fs::read_link(process.path().join("exe")).is_ok_and(|program| program == beside);
        if let Some(id) = id.filter(|_| is_stray) {
            tracing::warn!("ending a version on trial (process {id}) that was left behind");
            // It may be gone by now.
            let _gone = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// Removes what no switch needs any more.
fn clear(home: &Home, kept: &Kept, beside: &Path) {
    software::sweep(home, kept);
    remove(beside);
}

fn remove(beside: &Path) {
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("removing {}: {error}", beside.display());
        }
        _ => {}
    }
}

fn because(reason: &str, detail: String) -> Problem {
    Problem {
        detail: Some(detail),
        ..Problem::conflict(reason)
    }
}

enum Outcome {
    Well,
    Failed(Problem),
    Stopped,
}

/// Runs the new version until it is well, or is not in time.
async fn run(options: &Options, trial: &Trial, beside: &Path, stop: Pin<&mut impl Future<Output = ()>>) -> Outcome {
    let waiting = software::place(&options.home, &trial.sha256);
    if let Err(error) = software::copy_program(&waiting, beside) {
        return Outcome::Failed(because("software-place", error.to_string()));
    }
    if !software::is_program(beside, &trial.sha256) {
        return Outcome::Failed(because(
            "software-place",
            "the copy is not what was downloaded".to_owned(),
        ));
    }
    let child = Command::new(beside)
        .args(std::env::args_os().skip(1))
        .env(WATCHER, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(because("software-program", error.to_string())),
    };
    // Read to the end of the child: it could not say its last words otherwise.
    let mut lines = child.stdout.take().map(|out| BufReader::new(out).lines());
    let well = async {
        if let Some(lines) = &mut lines {
            while let Ok(Some(line)) = lines.next_line().await {
                if line == WELL {
                    return;
                }
            }
        }
        // One that closes its output says no more, and may still be waited for.
        std::future::pending().await
    };
    let time = Duration::from_secs(trial.seconds.into());
    let outcome = tokio::select! {
        () = well => Outcome::Well,
        () = stop => Outcome::Stopped,
        ended = child.wait() => {
            let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            Outcome::Failed(because("software-unwell", how))
        }
        () = tokio::time::sleep(time) => Outcome::Failed(Problem::conflict("software-unwell")),
    };
    let has_time = !matches!(outcome, Outcome::Failed(_));
    end(&mut child, has_time).await;
    drop(lines);
    outcome
}

async fn end(child: &mut Child, has_time: bool) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.filter(|_| has_time) {
        // It may have ended by itself.
        let _gone = kill(Pid::from_raw(id), Signal::SIGTERM);
        if timeout(END_TIME, child.wait()).await.is_ok() {
            return;
        }
    }
    if let Err(error) = child.kill().await {
        tracing::warn!("ending a version on trial: {error}");
    }
}

fn take_place(beside: &Path, program: &Path) -> io::Result<()> {
    fs::rename(beside, program)?;
    home::sync_folder_of(program);
    Ok(())
}

/// Becomes the program anew, with the same words.
///
/// # Errors
/// When it cannot be started; this process goes on.
pub fn restart(program: &Path) -> io::Error {
    use std::os::unix::process::CommandExt;
    std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env_remove(WATCHER)
        .exec()
}
