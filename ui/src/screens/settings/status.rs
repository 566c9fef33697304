//! The engine itself: what it is, where it listens, how large it is, and a backup.
//!
//! `data-test`: `engine-facts`, `backup-passphrase`, `make-backup`, `backup-told`.

use crate::{
    api,
    components::{Button, CopyBox, ErrorBox, Field, Icon, Kind, Skeleton, field::error_of},
    format,
    i18n::lang,
    load::{Loaded, load},
    screens::common::{Change, Refusal},
    state::{may, ui},
    texts,
};
use edgedeck_model::{
    api::{Backup, CreateBackup, GetStatus, NewBackupBody, Status},
    name::check_password,
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
    BACKUP_TEXT: "在引擎运行时将数据库、进程包和密钥一致地写入数据目录中的一个文件。密钥由口令保护，恢复时需要该口令，丢失后无法找回。", "Writes database, process packages and key into one file in the data folder while the engine runs. The passphrase protects the key: restoring takes it, and nobody can recover it.";
    PASSPHRASE: "备份口令", "Passphrase of the backup";
    HELP: "8 到 128 个字符。", "8 to 128 characters.";
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
    let passphrase = RwSignal::new(String::new());
    let wrong = Signal::derive(move || {
        let refused = passphrase.with(|text| (!text.is_empty()).then(|| check_password(text).err()).flatten());
        refused.and_then(|refused| error_of(&refused, "password", lang()))
    });
    let unfit = Signal::derive(move || passphrase.with(|text| check_password(text).is_err()));
    let make = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if unfit.get_untracked() || change.busy.get_untracked() {
            return;
        }
        let body = NewBackupBody {
            passphrase: passphrase.get_untracked(),
        };
        change.run(
            async move { api::call::<CreateBackup>((), &(), &body).await },
            move |made| {
                passphrase.try_set(String::new());
                _ = backup.try_set(Some(made));
            },
        );
    };
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
                    <form class="form" on:submit=make>
                        <Field label=PASSPHRASE value=passphrase kind="password" autocomplete="new-password" help=HELP error=wrong test="backup-passphrase"/>
                        <div><Button label=MAKE kind=Kind::Primary sign=Icon::Download submit=true busy=change.busy disabled=unfit test="make-backup"/></div>
                    </form>
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
