//! What crosses crates: contract conformance, end to end, faults, benches.

pub mod bench;
pub mod client;
pub mod contract;
pub mod docker;
pub mod programs;
pub mod wait;
pub mod web;
