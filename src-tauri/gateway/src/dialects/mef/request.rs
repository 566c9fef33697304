//! What comes in: who asks, JSON whose names may be in any case, query parameters.

use super::{
    answer::{Code, Failure, INVALID, MALFORMED},
    rules,
};
use crate::{listen::Peer, tls::Issuer};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use edgedeck_engine::{Actor, CLIENT_URI, Find, NODE_URI};
use edgedeck_model::user::Role;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::{fmt, time::Duration};

/// Largest body of a request, in bytes; an extension of it.
#[derive(Clone, Copy)]
pub struct BodyMax(pub usize);

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(30);

/// Who asks: the holder of a client certificate of the lab.
pub struct Caller(pub Actor);

/// The caller, unless the certificate is none of a client.
pub fn caller(peer: Option<&Peer>) -> Option<Actor> {
    let peer = peer?;
    let certificate = peer.certificate.as_ref()?;
    // An authority like the lab's makes nodes' certificates, too.
    let has = |begin| certificate.uris.iter().any(|uri: &String| uri.starts_with(begin));
    let is_client = has(CLIENT_URI) || (certificate.issuer == Issuer::Outside && !has(NODE_URI));
    is_client.then(|| Actor {
        name: format!("mef:{}", certificate.name),
        origin: peer.address.ip().to_string(),
        role: Role::Operator,
    })
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let refused = || Failure::new(StatusCode::UNAUTHORIZED, super::UNAUTHENTICATED);
        caller(parts.extensions.get()).map(Self).ok_or_else(refused)
    }
}

/// JSON with all names in lower case, since names in requests may be in any; of two that are the same the last counts.
struct Folded(Value);

impl<'de> Deserialize<'de> for Folded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Folding).map(Self)
    }
}

struct Folding;

impl<'de> Visitor<'de> for Folding {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Folded(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Folded(value))) = fields.next_entry::<String, Folded>()? {
            map.insert(name.to_lowercase(), value);
        }
        Ok(map.into())
    }
}

/// A body of the shape `T`, whose names are in lower case.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let max = request.extensions().get().map_or(0, |BodyMax(max)| *max);
        let read = axum::body::to_bytes(request.into_body(), max);
        let bytes = match tokio::time::timeout(BODY_TIME, read).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => {
                let is_long = error.into_inner().is::<http_body_util::LengthLimitError>();
                let status = if is_long {
                    StatusCode::PAYLOAD_TOO_LARGE
                } else {
                    StatusCode::BAD_REQUEST
                };
                return Err(Failure::new(status, MALFORMED));
            }
            Err(_) => return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, MALFORMED)),
        };
        parse(&bytes).map(Self).map_err(|_| MALFORMED.into())
    }
}

pub fn parse<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let Folded(value) = serde_json::from_slice(body)?;
    serde_json::from_value(value)
}

/// The query's parameters; of two with one name the first counts.
pub struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let parsed = axum::extract::Query::try_from_uri(&parts.uri).map_err(|_| Failure::query("query"))?;
        Ok(Self(parsed.0))
    }
}

impl Query {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A number that must be there; whether it is in range is another question.
    fn number(&self, name: &str) -> Result<i64, Failure> {
        self.text(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Failure::query(name))
    }

    pub fn id(&self, name: &str) -> Result<u32, Failure> {
        rules::id(Some(self.number(name)?))
    }

    /// The page asked for, and what names must contain.
    pub fn page(&self) -> Result<Find, Failure> {
        let (page, size) = (self.number("pageNum")?, self.number("pageSize")?);
        let name = self.text("name").unwrap_or_default();
        let good = (1..=i64::from(i32::MAX)).contains(&page) && (1..=100).contains(&size) && rules::is_search(name);
        let (Ok(page), Ok(limit), true) = (u64::try_from(page), u64::try_from(size), good) else {
            return Err(INVALID.into());
        };
        Ok(Find {
            name: name.to_owned(),
            offset: (page - 1) * limit,
            limit,
        })
    }
}

/// One page of a list that is in memory, and how many there are in all.
pub fn page_of<T>(all: Vec<T>, find: &Find) -> (Vec<T>, u64) {
    let total = all.len() as u64;
    let skipped = usize::try_from(find.offset).unwrap_or(usize::MAX);
    let taken = usize::try_from(find.limit).unwrap_or(usize::MAX);
    (all.into_iter().skip(skipped).take(taken).collect(), total)
}

/// A refusal with the operation's own code for what the database could not read.
pub fn read<T>(result: edgedeck_engine::Result<T>, own: Code) -> Result<T, Failure> {
    result.map_err(|error| own.because(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fold(text: &str) -> Option<Value> {
        serde_json::from_str::<Folded>(text).ok().map(|folded| folded.0)
    }

    #[test]
    fn names_lose_their_case_and_the_last_of_two_counts() {
        assert_eq!(fold(r#"{"aB":[{"C":"Dd"}],"AB":1}"#), Some(json!({ "ab": 1 })));
        assert_eq!(fold(r#"{"aB":[{"C":"Dd"}]}"#), Some(json!({ "ab": [{ "c": "Dd" }] })));
        assert_eq!(fold(r#"{"a":1} x"#), None);
        assert_eq!(fold(&"[".repeat(100_000)), None, "too deep");
    }
}
