//! Nodes that have joined and wait to be managed.

use super::actions::Doing;
use crate::{
    components::{Button, Icon, Kind, icon},
    format::{self, NOTHING},
    state::may,
    store::{lab, store},
    texts,
};
use edgedeck_model::{NodeId, user::Role};
use leptos::prelude::*;
use leptos_router::components::A;

texts! {
    WAITING: "{n} 个节点已加入，等待纳管", "{n} {n|node has|nodes have} joined and {n|waits|wait} to be managed";
    WHY: "核对序列号后纳管，才会在其上部署应用。", "Check the serial number, then manage: only managed nodes get apps.";
    MANAGE: "纳管", "Manage";
    MANAGE_ALL: "全部纳管", "Manage all";
    SHOW_ALL: "查看全部", "Show all";
}

/// Most that are listed here; the list of all is a filter away.
const LISTED: usize = 4;

#[derive(Clone, PartialEq)]
struct Waits {
    id: NodeId,
    name: String,
    serial: String,
    note: String,
}

#[component]
pub fn Waiting(doing: RwSignal<Option<Doing>>) -> impl IntoView {
    let waiting = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| {
            lab.nodes()
                .filter(|node| !node.row.managed)
                .map(|node| node.row.id)
                .collect::<Vec<_>>()
        })
    });
    let listed = Memo::new(move |_| {
        let ids = waiting.get();
        lab(|lab| {
            let nodes = ids.iter().take(LISTED).filter_map(|id| lab.node(*id));
            nodes
                .map(|node| {
                    let more = [node.row.ip.clone(), node.row.model.clone(), Some(node.row.arch.clone())];
                    let note = more
                        .into_iter()
                        .flatten()
                        .filter(|word| !word.is_empty())
                        .collect::<Vec<_>>()
                        .join(" · ");
                    Waits {
                        id: node.row.id,
                        name: node.row.name.clone(),
                        serial: node.row.serial.clone(),
                        note,
                    }
                })
                .collect::<Vec<_>>()
        })
    });
    view! {
        <Show when=move || !waiting.with(Vec::is_empty)>
            <section class="waiting" data-test="waiting">
                <header class="card-head">
                    <h2 role="status">{move || WAITING.with(&[("n", &format::count(waiting.with(Vec::len)))])}</h2>
                    <span class="quiet-text">{WHY.t()}</span>
                    <Show when=move || { waiting.with(|waiting| waiting.len() > LISTED) }>
                        <A href="/nodes?managed=no&face=table">{SHOW_ALL.t()}</A>
                    </Show>
                    <Show when=move || may(Role::Operator)>
                        <Button
                            label=MANAGE_ALL
                            kind=Kind::Primary
                            press=Callback::new(move |()| doing.set(Some(Doing::Manage(waiting.get_untracked()))))
                            test="manage-all"
                        />
                    </Show>
                </header>
                <ul class="waiting-list">
                    <For each=move || listed.get() key=|node| (node.id, node.name.clone(), node.note.clone()) let(node)>
                        <li class="waiting-row">
                            {icon(Icon::Nodes)} <a href=format!("/nodes/{}", node.id)>{node.name.clone()}</a>
                            <span class="mono">{if node.serial.is_empty() { NOTHING.to_owned() } else { node.serial.clone() }}</span>
                            <span class="quiet-text">{node.note.clone()}</span>
                            <Show when=move || may(Role::Operator)>
                                <Button
                                    label=MANAGE
                                    press=Callback::new(move |()| doing.set(Some(Doing::Manage(vec![node.id]))))
                                    test="manage-one"
                                />
                            </Show>
                        </li>
                    </For>
                </ul>
            </section>
        </Show>
    }
}
