//! `idle`: what the engine alone costs, with an empty lab.

use super::{Figure, process};
use crate::programs::Edgedeckd;
use anyhow::Result;
use std::time::Duration;

pub async fn run() -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
    // As it is once what the start needed is over.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let share = process::share_of_a_core(&[engine.id()], Duration::from_secs(30)).await?;
    let memory = process::pss(engine.id())?;
    let figure = |figure, unit, most| Figure::at_most("idle", "engine, empty lab".to_owned(), figure, unit, most);
    Ok(vec![figure(memory, "MiB PSS", 30.0), figure(share, "% of a core", 0.5)])
}
