//! An agent's runtimes without a link: what it should run is told by the test.

use crate::{docker::IMAGE, programs::program, wait::USUAL};
use anyhow::{Context, Result};
use edgedeck_agent::{
    home::Home,
    outside::Outsides,
    runtime::{LogRequest, docker::Docker, package::Packages, process::Processes},
    sources::Sources,
    workloads::Workloads,
};
use edgedeck_model::{
    DeploymentId, NodeId, PlacementId, VersionId,
    app::{Container, Part, Resources, Restart, Run, Spec},
    deployment::{PartStatus, Wanted},
};
use edgedeck_protocol::{Desired, Instance, Observed, Workload};
use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

/// An agent without a link: what it should run is told by the test.
pub struct Agent {
    pub workloads: Workloads,
    generation: u64,
}

pub struct Node {
    pub folder: TempDir,
    id: NodeId,
    docker_host: String,
}

impl Node {
    pub fn new(docker_host: String) -> Result<Self> {
        Ok(Self {
            folder: TempDir::new()?,
            id: NodeId(Uuid::now_v7()),
            docker_host,
        })
    }

    pub fn home(&self) -> Home {
        Home::new(self.folder.path().join("agent"))
    }

    pub fn start(&self, generation: u64) -> Result<Agent> {
        let home = self.home();
        home.create()?;
        let wake = Arc::new(Notify::new());
        let outsides = Arc::new(Outsides::open(home.clone(), Sources::default()));
        let docker = Docker::new(self.docker_host.clone(), self.id, Sources::default(), outsides);
        let docker = Arc::new(docker);
        let packages = Packages::new(home.packages(), None);
        let processes = Processes::new(home.clone(), packages, program("edgedeck-agent")?, wake.clone());
        let workloads = Workloads::start(home, docker, Arc::new(processes), wake)?;
        Ok(Agent { workloads, generation })
    }
}

impl Agent {
    pub fn want(&mut self, workloads: Vec<Workload>) {
        self.generation += 1;
        self.workloads.want(Desired {
            generation: self.generation,
            workloads,
        });
    }

    /// Waits until the report is as described.
    pub async fn report(&self, what: &str, mut is: impl FnMut(&Observed) -> bool) -> Result<Observed> {
        let mut observed = self.workloads.observed();
        let mut last = None;
        let found = tokio::time::timeout(USUAL, async {
            loop {
                last = observed.borrow_and_update().clone();
                if let Some(report) = last
                    .as_ref()
                    .filter(|report| report.generation == self.generation && is(report))
                {
                    return Ok(report.clone());
                }
                observed.changed().await.context("the driver ended")?;
            }
        })
        .await;
        found.unwrap_or_else(|_| Err(anyhow::anyhow!("never came: {what}; the last report is {last:#?}")))
    }

    pub async fn part(&self, what: &str, mut is: impl FnMut(&PartStatus) -> bool) -> Result<PartStatus> {
        let report = self
            .report(what, |report| {
                report.instances.iter().any(|one| one.parts.iter().any(&mut is))
            })
            .await?;
        let found = report
            .instances
            .into_iter()
            .flat_map(|one: Instance| one.parts)
            .find(|part| is(part));
        found.context("a part")
    }

    pub async fn lines(&self, placement: PlacementId, after: u64, wait: u32) -> Result<(Vec<String>, u64)> {
        let page = self
            .workloads
            .logs(placement, "main".to_owned(), LogRequest::new(after, 100, wait))
            .await?;
        Ok((page.lines.into_iter().map(|line| line.text).collect(), page.next))
    }
}

pub fn placement() -> PlacementId {
    PlacementId(Uuid::now_v7())
}

pub fn part(run: Run, args: &[&str], restart: Restart) -> Part {
    Part {
        name: "main".to_owned(),
        run,
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: [("GREETING".to_owned(), "你好".to_owned())].into(),
        resources: Resources::default(),
        restart,
        liveness: None,
        readiness: None,
    }
}

pub fn shell(script: &str, restart: Restart) -> Part {
    let command = vec!["/bin/sh".to_owned(), "-c".to_owned()];
    let container = Container {
        image: IMAGE.to_owned(),
        command,
        ..Container::default()
    };
    part(Run::Container(container), &[script], restart)
}

pub fn with(mut part: Part, change: impl FnOnce(&mut Container)) -> Part {
    if let Run::Container(container) = &mut part.run {
        change(container);
    }
    part
}

pub fn workload(placement: PlacementId, wanted: Wanted, part: Part) -> Workload {
    Workload {
        placement,
        deployment: DeploymentId(placement.0),
        name: "test".to_owned(),
        version: VersionId(Uuid::from_u128(1)),
        wanted,
        restarts: 0,
        spec: Spec { parts: vec![part] },
    }
}

pub const FOREVER: &str = "trap 'exit 0' TERM; echo up; while true; do sleep 1; done";

/// A package as the engine would hold it, already unpacked, with one program.
pub fn unpacked(home: &Home, script: &str) -> Result<String> {
    let hash = "ab".repeat(32);
    let program = home.packages().join(&hash).join("bin/run");
    fs::create_dir_all(program.parent().context("a folder")?)?;
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(hash)
}

pub fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}
