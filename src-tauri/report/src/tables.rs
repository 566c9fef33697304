//! The tables of a report, apart from how a format draws them.

use crate::data::{NodeLine, ReportData};
use crate::local::Clock;
use crate::text::{bytes, clean, duration, percent};
use edgedeck_charts::{Tone, format_count};
use edgedeck_model::alarm::Severity;
use edgedeck_model::deployment::Wanted;
use edgedeck_model::node::NodeState;
use edgedeck_model::{Lang, Time, text};

pub(crate) struct Table {
    pub title: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
    /// Rows that a page-bound format shows at most; the spreadsheet has all.
    pub printed_rows: usize,
}

pub(crate) struct Column {
    pub title: &'static str,
    /// Share of the width: points on a page of 770.
    pub width: f32,
    /// Numbers stand at the right.
    pub right: bool,
}

/// A value that each format writes in its own way. What was not measured is `Absent`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Absent,
    Text(String),
    /// A word with a meaning: drawn with a sign, never by colour alone.
    State(&'static str, Tone),
    Count(u64),
    Percent(f64),
    Celsius(f64),
    Bytes(u64),
    Time(Time),
}

impl Cell {
    fn maybe(text: Option<&String>) -> Self {
        text.map_or(Self::Absent, |text| Self::text(text))
    }

    fn text(text: &str) -> Self {
        let text = clean(text);
        if text.trim().is_empty() {
            Self::Absent
        } else {
            Self::Text(text)
        }
    }

    fn percent(value: Option<f64>) -> Self {
        value.filter(|v| v.is_finite()).map_or(Self::Absent, Self::Percent)
    }

    fn celsius(value: Option<f64>) -> Self {
        value.filter(|v| v.is_finite()).map_or(Self::Absent, Self::Celsius)
    }

    /// Zero means that the agent did not tell.
    fn bytes(value: u64) -> Self {
        if value == 0 { Self::Absent } else { Self::Bytes(value) }
    }

    /// As a reader sees it.
    pub fn show(&self, clock: &Clock) -> String {
        match self {
            Self::Absent => "–".to_owned(),
            Self::Text(text) => text.clone(),
            Self::State(word, _) => (*word).to_owned(),
            Self::Count(count) => format_count(*count),
            // Always one decimal, so that a column's points stand below one another.
            Self::Percent(value) => format!("{value:.1} %"),
            Self::Celsius(value) => format!("{value:.1} °C"),
            Self::Bytes(value) => bytes(*value),
            Self::Time(time) => clock.minute(*time),
        }
    }
}

pub(crate) fn state_tone(state: NodeState) -> Tone {
    match state {
        NodeState::Online => Tone::Good,
        NodeState::Degraded => Tone::Warning,
        NodeState::Offline => Tone::Bad,
        NodeState::Upgrading | NodeState::Installed => Tone::Notice,
        NodeState::Registered | NodeState::Disabled | NodeState::Frozen | NodeState::Deleting => Tone::Muted,
    }
}

pub(crate) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Critical => Tone::Bad,
        Severity::Major => Tone::Warning,
        Severity::Minor => Tone::Notice,
    }
}

fn state(node: &NodeLine, lang: Lang) -> Cell {
    Cell::State(text::node_state(node.state, lang), state_tone(node.state))
}

/// Makes columns of titles with their widths; the sign of a width says the side.
fn columns(titles: &[(&'static str, f32)]) -> Vec<Column> {
    titles
        .iter()
        .map(|(title, width)| Column {
            title,
            width: width.abs(),
            right: *width < 0.0,
        })
        .collect()
}

/// Some 60 pages of nodes; of alarms the newest, as nobody reads 60 pages of them.
const PRINTED_NODES: usize = 2_000;
const PRINTED_ALARMS: usize = 500;
/// Percent of the period; a node below it is named as one to look at.
const WELL_AVAILABLE: f64 = 99.0;

/// The tables of a printed report, in order.
pub(crate) fn printed(data: &ReportData) -> Vec<Table> {
    let mut tables = vec![];
    if data.kind.has_health() {
        tables.extend(attention(data));
        tables.push(health(data));
        tables.push(alarms(data));
    }
    if data.kind.has_inventory() {
        tables.push(inventory(data));
        tables.push(deployments(data));
    }
    tables
}

fn inventory(data: &ReportData) -> Table {
    let lang = data.lang;
    let npus = |node: &NodeLine| match (&node.npu_name, node.npus) {
        (_, 0) => Cell::Absent,
        (Some(name), count) => Cell::text(&format!("{count} × {name}")),
        (None, count) => Cell::Count(count.into()),
    };
    let disk = |node: &NodeLine| match node.disk_total_bytes {
        0 => Cell::Absent,
        total => Cell::Text(format!("{} / {}", bytes(node.disk_used_bytes), bytes(total))),
    };
    let row = |node: &NodeLine| {
        vec![
            Cell::text(&node.name),
            state(node, lang),
            Cell::text(&node.serial),
            Cell::maybe(node.model.as_ref()),
            Cell::text(&node.os),
            Cell::text(&node.arch),
            Cell::maybe(node.ip.as_ref()),
            if node.cpus == 0 {
                Cell::Absent
            } else {
                Cell::Count(node.cpus.into())
            },
            Cell::bytes(node.memory_bytes),
            disk(node),
            npus(node),
            Cell::text(&node.agent_version),
            Cell::text(&node.groups.join(lang.pick("、", ", "))),
        ]
    };
    Table {
        title: lang.pick("节点清单", "Node inventory"),
        columns: match lang {
            Lang::Zh => columns(&[
                ("名称", 86.0),
                ("状态", 54.0),
                ("序列号", 92.0),
                ("型号", 86.0),
                ("操作系统", 88.0),
                ("架构", 40.0),
                ("IP 地址", 58.0),
                ("CPU", -26.0),
                ("内存", -40.0),
                ("磁盘用量", -78.0),
                ("NPU", 76.0),
                ("代理", 34.0),
                ("分组", 72.0),
            ]),
            Lang::En => columns(&[
                ("Name", 86.0),
                ("State", 60.0),
                ("Serial number", 92.0),
                ("Model", 86.0),
                ("Operating system", 88.0),
                ("Arch.", 40.0),
                ("IP address", 58.0),
                ("CPU", -26.0),
                ("Memory", -40.0),
                ("Disk used", -78.0),
                ("NPUs", 76.0),
                ("Agent", 34.0),
                ("Groups", 72.0),
            ]),
        },
        rows: data.nodes.iter().map(row).collect(),
        printed_rows: PRINTED_NODES,
    }
}

/// The ten nodes that most need someone to look at them, and why; none if all are well.
fn attention(data: &ReportData) -> Option<Table> {
    let lang = data.lang;
    let rank = |node: &NodeLine| match node.state {
        NodeState::Offline => 0,
        NodeState::Degraded => 1,
        _ => 2,
    };
    let available = |node: &NodeLine| node.availability.filter(|value| value.is_finite()).unwrap_or(100.0);
    let needs = |node: &&NodeLine| rank(node) < 2 || available(node) < WELL_AVAILABLE || node.alarms > 2;
    let mut nodes: Vec<&NodeLine> = data.nodes.iter().filter(needs).collect();
    nodes.sort_by(|a, b| {
        let by_state = rank(a).cmp(&rank(b));
        by_state
            .then(available(a).total_cmp(&available(b)))
            .then(b.alarms.cmp(&a.alarms))
            .then(a.name.cmp(&b.name))
    });
    let reasons = |node: &NodeLine| {
        let mut reasons = vec![];
        match node.state {
            NodeState::Offline => reasons.push(lang.pick("现已离线", "offline now").to_owned()),
            NodeState::Degraded => reasons.push(lang.pick("现为异常", "degraded now").to_owned()),
            _ => {}
        }
        if available(node) < WELL_AVAILABLE {
            let share = percent(available(node));
            reasons.push(lang.pick(
                format!("可用率仅 {share}"),
                format!("available only {share} of the time"),
            ));
        }
        if node.alarms > 0 {
            let count = format_count(node.alarms.into());
            reasons.push(lang.pick(format!("期间告警 {count} 条"), format!("alarms in the period: {count}")));
        }
        reasons.join(lang.pick("；", "; "))
    };
    let row = |node: &&NodeLine| {
        vec![
            Cell::text(&node.name),
            state(node, lang),
            Cell::text(&reasons(node)),
            Cell::maybe(node.ip.as_ref()),
            Cell::text(&node.groups.join(lang.pick("、", ", "))),
        ]
    };
    let rows: Vec<Vec<Cell>> = nodes.iter().take(10).map(row).collect();
    (!rows.is_empty()).then(|| Table {
        title: lang.pick("最需要关注的节点", "Nodes that need attention most"),
        columns: match lang {
            Lang::Zh => columns(&[
                ("名称", 180.0),
                ("状态", 70.0),
                ("原因", 300.0),
                ("IP 地址", 90.0),
                ("分组", 130.0),
            ]),
            Lang::En => columns(&[
                ("Name", 180.0),
                ("State", 70.0),
                ("Why", 300.0),
                ("IP address", 90.0),
                ("Groups", 130.0),
            ]),
        },
        rows,
        printed_rows: PRINTED_NODES,
    })
}

fn health(data: &ReportData) -> Table {
    let lang = data.lang;
    let row = |node: &NodeLine| {
        vec![
            Cell::text(&node.name),
            state(node, lang),
            Cell::percent(node.availability),
            Cell::percent(node.cpu_mean),
            Cell::percent(node.cpu_max),
            Cell::percent(node.memory_mean),
            Cell::percent(node.memory_max),
            Cell::percent(node.npu_mean),
            Cell::percent(node.npu_max),
            Cell::celsius(node.npu_temperature_max),
            Cell::Count(node.alarms.into()),
        ]
    };
    Table {
        title: lang.pick("节点运行状况", "Node health"),
        columns: match lang {
            Lang::Zh => columns(&[
                ("名称", 160.0),
                ("状态", 66.0),
                ("可用率", -62.0),
                ("CPU 平均", -62.0),
                ("CPU 最高", -62.0),
                ("内存平均", -62.0),
                ("内存最高", -62.0),
                ("NPU 平均", -62.0),
                ("NPU 最高", -62.0),
                ("NPU 最高温度", -72.0),
                ("告警数", -52.0),
            ]),
            Lang::En => columns(&[
                ("Name", 160.0),
                ("State", 66.0),
                ("Available", -62.0),
                ("CPU mean", -62.0),
                ("CPU max", -62.0),
                ("Memory mean", -68.0),
                ("Memory max", -64.0),
                ("NPU mean", -60.0),
                ("NPU max", -60.0),
                ("NPU hottest", -64.0),
                ("Alarms", -48.0),
            ]),
        },
        rows: data.nodes.iter().map(row).collect(),
        printed_rows: PRINTED_NODES,
    }
}

pub(crate) fn alarms(data: &ReportData) -> Table {
    let lang = data.lang;
    let row = |alarm: &crate::AlarmLine| {
        let lasted = alarm.cleared_at.unwrap_or(data.generated_at).since(alarm.raised_at);
        vec![
            Cell::State(text::severity(alarm.severity, lang), severity_tone(alarm.severity)),
            Cell::Text(text::alarm_kind(alarm.kind, lang).to_owned()),
            Cell::maybe(alarm.node.as_ref()),
            Cell::text(&alarm.text),
            Cell::Time(alarm.raised_at),
            match alarm.cleared_at {
                Some(time) => Cell::Time(time),
                None => Cell::State(lang.pick("未恢复", "Active"), Tone::Warning),
            },
            Cell::Text(duration(lasted, lang)),
            Cell::maybe(alarm.acknowledged_by.as_ref()),
        ]
    };
    Table {
        title: lang.pick("告警", "Alarms"),
        columns: match lang {
            Lang::Zh => columns(&[
                ("级别", 50.0),
                ("类型", 74.0),
                ("节点", 110.0),
                ("说明", 250.0),
                ("发生时间", 80.0),
                ("恢复时间", 80.0),
                ("持续时间", 68.0),
                ("确认人", 54.0),
            ]),
            Lang::En => columns(&[
                ("Severity", 50.0),
                ("Kind", 84.0),
                ("Node", 110.0),
                ("Description", 234.0),
                ("Raised", 80.0),
                ("Cleared", 80.0),
                ("Lasted", 62.0),
                ("Acknowledged by", 72.0),
            ]),
        },
        rows: data.alarms.iter().map(row).collect(),
        printed_rows: PRINTED_ALARMS,
    }
}

pub(crate) fn deployments(data: &ReportData) -> Table {
    let lang = data.lang;
    let wanted = |wanted: Wanted| match wanted {
        Wanted::Running => lang.pick("运行", "Running"),
        Wanted::Stopped => lang.pick("停止", "Stopped"),
        Wanted::Gone => lang.pick("移除", "Removed"),
    };
    let row = |line: &crate::DeploymentLine| {
        vec![
            Cell::text(&line.name),
            Cell::text(&line.app),
            Cell::text(&line.version),
            Cell::text(&line.target),
            Cell::Text(wanted(line.wanted).to_owned()),
            Cell::Count(line.nodes.into()),
            Cell::Count(line.running.into()),
            Cell::Count(line.failed.into()),
            Cell::Count(line.restarts.into()),
            Cell::Time(line.updated_at),
        ]
    };
    Table {
        title: lang.pick("部署", "Deployments"),
        columns: match lang {
            Lang::Zh => columns(&[
                ("名称", 150.0),
                ("应用", 130.0),
                ("版本", 70.0),
                ("目标", 140.0),
                ("期望状态", 56.0),
                ("节点数", -44.0),
                ("运行中", -44.0),
                ("失败", -40.0),
                ("重启次数", -50.0),
                ("更新时间", 86.0),
            ]),
            Lang::En => columns(&[
                ("Name", 150.0),
                ("App", 130.0),
                ("Version", 70.0),
                ("Target", 140.0),
                ("Wanted", 56.0),
                ("Nodes", -44.0),
                ("Running", -44.0),
                ("Failed", -40.0),
                ("Restarts", -48.0),
                ("Updated", 86.0),
            ]),
        },
        rows: data.deployments.iter().map(row).collect(),
        printed_rows: PRINTED_NODES,
    }
}

/// One row per node with every figure in a column of its own, for programs and spreadsheets.
pub(crate) fn node_data(data: &ReportData) -> Table {
    let lang = data.lang;
    let mut titles = match lang {
        Lang::Zh => vec![
            ("名称", 24.0),
            ("状态", 10.0),
            ("已纳管", 8.0),
            ("序列号", 22.0),
            ("型号", 22.0),
            ("架构", 10.0),
            ("操作系统", 26.0),
            ("IP 地址", 16.0),
            ("CPU 数", -8.0),
            ("内存", -12.0),
            ("磁盘已用", -12.0),
            ("磁盘总量", -12.0),
            ("NPU 数", -8.0),
            ("NPU 型号", 18.0),
            ("代理版本", 10.0),
            ("分组", 20.0),
        ],
        Lang::En => vec![
            ("Name", 24.0),
            ("State", 10.0),
            ("Managed", 10.0),
            ("Serial number", 22.0),
            ("Model", 22.0),
            ("Architecture", 13.0),
            ("Operating system", 26.0),
            ("IP address", 16.0),
            ("CPUs", -8.0),
            ("Memory", -12.0),
            ("Disk used", -12.0),
            ("Disk total", -12.0),
            ("NPUs", -8.0),
            ("NPU name", 18.0),
            ("Agent", 10.0),
            ("Groups", 20.0),
        ],
    };
    if data.kind.has_health() {
        titles.extend(match lang {
            Lang::Zh => [
                ("可用率", -10.0),
                ("CPU 平均", -10.0),
                ("CPU 最高", -10.0),
                ("内存平均", -10.0),
                ("内存最高", -10.0),
                ("NPU 平均", -10.0),
                ("NPU 最高", -10.0),
                ("NPU 最高温度", -14.0),
                ("告警数", -8.0),
            ],
            Lang::En => [
                ("Available", -11.0),
                ("CPU mean", -11.0),
                ("CPU max", -11.0),
                ("Memory mean", -14.0),
                ("Memory max", -13.0),
                ("NPU mean", -11.0),
                ("NPU max", -11.0),
                ("NPU hottest", -13.0),
                ("Alarms", -9.0),
            ],
        });
    }
    let row = |node: &NodeLine| {
        let mut row = vec![
            Cell::text(&node.name),
            state(node, lang),
            Cell::Text(
                if node.managed {
                    lang.pick("是", "yes")
                } else {
                    lang.pick("否", "no")
                }
                .to_owned(),
            ),
            Cell::text(&node.serial),
            Cell::maybe(node.model.as_ref()),
            Cell::text(&node.arch),
            Cell::text(&node.os),
            Cell::maybe(node.ip.as_ref()),
            if node.cpus == 0 {
                Cell::Absent
            } else {
                Cell::Count(node.cpus.into())
            },
            Cell::bytes(node.memory_bytes),
            if node.disk_total_bytes == 0 {
                Cell::Absent
            } else {
                Cell::Bytes(node.disk_used_bytes)
            },
            Cell::bytes(node.disk_total_bytes),
            Cell::Count(node.npus.into()),
            Cell::maybe(node.npu_name.as_ref()),
            Cell::text(&node.agent_version),
            Cell::text(&node.groups.join(lang.pick("、", ", "))),
        ];
        if data.kind.has_health() {
            row.extend([
                Cell::percent(node.availability),
                Cell::percent(node.cpu_mean),
                Cell::percent(node.cpu_max),
                Cell::percent(node.memory_mean),
                Cell::percent(node.memory_max),
                Cell::percent(node.npu_mean),
                Cell::percent(node.npu_max),
                Cell::celsius(node.npu_temperature_max),
                Cell::Count(node.alarms.into()),
            ]);
        }
        row
    };
    Table {
        title: lang.pick("节点", "Nodes"),
        columns: columns(&titles),
        rows: data.nodes.iter().map(row).collect(),
        printed_rows: PRINTED_NODES,
    }
}
