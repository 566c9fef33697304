//! A network that comes and goes: workloads run on, states say what is known, and in the end all is as wanted.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    api::{self, ById, ManageBody},
    deployment::{InstanceState, Target},
    node::NodeState,
};
use edgedeck_tests::{
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, node_in, placement},
    programs::Edgedeckd,
    rounds,
    wait::until,
};
use std::net::Ipv4Addr;

#[tokio::test(flavor = "multi_thread")]
async fn a_cable_that_is_cut_again_and_again_changes_nothing_in_the_end() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let _agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;
    let here = || Target::Nodes(vec![node.id]);
    let stays = deploy(&console, "stays", container(IMAGE, "exec sleep 100000"), here()).await?;
    let running = |placement: &edgedeck_model::deployment::Placement| placement.state == InstanceState::Running;
    placement(&console, stays, "running container", running).await?;
    let first = host.containers()?.pop().context("a container")?;

    let mut before = None;
    for round in 0..rounds(2, 100) {
        host.cable.cut()?;
        node_in(&console, NodeState::Offline).await?;
        ensure!(host.containers()?.contains(&first), "it runs on");
        // Everything that is wanted changes while nobody hears of it.
        let new = deploy(
            &console,
            &format!("new-{round}"),
            container(IMAGE, "exec sleep 100000"),
            here(),
        )
        .await?;
        if let Some(old) = before.replace(new) {
            console.call::<api::DeleteDeployment>(ById { id: old }, (), ()).await?;
        }
        let waits = placement(&console, new, "placement", |_| true).await?;
        ensure!(waits.state != InstanceState::Running, "{waits:?}");
        for _ in 0..round {
            host.cable.mend()?;
            host.cable.cut()?;
        }
        host.cable.mend()?;
        node_in(&console, NodeState::Online).await?;
        placement(&console, new, "new container", running).await?;
        placement(&console, stays, "old container, known again", running).await?;
        until("end of what is not wanted", LONG, async || {
            Ok((host.containers()?.len() == 2).then_some(()))
        })
        .await?;
    }
    ensure!(host.containers()?.contains(&first), "it was never restarted");
    let known = placement(&console, stays, "placement", |_| true).await?;
    assert_eq!(known.parts.first().map(|part| part.restarts), Some(0));
    Ok(())
}
