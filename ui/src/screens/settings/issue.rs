//! Issuing a client certificate: its name, then its three files, once.
//!
//! `data-test`: `certificate-name`, `save-certificate`, `download-certificate`, `download-key`, `download-ca`.

use crate::{
    api, browser,
    components::{Button, Field, Icon, Kind},
    screens::common::{Change, Refusal, is_name, name_error},
    texts,
};
use edgedeck_model::api::{CreateClientCertificate, NewClientCertificate, NewClientCertificateBody};
use leptos::prelude::*;

texts! {
    NAME: "名称", "Name";
    NEW_CERTIFICATE: "签发证书", "Issue a certificate";
    ISSUED: "已签发。私钥只在此处提供一次，请现在保存三个文件。", "Issued. The key is given once, here: save the three files now.";
    CERTIFICATE_FILE: "证书", "Certificate";
    KEY_FILE: "私钥", "Private key";
    CA_FILE: "CA 证书", "CA certificate";
}

#[component]
pub fn Issue(done: Callback<()>) -> impl IntoView {
    let name = RwSignal::new(String::new());
    let issued = RwSignal::new(None::<NewClientCertificate>);
    let change = Change::new();
    let save = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = NewClientCertificateBody {
            name: name.get_untracked().trim().to_owned(),
        };
        change.run(
            async move { api::call::<CreateClientCertificate>((), &(), &body).await },
            move |made| {
                issued.try_set(Some(made));
                done.try_run(());
            },
        );
    };
    let unfit = Signal::derive(move || !name.with(|name| is_name(name)));
    let file = move |label: crate::i18n::Text, ending: &'static str, pem: String, test: &'static str| {
        let press = Callback::new(move |()| {
            let stem: String = name
                .get_untracked()
                .trim()
                .chars()
                .map(|c| if c.is_alphanumeric() { c } else { '-' })
                .collect();
            browser::download(&format!("{stem}{ending}"), "application/x-pem-file", &pem);
        });
        view! { <Button label=label sign=Icon::Download press=press test=test/> }
    };
    move || {
        match issued.get() {
        Some(made) => view! {
            <p class="note-box" role="status">{ISSUED.t()}</p>
            <div class="button-row">
                {file(CERTIFICATE_FILE, ".crt.pem", made.certificate_pem, "download-certificate")}
                {file(KEY_FILE, ".key.pem", made.key_pem, "download-key")}
                {file(CA_FILE, ".ca.pem", made.ca_pem, "download-ca")}
            </div>
        }
        .into_any(),
        None => view! {
            <form class="form" on:submit=save>
                <Field label=NAME value=name error=name_error(name) focus=true required=true test="certificate-name"/>
                <Refusal change=change/>
                <footer class="dialog-foot">
                    <Button label=NEW_CERTIFICATE kind=Kind::Primary submit=true busy=change.busy disabled=unfit test="save-certificate"/>
                </footer>
            </form>
        }
        .into_any(),
    }
    }
}
