//! Benches: each prints its figure, a baseline measured in the same run without any code of ours, and their ratio.

mod fleet;
mod idle;
mod load;
mod process;
mod window;
mod write;

use anyhow::{Result, bail};
use serde::Serialize;

/// One measured case.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub bench: &'static str,
    pub case: String,
    pub figure: f64,
    pub unit: &'static str,
    pub baseline: Option<f64>,
    pub ratio: Option<f64>,
    /// What is to be reached, in words.
    pub target: String,
    pub met: bool,
}

impl Figure {
    /// One without a baseline that must not be above `most`.
    fn at_most(bench: &'static str, case: String, figure: f64, unit: &'static str, most: f64) -> Self {
        Self {
            bench,
            case,
            figure,
            unit,
            baseline: None,
            ratio: None,
            target: format!("<= {most}"),
            met: figure <= most,
        }
    }
}

/// All benches, by name.
const NAMES: [&str; 4] = ["write", "fleet", "window", "idle"];

/// Runs one bench, or all.
///
/// # Errors
/// When a bench cannot run; a target that is missed is a figure, not an error.
pub async fn run(name: Option<&str>) -> Result<Vec<Figure>> {
    let wanted: Vec<&str> = match name {
        Some(name) if NAMES.contains(&name) => vec![name],
        Some(name) => bail!("there is no bench {name}; there are {}", NAMES.join(", ")),
        None => NAMES.to_vec(),
    };
    let mut figures = Vec::new();
    for name in wanted {
        figures.extend(match name {
            "write" => write::run().await?,
            "window" => window::run().await?,
            "idle" => idle::run().await?,
            _ => fleet::run().await?,
        });
    }
    Ok(figures)
}
