//! Choosing nodes: a searchable table with a box before each.
//!
//! `data-test`: `picker-filter`, `picker-table`, `picker-row`.

use crate::{
    components::{Column, EmptyState, Icon, SortKey, StateBadge, Table, sign_of_node},
    format,
    i18n::lang,
    match_text::{folded, has_all_words},
    screens::groups::Filter,
    store::{NodeEntry, lab, store},
    texts,
};
use edgedeck_model::{NodeId, node::NodeRow, text};
use leptos::prelude::*;
use std::{collections::HashSet, sync::Arc};
use uuid::Uuid;

texts! {
    LABEL: "可选节点", "Nodes to choose from";
    FILTER: "名称、序列号、IP 或 标签=值", "Name, serial number, IP or label=value";
    NAME: "名称", "Name";
    STATE: "状态", "State";
    ADDRESS: "IP", "IP";
    MODEL: "型号", "Model";
    GROUPS: "分组", "Groups";
    CHOSEN: "已选 {n} 个", "{n} chosen";
    NONE: "没有可选的节点", "There is no node to choose";
    NONE_TEXT: "没有符合条件的已纳管节点。", "No managed node matches.";
}

/// A fact of a node as the store has it now; tracked.
pub fn of_node<T: Default>(id: NodeId, read: impl FnOnce(&NodeRow) -> T) -> T {
    store().nodes.track();
    lab(|lab| lab.node(id).map(|node| read(&node.row)).unwrap_or_default())
}

/// State as shape and word; tracked.
pub fn node_state(id: NodeId) -> impl IntoView {
    move || {
        of_node(id, |row| Some(row.state)).map(|state| {
            view! { <StateBadge sign=Signal::stored(sign_of_node(state)) word=Signal::derive(move || text::node_state(state, lang()).to_owned())/> }
        })
    }
}

/// The managed nodes for which `offered` holds, to choose from.
#[component]
pub fn NodePicker(
    selected: RwSignal<HashSet<Uuid>>,
    offered: impl Fn(&NodeEntry) -> bool + Send + Sync + 'static,
) -> impl IntoView {
    let filter = RwSignal::new(String::new());
    let rows = Memo::new(move |_| {
        store().nodes.track();
        let query = filter.with(|filter| folded(filter));
        let fits = |node: &&NodeEntry| node.row.managed && offered(node) && has_all_words(&node.search, &query);
        Arc::new(lab(|lab| {
            lab.nodes().filter(fits).map(|node| node.row.id).collect::<Vec<_>>()
        }))
    });
    let columns = vec![
        Column::new("name", NAME, 160, |id: &NodeId| of_node(*id, |row| row.name.clone()))
            .sort(|id| SortKey::name(&lab(|lab| lab.node_name(*id))))
            .share(2),
        Column::new("state", STATE, 110, |id: &NodeId| {
            of_node(*id, |row| text::node_state(row.state, lang()).to_owned())
        })
        .view(|id| node_state(*id)),
        Column::new("ip", ADDRESS, 120, |id: &NodeId| {
            of_node(*id, |row| row.ip.clone().unwrap_or_default())
        }),
        Column::new("model", MODEL, 120, |id: &NodeId| {
            of_node(*id, |row| row.model.clone().unwrap_or_default())
        })
        .hidden(),
        Column::new("groups", GROUPS, 140, |id: &NodeId| {
            store().groups.track();
            let groups = of_node(*id, |row| row.groups.clone());
            lab(|lab| {
                groups
                    .iter()
                    .map(|group| lab.group_name(*group))
                    .collect::<Vec<_>>()
                    .join(", ")
            })
        }),
    ];
    view! {
        <div class="picker">
            <Table
                name="picker"
                label=LABEL
                rows=rows
                columns=columns
                selected=selected
                empty=|| view! { <EmptyState sign=Icon::Nodes title=NONE text=NONE_TEXT/> }
            >
                <Filter value=filter label=FILTER test="picker-filter"/>
                <span class="number" role="status">{move || CHOSEN.with(&[("n", &format::count(selected.with(HashSet::len)))])}</span>
            </Table>
        </div>
    }
}
