//! The systemd unit that keeps the agent running.

use nix::unistd::geteuid;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub const UNIT: &str = "edgedeck-agent.service";
const FOLDER: &str = "/etc/systemd/system";

/// Whether this machine runs under systemd and the caller may add a unit.
pub fn is_possible() -> bool {
    Path::new("/run/systemd/system").is_dir() && geteuid().is_root()
}

fn place() -> PathBuf {
    Path::new(FOLDER).join(UNIT)
}

pub fn is_installed() -> bool {
    place().is_file()
}

/// The unit's text. Workloads live on while the agent is restarted, so only its main process is ended; and an agent
/// that ends by itself and well has left the lab.
pub fn unit(program: &Path, state: &Path) -> String {
    let quoted = |path: &Path| {
        format!(
            "\"{}\"",
            path.display().to_string().replace('%', "%%").replace('"', "\\\"")
        )
    };
    format!(
        "[Unit]\n\
         Description=EdgeDeck node agent\n\
         Wants=network-online.target\n\
         After=network-online.target docker.service podman.socket\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         ExecStart={} run --state {}\n\
         Restart=always\n\
         RestartSec=2\n\
         RestartPreventExitStatus=0\n\
         KillMode=process\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        quoted(program),
        quoted(state)
    )
}

fn systemctl(words: &[&str]) -> io::Result<()> {
    let status = Command::new("systemctl")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("systemctl {}: {status}", words.join(" "))))
    }
}

/// Writes the unit and starts it.
///
/// # Errors
/// When the unit cannot be written or systemd refuses it.
pub fn install(program: &Path, state: &Path) -> io::Result<()> {
    fs::write(place(), unit(program, state))?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", UNIT])
}

/// Stops the unit, if it is there.
///
/// # Errors
/// When systemd refuses.
pub fn stop() -> io::Result<()> {
    if is_possible() && is_installed() {
        systemctl(&["stop", UNIT])
    } else {
        Ok(())
    }
}

/// Removes the unit, if it is there; a process that it runs goes on.
///
/// # Errors
/// When the file cannot be removed.
pub fn remove() -> io::Result<()> {
    if !is_installed() || !geteuid().is_root() {
        return Ok(());
    }
    // Without systemd there is nothing to disable, and the file still goes.
    if let Err(error) = systemctl(&["disable", UNIT]) {
        tracing::warn!("{error}");
    }
    fs::remove_file(place())?;
    if let Err(error) = systemctl(&["daemon-reload"]) {
        tracing::warn!("{error}");
    }
    Ok(())
}
