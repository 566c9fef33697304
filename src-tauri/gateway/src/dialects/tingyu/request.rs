//! What comes in: who asks, parameters, JSON. Whatever is wrong with it answers the general failure.

use super::answer::Failure;
use axum::{
    body::Body as Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use edgedeck_engine::Actor;
use edgedeck_model::user::Role;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Largest JSON body, in bytes: some thousands of containers.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// Largest form, in bytes.
const FORM_MAX: usize = 256 * 1024;
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(60);
const FORBIDDEN: &str = "权限不足,请使用操作员角色的接口令牌";

/// Who asks for a change; those who may only look are refused.
pub struct Caller(pub Actor);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let actor = parts.extensions.get::<Actor>().cloned().ok_or_else(Failure::unknown)?;
        if actor.role < Role::Operator {
            return Err(Failure::said(FORBIDDEN));
        }
        Ok(Self(actor))
    }
}

async fn read(body: Bytes, max: usize) -> Result<Vec<u8>, Failure> {
    let read = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, max));
    match read.await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        _ => Err(Failure::unknown()),
    }
}

/// Parameters of the query, and of a form in the body; of two with one name the first counts.
pub struct Params(Vec<(String, String)>);

impl Params {
    pub fn of_query(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A parameter that must be there.
    ///
    /// # Errors
    /// The general failure.
    pub fn given(&self, name: &str) -> Result<&str, Failure> {
        self.text(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(Failure::unknown)
    }

    /// The texts of a list joined with commas: at least one, none twice.
    ///
    /// # Errors
    /// The general failure.
    pub fn list(&self, name: &str) -> Result<Vec<String>, Failure> {
        let list = split(self.given(name)?);
        if list.is_empty() {
            Err(Failure::unknown())
        } else {
            Ok(list)
        }
    }
}

/// The texts of a list joined with commas, none twice.
pub fn split(joined: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for text in joined.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        if !list.iter().any(|known| known == text) {
            list.push(text.to_owned());
        }
    }
    list
}

impl<S: Sync> FromRequest<S> for Params {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let Self(mut all) = Self::of_query(parts.uri.query().unwrap_or_default());
        let kind = parts.headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
        if kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded")) {
            all.extend(form_urlencoded::parse(&read(body, FORM_MAX).await?).into_owned());
        }
        Ok(Self(all))
    }
}

/// JSON of the shape `T`.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let bytes = read(request.into_body(), BODY_MAX).await?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| Failure::unknown())
    }
}
