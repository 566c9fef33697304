//! Apps: the list. A version's specification is edited in `editor`, its page is in `page`.
//!
//! `data-test`: `new-app`, `app-filter`, `apps-table`, `apps-row`.

mod cells;
pub mod diff;
mod edit;
pub mod editor;
mod package;
mod page;
mod part;
mod probe;
pub mod spec_text;
mod values;

pub use edit::{NewApp, NewVersion};
pub use page::AppPage;

use crate::{
    components::{Column, EmptyState, Icon, SortKey, Table, icon},
    format,
    frame::palette,
    match_text::{folded, has_all_words, natural},
    screens::{
        common::{deployments_where, version_label, versions_of},
        groups::Filter,
    },
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    app::{App, Run, Spec},
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::sync::Arc;

texts! {
    TITLE: "应用", "Apps";
    NEW: "新建应用", "New app";
    FILTER: "按名称、说明或镜像筛选", "Filter by name, description or image";
    NAME: "名称", "Name";
    DESCRIPTION: "说明", "Description";
    LATEST: "最新版本", "Newest version";
    VERSIONS: "版本数", "Versions";
    RUNS: "运行内容", "Runs";
    DEPLOYMENTS: "部署", "Deployments";
    UPDATED: "修改时间", "Changed";
    EMPTY: "还没有应用", "No apps yet";
    EMPTY_TEXT: "应用描述要运行什么：容器镜像或程序包，以及它的参数、端口、挂载和资源。每次修改产生一个新版本。", "An app says what runs: a container image or a package, with its arguments, ports, mounts and resources. Every change makes a new version.";
    NONE_FOUND: "没有符合筛选条件的应用", "No app matches the filter";
    NONE_FOUND_TEXT: "修改或清除筛选条件。", "Change or clear the filter.";
}

/// Images and programs of a specification, in a few words.
pub fn what_runs(spec: &Spec) -> String {
    let parts = spec.parts.iter().map(|part| match &part.run {
        Run::Container(container) => container.image.clone(),
        Run::Process(process) => process.program.clone(),
    });
    parts.collect::<Vec<_>>().join(", ")
}

#[component]
pub fn Apps() -> impl IntoView {
    let url = url_state();
    let filter = url.param("q");
    let navigate = StoredValue::new_local(use_navigate());
    let go = move |path: String| navigate.with_value(|navigate| navigate(&path, NavigateOptions::default()));
    let rows = Memo::new(move |_| {
        store().apps.track();
        let query = filter.with(|filter| folded(filter));
        lab(|lab| {
            let fits = |app: &&Arc<App>| {
                let runs = lab
                    .versions
                    .get(&app.latest)
                    .map(|version| what_runs(&version.spec))
                    .unwrap_or_default();
                has_all_words(&folded(&format!("{} {} {runs}", app.name, app.description)), &query)
            };
            let mut rows: Vec<Arc<App>> = lab.apps.values().filter(fits).cloned().collect();
            rows.sort_by_key(|app| natural(&app.name));
            Arc::new(rows)
        })
    });
    let columns = vec![
        Column::new("name", NAME, 150, |app: &Arc<App>| app.name.clone())
            .view(|app| view! { <a href=format!("/apps/{}", app.id)>{app.name.clone()}</a> })
            .sort(|app| SortKey::name(&app.name))
            .share(2),
        Column::new("latest", LATEST, 90, |app: &Arc<App>| {
            store().apps.track();
            lab(|lab| version_label(lab, app.latest))
        }),
        Column::new("runs", RUNS, 180, |app: &Arc<App>| {
            store().apps.track();
            lab(|lab| {
                lab.versions
                    .get(&app.latest)
                    .map(|version| what_runs(&version.spec))
                    .unwrap_or_default()
            })
        })
        .share(3),
        Column::new("description", DESCRIPTION, 130, |app: &Arc<App>| {
            app.description.clone()
        })
        .share(2),
        Column::new("versions", VERSIONS, 70, |app: &Arc<App>| {
            store().apps.track();
            format::count(lab(|lab| versions_of(lab, app.id).len()))
        })
        .number(),
        Column::new("deployments", DEPLOYMENTS, 70, |app: &Arc<App>| {
            store().deployments.track();
            format::count(lab(|lab| {
                deployments_where(lab, |deployment| deployment.app == app.id).len()
            }))
        })
        .number(),
        Column::new("updated", UPDATED, 100, |app: &Arc<App>| format::ago(app.updated_at))
            .sort(|app| SortKey::number(Some(app.updated_at.0 as f64))),
    ];
    palette::offer(NEW, Icon::Plus, Role::Operator, move || go("/apps/new".to_owned()));
    let empty = move || {
        if filter.with(String::is_empty) {
            view! {
                <EmptyState sign=Icon::Apps title=EMPTY text=EMPTY_TEXT>
                    <Show when=|| may(Role::Operator)>
                        <a class="button primary" href="/apps/new">{icon(Icon::Plus)} {NEW.t()}</a>
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
                    <a class="button primary" href="/apps/new" data-test="new-app">{icon(Icon::Plus)} {NEW.t()}</a>
                </Show>
            </header>
            <Table
                name="apps"
                label=TITLE
                rows=rows
                columns=columns
                open=Callback::new(move |app: Arc<App>| go(format!("/apps/{}", app.id)))
                url=url
                loading=Signal::derive(|| !store().ready.get())
                empty=empty
            >
                <Filter value=filter label=FILTER test="app-filter"/>
            </Table>
        </div>
    }
}
