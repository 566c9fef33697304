//! The agent, of a version that is still to come: what nodes are upgraded to.

fn main() -> std::process::ExitCode {
    edgedeck_agent::main(edgedeck_tests::software::NEXT)
}
