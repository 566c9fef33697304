//! Time to draw 166,650 points as SVG: `cargo run --release -p edgedeck-charts --example chart_bench`.

use edgedeck_charts::{LineChart, Look, Range, Series, Theme};
use edgedeck_model::Lang;
use edgedeck_model::telemetry::Unit;
use std::time::Instant;

fn main() {
    const POINTS: i64 = 166_650 / 3;
    let series = |index: i64| {
        let value = |n: i64| 50.0 + 40.0 * ((n + index * 700) as f64 / 900.0).sin() + ((n * 7919) % 101) as f64 / 12.0;
        let points = (0..POINTS).map(|n| (n * 1000, Some(value(n)))).collect();
        Series {
            name: format!("series {index}"),
            points,
        }
    };
    let chart = LineChart {
        title: "CPU, RAM, TCP".to_owned(),
        unit: Unit::Percent,
        series: (0..3).map(series).collect(),
        from_ms: 0,
        to_ms: POINTS * 1000,
        y: Range::Auto,
        tz_offset: 0,
        look: Look {
            width: 1200.0,
            height: 400.0,
            theme: Theme::Light,
            lang: Lang::En,
            background: false,
        },
    };
    let mut times: Vec<f64> = (0..50)
        .map(|_| {
            let begun = Instant::now();
            let svg = chart.svg();
            assert!(svg.len() > 10_000, "the chart is empty");
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        times
            .get((share * (times.len() - 1) as f64) as usize)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "166,650 points to SVG: median {:.2} ms, p95 {:.2} ms, {} KB",
        at(0.5),
        at(0.95),
        chart.svg().len() / 1024
    );
}
