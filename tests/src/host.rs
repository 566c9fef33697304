//! A box of its own: a network namespace with a container engine, at the other end of a cable that can be cut.

use crate::{client::Console, docker::PrivateDocker, programs::Process};
use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    api::{self, NewJoinTokenBody},
    join::JoinTokenKind,
};
use std::{
    fs::{self, File},
    net::Ipv4Addr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

/// A cable between this machine and a namespace, which can be cut.
pub struct Cable {
    name: String,
    /// This machine's end.
    pub near: Ipv4Addr,
}

impl Cable {
    /// # Errors
    /// When `ip` refuses.
    pub fn plug(namespace: &str) -> Result<Self> {
        static PLUGGED: AtomicU32 = AtomicU32::new(0);
        let number = (std::process::id() + PLUGGED.fetch_add(1, Ordering::Relaxed)) % 250;
        let (near, far) = (
            Ipv4Addr::new(10, 213, number as u8, 1),
            Ipv4Addr::new(10, 213, number as u8, 2),
        );
        let (name, other) = (format!("edn{number}"), format!("edf{number}"));
        ip(&[
            "link", "add", &name, "type", "veth", "peer", "name", &other, "netns", namespace,
        ])?;
        ip(&["addr", "add", &format!("{near}/24"), "dev", &name])?;
        ip(&["link", "set", &name, "up"])?;
        ip(&["-n", namespace, "addr", "add", &format!("{far}/24"), "dev", &other])?;
        ip(&["-n", namespace, "link", "set", &other, "up"])?;
        Ok(Self { name, near })
    }

    /// # Errors
    /// When `ip` refuses.
    pub fn cut(&self) -> Result<()> {
        ip(&["link", "set", &self.name, "down"])
    }

    /// # Errors
    /// When `ip` refuses.
    pub fn mend(&self) -> Result<()> {
        ip(&["link", "set", &self.name, "up"])
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // It goes with its namespace if that went first.
        let _gone = ip(&["link", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("ip; `cargo xtask test` installs iproute2")?;
    ensure!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The box: a network namespace with a container engine, and the agent's state.
pub struct Host {
    pub docker: PrivateDocker,
    pub cable: Cable,
    folder: TempDir,
}

impl Host {
    /// # Errors
    /// When namespace, cable or container engine cannot be made.
    pub async fn new() -> Result<Self> {
        let docker = PrivateDocker::start().await?;
        let cable = Cable::plug(docker.namespace())?;
        Ok(Self {
            docker,
            cable,
            folder: TempDir::new()?,
        })
    }

    /// Where its agent keeps its state.
    pub fn state(&self) -> String {
        self.folder.path().join("state").display().to_string()
    }

    /// Runs a line in a shell on the box, as somebody would paste it.
    ///
    /// # Errors
    /// When the shell does not start.
    pub fn paste(&self, line: &str) -> Result<Output> {
        let mut shell = self.docker.inside("sh");
        Ok(shell
            .args(["-c", line])
            .env("EDGEDECK_BIN", self.folder.path())
            .stdin(Stdio::null())
            .output()?)
    }

    /// The agent that the pasted line has fetched, with these words.
    pub fn agent(&self, words: &[&str]) -> Command {
        let mut agent = self.docker.inside(&self.program().display().to_string());
        agent.args(words).args(["--state", &self.state()]);
        agent
    }

    /// The agent's program on the box.
    pub fn program(&self) -> PathBuf {
        self.folder.path().join("edgedeck-agent")
    }

    /// What the agent has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default()
    }

    /// # Errors
    /// When the agent does not start.
    pub fn run_agent(&self) -> Result<Process> {
        self.run_agent_under(&[])
    }

    /// Runs the agent as the last words of another command, like a debugger's.
    ///
    /// # Errors
    /// When that does not start.
    pub fn run_agent_under(&self, command: &[&str]) -> Result<Process> {
        self.run_agent_with(command, &[])
    }

    /// As [`Self::run_agent_under`], with more in the environment.
    ///
    /// # Errors
    /// When that does not start.
    pub fn run_agent_with(&self, command: &[&str], envs: &[(&str, &str)]) -> Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("agent.log"))?;
        let program = self.program().display().to_string();
        let (state, docker) = (self.state(), self.docker.host());
        let words = [&program, "run", "--docker", &docker, "--state", &state];
        let mut words = command.iter().copied().chain(words);
        let mut agent = self.docker.inside(words.next().unwrap_or_default());
        Process::start(
            agent
                .args(words)
                .envs(envs.iter().copied())
                .stdout(log.try_clone()?)
                .stderr(log),
        )
    }

    /// Ids of all containers that the agent has made.
    ///
    /// # Errors
    /// When Docker does not answer.
    pub fn containers(&self) -> Result<Vec<String>> {
        let listed = self
            .docker
            .run(&["ps", "--all", "--quiet", "--filter", "name=edgedeck-"])?;
        Ok(listed.lines().map(ToOwned::to_owned).collect())
    }
}

/// The command to paste for this address of the engine, with the state in a folder of the test's.
///
/// # Errors
/// When the engine makes no token.
pub async fn join_command(console: &Console, host: &Host) -> Result<String> {
    let made = console
        .call::<api::CreateJoinToken>(
            (),
            (),
            NewJoinTokenBody {
                kind: JoinTokenKind::Single,
            },
        )
        .await?;
    let near = host.cable.near.to_string();
    let command = made
        .commands
        .iter()
        .find(|command| command.contains(&near))
        .context("a command for the cable")?;
    let options = format!("{} --no-service --serial BOX-1 --state {})", made.ca_hash, host.state());
    Ok(command.replace(&format!("{})", made.ca_hash), &options))
}

/// Joins a box and starts its agent; the node waits to be managed.
///
/// # Errors
/// When the box is refused.
pub async fn join(console: &Console, host: &Host) -> Result<Process> {
    let joined = host.paste(&join_command(console, host).await?)?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    host.run_agent()
}
