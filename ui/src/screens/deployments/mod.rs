//! Deployments: what is wanted against what is seen.
//!
//! `data-test`: `new-deployment`, `deployment-filter`, `deployment-state`, `deployments-table`, `deployments-row`.

pub mod actions;
pub mod instances;
mod page;

pub mod logs;

pub use page::DeploymentPage;

use crate::{
    components::{Choice, Column, EmptyState, Icon, SortKey, Table, icon},
    format,
    frame::palette,
    i18n::lang,
    match_text::{folded, has_all_words, natural},
    screens::{
        common::{app_name, counts_of, version_label, wanted_word},
        groups::Filter,
        state_bar::{StateBar, key},
    },
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    DeploymentId,
    deployment::{Deployment, InstanceState, Target},
    text,
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::{collections::BTreeMap, sync::Arc};

texts! {
    TITLE: "部署", "Deployments";
    NEW: "部署应用", "Deploy an app";
    FILTER: "按名称、应用或目标筛选", "Filter by name, app or target";
    STATE: "实例状态", "Instances in state";
    ANY_STATE: "任意状态", "In any state";
    NAME: "名称", "Name";
    APP: "应用", "App";
    VERSION: "版本", "Version";
    TARGET: "目标", "Target";
    WANTED: "期望", "Wanted";
    SEEN: "实际", "Seen";
    RUNNING_OF: "运行 / 全部", "Running / all";
    UPDATED: "修改时间", "Changed";
    GROUP: "分组 {name}", "group {name}";
    NODES: "{n} 个节点", "{n} {n|node|nodes}";
    LABELS: "标签 {labels}", "labels {labels}";
    EMPTY: "还没有部署", "No deployments yet";
    EMPTY_TEXT: "部署让一个应用的某个版本在选定的节点上运行，并显示每个节点上的实际状态。", "A deployment makes a version of an app run on chosen nodes, and shows what is really so on each.";
    NONE_FOUND: "没有符合筛选条件的部署", "No deployment matches the filter";
    NONE_FOUND_TEXT: "修改或清除筛选条件。", "Change or clear the filter.";
}

/// Where a deployment aims, in words; tracked.
pub fn target_words(target: &Target) -> String {
    match target {
        Target::Group(group) => {
            store().groups.track();
            GROUP.with(&[("name", &lab(|lab| lab.group_name(*group)))])
        }
        Target::Nodes(nodes) => match nodes.as_slice() {
            [one] => {
                store().nodes.track();
                lab(|lab| lab.node_name(*one))
            }
            nodes => NODES.with(&[("n", &format::count(nodes.len()))]),
        },
        Target::Labels(labels) => {
            let words: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            LABELS.with(&[("labels", &words.join(", "))])
        }
    }
}

/// Counts by state of a deployment; tracked.
pub fn seen_counts(id: DeploymentId) -> BTreeMap<InstanceState, usize> {
    store().placements.track();
    store().nodes.track();
    lab(|lab| counts_of(lab, id))
}

fn running_of(id: DeploymentId) -> (usize, usize) {
    let counts = seen_counts(id);
    (
        counts.get(&InstanceState::Running).copied().unwrap_or(0),
        counts.values().sum(),
    )
}

#[component]
pub fn Deployments() -> impl IntoView {
    let url = url_state();
    let (filter, state) = (url.param("q"), url.param("state"));
    let navigate = StoredValue::new_local(use_navigate());
    let go = move |path: String| navigate.with_value(|navigate| navigate(&path, NavigateOptions::default()));
    let rows = Memo::new(move |_| {
        let store = store();
        store.deployments.track();
        store.apps.track();
        let (query, state) = (filter.with(|filter| folded(filter)), state.get());
        let wanted_state = InstanceState::ALL.into_iter().find(|found| key(*found) == state);
        let mut rows: Vec<Arc<Deployment>> = lab(|lab| lab.deployments.values().cloned().collect());
        rows.retain(|deployment| {
            let app = lab(|lab| app_name(lab, deployment.app));
            let words = folded(&format!(
                "{} {app} {}",
                deployment.name,
                target_words(&deployment.target)
            ));
            has_all_words(&words, &query)
                && wanted_state.is_none_or(|state| seen_counts(deployment.id).contains_key(&state))
        });
        rows.sort_by_key(|deployment| natural(&deployment.name));
        Arc::new(rows)
    });
    let states = Signal::derive(move || {
        let mut options = vec![(String::new(), ANY_STATE.get().to_owned())];
        options.extend(
            InstanceState::ALL.map(|state| (key(state).to_owned(), text::instance_state(state, lang()).to_owned())),
        );
        options
    });
    let columns = vec![
        Column::new("name", NAME, 140, |row: &Arc<Deployment>| row.name.clone())
            .view(|row| view! { <a href=format!("/deployments/{}", row.id)>{row.name.clone()}</a> })
            .sort(|row| SortKey::name(&row.name))
            .share(2),
        Column::new("app", APP, 150, |row: &Arc<Deployment>| {
            store().apps.track();
            lab(|lab| app_name(lab, row.app))
        })
        .view(|row| {
            let app = row.app;
            let name = move || {
                store().apps.track();
                lab(|lab| app_name(lab, app))
            };
            view! { <a href=format!("/apps/{app}")>{name}</a> }
        }),
        Column::new("version", VERSION, 70, |row: &Arc<Deployment>| {
            store().apps.track();
            lab(|lab| version_label(lab, row.version))
        }),
        Column::new("target", TARGET, 120, |row: &Arc<Deployment>| target_words(&row.target)),
        Column::new("wanted", WANTED, 80, |row: &Arc<Deployment>| {
            wanted_word(row.wanted).get().to_owned()
        }),
        Column::new("running", RUNNING_OF, 90, |row: &Arc<Deployment>| {
            let (running, all) = running_of(row.id);
            format!("{} / {}", format::count(running), format::count(all))
        })
        .sort(|row| {
            let (running, all) = untrack(|| running_of(row.id));
            SortKey::number((all > 0).then(|| running as f64 / all as f64))
        })
        .number(),
        Column::new("seen", SEEN, 170, |row: &Arc<Deployment>| {
            let words = seen_counts(row.id)
                .into_iter()
                .map(|(state, n)| format!("{} {n}", text::instance_state(state, lang())));
            words.collect::<Vec<_>>().join(" ")
        })
        .view(|row| {
            let id = row.id;
            view! { <StateBar counts=Memo::new(move |_| seen_counts(id)) small=true/> }
        })
        .share(2),
        Column::new("updated", UPDATED, 100, |row: &Arc<Deployment>| {
            format::ago(row.updated_at)
        })
        .sort(|row| SortKey::number(Some(row.updated_at.0 as f64))),
    ];
    palette::offer(NEW, Icon::Plus, Role::Operator, move || go("/deploy".to_owned()));
    let empty = move || {
        if filter.with(String::is_empty) && state.with(String::is_empty) {
            view! {
                <EmptyState sign=Icon::Deployments title=EMPTY text=EMPTY_TEXT>
                    <Show when=|| may(Role::Operator)>
                        <a class="button primary" href="/deploy">{icon(Icon::Plus)} {NEW.t()}</a>
                    </Show>
                </EmptyState>
            }
            .into_any()
        } else {
            view! { <EmptyState sign=Icon::Search title=NONE_FOUND text=NONE_FOUND_TEXT/> }.into_any()
        }
    };
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1>{TITLE.t()}</h1>
                <Show when=|| may(Role::Operator)>
                    <a class="button primary" href="/deploy" data-test="new-deployment">{icon(Icon::Plus)} {NEW.t()}</a>
                </Show>
            </header>
            <Table
                name="deployments"
                label=TITLE
                rows=rows
                columns=columns
                open=Callback::new(move |row: Arc<Deployment>| go(format!("/deployments/{}", row.id)))
                url=url
                loading=Signal::derive(|| !store().ready.get())
                empty=empty
            >
                <Filter value=filter label=FILTER test="deployment-filter"/>
                <Choice label=STATE hide_label=true value=state options=states test="deployment-state"/>
            </Table>
        </div>
    }
}
