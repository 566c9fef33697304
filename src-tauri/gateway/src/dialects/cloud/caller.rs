//! Who calls: the door of every cloud dialect.
//!
//! [`authenticate`] finds out who has shown a token or signed the request, and [`authorize`] whether that caller may do it
//! in the project that the path names. Each dialect says in its own words what is refused.

use super::{
    answer::Failure,
    signing::{self, Authorization, Payload},
};
use crate::listen::Peer;
use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{FromRequestParts, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{HeaderMap, HeaderName, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use edgedeck_engine::{Actor, CloudCaller, Engine, SIGNATURE_WINDOW};
use edgedeck_model::{Code, Problem, project::Project, user::Role};
use http_body_util::LengthLimitError;
use std::{sync::Arc, time::Duration};

pub const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const PROJECT: HeaderName = HeaderName::from_static("x-project-id");
/// Largest body that is signed, in bytes.
const SIGNED_BODY_MAX: usize = 12 << 20;
/// How long such a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);
/// The least role that may change something.
const CHANGES: Role = Role::Operator;

/// Who calls, as handlers get it.
#[derive(Clone, Debug)]
pub struct Caller {
    pub cloud: CloudCaller,
    pub actor: Actor,
}

impl Caller {
    /// The only project that the request may be about.
    pub fn project(&self) -> &Project {
        &self.cloud.project
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Refused::NoCredentials.into())
    }
}

/// Why a request does not pass.
#[derive(Debug)]
pub enum Refused {
    /// Neither a token nor a signature.
    NoCredentials,
    /// A token that is none, or not any more.
    Token,
    /// A signature that is malformed, of an unknown key, or not this request's.
    Signature,
    /// A signed request whose date is too far from now.
    Dated,
    /// A signature that was used for a change before.
    Repeated,
    /// More changes are signed than can be kept in mind.
    TooMany,
    /// A body that is too large.
    TooLarge,
    /// A body that broke off.
    Broken,
    /// Another project than that of the credentials.
    OtherProject,
    /// A change by somebody who may only look.
    Role,
    /// The engine could not tell.
    Engine(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Engine(problem)
    }
}

impl From<edgedeck_engine::Error> for Refused {
    fn from(error: edgedeck_engine::Error) -> Self {
        Self::Engine(error.into())
    }
}

/// In the words of the cloud's own gateway.
impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let credentials = |what: &str| {
            let message = format!("Incorrect IAM authentication information: {what}");
            Self::new(StatusCode::UNAUTHORIZED, "APIGW.0301", message)
        };
        match refused {
            Refused::NoCredentials => credentials("x-auth-token not found"),
            Refused::Token => credentials("decrypt token fail"),
            Refused::Signature => credentials("verify aksk signature fail"),
            Refused::Dated => credentials("calc ak sk signature fail:signature expired"),
            Refused::Repeated => credentials("the signature was used before"),
            Refused::TooMany => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "APIGW.0308",
                "The throttling threshold has been reached.",
            ),
            Refused::TooLarge => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "APIGW.0201", "Request entity too large."),
            Refused::Broken => Self::new(StatusCode::BAD_REQUEST, "APIGW.0201", "The request body broke off."),
            Refused::OtherProject => Self::forbidden("The credentials are for another project."),
            Refused::Role => Self::forbidden("You are not authorized to perform the requested action."),
            Refused::Engine(problem) => problem.into(),
        }
    }
}

/// The door of one dialect.
#[derive(Clone)]
pub struct Door {
    pub engine: Arc<Engine>,
    /// How the dialect says what is refused.
    pub say: fn(Refused) -> Response,
}

impl Door {
    /// A door that speaks as the cloud's gateway does.
    pub fn plain(engine: Arc<Engine>) -> Self {
        Self {
            engine,
            say: |refused| Failure::from(refused).into_response(),
        }
    }
}

/// Finds out who calls, and puts a [`Caller`] to the request. Needs the extension [`Peer`].
pub async fn authenticate(State(door): State<Door>, request: Request, next: Next) -> Response {
    match identify(&door.engine, request).await {
        Ok(request) => next.run(request).await,
        Err(refused) => (door.say)(refused),
    }
}

/// Lets a caller pass, after [`authenticate`], whose role allows the method and whose project the path and the headers
/// name, if they name one.
pub async fn authorize(
    State(door): State<Door>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return (door.say)(Refused::NoCredentials);
    };
    let own = caller.project().id.hex();
    // What is no text names no project.
    let in_path = params.is_ok_and(|params| params.iter().all(|(name, value)| name != "project_id" || value == own));
    let in_header = request
        .headers()
        .get_all(&PROJECT)
        .iter()
        .all(|value| value == own.as_str());
    if !in_path || !in_header {
        return (door.say)(Refused::OtherProject);
    }
    if !request.method().is_safe() && caller.cloud.role < CHANGES {
        let subject = request.uri().path().chars().take(256).collect();
        let problem = Problem::new(Code::Forbidden);
        let actor = caller.actor.clone();
        door.engine.audit_refusal(actor, "cloud.call", subject, &problem).await;
        return (door.say)(Refused::Role);
    }
    next.run(request).await
}

async fn identify(engine: &Engine, request: Request) -> Result<Request, Refused> {
    let (cloud, mut request) = match signature(request.headers()) {
        Some(value) => {
            let authorization = value.and_then(Authorization::parse).ok_or(Refused::Signature)?;
            verify(engine, authorization, request).await?
        }
        None => {
            let mut tokens = request.headers().get_all(&TOKEN).iter();
            let token = tokens.next().ok_or(Refused::NoCredentials)?;
            let token = token.to_str().ok().filter(|_| tokens.next().is_none());
            let caller = engine.cloud_token(token.ok_or(Refused::Token)?)?;
            (caller.ok_or(Refused::Token)?, request)
        }
    };
    let origin = request
        .extensions()
        .get::<Peer>()
        .map_or_else(String::new, |peer| peer.address.ip().to_string());
    let actor = cloud.actor(&origin);
    request.extensions_mut().insert(Caller { cloud, actor });
    Ok(request)
}

/// The `Authorization` header, if it is a signature; of several, none is believed.
fn signature(headers: &HeaderMap) -> Option<Option<&[u8]>> {
    let all = headers.get_all(header::AUTHORIZATION);
    let is_signed = all.iter().any(|value| signing::is_signature(value.as_bytes()));
    is_signed.then(|| signing::one(headers, &header::AUTHORIZATION))
}

/// Checks a signed request, and takes its signature if it changes something.
async fn verify(
    engine: &Engine,
    authorization: Authorization,
    request: Request,
) -> Result<(CloudCaller, Request), Refused> {
    let date = signing::one(request.headers(), &signing::DATE).and_then(signing::date);
    let dated = date.ok_or(Refused::Signature)?;
    if engine.now().since(dated).abs() > SIGNATURE_WINDOW {
        return Err(Refused::Dated);
    }
    // Before a body is read for it.
    if !engine.has_access_key(&authorization.access_key)? {
        return Err(Refused::Signature);
    }
    let (parts, body) = request.into_parts();
    let payload = Payload::of(&parts.headers);
    let (payload, body) = match payload {
        Payload::Unsigned if !body.is_end_stream() => (payload.text(&parts.headers, &[]), body),
        _ => {
            let bytes = received(&parts.headers, body, SIGNED_BODY_MAX).await?;
            (Payload::Hashed.text(&parts.headers, &bytes), Body::from(bytes))
        }
    };
    let payload = payload.ok_or(Refused::Signature)?;
    let (path, query) = (parts.uri.path(), parts.uri.query().unwrap_or_default());
    let text = authorization.text(&parts.method, path, query, &parts.headers, &payload);
    let text = text.ok_or(Refused::Signature)?;
    let signer = engine.cloud_signer(&authorization.access_key, &text, &authorization.signature)?;
    let caller = signer.ok_or(Refused::Signature)?;
    if !parts.method.is_safe() {
        let taken = engine.take_signature(authorization.signature, dated).await;
        taken.map_err(|problem| match problem.code {
            Code::Unauthenticated => Refused::Dated,
            Code::Conflict if problem.fact("reason") == "signature-used" => Refused::Repeated,
            Code::Conflict => Refused::TooMany,
            _ => Refused::Engine(problem),
        })?;
    }
    Ok((caller, Request::from_parts(parts, body)))
}

/// The whole of a body, of at most `max` bytes.
pub async fn received(headers: &HeaderMap, body: Body, max: usize) -> Result<Bytes, Refused> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|told| told.to_str().ok());
    if told
        .and_then(|told| told.parse().ok())
        .is_some_and(|told: usize| told > max)
    {
        return Err(Refused::TooLarge);
    }
    match tokio::time::timeout(BODY_TIME, to_bytes(body, max)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let is_long = error.into_inner().is::<LengthLimitError>();
            Err(if is_long { Refused::TooLarge } else { Refused::Broken })
        }
        Err(_) => Err(Refused::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::get};
    use edgedeck_engine::{Clock, CloudLogin, Options, Scope};
    use edgedeck_model::api::{NewUserBody, ProjectBody};
    use tower::ServiceExt;

    const PASSWORD: &str = "correct horse";

    async fn opened(data: &std::path::Path) -> Arc<Engine> {
        let options = Options {
            data: data.to_owned(),
            clock: Clock::system(),
            hosts: Default::default(),
            addresses: Vec::new(),
        };
        Engine::open(options).await.unwrap()
    }

    async fn token(engine: &Engine, name: &str, role: Role, project: &str) -> String {
        let body = NewUserBody {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            role,
        };
        engine.create_user(&Actor::engine(), body).await.unwrap();
        let login = CloudLogin::Password {
            domain: "EdgeDeck".to_owned(),
            name: name.to_owned(),
            password: PASSWORD.to_owned().into(),
        };
        let scope = Scope {
            id: None,
            name: Some(project.to_owned()),
        };
        engine.issue_cloud_token(login, scope, "").await.unwrap().secret
    }

    /// A dialect as they will be, with words of its own.
    fn dialect(engine: &Arc<Engine>) -> Router {
        let door = Door {
            engine: engine.clone(),
            say: |refused| (StatusCode::IM_A_TEAPOT, format!("{refused:?}")).into_response(),
        };
        let whose = async |caller: Caller| format!("{} {}", caller.actor.name, caller.project().name);
        let things = get(whose).post(whose).put(whose).patch(whose).delete(whose);
        let routes = Router::new()
            .route("/v3/{project_id}/things", things.clone())
            .route("/v1/market", things);
        super::super::guard(routes, &door).with_state(engine.clone())
    }

    async fn said(router: &Router, method: &str, path: &str, token: &str) -> String {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header(TOKEN, token);
        let answer = router
            .clone()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        let bytes = to_bytes(answer.into_body(), 10_000).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    #[tokio::test]
    async fn a_role_allows_methods_and_a_path_names_the_project() {
        let data = tempfile::tempdir().unwrap();
        let engine = opened(&data.path().join("lab")).await;
        let body = ProjectBody {
            name: "other".to_owned(),
            description: String::new(),
        };
        let other = engine.create_project(&Actor::engine(), body).await.unwrap().id.hex();
        let own = engine.list_projects().unwrap()[0].id.hex();
        let viewer = token(&engine, "viewer", Role::Viewer, "default").await;
        let operator = token(&engine, "operator", Role::Operator, "default").await;
        let admin = token(&engine, "admin", Role::Admin, "other").await;
        let router = dialect(&engine);
        let (own, other) = (format!("/v3/{own}/things"), format!("/v3/{other}/things"));
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let by_viewer = if method == "GET" { "viewer default" } else { "Role" };
            assert_eq!(said(&router, method, &own, &viewer).await, by_viewer, "{method}");
            assert_eq!(
                said(&router, method, "/v1/market", &viewer).await,
                by_viewer,
                "{method}"
            );
            assert_eq!(
                said(&router, method, &own, &operator).await,
                "operator default",
                "{method}"
            );
            assert_eq!(said(&router, method, &other, &admin).await, "admin other", "{method}");
            for (path, token) in [(&other, &viewer), (&other, &operator), (&own, &admin)] {
                assert_eq!(said(&router, method, path, token).await, "OtherProject", "{method}");
            }
            assert_eq!(said(&router, method, &own, "guessed").await, "Token", "{method}");
            let nobody = axum::http::Request::builder()
                .method(method)
                .uri(&own)
                .body(Body::empty());
            let answer = router.clone().oneshot(nobody.unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
        }
        // An encoded id is the same id, and more than an id is none.
        let id = &own[4..36];
        let encoded = format!("/v3/%{:02x}{}/things", id.as_bytes()[0], &id[1..]);
        assert_eq!(said(&router, "GET", &encoded, &viewer).await, "viewer default");
        let more = format!("/v3/{id}%2F/things");
        assert_eq!(said(&router, "GET", &more, &viewer).await, "OtherProject");
        let audit = engine.list_audit(&Default::default()).unwrap().items;
        let told = audit.iter().find(|line| line.action == "cloud.call").unwrap();
        assert_eq!((told.actor.as_str(), told.outcome.as_str()), ("viewer", "forbidden"));
    }
}
