//! Where nodes get images from: the lab's own registry, and the one outside the lab.
//!
//! `data-test`: `images-table`, `images-row`, `add-images`, `delete-image`; of the registry outside `registry-address`, `registry-account`, `registry-password`, `save-registry`, `delete-registry`,
//! `registry-told`.

use crate::{
    api,
    components::{
        Button, Column, Confirm, EmptyState, ErrorBox, Field, Icon, Kind, Skeleton, SortKey, Table, Tabs, Upload, toast,
    },
    format,
    load::{Loaded, load},
    screens::{
        common::{Change, Refusal},
        settings::delete_column,
    },
    state::may,
    texts,
    url::url_state,
};
use edgedeck_model::{
    Problem,
    api::{DeleteImage, DeleteRegistry, GetRegistry, IMAGES_UPLOAD, ImageQuery, ListImages, RegistryBody, SetRegistry},
    image::{self, LabImage, Registry},
    text,
    user::Role,
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    TITLE: "镜像", "Images";
    OWN: "实验室镜像", "The lab's images";
    OWN_TEXT: "用 docker 或 podman 推送到 {address}（用户名与密码同控制台，或以 API 令牌作密码），或上传 docker save 归档。纳管的节点可直接拉取。", "Push to {address} with docker or podman, with a name and password of this console or an API token as the password; or upload an archive made by docker save. Managed nodes pull from here by themselves.";
    NOT_SERVED: "镜像仓库没有监听。", "The registry does not listen.";
    IMAGE: "镜像", "Image";
    PLATFORMS: "平台", "Platforms";
    SIZE: "大小", "Size";
    PUSHED: "推送时间", "Pushed";
    BY: "推送人", "By";
    TAKES: "共占用 {bytes}", "{bytes} on the disk in all";
    ADD: "上传镜像归档（docker save 生成的 .tar 或 .tar.gz）", "Upload an archive of images (.tar or .tar.gz, made by docker save)";
    ADDED: "已导入 {names}", "Added {names}";
    DELETE_IMAGE: "删除", "Delete";
    DELETE_NAME: "删除 {name}", "Delete {name}";
    DELETE_IMAGE_TITLE: "删除镜像 {name}？", "Delete the image {name}?";
    DELETE_IMAGE_TEXT: "不再被引用的数据会在一天后从磁盘上移除。已拉取该镜像的节点不受影响，其他节点将无法再拉取。", "What nothing else names goes from the disk after a day. Nodes that have it go on; others can pull it no more.";
    DELETED_IMAGE: "已删除镜像 {name}", "Deleted the image {name}";
    EMPTY: "还没有镜像", "No images yet";
    EMPTY_TEXT: "推送或上传镜像后，没有互联网的节点也能运行它们。", "Push or upload images, and nodes without internet can run them.";
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
    let face = RwSignal::new(LAB.to_owned());
    let faces = Signal::derive(|| {
        [(LAB, OWN), (OTHER, OUTSIDE)]
            .map(|(key, text)| (key.to_owned(), text.get().to_owned()))
            .to_vec()
    });
    let is_own = move || face.with(|face| face == LAB);
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <Tabs value=face tabs=faces label=TITLE test="images-tabs"/>
            <Show when=is_own><Own/></Show>
            <Show when=move || !is_own()>
                <section class="card">
                    <p class="quiet-text">{OUTSIDE_TEXT.t()}</p>
                    {move || match registry.state.get() {
                        Loaded::Loading => view! { <Skeleton lines=4/> }.into_any(),
                        Loaded::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem) retry=again/> }.into_any(),
                        Loaded::Ready(registry) if may(Role::Admin) => view! { <Edit registry again/> }.into_any(),
                        Loaded::Ready(registry) => told(registry).into_any(),
                    }}
                </section>
            </Show>
        </div>
    }
}

const LAB: &str = "lab";
const OTHER: &str = "outside";

/// The registry of the lab itself.
#[component]
fn Own() -> impl IntoView {
    let images = load(|| async { api::call::<ListImages>((), &(), &()).await });
    let rows = Memo::new(move |_| {
        images.state.with(|images| {
            let images = images.ready().into_iter().flat_map(|images| &images.images);
            Arc::new(images.cloned().map(Arc::new).collect::<Vec<_>>())
        })
    });
    let deleting = RwSignal::new(false);
    let victim = RwSignal::new(None::<Arc<LabImage>>);
    let change = Change::new();
    let ask = move |image: Arc<LabImage>| {
        change.problem.set(None);
        victim.set(Some(image));
        deleting.set(true);
    };
    let mut columns = vec![
        Column::new("image", IMAGE, 220, |image: &Arc<LabImage>| name_of(image))
            .sort(|image| SortKey::name(&name_of(image)))
            .share(3),
        Column::new("platforms", PLATFORMS, 130, |image: &Arc<LabImage>| {
            image.platforms.join(", ")
        })
        .share(1),
        Column::new("size", SIZE, 90, |image: &Arc<LabImage>| format::bytes(image.bytes))
            .sort(|image| SortKey::number(Some(image.bytes as f64)))
            .number(),
        Column::new("pushed", PUSHED, 150, |image: &Arc<LabImage>| {
            format::minute(image.pushed_at)
        })
        .sort(|image| SortKey::number(Some(image.pushed_at.0 as f64))),
        Column::new("by", BY, 120, |image: &Arc<LabImage>| image.pushed_by.clone()),
    ];
    if may(Role::Operator) {
        columns.push(delete_column(
            DELETE_IMAGE,
            "delete-image",
            |image: &Arc<LabImage>| DELETE_NAME.with(&[("name", &name_of(image))]),
            |_| true,
            ask,
        ));
    }
    let name = move || victim.with(|victim| victim.as_deref().map(name_of).unwrap_or_default());
    let delete = Callback::new(move |()| {
        let Some(image) = victim.get_untracked() else { return };
        let query = ImageQuery {
            repository: image.repository.clone(),
            tag: image.tag.clone(),
        };
        change.run(
            async move { api::call::<DeleteImage>((), &query, &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED_IMAGE.with_untracked(&[("name", &untrack(name))]));
                images.again();
            },
        );
    });
    let added = Callback::new(move |names: Vec<String>| {
        toast(ADDED.with_untracked(&[("names", &names.join(", "))]));
        images.again();
    });
    let problem = Signal::derive(move || images.state.with(|images| images.problem().cloned()));
    let about = move || {
        images
            .state
            .with(|images| match images.ready().map(|images| images.addresses.first()) {
                Some(Some(address)) => OWN_TEXT.with(&[("address", address)]),
                Some(None) => NOT_SERVED.get().to_owned(),
                None => String::new(),
            })
    };
    let takes = move || {
        images.state.with(|images| {
            let bytes = images.ready().map(|images| images.bytes).filter(|bytes| *bytes > 0);
            bytes
                .map(|bytes| TAKES.with(&[("bytes", &format::bytes(bytes))]))
                .unwrap_or_default()
        })
    };
    view! {
            <p class="quiet-text">{about}</p>
            <Show when=|| may(Role::Operator)>
                <Upload to=&IMAGES_UPLOAD label=ADD begin=Callback::new(|()| {}) done=added test="add-images"/>
            </Show>
            <Table
                name="images"
                label=OWN
                rows=rows
                columns=columns
                url=url_state()
                loading=Signal::derive(move || images.state.with(|images| *images == Loaded::Loading))
                problem=problem
                retry=Callback::new(move |()| images.again())
                empty=|| view! { <EmptyState sign=Icon::Rows title=EMPTY text=EMPTY_TEXT/> }
            />
            <p class="quiet-text">{takes}</p>
            <Confirm
                open=deleting
                title=Signal::derive(move || DELETE_IMAGE_TITLE.with(&[("name", &name())]))
                text=DELETE_IMAGE_TEXT
                names=Signal::derive(move || vec![name()])
                label=DELETE_IMAGE
                danger=true
                busy=change.busy
                problem=change.problem
                act=delete
            />
    }
}

fn name_of(image: &LabImage) -> String {
    format!("{}:{}", image.repository, image.tag)
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
