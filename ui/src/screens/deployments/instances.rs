//! A deployment node by node: state, restarts, exit codes, and in one sentence why something does not run.
//!
//! `data-test`: `instances-table`, `instances-row`, `instance-logs`, `instance-filter`.

use super::logs::LogDialog;
use crate::{
    components::{Button, Column, EmptyState, Icon, Kind, SortKey, StateBadge, Table, sign_of_instance},
    format,
    i18n::lang,
    match_text::{folded, has_all_words, natural},
    screens::{
        common::{seen, version_label},
        groups::Filter,
    },
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    DeploymentId, PlacementId,
    deployment::{InstanceState, Placement},
    text,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::sync::Arc;

texts! {
    LABEL: "实例", "Instances";
    FILTER: "按节点、状态或原因筛选", "Filter by node, state or reason";
    NODE: "节点", "Node";
    STATE: "状态", "State";
    RESTARTS: "重启次数", "Restarts";
    EXIT: "退出码", "Exit code";
    WHY: "原因", "Why";
    VERSION: "版本", "Version";
    OBSERVED: "更新时间", "Last told";
    ACTIONS: "日志", "Log";
    LOGS: "查看 {node} 上的日志", "Log on {node}";
    EMPTY: "目标中还没有节点", "The target has no nodes yet";
    EMPTY_TEXT: "节点加入目标后，会自动在其上运行。", "What is deployed runs on a node as soon as it belongs to the target.";
}

/// Why the parts of an instance do not run; empty where there is nothing to say. Tracked.
pub fn why(placement: &Placement) -> String {
    let sentences = placement
        .parts
        .iter()
        .filter_map(|part| text::part_sentence(part, lang()).or_else(|| text::part_health(part, lang())));
    sentences.collect::<Vec<_>>().join(lang().pick("；", "; "))
}

fn state_of(placement: &Placement) -> InstanceState {
    store().nodes.track();
    lab(|lab| seen(lab, placement))
}

fn restarts(placement: &Placement) -> u32 {
    placement.parts.iter().map(|part| part.restarts).sum()
}

/// The state in words, with its readiness. Tracked.
fn state_word(placement: &Placement) -> String {
    text::instance_state_of(state_of(placement), &placement.parts, lang())
}

/// The exit code of the last end of each part that has ended.
fn exit_codes(placement: &Placement) -> String {
    placement
        .parts
        .iter()
        .filter_map(|part| part.exit_code)
        .map(|code| code.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

#[component]
pub fn Instances(id: DeploymentId) -> impl IntoView {
    let url = url_state();
    let (filter, logs) = (url.param("q"), url.param("logs"));
    let navigate = StoredValue::new_local(use_navigate());
    let rows = Memo::new(move |_| {
        store().placements.track();
        let query = filter.with(|filter| folded(filter));
        let mut rows = lab(|lab| {
            let mut rows = lab.placements_of_deployment(id);
            rows.sort_by_cached_key(|placement| natural(&lab.node_name(placement.node)));
            rows
        });
        rows.retain(|placement| {
            if query.is_empty() {
                return true;
            }
            let node = lab(|lab| lab.node_name(placement.node));
            let state = state_word(placement);
            has_all_words(&folded(&format!("{node} {state} {}", why(placement))), &query)
        });
        Arc::new(rows)
    });
    let shown = Memo::new(move |_| logs.with(|logs| logs.parse::<PlacementId>().ok()));
    let open_logs = RwSignal::new(shown.get_untracked().is_some());
    Effect::new(move |_| open_logs.set(shown.get().is_some()));
    Effect::new(move |before: Option<bool>| {
        let is_open = open_logs.get();
        if before == Some(true) && !is_open {
            logs.set(String::new());
        }
        is_open
    });
    let node_name = |placement: &Arc<Placement>| {
        store().nodes.track();
        lab(|lab| lab.node_name(placement.node))
    };
    let columns = vec![
        Column::new("node", NODE, 150, node_name)
            .view(move |placement| {
                let (placement, node) = (placement.clone(), placement.node);
                view! { <a href=format!("/nodes/{node}")>{move || node_name(&placement)}</a> }
            })
            .sort(|placement| SortKey::name(&lab(|lab| lab.node_name(placement.node))))
            .share(2),
        Column::new("state", STATE, 150, |row: &Arc<Placement>| state_word(row))
            .view(|row| {
                let (of_sign, of_word) = (row.clone(), row.clone());
                let sign = Signal::derive(move || sign_of_instance(state_of(&of_sign)));
                let word = Signal::derive(move || state_word(&of_word));
                view! { <StateBadge sign=sign word=word/> }
            })
            .sort(|row| SortKey::number(Some(untrack(|| state_of(row)) as u8))),
        Column::new("why", WHY, 260, |row: &Arc<Placement>| why(row))
            .view(|row| {
                let (text, title) = (row.clone(), row.clone());
                view! { <span title=move || why(&title)>{move || why(&text)}</span> }
            })
            .share(4),
        Column::new("restarts", RESTARTS, 90, |row: &Arc<Placement>| {
            restarts(row).to_string()
        })
        .sort(|row| SortKey::number(Some(restarts(row))))
        .number(),
        Column::new("exit", EXIT, 80, |row: &Arc<Placement>| exit_codes(row)).number(),
        Column::new("version", VERSION, 80, |row: &Arc<Placement>| {
            store().apps.track();
            lab(|lab| version_label(lab, row.version))
        })
        .hidden(),
        Column::new("observed", OBSERVED, 110, |row: &Arc<Placement>| {
            format::ago_or_never(row.observed_at)
        }),
        Column::new("logs", ACTIONS, 60, |_: &Arc<Placement>| String::new())
            .view(move |row| {
                let (id, placement) = (row.id, row.clone());
                let label = Signal::derive(move || LOGS.with(&[("node", &node_name(&placement))]));
                view! {
                    <Button
                        label=label
                        sign=Icon::Logs
                        sign_only=true
                        kind=Kind::Quiet
                        press=Callback::new(move |()| logs.set(id.to_string()))
                        test="instance-logs"
                    />
                }
            })
            .share(0),
    ];
    let open = Callback::new(move |row: Arc<Placement>| {
        navigate.with_value(|navigate| navigate(&format!("/nodes/{}", row.node), NavigateOptions::default()));
    });
    view! {
        <Table
            name="instances"
            label=LABEL
            rows=rows
            columns=columns
            open=open
            url=url
            empty=|| view! { <EmptyState sign=Icon::Nodes title=EMPTY text=EMPTY_TEXT/> }
        >
            <Filter value=filter label=FILTER test="instance-filter"/>
        </Table>
        <LogDialog open=open_logs placement=shown/>
    }
}
