//! Certificates, revocation lists, and the token that boxes join with.

use super::{
    answer::{Code, Failure, INVALID, Outcome, QUERY, Reply},
    images::TELL_TIME,
    request::{Body, Caller, Query, read},
    rules::{given, require},
};
use crate::dialects::times::LocalTimes;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_engine::Engine;
use edgedeck_model::{
    Code as Why, Problem,
    certificate::{Certificate, Purpose},
    join::JoinTokenKind,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const CONTENT: Code = Code("60001003", "check root certificate failed");
const SAVE: Code = Code("60001004", "save root certificate failed");
const DELETE: Code = Code("60001005", "delete root certificate failed");
const SEND: Code = Code("60001006", "send root certificate to edge failed");
const EXPORT: Code = Code("60001009", "export root certificate failed");
const INFO: Code = Code("60001010", "get certificate info failed");
const CRL: Code = Code("60001011", "import crl failed");
const TOKEN: Code = Code("60002001", "export token failed");

type Lab = State<Arc<Engine>>;

fn root_purpose(name: Option<String>) -> Result<Purpose, Failure> {
    match given(name)?.as_str() {
        "software" => Ok(Purpose::Software),
        "image" => Ok(Purpose::Images),
        _ => Err(INVALID.into()),
    }
}

/// The text in a field that holds PEM in Base64.
fn pem(field: &str, text: Option<String>) -> Result<Result<String, Problem>, Failure> {
    let text = given(text)?;
    require(!text.is_empty())?;
    let pem = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    Ok(pem.ok_or_else(|| Problem::invalid(field, "base64")))
}

#[derive(Deserialize)]
pub struct NewRoot {
    #[serde(rename = "certname")]
    name: Option<String>,
    cert: Option<String>,
}

pub async fn import(State(engine): Lab, Caller(actor): Caller, Body(body): Body<NewRoot>) -> Outcome {
    let purpose = root_purpose(body.name)?;
    let chain = pem("cert", body.cert)?.map_err(|problem| CONTENT.because(problem))?;
    let imported = engine.import_authority(&actor, purpose, chain).await;
    imported.map_err(|problem| match problem.code {
        Why::Invalid => CONTENT.because(problem),
        _ => SAVE.because(problem),
    })?;
    engine
        .outside_reached(TELL_TIME)
        .await
        .map_err(|problem| SEND.because(problem))?;
    Ok(Reply::said("import certificate success"))
}

#[derive(Deserialize)]
pub struct OldRoot {
    #[serde(rename = "type")]
    name: Option<String>,
}

pub async fn delete(State(engine): Lab, Caller(actor): Caller, Body(body): Body<OldRoot>) -> Outcome {
    let purpose = root_purpose(body.name)?;
    match engine.delete_authority(&actor, purpose).await {
        Err(problem) if problem.code != Why::NotFound => Err(DELETE.because(problem)),
        _ => Ok(Reply::said("delete ca file success")),
    }
}

pub async fn export(State(engine): Lab, query: Query) -> Response {
    if query.text("certName") != Some("hub_svr") {
        return Failure::from(EXPORT).into_response();
    }
    let head = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=root.crt"),
    ];
    (head, engine.pki.present().pem()).into_response()
}

pub async fn token(State(engine): Lab, Caller(actor): Caller) -> Outcome {
    let made = engine.create_join_token(&actor, JoinTokenKind::Lab).await;
    let (_, secret) = made.map_err(|problem| TOKEN.because(problem))?;
    Reply::worded("export token success", secret, TOKEN)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CertificateInfo {
    finger_print: String,
    finger_print_algorithm: &'static str,
    issuer: String,
    serial_number: String,
    subject: String,
    validity: Validity,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Validity {
    not_after: String,
    not_before: String,
}

impl CertificateInfo {
    fn of(certificate: Certificate, times: &LocalTimes) -> Self {
        Self {
            finger_print: certificate.fingerprint,
            finger_print_algorithm: "sha256",
            issuer: certificate.issuer,
            serial_number: certificate.serial,
            subject: certificate.subject,
            validity: Validity {
                not_after: times.text(certificate.ends),
                not_before: times.text(certificate.begins),
            },
        }
    }
}

/// The chain that integrators' certificates come from: the outside one where there is one, else the lab's own.
pub async fn info(State(engine): Lab, query: Query) -> Outcome {
    match query.text("certName") {
        Some("north") => {}
        Some(_) => return Err(INVALID.into()),
        None => {
            return Err(Failure::new(
                StatusCode::BAD_REQUEST,
                Code(QUERY, "parse request body failed"),
            ));
        }
    }
    let outside = read(engine.authority(Purpose::Clients), INFO)?;
    let chain = outside.map_or_else(
        || vec![engine.pki.present().current.facts.clone()],
        |outside| outside.chain,
    );
    let times = LocalTimes::of(&engine);
    let chain: Vec<_> = chain.into_iter().map(|one| CertificateInfo::of(one, &times)).collect();
    Reply::data(chain, INFO)
}

#[derive(Deserialize)]
pub struct NewCrl {
    #[serde(rename = "crlname")]
    name: Option<String>,
    crl: Option<String>,
}

pub async fn import_crl(State(engine): Lab, Caller(actor): Caller, Body(body): Body<NewCrl>) -> Outcome {
    let purpose = match given(body.name)?.as_str() {
        "north" => Purpose::Clients,
        "software" => Purpose::Software,
        "image" => Purpose::Images,
        _ => return Err(INVALID.into()),
    };
    let lists = pem("crl", body.crl)?.map_err(|problem| CRL.because(problem))?;
    let imported = engine.import_revocations(&actor, purpose, lists).await;
    imported.map_err(|problem| CRL.because(problem))?;
    Ok(Reply::DONE)
}
