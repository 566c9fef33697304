//! Versions of the agent that the lab keeps, and what nodes run.
//!
//! `data-test`: `software-table`, `software-row`, `add-software`, `save-software`, `delete-software`, `versions`; in the
//! dialog `software-source`, `software-run`, `software-url`, `software-account`, `software-password`, `change-software`.

use crate::{
    api,
    components::{
        Button, Choice, Column, Confirm, EmptyState, ErrorBox, Field, Icon, Kind, SortKey, Table, Upload, toast,
    },
    desktop, format,
    load::{Loaded, load},
    screens::{
        common::{Change, Refusal},
        settings::delete_column,
    },
    state::may,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_model::{
    NodeId, Problem,
    api::{ById, ChangeSoftware, DeleteSoftware, ListSoftware, SOFTWARE_PATH, SOFTWARE_UPLOAD, SoftwareBody},
    image::{check_account, check_password},
    job::Job,
    software::{NAME, Server, Software, Source, check_url, compare},
    user::Role,
};
use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};
use std::{collections::BTreeMap, sync::Arc};

texts! {
    TITLE: "软件", "Software";
    ABOUT: "节点代理的各个版本，均由本实验室签名。在节点页选择节点即可升级。", "Versions of the nodes' agent, each signed by this lab. Select nodes on their page to upgrade them.";
    VERSIONS: "节点上的版本", "Versions on nodes";
    VERSIONS_NONE: "还没有节点", "No nodes yet";
    RUNS: "{version}：{n} 个节点", "{version}: {n} {n|node|nodes}";
    UNKNOWN: "未知", "Unknown";
    VERSION: "版本", "Version";
    ARCH: "架构", "Architecture";
    SIZE: "大小", "Size";
    MADE: "添加时间", "Added";
    FROM: "来源", "From";
    OWN: "随引擎提供", "This engine";
    ADDED: "上传", "Uploaded";
    DOWNLOAD: "下载", "Download";
    SAVE: "下载已签名的软件包", "Download the signed package";
    SAVED: "已保存到 {path}", "Saved to {path}";
    ADD: "添加代理软件包（.tar.gz），由本实验室签名", "Add a package of the agent (.tar.gz); this lab signs it";
    DONE: "已添加 {version}（{arch}）", "Added {version} ({arch})";
    DELETE: "删除", "Delete";
    DELETE_NAME: "删除 {name}", "Delete {name}";
    DELETE_TITLE: "删除软件包 {name}？", "Delete the package {name}?";
    DELETE_TEXT: "实验室将不再提供此软件包；运行该版本的节点不受影响。", "The lab offers it no more. Nodes that run this version go on.";
    DELETED: "已删除 {name}", "Deleted {name}";
    EMPTY: "没有软件包", "No packages";
    EMPTY_TEXT: "此引擎没有附带代理程序。", "This engine brings no agents.";
    SOURCE: "版本来源", "Where from";
    OF_LAB: "本实验室的 {version}", "{version}, from this lab";
    SERVER: "其他服务器…", "Another server…";
    DOWNLOADED: "各节点已下载、等待生效的版本", "What each node has downloaded and not run yet";
    RUN: "执行", "What to do";
    RUN_NOW: "下载并立即切换", "Download and run it";
    ONLY_DOWNLOAD: "仅下载，稍后切换", "Only download; run it later";
    URL: "软件包地址", "Address of the package";
    URL_HELP: "https://…；服务器须由“证书”中的软件仓库 CA 签发", "https://…; the server's certificate must come from the CA for software, under Certificates";
    ACCOUNT: "账户", "Account";
    PASSWORD: "密码", "Password";
    NOTE: "新版本若未在规定时间内报告正常，节点会自动恢复原版本。运行中的应用不受影响。", "A version that does not report in time that it is well is replaced by the old one again. Running apps go on.";
    CHANGE: "开始", "Begin";
    BEGUN: "已为 {n} 个节点开始软件作业。", "The job begins, with {n} {n|node|nodes}.";
}

fn name_of(software: &Software) -> String {
    format!("{} ({})", software.version, software.arch)
}

#[component]
pub fn SoftwarePage() -> impl IntoView {
    let software = load(|| async { api::call::<ListSoftware>((), &(), &()).await });
    let deleting = RwSignal::new(false);
    let victim = RwSignal::new(None::<Arc<Software>>);
    let refused = RwSignal::new(None::<Problem>);
    let change = Change::new();
    let ask = move |software: Arc<Software>| {
        change.problem.set(None);
        victim.set(Some(software));
        deleting.set(true);
    };
    let save = move |software: Arc<Software>| {
        refused.set(None);
        leptos::task::spawn_local(async move {
            let file = format!("{NAME}-{}-{}.tar.gz", software.version, software.arch);
            let path = format!("{SOFTWARE_PATH}/{}/file", software.sha256);
            match desktop::save_file(&file, &path).await {
                Ok(Some(path)) => toast(SAVED.with_untracked(&[("path", &path)])),
                Ok(None) => {}
                Err(problem) => _ = refused.try_set(Some(problem)),
            }
        });
    };
    let mut columns = vec![
        Column::new("version", VERSION, 140, |software: &Arc<Software>| {
            software.version.clone()
        })
        .share(2),
        Column::new("arch", ARCH, 110, |software: &Arc<Software>| software.arch.clone()),
        Column::new("size", SIZE, 90, |software: &Arc<Software>| {
            format::bytes(software.bytes)
        })
        .number(),
        Column::new("from", FROM, 130, |software: &Arc<Software>| {
            if software.own { OWN } else { ADDED }.get().to_owned()
        }),
        Column::new("made", MADE, 150, |software: &Arc<Software>| {
            format::minute(software.made_at)
        })
        .sort(|software| SortKey::number(Some(software.made_at.0 as f64))),
    ];
    if may(Role::Operator) {
        columns.push(
            Column::new("save", DOWNLOAD, 105, |_: &Arc<Software>| String::new())
                .view(move |software: &Arc<Software>| {
                    let software = software.clone();
                    view! {
                        <Button
                            label=SAVE
                            sign=Icon::Download
                            sign_only=true
                            kind=Kind::Quiet
                            press=Callback::new(move |()| save(software.clone()))
                            test="save-software"
                        />
                    }
                })
                .share(0),
        );
    }
    if may(Role::Admin) {
        columns.push(delete_column(
            DELETE,
            "delete-software",
            |software: &Arc<Software>| DELETE_NAME.with(&[("name", &name_of(software))]),
            |software| !software.own,
            ask,
        ));
    }
    let software_list = software;
    let name = move || victim.with(|victim| victim.as_deref().map(name_of).unwrap_or_default());
    let delete = Callback::new(move |()| {
        let Some(software) = victim.get_untracked() else { return };
        let id = software.sha256.clone();
        change.run(
            async move { api::call::<DeleteSoftware>(ById { id }, &(), &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED.with_untracked(&[("name", &untrack(name))]));
                software_list.again();
            },
        );
    });
    let added = Callback::new(move |added: Software| {
        toast(DONE.with_untracked(&[("version", &added.version), ("arch", &added.arch)]));
        software.again();
    });
    let problem = Signal::derive(move || software.state.with(|software| software.problem().cloned()));
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <p class="quiet-text">{ABOUT.t()}</p>
            <Versions/>
            {move || refused.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <Show when=|| may(Role::Admin)>
                <Upload to=&SOFTWARE_UPLOAD label=ADD begin=Callback::new(|()| {}) done=added test="add-software"/>
            </Show>
            <Table
                name="software"
                label=TITLE
                rows=software.rows()
                columns=columns
                url=url_state()
                loading=Signal::derive(move || software.state.with(|software| *software == Loaded::Loading))
                problem=problem
                retry=Callback::new(move |()| software.again())
                empty=|| view! { <EmptyState sign=Icon::Download title=EMPTY text=EMPTY_TEXT/> }
            />
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

/// How many nodes run which version.
#[component]
fn Versions() -> impl IntoView {
    let counts = Memo::new(move |_| {
        store().nodes.track();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        lab(|lab| {
            for node in lab.nodes() {
                *counts.entry(node.row.agent_version.clone()).or_default() += 1;
            }
        });
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by(|a, b| compare(&b.0, &a.0));
        counts
    });
    view! {
        <section class="card">
            <h2>{VERSIONS.t()}</h2>
            <ul class="plain-list" data-test="versions">
                {move || counts.get().into_iter().map(|(version, count)| {
                    let version = if version.is_empty() { UNKNOWN.get().to_owned() } else { version };
                    let words = RUNS.with(&[("version", &version), ("n", &count)]);
                    view! { <li>{words}</li> }
                }).collect_view()}
            </ul>
            <Show when=move || counts.with(Vec::is_empty)><p class="quiet-text">{VERSIONS_NONE.t()}</p></Show>
        </section>
    }
}

const OTHER: &str = "server";
const WAITING: &str = "downloaded";
const OF_LAB_KEY: &str = "lab:";

/// Where a version comes from and what to do with it, for some nodes; `begun` is called with the job.
#[component]
pub fn ChangeForm(nodes: Vec<NodeId>, open: RwSignal<bool>, begun: Callback<()>) -> impl IntoView {
    let navigate = StoredValue::new_local(use_navigate());
    let count = nodes.len();
    let nodes = StoredValue::new(nodes);
    let software = load(|| async { api::call::<ListSoftware>((), &(), &()).await });
    let (source, run) = (RwSignal::new(String::new()), RwSignal::new("now".to_owned()));
    let [url, account, password] = [(); 3].map(|()| RwSignal::new(String::new()));
    let change = Change::new();
    let sources = Signal::derive(move || {
        let mut versions: Vec<String> = software.state.with(|software| {
            let kept = software.ready().into_iter().flatten();
            kept.map(|software| software.version.clone()).collect()
        });
        versions.dedup();
        let of_lab = versions.into_iter().map(|version| {
            let words = OF_LAB.with(&[("version", &version)]);
            (format!("{OF_LAB_KEY}{version}"), words)
        });
        let others =
            [(WAITING, DOWNLOADED), (OTHER, SERVER)].map(|(key, text)| (key.to_owned(), text.get().to_owned()));
        of_lab.chain(others).collect::<Vec<_>>()
    });
    // The highest version is the likeliest, once it is known.
    Effect::new(move |_| {
        let is_open = software.state.with(|software| *software != Loaded::Loading);
        if is_open && source.with_untracked(String::is_empty) {
            let first = sources.with_untracked(|sources| sources.first().map(|(key, _)| key.clone()));
            source.set(first.unwrap_or_default());
        }
    });
    let is_server = move || source.with(|source| source == OTHER);
    let is_waiting = move || source.with(|source| source == WAITING);
    let wanted = move || {
        source.with(|source| match source.as_str() {
            "" => None,
            WAITING => Some(Source::Downloaded),
            OTHER => {
                let server = Server {
                    url: url.with(|url| url.trim().to_owned()),
                    account: account.get(),
                    password: password.get(),
                };
                let good = check_url(&server.url).is_ok()
                    && check_account(&server.account).is_ok()
                    && check_password(&server.password).is_ok();
                good.then_some(Source::Server(server))
            }
            of_lab => of_lab.strip_prefix(OF_LAB_KEY).map(|version| Source::Lab {
                version: version.to_owned(),
            }),
        })
    };
    let url_error = Signal::derive(move || {
        let lang = crate::i18n::lang();
        url.with(|url| {
            let refused = (!url.is_empty()).then(|| check_url(url.trim()).err()).flatten()?;
            crate::components::field::error_of(&refused, "url", lang)
        })
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let Some(source) = untrack(wanted) else { return };
        let body = SoftwareBody {
            nodes: nodes.get_value(),
            run: matches!(source, Source::Downloaded) || run.with_untracked(|run| run == "now"),
            source,
        };
        change.run(
            async move { api::call::<ChangeSoftware>((), &(), &body).await },
            move |job: Job| {
                open.try_set(false);
                toast(BEGUN.with_untracked(&[("n", &count)]));
                begun.try_run(());
                navigate.with_value(|navigate| navigate(&format!("/jobs/{}", job.id), NavigateOptions::default()));
            },
        );
    };
    let runs = Signal::derive(move || {
        vec![
            ("now".to_owned(), RUN_NOW.get().to_owned()),
            ("later".to_owned(), ONLY_DOWNLOAD.get().to_owned()),
        ]
    });
    view! {
        <form class="form" on:submit=submit>
            <Choice label=SOURCE value=source options=sources test="software-source"/>
            <Show when=move || !is_waiting()>
                <Choice label=RUN value=run options=runs test="software-run"/>
            </Show>
            <Show when=is_server>
                <Field label=URL value=url error=url_error help=URL_HELP test="software-url"/>
                <Field label=ACCOUNT value=account test="software-account"/>
                <Field label=PASSWORD value=password kind="password" autocomplete="new-password" test="software-password"/>
            </Show>
            <p class="field-note">{NOTE.t()}</p>
            {move || software.state.with(|software| software.problem().cloned())
                .map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <Refusal change=change/>
            <footer class="dialog-foot">
                <Button
                    label=CHANGE
                    kind=Kind::Primary
                    submit=true
                    busy=change.busy
                    disabled=Signal::derive(move || wanted().is_none())
                    test="change-software"
                />
            </footer>
        </form>
    }
}
