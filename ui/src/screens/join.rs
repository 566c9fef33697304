//! Joining nodes: a token, the one command to paste on a box, the CA's fingerprint, and the nodes as they join.
//!
//! `data-test`: `kind-single`, `kind-lab`, `make-token`, `join-command`, `join-address`, `ca-hash`, `token-expiry`,
//! `tokens`, `token` (with `data-id`), `revoke`, `join-here`, and those of the list of waiting nodes.

use crate::{
    api,
    components::{Button, Choice, Confirm, CopyBox, ErrorBox, Icon, Kind, Skeleton, toast},
    format,
    i18n::Text,
    load::{Load, Loaded, load},
    screens::nodes::{
        actions::{Doing, NodeActions},
        waiting::Waiting,
    },
    state::may,
    texts,
};
use edgedeck_model::{
    JoinTokenId, Problem,
    api::{ById, CreateJoinToken, GetStatus, JoinHere, ListJoinTokens, NewJoinTokenBody, RevokeJoinToken, Status},
    join::{JoinTokenKind, NewJoinToken},
    user::Role,
};
use leptos::prelude::*;

texts! {
    TITLE: "加入节点", "Join a node";
    STEP_TOKEN: "1. 生成令牌", "1. Make a token";
    STEP_RUN: "2. 在设备上以 root 运行这条命令", "2. Run this on the box, as root";
    STEP_WAIT: "3. 设备加入后在此纳管", "3. The box appears here; manage it";
    SINGLE: "一台设备", "For one box";
    SINGLE_TEXT: "只能使用一次，24 小时内有效。", "Works once, within 24 hours.";
    LAB: "多台设备", "For many boxes";
    LAB_TEXT: "7 天内可用于任意多台设备；新的令牌会使旧的失效。", "Works for any number of boxes for 7 days; a new one ends the old.";
    MAKE: "生成加入命令", "Make the join command";
    ANOTHER: "再生成一个", "Make another";
    KIND: "令牌类型", "Kind of token";
    ADDRESS: "引擎地址", "Address of the engine";
    ONCE: "命令中含有令牌，只显示这一次。", "The command holds the token; it is shown this once.";
    EXPIRES: "有效期至 {time}（{ago}）", "Valid until {time} ({ago})";
    CA: "CA 证书指纹（SHA-256）", "Fingerprint of the CA (SHA-256)";
    CA_TEXT: "命令中已固定此指纹：设备只会信任这个实验室。", "The command pins it: the box trusts this lab only.";
    WAITING: "正在等待设备加入…加入的设备会立即出现在这里，无需刷新。", "Waiting for boxes… they appear here as they join; no need to reload.";
    TOKENS: "有效的令牌", "Tokens in force";
    NO_TOKENS: "没有有效的令牌。", "There is no token in force.";
    TOKEN_KIND: "类型", "Kind";
    CREATED: "创建时间", "Made";
    EXPIRY: "有效期", "Ends";
    USES: "已加入节点", "Nodes joined";
    REVOKE: "吊销", "Revoke";
    REVOKE_TITLE: "吊销令牌", "Revoke a token";
    REVOKE_TEXT: "尚未加入的设备将不能再使用此令牌；已加入的节点不受影响。", "Boxes that have not joined can no longer use it; nodes that have are not touched.";
    REVOKED: "令牌已吊销。", "The token is revoked.";
    HERE: "将本机加入", "Join this machine";
    HERE_TEXT: "运行引擎的这台机器也可以作为节点。", "The machine that runs the engine can be a node, too.";
    HERE_DONE: "本机正在加入。", "This machine is joining.";
    NO_COMMAND: "引擎没有可用的地址，请在设置中填写。", "The engine knows no address of its own; give one in the settings.";
}

fn kind_word(kind: JoinTokenKind) -> Text {
    match kind {
        JoinTokenKind::Lab => LAB,
        JoinTokenKind::Single => SINGLE,
    }
}

#[component]
pub fn Join() -> impl IntoView {
    let made = RwSignal::new(None::<NewJoinToken>);
    let tokens = load(|| api::call::<ListJoinTokens>((), &(), &()));
    let doing = RwSignal::new(None::<Doing>);
    // A node that joins may have used a token up.
    Effect::new(move |before: Option<()>| {
        crate::store::store().nodes.track();
        if before.is_some() && made.with_untracked(Option::is_some) {
            tokens.again();
        }
    });
    view! {
        <div class="screen">
            <header class="screen-head"><h1>{TITLE.t()}</h1><JoinHereButton/></header>
            <Waiting doing=doing/>
            <NodeActions doing=doing done=Callback::new(|()| {})/>
            <section class="card">
                <h2>{STEP_TOKEN.t()}</h2>
                <MakeToken made=made done=Callback::new(move |()| tokens.again())/>
            </section>
            {move || made.get().map(|made| view! { <Command made=made/> })}
            <TokenList tokens=tokens/>
        </div>
    }
}

/// Whether who looks may join the engine's own machine, and it can.
pub fn can_join_here(status: Load<Status>) -> bool {
    let is_possible = |status: &Loaded<Status>| status.ready().is_some_and(|status| status.can_join_here);
    may(Role::Admin) && status.state.with(is_possible)
}

/// Joins the engine's own machine; there while that is not a node.
#[component]
fn JoinHereButton() -> impl IntoView {
    let status = load(|| {
        crate::store::store().nodes.track();
        api::call::<GetStatus>((), &(), &())
    });
    let busy = RwSignal::new(false);
    let press = Callback::new(move |()| {
        busy.set(true);
        leptos::task::spawn_local(async move {
            match api::call::<JoinHere>((), &(), &()).await {
                Ok(()) => toast(HERE_DONE.get_untracked()),
                Err(problem) => crate::components::toast_problem(&problem),
            }
            busy.try_set(false);
            status.again();
        });
    });
    view! {
        <Show when=move || can_join_here(status)>
            <Button label=HERE hint=HERE_TEXT sign=Icon::Plus busy=busy press=press test="join-here"/>
        </Show>
    }
}

#[component]
fn MakeToken(made: RwSignal<Option<NewJoinToken>>, done: Callback<()>) -> impl IntoView {
    let kind = RwSignal::new(JoinTokenKind::Single);
    let (busy, problem) = (RwSignal::new(false), RwSignal::new(None::<Problem>));
    let make = Callback::new(move |()| {
        busy.set(true);
        problem.set(None);
        leptos::task::spawn_local(async move {
            let body = NewJoinTokenBody {
                kind: kind.get_untracked(),
            };
            match api::call::<CreateJoinToken>((), &(), &body).await {
                Ok(token) => {
                    made.try_set(Some(token));
                    done.try_run(());
                }
                Err(refused) => _ = problem.try_set(Some(refused)),
            }
            busy.try_set(false);
        });
    });
    let one = move |this: JoinTokenKind, text: Text, test: &'static str| {
        view! {
            <label class="option" class:chosen=move || kind.get() == this>
                <input
                    type="radio"
                    name="token-kind"
                    data-test=test
                    prop:checked=move || kind.get() == this
                    on:change=move |_| kind.set(this)
                />
                <span class="option-title">{kind_word(this).t()}</span>
                <span class="quiet-text">{text.t()}</span>
            </label>
        }
    };
    let label = Signal::derive(move || if made.with(Option::is_some) { ANOTHER } else { MAKE }.get().to_owned());
    view! {
        <fieldset class="options">
            <legend class="off-screen">{KIND.t()}</legend>
            {one(JoinTokenKind::Single, SINGLE_TEXT, "kind-single")} {one(JoinTokenKind::Lab, LAB_TEXT, "kind-lab")}
        </fieldset>
        {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
        <div><Button label=label kind=Kind::Primary busy=busy press=make test="make-token"/></div>
    }
}

/// What to run on the box, and what happens then.
#[component]
fn Command(made: NewJoinToken) -> impl IntoView {
    let NewJoinToken {
        token,
        ca_hash,
        commands,
        ..
    } = made;
    let chosen = RwSignal::new("0".to_owned());
    let options: Vec<(String, String)> = commands
        .iter()
        .enumerate()
        .map(|(at, command)| (at.to_string(), address_in(command)))
        .collect();
    let has_many = options.len() > 1;
    let has_none = commands.is_empty();
    let command = Signal::derive(move || {
        let at: usize = chosen.with(|at| at.parse().unwrap_or(0));
        commands.get(at).cloned().unwrap_or_default()
    });
    let expires = token.expires_at;
    view! {
        <section class="card">
            <h2>{STEP_RUN.t()}</h2>
            {has_many.then(|| view! { <Choice label=ADDRESS value=chosen options=Signal::stored(options) test="join-address"/> })}
            {if has_none {
                view! { <p role="alert">{NO_COMMAND.t()}</p> }.into_any()
            } else {
                view! { <CopyBox text=command test="join-command"/> }.into_any()
            }}
            <p class="quiet-text" data-test="token-expiry">
                {ONCE.t()} " "
                {move || EXPIRES.with(&[("time", &format::minute(expires)), ("ago", &format::ago(expires))])}
            </p>
            <details>
                <summary>{CA.t()}</summary>
                <CopyBox text=Signal::stored(ca_hash) test="ca-hash"/>
                <p class="quiet-text">{CA_TEXT.t()}</p>
            </details>
        </section>
        <section class="card">
            <h2>{STEP_WAIT.t()}</h2>
            <p class="quiet-text" role="status">{WAITING.t()}</p>
        </section>
    }
}

/// The engine's address in a join command, for choosing between several; the command itself where none is found.
fn address_in(command: &str) -> String {
    let found = command
        .split(['\'', '"', ' '])
        .find_map(|word| word.split_once("://").map(|(_, rest)| rest));
    let found = found
        .and_then(|rest| rest.split('/').next())
        .filter(|host| !host.is_empty());
    found.map_or_else(|| command.chars().take(60).collect(), str::to_owned)
}

#[component]
fn TokenList(tokens: crate::load::Load<Vec<edgedeck_model::join::JoinToken>>) -> impl IntoView {
    let (asking, busy, problem) = (
        RwSignal::new(false),
        RwSignal::new(false),
        RwSignal::new(None::<Problem>),
    );
    let target = RwSignal::new(None::<(JoinTokenId, String)>);
    let names = Signal::derive(move || target.get().map(|(_, name)| name).into_iter().collect::<Vec<_>>());
    let revoke = Callback::new(move |()| {
        let Some((id, _)) = target.get_untracked() else { return };
        busy.set(true);
        leptos::task::spawn_local(async move {
            match api::call::<RevokeJoinToken>(ById { id }, &(), &()).await {
                Ok(()) => {
                    asking.try_set(false);
                    toast(REVOKED.get_untracked());
                    tokens.again();
                }
                Err(refused) => _ = problem.try_set(Some(refused)),
            }
            busy.try_set(false);
        });
    });
    let rows = move |list: Vec<edgedeck_model::join::JoinToken>| {
        list.into_iter()
            .map(|token| {
                let word = kind_word(token.kind);
                let ask = Callback::new(move |()| {
                    let made = untrack(|| format::minute(token.created_at));
                    problem.set(None);
                    target.set(Some((token.id, format!("{} ({made})", word.get_untracked()))));
                    asking.set(true);
                });
                view! {
                    <tr data-test="token" data-id=token.id.to_string()>
                        <td>{word.t()}</td>
                        <td>{move || format::minute(token.created_at)}</td>
                        <td>{move || format!("{} ({})", format::minute(token.expires_at), format::ago(token.expires_at))}</td>
                        <td class="number">{token.uses}</td>
                        <td class="number"><Button label=REVOKE kind=Kind::Quiet press=ask test="revoke"/></td>
                    </tr>
                }
            })
            .collect_view()
    };
    let body = move || match tokens.state.get() {
        Loaded::Loading => view! { <Skeleton lines=2/> }.into_any(),
        Loaded::Failed(problem) => {
            view! { <ErrorBox problem=Signal::stored(problem) retry=Callback::new(move |()| tokens.again())/> }
                .into_any()
        }
        Loaded::Ready(list) if list.is_empty() => view! { <p class="quiet-text">{NO_TOKENS.t()}</p> }.into_any(),
        Loaded::Ready(list) => view! {
            <table class="plain-table" data-test="tokens">
                <thead>
                    <tr>
                        <th>{TOKEN_KIND.t()}</th>
                        <th>{CREATED.t()}</th>
                        <th>{EXPIRY.t()}</th>
                        <th class="number">{USES.t()}</th>
                        <th></th>
                    </tr>
                </thead>
                <tbody>{rows(list)}</tbody>
            </table>
        }
        .into_any(),
    };
    view! {
        <section class="card">
            <h2>{TOKENS.t()}</h2>
            {body}
            <Confirm open=asking title=REVOKE_TITLE text=REVOKE_TEXT names=names label=REVOKE danger=true busy=busy problem=problem act=revoke/>
        </section>
    }
}

#[cfg(test)]
mod addresses {
    use super::address_in;

    #[test]
    fn are_found_in_commands() {
        let command = "curl -fsSk --pinnedpubkey 'sha256//AbC=' https://10.1.2.3:8444/join.sh | sh -s -- --token x";
        assert_eq!(address_in(command), "10.1.2.3:8444");
        assert_eq!(
            address_in("sh -c 'curl \"https://lab.local:8444/join\"'"),
            "lab.local:8444"
        );
        assert_eq!(address_in("edgedeck-agent join"), "edgedeck-agent join");
    }
}
