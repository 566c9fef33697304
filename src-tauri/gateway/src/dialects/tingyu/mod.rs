//! The API of Tingyu, `contract/tingyu.yaml`. Its scripts send no credentials: requests of this machine pass as they are, those
//! from elsewhere need an API token of the lab. What is not served answers the system's general failure.

mod answer;
mod metering;
mod nodes;

use crate::listen::Peer;
use answer::Failure;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use edgedeck_engine::Engine;
use std::sync::Arc;

const UNAUTHENTICATED: &str = "未授权,请使用接口令牌(Authorization: Bearer)";

/// Serves the dialect. Every request needs the extension [`Peer`].
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/tingyu/node/get", get(nodes::get))
        .route("/tingyu/node/list", get(nodes::list))
        .merge(metering::routes())
        .fallback(async || Failure::unknown())
        .method_not_allowed_fallback(async || Failure::unknown())
        .layer(from_fn_with_state(engine.clone(), admit))
        .with_state(engine)
}

async fn admit(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let is_here = peer.is_some_and(|peer| peer.address.ip().to_canonical().is_loopback());
    let shown = request.headers().get(header::AUTHORIZATION);
    let token = shown.and_then(|shown| shown.to_str().ok()?.strip_prefix("Bearer "));
    let by_token = token.is_some_and(|token| engine.api_token(token.trim()).is_some());
    if by_token || (is_here && token.is_none() && !is_of_a_page(request.headers())) {
        next.run(request).await
    } else {
        Failure::said(UNAUTHENTICATED).into_response()
    }
}

/// Whether a browser sends a request for a page: one that somebody has open here must not act for them.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
}
