//! One group: its members, what they can carry, and what is deployed to it.
//!
//! `data-test`: `edit-group-open`, `delete-group`, `add-nodes`, `remove-nodes`, `members-table`, `members-row`,
//! `add-chosen`, `group-deployments`, `deploy-to-group`.

use super::{cpu_words, deployments_on, edit::EditGroup, limits, members, memory_words, npu_words, picker, room_of};
use crate::{
    api,
    components::{Button, Column, Confirm, Dialog, EmptyState, Icon, Kind, SortKey, Table, icon, toast},
    format,
    frame::palette,
    i18n::lang,
    match_text::{folded, has_all_words},
    screens::{
        common::{Change, Missing, Refusal, app_name, counts_of, id_param, version_label},
        state_bar::StateBar,
    },
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    GroupId, NodeId,
    api::{AddToGroup, ById, DeleteGroup, NodesBody, RemoveFromGroup},
    group::Group,
    text,
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::{collections::HashSet, sync::Arc};
use uuid::Uuid;

texts! {
    EDIT: "编辑", "Edit";
    DELETE: "删除分组", "Delete group";
    CAPACITY: "容量（剩余 / 总量）", "Capacity (left / all)";
    NODES: "节点", "Nodes";
    CPU: "CPU（核）", "CPU (cores)";
    MEMORY: "内存", "Memory";
    NPUS: "NPU", "NPUs";
    DEPLOYMENTS: "部署", "Deployments";
    NO_DEPLOYMENTS: "还没有部署到此分组的应用。", "Nothing is deployed to this group.";
    DEPLOY: "部署到此分组", "Deploy to this group";
    ADD: "添加节点", "Add nodes";
    ADD_CHOSEN: "添加 {n} 个节点", "Add {n} {n|node|nodes}";
    ADD_TEXT: "部署在此分组上的应用会立即在添加的节点上启动。", "What is deployed to this group starts on the added nodes at once.";
    ADDED: "已添加 {n} 个节点", "Added {n} {n|node|nodes}";
    REMOVE: "移出分组", "Take out";
    REMOVE_TITLE: "将节点移出分组 {name}", "Take nodes out of {name}";
    REMOVE_TEXT: "节点仍留在实验室中。部署在此分组上的 {n} 个应用会从这些节点上移除。", "The nodes stay in the lab. The {n} {n|deployment|deployments} on this group {n|leaves|leave} them.";
    REMOVED: "已移出 {n} 个节点", "Took out {n} {n|node|nodes}";
    FILTER: "筛选成员", "Filter the members";
    NAME: "名称", "Name";
    STATE: "状态", "State";
    ADDRESS: "IP", "IP";
    CPUS: "CPU 核数", "CPU cores";
    LABELS: "标签", "Labels";
    EMPTY: "分组中还没有节点", "No nodes in this group";
    EMPTY_TEXT: "添加已纳管的节点；一个节点可以属于多个分组。", "Add managed nodes; a node may be in several groups.";
    DELETE_TITLE: "删除分组 {name}？", "Delete the group {name}?";
    DELETE_TEXT: "只删除分组；以下节点仍留在实验室中。", "Only the group goes; these nodes stay in the lab.";
    IN_USE: "分组上还有部署，请先移除：{names}", "It is deployed to; undeploy first: {names}";
    DELETED: "已删除分组 {name}", "Deleted the group {name}";
}

#[component]
pub fn GroupPage() -> impl IntoView {
    let id = id_param::<GroupId>();
    let group = Memo::new(move |_| {
        store().groups.track();
        let id = id.get()?;
        lab(|lab| lab.groups.get(&id).cloned())
    });
    move || match id.get() {
        Some(id) => view! {
            <Show when=move || group.with(Option::is_some) fallback=Missing>
                <Body id=id group=group/>
            </Show>
        }
        .into_any(),
        None => view! { <Missing/> }.into_any(),
    }
}

#[component]
fn Body(id: GroupId, group: Memo<Option<Arc<Group>>>) -> impl IntoView {
    let name =
        Signal::derive(move || group.with(|group| group.as_ref().map(|group| group.name.clone()).unwrap_or_default()));
    let (editing, adding, deleting) = (RwSignal::new(false), RwSignal::new(false), RwSignal::new(false));
    let deployments = Memo::new(move |_| {
        store().deployments.track();
        lab(|lab| deployments_on(lab, id))
    });
    let limits = limits();
    let room = Memo::new(move |_| room_of(id, limits));
    palette::offer(ADD, Icon::Plus, Role::Operator, move || adding.set(true));
    palette::offer(EDIT, Icon::Edit, Role::Operator, move || editing.set(true));
    let deployed = move || {
        let rows = deployments.get();
        if rows.is_empty() {
            return view! { <p class="quiet-text">{NO_DEPLOYMENTS.t()}</p> }.into_any();
        }
        let rows = rows
            .into_iter()
            .map(|deployment| {
                let id = deployment.id;
                let counts = Memo::new(move |_| {
                    store().placements.track();
                    store().nodes.track();
                    lab(|lab| counts_of(lab, id))
                });
                let what = lab(|lab| {
                    format!(
                        "{} · {}",
                        app_name(lab, deployment.app),
                        version_label(lab, deployment.version)
                    )
                });
                view! {
                    <tr>
                        <td><a href=format!("/deployments/{id}")>{deployment.name.clone()}</a></td>
                        <td>{what}</td>
                        <td><StateBar counts=counts/></td>
                    </tr>
                }
            })
            .collect_view();
        view! { <table class="plain-table" data-test="group-deployments"><tbody>{rows}</tbody></table> }.into_any()
    };
    view! {
        <div class="screen">
            <header class="screen-head">
                <h1 data-test="group-title">{name}</h1>
                <Show when=|| may(Role::Operator)>
                    <a class="button" href=format!("/deploy?group={id}") data-test="deploy-to-group">{icon(Icon::Deployments)} {DEPLOY.t()}</a>
                    <Button label=EDIT sign=Icon::Edit press=Callback::new(move |()| editing.set(true)) test="edit-group-open"/>
                    <Button label=DELETE kind=Kind::Danger sign=Icon::Trash press=Callback::new(move |()| deleting.set(true)) test="delete-group"/>
                </Show>
            </header>
            <p class="quiet-text prose">{move || group.with(|group| group.as_ref().map(|group| group.description.clone()))}</p>
            <div class="card-row">
                <section class="card">
                    <h2>{CAPACITY.t()}</h2>
                    <dl class="facts" data-test="group-capacity">
                        <dt>{NODES.t()}</dt><dd class="number">{move || format::count(room.get().nodes)}</dd>
                        <dt>{CPU.t()}</dt><dd class="number">{move || cpu_words(&room.get())}</dd>
                        <dt>{MEMORY.t()}</dt><dd class="number">{move || memory_words(&room.get())}</dd>
                        <dt>{NPUS.t()}</dt><dd class="number">{move || npu_words(&room.get())}</dd>
                    </dl>
                </section>
                <section class="card wide-card"><h2>{DEPLOYMENTS.t()}</h2>{deployed}</section>
            </div>
            <Members id=id name=name adding=adding/>
            <EditGroup open=editing group=RwSignal::new(Some(id))/>
            <AddNodes id=id open=adding/>
            <DeleteThis id=id name=name open=deleting/>
        </div>
    }
}

#[component]
fn Members(id: GroupId, name: Signal<String>, adding: RwSignal<bool>) -> impl IntoView {
    let url = url_state();
    let filter = url.param("q");
    let selected = RwSignal::new(HashSet::<Uuid>::new());
    let removing = RwSignal::new(false);
    let change = Change::new();
    let navigate = StoredValue::new_local(use_navigate());
    let rows = Memo::new(move |_| {
        store().nodes.track();
        let query = filter.with(|filter| folded(filter));
        Arc::new(lab(|lab| {
            let is_it = |id: &NodeId| lab.node(*id).is_some_and(|node| has_all_words(&node.search, &query));
            members(lab, id).into_iter().filter(is_it).collect::<Vec<_>>()
        }))
    });
    let of_node = |id: &NodeId, read: fn(&edgedeck_model::node::NodeRow) -> String| picker::of_node(*id, read);
    let columns = vec![
        Column::new("name", NAME, 160, move |id: &NodeId| {
            of_node(id, |row| row.name.clone())
        })
        .view(move |id| {
            let id = *id;
            view! { <a href=format!("/nodes/{id}")>{move || of_node(&id, |row| row.name.clone())}</a> }
        })
        .sort(|id| SortKey::name(&lab(|lab| lab.node_name(*id))))
        .share(2),
        Column::new("state", STATE, 110, move |id: &NodeId| {
            of_node(id, |row| text::node_state(row.state, lang()).to_owned())
        })
        .view(|id| picker::node_state(*id))
        .sort(|id| SortKey::number(lab(|lab| lab.node(*id).map(|node| node.row.state as u8)))),
        Column::new("ip", ADDRESS, 120, move |id: &NodeId| {
            of_node(id, |row| row.ip.clone().unwrap_or_default())
        }),
        Column::new("cpus", CPUS, 90, move |id: &NodeId| {
            of_node(id, |row| row.cpus.to_string())
        })
        .number(),
        Column::new("memory", MEMORY, 100, move |id: &NodeId| {
            of_node(id, |row| format::bytes(row.memory_bytes))
        })
        .number(),
        Column::new("npus", NPUS, 70, move |id: &NodeId| {
            of_node(id, |row| row.npus.to_string())
        })
        .number(),
        Column::new("labels", LABELS, 160, move |id: &NodeId| {
            of_node(id, |row| {
                row.labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            })
        })
        .share(2),
    ];
    let open = Callback::new(move |id: NodeId| {
        navigate.with_value(|navigate| navigate(&format!("/nodes/{id}"), NavigateOptions::default()));
    });
    let chosen = move || selected.with_untracked(|selected| selected.iter().map(|id| NodeId(*id)).collect::<Vec<_>>());
    let names = Signal::derive(move || {
        selected.with(|selected| lab(|lab| selected.iter().map(|id| lab.node_name(NodeId(*id))).collect()))
    });
    let remove = Callback::new(move |()| {
        let nodes = chosen();
        let count = nodes.len();
        change.run(
            async move { api::call::<RemoveFromGroup>(ById { id }, &(), &NodesBody { nodes }).await },
            move |()| {
                removing.try_set(false);
                selected.try_set(HashSet::new());
                toast(REMOVED.with_untracked(&[("n", &count)]));
            },
        );
    });
    let remove_text = Signal::derive(move || {
        store().deployments.track();
        REMOVE_TEXT.with(&[("n", &lab(|lab| deployments_on(lab, id).len()))])
    });
    view! {
        <Table
            name="members"
            label=NODES
            rows=rows
            columns=columns
            open=open
            selected=selected
            url=url
            empty=move || view! {
                <EmptyState sign=Icon::Nodes title=EMPTY text=EMPTY_TEXT>
                    <Show when=|| may(Role::Operator)>
                        <Button label=ADD kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| adding.set(true))/>
                    </Show>
                </EmptyState>
            }
        >
            <super::Filter value=filter label=FILTER test="member-filter"/>
            <Show when=|| may(Role::Operator)>
                <Button label=ADD sign=Icon::Plus press=Callback::new(move |()| adding.set(true)) test="add-nodes"/>
                <Button
                    label=REMOVE
                    sign=Icon::Close
                    disabled=Signal::derive(move || selected.with(HashSet::is_empty))
                    press=Callback::new(move |()| removing.set(true))
                    test="remove-nodes"
                />
            </Show>
        </Table>
        <Confirm
            open=removing
            title=Signal::derive(move || REMOVE_TITLE.with(&[("name", &name.get())]))
            text=remove_text
            names=names
            label=REMOVE
            danger=true
            busy=change.busy
            problem=change.problem
            act=remove
        />
    }
}

#[component]
fn AddNodes(id: GroupId, open: RwSignal<bool>) -> impl IntoView {
    view! {
        <Dialog open=open title=ADD wide=true test="add-nodes-dialog">
            <AddNodesBody id=id open=open/>
        </Dialog>
    }
}

#[component]
fn AddNodesBody(id: GroupId, open: RwSignal<bool>) -> impl IntoView {
    let selected = RwSignal::new(HashSet::<Uuid>::new());
    let change = Change::new();
    let add = Callback::new(move |()| {
        let nodes: Vec<NodeId> = selected.with_untracked(|selected| selected.iter().map(|id| NodeId(*id)).collect());
        let count = nodes.len();
        change.run(
            async move { api::call::<AddToGroup>(ById { id }, &(), &NodesBody { nodes }).await },
            move |()| {
                open.try_set(false);
                toast(ADDED.with_untracked(&[("n", &count)]));
            },
        );
    });
    let label = Signal::derive(move || ADD_CHOSEN.with(&[("n", &selected.with(HashSet::len))]));
    view! {
        <p class="quiet-text">{ADD_TEXT.t()}</p>
        <picker::NodePicker selected=selected offered=move |node| !node.row.groups.contains(&id)/>
        <Refusal change=change/>
        <footer class="dialog-foot">
            <Button
                label=label
                kind=Kind::Primary
                busy=change.busy
                disabled=Signal::derive(move || selected.with(HashSet::is_empty))
                press=add
                test="add-chosen"
            />
        </footer>
    }
}

#[component]
fn DeleteThis(id: GroupId, name: Signal<String>, open: RwSignal<bool>) -> impl IntoView {
    let change = Change::new();
    let navigate = StoredValue::new_local(use_navigate());
    let names = Signal::derive(move || {
        store().nodes.track();
        lab(|lab| members(lab, id).into_iter().map(|node| lab.node_name(node)).collect())
    });
    let words = Signal::derive(move || {
        store().deployments.track();
        let used = lab(|lab| {
            deployments_on(lab, id)
                .iter()
                .map(|d| d.name.clone())
                .collect::<Vec<_>>()
                .join(", ")
        });
        if used.is_empty() {
            DELETE_TEXT.get().to_owned()
        } else {
            IN_USE.with(&[("names", &used)])
        }
    });
    let delete = Callback::new(move |()| {
        let gone = name.get_untracked();
        change.run(
            async move { api::call::<DeleteGroup>(ById { id }, &(), &()).await },
            move |()| {
                open.try_set(false);
                toast(DELETED.with_untracked(&[("name", &gone)]));
                navigate.try_with_value(|navigate| navigate("/groups", NavigateOptions::default()));
            },
        );
    });
    view! {
        <Confirm
            open=open
            title=Signal::derive(move || DELETE_TITLE.with(&[("name", &name.get())]))
            text=words
            names=names
            label=DELETE
            danger=true
            busy=change.busy
            problem=change.problem
            act=delete
        />
    }
}
