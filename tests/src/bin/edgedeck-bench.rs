//! `edgedeck-bench [NAME] [--json]`: the benches.

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
struct Cli {
    /// One bench; all where absent.
    name: Option<String>,
    /// Print an array for programs.
    #[arg(long)]
    json: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let figures = edgedeck_tests::bench::run(cli.name.as_deref()).await?;
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
        return Ok(());
    }
    for figure in figures {
        let baseline = match (figure.baseline, figure.ratio) {
            (Some(baseline), Some(ratio)) => format!("  baseline {baseline:.0}, ratio {ratio:.2}"),
            _ => String::new(),
        };
        let met = if figure.met { "met" } else { "MISSED" };
        println!(
            "{}: {}: {:.2} {}  target {} {met}{baseline}",
            figure.bench, figure.case, figure.figure, figure.unit, figure.target
        );
    }
    Ok(())
}
