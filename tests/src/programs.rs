//! The built programs, started as a user would start them, each with a data folder of its own.

use crate::{
    client::Console,
    wait::{USUAL, until},
};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    fs::{File, Permissions},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A built program: in `EDGEDECK_BIN_DIR`, else where this test was built.
///
/// # Errors
/// When it is not there.
pub fn program(name: &str) -> Result<PathBuf> {
    let beside = || {
        let own = std::env::current_exe().ok()?;
        // target/debug/deps/<test> or target/debug/<program>.
        own.ancestors()
            .skip(1)
            .take(2)
            .map(Path::to_owned)
            .find(|folder| folder.join(name).is_file())
    };
    let folder = std::env::var_os("EDGEDECK_BIN_DIR").map(PathBuf::from).or_else(beside);
    let path = folder.map(|folder| folder.join(name)).filter(|path| path.is_file());
    path.with_context(|| format!("{name} is not built; run the tests through `cargo xtask test`"))
}

/// The agent of this machine about to join, without a service; `--serial` and `--state` may follow.
///
/// # Errors
/// When there is no agent.
pub fn joining_agent(url: &str, token: &str, ca_hash: &str) -> Result<Command> {
    let mut agent = Command::new(program("edgedeck-agent")?);
    agent.args(["join", url, "--token", token, "--ca-hash", ca_hash, "--no-service"]);
    Ok(agent)
}

/// A process that ends with the test, whatever it has started.
pub struct Process(Child);

impl Process {
    /// # Errors
    /// When it does not start.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("starting {command:?}"))?))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGKILL);
        // It is dead either way; this only takes its leave.
        let _status = self.0.wait();
    }

    /// Holds it still, with its connections open, or lets it go on.
    pub fn hold(&self, still: bool) {
        self.signal(if still {
            nix::sys::signal::Signal::SIGSTOP
        } else {
            nix::sys::signal::Signal::SIGCONT
        });
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(&mut self) -> Result<std::process::ExitStatus> {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        Ok(self.0.wait()?)
    }

    /// The exit status, if it has ended.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let group = i32::try_from(self.0.id()).ok().map(nix::unistd::Pid::from_raw);
        if let Some(group) = group {
            // It may have ended by itself.
            let _gone = nix::sys::signal::killpg(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that nothing listens on now.
///
/// # Errors
/// When the machine has none left.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Ends a test program that hangs; libtest has named the test by then. A soak takes its time.
fn watch_over_tests() {
    static WATCHED: std::sync::Once = std::sync::Once::new();
    let limit = if crate::is_soak() { 8 * 3600 } else { 15 * 60 };
    WATCHED.call_once(|| {
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_secs(limit));
            eprintln!("these tests take longer than {limit} s");
            std::process::abort();
        });
    });
}

/// `edgedeckd serve` on loopback.
pub struct Edgedeckd {
    pub data: TempDir,
    /// Its output, which must not depend on a data folder that fails on purpose.
    logs: TempDir,
    pub listeners: BTreeMap<String, SocketAddr>,
    /// Of the first user.
    pub password: String,
    process: Process,
    envs: Vec<(String, String)>,
}

impl Edgedeckd {
    /// Starts an engine with a new data folder on loopback, and waits until it serves.
    ///
    /// # Errors
    /// When it does not come up; the error has its output.
    pub async fn start() -> Result<Self> {
        Self::start_at(Ipv4Addr::LOCALHOST).await
    }

    /// As [`Self::start`], with the agents' listener at another address.
    ///
    /// # Errors
    /// When it does not come up; the error has its output.
    pub async fn start_at(agents: Ipv4Addr) -> Result<Self> {
        Self::start_with(agents, &[]).await
    }

    /// As [`Self::start_at`], with more in the environment.
    ///
    /// # Errors
    /// When it does not come up; the error has its output.
    pub async fn start_with(agents: Ipv4Addr, envs: &[(&str, String)]) -> Result<Self> {
        Self::start_in(&std::env::temp_dir(), agents, envs).await
    }

    /// As [`Self::start_with`], with its data in a new folder within `folder`.
    ///
    /// # Errors
    /// When it does not come up; the error has its output.
    pub async fn start_in(folder: &Path, agents: Ipv4Addr, envs: &[(&str, String)]) -> Result<Self> {
        watch_over_tests();
        // As the engine itself makes it.
        let data = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(folder)?;
        let logs = TempDir::new()?;
        let mut listeners = BTreeMap::new();
        for (name, ip) in [
            ("console", Ipv4Addr::LOCALHOST),
            ("agents", agents),
            ("mef", Ipv4Addr::LOCALHOST),
            ("cloud", Ipv4Addr::LOCALHOST),
            ("tingyu", Ipv4Addr::LOCALHOST),
            ("registry", agents),
        ] {
            // Whatever is free; the engine prints what it got, and keeps it over restarts.
            listeners.insert(name.to_owned(), SocketAddr::from((ip, 0)));
        }
        let envs: Vec<(String, String)> = envs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let process = spawn(data.path(), logs.path(), &listeners, &envs)?;
        let mut engine = Self {
            data,
            logs,
            listeners,
            password: String::new(),
            process,
            envs,
        };
        engine.await_up().await?;
        let output = engine.output();
        let password = output
            .split("with the password")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next());
        engine.password = password
            .with_context(|| format!("no first password in: {output}"))?
            .to_owned();
        Ok(engine)
    }

    async fn await_up(&mut self) -> Result<()> {
        let answered = until("answer of the console", USUAL, async || {
            if let Some(status) = self.process.ended() {
                return Ok(Some(Err(anyhow::anyhow!(
                    "edgedeckd ended with {status}: {}",
                    self.output()
                ))));
            }
            Ok(self.output().contains("CA: sha256").then_some(Ok(())))
        });
        answered.await??;
        let output = self.output();
        for (name, address) in &mut self.listeners {
            let line = output
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}: https://")));
            let told: SocketAddr = line.with_context(|| format!("no {name} in: {output}"))?.parse()?;
            address.set_port(told.port());
        }
        Ok(())
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.logs.path().join("output.log")).unwrap_or_default()
    }

    /// Kills it, and starts it again on the same data and ports.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn kill_and_restart(&mut self) -> Result<()> {
        self.process.kill();
        self.restart().await
    }

    /// Ends it as a user would.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop(&mut self) -> Result<std::process::ExitStatus> {
        self.process.stop()
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same data and ports.
    ///
    /// # Errors
    /// When it does not come up again.
    pub async fn restart(&mut self) -> Result<()> {
        self.process = spawn(self.data.path(), self.logs.path(), &self.listeners, &self.envs)?;
        self.await_up().await
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// The console, signed in as the first user.
    ///
    /// # Errors
    /// When signing in fails.
    pub async fn console(&self) -> Result<Console> {
        let address = self.listeners.get("console").copied().context("a console")?;
        let mut console = Console::new(address)?;
        console.sign_in("admin", &self.password).await?;
        Ok(console)
    }

    /// Address of the agents' listener on this machine, as `join` takes it.
    pub fn agents_url(&self) -> String {
        self.listeners
            .get("agents")
            .map(|address| match address.ip() {
                ip if ip.is_unspecified() => format!("https://127.0.0.1:{}", address.port()),
                _ => format!("https://{address}"),
            })
            .unwrap_or_default()
    }
}

fn spawn(
    data: &Path,
    logs: &Path,
    listeners: &BTreeMap<String, SocketAddr>,
    envs: &[(String, String)],
) -> Result<Process> {
    let output = File::create(logs.join("output.log"))?;
    let mut command = Command::new(program("edgedeckd")?);
    command
        .arg("serve")
        .arg("--data")
        .arg(data)
        .envs(envs.iter().map(|(name, value)| (name, value)));
    for (name, address) in listeners {
        command.arg(format!("--{name}")).arg(address.to_string());
    }
    command.stdout(output.try_clone()?).stderr(output);
    Process::start(&mut command)
}
