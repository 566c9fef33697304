//! The nodes as a table.

use crate::{
    components::{Column, SortKey, StateBadge, Table, basic::Meter, sign_of_alarm, sign_of_node},
    format::{self, NOTHING},
    i18n::lang,
    store::{NodeEntry, lab, store},
    texts,
    url::UrlState,
};
use edgedeck_model::{
    NodeId,
    alarm::Severity,
    node::NodeState,
    telemetry::{Live, Unit},
    text,
};
use leptos::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

texts! {
    LABEL: "节点列表", "Nodes";
    NAME: "名称", "Name";
    STATE: "状态", "State";
    SINCE: "状态起始", "Since";
    SERIAL: "序列号", "Serial number";
    IP: "IP 地址", "IP address";
    MODEL: "型号", "Model";
    ARCH: "架构", "Architecture";
    OS: "操作系统", "Operating system";
    CPUS: "CPU 核数", "CPU cores";
    MEMORY_SIZE: "内存", "Memory";
    NPUS: "NPU 数", "NPUs";
    NPU_NAME: "NPU 型号", "NPU model";
    NPU: "NPU 使用率", "NPU use";
    NPU_TEMPERATURE: "NPU 温度", "NPU temp.";
    CPU: "CPU 使用率", "CPU use";
    MEMORY: "内存使用率", "Memory use";
    DISK: "磁盘使用率", "Disk use";
    ALARM: "告警", "Alarm";
    GROUPS: "分组", "Groups";
    LABELS: "标签", "Labels";
    AGENT: "代理版本", "Agent version";
}

/// Reads a node and follows its changes.
fn of<T>(id: &NodeId, read: impl FnOnce(&NodeEntry) -> T) -> Option<T> {
    store().nodes.track();
    lab(|lab| lab.node(*id).map(read))
}

fn word(id: &NodeId, read: impl FnOnce(&NodeEntry) -> Option<String>) -> String {
    of(id, read)
        .flatten()
        .filter(|word| !word.is_empty())
        .unwrap_or_else(|| NOTHING.to_owned())
}

/// A figure of a node as last measured; none from before the link was lost.
fn figure(id: &NodeId, read: fn(&Live) -> Option<f32>) -> Option<f32> {
    store().live.track();
    of(id, |node| {
        node.row.state.is_connected().then(|| read(&node.live)).flatten()
    })
    .flatten()
}

/// Sort keys track nothing: rows would run away under the pointer. The list is sorted anew when it is made anew.
fn key(id: &NodeId, read: impl FnOnce(&NodeEntry) -> SortKey) -> SortKey {
    lab(|lab| lab.node(*id).map_or(SortKey::Nothing, read))
}

fn text_column(
    id: &'static str,
    title: crate::i18n::Text,
    width: u32,
    read: fn(&NodeEntry) -> Option<String>,
) -> Column<NodeId> {
    Column::new(id, title, width, move |node: &NodeId| word(node, read)).sort(move |node| {
        key(node, |node| {
            read(node).map_or(SortKey::Nothing, |text| SortKey::name(&text))
        })
    })
}

fn meter_column(id: &'static str, title: crate::i18n::Text, read: fn(&Live) -> Option<f32>) -> Column<NodeId> {
    Column::new(id, title, 100, move |node: &NodeId| format::percent(figure(node, read)))
        .view(move |node| {
            let node = *node;
            view! { <Meter value=Signal::derive(move || figure(&node, read))/> }
        })
        .sort(move |node| key(node, |node| SortKey::number(read(&node.live))))
}

/// States that need somebody come first.
fn urgency(state: NodeState) -> f64 {
    match state {
        NodeState::Offline => 0.0,
        NodeState::Degraded => 1.0,
        NodeState::Upgrading => 2.0,
        NodeState::Deleting => 3.0,
        NodeState::Registered => 4.0,
        NodeState::Installed => 5.0,
        NodeState::Frozen => 6.0,
        NodeState::Disabled => 7.0,
        NodeState::Online => 8.0,
    }
}

fn columns(worst: Memo<Arc<HashMap<NodeId, Severity>>>) -> Vec<Column<NodeId>> {
    let state = |id: &NodeId| of(id, |node| node.row.state);
    vec![
        Column::new("name", NAME, 130, |id: &NodeId| word(id, |node| Some(node.row.name.clone())))
            .view(|id| {
                let id = *id;
                view! { <a href=format!("/nodes/{id}")>{move || word(&id, |node| Some(node.row.name.clone()))}</a> }
            })
            .sort(|id| key(id, |node| SortKey::Text(node.sort.clone())))
            .share(3),
        Column::new("state", STATE, 96, move |id: &NodeId| {
            state(id).map(|state| text::node_state(state, lang()).to_owned()).unwrap_or_default()
        })
        .view(move |id| {
            state(id).map(|state| {
                view! {
                    <StateBadge
                        sign=Signal::stored(sign_of_node(state))
                        word=Signal::derive(move || text::node_state(state, lang()).to_owned())
                    />
                }
            })
        })
        .sort(|id| key(id, |node| SortKey::Number(urgency(node.row.state)))),
        Column::new("since", SINCE, 120, |id: &NodeId| of(id, |node| node.row.state_since).map(format::ago).unwrap_or_default())
            .sort(|id| key(id, |node| SortKey::Number(node.row.state_since.0 as f64)))
            .hidden(),
        Column::new("alarm", ALARM, 84, move |id: &NodeId| {
            worst.with(|worst| worst.get(id).map(|severity| text::severity(*severity, lang()).to_owned())).unwrap_or_default()
        })
        .view(move |id| {
            worst.with(|worst| worst.get(id).copied()).map(|severity| {
                view! {
                    <StateBadge
                        sign=Signal::stored(sign_of_alarm(severity))
                        word=Signal::derive(move || text::severity(severity, lang()).to_owned())
                    />
                }
            })
        })
        .sort(move |id| {
            // Worst first when ascending, like states.
            worst.with_untracked(|worst| SortKey::number(worst.get(id).map(|severity| -f64::from(*severity as u8))))
        }),
        text_column("ip", IP, 112, |node| node.row.ip.clone()),
        text_column("serial", SERIAL, 140, |node| Some(node.row.serial.clone())).share(2).hidden(),
        text_column("model", MODEL, 120, |node| node.row.model.clone()).share(2),
        text_column("arch", ARCH, 88, |node| Some(node.row.arch.clone())).hidden(),
        Column::new("groups", GROUPS, 108, |id: &NodeId| group_names(id).join(", "))
            .view(|id| {
                let names = group_names(id);
                view! { <span class="chips">{names.into_iter().map(|name| view! { <span class="chip">{name}</span> }).collect_view()}</span> }
            })
            .share(2),
        Column::new("npus", NPUS, 72, |id: &NodeId| of(id, |node| node.row.npus.to_string()).unwrap_or_default())
            .sort(|id| key(id, |node| SortKey::Number(node.row.npus.into())))
            .number()
            .hidden(),
        meter_column("npu", NPU, |live| live.npu),
        Column::new("npu-temperature", NPU_TEMPERATURE, 92, |id: &NodeId| {
            format::measured(figure(id, |live| live.npu_temperature).map(f64::from), Unit::Celsius)
        })
        .sort(|id| key(id, |node| SortKey::number(node.live.npu_temperature)))
        .number(),
        meter_column("cpu", CPU, |live| live.cpu),
        meter_column("memory", MEMORY, |live| live.memory).hidden(),
        meter_column("disk", DISK, |live| live.disk).hidden(),
        text_column("npu-name", NPU_NAME, 110, |node| node.row.npu_name.clone()).hidden(),
        text_column("os", OS, 140, |node| Some(node.row.os.clone())).hidden(),
        Column::new("cpus", CPUS, 84, |id: &NodeId| of(id, |node| node.row.cpus.to_string()).unwrap_or_default())
            .sort(|id| key(id, |node| SortKey::Number(node.row.cpus.into())))
            .number()
            .hidden(),
        Column::new("memory-size", MEMORY_SIZE, 96, |id: &NodeId| of(id, |node| format::bytes(node.row.memory_bytes)).unwrap_or_default())
            .sort(|id| key(id, |node| SortKey::Number(node.row.memory_bytes as f64)))
            .number()
            .hidden(),
        text_column("agent", AGENT, 104, |node| Some(node.row.agent_version.clone())).hidden(),
        Column::new("labels", LABELS, 160, |id: &NodeId| {
            word(id, |node| Some(node.row.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")))
        })
        .hidden(),
    ]
}

fn group_names(id: &NodeId) -> Vec<String> {
    store().groups.track();
    store().nodes.track();
    lab(|lab| {
        lab.node(*id)
            .map(|node| node.row.groups.iter().map(|group| lab.group_name(*group)).collect())
    })
    .unwrap_or_default()
}

#[component]
pub fn NodeTable(
    #[prop(into)] rows: Signal<Arc<Vec<NodeId>>>,
    selected: RwSignal<HashSet<Uuid>>,
    open: Callback<NodeId>,
    url: UrlState,
    loading: Signal<bool>,
    empty: ViewFn,
    children: Children,
) -> impl IntoView {
    let worst = Memo::new(move |_| {
        store().alarms.track();
        Arc::new(lab(|lab| lab.worst_alarms()))
    });
    view! {
        <Table name="nodes" label=LABEL rows=rows columns=columns(worst) open=open selected=selected url=url loading=loading empty=empty>
            {children()}
        </Table>
    }
}
