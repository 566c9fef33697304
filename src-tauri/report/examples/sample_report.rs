//! Writes sample reports of every format into a folder, to be looked at, and prints how long each took:
//! `cargo run --release -p edgedeck-report --example sample_report -- FOLDER`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use edgedeck_model::Lang;
use edgedeck_report::{Kind, csv, html, pdf, xlsx};
use std::path::PathBuf;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("which folder?")?);
    std::fs::create_dir_all(&folder)?;
    for (lang, tag) in [(Lang::Zh, "zh"), (Lang::En, "en")] {
        for nodes in [0, 3, 1000] {
            let data = sample::report(nodes, lang, Kind::InventoryAndHealth);
            let write = |ending: &str, make: &dyn Fn() -> Result<Vec<u8>, edgedeck_report::Error>| {
                let begun = Instant::now();
                let bytes = make()?;
                let took = begun.elapsed().as_secs_f64() * 1000.0;
                println!(
                    "{tag} {nodes:>4} nodes {ending:<4} {took:>8.1} ms {:>8} KB",
                    bytes.len() / 1024
                );
                std::fs::write(folder.join(format!("{tag}-{nodes}.{ending}")), bytes)?;
                Ok::<(), Box<dyn std::error::Error>>(())
            };
            write("pdf", &|| pdf(&data))?;
            write("xlsx", &|| xlsx(&data))?;
            write("csv", &|| csv(&data))?;
            write("html", &|| html(&data).map(String::into_bytes))?;
        }
    }
    Ok(())
}
