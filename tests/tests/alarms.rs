//! What a real box suffers is an alarm, and the alarm goes when it is well again.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    Time,
    alarm::AlarmKind,
    api::{self, AlarmQuery, ById, DeleteDeployment, ManageBody, OneSeries},
    deployment::{InstanceState, Reason, Target},
    node::NodeState,
    probe::{Check, Probe},
    telemetry::Metric,
};
use edgedeck_tests::{
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, alarm, container, deploy, node, node_in, placement},
    programs::Edgedeckd,
    wait::until,
};
use std::{fs, net::Ipv4Addr, os::unix::fs::PermissionsExt, time::Duration};

/// Two chips that are well; and one board of which one is not.
const WELL: &str = include_str!("../../src-tauri/agent/tests/npu/info-310P3-v22.0.4.txt");
const ILL: &str = include_str!("../../src-tauri/agent/tests/npu/info-310B4-alarm-v23.0.0.txt");

#[tokio::test(flavor = "multi_thread")]
async fn what_a_box_suffers_is_an_alarm_until_it_is_well_again() -> Result<()> {
    let mut host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let folder = tempfile::tempdir()?;
    let (tool, info) = (folder.path().join("npu-smi"), folder.path().join("info"));
    let script = format!("#!/bin/sh\n[ \"$*\" = info ] && exec cat {}\nexit 1\n", info.display());
    fs::write(&tool, script)?;
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755))?;
    let show = |text: &str| -> Result<()> {
        let new = folder.path().join("new");
        fs::write(&new, text)?;
        Ok(fs::rename(new, &info)?)
    };
    show(WELL)?;
    let tool = tool.display().to_string();
    let envs = [("EDGEDECK_NPU_SMI", tool.as_str())];
    drop(join(&console, &host).await?);
    let mut agent = host.run_agent_with(&[], &envs)?;
    let known = node_in(&console, NodeState::Online).await?;
    until("chips", LONG, async || {
        Ok(node(&console)
            .await?
            .filter(|node| !node.facts.npus.is_empty())
            .map(drop))
    })
    .await?;
    let target = || Target::Nodes(vec![known.id]);
    console
        .call::<api::ManageNode>(ById { id: known.id }, (), ManageBody::default())
        .await?;

    // Somebody looks at the node all the time, so that it is measured often.
    let (looking, id) = (engine.console().await?, known.id);
    let looked = tokio::spawn(async move {
        loop {
            let query = OneSeries {
                node: Some(id),
                metric: Some(Metric::CpuPercent),
                from: Time(0),
                to: Time(1),
            };
            // Whatever it answers: that it was asked is what counts.
            let _asked = looking.try_call::<api::GetSeries>((), query, ()).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
    });

    // A chip that its tool calls ill.
    show(ILL)?;
    alarm(&console, AlarmKind::NpuUnhealthy, true).await?;
    show(WELL)?;
    alarm(&console, AlarmKind::NpuUnhealthy, false).await?;

    // Chips that the tool names, and that have no devices.
    let mut spec = container(IMAGE, "exec sleep 100000");
    spec.parts[0].resources.npus = 1;
    let app = deploy(&console, "chips", spec, target()).await?;
    let refused = placement(&console, app, "missing device", |placement| {
        placement
            .parts
            .iter()
            .any(|part| part.reason == Some(Reason::NoSuchDevice))
    });
    refused.await?;
    alarm(&console, AlarmKind::DeviceMissing, true).await?;
    console.call::<DeleteDeployment>(ById { id: app }, (), ()).await?;
    alarm(&console, AlarmKind::DeviceMissing, false).await?;

    // A container that says of itself that it is not well, until it is.
    let made = host.docker.run(&["create", IMAGE, "/bin/sh"])?;
    let check = "HEALTHCHECK --interval=1s --timeout=5s --retries=1 CMD cat /tmp/well";
    host.docker
        .run(&["commit", "--change", check, made.trim(), "ailing:1"])?;
    let spec = container("ailing:1", "sleep 8; echo yes > /tmp/well; exec sleep 100000");
    let app = deploy(&console, "ailing", spec, target()).await?;
    alarm(&console, AlarmKind::ProbeFailed, true).await?;
    let ailing = placement(&console, app, "ailing part", |placement| {
        placement.parts.iter().any(|part| part.unhealthy)
    });
    ensure!(ailing.await?.state == InstanceState::Running);
    alarm(&console, AlarmKind::ProbeFailed, false).await?;
    console.call::<DeleteDeployment>(ById { id: app }, (), ()).await?;

    // One that the agent finds dead, and starts anew: the alarm stays until the probe passes.
    let mut spec = container(
        IMAGE,
        "trap 'exit 0' TERM; test -e /tmp/once && echo > /tmp/well; echo > /tmp/once; while true; do sleep 1; done",
    );
    spec.parts[0].liveness = Some(Probe {
        timeout_seconds: 5,
        period_seconds: 1,
        failure_threshold: 2,
        ..Probe::new(vec![Check::Exec {
            command: vec!["cat".to_owned(), "/tmp/well".to_owned()],
        }])
    });
    let app = deploy(&console, "dead", spec, target()).await?;
    alarm(&console, AlarmKind::ProbeFailed, true).await?;
    alarm(&console, AlarmKind::ProbeFailed, false).await?;
    let dead = placement(&console, app, "part that was started anew", |placement| {
        placement.state == InstanceState::Running && placement.parts.iter().any(|part| part.restarts == 1)
    });
    let dead = dead.await?;
    ensure!(dead.parts.iter().all(|part| !part.unhealthy), "{dead:?}");

    // The container engine ends, and comes back.
    host.docker.stop_engine()?;
    alarm(&console, AlarmKind::RuntimeDown, true).await?;
    node_in(&console, NodeState::Degraded).await?;
    host.docker.start_engine().await?;
    alarm(&console, AlarmKind::RuntimeDown, false).await?;
    node_in(&console, NodeState::Online).await?;

    // What the agent keeps was damaged while it was off: it goes on, gets it again, and says so.
    agent.stop()?;
    fs::write(format!("{}/desired.cbor", host.state()), b"\xff\xff damaged")?;
    let _agent = host.run_agent_with(&[], &envs)?;
    let damaged = until("alarm of damage that has cleared", LONG, async || {
        let query = AlarmQuery {
            cleared: true,
            ..AlarmQuery::default()
        };
        let all = console.call::<api::ListAlarms>((), query, ()).await?.items;
        let found = all.into_iter().find(|alarm| alarm.kind == AlarmKind::AgentDamaged);
        Ok(found.filter(|alarm| alarm.cleared_at.is_some()))
    })
    .await?;
    ensure!(
        damaged.facts.get("file").context("a file")? == "desired.cbor",
        "{damaged:?}"
    );
    looked.abort();
    placement(&console, app, "container that runs again", |placement| {
        placement.state == InstanceState::Running
    })
    .await?;
    Ok(())
}
