//! One app: its versions, what differs between them, and where each runs.
//!
//! `data-test`: `app-title`, `deploy-app`, `new-version`, `delete-app`, `version-list`, `version` (with `data-label`),
//! `compare-with`, `tab-spec`, `tab-diff`, `tab-runs`, `version-spec`, `version-runs`.

use super::{diff::Diff, spec_text, what_runs};
use crate::{
    api,
    components::{Button, Choice, Confirm, Icon, Kind, Tabs, icon, toast},
    format,
    frame::palette,
    screens::{
        common::{Change, Missing, counts_of, deployments_where, id_param, versions_of},
        state_bar::StateBar,
    },
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    AppId, VersionId,
    api::{ById, DeleteApp},
    app::{App, Version},
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::sync::Arc;

texts! {
    VERSIONS: "版本", "Versions";
    NEWEST: "最新", "newest";
    DEPLOY: "部署", "Deploy";
    NEW_VERSION: "新版本", "New version";
    FROM_THIS: "以此版本为基础新建", "New version from this one";
    DELETE: "删除应用", "Delete app";
    DELETE_TITLE: "删除应用 {name}？", "Delete the app {name}?";
    DELETE_TEXT: "以下版本将一同删除，无法恢复。", "These versions go with it, and cannot be brought back.";
    IN_USE: "应用还有部署，请先移除：{names}", "It is deployed; undeploy first: {names}";
    DELETED: "已删除应用 {name}", "Deleted the app {name}";
    SPEC: "规格", "Specification";
    DIFFERENCE: "差异", "Difference";
    RUNS: "运行位置", "Where it runs";
    COMPARE: "与之比较", "Compared with";
    ONLY_ONE: "只有一个版本，没有可比较的。", "There is only one version, and nothing to compare with.";
    NOWHERE: "此版本没有部署。", "This version is not deployed.";
    VIEWS: "版本内容", "What to show of the version";
    CREATED_AT: "创建于 {time}", "made {time}";
}

#[component]
pub fn AppPage() -> impl IntoView {
    let id = id_param::<AppId>();
    let app = Memo::new(move |_| {
        store().apps.track();
        let id = id.get()?;
        lab(|lab| lab.apps.get(&id).cloned())
    });
    move || match id.get() {
        Some(id) => view! {
            <Show when=move || app.with(Option::is_some) fallback=Missing>
                <Body id=id app=app/>
            </Show>
        }
        .into_any(),
        None => view! { <Missing/> }.into_any(),
    }
}

#[component]
fn Body(id: AppId, app: Memo<Option<Arc<App>>>) -> impl IntoView {
    let url = url_state();
    let (chosen, face) = (url.param("version"), url.param("show"));
    let navigate = StoredValue::new_local(use_navigate());
    let name = Signal::derive(move || app.with(|app| app.as_ref().map(|app| app.name.clone()).unwrap_or_default()));
    let deleting = RwSignal::new(false);
    let versions = Memo::new(move |_| {
        store().apps.track();
        lab(|lab| versions_of(lab, id))
    });
    let version = Memo::new(move |_| {
        let wanted = chosen.with(|chosen| chosen.parse::<VersionId>().ok());
        versions.with(|versions| {
            versions
                .iter()
                .find(|version| Some(version.id) == wanted)
                .or(versions.first())
                .cloned()
        })
    });
    let go = move |path: String| navigate.with_value(|navigate| navigate(&path, NavigateOptions::default()));
    palette::offer(NEW_VERSION, Icon::Plus, Role::Operator, move || {
        go(format!("/apps/{id}/new-version"))
    });
    palette::offer(DEPLOY, Icon::Deployments, Role::Operator, move || {
        go(format!("/deploy?app={id}"))
    });
    let of_version = move || {
        version.with(|version| {
            version
                .as_ref()
                .map(|version| format!("&version={}", version.id))
                .unwrap_or_default()
        })
    };
    let faces = Signal::derive(|| {
        [("spec", SPEC), ("diff", DIFFERENCE), ("runs", RUNS)]
            .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
            .to_vec()
    });
    let one = move |(place, found): (usize, Arc<Version>)| {
        let id = found.id;
        let is_present = move || version.with(|version| version.as_ref().is_some_and(|version| version.id == id));
        let (label, runs, made) = (found.label.clone(), what_runs(&found.spec), found.created_at);
        view! {
            <li>
                <button
                    type="button"
                    class="version-entry"
                    data-test="version"
                    data-label=label.clone()
                    aria-current=move || is_present().then_some("true")
                    on:click=move |_| chosen.set(id.to_string())
                >
                    <span class="version-label">{label.clone()} {(place == 0).then(|| view! { <span class="chip">{NEWEST.t()}</span> })}</span>
                    <span class="quiet-text">{runs}</span>
                    <span class="quiet-text">{move || CREATED_AT.with(&[("time", &format::ago(made))])}</span>
                </button>
            </li>
        }
    };
    let shown = move || match face.get().as_str() {
        "diff" => view! { <Compare versions=versions version=version/> }.into_any(),
        "runs" => view! { <Runs id=id version=version/> }.into_any(),
        _ => view! {
            <pre class="code-text" tabindex="0" data-test="version-spec">
                {move || version.with(|version| version.as_ref().map(|version| spec_text::print(&version.spec)))}
            </pre>
        }
        .into_any(),
    };
    view! {
        <div class="screen">
            <header class="screen-head">
                <h1 data-test="app-title">{name}</h1>
                <Show when=|| may(Role::Operator)>
                    <a class="button primary" href=move || format!("/deploy?app={id}{}", of_version()) data-test="deploy-app">
                        {icon(Icon::Deployments)} {DEPLOY.t()}
                    </a>
                    <a
                        class="button"
                        href=move || format!("/apps/{id}/new-version?{}", of_version().trim_start_matches('&').replace("version=", "from="))
                        data-test="new-version"
                    >
                        {icon(Icon::Plus)} {FROM_THIS.t()}
                    </a>
                    <Button label=DELETE kind=Kind::Danger sign=Icon::Trash press=Callback::new(move |()| deleting.set(true)) test="delete-app"/>
                </Show>
            </header>
            <p class="quiet-text prose">{move || app.with(|app| app.as_ref().map(|app| app.description.clone()))}</p>
            <div class="versions">
                <section class="card">
                    <h2>{VERSIONS.t()}</h2>
                    <ul class="version-list" data-test="version-list">
                        {move || versions.get().into_iter().enumerate().map(one).collect_view()}
                    </ul>
                </section>
                <section class="card">
                    <Tabs value=face tabs=faces label=VIEWS/>
                    {shown}
                </section>
            </div>
            <DeleteThis id=id name=name open=deleting/>
        </div>
    }
}

/// The chosen version against another one; the one before it at first.
#[component]
fn Compare(versions: Memo<Vec<Arc<Version>>>, version: Memo<Option<Arc<Version>>>) -> impl IntoView {
    let other = RwSignal::new(String::new());
    let options = Signal::derive(move || {
        let present = version.with(|version| version.as_ref().map(|version| version.id));
        versions.with(|versions| {
            let others = versions.iter().filter(|version| Some(version.id) != present);
            others
                .map(|version| (version.id.to_string(), version.label.clone()))
                .collect::<Vec<_>>()
        })
    });
    Effect::new(move |_| {
        let present = version.with(|version| version.as_ref().map(|version| version.id));
        let before = versions.with(|versions| {
            let at = versions.iter().position(|version| Some(version.id) == present)?;
            versions
                .get(at + 1)
                .or(versions.first())
                .map(|version| version.id.to_string())
        });
        let is_offered = options.with(|options| {
            options
                .iter()
                .any(|(key, _)| other.with_untracked(|other| other == key))
        });
        if !is_offered {
            other.set(before.unwrap_or_default());
        }
    });
    let spec_of = move |id: String| {
        versions.with(|versions| {
            versions
                .iter()
                .find(|version| version.id.to_string() == id)
                .map(|version| version.spec.clone())
                .unwrap_or_default()
        })
    };
    let old = Signal::derive(move || spec_of(other.get()));
    let new = Signal::derive(move || {
        version.with(|version| version.as_ref().map(|version| version.spec.clone()).unwrap_or_default())
    });
    view! {
        <Show when=move || !options.with(Vec::is_empty) fallback=|| view! { <p class="quiet-text">{ONLY_ONE.t()}</p> }>
            <Choice label=COMPARE value=other options=options test="compare-with"/>
            <Diff old=old new=new/>
        </Show>
    }
}

#[component]
fn Runs(id: AppId, version: Memo<Option<Arc<Version>>>) -> impl IntoView {
    let deployments = move || {
        store().deployments.track();
        let present = version.with(|version| version.as_ref().map(|version| version.id));
        lab(|lab| {
            deployments_where(lab, |deployment| {
                deployment.app == id && Some(deployment.version) == present
            })
        })
    };
    move || {
        let rows = deployments();
        if rows.is_empty() {
            return view! { <p class="quiet-text">{NOWHERE.t()}</p> }.into_any();
        }
        let rows = rows
            .into_iter()
            .map(|deployment| {
                let id = deployment.id;
                let counts = Memo::new(move |_| {
                    store().placements.track();
                    store().nodes.track();
                    lab(|lab| counts_of(lab, id))
                });
                view! {
                    <tr>
                        <td><a href=format!("/deployments/{id}")>{deployment.name.clone()}</a></td>
                        <td><StateBar counts=counts/></td>
                    </tr>
                }
            })
            .collect_view();
        view! { <table class="plain-table" data-test="version-runs"><tbody>{rows}</tbody></table> }.into_any()
    }
}

#[component]
fn DeleteThis(id: AppId, name: Signal<String>, open: RwSignal<bool>) -> impl IntoView {
    let change = Change::new();
    let navigate = StoredValue::new_local(use_navigate());
    let names = Signal::derive(move || {
        store().apps.track();
        lab(|lab| {
            versions_of(lab, id)
                .iter()
                .map(|version| version.label.clone())
                .collect()
        })
    });
    let words = Signal::derive(move || {
        store().deployments.track();
        let used = lab(|lab| {
            deployments_where(lab, |deployment| deployment.app == id)
                .iter()
                .map(|d| d.name.clone())
                .collect::<Vec<_>>()
        });
        if used.is_empty() {
            DELETE_TEXT.get().to_owned()
        } else {
            IN_USE.with(&[("names", &used.join(", "))])
        }
    });
    let delete = Callback::new(move |()| {
        let gone = name.get_untracked();
        change.run(
            async move { api::call::<DeleteApp>(ById { id }, &(), &()).await },
            move |()| {
                open.try_set(false);
                toast(DELETED.with_untracked(&[("name", &gone)]));
                navigate.try_with_value(|navigate| navigate("/apps", NavigateOptions::default()));
            },
        );
    });
    view! {
        <Confirm
            open=open
            title=Signal::derive(move || DELETE_TITLE.with(&[("name", &name.get())]))
            text=words
            names=names
            label=DELETE
            danger=true
            busy=change.busy
            problem=change.problem
            act=delete
        />
    }
}
