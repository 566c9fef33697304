//! `window`: how soon the window shows a live lab, and what it costs then.

use super::{Figure, process};
use crate::{
    lab,
    programs::Edgedeckd,
    wait::{USUAL, until},
    web::Web,
};
use anyhow::{Context, Result};
use std::time::Duration;

const NODES: u32 = 1_000;

/// Milliseconds from 1970 to the first picture of the lab, as the page has marked it.
const DRAWN: &str = "const mark = performance.getEntriesByName('lab-drawn')[0]; \
                     return mark ? performance.timeOrigin + mark.startTime : null";

pub async fn run() -> Result<Vec<Figure>> {
    let mut engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let _fleet = lab::simulated_fleet(&engine, &console, NODES, &["--steady"]).await?;
    lab::manage_all_but(&console, 0).await?;
    let agents = engine.listeners.get("agents").copied().context("agents")?;
    // From here on the window's own engine has the lab.
    engine.stop()?;

    let web = Web::window_at(engine.data.path(), (1280, 800), &[], &agents.to_string()).await?;
    let drawn = until("picture of the lab", USUAL, async || {
        Ok(web.client.execute(DRAWN, Vec::new()).await?.as_f64())
    })
    .await?;
    let processes = process::descendants(web.driver().context("a driver")?)?;
    let app = processes
        .iter()
        .copied()
        .find(|process| process::name(*process) == "edgedeck");
    let app = app.context("the process of the window")?;
    let start = drawn - process::started_at(app)?;

    web.click("[data-test=nav-nodes] a").await?;
    until("all nodes connected", Duration::from_secs(120), async || {
        let line = web.find("[data-test=connected]").await?.prop("textContent").await?;
        Ok(line.is_some_and(|line| line.starts_with("1,000 ")).then_some(()))
    })
    .await?;
    // The rush of links is over once every node has sent its second sample.
    tokio::time::sleep(Duration::from_secs(40)).await;
    let share = process::share_of_a_core(&processes, Duration::from_secs(30)).await?;
    let own = process::pss(app)?;
    let all = processes
        .iter()
        .map(|process| process::pss(*process))
        .sum::<Result<f64>>()?;
    web.close().await?;

    let figure = |what: &str, figure, unit, most| {
        Figure::at_most("window", format!("{NODES} nodes, {what}"), figure, unit, most)
    };
    Ok(vec![
        figure("start to a picture of the lab", start, "ms", 600.0),
        figure("the program, engine inside", own, "MiB PSS", 150.0),
        figure("all its processes", all, "MiB PSS", 400.0),
        figure("all its processes, nobody touching it", share, "% of a core", 1.0),
    ])
}
