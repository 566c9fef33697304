//! `cargo xtask fuzz`: looks for inputs that break a parser of bytes from outside, with cargo-fuzz and a nightly toolchain.

use crate::{
    places,
    step::{self, Steps},
};
use anyhow::{Context, Result, ensure};
use std::{env, fs, path::PathBuf, process::Command};

/// How long a parser is tried.
#[derive(Clone, Copy)]
enum Effort {
    Inputs(u64),
    Seconds(u64),
}

/// The programs in `fuzz`. What reads archives is slow, and is tried for half an hour.
const TARGETS: [(&str, Effort); 10] = [
    ("certificates", TEXT),
    ("cloud_signature", TEXT),
    ("frames", TEXT),
    ("image_archive", ARCHIVE),
    ("manifest", TEXT),
    ("mef_body", TEXT),
    ("npu_smi", TEXT),
    ("process_package", ARCHIVE),
    ("software_package", ARCHIVE),
    ("texts", TEXT),
];
const TEXT: Effort = Effort::Inputs(10_000_000);
const ARCHIVE: Effort = Effort::Seconds(1_800);

/// Where real outputs of the NPU tool lie, which are inputs, too.
const NPU_SAMPLES: &str = "src-tauri/agent/tests/npu";

/// Tries the parser with this name, or all. `EDGEDECK_FUZZ_SECONDS` ends each sooner. New inputs that reach something new
/// are under `<target>/fuzz/corpus`; one that breaks a parser ends the command and is named.
pub fn fuzz(name: Option<&str>) -> Result<()> {
    let wanted: Vec<_> = TARGETS
        .into_iter()
        .filter(|(known, _)| name.is_none_or(|name| name == *known))
        .collect();
    ensure!(
        !wanted.is_empty(),
        "there is no such parser; there are {:?}",
        TARGETS.map(|(name, _)| name)
    );
    let seconds = match env::var("EDGEDECK_FUZZ_SECONDS") {
        Ok(seconds) => Some(seconds.parse().context("EDGEDECK_FUZZ_SECONDS is a number")?),
        Err(_) => None,
    };
    let mut steps = Steps::default();
    let nightly = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .output();
    if !nightly.is_ok_and(|said| said.status.success()) {
        steps.step("nightly toolchain", || {
            step::run(Command::new("rustup").args(["toolchain", "install", "nightly", "--profile", "minimal"]))
        })?;
    }
    if !places::tools().join("bin/cargo-fuzz").is_file() {
        steps.step("cargo-fuzz", || {
            let mut install = step::cargo(["install", "cargo-fuzz", "--locked", "--root"]);
            step::run(install.arg(places::tools()))
        })?;
    }
    for (name, effort) in wanted {
        steps.step(name, || run(name, effort, seconds))?;
    }
    steps.print();
    Ok(())
}

fn target() -> PathBuf {
    places::target().join("fuzz")
}

fn run(name: &str, effort: Effort, seconds: Option<u64>) -> Result<()> {
    let found = target().join("corpus").join(name);
    fs::create_dir_all(&found)?;
    let mut command = Command::new("cargo");
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [places::tools().join("bin")].into_iter().chain(env::split_paths(&path));
    command
        .args([
            "+nightly",
            "fuzz",
            "run",
            "--fuzz-dir",
            ".",
            "--features",
            "libfuzzer",
            name,
        ])
        .arg(&found)
        .arg(places::root().join("fuzz/corpus").join(name));
    if name == "npu_smi" {
        command.arg(places::root().join(NPU_SAMPLES));
    }
    command.args([
        "--",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        "-verbosity=0",
    ]);
    match effort {
        Effort::Inputs(inputs) => command.arg(format!("-runs={inputs}")),
        Effort::Seconds(limit) => command.arg(format!("-max_total_time={}", seconds.unwrap_or(limit).min(limit))),
    };
    if let (Effort::Inputs(_), Some(seconds)) = (effort, seconds) {
        command.arg(format!("-max_total_time={seconds}"));
    }
    // The release profile is made for small programs, and would link each of these for minutes.
    for (key, value) in [("LTO", "off"), ("CODEGEN_UNITS", "16"), ("STRIP", "none")] {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }
    // What `cargo run` told this program is not for another toolchain.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
        .env("PATH", env::join_paths(path)?)
        .env("CARGO_TARGET_DIR", target())
        .current_dir(places::root().join("fuzz"));
    step::run(&mut command)
}
