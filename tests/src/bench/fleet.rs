//! `fleet`: what a simulated fleet costs the engine while nothing happens but heartbeats and samples.

use super::{Figure, process, sizes};
use crate::{lab, programs::Edgedeckd};
use anyhow::Result;
use std::time::{Duration, Instant};

/// Steady time that is measured, unless `EDGEDECK_BENCH_SECONDS` says otherwise.
const SECONDS: u64 = 60;

async fn size(nodes: u32) -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
    let admin = engine.console().await?;
    let started = Instant::now();
    let _fleet = lab::simulated_fleet(&engine, &admin, nodes, &["--steady"]).await?;
    let joined = started.elapsed().as_secs_f64();
    // The burst of joining is over once every node has sent its second sample.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let seconds = std::env::var("EDGEDECK_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let share = process::share_of_a_core(&[engine.id()], Duration::from_secs(seconds)).await?;
    let memory = process::pss(engine.id())?;
    let case = |what: &str| format!("{nodes} nodes, {what}");
    let joined = Figure::told("fleet", case("joined and linked"), joined, "s");
    Ok(vec![
        joined,
        Figure::at_most("fleet", case("engine"), share, "% of a core", 40.0),
        Figure::at_most("fleet", case("engine"), memory, "MiB PSS", 400.0),
    ])
}

pub async fn run() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for nodes in sizes()? {
        figures.extend(size(nodes).await?);
    }
    Ok(figures)
}
