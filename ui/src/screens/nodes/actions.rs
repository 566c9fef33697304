//! What is done to one or many nodes: managing, adding to a group, removing. Each asks once, naming every node.

use crate::{
    api,
    components::{Button, Choice, Confirm, Dialog, ErrorBox, Field, Kind, toast, toast_undo},
    i18n::Text,
    screens::software::ChangeForm,
    store::{Lab, lab, store},
    texts,
};
use edgedeck_model::{
    GroupId, NodeId, Problem,
    api::{
        AddToGroup, ById, CollectLogs, CreateGroup, GroupBody, ManageBody, ManageNode, NodesBody, RemoveFromGroup,
        RemoveNode,
    },
};
use futures::{StreamExt, stream};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

texts! {
    MANAGE: "纳管节点", "Manage nodes";
    MANAGE_TEXT: "纳管后可以在这些节点上部署应用。请先核对序列号。", "Apps can run on these nodes once they are managed. Check the serial numbers first.";
    MANAGE_VERB: "纳管", "Manage";
    MANAGED: "已纳管 {n} 个节点。", "{n} {n|node is|nodes are} managed now.";
    REMOVE: "移除节点", "Remove nodes";
    REMOVE_TEXT: "这些节点将退出实验室：其证书立即失效，其上的应用会被卸载。要再次使用，必须重新加入。", "These nodes leave the lab: their certificates are refused at once and their apps are taken off. To use them again, join them again.";
    REMOVE_VERB: "移除", "Remove";
    REMOVED: "已移除 {n} 个节点。", "{n} {n|node is|nodes are} removed.";
    ADD: "加入分组", "Add to a group";
    GROUP: "分组", "Group";
    NEW_GROUP: "新建分组…", "A new group…";
    NEW_NAME: "新分组名称", "Name of the new group";
    ADD_VERB: "加入", "Add";
    ADDED: "已将 {n} 个节点加入分组 {group}。", "{n} {n|node|nodes} added to group {group}.";
    ADD_TEXT: "将把 {n} 个节点加入所选分组；部署到该分组的应用会在这些节点上启动。", "Adds {n} {n|node|nodes} to the group; apps deployed to it start on them.";
    LOGS: "收集日志", "Collect logs";
    LOGS_TEXT: "每个节点会打包其代理与工作负载的最新日志并发送给引擎；先前收集的文件会被删除。", "Each node packs the newest logs of its agent and its workloads and sends them to the engine. What was collected before is deleted.";
    LOGS_VERB: "收集", "Collect";
    LOGS_BEGUN: "正在收集 {n} 个节点的日志。", "The logs of {n} {n|node|nodes} are being collected.";
    SOFTWARE: "升级软件", "Upgrade software";
    PROGRESS: "{done} / {all}", "{done} of {all}";
    FAILED: "{n} 个节点失败，第一个：{name}", "{n} {n|node|nodes} failed, the first one: {name}";
}

/// An action that waits for the user's word.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    Manage(Vec<NodeId>),
    Group(Vec<NodeId>),
    Remove(Vec<NodeId>),
    Logs(Vec<NodeId>),
    Software(Vec<NodeId>),
}

/// Requests that run beside each other.
const AT_ONCE: usize = 4;

fn serial_lines(lab: &Lab, ids: &[NodeId]) -> Vec<String> {
    let line = |id: &NodeId| match lab.node(*id) {
        Some(node) if !node.row.serial.is_empty() => format!("{}  ({})", node.row.name, node.row.serial),
        _ => lab.node_name(*id),
    };
    ids.iter().map(line).collect()
}

/// How a call for each of many nodes went.
#[derive(Clone, Copy)]
struct Run {
    done: RwSignal<u64>,
    all: RwSignal<u64>,
    busy: RwSignal<bool>,
    problem: RwSignal<Option<Problem>>,
    /// Names which node the problem is about.
    failed: RwSignal<Option<String>>,
}

impl Run {
    fn new() -> Self {
        Self {
            done: RwSignal::new(0),
            all: RwSignal::new(0),
            busy: RwSignal::new(false),
            problem: RwSignal::new(None),
            failed: RwSignal::new(None),
        }
    }

    fn reset(self) {
        self.problem.set(None);
        self.failed.set(None);
    }

    /// Calls `one` for each node; tells whether all went well.
    async fn each<F: Future<Output = Result<(), Problem>>>(self, ids: Vec<NodeId>, one: impl Fn(NodeId) -> F) -> bool {
        self.reset();
        self.busy.set(true);
        self.all.set(ids.len() as u64);
        self.done.set(0);
        let calls = stream::iter(ids).map(|id| {
            let call = one(id);
            async move {
                let outcome = call.await;
                self.done.try_update(|done| *done += 1);
                (id, outcome)
            }
        });
        let outcomes: Vec<_> = calls.buffer_unordered(AT_ONCE).collect().await;
        let failed: Vec<_> = outcomes
            .into_iter()
            .filter_map(|(id, outcome)| outcome.err().map(|problem| (id, problem)))
            .collect();
        self.busy.try_set(false);
        let count = failed.len();
        let Some((id, problem)) = failed.into_iter().next() else {
            return true;
        };
        let name = lab(|lab| lab.node_name(id));
        self.failed
            .try_set((count > 1).then(|| FAILED.with_untracked(&[("n", &count), ("name", &name)])));
        self.problem.try_set(Some(problem));
        false
    }
}

/// The dialogs of all actions; `doing` opens one of them. `done` is called when something was done.
#[component]
pub fn NodeActions(doing: RwSignal<Option<Doing>>, done: Callback<()>) -> impl IntoView {
    let run = Run::new();
    let [managing, grouping, removing, collecting, changing] = [(); 5].map(|()| RwSignal::new(false));
    let navigate = StoredValue::new_local(use_navigate());
    Effect::new(move |_| {
        let now = doing.get();
        run.reset();
        managing.set(matches!(now, Some(Doing::Manage(_))));
        grouping.set(matches!(now, Some(Doing::Group(_))));
        removing.set(matches!(now, Some(Doing::Remove(_))));
        collecting.set(matches!(now, Some(Doing::Logs(_))));
        changing.set(matches!(now, Some(Doing::Software(_))));
    });
    // A dialog that was closed ends the action.
    Effect::new(move |before: Option<bool>| {
        let is_open = managing.get() || grouping.get() || removing.get() || collecting.get() || changing.get();
        if before == Some(true) && !is_open {
            doing.set(None);
        }
        is_open
    });
    let ids = Memo::new(move |_| match doing.get() {
        Some(Doing::Manage(ids) | Doing::Group(ids) | Doing::Remove(ids) | Doing::Logs(ids) | Doing::Software(ids)) => {
            ids
        }
        None => Vec::new(),
    });
    // Only those that still wait: somebody else may have managed some.
    let to_manage = Memo::new(move |_| {
        let ids = ids.get();
        lab(|lab| {
            ids.into_iter()
                .filter(|id| lab.node(*id).is_some_and(|node| !node.row.managed))
                .collect::<Vec<_>>()
        })
    });
    let names = Signal::derive(move || lab(|lab| serial_lines(lab, &ids.get())));
    let manage_names = Signal::derive(move || lab(|lab| serial_lines(lab, &to_manage.get())));
    let finish = move |open: RwSignal<bool>, text: Text, count: usize| {
        open.try_set(false);
        toast(text.with_untracked(&[("n", &count)]));
        done.try_run(());
    };
    let manage = Callback::new(move |()| {
        let ids = to_manage.get_untracked();
        leptos::task::spawn_local(async move {
            let count = ids.len();
            let one = |id| async move {
                api::call::<ManageNode>(ById { id }, &(), &ManageBody::default())
                    .await
                    .map(|_| ())
            };
            if run.each(ids, one).await {
                finish(managing, MANAGED, count);
            }
        });
    });
    let remove = Callback::new(move |()| {
        let ids = ids.get_untracked();
        leptos::task::spawn_local(async move {
            let count = ids.len();
            let one = |id| async move { api::call::<RemoveNode>(ById { id }, &(), &()).await };
            if run.each(ids, one).await {
                finish(removing, REMOVED, count);
            }
        });
    });
    let collect = Callback::new(move |()| {
        let nodes = ids.get_untracked();
        let count = nodes.len();
        run.reset();
        run.busy.set(true);
        leptos::task::spawn_local(async move {
            let begun = api::call::<CollectLogs>((), &(), &NodesBody { nodes }).await;
            run.busy.try_set(false);
            match begun {
                Ok(job) => {
                    finish(collecting, LOGS_BEGUN, count);
                    navigate.with_value(|navigate| navigate(&format!("/jobs/{}", job.id), NavigateOptions::default()));
                }
                Err(problem) => {
                    run.problem.try_set(Some(problem));
                }
            }
        });
    });
    let text_of = move |text: Text| {
        Signal::derive(move || {
            let told = text.get().to_owned();
            match (run.busy.get(), run.failed.get()) {
                (true, _) => {
                    let progress = PROGRESS.with(&[("done", &run.done.get()), ("all", &run.all.get())]);
                    format!("{told} {progress}")
                }
                (false, Some(failed)) => format!("{told} {failed}"),
                _ => told,
            }
        })
    };
    view! {
        <Confirm open=managing title=MANAGE text=text_of(MANAGE_TEXT) names=manage_names label=MANAGE_VERB busy=run.busy problem=run.problem act=manage/>
        <Confirm open=removing title=REMOVE text=text_of(REMOVE_TEXT) names=names label=REMOVE_VERB danger=true busy=run.busy problem=run.problem act=remove/>
        <Confirm open=collecting title=LOGS text=text_of(LOGS_TEXT) names=names label=LOGS_VERB busy=run.busy problem=run.problem act=collect/>
        <Dialog open=changing title=SOFTWARE test="software-dialog">
            <ChangeForm nodes=ids.get_untracked() open=changing begun=done/>
        </Dialog>
        <Dialog open=grouping title=ADD test="group-dialog">
            <GroupForm ids=ids.get_untracked() open=grouping done=done/>
        </Dialog>
    }
}

/// The key of the choice to make a new group.
const NEW: &str = "new";

#[component]
fn GroupForm(ids: Vec<NodeId>, open: RwSignal<bool>, done: Callback<()>) -> impl IntoView {
    let count = ids.len();
    let ids = StoredValue::new(ids);
    let options = Signal::derive(move || {
        store().groups.track();
        let mut all: Vec<(String, String)> = lab(|lab| {
            lab.groups
                .values()
                .map(|group| (group.id.to_string(), group.name.clone()))
                .collect()
        });
        all.sort_by_key(|(_, name)| crate::match_text::natural(name));
        all.push((NEW.to_owned(), NEW_GROUP.get().to_owned()));
        all
    });
    let first = options.with_untracked(|options| options.first().map(|option| option.0.clone()).unwrap_or_default());
    let (chosen, name) = (RwSignal::new(first), RwSignal::new(String::new()));
    let (busy, problem) = (RwSignal::new(false), RwSignal::new(None::<Problem>));
    let is_new = move || chosen.with(|chosen| chosen == NEW);
    let unfit = Signal::derive(move || is_new() && name.with(|name| name.trim().is_empty()));
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() || unfit.get_untracked() {
            return;
        }
        busy.set(true);
        let (key, new_name) = (chosen.get_untracked(), name.get_untracked().trim().to_owned());
        let nodes = ids.get_value();
        leptos::task::spawn_local(async move {
            let outcome = add(&key, new_name, nodes.clone()).await;
            busy.try_set(false);
            match outcome {
                Ok((group, group_name)) => {
                    open.try_set(false);
                    let undo = Callback::new(move |()| {
                        let nodes = nodes.clone();
                        leptos::task::spawn_local(async move {
                            let body = NodesBody { nodes };
                            if let Err(problem) = api::call::<RemoveFromGroup>(ById { id: group }, &(), &body).await {
                                crate::components::toast_problem(&problem);
                            }
                        });
                    });
                    toast_undo(ADDED.with_untracked(&[("n", &count), ("group", &group_name)]), undo);
                    done.try_run(());
                }
                Err(refused) => _ = problem.try_set(Some(refused)),
            }
        });
    };
    view! {
        <form class="form" on:submit=submit>
            <p>{move || ADD_TEXT.with(&[("n", &count)])}</p>
            <Choice label=GROUP value=chosen options=options test="choose-group"/>
            <Show when=is_new>
                <Field label=NEW_NAME value=name focus=true test="new-group"/>
            </Show>
            {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <footer class="dialog-foot">
                <Button label=ADD_VERB kind=Kind::Primary submit=true busy=busy disabled=unfit test="add-to-group"/>
            </footer>
        </form>
    }
}

/// Adds nodes to a group, a new one where `key` says so.
async fn add(key: &str, new_name: String, nodes: Vec<NodeId>) -> Result<(GroupId, String), Problem> {
    let (id, name) = if key == NEW {
        let body = GroupBody {
            name: new_name,
            description: String::new(),
        };
        let group = api::call::<CreateGroup>((), &(), &body).await?;
        (group.id, group.name)
    } else {
        let id: GroupId = key.parse().map_err(|_| Problem::not_found("group"))?;
        (id, lab(|lab| lab.group_name(id)))
    };
    api::call::<AddToGroup>(ById { id }, &(), &NodesBody { nodes }).await?;
    Ok((id, name))
}
