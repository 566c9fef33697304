//! Running other programs, step by step, with the time each takes.

use anyhow::{Context, Result, bail};
use std::{env, ffi::OsStr, process::Command, time::Instant};

/// A cargo command in the repository.
pub fn cargo<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(arguments);
    // What `cargo run` set for this program would make build scripts run again.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_PRIMARY_"]
            .iter()
            .any(|kind| name.starts_with(kind))
        {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// Runs a command; an error names it when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("start {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is there to be called.
pub fn has(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

/// The steps of one command: each is announced, timed, and named when it fails. Announcements go to standard error,
/// so that a command's own output stays plain.
#[derive(Default)]
pub struct Steps(Vec<(String, f64)>);

impl Steps {
    pub fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("── {name}");
        let start = Instant::now();
        let result = work();
        let seconds = start.elapsed().as_secs_f64();
        self.0.push((name.to_owned(), seconds));
        if result.is_err() {
            self.print();
        }
        result.with_context(|| format!("step `{name}` failed after {seconds:.1} s"))
    }

    /// Prints what each step took.
    pub fn print(&self) {
        eprintln!("── times");
        for (name, seconds) in &self.0 {
            eprintln!("{seconds:8.1} s  {name}");
        }
        eprintln!(
            "{:8.1} s  in all",
            self.0.iter().map(|(_, seconds)| seconds).sum::<f64>()
        );
    }
}
