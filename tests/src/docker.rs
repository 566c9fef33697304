//! A private Docker Engine: its own data, socket and network namespace, so that it meets no other engine.

use crate::{
    programs::Process,
    wait::{USUAL, until},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

/// The image that every private engine has: busybox, made from the machine's own, because there is no registry.
pub const IMAGE: &str = "lab/busybox:1";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A running engine; ends with the test, containers and all.
pub struct PrivateDocker {
    folder: TempDir,
    /// Name of its network namespace.
    namespace: String,
    engine: Option<Process>,
}

fn succeed(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {said}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl PrivateDocker {
    /// Starts an engine with [`IMAGE`] in it.
    ///
    /// # Errors
    /// Without root, Docker, iproute2 or a static busybox; never passes in silence.
    pub async fn start() -> Result<Self> {
        ensure!(nix::unistd::geteuid().is_root(), "tests with real containers need root");
        for (program, package) in [("dockerd", "docker.io"), ("nsenter", "util-linux"), ("ip", "iproute2")] {
            let found = std::env::var_os("PATH")
                .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
            ensure!(found, "{program} is missing: apt-get install {package}");
        }
        ensure!(
            Path::new("/bin/busybox").is_file(),
            "busybox is missing: apt-get install busybox-static"
        );
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("edgedeck-{}-{number}", std::process::id());
        succeed(Command::new("ip").args(["netns", "add", &namespace]))?;
        let mut docker = Self {
            folder: TempDir::new()?,
            namespace,
            engine: None,
        };
        succeed(Command::new("ip").args(["-n", &docker.namespace, "link", "set", "lo", "up"]))?;
        docker.start_engine().await?;
        docker.import_image()?;
        Ok(docker)
    }

    /// Starts the engine, or starts it again after [`PrivateDocker::stop_engine`].
    ///
    /// # Errors
    /// When it does not come up; the error has its log's end.
    pub async fn start_engine(&mut self) -> Result<()> {
        let at = |name: &str| self.folder.path().join(name);
        let log = File::options().create(true).append(true).open(at("log"))?;
        // Only the network is its own: the cgroups that it needs are mounted in the usual place.
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/var/run/netns/{}", self.namespace))
            .arg("dockerd")
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("pid"))
            .args(["--host", &self.host()])
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut engine = Process::start(&mut command)?;
        let up = until("answer of the private Docker Engine", USUAL, async || {
            if let Some(status) = engine.ended() {
                bail!("dockerd ended with {status}");
            }
            Ok(self.run(&["version"]).is_ok().then_some(()))
        });
        let log_end = || {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(12).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        up.await.with_context(log_end)?;
        self.engine = Some(engine);
        Ok(())
    }

    /// Stops the engine; it stops its containers.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn stop_engine(&mut self) -> Result<()> {
        if let Some(mut engine) = self.engine.take() {
            engine.stop()?;
        }
        Ok(())
    }

    fn import_image(&self) -> Result<()> {
        let root = self.folder.path().join("image");
        fs::create_dir_all(root.join("bin"))?;
        fs::create_dir_all(root.join("tmp"))?;
        fs::copy("/bin/busybox", root.join("bin/busybox"))?;
        for word in [
            "sh", "sleep", "echo", "cat", "kill", "nc", "httpd", "env", "id", "touch", "dd", "tail", "seq", "printf",
            "rm", "test",
        ] {
            symlink("busybox", root.join("bin").join(word))?;
        }
        let archive = self.folder.path().join("image.tar");
        succeed(
            Command::new("tar")
                .arg("-C")
                .arg(&root)
                .arg("-cf")
                .arg(&archive)
                .arg("."),
        )?;
        self.run(&["import", &archive.display().to_string(), IMAGE])?;
        fs::remove_file(archive)?;
        Ok(())
    }

    /// `unix://…`, for `DOCKER_HOST` or `--docker`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Runs the `docker` command against this engine and returns what it printed.
    ///
    /// # Errors
    /// With what it said.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        succeed(Command::new("docker").args(["--host", &self.host()]).args(args))
    }

    /// Runs a test's part in the engine's network namespace, with threads of its own: what it connects to and listens
    /// at is there.
    ///
    /// # Errors
    /// Those of the part, and without root.
    pub fn within<T: Send + 'static>(
        &self,
        part: impl Future<Output = Result<T>> + Send + 'static,
    ) -> impl Future<Output = Result<T>> {
        let path = format!("/var/run/netns/{}", self.namespace);
        let running = tokio::task::spawn_blocking(|| {
            let thread = std::thread::spawn(move || {
                // Threads that a thread starts are where it is.
                nix::sched::setns(File::open(path)?, nix::sched::CloneFlags::CLONE_NEWNET)?;
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(2).enable_all().build()?.block_on(part)
            });
            thread.join().map_err(|_| anyhow::anyhow!("it panicked"))?
        });
        async { running.await? }
    }

    /// A command that runs in the engine's network namespace.
    pub fn inside(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/var/run/netns/{}", self.namespace))
            .arg(program);
        command
    }

    /// Names of all containers, running or not, sorted.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn containers(&self) -> Result<Vec<String>> {
        let printed = self.run(&["ps", "--all", "--format", "{{.Names}}"])?;
        let mut names: Vec<String> = printed.lines().map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }
}

impl Drop for PrivateDocker {
    fn drop(&mut self) {
        let ids = self.run(&["ps", "--all", "--quiet"]).unwrap_or_default();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if !ids.is_empty()
            && let Err(error) = self.run(&[&["rm", "--force", "--volumes"], ids.as_slice()].concat())
        {
            eprintln!("removing the containers of a test: {error:#}");
        }
        if let Err(error) = self.stop_engine() {
            eprintln!("ending the Docker Engine of a test: {error:#}");
        }
        if let Err(error) = succeed(Command::new("ip").args(["netns", "delete", &self.namespace])) {
            eprintln!("removing the network of a test: {error:#}");
        }
    }
}
