//! `fleet`: what a simulated fleet costs the engine while nothing happens but heartbeats and samples; how soon all of it is
//! back after the engine was killed; and how soon nodes that fall silent are known to be offline.

use super::{Figure, process, sizes};
use crate::{
    lab::{self, LONG},
    programs::Edgedeckd,
    wait::until,
};
use anyhow::Result;
use edgedeck_model::{
    api::{self, NodeQuery},
    node::NodeState,
};
use std::time::{Duration, Instant};

/// Steady time that is measured, unless `EDGEDECK_BENCH_SECONDS` says otherwise.
const SECONDS: u64 = 60;
const HEARTBEAT: Duration = Duration::from_secs(10);
/// The timeout of a link and a second.
const OFFLINE_WITHIN: f64 = 31.0;

async fn size(nodes: u32) -> Result<Vec<Figure>> {
    let mut engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    let started = Instant::now();
    let fleet = lab::simulated_fleet(&engine, &admin, nodes, &["--steady"]).await?;
    let joined = started.elapsed().as_secs_f64();
    // The burst of joining is over once every node has sent its second sample.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let seconds = std::env::var("EDGEDECK_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let share = process::share_of_a_core(&[engine.id()], Duration::from_secs(seconds)).await?;
    let memory = process::pss(engine.id())?;
    engine.kill_and_restart().await?;
    let restarted = Instant::now();
    until("links of the whole fleet", LONG, async || {
        let status = admin.call::<api::GetStatus>((), (), ()).await?;
        Ok((status.connected >= nodes).then_some(()))
    })
    .await?;
    let back = restarted.elapsed().as_secs_f64();
    // Every node's first heartbeat after that is past.
    tokio::time::sleep(HEARTBEAT).await;
    fleet.hold(true);
    let held = Instant::now();
    let online = NodeQuery {
        state: Some(NodeState::Online),
        limit: 1,
        ..NodeQuery::default()
    };
    until("nodes that are all offline", LONG, async || {
        let nodes = admin.call::<api::ListNodes>((), online.clone(), ()).await?;
        Ok((nodes.total == 0).then_some(()))
    })
    .await?;
    let offline = held.elapsed().as_secs_f64();
    fleet.hold(false);
    let case = |what: &str| format!("{nodes} nodes, {what}");
    let joined = Figure::told("fleet", case("joined and linked"), joined, "s");
    Ok(vec![
        joined,
        Figure::at_most("fleet", case("engine"), share, "% of a core", 40.0),
        Figure::at_most("fleet", case("engine"), memory, "MiB PSS", 400.0),
        Figure::at_most("fleet", case("linked again after a kill"), back, "s", 20.0),
        Figure::at_most("fleet", case("silent and all offline"), offline, "s", OFFLINE_WITHIN),
    ])
}

pub async fn run() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for nodes in sizes()? {
        figures.extend(size(nodes).await?);
    }
    Ok(figures)
}
