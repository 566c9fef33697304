//! `cargo xtask test`: everything that CI checks. Fails at the first step that does, with its name.

use crate::{
    agents, places, setup,
    step::{self, Steps},
    ui,
};
use anyhow::Result;

/// Sets up, checks form and lints, builds what the tests run, and runs the tests.
pub fn test(filter: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    let cargo = |arguments: &[&str]| step::run(&mut step::cargo(arguments));
    steps.step("set-up", || setup::setup(setup::For::Test))?;
    steps.step("format", || cargo(&["fmt", "--all", "--check"]))?;
    // First, because the gateway embeds it.
    steps.step("page", || ui::build(true))?;
    steps.step("lints", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--exclude",
            "edgedeck-ui",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    steps.step("lints of the page", || {
        cargo(&[
            "clippy",
            "-p",
            "edgedeck-ui",
            "--target",
            "wasm32-unknown-unknown",
            "--",
            "-D",
            "warnings",
        ])
    })?;
    steps.step("agent", || agents::build(false))?;
    // With the same features as the tests, or all they stand on would be compiled twice.
    steps.step("programs", || {
        cargo(&["build", "--workspace", "--exclude", "edgedeck-ui", "--bins"])
    })?;
    steps.step("tests", || {
        let mut command = step::cargo(["test", "--workspace", "--exclude", "edgedeck-ui"]);
        command
            .args(filter)
            .env("EDGEDECK_BIN_DIR", places::programs(false))
            .env("EDGEDECK_AGENTS", places::agents());
        step::run(&mut command)
    })?;
    steps.print();
    Ok(())
}
