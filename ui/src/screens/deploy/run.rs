//! After the deed: how it goes, node by node, live. It goes on without anybody looking.
//!
//! `data-test`: `run-told`, `run-done`, `open-deployment`, `instances-table`.

use crate::{
    components::{Icon, ProgressBar, icon},
    format,
    screens::{
        common::{Missing, counts_of},
        deployments::{actions::Actions, instances::Instances},
        state_bar::StateBar,
    },
    store::{lab, store},
    texts,
};
use edgedeck_model::{DeploymentId, deployment::InstanceState};
use leptos::prelude::*;

texts! {
    TITLE: "正在部署 {name}", "Deploying {name}";
    DONE: "{name} 已在所有节点上运行", "{name} runs on all of its nodes";
    PROGRESS: "{done} / {all} 个节点已就绪", "{done} of {all} {all|node|nodes} ready";
    NO_NODES: "目标中还没有节点；加入的节点会自动运行。", "The target has no node yet; nodes that join it will run it.";
    LEAVE: "可以随时离开，部署会继续进行。", "Leave at any time: it goes on.";
    OPEN: "打开部署", "Open the deployment";
    ANOTHER: "再部署一个", "Deploy another";
}

#[component]
pub fn Run(id: DeploymentId) -> impl IntoView {
    let deployment = Memo::new(move |_| super::deployment(id));
    let counts = Memo::new(move |_| {
        store().placements.track();
        store().nodes.track();
        lab(|lab| counts_of(lab, id))
    });
    let all = Memo::new(move |_| counts.with(|counts| counts.values().sum::<usize>()));
    let ready = Memo::new(move |_| {
        let is_ready = |state: &InstanceState| matches!(state, InstanceState::Running | InstanceState::Succeeded);
        counts.with(|counts| {
            counts
                .iter()
                .filter(|(state, _)| is_ready(state))
                .map(|(_, count)| count)
                .sum::<usize>()
        })
    });
    let name = move || {
        deployment.with(|deployment| {
            deployment
                .as_ref()
                .map(|deployment| deployment.name.clone())
                .unwrap_or_default()
        })
    };
    let is_done = move || all.get() > 0 && ready.get() == all.get();
    let title = move || if is_done() { DONE } else { TITLE }.with(&[("name", &name())]);
    let told = Signal::derive(move || {
        PROGRESS.with(&[
            ("done", &format::count(ready.get())),
            ("all", &format::count(all.get())),
        ])
    });
    view! {
        <Show when=move || deployment.with(Option::is_some) fallback=Missing>
            <div class="screen fill" data-test=move || if is_done() { "run-done" } else { "run" }>
                <header class="screen-head">
                    <h1>{title}</h1>
                    <span class="quiet-text">{LEAVE.t()}</span>
                    <a class="button" href="/deploy">{icon(Icon::Plus)} {ANOTHER.t()}</a>
                    <a class="button primary" href=format!("/deployments/{id}") data-test="open-deployment">{OPEN.t()}</a>
                </header>
                <section class="card" data-test="run-told">
                    <Show when=move || { all.get() > 0 } fallback=|| view! { <p>{NO_NODES.t()}</p> }>
                        <ProgressBar
                            done=Signal::derive(move || ready.get() as u64)
                            all=Signal::derive(move || all.get() as u64)
                            label=told
                        />
                        <StateBar counts=counts/>
                    </Show>
                    <div class="button-row"><Actions id=id/></div>
                </section>
                <Instances id=id/>
            </div>
        </Show>
    }
}
