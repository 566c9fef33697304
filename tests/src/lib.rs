//! What crosses crates: contract conformance, end to end, faults, benches.

pub mod agent;
pub mod authority;
pub mod bench;
pub mod client;
pub mod cloud;
pub mod contract;
pub mod curl;
pub mod disk;
pub mod docker;
pub mod host;
pub mod lab;
pub mod notifications;
pub mod programs;
pub mod registry;
pub mod software;
pub mod wait;
pub mod web;

/// How often a fault test does its round: a few times every day, many in a soak (`cargo xtask soak`).
pub fn rounds(everyday: usize, soak: usize) -> usize {
    if is_soak() { soak } else { everyday }
}

fn is_soak() -> bool {
    std::env::var_os("EDGEDECK_SOAK").is_some()
}
