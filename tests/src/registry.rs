//! An image registry outside the lab: Docker's own, over TLS, with an account.

use crate::{
    authority::Authority,
    docker::PrivateDocker,
    programs::{Process, free_port},
    wait::{USUAL, until},
};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::{fs, net::Ipv4Addr, process::Command};
use tempfile::TempDir;
use tokio::net::TcpStream;

pub const ACCOUNT: &str = "puller";
pub const PASSWORD: &str = "pull-secret";
/// [`PASSWORD`] as bcrypt has it, the only form that the registry reads.
const HASH: &str = "$2a$05$vxCVPmi4GmL1eSHiyjeZe.GzwlDysNqeL0wd1aotugVnk5YPqUfY6";

pub struct Registry {
    pub ip: Ipv4Addr,
    pub port: u16,
    folder: TempDir,
    _process: Process,
}

impl Registry {
    /// Starts one at an address of this machine, with a certificate of `authority`.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(ip: Ipv4Addr, authority: &Authority) -> Result<Self> {
        let (folder, port) = (TempDir::new()?, free_port()?);
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("server.pem"), authority.server(&ip.to_string(), 2)?)?;
        fs::write(at("accounts"), format!("{ACCOUNT}:{HASH}\n"))?;
        let config = json!({
            "version": 0.1,
            "storage": { "filesystem": { "rootdirectory": at("images") } },
            "http": {
                "addr": format!("{ip}:{port}"),
                "tls": { "certificate": at("server.pem"), "key": at("server.pem") },
            },
            "auth": { "htpasswd": { "realm": "lab", "path": at("accounts") } },
        });
        // It reads YAML, and JSON is YAML.
        fs::write(at("config.yml"), config.to_string())?;
        let log = fs::File::create(at("log"))?;
        let mut command = Command::new("docker-registry");
        command.args(["serve", &at("config.yml")]);
        let process = Process::start(command.stdout(log.try_clone()?).stderr(log))
            .context("docker-registry; `cargo xtask test` installs it")?;
        let up = until("registry", USUAL, async || {
            Ok(TcpStream::connect((ip, port)).await.ok())
        });
        up.await
            .with_context(|| fs::read_to_string(at("log")).unwrap_or_default())?;
        Ok(Self {
            ip,
            port,
            folder,
            _process: process,
        })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// Puts an image of a container engine into the registry and takes it away from the engine. The engine must know
    /// the registry's authority by now.
    ///
    /// # Errors
    /// With what `docker` said.
    pub fn take(&self, docker: &PrivateDocker, image: &str, name: &str) -> Result<String> {
        let full = format!("{}/{name}", self.address());
        let client = |words: &[&str]| -> Result<()> {
            let mut command = Command::new("docker");
            command.env("DOCKER_CONFIG", self.folder.path().join("docker"));
            let output = command.args(["--host", &docker.host()]).args(words).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(())
        };
        client(&["login", "--username", ACCOUNT, "--password", PASSWORD, &self.address()])?;
        client(&["tag", image, &full])?;
        client(&["push", &full])?;
        client(&["rmi", &full])?;
        Ok(full)
    }
}
