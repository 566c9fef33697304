//! The fleet hub's listener: joining, the link, and what agents fetch.

use crate::{agent_files, console::problem_response, listen::Peer};
use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{
        DefaultBodyLimit, Path, State, WebSocketUpgrade,
        rejection::JsonRejection,
        ws::{CloseFrame, Message, WebSocket},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use edgedeck_engine::{Engine, NODE_URI, Session};
use edgedeck_model::{Code, NodeId, Problem};
use edgedeck_protocol::{
    AGENT_PATH, CA_PATH, FRAME_MAX, FromAgent, JOB_PATH, JOIN_PATH, JoinRequest, LEAVE_PATH, LINK_PATH, PACKAGE_PATH,
    SCRIPT_PATH, SHA256_HEADER, ToAgent, decode, encode,
};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

/// Largest request to join, in bytes.
const JOIN_MAX: usize = 64 * 1024;
/// An agent must say hello within this time.
const HELLO_TIME: Duration = Duration::from_secs(10);
/// Without any frame for this long, a link is dead.
const SILENCE: Duration = Duration::from_secs(35);
/// How long a node's archive may take to arrive.
const JOB_FILE_TIME: Duration = Duration::from_secs(600);
/// Frames that one agent may send at once before it has to wait, and how many more each second.
const FRAMES_BURST: f64 = 400.0;
const FRAMES_PER_SECOND: f64 = 50.0;

struct Hub {
    engine: Arc<Engine>,
    agents: Option<PathBuf>,
}

pub fn router(engine: Arc<Engine>, agents: Option<PathBuf>) -> Router {
    let hub = Arc::new(Hub { engine, agents });
    Router::new()
        .route(CA_PATH, get(ca))
        .route(SCRIPT_PATH, get(script))
        .route(&format!("{AGENT_PATH}/{{arch}}"), get(agent))
        .route(JOIN_PATH, post(join))
        .route(LEAVE_PATH, post(leave))
        .route(&format!("{PACKAGE_PATH}/{{hash}}"), get(package))
        .route(
            &format!("{JOB_PATH}/{{job}}"),
            put(job_file).layer(DefaultBodyLimit::disable()),
        )
        .route(LINK_PATH, get(link))
        .layer(DefaultBodyLimit::max(JOIN_MAX))
        .with_state(hub)
}

/// The node that the client certificate names, with its key's hash. The engine checks that it is still in the lab.
fn node_of(peer: &Peer) -> Result<(NodeId, String), Problem> {
    let certificate = peer.certificate.as_ref();
    let node = certificate.and_then(|certificate| {
        let id = certificate
            .uris
            .iter()
            .find_map(|uri| uri.strip_prefix(NODE_URI))?
            .parse()
            .ok()?;
        Some((id, certificate.key_hash.clone()))
    });
    node.ok_or_else(|| Problem::new(Code::Unauthenticated))
}

/// As [`node_of`], refusing a node that was removed or has joined anew.
fn present_node(hub: &Hub, peer: &Peer) -> Result<NodeId, Problem> {
    let (node, key_hash) = node_of(peer)?;
    let known = hub.engine.node(node).map_err(Problem::from)?;
    if known.key_hash == key_hash {
        Ok(node)
    } else {
        Err(Problem::new(Code::Unauthenticated))
    }
}

async fn ca(State(hub): State<Arc<Hub>>) -> Response {
    (
        [(header::CONTENT_TYPE, "application/x-pem-file")],
        hub.engine.pki.present().current.pem.clone(),
    )
        .into_response()
}

async fn script() -> Response {
    (
        [(header::CONTENT_TYPE, "text/x-shellscript; charset=utf-8")],
        include_str!("join.sh"),
    )
        .into_response()
}

async fn agent(State(hub): State<Arc<Hub>>, Path(arch): Path<String>) -> Response {
    let Some(path) = agent_files::program(hub.agents.as_deref(), &arch) else {
        return problem_response(&Problem::conflict("no-agent"));
    };
    match tokio::fs::File::open(&path).await {
        Ok(file) => (
            [(header::CONTENT_TYPE, "application/octet-stream")],
            Body::from_stream(ReaderStream::new(file)),
        )
            .into_response(),
        Err(error) => problem_response(&Problem::internal(error)),
    }
}

async fn join(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    request: Result<Json<JoinRequest>, JsonRejection>,
) -> Response {
    let Json(request) = match request {
        Ok(request) => request,
        Err(error) => {
            return problem_response(&Problem {
                detail: Some(error.body_text()),
                ..Problem::new(Code::Malformed)
            });
        }
    };
    match hub.engine.join(request, &peer.address.ip().to_string()).await {
        Ok(reply) => Json(reply).into_response(),
        Err(problem) => problem_response(&problem),
    }
}

async fn leave(State(hub): State<Arc<Hub>>, Extension(peer): Extension<Peer>) -> Response {
    let left = async {
        let node = present_node(&hub, &peer)?;
        hub.engine.leave(node, &peer.address.ip().to_string()).await
    };
    match left.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem_response(&problem),
    }
}

async fn package(State(hub): State<Arc<Hub>>, Extension(peer): Extension<Peer>, Path(hash): Path<String>) -> Response {
    let file = present_node(&hub, &peer).and_then(|_| hub.engine.package(&hash));
    match file {
        Ok(file) => {
            let stream = ReaderStream::new(tokio::fs::File::from_std(file));
            ([(header::CONTENT_TYPE, "application/gzip")], Body::from_stream(stream)).into_response()
        }
        Err(problem) => problem_response(&problem),
    }
}

/// Takes a node's archive for a job, streamed to disk; the engine knows how large it may be.
async fn job_file(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    Path(job): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let taken = async {
        let node = present_node(&hub, &peer)?;
        let job = job.parse().map_err(|_| Problem::not_found("job"))?;
        let sha256 = headers.get(SHA256_HEADER).and_then(|hash| hash.to_str().ok());
        let sha256 = sha256.ok_or_else(|| Problem::invalid("sha256", "required"))?;
        let mut upload = hub.engine.upload_job_file(job, node)?;
        let mut stream = body.into_data_stream();
        let end = tokio::time::Instant::now() + JOB_FILE_TIME;
        loop {
            let silent = tokio::time::Instant::now() + SILENCE;
            let next = tokio::time::timeout_at(silent.min(end), stream.next()).await;
            match next.map_err(|_| Problem::new(Code::Unreachable))? {
                // Whatever has arrived of a broken upload is dropped with its temporary file.
                Some(chunk) => upload.write(&chunk.map_err(|_| Problem::new(Code::Malformed))?)?,
                None => return upload.keep(sha256),
            }
        }
    };
    match taken.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem_response(&problem),
    }
}

async fn link(State(hub): State<Arc<Hub>>, Extension(peer): Extension<Peer>, upgrade: WebSocketUpgrade) -> Response {
    match node_of(&peer) {
        Ok((node, key_hash)) => upgrade
            // Frames are small and there are many links: the library's own buffer is 128 KiB each.
            .read_buffer_size(4 * 1024)
            .write_buffer_size(0)
            .max_message_size(FRAME_MAX)
            .max_frame_size(FRAME_MAX)
            .on_upgrade(move |socket| serve_link(hub.engine.clone(), socket, node, key_hash)),
        Err(problem) => problem_response(&problem),
    }
}

async fn serve_link(engine: Arc<Engine>, socket: WebSocket, node: NodeId, key_hash: String) {
    let (mut sink, mut stream) = socket.split();
    let hello = tokio::time::timeout(HELLO_TIME, stream.next()).await;
    let Ok(Some(Ok(Message::Binary(bytes)))) = hello else {
        return;
    };
    let hello = match decode::<FromAgent>(&bytes) {
        Ok(FromAgent::Hello(hello)) => hello,
        _ => return,
    };
    let (session, outgoing) = match engine.connect(node, &key_hash, hello).await {
        Ok(begun) => begun,
        Err(refused) => {
            tracing::info!(%node, %refused, "a link was refused");
            let removed = matches!(refused, edgedeck_engine::SessionError::Removed);
            let frame = if removed {
                ToAgent::Removed
            } else {
                ToAgent::Refused {
                    reason: refused.to_string(),
                }
            };
            if let Ok(bytes) = encode(&frame) {
                // The agent may be gone already.
                let _told = sink.send(Message::Binary(bytes.into())).await;
            }
            return;
        }
    };
    drop(engine);
    let writing = tokio::spawn(write(sink, outgoing));
    read(&session, stream, writing).await;
}

async fn write(mut sink: SplitSink<WebSocket, Message>, mut outgoing: mpsc::Receiver<ToAgent>) {
    while let Some(frame) = outgoing.recv().await {
        let bytes = match encode(&frame) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "a frame for an agent cannot be sent");
                continue;
            }
        };
        if sink.send(Message::Binary(bytes.into())).await.is_err() {
            return;
        }
    }
    // Closing a link that has broken already fails, which changes nothing.
    let _closed = sink.send(Message::Close(None::<CloseFrame>)).await;
}

async fn read(
    session: &Session,
    mut stream: futures::stream::SplitStream<WebSocket>,
    mut writing: tokio::task::JoinHandle<()>,
) {
    let mut allowance = FRAMES_BURST;
    let mut last = tokio::time::Instant::now();
    loop {
        let message = tokio::select! {
            message = tokio::time::timeout(SILENCE, stream.next()) => message,
            _ = &mut writing => return,
        };
        let bytes: Bytes = match message {
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes,
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => continue,
            _ => break,
        };
        // An agent that floods is slowed down to what a sane one needs; TCP holds it back.
        let now = tokio::time::Instant::now();
        allowance = (allowance + now.duration_since(last).as_secs_f64() * FRAMES_PER_SECOND).min(FRAMES_BURST) - 1.0;
        last = now;
        if allowance < 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(-allowance / FRAMES_PER_SECOND)).await;
        }
        match decode::<FromAgent>(&bytes) {
            Ok(frame) => {
                if let Err(error) = session.receive(frame).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, node = %session.node(), "a frame was not taken");
                }
            }
            Err(error) => {
                tracing::warn!(%error, node = %session.node(), "a link is cut: what came is no frame");
                break;
            }
        }
    }
    writing.abort();
}
