//! `fleet`: what a simulated fleet costs the engine while nothing happens but heartbeats and samples.

use super::Figure;
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
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Steady time that is measured, unless `EDGEDECK_BENCH_SECONDS` says otherwise.
const SECONDS: u64 = 60;

/// Seconds of processor that a process has used.
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let rest = stat.rsplit_once(')').context("a name in /proc/…/stat")?.1;
    let ticks: u64 = rest
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on every Linux that this runs on.
    Ok(ticks as f64 / 100.0)
}

/// Proportional set size of a process, in MiB.
fn pss(process: u32) -> Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .context("Pss in smaps_rollup")?;
    let kib: f64 = line.split_whitespace().next().context("a number of KiB")?.parse()?;
    Ok(kib / 1_024.0)
}

async fn size(nodes: u32) -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
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
    let _lab = Process::start(&mut command)?;
    until("whole fleet", Duration::from_secs(300), async || {
        Ok((admin.call::<api::GetStatus>((), (), ()).await?.connected >= nodes).then_some(()))
    })
    .await?;
    let joined = started.elapsed().as_secs_f64();
    // The burst of joining is over once every node has sent its second sample.
    tokio::time::sleep(Duration::from_secs(35)).await;
    let seconds = std::env::var("EDGEDECK_BENCH_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SECONDS);
    let (before, from) = (cpu_seconds(engine.id())?, Instant::now());
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let share = (cpu_seconds(engine.id())? - before) / from.elapsed().as_secs_f64() * 100.0;
    let memory = pss(engine.id())?;
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
