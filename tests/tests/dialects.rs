//! One lab in several systems' words.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    api::{self, ById, ManageBody, NewApiTokenBody, NewJoinTokenBody},
    join::JoinTokenKind,
    node::NodeState,
    user::Role,
};
use edgedeck_tests::{
    lab::node_in,
    programs::{Edgedeckd, Process, joining_agent, program},
    web::Web,
};
use serde_json::Value;
use std::{fs::File, process::Command};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_down_of_a_box_is_what_tingyu_tells() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let kind = JoinTokenKind::Single;
    let token = console
        .call::<api::CreateJoinToken>((), (), NewJoinTokenBody { kind })
        .await?;
    let folder = TempDir::new()?;
    let state = folder.path().join("state");
    let joined = joining_agent(&engine.agents_url(), &token.secret, &token.ca_hash)?
        .args(["--serial", "BOX-1", "--state"])
        .arg(&state)
        .output()?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    let log = File::create(folder.path().join("agent.log"))?;
    let _agent = Process::start(
        Command::new(program("edgedeck-agent")?)
            .args(["run", "--docker", "unix:///nowhere.sock", "--state"])
            .arg(&state)
            .stdout(log.try_clone()?)
            .stderr(log),
    )?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;

    let tingyu = engine.listeners.get("tingyu").context("Tingyu's listener")?;
    let list = async |bearer: Option<&str>| -> Result<Value> {
        let request = console.http.get(format!("https://{tingyu}/tingyu/node/list"));
        let request = bearer.map_or(request.try_clone().context("a request")?, |token| {
            request.bearer_auth(token)
        });
        Ok(request.send().await?.json().await?)
    };
    let first = list(None).await?;
    let row = &first["data"][0];
    ensure!(
        row["operator"] == "移动" && row["area"] == "" && row["bandwith"] == 0 && row["status"] == "Ready",
        "{first}"
    );
    let eth: Vec<Value> = serde_json::from_str(row["eth"].as_str().context("text")?)?;
    let disks: Vec<Value> = serde_json::from_str(row["diskinfo"].as_str().context("text")?)?;
    ensure!(
        eth.iter()
            .all(|nic| nic["Name"].is_string() && ["real", "virt"].contains(&nic["Type"].as_str().unwrap_or_default()))
    );
    ensure!(disks.iter().all(|disk| disk["Size"].is_u64() && disk["Use"].is_u64()));

    let address = engine.listeners.get("console").context("a console")?;
    let page = format!("https://{address}/nodes/{}", node.id);
    let web = Web::chromium(&page, (1280, 900), "zh").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.click("[data-test=edit-node]").await?;
    web.fill("[data-test=edit-mbps]", "viel").await?;
    web.shows("[data-test=node-dialog]", "数值超出范围").await?;
    web.fill("[data-test=edit-mbps]", "1000").await?;
    web.fill("[data-test=edit-area]", "南京").await?;
    web.click("[data-test=edit-carrier] option[value=telecom]").await?;
    web.click("[data-test=save-node]").await?;
    web.is_gone("[data-test=save-node]").await?;
    web.shows("body", "电信 · 南京 · 1,000 Mbit/s").await?;
    let told = list(None).await?;
    let row = &told["data"][0];
    ensure!(
        row["operator"] == "电信" && row["area"] == "南京" && row["bandwith"] == 1_000,
        "{told}"
    );

    // A token of the lab is as good as being here, as long as it is one.
    let body = NewApiTokenBody {
        name: "script".to_owned(),
        role: Role::Viewer,
        days: None,
    };
    let token = console.call::<api::CreateApiToken>((), (), body).await?;
    ensure!(list(Some(&token.secret)).await?["code"] == 200);
    ensure!(list(Some("guessed")).await?["code"] == 500);
    web.close().await
}
