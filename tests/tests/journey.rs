//! A person's way through the console, in the real window and in Chromium: join this machine, manage it, group it,
//! deploy a container by the wizard, watch it run, save a report, change the language.

use anyhow::{Context, Result, ensure};
use edgedeck_tests::{
    docker::{IMAGE, PrivateDocker},
    programs::Edgedeckd,
    wait::until,
    web::{SHOWN, Web},
};
use fantoccini::{Locator, key::Key};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;

/// The way itself; `saved` is where the window puts a saved report.
async fn journey(web: &Web, docker: &PrivateDocker, saved: &Path) -> Result<()> {
    // An empty lab teaches, and this machine is one click away.
    web.click("[data-test=join-here]").await?;
    web.click("[data-test=nav-nodes] a").await?;
    web.click("[data-test=manage-one]").await?;
    web.click("[data-test=confirm-yes]").await?;
    web.is_gone("[data-test=waiting]").await?;
    web.find("[data-test=tile]").await?;

    // A group with the node in it.
    web.click("[data-test=nav-groups] a").await?;
    web.click("[data-test=new-group-empty]").await?;
    web.fill("[data-test=group-name]", "产线 <b>A</b>").await?;
    web.click("[data-test=save-group]").await?;
    until("group's page", SHOWN, async || {
        // Some consoles open the page of what was made; from a list it takes one click more.
        if web.client.find(Locator::Css("[data-test=group-title]")).await.is_err() {
            web.client
                .find(Locator::Css("[data-test=groups-row]"))
                .await?
                .click()
                .await?;
            web.client
                .active_element()
                .await?
                .send_keys(&char::from(Key::Enter).to_string())
                .await?;
        }
        web.client.find(Locator::Css("[data-test=group-title]")).await?;
        Ok(Some(()))
    })
    .await?;
    web.shows("[data-test=group-title]", "产线 <b>A</b>").await?;
    web.click("[data-test=add-nodes]").await?;
    web.click("[data-test=picker-row] [role=checkbox]").await?;
    web.click("[data-test=add-chosen]").await?;
    web.find("[data-test=members-row]").await?;

    // Deployed by the wizard, from an image.
    web.click("[data-test=deploy-to-group]").await?;
    web.click("[data-test=source-image]").await?;
    web.fill("[data-test=new-app-name]", "speaker").await?;
    // The form and the JSON are two sides of one thing: what is typed into one shows in the other.
    let run = json!({ "kind": "container", "image": IMAGE, "command": ["/bin/sh", "-c", "while :; do echo I speak; sleep 1; done"] });
    web.fill(
        "[data-test=spec-json]",
        &json!({ "parts": [{ "name": "main", "run": run }] }).to_string(),
    )
    .await?;
    until("image in the form", SHOWN, async || {
        let image = web
            .client
            .find(Locator::Css("[data-test=image]"))
            .await?
            .prop("value")
            .await?;
        Ok((image.as_deref() == Some(IMAGE)).then_some(()))
    })
    .await?;
    web.click("[data-test=next]").await?;
    web.find("[data-test=plan-row][data-fits=true]").await?;
    web.click("[data-test=next]").await?;
    web.fill("[data-test=deployment-name]", "speaker").await?;
    web.click("[data-test=next]").await?;
    web.shows("[data-test=review-name]", "speaker").await?;
    web.click("[data-test=deploy]").await?;
    web.find("[data-test=run-done]").await?;
    ensure!(
        docker.run(&["ps", "--format", "{{.Names}}"])?.contains("edgedeck-"),
        "no container runs"
    );
    web.click("[data-test=open-deployment]").await?;
    web.shows("[data-test=deployment-title]", "speaker").await?;

    // Killed behind its back, it is shown with its restart; nothing was reloaded.
    let container = docker.run(&["ps", "--quiet", "--filter", "name=edgedeck-"])?;
    docker.run(&["kill", container.trim()])?;
    web.shows("[data-test=instances-row]", "137").await?;

    // The palette finds it by name.
    let page = web.find("body").await?;
    page.send_keys(&format!("{}k{}", char::from(Key::Control), char::from(Key::Null)))
        .await?;
    web.fill("[data-test=palette-input]", "speaker").await?;
    web.shows("[data-test=palette-row]", "speaker").await?;
    web.find("[data-test=palette-input]")
        .await?
        .send_keys(&char::from(Key::Escape).to_string())
        .await?;

    // A report, saved where the window's dialog would ask.
    web.click("[data-test=nav-reports] a").await?;
    web.click("[data-test=save-report]").await?;
    if web.window {
        until("saved report", Duration::from_secs(30), async || {
            let file = std::fs::read_dir(saved)?.next();
            let Some(file) = file else { return Ok(None) };
            let bytes = std::fs::read(file?.path())?;
            Ok(bytes.starts_with(b"%PDF").then_some(()))
        })
        .await?;
    }

    // The other language, without a reload.
    web.client.execute("window.unreloaded = true", Vec::new()).await?;
    web.click("[data-test=language]").await?;
    until("other language", SHOWN, async || {
        let choice = web
            .client
            .find(Locator::Css(
                "[role=menu] [aria-checked=false], [role=menu] [data-test=lang-en]",
            ))
            .await;
        if let Ok(choice) = choice {
            choice.click().await?;
        }
        let text = web
            .client
            .find(Locator::Css("[data-test=nav-nodes]"))
            .await?
            .text()
            .await?;
        Ok((text.contains("Nodes") || text.contains("节点")).then_some(()))
    })
    .await?;
    let kept = web
        .client
        .execute("return window.unreloaded === true", Vec::new())
        .await?;
    ensure!(kept == serde_json::Value::Bool(true), "the page was loaded again");
    Ok(())
}

/// Runs the way, and leaves a picture where it stopped if it did not come to its end.
async fn travel(web: Web, docker: &PrivateDocker, saved: &Path, name: &str) -> Result<()> {
    let outcome = journey(&web, docker, saved).await;
    if outcome.is_err() {
        let picture = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        web.picture(&picture).await?;
        println!("see {}", picture.display());
    }
    let closed = web.close().await;
    outcome.with_context(|| format!("in the {name}"))?;
    closed
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_browser() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let engine = Edgedeckd::start_with(std::net::Ipv4Addr::LOCALHOST, &[("DOCKER_HOST", docker.host())]).await?;
    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/"), (1280, 800), "zh-CN").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", "a wrong one").await?;
    web.click("[data-test=submit]").await?;
    web.find("[data-test=error]").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    travel(web, &docker, engine.data.path(), "browser").await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_window() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let (data, saved) = (TempDir::new()?, TempDir::new()?);
    let envs = [
        ("DOCKER_HOST", PathBuf::from(docker.host())),
        ("EDGEDECK_TEST_SAVE_DIR", saved.path().to_owned()),
    ];
    let web = Web::window(data.path(), (1280, 800), &envs).await?;
    travel(web, &docker, saved.path(), "window").await
}
