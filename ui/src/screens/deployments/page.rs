//! One deployment: what is wanted, what is seen on each node, and what happened.
//!
//! `data-test`: `deployment-title`, `deployment-facts`, `last-change`, `tab-instances`, `tab-history`, `history`; those of `actions` and
//! `instances`.

use super::{actions::Actions, instances::Instances, seen_counts, target_words};
use crate::{
    api,
    components::{EmptyState, Icon, Tabs},
    format,
    i18n::lang,
    load::load,
    screens::{
        common::{Missing, app_name, id_param, version_label, wanted_word},
        state_bar::StateBar,
    },
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    DeploymentId,
    api::{EventQuery, ListEvents, PAGE_MAX},
    deployment::{Deployment, Target},
    event::Event,
    text,
};
use leptos::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

texts! {
    APP: "应用", "App";
    VERSION: "版本", "Version";
    BEFORE: "（之前为 {label}）", "(before: {label})";
    TARGET: "目标", "Target";
    WANTED: "期望", "Wanted";
    CHANGE: "最近变更", "Last change";
    UPDATED: "修改时间", "Changed";
    CREATED: "创建时间", "Made";
    INSTANCES: "实例", "Instances";
    HISTORY: "历史", "History";
    VIEWS: "部署内容", "What to show of the deployment";
    NO_HISTORY: "还没有记录", "Nothing has happened yet";
    NO_HISTORY_TEXT: "实例启动、退出和失败会记录在这里，保留 90 天。", "Starts, ends and failures of its instances are kept here for 90 days.";
}

#[component]
pub fn DeploymentPage() -> impl IntoView {
    let id = id_param::<DeploymentId>();
    let deployment = Memo::new(move |_| {
        store().deployments.track();
        let id = id.get()?;
        lab(|lab| lab.deployments.get(&id).cloned())
    });
    move || match id.get() {
        Some(id) => view! {
            <Show when=move || deployment.with(Option::is_some) fallback=Missing>
                <Body id=id deployment=deployment/>
            </Show>
        }
        .into_any(),
        None => view! { <Missing/> }.into_any(),
    }
}

#[component]
fn Body(id: DeploymentId, deployment: Memo<Option<Arc<Deployment>>>) -> impl IntoView {
    let face = url_state().param("show");
    let of = move |read: &dyn Fn(&Deployment) -> String| {
        deployment.with(|deployment| deployment.as_deref().map(read).unwrap_or_default())
    };
    let name = Signal::derive(move || of(&|deployment| deployment.name.clone()));
    let counts = Memo::new(move |_| seen_counts(id));
    let version = move || {
        store().apps.track();
        of(&|deployment| {
            let label = lab(|lab| version_label(lab, deployment.version));
            let before = deployment
                .previous
                .map(|previous| BEFORE.with(&[("label", &lab(|lab| version_label(lab, previous)))]));
            [label, before.unwrap_or_default()].join(" ")
        })
    };
    let app = move || {
        store().apps.track();
        let app = deployment.with(|deployment| deployment.as_ref().map(|deployment| deployment.app))?;
        let name = lab(|lab| app_name(lab, app));
        Some(view! { <a href=format!("/apps/{app}")>{name}</a> })
    };
    let target = move || {
        let target = deployment.with(|deployment| deployment.as_ref().map(|deployment| deployment.target.clone()))?;
        let words = target_words(&target);
        Some(match target {
            Target::Group(group) => view! { <a href=format!("/groups/{group}")>{words}</a> }.into_any(),
            _ => view! { <span>{words}</span> }.into_any(),
        })
    };
    // The job may be one of long ago, which this window does not hold.
    let change = move || {
        store().jobs.track();
        let id = deployment.with(|deployment| deployment.as_ref().and_then(|deployment| deployment.job))?;
        let job = lab(|lab| lab.jobs.get(&id).cloned())?;
        Some((format!("/jobs/{id}"), text::job_state(job.state, lang())))
    };
    let faces = Signal::derive(|| {
        [("instances", INSTANCES), ("history", HISTORY)]
            .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
            .to_vec()
    });
    let shown = move || match face.get().as_str() {
        "history" => view! { <History name=name/> }.into_any(),
        _ => view! { <Instances id=id/> }.into_any(),
    };
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1 data-test="deployment-title">{name}</h1>
                <Actions id=id/>
            </header>
            <section class="card" data-test="deployment-facts">
                <StateBar counts=counts/>
                <dl class="facts in-line">
                    <div><dt>{WANTED.t()}</dt><dd data-test="wanted">{move || of(&|deployment| wanted_word(deployment.wanted).get().to_owned())}</dd></div>
                    <div><dt>{APP.t()}</dt><dd>{app}</dd></div>
                    <div><dt>{VERSION.t()}</dt><dd data-test="present-version">{version}</dd></div>
                    <div><dt>{TARGET.t()}</dt><dd>{target}</dd></div>
                    {move || change().map(|(to, what)| view! {
                        <div><dt>{CHANGE.t()}</dt><dd><a href=to data-test="last-change">{what}</a></dd></div>
                    })}
                    <div><dt>{UPDATED.t()}</dt><dd>{move || of(&|deployment| format::ago(deployment.updated_at))}</dd></div>
                    <div><dt>{CREATED.t()}</dt><dd>{move || of(&|deployment| format::minute(deployment.created_at))}</dd></div>
                </dl>
            </section>
            <Tabs value=face tabs=faces label=VIEWS/>
            {shown}
        </div>
    }
}

/// Whether an event tells of a deployment.
fn tells_of(event: &Event, name: &str) -> bool {
    event.facts.get("deployment").is_some_and(|found| found == name)
}

/// What happened to it: the last events as they come, and older ones as far as one question to the engine goes.
#[component]
fn History(name: Signal<String>) -> impl IntoView {
    let older = load(|| async {
        api::call::<ListEvents>(
            (),
            &EventQuery {
                limit: PAGE_MAX,
                ..EventQuery::default()
            },
            &(),
        )
        .await
    });
    let events = move || {
        store().events.track();
        let name = name.get();
        let mut found = BTreeMap::new();
        older.state.with(|older| {
            for event in older
                .ready()
                .into_iter()
                .flat_map(|page| &page.items)
                .filter(|event| tells_of(event, &name))
            {
                found.insert((event.at, event.id), Arc::new(event.clone()));
            }
        });
        lab(|lab| {
            for event in lab.events.iter().filter(|event| tells_of(event, &name)) {
                found.insert((event.at, event.id), event.clone());
            }
        });
        found.into_values().rev().collect::<Vec<_>>()
    };
    let one = |event: Arc<Event>| {
        let at = event.at;
        view! { <tr><td class="number">{move || format::moment(at)}</td><td>{move || text::event(&event, lang())}</td></tr> }
    };
    move || {
        let events = events();
        if events.is_empty() {
            return view! { <EmptyState sign=Icon::Events title=NO_HISTORY text=NO_HISTORY_TEXT/> }.into_any();
        }
        let rows = events.into_iter().map(one).collect_view();
        view! { <div class="scroll-box grow" tabindex="0"><table class="plain-table" data-test="history"><tbody>{rows}</tbody></table></div> }.into_any()
    }
}
