//! The program `edgedeck`: the window, or one of `edgedeckd`'s commands handed on to it.

use std::{
    env,
    ffi::OsStr,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

/// The first words that belong to the engine without a window.
const ENGINE_WORDS: [&str; 6] = ["serve", "lab", "doctor", "backup", "restore", "reset-password"];

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    if let Some(word) = arguments
        .next()
        .filter(|word| ENGINE_WORDS.iter().any(|known| word == known))
    {
        return hand_over(&word, arguments);
    }
    match edgedeck::run(env::args_os()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("edgedeck: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Becomes `edgedeckd`, which lies beside this program. Returns only when that fails.
fn hand_over(word: &OsStr, rest: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let engine = match env::current_exe() {
        Ok(program) => program.with_file_name("edgedeckd"),
        Err(error) => {
            eprintln!("edgedeck: cannot tell where this program lies: {error}");
            return ExitCode::from(2);
        }
    };
    let error = Command::new(&engine).arg(word).args(rest).exec();
    eprintln!(
        "edgedeck: cannot start {}: {error}. It is installed beside edgedeck; reinstall the package.",
        engine.display()
    );
    ExitCode::from(2)
}
