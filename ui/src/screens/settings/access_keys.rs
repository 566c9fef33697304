//! Access keys, which programs sign their requests to the cloud APIs with.
//!
//! `data-test`: `new-access-key`, `access-keys-table`, `access-keys-row`, `revoke-access-key`; in the dialog `key-user`,
//! `key-project`, `key-description`, `save-access-key`, `key-access`, `key-secret`.

use super::delete_column;
use crate::{
    api,
    components::{
        Button, Choice, Column, Confirm, CopyBox, Dialog, EmptyState, ErrorBox, Field, Icon, Kind, Skeleton, SortKey,
        Table, toast,
    },
    format,
    frame::palette,
    load::{Loaded, load},
    screens::common::{Change, Refusal, description_error},
    texts,
    url::url_state,
};
use edgedeck_model::{
    access_key::AccessKey,
    api::{
        ById, CreateAccessKey, ListAccessKeys, ListProjects, ListUsers, NewAccessKey, NewAccessKeyBody, RevokeAccessKey,
    },
    project::Project,
    user::{Role, User},
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    KEYS: "访问密钥（AK/SK）", "Access keys (AK/SK)";
    KEYS_TEXT: "云接口的 SDK 和脚本用访问密钥对请求签名（SDK-HMAC-SHA256），以所属用户的角色访问所属项目。监听地址见“引擎状态”页的 cloud。", "SDKs and scripts of the cloud APIs sign their requests with an access key (SDK-HMAC-SHA256): they act in the user's role, in the key's project. Where they are served stands under Engine, as cloud.";
    NEW: "新建访问密钥", "New access key";
    KEY: "访问密钥（AK）", "Access key (AK)";
    SECRET: "私有密钥（SK）", "Secret key (SK)";
    USER: "用户", "User";
    PROJECT: "项目", "Project";
    DESCRIPTION: "描述", "Description";
    CREATED: "创建时间", "Made";
    SAVE: "创建", "Make";
    ONCE: "请立即复制私有密钥（SK），关闭后不再显示。", "Copy the secret key (SK) now: it is not shown again.";
    REVOKE: "吊销", "Revoke";
    REVOKE_NAME: "吊销访问密钥 {name}", "Revoke the access key {name}";
    REVOKE_TITLE: "吊销访问密钥 {name}？", "Revoke the access key {name}?";
    REVOKE_TEXT: "用它签名的请求会立即被拒绝。", "Requests that are signed with it are refused at once.";
    REVOKED: "已吊销访问密钥 {name}", "Revoked the access key {name}";
    EMPTY: "还没有访问密钥", "No access keys yet";
    EMPTY_TEXT: "为云接口的 SDK 或脚本创建一个。", "Make one for an SDK or a script of the cloud APIs.";
}

#[component]
pub fn AccessKeys() -> impl IntoView {
    let keys = load(|| async { api::call::<ListAccessKeys>((), &(), &()).await });
    let (creating, revoking) = (RwSignal::new(false), RwSignal::new(false));
    let victim = RwSignal::new(None::<Arc<AccessKey>>);
    let change = Change::new();
    let rows = keys.rows();
    let ask = move |key: Arc<AccessKey>| {
        change.problem.set(None);
        victim.set(Some(key));
        revoking.set(true);
    };
    let columns = vec![
        Column::new("key", KEY, 210, |key: &Arc<AccessKey>| key.key.clone()).sort(|key| SortKey::name(&key.key)),
        Column::new("user", USER, 120, |key: &Arc<AccessKey>| key.user_name.clone())
            .sort(|key| SortKey::name(&key.user_name)),
        Column::new("project", PROJECT, 140, |key: &Arc<AccessKey>| key.project_name.clone())
            .sort(|key| SortKey::name(&key.project_name)),
        Column::new("description", DESCRIPTION, 160, |key: &Arc<AccessKey>| {
            key.description.clone()
        })
        .share(2),
        Column::new("created", CREATED, 140, |key: &Arc<AccessKey>| {
            format::minute(key.created_at)
        })
        .sort(|key| SortKey::number(Some(key.created_at.0 as f64))),
        delete_column(
            REVOKE,
            "revoke-access-key",
            |key: &Arc<AccessKey>| REVOKE_NAME.with(&[("name", &key.key)]),
            |_| true,
            ask,
        ),
    ];
    let name = move || victim.with(|key| key.as_ref().map(|key| key.key.clone()).unwrap_or_default());
    let revoke = Callback::new(move |()| {
        let id = untrack(name);
        change.run(
            async move { api::call::<RevokeAccessKey>(ById { id }, &(), &()).await },
            move |()| {
                revoking.try_set(false);
                toast(REVOKED.with_untracked(&[("name", &untrack(name))]));
                keys.again();
            },
        );
    });
    palette::offer(NEW, Icon::Plus, Role::Admin, move || creating.set(true));
    let problem = Signal::derive(move || keys.state.with(|keys| keys.problem().cloned()));
    view! {
        <div class="card-head">
            <p class="quiet-text">{KEYS_TEXT.t()}</p>
            <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| creating.set(true)) test="new-access-key"/>
        </div>
        <Table
            name="access-keys"
            label=KEYS
            rows=rows
            columns=columns
            url=url_state()
            loading=Signal::derive(move || keys.state.with(|keys| *keys == Loaded::Loading))
            problem=problem
            retry=Callback::new(move |()| keys.again())
            empty=|| view! { <EmptyState sign=Icon::Join title=EMPTY text=EMPTY_TEXT/> }
        />
        <Dialog open=creating title=NEW test="new-access-key-dialog">
            <NewKey done=Callback::new(move |()| keys.again())/>
        </Dialog>
        <Confirm
            open=revoking
            title=Signal::derive(move || REVOKE_TITLE.with(&[("name", &name())]))
            text=REVOKE_TEXT
            names=Signal::derive(move || vec![name()])
            label=REVOKE
            danger=true
            busy=change.busy
            problem=change.problem
            act=revoke
        />
    }
}

/// Asks who there is first: a key belongs to a user and a project.
#[component]
fn NewKey(done: Callback<()>) -> impl IntoView {
    let made = RwSignal::new(None::<NewAccessKey>);
    let owners = load(|| async {
        let users = api::call::<ListUsers>((), &(), &()).await?;
        Ok((users, api::call::<ListProjects>((), &(), &()).await?))
    });
    move || {
        if let Some(made) = made.get() {
            return view! { <Once made/> }.into_any();
        }
        match owners.state.get() {
            Loaded::Loading => view! { <Skeleton lines=4/> }.into_any(),
            Loaded::Failed(problem) => {
                let again = Callback::new(move |()| owners.again());
                view! { <ErrorBox problem=Signal::stored(problem) retry=again/> }.into_any()
            }
            Loaded::Ready((users, projects)) => view! { <Form users projects made done/> }.into_any(),
        }
    }
}

#[component]
fn Once(made: NewAccessKey) -> impl IntoView {
    view! {
        <p class="note-box" role="status">{ONCE.t()}</p>
        <h3>{KEY.t()}</h3>
        <CopyBox text=Signal::stored(made.key.key) test="key-access"/>
        <h3>{SECRET.t()}</h3>
        <CopyBox text=Signal::stored(made.secret) test="key-secret"/>
    }
}

#[component]
fn Form(
    users: Vec<User>,
    projects: Vec<Project>,
    made: RwSignal<Option<NewAccessKey>>,
    done: Callback<()>,
) -> impl IntoView {
    let first = |id: Option<String>| RwSignal::new(id.unwrap_or_default());
    let user = first(users.first().map(|user| user.id.to_string()));
    let project = first(projects.first().map(|project| project.id.to_string()));
    let description = RwSignal::new(String::new());
    let change = Change::new();
    let people: Vec<_> = users.into_iter().map(|user| (user.id.to_string(), user.name)).collect();
    let places: Vec<_> = projects
        .into_iter()
        .map(|project| (project.id.to_string(), project.name))
        .collect();
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let chosen = (
            user.with_untracked(|id| id.parse()),
            project.with_untracked(|id| id.parse()),
        );
        let (Ok(user), Ok(project)) = chosen else { return };
        let body = NewAccessKeyBody {
            user,
            project,
            description: description.get_untracked().trim().to_owned(),
        };
        change.run(
            async move { api::call::<CreateAccessKey>((), &(), &body).await },
            move |key| {
                made.try_set(Some(key));
                done.try_run(());
            },
        );
    };
    let error = description_error(description);
    let unfit = Signal::derive(move || error.with(Option::is_some) || user.with(String::is_empty));
    view! {
        <form class="form" on:submit=save>
            <Choice label=USER value=user options=Signal::stored(people) test="key-user"/>
            <Choice label=PROJECT value=project options=Signal::stored(places) test="key-project"/>
            <Field label=DESCRIPTION value=description error=error test="key-description"/>
            <Refusal change=change/>
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-access-key"/>
            </footer>
        </form>
    }
}
