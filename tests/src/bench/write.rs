//! `write`: durable creates over HTTPS by 64 clients, beside plain inserts of one transaction each; on this machine's
//! disk, and on one whose fsync takes its time.

use super::{Figure, load::Connection};
use crate::{disk::Disk, programs::Edgedeckd};
use anyhow::{Context, Result};
use edgedeck_model::{
    api::{self, NewApiTokenBody},
    user::Role,
};
use std::{
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

const CLIENTS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(8);
/// As a disk with a real write barrier takes.
const SLOW_FSYNC: Duration = Duration::from_millis(2);
const PLAIN_TIME: Duration = Duration::from_secs(4);

/// Inserts of one transaction each, a second, as somebody would write them with nothing but SQLite.
fn plain(folder: &Path) -> Result<f64> {
    let connection = rusqlite::Connection::open(folder.join("plain.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
         CREATE TABLE thing (id BLOB PRIMARY KEY, name TEXT UNIQUE, doc TEXT)",
    )?;
    let mut insert = connection.prepare("INSERT INTO thing (id, name, doc) VALUES (?1, ?2, ?3)")?;
    let (start, mut count) = (Instant::now(), 0_u32);
    while start.elapsed() < PLAIN_TIME {
        let name = format!("plain-{count}");
        let doc = format!(r#"{{"name":"{name}","description":"","created_at":0}}"#);
        insert.execute(rusqlite::params![uuid::Uuid::now_v7(), name, doc])?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}

async fn client(mut connection: Connection, number: usize) -> Result<Vec<Duration>> {
    let start = Instant::now();
    let mut times = Vec::new();
    for count in 0.. {
        let asked = Instant::now();
        if asked - start > WARM_UP + TIME {
            break;
        }
        connection
            .post("/api/groups", format!(r#"{{"name":"w-{number}-{count}"}}"#))
            .await?;
        if asked - start > WARM_UP {
            times.push(asked.elapsed());
        }
    }
    Ok(times)
}

/// What was measured of one disk.
struct Measured {
    plain: f64,
    rate: f64,
    /// In milliseconds.
    p99: f64,
}

async fn measure(case: &str, engine: &Edgedeckd) -> Result<Measured> {
    let admin = engine.console().await?;
    let body = NewApiTokenBody {
        name: "bench".to_owned(),
        role: Role::Operator,
        days: Some(1),
    };
    let token = admin.call::<api::CreateApiToken>((), (), body).await?.secret;
    let ca = admin
        .http
        .get(format!("{}/ca.pem", engine.agents_url()))
        .send()
        .await?
        .text()
        .await?;
    let address = *engine.listeners.get("console").context("a console")?;
    let plain = plain(engine.data.path())?;
    let before = admin.call::<api::GetStatus>((), (), ()).await?;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let connection = Connection::open(address, &ca, &token).await?;
        clients.push(tokio::spawn(client(connection, number)));
    }
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await??);
    }
    let after = admin.call::<api::GetStatus>((), (), ()).await?;
    times.sort_unstable();
    let slow = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    let (writes, commits) = (after.writes - before.writes, after.commits - before.commits);
    eprintln!(
        "write, {case}: {writes} writes in {commits} commits ({:.1} a commit), as many fsyncs of the log; WAL {} KiB",
        writes as f64 / commits.max(1) as f64,
        after.wal_bytes / 1024
    );
    Ok(Measured {
        plain,
        rate: times.len() as f64 / TIME.as_secs_f64(),
        p99: slow.as_secs_f64() * 1_000.0,
    })
}

pub async fn run() -> Result<Vec<Figure>> {
    let here = measure("this disk", &Edgedeckd::start().await?).await?;
    let disk = Disk::mount()?;
    let engine = Edgedeckd::start_in(disk.path(), Ipv4Addr::LOCALHOST, &[]).await?;
    disk.set_fsync_delay(SLOW_FSYNC);
    let slow = measure("fsync of 2 ms", &engine).await?;
    let rate = |case: &str, measured: &Measured, target: &str, met| Figure {
        bench: "write",
        case: format!("64 clients over HTTPS, {case}"),
        figure: measured.rate,
        unit: "writes/s",
        baseline: Some(measured.plain),
        ratio: Some(measured.rate / measured.plain),
        target: target.to_owned(),
        met,
    };
    let tail_case = "64 clients over HTTPS, this disk, p99".to_owned();
    let tail = Figure::at_most("write", tail_case, here.p99, "ms", 20.0);
    Ok(vec![
        rate("this disk", &here, ">= 8000", here.rate >= 8_000.0),
        tail,
        rate(
            "fsync of 2 ms",
            &slow,
            ">= 10 x the baseline",
            slow.rate >= 10.0 * slow.plain,
        ),
    ])
}
