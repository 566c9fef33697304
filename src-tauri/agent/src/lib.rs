//! The node agent: joins a lab, keeps one link to its engine, reports, and runs workloads.
//!
//! `join` and `link` speak to the engine and hold no state of their own, so that a simulated fleet can use them ten
//! thousand times in one process. `home` is the folder where an agent keeps what it must not forget. `sources`, `facts`
//! and `metrics` read the machine, `metering` what containers use of it. `reconcile` decides, without I/O, what has to be done for the workloads; `workloads`
//! does it with a `runtime`. `session` joins all of these into the running agent.

pub mod cli;
pub mod collect;
pub mod facts;
pub mod fetch;
pub mod home;
pub mod identity;
pub mod join;
pub mod leave;
pub mod link;
pub mod metering;
pub mod metrics;
pub mod npu;
pub mod observer;
pub mod outside;
mod process_group;
pub mod reconcile;
pub mod runtime;
pub mod samples;
pub mod serial;
pub mod service;
pub mod session;
pub mod software;
pub mod sources;
pub mod status;
pub mod switch;
pub mod workloads;

use clap::{CommandFactory, FromArgMatches};
use edgedeck_model::Time;
use std::{
    process::ExitCode,
    sync::OnceLock,
    time::{SystemTime, UNIX_EPOCH},
};
use tracing_subscriber::EnvFilter;

static VERSION: OnceLock<&str> = OnceLock::new();

/// The version of this agent.
pub fn version() -> &'static str {
    VERSION.get().copied().unwrap_or(env!("CARGO_PKG_VERSION"))
}

/// The program, which calls itself `version`.
pub fn main(version: &'static str) -> ExitCode {
    // Nobody has asked for it before.
    let _first = VERSION.set(version);
    let matches = cli::Cli::command().version(version).get_matches();
    let cli = cli::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let filter = EnvFilter::try_from_env("EDGEDECK_AGENT_LOG").unwrap_or_else(|_| {
        // People who joined or left want sentences; the log is of the running agent.
        EnvFilter::new(if matches!(cli.word, cli::Word::Run { .. }) {
            "info"
        } else {
            "error"
        })
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut builder = match cli.word {
        // One of these runs beside every process: it stays small.
        cli::Word::Supervise { .. } => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    match builder.enable_all().worker_threads(2).build() {
        Ok(runtime) => {
            let code = runtime.block_on(cli::run(cli));
            // Threads that wait for a dead disk or for a log must not keep the program.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("starting: {error}");
            ExitCode::FAILURE
        }
    }
}

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
