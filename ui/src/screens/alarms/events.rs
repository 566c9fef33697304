//! What happened in the lab: the last events as they come, older ones by page.
//!
//! `data-test`: `event-filter`, `event-kind`, `events-table`, `events-row`, `older-events`.

use super::{
    NodeChip,
    older::{More, Older, PAGE},
};
use crate::{
    api,
    components::{Choice, Column, EmptyState, Icon, SortKey, Table},
    format,
    i18n::{Text, lang},
    match_text::{folded, has_all_words},
    screens::groups::Filter,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    NodeId,
    api::{EventQuery, ListEvents},
    event::{Event, EventKind},
    text,
};
use leptos::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

texts! {
    TITLE: "事件", "Events";
    FILTER: "按内容筛选", "Filter by words";
    KIND: "类型", "Kind";
    ANY_KIND: "任意类型", "Any kind";
    OF_NODES: "节点", "Nodes";
    OF_INSTANCES: "实例", "Instances";
    OF_ALARMS: "告警", "Alarms";
    AT: "时间", "Time";
    WHAT: "内容", "What";
    NODE: "节点", "Node";
    EMPTY: "还没有事件", "No events yet";
    EMPTY_TEXT: "节点加入、上下线，实例启动、退出，告警发生和恢复都会记录在这里，保留 90 天。", "Nodes that join, come and go, instances that start and end, alarms raised and cleared: kept for 90 days.";
    NONE_FOUND: "没有符合筛选条件的事件", "No event matches the filter";
    NONE_FOUND_TEXT: "修改筛选条件，或加载更早的事件。", "Change the filter, or load older events.";
}

/// What an event is about, for filtering.
fn family(kind: EventKind) -> (&'static str, Text) {
    match kind {
        EventKind::NodeJoined
        | EventKind::NodeManaged
        | EventKind::NodeRemoved
        | EventKind::NodeOnline
        | EventKind::NodeOffline
        | EventKind::NodeDegraded
        | EventKind::NodeRestarted
        | EventKind::RequestInvalid
        | EventKind::RequestRefused
        | EventKind::CertificateNotRenewed
        | EventKind::CaNotTaken => ("nodes", OF_NODES),
        EventKind::InstanceRunning
        | EventKind::InstanceExited
        | EventKind::InstanceFailed
        | EventKind::InstanceRemoved => ("instances", OF_INSTANCES),
        EventKind::AlarmRaised | EventKind::AlarmCleared => ("alarms", OF_ALARMS),
    }
}

#[component]
pub fn Events() -> impl IntoView {
    let url = url_state();
    let (words, kind, node) = (url.param("q"), url.param("kind"), url.param("node"));
    let only = Memo::new(move |_| node.with(|node| node.parse::<NodeId>().ok()));
    let older = Older::<Event>::new(move |offset| async move {
        let query = EventQuery {
            offset,
            limit: PAGE,
            node: only.get_untracked(),
        };
        api::call::<ListEvents>((), &query, &()).await
    });
    Effect::new(move |_| {
        only.track();
        older.start();
    });
    let rows = Memo::new(move |_| {
        store().events.track();
        let (query, kind, only) = (words.with(|words| folded(words)), kind.get(), only.get());
        let mut found = BTreeMap::new();
        older
            .items
            .with(|items| found.extend(items.iter().map(|event| ((event.at, event.id), event.clone()))));
        lab(|lab| found.extend(lab.events.iter().map(|event| ((event.at, event.id), event.clone()))));
        let fits = |event: &Arc<Event>| {
            (kind.is_empty() || family(event.kind).0 == kind)
                && only.is_none_or(|node| event.node == Some(node))
                && (query.is_empty() || has_all_words(&folded(&text::event(event, lang())), &query))
        };
        Arc::new(found.into_values().rev().filter(fits).collect::<Vec<_>>())
    });
    let kinds = Signal::derive(|| {
        [
            ("", ANY_KIND),
            ("nodes", OF_NODES),
            ("instances", OF_INSTANCES),
            ("alarms", OF_ALARMS),
        ]
        .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
        .to_vec()
    });
    let node_name = |event: &Arc<Event>| {
        store().nodes.track();
        event
            .node
            .map(|node| lab(|lab| lab.node_name(node)))
            .unwrap_or_default()
    };
    let columns = vec![
        Column::new("at", AT, 160, |event: &Arc<Event>| format::moment(event.at))
            .sort(|event| SortKey::number(Some(event.at.0 as f64)))
            .share(0),
        Column::new("kind", KIND, 90, |event: &Arc<Event>| {
            family(event.kind).1.get().to_owned()
        })
        .share(0),
        Column::new("what", WHAT, 320, |event: &Arc<Event>| text::event(event, lang())).share(5),
        Column::new("node", NODE, 130, node_name).view(move |event| {
            let shown = event.clone();
            event
                .node
                .map(|node| view! { <a href=format!("/nodes/{node}")>{move || node_name(&shown)}</a> })
        }),
    ];
    let is_plain = move || words.with(String::is_empty) && kind.with(String::is_empty) && only.get().is_none();
    let empty = move || {
        let (title, text) = if is_plain() {
            (EMPTY, EMPTY_TEXT)
        } else {
            (NONE_FOUND, NONE_FOUND_TEXT)
        };
        view! { <EmptyState sign=Icon::Events title=title text=text/> }.into_any()
    };
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <Table
                name="events"
                label=TITLE
                rows=rows
                columns=columns
                url=url
                loading=Signal::derive(move || older.is_loading())
                empty=empty
            >
                <Filter value=words label=FILTER test="event-filter"/>
                <Choice label=KIND hide_label=true value=kind options=kinds test="event-kind"/>
                <NodeChip node=node only=only/>
                <More older=older test="older-events"/>
            </Table>
        </div>
    }
}
