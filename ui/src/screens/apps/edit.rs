//! Making an app, or a new version of one out of an older one.
//!
//! `data-test`: `app-name`, `app-description`, `version-label`, `start-container`, `start-process`, `save-app`,
//! `save-version`, `show-diff`.

use super::{
    diff::Diff,
    editor::{Editor, SpecEditor, container_spec, process_spec},
};
use crate::{
    api,
    components::{Button, EmptyState, Field, Icon, Kind, toast},
    screens::common::{Change, Missing, Refusal, description_error, id_param, is_name, name_error, versions_of},
    state::may,
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    AppId, VersionId,
    api::{AddVersion, ById, CreateApp, NewAppBody, NewVersionBody},
    app::{App, Version},
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use std::sync::Arc;

texts! {
    NEW_APP: "新建应用", "New app";
    NEW_VERSION: "{app} 的新版本", "New version of {app}";
    NAME: "名称", "Name";
    DESCRIPTION: "说明", "Description";
    LABEL: "版本号", "Version";
    LABEL_HELP: "在应用内唯一，例如 1 或 2.3-rc1", "Unique within the app, as 1 or 2.3-rc1";
    START_WITH: "从以下内容开始", "Start with";
    CONTAINER: "容器镜像", "A container image";
    PROCESS: "程序包", "A process package";
    CREATE: "创建应用", "Make the app";
    CREATED: "已创建应用 {name}", "Made the app {name}";
    SAVE_VERSION: "保存为新版本", "Save as a new version";
    SAVED: "已为 {app} 添加版本 {version}；正在运行的部署不变", "Added version {version} to {app}; what runs stays as it is";
    DIFFERENCE: "与版本 {label} 的差异", "Difference to version {label}";
    NO_RIGHT: "没有权限", "Not allowed";
    NO_RIGHT_TEXT: "创建应用需要操作员角色，请联系管理员。", "Making apps takes the operator role. Ask an administrator.";
}

/// Instead of a form that the role does not allow to send.
#[component]
pub fn NotAllowed() -> impl IntoView {
    view! { <EmptyState sign=Icon::User title=NO_RIGHT text=NO_RIGHT_TEXT/> }
}

#[component]
pub fn NewApp() -> impl IntoView {
    let (name, description, label) = (
        RwSignal::new(String::new()),
        RwSignal::new(String::new()),
        RwSignal::new("1".to_owned()),
    );
    let editor = Editor::new(container_spec(""));
    let change = Change::new();
    let navigate = StoredValue::new_local(use_navigate());
    let save = Callback::new(move |()| {
        let body = NewAppBody {
            name: name.get_untracked().trim().to_owned(),
            description: description.get_untracked().trim().to_owned(),
            label: label.get_untracked().trim().to_owned(),
            spec: editor.spec_untracked(),
        };
        change.run(
            async move { api::call::<CreateApp>((), &(), &body).await },
            move |made| {
                toast(CREATED.with_untracked(&[("name", &made.app.name)]));
                let path = format!("/apps/{}", made.app.id);
                navigate.try_with_value(|navigate| navigate(&path, NavigateOptions::default()));
            },
        );
    });
    let unfit = Signal::derive(move || {
        !name.with(|name| is_name(name))
            || !label.with(|label| is_name(label))
            || description_error(description).with(Option::is_some)
            || !editor.is_good()
    });
    view! {
        <Show when=|| may(Role::Operator) fallback=NotAllowed>
            <div class="screen">
                <header class="screen-head">
                    <h1>{NEW_APP.t()}</h1>
                    <Button label=CREATE kind=Kind::Primary busy=change.busy disabled=unfit press=save test="save-app"/>
                </header>
                <Refusal change=change/>
                <section class="card">
                    <div class="field-row">
                        <Field label=NAME value=name error=name_error(name) focus=true required=true test="app-name"/>
                        <Field label=LABEL value=label error=name_error(label) help=LABEL_HELP required=true test="version-label"/>
                    </div>
                    <Field label=DESCRIPTION value=description error=description_error(description) lines=2 test="app-description"/>
                    <div class="button-row">
                        <span class="quiet-text">{START_WITH.t()}</span>
                        <Button label=CONTAINER press=Callback::new(move |()| editor.replace(container_spec(""))) test="start-container"/>
                        <Button label=PROCESS press=Callback::new(move |()| editor.replace(process_spec())) test="start-process"/>
                    </div>
                </section>
                <SpecEditor editor=editor/>
            </div>
        </Show>
    }
}

/// `/apps/:id/new-version?from=<version>`; the newest where none is named.
#[component]
pub fn NewVersion() -> impl IntoView {
    let id = id_param::<AppId>();
    let query = use_query_map();
    // What the form starts from is taken once: a version that somebody adds meanwhile must not replace what is typed.
    let start = Memo::new(move |before: Option<&Option<(Arc<App>, Arc<Version>)>>| {
        if let Some(Some(before)) = before {
            return Some(before.clone());
        }
        store().apps.track();
        let from = query
            .with_untracked(|query| query.get("from"))
            .and_then(|from| from.parse::<VersionId>().ok());
        lab(|lab| {
            let app = lab.apps.get(&id.get()?)?.clone();
            let version = lab.versions.get(&from.unwrap_or(app.latest))?.clone();
            Some((app, version))
        })
    });
    move || match start.get() {
        Some((app, version)) if may(Role::Operator) => view! { <VersionForm app=app from=version/> }.into_any(),
        Some(_) => view! { <NotAllowed/> }.into_any(),
        None => view! { <Missing/> }.into_any(),
    }
}

#[component]
fn VersionForm(app: Arc<App>, from: Arc<Version>) -> impl IntoView {
    let id = app.id;
    let app_name = StoredValue::new(app.name.clone());
    let labels = lab(|lab| {
        versions_of(lab, id)
            .iter()
            .map(|version| version.label.clone())
            .collect::<Vec<_>>()
    });
    let label = RwSignal::new(next_label(&from.label, &labels));
    let editor = Editor::new(from.spec.clone());
    let change = Change::new();
    let navigate = StoredValue::new_local(use_navigate());
    let save = Callback::new(move |()| {
        let body = NewVersionBody {
            label: label.get_untracked().trim().to_owned(),
            spec: editor.spec_untracked(),
        };
        change.run(
            async move { api::call::<AddVersion>(ById { id }, &(), &body).await },
            move |made| {
                let app = app_name.try_get_value().unwrap_or_default();
                toast(SAVED.with_untracked(&[("app", &app), ("version", &made.label)]));
                navigate.try_with_value(|navigate| navigate(&format!("/apps/{id}"), NavigateOptions::default()));
            },
        );
    });
    let unfit = Signal::derive(move || !label.with(|label| is_name(label)) || !editor.is_good());
    let from_label = from.label.clone();
    let old = Signal::stored(from.spec.clone());
    view! {
        <div class="screen">
            <header class="screen-head">
                <h1>{move || NEW_VERSION.with(&[("app", &app_name.get_value())])}</h1>
                <Button label=SAVE_VERSION kind=Kind::Primary busy=change.busy disabled=unfit press=save test="save-version"/>
            </header>
            <Refusal change=change/>
            <section class="card">
                <Field label=LABEL value=label error=name_error(label) help=LABEL_HELP required=true test="version-label"/>
                <details data-test="show-diff">
                    <summary>{move || DIFFERENCE.with(&[("label", &from_label)])}</summary>
                    <Diff old=old new=Signal::derive(move || editor.spec())/>
                </details>
            </section>
            <SpecEditor editor=editor/>
        </div>
    }
}

/// The label after another: its last number plus one, the first of those that is free.
fn next_label(from: &str, taken: &[String]) -> String {
    let digits = from.chars().rev().take_while(char::is_ascii_digit).count();
    let (head, number) = from.split_at(from.len() - digits);
    let (head, number) = match number.parse::<u32>() {
        Ok(number) => (head.to_owned(), u64::from(number)),
        Err(_) => (format!("{from}-"), 1),
    };
    let labels = (number + 1..).map(|number| format!("{head}{number}"));
    labels
        .take(taken.len() + 1)
        .find(|label| !taken.contains(label))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::next_label;

    #[test]
    fn labels_count_up() {
        let taken = ["1", "2", "2.9", "rc"].map(str::to_owned);
        for (from, next) in [
            ("1", "3"),
            ("2", "3"),
            ("2.9", "2.10"),
            ("rc", "rc-2"),
            ("v7", "v8"),
            ("版本9", "版本10"),
            ("", "-2"),
        ] {
            assert_eq!(next_label(from, &taken), next, "{from}");
        }
        assert_eq!(next_label("99999999999999999999999", &[]), "99999999999999999999999-2");
    }
}
