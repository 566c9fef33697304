//! Credentials for programs: tokens for the console's API, access keys for the cloud APIs, and the projects of these.
//!
//! `data-test`: `new-token`, `tokens-table`, `tokens-row`, `delete-token`, `token-name`, `token-role`, `token-days`,
//! `save-token`, `token-secret`.

use super::{NotAllowed, access_keys::AccessKeys, delete_column, projects::Projects, role_key, role_of, roles};
use crate::{
    api,
    components::{
        Button, Choice, Column, Confirm, CopyBox, Dialog, EmptyState, Field, Icon, Kind, SortKey, Table, Tabs, toast,
    },
    format,
    frame::palette,
    i18n::lang,
    load::{Loaded, load},
    screens::common::{Change, Refusal, is_name, name_error},
    state::may,
    texts,
    url::url_state,
};
use edgedeck_model::{
    api::{ById, CreateApiToken, DeleteApiToken, ListApiTokens, NewApiTokenBody},
    text,
    user::{ApiToken, Role},
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    TITLE: "接口凭据", "API access";
    TOKENS: "API 令牌", "API tokens";
    KEYS: "访问密钥（AK/SK）", "Access keys (AK/SK)";
    PROJECTS: "项目", "Projects";
    TOKENS_TEXT: "脚本以 Authorization: Bearer <令牌> 调用控制台 API。", "Scripts call the console's API with Authorization: Bearer <token>.";
    NEW: "新建令牌", "New token";
    NAME: "名称", "Name";
    ROLE: "角色", "Role";
    DAYS: "有效期", "Good for";
    MONTH: "30 天", "30 days";
    QUARTER: "90 天", "90 days";
    YEAR: "1 年", "1 year";
    EVER: "永不过期", "Ever";
    SAVE: "创建", "Make";
    CREATED: "创建时间", "Made";
    ENDS: "到期时间", "Ends";
    NEVER: "永不", "never";
    SECRET: "请立即复制，关闭后不再显示。", "Copy it now: it is not shown again.";
    DELETE: "吊销", "Revoke";
    DELETE_NAME: "吊销令牌 {name}", "Revoke the token {name}";
    DELETE_TITLE: "吊销令牌 {name}？", "Revoke the token {name}?";
    DELETE_TEXT: "使用它的脚本会立即被拒绝。", "Scripts that use it are refused at once.";
    DELETED: "已吊销令牌 {name}", "Revoked the token {name}";
    EMPTY: "还没有令牌", "No tokens yet";
    EMPTY_TEXT: "令牌让脚本和其他程序在给定角色下访问本实验室。", "A token lets scripts and other programs use this lab in a given role.";
}

#[component]
pub fn Access() -> impl IntoView {
    view! { <Show when=|| may(Role::Admin) fallback=NotAllowed><Body/></Show> }
}

#[component]
fn Body() -> impl IntoView {
    let face = RwSignal::new("tokens".to_owned());
    let faces = Signal::derive(|| {
        [("tokens", TOKENS), ("access-keys", KEYS), ("projects", PROJECTS)]
            .map(|(key, text)| (key.to_owned(), text.get().to_owned()))
            .to_vec()
    });
    let shown = move || {
        face.with(|face| match face.as_str() {
            "access-keys" => view! { <AccessKeys/> }.into_any(),
            "projects" => view! { <Projects/> }.into_any(),
            _ => view! { <Tokens/> }.into_any(),
        })
    };
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <Tabs value=face tabs=faces label=TITLE test="access-tabs"/>
            {shown}
        </div>
    }
}

#[component]
fn Tokens() -> impl IntoView {
    let tokens = load(|| async { api::call::<ListApiTokens>((), &(), &()).await });
    let (creating, deleting) = (RwSignal::new(false), RwSignal::new(false));
    let victim = RwSignal::new(None::<Arc<ApiToken>>);
    let change = Change::new();
    let rows = tokens.rows();
    let ask = move |token: Arc<ApiToken>| {
        change.problem.set(None);
        victim.set(Some(token));
        deleting.set(true);
    };
    let columns = vec![
        Column::new("name", NAME, 180, |token: &Arc<ApiToken>| token.name.clone())
            .sort(|token| SortKey::name(&token.name))
            .share(2),
        Column::new("role", ROLE, 120, |token: &Arc<ApiToken>| {
            text::role(token.role, lang()).to_owned()
        }),
        Column::new("created", CREATED, 140, |token: &Arc<ApiToken>| {
            format::minute(token.created_at)
        })
        .sort(|token| SortKey::number(Some(token.created_at.0 as f64))),
        Column::new("ends", ENDS, 140, |token: &Arc<ApiToken>| {
            token.expires_at.map_or_else(|| NEVER.get().to_owned(), format::ago)
        })
        .sort(|token| SortKey::number(token.expires_at.map(|at| at.0 as f64))),
        delete_column(
            DELETE,
            "delete-token",
            |token: &Arc<ApiToken>| DELETE_NAME.with(&[("name", &token.name)]),
            |_| true,
            ask,
        ),
    ];
    let name = move || victim.with(|token| token.as_ref().map(|token| token.name.clone()).unwrap_or_default());
    let delete = Callback::new(move |()| {
        let Some(token) = victim.get_untracked() else { return };
        change.run(
            async move { api::call::<DeleteApiToken>(ById { id: token.id }, &(), &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED.with_untracked(&[("name", &untrack(name))]));
                tokens.again();
            },
        );
    });
    palette::offer(NEW, Icon::Plus, Role::Admin, move || creating.set(true));
    let problem = Signal::derive(move || tokens.state.with(|tokens| tokens.problem().cloned()));
    view! {
        <div class="card-head">
            <p class="quiet-text">{TOKENS_TEXT.t()}</p>
            <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| creating.set(true)) test="new-token"/>
        </div>
        <Table
            name="tokens"
            label=TOKENS
            rows=rows
            columns=columns
            url=url_state()
            loading=Signal::derive(move || tokens.state.with(|tokens| *tokens == Loaded::Loading))
            problem=problem
            retry=Callback::new(move |()| tokens.again())
            empty=|| view! { <EmptyState sign=Icon::Join title=EMPTY text=EMPTY_TEXT/> }
        />
        <Dialog open=creating title=NEW test="new-token-dialog">
            <NewToken done=Callback::new(move |()| tokens.again())/>
        </Dialog>
        <Confirm
            open=deleting
            title=Signal::derive(move || DELETE_TITLE.with(&[("name", &name())]))
            text=DELETE_TEXT
            names=Signal::derive(move || vec![name()])
            label=DELETE
            danger=true
            busy=change.busy
            problem=change.problem
            act=delete
        />
    }
}

#[component]
fn NewToken(done: Callback<()>) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let role = RwSignal::new(role_key(Role::Viewer).to_owned());
    let days = RwSignal::new("90".to_owned());
    let secret = RwSignal::new(None::<String>);
    let change = Change::new();
    let choices = Signal::derive(|| {
        [("30", MONTH), ("90", QUARTER), ("365", YEAR), ("", EVER)]
            .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
            .to_vec()
    });
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = NewApiTokenBody {
            name: name.get_untracked().trim().to_owned(),
            role: role.with_untracked(|role| role_of(role)),
            days: days.with_untracked(|days| days.parse().ok()),
        };
        change.run(
            async move { api::call::<CreateApiToken>((), &(), &body).await },
            move |made| {
                secret.try_set(Some(made.secret));
                done.try_run(());
            },
        );
    };
    let unfit = Signal::derive(move || !name.with(|name| is_name(name)));
    move || {
        match secret.get() {
        Some(secret) => view! {
            <p class="note-box" role="status">{SECRET.t()}</p>
            <CopyBox text=Signal::stored(secret) test="token-secret"/>
        }
        .into_any(),
        None => view! {
            <form class="form" on:submit=save>
                <Field label=NAME value=name error=name_error(name) focus=true required=true test="token-name"/>
                <Choice label=ROLE value=role options=Signal::derive(roles) test="token-role"/>
                <Choice label=DAYS value=days options=choices test="token-days"/>
                <Refusal change=change/>
                <footer class="dialog-foot">
                    <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-token"/>
                </footer>
            </form>
        }
        .into_any(),
    }
    }
}
