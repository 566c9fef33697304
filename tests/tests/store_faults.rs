//! What the store and the data folder must survive: a killed engine, a newer, damaged or locked database.

use anyhow::{Context, Result};
use edgedeck_engine::{Clock, Engine, OpenError, Options};
use edgedeck_model::api::{self, GroupBody, PageQuery};
use edgedeck_tests::programs::{Edgedeckd, program};
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

/// Kills the engine again and again while eight clients write; every acknowledged write is there afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_engine_loses_no_acknowledged_write() -> Result<()> {
    let rounds = edgedeck_tests::rounds(8, 1_000);
    let mut engine = Edgedeckd::start().await?;
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..rounds {
        let console = engine.console().await?;
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let (console, acknowledged) = (console.clone(), acknowledged.clone());
                tokio::spawn(async move {
                    for number in 0.. {
                        let name = format!("g-{round}-{writer}-{number}");
                        let body = GroupBody {
                            name: name.clone(),
                            description: String::new(),
                        };
                        match console.try_call::<api::CreateGroup>((), (), body).await {
                            Ok(Ok(_)) => acknowledged.lock().expect("no writer panics").insert(name),
                            // The engine is gone.
                            _ => return,
                        };
                    }
                })
            })
            .collect();
        let enough = (round + 1) * 100;
        edgedeck_tests::wait::until("hundred writes", edgedeck_tests::wait::USUAL, async || {
            Ok((acknowledged.lock().expect("no writer panics").len() >= enough).then_some(()))
        })
        .await?;
        engine.kill();
        for writer in writers {
            writer.await?;
        }
        let started = std::time::Instant::now();
        engine.restart().await?;
        println!("back after {:?}", started.elapsed());
    }
    let console = engine.console().await?;
    let acknowledged = acknowledged.lock().expect("no writer panics").clone();
    let mut found = BTreeSet::new();
    loop {
        let query = PageQuery {
            offset: u32::try_from(found.len())?,
            limit: api::PAGE_MAX,
            filter: String::new(),
        };
        let page = console.call::<api::ListGroups>((), query, ()).await?;
        if page.items.is_empty() {
            break;
        }
        found.extend(page.items.into_iter().map(|group| group.name));
    }
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    engine.kill();
    let connection = rusqlite::Connection::open(engine.data.path().join("edgedeck.db"))?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    assert_eq!(sound, "ok");
    // Nothing half-applied: every group has its alias, and the other way round.
    let odd: u32 = connection.query_row(
        "SELECT (SELECT count(*) FROM node_group WHERE id NOT IN (SELECT id FROM alias WHERE kind = 2)) \
         + (SELECT count(*) FROM alias WHERE kind = 2 AND id NOT IN (SELECT id FROM node_group))",
        [],
        |row| row.get(0),
    )?;
    assert_eq!(odd, 0);
    Ok(())
}

async fn open(data: &Path) -> Result<Arc<Engine>, OpenError> {
    let options = Options {
        data: data.to_owned(),
        clock: Clock::system(),
        hosts: BTreeSet::new(),
        addresses: Vec::new(),
    };
    Engine::open(options).await
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_said_and_left_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("lab");
    let engine = open(&data).await?;
    let second = open(&data).await.err().context("a second engine took the folder")?;
    assert!(matches!(second, OpenError::InUse { .. }), "{second}");
    engine.close().await;
    drop(engine);

    let database = data.join("edgedeck.db");
    let connection = rusqlite::Connection::open(&database)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", 1_000)?;
    drop(connection);
    let newer = edgedeck_tests::wait::until("free data folder", edgedeck_tests::wait::USUAL, async || {
        Ok(match open(&data).await.err() {
            Some(OpenError::InUse { .. }) => None,
            other => Some(other),
        })
    });
    let newer = newer.await?.context("a newer database was opened")?;
    assert!(newer.to_string().contains("version 1000"), "{newer}");
    rusqlite::Connection::open(&database)?.pragma_update(None, "user_version", version)?;

    let holder = rusqlite::Connection::open(&database)?;
    holder.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE")?;
    let locked = open(&data).await.err().context("a locked database was opened")?;
    assert!(locked.to_string().contains("locked"), "{locked}");
    drop(holder);

    let sound = std::fs::read(&database)?;
    std::fs::write(
        &database,
        b"this is no database, but it is long enough to be looked at as one".repeat(200),
    )?;
    let damaged = open(&data).await.err().context("a damaged database was opened")?;
    assert!(damaged.to_string().contains("damaged"), "{damaged}");
    std::fs::write(&database, sound)?;
    let engine = open(&data).await?;
    engine.close().await;
    Ok(())
}

#[test]
fn a_taken_port_is_said() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let data = tempfile::tempdir()?;
    let address = taken.local_addr()?.to_string();
    let output = Command::new(program("edgedeckd")?)
        .args([
            "serve",
            "--console",
            &address,
            "--agents",
            "127.0.0.1:0",
            "--cloud",
            "127.0.0.1:0",
            "--tingyu",
            "127.0.0.1:0",
            "--registry",
            "127.0.0.1:0",
            "--mef",
            "127.0.0.1:0",
            "--data",
        ])
        .arg(data.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("taken") && said.contains(&address),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn backup_restore_and_reset_password() -> Result<()> {
    let mut engine = Edgedeckd::start().await?;
    let body = |name: &str| GroupBody {
        name: name.to_owned(),
        description: String::new(),
    };
    engine
        .console()
        .await?
        .call::<api::CreateGroup>((), (), body("kept"))
        .await?;
    let (data, copies) = (engine.data.path().to_owned(), tempfile::tempdir()?);
    let copy = copies.path().join("copy.tar.gz");
    let tool = |arguments: &[&str]| -> Result<std::process::Output> {
        let mut command = Command::new(program("edgedeckd")?);
        command.args(arguments).env("EDGEDECK_DATA", &data);
        Ok(command.env("EDGEDECK_PASSPHRASE", "open sesame").output()?)
    };
    let weak = tool(&["backup", "--passphrase-file", "/dev/null", &copy.to_string_lossy()])?;
    assert!(!weak.status.success() && !copy.exists(), "a backup needs a passphrase");
    let copy_path = copy.to_string_lossy().into_owned();
    assert!(tool(&["backup", &copy_path])?.status.success());
    engine
        .console()
        .await?
        .call::<api::CreateGroup>((), (), body("after the copy"))
        .await?;
    let busy = tool(&["restore", &copy_path])?;
    assert!(!busy.status.success() && String::from_utf8_lossy(&busy.stderr).contains("stop it first"));
    engine.stop()?;
    let guessed = Command::new(program("edgedeckd")?)
        .args(["restore", &copy_path])
        .envs([
            ("EDGEDECK_DATA", data.as_os_str()),
            ("EDGEDECK_PASSPHRASE", "open barley".as_ref()),
        ])
        .output()?;
    assert!(!guessed.status.success() && String::from_utf8_lossy(&guessed.stderr).contains("passphrase is wrong"));
    // On another machine it is the same lab, with the same secrets.
    let elsewhere = copies.path().join("elsewhere");
    let moved = tool(&["restore", "--data", &elsewhere.to_string_lossy(), &copy_path])?;
    assert!(moved.status.success(), "{}", String::from_utf8_lossy(&moved.stderr));
    assert_eq!(
        std::fs::read(elsewhere.join("secret.key"))?,
        std::fs::read(data.join("secret.key"))?
    );
    let there = tool(&["reset-password", "--data", &elsewhere.to_string_lossy()])?;
    assert!(
        there.status.success(),
        "it opens: {}",
        String::from_utf8_lossy(&there.stderr)
    );
    let restored = tool(&["restore", &copy_path])?;
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    let reset = tool(&["reset-password"])?;
    let said = String::from_utf8_lossy(&reset.stdout).into_owned();
    engine.password = said
        .trim()
        .strip_prefix("admin: ")
        .with_context(|| said.clone())?
        .to_owned();
    engine.restart().await?;
    let groups = engine
        .console()
        .await?
        .call::<api::ListGroups>((), PageQuery::default(), ())
        .await?;
    let names: Vec<&str> = groups.items.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["kept"]);
    let doctor = tool(&["doctor"])?;
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    Ok(())
}
