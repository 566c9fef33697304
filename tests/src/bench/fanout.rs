//! `fanout`: one app deployed to a whole simulated fleet; how long until the change feed tells of every node that it runs.

use super::{Figure, percentile, sizes};
use crate::{client::Console, lab, programs::Edgedeckd};
use anyhow::{Context, Result, ensure};
use edgedeck_lab::{LabOptions, Tokens};
use edgedeck_model::{
    PlacementId,
    api::{self, NewAppBody, NewJoinTokenBody},
    deployment::{InstanceState, NewDeployment, Target},
    feed::{Change, Feed, WatchQuery},
    join::JoinTokenKind,
};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::watch;

/// All must run within this time.
const LIMIT: Duration = Duration::from_secs(120);

async fn look(console: &Console, last: &Feed, wait: u32) -> Result<Feed> {
    let query = WatchQuery {
        rev: last.rev,
        live: last.live,
        epoch: last.epoch,
        wait,
    };
    console.call::<api::Watch>((), query, ()).await
}

async fn size(nodes: u32) -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let body = NewJoinTokenBody {
        kind: JoinTokenKind::Lab,
    };
    let token = console.call::<api::CreateJoinToken>((), (), body).await?;
    let folder = TempDir::new()?;
    let options = LabOptions {
        engine: engine.agents_url(),
        tokens: Tokens::Shared(token.secret),
        ca_hash: token.ca_hash,
        nodes,
        faults: false,
        // Measured is what the engine takes, not what a container takes.
        start_delay: Duration::ZERO,
        state: Some(folder.path().to_owned()),
        ..LabOptions::default()
    };
    let (stop, stopped) = watch::channel(false);
    let fleet = tokio::spawn(edgedeck_lab::run(options, stopped));
    crate::wait::until("linked fleet", LIMIT, async || {
        let status = console.call::<api::GetStatus>((), (), ()).await?;
        Ok((status.connected >= nodes).then_some(()))
    })
    .await?;
    let managed = lab::manage_all_but(&console, 0).await?;
    ensure!(managed.len() == nodes as usize, "{} nodes are managed", managed.len());
    let body = NewAppBody {
        name: "fanout".to_owned(),
        description: String::new(),
        label: "1".to_owned(),
        spec: lab::container("lab/busybox:1", "exec sleep 1"),
    };
    let app = console.call::<api::CreateApp>((), (), body).await?.app;
    let mut last = look(&console, &Feed::default(), 0).await?;
    let body = NewDeployment {
        name: "fanout".to_owned(),
        app: app.id,
        version: None,
        target: Target::Nodes(managed),
    };
    let asked = Instant::now();
    let deployment = console.call::<api::CreateDeployment>((), (), body).await?.id;
    let answered = Instant::now();
    let mut runs: HashMap<PlacementId, Duration> = HashMap::new();
    while runs.len() < nodes as usize {
        ensure!(answered.elapsed() < LIMIT, "{} of {nodes} run", runs.len());
        last = look(&console, &last, 1_000).await?;
        let seen = answered.elapsed();
        for change in &last.changes {
            if let Change::Placement(placement) = change
                && placement.deployment == deployment
                && placement.state == InstanceState::Running
            {
                runs.entry(placement.id).or_insert(seen);
            }
        }
    }
    stop.send(true).context("the fleet has ended by itself")?;
    fleet.await??;
    let times: Vec<f64> = runs.values().map(|time| time.as_secs_f64() * 1_000.0).collect();
    let case = |what: &str| format!("{nodes} nodes, {what}");
    Ok(vec![
        Figure::told(
            "fanout",
            case("answer"),
            (answered - asked).as_secs_f64() * 1_000.0,
            "ms",
        ),
        Figure::told(
            "fanout",
            case("running in the feed after the answer, p50"),
            percentile(&times, 50),
            "ms",
        ),
        Figure::at_most(
            "fanout",
            case("running in the feed after the answer, p99"),
            percentile(&times, 99),
            "ms",
            1_000.0 * f64::from(nodes.div_ceil(1_000)),
        ),
    ])
}

pub async fn run() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for nodes in sizes()? {
        figures.extend(size(nodes).await?);
    }
    Ok(figures)
}
