//! Certificates, revocation lists and the token.

use super::lab::{MefLab, Order, http, until};
use crate::{
    authority::{Authority, openssl_root},
    case,
    contract::Chapter,
};
use anyhow::{Context, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_agent::identity;
use edgedeck_engine::Actor;
use edgedeck_model::{certificate::Purpose, time::DAY};
use edgedeck_protocol::{JOIN_PATH, JoinReply, JoinRequest};
use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, IsCa, KeyUsagePurpose};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

fn root(pem: &str) -> Value {
    json!({ "certName": "software", "cert": STANDARD.encode(pem) })
}

fn image(pem: &str) -> Value {
    json!({ "certName": "image", "cert": STANDARD.encode(pem) })
}

fn crl(name: &str, pem: &str) -> Value {
    json!({ "crlName": name, "crl": STANDARD.encode(pem) })
}

/// Asks to join with what the two operations gave.
async fn join(lab: &MefLab, ca: &str, token: &str, serial: &str) -> anyhow::Result<Option<JoinReply>> {
    let agents = lab.running.listeners.get("agents").context("the agents' listener")?;
    let key = identity::new_key()?;
    let request = JoinRequest {
        token: token.to_owned(),
        csr_pem: identity::request(&key, serial)?,
        serial: serial.to_owned(),
        host_name: "box".to_owned(),
        arch: "aarch64".to_owned(),
        agent_version: "0".to_owned(),
    };
    let answer = http(ca, None)?
        .post(format!("https://{agents}{JOIN_PATH}"))
        .json(&request)
        .send()
        .await?;
    Ok(if answer.status().is_success() {
        Some(answer.json().await?)
    } else {
        None
    })
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "certificates",
    cases: &[
        case! {
            operation: "importRootCertificate",
            rules: [
                "importRootCertificate/ec598829", "importRootCertificate/0aa8cc73", "importRootCertificate/3fb7651d",
                "importRootCertificate/cc567783"
            ],
            async |lab: &mut MefLab| {
                let (first, second) = (Authority::root("first")?, Authority::root("second")?);
                let answer = lab.done("importRootCertificate", root(&first.pem)).await?;
                ensure!(answer.at("/msg") == "import certificate success" && answer.at("/data").is_null(), "{}", answer.shown());
                let imported = lab.engine().authority(Purpose::Software)?.context("no authority")?;
                ensure!(imported.chain[0].subject == "CN=first" && !imported.has_previous, "{imported:?}");
                lab.done("importRootCertificate", root(&second.pem)).await?;
                let replaced = lab.engine().authority(Purpose::Software)?.context("no authority")?;
                ensure!(replaced.chain.len() == 1 && replaced.chain[0].subject == "CN=second" && replaced.has_previous, "{replaced:?}");
                let restored = lab.engine().restore_authority(&Actor::engine(), Purpose::Software).await?;
                ensure!(restored.chain == imported.chain && restored.has_previous, "{restored:?}");
                // One purpose has nothing to do with the other.
                ensure!(lab.engine().authority(Purpose::Images)?.is_none());
                lab.done("importRootCertificate", json!({ "CERTname": "image", "CERT": STANDARD.encode(&second.pem) })).await?;
                ensure!(lab.engine().authority(Purpose::Images)?.is_some());
                let whole = format!("{}{}", second.pem, second.below("third")?.pem);
                lab.done("importRootCertificate", root(&whole)).await?;
                ensure!(lab.engine().authority(Purpose::Software)?.context("no authority")?.chain.len() == 2);
            }
        },
        case! {
            operation: "importRootCertificate",
            rules: [
                "importRootCertificate/dfd018fa", "importRootCertificate/29065c42", "importRootCertificate/2c4f9a7c",
                "importRootCertificate/6083c339"
            ],
            errors: ["importRootCertificate/400/60001003", "importRootCertificate/400/60001004"],
            async |lab: &mut MefLab| {
                let before = lab.engine().authority(Purpose::Software)?;
                let (good, other) = (Authority::root("good")?, Authority::root("other")?);
                let now = OffsetDateTime::now_utc();
                let forged = good.pem.lines().nth(4).and_then(|line| line.chars().next()).context("a PEM text")?;
                let forged = good.pem.replacen(forged, if forged == 'A' { "B" } else { "A" }, 1);
                let bad = [
                    ("no text", "nothing".to_owned()),
                    ("a key", rcgen::KeyPair::generate()?.serialize_pem()),
                    ("a client's", good.client("client", 7)?),
                    ("no CA", Authority::root_but("leaf", |params| params.is_ca = IsCa::ExplicitNoCa)?.pem),
                    ("signs nothing", Authority::root_but("mute", |params| params.key_usages = vec![KeyUsagePurpose::CrlSign])?.pem),
                    ("no usage", Authority::root_but("any", |params| params.key_usages = Vec::new())?.pem),
                    ("over", Authority::root_but("over", |params| params.not_after = now - Duration::MINUTE)?.pem),
                    ("to come", Authority::root_but("soon", |params| params.not_before = now + Duration::HOUR)?.pem),
                    ("a short key", openssl_root("rsa:2048", "sha256")?),
                    ("an old digest", openssl_root("rsa:3072", "sha1")?),
                    ("only the lower", good.below("lower")?.pem),
                    ("two chains' ends", format!("{}{}", other.pem, good.below("lower")?.pem)),
                    ("a damaged one", forged),
                    ("eleven", (0..11).map(|at| Authority::root(&format!("r{at}")).map(|root| root.pem)).collect::<anyhow::Result<String>>()?),
                ];
                for (what, pem) in bad {
                    lab.refused("importRootCertificate", "60001003", root(&pem)).await.with_context(|| what.to_owned())?;
                }
                lab.refused("importRootCertificate", "60001003", json!({ "certName": "software", "cert": "%%%" })).await?;
                lab.refused_without("authority", "importRootCertificate", "60001004", root(&good.pem)).await?;
                ensure!(lab.engine().authority(Purpose::Software)? == before, "something was left behind");
                for (key, digest) in [("rsa:3072", "sha256"), ("rsa:3072", "sha512"), ("rsa:4096", "sha384")] {
                    let pem = openssl_root(key, digest)?;
                    // It is valid from now on, and the lab's clock stands.
                    lab.clock.jump(edgedeck_agent::now().plus(1_000));
                    lab.done("importRootCertificate", root(&pem)).await.with_context(|| key.to_owned())?;
                }
            }
        },
        case! {
            operation: "importRootCertificate",
            errors: ["importRootCertificate/400/00001006", "importRootCertificate/400/00001005"],
            async |lab: &mut MefLab| {
                let wrong = [json!({ "certName": 1, "cert": "x" }), json!({ "certName": "software", "cert": ["x"] })];
                let invalid = [
                    json!({}), json!({ "certName": "software" }), json!({ "cert": "eA==" }), json!({ "certName": "software", "cert": "" }),
                    json!({ "certName": "north", "cert": "eA==" }), json!({ "certName": "Software", "cert": "eA==" }), json!({ "certName": null, "cert": "eA==" }),
                ];
                lab.checks_body("importRootCertificate", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "importRootCertificate",
            rules: ["importRootCertificate/022dcf47"],
            errors: ["importRootCertificate/400/60001006"],
            async |lab: &mut MefLab| {
                let node = lab.node(&[]).await?;
                let connected = lab.connect(&node, 4, 8192).await?;
                let first = Authority::root("handed")?;
                lab.done("importRootCertificate", image(&first.pem)).await?;
                let held = connected.outside.borrow().images.clone().context("nothing was handed over")?;
                ensure!(held.chain_pem == first.pem, "{held:?}");
                // A box that waits to be managed is none of the lab's yet; once it is managed it gets what there is.
                let waiting = lab.waiting().await?;
                let later = lab.connect(&waiting, 4, 8192).await?;
                ensure!(later.outside.borrow().images.is_none(), "a stranger got it");
                lab.manage(&waiting, &[]).await?;
                until!("chain on the managed node", { later.outside.borrow().images.is_some().then_some(()) });
                connected.tell(Order::Keeps(false));
                let second = Authority::root("not kept")?;
                until!("refusal", {
                    let answer = lab.send("importRootCertificate", image(&second.pem)).await?;
                    lab.is_error(&answer, "importRootCertificate", "60001006").is_ok().then_some(())
                });
                // It is stored all the same, and handed over when the box is well again.
                ensure!(lab.engine().authority(Purpose::Images)?.context("no authority")?.chain[0].subject == "CN=not kept");
                connected.tell(Order::Keeps(true));
                until!("success", {
                    lab.send("importRootCertificate", image(&second.pem)).await?.success().is_ok().then_some(())
                });
            }
        },
        case! {
            operation: "deleteRootCertificate",
            rules: ["deleteRootCertificate/5bf86610", "deleteRootCertificate/53a28794", "deleteRootCertificate/48267bd9"],
            errors: ["deleteRootCertificate/400/00001006", "deleteRootCertificate/400/00001005", "deleteRootCertificate/400/60001005"],
            async |lab: &mut MefLab| {
                let pem = STANDARD.encode(Authority::root("image")?.pem);
                lab.done("importRootCertificate", json!({ "certName": "image", "cert": pem })).await?;
                lab.done("importRootCertificate", json!({ "certName": "software", "cert": pem })).await?;
                lab.refused_without("authority", "deleteRootCertificate", "60001005", json!({ "type": "image" })).await?;
                let answer = lab.done("deleteRootCertificate", json!({ "type": "image" })).await?;
                ensure!(answer.at("/msg") == "delete ca file success" && answer.at("/data").is_null(), "{}", answer.shown());
                ensure!(lab.engine().authority(Purpose::Images)?.is_none() && lab.engine().authority(Purpose::Software)?.is_some());
                lab.done("deleteRootCertificate", json!({ "type": "image" })).await?;
                let invalid = [json!({}), json!({ "certName": "image" }), json!({ "type": "north" }), json!({ "type": "" })];
                lab.checks_body("deleteRootCertificate", &[json!({ "type": 1 })], &invalid).await?;
            }
        },
        case! {
            operation: "getIntegratorCertificateInfo",
            rules: ["getIntegratorCertificateInfo/698ed9dd", "getIntegratorCertificateInfo/d9bb28d2"],
            errors: [
                "getIntegratorCertificateInfo/400/00001001", "getIntegratorCertificateInfo/400/00001005",
                "getIntegratorCertificateInfo/400/60001010"
            ],
            async |lab: &mut MefLab| {
                let own = lab.read("getIntegratorCertificateInfo", &[("certName", "north")]).await?;
                ensure!(own.at("/data/0/Subject").as_str().is_some_and(|name| name.contains("EdgeDeck lab CA")), "{}", own.shown());
                let outside = Authority::root("integrator")?;
                let chain = format!("{}{}", outside.below("lower")?.pem, outside.pem);
                lab.engine().import_authority(&Actor::engine(), Purpose::Clients, chain).await?;
                let answer = lab.read("getIntegratorCertificateInfo", &[("certName", "north")]).await?;
                ensure!(answer.at("/data").as_array().map(Vec::len) == Some(2), "{}", answer.shown());
                let first = answer.at("/data/0");
                ensure!(first["Subject"] == "CN=lower" && first["Issuer"] == "CN=integrator" && first["SerialNumber"] == "01", "{first}");
                ensure!(first["FingerPrintAlgorithm"] == "sha256" && first["FingerPrint"].as_str().is_some_and(|text| text.split(':').count() == 32), "{first}");
                lab.unread("getIntegratorCertificateInfo", "00001001", &[]).await?;
                lab.unread("getIntegratorCertificateInfo", "00001005", &[("certName", "software")]).await?;
                lab.unread_without("authority", "getIntegratorCertificateInfo", "60001010", &[("certName", "north")]).await?;
                lab.engine().delete_authority(&Actor::engine(), Purpose::Clients).await?;
            }
        },
        case! {
            operation: "importCrl",
            rules: ["importCrl/c8653674", "importCrl/34f3a788", "importCrl/2264ea9e", "importCrl/09daac82"],
            errors: ["importCrl/400/60001011", "importCrl/400/00001006", "importCrl/400/00001005"],
            async |lab: &mut MefLab| {
                let root_authority = Authority::root("image root")?;
                let lower = root_authority.below("image lower")?;
                lab.refused("importCrl", "60001011", crl("image", &root_authority.crl(&[])?)).await?;
                let chain = STANDARD.encode(format!("{}{}", root_authority.pem, lower.pem));
                lab.done("importRootCertificate", json!({ "certName": "image", "cert": chain })).await?;
                let (upper_list, lower_list) = (root_authority.crl(&[5])?, lower.crl(&[6, 7])?);
                let answer = lab.done("importCrl", crl("image", &format!("{upper_list}{lower_list}"))).await?;
                ensure!(answer.at("/msg") == "success" && answer.at("/data").is_null(), "{}", answer.shown());
                let count = |lab: &MefLab| -> anyhow::Result<Option<u32>> {
                    Ok(lab.engine().authority(Purpose::Images)?.and_then(|authority| Some(authority.revocations?.count)))
                };
                ensure!(count(lab)? == Some(3));
                let now = OffsetDateTime::now_utc();
                let old = lower.crl_but(&[], |list| (list.this_update, list.next_update) = (now - Duration::DAY, now - Duration::HOUR))?;
                let soon = lower.crl_but(&[], |list| list.this_update = now + Duration::HOUR)?;
                let part = lower.crl_but(&[], |list| {
                    let uris = vec!["http://lab/crl".to_owned()];
                    list.issuing_distribution_point = Some(CrlIssuingDistributionPoint { distribution_point: CrlDistributionPoint { uris }, scope: None });
                })?;
                let foreign = Authority::root("image lower")?.crl(&[])?;
                for (what, lists) in [
                    ("no list", "nothing".to_owned()),
                    ("a certificate", lower.pem.clone()),
                    ("one of two", upper_list.clone()),
                    ("one twice", format!("{upper_list}{upper_list}")),
                    ("three", format!("{upper_list}{lower_list}{lower_list}")),
                    ("an old one", format!("{upper_list}{old}")),
                    ("one to come", format!("{upper_list}{soon}")),
                    ("a part", format!("{upper_list}{part}")),
                    ("one of the same name", format!("{upper_list}{foreign}")),
                ] {
                    lab.refused("importCrl", "60001011", crl("image", &lists)).await.with_context(|| what.to_owned())?;
                }
                ensure!(count(lab)? == Some(3), "a refused list was taken");
                let both = format!("{upper_list}{}", lower.crl(&[])?);
                lab.refused_without("authority", "importCrl", "60001011", crl("image", &both)).await?;
                lab.done("importCrl", crl("image", &both)).await?;
                ensure!(count(lab)? == Some(1), "the list was not replaced");
                let invalid = [json!({}), json!({ "crlName": "image" }), json!({ "crlName": "all", "crl": "eA==" }), json!({ "crlName": "image", "crl": "" })];
                lab.checks_body("importCrl", &[json!({ "crlName": 1, "crl": "x" }), json!({ "crlName": "image", "crl": {} })], &invalid).await?;
            }
        },
        case! {
            operation: "importCrl",
            rules: ["importCrl/f8a7fb90"],
            async |lab: &mut MefLab| {
                let outside = Authority::root("integrator")?;
                let ca = lab.engine().pki.present().pem();
                let url = format!("{}/edgemanager/v1/version", lab.base);
                let (one, two) = (http(&ca, Some(&outside.client("one", 11)?))?, http(&ca, Some(&outside.client("two", 12)?))?);
                ensure!(one.get(&url).send().await.is_err(), "a stranger was served");
                lab.engine().import_authority(&Actor::engine(), Purpose::Clients, outside.pem.clone()).await?;
                ensure!(one.get(&url).send().await?.status() == 200 && two.get(&url).send().await?.status() == 200);
                lab.done("importCrl", crl("north", &outside.crl(&[11])?)).await?;
                until!("refusal of the revoked", {
                    one.get(&url).send().await.is_err().then_some(())
                });
                ensure!(two.get(&url).send().await?.status() == 200, "another one was refused, too");
                // A list that takes it back lets it in again; without the authority nobody of it comes in.
                lab.done("importCrl", crl("north", &outside.crl(&[])?)).await?;
                ensure!(one.get(&url).send().await?.status() == 200);
                lab.engine().delete_authority(&Actor::engine(), Purpose::Clients).await?;
                until!("refusal of the other", {
                    two.get(&url).send().await.is_err().then_some(())
                });
                lab.read("getEdgeManagerVersion", &[]).await?;
            }
        },
        case! {
            operation: "exportRootCertificate",
            rules: ["exportRootCertificate/b1584b36", "exportRootCertificate/9c026103", "getEdgeCloudToken/13bf51d2", "getEdgeCloudToken/5d4ea8ff"],
            errors: ["exportRootCertificate/400/60001009"],
            async |lab: &mut MefLab| {
                let answer = lab.read("exportRootCertificate", &[("certName", "hub_svr")]).await?;
                let ca = String::from_utf8(answer.body.clone())?;
                ensure!(ca.starts_with("-----BEGIN CERTIFICATE-----") && ca == lab.engine().pki.present().pem(), "{ca}");
                let name = answer.headers.get("content-disposition").and_then(|name| name.to_str().ok());
                ensure!(name == Some("attachment; filename=root.crt"), "{name:?}");
                lab.unread("exportRootCertificate", "60001009", &[]).await?;
                lab.unread("exportRootCertificate", "60001009", &[("certName", "north")]).await?;
                let answer = lab.read("getEdgeCloudToken", &[]).await?;
                ensure!(answer.at("/msg") == "export token success", "{}", answer.shown());
                let token = answer.at("/data").as_str().context("no token")?;
                ensure!((16..=64).contains(&token.len()) && token.chars().all(|c| c.is_ascii_graphic()), "{token}");
                ensure!(join(lab, &ca, "0123456789abcdef", "SN-export-1").await?.is_none(), "joined without the token");
                ensure!(join(lab, &Authority::root("other")?.pem, token, "SN-export-1").await.is_err(), "joined without the file");
                ensure!(join(lab, &ca, token, "SN-export-1").await?.is_some(), "not joined");
            }
        },
        case! {
            operation: "getEdgeCloudToken",
            rules: ["getEdgeCloudToken/46c3cc33"],
            errors: ["getEdgeCloudToken/400/60002001"],
            async |lab: &mut MefLab| {
                let ca = lab.engine().pki.present().pem();
                let token = |answer: crate::contract::Answer| answer.at("/data").as_str().unwrap_or_default().to_owned();
                let first = token(lab.read("getEdgeCloudToken", &[]).await?);
                lab.unread_without("join_token", "getEdgeCloudToken", "60002001", &[]).await?;
                ensure!(join(lab, &ca, &first, "SN-token-1").await?.is_some(), "a failed call ended the token");
                let second = token(lab.read("getEdgeCloudToken", &[]).await?);
                ensure!(join(lab, &ca, &first, "SN-token-2").await?.is_none(), "the old token is still good");
                lab.clock.advance(7 * DAY - 60_000);
                ensure!(join(lab, &ca, &second, "SN-token-2").await?.is_some(), "it ended too early");
                lab.clock.advance(60_000);
                ensure!(join(lab, &ca, &second, "SN-token-3").await?.is_none(), "it did not end after seven days");
            }
        },
    ],
};
