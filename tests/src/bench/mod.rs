//! Benches: each prints its figure, a baseline measured in the same run without any code of ours, and their ratio.

mod fanout;
mod fleet;
mod idle;
mod load;
mod metering;
mod process;
mod read;
mod telemetry;
mod upload;
mod window;
mod write;

use anyhow::{Context, Result, bail};
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
    /// One that nothing is asked of.
    fn told(bench: &'static str, case: String, figure: f64, unit: &'static str) -> Self {
        Self {
            bench,
            case,
            figure,
            unit,
            baseline: None,
            ratio: None,
            target: "-".to_owned(),
            met: true,
        }
    }

    /// One without a baseline that must not be above `most`.
    fn at_most(bench: &'static str, case: String, figure: f64, unit: &'static str, most: f64) -> Self {
        Self {
            target: format!("<= {most}"),
            met: figure <= most,
            ..Self::told(bench, case, figure, unit)
        }
    }
}

/// How many nodes a bench is run with, one after the other: `EDGEDECK_BENCH_NODES`, as `1000,3000`.
fn sizes() -> Result<Vec<u32>> {
    let sizes = std::env::var("EDGEDECK_BENCH_NODES").unwrap_or_else(|_| "1000".to_owned());
    let sizes = sizes.split(',').map(|nodes| nodes.trim().parse());
    sizes
        .collect::<Result<_, _>>()
        .context("EDGEDECK_BENCH_NODES holds numbers and commas")
}

/// The value that so many percent are not above.
fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// All benches, by name.
const NAMES: [&str; 9] = [
    "write",
    "read",
    "fleet",
    "fanout",
    "telemetry",
    "upload",
    "metering",
    "window",
    "idle",
];

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
            "upload" => upload::run().await?,
            "read" => read::run().await?,
            "fanout" => fanout::run().await?,
            "telemetry" => telemetry::run().await?,
            "metering" => metering::run().await?,
            _ => fleet::run().await?,
        });
    }
    Ok(figures)
}
