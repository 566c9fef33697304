//! `metering`: ten reports of every node's containers, through the engine's door for agents into the database; and 35 days
//! of a hundred images, as Tingyu's scripts and the console ask for them. In one process, with a clock that the bench moves.

use super::{
    Figure, sizes,
    telemetry::{Agent, agent, settled},
};
use anyhow::{Result, ensure};
use edgedeck_engine::{Actor, Clock, Engine, Options, UsageFind, UsageStep};
use edgedeck_model::{
    PlacementId, Time, VersionId,
    join::JoinTokenKind,
    metering::{PartUsage, TrafficSource, UsageBy, UsageQuery, WINDOW, window_of},
    time::DAY,
};
use edgedeck_protocol::{FromAgent, Usage};
use futures::{StreamExt, stream};
use std::{collections::BTreeSet, path::Path, sync::Arc, time::Instant};
use tempfile::TempDir;
use uuid::Uuid;

const PARTS: u32 = 5;
const IMAGES: u32 = 100;
const REPORTS: u64 = 10;
/// Nodes whose reports come at once.
const AT_ONCE: usize = 256;
const DAYS: i64 = 35;

fn part(number: u32) -> PartUsage {
    PartUsage {
        placement: PlacementId(Uuid::from_u128(number.into())),
        part: "main".to_owned(),
        version: VersionId(Uuid::nil()),
        image: format!("lab.example:5443/cdn/image-{}:v1", number % IMAGES),
        traffic: TrafficSource::ControlGroup,
        sent_bytes: 1_000_000 + u64::from(number),
        received_bytes: 500_000,
        cpu_ms: 60_000,
        memory_bytes: 100 << 20,
        disk_bytes: 1 << 30,
        measured_ms: WINDOW as u64,
    }
}

async fn report(agent: &mut Agent, number: u64, window: Time, parts: Vec<PartUsage>) -> Result<()> {
    while agent.frames.try_recv().is_ok() {}
    let usage = Usage {
        epoch: 1,
        number,
        window,
        parts,
    };
    Ok(agent.session.receive(FromAgent::Usage(usage)).await?)
}

async fn open(data: &Path) -> Result<(Arc<Engine>, String)> {
    let engine = Engine::open(Options {
        data: data.to_owned(),
        clock: Clock::manual(Time(1_790_000_000_000)),
        hosts: BTreeSet::new(),
        addresses: Vec::new(),
    })
    .await?;
    let (_, token) = engine.create_join_token(&Actor::engine(), JoinTokenKind::Lab).await?;
    Ok((engine, token))
}

async fn storing(nodes: u32) -> Result<Figure> {
    let folder = TempDir::new()?;
    let (engine, token) = open(&folder.path().join("lab")).await?;
    let joining = (0..nodes).map(|number| agent(&engine, &token, number));
    let joined: Vec<Result<Agent>> = stream::iter(joining).buffer_unordered(AT_ONCE).collect().await;
    let mut agents = joined.into_iter().collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    for number in 1..=REPORTS {
        engine.clock.advance(WINDOW);
        let window = window_of(engine.now());
        let sending = agents.iter_mut().zip(0_u32..).map(|(agent, index)| {
            let parts = (0..PARTS).map(|part_of| part(index * PARTS + part_of)).collect();
            report(agent, number, window, parts)
        });
        let mut sent = stream::iter(sending).buffer_unordered(AT_ONCE);
        while let Some(sent) = sent.next().await {
            sent?;
        }
    }
    let rate = f64::from(nodes) * REPORTS as f64 / begun.elapsed().as_secs_f64();
    drop(agents);
    engine.close().await;
    let case = format!("{nodes} nodes with {PARTS} containers, {REPORTS} reports each");
    // What comes in: a report of each node a minute.
    let least = f64::from(nodes) / 60.0 * 10.0;
    Ok(Figure {
        target: format!(">= {least:.0}, ten times what comes"),
        met: rate >= least,
        ..Figure::told("metering", case, rate, "reports/s")
    })
}

async fn asking() -> Result<Vec<Figure>> {
    let folder = TempDir::new()?;
    let data = folder.path().join("lab");
    let (engine, token) = open(&data).await?;
    let mut one = agent(&engine, &token, 0).await?;
    let (begun, before) = (engine.now(), settled(&data)?);
    let windows = DAYS * DAY / WINDOW;
    for number in 1..=windows {
        engine.clock.advance(WINDOW);
        let parts = (0..IMAGES).map(part).collect();
        report(
            &mut one,
            number.try_into()?,
            window_of(engine.now()).plus(-WINDOW),
            parts,
        )
        .await?;
    }
    let grown = settled(&data)?.saturating_sub(before);
    let to = engine.now();
    let find = |by, from, image: Option<&str>| UsageFind {
        from,
        to,
        step: UsageStep::Window,
        by,
        image: image.map(ToOwned::to_owned),
        tag: None,
        node: None,
    };
    let mut figures = vec![Figure::told(
        "metering",
        format!("{DAYS} days of {IMAGES} images on disk"),
        grown as f64 / 1_048_576.0,
        "MiB",
    )];
    let cases = [
        ("the lab's traffic", find(UsageBy::Total, begun, None), windows, 3_000.0),
        (
            "one image",
            find(UsageBy::Image, begun, Some("image-7")),
            windows,
            1_000.0,
        ),
        (
            "every image",
            find(UsageBy::Image, begun, None),
            windows * i64::from(IMAGES),
            10_000.0,
        ),
    ];
    for (what, find, expected, most) in cases {
        let asked = Instant::now();
        let found = engine.usage_ended(find)?.len();
        let ms = asked.elapsed().as_secs_f64() * 1_000.0;
        // The oldest hour is told as one.
        ensure!(
            found as i64 >= expected - 12 * i64::from(IMAGES),
            "{found} samples instead of {expected}"
        );
        figures.push(Figure::at_most(
            "metering",
            format!("{DAYS} days of {IMAGES} images, {what}"),
            ms,
            "ms",
            most,
        ));
    }
    for (what, days, by) in [
        ("a day", 1, UsageBy::Version),
        ("30 days", 30, UsageBy::Version),
        ("30 days by node", 30, UsageBy::Node),
    ] {
        let query = UsageQuery {
            from: to.plus(-days * DAY),
            to,
            by,
            ..UsageQuery::default()
        };
        let asked = Instant::now();
        let report = engine.usage_report(&query)?;
        let ms = asked.elapsed().as_secs_f64() * 1_000.0;
        ensure!(
            !report.rows.is_empty() && !report.points.is_empty(),
            "nothing was found"
        );
        figures.push(Figure::at_most(
            "metering",
            format!("the console's {what}"),
            ms,
            "ms",
            1_000.0,
        ));
    }
    drop(one);
    engine.close().await;
    Ok(figures)
}

pub async fn run() -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for nodes in sizes()? {
        figures.push(storing(nodes).await?);
    }
    figures.extend(asking().await?);
    Ok(figures)
}
