//! The essentials of a node: beside a tile that is pointed at, and in the drawer.

use crate::{
    components::{StateBadge, basic::Meter, sign_of_alarm, sign_of_node},
    format::{self, NOTHING},
    frame::drawer::open_drawer,
    i18n::{Text, lang},
    store::{NodeEntry, lab, store},
    texts,
};
use edgedeck_model::{
    NodeId,
    alarm::Alarm,
    node::NodeState,
    telemetry::{Live, Unit},
    text,
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    OPEN: "打开节点页面", "Open the node's page";
    SERIAL: "序列号", "Serial number";
    IP: "IP 地址", "IP address";
    MODEL: "型号", "Model";
    SYSTEM: "系统", "System";
    NPUS: "NPU", "NPUs";
    CPU: "CPU", "CPU";
    MEMORY: "内存", "Memory";
    DISK: "磁盘", "Disk";
    NPU: "NPU 使用率", "NPU use";
    NPU_TEMPERATURE: "NPU 温度", "NPU temp.";
    GROUPS: "分组", "Groups";
    ALARMS: "告警", "Alarms";
    NONE: "无", "None";
    SINCE: "{state}，已持续 {time}", "{state} for {time}";
    GONE: "该节点已不存在。", "This node is no more.";
    WAITS: "等待纳管", "Waits to be managed";
}

/// Shows a node in the drawer.
pub fn show_summary(id: NodeId) {
    let name = Signal::derive(move || {
        store().nodes.track();
        lab(|lab| lab.node_name(id))
    });
    open_drawer(name, move || view! { <NodeSummary id=id brief=false/> }.into_any());
}

#[component]
pub fn NodeSummary(
    id: NodeId,
    /// Without the link and what a glance does not need.
    brief: bool,
) -> impl IntoView {
    let node = Memo::new_with_compare(
        move |_| {
            store().nodes.track();
            lab(|lab| lab.node(id).map(|NodeEntry { row, .. }| row.clone()))
        },
        |a, b| a != b,
    );
    let live = Memo::new(move |_| {
        store().live.track();
        let is_connected = node.with(|node| node.as_ref().is_some_and(|row| row.state.is_connected()));
        if is_connected {
            lab(|lab| lab.node(id).map(|node| node.live.clone()))
        } else {
            None
        }
    });
    let alarms = Memo::new(move |_| {
        store().alarms.track();
        let mut found: Vec<Arc<Alarm>> = lab(|lab| {
            lab.alarms
                .values()
                .filter(|alarm| alarm.node == Some(id))
                .cloned()
                .collect()
        });
        found.sort_by_key(|alarm| std::cmp::Reverse(alarm.severity));
        found
    });
    let meter = move |title: Text, read: fn(&Live) -> Option<f32>| {
        let value = Signal::derive(move || live.with(|live| live.as_ref().and_then(read)));
        view! { <dt>{title.t()}</dt><dd><Meter value=value/></dd> }
    };
    let fact = |title: Text, value: Option<String>| {
        let value = value
            .filter(|value| !value.is_empty())
            .unwrap_or_else(|| NOTHING.to_owned());
        view! { <dt>{title.t()}</dt><dd>{value}</dd> }
    };
    move || {
        let Some(row) = node.get() else {
            return view! { <p class="quiet-text">{GONE.t()}</p> }.into_any();
        };
        let (state, since) = (row.state, row.state_since);
        let word = Signal::derive(move || {
            SINCE.with(&[
                ("state", &text::node_state(state, lang())),
                ("time", &format::duration_since(since)),
            ])
        });
        let has_npu = row.npus > 0;
        let npus = has_npu.then(|| format!("{} × {}", row.npus, row.npu_name.clone().unwrap_or_default()));
        let system = [row.arch.clone(), row.os.clone()].join(" ").trim().to_owned();
        let groups = row.groups.clone();
        let group_names = move || {
            store().groups.track();
            let names = lab(|lab| groups.iter().map(|group| lab.group_name(*group)).collect::<Vec<_>>());
            if names.is_empty() {
                NOTHING.to_owned()
            } else {
                names.join(", ")
            }
        };
        let open_alarms = move || {
            let alarms = alarms.get();
            if alarms.is_empty() {
                return view! { <span class="quiet-text">{NONE.t()}</span> }.into_any();
            }
            let shown = alarms.into_iter().take(if brief { 2 } else { 20 });
            shown
                .map(|alarm| {
                    let sign = sign_of_alarm(alarm.severity);
                    let word = Signal::derive(move || text::alarm_kind(alarm.kind, lang()).to_owned());
                    view! { <StateBadge sign=Signal::stored(sign) word=word/> }
                })
                .collect_view()
                .into_any()
        };
        view! {
            <div class="summary">
                {brief.then(|| view! { <h3>{row.name.clone()}</h3> })}
                <StateBadge sign=Signal::stored(sign_of_node(state)) word=word/>
                {(!row.managed).then(|| view! { <p class="quiet-text">{WAITS.t()}</p> })}
                <dl class="facts">
                    {fact(IP, row.ip.clone())} {fact(MODEL, row.model.clone())} {fact(NPUS, npus)}
                    {(!brief).then(|| view! { {fact(SERIAL, Some(row.serial.clone()))} {fact(SYSTEM, Some(system))} })}
                    {has_npu
                        .then(|| {
                            let temperature = move || {
                                let value = live.with(|live| live.as_ref().and_then(|live| live.npu_temperature));
                                format::measured(value.map(f64::from), Unit::Celsius)
                            };
                            view! { {meter(NPU, |live| live.npu)} <dt>{NPU_TEMPERATURE.t()}</dt><dd>{temperature}</dd> }
                        })}
                    {meter(CPU, |live| live.cpu)} {meter(MEMORY, |live| live.memory)}
                    {(!brief).then(|| meter(DISK, |live| live.disk))}
                    <dt>{GROUPS.t()}</dt><dd>{group_names}</dd>
                    <dt>{ALARMS.t()}</dt><dd class="summary-alarms">{open_alarms}</dd>
                </dl>
                {(!brief && state != NodeState::Deleting)
                    .then(|| view! { <a class="button primary" href=format!("/nodes/{id}") data-test="open-node">{OPEN.t()}</a> })}
            </div>
        }
        .into_any()
    }
}
