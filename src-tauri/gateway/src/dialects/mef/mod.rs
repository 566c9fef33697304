//! MEF Center, contract `mef-center`: containers on groups of edge nodes, over HTTPS with a client certificate.
//!
//! A projection: `request` and `rules` read the wire, the files named by nouns call the engine and write what it says in
//! MEF's words. Nothing is kept here.

mod alarms;
mod answer;
mod apps;
mod certificates;
mod common;
mod container;
mod groups;
mod images;
mod instances;
mod kinds;
mod logs;
mod nodes;
mod request;
mod rules;
mod software;

use crate::{
    limit::{ChangingLimit, Rate},
    listen::Peer,
};
pub use apps::parse_any;

use answer::{Code, Failure, NO_ROUTE, Outcome, Reply, UNAVAILABLE};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{Method, StatusCode},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use edgedeck_engine::Engine;
use std::{sync::Arc, time::Instant};

/// The version of MEF Center whose interface this is.
const VERSION: &str = "7.0.RC1";
const UNAUTHENTICATED: Code = Code("00001003", "a client certificate of the lab is required");

/// How the dialect is served.
#[derive(Clone, Debug, PartialEq)]
pub struct MefOptions {
    /// Whether the calls of one address are limited, as the settings say.
    pub limited: bool,
}

impl Default for MefOptions {
    fn default() -> Self {
        Self { limited: true }
    }
}

/// What every request passes first.
struct Door {
    engine: Arc<Engine>,
    options: MefOptions,
    limit: ChangingLimit,
}

/// Serves the dialect. Every request needs the extension [`Peer`].
pub fn router(engine: Arc<Engine>, options: MefOptions) -> Router {
    let door = Arc::new(Door {
        engine: engine.clone(),
        options,
        limit: ChangingLimit::default(),
    });
    let router = served();
    router
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, NO_ROUTE))
        .method_not_allowed_fallback(async || Failure::new(StatusCode::METHOD_NOT_ALLOWED, NO_ROUTE))
        // The settings' holds instead, where a body is read.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn(admit))
        .layer(from_fn_with_state(door, slow_down))
        .with_state(engine)
}

fn served() -> Router<Arc<Engine>> {
    Router::new()
        .route("/edgemanager/v1/version", get(version))
        .route(
            "/edgemanager/v1/nodegroup",
            post(groups::create).get(groups::get).patch(groups::update),
        )
        .route("/edgemanager/v1/nodegroup/list", get(groups::list))
        .route("/edgemanager/v1/nodegroup/batch-delete", post(groups::delete))
        .route("/edgemanager/v1/nodegroup/stats", get(groups::stats))
        .route("/edgemanager/v1/nodegroup/node", post(groups::add))
        .route("/edgemanager/v1/nodegroup/node/batch-delete", post(groups::remove))
        .route("/edgemanager/v1/nodegroup/pod/batch-delete", post(groups::delete_pods))
        .route("/edgemanager/v1/node", get(nodes::get).patch(nodes::update))
        .route("/edgemanager/v1/node/list", get(nodes::list_all))
        .route("/edgemanager/v1/node/list/managed", get(nodes::list_managed))
        .route("/edgemanager/v1/node/list/unmanaged", get(nodes::list_unmanaged))
        .route("/edgemanager/v1/node/add", post(nodes::manage))
        .route("/edgemanager/v1/node/stats", get(nodes::stats))
        .route("/edgemanager/v1/node/batch-delete", post(nodes::delete_managed))
        .route(
            "/edgemanager/v1/node/batch-delete/unmanaged",
            post(nodes::delete_unmanaged),
        )
        .route(
            "/edgemanager/v1/app",
            post(apps::create).get(apps::get).patch(apps::update),
        )
        .route("/edgemanager/v1/app/list", get(apps::list))
        .route("/edgemanager/v1/app/batch-delete", post(apps::delete))
        .route(
            "/edgemanager/v1/app/deployment",
            post(apps::deploy).get(instances::of_app),
        )
        .route("/edgemanager/v1/app/deployment/list", get(instances::list))
        .route("/edgemanager/v1/app/deployment/batch-delete", post(apps::undeploy))
        .route("/edgemanager/v1/app/node", get(instances::of_node))
        .route("/alarmmanager/v1/alarms", get(alarms::list_alarms))
        .route("/alarmmanager/v1/alarm", get(alarms::get_alarm))
        .route("/alarmmanager/v1/events", get(alarms::list_events))
        .route("/alarmmanager/v1/event", get(alarms::get_event))
        .route("/certmanager/v1/certificates/import", post(certificates::import))
        .route("/certmanager/v1/certificates/delete-cert", post(certificates::delete))
        .route("/certmanager/v1/certificates/info", get(certificates::info))
        .route("/certmanager/v1/export", get(certificates::export))
        .route("/certmanager/v1/crl/import", post(certificates::import_crl))
        .route("/edgemanager/v1/token", get(certificates::token))
        .route("/edgemanager/v1/logmgmt/dump/task", post(logs::create).get(logs::get))
        .route("/edgemanager/v1/logmgmt/dump/task/", post(logs::create).get(logs::get))
        .route(
            "/edgemanager/v1/logmgmt/dump/download/edgeNodes.tar.gz",
            get(logs::download),
        )
        .route("/edgemanager/v1/image/config", post(images::configure))
        .route("/edgemanager/v1/software/edge/download", post(software::download))
        .route(
            "/edgemanager/v1/software/edge/download-progress",
            get(software::progress),
        )
        .route("/edgemanager/v1/software/edge/version-info", get(software::version))
        .route("/edgemanager/v1/software/edge/upgrade", post(software::upgrade))
}

async fn version() -> Outcome {
    Reply::data(VERSION, UNAVAILABLE)
}

/// Lets clients of the lab pass, with the methods that MEF's gateway forwards.
async fn admit(request: Request, next: Next) -> Response {
    if request::caller(request.extensions().get()).is_none() {
        return Failure::new(StatusCode::UNAUTHORIZED, UNAUTHENTICATED).into_response();
    }
    if ![Method::GET, Method::POST, Method::PATCH].contains(request.method()) {
        return Failure::new(StatusCode::METHOD_NOT_ALLOWED, NO_ROUTE).into_response();
    }
    next.run(request).await
}

/// Refuses what is over the rate, and says how large a body may be.
async fn slow_down(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    let limits = door.engine.settings().mef.clone();
    request
        .extensions_mut()
        .insert(request::BodyMax(limits.body_kib as usize * 1_024));
    let address = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
    let (Some(address), true) = (address, door.options.limited) else {
        return next.run(request).await;
    };
    let limit = door.limit.with(Rate {
        per_second: match limits.calls_per_second {
            0 => f64::INFINITY,
            calls => calls.into(),
        },
        burst: limits.burst.into(),
        at_once: limits.at_once,
    });
    match limit.take(address, Instant::now()) {
        Some(_place) => next.run(request).await,
        None => Failure::new(StatusCode::TOO_MANY_REQUESTS, UNAVAILABLE).into_response(),
    }
}
