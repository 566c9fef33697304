//! Charts as a reader of the SVG meets them. `EDGEDECK_BLESS=1` writes the checked-in pictures anew.

#![allow(clippy::unwrap_used)]

use edgedeck_charts::*;
use edgedeck_model::Lang;
use edgedeck_model::telemetry::Unit;
use proptest::prelude::*;
use std::path::Path;

/// 2026-11-21T00:00:00+08:00
const MIDNIGHT: i64 = 1_795_190_400_000;
const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;

fn look(theme: Theme, lang: Lang) -> Look {
    Look {
        width: 640.0,
        height: 240.0,
        theme,
        lang,
        background: true,
    }
}

/// A day of a wavy line with three hours missing.
fn wave(name: &str, phase: f64) -> Series {
    let value = |n: i64| (45.0 + 30.0 * (n as f64 / 40.0 + phase).sin() + (n * 37 % 11) as f64).round();
    let points = (0..288)
        .map(|n| (MIDNIGHT + n * 5 * MINUTE, (!(120..156).contains(&n)).then(|| value(n))))
        .collect();
    Series {
        name: name.to_owned(),
        points,
    }
}

fn line(theme: Theme, lang: Lang) -> LineChart {
    let (title, names) = match lang {
        Lang::Zh => ("处理器使用率", ["边缘一号", "边缘二号", "边缘三号"]),
        Lang::En => ("CPU use", ["edge-1", "edge-2", "edge-3"]),
    };
    LineChart {
        title: title.to_owned(),
        unit: Unit::Percent,
        series: names.iter().enumerate().map(|(n, name)| wave(name, n as f64)).collect(),
        from_ms: MIDNIGHT,
        to_ms: MIDNIGHT + 24 * HOUR,
        y: Range::Auto,
        tz_offset: 8 * 3600,
        look: look(theme, lang),
    }
}

fn counts(lang: Lang) -> Vec<Count> {
    let words = match lang {
        Lang::Zh => ["在线", "降级", "离线", "停用"],
        Lang::En => ["Online", "Degraded", "Offline", "Disabled"],
    };
    let tones = [Tone::Good, Tone::Warning, Tone::Bad, Tone::Muted];
    let numbers = [812, 41, 133, 14];
    let all = words.into_iter().zip(numbers).zip(tones);
    all.map(|((label, count), tone)| Count {
        label: label.to_owned(),
        count,
        tone,
    })
    .collect()
}

fn same_as_checked_in(name: &str, svg: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("EDGEDECK_BLESS").is_some() {
        std::fs::write(&path, svg).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        known == svg,
        "{name} is not as checked in: look at the new one and run again with EDGEDECK_BLESS=1"
    );
}

#[test]
fn pictures_are_as_checked_in() {
    same_as_checked_in("line-light-zh.svg", &line(Theme::Light, Lang::Zh).svg());
    same_as_checked_in("line-dark-en.svg", &line(Theme::Dark, Lang::En).svg());
    let mut bytes = line(Theme::HighContrast, Lang::En);
    bytes.unit = Unit::Bytes;
    bytes.series.truncate(1);
    for point in bytes.series.iter_mut().flat_map(|series| &mut series.points) {
        point.1 = point.1.map(|value| value * 1.5e8);
    }
    same_as_checked_in("line-contrast-bytes.svg", &bytes.svg());
    let bars = BarChart {
        title: "告警".to_owned(),
        counts: counts(Lang::Zh),
        look: look(Theme::Light, Lang::Zh),
    };
    same_as_checked_in("bars-light-zh.svg", &bars.svg());
    let ring = DonutChart {
        title: "Nodes".to_owned(),
        counts: counts(Lang::En),
        look: look(Theme::Dark, Lang::En),
    };
    same_as_checked_in("donut-dark-en.svg", &ring.svg());
    let strip = HeatStrip {
        title: "NPU 使用率".to_owned(),
        unit: Unit::Percent,
        rows: (0..8).map(|n| wave(&format!("edge-1 NPU {n}"), f64::from(n))).collect(),
        from_ms: MIDNIGHT,
        to_ms: MIDNIGHT + 24 * HOUR,
        low: 0.0,
        high: 100.0,
        tz_offset: 8 * 3600,
        look: look(Theme::Light, Lang::Zh),
    };
    same_as_checked_in("heat-light-zh.svg", &strip.svg());
    let spark = Sparkline {
        title: "CPU".to_owned(),
        points: wave("", 0.0).points,
        from_ms: MIDNIGHT,
        to_ms: MIDNIGHT + 24 * HOUR,
        low: 0.0,
        high: 100.0,
        look: Look {
            width: 120.0,
            height: 28.0,
            ..look(Theme::Light, Lang::En)
        },
    };
    same_as_checked_in("sparkline-light.svg", &spark.svg());
}

/// Runs of the series' own line: the open paths in the first series' colour that are as thick as a line of data.
fn runs(chart: &LineChart) -> Vec<Vec<(f32, f32)>> {
    let color = chart.look.theme.series(0);
    let of_line = |shape: Shape| match shape {
        Shape::Path {
            runs,
            closed: false,
            stroke: Some(stroke),
            ..
        } if stroke.color == color => Some(runs),
        _ => None,
    };
    chart.scene().shapes.into_iter().filter_map(of_line).flatten().collect()
}

fn single(points: Vec<(i64, Option<f64>)>) -> LineChart {
    let to_ms = points.last().map_or(MIDNIGHT + HOUR, |point| point.0.max(MIDNIGHT + 1));
    let series = vec![Series {
        name: "cpu".to_owned(),
        points,
    }];
    LineChart {
        series,
        from_ms: MIDNIGHT,
        to_ms,
        ..line(Theme::Light, Lang::En)
    }
}

#[test]
fn a_gap_stays_a_gap() {
    let chart = LineChart {
        series: vec![wave("cpu", 0.0)],
        ..line(Theme::Light, Lang::En)
    };
    let runs = runs(&chart);
    assert_eq!(runs.len(), 2, "the missing hours part the line in two");
    let plot = chart.plot();
    let end = runs[0].last().unwrap().0;
    let start = runs[1][0].0;
    assert!(
        (plot.time_to_pixel(MIDNIGHT + 119 * 5 * MINUTE) - end).abs() < 0.2,
        "first run ends with its last sample"
    );
    assert!(
        (plot.time_to_pixel(MIDNIGHT + 156 * 5 * MINUTE) - start).abs() < 0.2,
        "second begins with its first"
    );
}

#[test]
fn left_out_samples_become_a_gap() {
    let points = vec![(0, Some(1.0)), (10, Some(1.0)), (100, Some(2.0))];
    let broken = break_gaps(points, 20);
    assert_eq!(broken, [(0, Some(1.0)), (10, Some(1.0)), (30, None), (100, Some(2.0))]);
}

#[test]
fn what_is_not_a_number_is_never_drawn() {
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    for y in [Range::Auto, Range::Fixed(f64::NAN, f64::INFINITY)] {
        for unit in [Unit::Percent, Unit::Bytes, Unit::Celsius, Unit::Plain] {
            let points = (0..60)
                .map(|n| (MIDNIGHT + n * MINUTE, Some(bad[n as usize % 3])))
                .collect();
            let chart = LineChart {
                unit,
                y,
                ..single(points)
            };
            let svg = chart.svg();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(runs(&chart).is_empty());
            assert!(svg.contains("No data in this period"));
        }
    }
    let extreme = single(vec![(MIDNIGHT, Some(f64::MAX)), (MIDNIGHT + MINUTE, Some(f64::MIN))]);
    for unit in [Unit::Percent, Unit::Bytes, Unit::Celsius] {
        let svg = LineChart {
            unit,
            ..extreme.clone()
        }
        .svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.len() < 100_000);
    }
}

#[test]
fn empty_and_single_points() {
    let empty = single(vec![]);
    assert!(empty.svg().contains("No data in this period"));
    let none = LineChart {
        series: vec![],
        ..empty.clone()
    };
    assert!(none.svg().contains("No data in this period"));
    let one = single(vec![(MIDNIGHT + MINUTE, Some(50.0))]);
    let dots = one
        .scene()
        .shapes
        .into_iter()
        .filter(|shape| matches!(shape, Shape::Circle { .. }))
        .count();
    assert_eq!(dots, 1, "one value is a dot");
    let backwards = LineChart {
        from_ms: MIDNIGHT + HOUR,
        to_ms: MIDNIGHT,
        ..one
    };
    assert!(backwards.svg().starts_with("<svg"));
    let tiny = Look {
        width: -5.0,
        height: f32::NAN,
        ..look(Theme::Light, Lang::Zh)
    };
    assert!(
        !LineChart {
            look: tiny,
            ..line(Theme::Light, Lang::Zh)
        }
        .svg()
        .contains("NaN")
    );
    for counts in [
        vec![],
        counts(Lang::Zh).into_iter().map(|c| Count { count: 0, ..c }).collect(),
    ] {
        let bars = BarChart {
            title: String::new(),
            counts: counts.clone(),
            look: tiny,
        };
        let ring = DonutChart {
            title: String::new(),
            counts,
            look: tiny,
        };
        assert!(!bars.svg().contains("NaN") && !ring.svg().contains("NaN"));
    }
}

#[test]
fn texts_are_escaped_and_styles_are_attributes() {
    let mut chart = line(Theme::Light, Lang::En);
    chart.title = "</title><script>alert(1)</script>\u{0}&\"'".to_owned();
    chart.series[0].name = "<b onload='x'>".to_owned();
    let svg = chart.svg();
    assert!(!svg.contains("<script") && !svg.contains("<b ") && !svg.contains('\u{0}'));
    assert!(
        !svg.contains("style="),
        "an inline style would be refused by the page's policy"
    );
    assert!(svg.contains("role=\"img\"") && svg.contains("<desc>"));
}

#[test]
fn a_pixel_is_a_time_and_back() {
    let plot = line(Theme::Light, Lang::Zh).plot();
    for share in 0..=10 {
        let time = MIDNIGHT + share * 24 * HOUR / 10;
        let back = plot.pixel_to_time(plot.time_to_pixel(time));
        assert!((back - time).abs() < MINUTE, "{time} came back as {back}");
    }
    assert_eq!(plot.pixel_to_time(-1e9), MIDNIGHT);
    assert_eq!(plot.pixel_to_time(1e9), MIDNIGHT + 24 * HOUR);
    let points = [(0, Some(1.0)), (10, None), (20, Some(3.0))];
    assert_eq!(
        [-5, 4, 6, 15, 16, 99].map(|at| nearest(&points, at)),
        [0, 0, 1, 1, 2, 2].map(Some)
    );
    assert_eq!(nearest(&[], 3), None);
}

/// The axes that plotters draws stand where `plot` says.
#[test]
fn the_plot_is_where_the_axes_are() {
    let chart = line(Theme::Light, Lang::En);
    let plot = chart.plot();
    let axis = chart.look.theme.axis();
    let of_axis = |shape: Shape| match shape {
        Shape::Path {
            runs,
            stroke: Some(stroke),
            ..
        } if stroke.color == axis => Some(runs.concat()),
        _ => None,
    };
    let points: Vec<(f32, f32)> = chart.scene().shapes.into_iter().filter_map(of_axis).flatten().collect();
    let right = points.iter().map(|point| point.0).fold(0.0, f32::max);
    let top = points.iter().map(|point| point.1).fold(f32::MAX, f32::min);
    assert!((right - plot.left - plot.width).abs() < 0.3, "{right} {plot:?}");
    assert!((top - plot.top).abs() < 0.3, "{top} {plot:?}");
}

#[test]
fn numbers_have_their_units() {
    let of = |value, unit| format_value(value, unit);
    assert_eq!(of(12.34, Unit::Percent), "12.3 %");
    assert_eq!(of(71.0, Unit::Celsius), "71 °C");
    assert_eq!(of(8.5, Unit::Watt), "8.5 W");
    assert_eq!(of(512.0, Unit::Bytes), "512 B");
    assert_eq!(of(3.25 * 1024.0 * 1024.0 * 1024.0, Unit::Bytes), "3.2 GiB");
    assert_eq!(of(1.44e6, Unit::BytesPerSecond), "1.4 MB/s");
    assert_eq!(of(2000.0, Unit::Plain), "2000");
    assert_eq!(of(-0.01, Unit::Percent), "0 %");
    assert_eq!(of(f64::NAN, Unit::Watt), "–");
    assert_eq!(
        [0, 999, 1000, 1_234_567].map(format_count),
        ["0", "999", "1,000", "1,234,567"]
    );
}

#[test]
fn many_points_are_quick() {
    let points = (0..166_650)
        .map(|n| (MIDNIGHT + n * 500, Some((n % 97) as f64)))
        .collect();
    let chart = single(points);
    let begun = std::time::Instant::now();
    let svg = chart.svg();
    println!(
        "166,650 points to SVG: {:.1} ms, {} bytes",
        begun.elapsed().as_secs_f64() * 1000.0,
        svg.len()
    );
    assert!(svg.len() < 200_000, "the points were not reduced: {} bytes", svg.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Of each pixel column the highest and the lowest value are in the drawing.
    #[test]
    fn each_column_keeps_its_extremes(values in prop::collection::vec(prop::option::weighted(0.9, 0.0f64..100.0), 1..3000)) {
        let points: Vec<(i64, Option<f64>)> = values.iter().enumerate().map(|(n, v)| (MIDNIGHT + n as i64 * 1000, *v)).collect();
        let chart = single(points.clone());
        let plot = chart.plot();
        let mut drawn: Vec<(f32, f32)> = runs(&chart).concat();
        for shape in chart.scene().shapes {
            if let Shape::Circle { center, .. } = shape {
                drawn.push(center);
            }
        }
        let columns = 640i64;
        let span = chart.to_ms - chart.from_ms;
        let column = |time: i64| ((time - chart.from_ms) * columns / span).min(columns - 1);
        for group in points.chunk_by(|a, b| column(a.0) == column(b.0)) {
            let values = || group.iter().filter_map(|(time, value)| value.map(|value| (*time, value)));
            for best in [values().min_by(|a, b| a.1.total_cmp(&b.1)), values().max_by(|a, b| a.1.total_cmp(&b.1))] {
                let Some((_, value)) = best else { continue };
                let y = plot.value_to_pixel(value);
                let near = |place: &&(f32, f32)| {
                    let left = plot.time_to_pixel(group[0].0) - 0.2;
                    let right = plot.time_to_pixel(group[group.len() - 1].0) + 0.2;
                    (left..=right).contains(&place.0) && (place.1 - y).abs() < 0.2
                };
                prop_assert!(drawn.iter().find(near).is_some(), "{value} is missing");
            }
        }
    }
}
