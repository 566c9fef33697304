//! What the machine must have before anything is built: Debian or Ubuntu packages, Rust targets and components.
//!
//! It looks first (one call of dpkg-query, a few files) and touches nothing when nothing is missing.

use crate::step;
use anyhow::{Context, Result, bail};
use std::{
    collections::BTreeSet,
    env, io,
    path::PathBuf,
    process::{Command, exit},
};

/// What the set-up is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum For {
    Run,
    Test,
    Dist,
}

impl For {
    pub fn parse(name: &str) -> Result<Self> {
        match name {
            "run" => Ok(Self::Run),
            "test" => Ok(Self::Test),
            "dist" => Ok(Self::Dist),
            other => bail!("unknown set-up `{other}`: run, test or dist"),
        }
    }

    /// The names are the same in Debian 12 and Ubuntu 24.04, except for `chromium` and `chromium-driver`, which the
    /// tests need and only Debian has as packages.
    fn packages(self) -> Vec<&'static str> {
        let mut packages = RUN.to_vec();
        match self {
            Self::Run => {}
            Self::Test => packages.extend(TEST),
            Self::Dist => packages.extend(foreign_compiler()),
        }
        packages
    }
}

/// To build and run the window, the engine and this machine's agent. The fonts are for texts that people type: the
/// console's own words come with it.
const RUN: [&str; 7] = [
    "build-essential",
    "ca-certificates",
    "fonts-noto-cjk",
    "libdbus-1-dev",
    "libwebkit2gtk-4.1-dev",
    "musl-tools",
    "pkg-config",
];

/// An image registry outside the lab; its package starts one as a service.
const REGISTRY: &str = "docker-registry";

/// To drive the window and a browser, to run containers, to cut networks, and to look into reports.
const TEST: [&str; 19] = [
    "busybox-static",
    "chromium",
    "chromium-driver",
    "curl",
    "dbus",
    REGISTRY,
    "docker.io",
    "fuse3",
    "git",
    "imagemagick",
    "iproute2",
    "iptables",
    "openssl",
    "podman",
    "poppler-utils",
    "procps",
    "strace",
    "webkit2gtk-driver",
    "xvfb",
];

/// The C compiler and headers for the agent of the other kind of processor (`ring` has C and assembly).
fn foreign_compiler() -> [&'static str; 2] {
    match env::consts::ARCH {
        "aarch64" => ["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
        _ => ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    }
}

/// Sees to everything that `purpose` needs.
///
/// Exits with code 2 when packages are missing and neither root nor sudo is there to install them.
pub fn setup(purpose: For) -> Result<()> {
    let installed = packages(&purpose.packages())?;
    if installed.contains(&REGISTRY) && step::has("systemctl") {
        // The tests start one of their own; the package's would listen on this machine for nobody.
        if let Err(error) = step::run(as_root("systemctl")?.args(["disable", "--now", REGISTRY])) {
            eprintln!("xtask: {error:#}");
        }
    }
    let host = host_agent_target();
    let mut targets = vec!["wasm32-unknown-unknown", host];
    if purpose == For::Dist {
        targets = vec![
            "wasm32-unknown-unknown",
            "x86_64-unknown-linux-musl",
            "aarch64-unknown-linux-musl",
        ];
    }
    rust(&targets)
}

/// The target of the static agent for this machine.
pub fn host_agent_target() -> &'static str {
    match env::consts::ARCH {
        "aarch64" => "aarch64-unknown-linux-musl",
        _ => "x86_64-unknown-linux-musl",
    }
}

/// Installs what is missing of these packages, and returns what that was.
pub fn packages<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    if !step::has("dpkg-query") {
        eprintln!(
            "xtask: this is neither Debian nor Ubuntu; it needs what these packages hold: {}",
            wanted.join(" ")
        );
        return Ok(Vec::new());
    }
    let missing = missing(wanted)?;
    if missing.is_empty() {
        return Ok(missing);
    }
    if !is_root()? && !step::has("sudo") {
        cannot_install(&missing);
    }
    eprintln!("── packages: {}", missing.join(" "));
    let apt = |arguments: &[&str]| {
        let mut command = as_root("env")?;
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
            .args(arguments);
        // Standard output belongs to the command that needed the packages.
        step::run(command.stdout(io::stderr()))
    };
    let install: Vec<&str> = ["install", "-y", "--no-install-recommends"]
        .into_iter()
        .chain(missing.iter().copied())
        .collect();
    if let Err(error) = apt(&["update"]).and_then(|()| apt(&install)) {
        eprintln!("xtask: {error:#}");
        cannot_install(&missing);
    }
    Ok(missing)
}

pub fn is_root() -> Result<bool> {
    Ok(step::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// A command that root runs.
fn as_root(program: &str) -> Result<Command> {
    if is_root()? {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    Ok(command)
}

fn cannot_install(missing: &[&str]) -> ! {
    let line = format!(
        "apt-get update && apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    );
    eprintln!("xtask: packages are missing; as root, run:\n{line}");
    exit(2);
}

fn missing<'a>(wanted: &[&'a str]) -> Result<Vec<&'a str>> {
    // It fails for a package it has never heard of, and still lists the others.
    let listed = Command::new("dpkg-query")
        .args(["-W", "-f", "${Package} ${db:Status-Status}\n"])
        .args(wanted)
        .output()
        .context("ask dpkg-query for the installed packages")?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let installed: BTreeSet<&str> = listed
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"))
        .collect();
    Ok(wanted
        .iter()
        .copied()
        .filter(|package| !installed.contains(package))
        .collect())
}

/// Adds missing Rust targets, rustfmt and clippy.
pub fn rust(targets: &[&str]) -> Result<()> {
    let sysroot = PathBuf::from(step::output(Command::new("rustc").args(["--print", "sysroot"]))?.trim());
    let rustlib = sysroot.join("lib/rustlib");
    let targets: Vec<&str> = targets
        .iter()
        .copied()
        .filter(|target| !rustlib.join(target).join("lib").is_dir())
        .collect();
    add("target", &targets)?;
    let components: Vec<&str> = [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")]
        .into_iter()
        .filter(|(_, program)| !sysroot.join("bin").join(program).is_file())
        .map(|(component, _)| component)
        .collect();
    add("component", &components)
}

fn add(what: &str, names: &[&str]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    step::run(
        Command::new("rustup")
            .args([what, "add"])
            .args(names)
            .stdout(io::stderr()),
    )
    .with_context(|| {
        format!(
            "the Rust toolchain lacks {}; `rustup {what} add` installs it",
            names.join(" ")
        )
    })
}
