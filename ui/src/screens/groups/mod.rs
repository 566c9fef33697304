//! Groups of nodes: the list.
//!
//! `data-test`: `new-group`, `group-filter`, `groups-table`, `groups-row`; in the dialog `group-name`,
//! `group-description`, `save-group`.

mod edit;
mod page;
pub mod picker;

pub use page::GroupPage;

use crate::{
    api,
    components::{Button, Column, EmptyState, Field, Icon, Kind, SortKey, Table},
    format,
    frame::palette,
    load::load,
    match_text::{folded, has_all_words, natural},
    screens::{
        capacity::{Room, room},
        common::deployments_where,
    },
    state::may,
    store::{Lab, lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    GroupId, NodeId,
    api::GetSettings,
    deployment::{Deployment, Target},
    fit::Limits,
    group::Group,
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::sync::Arc;

texts! {
    TITLE: "分组", "Groups";
    NEW: "新建分组", "New group";
    FILTER: "按名称或说明筛选", "Filter by name or description";
    NAME: "名称", "Name";
    DESCRIPTION: "说明", "Description";
    NODES: "节点", "Nodes";
    CPU: "CPU 剩余 / 总量（核）", "CPU left / all (cores)";
    MEMORY: "内存剩余 / 总量", "Memory left / all";
    NPUS: "NPU 剩余 / 总量", "NPUs left / all";
    DEPLOYMENTS: "部署", "Deployments";
    UPDATED: "修改时间", "Changed";
    EMPTY: "还没有分组", "No groups yet";
    EMPTY_TEXT: "分组是部署的目标：部署到分组的应用会运行在其所有节点上，包括以后加入的节点。", "A group is something to deploy to: what is deployed to it runs on all of its nodes, also on those that are added later.";
    NONE_FOUND: "没有符合筛选条件的分组", "No group matches the filter";
    NONE_FOUND_TEXT: "修改或清除筛选条件。", "Change or clear the filter.";
}

/// The lab's reserve and limits; the usual ones until the engine has told.
pub fn limits() -> Signal<Limits> {
    let settings = load(|| async { api::call::<GetSettings>((), &(), &()).await });
    Signal::derive(move || {
        settings.state.with(|state| {
            state
                .ready()
                .map(|settings| settings.limits.clone())
                .unwrap_or_default()
        })
    })
}

/// Members of a group, by name.
pub fn members(lab: &Lab, group: GroupId) -> Vec<NodeId> {
    lab.nodes()
        .filter(|node| node.row.groups.contains(&group))
        .map(|node| node.row.id)
        .collect()
}

/// Deployments that aim at a group, by name.
pub fn deployments_on(lab: &Lab, group: GroupId) -> Vec<Arc<Deployment>> {
    deployments_where(lab, |deployment| deployment.target == Target::Group(group))
}

pub fn cpu_words(room: &Room) -> String {
    let cores = |millis: u64| format::number(millis as f64 / 1_000.0, 1);
    format!("{} / {}", cores(room.left.cpu_millis), cores(room.all.cpu_millis))
}

pub fn memory_words(room: &Room) -> String {
    format!(
        "{} / {}",
        format::bytes(room.left.memory_bytes),
        format::bytes(room.all.memory_bytes)
    )
}

pub fn npu_words(room: &Room) -> String {
    format!("{} / {}", room.left.npus, room.all.npus)
}

/// The room of a group now; tracked.
fn room_of(group: GroupId, limits: Signal<Limits>) -> Room {
    let store = store();
    store.nodes.track();
    store.placements.track();
    lab(|lab| room(lab, members(lab, group), &limits.get()))
}

#[component]
pub fn Groups() -> impl IntoView {
    let url = url_state();
    let filter = url.param("q");
    let (editing, edited) = (RwSignal::new(false), RwSignal::new(None::<GroupId>));
    let navigate = StoredValue::new_local(use_navigate());
    let limits = limits();
    let rows = Memo::new(move |_| {
        store().groups.track();
        let query = filter.with(|filter| folded(filter));
        let mut rows: Vec<Arc<Group>> = lab(|lab| lab.groups.values().cloned().collect());
        rows.retain(|group| has_all_words(&folded(&format!("{} {}", group.name, group.description)), &query));
        rows.sort_by_key(|group| natural(&group.name));
        Arc::new(rows)
    });
    let columns = vec![
        Column::new("name", NAME, 150, |group: &Arc<Group>| group.name.clone())
            .view(|group| view! { <a href=format!("/groups/{}", group.id)>{group.name.clone()}</a> })
            .sort(|group| SortKey::name(&group.name))
            .share(2),
        Column::new("description", DESCRIPTION, 110, |group: &Arc<Group>| {
            group.description.clone()
        })
        .share(2),
        Column::new("nodes", NODES, 60, move |group: &Arc<Group>| {
            format::count(room_of(group.id, limits).nodes)
        })
        .sort(move |group| SortKey::number(Some(room_of(group.id, limits).nodes as f64)))
        .number(),
        Column::new("cpu", CPU, 150, move |group: &Arc<Group>| {
            cpu_words(&room_of(group.id, limits))
        })
        .number(),
        Column::new("memory", MEMORY, 160, move |group: &Arc<Group>| {
            memory_words(&room_of(group.id, limits))
        })
        .number(),
        Column::new("npus", NPUS, 110, move |group: &Arc<Group>| {
            npu_words(&room_of(group.id, limits))
        })
        .number(),
        Column::new("deployments", DEPLOYMENTS, 70, |group: &Arc<Group>| {
            store().deployments.track();
            format::count(lab(|lab| deployments_on(lab, group.id).len()))
        })
        .number(),
        Column::new("updated", UPDATED, 120, |group: &Arc<Group>| {
            format::ago(group.updated_at)
        })
        .sort(|group| SortKey::number(Some(group.updated_at.0 as f64)))
        .hidden(),
    ];
    let open = Callback::new(move |group: Arc<Group>| {
        navigate.with_value(|navigate| navigate(&format!("/groups/{}", group.id), NavigateOptions::default()));
    });
    let new = move || {
        edited.set(None);
        editing.set(true);
    };
    palette::offer(NEW, Icon::Plus, Role::Operator, new);
    let empty = move || {
        if filter.with(String::is_empty) {
            view! {
                <EmptyState sign=Icon::Groups title=EMPTY text=EMPTY_TEXT>
                    <Show when=|| may(Role::Operator)>
                        <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| new()) test="new-group-empty"/>
                    </Show>
                </EmptyState>
            }
            .into_any()
        } else {
            view! { <EmptyState sign=Icon::Search title=NONE_FOUND text=NONE_FOUND_TEXT/> }.into_any()
        }
    };
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1>{TITLE.t()}</h1>
                <Show when=|| may(Role::Operator)>
                    <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| new()) test="new-group"/>
                </Show>
            </header>
            <Table
                name="groups"
                label=TITLE
                rows=rows
                columns=columns
                open=open
                url=url
                loading=Signal::derive(|| !store().ready.get())
                empty=empty
            >
                <Filter value=filter label=FILTER test="group-filter"/>
            </Table>
            <edit::EditGroup open=editing group=edited/>
        </div>
    }
}

/// A search line in the bar above a table.
#[component]
pub fn Filter(value: RwSignal<String>, label: crate::i18n::Text, test: &'static str) -> impl IntoView {
    view! {
        <div class="filter-field">
            <Field label=label value=value kind="search" placeholder=label test=test/>
        </div>
    }
}
