//! `cargo xtask mutants`: plants errors into a sample of the domain and of the dialects, and tells which share of them
//! the tests catch.

use crate::{
    places,
    step::{self, Steps},
};
use anyhow::{Context, Result};
use std::fs;

/// One mutant in this many is tried.
const SAMPLE: u32 = 12;

/// Installs cargo-mutants under `<target>/tools` if it is not there, runs it, and prints the share.
pub fn mutants() -> Result<()> {
    let mut steps = Steps::default();
    let program = places::tools().join("bin/cargo-mutants");
    if !program.is_file() {
        steps.step("cargo-mutants", || {
            let mut install = step::cargo(["install", "cargo-mutants", "--locked", "--root"]);
            step::run(install.arg(places::tools()))
        })?;
    }
    for (name, package, files) in [
        ("model", "edgedeck-model", "src-tauri/model/src/**"),
        ("dialects", "edgedeck-gateway", "src-tauri/gateway/src/dialects/**"),
    ] {
        steps.step(name, || sample(&program, name, package, files))?;
    }
    steps.print();
    Ok(())
}

fn sample(program: &std::path::Path, name: &str, package: &str, files: &str) -> Result<()> {
    let out = places::target().join("mutants").join(name);
    fs::create_dir_all(&out)?;
    let mut command = std::process::Command::new(program);
    command.args(["mutants", "--no-shuffle", "--package", package, "--file", files]);
    command.args(["--shard", &format!("0/{SAMPLE}"), "--output"]).arg(&out);
    // Its exit code also tells that some were missed, which is a figure here and no failure.
    let status = command.status().context("start cargo-mutants")?;
    let outcomes = out.join("mutants.out/outcomes.json");
    let text = fs::read(&outcomes)
        .with_context(|| format!("cargo-mutants ({status}) left no figures in {}", outcomes.display()))?;
    let outcomes: serde_json::Value = serde_json::from_slice(&text)?;
    let count = |field: &str| outcomes.get(field).and_then(serde_json::Value::as_u64).unwrap_or(0);
    let caught = count("caught") + count("timeout");
    let tried = caught + count("missed");
    anyhow::ensure!(
        tried > 0,
        "no mutant of {name} could be tried ({status}); the tests may fail without one"
    );
    println!(
        "{name}: {caught} of {tried} caught ({:.0} %), one in {SAMPLE} tried",
        caught as f64 * 100.0 / tried as f64
    );
    Ok(())
}
