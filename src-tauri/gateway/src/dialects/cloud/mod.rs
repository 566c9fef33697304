//! The cloud's identity service, and the door of the dialects that go by it: who calls, in which project.
//!
//! Contract `hilens`, operations `createToken`, `listAuthProjects` and `listProjects`; `servicestage-v3` and `iotedge` have
//! the same. Nothing is kept here.

mod answer;
mod caller;
mod projects;
mod signing;
mod tokens;

pub use caller::{Caller, Door, Refused};
pub use signing::parse_any;

use answer::Failure;
use axum::{
    Router,
    middleware::from_fn_with_state,
    routing::{delete, get, post},
};
use caller::{authenticate, authorize};
use edgedeck_engine::Engine;
use std::sync::Arc;

/// Serves the cloud's APIs: the identity service, and the dialects that are merged into it here. Every request needs the extension [`crate::listen::Peer`].
pub fn router(engine: Arc<Engine>) -> Router {
    let door = Door::plain(engine.clone());
    let known = Router::new()
        .route("/v3/auth/tokens", delete(tokens::end))
        .route("/v3/auth/projects", get(projects::list_mine))
        .route("/v3/projects", get(projects::list));
    let guarded = guard(
        Router::new().route("/v3/projects/{project_id}", get(projects::show)),
        &door,
    );
    known
        .layer(from_fn_with_state(door.clone(), authenticate))
        .merge(guarded)
        .route("/v3/auth/tokens", post(tokens::create))
        .fallback(async || Failure::no_route())
        .method_not_allowed_fallback(async || Failure::no_route())
        .with_state(engine)
}

/// The routes of a dialect, each open only to whom the door lets in.
pub fn guard(routes: Router<Arc<Engine>>, door: &Door) -> Router<Arc<Engine>> {
    routes
        .layer(from_fn_with_state(door.clone(), authorize))
        .layer(from_fn_with_state(door.clone(), authenticate))
}
