//! The lab from end to end, with real programs: a box behind a network of its own joins with the pasted command, is
//! managed, runs containers and processes, is cut off, and leaves.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    Code, DeploymentId, NodeId, PlacementId,
    alarm::AlarmKind,
    api::{
        self, AlarmQuery, ById, GroupBody, LogQuery, ManageBody, NewAppBody, NewJoinTokenBody, NodeQuery, NodesBody,
        OneSeries, PACKAGES_PATH, Package, PageQuery,
    },
    app::{Container, Part, Process as ProcessPart, Resources, Restart, Run, Spec},
    deployment::{InstanceState, NewDeployment, Placement, Target},
    join::JoinTokenKind,
    node::{Node, NodeState},
    telemetry::Metric,
};
use edgedeck_tests::{
    client::Console,
    docker::{IMAGE, PrivateDocker},
    programs::{Edgedeckd, Process, program},
    wait::until,
};
use std::{
    collections::BTreeMap,
    fs::File,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(90);

/// A cable between this machine and a namespace, which can be cut.
struct Cable {
    name: String,
    near: Ipv4Addr,
}

impl Cable {
    fn plug(namespace: &str) -> Result<Self> {
        let number = std::process::id() % 250;
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

    fn cut(&self) -> Result<()> {
        ip(&["link", "set", &self.name, "down"])
    }

    fn mend(&self) -> Result<()> {
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
struct Host {
    docker: PrivateDocker,
    cable: Cable,
    folder: TempDir,
}

impl Host {
    async fn new() -> Result<Self> {
        let docker = PrivateDocker::start().await?;
        let cable = Cable::plug(docker.namespace())?;
        Ok(Self {
            docker,
            cable,
            folder: TempDir::new()?,
        })
    }

    fn state(&self) -> String {
        self.folder.path().join("state").display().to_string()
    }

    /// Runs a line in a shell on the box, as somebody would paste it.
    fn paste(&self, line: &str) -> Result<Output> {
        let mut shell = self.docker.inside("sh");
        Ok(shell
            .args(["-c", line])
            .env("EDGEDECK_BIN", self.folder.path())
            .stdin(Stdio::null())
            .output()?)
    }

    fn agent(&self, words: &[&str]) -> Command {
        let mut agent = self
            .docker
            .inside(&self.folder.path().join("edgedeck-agent").display().to_string());
        agent.args(words).args(["--state", &self.state()]);
        agent
    }

    fn run_agent(&self) -> Result<Process> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("agent.log"))?;
        let mut agent = self.agent(&["run", "--docker", &self.docker.host()]);
        Process::start(agent.stdout(log.try_clone()?).stderr(log))
    }

    fn containers(&self) -> Result<Vec<String>> {
        let listed = self
            .docker
            .run(&["ps", "--all", "--quiet", "--filter", "name=edgedeck-"])?;
        Ok(listed.lines().map(ToOwned::to_owned).collect())
    }
}

/// The command to paste for this address of the engine, with the state in a folder of the test's.
async fn join_command(console: &Console, host: &Host) -> Result<String> {
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

async fn node(console: &Console) -> Result<Option<Node>> {
    let page = console.call::<api::ListNodes>((), NodeQuery::default(), ()).await?;
    match page.items.first() {
        Some(row) => Ok(Some(console.call::<api::GetNode>(ById { id: row.id }, (), ()).await?)),
        None => Ok(None),
    }
}

async fn node_in(console: &Console, state: NodeState) -> Result<Node> {
    until(&format!("node in state {state:?}"), LONG, async || {
        Ok(node(console).await?.filter(|node| node.state == state))
    })
    .await
}

async fn placement(
    console: &Console,
    deployment: DeploymentId,
    what: &str,
    is: impl Fn(&Placement) -> bool,
) -> Result<Placement> {
    let mut last = None;
    let found = until(what, LONG, async || {
        let detail = console
            .call::<api::GetDeployment>(ById { id: deployment }, (), ())
            .await?;
        last = detail.placements.into_iter().next();
        Ok(last.clone().filter(|placement| is(placement)))
    });
    found.await.with_context(|| format!("{last:?}"))
}

async fn alarm(console: &Console, kind: AlarmKind, raised: bool) -> Result<()> {
    until(&format!("alarm {kind:?}, raised: {raised}"), LONG, async || {
        let active = console.call::<api::ListAlarms>((), AlarmQuery::default(), ()).await?;
        Ok((active.items.iter().any(|alarm| alarm.kind == kind) == raised).then_some(()))
    })
    .await
}

fn container(image: &str, script: &str) -> Spec {
    let run = Container {
        image: image.to_owned(),
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        ..Container::default()
    };
    part(Run::Container(run))
}

fn part(run: Run) -> Spec {
    let part = Part {
        name: "main".to_owned(),
        run,
        args: Vec::new(),
        env: BTreeMap::new(),
        resources: Resources::default(),
        restart: Restart::Always,
    };
    Spec { parts: vec![part] }
}

async fn deploy(console: &Console, name: &str, spec: Spec, target: Target) -> Result<DeploymentId> {
    let body = NewAppBody {
        name: name.to_owned(),
        description: String::new(),
        label: "1".to_owned(),
        spec,
    };
    let app = console.call::<api::CreateApp>((), (), body).await?.app;
    let body = NewDeployment {
        name: name.to_owned(),
        app: app.id,
        version: None,
        target,
    };
    Ok(console.call::<api::CreateDeployment>((), (), body).await?.id)
}

async fn logs_say(console: &Console, placement: PlacementId, text: &str) -> Result<()> {
    until(&format!("{text:?} in the log"), LONG, async || {
        let page = console
            .call::<api::GetLogs>(ById { id: placement }, LogQuery::default(), ())
            .await?;
        Ok(page.lines.iter().any(|line| line.text.contains(text)).then_some(()))
    })
    .await
}

/// A `.tar.gz` of one script, at a path of its own choosing.
fn package(path: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let script = b"#!/bin/sh\necho the process speaks\nexec sleep 100000\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(script.len() as u64);
    header.set_mode(0o755);
    // Written by hand, because the library refuses paths that climb out.
    let name = header.as_old_mut();
    name.name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_cksum();
    archive.append(&header, &script[..])?;
    Ok(archive.into_inner()?.finish()?)
}

async fn upload(console: &Console, bytes: Vec<u8>) -> Result<Result<Package, edgedeck_model::Problem>> {
    let response = console
        .request(reqwest::Method::PUT, PACKAGES_PATH)
        .body(bytes)
        .send()
        .await?;
    let status = response.status();
    let text = response.text().await?;
    Ok(if status.is_success() {
        Ok(serde_json::from_str(&text)?)
    } else {
        Err(serde_json::from_str(&text)?)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_joins_works_and_leaves() -> Result<()> {
    let host = Host::new().await?;
    let mut engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let mut console = engine.console().await?;

    // Joining.
    let command = join_command(&console, &host).await?;
    let joined = host.paste(&command)?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    let waiting = node(&console).await?.context("the node waits to be managed")?;
    assert!(
        !waiting.managed && waiting.state == NodeState::Installed && waiting.serial == "BOX-1",
        "{waiting:?}"
    );
    let again = host.paste(
        &command
            .replace(&host.state(), &format!("{}-2", host.state()))
            .replace("BOX-1", "BOX-2"),
    )?;
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && said.contains("token"),
        "a used token: {said}"
    );

    // Facts of the real machine.
    let mut agent = host.run_agent()?;
    node_in(&console, NodeState::Online).await?;
    let online = until("facts", LONG, async || {
        Ok(node(&console).await?.filter(|node| node.facts.cpus > 0))
    })
    .await?;
    let facts = &online.facts;
    assert_eq!(facts.cpus as usize, std::thread::available_parallelism()?.get());
    assert_eq!(
        facts.kernel,
        std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim()
    );
    assert_eq!(facts.arch, std::env::consts::ARCH);
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = memory.split_whitespace().nth(1).context("MemTotal")?.parse()?;
    assert_eq!(facts.memory_bytes, kib * 1024);
    assert!(
        facts.runtime.as_ref().is_some_and(|runtime| runtime.name == "docker"),
        "{facts:?}"
    );

    // Managing, grouping, deploying.
    console
        .call::<api::ManageNode>(ById { id: online.id }, (), ManageBody::default())
        .await?;
    let group = GroupBody {
        name: "产线 A".to_owned(),
        description: String::new(),
    };
    let group = console.call::<api::CreateGroup>((), (), group).await?;
    console
        .call::<api::AddToGroup>(ById { id: group.id }, (), NodesBody { nodes: vec![online.id] })
        .await?;
    let speak = container(IMAGE, "echo hello from the box; exec sleep 100000");
    let web = deploy(&console, "web", speak, Target::Group(group.id)).await?;
    let running = placement(&console, web, "running container", |placement| {
        placement.state == InstanceState::Running
    })
    .await?;
    logs_say(&console, running.id, "hello from the box").await?;

    // Killed, it comes back; past the limit there is an alarm.
    for kills in 1..=5 {
        let restarted = |placement: &Placement| {
            placement.state == InstanceState::Running
                && placement.parts.first().is_some_and(|part| part.restarts >= kills)
        };
        host.docker
            .run(&["kill", host.containers()?.first().context("a container")?])?;
        let back = placement(&console, web, "restart", restarted).await?;
        assert_eq!(back.parts.first().and_then(|part| part.exit_code), Some(137));
    }
    alarm(&console, AlarmKind::CrashLoop, true).await?;

    // A process.
    let unsafe_package = upload(&console, package("../climb.sh")?).await?;
    assert_eq!(unsafe_package.err().map(|problem| problem.code), Some(Code::Invalid));
    assert!(upload(&console, b"no archive".to_vec()).await?.is_err());
    let uploaded = upload(&console, package("bin/speak.sh")?)
        .await?
        .map_err(anyhow::Error::from)?;
    assert_eq!(uploaded.programs, ["bin/speak.sh"]);
    let run = ProcessPart {
        package: uploaded.hash,
        program: "bin/speak.sh".to_owned(),
    };
    let process = deploy(
        &console,
        "speaker",
        part(Run::Process(run)),
        Target::Nodes(vec![online.id]),
    )
    .await?;
    let speaking = placement(&console, process, "running process", |placement| {
        placement.state == InstanceState::Running
    })
    .await?;
    logs_say(&console, speaking.id, "the process speaks").await?;

    // An image that does not exist is told, and so is a node that is too small.
    let missing = deploy(
        &console,
        "missing",
        container("lab/none:1", "true"),
        Target::Nodes(vec![online.id]),
    )
    .await?;
    placement(&console, missing, "reason", |placement| {
        placement.parts.first().is_some_and(|part| part.reason.is_some())
    })
    .await?;
    let mut large = container(IMAGE, "true");
    large.parts[0].resources.memory_bytes = 1 << 39;
    let refused = deploy(&console, "large", large, Target::Group(group.id))
        .await
        .err()
        .context("it does not fit")?;
    assert!(refused.to_string().contains("memory"), "{refused:#}");

    // Without the engine the agent goes on, and tells afterwards.
    let restarts = |placement: &Placement| placement.parts.first().map_or(0, |part| part.restarts);
    let before = restarts(&placement(&console, web, "placement", |_| true).await?);
    engine.kill();
    host.docker.run(&[
        "kill",
        host.docker
            .run(&["ps", "-q", "--filter", "name=edgedeck-"])?
            .lines()
            .next()
            .context("one")?,
    ])?;
    until("restart without the engine", LONG, async || {
        Ok((host
            .docker
            .run(&["ps", "-q", "--filter", "name=edgedeck-"])?
            .lines()
            .count()
            == 1)
            .then_some(()))
    })
    .await?;
    engine.restart().await?;
    console = engine.console().await?;
    placement(&console, web, "restart told afterwards", |placement| {
        restarts(placement) > before
    })
    .await?;

    // Cut off: offline in time, with an alarm; both end when the cable is mended.
    host.cable.cut()?;
    node_in(&console, NodeState::Offline).await?;
    alarm(&console, AlarmKind::NodeOffline, true).await?;
    host.cable.mend()?;
    node_in(&console, NodeState::Online).await?;
    alarm(&console, AlarmKind::NodeOffline, false).await?;

    // An agent that is killed finds its workloads again, and doubles none.
    agent.kill();
    agent = host.run_agent()?;
    let linked = |placement: &Placement| placement.state == InstanceState::Running;
    placement(&console, web, "container after the agent's restart", linked).await?;
    assert_eq!(
        host.docker
            .run(&["ps", "-q", "--filter", "name=edgedeck-"])?
            .lines()
            .count(),
        1
    );

    // Measured.
    until("measured processor use", LONG, async || {
        let query = OneSeries {
            node: Some(online.id),
            metric: Some(Metric::CpuPercent),
            from: online.joined_at,
            to: online.joined_at.plus(3_600_000),
        };
        let series = console.call::<api::GetSeries>((), query, ()).await?;
        Ok(series
            .iter()
            .any(|line| line.points.iter().any(|(_, value)| value.is_some()))
            .then_some(()))
    })
    .await?;

    // Reports.
    for lang in ["zh", "en"] {
        for (format, begin) in [
            ("pdf", &b"%PDF"[..]),
            ("xlsx", b"PK"),
            ("csv", b"\xef\xbb\xbf"),
            ("html", b"<!doctype html>"),
        ] {
            let (from, to) = (online.joined_at.0 - 1_000, online.joined_at.0 + 3_600_000);
            let path = format!("{}?format={format}&lang={lang}&from={from}&to={to}", api::REPORT_PATH);
            let bytes = console
                .request(reqwest::Method::GET, &path)
                .send()
                .await?
                .error_for_status()?
                .bytes()
                .await?;
            let head = bytes.get(..begin.len()).unwrap_or_default().to_ascii_lowercase();
            assert_eq!(head, begin.to_ascii_lowercase(), "{format} {lang}");
        }
    }

    // Undeployed, nothing is left of it.
    for deployment in [web, process, missing] {
        console
            .call::<api::DeleteDeployment>(ById { id: deployment }, (), ())
            .await?;
    }
    until("end of the deployments", LONG, async || {
        let gone = console
            .try_call::<api::GetDeployment>(ById { id: web }, (), ())
            .await?
            .is_err();
        Ok((gone && host.containers()?.is_empty()).then_some(()))
    })
    .await?;
    alarm(&console, AlarmKind::CrashLoop, false).await?;

    // Left, nothing is left of the agent.
    let left = host.agent(&["leave", "--docker", &host.docker.host()]).output()?;
    ensure!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    assert!(node(&console).await?.is_none());
    assert!(!Path::new(&host.state()).exists());
    until("end of the agent", LONG, async || Ok(agent.ended())).await?;
    let audit = console
        .call::<api::ListAudit>(
            (),
            PageQuery {
                limit: 1_000,
                ..PageQuery::default()
            },
            (),
        )
        .await?;
    for action in [
        "node.join",
        "node.manage",
        "group.add",
        "package.upload",
        "deployment.create",
        "deployment.delete",
        "node.remove",
    ] {
        assert!(
            audit.items.iter().any(|entry| entry.action == action),
            "no audit line {action}"
        );
    }
    let refused = audit
        .items
        .iter()
        .find(|entry| entry.outcome == "bad-token")
        .context("the used token in the audit")?;
    assert_eq!(refused.action, "node.join");
    Ok(())
}

/// What a box or a stranger must not get away with.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let folder = TempDir::new()?;
    let token = console
        .call::<api::CreateJoinToken>(
            (),
            (),
            NewJoinTokenBody {
                kind: JoinTokenKind::Lab,
            },
        )
        .await?;
    let join = |serial: &str, secret: &str, hash: &str| -> Result<Output> {
        let mut agent = Command::new(program("edgedeck-agent")?);
        agent.args([
            "join",
            &engine.agents_url(),
            "--token",
            secret,
            "--ca-hash",
            hash,
            "--no-service",
            "--serial",
            serial,
        ]);
        Ok(agent
            .arg("--state")
            .arg(folder.path().join(serial))
            .env("LANG", "C")
            .output()?)
    };
    let wrong_hash = join("A", &token.secret, &"0".repeat(64))?;
    assert!(!wrong_hash.status.success());
    assert_eq!(
        console
            .call::<api::ListNodes>((), NodeQuery::default(), ())
            .await?
            .total,
        0,
        "nothing was sent to a wrong CA"
    );
    assert!(join("A", &token.secret, &token.ca_hash)?.status.success());
    let taken = join("A", &token.secret, &token.ca_hash)?;
    assert!(!taken.status.success());
    std::fs::rename(folder.path().join("A"), folder.path().join("A-old"))?;
    let taken = join("A", &token.secret, &token.ca_hash)?;
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(!taken.status.success() && said.contains("serial"), "{said}");
    for _ in 0..5 {
        assert!(!join("B", "wrong", &token.ca_hash)?.status.success());
    }
    let locked = join("C", &token.secret, &token.ca_hash)?;
    assert!(
        !locked.status.success(),
        "five wrong tries lock the address, the right token included"
    );

    // The link takes only certificates of this lab, and only of nodes that are in it.
    let url = format!("{}/packages/{}", engine.agents_url(), "0".repeat(64));
    assert_eq!(console.http.get(&url).send().await?.status().as_u16(), 401);
    let other = Edgedeckd::start().await?;
    let body = api::NewClientCertificateBody {
        name: "stranger".to_owned(),
    };
    let foreign = other
        .console()
        .await?
        .call::<api::CreateClientCertificate>((), (), body)
        .await?;
    let identity = reqwest::Identity::from_pem(format!("{}{}", foreign.key_pem, foreign.certificate_pem).as_bytes())?;
    let stranger = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .identity(identity)
        .build()?;
    assert!(
        stranger.get(&url).send().await.is_err(),
        "a certificate of another CA ends the handshake"
    );

    // A node that was removed is refused from then on.
    let pem = |name: &str| std::fs::read_to_string(folder.path().join("A-old").join(name));
    let identity = reqwest::Identity::from_pem(format!("{}{}", pem("key.pem")?, pem("certificate.pem")?).as_bytes())?;
    let member = reqwest::Client::builder()
        .danger_accept_invalid_certs(true)
        .identity(identity)
        .build()?;
    assert_eq!(
        member.get(&url).send().await?.status().as_u16(),
        404,
        "there is no such package, but the node may ask"
    );
    let id: NodeId = node(&console).await?.context("node A")?.id;
    console.call::<api::RemoveNode>(ById { id }, (), ()).await?;
    assert_ne!(member.get(&url).send().await?.status().as_u16(), 200);
    Ok(())
}
