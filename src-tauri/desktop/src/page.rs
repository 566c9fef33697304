//! The window's own scheme: each request of the page goes to the gateway's router, with no port between.

use crate::{
    failure,
    starting::{Answers, State},
};
use axum::{body::Body, http::header};
use tauri::{
    Url,
    http::{Method, Request, Response, StatusCode},
};
use tower::ServiceExt;

/// The scheme that the console's page is loaded from.
pub const SCHEME: &str = "edgedeck-ui";
/// Label of the one window.
pub const WINDOW: &str = "main";
/// The path that the failure page's button asks for.
pub const RETRY: &str = "/-/retry";

/// Largest answer that passes to the page, in bytes: it goes as a whole. Larger things are saved to disk (`saving`).
const MAX_ANSWER: usize = 64 << 20;

/// The console's first page.
pub fn home() -> Url {
    Url::parse("edgedeck-ui://localhost/").expect("a constant address")
}

/// Answers one request of the page: by the router once the engine runs, by the failure page if it does not start.
pub async fn answer(answers: &Answers, window: &str, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    if window != WINDOW || request.uri().host() != Some("localhost") {
        return plain(StatusCode::FORBIDDEN, "this page belongs to the main window");
    }
    match answers.settled().await {
        State::Ready(router) => through(router, request).await,
        State::Failed(failure) => {
            let path = request.uri().path();
            if path == RETRY && request.method() == Method::GET {
                answers.retry();
                return html(StatusCode::OK, failure::TRYING_AGAIN.to_owned());
            }
            html(StatusCode::SERVICE_UNAVAILABLE, failure.page())
        }
        State::Starting => plain(StatusCode::SERVICE_UNAVAILABLE, "the engine is being stopped"),
    }
}

async fn through(router: axum::Router, request: Request<Vec<u8>>) -> Response<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let answered = router.oneshot(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = answered.unwrap_or_else(|never| match never {}).into_parts();
    match axum::body::to_bytes(body, MAX_ANSWER).await {
        Ok(body) => Response::from_parts(parts, body.to_vec()),
        Err(error) => plain(
            StatusCode::BAD_GATEWAY,
            &format!("the answer could not be read whole: {error}"),
        ),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Vec<u8>> {
    respond(status, "text/plain; charset=utf-8", text.to_owned())
}

fn html(status: StatusCode, text: String) -> Response<Vec<u8>> {
    respond(status, "text/html; charset=utf-8", text)
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Vec<u8>> {
    let mut response = Response::new(text.into_bytes());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        header::HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
    );
    response
}
