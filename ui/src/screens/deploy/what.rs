//! First step: an app and its version, or a new app.
//!
//! `data-test`: `source-app`, `source-image`, `deploy-app`, `deploy-version`, `new-app-name`, `version-spec`.

use super::{Wizard, field};
use crate::{
    components::{Choice, EmptyState, Field, Icon, icon},
    match_text::natural,
    screens::{
        apps::{editor::SpecEditor, spec_text},
        common::{name_error, versions_of},
    },
    store::{lab, store},
    texts,
};
use leptos::prelude::*;

texts! {
    EXISTING: "已有应用", "An app that is there";
    NEW: "新的镜像或程序包", "A new image or package";
    SOURCE: "部署内容", "What to deploy";
    APP: "应用", "App";
    CHOOSE: "请选择…", "Choose…";
    VERSION: "版本", "Version";
    NEWEST: "最新（{label}）", "The newest ({label})";
    RUNNING: "{label}（当前）", "{label} (at present)";
    NEW_NAME: "新应用的名称", "Name of the new app";
    NEW_HELP: "部署时会先以此名称创建应用。", "The app is made under this name when you deploy.";
    NO_APPS: "还没有应用", "No apps yet";
    NO_APPS_TEXT: "选择“新的镜像或程序包”直接填写，或先新建应用。", "Take “A new image or package”, or make an app first.";
    SPEC: "规格", "Specification";
    NO_RIGHT: "没有权限", "Not allowed";
    NO_RIGHT_TEXT: "部署需要操作员角色，请联系管理员。", "Deploying takes the operator role. Ask an administrator.";
}

#[component]
pub fn NotAllowed() -> impl IntoView {
    view! { <EmptyState sign=Icon::User title=NO_RIGHT text=NO_RIGHT_TEXT/> }
}

/// Buttons of which one is pressed.
#[component]
pub fn Switch(
    value: RwSignal<String>,
    label: crate::i18n::Text,
    options: Vec<(&'static str, crate::i18n::Text, &'static str)>,
) -> impl IntoView {
    let one = move |(key, word, test): (&'static str, crate::i18n::Text, &'static str)| {
        view! {
            <button
                type="button"
                data-test=test
                aria-pressed=move || value.with(|value| (value == key).to_string())
                on:click=move |_| value.set(key.to_owned())
            >
                {word.t()}
            </button>
        }
    };
    view! { <div class="switch" role="group" aria-label=label.t()>{options.into_iter().map(one).collect_view()}</div> }
}

#[component]
pub fn What(wizard: Wizard) -> impl IntoView {
    let source = field(
        wizard,
        |draft| draft.source.clone(),
        |draft, typed| draft.source = typed,
    );
    let new_app = field(
        wizard,
        |draft| draft.new_app.clone(),
        |draft, typed| draft.new_app = typed,
    );
    let is_new = Memo::new(move |_| source.with(|source| source == "image"));
    let sources = vec![("app", EXISTING, "source-app"), ("image", NEW, "source-image")];
    view! {
        {wizard.updates.is_none().then(|| view! { <Switch value=source label=SOURCE options=sources/> })}
        <Show when=move || is_new.get() fallback=move || view! { <Existing wizard=wizard/> }>
            <section class="card">
                <Field label=NEW_NAME value=new_app error=name_error(new_app) help=NEW_HELP test="new-app-name"/>
            </section>
            <SpecEditor editor=wizard.editor/>
        </Show>
    }
}

#[component]
fn Existing(wizard: Wizard) -> impl IntoView {
    let app = field(
        wizard,
        |draft| draft.app.map(|app| app.to_string()).unwrap_or_default(),
        |draft, typed| {
            draft.app = typed.parse().ok();
            draft.version = None;
        },
    );
    let version = field(
        wizard,
        |draft| draft.version.map(|version| version.to_string()).unwrap_or_default(),
        |draft, typed| draft.version = typed.parse().ok(),
    );
    let apps = Memo::new(move |_| {
        store().apps.track();
        let mut apps = lab(|lab| {
            lab.apps
                .values()
                .map(|app| (app.id.to_string(), app.name.clone()))
                .collect::<Vec<_>>()
        });
        apps.sort_by_key(|(_, name)| natural(name));
        apps
    });
    let app_options = Signal::derive(move || {
        let mut options = apps.get();
        options.insert(0, (String::new(), CHOOSE.get().to_owned()));
        options
    });
    let version_options = Signal::derive(move || {
        store().apps.track();
        let Some(app) = wizard.draft.with(|draft| draft.app) else {
            return Vec::new();
        };
        let present = wizard
            .updates
            .and_then(super::deployment)
            .map(|deployment| deployment.version);
        let versions = lab(|lab| versions_of(lab, app));
        let newest = versions
            .first()
            .map(|version| version.label.clone())
            .unwrap_or_default();
        let mut options = vec![(String::new(), NEWEST.with(&[("label", &newest)]))];
        options.extend(versions.iter().map(|version| {
            let is_present = Some(version.id) == present;
            let word = if is_present {
                RUNNING.with(&[("label", &version.label)])
            } else {
                version.label.clone()
            };
            (version.id.to_string(), word)
        }));
        options
    });
    let has_app = Memo::new(move |_| wizard.draft.with(|draft| draft.app.is_some()));
    let spec = move || wizard.spec().map(|spec| spec_text::print(&spec));
    view! {
        <Show
            when=move || !apps.with(Vec::is_empty)
            fallback=|| view! {
                <EmptyState sign=Icon::Apps title=NO_APPS text=NO_APPS_TEXT>
                    <a class="button primary" href="/apps/new">{icon(Icon::Plus)} {APP.t()}</a>
                </EmptyState>
            }
        >
            <section class="card">
                <div class="field-row">
                    {wizard.updates.is_none().then(|| view! { <Choice label=APP value=app options=app_options test="deploy-app"/> })}
                    <Show when=move || has_app.get()>
                        <Choice label=VERSION value=version options=version_options test="deploy-version"/>
                    </Show>
                </div>
                {move || spec().map(|text| view! {
                    <h2>{SPEC.t()}</h2>
                    <pre class="code-text" tabindex="0" data-test="version-spec">{text}</pre>
                })}
            </section>
        </Show>
    }
}
