//! What an empty lab shows: what it is for, and the two ways to get its first node.
//!
//! `data-test`: `join-here`, `join-others`.

use crate::{
    api,
    components::{Button, EmptyState, ErrorBox, Icon, Kind, icon, toast},
    i18n::Text,
    load::load,
    screens::join::can_join_here,
    state::may,
    texts,
};
use edgedeck_model::{
    Problem,
    api::{GetStatus, JoinHere},
    user::Role,
};
use leptos::prelude::*;

texts! {
    TITLE: "把第一台设备加入实验室", "Bring the first box into the lab";
    TEXT: "EdgeDeck 管理您的边缘 AI 设备：查看状态和 NPU，部署应用，发现问题。先让一台设备加入。", "EdgeDeck runs your edge AI boxes: it shows their state and NPUs, deploys apps and tells what is wrong. Let one box join first.";
    HERE: "将本机加入", "Join this machine";
    HERE_DONE: "本机正在加入，稍后会出现在这里。", "This machine is joining; it will appear here in a moment.";
    OTHERS: "加入其他设备", "Join other boxes";
    ASK: "您的角色不能加入节点，请联系操作员。", "Your role cannot join nodes. Ask an operator.";
}

/// Also shown where a list of nodes is empty because there is none.
#[component]
pub fn FirstSteps() -> impl IntoView {
    let (busy, problem) = (RwSignal::new(false), RwSignal::new(None::<Problem>));
    let status = load(|| api::call::<GetStatus>((), &(), &()));
    let can_join_here = move || can_join_here(status);
    let join = Callback::new(move |()| {
        busy.set(true);
        problem.set(None);
        leptos::task::spawn_local(async move {
            match api::call::<JoinHere>((), &(), &()).await {
                Ok(()) => toast(HERE_DONE.get_untracked()),
                Err(refused) => _ = problem.try_set(Some(refused)),
            }
            busy.try_set(false);
            status.again();
        });
    });
    let text = Signal::derive(move || {
        let more: Option<Text> = (!may(Role::Operator)).then_some(ASK);
        [Some(TEXT), more]
            .into_iter()
            .flatten()
            .map(Text::get)
            .collect::<Vec<_>>()
            .join(" ")
    });
    view! {
        <EmptyState sign=Icon::Nodes title=TITLE text=text>
            <Show when=can_join_here>
                <Button label=HERE kind=Kind::Primary sign=Icon::Plus busy=busy press=join test="join-here"/>
            </Show>
            <Show when=move || may(Role::Operator)>
                <a class="button" class:primary=move || !can_join_here() href="/join" data-test="join-others">
                    {icon(Icon::Join)} {OTHERS.t()}
                </a>
            </Show>
            {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
        </EmptyState>
    }
}
