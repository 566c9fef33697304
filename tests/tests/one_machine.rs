//! Programs that share a machine with a running engine use it through the socket in its data folder.

use anyhow::{Context, Result, ensure};
use edgedeck_model::api::{self, GroupBody, NodeQuery, PageQuery};
use edgedeck_tests::{
    lab::LONG,
    notifications::Desktop,
    programs::{Edgedeckd, Process, program},
    wait::{USUAL, until},
    web::Web,
};
use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;

fn group(name: &str) -> GroupBody {
    GroupBody {
        name: name.to_owned(),
        description: String::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_shows_the_lab_of_an_engine_that_runs_already() -> Result<()> {
    let mut engine = Edgedeckd::start().await?;
    let socket = engine.data.path().join("engine.sock").metadata()?;
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let web = Web::window(engine.data.path(), (1280, 800), &[]).await?;
    web.click("[data-test=nav-groups] a").await?;
    web.find("[data-test=new-group-empty]").await?;
    // What others do shows in it, and what it does is the engine's.
    engine
        .console()
        .await?
        .call::<api::CreateGroup>((), (), group("from-elsewhere"))
        .await?;
    web.shows("[data-test=groups-row]", "from-elsewhere").await?;
    engine.kill_and_restart().await?;
    engine
        .console()
        .await?
        .call::<api::CreateGroup>((), (), group("after-the-restart"))
        .await?;
    web.shows("main", "after-the-restart").await?;
    let listed = engine
        .console()
        .await?
        .call::<api::ListGroups>((), PageQuery::default(), ())
        .await?;
    assert_eq!(listed.total, 2);
    web.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_fleet_joins_by_one_word() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let home = TempDir::new()?;
    let mut command = Command::new(program("edgedeckd")?);
    command
        .args(["lab", "--nodes", "40"])
        .env("EDGEDECK_DATA", engine.data.path())
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path())
        .stderr(Stdio::null());
    let _fleet = Process::start(&mut command)?;
    let console = engine.console().await?;
    until("forty nodes", LONG, async || {
        let listed = console.call::<api::ListNodes>((), NodeQuery::default(), ()).await?;
        Ok((listed.total == 40).then_some(()))
    })
    .await?;

    // Without an engine it says what to do.
    let nowhere = TempDir::new()?;
    let output = Command::new(program("edgedeckd")?)
        .args(["lab", "--nodes", "1", "--data"])
        .arg(nowhere.path())
        .output()
        .context("edgedeckd")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        !output.status.success() && said.contains("Start it first") && said.contains("请先启动"),
        "{said}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_shows_its_page_in_the_first_window() -> Result<()> {
    let (desktop, data) = (Desktop::start()?, TempDir::new()?);
    let bus = PathBuf::from(desktop.bus());
    let web = Web::window(data.path(), (1280, 800), &[("DBUS_SESSION_BUS_ADDRESS", bus.clone())]).await?;
    web.find("[data-test=join-here]").await?;
    let mut second = Command::new(program("edgedeck")?);
    second
        .arg("--data")
        .arg(data.path())
        .arg("edgedeck://groups")
        .env("DBUS_SESSION_BUS_ADDRESS", bus)
        .env("DISPLAY", &web.display);
    let ended = tokio::task::spawn_blocking(move || second.status());
    ensure!(tokio::time::timeout(USUAL, ended).await???.success());
    until("its page in the first window", USUAL, async || {
        let page = web.client.current_url().await?;
        Ok((page.path() == "/groups").then_some(()))
    })
    .await?;
    web.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_hands_a_package_over_from_the_disk() -> Result<()> {
    let (data, folder) = (TempDir::new()?, TempDir::new()?);
    let place = folder.path().join("speaker.tar.gz");
    let file = std::fs::File::create(&place)?;
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()));
    let script = b"#!/bin/sh\necho hello\n";
    let mut header = tar::Header::new_gnu();
    header.set_size(script.len() as u64);
    header.set_mode(0o755);
    archive.append_data(&mut header, "bin/speak.sh", &script[..])?;
    archive.into_inner()?.finish()?;

    let web = Web::window(data.path(), (1280, 800), &[("EDGEDECK_TEST_OPEN_FILE", place.clone())]).await?;
    web.click("[data-test=nav-apps] a").await?;
    web.click("[data-test=new-app]").await?;
    web.click("[data-test=start-process]").await?;
    web.click("[data-test=choose-package]").await?;
    web.shows("[data-test=package-told]", "1").await?;
    web.shows("[data-test=part]", "bin/speak.sh").await?;
    let packages = std::fs::read_dir(data.path().join("packages"))?.count();
    assert_eq!(packages, 1);
    // What is no package is refused, and leaves nothing.
    std::fs::write(&place, "no archive")?;
    web.click("[data-test=choose-package]").await?;
    web.find("[data-test=part] [role=alert]").await?;
    assert_eq!(std::fs::read_dir(data.path().join("packages"))?.count(), 1);
    web.close().await
}
