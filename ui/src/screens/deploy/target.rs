//! Second and third step: the nodes, with a judgement of each, and the name.
//!
//! `data-test`: `aim-group`, `aim-nodes`, `aim-labels`, `aim-group-choice`, `aim-label-rule`, `plan`, `plan-told`,
//! `plan-row` (with `data-fits`), `only-fitting`, `deployment-name`.

use super::{Wizard, draft::read_labels, field, what::Switch};
use crate::{
    components::{
        Button, Choice, ErrorBox, Field, Sign, Skeleton,
        badge::{Shape, Tone, glyph},
    },
    format,
    i18n::lang,
    load::Loaded,
    match_text::natural,
    screens::{
        common::name_error,
        groups::{members, picker::NodePicker},
    },
    store::{lab, store},
    texts,
};
use edgedeck_model::{deployment::PlanNode, name::check_label, text};
use leptos::prelude::*;

texts! {
    AIM: "目标", "Target";
    GROUP: "分组", "A group";
    NODES: "节点", "Nodes";
    LABELS: "标签规则", "A label rule";
    CHOOSE: "请选择…", "Choose…";
    GROUP_OPTION: "{name}（{n} 个节点）", "{name} ({n} {n|node|nodes})";
    GROUP_HELP: "以后加入该分组的节点也会运行此应用。", "Nodes that join the group later run it too.";
    RULE: "标签（key=value，以逗号分隔）", "Labels (key=value, separated by commas)";
    RULE_HELP: "具有全部这些标签的已纳管节点，包括以后加上标签的节点。", "All managed nodes that carry every one of them, also those that get them later.";
    RULE_BAD: "应为 key=value；只能含有字母、数字和 - _ . /", "Must be key=value, in letters, digits and - _ . /";
    FIT: "能否放下", "Does it fit?";
    ASKING: "正在检查…", "Checking…";
    ALL_FIT: "{n} 个节点都放得下。", "It fits all {n} {n|node|nodes}.";
    NO_NODES: "目前没有符合的节点；以后符合的节点会自动运行。", "No node belongs to it now; those that do later will run it.";
    SOME_DO_NOT: "{all} 个节点中有 {n} 个放不下；部署要么在所有节点上进行，要么不进行。", "It does not fit {n} of {all} {all|node|nodes}; a deployment goes to all of them or to none.";
    ONLY_FITTING: "只部署到放得下的 {n} 个节点", "Only the {n} {n|node|nodes} that it fits";
    FITS: "放得下", "fits";
    NODE: "节点", "Node";
    VERDICT: "结果", "Result";
    MORE: "还有 {n} 个节点", "and {n} more {n|node|nodes}";
    NAME: "部署名称", "Name of the deployment";
    NAME_HELP: "在实验室内唯一", "Unique in the lab";
    TAKEN: "已有同名的部署", "There is a deployment of that name";
    FIXED: "目标与原来相同：{target}", "The target stays as it is: {target}";
}

/// Rows drawn at most; the rest is counted.
const SHOWN: usize = 200;

#[component]
pub fn Where(wizard: Wizard) -> impl IntoView {
    let aim = field(wizard, |draft| draft.aim.clone(), |draft, typed| draft.aim = typed);
    let group = field(
        wizard,
        |draft| draft.group.map(|group| group.to_string()).unwrap_or_default(),
        |draft, typed| draft.group = typed.parse().ok(),
    );
    let labels = field(
        wizard,
        |draft| draft.labels.clone(),
        |draft, typed| draft.labels = typed,
    );
    let groups = Signal::derive(move || {
        store().groups.track();
        store().nodes.track();
        let mut groups = lab(|lab| {
            let one = |group: &std::sync::Arc<edgedeck_model::group::Group>| {
                (group.id, group.name.clone(), members(lab, group.id).len())
            };
            lab.groups.values().map(one).collect::<Vec<_>>()
        });
        groups.sort_by_key(|(_, name, _)| natural(name));
        let word = |name: &String, n: usize| GROUP_OPTION.with(&[("name", name), ("n", &n)]);
        let mut options = vec![(String::new(), CHOOSE.get().to_owned())];
        options.extend(groups.iter().map(|(id, name, n)| (id.to_string(), word(name, *n))));
        options
    });
    let rule_error = Signal::derive(move || {
        let is_right = labels.with(|labels| {
            read_labels(labels).is_some_and(|labels| labels.iter().all(|(k, v)| check_label(k, v).is_ok()))
        });
        (!is_right).then(|| RULE_BAD.get().to_owned())
    });
    let aims = vec![
        ("group", GROUP, "aim-group"),
        ("nodes", NODES, "aim-nodes"),
        ("labels", LABELS, "aim-labels"),
    ];
    let present = Memo::new(move |_| aim.get());
    let chooser = move || {
        match present.get().as_str() {
        "nodes" => view! { <NodePicker selected=wizard.nodes offered=|_| true/> }.into_any(),
        "labels" => view! {
            <Field label=RULE value=labels error=rule_error help=RULE_HELP placeholder=Signal::stored("room=a, rack=3".to_owned()) test="aim-label-rule"/>
        }
        .into_any(),
        _ => view! {
            <Choice label=GROUP value=group options=groups test="aim-group-choice"/>
            <p class="quiet-text">{GROUP_HELP.t()}</p>
        }
        .into_any(),
    }
    };
    view! {
        {match wizard.updates {
            None => view! {
                <section class="card">
                    <Switch value=aim label=AIM options=aims/>
                    {chooser}
                </section>
            }
            .into_any(),
            Some(_) => view! {
                <p>{move || wizard.target().map(|target| FIXED.with(&[("target", &crate::screens::deployments::target_words(&target))]))}</p>
            }
            .into_any(),
        }}
        <Plan wizard=wizard/>
    }
}

/// The engine's judgement, node by node: those that it does not fit first.
#[component]
fn Plan(wizard: Wizard) -> impl IntoView {
    let retry = Callback::new(move |()| wizard.plan.again());
    let body = move || match wizard.plan.state.get() {
        _ if wizard.target().is_none() => ().into_any(),
        Loaded::Loading => {
            view! { <p class="quiet-text" role="status">{ASKING.t()}</p> <Skeleton lines=4/> }.into_any()
        }
        Loaded::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem) retry=retry/> }.into_any(),
        Loaded::Ready(None) => view! { <p class="quiet-text" role="status">{ASKING.t()}</p> }.into_any(),
        Loaded::Ready(Some(plan)) => view! { <Judged wizard=wizard plan=plan/> }.into_any(),
    };
    view! { <section class="card" data-test="plan"><h2>{FIT.t()}</h2>{body}</section> }
}

#[component]
fn Judged(wizard: Wizard, plan: Vec<PlanNode>) -> impl IntoView {
    let all = plan.len();
    let (mut rows, fitting): (Vec<PlanNode>, Vec<PlanNode>) =
        plan.into_iter().partition(|node| !node.misfits.is_empty());
    let bad = rows.len();
    let ids: Vec<uuid::Uuid> = fitting.iter().map(|node| node.node.0).collect();
    rows.extend(fitting);
    let hidden = rows.len().saturating_sub(SHOWN);
    rows.truncate(SHOWN);
    let told = move || match (all, bad) {
        (0, _) => NO_NODES.get().to_owned(),
        (_, 0) => ALL_FIT.with(&[("n", &format::count(all))]),
        _ => SOME_DO_NOT.with(&[("all", &format::count(all)), ("n", &format::count(bad))]),
    };
    let fit_count = all - bad;
    let only = Callback::new(move |()| {
        wizard.nodes.set(ids.iter().copied().collect());
        wizard.draft.update(|draft| draft.aim = "nodes".to_owned());
    });
    let one = |node: PlanNode| {
        let fits = node.misfits.is_empty();
        let (shape, tone) = if fits {
            (Shape::Check, Tone::Good)
        } else {
            (Shape::Cross, Tone::Bad)
        };
        let name = lab(|lab| lab.node_name(node.node));
        let why = move || {
            if fits {
                return FITS.get().to_owned();
            }
            let words = node.misfits.iter().map(|misfit| text::misfit(misfit, lang()));
            words.collect::<Vec<_>>().join(lang().pick("；", "; "))
        };
        view! {
            <tr data-test="plan-row" data-fits=fits.to_string()>
                <td>{name}</td>
                <td><span class="badge wrap">{glyph(Sign { shape, tone })} <span>{why}</span></span></td>
            </tr>
        }
    };
    view! {
        <p role="status" data-test="plan-told">{told}</p>
        {(bad > 0 && fit_count > 0 && wizard.updates.is_none()).then(|| view! {
            <div><Button label=Signal::derive(move || ONLY_FITTING.with(&[("n", &format::count(fit_count))])) press=only test="only-fitting"/></div>
        })}
        <div class="scroll-box" tabindex="0">
            <table class="plain-table">
                <thead><tr><th>{NODE.t()}</th><th>{VERDICT.t()}</th></tr></thead>
                <tbody>{rows.into_iter().map(one).collect_view()}</tbody>
            </table>
        </div>
        {(hidden > 0).then(|| view! { <p class="quiet-text">{move || MORE.with(&[("n", &format::count(hidden))])}</p> })}
    }
}

/// Third step: what it is called.
#[component]
pub fn How(wizard: Wizard) -> impl IntoView {
    let name = field(wizard, |draft| draft.name.clone(), |draft, typed| draft.name = typed);
    // The app's name is a good first guess.
    if name.with_untracked(String::is_empty) {
        let guess = wizard.draft.with_untracked(|draft| match draft.source.as_str() {
            "image" => draft.new_app.clone(),
            _ => draft
                .app
                .and_then(|app| lab(|lab| lab.apps.get(&app).map(|app| app.name.clone())))
                .unwrap_or_default(),
        });
        name.set(guess);
    }
    let broken = name_error(name);
    let error = Signal::derive(move || {
        broken
            .get()
            .or_else(|| wizard.is_taken().then(|| TAKEN.get().to_owned()))
    });
    view! {
        <section class="card">
            <Field label=NAME value=name error=error help=NAME_HELP focus=true required=true test="deployment-name"/>
        </section>
    }
}
