//! The lab from end to end, with real programs: a box behind a network of its own joins with the pasted command, is
//! managed, runs containers and processes, is cut off, and leaves.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    Code, NodeId,
    alarm::AlarmKind,
    api::{
        self, AlarmQuery, ById, GroupBody, ManageBody, NewJoinTokenBody, NodeQuery, NodesBody, OneSeries,
        PACKAGES_PATH, Package, PageQuery,
    },
    app::{Process as ProcessPart, Run},
    deployment::{InstanceState, Placement, Target},
    join::JoinTokenKind,
    node::NodeState,
    telemetry::Metric,
};
use edgedeck_tests::{
    client::Console,
    docker::IMAGE,
    host::{Host, join_command},
    lab::{LONG, alarm, container, deploy, logs_say, node, node_in, part, placement},
    programs::{Edgedeckd, Process, joining_agent, program},
    wait::until,
};
use std::{
    fs::{File, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};
use tempfile::TempDir;

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

/// An `npu-smi` that prints what a file holds: captured output, with the heat of the first chip as the test wants it.
struct NpuSmi {
    folder: TempDir,
}

impl NpuSmi {
    fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        let script = format!(
            "#!/bin/sh\n[ \"$*\" = info ] && exec cat {0}/info\necho 'not supported' >&2\nexit 1\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("npu-smi"), script)?;
        std::fs::set_permissions(folder.path().join("npu-smi"), Permissions::from_mode(0o755))?;
        Ok(Self { folder })
    }

    fn heat(&self, celsius: u32) -> Result<()> {
        let captured = include_str!("../../src-tauri/agent/tests/npu/info-310P3-300I-Duo-partial-v25.2.0.txt");
        let row = "| NA           45 ";
        ensure!(captured.contains(row), "the sample has changed");
        // By a rename, so that the agent never reads half of it.
        let new = self.folder.path().join("new");
        std::fs::write(&new, captured.replace(row, &format!("| NA           {celsius} ")))?;
        Ok(std::fs::rename(new, self.folder.path().join("info"))?)
    }
}

/// A chip that gets too hot and a disk that fills up past what the settings allow.
#[tokio::test(flavor = "multi_thread")]
async fn measured_alarms_come_are_acknowledged_and_go() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let (tool, folder) = (NpuSmi::new()?, TempDir::new()?);
    tool.heat(45)?;
    let kind = JoinTokenKind::Single;
    let token = console
        .call::<api::CreateJoinToken>((), (), NewJoinTokenBody { kind })
        .await?;
    let state = folder.path().join("state").display().to_string();
    let joined = joining_agent(&engine.agents_url(), &token.secret, &token.ca_hash)?
        .args(["--state", &state])
        .output()?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    let log = File::create(folder.path().join("agent.log"))?;
    let _agent = Process::start(
        Command::new(program("edgedeck-agent")?)
            .args(["run", "--state", &state])
            .env("EDGEDECK_NPU_SMI", tool.folder.path().join("npu-smi"))
            .stdout(log.try_clone()?)
            .stderr(log),
    )?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;
    // Asking for its figures is looking at it, which makes it measured more often.
    let watched = async || {
        let query = OneSeries {
            node: Some(node.id),
            metric: Some(Metric::NpuTemperature),
            from: node.joined_at,
            to: node.joined_at.plus(3_600_000),
        };
        console.call::<api::GetSeries>((), query, ()).await
    };
    until("two chips measured", LONG, async || {
        Ok((watched().await?.len() == 2).then_some(()))
    })
    .await?;
    let facts = console.call::<api::GetNode>(ById { id: node.id }, (), ()).await?.facts;
    assert_eq!(facts.npus.len(), 2, "{facts:?}");

    // Too hot, until it has cooled down.
    tool.heat(91)?;
    alarm(&console, AlarmKind::NpuHot, true).await?;
    let active = console.call::<api::ListAlarms>((), AlarmQuery::default(), ()).await?;
    let hot = active.items.first().context("the alarm")?;
    assert_eq!((hot.node, hot.facts["celsius"].as_str()), (Some(node.id), "91"));
    let seen = console
        .call::<api::AcknowledgeAlarm>(ById { id: hot.id }, (), ())
        .await?;
    assert_eq!(seen.acknowledged.map(|seen| seen.by), Some("admin".to_owned()));
    tool.heat(79)?;
    until("79 degrees measured", LONG, async || {
        let last = |series: &edgedeck_model::telemetry::Series| series.points.last().and_then(|point| point.1);
        Ok(watched()
            .await?
            .iter()
            .any(|series| last(series) == Some(79.0))
            .then_some(()))
    })
    .await?;
    let still = console.call::<api::ListAlarms>((), AlarmQuery::default(), ()).await?;
    assert_eq!(still.total, 1, "it clears at 78 degrees, not before");
    tool.heat(60)?;
    alarm(&console, AlarmKind::NpuHot, false).await?;

    // A disk over what the settings allow, until they allow it.
    let usual = console.call::<api::GetSettings>((), (), ()).await?;
    let mut strict = usual.clone();
    (strict.thresholds.disk_raise, strict.thresholds.disk_clear) = (1.0, 1.0);
    let rev = console.call::<api::UpdateSettings>((), (), strict.clone()).await?.rev;
    let late = console.try_call::<api::UpdateSettings>((), (), strict).await?;
    assert_eq!(late.err().map(|problem| problem.code), Some(Code::Changed));
    alarm(&console, AlarmKind::DiskFull, true).await?;
    let usual = api::Settings { rev, ..usual };
    console.call::<api::UpdateSettings>((), (), usual).await?;
    watched().await?;
    alarm(&console, AlarmKind::DiskFull, false).await?;
    let cleared = AlarmQuery {
        cleared: true,
        ..AlarmQuery::default()
    };
    let past = console.call::<api::ListAlarms>((), cleared, ()).await?;
    assert!(
        past.items.iter().all(|alarm| alarm.cleared_at.is_some()) && past.total == 2,
        "{past:?}"
    );
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
        let mut agent = joining_agent(&engine.agents_url(), secret, hash)?;
        Ok(agent
            .args(["--serial", serial, "--state"])
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
    until("audit line of the foreign certificate", LONG, async || {
        let audit = console.call::<api::ListAudit>((), PageQuery::default(), ()).await?;
        let told = audit
            .items
            .iter()
            .any(|entry| entry.action == "certificate.show" && entry.subject == "agents");
        Ok(told.then_some(()))
    })
    .await?;

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
