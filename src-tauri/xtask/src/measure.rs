//! `conformance`, `bench`, `soak` and `shots`: builds what they need, then runs the program of the `tests` package.

use crate::{
    places, run, setup,
    step::{self, Steps},
};
use anyhow::Result;
use std::process::ExitCode;

/// Runs `edgedeck-<command>` on a release build and returns its exit code. Its standard output is all that goes there.
pub fn measure(command: &str, arguments: &[String]) -> Result<ExitCode> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::setup(setup::For::Test))?;
    run::build_release(&mut steps)?;
    let program = format!("edgedeck-{command}");
    steps.step("measuring program", || {
        step::run(&mut step::cargo([
            "build",
            "--release",
            "-p",
            "edgedeck-tests",
            "--bin",
            &program,
        ]))
    })?;
    let status = std::process::Command::new(places::programs(true).join(&program))
        .args(arguments)
        .env("EDGEDECK_BIN_DIR", places::programs(true))
        .env("EDGEDECK_AGENTS", places::agents())
        .env("CARGO_TARGET_DIR", places::target())
        .status()?;
    // None: a signal ended it.
    Ok(ExitCode::from(
        status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    ))
}
