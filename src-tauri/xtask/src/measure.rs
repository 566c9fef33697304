//! `conformance`, `bench` and `shots`: builds what they need, then runs the program of the `tests` package.

use crate::{
    agents, places, setup,
    step::{self, Steps},
    test, ui,
};
use anyhow::Result;
use std::process::ExitCode;

/// Runs `edgedeck-<command>` and returns its exit code. Its standard output is all that goes there.
pub fn measure(command: &str, arguments: &[String]) -> Result<ExitCode> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::setup(setup::For::Test))?;
    steps.step("page", || ui::build(true))?;
    // Conformance is a test: a case that panics must not end the others, as it would in a release.
    let release = command != "conformance";
    if release {
        steps.step("agent", || agents::build(false))?;
        steps.step("programs", || {
            let all = ["build", "--release", "--workspace", "--bins"];
            step::run(step::cargo(all).args(["--exclude", "edgedeck-ui", "--exclude", "xtask"]))
        })?;
    } else {
        test::build_programs(&mut steps)?;
    }
    let programs = places::programs(release);
    let status = std::process::Command::new(programs.join(format!("edgedeck-{command}")))
        .args(arguments)
        .env("EDGEDECK_BIN_DIR", &programs)
        .env("EDGEDECK_AGENTS", places::agents())
        .env("CARGO_TARGET_DIR", places::target())
        .status()?;
    // None: a signal ended it.
    Ok(ExitCode::from(
        status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    ))
}
