//! What containers use is measured: real containers that move known bytes, over restarts of theirs and of the agent.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    DeploymentId, NodeId,
    api::{self, ById, ManageBody, UpdateDeploymentBody},
    app::{Run, Spec},
    deployment::{InstanceState, Target, Wanted},
    metering::{UsageBy, UsageQuery, UsageReport, UsageRow},
    node::NodeState,
    time::DAY,
};
use edgedeck_tests::{
    client::Console,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, node_in, placement},
    programs::Edgedeckd,
    wait::until,
};
use std::{collections::BTreeMap, fs, net::Ipv4Addr, path::PathBuf};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, sink},
    net::TcpListener,
    process::Command,
    time::timeout,
};

const HOSTED: &str = "lab/hosted:1";
const BRIDGED: &str = "lab/bridged:v2";
/// What is moved each way in one round: 50 MB.
const BLOCKS: u64 = 800;
const BLOCK: u64 = 62_500;
const MOVED: u64 = BLOCKS * BLOCK;

/// Moves [`MOVED`] bytes each way between a container and this machine, outside its box. In the middle `halfway` is done.
async fn move_bytes(host: &Host, container: &str, halfway: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    let listener = TcpListener::bind((host.cable.near, 0)).await?;
    let (at, port) = (host.cable.near, listener.local_addr()?.port());
    let script = format!("dd if=/dev/zero bs={BLOCK} count={BLOCKS} 2> /dev/null | nc {at} {port} > /dev/null");
    let mut other = Command::new("docker")
        .args(["--host", &host.docker.host(), "exec", container, "sh", "-c", &script])
        .kill_on_drop(true)
        .spawn()?;
    let (stream, _) = timeout(LONG, listener.accept()).await.context("a connection")??;
    let (mut from, mut to) = stream.into_split();
    let half = vec![7; usize::try_from(MOVED / 2)?];
    let sending = async {
        to.write_all(&half).await?;
        halfway().await?;
        to.write_all(&half).await?;
        anyhow::Ok(())
    };
    // All the time: whoever cannot write does not read.
    let taking = async { anyhow::Ok(tokio::io::copy(&mut (&mut from).take(MOVED), &mut sink()).await?) };
    let both = timeout(LONG, async { tokio::try_join!(sending, taking) });
    let ((), taken) = both.await.context("bytes each way")??;
    ensure!(taken == MOVED, "only {taken} bytes came");
    drop((from, to));
    let ended = timeout(LONG, other.wait()).await.context("end of the sender")??;
    ensure!(ended.success(), "{ended}");
    Ok(())
}

/// Has a container send [`MOVED`] bytes to itself.
fn talk_to_itself(host: &Host, container: &str) -> Result<()> {
    // Its own input must stay open, or the listener ends too soon.
    let script = format!(
        "sleep 3 | nc -l -p 7999 | busybox wc -c & sleep 0.5; \
         dd if=/dev/zero bs={BLOCK} count={BLOCKS} 2> /dev/null | nc 127.0.0.1 7999 > /dev/null; wait"
    );
    let said = host.docker.run(&["exec", container, "sh", "-c", &script])?;
    ensure!(said.trim().parse() == Ok(MOVED), "{said}");
    Ok(())
}

async fn nothing() -> Result<()> {
    Ok(())
}

/// The container that runs an image now.
fn running(host: &Host, image: &str) -> Result<String> {
    let listed = host
        .docker
        .run(&["ps", "--no-trunc", "--format", "{{.Image}} {{.ID}}"])?;
    let id = listed.lines().find_map(|line| line.strip_prefix(image));
    Ok(id.context("a running container")?.trim().to_owned())
}

fn spec(image: &str, host_network: bool) -> Spec {
    let mut spec = container(image, "trap 'exit 0' TERM; while true; do sleep 0.2; done");
    for part in &mut spec.parts {
        if let Run::Container(container) = &mut part.run {
            container.host_network = host_network;
        }
    }
    spec
}

async fn usage(console: &Console, by: UsageBy) -> Result<UsageReport> {
    let now = edgedeck_agent::now();
    let query = UsageQuery {
        from: now.plus(-DAY / 2),
        to: now.plus(DAY),
        by,
        ..UsageQuery::default()
    };
    console.call::<api::GetUsage>((), query, ()).await
}

async fn rows(console: &Console) -> Result<BTreeMap<String, UsageRow>> {
    let report = usage(console, UsageBy::Version).await?;
    let rows = report.rows.into_iter();
    Ok(rows
        .map(|row| (format!("{}:{}", row.repository, row.tag), row))
        .collect())
}

async fn turn(console: &Console, deployment: DeploymentId, wanted: Wanted, state: InstanceState) -> Result<()> {
    let body = UpdateDeploymentBody {
        wanted: Some(wanted),
        ..UpdateDeploymentBody::default()
    };
    console
        .call::<api::UpdateDeployment>(ById { id: deployment }, (), body)
        .await?;
    placement(console, deployment, "as wanted", |placement| placement.state == state).await?;
    Ok(())
}

/// What the agent has the kernel count: one entry for each run of a container on the host's network.
fn counted(node: NodeId) -> Vec<String> {
    let folder = format!("/sys/fs/bpf/edgedeck-{}", node.0.simple());
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_containers_are_counted_over_restarts() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let mut agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?.id;
    console
        .call::<api::ManageNode>(ById { id: node }, (), ManageBody::default())
        .await?;
    for name in [HOSTED, BRIDGED] {
        host.docker.run(&["tag", IMAGE, name])?;
    }
    let here = || Target::Nodes(vec![node]);
    let hosted = deploy(&console, "hosted", spec(HOSTED, true), here()).await?;
    let bridged = deploy(&console, "bridged", spec(BRIDGED, false), here()).await?;
    until("first reading of both", LONG, async || {
        Ok((rows(&console).await?.len() == 2).then_some(()))
    })
    .await?;
    let first = counted(node);
    assert_eq!(first.len(), 1, "the one on the host's network is counted by the kernel");

    // The agent is killed in the middle, and what is moved while it is dead is counted all the same.
    let (one, other) = (running(&host, HOSTED)?, running(&host, BRIDGED)?);
    let kill = async || {
        agent.kill();
        Ok(())
    };
    tokio::try_join!(move_bytes(&host, &one, kill), move_bytes(&host, &other, nothing))?;
    assert_eq!(counted(node), first, "the kernel counts on");
    let _agent = host.run_agent()?;

    // One is restarted as somebody wants it, and one ends by itself.
    turn(&console, bridged, Wanted::Stopped, InstanceState::Stopped).await?;
    turn(&console, bridged, Wanted::Running, InstanceState::Running).await?;
    host.docker.run(&["kill", &one])?;
    until("counting of the next run", LONG, async || {
        let now = counted(node);
        Ok((now.len() == 1 && now != first).then_some(()))
    })
    .await?;
    let (one, other) = (running(&host, HOSTED)?, running(&host, BRIDGED)?);
    tokio::try_join!(move_bytes(&host, &one, nothing), move_bytes(&host, &other, nothing))?;
    // What does not leave the box is nobody's traffic.
    talk_to_itself(&host, &one)?;

    // Their end is measured at once, and reported.
    for deployment in [hosted, bridged] {
        console
            .call::<api::DeleteDeployment>(ById { id: deployment }, (), ())
            .await?;
    }
    until("end of both", LONG, async || {
        Ok((host.containers()?.is_empty() && counted(node).is_empty()).then_some(()))
    })
    .await?;
    let reports = PathBuf::from(host.state()).join("usage");
    let known = until("all that was moved", LONG * 2, async || {
        let rows = rows(&console).await?;
        let is_all = [HOSTED, BRIDGED].iter().all(|image| is_moved(&rows, image));
        Ok((is_all && fs::read_dir(&reports)?.next().is_none()).then_some(rows))
    })
    .await;
    let known = known.with_context(|| host.log())?;
    for (image, row) in &known {
        println!(
            "{image}: sent {} B, received {} B, of {} B each; CPU {} ms, memory {:.0} B, disk {:.0} B, measured {} ms",
            row.used.sent_bytes,
            row.used.received_bytes,
            2 * MOVED,
            row.used.cpu_ms,
            row.memory_bytes,
            row.disk_bytes,
            row.used.measured_ms
        );
        ensure!(row.used.cpu_ms > 0 && row.memory_bytes > 0.0, "{row:?}");
    }
    // All views of it agree.
    let by_node = usage(&console, UsageBy::Node).await?;
    let sent: u64 = known.values().map(|row| row.used.sent_bytes).sum();
    assert_eq!(by_node.total.used.sent_bytes, sent);
    assert_eq!(
        by_node.rows.iter().map(|row| row.node).collect::<Vec<_>>(),
        [Some(node)]
    );

    // The node goes, what was measured stays, and the kernel counts nothing for it any more.
    console.call::<api::RemoveNode>(ById { id: node }, (), ()).await?;
    let folder = PathBuf::from(format!("/sys/fs/bpf/edgedeck-{}", node.0.simple()));
    until("end of the agent", LONG, async || Ok((!folder.exists()).then_some(()))).await?;
    assert_eq!(rows(&console).await?.len(), 2);
    Ok(())
}

/// A box without control groups of version 2: everything but the traffic of what has no interface of its own.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_counted_is_told() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let mut agent = join(&console, &host).await?;
    agent.kill();
    let without = "while umount \"$(grep -m 1 ' cgroup2 ' /proc/self/mounts | cut -d ' ' -f 2)\"; do :; done 2> /dev/null; exec \"$@\"";
    let _agent = host.run_agent_under(&["unshare", "--mount", "sh", "-c", without, "--"])?;
    let node = node_in(&console, NodeState::Online).await?.id;
    console
        .call::<api::ManageNode>(ById { id: node }, (), ManageBody::default())
        .await?;
    for name in [HOSTED, BRIDGED] {
        host.docker.run(&["tag", IMAGE, name])?;
    }
    let here = || Target::Nodes(vec![node]);
    deploy(&console, "hosted", spec(HOSTED, true), here()).await?;
    deploy(&console, "bridged", spec(BRIDGED, false), here()).await?;
    let known = until("use of both", LONG, async || {
        let rows = rows(&console).await?;
        Ok((rows.len() == 2 && rows.values().all(|row| row.used.measured_ms > 0)).then_some(rows))
    })
    .await?;
    for (image, row) in &known {
        let uncounted = if image == HOSTED { row.used.measured_ms } else { 0 };
        assert_eq!(row.used.uncounted_ms, uncounted, "{image}");
        ensure!(row.used.cpu_ms > 0, "{image}: {row:?}");
    }
    assert_eq!(counted(node), Vec::<String>::new());
    ensure!(host.log().contains("not counted by control group"), "{}", host.log());
    Ok(())
}

/// Whether two rounds were measured, to 5 % each way.
fn is_moved(rows: &BTreeMap<String, UsageRow>, image: &str) -> bool {
    let is_near = |bytes: u64| bytes.abs_diff(2 * MOVED) <= 2 * MOVED / 20;
    rows.get(image)
        .is_some_and(|row| is_near(row.used.sent_bytes) && is_near(row.used.received_bytes))
}
