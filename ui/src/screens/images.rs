//! Where nodes get images from: the registry outside the lab.
//!
//! `data-test`: `registry-address`, `registry-account`, `registry-password`, `save-registry`, `delete-registry`,
//! `registry-told`.

use crate::{
    api,
    components::{Button, Confirm, ErrorBox, Field, Kind, Skeleton, toast},
    format,
    load::{Loaded, load},
    screens::common::{Change, Refusal},
    state::may,
    texts,
};
use edgedeck_model::{
    Problem,
    api::{DeleteRegistry, GetRegistry, RegistryBody, SetRegistry},
    image::{self, Registry},
    text,
    user::Role,
};
use leptos::prelude::*;

texts! {
    TITLE: "镜像", "Images";
    OUTSIDE: "外部镜像仓库", "Outside registry";
    OUTSIDE_TEXT: "节点从此仓库拉取镜像时使用该账户；仓库的 CA 在“证书”中导入。", "Nodes use this account when they pull images from this registry; import the registry's CA under Certificates.";
    ADDRESS: "地址", "Address";
    ADDRESS_HELP: "主机:端口，与镜像名的开头一致", "host:port, as the names of its images begin";
    ACCOUNT: "账户", "Account";
    PASSWORD: "密码", "Password";
    PASSWORD_KEPT: "地址不变时，留空则保留现有密码。", "Left empty, the present one is kept, unless the address changes.";
    SAVE: "保存", "Save";
    SAVED: "已保存，正在发送给各节点", "Saved; it is being sent to the nodes";
    DELETE: "删除", "Delete";
    DELETE_TITLE: "删除镜像仓库 {name}？", "Delete the image registry {name}?";
    DELETE_TEXT: "节点不再持有其账户，将无法从中拉取新的镜像；运行中的容器不受影响。", "Nodes lose its account and can pull no more images from it; running containers go on.";
    DELETED: "已删除镜像仓库", "Deleted the image registry";
    NONE: "未设置。镜像须无需账户即可拉取，或已在节点上。", "Not set. Images must be free to pull, or on the nodes already.";
    CHANGED: "{at} 修改", "Changed {at}";
}

#[component]
pub fn Images() -> impl IntoView {
    let registry = load(|| async { api::call::<GetRegistry>((), &(), &()).await });
    let again = Callback::new(move |()| registry.again());
    view! {
        <div class="screen">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <section class="card">
                <h2>{OUTSIDE.t()}</h2>
                <p class="quiet-text">{OUTSIDE_TEXT.t()}</p>
                {move || match registry.state.get() {
                    Loaded::Loading => view! { <Skeleton lines=4/> }.into_any(),
                    Loaded::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem) retry=again/> }.into_any(),
                    Loaded::Ready(registry) if may(Role::Admin) => view! { <Edit registry again/> }.into_any(),
                    Loaded::Ready(registry) => told(registry).into_any(),
                }}
            </section>
        </div>
    }
}

fn told(registry: Option<Registry>) -> impl IntoView {
    match registry {
        None => view! { <p class="quiet-text" data-test="registry-told">{NONE.t()}</p> }.into_any(),
        Some(registry) => {
            let at = registry.changed_at;
            view! {
                <dl class="facts" data-test="registry-told">
                    <dt>{ADDRESS.t()}</dt><dd class="mono">{registry.address}</dd>
                    <dt>{ACCOUNT.t()}</dt><dd>{registry.account}</dd>
                </dl>
                <p class="quiet-text">{move || CHANGED.with(&[("at", &format::moment(at))])}</p>
            }
            .into_any()
        }
    }
}

/// What a rule says against a field's text.
fn error(value: RwSignal<String>, check: fn(&str) -> Result<(), Problem>) -> Signal<Option<String>> {
    Signal::derive(move || {
        let problem = value.with(|value| check(value.trim())).err()?;
        Some(text::refusal(problem.fact("reason"), crate::i18n::lang()).to_owned())
    })
}

#[component]
fn Edit(registry: Option<Registry>, again: Callback<()>) -> impl IntoView {
    let is_set = registry.is_some();
    let known = registry.clone();
    let address = RwSignal::new(known.as_ref().map(|known| known.address.clone()).unwrap_or_default());
    let account = RwSignal::new(known.map(|known| known.account).unwrap_or_default());
    let password = RwSignal::new(String::new());
    let (change, removal) = (Change::new(), Change::new());
    let deleting = RwSignal::new(false);
    let (wrong_address, wrong_account) = (
        error(address, image::check_address),
        error(account, image::check_account),
    );
    let given = error(password, image::check_password);
    let wrong_password = Signal::derive(move || match is_set && password.with(String::is_empty) {
        true => None,
        false => given.get(),
    });
    let unfit = Signal::derive(move || {
        [wrong_address, wrong_account, wrong_password]
            .iter()
            .any(|wrong| wrong.with(Option::is_some))
    });
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let password = password.get_untracked();
        let body = RegistryBody {
            address: address.get_untracked().trim().to_owned(),
            account: account.get_untracked().trim().to_owned(),
            password: (!password.is_empty()).then_some(password),
        };
        change.run(
            async move { api::call::<SetRegistry>((), &(), &body).await },
            move |_| {
                toast(SAVED.get_untracked().to_owned());
                again.run(());
            },
        );
    };
    let delete = Callback::new(move |()| {
        removal.run(
            async move { api::call::<DeleteRegistry>((), &(), &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED.get_untracked().to_owned());
                again.run(());
            },
        );
    });
    let name = registry
        .as_ref()
        .map(|registry| registry.address.clone())
        .unwrap_or_default();
    let title = name.clone();
    view! {
        {told(registry)}
        <form class="form" on:submit=save>
            <Field label=ADDRESS value=address error=wrong_address help=ADDRESS_HELP required=true test="registry-address"/>
            <Field label=ACCOUNT value=account error=wrong_account required=true test="registry-account"/>
            <Field
                label=PASSWORD
                value=password
                kind="password"
                autocomplete="new-password"
                error=wrong_password
                help=Signal::derive(move || if is_set { PASSWORD_KEPT.get().to_owned() } else { String::new() })
                test="registry-password"
            />
            <Refusal change=change/>
            <div class="button-row">
                <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-registry"/>
                <Show when=move || is_set>
                    <Button label=DELETE kind=Kind::Danger press=Callback::new(move |()| deleting.set(true)) test="delete-registry"/>
                </Show>
            </div>
        </form>
        <Confirm
            open=deleting
            title=Signal::derive(move || DELETE_TITLE.with(&[("name", &title)]))
            text=DELETE_TEXT
            names=Signal::stored(vec![name])
            label=DELETE
            danger=true
            busy=removal.busy
            problem=removal.problem
            act=delete
        />
    }
}
