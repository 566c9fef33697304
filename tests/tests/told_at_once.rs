//! What happens elsewhere shows by itself: a call of a script on the open page, an alarm on the desktop.

use anyhow::{Context, Result, ensure};
use edgedeck_model::api::{self, NewClientCertificateBody, NewJoinTokenBody};
use edgedeck_tests::{
    curl::Curl,
    docker::PrivateDocker,
    notifications::Desktop,
    programs::{Edgedeckd, joining_agent},
    wait::until,
    web::{SHOWN, Web},
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Instant};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_curl_manages_moves_on_the_open_page() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let kind = edgedeck_model::join::JoinTokenKind::Single;
    let token = console
        .call::<api::CreateJoinToken>((), (), NewJoinTokenBody { kind })
        .await?;
    let state = TempDir::new()?;
    let url = engine.agents_url();
    let joined = joining_agent(&url, &token.secret, &token.ca_hash)?
        .args(["--serial", "BOX-1", "--state"])
        .arg(state.path().join("state"))
        .output()?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));

    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/nodes"), (1280, 800), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.find("[data-test=waiting]").await?;

    let name = "integrator".to_owned();
    let made = console
        .call::<api::CreateClientCertificate>((), (), NewClientCertificateBody { name })
        .await?;
    let mef = engine.listeners.get("mef").context("a MEF listener")?;
    let curl = Curl::new(
        format!("https://{mef}"),
        &made.ca_pem,
        &made.certificate_pem,
        &made.key_pem,
    )?;
    let listed = curl.call(&[], "/edgemanager/v1/node/list/unmanaged?pageNum=1&pageSize=20")?;
    let node = listed.pointer("/data/nodes/0/id").context("the waiting node")?.clone();
    web.client.execute("window.unreloaded = true", Vec::new()).await?;
    let body = json!({ "nodeID": node, "name": "from-curl" }).to_string();
    let asked = Instant::now();
    let managed = curl.call(
        &["--header", "Content-Type: application/json", "--data", &body],
        "/edgemanager/v1/node/add",
    )?;
    assert_eq!(managed["status"], "00000000", "{managed}");
    web.is_gone("[data-test=waiting]").await?;
    web.shows("[data-test=tile]", "from-curl").await?;
    println!("on the page {} ms after the call began", asked.elapsed().as_millis());
    let kept = web
        .client
        .execute("return window.unreloaded === true", Vec::new())
        .await?;
    ensure!(kept == Value::Bool(true), "the page was loaded again");

    // The same rules for everybody: managed once is enough, and the refusal comes in MEF's own form.
    let again = curl.call(
        &["--header", "Content-Type: application/json", "--data", &body],
        "/edgemanager/v1/node/add",
    )?;
    assert_ne!(again["status"], "00000000", "{again}");
    web.close().await
}

/// Sets the share of a disk that raises an alarm, through the page's own API.
const SET_DISK: &str = r"
    const [percent, done] = arguments;
    const send = (method, path, body) => fetch(path, { method, body, headers: { 'content-type': 'application/json' } });
    (async () => {
        const settings = await (await send('GET', '/api/settings')).json();
        Object.assign(settings.thresholds, { disk_raise: percent, disk_clear: percent });
        const answer = await send('PUT', '/api/settings', JSON.stringify(settings));
        done(answer.status);
    })().catch((error) => done(String(error)));
";

#[tokio::test(flavor = "multi_thread")]
async fn the_desktop_tells_of_an_alarm() -> Result<()> {
    let (docker, desktop) = (PrivateDocker::start().await?, Desktop::start()?);
    let data = TempDir::new()?;
    let envs = [
        ("DOCKER_HOST", PathBuf::from(docker.host())),
        ("DBUS_SESSION_BUS_ADDRESS", PathBuf::from(desktop.bus())),
    ];
    let web = Web::window(data.path(), (1280, 800), &envs).await?;
    web.click("[data-test=join-here]").await?;
    web.click("[data-test=nav-nodes] a").await?;
    web.click("[data-test=manage-one]").await?;
    web.click("[data-test=confirm-yes]").await?;
    web.find("[data-test=tile]").await?;
    assert_eq!(desktop.told(), [], "nothing is wrong yet");
    let answer = web.client.execute_async(SET_DISK, vec![json!(1)]).await?;
    assert_eq!(answer, json!(200));
    // Its charts ask for figures, which makes it measured more often.
    web.click("[data-test=tile]").await?;
    let told = until("notification", SHOWN * 3, async || {
        Ok(desktop.told().into_iter().next())
    })
    .await?;
    ensure!(!told.title.is_empty() && told.body.contains('%'), "{told:?}");
    let answer = web.client.execute_async(SET_DISK, vec![json!(100)]).await?;
    assert_eq!(answer, json!(200));
    web.close().await
}
