//! The project's own commands: `cargo xtask run`, `cargo xtask test` and the rest.
//!
//! Each command first sees to what it needs, so that a fresh Debian or Ubuntu machine with rustup needs nothing else.

mod agents;
mod bare;
mod dist;
mod fuzz;
mod measure;
mod mutants;
mod places;
mod run;
mod setup;
mod step;
mod test;
mod ui;

use anyhow::Result;
use std::{env, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  run [ARGUMENTS]          set up, build, and start the window (without a display: serve the console over HTTPS)
  test [FILTER]            set up, then everything that CI checks; FILTER is handed to cargo test
  ui [--release]           build the console's page into ui/dist
  agents [--all]           build the node agent, static, for this machine's kind of processor or for both
  conformance [--json]     operations served, rules and errors tested, per contract document
  bench [NAME] [--json]    the benches: figure, same-run baseline, ratio
  soak [NAME]              the long forms of the fault tests; `soak bare` is `bare`
  shots                    a picture of every screen under <target>/shots
  dist                     the .deb, and the static agent for x86_64 and aarch64, under <target>/dist
  fuzz [NAME]              look for inputs that break a parser of bytes from outside
  mutants [model|dialects] the share of planted errors that the tests catch, over a sample
  setup [run|test|dist]    only the set-up: packages, Rust targets
  bare [COMMAND]...        run each of these commands in a fresh Debian under <target>/bare (as root); else `run`";

fn main() -> ExitCode {
    match command() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<ExitCode> {
    env::set_current_dir(places::root())?;
    let mut arguments = env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let has = |flag: &str| rest.iter().any(|argument| argument == flag);
    match command.as_str() {
        "run" => return run::run(&rest),
        "test" => test::test(&rest)?,
        "ui" => {
            setup::rust(&["wasm32-unknown-unknown"])?;
            ui::build(has("--release"))?;
        }
        "agents" => {
            setup::setup(if has("--all") {
                setup::For::Dist
            } else {
                setup::For::Run
            })?;
            agents::build(has("--all"))?;
        }
        "conformance" | "bench" | "shots" => return measure::measure(&command, &rest),
        "soak" if rest.first().is_some_and(|name| name == "bare") => bare::bare(rest.get(1..).unwrap_or_default())?,
        "soak" => test::soak(&rest)?,
        "dist" => dist::dist()?,
        "fuzz" => fuzz::fuzz(rest.first().map(String::as_str))?,
        "mutants" => mutants::mutants(rest.first().map(String::as_str))?,
        "setup" => setup::setup(setup::For::parse(rest.first().map_or("run", String::as_str))?)?,
        "bare" => bare::bare(&rest)?,
        "help" | "--help" | "-h" => println!("{USAGE}"),
        _ => {
            eprintln!("{USAGE}");
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}
