//! The node agent: joins a lab, keeps one link to its engine, reports, and runs workloads.
//!
//! `join` and `link` speak to the engine and hold no state of their own, so that a simulated fleet can use them ten
//! thousand times in one process. `home` is the folder where an agent keeps what it must not forget. `sources`, `facts`
//! and `metrics` read the machine. `reconcile` decides, without I/O, what has to be done for the workloads; `workloads`
//! does it with a `runtime`. `session` joins all of these into the running agent.

pub mod cli;
pub mod collect;
pub mod facts;
pub mod home;
pub mod identity;
pub mod join;
pub mod leave;
pub mod link;
pub mod metrics;
pub mod npu;
pub mod observer;
pub mod outside;
pub mod reconcile;
pub mod runtime;
pub mod samples;
pub mod serial;
pub mod service;
pub mod session;
pub mod sources;
pub mod status;
pub mod workloads;

use edgedeck_model::Time;
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of this agent.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The system's time.
pub fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// An error with all its causes, in one line.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
