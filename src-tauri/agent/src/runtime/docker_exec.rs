//! Commands inside containers, for probes.

use super::{docker::Docker, probe};
use crate::reconcile::{Outcome, PartKey, Purpose, Trial};
use bollard::{
    Docker as Client,
    errors::Error,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use futures::StreamExt;
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, fs, time::Duration};
use tokio::time::timeout;

/// How long the engine has to tell of a command that came to its time.
const ENDING: Duration = Duration::from_secs(5);

/// Commands that outlived their time and could not be ended.
#[derive(Default)]
pub struct Stuck(Mutex<BTreeMap<(PartKey, Purpose), String>>);

impl Docker {
    /// Runs a command in a container and waits for its end, at most this long; then it is killed.
    pub(super) async fn exec_in(&self, trial: &Trial, command: &[String], patience: Duration) -> Outcome {
        let Ok(client) = self.client().await else {
            return Outcome::Unknown;
        };
        let program = command.first().map_or("", String::as_str);
        let late = || Outcome::Failed(format!("{program}: {}", probe::too_late(patience)));
        let place = (trial.key.clone(), trial.purpose);
        let stuck = self.stuck.0.lock().get(&place).cloned();
        if let Some(id) = stuck {
            // One more each time would fill the box with them.
            let still = client
                .inspect_exec(&id)
                .await
                .is_ok_and(|found| found.running == Some(true));
            if still && !end(&client, &id).await {
                return late();
            }
            self.stuck.0.lock().remove(&place);
        }
        let options = CreateExecOptions {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let made = timeout(patience, client.create_exec(&trial.key.name(), options)).await;
        let id = match made {
            Ok(Ok(made)) => made.id,
            Ok(Err(error)) => return refused(program, &error),
            Err(_) => return Outcome::Unknown,
        };
        match timeout(patience, run(&client, &id, command)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => refused(program, &error),
            Err(_) => {
                if !end(&client, &id).await {
                    self.stuck.0.lock().insert(place, id);
                }
                late()
            }
        }
    }
}

async fn run(client: &Client, id: &str, command: &[String]) -> Result<Outcome, Error> {
    let mut printed = Vec::new();
    let options = StartExecOptions::default();
    if let StartExecResults::Attached { mut output, .. } = client.start_exec(id, Some(options)).await? {
        // All is read, so that the command does not wait for somebody to read it; little is kept.
        while let Some(piece) = output.next().await {
            let piece = piece?.into_bytes();
            let room = probe::OUTPUT_MAX.saturating_sub(printed.len());
            printed.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
        }
    }
    let found = client.inspect_exec(id).await?;
    Ok(match found.exit_code {
        Some(code) => probe::judge(command, code, &printed),
        None => Outcome::Unknown,
    })
}

/// What the engine's refusal says about the part: a program that is not there is a failure, a container that is just
/// ending or an engine in trouble is none.
fn refused(program: &str, error: &Error) -> Outcome {
    match error {
        Error::DockerResponseServerError {
            status_code: 404 | 409, ..
        } => Outcome::Unknown,
        Error::DockerResponseServerError { status_code, message }
            if *status_code < 500 || message.contains("exec failed") =>
        {
            Outcome::Failed(format!("{program}: {message}"))
        }
        _ => Outcome::Unknown,
    }
}

/// Kills a command in a container: the engine's API has no word for that. Tells whether it is gone.
async fn end(client: &Client, id: &str) -> bool {
    let ending = async {
        let found = client.inspect_exec(id).await.ok()?;
        if found.running != Some(true) {
            return Some(());
        }
        let pid = i32::try_from(found.pid?).ok().filter(|pid| *pid > 1)?;
        let container = found.container_id.filter(|container| container.len() >= 12)?;
        // The number means something only on this box, and only as long as it is one of the container's.
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        if !groups.contains(&container) {
            return None;
        }
        let pid = Pid::from_raw(pid);
        // It leads a group of its own, in which is what it started.
        match getpgid(Some(pid)) {
            Ok(group) if group == pid => killpg(pid, Signal::SIGKILL).ok(),
            _ => kill(pid, Signal::SIGKILL).ok(),
        }
    };
    match timeout(ENDING, ending).await {
        Ok(Some(())) => true,
        _ => {
            tracing::warn!(id, "cannot end a probe's command");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_part_is_to_blame_for_is_a_failure() {
        let server = |status_code, message: &str| Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        };
        for (status, message) in [
            (
                400,
                "OCI runtime exec failed: exec: \"x\": executable file not found in $PATH",
            ),
            (500, "OCI runtime exec failed: unable to start container process"),
        ] {
            assert!(
                matches!(refused("x", &server(status, message)), Outcome::Failed(_)),
                "{message}"
            );
        }
        for (status, message) in [
            (404, "No such container"),
            (409, "container is not running"),
            (500, "disk full"),
        ] {
            assert_eq!(refused("x", &server(status, message)), Outcome::Unknown, "{message}");
        }
        assert_eq!(
            refused("x", &Error::SocketNotFoundError("x".to_owned())),
            Outcome::Unknown
        );
    }
}
