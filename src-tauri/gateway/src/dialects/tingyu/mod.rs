//! The API of Tingyu, `contract/tingyu.yaml`. Its scripts send no credentials: requests of this machine pass as they are, those
//! from elsewhere need an API token of the lab. What is not served answers the system's general failure.

mod answer;
mod containers;
mod files;
mod images;
mod metering;
mod nodes;
mod request;
mod tasks;

use crate::listen::Peer;
use answer::Failure;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use edgedeck_engine::{Actor, Engine};
use edgedeck_model::user::Role;
use std::sync::Arc;

const UNAUTHENTICATED: &str = "未授权,请使用接口令牌(Authorization: Bearer)";

/// Serves the dialect. Every request needs the extension [`Peer`].
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/tingyu/task/status", get(tasks::status))
        .route("/tingyu/container/create", post(containers::create))
        .route("/tingyu/container/updateByName", put(containers::update))
        .route("/tingyu/container/updateByInherit", put(containers::inherit))
        .route("/tingyu/container/inheritUpdate", post(containers::upgrade))
        .route("/tingyu/container/get", post(containers::get))
        .route("/tingyu/container/info", post(containers::info))
        .route("/tingyu/container/list", post(containers::list))
        .route("/tingyu/container/delete", delete(containers::delete))
        .route("/tingyu/container/start", post(containers::start))
        .route("/tingyu/container/stop", post(containers::stop))
        .route("/tingyu/container/restart", post(containers::restart))
        .route("/tingyu/image/deleteByImage", delete(images::delete))
        .route("/tingyu/image/deleteByImageVersion", delete(images::delete_version))
        .route("/tingyu/image/search", get(images::search))
        .route("/tingyu/image/uploadImage", post(images::upload))
        .route("/tingyu/file/downloadfile", post(files::download))
        .route("/tingyu/file/getResponseByJobId", post(files::info))
        .route("/tingyu/file/content/{id}", get(files::content))
        .route("/tingyu/node/get", get(nodes::get))
        .route("/tingyu/node/list", get(nodes::list))
        .merge(metering::routes())
        .fallback(async || Failure::unknown())
        .method_not_allowed_fallback(async || Failure::unknown())
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(engine.clone(), admit))
        .with_state(engine)
}

async fn admit(State(engine): State<Arc<Engine>>, mut request: Request, next: Next) -> Response {
    match caller(&engine, &request) {
        Some(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        None => Failure::said(UNAUTHENTICATED).into_response(),
    }
}

/// Who asks, if they may.
fn caller(engine: &Engine, request: &Request) -> Option<Actor> {
    let ip = request.extensions().get::<Peer>()?.address.ip().to_canonical();
    let (name, role) = match request.headers().get(header::AUTHORIZATION) {
        Some(shown) => {
            let token = shown.to_str().ok()?.strip_prefix("Bearer ")?;
            let known = engine.api_token(token.trim())?;
            (known.name, known.role)
        }
        None if ip.is_loopback() && !is_of_a_page(request.headers()) => ("tingyu".to_owned(), Role::Operator),
        None => return None,
    };
    Some(Actor {
        name,
        origin: ip.to_string(),
        role,
    })
}

/// Whether a browser sends a request for a page: one that somebody has open here must not act for them.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none")
}
