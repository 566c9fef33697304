//! The nodes of the lab: tiles and a table over the same set, and those that wait to be managed.
//!
//! `data-test`: `filter`, `filter-state`, `filter-group`, `filter-managed`, `face-tiles`, `face-table`, `metric`,
//! `group-by`, `count`, `nodes-table`, `wall`, `tile` (with `data-id`), `waiting`, `manage-one`, `manage-all`,
//! `selection`, `do-manage`, `do-group`, `do-remove`, `do-clear`.

pub mod actions;
pub mod filter;
pub mod layout;
pub mod metric;
pub mod summary;
pub mod table;
pub mod tiles;
pub mod waiting;

use crate::{
    components::{Button, Choice, EmptyState, Icon, Kind, icon},
    format,
    frame::palette,
    i18n::lang,
    screens::overview::first_steps::FirstSteps,
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use actions::{Doing, NodeActions};
use edgedeck_model::{GroupId, NodeId, node::NodeState, text, user::Role};
use filter::{Filter, GroupBy, gather};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use metric::TileMetric;
use std::{collections::HashSet, sync::Arc, time::Duration};
use uuid::Uuid;

texts! {
    TITLE: "节点", "Nodes";
    FILTER: "按名称、序列号、IP、型号或标签筛选", "Filter by name, serial, IP, model or label";
    STATE: "状态", "State";
    ANY_STATE: "全部状态", "Any state";
    GROUP: "分组", "Group";
    ANY_GROUP: "全部分组", "Any group";
    MANAGED: "纳管", "Managed";
    ONLY_MANAGED: "已纳管", "Managed";
    ONLY_WAITING: "待纳管", "Waiting";
    ALL: "全部", "All";
    FACE: "显示方式", "Face";
    TILES: "方块", "Tiles";
    TABLE: "表格", "Table";
    COLOUR_BY: "着色依据", "Colour by";
    GROUP_BY: "分组方式", "Group by";
    COUNT: "{n} / {all} 个节点", "{n} of {all} {all|node|nodes}";
    JOIN: "加入节点", "Join a node";
    NONE_FIT: "没有符合条件的节点", "No node fits";
    NONE_FIT_TEXT: "请修改筛选条件。", "Change the filter.";
    CLEAR_FILTER: "清除筛选", "Clear the filter";
    SELECTED: "已选择 {n} 个节点", "{n} {n|node|nodes} selected";
    CLEAR: "取消选择", "Select none";
    MANAGE: "纳管", "Manage";
    ADD_TO_GROUP: "加入分组", "Add to group";
    LOGS: "收集日志", "Collect logs";
    SOFTWARE: "升级软件", "Upgrade software";
    REMOVE: "移除", "Remove";
    BY_GROUP: "按分组", "By group";
    BY_MODEL: "按型号", "By model";
    BY_ARCH: "按架构", "By architecture";
    NOT_GROUPED: "不分组", "Not grouped";
}

/// Above this many nodes a list is made anew once a second at most.
const MANY: usize = 5_000;

/// Moves when nodes changed, but in a large lab once a second at most: sorting takes time.
fn paced_nodes() -> RwSignal<u64> {
    let paced = RwSignal::new(0_u64);
    let waits = StoredValue::new(false);
    Effect::new(move |_| {
        store().nodes.track();
        if lab(|lab| lab.node_count()) < MANY {
            paced.update(|n| *n += 1);
        } else if !waits.get_value() {
            waits.set_value(true);
            let later = move || {
                if waits.try_set_value(false).is_none() {
                    paced.try_update(|n| *n += 1);
                }
            };
            set_timeout(later, Duration::from_secs(1));
        }
    });
    paced
}

#[component]
pub fn Nodes() -> impl IntoView {
    let url = url_state();
    let query = url.param("q");
    let (state, group, managed) = (url.param("state"), url.param("group"), url.param("managed"));
    let (face, colour, group_by) = (url.param("face"), url.param("metric"), url.param("by"));
    let paced = paced_nodes();
    let filter = Memo::new(move |_| Filter::new(&query.read(), &state.read(), &group.read(), &managed.read()));
    let rows = Memo::new_with_compare(
        move |_| {
            paced.track();
            // Sorting by a live figure follows it, but not so quickly that rows run away from the pointer.
            crate::state::ui().clock.track();
            filter.with(|filter| Arc::new(lab(|lab| filter.nodes(lab))))
        },
        |_, _| true,
    );
    let selected = RwSignal::new(HashSet::<Uuid>::new());
    let doing = RwSignal::new(None::<Doing>);
    let navigate = StoredValue::new_local(use_navigate());
    let open = Callback::new(move |id: NodeId| {
        navigate.with_value(|navigate| navigate(&format!("/nodes/{id}"), NavigateOptions::default()));
    });

    palette::offer(JOIN, Icon::Join, Role::Operator, move || {
        navigate.with_value(|navigate| navigate("/join", NavigateOptions::default()));
    });
    let chosen = move || -> Vec<NodeId> { selected.with_untracked(|ids| ids.iter().map(|id| NodeId(*id)).collect()) };
    for (title, sign, make) in [
        (MANAGE, Icon::Check, Doing::Manage as fn(Vec<NodeId>) -> Doing),
        (ADD_TO_GROUP, Icon::Groups, Doing::Group),
        (LOGS, Icon::Logs, Doing::Logs),
        (SOFTWARE, Icon::Download, Doing::Software),
        (REMOVE, Icon::Trash, Doing::Remove),
    ] {
        palette::offer(title, sign, Role::Operator, move || {
            if !selected.with_untracked(HashSet::is_empty) {
                doing.set(Some(make(chosen())));
            }
        });
    }

    let states = Signal::derive(move || {
        let lang = lang();
        let any = (String::new(), ANY_STATE.get().to_owned());
        let rest = NodeState::ALL.map(|state| (state.key().to_owned(), text::node_state(state, lang).to_owned()));
        std::iter::once(any).chain(rest).collect::<Vec<_>>()
    });
    let groups = Signal::derive(move || {
        store().groups.track();
        let any = (String::new(), ANY_GROUP.get().to_owned());
        let mut all: Vec<(String, String)> = lab(|lab| {
            lab.groups
                .values()
                .map(|group| (group.id.to_string(), group.name.clone()))
                .collect()
        });
        all.sort_by_key(|(_, name)| crate::match_text::natural(name));
        std::iter::once(any).chain(all).collect::<Vec<_>>()
    });
    let manageds = Signal::derive(move || {
        [("", ONLY_MANAGED), ("no", ONLY_WAITING), ("all", ALL)]
            .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
            .to_vec()
    });
    let metrics = Signal::derive(move || {
        TileMetric::ALL
            .map(|metric| (metric.key().to_owned(), metric.word(lang()).to_owned()))
            .to_vec()
    });
    let groupings = Signal::derive(move || {
        [
            ("", NOT_GROUPED),
            ("group", BY_GROUP),
            ("model", BY_MODEL),
            ("arch", BY_ARCH),
        ]
        .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
        .to_vec()
    });
    let is_table = Memo::new(move |_| face.with(|face| face == "table"));
    let tile_groups = Signal::derive(move || {
        if group_by.with(|by| by == "group") {
            store().groups.track();
        }
        let by = group_by.with(|by| GroupBy::of_key(by));
        Arc::new(lab(|lab| gather(lab, &rows.get(), by)))
    });
    let clear_filter = Callback::new(move |()| {
        for param in [query, state, group, managed] {
            param.set(String::new());
        }
    });
    let empty = ViewFn::from(move || {
        let nobody = {
            store().nodes.track();
            lab(|lab| lab.node_count() == 0)
        };
        if nobody {
            return view! { <FirstSteps/> }.into_any();
        }
        view! {
            <EmptyState sign=Icon::Nodes title=NONE_FIT text=NONE_FIT_TEXT>
                <Button label=CLEAR_FILTER press=clear_filter test="clear-filter"/>
            </EmptyState>
        }
        .into_any()
    });
    let shown_empty = StoredValue::new(empty);
    let filters = move || {
        view! {
            <input
                type="search"
                class="filter"
                data-filter=""
                data-test="filter"
                aria-label=FILTER.t()
                placeholder=FILTER.t()
                prop:value=move || query.get()
                on:input:target=move |event| query.set(event.target().value())
            />
            <Choice label=STATE hide_label=true value=state options=states test="filter-state"/>
            <Choice label=GROUP hide_label=true value=group options=groups test="filter-group"/>
            <Choice label=MANAGED hide_label=true value=managed options=manageds test="filter-managed"/>
            <span class="quiet-text" data-test="count" role="status">
                {move || {
                    store().nodes.track();
                    let all = lab(|lab| lab.node_count());
                    COUNT.with(&[("n", &format::count(rows.with(|rows| rows.len()))), ("all", &format::count(all))])
                }}
            </span>
        }
    };
    let loading = Signal::derive(move || !store().ready.get());
    let face_button = move |key: &'static str, word: crate::i18n::Text, sign: Icon, test: &'static str| {
        let is_it = move || is_table.get() == (key == "table");
        view! {
            <button type="button" data-test=test aria-pressed=move || is_it().to_string() on:click=move |_| face.set(key.to_owned())>
                {icon(sign)} {word.t()}
            </button>
        }
    };
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1>{TITLE.t()}</h1>
                <Show when=move || !is_table.get()>
                    <Choice label=COLOUR_BY hide_label=true value=colour options=metrics test="metric"/>
                    <Choice label=GROUP_BY hide_label=true value=group_by options=groupings test="group-by"/>
                </Show>
                <div class="switch" role="group" aria-label=FACE.t()>
                    {face_button("", TILES, Icon::Tiles, "face-tiles")} {face_button("table", TABLE, Icon::Rows, "face-table")}
                </div>
                <Show when=move || may(Role::Operator)>
                    <a class="button primary" href="/join" data-test="join">{icon(Icon::Plus)} {JOIN.t()}</a>
                </Show>
            </header>
            <waiting::Waiting doing=doing/>
            <Selection selected=selected doing=doing/>
            <Show
                when=move || is_table.get()
                fallback=move || {
                    view! {
                        <div class="bar"><div class="bar-left">{filters()}</div></div>
                        <tiles::Wall groups=tile_groups metric=Signal::derive(move || colour.with(|key| TileMetric::of_key(key))) selected=selected open=open loading=loading empty=shown_empty.get_value()/>
                    }
                }
            >
                <table::NodeTable rows=rows selected=selected open=open url=url loading=loading empty=shown_empty.get_value()>
                    {filters()}
                </table::NodeTable>
            </Show>
            <NodeActions doing=doing done=Callback::new(move |()| selected.set(HashSet::new()))/>
        </div>
    }
}

/// What can be done with the selected nodes; there while any is selected.
#[component]
fn Selection(selected: RwSignal<HashSet<Uuid>>, doing: RwSignal<Option<Doing>>) -> impl IntoView {
    let chosen = move || -> Vec<NodeId> { selected.with_untracked(|ids| ids.iter().map(|id| NodeId(*id)).collect()) };
    let act = move |make: fn(Vec<NodeId>) -> Doing| Callback::new(move |()| doing.set(Some(make(chosen()))));
    let none_waits = Signal::derive(move || {
        store().nodes.track();
        lab(|lab| {
            selected.with(|ids| {
                ids.iter()
                    .all(|id| lab.node(NodeId(*id)).is_none_or(|node| node.row.managed))
            })
        })
    });
    view! {
        <Show when=move || !selected.with(HashSet::is_empty)>
            <div class="selection" role="region" aria-label=TITLE.t() data-test="selection">
                <strong role="status">{move || SELECTED.with(&[("n", &format::count(selected.with(HashSet::len)))])}</strong>
                <Show when=move || may(Role::Operator)>
                    <Button label=MANAGE sign=Icon::Check disabled=none_waits press=act(Doing::Manage) test="do-manage"/>
                    <Button label=ADD_TO_GROUP sign=Icon::Groups press=act(Doing::Group) test="do-group"/>
                    <Button label=LOGS sign=Icon::Logs press=act(Doing::Logs) test="do-logs"/>
                    <Button label=SOFTWARE sign=Icon::Download press=act(Doing::Software) test="do-software"/>
                    <Button label=REMOVE sign=Icon::Trash kind=Kind::Danger press=act(Doing::Remove) test="do-remove"/>
                </Show>
                <Button label=CLEAR kind=Kind::Quiet press=Callback::new(move |()| selected.set(HashSet::new())) test="do-clear"/>
            </div>
        </Show>
    }
}

/// The group that an id in an address names.
fn group_of(key: &str) -> Option<GroupId> {
    key.parse().ok()
}
