//! Reports as their readers get them: bytes, extracted text, unpacked sheets.

#![allow(clippy::unwrap_used)]

mod sample;

use edgedeck_model::{Lang, Time};
use edgedeck_report::{Error, Kind, ReportData, csv, html, pdf, xlsx};
use sample::report;
use std::io::{Cursor, Read, Write};
use std::process::{Command, Stdio};

const KINDS: [Kind; 3] = [Kind::Inventory, Kind::Health, Kind::InventoryAndHealth];

/// Every format of one report, by name.
fn all(data: &ReportData) -> [(&'static str, Vec<u8>); 4] {
    [
        ("pdf", pdf(data).unwrap()),
        ("xlsx", xlsx(data).unwrap()),
        ("csv", csv(data).unwrap()),
        ("html", html(data).unwrap().into_bytes()),
    ]
}

/// Runs a program with `input` in a file, whose path stands for `FILE` in `arguments`; gives what it prints.
fn run(program: &str, arguments: &[&str], ending: &str, input: &[u8]) -> String {
    let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
    file.write_all(input).unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let arguments = arguments
        .iter()
        .map(|argument| if *argument == "FILE" { path.as_str() } else { argument });
    let out = Command::new(program).args(arguments).stderr(Stdio::inherit()).output();
    let out = out.unwrap_or_else(|error| panic!("{program} is needed (Debian package poppler-utils): {error}"));
    assert!(out.status.success(), "{program} refused the file");
    String::from_utf8(out.stdout).unwrap()
}

fn text_of(pdf: &[u8]) -> String {
    run("pdftotext", &["-layout", "FILE", "-"], ".pdf", pdf)
}

fn pages_of(pdf: &[u8]) -> usize {
    let info = run("pdfinfo", &["FILE"], ".pdf", pdf);
    let pages = info.lines().find_map(|line| line.strip_prefix("Pages:")).unwrap();
    pages.trim().parse().unwrap()
}

/// All XML parts of a workbook, one after the other.
fn parts_of(xlsx: &[u8]) -> String {
    let mut archive = zip::ZipArchive::new(Cursor::new(xlsx)).unwrap();
    let mut parts = String::new();
    for index in 0..archive.len() {
        archive.by_index(index).unwrap().read_to_string(&mut parts).unwrap();
    }
    parts
}

#[test]
fn the_same_data_gives_the_same_bytes() {
    for lang in [Lang::Zh, Lang::En] {
        let data = report(40, lang, Kind::InventoryAndHealth);
        for ((name, first), (_, second)) in all(&data).into_iter().zip(all(&data.clone())) {
            assert!(first == second, "{name} differs from run to run");
        }
        let later = ReportData {
            generated_at: Time(data.generated_at.0 + 3_600_000),
            ..data.clone()
        };
        assert!(
            pdf(&later).unwrap() != pdf(&data).unwrap(),
            "the time of making is in the file"
        );
    }
}

#[test]
fn every_format_holds_every_size() {
    for lang in [Lang::Zh, Lang::En] {
        for kind in KINDS {
            for nodes in [0, 1, 30] {
                for (name, bytes) in all(&report(nodes, lang, kind)) {
                    assert!(bytes.len() > 100, "{name} of {nodes} nodes is empty");
                }
            }
        }
    }
}

#[test]
fn chinese_can_be_searched_in_the_pdf() {
    let pdf = pdf(&report(3, Lang::Zh, Kind::InventoryAndHealth)).unwrap();
    let text = text_of(&pdf);
    // How wide a blank must be to count as one is up to the program that extracts.
    let text = text.replace(' ', "");
    let wanted = [
        "资产与运行状况报告",
        "深圳边缘智能实验室",
        "共有3个节点",
        "节点运行状况",
        "告警",
        "序列号",
        "表面缺陷检测-0",
        "1/3",
    ];
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in the PDF's text:\n{text}");
    }
    let info = run("pdfinfo", &["FILE"], ".pdf", &pdf);
    assert!(info.contains("资产与运行状况报告 · 深圳边缘智能实验室"), "{info}");
    let images = run("pdfimages", &["-list", "FILE"], ".pdf", &pdf);
    assert_eq!(images.lines().count(), 2, "charts are vectors, not pictures:\n{images}");
}

#[test]
fn each_kind_shows_its_own_parts() {
    for (kind, inventory, health) in [(KINDS[0], true, false), (KINDS[1], false, true), (KINDS[2], true, true)] {
        let data = report(3, Lang::En, kind);
        for text in [text_of(&pdf(&data).unwrap()), html(&data).unwrap()] {
            assert_eq!(text.contains("Node inventory"), inventory, "{kind:?}");
            assert_eq!(text.contains("Node health"), health, "{kind:?}");
            assert_eq!(text.contains("CPU use, mean of all nodes"), health, "{kind:?}");
        }
    }
}

#[test]
fn a_thousand_nodes_over_thirty_days() {
    let data = report(1000, Lang::En, Kind::InventoryAndHealth);
    let begun = std::time::Instant::now();
    let bytes = pdf(&data).unwrap();
    println!(
        "1,000 nodes x 30 days to PDF: {} ms, {} KB",
        begun.elapsed().as_millis(),
        bytes.len() / 1024
    );
    let text = text_of(&bytes);
    let pages = pages_of(&bytes);
    assert!(
        text.replace(' ', "").contains(&format!("{pages}/{pages}")),
        "the last page knows its number"
    );
    for node in &data.nodes {
        // The long name is wrapped.
        let name = if node.name.len() > 20 {
            "that-does-not-fit"
        } else {
            &node.name
        };
        assert!(text.contains(name), "{name} is missing");
    }
    // The head of a table is on each of its pages.
    let heads = text.matches("Availa").count();
    assert!(
        heads > 20 && heads <= pages,
        "{heads} heads of the health table on {pages} pages"
    );
    assert!(
        text.contains("The first 500 of 1,500 rows"),
        "a table that was cut says so"
    );
    let rows = csv(&data)
        .unwrap()
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count();
    assert_eq!(rows, 1001);
    assert!(parts_of(&xlsx(&data).unwrap()).contains("shenzhen-0999"));
    assert!(html(&data).unwrap().contains("shenzhen-0999"));
}

/// Names that try to be a formula, markup, or to turn the text around them.
fn hostile() -> ReportData {
    let names = [
        "=HYPERLINK(\"http://evil\",\"x\")",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(A1)",
        "\t=1+1",
        "＝1+1",
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "a\u{202E}txt.exe",
        "line\r\nbreak\u{0}\u{1b}[31m",
        "😀 é ﷽ 𠮷 龘",
        "]]>&amp;&#x27;",
        "",
    ];
    let mut data = report(names.len() as u64, Lang::Zh, Kind::InventoryAndHealth);
    for (node, name) in data.nodes.iter_mut().zip(names) {
        node.name = name.to_owned();
        node.groups = vec![name.to_owned()];
        node.availability = Some(f64::NAN);
        node.cpu_mean = Some(f64::INFINITY);
        node.memory_bytes = u64::MAX;
    }
    for (alarm, name) in data.alarms.iter_mut().zip(names.iter().cycle()) {
        alarm.text = name.to_string();
        alarm.raised_at = Time(i64::MIN);
    }
    data.lab = "</title><script>alert(1)</script>".to_owned();
    data.nodes.push(edgedeck_report::NodeLine {
        name: "长".repeat(200_000),
        ..data.nodes[0].clone()
    });
    data.series[0]
        .points
        .iter_mut()
        .for_each(|point| point.1 = Some(f64::NAN));
    data
}

#[test]
fn hostile_names_stay_text() {
    let data = hostile();
    let page = html(&data).unwrap();
    let lower = page.to_lowercase();
    assert!(
        !lower.contains("<script") && !lower.contains("<img"),
        "markup got through"
    );
    assert!(!page.contains('\u{202E}') && !page.contains('\u{0}') && !page.contains("NaN"));

    let table = String::from_utf8(csv(&data).unwrap()).unwrap();
    assert!(table.starts_with('\u{FEFF}'));
    let mut reader = ::csv::Reader::from_reader(table.trim_start_matches('\u{FEFF}').as_bytes());
    let records: Vec<_> = reader.records().map(|record| record.unwrap()).collect();
    assert_eq!(records.len(), data.nodes.len());
    for record in &records {
        for field in record {
            let number = field.parse::<f64>().is_ok();
            assert!(
                number || !field.trim_start().starts_with(['=', '+', '-', '@', '＝', '\t']),
                "{field:?} is a formula"
            );
        }
    }

    let sheets = parts_of(&xlsx(&data).unwrap());
    assert!(!sheets.contains("<f>"), "a cell became a formula");
    assert!(!sheets.contains("<script"));

    let text = text_of(&pdf(&data).unwrap());
    assert!(text.contains("<script>alert(1)</script>"), "the PDF shows it as it is");
    assert!(text.contains('😀'), "what the font lacks can still be copied:\n{text}");
}

#[test]
fn html_is_one_file_without_scripts() {
    let page = html(&report(30, Lang::En, Kind::InventoryAndHealth)).unwrap();
    for forbidden in ["<script", " src=", "href=", "url(", "@import", " style="] {
        assert!(!page.contains(forbidden), "{forbidden} loads or runs something");
    }
    assert_eq!(page.matches("<svg").count(), 6, "two counts and four curves");
}

#[test]
fn the_workbook_has_its_sheets() {
    let data = report(30, Lang::En, Kind::InventoryAndHealth);
    let bytes = xlsx(&data).unwrap();
    let parts = parts_of(&bytes);
    for sheet in ["Summary", "Nodes", "Alarms", "Deployments", "Curves"] {
        assert!(
            parts.contains(&format!("<sheet name=\"{sheet}\"")),
            "{sheet} is missing"
        );
    }
    assert_eq!(parts.matches("<autoFilter ").count(), 3);
    assert_eq!(parts.matches("state=\"frozen\"").count(), 4);
    assert_eq!(parts.matches("<c:chartSpace").count(), 6, "two counts and four curves");
    assert!(parts.contains("2026-11-21T"), "the creation date is the data's");
}

#[test]
fn times_are_the_labs() {
    let mut data = report(3, Lang::En, Kind::Health);
    data.tz = "America/New_York".to_owned();
    let page = html(&data).unwrap();
    // 2026-11-21T01:30:00Z
    assert!(page.contains("2026-11-20 20:30") && page.contains("America/New_York (UTC−5)"));
    data.tz = "Mars/Olympus".to_owned();
    for result in [pdf(&data), xlsx(&data), csv(&data), html(&data).map(String::into_bytes)] {
        assert!(matches!(result, Err(Error::TimeZone { ref name, .. }) if name == "Mars/Olympus"));
    }
}
