//! Last step before the deed: everything once more, and for a change what differs.
//!
//! `data-test`: `review-what`, `review-where`, `review-name`, `deploy`.

use super::{Wizard, deployment};
use crate::{
    api, browser,
    components::{Button, Icon, Kind},
    format,
    screens::{
        apps::{diff::Diff, spec_text},
        common::{Refusal, app_name, version_label},
        deployments::target_words,
    },
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    AppId, DeploymentId, Problem, VersionId,
    api::{ById, CreateApp, CreateDeployment, NewAppBody, UpdateDeployment, UpdateDeploymentBody},
    app::{Resources, Spec},
    deployment::NewDeployment,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

texts! {
    WHAT: "内容", "What";
    NEW_APP: "新应用 {name}", "New app {name}";
    WHERE: "位置", "Where";
    NODES: "{n} 个节点", "{n} {n|node|nodes}";
    NAME: "名称", "Name";
    ASKS: "每个节点需要", "Asked of each node";
    ASKED: "CPU {cpu} 核，内存 {memory}，NPU {npus} 个", "{cpu} CPU cores, {memory} memory, {npus} {npus|NPU|NPUs}";
    SPEC: "最终规格", "Final specification";
    CHANGES: "与当前运行内容的差异", "What changes against what runs";
    RESTARTS: "每个节点上的实例都会停止并以新版本启动。", "On every node the instance stops and starts as the new version.";
    DEPLOY: "部署", "Deploy";
    CHANGE: "更换版本", "Change the version";
}

/// What a specification asks of each node, in words.
pub fn asked_words(asked: &Resources) -> String {
    ASKED.with(&[
        ("cpu", &format::number(f64::from(asked.cpu_millis) / 1_000.0, 2)),
        ("memory", &format::bytes(asked.memory_bytes)),
        ("npus", &asked.npus),
    ])
}

#[component]
pub fn Review(wizard: Wizard) -> impl IntoView {
    // What others have deployed meanwhile counts: the engine is asked once more.
    wizard.plan.again();
    let change = wizard.change;
    let navigate = StoredValue::new_local(use_navigate());
    let present = move || wizard.updates.and_then(deployment);
    let spec = Memo::new(move |_| wizard.spec().unwrap_or_default());
    let running = Signal::derive(move || {
        store().apps.track();
        let version = present().map(|deployment| deployment.version);
        version
            .and_then(|version| lab(|lab| lab.versions.get(&version).map(|version| version.spec.clone())))
            .unwrap_or_default()
    });
    let what = move || {
        store().apps.track();
        wizard.draft.with(|draft| {
            if draft.source == "image" {
                return NEW_APP.with(&[("name", &draft.new_app.trim())]);
            }
            let Some(app) = draft.app else { return String::new() };
            lab(|lab| {
                let version = draft.version.or_else(|| lab.apps.get(&app).map(|app| app.latest));
                let label = version.map(|version| version_label(lab, version)).unwrap_or_default();
                format!("{} · {label}", app_name(lab, app))
            })
        })
    };
    let place = move || {
        let nodes = wizard
            .plan
            .state
            .with(|plan| plan.ready().and_then(|plan| plan.as_ref().map(Vec::len)));
        let nodes = nodes
            .map(|n| NODES.with(&[("n", &format::count(n))]))
            .unwrap_or_default();
        let target = wizard.target().map(|target| target_words(&target)).unwrap_or_default();
        format!("{target}  ·  {nodes}")
    };
    let name = move || match present() {
        Some(deployment) => deployment.name.clone(),
        None => wizard.draft.with(|draft| draft.name.trim().to_owned()),
    };
    let act = Callback::new(move |()| {
        change.run(deploy(wizard), move |id| {
            wizard.forget();
            navigate.try_with_value(|navigate| navigate(&format!("/deploy?run={id}"), NavigateOptions::default()));
        });
    });
    let label = if wizard.updates.is_some() { CHANGE } else { DEPLOY };
    let cannot = Signal::derive(move || !wizard.fits() || wizard.target().is_none());
    view! {
        <section class="card">
            <dl class="facts">
                <dt>{WHAT.t()}</dt><dd data-test="review-what">{what}</dd>
                <dt>{WHERE.t()}</dt><dd data-test="review-where">{place}</dd>
                <dt>{NAME.t()}</dt><dd data-test="review-name">{name}</dd>
                <dt>{ASKS.t()}</dt><dd>{move || spec.with(|spec: &Spec| asked_words(&spec.total()))}</dd>
            </dl>
            <Refusal change=change/>
            <div class="button-row">
                <Button label=label kind=Kind::Primary sign=Icon::Deployments busy=change.busy disabled=cannot press=act test="deploy"/>
                {wizard.updates.map(|_| view! { <span class="quiet-text">{RESTARTS.t()}</span> })}
            </div>
        </section>
        {match wizard.updates {
            Some(_) => view! {
                <section class="card"><h2>{CHANGES.t()}</h2><Diff old=running new=spec/></section>
            }
            .into_any(),
            None => view! {
                <section class="card">
                    <h2>{SPEC.t()}</h2>
                    <pre class="code-text" tabindex="0">{move || spec.with(spec_text::print)}</pre>
                </section>
            }
            .into_any(),
        }}
    }
}

/// Makes the app where it is a new one, then the deployment; or changes the one that is there.
async fn deploy(wizard: Wizard) -> Result<DeploymentId, Problem> {
    let draft = wizard.draft.get_untracked();
    if let Some(id) = wizard.updates {
        let version = match draft.version {
            Some(version) => Some(version),
            None => newest(draft.app),
        };
        let body = UpdateDeploymentBody {
            version,
            ..UpdateDeploymentBody::default()
        };
        return api::call::<UpdateDeployment>(ById { id }, &(), &body)
            .await
            .map(|deployment| deployment.id);
    }
    let target = draft
        .target()
        .ok_or_else(|| Problem::invalid("target", "target-empty"))?;
    let name = draft.name.trim().to_owned();
    if draft.source != "image" {
        let app = draft.app.ok_or_else(|| Problem::not_found("app"))?;
        let body = NewDeployment {
            name,
            app,
            version: draft.version,
            target,
        };
        return api::call::<CreateDeployment>((), &(), &body)
            .await
            .map(|deployment| deployment.id);
    }
    let body = NewAppBody {
        name: draft.new_app.trim().to_owned(),
        description: String::new(),
        label: "1".to_owned(),
        spec: draft.new_spec,
    };
    let made = api::call::<CreateApp>((), &(), &body).await?;
    let (app, version) = (made.app.id, Some(made.app.latest));
    let body = NewDeployment {
        name,
        app,
        version,
        target,
    };
    let outcome = api::call::<CreateDeployment>((), &(), &body).await;
    if outcome.is_err() {
        // The next try must not make the app again. The draft names it once the feed has told of it: before, the wizard
        // would think that there is nothing to deploy.
        for _ in 0..FEED_TRIES {
            if lab(|lab| lab.apps.contains_key(&app)) {
                break;
            }
            browser::sleep(100).await;
        }
        wizard.draft.try_update(|draft| {
            draft.source = "app".to_owned();
            (draft.app, draft.version) = (Some(app), version);
        });
    }
    outcome.map(|deployment| deployment.id)
}

/// Tenths of a second to wait for the feed.
const FEED_TRIES: u32 = 50;

fn newest(app: Option<AppId>) -> Option<VersionId> {
    lab(|lab| app.and_then(|app| lab.apps.get(&app).map(|app| app.latest)))
}
