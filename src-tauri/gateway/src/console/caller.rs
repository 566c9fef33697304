//! Who calls the console API: the local operator in the window, a session's cookie, or an API token.

use crate::listen::Peer;
use axum::http::{HeaderMap, header, request::Parts};
use edgedeck_engine::{Actor, Engine};
use edgedeck_model::{Code, Problem, api::CSRF_HEADER, user::Role};
use subtle::ConstantTimeEq;

/// Marks a request as the window's own: set by the code that hands the window's requests to the router, and never by
/// anything that a client on the network could send.
#[derive(Clone, Copy, Debug)]
pub struct LocalOperator;

/// Name of the session's cookie; the prefix makes browsers insist on TLS, this host and the whole path.
pub const SESSION_COOKIE: &str = "__Host-edgedeck";

#[derive(Clone, Debug)]
pub struct Caller {
    pub name: String,
    /// `None` for somebody who has not signed in.
    pub role: Option<Role>,
    pub csrf: String,
    pub window: bool,
    pub origin: String,
    /// The session's secret, where a cookie carried one.
    pub session: Option<String>,
}

impl Caller {
    /// # Errors
    /// [`Code::Forbidden`] for a change by cookie without the session's CSRF value.
    pub async fn of(engine: &Engine, parts: &Parts, changes: bool) -> Result<Self, Problem> {
        if parts.extensions.get::<LocalOperator>().is_some() {
            return Ok(Self {
                name: "local".to_owned(),
                role: Some(Role::Admin),
                csrf: String::new(),
                window: true,
                origin: "window".to_owned(),
                session: None,
            });
        }
        let origin = parts
            .extensions
            .get::<Peer>()
            .map_or_else(String::new, |peer| peer.address.ip().to_string());
        let nobody = Self {
            name: String::new(),
            role: None,
            csrf: String::new(),
            window: false,
            origin,
            session: None,
        };
        if let Some(token) = bearer(&parts.headers) {
            let identified = engine
                .api_token(token)
                .ok_or_else(|| Problem::new(Code::Unauthenticated))?;
            return Ok(Self {
                name: identified.name,
                role: Some(identified.role),
                ..nobody
            });
        }
        let Some(secret) = cookie(&parts.headers) else {
            return Ok(nobody);
        };
        let Some(identified) = engine.session(secret).await else {
            return Ok(nobody);
        };
        if changes {
            let shown = parts.headers.get(CSRF_HEADER).map_or(&[][..], |value| value.as_bytes());
            if !bool::from(shown.ct_eq(identified.csrf.as_bytes())) {
                return Err(Problem::new(Code::Forbidden).with("reason", "csrf"));
            }
        }
        Ok(Self {
            name: identified.name,
            role: Some(identified.role),
            csrf: identified.csrf,
            session: Some(secret.to_owned()),
            ..nobody
        })
    }

    /// Refuses, and writes down, a call that the caller's role does not allow.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] or [`Code::Forbidden`].
    pub async fn require(&self, engine: &Engine, least: Option<Role>, action: &'static str) -> Result<(), Problem> {
        let Some(least) = least else {
            return Ok(());
        };
        match self.role {
            None => Err(Problem::new(Code::Unauthenticated)),
            Some(role) if role >= least => Ok(()),
            Some(_) => {
                let problem = Problem::new(Code::Forbidden);
                engine
                    .audit_refusal(self.actor(), action, String::new(), &problem)
                    .await;
                Err(problem)
            }
        }
    }

    pub fn actor(&self) -> Actor {
        Actor {
            name: self.name.clone(),
            origin: self.origin.clone(),
            role: self.role.unwrap_or(Role::Viewer),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
        .map(str::trim)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(name, value)| (name == SESSION_COOKIE).then_some(value))
}
