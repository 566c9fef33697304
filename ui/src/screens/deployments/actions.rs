//! What can be done with a deployment: another version, stop, start, a restart, back to the version before, undeploy.
//!
//! `data-test`: `change-version`, `stop`, `start`, `restart`, `roll-back`, `undeploy`, and those of the confirmation.

use crate::{
    api,
    components::{Button, Confirm, Icon, Kind, icon, toast},
    screens::common::{Change, version_label},
    state::may,
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    DeploymentId,
    api::{ById, DeleteDeployment, UpdateDeployment, UpdateDeploymentBody},
    deployment::{Deployment, Wanted},
    user::Role,
};
use leptos::prelude::*;

texts! {
    CHANGE_VERSION: "更换版本", "Change version";
    STOP: "停止", "Stop";
    START: "启动", "Start";
    RESTART: "重启", "Restart";
    ROLL_BACK: "回退到 {label}", "Back to {label}";
    ROLL_BACK_NONE: "没有可以返回的版本", "There is no version to go back to";
    UNDEPLOY: "移除部署", "Undeploy";
    STOP_TITLE: "停止 {name}？", "Stop {name}?";
    STOP_TEXT: "以下节点上的实例会停止；可以随时再次启动。", "The instances on these nodes stop; they can be started again at any time.";
    BACK_TITLE: "将 {name} 回退到版本 {label}？", "Take {name} back to version {label}?";
    BACK_TEXT: "以下节点上的实例会停止，并以该版本启动。", "The instances on these nodes stop and start as that version.";
    UNDEPLOY_TITLE: "移除部署 {name}？", "Undeploy {name}?";
    UNDEPLOY_TEXT: "以下节点上的实例会停止，其容器、进程和文件都会删除。应用及其版本保留。", "The instances on these nodes stop, and their containers, processes and files go. The app and its versions stay.";
    UNDEPLOY_INLINE_TEXT: "以下节点上的实例会停止，其容器、进程和文件都会删除。随此部署定义的应用也会删除。", "The instances on these nodes stop, and their containers, processes and files go. So does the app, which was written down with this deployment.";
    RESTART_TITLE: "重启 {name}？", "Restart {name}?";
    RESTART_TEXT: "以下节点上的实例会被相同的新实例替换。", "The instances on these nodes are replaced by new ones of the same.";
    RESTARTED: "正在重启 {name}", "Restarting {name}";
    STOPPED: "正在停止 {name}", "Stopping {name}";
    STARTED: "正在启动 {name}", "Starting {name}";
    WENT_BACK: "正在回退 {name}", "Taking {name} back";
    UNDEPLOYED: "正在移除 {name}", "Undeploying {name}";
}

/// What waits to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Stop,
    Restart,
    Back,
    Undeploy,
}

#[component]
pub fn Actions(id: DeploymentId) -> impl IntoView {
    let deployment = Memo::new(move |_| {
        store().deployments.track();
        lab(|lab| lab.deployments.get(&id).cloned())
    });
    let of = move |read: fn(&Deployment) -> bool| deployment.with(|deployment| deployment.as_deref().is_some_and(read));
    let name = move || {
        deployment.with(|deployment| {
            deployment
                .as_ref()
                .map(|deployment| deployment.name.clone())
                .unwrap_or_default()
        })
    };
    let previous = Memo::new(move |_| {
        deployment.with(|deployment| deployment.as_ref().and_then(|deployment| deployment.previous))
    });
    let previous_label = move || {
        store().apps.track();
        previous.get().map(|version| lab(|lab| version_label(lab, version)))
    };
    let (open, question) = (RwSignal::new(false), RwSignal::new(Question::Stop));
    let change = Change::new();
    let ask = move |asked: Question| {
        change.problem.set(None);
        question.set(asked);
        open.set(true);
    };
    let names = Signal::derive(move || {
        store().placements.track();
        lab(|lab| {
            let mut names: Vec<String> = lab
                .placements_of_deployment(id)
                .iter()
                .map(|placement| lab.node_name(placement.node))
                .collect();
            names.sort_by_key(|name| crate::match_text::natural(name));
            names
        })
    });
    let update = move |body: UpdateDeploymentBody, done: crate::i18n::Text| {
        let work = async move { api::call::<UpdateDeployment>(ById { id }, &(), &body).await };
        change.run(work, move |deployment| {
            open.try_set(false);
            toast(done.with_untracked(&[("name", &deployment.name)]));
        });
    };
    let start = Callback::new(move |()| {
        update(
            UpdateDeploymentBody {
                wanted: Some(Wanted::Running),
                ..UpdateDeploymentBody::default()
            },
            STARTED,
        )
    });
    let act = Callback::new(move |()| match question.get_untracked() {
        Question::Stop => update(
            UpdateDeploymentBody {
                wanted: Some(Wanted::Stopped),
                ..UpdateDeploymentBody::default()
            },
            STOPPED,
        ),
        Question::Restart => update(
            UpdateDeploymentBody {
                restart: true,
                ..UpdateDeploymentBody::default()
            },
            RESTARTED,
        ),
        Question::Back => update(
            UpdateDeploymentBody {
                version: previous.get_untracked(),
                ..UpdateDeploymentBody::default()
            },
            WENT_BACK,
        ),
        Question::Undeploy => {
            let name = untrack(name);
            change.run(
                async move { api::call::<DeleteDeployment>(ById { id }, &(), &()).await },
                move |()| {
                    open.try_set(false);
                    toast(UNDEPLOYED.with_untracked(&[("name", &name)]));
                },
            );
        }
    });
    let title = Signal::derive(move || {
        let label = previous_label().unwrap_or_default();
        let facts: &[(&str, &dyn std::fmt::Display)] = &[("name", &name()), ("label", &label)];
        match question.get() {
            Question::Stop => STOP_TITLE,
            Question::Restart => RESTART_TITLE,
            Question::Back => BACK_TITLE,
            Question::Undeploy => UNDEPLOY_TITLE,
        }
        .with(facts)
    });
    let is_inline = Memo::new(move |_| {
        store().apps.track();
        let app = deployment.with(|deployment| deployment.as_ref().map(|deployment| deployment.app));
        app.is_some_and(|app| lab(|lab| lab.apps.get(&app).is_some_and(|app| app.inline)))
    });
    let words = Signal::derive(move || {
        match question.get() {
            Question::Stop => STOP_TEXT,
            Question::Restart => RESTART_TEXT,
            Question::Back => BACK_TEXT,
            Question::Undeploy if is_inline.get() => UNDEPLOY_INLINE_TEXT,
            Question::Undeploy => UNDEPLOY_TEXT,
        }
        .get()
        .to_owned()
    });
    let verb = Signal::derive(move || match question.get() {
        Question::Stop => STOP.get().to_owned(),
        Question::Restart => RESTART.get().to_owned(),
        Question::Back => ROLL_BACK.with(&[("label", &previous_label().unwrap_or_default())]),
        Question::Undeploy => UNDEPLOY.get().to_owned(),
    });
    let back_label = Signal::derive(move || match previous_label() {
        Some(label) => ROLL_BACK.with(&[("label", &label)]),
        None => ROLL_BACK_NONE.get().to_owned(),
    });
    view! {
        <Show when=move || may(Role::Operator) && of(|deployment| deployment.wanted != Wanted::Gone)>
            <a class="button" href=format!("/deploy?update={id}") data-test="change-version">{icon(Icon::Edit)} {CHANGE_VERSION.t()}</a>
            <Show
                when=move || of(|deployment| deployment.wanted == Wanted::Running)
                fallback=move || view! { <Button label=START sign=Icon::Play busy=change.busy press=start test="start"/> }
            >
                <Button label=RESTART sign=Icon::Retry press=Callback::new(move |()| ask(Question::Restart)) test="restart"/>
                <Button label=STOP sign=Icon::Stop press=Callback::new(move |()| ask(Question::Stop)) test="stop"/>
            </Show>
            <Show when=move || previous.with(Option::is_some)>
                <Button label=back_label sign=Icon::Back press=Callback::new(move |()| ask(Question::Back)) test="roll-back"/>
            </Show>
            <Button label=UNDEPLOY kind=Kind::Danger sign=Icon::Trash press=Callback::new(move |()| ask(Question::Undeploy)) test="undeploy"/>
        </Show>
        {move || {
            // What the start button was refused shows here; the questions show theirs themselves.
            let shown = if open.get() { None } else { change.problem.get() };
            shown.map(|problem| view! { <crate::components::ErrorBox problem=Signal::stored(problem)/> })
        }}
        <Confirm
            open=open
            title=title
            text=words
            names=names
            label=verb
            danger=true
            busy=change.busy
            problem=change.problem
            act=act
        />
    }
}
