//! The engine's door for its own machine: a Unix socket in the data folder, which only the folder's owner can open. Who
//! comes through it is the local operator. A second program on the same folder (the window beside `edgedeckd`, the
//! simulated fleet) uses the running engine through it instead of opening the data itself.

use crate::{console::problem_response, listen};
use anyhow::{Context, Result};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderValue, Uri, header},
    response::Response,
};
use edgedeck_model::{
    Code, Problem,
    api::{Endpoint, Method},
};
use hyper::client::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

/// Longest answer that [`call`] reads, in bytes.
const ANSWER_MAX: usize = 1 << 20;

fn path(data: &Path) -> PathBuf {
    data.join("engine.sock")
}

/// Opens the door. Only for who holds the data folder's lock: what is left of an earlier engine is removed.
///
/// # Errors
/// When the folder cannot be written, or its path is too long for a socket.
pub fn listen(data: &Path) -> io::Result<UnixListener> {
    let path = path(data);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    // The folder is its owner's alone in any case.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves `router` to whoever may open the socket, until `stop`.
pub async fn serve(listener: UnixListener, router: Router, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "accepting a local connection");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.cancelled() => return,
        };
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| listen::answer(router.clone(), request));
            let mut builder = hyper::server::conn::http1::Builder::new();
            let connection = builder
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a local connection ended");
                    }
                }
                () = stop.cancelled() => {}
            }
        });
    }
}

/// A router that hands every request to the engine that holds the data folder.
///
/// # Errors
/// When no engine listens there, or it is somebody else's.
pub async fn attach(data: &Path) -> io::Result<Router> {
    let path = path(data);
    drop(UnixStream::connect(&path).await?);
    Ok(Router::new().fallback(move |request: Request| {
        let path = path.clone();
        async move {
            forward(&path, request).await.unwrap_or_else(|error| {
                problem_response(&Problem {
                    detail: Some(format!("{error:#}")),
                    ..Problem::new(Code::Unreachable)
                })
            })
        }
    }))
}

async fn forward(path: &Path, request: Request) -> Result<Response> {
    let stream = UnixStream::connect(path)
        .await
        .with_context(|| format!("connecting to the engine at {}", path.display()))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the engine ended");
        }
    });
    let (mut parts, body) = request.into_parts();
    // The page's own scheme means nothing to a server.
    let origin_form = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = origin_form.parse::<Uri>()?;
    parts
        .headers
        .insert(header::HOST, HeaderValue::from_static("localhost"));
    let answer = sender.send_request(Request::from_parts(parts, body)).await?;
    Ok(answer.map(Body::new))
}

/// Calls an endpoint without arguments of the engine that holds the data folder.
///
/// # Errors
/// What the engine refuses; [`Code::Unreachable`] where none runs.
pub async fn call<E: Endpoint<Args = ()>>(data: &Path, body: E::Body) -> Result<E::Reply, Problem> {
    let outcome = async {
        let body = serde_json::to_vec(&body)?;
        let method = match E::METHOD {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        };
        let mut request = Request::builder().method(method).uri(E::PATH);
        if E::METHOD != Method::Get {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = if E::METHOD == Method::Get {
            Body::empty()
        } else {
            body.into()
        };
        let answer = forward(&path(data), request.body(body)?).await?;
        let status = answer.status();
        let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_MAX).await?;
        if status.is_success() {
            return Ok(Ok(serde_json::from_slice(&bytes)?));
        }
        let refusal: Problem = serde_json::from_slice(&bytes)?;
        anyhow::Ok(Err(refusal))
    };
    outcome.await.unwrap_or_else(|error| {
        Err(Problem {
            detail: Some(format!("{error:#}")),
            ..Problem::new(Code::Unreachable)
        })
    })
}
