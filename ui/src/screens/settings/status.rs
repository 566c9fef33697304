//! The engine itself: what it is, where it listens, how large it is, and a backup.
//!
//! `data-test`: `engine-facts`, `make-backup`, `backup-told`.

use crate::{
    api,
    components::{Button, CopyBox, ErrorBox, Icon, Kind, Skeleton},
    format,
    load::{Loaded, load},
    screens::common::{Change, Refusal},
    state::{may, ui},
    texts,
};
use edgedeck_model::{
    api::{Backup, CreateBackup, GetStatus, Status},
    user::Role,
};
use leptos::prelude::*;

texts! {
    TITLE: "引擎状态", "The engine";
    ABOUT: "关于", "About";
    VERSION: "版本", "Version";
    STARTED: "启动时间", "Started";
    NODES: "节点（已连接 / 全部）", "Nodes (connected / all)";
    DATA: "数据目录", "Data folder";
    DATABASE: "数据库", "Database";
    SIZES: "{database}，日志 {wal}", "{database}, log {wal}";
    LISTENERS: "监听地址", "Listens at";
    CA: "CA 证书指纹（SHA-256）", "CA's fingerprint (SHA-256)";
    CA_ENDS: "CA 证书到期", "CA ends";
    BACKUP: "备份", "Backup";
    BACKUP_TEXT: "在引擎运行时为数据库生成一份一致的副本，保存在数据目录中。", "Writes a consistent copy of the database beside it while the engine runs.";
    MAKE: "立即备份", "Back up now";
    MADE: "已备份到以下文件（{bytes}，{at}）：", "Backed up to this file ({bytes}, {at}):";
}

#[component]
pub fn StatusPage() -> impl IntoView {
    let status = load(|| {
        // Once every ten seconds, as the clock moves.
        ui().clock.track();
        async { api::call::<GetStatus>((), &(), &()).await }
    });
    let retry = Callback::new(move |()| status.again());
    let change = Change::new();
    let backup = RwSignal::new(None::<Backup>);
    let make = Callback::new(move |()| {
        change.run(async { api::call::<CreateBackup>((), &(), &()).await }, move |made| {
            _ = backup.try_set(Some(made))
        });
    });
    view! {
        <div class="screen">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <section class="card">
                <h2>{ABOUT.t()}</h2>
                {move || match status.state.get() {
                    Loaded::Loading => view! { <Skeleton lines=6/> }.into_any(),
                    Loaded::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem) retry=retry/> }.into_any(),
                    Loaded::Ready(status) => facts(status).into_any(),
                }}
            </section>
            <Show when=|| may(Role::Admin)>
                <section class="card">
                    <h2>{BACKUP.t()}</h2>
                    <p class="quiet-text">{BACKUP_TEXT.t()}</p>
                    <div><Button label=MAKE kind=Kind::Primary sign=Icon::Download busy=change.busy press=make test="make-backup"/></div>
                    <Refusal change=change/>
                    {move || backup.get().map(|made| {
                        let (bytes, at) = (made.bytes, made.at);
                        view! {
                            <p role="status" data-test="backup-told">
                                {move || MADE.with(&[("bytes", &format::bytes(bytes)), ("at", &format::moment(at))])}
                            </p>
                            <CopyBox text=Signal::stored(made.path)/>
                        }
                    })}
                </section>
            </Show>
        </div>
    }
}

fn facts(status: Status) -> impl IntoView {
    let (connected, nodes) = (status.connected as usize, status.nodes as usize);
    let (database, wal) = (status.database_bytes, status.wal_bytes);
    let (started, ends) = (status.started_at, status.ca_ends);
    let listeners = status
        .listeners
        .into_iter()
        .map(|(name, address)| view! { <li><span>{name}</span> " " <code>{address}</code></li> })
        .collect_view();
    view! {
        <dl class="facts" data-test="engine-facts">
            <dt>{VERSION.t()}</dt><dd>{status.version}</dd>
            <dt>{STARTED.t()}</dt><dd>{move || format!("{} · {}", format::moment(started), format::ago(started))}</dd>
            <dt>{NODES.t()}</dt><dd class="number">{move || format!("{} / {}", format::count(connected), format::count(nodes))}</dd>
            <dt>{LISTENERS.t()}</dt><dd><ul>{listeners}</ul></dd>
            <dt>{DATA.t()}</dt><dd class="mono">{status.data}</dd>
            <dt>{DATABASE.t()}</dt>
            <dd>{move || SIZES.with(&[("database", &format::bytes(database)), ("wal", &format::bytes(wal))])}</dd>
            <dt>{CA.t()}</dt><dd class="mono">{status.ca_hash}</dd>
            <dt>{CA_ENDS.t()}</dt><dd>{move || format!("{} · {}", format::day(ends), format::ago(ends))}</dd>
        </dl>
    }
}
