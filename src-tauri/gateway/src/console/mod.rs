//! The console API: the endpoints that `model::api` declares, mapped onto the engine.

mod caller;
mod handlers;
mod raw;

pub use caller::{LocalOperator, SESSION_COOKIE};

use crate::{local_agent::LocalAgent, ui_files};
use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodFilter, any, on},
};
use caller::Caller;
use edgedeck_engine::Engine;
use edgedeck_model::{
    Code, Lang, Problem,
    api::{BODY_MAX, Endpoint, Method},
};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

/// What the console's handlers work with.
pub struct Console {
    pub engine: Arc<Engine>,
    pub local_agent: LocalAgent,
    pub agents: Option<PathBuf>,
    /// Name of each listener and where it listens.
    pub listeners: BTreeMap<String, SocketAddr>,
}

/// One call of an endpoint, parsed and allowed.
struct Call<E: Endpoint> {
    console: Arc<Console>,
    caller: Caller,
    args: E::Args,
    query: E::Query,
    body: E::Body,
}

/// The console API and the UI's files.
pub fn router(console: Arc<Console>) -> Router {
    let api = handlers::routes(Router::new()).fallback_api();
    raw::routes(api)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .fallback(ui_files::serve)
        .with_state(console)
}

trait FallbackApi {
    fn fallback_api(self) -> Self;
}

impl FallbackApi for Router<Arc<Console>> {
    /// A path below `/api` that is no endpoint is told so in the API's own form, not with a page.
    fn fallback_api(self) -> Self {
        self.route(
            "/api/{*rest}",
            any(async || problem_response(&Problem::not_found("page"))),
        )
    }
}

/// Serves an endpoint by `handler`.
fn route<E, F, R>(router: Router<Arc<Console>>, _endpoint: E, handler: F) -> Router<Arc<Console>>
where
    E: Endpoint,
    E::Args: 'static,
    F: Fn(Call<E>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Result<E::Reply, Problem>> + Send,
{
    let method = match E::METHOD {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Put => MethodFilter::PUT,
        Method::Delete => MethodFilter::DELETE,
    };
    let serve = move |State(console): State<Arc<Console>>, request: Request| {
        let handler = handler.clone();
        async move {
            let outcome = async {
                let call = parse::<E>(console, request).await?;
                handler(call).await
            };
            match outcome.await {
                Ok(reply) => json(StatusCode::OK, &reply),
                Err(problem) => problem_response(&problem),
            }
        }
    };
    router.route(E::PATH, on(method, serve))
}

async fn parse<E: Endpoint>(console: Arc<Console>, request: Request) -> Result<Call<E>, Problem> {
    let (mut parts, body) = request.into_parts();
    let changes = E::METHOD != Method::Get;
    let caller = Caller::of(&console.engine, &parts, changes && E::ROLE.is_some()).await?;
    caller.require(&console.engine, E::ROLE, E::NAME).await?;
    let Path(args) = Path::<E::Args>::from_request_parts(&mut parts, &())
        .await
        .map_err(|error| Problem {
            detail: Some(error.body_text()),
            ..Problem::not_found("page")
        })?;
    let query = match parts.uri.query() {
        None | Some("") => E::Query::default(),
        Some(_) => axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| query)
            .map_err(|error| malformed(error.body_text()))?,
    };
    let bytes = axum::body::to_bytes(body, BODY_MAX)
        .await
        .map_err(|_| Problem::new(Code::TooLarge))?;
    let body = parse_body(&bytes, &parts.headers)?;
    Ok(Call {
        console,
        caller,
        args,
        query,
        body,
    })
}

fn parse_body<T: DeserializeOwned>(bytes: &Bytes, headers: &HeaderMap) -> Result<T, Problem> {
    if bytes.is_empty() {
        return serde_json::from_slice(b"null").map_err(|error| malformed(error.to_string()));
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    // A form on another site can only send other kinds without asking first.
    if !kind.starts_with("application/json") {
        return Err(malformed(format!(
            "the content type must be application/json, not {kind:?}"
        )));
    }
    serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))
}

fn malformed(detail: String) -> Problem {
    Problem {
        detail: Some(detail),
        ..Problem::new(Code::Malformed)
    }
}

fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (
            status,
            [
                (header::CONTENT_TYPE, "application/json"),
                (header::CACHE_CONTROL, "no-store"),
            ],
            bytes,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A problem in the console API's form.
pub fn problem_response(problem: &Problem) -> Response {
    let status = match problem.code {
        Code::Invalid | Code::Malformed => StatusCode::BAD_REQUEST,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unauthenticated | Code::WrongPassword | Code::BadToken => StatusCode::UNAUTHORIZED,
        Code::Locked => StatusCode::TOO_MANY_REQUESTS,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Taken | Code::Changed | Code::Conflict | Code::DoesNotFit => StatusCode::CONFLICT,
        Code::Unreachable | Code::StoreUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::NotBuilt => StatusCode::NOT_IMPLEMENTED,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    json(
        status,
        &Refusal {
            problem,
            message: problem.text(Lang::En),
        },
    )
}

/// A problem, with its sentence for whoever reads it in a script's output.
#[derive(serde::Serialize)]
struct Refusal<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    message: String,
}
