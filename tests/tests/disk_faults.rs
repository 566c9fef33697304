//! A disk under the engine that is full, read-only, slow or fails: what was acknowledged is there, what was refused is
//! told, and all goes on by itself when the disk is well again.

use anyhow::{Result, ensure};
use edgedeck_model::{
    Code,
    alarm::AlarmKind,
    api::{self, AlarmQuery, GroupBody, PageQuery},
};
use edgedeck_tests::{client::Console, disk::Disk, lab::LONG, programs::Edgedeckd, rounds, wait::until};
use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

async fn engine_on(disk: &Disk) -> Result<Edgedeckd> {
    Edgedeckd::start_in(disk.path(), Ipv4Addr::LOCALHOST, &[]).await
}

/// Makes a group; `None` where the store refused, which is the only refusal there may be.
async fn create(console: &Console, name: &str) -> Result<Option<String>> {
    let body = GroupBody {
        name: name.to_owned(),
        // Takes room.
        description: "x".repeat(200),
    };
    match console.try_call::<api::CreateGroup>((), (), body).await? {
        Ok(group) => Ok(Some(group.name)),
        Err(problem) => {
            ensure!(problem.code == Code::StoreUnavailable, "{problem:?}");
            Ok(None)
        }
    }
}

async fn names(console: &Console) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut offset = 0;
    loop {
        let query = PageQuery {
            offset,
            limit: api::PAGE_MAX,
            filter: String::new(),
        };
        let page = console.call::<api::ListGroups>((), query, ()).await?;
        if page.items.is_empty() {
            return Ok(found);
        }
        // Not by what was found: a page moves when a group is made before it.
        offset += u32::try_from(page.items.len())?;
        found.extend(page.items.into_iter().map(|group| group.name));
    }
}

fn sound(engine: &Edgedeckd) -> Result<()> {
    let connection = rusqlite::Connection::open(engine.data.path().join("edgedeck.db"))?;
    let said: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    ensure!(said == "ok", "{said}");
    Ok(())
}

/// Writes until the store refuses, then until it takes writes again after `mend`; nothing acknowledged is lost.
async fn refuses_and_recovers(console: &Console, what: &str, mend: impl Fn()) -> Result<BTreeSet<String>> {
    let mut acknowledged = BTreeSet::new();
    let mut number = 0;
    until(&format!("refusal by a {what} disk"), LONG, async || {
        number += 1;
        match create(console, &format!("{what}-{number}")).await? {
            Some(name) => {
                acknowledged.insert(name);
                Ok(None)
            }
            None => Ok(Some(())),
        }
    })
    .await?;
    // Reading goes on.
    ensure!(names(console).await?.is_superset(&acknowledged));
    mend();
    let after = until("write after it is well again", LONG, async || {
        number += 1;
        create(console, &format!("{what}-{number}")).await
    })
    .await?;
    acknowledged.insert(after);
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_or_read_only_disk_is_told_and_recovered_from() -> Result<()> {
    let disk = Disk::mount()?;
    let engine = engine_on(&disk).await?;
    let console = engine.console().await?;
    disk.set_full(true);
    let mut acknowledged = refuses_and_recovers(&console, "full", || disk.set_full(false)).await?;
    disk.set_read_only(true);
    acknowledged.extend(refuses_and_recovers(&console, "read-only", || disk.set_read_only(false)).await?);
    // Told as soon as there is room to write it down.
    until("alarm of the store", LONG, async || {
        let active = console.call::<api::ListAlarms>((), AlarmQuery::default(), ()).await?;
        Ok(active
            .items
            .iter()
            .any(|alarm| alarm.kind == AlarmKind::StoreTrouble)
            .then_some(()))
    })
    .await?;
    let there = names(&console).await?;
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    ensure!(lost.is_empty(), "lost: {lost:?}");
    sound(&engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_nothing_acknowledged_is_lost() -> Result<()> {
    let disk = Disk::mount()?;
    let mut engine = engine_on(&disk).await?;
    let mut console = engine.console().await?;
    let mut acknowledged = BTreeSet::new();
    let mut refused = 0;
    for n in 1..=rounds(20, 400) {
        disk.fail_at(Some(n as u64));
        for number in 0..4 {
            match create(&console, &format!("{n}-{number}")).await? {
                Some(name) => _ = acknowledged.insert(name),
                None => refused += 1,
            }
        }
        disk.fail_at(None);
        // What is there now is there after a crash, too.
        if n % 10 == 0 {
            engine.kill_and_restart().await?;
            console = engine.console().await?;
        }
        until("write after the failure", LONG, async || {
            create(&console, &format!("{n}-after-{refused}")).await
        })
        .await?;
    }
    ensure!(refused > 0, "no failure was met");
    let there = names(&console).await?;
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    ensure!(lost.is_empty(), "lost: {lost:?}");
    engine.kill();
    sound(&engine)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_disk_slows_writes_and_nothing_else() -> Result<()> {
    let disk = Disk::mount()?;
    let engine = engine_on(&disk).await?;
    let console = engine.console().await?;
    disk.set_fsync_delay(Duration::from_secs(1));
    let writing: Vec<_> = (0..16)
        .map(|number| {
            let console = console.clone();
            tokio::spawn(async move { create(&console, &format!("slow-{number}")).await })
        })
        .collect();
    let mut slowest = Duration::ZERO;
    while !writing.iter().all(|writing| writing.is_finished()) {
        let asked = Instant::now();
        names(&console).await?;
        slowest = slowest.max(asked.elapsed());
    }
    ensure!(slowest < Duration::from_millis(900), "a read waited for {slowest:?}");
    for written in writing {
        ensure!(written.await??.is_some(), "a slow disk is no broken one");
    }
    Ok(())
}
