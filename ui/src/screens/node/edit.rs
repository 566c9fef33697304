//! Changing a node's name, description, labels and groups.
//!
//! `data-test`: `node-dialog`, `edit-name`, `edit-description`, `edit-labels`, `edit-carrier`, `edit-area`,
//! `edit-mbps`, `edit-group` (one per group), `save-node`.

use crate::{
    api,
    components::{Button, Choice, Dialog, ErrorBox, Field, Kind, field::error_of, toast},
    i18n::lang,
    load::Load,
    screens::node::facts::carrier_word,
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    GroupId, Problem,
    api::{AddToGroup, ById, NodesBody, RemoveFromGroup, UpdateNode, UpdateNodeBody},
    name::{check_description, check_label, check_name},
    node::{Carrier, Line, Node},
};
use leptos::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

texts! {
    TITLE: "编辑节点", "Edit the node";
    NAME: "名称", "Name";
    DESCRIPTION: "描述", "Description";
    LABELS: "标签", "Labels";
    LABELS_HELP: "每行一个：键=值", "One a line: key=value";
    CARRIER: "线路运营商", "Carrier of its line";
    AREA: "线路地区", "Area of its line";
    MBPS: "线路带宽（Mbit/s）", "Rate of its line (Mbit/s)";
    LINE_HELP: "由您填写，不是测量值；Tingyu 接口会给出。", "As you write it down, not measured; the API of Tingyu tells it.";
    GROUPS: "分组", "Groups";
    NO_GROUPS: "还没有分组。", "There is no group yet.";
    SAVE: "保存", "Save";
    SAVED: "已保存。", "Saved.";
    TWICE: "标签 {key} 出现两次", "Label {key} appears twice";
}

#[component]
pub fn EditNode(open: RwSignal<bool>, node: Load<Node>) -> impl IntoView {
    view! {
        <Dialog open=open title=TITLE test="node-dialog">
            {
                let known = node.state.with_untracked(|node| node.ready().cloned());
                known.map(|known| view! { <EditForm node=known open=open done=Callback::new(move |()| node.again())/> })
            }
        </Dialog>
    }
}

/// Labels as lines of text.
fn lines_of(labels: &BTreeMap<String, String>) -> String {
    labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Labels out of lines of text; the key that appears twice, or the rule that one breaks.
fn labels_of(lines: &str) -> Result<BTreeMap<String, String>, LabelError> {
    let mut labels = BTreeMap::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(['=', '＝']).unwrap_or((line, ""));
        let (key, value) = (key.trim(), value.trim());
        check_label(key, value).map_err(LabelError::Form)?;
        if labels.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(LabelError::Twice(key.to_owned()));
        }
    }
    Ok(labels)
}

#[derive(Clone, Debug, PartialEq)]
enum LabelError {
    Twice(String),
    Form(Problem),
}

#[component]
fn EditForm(node: Node, open: RwSignal<bool>, done: Callback<()>) -> impl IntoView {
    let Node {
        id,
        rev,
        name,
        description,
        labels,
        groups,
        line,
        ..
    } = node;
    let before: BTreeSet<GroupId> = groups.into_iter().collect();
    let was = (name.clone(), description.clone(), labels.clone(), line.clone());
    let (area, mbps) = (RwSignal::new(line.area), RwSignal::new(line.mbps.to_string()));
    let carrier = RwSignal::new(line.carrier.key().to_owned());
    let carriers = Signal::derive(|| {
        Carrier::ALL
            .map(|one| (one.key().to_owned(), carrier_word(one).get().to_owned()))
            .to_vec()
    });
    let line = move || Line {
        carrier: carrier.with(|chosen| {
            Carrier::ALL
                .into_iter()
                .find(|one| one.key() == chosen)
                .unwrap_or_default()
        }),
        area: area.get().trim().to_owned(),
        // What is no number is too large a one.
        mbps: mbps.with(|text| text.trim().parse().unwrap_or(u32::MAX)),
    };
    let line_error = move |field: &'static str| {
        Signal::derive(move || {
            line()
                .check()
                .err()
                .and_then(|problem| error_of(&problem, field, lang()))
        })
    };
    let (area_error, mbps_error) = (line_error("line.area"), line_error("line.mbps"));
    let (name, description) = (RwSignal::new(name), RwSignal::new(description));
    let labels = RwSignal::new(lines_of(&labels));
    let chosen = RwSignal::new(before.clone());
    let (busy, problem) = (RwSignal::new(false), RwSignal::new(None::<Problem>));
    let name_error = Signal::derive(move || {
        name.with(|name| check_name("name", name))
            .err()
            .and_then(|p| error_of(&p, "name", lang()))
    });
    let description_error = Signal::derive(move || {
        description
            .with(|text| check_description("description", text))
            .err()
            .and_then(|p| error_of(&p, "description", lang()))
    });
    let label_error = Signal::derive(move || match labels.with(|labels| labels_of(labels)) {
        Ok(_) => None,
        Err(LabelError::Twice(key)) => Some(TWICE.with(&[("key", &key)])),
        Err(LabelError::Form(problem)) => error_of(&problem, "labels", lang()),
    });
    let unfit = Signal::derive(move || {
        let errors = [name_error, description_error, label_error, area_error, mbps_error];
        errors.iter().any(|error| error.get().is_some())
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let Ok(labels) = labels.with_untracked(|labels| labels_of(labels)) else {
            return;
        };
        if busy.get_untracked() || unfit.get_untracked() {
            return;
        }
        busy.set(true);
        let body = UpdateNodeBody {
            name: name.get_untracked(),
            description: description.get_untracked(),
            labels,
            line: Some(untrack(line)),
            rev,
        };
        let is_changed = (&body.name, &body.description, &body.labels) != (&was.0, &was.1, &was.2)
            || body.line.as_ref() != Some(&was.3);
        let (before, after) = (before.clone(), chosen.get_untracked());
        leptos::task::spawn_local(async move {
            let saved = async {
                // The node first: should somebody have changed it, nothing is done.
                if is_changed {
                    api::call::<UpdateNode>(ById { id }, &(), &body).await?;
                }
                let nodes = || NodesBody { nodes: vec![id] };
                for group in after.difference(&before) {
                    api::call::<AddToGroup>(ById { id: *group }, &(), &nodes()).await?;
                }
                for group in before.difference(&after) {
                    api::call::<RemoveFromGroup>(ById { id: *group }, &(), &nodes()).await?;
                }
                Ok::<_, Problem>(())
            };
            let outcome = saved.await;
            busy.try_set(false);
            match outcome {
                Ok(()) => {
                    open.try_set(false);
                    toast(SAVED.get_untracked());
                    done.try_run(());
                }
                Err(refused) => _ = problem.try_set(Some(refused)),
            }
        });
    };
    let group_boxes = move || {
        store().groups.track();
        let all = lab(|lab| {
            lab.groups
                .values()
                .map(|group| (group.id, group.name.clone()))
                .collect::<Vec<_>>()
        });
        if all.is_empty() {
            return view! { <span class="quiet-text">{NO_GROUPS.t()}</span> }.into_any();
        }
        let boxes = all.into_iter().map(|(group, name)| {
            let turn = move |_| {
                chosen.update(|chosen| {
                    if !chosen.remove(&group) {
                        chosen.insert(group);
                    }
                });
            };
            view! {
                <label class="check-line">
                    <input
                        type="checkbox"
                        data-test="edit-group"
                        prop:checked=move || chosen.with(|chosen| chosen.contains(&group))
                        on:change=turn
                    />
                    <span>{name}</span>
                </label>
            }
        });
        boxes.collect_view().into_any()
    };
    view! {
        <form class="form" on:submit=submit>
            <Field label=NAME value=name error=name_error focus=true test="edit-name"/>
            <Field label=DESCRIPTION value=description error=description_error lines=2 test="edit-description"/>
            <Field label=LABELS value=labels error=label_error help=LABELS_HELP lines=4 test="edit-labels"/>
            <div class="field-grid">
                <Choice label=CARRIER value=carrier options=carriers test="edit-carrier"/>
                <Field label=AREA value=area error=area_error test="edit-area"/>
                <Field label=MBPS value=mbps error=mbps_error help=LINE_HELP test="edit-mbps"/>
            </div>
            <fieldset class="check-lines"><legend>{GROUPS.t()}</legend>{group_boxes}</fieldset>
            {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=busy disabled=unfit test="save-node"/>
            </footer>
        </form>
    }
}

#[cfg(test)]
mod label_lines {
    use super::*;

    #[test]
    fn there_and_back() {
        let labels = BTreeMap::from([("rack".to_owned(), "3".to_owned()), ("spare".to_owned(), String::new())]);
        assert_eq!(labels_of(&lines_of(&labels)), Ok(labels.clone()));
        assert_eq!(labels_of("\n rack = 3 \nspare\n"), Ok(labels));
        assert_eq!(labels_of("a=1\na=2"), Err(LabelError::Twice("a".to_owned())));
        assert!(matches!(labels_of("bad key=1"), Err(LabelError::Form(_))));
    }
}
