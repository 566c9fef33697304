//! Tokens: `createToken` of the contract `hilens`, and giving one back as Keystone has it.

use super::{
    answer::Failure,
    caller::{Caller, received},
};
use crate::{dialects::times, listen::Peer};
use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use edgedeck_engine::{CloudLogin, CloudToken, Engine, Scope};
use edgedeck_model::{Code, Problem, user::Role};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Largest body of a request to log in, in bytes.
const LOGIN_MAX: usize = 64 << 10;
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

#[derive(Deserialize)]
struct AuthRequest {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    identity: Identity,
    scope: ScopeBody,
}

#[derive(Deserialize)]
struct Identity {
    methods: Vec<String>,
    password: Option<PasswordBody>,
    token: Option<TokenBody>,
}

#[derive(Deserialize)]
struct PasswordBody {
    user: UserBody,
}

#[derive(Deserialize)]
struct UserBody {
    name: String,
    password: String,
    domain: DomainBody,
}

#[derive(Deserialize)]
struct DomainBody {
    name: String,
}

#[derive(Deserialize)]
struct TokenBody {
    id: String,
}

#[derive(Deserialize)]
struct ScopeBody {
    project: ProjectBody,
}

#[derive(Deserialize)]
struct ProjectBody {
    id: Option<String>,
    name: Option<String>,
}

/// The one method that is asked for, and what comes with it.
fn login(identity: Identity) -> Option<(&'static str, CloudLogin)> {
    let [method] = identity.methods.as_slice() else {
        return None;
    };
    match (method.as_str(), identity.password, identity.token) {
        ("password", Some(PasswordBody { user }), _) => {
            let login = CloudLogin::Password {
                domain: user.domain.name,
                name: user.name,
                password: Zeroizing::new(user.password),
            };
            Some(("password", login))
        }
        ("token", _, Some(token)) => Some(("token", CloudLogin::Token(Zeroizing::new(token.id)))),
        _ => None,
    }
}

pub async fn create(
    State(engine): State<Arc<Engine>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let body = received(&parts.headers, body, LOGIN_MAX).await?;
    let AuthRequest { auth } = serde_json::from_slice(&body).map_err(|_| Failure::body("it is not a log-in"))?;
    let (method, login) = login(auth.identity).ok_or_else(|| Failure::body("methods must be password or token"))?;
    let scope = Scope {
        id: auth.scope.project.id,
        name: auth.scope.project.name,
    };
    if scope == Scope::default() {
        return Err(Failure::body("scope.project needs id or name"));
    }
    let origin = peer.address.ip().to_string();
    let token = engine
        .issue_cloud_token(login, scope, &origin)
        .await
        .map_err(|problem: Problem| match problem.code {
            Code::WrongPassword => Failure::login("The username or password is wrong."),
            Code::Unauthenticated => Failure::login("The token is wrong or has ended."),
            Code::NotFound => Failure::body("there is no such project"),
            _ => problem.into(),
        })?;
    let body = Json(described(&engine, &token, method)?);
    let headers = [(SUBJECT, token.secret)];
    Ok((StatusCode::CREATED, headers, body).into_response())
}

fn described(engine: &Engine, token: &CloudToken, method: &str) -> Result<Value, Failure> {
    let (id, name) = engine.domain()?;
    let domain = json!({ "id": id, "name": name });
    let role = match token.role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    };
    Ok(json!({ "token": {
        "methods": [method],
        "issued_at": times::micro(token.issued_at),
        "expires_at": times::micro(token.expires_at),
        "user": { "id": token.user.0.simple().to_string(), "name": token.user_name, "domain": domain },
        "project": { "id": token.project.id.hex(), "name": token.project.name, "domain": domain },
        "roles": [{ "id": role, "name": role }],
        "catalog": [],
    } }))
}

/// Ends the token in `X-Subject-Token`.
pub async fn end(State(engine): State<Arc<Engine>>, caller: Caller, headers: HeaderMap) -> Result<StatusCode, Failure> {
    let subject = headers.get(SUBJECT).and_then(|subject| subject.to_str().ok());
    let subject = subject.ok_or_else(|| Failure::not_found("X-Subject-Token names no token."))?;
    engine
        .end_cloud_token(&caller.cloud, &caller.actor.origin, subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
