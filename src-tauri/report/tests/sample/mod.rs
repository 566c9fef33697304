//! A made-up lab, the same on every call, for tests and the example.

use edgedeck_model::alarm::AlarmKind;
use edgedeck_model::deployment::Wanted;
use edgedeck_model::node::NodeState;
use edgedeck_model::telemetry::Metric;
use edgedeck_model::time::{DAY, HOUR, MINUTE};
use edgedeck_model::{Lang, Time};
use edgedeck_report::{AlarmLine, DeploymentLine, Kind, LabSeries, NodeLine, ReportData};

/// 2026-11-21T09:30:00+08:00
const NOW: i64 = 1_795_224_600_000;

/// 0 to 1, the same for the same `n`.
fn noise(n: u64) -> f64 {
    let mixed = n
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .rotate_left(29)
        .wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 40) as f64 / f64::from(1 << 24)
}

fn node(n: u64, lang: Lang) -> NodeLine {
    let state = match n % 25 {
        7 => NodeState::Offline,
        11 => NodeState::Degraded,
        19 => NodeState::Disabled,
        23 if n > 500 => NodeState::Upgrading,
        _ => NodeState::Online,
    };
    let npus = [8, 1, 2, 0][(n % 4) as usize];
    let place = lang.pick("深圳实验室", "shenzhen");
    let name = match n {
        2 => format!("{place}-a-rather-long-host-name-that-does-not-fit-in-its-column-{n:04}"),
        _ => format!("{place}-{n:04}"),
    };
    let measured = state != NodeState::Disabled;
    let some = |value: f64| measured.then_some(value);
    NodeLine {
        name,
        serial: format!("2102312NPU{n:08}"),
        model: Some(
            if n.is_multiple_of(2) {
                "Atlas 500 Pro (3000)"
            } else {
                "Atlas 200I DK A2"
            }
            .to_owned(),
        ),
        arch: if n.is_multiple_of(3) { "x86_64" } else { "aarch64" }.to_owned(),
        os: "openEuler 22.03 LTS".to_owned(),
        state,
        managed: !n.is_multiple_of(40),
        ip: Some(format!("10.{}.{}.{}", n / 62_500, n / 250 % 250, n % 250 + 1)),
        cpus: if n.is_multiple_of(2) { 64 } else { 4 },
        memory_bytes: if n.is_multiple_of(2) { 128 << 30 } else { 4 << 30 },
        disk_total_bytes: 960 << 30,
        disk_used_bytes: ((noise(n) * 900.0) as u64) << 30,
        npus,
        npu_name: (npus > 0).then(|| "Ascend 310P3".to_owned()),
        agent_version: "0.1.0".to_owned(),
        groups: vec![lang.pick("视觉检测", "vision").to_owned(), format!("rack-{}", n % 12)],
        availability: some(100.0 - noise(n + 5).powi(6) * 30.0),
        cpu_mean: some(20.0 + noise(n + 1) * 40.0),
        cpu_max: some(70.0 + noise(n + 2) * 30.0),
        memory_mean: some(30.0 + noise(n + 3) * 30.0),
        memory_max: some(62.0 + noise(n + 4) * 30.0),
        npu_mean: (npus > 0 && measured).then_some(40.0 + noise(n + 6) * 45.0),
        npu_max: (npus > 0 && measured).then_some(90.0 + noise(n + 7) * 10.0),
        npu_temperature_max: (npus > 0 && measured).then_some(60.0 + noise(n + 8) * 27.0),
        alarms: (noise(n + 9) * 4.0) as u32,
    }
}

fn alarm(n: u64, of: &NodeLine, lang: Lang) -> AlarmLine {
    let kinds = [
        AlarmKind::NodeOffline,
        AlarmKind::CrashLoop,
        AlarmKind::DiskFull,
        AlarmKind::NpuHot,
    ];
    let kind = if n % 50 == 49 {
        AlarmKind::StoreTrouble
    } else {
        kinds[(n % 4) as usize]
    };
    let raised = NOW - (n as i64 + 1) * 29 * MINUTE;
    AlarmLine {
        severity: kind.severity(),
        kind,
        text: match kind {
            AlarmKind::NodeOffline => lang.pick(
                format!("节点 {} 已离线：没有收到心跳。", of.name),
                format!("Node {} is offline: no heartbeat arrives.", of.name),
            ),
            AlarmKind::NpuHot => lang.pick("NPU 3 温度为 87 °C。".to_owned(), "NPU 3 is at 87 °C.".to_owned()),
            AlarmKind::DiskFull => lang.pick(
                "磁盘 /data 已使用 93%。".to_owned(),
                "Disk /data is 93% full.".to_owned(),
            ),
            _ => lang.pick(
                "10 分钟内重启 5 次。".to_owned(),
                "Five restarts within ten minutes.".to_owned(),
            ),
        },
        node: (kind != AlarmKind::StoreTrouble).then(|| of.name.clone()),
        raised_at: Time(raised),
        cleared_at: (!n.is_multiple_of(9)).then_some(Time(raised + (n as i64 % 40 + 1) * 11 * MINUTE)),
        acknowledged_by: n.is_multiple_of(5).then(|| lang.pick("王工", "wang").to_owned()),
    }
}

fn series(metric: Metric, base: f64, swing: f64) -> LabSeries {
    let from = NOW - 30 * DAY;
    let point = |n: i64| {
        let day = (n as f64 * 5.0 / 1440.0 * std::f64::consts::TAU).sin();
        let value = base + swing * day + swing * 0.5 * (noise(n as u64 + metric as u64 * 99) - 0.5);
        // Eighteen hours without a measurement.
        let missing = (4_000..4_216).contains(&n);
        (Time(from + n * 5 * MINUTE), (!missing).then_some(value))
    };
    LabSeries {
        metric,
        points: (0..=30 * 288).map(point).collect(),
    }
}

pub fn report(nodes: u64, lang: Lang, kind: Kind) -> ReportData {
    let nodes: Vec<NodeLine> = (0..nodes).map(|n| node(n, lang)).collect();
    let count = nodes.len() as u64;
    let alarms = (0..count * 3 / 2)
        .filter_map(|n| Some(alarm(n, nodes.get((n * n % count) as usize)?, lang)))
        .collect();
    let deployments = (0..count.min(24)).map(|n| DeploymentLine {
        name: format!("{}-{n}", lang.pick("表面缺陷检测", "defect-detection")),
        app: lang.pick("缺陷检测", "defect-detection").to_owned(),
        version: format!("1.{n}.0"),
        target: lang.pick("分组：视觉检测", "Group: vision").to_owned(),
        wanted: if n % 7 == 6 { Wanted::Stopped } else { Wanted::Running },
        nodes: count as u32,
        running: (count - count / 9) as u32,
        failed: (n % 3) as u32,
        restarts: (n * 2) as u32,
        updated_at: Time(NOW - n as i64 * 7 * HOUR),
    });
    let series = if count == 0 {
        vec![]
    } else {
        vec![
            series(Metric::CpuPercent, 38.0, 16.0),
            series(Metric::MemoryPercent, 52.0, 5.0),
            series(Metric::NpuPercent, 61.0, 22.0),
            series(Metric::NpuTemperature, 63.0, 7.0),
        ]
    };
    ReportData {
        lab: lang.pick("深圳边缘智能实验室", "Shenzhen Edge AI Lab").to_owned(),
        generated_at: Time(NOW),
        period: (Time(NOW - 30 * DAY), Time(NOW)),
        tz: "Asia/Shanghai".to_owned(),
        lang,
        kind,
        alarms,
        deployments: deployments.collect(),
        series,
        nodes,
    }
}
