//! Reading the NPUs: the parsers against published output of the tool, and the runner against programs that stand in
//! for it and misbehave.

// Clippy's leave to unwrap in tests does not reach the helpers beside them.
#![allow(clippy::unwrap_used)]

#[path = "npu/details.rs"]
mod details;
#[path = "npu/overview.rs"]
mod overview;
#[path = "npu/robust.rs"]
mod robust;
#[path = "npu/runner.rs"]
mod runner;

use std::{collections::BTreeMap, fs, path::PathBuf};

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/npu")
}

/// The samples by name, without `.txt`.
fn samples() -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            samples.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    samples
}

fn sample(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.txt"))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A sample that no test looks at would be a format that nobody checks.
#[test]
fn every_sample_has_its_expectation() {
    let mut expected: Vec<&str> = overview::EXPECTED.iter().map(|(name, ..)| *name).collect();
    expected.extend(details::EXPECTED.iter().map(|(name, _)| *name));
    expected.sort_unstable();
    assert_eq!(samples().keys().map(String::as_str).collect::<Vec<_>>(), expected);
}
