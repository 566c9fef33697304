//! What a reader should know first: a few sentences and the figures behind them.

use crate::data::{NodeLine, ReportData};
use crate::tables::{severity_tone, state_tone};
use crate::text::{bytes, celsius, clean, percent};
use edgedeck_charts::{Count, format_count};
use edgedeck_model::alarm::Severity;
use edgedeck_model::node::NodeState;
use edgedeck_model::{Lang, text};
use std::collections::BTreeMap;

/// A label and its number, such as "Nodes online: 41 / 44".
pub(crate) struct Figure {
    pub label: &'static str,
    pub value: String,
}

pub(crate) fn title(data: &ReportData) -> &'static str {
    use crate::Kind::{Health, Inventory, InventoryAndHealth};
    match data.kind {
        Inventory => data.lang.pick("资产清单报告", "Inventory report"),
        Health => data.lang.pick("运行状况报告", "Health report"),
        InventoryAndHealth => data.lang.pick("资产与运行状况报告", "Inventory and health report"),
    }
}

/// The states that occur, in the model's order.
pub(crate) fn states(data: &ReportData) -> Vec<Count> {
    let of = |state: NodeState| data.nodes.iter().filter(|node| node.state == state).count() as u64;
    let count = |state| Count {
        label: text::node_state(state, data.lang).to_owned(),
        count: of(state),
        tone: state_tone(state),
    };
    // Online, degraded and offline stand there even at zero: the reader looks for them.
    let always = |state: NodeState| matches!(state, NodeState::Online | NodeState::Degraded | NodeState::Offline);
    let order = [
        NodeState::Online,
        NodeState::Degraded,
        NodeState::Offline,
        NodeState::Upgrading,
        NodeState::Installed,
        NodeState::Registered,
        NodeState::Disabled,
        NodeState::Frozen,
        NodeState::Deleting,
    ];
    order
        .into_iter()
        .filter(|state| always(*state) || of(*state) > 0)
        .map(count)
        .collect()
}

/// Alarms of the period by severity, the worst first.
pub(crate) fn severities(data: &ReportData) -> Vec<Count> {
    let of = |severity: Severity| data.alarms.iter().filter(|alarm| alarm.severity == severity).count() as u64;
    let count = |severity| Count {
        label: text::severity(severity, data.lang).to_owned(),
        count: of(severity),
        tone: severity_tone(severity),
    };
    Severity::ALL.into_iter().map(count).collect()
}

fn in_state(data: &ReportData, state: NodeState) -> usize {
    data.nodes.iter().filter(|node| node.state == state).count()
}

fn connected(data: &ReportData) -> usize {
    data.nodes.iter().filter(|node| node.state.is_connected()).count()
}

fn active_alarms(data: &ReportData) -> usize {
    data.alarms.iter().filter(|alarm| alarm.cleared_at.is_none()).count()
}

/// Mean of what was measured; none if nothing was.
fn mean(data: &ReportData, of: impl Fn(&NodeLine) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = data
        .nodes
        .iter()
        .filter_map(of)
        .filter(|value| value.is_finite())
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn sum(data: &ReportData, of: impl Fn(&NodeLine) -> u64) -> u64 {
    data.nodes.iter().map(of).fold(0, u64::saturating_add)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 * 100.0 / whole as f64
    }
}

pub(crate) fn figures(data: &ReportData) -> Vec<Figure> {
    let lang = data.lang;
    let total = data.nodes.len() as u64;
    let or_dash = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), percent);
    let mut figures = vec![Figure {
        label: lang.pick("已连接 / 节点总数", "Nodes connected / in all"),
        value: format!("{} / {}", format_count(connected(data) as u64), format_count(total)),
    }];
    let mut add = |label, value| figures.push(Figure { label, value });
    if data.kind.has_health() {
        add(
            lang.pick("平均可用率", "Mean availability"),
            or_dash(mean(data, |node| node.availability)),
        );
        add(
            lang.pick("平均 CPU 使用率", "Mean CPU use"),
            or_dash(mean(data, |node| node.cpu_mean)),
        );
        add(
            lang.pick("平均 NPU 使用率", "Mean NPU use"),
            or_dash(mean(data, |node| node.npu_mean)),
        );
        add(
            lang.pick("期间告警", "Alarms in the period"),
            format_count(data.alarms.len() as u64),
        );
        add(
            lang.pick("未恢复告警", "Alarms still active"),
            format_count(active_alarms(data) as u64),
        );
    }
    if data.kind.has_inventory() {
        add(
            lang.pick("NPU 芯片", "NPU chips"),
            format_count(sum(data, |node| node.npus.into())),
        );
        add(
            lang.pick("CPU 核", "Processors"),
            format_count(sum(data, |node| node.cpus.into())),
        );
        add(lang.pick("内存", "Memory"), bytes(sum(data, |node| node.memory_bytes)));
        let (used, all) = (
            sum(data, |node| node.disk_used_bytes),
            sum(data, |node| node.disk_total_bytes),
        );
        add(
            lang.pick("磁盘已用", "Disks used"),
            if all == 0 {
                "–".to_owned()
            } else {
                percent(share(used, all))
            },
        );
        add(
            lang.pick("部署", "Deployments"),
            format_count(data.deployments.len() as u64),
        );
    }
    figures
}

/// Two to four sentences, each true of the data.
pub(crate) fn sentences(data: &ReportData) -> Vec<String> {
    let mut all = vec![nodes_sentence(data)];
    if data.nodes.is_empty() {
        all.push(match data.lang {
            Lang::Zh => "节点加入后，本报告将列出其配置、负载和告警。".to_owned(),
            Lang::En => "Once nodes have joined, this report lists their equipment, load and alarms.".to_owned(),
        });
    } else {
        if data.kind.has_health() {
            all.extend(availability_sentence(data));
            all.extend(load_sentence(data));
        }
        if data.kind.has_inventory() && all.len() < 3 {
            all.push(equipment_sentence(data));
        }
    }
    if data.kind.has_health() {
        all.push(alarm_sentence(data));
    } else if !data.deployments.is_empty() {
        all.push(deployment_sentence(data));
    }
    all
}

fn nodes_sentence(data: &ReportData) -> String {
    let total = data.nodes.len() as u64;
    let lab = clean(&data.lab);
    if total == 0 {
        return match data.lang {
            Lang::Zh => format!("{lab} 还没有节点。"),
            Lang::En => format!("{lab} has no nodes yet."),
        };
    }
    let online = connected(data) as u64;
    let degraded = in_state(data, NodeState::Degraded);
    let offline = in_state(data, NodeState::Offline);
    let online_share = percent(share(online, total));
    let (total, online) = (format_count(total), format_count(online));
    match data.lang {
        Lang::Zh => {
            format!(
                "{lab} 共有 {total} 个节点，其中 {online} 个已连接（{online_share}），{degraded} 个异常，{offline} 个离线。"
            )
        }
        Lang::En => {
            let nodes = if total == "1" { "node" } else { "nodes" };
            format!(
                "{lab} has {total} {nodes}: {online} connected ({online_share}), {degraded} of them degraded, {offline} offline."
            )
        }
    }
}

fn availability_sentence(data: &ReportData) -> Option<String> {
    let average = percent(mean(data, |node| node.availability)?);
    let known = data.nodes.iter().filter_map(|node| Some((node, node.availability?)));
    let (worst, lowest) = known.min_by(|a, b| a.1.total_cmp(&b.1))?;
    let (worst, perfect) = (clean(&worst.name), lowest >= 99.95);
    let lowest = percent(lowest);
    Some(match (data.lang, perfect) {
        (Lang::Zh, true) => format!("期间所有节点的平均可用率为 {average}，没有明显中断。"),
        (Lang::En, true) => {
            format!("Over the period nodes were available {average} of the time, without notable breaks.")
        }
        (Lang::Zh, false) => format!("期间节点平均可用率为 {average}，最低的是 {worst}（{lowest}）。"),
        (Lang::En, false) => {
            format!(
                "Over the period nodes were available {average} of the time on average; {worst} was lowest with {lowest}."
            )
        }
    })
}

fn load_sentence(data: &ReportData) -> Option<String> {
    let cpu = percent(mean(data, |node| node.cpu_mean)?);
    let memory = mean(data, |node| node.memory_mean).map_or_else(|| "–".to_owned(), percent);
    let mut text = match data.lang {
        Lang::Zh => format!("平均 CPU 使用率 {cpu}，内存使用率 {memory}"),
        Lang::En => format!("Mean CPU use was {cpu} and memory use {memory}"),
    };
    if let Some(npu) = mean(data, |node| node.npu_mean).map(percent) {
        text.push_str(&match data.lang {
            Lang::Zh => format!("，NPU 使用率 {npu}"),
            Lang::En => format!(", NPU use {npu}"),
        });
    }
    let hottest = data
        .nodes
        .iter()
        .filter_map(|node| Some((node, node.npu_temperature_max.filter(|t| t.is_finite())?)));
    if let Some((node, top)) = hottest.max_by(|a, b| a.1.total_cmp(&b.1)) {
        let (name, top) = (clean(&node.name), celsius(top));
        text.push_str(&match data.lang {
            Lang::Zh => format!("；最热的芯片在 {name} 上，达到 {top}"),
            Lang::En => format!("; the hottest chip, on {name}, reached {top}"),
        });
    }
    text.push_str(data.lang.pick("。", "."));
    Some(text)
}

fn equipment_sentence(data: &ReportData) -> String {
    let chips = format_count(sum(data, |node| node.npus.into()));
    let cpus = format_count(sum(data, |node| node.cpus.into()));
    let memory = bytes(sum(data, |node| node.memory_bytes));
    match data.lang {
        Lang::Zh => format!("节点共有 {chips} 颗 NPU 芯片、{cpus} 个 CPU 核和 {memory} 内存。"),
        Lang::En => format!("Together the nodes have {chips} NPU chips, {cpus} processors and {memory} of memory."),
    }
}

fn alarm_sentence(data: &ReportData) -> String {
    if data.alarms.is_empty() {
        return data
            .lang
            .pick("期间没有告警。", "No alarms were raised in the period.")
            .to_owned();
    }
    let total = format_count(data.alarms.len() as u64);
    let active = format_count(active_alarms(data) as u64);
    let critical = data
        .alarms
        .iter()
        .filter(|alarm| alarm.severity == Severity::Critical)
        .count();
    let mut by_node: BTreeMap<&str, usize> = BTreeMap::new();
    for node in data.alarms.iter().filter_map(|alarm| alarm.node.as_deref()) {
        *by_node.entry(node).or_default() += 1;
    }
    // Of equals the first by name, so that the sentence does not change from run to run.
    let most = by_node
        .into_iter()
        .rev()
        .max_by_key(|(_, count)| *count)
        .filter(|(_, count)| *count > 1);
    let most = most.map(|(node, count)| (clean(node), count));
    match (data.lang, most) {
        (Lang::Zh, Some((node, count))) => {
            format!("期间共有 {total} 条告警，其中紧急 {critical} 条，未恢复 {active} 条；{node} 最多，有 {count} 条。")
        }
        (Lang::Zh, None) => format!("期间共有 {total} 条告警，其中紧急 {critical} 条，未恢复 {active} 条。"),
        (Lang::En, most) => {
            let alarms = if total == "1" { "alarm was" } else { "alarms were" };
            let most = most.map_or_else(String::new, |(node, count)| format!("; most, {count}, on {node}"));
            format!("{total} {alarms} raised, {critical} critical, and {active} still active{most}.")
        }
    }
}

fn deployment_sentence(data: &ReportData) -> String {
    let total = format_count(data.deployments.len() as u64);
    let running: u64 = data.deployments.iter().map(|line| u64::from(line.running)).sum();
    let placed: u64 = data.deployments.iter().map(|line| u64::from(line.nodes)).sum();
    let (running, placed) = (format_count(running), format_count(placed));
    match data.lang {
        Lang::Zh => format!("共有 {total} 个部署，{placed} 个实例中有 {running} 个在运行。"),
        Lang::En => format!("Deployments: {total}, with {running} of {placed} instances running."),
    }
}
