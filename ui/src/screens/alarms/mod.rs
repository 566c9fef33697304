//! Alarms and events.
//!
//! `data-test`: `alarm-filter`, `alarm-severity`, `alarm-state`, `alarm-kind`, `acknowledge`, `alarms-table`, `alarms-row`,
//! `older-alarms`, `notify-switch`; in the drawer `alarm-cause`, `alarm-advice`, `acknowledge-one`.

mod details;
mod events;
mod filter;
pub mod notify;
pub mod older;

pub use events::Events;

use crate::{
    api,
    components::{
        Button, Choice, Column, EmptyState, Icon, SortKey, StateBadge, Table, sign_of_alarm, toast, toast_problem,
    },
    format,
    frame::{drawer::open_drawer, palette},
    i18n::lang,
    match_text::folded,
    screens::groups::Filter,
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    AlarmId, NodeId,
    alarm::{Alarm, AlarmKind, Severity},
    api::{AcknowledgeAlarm, AlarmQuery, ById, ListAlarms},
    text,
    user::Role,
};
use filter::{Wanted, kind_key, severity_key};
use leptos::prelude::*;
use older::{More, Older, PAGE};
use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};
use uuid::Uuid;

texts! {
    TITLE: "告警", "Alarms";
    FILTER: "按节点或内容筛选", "Filter by node or words";
    SEVERITY: "级别", "Severity";
    ANY_SEVERITY: "任意级别", "Any severity";
    STATE: "状态", "State";
    OPEN: "未恢复", "Open";
    UNSEEN: "未确认", "Not acknowledged";
    SEEN: "已确认", "Acknowledged";
    CLEARED: "已恢复", "Cleared";
    EVERY: "全部", "All";
    KIND: "类型", "Kind";
    ANY_KIND: "任意类型", "Any kind";
    NODE_ONLY: "仅节点 {node}", "Only node {node}";
    WHAT: "内容", "What";
    NODE: "节点", "Node";
    RAISED: "发生时间", "Raised";
    CLEARED_AT: "恢复时间", "Cleared";
    ACKNOWLEDGE: "确认", "Acknowledge";
    ACKNOWLEDGE_N: "确认 {n} 个告警", "Acknowledge {n} {n|alarm|alarms}";
    DONE: "已确认 {n} 个告警", "Acknowledged {n} {n|alarm|alarms}";
    ENGINE: "引擎", "the engine";
    CALM: "没有告警", "No alarms";
    CALM_TEXT: "节点离线、反复重启、磁盘将满、NPU 过热、证书到期或数据库异常时，会在这里出现。", "Nodes that go offline, restarts over and over, full disks, hot NPUs, certificates that end and database trouble show here.";
    NONE_FOUND: "没有符合筛选条件的告警", "No alarm matches the filter";
    NONE_FOUND_TEXT: "修改或清除筛选条件。", "Change or clear the filter.";
    CLEAR_NODE: "显示所有节点", "Show all nodes";
}

/// The node of an alarm by name; tracked.
fn node_word(alarm: &Alarm) -> String {
    store().nodes.track();
    alarm
        .node
        .map_or_else(|| ENGINE.get().to_owned(), |node| lab(|lab| lab.node_name(node)))
}

/// Acknowledges, one after another; says how many were, or what went wrong.
pub fn acknowledge(ids: Vec<AlarmId>) {
    leptos::task::spawn_local(async move {
        let mut done = 0_usize;
        for id in ids {
            match api::call::<AcknowledgeAlarm>(ById { id }, &(), &()).await {
                Ok(_) => done += 1,
                Err(problem) => {
                    toast_problem(&problem);
                    break;
                }
            }
        }
        if done > 0 {
            toast(DONE.with_untracked(&[("n", &done)]));
        }
    });
}

#[component]
pub fn Alarms() -> impl IntoView {
    let url = url_state();
    let (words, severity, state, kind, node) = (
        url.param("q"),
        url.param("severity"),
        url.param("state"),
        url.param("kind"),
        url.param("node"),
    );
    let wanted = Memo::new(move |_| Wanted {
        words: words.with(|words| folded(words)),
        severity: severity.get(),
        state: state.get(),
        kind: kind.get(),
        node: node.with(|node| node.parse().ok()),
    });
    let looks_back = Memo::new(move |_| wanted.with(Wanted::looks_back));
    let only_node = Memo::new(move |_| wanted.with(|wanted| wanted.node));
    let older = Older::<Alarm>::new(move |offset| async move {
        let query = AlarmQuery {
            offset,
            limit: PAGE,
            cleared: true,
            node: only_node.get_untracked(),
        };
        api::call::<ListAlarms>((), &query, &()).await
    });
    Effect::new(move |_| {
        only_node.track();
        if looks_back.get() {
            older.start();
        }
    });
    let rows = Memo::new(move |_| {
        store().alarms.track();
        let wanted = wanted.get();
        let mut found: BTreeMap<AlarmId, Arc<Alarm>> = BTreeMap::new();
        if wanted.looks_back() {
            older
                .items
                .with(|items| found.extend(items.iter().map(|alarm| (alarm.id, alarm.clone()))));
        }
        // What the feed tells is newer than a page that was asked for.
        lab(|lab| found.extend(lab.alarms.iter().map(|(id, alarm)| (*id, alarm.clone()))));
        let mut rows: Vec<Arc<Alarm>> = found
            .into_values()
            .filter(|alarm| wanted.takes(alarm, &text::alarm(alarm, lang())))
            .collect();
        rows.sort_by_key(|alarm| {
            std::cmp::Reverse((alarm.cleared_at.is_none(), alarm.severity, alarm.raised_at, alarm.id))
        });
        Arc::new(rows)
    });
    let selected = RwSignal::new(HashSet::<Uuid>::new());
    let to_acknowledge = move || {
        rows.with(|rows| {
            let is_it = |alarm: &&Arc<Alarm>| {
                alarm.acknowledged.is_none() && selected.with(|selected| selected.contains(&alarm.id.0))
            };
            rows.iter().filter(is_it).map(|alarm| alarm.id).collect::<Vec<_>>()
        })
    };
    let act = move || {
        acknowledge(untrack(to_acknowledge));
        selected.set(HashSet::new());
    };
    palette::offer(ACKNOWLEDGE, Icon::Check, Role::Operator, act);
    let options = |first: crate::i18n::Text, rest: Vec<(&'static str, String)>| {
        let mut options = vec![(String::new(), first.get().to_owned())];
        options.extend(rest.into_iter().map(|(key, word)| (key.to_owned(), word)));
        options
    };
    let severities = Signal::derive(move || {
        options(
            ANY_SEVERITY,
            Severity::ALL
                .map(|found| (severity_key(found), text::severity(found, lang()).to_owned()))
                .to_vec(),
        )
    });
    let kinds = Signal::derive(move || {
        options(
            ANY_KIND,
            AlarmKind::ALL
                .map(|found| (kind_key(found), text::alarm_kind(found, lang()).to_owned()))
                .to_vec(),
        )
    });
    let states = Signal::derive(move || {
        let rest = [
            ("unseen", UNSEEN),
            ("seen", SEEN),
            ("cleared", CLEARED),
            ("every", EVERY),
        ];
        options(OPEN, rest.map(|(key, word)| (key, word.get().to_owned())).to_vec())
    });
    let columns = vec![
        Column::new("severity", SEVERITY, 90, |alarm: &Arc<Alarm>| text::severity(alarm.severity, lang()).to_owned())
            .view(|alarm| {
                let severity = alarm.severity;
                view! { <StateBadge sign=Signal::stored(sign_of_alarm(severity)) word=Signal::derive(move || text::severity(severity, lang()).to_owned())/> }
            })
            .sort(|alarm| SortKey::number(Some(alarm.severity as u8)))
            .share(0),
        Column::new("what", WHAT, 260, |alarm: &Arc<Alarm>| text::alarm(alarm, lang()))
            .view(|alarm| {
                let alarm = alarm.clone();
                view! { <button type="button" class="link" on:click=move |_| show(alarm.id)>{let alarm = alarm.clone(); move || text::alarm(&alarm, lang())}</button> }
            })
            .share(4),
        Column::new("node", NODE, 130, |alarm: &Arc<Alarm>| node_word(alarm))
            .view(|alarm| {
                let shown = alarm.clone();
                match alarm.node {
                    Some(node) => view! { <a href=format!("/nodes/{node}")>{move || node_word(&shown)}</a> }.into_any(),
                    None => view! { <span>{move || node_word(&shown)}</span> }.into_any(),
                }
            })
            .sort(|alarm| SortKey::name(&untrack(|| node_word(alarm)))),
        Column::new("kind", KIND, 120, |alarm: &Arc<Alarm>| text::alarm_kind(alarm.kind, lang()).to_owned())
            .sort(|alarm| SortKey::name(kind_key(alarm.kind)))
            .hidden(),
        Column::new("state", STATE, 140, |alarm: &Arc<Alarm>| state_word(alarm)),
        Column::new("raised", RAISED, 120, |alarm: &Arc<Alarm>| format::moment(alarm.raised_at))
            .view(|alarm| {
                let at = alarm.raised_at;
                view! { <span title=move || format::moment(at)>{move || format::ago(at)}</span> }
            })
            .sort(|alarm| SortKey::number(Some(alarm.raised_at.0 as f64))),
        Column::new("cleared", CLEARED_AT, 120, |alarm: &Arc<Alarm>| alarm.cleared_at.map(format::ago).unwrap_or_default())
            .sort(|alarm| SortKey::number(alarm.cleared_at.map(|at| at.0 as f64)))
            .hidden(),
    ];
    let is_plain = move || wanted.with(|wanted| *wanted == Wanted::default());
    let empty = move || {
        let (title, text) = if is_plain() {
            (CALM, CALM_TEXT)
        } else {
            (NONE_FOUND, NONE_FOUND_TEXT)
        };
        view! { <EmptyState sign=Icon::Alarms title=title text=text/> }.into_any()
    };
    let label = Signal::derive(move || ACKNOWLEDGE_N.with(&[("n", &to_acknowledge().len())]));
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1>{TITLE.t()}</h1>
                <notify::NotifySwitch/>
            </header>
            <Table
                name="alarms"
                label=TITLE
                rows=rows
                columns=columns
                open=Callback::new(|alarm: Arc<Alarm>| show(alarm.id))
                selected=selected
                url=url
                loading=Signal::derive(move || !store().ready.get() || (looks_back.get() && older.is_loading()))
                empty=empty
            >
                <Filter value=words label=FILTER test="alarm-filter"/>
                <Choice label=SEVERITY hide_label=true value=severity options=severities test="alarm-severity"/>
                <Choice label=STATE hide_label=true value=state options=states test="alarm-state"/>
                <Choice label=KIND hide_label=true value=kind options=kinds test="alarm-kind"/>
                <NodeChip node=node only=only_node/>
                <Show when=|| may(Role::Operator)>
                    <Button
                        label=label
                        sign=Icon::Check
                        disabled=Signal::derive(move || to_acknowledge().is_empty())
                        press=Callback::new(move |()| act())
                        test="acknowledge"
                    />
                </Show>
                <Show when=move || looks_back.get()>
                    <More older=older test="older-alarms"/>
                </Show>
            </Table>
        </div>
    }
}

/// Open and not acknowledged, acknowledged, or cleared; tracked.
fn state_word(alarm: &Alarm) -> String {
    let word = match (&alarm.cleared_at, &alarm.acknowledged) {
        (Some(_), _) => CLEARED,
        (None, Some(_)) => SEEN,
        (None, None) => UNSEEN,
    };
    word.get().to_owned()
}

fn show(id: AlarmId) {
    open_drawer(TITLE, move || view! { <details::Details id=id/> }.into_any());
}

/// Says that only one node is shown, and takes that back.
#[component]
pub fn NodeChip(node: RwSignal<String>, only: Memo<Option<NodeId>>) -> impl IntoView {
    move || {
        only.get().map(|id| {
            let name = move || {
                store().nodes.track();
                NODE_ONLY.with(&[("node", &lab(|lab| lab.node_name(id)))])
            };
            view! {
                <span class="chip">
                    {name}
                    <button type="button" class="link" aria-label=CLEAR_NODE.t() data-test="clear-node" on:click=move |_| node.set(String::new())>"×"</button>
                </span>
            }
        })
    }
}
