//! `cargo xtask mutants`: plants errors into a sample of the domain and of the dialects, and tells which share of them
//! the tests catch.

use crate::{
    places,
    step::{self, Steps},
};
use anyhow::{Context, Result, ensure};
use std::fs;

/// A part of the code: one mutant in `sample` is tried, by these tests.
struct Part {
    name: &'static str,
    package: &'static str,
    files: &'static str,
    sample: u32,
    tests: &'static [&'static str],
}

/// The dialects' tests are those of their contracts, which take a minute a mutant to build and run. They are another
/// package's, which cargo-mutants would not try without a mutant first.
const PARTS: [Part; 2] = [
    Part {
        name: "model",
        package: "edgedeck-model",
        files: "src-tauri/model/src/**",
        sample: 12,
        tests: &[],
    },
    Part {
        name: "dialects",
        package: "edgedeck-gateway",
        files: "src-tauri/gateway/src/dialects/**",
        sample: 40,
        tests: &[
            "--baseline",
            "skip",
            "--timeout",
            "300",
            "--build-timeout",
            "1800",
            "--test-package",
            "edgedeck-tests",
            "--",
            "--test",
            "conformance",
        ],
    },
];

/// Installs cargo-mutants under `<target>/tools` if it is not there, runs it over one part or all, and prints the share.
pub fn mutants(only: Option<&str>) -> Result<()> {
    ensure!(
        only.is_none_or(|only| PARTS.iter().any(|part| part.name == only)),
        "there is no such part; there are {:?}",
        PARTS.map(|part| part.name)
    );
    let mut steps = Steps::default();
    let program = places::tools().join("bin/cargo-mutants");
    if !program.is_file() {
        steps.step("cargo-mutants", || {
            let mut install = step::cargo(["install", "cargo-mutants", "--locked", "--root"]);
            step::run(install.arg(places::tools()))
        })?;
    }
    if only.is_none_or(|only| only == "dialects") {
        // Tests that fail anyway would catch everything.
        steps.step("without a mutant", || {
            step::run(&mut step::cargo([
                "test",
                "--package",
                "edgedeck-tests",
                "--test",
                "conformance",
            ]))
        })?;
    }
    for part in PARTS.iter().filter(|part| only.is_none_or(|only| only == part.name)) {
        steps.step(part.name, || sample(&program, part))?;
    }
    steps.print();
    Ok(())
}

fn sample(program: &std::path::Path, part: &Part) -> Result<()> {
    let Part { name, sample, .. } = part;
    let out = places::target().join("mutants").join(name);
    fs::create_dir_all(&out)?;
    let mut command = std::process::Command::new(program);
    command.args([
        "mutants",
        "--no-shuffle",
        "--package",
        part.package,
        "--file",
        part.files,
    ]);
    command
        .args([
            "--shard",
            &format!("0/{sample}"),
            "--sharding",
            "round-robin",
            "--output",
        ])
        .arg(&out);
    command.args(part.tests);
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
        "{name}: {caught} of {tried} caught ({:.0} %), one in {sample} tried",
        caught as f64 * 100.0 / tried as f64
    );
    Ok(())
}
