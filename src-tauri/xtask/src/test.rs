//! `cargo xtask test`: everything that CI checks. Fails at the first step that does, with its name.

use crate::{
    agents, places, setup,
    step::{self, Steps},
    ui,
};
use anyhow::{Context, Result};
use std::process::Command;

/// Sets up, checks form and lints, builds what the tests run, and runs the tests.
pub fn test(filter: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::setup(setup::For::Test))?;
    steps.step("format", || cargo(&["fmt", "--all", "--check"]))?;
    // First, because the gateway embeds it.
    steps.step("page", || ui::build(true))?;
    steps.step("lints", || {
        let all = ["clippy", "--workspace", "--exclude", "edgedeck-ui", "--all-targets"];
        cargo(&[&all[..], lints()?].concat())
    })?;
    steps.step("lints of the page", || {
        let page = ["clippy", "-p", "edgedeck-ui", "--target", "wasm32-unknown-unknown"];
        cargo(&[&page[..], lints()?].concat())
    })?;
    build_programs(&mut steps)?;
    steps.step("tests", || run_tests(&[], filter, &[]))?;
    steps.step("tests of the page", || cargo(&["test", "-p", "edgedeck-ui"]))?;
    steps.print();
    Ok(())
}

/// The newest Rust, as 1.N, whose lints the code has met. Those of newer ones warn and refuse nothing, so that a fresh
/// machine, which has the newest, passes.
const LINTED: u32 = 99;

fn lints() -> Result<&'static [&'static str]> {
    let said = step::output(Command::new("rustc").arg("--version"))?;
    let minor = said.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    let met = minor.with_context(|| format!("the version in {said:?}"))? <= LINTED;
    Ok(if met { &["--", "-D", "warnings"] } else { &[] })
}

/// The long forms of the fault tests: many rounds where the tests of every day do a few.
pub fn soak(filter: &[String]) -> Result<()> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::setup(setup::For::Test))?;
    steps.step("page", || ui::build(true))?;
    build_programs(&mut steps)?;
    let faults = ["store_faults", "disk_faults", "network_faults", "hostile"].map(|name| ["--test", name]);
    steps.step("faults", || {
        run_tests(faults.as_flattened(), filter, &[("EDGEDECK_SOAK", "1")])
    })?;
    steps.print();
    Ok(())
}

/// The agent and the programs, as the tests start them.
pub fn build_programs(steps: &mut Steps) -> Result<()> {
    steps.step("agent", || agents::build(false))?;
    // With the same features as the tests, or all they stand on would be compiled twice.
    steps.step("programs", || cargo(&[&["build"], WORKSPACE, &["--bins"]].concat()))
}

/// All but the page, which is WebAssembly, and this tool.
const WORKSPACE: &[&str] = &["--workspace", "--exclude", "edgedeck-ui", "--exclude", "xtask"];

fn cargo(arguments: &[&str]) -> Result<()> {
    step::run(&mut step::cargo(arguments))
}

fn run_tests(which: &[&str], filter: &[String], envs: &[(&str, &str)]) -> Result<()> {
    let mut command = step::cargo([&["test"], WORKSPACE, which].concat());
    command
        .args(filter)
        .env("EDGEDECK_BIN_DIR", places::programs(false))
        .env("EDGEDECK_AGENTS", places::agents())
        .envs(envs.iter().copied());
    step::run(&mut command)
}
