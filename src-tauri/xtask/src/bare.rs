//! `cargo xtask bare [COMMAND]...`: do the commands work on a machine that has nothing but what the README names?
//!
//! Makes a fresh Debian 12 under `<target>/bare`, puts rustup, build-essential and curl into it, clones the repository's
//! last commit there, and runs each command inside, one after the other. Needs root (chroot and mounts).

use crate::{
    places, setup,
    step::{self, Steps},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    env, fs,
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

const RELEASE: &str = "bookworm";
/// The console's HTTPS port, where `run` without a display serves.
const CONSOLE: u16 = 8443;
/// The hard limit for a cold run on two cores.
const DEADLINE: Duration = Duration::from_secs(90 * 60);
/// Where the clone lies inside.
const CLONE: &str = "/root/edgedeck";

/// Runs `cargo xtask` with each of `commands` (`run` if there is none) in a fresh root and prints how long each part
/// took.
pub fn bare(commands: &[String]) -> Result<()> {
    ensure!(setup::is_root()?, "`bare` needs root for chroot and mounts");
    setup::packages(&["debootstrap"])?;

    let mut steps = Steps::default();
    let root = places::target().join("bare");
    steps.step("fresh Debian", || debootstrap(&root))?;
    let _mounts = Mounts::new(&root)?;
    steps.step("rustup, build-essential, curl", || prerequisites(&root))?;
    steps.step("clone", || {
        let to = root.join(CLONE.trim_start_matches('/'));
        step::run(
            Command::new("git")
                .args(["clone", "-q", "--no-hardlinks"])
                .arg(places::root())
                .arg(to),
        )
    })?;
    let default = ["run".to_owned()];
    for command in if commands.is_empty() { &default } else { commands } {
        let name = format!("cargo xtask {command}");
        if command == "run" {
            steps.step(&format!("{name}, until the console answers"), || run(&root))?;
        } else {
            steps.step(&name, || {
                step::run(&mut inside(&root, &format!("cd {CLONE} && {name}")))
            })?;
        }
    }
    steps.print();
    Ok(())
}

fn debootstrap(root: &Path) -> Result<()> {
    if root.exists() {
        let mounts = fs::read_to_string("/proc/mounts")?;
        let here = format!(" {}", root.display());
        ensure!(
            !mounts.contains(&here),
            "something is still mounted at {}: unmount it first",
            root.display()
        );
        fs::remove_dir_all(root)?;
    }
    step::run(
        Command::new("debootstrap")
            .args(["--variant=minbase", RELEASE])
            .arg(root)
            .arg(mirror()?),
    )
}

/// The mirror that this machine's own apt uses.
fn mirror() -> Result<String> {
    let format = [
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ];
    let targets = step::output(Command::new("apt-get").args(format))?;
    let own = targets
        .lines()
        .find_map(|line| line.strip_suffix(&format!(" {RELEASE} main")));
    Ok(own.unwrap_or("http://deb.debian.org/debian").to_owned())
}

/// The kernel's file systems, mounted inside as long as this lives.
struct Mounts(Vec<PathBuf>);

impl Mounts {
    fn new(root: &Path) -> Result<Self> {
        let mut mounts = Self(Vec::new());
        // Containers inside change their root, for which the one they come from must be a mount.
        step::run(Command::new("mount").arg("--bind").args([root, root]))?;
        mounts.0.push(root.to_owned());
        for folder in ["proc", "sys", "dev"] {
            let place = root.join(folder);
            step::run(
                Command::new("mount")
                    .args(["--rbind", "--make-rslave"])
                    .arg(format!("/{folder}"))
                    .arg(&place),
            )?;
            mounts.0.push(place);
        }
        Ok(mounts)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for place in self.0.iter().rev() {
            if let Err(error) = step::run(Command::new("umount").args(["--recursive", "--lazy"]).arg(place)) {
                eprintln!("xtask: {error:#}");
            }
        }
    }
}

/// A shell line inside, with a bare environment.
fn inside(root: &Path, line: &str) -> Command {
    let mut command = Command::new("chroot");
    command.arg(root).args(["/bin/bash", "-ec", line]).env_clear();
    command.env("HOME", "/root").env("USER", "root").env("LANG", "C.UTF-8");
    command.env(
        "PATH",
        "/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    );
    for proxy in [
        "http_proxy",
        "https_proxy",
        "no_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "NO_PROXY",
    ] {
        if let Some(value) = env::var_os(proxy) {
            command.env(proxy, value);
        }
    }
    command
}

/// What the README names, and how this machine reaches the network.
fn prerequisites(root: &Path) -> Result<()> {
    for file in ["etc/resolv.conf", "etc/hosts"] {
        fs::copy(Path::new("/").join(file), root.join(file)).with_context(|| format!("copy /{file}"))?;
    }
    let authorities = Path::new("/usr/local/share/ca-certificates");
    if authorities.is_dir() {
        step::run(
            Command::new("cp")
                .args(["-rL"])
                .arg(authorities)
                .arg(root.join("usr/local/share/")),
        )?;
    }
    step::run(&mut inside(
        root,
        "export DEBIAN_FRONTEND=noninteractive; apt-get -q update; \
         apt-get -q install -y --no-install-recommends build-essential ca-certificates curl git; update-ca-certificates",
    ))?;
    // rustup itself is copied; the toolchain comes from where rustup gets it, without targets or components.
    let programs = root.join("root/.cargo/bin");
    fs::create_dir_all(&programs)?;
    let rustup = step::output(Command::new("sh").args(["-c", "command -v rustup"]))?;
    let rustup = Path::new(rustup.trim()).canonicalize().context("find rustup")?;
    fs::copy(&rustup, programs.join("rustup"))?;
    for name in [
        "cargo",
        "rustc",
        "rustdoc",
        "cargo-fmt",
        "rustfmt",
        "cargo-clippy",
        "clippy-driver",
    ] {
        std::os::unix::fs::symlink("rustup", programs.join(name))?;
    }
    step::run(&mut inside(
        root,
        "rustup toolchain install stable --profile minimal --no-self-update; rustup default stable",
    ))
}

/// Starts `cargo xtask run`, waits until the console answers over HTTPS, and ends it.
fn run(root: &Path) -> Result<()> {
    ensure!(
        TcpStream::connect(("127.0.0.1", CONSOLE)).is_err(),
        "port {CONSOLE} is taken on this machine"
    );
    let child = inside(root, &format!("cd {CLONE} && exec cargo xtask run"))
        .process_group(0)
        .spawn()?;
    let mut group = Group(child);
    let start = Instant::now();
    loop {
        if let Some(status) = group.0.try_wait()? {
            bail!("cargo xtask run ended by itself: {status}");
        }
        let mut ask = inside(root, &format!("curl -sfk -o /dev/null https://127.0.0.1:{CONSOLE}/"));
        if ask.status()?.success() {
            return Ok(());
        }
        ensure!(
            start.elapsed() < DEADLINE,
            "the console does not answer after {} minutes",
            DEADLINE.as_secs() / 60
        );
        thread::sleep(Duration::from_secs(1));
    }
}

/// A process group that ends with this value.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        _ = Command::new("kill")
            .args(["-TERM", "--", &format!("-{}", self.0.id())])
            .status();
        _ = self.0.wait();
    }
}
