//! The lab's own CA: what is in it, the engine's certificate, and the change to the next one.
//!
//! `data-test`: `lab-ca`, and in it `download-ca`, `ca-begin`, `ca-cancel`, `ca-switch`, `ca-end`, `ca-behind`.

use crate::{
    api, browser,
    components::{Button, Confirm, ErrorBox, Icon, Kind, Skeleton, toast},
    format,
    i18n::Text,
    load::{Load, Loaded, load},
    screens::common::Change,
    texts,
};
use edgedeck_model::{
    api::{CaStepBody, ChangeLabAuthority, GetLabAuthority},
    certificate::{CaChanging, CaStage, CaStep, LabAuthority},
};
use leptos::prelude::*;

texts! {
    TITLE: "本实验室的 CA", "This lab's CA";
    TEXT: "引擎、节点和客户端的证书都由它签发。", "The certificates of the engine, the nodes and API clients come from it.";
    SUBJECT: "主体", "Subject";
    FINGERPRINT: "SHA-256 指纹", "SHA-256";
    ENDS: "到期时间", "Ends";
    SERVER: "引擎证书", "Engine's certificate";
    SERVER_TOLD: "{at} 到期，自动续期", "ends {at}, renewed by itself";
    HOSTS: "引擎证书的地址", "Addresses in it";
    DOWNLOAD: "下载 CA 证书", "Download the CA";
    BEGIN: "更换 CA", "Change the CA";
    BEGIN_TEXT: "将生成新的 CA，并让各节点信任它。在您启用之前，一切仍由当前的 CA 签发，可随时取消。", "A new CA is made, and every node gets to trust it. Everything goes on coming from the present one until you let the new one take over; you can cancel until then.";
    COMING: "新的 CA 正在分发", "A new CA is on its way";
    COMING_TEXT: "请把两个 CA 的证书交给调用接口的程序（下载 CA 证书），等各节点都信任它之后再启用。", "Give both certificates (Download the CA) to the programs that call the APIs; let it take over once every node trusts it.";
    FORMER: "新的 CA 已启用，先前的仍被信任", "The new CA has taken over; the former one is trusted still";
    FORMER_TEXT: "各节点正在自动更新证书。请为仍使用先前证书的程序签发新证书，然后停用先前的 CA。", "The nodes renew their certificates by themselves. Issue new certificates to the programs that have one of the former CA, then drop it.";
    SINCE: "开始时间", "Since";
    NODES_COMING: "尚未信任新 CA 的节点", "Nodes that do not trust it yet";
    NODES_FORMER: "仍使用先前证书的节点", "Nodes with a certificate of the former CA";
    CLIENTS: "仍使用先前证书的客户端", "Clients with a certificate of the former CA";
    NOBODY: "无", "none";
    AND_MORE: "等共 {n} 个", "and more, {n} in all";
    CANCEL: "取消更换", "Cancel the change";
    CANCEL_TEXT: "丢弃新的 CA；当前的 CA 照常使用。", "The new CA is dropped; the present one goes on.";
    SWITCH: "启用新的 CA", "Let it take over";
    SWITCH_TEXT: "引擎从现在起出示新 CA 签发的证书。只信任当前 CA 的程序将无法验证引擎。", "From now on the engine shows a certificate of the new CA. Programs that trust only the present one cannot verify the engine any more.";
    END: "停用先前的 CA", "Drop the former CA";
    END_TEXT: "先前的 CA 签发的证书不再被接受，相应的连接会立即断开。不能撤回。", "Certificates of the former CA are refused from now on, and their connections are cut. It cannot be taken back.";
    LOSING: "未准备好的节点将失去连接，需要重新加入。", "Nodes that are not ready lose their link and have to join again.";
    LOSING_CLIENTS: "先前的客户端证书将不再有效。", "The former client certificates are good no more.";
    DONE_BEGIN: "已生成新的 CA", "Made a new CA";
    DONE_CANCEL: "已取消更换", "Cancelled the change";
    DONE_SWITCH: "新的 CA 已启用", "The new CA has taken over";
    DONE_END: "已停用先前的 CA", "Dropped the former CA";
    THE_LAB: "整个实验室", "The whole lab";
}

/// How often the state is asked for while a change goes on, in milliseconds.
const WHILE_CHANGING: u32 = 2_000;

/// What a step is called, what it leads to, and what is said when it was taken.
fn words(step: CaStep) -> (Text, Text, Text) {
    match step {
        CaStep::Begin => (BEGIN, BEGIN_TEXT, DONE_BEGIN),
        CaStep::Cancel => (CANCEL, CANCEL_TEXT, DONE_CANCEL),
        CaStep::Switch => (SWITCH, SWITCH_TEXT, DONE_SWITCH),
        CaStep::End => (END, END_TEXT, DONE_END),
    }
}

/// Who would lose their way in by a step: nodes and clients.
fn losing(authority: &LabAuthority, step: CaStep) -> (u32, u32) {
    match &authority.change {
        Some(change) if matches!(step, CaStep::Switch | CaStep::End) => (change.behind_count, change.clients),
        _ => (0, 0),
    }
}

#[component]
pub fn LabCa(
    /// When client certificates may have changed.
    changed: Callback<()>,
) -> impl IntoView {
    let authority = load(|| async { api::call::<GetLabAuthority>((), &(), &()).await });
    ask_while_changing(authority);
    let asking = RwSignal::new(false);
    let step = RwSignal::new(CaStep::Begin);
    let change = Change::new();
    let ask = Callback::new(move |next: CaStep| {
        change.problem.set(None);
        step.set(next);
        asking.set(true);
    });
    let lost = move || {
        authority
            .state
            .with(|state| state.ready().map(|authority| losing(authority, step.get())))
            .unwrap_or_default()
    };
    let act = Callback::new(move |()| {
        let next = step.get_untracked();
        let body = CaStepBody {
            step: next,
            // What is lost was said in the question.
            force: untrack(lost) != (0, 0),
        };
        change.run(
            async move { api::call::<ChangeLabAuthority>((), &(), &body).await },
            move |new| {
                asking.try_set(false);
                toast(words(next).2.get_untracked().to_owned());
                authority.state.try_set(Loaded::Ready(new));
                changed.try_run(());
            },
        );
    });
    let text = Signal::derive(move || {
        let mut text = words(step.get()).1.get().to_owned();
        let (nodes, clients) = lost();
        for (count, more) in [(nodes, LOSING), (clients, LOSING_CLIENTS)] {
            if count > 0 {
                text.push(' ');
                text.push_str(more.get());
            }
        }
        text
    });
    let names = Signal::derive(move || {
        let loses = lost() != (0, 0);
        let names = authority.state.with(|state| {
            let change = state.ready().and_then(|authority| authority.change.as_ref())?;
            loses.then(|| change.behind.iter().map(|node| node.name.clone()).collect::<Vec<_>>())
        });
        names
            .filter(|names| !names.is_empty())
            .unwrap_or_else(|| vec![THE_LAB.get().to_owned()])
    });
    let verb = Signal::derive(move || words(step.get()).0.get().to_owned());
    let again = Callback::new(move |()| authority.again());
    // Drawn anew only when something is new: a button keeps its focus.
    let shown = Memo::new(move |_| authority.state.get());
    view! {
        <section class="card" data-test="lab-ca">
            {move || match shown.get() {
                Loaded::Loading => view! { <h2>{TITLE.t()}</h2><Skeleton lines=4/> }.into_any(),
                Loaded::Failed(problem) => {
                    view! { <h2>{TITLE.t()}</h2><ErrorBox problem=Signal::stored(problem) retry=again/> }.into_any()
                }
                Loaded::Ready(authority) => view! { <Known authority ask/> }.into_any(),
            }}
        </section>
        <Confirm
            open=asking
            title=verb
            text=text
            names=names
            label=verb
            danger=true
            busy=change.busy
            problem=change.problem
            act=act
        />
    }
}

/// Nodes take their time; the page shows how far they are.
fn ask_while_changing(authority: Load<LabAuthority>) {
    Effect::new(move |_| {
        let goes_on = authority
            .state
            .with(|state| state.ready().is_some_and(|authority| authority.change.is_some()));
        if goes_on {
            leptos::task::spawn_local(async move {
                browser::sleep(WHILE_CHANGING).await;
                authority.again();
            });
        }
    });
}

#[component]
fn Known(authority: LabAuthority, ask: Callback<CaStep>) -> impl IntoView {
    let LabAuthority {
        current,
        pem,
        server_ends,
        server_hosts,
        change,
    } = authority;
    let ends = current.ends;
    let is_quiet = change.is_none();
    let download = Callback::new(move |()| browser::download("edgedeck-ca.pem", "application/x-pem-file", &pem));
    view! {
        <div class="card-head">
            <h2>{TITLE.t()}</h2>
            <div class="button-row">
                <Button label=DOWNLOAD sign=Icon::Download press=download test="download-ca"/>
                <Show when=move || is_quiet>
                    <Button label=BEGIN press=Callback::new(move |()| ask.run(CaStep::Begin)) test="ca-begin"/>
                </Show>
            </div>
        </div>
        <p class="quiet-text">{TEXT.t()}</p>
        <dl class="facts">
            <dt>{SUBJECT.t()}</dt><dd>{current.subject}</dd>
            <dt>{FINGERPRINT.t()}</dt><dd class="mono">{current.fingerprint}</dd>
            <dt>{ENDS.t()}</dt><dd>{move || format!("{} · {}", format::day(ends), format::ago(ends))}</dd>
            <dt>{SERVER.t()}</dt><dd>{move || SERVER_TOLD.with(&[("at", &format::day(server_ends))])}</dd>
            <dt>{HOSTS.t()}</dt><dd>{server_hosts.join(", ")}</dd>
        </dl>
        {change.map(|change| view! { <Changing change ask/> })}
    }
}

/// A change that goes on, with its next steps.
#[component]
fn Changing(change: CaChanging, ask: Callback<CaStep>) -> impl IntoView {
    let CaChanging {
        stage,
        since,
        other,
        behind,
        behind_count,
        clients,
    } = change;
    let is_coming = stage == CaStage::Coming;
    let (title, text, nodes) = match stage {
        CaStage::Coming => (COMING, COMING_TEXT, NODES_COMING),
        CaStage::Former => (FORMER, FORMER_TEXT, NODES_FORMER),
    };
    let is_ready = behind_count == 0 && clients == 0;
    let step = if is_coming { CaStep::Switch } else { CaStep::End };
    let next_kind = if is_ready { Kind::Primary } else { Kind::Danger };
    let more = behind_count as usize > behind.len();
    let links = behind
        .into_iter()
        .map(|node| view! { <a href=format!("/nodes/{}", node.id)>{node.name}</a>" " })
        .collect_view();
    view! {
        <div class="authority">
            <div class="card-head">
                <h3>{title.t()}</h3>
                <div class="button-row">
                    <Show when=move || is_coming>
                        <Button label=CANCEL press=Callback::new(move |()| ask.run(CaStep::Cancel)) test="ca-cancel"/>
                    </Show>
                    <Button
                        label=words(step).0
                        kind=next_kind
                        press=Callback::new(move |()| ask.run(step))
                        test=if is_coming { "ca-switch" } else { "ca-end" }
                    />
                </div>
            </div>
            <p class="quiet-text">{text.t()}</p>
            <dl class="facts">
                <dt>{SUBJECT.t()}</dt><dd>{other.subject}</dd>
                <dt>{FINGERPRINT.t()}</dt><dd class="mono">{other.fingerprint}</dd>
                <dt>{SINCE.t()}</dt><dd>{move || format!("{} · {}", format::moment(since), format::ago(since))}</dd>
                <dt>{nodes.t()}</dt>
                <dd data-test="ca-behind">
                    {(behind_count == 0).then(|| NOBODY.t())}
                    {links}
                    {more.then_some(move || AND_MORE.with(&[("n", &format::count(behind_count as usize))]))}
                </dd>
                <Show when=move || !is_coming>
                    <dt>{CLIENTS.t()}</dt>
                    <dd>{move || if clients == 0 { NOBODY.get().to_owned() } else { format::count(clients as usize) }}</dd>
                </Show>
            </dl>
        </div>
    }
}
