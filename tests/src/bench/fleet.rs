//! `fleet`: what a simulated fleet costs the engine while nothing happens but heartbeats and samples.

use super::{Figure, process};
use crate::{
    programs::{Edgedeckd, Process, program},
    wait::until,
};
use anyhow::{Context, Result};
use edgedeck_model::{
    api::{self, NewJoinTokenBody},
    join::JoinTokenKind,
};
use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Steady time that is measured, unless `EDGEDECK_BENCH_SECONDS` says otherwise.
const SECONDS: u64 = 60;

/// Lets a fleet without faults join `engine`, waits until all are linked, and says how many seconds that took.
pub(super) async fn join(engine: &Edgedeckd, nodes: u32) -> Result<(Process, f64)> {
    let admin = engine.console().await?;
    let token = admin
        .call::<api::CreateJoinToken>(
            (),
            (),
            NewJoinTokenBody {
                kind: JoinTokenKind::Lab,
            },
        )
        .await?;
    let mut command = Command::new(program("edgedeckd")?);
    command
        .args([
            "lab",
            "--engine",
            &engine.agents_url(),
            "--token",
            &token.secret,
            "--ca-hash",
            &token.ca_hash,
        ])
        .args(["--steady", "--nodes", &nodes.to_string()])
        // The nodes' keys go with the lab.
        .env("XDG_DATA_HOME", engine.data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let lab = Process::start(&mut command)?;
    until("whole fleet", Duration::from_secs(300), async || {
        Ok((admin.call::<api::GetStatus>((), (), ()).await?.connected >= nodes).then_some(()))
    })
    .await?;
    Ok((lab, started.elapsed().as_secs_f64()))
}

async fn size(nodes: u32) -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
    let (_lab, joined) = join(&engine, nodes).await?;
    // The burst of joining is over once every node has sent its second sample.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let seconds = std::env::var("EDGEDECK_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let share = process::share_of_a_core(&[engine.id()], Duration::from_secs(seconds)).await?;
    let memory = process::pss(engine.id())?;
    let figure = |what: &str, figure, unit, target: &str, met| Figure {
        bench: "fleet",
        case: format!("{nodes} nodes, {what}"),
        figure,
        unit,
        baseline: None,
        ratio: None,
        target: target.to_owned(),
        met,
    };
    Ok(vec![
        figure("joined and linked", joined, "s", "-", true),
        figure("engine", share, "% of a core", "<= 40", share <= 40.0),
        figure("engine", memory, "MiB PSS", "<= 400", memory <= 400.0),
    ])
}

pub async fn run() -> Result<Vec<Figure>> {
    let sizes = std::env::var("EDGEDECK_BENCH_NODES").unwrap_or_else(|_| "1000".to_owned());
    let mut figures = Vec::new();
    for nodes in sizes.split(',') {
        figures.extend(
            size(
                nodes
                    .trim()
                    .parse()
                    .context("EDGEDECK_BENCH_NODES holds numbers and commas")?,
            )
            .await?,
        );
    }
    Ok(figures)
}
