//! Software: boxes really download packages here, over TLS from a server with an account; what they run is told, not run.

use super::lab::{Connected, MefLab, Node, batch, until, with};
use crate::{
    authority::Authority,
    case,
    contract::Chapter,
    software::{ACCOUNT, PASSWORD, SoftwareServer, package, script},
};
use anyhow::{Context, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_engine::Actor;
use edgedeck_model::{api::PageQuery, certificate::Purpose, job::JobState};
use serde_json::{Value, json};
use std::{io::Read, net::Ipv4Addr};

const DOWNLOAD: &str = "downloadSoftware";
const PROGRESS: &str = "getSoftwareDownloadProgress";
const UPGRADE: &str = "upgradeSoftware";
const VERSION: &str = "getSoftwareVersionInfo";
const ARCH: &str = std::env::consts::ARCH;
/// Of this machine, but not the address that no node may name.
const NEAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn info(url: &str) -> Value {
    json!({ "package": format!("GET {url}"), "userName": ACCOUNT, "password": PASSWORD.as_bytes() })
}

fn download(serials: &[&str], url: &str) -> Value {
    json!({ "serialNumbers": serials, "softwareName": "MEFEdge", "downloadInfo": info(url) })
}

fn upgrade(serials: &[&str]) -> Value {
    json!({ "SerialNumbers": serials, "softwareName": "MEFEdge" })
}

/// A package that the lab has signed.
async fn signed(lab: &MefLab, version: &str) -> anyhow::Result<Vec<u8>> {
    let engine = lab.engine();
    let mut upload = engine.upload_package()?;
    upload.write(&package(version, ARCH, &script(version))?)?;
    let software = engine.add_software(&Actor::engine(), upload).await?;
    let mut bytes = Vec::new();
    engine.software_file(&software.sha256)?.1.read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn node(lab: &mut MefLab) -> anyhow::Result<(Node, Connected)> {
    let node = lab.node(&[]).await?;
    let connected = lab.connect(&node, 4, 8192).await?;
    Ok((node, connected))
}

/// A server that nodes of the lab trust.
async fn server(lab: &MefLab) -> anyhow::Result<(SoftwareServer, Authority)> {
    let authority = Authority::root("software")?;
    let pem = json!({ "certName": "software", "cert": STANDARD.encode(&authority.pem) });
    lab.done("importRootCertificate", pem).await?;
    Ok((SoftwareServer::start(NEAR, &authority, 77).await?, authority))
}

/// Progress and result of the newest download, once it is as asked.
async fn until_progress(lab: &MefLab, serial: &str, progress: u8, res: &str) -> anyhow::Result<String> {
    let mut last = Value::Null;
    let found = until!(format!("progress {progress} {res:?} of {serial}"), {
        let answer = lab.read(PROGRESS, &[("serialNumber", serial)]).await?;
        let data = answer.at("/data").clone();
        let same = data["progress"] == progress && data["res"] == res;
        last.clone_from(&data);
        same.then(|| data["msg"].as_str().unwrap_or_default().to_owned())
    });
    Ok(found)
}

async fn versions(lab: &MefLab, serial: &str) -> anyhow::Result<(String, String)> {
    let answer = lab.read(VERSION, &[("serialNumber", serial)]).await?;
    let item = answer.at("/data/0").clone();
    ensure!(
        item["Name"] == "MEFEdge" && answer.at("/data").as_array().map(Vec::len) == Some(1),
        "{}",
        answer.shown()
    );
    let text = |key: &str| item[key].as_str().map(str::to_owned).context("no text");
    Ok((text("Version")?, text("InactiveVersion")?))
}

async fn until_versions(lab: &MefLab, serial: &str, running: &str, waiting: &str) -> anyhow::Result<()> {
    until!(format!("{serial} with {running} and {waiting:?}"), {
        (versions(lab, serial).await? == (running.to_owned(), waiting.to_owned())).then_some(())
    });
    Ok(())
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "software",
    cases: &[
        case! {
            operation: "downloadSoftware",
            rules: [
                "downloadSoftware/75f687d2", "downloadSoftware/e7e5bc09", "downloadSoftware/85a9c9fd", "downloadSoftware/5413b1a5",
                "downloadSoftware/10a045c6", "downloadSoftware/a0eb30e1", "getSoftwareDownloadProgress/19461cb4",
                "getSoftwareDownloadProgress/eb96d1fe", "getSoftwareVersionInfo/b63eea81", "getSoftwareVersionInfo/212ab28b",
                "upgradeSoftware/e0f9aca6", "upgradeSoftware/e76c650f", "upgradeSoftware/815c9eca"
            ],
            async |lab: &mut MefLab| {
                let (first, connected) = node(lab).await?;
                let (second, _also) = node(lab).await?;
                let (one, two) = (first.serial.as_str(), second.serial.as_str());
                let running = connected.facts.agent_version.clone();
                ensure!(versions(lab, one).await? == (running.clone(), String::new()));
                // Without the server's authority the message is taken, and the download fails.
                lab.done(DOWNLOAD, download(&[one], "https://127.0.0.2:1/a.tar.gz")).await?;
                let msg = until_progress(lab, one, 0, "failed").await?;
                ensure!(msg.contains("CA"), "{msg}");
                let (server, _authority) = server(lab).await?;
                server.offer(signed(lab, "9.0.0").await?);
                server.hold(true);
                let answer = lab.done(DOWNLOAD, download(&[one, two], &server.url)).await?;
                let (failed, succeeded) = batch(&answer);
                ensure!(failed.is_empty() && answer.at("/data/failedInfos").is_object(), "{}", answer.shown());
                ensure!(succeeded == json!([one, two]), "{succeeded}");
                // What the node has told last, without asking it.
                for serial in [one, two] {
                    ensure!(until_progress(lab, serial, 10, "success").await?.is_empty());
                }
                let listed = lab.read("getNode", &[("sn", one)]).await?;
                ensure!(listed.at("/data/softwareInfo").as_str().is_some_and(|text| text.contains("\"InactiveVersion\":\"\"")), "{}", listed.shown());
                server.hold(false);
                for serial in [one, two] {
                    until_progress(lab, serial, 100, "success").await?;
                    until_versions(lab, serial, &running, "9.0.0").await?;
                }
                let asked = server.asked()?;
                let mut nodes: Vec<_> = asked.iter().filter(|asked| asked.authorized).filter_map(|asked| asked.node.clone()).collect();
                nodes.sort();
                let mut both = vec![first.serial.clone(), second.serial.clone()];
                both.sort();
                ensure!(nodes == both && asked.iter().all(|asked| asked.path == "/repo/MEFEdge.tar.gz"), "{asked:?}");
                // It runs what it has downloaded; then nothing waits, and the progress is that of no download.
                let answer = lab.done(UPGRADE, upgrade(&[one])).await?;
                ensure!(batch(&answer) == (Vec::new(), json!([one])), "{}", answer.shown());
                until_versions(lab, one, "9.0.0", "").await?;
                until_progress(lab, one, 0, "").await?;
                ensure!(versions(lab, two).await? == (running, "9.0.0".to_owned()));
                // The same version, and a lower one.
                for version in ["9.0.0", "8.0.0"] {
                    server.offer(signed(lab, version).await?);
                    until!("free node", { lab.send(DOWNLOAD, download(&[one], &server.url)).await?.success().ok() });
                    until_progress(lab, one, 100, "success").await?;
                    until_versions(lab, one, "9.0.0", version).await?;
                }
                // An upgrade with nothing downloaded is taken, and fails on the node.
                let (third, _third) = node(lab).await?;
                let before = versions(lab, &third.serial).await?;
                lab.done(UPGRADE, upgrade(&[&third.serial])).await?;
                until_progress(lab, &third.serial, 0, "").await?;
                let query = PageQuery { limit: u32::MAX, ..PageQuery::default() };
                until!("failed job", {
                    lab.engine().list_jobs(&query)?.items.first().is_some_and(|job| job.state == JobState::Failed).then_some(())
                });
                ensure!(versions(lab, &third.serial).await? == before);
            }
        },
        case! {
            operation: "downloadSoftware",
            async |lab: &mut MefLab| {
                let (node, _connected) = node(lab).await?;
                let serial = node.serial.as_str();
                let (server, authority) = server(lab).await?;
                let fails = async |body: Value, progress: u8, words: &str| {
                    until!("free node", { lab.send(DOWNLOAD, body.clone()).await?.success().ok() });
                    let msg = until_progress(lab, serial, progress, "failed").await?;
                    ensure!(msg.contains(words) && !msg.contains(PASSWORD), "{msg}");
                    anyhow::Ok(())
                };
                let body = download(&[serial], &server.url);
                server.offer(package("9.0.0", ARCH, &script("9.0.0"))?);
                fails(body.clone(), 40, "not signed by this lab").await?;
                let other = MefLab::start_with(lab.recording(), edgedeck_gateway::dialects::mef::MefOptions::default()).await?;
                server.offer(signed(&other, "9.0.0").await?);
                other.running.stop().await;
                fails(body.clone(), 40, "signature is not this lab's").await?;
                server.offer(b"no package".to_vec());
                fails(body.clone(), 40, "not a whole package").await?;
                let mut wrong = body.clone();
                wrong["downloadInfo"]["password"] = json!(b"Huawei12#%".to_vec());
                server.offer(signed(lab, "9.0.0").await?);
                fails(wrong, 10, "HTTP 401").await?;
                fails(download(&[serial], "https://127.0.0.2:1/a.tar.gz"), 10, "cannot be reached or trusted").await?;
                // A server whose certificate was taken back is none to download from.
                let lists = authority.crl(&[77])?;
                lab.engine().import_revocations(&Actor::engine(), Purpose::Software, lists).await?;
                fails(body.clone(), 10, "cannot be reached or trusted").await?;
                lab.engine().import_revocations(&Actor::engine(), Purpose::Software, authority.crl(&[76])?).await?;
                // One that the lab has not signed, where the lab allows that.
                let settings = lab.engine().settings();
                let mut settings = edgedeck_model::api::Settings::clone(&settings);
                settings.software.unsigned = true;
                lab.engine().update_settings(&Actor::engine(), settings).await?;
                server.offer(package("9.0.1", ARCH, &script("9.0.1"))?);
                until!("free node", { lab.send(DOWNLOAD, body.clone()).await?.success().ok() });
                until_progress(lab, serial, 100, "success").await?;
                // The account's password is nowhere once the job is over.
                lab.done(UPGRADE, upgrade(&[serial])).await.map(drop)?;
            }
        },
        case! {
            operation: "downloadSoftware",
            errors: ["downloadSoftware/400/00001006", "downloadSoftware/400/00001005", "downloadSoftware/400/40012016"],
            async |lab: &mut MefLab| {
                let (node, _connected) = node(lab).await?;
                let away = lab.node(&[]).await?;
                let url = "https://192.0.2.20:443/repo/MEFEdge.tar.gz";
                let good = download(&[&node.serial], url);
                let info_with = |field: &str, value: Value| with(good.clone(), "downloadInfo", with(info(url), field, value));
                let wrong = [
                    with(good.clone(), "serialNumbers", json!("x")), with(good.clone(), "serialNumbers", json!([1])), with(good.clone(), "softwareName", json!(1)),
                    with(good.clone(), "downloadInfo", json!("x")), info_with("password", json!(5)), info_with("package", json!(1)),
                ];
                let many: Vec<String> = (0..2049).map(|at| format!("SN-{at}")).collect();
                let mut invalid = vec![
                    json!({}), with(good.clone(), "softwareName", json!("MEFCenter")), with(good.clone(), "serialNumbers", json!([])),
                    with(good.clone(), "serialNumbers", json!([node.serial, node.serial])), with(good.clone(), "serialNumbers", json!(many)),
                    with(good.clone(), "serialNumbers", json!(["-x"])), with(good.clone(), "serialNumbers", json!([""])),
                ];
                invalid.extend(["serialNumbers", "softwareName", "downloadInfo"].map(|field| with(good.clone(), field, Value::Null)));
                invalid.extend(["package", "userName", "password"].map(|field| info_with(field, Value::Null)));
                for package in [
                    url, "GET http://192.0.2.20/a", "POST https://192.0.2.20/a", "GET https://", "GET  https://192.0.2.20/a", "GET https://127.0.0.1/a",
                    "GET https://localhost/a", "GET https://0.0.0.0/a", "GET https://12345/a", "GET https://192.0.2.20/a b", "GET https://192.0.2.20/a;b",
                    "GET https://192.0.2.20/$a", "GET https://me@192.0.2.20/a", "GET https://192.0.2.20/a|b", "GET https://192.0.2.20/a\nb",
                    // The node's own.
                    "GET https://192.0.2.10/a", &format!("GET https://192.0.2.20/{}", "a".repeat(512)),
                ] {
                    invalid.push(info_with("package", json!(package)));
                }
                for account in ["short", "with_line", "a b c d e f", &"a".repeat(33)] {
                    invalid.push(info_with("userName", json!(account)));
                }
                for password in [json!(b"seven12".to_vec()), json!(vec![97; 21]), json!([256, 97, 97, 97, 97, 97, 97, 97])] {
                    invalid.push(info_with("password", password));
                }
                lab.checks_body(DOWNLOAD, &wrong, &invalid).await?;
                // Those that can be told are.
                let body = download(&[&node.serial, &away.serial, "SN-unknown"], url);
                let answer = lab.refused(DOWNLOAD, "40012016", body).await?;
                let (failed, succeeded) = batch(&answer);
                ensure!(failed.len() == 2 && failed.contains(&away.serial) && failed.contains(&"SN-unknown".to_owned()), "{}", answer.shown());
                ensure!(succeeded == json!([node.serial]), "{}", answer.shown());
                let answer = lab.refused(DOWNLOAD, "40012016", download(&["SN-unknown"], url)).await?;
                ensure!(batch(&answer).1.is_null(), "{}", answer.shown());
                lab.refused_without("job", DOWNLOAD, "40012016", download(&[&node.serial], url)).await?;
            }
        },
        case! {
            operation: "upgradeSoftware",
            errors: ["upgradeSoftware/400/00001006", "upgradeSoftware/400/00001005", "upgradeSoftware/400/40012016"],
            async |lab: &mut MefLab| {
                let (node, _connected) = node(lab).await?;
                let good = upgrade(&[&node.serial]);
                let wrong = [with(good.clone(), "SerialNumbers", json!(1)), with(good.clone(), "softwareName", json!(["MEFEdge"]))];
                let invalid = [
                    json!({}), with(good.clone(), "SerialNumbers", json!([])), with(good.clone(), "SerialNumbers", json!([node.serial, node.serial])),
                    with(good.clone(), "SerialNumbers", Value::Null), with(good.clone(), "softwareName", Value::Null),
                    with(good.clone(), "softwareName", json!("mefedge")), with(good.clone(), "SerialNumbers", json!(["a b"])),
                ];
                lab.checks_body(UPGRADE, &wrong, &invalid).await?;
                let answer = lab.refused(UPGRADE, "40012016", upgrade(&["SN-unknown"])).await?;
                ensure!(batch(&answer) == (vec!["SN-unknown".to_owned()], Value::Null), "{}", answer.shown());
            }
        },
        case! {
            operation: "getSoftwareVersionInfo",
            rules: ["getSoftwareVersionInfo/eb96d1fe"],
            errors: [
                "getSoftwareVersionInfo/400/00001001", "getSoftwareVersionInfo/400/00001005", "getSoftwareVersionInfo/400/40012018",
                "getSoftwareDownloadProgress/400/00001001", "getSoftwareDownloadProgress/400/00001005"
            ],
            async |lab: &mut MefLab| {
                for operation in [VERSION, PROGRESS] {
                    lab.unread(operation, "00001001", &[]).await?;
                    lab.unread(operation, "00001001", &[("serialNumber", "")]).await?;
                    for bad in ["-a", "a b", "a_", &"a".repeat(65)] {
                        lab.unread(operation, "00001005", &[("serialNumber", bad)]).await?;
                    }
                }
                lab.unread(VERSION, "40012018", &[("serialNumber", "SN-unknown")]).await?;
                lab.unread_without("node", VERSION, "40012018", &[("serialNumber", "SN-unknown")]).await?;
                // A device that never had a download: a code that only the public source has.
                let (node, connected) = node(lab).await?;
                let answer = lab.ask(PROGRESS, &[("serialNumber", &node.serial)]).await?;
                ensure!(answer.status == 400 && answer.at("/status") == "40062002", "{}", answer.shown());
                // The last that it has told is told of a box that is away, too.
                let told = versions(lab, &node.serial).await?;
                drop(connected);
                ensure!(versions(lab, &node.serial).await? == told);
            }
        },
    ],
};
