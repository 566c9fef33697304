//! `edgedeck-agent`: joins a box to an EdgeDeck lab and runs its workloads.

fn main() -> std::process::ExitCode {
    edgedeck_agent::main(env!("CARGO_PKG_VERSION"))
}
