//! The deployment wizard: what, where, how, review, and then how it goes. Also moves a deployment to another version.
//!
//! Addresses: `/deploy`, `?app=&version=` and `?group=` fill in what is known, `?update=<deployment>` changes one,
//! `?run=<deployment>` follows one.
//!
//! `data-test`: `step-what`, `step-where`, `step-how`, `step-review`, `next`, `back`, `start-over`, `deploy`; those of the
//! steps stand in `what.rs`, `target.rs`, `review.rs` and `run.rs`.

mod draft;
mod review;
mod run;
mod target;
mod what;

use crate::{
    browser,
    components::{Button, Icon, Kind, icon, toast},
    load::{Load, load},
    screens::{
        apps::editor::Editor,
        common::{Change, Missing, is_name},
    },
    state::may,
    store::{lab, store},
    texts,
};
use draft::{Draft, Step};
use edgedeck_model::{
    AppId, DeploymentId, GroupId, VersionId,
    api::PlanDeployment,
    app::Spec,
    deployment::{Deployment, PlanNode, PlanRequest, Target, Wanted},
    user::Role,
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use std::{collections::HashSet, sync::Arc};
use uuid::Uuid;

texts! {
    DEPLOY: "部署应用", "Deploy an app";
    CHANGE: "更换 {name} 的版本", "Change the version of {name}";
    WHAT: "内容", "What";
    WHERE: "位置", "Where";
    HOW: "名称", "How";
    REVIEW: "检查", "Review";
    STEPS: "步骤", "Steps";
    NEXT: "下一步", "Next";
    BACK: "上一步", "Back";
    KEPT: "草稿已自动保存，可以随时离开，再回来继续。", "The draft is kept: leave at any time and come back to it.";
    START_OVER: "重新开始", "Start over";
    CLEARED: "草稿已清空", "The draft is cleared";
}

/// Everything the steps share.
#[derive(Clone, Copy)]
pub struct Wizard {
    pub draft: RwSignal<Draft>,
    /// The specification of a new app.
    pub editor: Editor,
    /// The deployment that gets another version.
    pub updates: Option<DeploymentId>,
    pub nodes: RwSignal<HashSet<Uuid>>,
    pub plan: Load<Option<Vec<PlanNode>>>,
    /// The deed itself. While it is under way, and after, what the feed tells of it is no reason to step back.
    pub change: Change,
    done: RwSignal<bool>,
}

impl Wizard {
    fn new(updates: Option<DeploymentId>) -> Self {
        let kept = browser::stored(&draft::key(updates)).and_then(|text| serde_json::from_str::<Draft>(&text).ok());
        let mut start = kept.unwrap_or_default();
        take_from_address(&mut start, updates);
        let editor = Editor::new(start.new_spec.clone());
        let nodes = RwSignal::new(start.nodes.iter().copied().collect::<HashSet<Uuid>>());
        let draft = RwSignal::new(start);
        Effect::new(move |_| {
            let spec = editor.spec();
            if draft.with_untracked(|draft| draft.new_spec != spec) {
                draft.update(|draft| draft.new_spec = spec);
            }
        });
        Effect::new(move |_| {
            let chosen = nodes.get().into_iter().collect();
            if draft.with_untracked(|draft| draft.nodes != chosen) {
                draft.update(|draft| draft.nodes = chosen);
            }
        });
        let done = RwSignal::new(false);
        Effect::new(move |_| {
            if let Ok(text) = draft.with(serde_json::to_string)
                && !done.get()
            {
                browser::store(&draft::key(updates), &text);
            }
        });
        let asked = Memo::new(move |_| {
            let target = match updates {
                Some(id) => deployment(id).map(|deployment| deployment.target.clone()),
                None => draft.with(Draft::target),
            };
            Some(PlanRequest {
                spec: spec_of(draft, editor)?,
                target: target?,
                replaces: updates,
            })
        });
        let plan = load(move || {
            let asked = asked.get();
            async move {
                let Some(asked) = asked else { return Ok(None) };
                // Typing goes on: only where it rests is the engine asked.
                browser::sleep(250).await;
                crate::api::call::<PlanDeployment>((), &(), &asked).await.map(Some)
            }
        });
        Self {
            draft,
            editor,
            updates,
            nodes,
            plan,
            change: Change::new(),
            done,
        }
    }

    /// What would run; `None` while it is not said or not right. Tracked.
    pub fn spec(self) -> Option<Spec> {
        spec_of(self.draft, self.editor)
    }

    /// Where it would run; tracked.
    pub fn target(self) -> Option<Target> {
        match self.updates {
            Some(id) => deployment(id).map(|deployment| deployment.target.clone()),
            None => self.draft.with(Draft::target),
        }
    }

    /// Whether every node that it aims at has room, as the engine judges it; tracked.
    pub fn fits(self) -> bool {
        self.plan.state.with(|plan| {
            let plan = plan.ready().and_then(Option::as_ref);
            plan.is_some_and(|plan| plan.iter().all(|node| node.misfits.is_empty()))
        })
    }

    /// Whether a step is done, so that the next may come; tracked.
    fn is_done(self, step: Step) -> bool {
        match step {
            Step::What => {
                let is_named = self
                    .draft
                    .with(|draft| draft.source != "image" || is_name(&draft.new_app));
                is_named && self.spec().is_some()
            }
            Step::Where => self.target().is_some() && self.fits(),
            Step::How => self.updates.is_some() || (self.draft.with(|draft| is_name(&draft.name)) && !self.is_taken()),
            Step::Review => false,
        }
    }

    /// Whether a deployment has that name already; tracked.
    pub fn is_taken(self) -> bool {
        store().deployments.track();
        self.draft.with(|draft| {
            let name = draft.name.trim();
            lab(|lab| {
                lab.deployments
                    .values()
                    .any(|found| found.name == name && found.wanted != Wanted::Gone)
            })
        })
    }

    /// The steps there are: one that changes a deployment keeps its place and name.
    fn steps(self) -> Vec<Step> {
        if self.updates.is_some() {
            vec![Step::What, Step::Where, Step::Review]
        } else {
            Step::ALL.to_vec()
        }
    }

    fn may_enter(self, step: Step) -> bool {
        self.steps()
            .into_iter()
            .take_while(|before| *before < step)
            .all(|before| self.is_done(before))
    }

    /// Forgets the draft; done with it.
    pub fn forget(self) {
        self.done.try_set(true);
        browser::store(&draft::key(self.updates), "");
    }
}

/// A text of the draft as a signal for a field; each change goes into the draft.
pub fn field(wizard: Wizard, read: fn(&Draft) -> String, put: fn(&mut Draft, String)) -> RwSignal<String> {
    let value = RwSignal::new(wizard.draft.with_untracked(read));
    Effect::new(move |_| {
        let typed = value.get();
        if wizard.draft.with_untracked(read) != typed {
            wizard.draft.update(|draft| put(draft, typed));
        }
    });
    Effect::new(move |_| {
        let held = wizard.draft.with(read);
        if value.get_untracked() != held {
            value.set(held);
        }
    });
    value
}

fn spec_of(draft: RwSignal<Draft>, editor: Editor) -> Option<Spec> {
    if draft.with(|draft| draft.source == "image") {
        return editor.is_good().then(|| editor.spec());
    }
    store().apps.track();
    let (app, version) = draft.with(|draft| (draft.app, draft.version));
    lab(|lab| {
        let app = lab.apps.get(&app?)?;
        let version = lab.versions.get(&version.unwrap_or(app.latest))?;
        (version.app == app.id).then(|| version.spec.clone())
    })
}

/// A deployment as it is now; tracked.
fn deployment(id: DeploymentId) -> Option<Arc<Deployment>> {
    store().deployments.track();
    lab(|lab| lab.deployments.get(&id).cloned())
}

/// A link that names an app or a group says more than an older draft.
fn take_from_address(draft: &mut Draft, updates: Option<DeploymentId>) {
    let query = use_query_map();
    let of = |name: &str| query.with_untracked(|query| query.get(name));
    if let Some(deployment) = updates.and_then(|id| untrack(|| deployment(id))) {
        draft.source = "app".to_owned();
        draft.app = Some(deployment.app);
    }
    if let Some(app) = of("app").and_then(|app| app.parse::<AppId>().ok()) {
        draft.source = "app".to_owned();
        draft.app = Some(app);
        draft.version = of("version").and_then(|version| version.parse::<VersionId>().ok());
        draft.step = Step::What;
    }
    if let Some(version) = of("version").and_then(|version| version.parse::<VersionId>().ok()) {
        draft.version = Some(version);
    }
    if let Some(group) = of("group").and_then(|group| group.parse::<GroupId>().ok()) {
        draft.aim = "group".to_owned();
        draft.group = Some(group);
        draft.step = Step::What;
    }
}

#[component]
pub fn Wizard() -> impl IntoView {
    let query = use_query_map();
    let id_of = move |name: &'static str| {
        query
            .with(|query| query.get(name))
            .and_then(|id| id.parse::<DeploymentId>().ok())
    };
    let running = Memo::new(move |_| id_of("run"));
    let updates = Memo::new(move |_| id_of("update"));
    move || {
        if let Some(id) = running.get() {
            return view! { <run::Run id=id/> }.into_any();
        }
        // Names and versions come with the first feed; a draft that is read before it would look empty.
        if !store().ready.get() {
            return view! { <Missing/> }.into_any();
        }
        if !may(Role::Operator) {
            return view! { <what::NotAllowed/> }.into_any();
        }
        view! { <Steps updates=updates.get()/> }.into_any()
    }
}

fn step_word(step: Step) -> crate::i18n::Text {
    match step {
        Step::What => WHAT,
        Step::Where => WHERE,
        Step::How => HOW,
        Step::Review => REVIEW,
    }
}

#[component]
fn Steps(updates: Option<DeploymentId>) -> impl IntoView {
    let wizard = Wizard::new(updates);
    let step = Memo::new(move |_| wizard.draft.with(|draft| draft.step));
    let go = move |to: Step| wizard.draft.update(|draft| draft.step = to);
    // A draft may be older than what it names: never stand on a step whose way is not open.
    Effect::new(move |_| {
        let step = step.get();
        if wizard.change.busy.get() || wizard.done.get() {
            return;
        }
        let loading = wizard.plan.state.with(|plan| plan.ready().is_none_or(Option::is_none));
        let may_stay = wizard.may_enter(step) || (loading && step > Step::Where);
        if !may_stay {
            let open = wizard.steps().into_iter().filter(|step| wizard.may_enter(*step)).max();
            go(open.unwrap_or_default());
        }
    });
    let beside = move |by: i32| {
        let steps = wizard.steps();
        let at = steps.iter().position(|found| *found == step.get())? as i32 + by;
        steps.get(usize::try_from(at).ok()?).copied()
    };
    let title = move || match updates.and_then(deployment) {
        Some(deployment) => CHANGE.with(&[("name", &deployment.name)]),
        None => DEPLOY.get().to_owned(),
    };
    let one = move |(number, found): (usize, Step)| {
        view! {
            <li>
                <button
                    type="button"
                    class="wizard-step"
                    data-test=format!("step-{}", found.key())
                    aria-current=move || (step.get() == found).then_some("step")
                    disabled=move || !wizard.may_enter(found)
                    on:click=move |_| go(found)
                >
                    <span class="wizard-step-number">{move || if wizard.is_done(found) { icon(Icon::Check).into_any() } else { (number + 1).into_any() }}</span>
                    <span>{step_word(found).t()}</span>
                </button>
            </li>
        }
    };
    let body = move || match step.get() {
        Step::What => view! { <what::What wizard=wizard/> }.into_any(),
        Step::Where => view! { <target::Where wizard=wizard/> }.into_any(),
        Step::How => view! { <target::How wizard=wizard/> }.into_any(),
        Step::Review => view! { <review::Review wizard=wizard/> }.into_any(),
    };
    let start_over = Callback::new(move |()| {
        wizard.draft.set(Draft {
            app: updates.and_then(|id| untrack(|| deployment(id))).map(|found| found.app),
            ..Draft::default()
        });
        wizard.editor.replace(Draft::default().new_spec);
        wizard.nodes.set(HashSet::new());
        toast(CLEARED.get_untracked());
    });
    let next = Callback::new(move |()| {
        if let Some(next) = untrack(|| beside(1)) {
            go(next);
        }
    });
    let back = Callback::new(move |()| {
        if let Some(back) = untrack(|| beside(-1)) {
            go(back);
        }
    });
    view! {
        <div class="screen">
            <header class="screen-head">
                <h1>{title}</h1>
                <span class="quiet-text">{KEPT.t()}</span>
                <Button label=START_OVER kind=Kind::Quiet sign=Icon::Retry press=start_over test="start-over"/>
            </header>
            <nav aria-label=STEPS.t()>
                <ol class="wizard-steps">{wizard.steps().into_iter().enumerate().map(one).collect_view()}</ol>
            </nav>
            {body}
            <footer class="wizard-foot">
                <Button label=BACK sign=Icon::Back disabled=Signal::derive(move || beside(-1).is_none()) press=back test="back"/>
                <Show when=move || step.get() != Step::Review>
                    <Button
                        label=NEXT
                        kind=Kind::Primary
                        disabled=Signal::derive(move || !wizard.is_done(step.get()))
                        press=next
                        test="next"
                    />
                </Show>
            </footer>
        </div>
    }
}
