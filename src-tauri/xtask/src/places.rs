//! Where things lie.

use std::{
    env,
    path::{Path, PathBuf},
};

/// The repository.
pub fn root() -> &'static Path {
    // src-tauri/xtask is two folders down.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
}

/// Cargo's target folder, absolute.
pub fn target() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()))
}

/// The folder of the built programs.
pub fn programs(release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" })
}

/// The folder of the agents that the engine hands out.
pub fn agents() -> PathBuf {
    target().join("agents")
}

/// The folder of tools that a command needs and installs there.
pub fn tools() -> PathBuf {
    target().join("tools")
}
