//! Builds the static node agent that the engine hands out to joining boxes.

use crate::{places, setup, step};
use anyhow::{Context, Result};
use std::{env, fs};

/// Builds the agent for this machine's kind of processor, or for both, into `<target>/agents`.
pub fn build(all: bool) -> Result<()> {
    for arch in ["x86_64", "aarch64"] {
        if all || setup::host_agent_target().starts_with(arch) {
            build_for(arch)?;
        }
    }
    Ok(())
}

fn build_for(arch: &str) -> Result<()> {
    let target = format!("{arch}-unknown-linux-musl");
    let name = target.replace('-', "_");
    let mut command = step::cargo([
        "build",
        "--release",
        "-p",
        "edgedeck-agent",
        "--bin",
        "edgedeck-agent",
        "--target",
        &target,
    ]);
    if arch == env::consts::ARCH {
        command.env(format!("CC_{name}"), "musl-gcc");
    } else {
        command.env(format!("CC_{name}"), format!("{arch}-linux-gnu-gcc"));
        command.env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), "rust-lld");
    }
    step::run(&mut command).with_context(|| format!("build the agent for {arch}"))?;

    let built = places::target().join(&target).join("release/edgedeck-agent");
    fs::create_dir_all(places::agents())?;
    let place = places::agents().join(format!("edgedeck-agent-{arch}"));
    // By a new file and a rename: an engine or a test may be reading or running the old one.
    let new = place.with_extension("new");
    fs::copy(&built, &new).with_context(|| format!("copy {}", built.display()))?;
    fs::rename(&new, &place)?;
    Ok(())
}
