//! `telemetry`: an hour of samples of a whole fleet, 20 values each 30 s, through the engine's door for agents into the
//! database; and a day of one node, as a chart reads it. In one process, with a clock that the bench moves.

use super::{Figure, sizes};
use anyhow::{Context, Result, ensure};
use edgedeck_engine::{Actor, Clock, Engine, Options, Session};
use edgedeck_model::{
    NodeId, Time,
    api::ManageBody,
    join::JoinTokenKind,
    telemetry::{Metric, Sample, SeriesQuery, Value},
    time::{HOUR, SECOND},
};
use edgedeck_protocol::{FromAgent, Hello, JoinRequest, ToAgent, VERSIONS};
use futures::{StreamExt, stream};
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

const STEP: i64 = 30 * SECOND;
const VALUES: usize = 20;
/// Nodes whose samples come at once.
const AT_ONCE: usize = 256;

pub(super) struct Agent {
    node: NodeId,
    pub(super) session: Session,
    pub(super) frames: Receiver<ToAgent>,
}

/// An agent that has joined, without a box.
pub(super) async fn agent(engine: &Arc<Engine>, token: &str, number: u32) -> Result<Agent> {
    let key = KeyPair::generate()?;
    let serial = format!("T-{number}");
    let request = JoinRequest {
        token: token.to_owned(),
        csr_pem: CertificateParams::default().serialize_request(&key)?.pem()?,
        serial: serial.clone(),
        host_name: serial.clone(),
        arch: "x86_64".to_owned(),
        agent_version: "0".to_owned(),
    };
    let node = engine.join(request, "192.0.2.1").await?.node;
    engine
        .manage_node(&Actor::engine(), node, ManageBody::default())
        .await?;
    let hello = Hello {
        versions: VERSIONS,
        agent_version: "0".to_owned(),
        serial,
        boot_id: "boot".to_owned(),
        generation: 0,
        outside: None,
        at: engine.now(),
    };
    let key_hash = edgedeck_engine::key_hash(key.der_bytes());
    let (session, frames) = engine.connect(node, &key_hash, hello).await?;
    Ok(Agent { node, session, frames })
}

/// Figures of a box with four chips that is at work: they move, as real ones do.
fn sample(number: u32, step: i64, at: Time) -> Sample {
    let wave = |shift: f32| ((step as f32 / 40.0 + number as f32 + shift).sin() + 1.0) / 2.0;
    let rounded = |value: f32| (value * 10.0).round() / 10.0;
    let mut values: Vec<Value> = [
        Metric::CpuPercent,
        Metric::MemoryPercent,
        Metric::DiskPercent,
        Metric::Load1,
    ]
    .into_iter()
    .zip([60.0, 40.0, 10.0, 8.0])
    .map(|(metric, top)| Value {
        metric,
        part: 0,
        value: rounded(top * wave(top)),
    })
    .collect();
    for part in 0..4 {
        let chips = [
            (Metric::NpuPercent, 100.0),
            (Metric::NpuMemoryPercent, 80.0),
            (Metric::NpuTemperature, 70.0),
            (Metric::NpuPower, 60.0),
        ];
        values.extend(chips.map(|(metric, top)| Value {
            metric,
            part,
            value: rounded(top * wave(part as f32)),
        }));
    }
    Sample { at, values }
}

fn bytes(data: &Path, name: &str) -> u64 {
    fs::metadata(data.join(name)).map_or(0, |file| file.len())
}

/// Bytes of the database once its log is part of it.
pub(super) fn settled(data: &Path) -> Result<u64> {
    let connection = rusqlite::Connection::open(data.join("edgedeck.db"))?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(bytes(data, "edgedeck.db"))
}

/// Lets a step of time pass, and every agent send its sample of it.
async fn step(engine: &Engine, agents: &mut [Agent], step: i64) -> Result<()> {
    engine.clock.advance(STEP);
    let at = engine.now();
    let number = u64::try_from(step + 1)?;
    let sending = agents.iter_mut().enumerate().map(|(index, agent)| async move {
        while agent.frames.try_recv().is_ok() {}
        let sample = sample(u32::try_from(index)?, step, at);
        agent.session.receive(FromAgent::Sample { number, sample }).await?;
        anyhow::Ok(())
    });
    let mut sent = stream::iter(sending).buffer_unordered(AT_ONCE);
    while let Some(sent) = sent.next().await {
        sent?;
    }
    engine.tick().await;
    Ok(())
}

async fn size(nodes: u32) -> Result<Vec<Figure>> {
    let folder = TempDir::new()?;
    let data = folder.path().join("lab");
    let engine = Engine::open(Options {
        data: data.clone(),
        clock: Clock::manual(Time(1_790_000_000_000)),
        hosts: BTreeSet::new(),
        addresses: Vec::new(),
    })
    .await?;
    let (_, token) = engine.create_join_token(&Actor::engine(), JoinTokenKind::Lab).await?;
    let joining = (0..nodes).map(|number| agent(&engine, &token, number));
    let joined: Vec<Result<Agent>> = stream::iter(joining).buffer_unordered(AT_ONCE).collect().await;
    let mut agents = joined.into_iter().collect::<Result<Vec<_>>>()?;
    let before = settled(&data)?;
    let (mut wal, steps) = (0, HOUR / STEP);
    let begun = Instant::now();
    for number in 0..steps {
        step(&engine, &mut agents, number).await?;
        wal = wal.max(bytes(&data, "edgedeck.db-wal"));
    }
    let seconds = begun.elapsed().as_secs_f64();
    let values = f64::from(nodes) * steps as f64 * VALUES as f64;
    let grown = settled(&data)?.saturating_sub(before);

    // A day of one chip; its other 23 hours are sent by its node alone.
    agents.truncate(1);
    for number in steps..24 * steps {
        step(&engine, &mut agents, number).await?;
    }
    let query = SeriesQuery {
        node: Some(agents.first().context("an agent")?.node),
        metric: Metric::NpuPercent,
        from: engine.now().plus(-24 * HOUR),
        to: engine.now(),
    };
    let asked = Instant::now();
    let series = engine.series(&query)?;
    let chart = asked.elapsed().as_secs_f64() * 1_000.0;
    let points = series.first().map_or(0, |line| line.points.len());
    ensure!(
        series.len() == 4 && points as i64 >= 24 * steps - 1,
        "{} lines of {points}",
        series.len()
    );
    drop(agents);
    engine.close().await;
    let case = |what: &str| format!("{nodes} nodes, {what}");
    let rate = values / seconds;
    Ok(vec![
        Figure {
            target: ">= 60000".to_owned(),
            met: rate >= 60_000.0,
            ..Figure::told("telemetry", case("one hour written"), rate, "values/s")
        },
        Figure::at_most(
            "telemetry",
            case("on disk"),
            grown as f64 / values,
            "bytes a value",
            4.0,
        ),
        Figure::at_most("telemetry", case("largest WAL"), wal as f64 / 1_048_576.0, "MiB", 64.0),
        Figure::at_most("telemetry", case("chart of one metric over 24 h"), chart, "ms", 50.0),
    ])
}

pub async fn run() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for nodes in sizes()? {
        figures.extend(size(nodes).await?);
    }
    Ok(figures)
}
