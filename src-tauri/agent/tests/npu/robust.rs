//! Whatever the tool prints, the parsers return, and cut output never becomes another value.

use crate::{details, overview, sample, samples};
use edgedeck_agent::npu::{
    ParseError, parse_any, parse_faults, parse_info, parse_mappings, parse_page, parse_processes, parse_templates,
    parse_vnpus, parse_watch,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, fmt::Debug, time::Instant};

/// The text cut at every byte.
fn cuts(text: &str) -> impl Iterator<Item = &str> {
    (0..=text.len()).filter_map(|end| text.get(..end))
}

/// The samples of one kind: overviews, or the others.
fn samples_of(names: impl Iterator<Item = &'static str>) -> Vec<(&'static str, String)> {
    names.map(|name| (name, sample(name))).collect()
}

fn overviews() -> Vec<(&'static str, String)> {
    samples_of(overview::EXPECTED.iter().map(|(name, ..)| *name))
}

fn pages() -> Vec<(&'static str, String)> {
    samples_of(details::EXPECTED.iter().map(|(name, _)| *name))
}

#[test]
fn no_parser_panics_on_a_cut_sample() {
    // The long overviews repeat the same rows; that they can be cut anywhere is shown below.
    let short = overviews().into_iter().filter(|(_, text)| text.len() < 1000);
    for (_, text) in pages().into_iter().chain(short) {
        cuts(&text).for_each(|cut| parse_any(cut.as_bytes()));
    }
}

#[test]
fn a_cut_overview_has_only_chips_of_the_whole_one() {
    for (name, text) in overviews() {
        let whole = parse_info(&text).unwrap();
        let mut read = 0;
        for cut in cuts(&text) {
            let Ok(part) = parse_info(cut) else { continue };
            read += 1;
            let place = format!("{name} up to byte {}", cut.len());
            assert!(part.chips.len() <= whole.chips.len(), "{place}");
            for (chip, true_chip) in part.chips.iter().zip(&whole.chips) {
                let mut shorter = true_chip.clone();
                shorter.processes.truncate(chip.processes.len());
                assert_eq!(chip, &shorter, "{place}");
            }
            assert_eq!(part.tool_version, whole.tool_version, "{place}");
            assert_eq!(part.driver_version, whole.driver_version, "{place}");
            // Where the cut is in a row, the report says that it is not complete.
            let last = cut.lines().last().unwrap_or_default().trim_end();
            if last.starts_with('|') && last.len() < text.lines().nth(1).unwrap().len() {
                assert!(part.unread_lines > 0, "{place}");
            }
        }
        assert!(read > 50, "{name}: only {read} cuts were readable");
    }
}

/// What is read of a cut text is the beginning of what is read of the whole one.
fn assert_beginnings<T: PartialEq + Debug>(parse: impl Fn(&str) -> Result<Vec<T>, ParseError>) {
    let mut lists = 0;
    for (name, text) in pages() {
        let Ok(whole) = parse(&text) else { continue };
        lists += 1;
        for cut in cuts(&text) {
            if let Ok(part) = parse(cut) {
                assert!(whole.starts_with(&part), "{name} up to byte {}: {part:?}", cut.len());
            }
        }
    }
    assert!(lists > 0);
}

#[test]
fn a_cut_list_is_the_beginning_of_the_whole_one() {
    assert_beginnings(parse_mappings);
    assert_beginnings(parse_processes);
    assert_beginnings(parse_templates);
    assert_beginnings(parse_vnpus);
    assert_beginnings(parse_watch);
    assert_beginnings(parse_faults);
}

#[test]
fn a_cut_page_has_only_fields_of_the_whole_one() {
    let fields = |text: &str| -> Option<Vec<BTreeMap<String, String>>> {
        let section = |section: &edgedeck_agent::npu::Section| {
            section
                .fields()
                .map(|(key, _, value)| (key.to_owned(), value.to_owned()))
                .collect()
        };
        Some(parse_page(text).ok()?.sections.iter().map(section).collect())
    };
    for (name, text) in pages() {
        let Some(whole) = fields(&text) else { continue };
        for cut in cuts(&text) {
            let part = fields(cut).unwrap_or_default();
            assert!(part.len() <= whole.len(), "{name} up to byte {}", cut.len());
            for (section, true_section) in part.iter().zip(&whole) {
                for (key, value) in section {
                    assert_eq!(
                        Some(value),
                        true_section.get(key),
                        "{name} up to byte {}: {key}",
                        cut.len()
                    );
                }
            }
        }
    }
}

/// Long texts of the kinds that a parser is slow on if it compares all lines with all others: a quarter of the largest
/// text would take it minutes.
#[test]
fn long_texts_are_read_in_time() {
    const LENGTH: usize = 1 << 18;
    let repeated = |line: &str| line.repeat(LENGTH / line.len());
    let header = samples()["info-910B4-v25.5.2-head"]
        .lines()
        .take(6)
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let numbered = |line: &dyn Fn(usize) -> String| {
        let mut text = header.clone();
        for number in 0.. {
            let next = line(number);
            if text.len() + next.len() > LENGTH {
                break;
            }
            text.push_str(&next);
        }
        text
    };
    for text in [
        repeated("a:1\n"),
        repeated("\n"),
        repeated("|"),
        repeated("|\n"),
        repeated("/"),
        repeated(":,\n "),
        repeated("A : x,\n y\n"),
        repeated("Process id:Process name:Process memory(MB):"),
        repeated("NPU ID  "),
        numbered(&|number| format!("k{number}:1\n")),
        numbered(&|number| format!("|{number} x|OK|1 1 1/1|\n|0|-|0 1/1 1/1|\n")),
        "\u{0}".repeat(LENGTH),
        "汉".repeat(LENGTH / 3),
    ] {
        let began = Instant::now();
        parse_any(text.as_bytes());
        let beginning: String = text.chars().take(40).collect();
        assert!(
            began.elapsed().as_secs() < 60,
            "{beginning:?}… took {:?}",
            began.elapsed()
        );
    }
}

/// Lines put together from the pieces that the tool's output is made of.
fn tool_like() -> impl Strategy<Value = String> {
    let pieces = [
        "|",
        "+",
        "+---+",
        "+===+",
        "\n",
        "\n",
        " ",
        "  ",
        "\t",
        "/",
        ":",
        " : ",
        ",",
        "NPU",
        "NPU ID",
        "Name",
        "Chip",
        "Chip ID",
        "Health",
        "Bus-Id",
        "Process id",
        "Process name",
        "AICore(%)",
        "Memory-Usage(MB)",
        "Power(W)",
        "Temp(C)",
        "NA",
        "-",
        "0",
        "12.8",
        "4294967296",
        "99999999999999999999",
        "OK",
        "Alarm",
        "310P3",
        "vir01",
        "mcu",
        "GB",
        "NpuID(Idx)",
        "npu-smi",
        "Version:",
        "Status",
        "Message",
        "event id=0x1",
        "汉",
        "\u{1b}",
        "\r",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..200).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_parser_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        parse_any(&bytes);
    }

    #[test]
    fn no_parser_panics_on_any_text(text in "(?s).{0,400}") {
        parse_any(text.as_bytes());
    }

    #[test]
    fn no_parser_panics_on_text_like_the_tools(text in tool_like()) {
        parse_any(text.as_bytes());
    }

    /// Bytes changed, put in and left out at random places of a sample.
    #[test]
    fn no_parser_panics_on_a_damaged_sample(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..40),
    ) {
        let samples: Vec<String> = samples().into_values().collect();
        let mut bytes = which.get(&samples).clone().into_bytes();
        for (place, byte, kind) in damage {
            let place = place.index(bytes.len().max(1)).min(bytes.len());
            match kind {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => bytes[place] = byte,
                _ if place < bytes.len() => _ = bytes.remove(place),
                _ => {}
            }
        }
        parse_any(&bytes);
        if let Ok(report) = parse_info(&String::from_utf8_lossy(&bytes)) {
            let keys: std::collections::BTreeSet<_> = report.chips.iter().map(|chip| chip.key()).collect();
            prop_assert_eq!(keys.len(), report.chips.len());
            for chip in &report.chips {
                let mut tamed = chip.clone();
                tamed.tame();
                prop_assert_eq!(tamed.key(), chip.key());
                prop_assert!(chip.load_percent().is_none_or(|percent| (0.0..=100.0).contains(&percent)));
                prop_assert!(chip.power_w.is_none_or(|watts| watts.is_finite() && watts >= 0.0));
                prop_assert!([chip.memory, chip.hbm].iter().flatten().all(|memory| memory.total_bytes > 0));
            }
        }
    }
}
