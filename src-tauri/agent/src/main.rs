//! `edgedeck-agent`: joins a box to an EdgeDeck lab and runs its workloads.

use clap::Parser;
use edgedeck_agent::cli::{Cli, Word, run};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_env("EDGEDECK_AGENT_LOG").unwrap_or_else(|_| {
        // People who joined or left want sentences; the log is of the running agent.
        EnvFilter::new(if matches!(cli.word, Word::Run { .. }) {
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
        Word::Supervise { .. } => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    match builder.enable_all().worker_threads(2).build() {
        Ok(runtime) => {
            let code = runtime.block_on(run(cli));
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
