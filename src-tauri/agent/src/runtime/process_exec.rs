//! Commands beside processes, for probes.

use super::{
    probe,
    supervise::{Task, command_of, exit_code},
};
use crate::{process_group::ProcessGroup, reconcile::Outcome};
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::timeout,
};

/// Runs a command as the task's process runs: the same user, folder and variables. After this time it is killed, with
/// everything it started.
pub async fn exec(task: &Task, command: &[String], patience: Duration) -> Outcome {
    let Some((program, args)) = command.split_first() else {
        return Outcome::Unknown;
    };
    let spawned = command_of(task, program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("{program}: {error}")),
    };
    let mut group = ProcessGroup::of(&child);
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    let ended = timeout(patience, async {
        let (printed, complaint) = tokio::join!(beginning(output), beginning(errors));
        let status = child.wait().await;
        (printed, complaint, status)
    });
    match ended.await {
        Ok((mut printed, complaint, Ok(status))) => {
            group.leave();
            printed.extend(complaint);
            probe::judge(command, exit_code(status).into(), &printed)
        }
        Ok((_, _, Err(error))) => Outcome::Failed(format!("{program}: {error}")),
        Err(_) => {
            // Before it is reaped: as long as it is not, nobody else can have the group's number.
            drop(group);
            let _ = timeout(Duration::from_secs(1), child.wait()).await;
            Outcome::Failed(format!("{program}: {}", probe::too_late(patience)))
        }
    }
}

/// The beginning of what is printed; the rest is read and dropped, so that nobody waits for a reader.
async fn beginning(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = (&mut pipe).take(probe::OUTPUT_MAX as u64).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    kept
}
