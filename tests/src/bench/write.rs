//! `write`: durable creates over HTTPS by 64 clients, beside plain inserts of one transaction each.

use super::{Figure, load::Connection};
use crate::programs::Edgedeckd;
use anyhow::{Context, Result};
use edgedeck_model::{
    api::{self, NewApiTokenBody},
    user::Role,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

const CLIENTS: usize = 64;
const WARM_UP: Duration = Duration::from_secs(2);
const TIME: Duration = Duration::from_secs(8);
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

pub async fn run() -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
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
    let rate = times.len() as f64 / TIME.as_secs_f64();
    let p99 = times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default()
        .as_secs_f64()
        * 1_000.0;
    let (writes, commits) = (after.writes - before.writes, after.commits - before.commits);
    eprintln!(
        "write: {writes} writes in {commits} commits ({:.1} a commit), as many fsyncs of the log; WAL {} KiB",
        writes as f64 / commits.max(1) as f64,
        after.wal_bytes / 1024
    );
    let figure = |case: &str, figure, unit, baseline: Option<f64>, target: &str, met| Figure {
        bench: "write",
        case: case.to_owned(),
        figure,
        unit,
        baseline,
        ratio: baseline.map(|baseline| figure / baseline),
        target: target.to_owned(),
        met,
    };
    Ok(vec![
        figure(
            "64 clients over HTTPS",
            rate,
            "writes/s",
            Some(plain),
            ">= 8000",
            rate >= 8_000.0,
        ),
        figure("64 clients over HTTPS, p99", p99, "ms", None, "<= 20", p99 <= 20.0),
    ])
}
