//! People and their roles.
//!
//! `data-test`: `new-user`, `users-table`, `users-row`, `delete-user`; in the dialog `user-name`, `user-password`,
//! `user-role`, `save-user`.

use super::{NotAllowed, delete_column, role_key, role_of, roles};
use crate::{
    api,
    components::{
        Button, Choice, Column, Confirm, Dialog, EmptyState, Field, Icon, Kind, SortKey, Table, field, toast,
    },
    format,
    frame::palette,
    i18n::lang,
    load::{Loaded, load},
    screens::common::{Change, Refusal, is_name, name_error},
    state::{may, ui},
    texts,
    url::url_state,
};
use edgedeck_model::{
    api::{ById, CreateUser, DeleteUser, ListUsers, NewUserBody},
    name::check_password,
    text,
    user::{Role, User},
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    TITLE: "用户", "Users";
    NEW: "新建用户", "New user";
    NAME: "用户名", "Name";
    ROLE: "角色", "Role";
    ROLE_HELP: "只读用户可查看一切；操作员可管理节点、应用和部署；管理员还可管理用户、令牌和设置。", "Viewers see everything; operators also run nodes, apps and deployments; administrators also users, tokens and settings.";
    PASSWORD: "初始密码", "First password";
    PASSWORD_HELP: "至少 8 个字符；用户可在登录后自行修改。", "At least 8 characters; the user can change it after signing in.";
    CREATED: "创建时间", "Made";
    LOGIN: "上次登录", "Last sign-in";
    SAVE: "创建用户", "Make the user";
    DONE: "已创建用户 {name}", "Made the user {name}";
    DELETE: "删除", "Delete";
    DELETE_NAME: "删除用户 {name}", "Delete the user {name}";
    DELETE_TITLE: "删除用户 {name}？", "Delete the user {name}?";
    DELETE_TEXT: "该用户的所有会话会立即结束。审计记录保留。", "All sessions of the user end at once. The audit log stays.";
    DELETED: "已删除用户 {name}", "Deleted the user {name}";
    YOU: "（您）", " (you)";
    EMPTY: "没有用户", "No users";
    EMPTY_TEXT: "桌面窗口不需要登录；要从浏览器访问，请创建用户。", "The desktop window needs no sign-in; to use a browser, make a user.";
}

#[component]
pub fn Users() -> impl IntoView {
    view! { <Show when=|| may(Role::Admin) fallback=NotAllowed><List/></Show> }
}

#[component]
fn List() -> impl IntoView {
    let users = load(|| async { api::call::<ListUsers>((), &(), &()).await });
    let (creating, deleting) = (RwSignal::new(false), RwSignal::new(false));
    let victim = RwSignal::new(None::<Arc<User>>);
    let change = Change::new();
    let rows = users.rows();
    let is_me = |user: &User| {
        ui().me
            .with(|me| me.as_ref().is_some_and(|me| !me.window && me.name == user.name))
    };
    let ask = move |user: Arc<User>| {
        change.problem.set(None);
        victim.set(Some(user));
        deleting.set(true);
    };
    let columns = vec![
        Column::new("name", NAME, 180, move |user: &Arc<User>| {
            if is_me(user) {
                format!("{}{}", user.name, YOU.get())
            } else {
                user.name.clone()
            }
        })
        .sort(|user| SortKey::name(&user.name))
        .share(2),
        Column::new("role", ROLE, 120, |user: &Arc<User>| {
            text::role(user.role, lang()).to_owned()
        })
        .sort(|user| SortKey::number(Some(user.role as u8))),
        Column::new("login", LOGIN, 140, |user: &Arc<User>| {
            format::ago_or_never(user.last_login)
        })
        .sort(|user| SortKey::number(user.last_login.map(|at| at.0 as f64))),
        Column::new("created", CREATED, 140, |user: &Arc<User>| {
            format::minute(user.created_at)
        })
        .sort(|user| SortKey::number(Some(user.created_at.0 as f64))),
        delete_column(
            DELETE,
            "delete-user",
            |user: &Arc<User>| DELETE_NAME.with(&[("name", &user.name)]),
            |_| true,
            ask,
        ),
    ];
    let name = move || victim.with(|user| user.as_ref().map(|user| user.name.clone()).unwrap_or_default());
    let delete = Callback::new(move |()| {
        let Some(user) = victim.get_untracked() else { return };
        change.run(
            async move { api::call::<DeleteUser>(ById { id: user.id }, &(), &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED.with_untracked(&[("name", &untrack(name))]));
                users.again();
            },
        );
    });
    palette::offer(NEW, Icon::Plus, Role::Admin, move || creating.set(true));
    let problem = Signal::derive(move || users.state.with(|users| users.problem().cloned()));
    view! {
        <div class="screen fill">
            <header class="screen-head">
                <h1>{TITLE.t()}</h1>
                <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| creating.set(true)) test="new-user"/>
            </header>
            <Table
                name="users"
                label=TITLE
                rows=rows
                columns=columns
                url=url_state()
                loading=Signal::derive(move || users.state.with(|users| *users == Loaded::Loading))
                problem=problem
                retry=Callback::new(move |()| users.again())
                empty=|| view! { <EmptyState sign=Icon::Users title=EMPTY text=EMPTY_TEXT/> }
            />
            <Dialog open=creating title=NEW test="new-user-dialog">
                <NewUser open=creating done=Callback::new(move |()| users.again())/>
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
        </div>
    }
}

#[component]
fn NewUser(open: RwSignal<bool>, done: Callback<()>) -> impl IntoView {
    let (name, password) = (RwSignal::new(String::new()), RwSignal::new(String::new()));
    let role = RwSignal::new(role_key(Role::Operator).to_owned());
    let change = Change::new();
    let password_error = Signal::derive(move || {
        let refused = password.with(|password| {
            if password.is_empty() {
                None
            } else {
                check_password(password).err()
            }
        })?;
        field::error_of(&refused, "password", lang())
    });
    let unfit = Signal::derive(move || {
        !name.with(|name| is_name(name)) || password.with(|password| check_password(password).is_err())
    });
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = NewUserBody {
            name: name.get_untracked().trim().to_owned(),
            password: password.get_untracked(),
            role: role.with_untracked(|role| role_of(role)),
        };
        change.run(
            async move { api::call::<CreateUser>((), &(), &body).await },
            move |user| {
                open.try_set(false);
                toast(DONE.with_untracked(&[("name", &user.name)]));
                done.try_run(());
            },
        );
    };
    view! {
        <form class="form" on:submit=save>
            <Field label=NAME value=name error=name_error(name) focus=true required=true test="user-name"/>
            <Field
                label=PASSWORD
                value=password
                kind="password"
                autocomplete="new-password"
                error=password_error
                help=PASSWORD_HELP
                test="user-password"
            />
            <Choice label=ROLE value=role options=Signal::derive(roles) test="user-role"/>
            <p class="field-note">{ROLE_HELP.t()}</p>
            <Refusal change=change/>
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-user"/>
            </footer>
        </form>
    }
}
