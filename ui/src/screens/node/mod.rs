//! One node: what it is, what it does now and did in the last hours, what runs on it, what is wrong with it.
//!
//! `data-test`: `node-page`, `node-name`, `node-state`, `tab-overview`, `tab-charts`, `tab-placements`, `tab-events`,
//! `edit-node`, `manage-node`, `group-node`, `remove-node`, `range-1h`, `range-6h`, `range-24h`, `npu-chip`.

pub mod charts;
pub mod edit;
pub mod facts;
pub mod placements;
pub mod story;

use crate::{
    api,
    components::{Button, EmptyState, ErrorBox, Icon, Kind, Skeleton, StateBadge, Tabs, sign_of_node},
    format,
    i18n::lang,
    load::{Loaded, load},
    screens::nodes::actions::{Doing, NodeActions},
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    Code, NodeId,
    api::{ById, GetNode},
    text,
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_params_map},
};

texts! {
    BACK: "节点", "Nodes";
    FACES: "节点信息", "About the node";
    OVERVIEW: "概况", "Overview";
    CHARTS: "曲线", "Charts";
    PLACEMENTS: "运行的应用", "Apps";
    STORY: "告警与事件", "Alarms and events";
    EDIT: "编辑", "Edit";
    MANAGE: "纳管", "Manage";
    GROUP: "加入分组", "Add to group";
    SOFTWARE: "升级软件", "Upgrade software";
    REMOVE: "移除", "Remove";
    SINCE: "{state}，已持续 {time}", "{state} for {time}";
    GONE: "没有这个节点", "There is no such node";
    GONE_TEXT: "它可能已被移除，或链接有误。", "It may have been removed, or the link is wrong.";
    ALL_NODES: "查看全部节点", "See all nodes";
}

#[component]
pub fn NodePage() -> impl IntoView {
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id").and_then(|id| id.parse::<NodeId>().ok())));
    move || match id.get() {
        Some(id) => view! { <OneNode id=id/> }.into_any(),
        None => view! { <NoNode/> }.into_any(),
    }
}

#[component]
fn NoNode() -> impl IntoView {
    view! {
        <EmptyState sign=Icon::Nodes title=GONE text=GONE_TEXT>
            <a class="button primary" href="/nodes">{ALL_NODES.t()}</a>
        </EmptyState>
    }
}

#[component]
fn OneNode(id: NodeId) -> impl IntoView {
    let url = url_state();
    let tab = url.param("tab");
    // The feed tells when something changed; the whole node, with all its facts, is asked for then.
    let rev = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| lab.node(id).map(|node| node.row.rev))
    });
    let node = load(move || {
        rev.track();
        api::call::<GetNode>(ById { id }, &(), &())
    });
    let row = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| lab.node(id).map(|node| node.row.clone()))
    });
    let (doing, editing) = (RwSignal::new(None::<Doing>), RwSignal::new(false));
    let navigate = use_navigate();
    // Once the node has been removed here there is nothing left to look at.
    let removing = StoredValue::new(false);
    Effect::new(move |_| {
        if matches!(doing.get(), Some(Doing::Remove(_))) {
            removing.set_value(true);
        }
    });
    let done = {
        let navigate = StoredValue::new_local(navigate);
        Callback::new(move |()| {
            if removing.get_value() {
                navigate.with_value(|navigate| {
                    navigate(
                        "/nodes",
                        NavigateOptions {
                            replace: true,
                            ..NavigateOptions::default()
                        },
                    )
                });
            } else {
                node.again();
            }
        })
    };
    let tabs = Signal::derive(move || {
        [
            ("", OVERVIEW),
            ("charts", CHARTS),
            ("placements", PLACEMENTS),
            ("events", STORY),
        ]
        .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
        .to_vec()
    });
    let ask = move |make: fn(Vec<NodeId>) -> Doing| Callback::new(move |()| doing.set(Some(make(vec![id]))));
    let is_missing = Memo::new(move |_| {
        node.state
            .with(|node| node.problem().is_some_and(|problem| problem.code == Code::NotFound))
    });
    let name = move || {
        let of_feed = row.with(|row| row.as_ref().map(|row| row.name.clone()));
        of_feed
            .or_else(|| node.state.with(|node| node.ready().map(|node| node.name.clone())))
            .unwrap_or_default()
    };
    let badge = move || {
        row.get().map(|row| {
            let (state, since) = (row.state, row.state_since);
            let word = Signal::derive(move || {
                SINCE.with(&[("state", &text::node_state(state, lang())), ("time", &format::duration_since(since))])
            });
            view! { <span data-test="node-state"><StateBadge sign=Signal::stored(sign_of_node(state)) word=word/></span> }
        })
    };
    let face = move || match node.state.get() {
        Loaded::Loading => view! { <Skeleton lines=8/> }.into_any(),
        Loaded::Failed(problem) => {
            view! { <ErrorBox problem=Signal::stored(problem) retry=Callback::new(move |()| node.again())/> }.into_any()
        }
        Loaded::Ready(known) => view! { <facts::Facts node=known/> }.into_any(),
    };
    let shown = Memo::new(move |_| tab.get());
    let body = move || match shown.get().as_str() {
        "charts" => view! { <charts::Charts id=id/> }.into_any(),
        "placements" => view! { <placements::Placements id=id/> }.into_any(),
        "events" => view! { <story::Story id=id/> }.into_any(),
        _ => {
            view! { <div class="node-overview">{face} <story::OpenAlarms id=id/> <placements::Placements id=id/></div> }
                .into_any()
        }
    };
    view! {
        <Show when=move || !is_missing.get() fallback=|| view! { <NoNode/> }>
            <div class="screen" data-test="node-page">
                <header class="screen-head">
                    <a href="/nodes">{BACK.t()}</a>
                    <h1 data-test="node-name">{name}</h1>
                    {badge}
                    <Show when=move || may(Role::Operator)>
                        <Show when=move || { row.with(|row| row.as_ref().is_some_and(|row| !row.managed)) }>
                            <Button label=MANAGE kind=Kind::Primary sign=Icon::Check press=ask(Doing::Manage) test="manage-node"/>
                        </Show>
                        <Button label=EDIT sign=Icon::Edit press=Callback::new(move |()| editing.set(true)) test="edit-node"/>
                        <Button label=SOFTWARE sign=Icon::Download press=ask(Doing::Software) test="upgrade-node"/>
                        <Button label=GROUP sign=Icon::Groups press=ask(Doing::Group) test="group-node"/>
                        <Button label=REMOVE sign=Icon::Trash kind=Kind::Danger press=ask(Doing::Remove) test="remove-node"/>
                    </Show>
                </header>
                <Tabs value=tab tabs=tabs label=FACES test="node-tabs"/>
                {body}
                <NodeActions doing=doing done=done/>
                <edit::EditNode open=editing node=node/>
            </div>
        </Show>
    }
}
