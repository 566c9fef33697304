//! The image registry.

use super::lab::{MefLab, Order, until};
use crate::{authority::Authority, case, contract::Chapter};
use anyhow::ensure;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_engine::Actor;
use edgedeck_model::certificate::Purpose;
use serde_json::{Value, json};

const OPERATION: &str = "configureImageRegistry";

fn settings() -> Value {
    json!({ "domain": "registry.lab", "ip": "192.0.2.50", "port": 5000, "account": "lab_pull", "password": b"secret-12".to_vec() })
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

fn without(mut body: Value, field: &str) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove(field);
    }
    body
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "images",
    cases: &[
        case! {
            operation: "configureImageRegistry",
            rules: ["configureImageRegistry/5751e2c4", "importRootCertificate/5fc7b6a5"],
            errors: ["configureImageRegistry/400/40012016"],
            async |lab: &mut MefLab| {
                lab.refused(OPERATION, "40012016", settings()).await?;
                ensure!(lab.engine().registry()?.is_some_and(|registry| registry.address == "registry.lab:5000"), "not stored");
                let root = STANDARD.encode(Authority::root("registry")?.pem);
                lab.done("importRootCertificate", json!({ "certName": "image", "cert": root })).await?;
                let answer = lab.done(OPERATION, settings()).await?;
                ensure!(answer.at("/msg") == "success" && answer.at("/data").is_null(), "{}", answer.shown());
                // The nodes that are there must be told, too.
                let node = lab.node(&[]).await?;
                let connected = lab.connect(&node, 4, 8192).await?;
                lab.done(OPERATION, settings()).await?;
                connected.tell(Order::Keeps(false));
                until!("refusal", {
                    let answer = lab.send(OPERATION, settings()).await?;
                    lab.is_error(&answer, OPERATION, "40012016").is_ok().then_some(())
                });
            }
        },
        case! {
            operation: "configureImageRegistry",
            rules: [
                "configureImageRegistry/61678b34", "configureImageRegistry/daa3454f", "configureImageRegistry/2d2eb864",
                "configureImageRegistry/39edb616", "configureImageRegistry/c89108d1"
            ],
            async |lab: &mut MefLab| {
                let root = Authority::root("registry")?.pem;
                lab.engine().import_authority(&Actor::engine(), Purpose::Images, root.clone()).await?;
                let node = lab.node(&[]).await?;
                let connected = lab.connect(&node, 4, 8192).await?;
                let sent = || connected.outside.borrow().clone();
                lab.done(OPERATION, settings()).await?;
                let outside = sent();
                let account = outside.registry.clone().ok_or_else(|| anyhow::anyhow!("no account"))?;
                // The name is the node's to resolve: it gets that and not the address, though both were given.
                ensure!(account.address == "registry.lab:5000" && account.account == "lab_pull" && account.password == "secret-12", "{account:?}");
                ensure!(outside.images.is_some_and(|images| images.chain_pem == root));
                lab.done(OPERATION, without(with(settings(), "port", json!(443)), "domain")).await?;
                ensure!(sent().registry.is_some_and(|account| account.address == "192.0.2.50:443"));
                lab.done(OPERATION, without(with(settings(), "account", json!("a")), "ip")).await?;
                ensure!(sent().registry.is_some_and(|account| account.address == "registry.lab:5000" && account.account == "a"));
                // One kind of characters, or the account itself, will do; so does Base64.
                let same = with(with(settings(), "account", json!("aaaaaaaa")), "password", json!(b"aaaaaaaa".to_vec()));
                lab.done(OPERATION, same).await?;
                lab.done(OPERATION, with(settings(), "password", json!(STANDARD.encode("in-base64")))).await?;
                ensure!(sent().registry.is_some_and(|account| account.password == "in-base64"));
                // It is nowhere in plain, and never comes back out.
                let shown = serde_json::to_string(&lab.engine().registry()?)?;
                ensure!(!shown.contains("in-base64"), "{shown}");
            }
        },
        case! {
            operation: "configureImageRegistry",
            errors: [
                "configureImageRegistry/400/00001006", "configureImageRegistry/400/00001005",
                "configureImageRegistry/400/60001008"
            ],
            async |lab: &mut MefLab| {
                let node = lab.node(&[]).await?;
                let _connected = lab.connect(&node, 4, 8192).await?;
                let wrong = [
                    with(settings(), "port", json!("5000")), with(settings(), "password", json!(5)), with(settings(), "password", json!(["a"])),
                    with(settings(), "domain", json!(1)), with(settings(), "account", json!({})), with(settings(), "port", json!(1.5)),
                ];
                let mut invalid = vec![without(without(settings(), "domain"), "ip")];
                invalid.extend(["port", "account", "password"].map(|field| without(settings(), field)));
                for (field, values) in [
                    ("domain", vec![json!("ab"), json!("localhost"), json!("12345"), json!("-ab"), json!("ab-"), json!("a_b"), json!(""), json!("a".repeat(64)), json!("a/../b")]),
                    ("ip", vec![json!("0.0.0.0"), json!("255.255.255.255"), json!("127.0.0.1"), json!("1.2.3"), json!("fd00::1"), json!("192.0.2.10"), json!("")]),
                    ("port", vec![json!(0), json!(65_536), json!(-1), Value::Null]),
                    ("account", vec![json!(""), json!("-a"), json!("a_"), json!("a:b"), json!("a".repeat(257))]),
                    ("password", vec![json!(vec![49; 7]), json!(vec![49; 21]), json!([49, 49, 49, 49, 49, 49, 49, 58]), json!([256, 49, 49, 49, 49, 49, 49, 49]),
                        json!([-1, 49, 49, 49, 49, 49, 49, 49]), json!(vec![255; 8]), json!("no base64!"), Value::Null]),
                ] {
                    invalid.extend(values.into_iter().map(|value| with(settings(), field, value)));
                }
                lab.checks_body(OPERATION, &wrong, &invalid).await?;
                lab.refused_without("setting", OPERATION, "60001008", settings()).await?;
                lab.sql("DELETE FROM setting".to_owned()).await?;
                ensure!(lab.engine().registry()?.is_none());
            }
        },
    ],
};
