//! `cargo xtask run`: from a fresh machine to the console on the screen.

use crate::{agents, places, setup, step, step::Steps, ui};
use anyhow::{Context, Result};
use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// Sets up, builds a release, and becomes the window, or without a display the engine that serves the console.
pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::setup(setup::For::Run))?;
    build_release(&mut steps)?;
    steps.print();

    let display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|v| !v.is_empty()));
    let mut command = if display {
        Command::new(places::programs(true).join("edgedeck"))
    } else {
        let mut command = Command::new(places::programs(true).join("edgedeckd"));
        command.arg("serve");
        command
    };
    let error = command.args(arguments).env("EDGEDECK_AGENTS", places::agents()).exec();
    Err(error).context("start the built program")
}

/// The page, this machine's agent, and the programs, as they are released.
pub fn build_release(steps: &mut Steps) -> Result<()> {
    steps.step("page", || ui::build(true))?;
    steps.step("agent", || agents::build(false))?;
    steps.step("programs", || {
        step::run(&mut step::cargo([
            "build",
            "--release",
            "-p",
            "edgedeck",
            "-p",
            "edgedeck-gateway",
        ]))
    })
}
