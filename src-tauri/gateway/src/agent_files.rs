//! The agent's programs, which the engine hands to boxes that join.

use edgedeck_model::software::ARCHES;
use std::path::{Path, PathBuf};

/// Where the agent programs are: as told, else `agents` beside this program, else where a package installs them.
pub fn folder(told: Option<&Path>) -> Option<PathBuf> {
    if let Some(told) = told {
        return Some(told.to_owned());
    }
    let beside = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("agents")));
    [beside, Some(PathBuf::from("/usr/lib/edgedeck/agents"))]
        .into_iter()
        .flatten()
        .find(|folder| folder.is_dir())
}

/// The agent for an architecture, if this engine has it.
pub fn program(folder: Option<&Path>, arch: &str) -> Option<PathBuf> {
    let arch = ARCHES.into_iter().find(|known| *known == arch)?;
    let path = folder?.join(format!("edgedeck-agent-{arch}"));
    path.is_file().then_some(path)
}
