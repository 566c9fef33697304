//! Certificates: the clients' that the lab's own authority has made, and outside authorities with what they revoked.
//!
//! `data-test`: `new-certificate`, `certificates-table`, `certificates-row`, `revoke-certificate`; `authority-` with the
//! purpose, and in it `import`, `import-list`, `restore`, `delete`; in their dialog `pem`, `pem-file`, `save-pem`; the
//! rest with [`super::issue`] and [`super::lab_ca`].

use super::{NotAllowed, delete_column, issue::Issue, lab_ca::LabCa};
use crate::{
    api,
    components::{
        Button, Column, Confirm, Dialog, EmptyState, ErrorBox, Field, Icon, Kind, Skeleton, SortKey, Table,
        field::new_id, toast,
    },
    format,
    frame::palette,
    load::{Load, Loaded, load},
    screens::common::{Change, Refusal},
    state::may,
    texts,
    url::url_state,
};
use edgedeck_model::{
    api::{
        ById, DeleteAuthority, ImportAuthority, ImportRevocations, ListAuthorities, ListClientCertificates, PemBody,
        RestoreAuthority, RevokeClientCertificate,
    },
    certificate::{Authority, Certificate, ClientCertificate, Purpose},
    user::Role,
};
use leptos::prelude::*;
use std::sync::Arc;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

texts! {
    TITLE: "证书", "Certificates";
    OUTSIDE: "外部 CA", "Outside CAs";
    OUTSIDE_TEXT: "除本实验室自己的 CA 外，还信任哪些 CA，各用于什么。", "Which CAs are trusted besides the lab's own, and what for.";
    CLIENTS: "接口客户端", "API clients";
    CLIENTS_TEXT: "持有其证书的程序可调用北向接口（MEF）。", "Programs with its certificates may call the northbound interface (MEF).";
    SOFTWARE: "软件仓库", "Software repository";
    SOFTWARE_TEXT: "节点下载软件时用它验证服务器。", "Nodes check the server by it when they download software.";
    IMAGES: "镜像仓库", "Image registry";
    IMAGES_TEXT: "节点拉取镜像时用它验证仓库。", "Nodes check the registry by it when they pull images.";
    NONE: "未导入", "Not imported";
    IMPORT: "导入 CA", "Import a CA";
    REPLACE: "更换 CA", "Replace the CA";
    IMPORT_LIST: "导入吊销列表", "Import revocation lists";
    RESTORE: "恢复先前的", "Put the earlier one back";
    RESTORED: "已恢复先前的 CA", "Put the earlier CA back";
    DELETE: "删除", "Delete";
    DELETE_TITLE: "删除外部 CA（{name}）？", "Delete the outside CA ({name})?";
    DELETE_CLIENTS: "持有其证书的程序会立即被拒绝，打开的连接也会断开。", "Programs with its certificates are refused at once; open connections are cut.";
    DELETE_SERVERS: "节点不再信任持有其证书的服务器，无法再从中下载。", "Nodes no longer trust servers with its certificates, and can download nothing more from them.";
    UNREADABLE: "该文件不是 PEM 文本（可能是 DER）。请转换为 PEM。", "This file is no PEM text; it may be DER. Convert it to PEM.";
    DELETED: "已删除外部 CA", "Deleted the outside CA";
    IMPORTED: "已导入", "Imported";
    SUBJECT: "主体", "Subject";
    FINGERPRINT: "SHA-256 指纹", "SHA-256";
    ENDS: "到期时间", "Ends";
    LISTS: "吊销列表", "Revocation lists";
    LISTS_TOLD: "吊销 {n} 个证书，{at} 导入", "{n} {n|certificate|certificates} revoked, imported {at}";
    LISTS_DUE: "应在 {at} 前更新", "to be replaced before {at}";
    NO_LISTS: "无", "none";
    PEM: "PEM 文本", "PEM text";
    PEM_HELP: "粘贴文本，或选择文件。", "Paste the text, or choose a file.";
    FILE: "从文件读取", "Read it from a file";
    SAVE: "导入", "Import";
    OWN: "客户端证书", "Client certificates";
    OWN_TEXT: "由本实验室的 CA 签发，供调用北向接口（MEF）的程序使用。", "Made by the lab's CA for programs that call the northbound interface (MEF).";
    NEW: "签发证书", "Issue a certificate";
    NAME: "名称", "Name";
    SERIAL: "序列号", "Serial number";
    MADE: "签发时间", "Made";
    STATE: "状态", "State";
    GOOD: "有效", "Good";
    ENDED: "已过期", "Ended";
    REVOKED: "{at} 吊销", "Revoked {at}";
    REVOKE: "吊销", "Revoke";
    REVOKE_NAME: "吊销证书 {name}", "Revoke the certificate {name}";
    REVOKE_TITLE: "吊销证书 {name}？", "Revoke the certificate {name}?";
    REVOKE_TEXT: "持有它的程序会立即被拒绝，打开的连接也会断开。吊销不能撤回。", "The program that has it is refused at once and its open connections are cut. It cannot be taken back.";
    REVOKE_DONE: "已吊销证书 {name}", "Revoked the certificate {name}";
    EMPTY: "还没有签发证书", "No certificates yet";
    EMPTY_TEXT: "签发一个证书，脚本即可通过它调用北向接口。", "Issue one, and a script can call the northbound interface with it.";
}

/// What the dialog with the PEM text is open for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Import {
    Chain(Purpose),
    Lists(Purpose),
}

fn purpose_word(purpose: Purpose) -> crate::i18n::Text {
    match purpose {
        Purpose::Clients => CLIENTS,
        Purpose::Software => SOFTWARE,
        Purpose::Images => IMAGES,
    }
}

fn purpose_text(purpose: Purpose) -> crate::i18n::Text {
    match purpose {
        Purpose::Clients => CLIENTS_TEXT,
        Purpose::Software => SOFTWARE_TEXT,
        Purpose::Images => IMAGES_TEXT,
    }
}

#[component]
pub fn Certificates() -> impl IntoView {
    view! { <Show when=|| may(Role::Admin) fallback=NotAllowed><Body/></Show> }
}

#[component]
fn Body() -> impl IntoView {
    let issuing = RwSignal::new(false);
    let certificates = load(|| async { api::call::<ListClientCertificates>((), &(), &()).await });
    palette::offer(NEW, Icon::Plus, Role::Admin, move || issuing.set(true));
    view! {
        <div class="screen">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <LabCa changed=Callback::new(move |()| certificates.again())/>
            <Outside/>
            <div class="card-head">
                <h2>{OWN.t()}</h2>
                <Button label=NEW kind=Kind::Primary sign=Icon::Plus press=Callback::new(move |()| issuing.set(true)) test="new-certificate"/>
            </div>
            <p class="quiet-text">{OWN_TEXT.t()}</p>
            <Own certificates/>
            <Dialog open=issuing title=NEW test="new-certificate-dialog">
                <Issue done=Callback::new(move |()| certificates.again())/>
            </Dialog>
        </div>
    }
}

#[component]
fn Own(certificates: Load<Vec<ClientCertificate>>) -> impl IntoView {
    let revoking = RwSignal::new(false);
    let victim = RwSignal::new(None::<Arc<ClientCertificate>>);
    let change = Change::new();
    let rows = certificates.rows();
    let ask = move |certificate: Arc<ClientCertificate>| {
        change.problem.set(None);
        victim.set(Some(certificate));
        revoking.set(true);
    };
    let columns = vec![
        Column::new("name", NAME, 160, |one: &Arc<ClientCertificate>| one.name.clone())
            .sort(|one| SortKey::name(&one.name))
            .share(2),
        Column::new("state", STATE, 210, |one: &Arc<ClientCertificate>| state(one)),
        Column::new("made", MADE, 140, |one: &Arc<ClientCertificate>| {
            format::minute(one.created_at)
        })
        .sort(|one| SortKey::number(Some(one.created_at.0 as f64))),
        Column::new("ends", ENDS, 140, |one: &Arc<ClientCertificate>| {
            format::minute(one.ends)
        })
        .sort(|one| SortKey::number(Some(one.ends.0 as f64))),
        Column::new("serial", SERIAL, 220, |one: &Arc<ClientCertificate>| one.serial.clone()).share(2),
        delete_column(
            REVOKE,
            "revoke-certificate",
            |one: &Arc<ClientCertificate>| REVOKE_NAME.with(&[("name", &one.name)]),
            |one| one.revoked_at.is_none(),
            ask,
        ),
    ];
    let name = move || victim.with(|one| one.as_ref().map(|one| one.name.clone()).unwrap_or_default());
    let revoke = Callback::new(move |()| {
        let Some(one) = victim.get_untracked() else { return };
        change.run(
            async move { api::call::<RevokeClientCertificate>(ById { id: one.id }, &(), &()).await },
            move |()| {
                revoking.try_set(false);
                toast(REVOKE_DONE.with_untracked(&[("name", &untrack(name))]));
                certificates.again();
            },
        );
    });
    let problem = Signal::derive(move || certificates.state.with(|state| state.problem().cloned()));
    view! {
        <Table
            name="certificates"
            label=OWN
            rows=rows
            columns=columns
            url=url_state()
            loading=Signal::derive(move || certificates.state.with(|state| *state == Loaded::Loading))
            problem=problem
            retry=Callback::new(move |()| certificates.again())
            empty=|| view! { <EmptyState sign=Icon::Join title=EMPTY text=EMPTY_TEXT/> }
        />
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

fn state(one: &ClientCertificate) -> String {
    match one.revoked_at {
        Some(at) => REVOKED.with(&[("at", &format::minute(at))]),
        None if one.ends.0 < crate::browser::now_ms() => ENDED.get().to_owned(),
        None => GOOD.get().to_owned(),
    }
}

#[component]
fn Outside() -> impl IntoView {
    let authorities = load(|| async { api::call::<ListAuthorities>((), &(), &()).await });
    let importing = RwSignal::new(false);
    let import = RwSignal::new(Import::Chain(Purpose::Clients));
    let deleting = RwSignal::new(false);
    let victim = RwSignal::new(Purpose::Clients);
    let change = Change::new();
    let begin = Callback::new(move |what: Import| {
        import.set(what);
        importing.set(true);
    });
    let ask = Callback::new(move |purpose: Purpose| {
        change.problem.set(None);
        victim.set(purpose);
        deleting.set(true);
    });
    let again = Callback::new(move |()| authorities.again());
    let delete = Callback::new(move |()| {
        let id = victim.get_untracked();
        change.run(
            async move { api::call::<DeleteAuthority>(ById { id }, &(), &()).await },
            move |()| {
                deleting.try_set(false);
                toast(DELETED.get_untracked().to_owned());
                authorities.again();
            },
        );
    });
    let title = Signal::derive(move || match import.get() {
        Import::Chain(_) => IMPORT.get().to_owned(),
        Import::Lists(_) => IMPORT_LIST.get().to_owned(),
    });
    let name = move || purpose_word(victim.get()).get().to_owned();
    view! {
        <section class="card">
            <h2>{OUTSIDE.t()}</h2>
            <p class="quiet-text">{OUTSIDE_TEXT.t()}</p>
            {move || match authorities.state.get() {
                Loaded::Loading => view! { <Skeleton lines=6/> }.into_any(),
                Loaded::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem) retry=again/> }.into_any(),
                Loaded::Ready(found) => Purpose::ALL
                    .map(|purpose| {
                        let authority = found.iter().find(|one| one.purpose == purpose).cloned();
                        view! { <One purpose authority begin ask again/> }
                    })
                    .collect_view()
                    .into_any(),
            }}
        </section>
        <Dialog open=importing title=title test="import-dialog">
            {move || view! { <Pem import=import.get() done=Callback::new(move |()| { importing.try_set(false); authorities.again(); })/> }}
        </Dialog>
        <Confirm
            open=deleting
            title=Signal::derive(move || DELETE_TITLE.with(&[("name", &name())]))
            text=Signal::derive(move || match victim.get() {
                Purpose::Clients => DELETE_CLIENTS.get().to_owned(),
                Purpose::Software | Purpose::Images => DELETE_SERVERS.get().to_owned(),
            })
            names=Signal::derive(move || vec![name()])
            label=DELETE
            danger=true
            busy=change.busy
            problem=change.problem
            act=delete
        />
    }
}

/// One purpose, with the authority that is trusted for it.
#[component]
fn One(
    purpose: Purpose,
    authority: Option<Authority>,
    begin: Callback<Import>,
    ask: Callback<Purpose>,
    again: Callback<()>,
) -> impl IntoView {
    let change = Change::new();
    let restore = Callback::new(move |()| {
        change.run(
            async move { api::call::<RestoreAuthority>(ById { id: purpose }, &(), &()).await },
            move |_| {
                toast(RESTORED.get_untracked().to_owned());
                again.run(());
            },
        );
    });
    let is_there = authority.is_some();
    let has_previous = authority.as_ref().is_some_and(|authority| authority.has_previous);
    view! {
        <div class="authority" data-test=format!("authority-{purpose}")>
            <div class="card-head">
                <h3>{purpose_word(purpose).t()}</h3>
                <div class="button-row">
                    <Button
                        label=if is_there { REPLACE } else { IMPORT }
                        press=Callback::new(move |()| begin.run(Import::Chain(purpose)))
                        test="import"
                    />
                    <Show when=move || is_there>
                        <Button label=IMPORT_LIST press=Callback::new(move |()| begin.run(Import::Lists(purpose))) test="import-list"/>
                    </Show>
                    <Show when=move || has_previous>
                        <Button label=RESTORE busy=change.busy press=restore test="restore"/>
                    </Show>
                    <Show when=move || is_there>
                        <Button label=DELETE kind=Kind::Danger press=Callback::new(move |()| ask.run(purpose)) test="delete"/>
                    </Show>
                </div>
            </div>
            <p class="quiet-text">{purpose_text(purpose).t()}</p>
            <Refusal change=change/>
            {match authority {
                None => view! { <p class="quiet-text">{NONE.t()}</p> }.into_any(),
                Some(authority) => facts(authority).into_any(),
            }}
        </div>
    }
}

fn facts(authority: Authority) -> impl IntoView {
    let imported = authority.imported_at;
    let chain = authority.chain.into_iter().map(certificate).collect_view();
    let lists = authority.revocations;
    let told = move || match &lists {
        None => NO_LISTS.get().to_owned(),
        Some(lists) => {
            let told = LISTS_TOLD.with(&[
                ("n", &format::count(lists.count as usize)),
                ("at", &format::minute(lists.imported_at)),
            ]);
            match lists.next_update {
                Some(at) => format!("{told} · {}", LISTS_DUE.with(&[("at", &format::minute(at))])),
                None => told,
            }
        }
    };
    view! {
        <dl class="facts">
            {chain}
            <dt>{IMPORTED.t()}</dt><dd>{move || format!("{} · {}", format::moment(imported), format::ago(imported))}</dd>
            <dt>{LISTS.t()}</dt><dd>{told}</dd>
        </dl>
    }
}

fn certificate(one: Certificate) -> impl IntoView {
    let ends = one.ends;
    view! {
        <dt>{SUBJECT.t()}</dt><dd>{one.subject}</dd>
        <dt>{FINGERPRINT.t()}</dt><dd class="mono">{one.fingerprint}</dd>
        <dt>{ENDS.t()}</dt><dd>{move || format!("{} · {}", format::day(ends), format::ago(ends))}</dd>
    }
}

/// The form that takes a PEM text, pasted or out of a file.
#[component]
fn Pem(import: Import, done: Callback<()>) -> impl IntoView {
    let pem = RwSignal::new(String::new());
    let unreadable = RwSignal::new(false);
    let change = Change::new();
    let id = new_id("pem");
    let read = move |event: web_sys::Event| {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::HtmlInputElement>().ok());
        let Some(file) = input.and_then(|input| input.files()).and_then(|files| files.get(0)) else {
            return;
        };
        leptos::task::spawn_local(async move {
            let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
            let text = text.filter(|text| text.contains("-----BEGIN"));
            unreadable.try_set(text.is_none());
            pem.try_set(text.unwrap_or_default());
        });
    };
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = PemBody {
            pem: pem.get_untracked(),
        };
        change.run(
            async move {
                match import {
                    Import::Chain(id) => api::call::<ImportAuthority>(ById { id }, &(), &body).await,
                    Import::Lists(id) => api::call::<ImportRevocations>(ById { id }, &(), &body).await,
                }
            },
            move |_| {
                toast(IMPORTED.get_untracked().to_owned());
                done.run(());
            },
        );
    };
    let unfit = Signal::derive(move || pem.with(|pem| pem.trim().is_empty()));
    view! {
        <form class="form" on:submit=save>
            <div class="field">
                <label for=id.clone()>{FILE.t()}</label>
                <input type="file" id=id accept=".pem,.crt,.cer,.crl" data-test="pem-file" on:change=read/>
            </div>
            <Show when=move || unreadable.get()>
                <p class="field-note field-error" role="alert">{UNREADABLE.t()}</p>
            </Show>
            <Field label=PEM value=pem lines=8 help=PEM_HELP focus=true test="pem"/>
            <Refusal change=change/>
            <footer class="dialog-foot">
                <Button label=SAVE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-pem"/>
            </footer>
        </form>
    }
}
