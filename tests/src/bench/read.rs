//! `read`: lists and details through MEF's dialect by 64 clients, beside a bare handler that does the same query and writes
//! the same JSON with nothing of ours; and a page of 50 nodes out of many.

use super::{Figure, load::Connection, percentile};
use anyhow::{Context, Result};
use axum::{Router, extract::State, routing::get};
use edgedeck_engine::{Actor, Engine};
use edgedeck_gateway::Options;
use edgedeck_model::{
    api::{ManageBody, NodeQuery, NodeSort},
    join::JoinTokenKind,
};
use edgedeck_protocol::JoinRequest;
use futures::{StreamExt, stream};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use serde::Deserialize;
use serde_json::json;
use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const CLIENTS: usize = 64;
const NODES: u32 = 1_024;
const WARM_UP: Duration = Duration::from_secs(1);
const TIME: Duration = Duration::from_secs(6);
/// For the page of 50, unless `EDGEDECK_BENCH_PAGED` says otherwise.
const PAGED: u32 = 100_000;
const PAGES: usize = 300;

async fn join(engine: &Arc<Engine>, from: u32, to: u32, managed: bool) -> Result<()> {
    let actor = Actor::engine();
    let (_, token) = engine.create_join_token(&actor, JoinTokenKind::Lab).await?;
    // One key for all: making them is not what is measured.
    let csr_pem = CertificateParams::default()
        .serialize_request(&KeyPair::generate()?)?
        .pem()?;
    let joining = (from..to).map(|number| {
        let (token, csr_pem, actor) = (token.clone(), csr_pem.clone(), actor.clone());
        async move {
            let request = JoinRequest {
                token,
                csr_pem,
                serial: format!("SN-{number:06}"),
                host_name: format!("box-{number:06}"),
                arch: "aarch64".to_owned(),
                agent_version: "1.0.0".to_owned(),
            };
            let node = engine.join(request, "192.0.2.1").await?.node;
            if managed {
                engine.manage_node(&actor, node, ManageBody::default()).await?;
            }
            anyhow::Ok(())
        }
    });
    let mut joined = stream::iter(joining).buffer_unordered(256);
    while let Some(joined) = joined.next().await {
        joined?;
    }
    Ok(())
}

/// What the bare handler reads of a node.
#[derive(Deserialize)]
struct Row {
    name: String,
    serial: String,
    description: String,
    managed: bool,
    state: String,
    joined_at: i64,
    state_since: i64,
    facts: Facts,
}

#[derive(Deserialize)]
struct Facts {
    host_name: String,
    ip: Option<String>,
    agent_version: String,
}

/// Connections to the database, as many as are used at once.
struct Bare {
    path: PathBuf,
    idle: Mutex<Vec<rusqlite::Connection>>,
}

impl Bare {
    fn read(&self, sql: &str, with_total: bool) -> Result<String> {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let connection = match idle {
            Some(connection) => connection,
            None => rusqlite::Connection::open_with_flags(&self.path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let answer = {
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u32>(1)?)))?;
            let mut nodes = Vec::new();
            for row in rows {
                let (doc, number) = row?;
                let row: Row = serde_json::from_str(&doc)?;
                let software =
                    json!([{ "Name": "MEFEdge", "Version": row.facts.agent_version, "InactiveVersion": "" }]);
                nodes.push(json!({
                    "createdAt": moment(row.joined_at), "description": row.description, "id": number,
                    "ip": row.facts.ip.unwrap_or_default(), "isManaged": row.managed, "nodeName": row.name, "nodeType": "",
                    "serialNumber": row.serial, "softwareInfo": software.to_string(), "status": row.state,
                    "uniqueName": row.facts.host_name, "updatedAt": moment(row.state_since), "nodeGroup": "",
                }));
            }
            let total: u32 = if with_total {
                connection
                    .prepare_cached("SELECT count(*) FROM node WHERE managed = 1")?
                    .query_row([], |row| row.get(0))?
            } else {
                1
            };
            json!({ "status": "00000000", "msg": "success", "data": { "nodes": nodes, "total": total } }).to_string()
        };
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(connection);
        }
        Ok(answer)
    }
}

fn moment(ms: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(ms / 1_000).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    format!(
        "{}-{:02}-{:02} {:02}:{:02}:{:02}",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

const LIST: &str = "SELECT n.doc, a.external FROM node n JOIN alias a ON a.system = 1 AND a.kind = 1 AND a.id = n.id \
                    WHERE n.managed = 1 ORDER BY n.id LIMIT 20";
const DETAIL: &str = "SELECT n.doc, a.external FROM node n JOIN alias a ON a.system = 1 AND a.kind = 1 AND a.id = n.id \
                      WHERE a.external = 7";

/// The bare server, over TLS with client certificates as the dialect's.
async fn bare(engine: &Engine) -> Result<SocketAddr> {
    let state = Arc::new(Bare {
        path: engine.data().join("edgedeck.db"),
        idle: Mutex::default(),
    });
    let answer = |sql: &'static str, with_total: bool| {
        move |State(bare): State<Arc<Bare>>| async move {
            let read = tokio::task::block_in_place(|| bare.read(sql, with_total));
            ([("content-type", "application/json")], read.unwrap_or_default())
        }
    };
    let router = Router::new()
        .route("/edgemanager/v1/node/list/managed", get(answer(LIST, true)))
        .route("/edgemanager/v1/node", get(answer(DETAIL, false)))
        .with_state(state);
    let cas = engine.pki.present();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(cas.current.der.clone()))?;
    let chain = CertificateDer::pem_slice_iter(cas.server.chain_pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let config = ServerConfig::builder()
        .with_client_cert_verifier(WebPkiClientVerifier::builder(Arc::new(roots)).build()?)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(cas.server.key_pem.as_bytes())?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, router) = (acceptor.clone(), router.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let stream = hyper_util::rt::TokioIo::new(acceptor.accept(stream).await?);
                let service = hyper_util::service::TowerToHyperService::new(router);
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(stream, service)
                    .await?;
                anyhow::Ok(())
            });
        }
    });
    Ok(address)
}

/// Answers a second, for 64 clients that ask again and again.
async fn rate(address: SocketAddr, ca: &str, identity: &str, path: &'static str) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut connection = Connection::open_as(address, ca, identity).await?;
        clients.push(tokio::spawn(async move {
            let (begun, mut count) = (Instant::now(), 0_u32);
            while begun.elapsed() < WARM_UP + TIME {
                let answer = connection.get(path).await?;
                anyhow::ensure!(answer.len() > 100, "{}", String::from_utf8_lossy(&answer));
                count += u32::from(begun.elapsed() > WARM_UP);
            }
            anyhow::Ok(count)
        }));
    }
    let mut count = 0;
    for client in clients {
        count += client.await??;
    }
    Ok(f64::from(count) / TIME.as_secs_f64())
}

pub async fn run() -> Result<Vec<Figure>> {
    crate::client::use_ring();
    let folder = TempDir::new()?;
    let options = Options::new(folder.path().join("lab"));
    let running = edgedeck_gateway::start(Options {
        mef: Some("127.0.0.1:0".parse()?),
        // Its limit of ten calls a second is turned off.
        mef_options: edgedeck_gateway::dialects::mef::MefOptions { limited: false },
        ..options
    })
    .await?;
    let engine = &running.engine;
    join(engine, 0, NODES, true).await?;
    let made = engine
        .create_client_certificate(&Actor::engine(), "bench".to_owned())
        .await?;
    let identity = format!("{}{}", made.certificate_pem, made.key_pem);
    let mef = *running.listeners.get("mef").context("a MEF listener")?;
    let plain = bare(engine).await?;
    let mut figures = Vec::new();
    for (what, path) in [
        ("list of 20", "/edgemanager/v1/node/list/managed?pageNum=1&pageSize=20"),
        ("detail", "/edgemanager/v1/node?id=7"),
    ] {
        let baseline = rate(plain, &made.ca_pem, &identity, path).await?;
        let figure = rate(mef, &made.ca_pem, &identity, path).await?;
        figures.push(Figure {
            baseline: Some(baseline),
            ratio: Some(figure / baseline),
            target: ">= 0.8 x the baseline".to_owned(),
            met: figure >= 0.8 * baseline,
            ..Figure::told(
                "read",
                format!("{NODES} nodes, 64 clients, {what} through MEF"),
                figure,
                "answers/s",
            )
        });
    }
    let paged = match std::env::var("EDGEDECK_BENCH_PAGED") {
        Ok(text) => text.parse().context("EDGEDECK_BENCH_PAGED is a number")?,
        Err(_) => PAGED,
    };
    join(engine, NODES, paged, false).await?;
    for (what, sort, filter) in [
        ("by name", NodeSort::Name, ""),
        ("by name, filtered", NodeSort::Name, "77"),
        ("by state, filtered", NodeSort::State, "77"),
    ] {
        let mut times = Vec::new();
        for page in 0..PAGES {
            let query = NodeQuery {
                offset: u32::try_from(page % 20)? * 50,
                limit: 50,
                filter: filter.to_owned(),
                sort,
                ..NodeQuery::default()
            };
            let asked = Instant::now();
            let found = engine.list_nodes(&query)?;
            times.push(asked.elapsed().as_secs_f64() * 1_000.0);
            anyhow::ensure!(found.items.len() == 50, "{} rows", found.items.len());
        }
        let case = format!("page of 50 out of {paged}, {what}, p99");
        figures.push(Figure::at_most("read", case, percentile(&times, 99), "ms", 10.0));
    }
    running.stop().await;
    Ok(figures)
}
