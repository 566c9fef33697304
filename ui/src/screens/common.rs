//! What several screens need: the id in the address, a change at the engine, and things that are no more.

use crate::{
    components::{ErrorBox, Skeleton},
    screens::NotFound,
    state::ui,
    store::{Lab, store},
    texts,
};
use edgedeck_model::{
    Code, Problem, VersionId,
    app::Version,
    deployment::{Deployment, InstanceState, Placement, Wanted},
    name::{check_description, check_name},
    node::NodeState,
};
use leptos::prelude::*;
use leptos_router::hooks::use_params_map;
use std::{collections::BTreeMap, future::Future, str::FromStr, sync::Arc};

texts! {
    NEWEST: "最新内容已显示在列表中；您填写的内容仍然保留，再次保存会覆盖它。", "The newest is in the list behind; what you typed is kept, and saving again replaces it.";
    RUNNING: "应运行", "Should run";
    STOPPED: "应停止", "Should be stopped";
    GONE: "正在移除", "Being removed";
}

/// The `:id` of the present address.
pub fn id_param<T: FromStr + Clone + PartialEq + Send + Sync + 'static>() -> Memo<Option<T>> {
    let params = use_params_map();
    Memo::new(move |_| params.with(|params| params.get("id").and_then(|text| text.parse().ok())))
}

/// Stands where the thing of the address is not known: still on its way, or no more.
#[component]
pub fn Missing() -> impl IntoView {
    move || {
        if store().ready.get() {
            view! { <NotFound/> }.into_any()
        } else {
            view! { <div class="screen"><Skeleton lines=8/></div> }.into_any()
        }
    }
}

/// A change at the engine: whether it is under way, and what refused it.
#[derive(Clone, Copy)]
pub struct Change {
    pub busy: RwSignal<bool>,
    pub problem: RwSignal<Option<Problem>>,
}

impl Change {
    pub fn new() -> Self {
        Self {
            busy: RwSignal::new(false),
            problem: RwSignal::new(None),
        }
    }

    /// Does `work` unless some is under way already; `done` takes what came of it. The screen may be gone by then.
    pub fn run<T: 'static>(
        self,
        work: impl Future<Output = Result<T, Problem>> + 'static,
        done: impl FnOnce(T) + 'static,
    ) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.problem.set(None);
        leptos::task::spawn_local(async move {
            let outcome = work.await;
            self.busy.try_set(false);
            match outcome {
                Ok(value) => done(value),
                Err(problem) => _ = self.problem.try_set(Some(problem)),
            }
        });
    }

    /// The sentence for a field that the refusal names.
    pub fn error_of(self, field: &'static str) -> Signal<Option<String>> {
        Signal::derive(move || {
            let lang = ui().lang.get();
            self.problem.with(|problem| {
                problem
                    .as_ref()
                    .and_then(|problem| crate::components::field::error_of(problem, field, lang))
            })
        })
    }
}

/// What refused a change; where somebody else was quicker, that nothing typed is lost.
#[component]
pub fn Refusal(change: Change) -> impl IntoView {
    move || {
        change.problem.get().map(|problem| {
            let changed = problem.code == Code::Changed;
            view! {
                <ErrorBox problem=Signal::stored(problem)/>
                {changed.then(|| view! { <p class="quiet-text">{NEWEST.t()}</p> })}
            }
        })
    }
}

/// The sentence for a name that breaks a rule; nothing while it is still empty.
pub fn name_error(name: RwSignal<String>) -> Signal<Option<String>> {
    rule_error(name, |name| check_name("name", name))
}

pub fn description_error(text: RwSignal<String>) -> Signal<Option<String>> {
    rule_error(text, |text| check_description("description", text))
}

fn rule_error(value: RwSignal<String>, check: fn(&str) -> Result<(), Problem>) -> Signal<Option<String>> {
    Signal::derive(move || {
        let lang = ui().lang.get();
        value.with(|value| {
            let refused = if value.is_empty() {
                None
            } else {
                check(value.trim()).err()
            };
            refused.map(|problem| edgedeck_model::text::refusal(problem.fact("reason"), lang).to_owned())
        })
    })
}

/// Whether a trimmed name keeps the rules.
pub fn is_name(name: &str) -> bool {
    check_name("name", name.trim()).is_ok()
}

pub fn app_name(lab: &Lab, id: edgedeck_model::AppId) -> String {
    lab.apps.get(&id).map_or_else(|| short(&id), |app| app.name.clone())
}

pub fn version_label(lab: &Lab, id: VersionId) -> String {
    lab.versions
        .get(&id)
        .map_or_else(|| short(&id), |version| version.label.clone())
}

/// The start of an id, for a thing whose name is not known any more.
pub fn short(id: &impl ToString) -> String {
    id.to_string().chars().take(8).collect()
}

/// Versions of an app, newest first.
pub fn versions_of(lab: &Lab, app: edgedeck_model::AppId) -> Vec<Arc<Version>> {
    let mut found: Vec<Arc<Version>> = lab
        .versions
        .values()
        .filter(|version| version.app == app)
        .cloned()
        .collect();
    found.sort_by_key(|version| std::cmp::Reverse((version.created_at, version.id)));
    found
}

/// Deployments that are not being removed and for which `test` holds, by name.
pub fn deployments_where(lab: &Lab, test: impl Fn(&Deployment) -> bool) -> Vec<Arc<Deployment>> {
    let is_it = |deployment: &&Arc<Deployment>| deployment.wanted != Wanted::Gone && test(deployment);
    let mut found: Vec<Arc<Deployment>> = lab.deployments.values().filter(is_it).cloned().collect();
    found.sort_by_key(|deployment| crate::match_text::natural(&deployment.name));
    found
}

/// What can be said of an instance, given its node.
pub fn seen(lab: &Lab, placement: &Placement) -> InstanceState {
    placement.seen(
        lab.node(placement.node)
            .map_or(NodeState::Offline, |node| node.row.state),
    )
}

/// How many instances of a deployment are in each state.
pub fn counts_of(lab: &Lab, deployment: edgedeck_model::DeploymentId) -> BTreeMap<InstanceState, usize> {
    let mut counts = BTreeMap::new();
    for placement in lab.placements_of_deployment(deployment) {
        *counts.entry(seen(lab, &placement)).or_default() += 1;
    }
    counts
}

pub fn wanted_word(wanted: Wanted) -> crate::i18n::Text {
    match wanted {
        Wanted::Running => RUNNING,
        Wanted::Stopped => STOPPED,
        Wanted::Gone => GONE,
    }
}
