//! `npu-smi info`: every published overview, chip by chip.

use crate::sample;
use edgedeck_agent::npu::{ParseError, parse_info};
use edgedeck_model::npu::{NpuChip, NpuReport};
use std::fmt::Write;

/// Sample, versions of tool and driver, lines that cannot be read, and the chips as [`written`] below, read by eye.
pub const EXPECTED: &[(&str, &str, &str, u32, &[&str])] = &[
    (
        "info-310-atlas800-3000-v20.2.0",
        "20.2.0",
        "20.2.0",
        0,
        &[
            "215-0 310 Ok 12.8 W, 56 C, pages -, 0000:DA:00.0, ai 0, npu -, dev 0, phy -, ddr 2703/8192, hbm -",
            "215-1 310 Ok 12.8 W, 57 C, pages -, 0000:DC:00.0, ai 0, npu -, dev 1, phy -, ddr 2703/8192, hbm -",
            "215-2 310 Ok 12.8 W, 57 C, pages -, 0000:DD:00.0, ai 0, npu -, dev 2, phy -, ddr 2703/8192, hbm -",
            "215-3 310 Ok 12.8 W, 55 C, pages -, 0000:DB:00.0, ai 0, npu -, dev 3, phy -, ddr 2703/8192, hbm -",
        ],
    ),
    (
        "info-310-atlas800-3000-v21.0.4",
        "21.0.4",
        "21.0.4.B030",
        0,
        &[
            "6-0 310 Ok 12.8 W, 73 C, pages 0/970, 0000:89:00.0, ai 0, npu -, dev 3, phy -, ddr 2703/8192, hbm -",
            "6-1 310 Ok 12.8 W, 74 C, pages 0/970, 0000:8A:00.0, ai 0, npu -, dev 4, phy -, ddr 2867/8192, hbm -",
            "6-2 310 Ok 12.8 W, 70 C, pages 0/970, 0000:8B:00.0, ai 0, npu -, dev 5, phy -, ddr 2867/8192, hbm -",
            "6-3 310 Ok 12.8 W, 65 C, pages 0/970, 0000:8C:00.0, ai 0, npu -, dev 6, phy -, ddr 2867/8192, hbm -",
        ],
    ),
    (
        "info-310B1-200I-A2-v23.0.rc3",
        "23.0.rc3",
        "23.0.rc3",
        0,
        &["0-0 310B1 Ok 9 W, 57 C, pages 15/15, -, ai 0, npu -, dev 0, phy -, ddr 7356/11577, hbm -"],
    ),
    (
        "info-310B4-alarm-v23.0.0",
        "23.0.0",
        "23.0.0",
        0,
        &["0-0 310B4 Alarm 0 W, 65 C, pages 15/15, -, ai 0, npu -, dev 0, phy -, ddr 3628/15609, hbm -"],
    ),
    (
        "info-310P-vnpu-vir01-v22.0.4",
        "22.0.4",
        "22.0.4",
        0,
        &["7-0 310Pvir01 Ok - W, 28 C, pages 0/0, 0000:00:07.0, ai 0, npu -, dev 0, phy -, ddr 249/2690, hbm -"],
    ),
    (
        "info-310P3-300I-Duo-partial-v25.2.0",
        "25.2.0",
        "25.2.0",
        0,
        &[
            "2-0 310P3 Ok - W, 45 C, pages 0/0, 0000:01:00.0, ai 0, npu -, dev 0, phy -, ddr 1529/44280, hbm -",
            "2-1 310P3 Ok - W, 43 C, pages 0/0, 0000:01:00.0, ai 0, npu -, dev 1, phy -, ddr 1412/43693, hbm -",
        ],
    ),
    (
        "info-310P3-300I-Pro-v22.0.2",
        "22.0.0",
        "22.0.2",
        0,
        &["0-0 310P3 Ok 16.2 W, 42 C, pages 0/0, 0000:86:00.0, ai 0, npu -, dev 0, phy -, ddr 994/21534, hbm -"],
    ),
    (
        "info-310P3-v22.0.4",
        "22.0.4",
        "22.0.4",
        0,
        &["7-0 310P3 Ok - W, 28 C, pages 0/0, 0000:00:07.0, ai 0, npu -, dev 0, phy -, ddr 1805/21527, hbm -"],
    ),
    (
        "info-910A-x8-atlas800-9010-v22.0.3.1",
        "22.0.3.1",
        "22.0.3.1",
        0,
        &[
            "0-0 910A Ok 67.2 W, 43 C, pages 15/15, 0000:61:00.0, ai 0, npu -, dev -, phy -, ddr 1867/15077, hbm 0/32768",
            "1-0 910A Ok 63.3 W, 38 C, pages 15/15, 0000:DB:00.0, ai 0, npu -, dev -, phy -, ddr 1867/15077, hbm 0/32768",
            "2-0 910A Ok 64.8 W, 34 C, pages 15/15, 0000:B2:00.0, ai 0, npu -, dev -, phy -, ddr 1868/15077, hbm 0/32768",
            "3-0 910A Ok 191.7 W, 42 C, pages 15/15, 0000:3E:00.0, ai 0, npu -, dev -, phy -, ddr 1866/15077, hbm 0/32768",
            "4-0 910A Ok 66.4 W, 44 C, pages 15/15, 0000:60:00.0, ai 0, npu -, dev -, phy -, ddr 1867/15077, hbm 0/32768",
            "5-0 910A Ok 62.7 W, 33 C, pages 15/15, 0000:DA:00.0, ai 0, npu -, dev -, phy -, ddr 1865/15077, hbm 0/32768",
            "6-0 910A Ok 64.5 W, 35 C, pages 15/15, 0000:B1:00.0, ai 0, npu -, dev -, phy -, ddr 1865/15077, hbm 0/32768",
            "7-0 910A Ok 191.4 W, 40 C, pages 15/15, 0000:3D:00.0, ai 0, npu -, dev -, phy -, ddr 1866/15077, hbm 0/32768",
        ],
    ),
    (
        // Two lines of it are "...": six cards, and what stood between their processes.
        "info-910A-x8-idle-elided-v24.1.rc1",
        "24.1.rc1",
        "24.1.rc1",
        2,
        &["7-0 xxx Ok 67 W, 44 C, pages 0/0, 0000:3D:00.0, ai 0, npu -, dev -, phy -, ddr 2505/15567, hbm 0/32768"],
    ),
    (
        "info-910A-x8-python-processes-v23.0.rc3",
        "23.0.rc3",
        "23.0.rc2.3",
        0,
        &[
            "0-0 xxx Ok 73.4 W, 44 C, pages 1123/1123, 0000:C1:00.0, ai 0, npu -, dev -, phy -, ddr 4565/15137, hbm 30710/32768 [139667 python 30780]",
            "1-0 xxx Ok 69.6 W, 39 C, pages 1123/1123, 0000:81:00.0, ai 0, npu -, dev -, phy -, ddr 4483/15137, hbm 30710/32768 [139577 python 30782]",
            "2-0 xxx Ok 70 W, 36 C, pages 1123/1123, 0000:41:00.0, ai 0, npu -, dev -, phy -, ddr 4437/15137, hbm 30710/32768 [139446 python 30780]",
            "3-0 xxx Ok 69.6 W, 44 C, pages 1123/1123, 0000:01:00.0, ai 0, npu -, dev -, phy -, ddr 3845/15039, hbm 30709/32768 [139372 python 30780]",
            "4-0 xxx Ok 71.3 W, 40 C, pages 1123/1123, 0000:C2:00.0, ai 0, npu -, dev -, phy -, ddr 4296/15137, hbm 30709/32768 [139258 python 30780]",
            "5-0 xxx Ok 67 W, 36 C, pages 1123/1123, 0000:82:00.0, ai 0, npu -, dev -, phy -, ddr 3758/15137, hbm 30709/32768 [139163 python 30780]",
            "6-0 xxx Ok 71.7 W, 37 C, pages 1123/1123, 0000:42:00.0, ai 0, npu -, dev -, phy -, ddr 4581/15137, hbm 30710/32768 [139126 python 30780]",
            "7-0 xxx Ok 69.1 W, 42 C, pages 1123/1123, 0000:02:00.0, ai 0, npu -, dev -, phy -, ddr 4690/15039, hbm 30710/32768 [139090 python 30780]",
        ],
    ),
    (
        "info-910A-x8-warning-processes-v24.1.RC2",
        "24.1.RC2",
        "24.1.RC2",
        0,
        &[
            "0-0 xxx Ok 70.5 W, 42 C, pages 1232/1232, 0000:C1:00.0, ai 0, npu -, dev -, phy -, ddr 4252/15137, hbm 0/32768 \
             [37656 hlt_host_devmm_ 686] [37664 hlt_host_devmm_ 686] [37640 hlt_host_devmm_ 686] [37648 hlt_host_devmm_ 686]",
            "1-0 xxx Ok 71.2 W, 36 C, pages 1232/1232, 0000:81:00.0, ai 0, npu -, dev -, phy -, ddr 4666/15137, hbm 0/32768 \
             [37665 hlt_host_devmm_ 686] [37641 hlt_host_devmm_ 686] [37649 hlt_host_devmm_ 686] [37657 hlt_host_devmm_ 686]",
            "2-0 xxx Ok 69 W, 35 C, pages 1232/1232, 0000:41:00.0, ai 0, npu -, dev -, phy -, ddr 4317/15137, hbm 0/32768 \
             [37658 hlt_host_devmm_ 686] [37650 hlt_host_devmm_ 686] [37666 hlt_host_devmm_ 686] [37642 hlt_host_devmm_ 686]",
            "3-0 xxx Warning 206.9 W, 39 C, pages 1232/1232, 0000:01:00.0, ai 0, npu -, dev -, phy -, ddr 3616/15039, hbm 0/32768 \
             [37643 hlt_host_devmm_ 686] [37651 hlt_host_devmm_ 686] [37659 hlt_host_devmm_ 686] [37667 hlt_host_devmm_ 686]",
            "4-0 xxx Ok 70.2 W, 39 C, pages 1232/1232, 0000:C2:00.0, ai 0, npu -, dev -, phy -, ddr 3708/15137, hbm 0/32768 \
             [37668 hlt_host_devmm_ 686] [37644 hlt_host_devmm_ 686] [37652 hlt_host_devmm_ 686] [37660 hlt_host_devmm_ 686]",
            "5-0 xxx Ok 64.9 W, 37 C, pages 1232/1232, 0000:82:00.0, ai 0, npu -, dev -, phy -, ddr 4346/15137, hbm 0/32768 \
             [37653 hlt_host_devmm_ 686] [37661 hlt_host_devmm_ 686] [37669 hlt_host_devmm_ 686] [37645 hlt_host_devmm_ 686]",
            "6-0 xxx Ok 69.4 W, 40 C, pages 1232/1232, 0000:42:00.0, ai 0, npu -, dev -, phy -, ddr 4261/15137, hbm 0/32768 \
             [37646 hlt_host_devmm_ 686] [37654 hlt_host_devmm_ 686] [37662 hlt_host_devmm_ 686] [37670 hlt_host_devmm_ 686]",
            "7-0 xxx Warning 203.2 W, 42 C, pages 1232/1232, 0000:02:00.0, ai 0, npu -, dev -, phy -, ddr 4521/15039, hbm 0/32768 \
             [37671 hlt_host_devmm_ 686] [37647 hlt_host_devmm_ 686] [37655 hlt_host_devmm_ 686] [37663 hlt_host_devmm_ 686]",
        ],
    ),
    (
        "info-910B2C-x2-ids12-13-v23.0.3",
        "23.0.3",
        "23.0.3",
        0,
        &[
            "12-0 910B2C Ok 91.3 W, 53 C, pages 0/0, 0000:D9:00.0, ai 0, npu -, dev -, phy -, ddr -, hbm 52675/65536",
            "13-0 910B2C Ok 100.7 W, 55 C, pages 0/0, 0000:98:00.0, ai 0, npu -, dev -, phy -, ddr -, hbm 52665/65536",
        ],
    ),
    (
        "info-910B2C-x2-process-v23.0.2.1",
        "23.0.2.1",
        "23.0.2.1",
        0,
        &[
            "0-0 910B2C Ok 88.6 W, 51 C, pages 0/0, 0000:5A:00.0, ai 0, npu -, dev -, phy -, ddr -, hbm 20701/65536 [124528 python3.8 17400]",
            "1-0 910B2C Ok 99.6 W, 50 C, pages 0/0, 0000:19:00.0, ai 0, npu -, dev -, phy -, ddr -, hbm 20687/65536",
        ],
    ),
    (
        "info-910B4-v25.5.2-head",
        "25.5.2",
        "25.5.2",
        0,
        &["5-0 910B4 Ok 89.9 W, 39 C, pages 0/0, 0000:41:00.0, ai 0, npu -, dev -, phy -, ddr -, hbm 2922/32768"],
    ),
    (
        "info-910C-A3-dualdie-process-v25.2.0",
        "25.2.0",
        "25.2.0",
        0,
        &[
            "0-0 Ascend910 Ok 162.8 W, 37 C, pages 0/0, 0000:9C:00.0, ai 0, npu -, dev -, phy 0, ddr -, hbm 3133/65536",
            "0-1 Ascend910 Ok - W, 37 C, pages 0/0, 0000:9E:00.0, ai 0, npu -, dev -, phy 1, ddr -, hbm 2876/65536",
            "1-0 Ascend910 Ok 167.1 W, 38 C, pages 0/0, 0000:37:00.0, ai 0, npu -, dev -, phy 2, ddr -, hbm 3116/65536",
            "1-1 Ascend910 Ok - W, 38 C, pages 0/0, 0000:39:00.0, ai 0, npu -, dev -, phy 3, ddr -, hbm 10568/65536 [990711 python 7746]",
        ],
    ),
    (
        "info-950-nochip-column",
        "x.x.x",
        "x.x.x",
        0,
        &["0 xxx Ok 204.4 W, 56 C, pages 0/0, 0000:91:00.0, ai -, npu 0, dev -, phy -, ddr -, hbm 4439/86016"],
    ),
];

/// A chip in one line, sizes in MiB, `-` for what is absent.
pub fn written(chip: &NpuChip) -> String {
    fn or_dash(value: Option<impl ToString>) -> String {
        value.map_or_else(|| "-".to_owned(), |value| value.to_string())
    }
    let memory = |memory: Option<edgedeck_model::npu::NpuMemory>| {
        or_dash(memory.map(|memory| {
            assert_eq!(
                (memory.used_bytes % crate::MIB, memory.total_bytes % crate::MIB),
                (0, 0)
            );
            format!("{}/{}", memory.used_bytes / crate::MIB, memory.total_bytes / crate::MIB)
        }))
    };
    let mut text = format!(
        "{} {} {:?} {} W, {} C, pages {}, {}, ai {}, npu {}, dev {}, phy {}, ddr {}, hbm {}",
        chip.key(),
        chip.name,
        chip.health,
        or_dash(chip.power_w),
        or_dash(chip.temperature_c),
        or_dash(chip.hugepages.map(|pages| format!("{}/{}", pages.used, pages.total))),
        or_dash(chip.bus_id.clone()),
        or_dash(chip.ai_core_percent),
        or_dash(chip.npu_percent),
        or_dash(chip.device_id),
        or_dash(chip.phy_id),
        memory(chip.memory),
        memory(chip.hbm),
    );
    for process in &chip.processes {
        let megabytes = or_dash(process.memory_bytes.map(|bytes| bytes / crate::MIB));
        write!(text, " [{} {} {megabytes}]", process.pid, process.name).unwrap();
    }
    text
}

fn chips(report: &NpuReport) -> Vec<String> {
    report.chips.iter().map(written).collect()
}

#[test]
fn every_published_overview_is_read() {
    for (name, tool, driver, unread, expected) in EXPECTED {
        let report = parse_info(&sample(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(chips(&report), *expected, "{name}");
        assert_eq!(report.tool_version.as_deref(), Some(*tool), "{name}");
        assert_eq!(report.driver_version.as_deref(), Some(*driver), "{name}");
        assert_eq!(report.unread_lines, *unread, "{name}");
        assert!(
            report.chips.iter().all(|chip| chip.logic_id.is_none()),
            "{name}: the overview has no logic ids"
        );
    }
}

#[test]
fn layout_does_not_matter() {
    let (name, _, _, _, expected) = EXPECTED[2];
    let plain = sample(name);
    let changed = [
        plain.replace('\n', "\r\n"),
        plain.replace("  ", "\t"),
        plain.lines().map(|line| format!("        {line}  \n")).collect(),
        plain.replace("/ ", "/").replace(" /", "/"),
        format!("[WARN] cannot open the log\n$ npu-smi info\n\n{plain}"),
        format!("{plain}\n\n"),
        plain.trim_end().to_owned(),
    ];
    for text in changed {
        let report = parse_info(&text).unwrap();
        assert_eq!(
            (chips(&report), report.unread_lines),
            (vec![expected[0].to_owned()], 0),
            "{text}"
        );
    }
}

#[test]
fn absent_and_odd_values_are_absent() {
    let plain = sample("info-310B1-200I-A2-v23.0.rc3");
    let with = |from: &str, to: &str| {
        let text = plain.replacen(from, to, 1);
        assert_ne!(text, plain, "{from}");
        let report = parse_info(&text).unwrap();
        assert_eq!(report.unread_lines, 0);
        chips(&report).remove(0)
    };
    let plainly = "0-0 310B1 Ok 9 W, 57 C, pages 15/15, -, ai 0, npu -, dev 0, phy -, ddr 7356/11577, hbm -";
    for absent in ["NA", "-", "N/A", "inf", "-3", "0x9"] {
        assert_eq!(with("9.0 ", absent), plainly.replace("9 W", "- W"), "{absent}");
    }
    assert_eq!(with("57 ", "-7 "), plainly.replace("57 C", "-7 C"));
    assert_eq!(with("15    / 15", "NA"), plainly.replace("15/15", "-"));
    assert_eq!(with("7356 / 11577", "-"), plainly.replace("7356/11577", "-"));
    assert_eq!(with("7356 / 11577", "N/A / N/A"), plainly.replace("7356/11577", "-"));
    assert_eq!(
        with("| 0            7356", "| 101          7356"),
        plainly.replace("ai 0", "ai -")
    );
    for (word, health) in [
        ("Critical", "Critical"),
        ("UNKNOWN", "Unknown"),
        ("Reserved", "Unknown"),
        ("", "Unknown"),
    ] {
        assert_eq!(
            with("| OK ", &format!("| {word} ")),
            plainly.replace("Ok", health),
            "{word}"
        );
    }
    assert_eq!(
        with("| NA  ", "| 0000:01:00.0 "),
        plainly.replace(", -, ai", ", 0000:01:00.0, ai")
    );
}

#[test]
fn a_chip_of_which_a_value_is_missing_is_left_out_rather_than_mixed_up() {
    let plain = sample("info-910A-x8-atlas800-9010-v22.0.3.1");
    for (from, to) in [
        ("| 67.2        43 ", "|             43 "),
        ("| 0           1867", "|             1867"),
        ("1867 / 15077", "     / 15077"),
        ("| 0     910A ", "| x     910A "),
        ("| 0     910A ", "| 99999999999 910A "),
        ("| 0                    |", "|                      |"),
        ("| 0                    |", "| 255                  |"),
        ("| 0000:61:00.0  | 0 ", "| 0000:61:00.0    0 "),
        ("0    / 32768         |", "0    / 32768 7       |"),
        (
            "| 0                    | 0000:61:00.0  | 0           1867 / 15077      0    / 32768         |\n",
            "",
        ),
        (
            "| 0     910A           | OK            | 67.2        43                15   / 15            |\n",
            "",
        ),
    ] {
        let text = plain.replacen(from, to, 1);
        assert_ne!(text, plain, "{from}");
        let report = parse_info(&text).unwrap();
        assert_eq!(chips(&report), EXPECTED[8].4[1..], "{from:?} -> {to:?}");
        assert!(report.unread_lines > 0, "{from:?} -> {to:?}");
    }
}

#[test]
fn a_chip_that_is_printed_twice_is_taken_once() {
    let text = sample("info-910A-x8-atlas800-9010-v22.0.3.1").replacen("| 1     910A", "| 0     910A", 1);
    let report = parse_info(&text).unwrap();
    assert_eq!((report.chips.len(), report.unread_lines), (7, 2));
    assert_eq!(written(&report.chips[0]), EXPECTED[8].4[0]);
}

#[test]
fn a_process_of_a_chip_that_was_not_read_is_counted() {
    let text = sample("info-910C-A3-dualdie-process-v25.2.0").replacen("| 1       1   ", "| 9       1   ", 1);
    let report = parse_info(&text).unwrap();
    assert_eq!(report.unread_lines, 1);
    assert!(report.chips.iter().all(|chip| chip.processes.is_empty()));
}

#[test]
fn processes_of_a_950_belong_to_the_card() {
    let text = sample("info-950-nochip-column").replacen(
        "| No running processes found in NPU 0                                                             |",
        "| 0                         | 395864        | power_test               | 5118                     |",
        1,
    );
    let report = parse_info(&text).unwrap();
    assert!(
        written(&report.chips[0]).ends_with(" [395864 power_test 5118]"),
        "{report:?}"
    );
}

#[test]
fn what_is_no_overview_is_refused_with_the_line() {
    let unparsable = |text: &str| match parse_info(text) {
        Err(ParseError::Unparsable { line, text }) => (line, text),
        other => panic!("{other:?}"),
    };
    assert_eq!(unparsable(""), (1, String::new()));
    let said = "dcmi module initialize failed. ret is -8005";
    assert_eq!(unparsable(&format!("\n{said}\n")), (2, said.to_owned()));
    let header: String = sample("info-910B4-v25.5.2-head")
        .lines()
        .take(6)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        unparsable(&format!("{header}| 5     910B4   | O")),
        (7, "| 5     910B4   | O".to_owned())
    );
    assert_eq!(parse_info(&header).unwrap().chips, []);
    let long = "+".repeat(1024 * 1024 + 1);
    assert_eq!(parse_info(&long), Err(ParseError::TooLarge { bytes: 1024 * 1024 + 1 }));
}
