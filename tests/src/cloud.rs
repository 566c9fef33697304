//! A client of the cloud dialects: it signs its requests as the cloud's SDKs do, or shows a token. And a lab to call.
//!
//! The signer begins with what a request means, not with the bytes on the wire, and shares nothing with the server's.

use crate::client;
use anyhow::{Context, Result, ensure};
use edgedeck_engine::{Actor, Clock, Engine};
use edgedeck_gateway::{Options, Running};
use edgedeck_model::{
    ProjectId, Time, UserId,
    api::{NewAccessKeyBody, NewUserBody, ProjectBody},
    user::Role,
};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{fmt::Write as _, sync::Arc};

pub const PASSWORD: &str = "correct horse";

/// An access key and its secret.
#[derive(Clone, Debug)]
pub struct Key {
    pub access: String,
    pub secret: String,
}

/// A request as somebody means it: nothing in it is encoded.
#[derive(Clone, Debug)]
pub struct Plain {
    pub method: Method,
    /// Parts of the path.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    /// Sent and signed, beside `host` and `x-sdk-date`.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Plain {
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.split('/').skip(1).map(ToOwned::to_owned).collect(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Path and query as they go over the wire.
    pub fn target(&self) -> String {
        let path: String = self.path.iter().map(|part| format!("/{}", escape(part))).collect();
        let pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        if pairs.is_empty() {
            path
        } else {
            format!("{path}?{}", pairs.join("&"))
        }
    }
}

/// Percent-encodes all but letters, digits and `-_.~`.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // A text takes whatever is written.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// HMAC-SHA256 after RFC 2104.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::digest([&block.map(|byte| byte ^ 0x36)[..], text].concat());
    hex::encode(Sha256::digest(
        [&block.map(|byte| byte ^ 0x5c)[..], &inner[..]].concat(),
    ))
}

/// `YYYYMMDDThhmmssZ`.
pub fn stamp(at: Time) -> String {
    let at =
        time::OffsetDateTime::from_unix_timestamp(at.0.div_euclid(1_000)).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!(
        "{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z",
        u8::from(month)
    )
}

impl Key {
    /// The headers to send with a request to a host: those that it has, the date, and the authorization.
    pub fn sign(&self, plain: &Plain, host: &str, at: Time) -> Vec<(String, String)> {
        let mut sent = plain.headers.clone();
        sent.push(("X-Sdk-Date".to_owned(), stamp(at)));
        let mut signed: Vec<(String, String)> = sent
            .iter()
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        signed.push(("host".to_owned(), host.to_owned()));
        signed.sort();
        let mut query = plain.query.clone();
        query.sort();
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        let content = signed.iter().find(|(name, _)| name == "x-sdk-content-sha256");
        let payload = match content {
            Some((_, content)) if !plain.body.is_empty() => content.clone(),
            _ => hex::encode(Sha256::digest(&plain.body)),
        };
        let mut request = format!("{}\n", plain.method);
        for part in &plain.path {
            request += &format!("/{}", escape(part));
        }
        if plain.path.last().is_none_or(|last| !last.is_empty()) {
            request.push('/');
        }
        request += &format!("\n{}\n", query.join("&"));
        for (name, value) in &signed {
            request += &format!("{name}:{value}\n");
        }
        let names: Vec<&str> = signed.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        request += &format!("\n{names}\n{payload}");
        let text = format!(
            "SDK-HMAC-SHA256\n{}\n{}",
            stamp(at),
            hex::encode(Sha256::digest(request.as_bytes()))
        );
        let signature = hmac(self.secret.as_bytes(), text.as_bytes());
        let access = &self.access;
        sent.push((
            "Authorization".to_owned(),
            format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders={names}, Signature={signature}"),
        ));
        sent
    }
}

/// A real engine with the cloud listener, whose time only the test moves.
pub struct CloudLab {
    pub running: Running,
    pub clock: Clock,
    /// `https://host:port`.
    pub base: String,
    pub http: reqwest::Client,
    data: tempfile::TempDir,
}

impl CloudLab {
    /// # Errors
    /// When it does not start.
    pub async fn start() -> Result<Self> {
        let now = Time(edgedeck_agent::now().0.div_euclid(1_000) * 1_000);
        Self::open(tempfile::tempdir()?, Clock::manual(now)).await
    }

    async fn open(data: tempfile::TempDir, clock: Clock) -> Result<Self> {
        client::use_ring();
        let running = edgedeck_gateway::start(Options {
            cloud: Some("127.0.0.1:0".parse()?),
            clock: clock.clone(),
            ..Options::new(data.path().join("lab"))
        })
        .await?;
        let address = running.listeners.get("cloud").context("the cloud listener")?;
        let base = format!("https://{address}");
        let ca = reqwest::Certificate::from_pem(running.engine.pki.present().pem().as_bytes())?;
        let http = reqwest::Client::builder().tls_certs_only([ca]).build()?;
        Ok(Self {
            running,
            clock,
            base,
            http,
            data,
        })
    }

    /// Ends the engine and starts it again on its data; it listens elsewhere then.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(self) -> Result<Self> {
        let Self {
            running, clock, data, ..
        } = self;
        let engine = Arc::downgrade(&running.engine);
        running.stop().await;
        crate::wait::until("end of the engine", crate::wait::USUAL, async || {
            Ok((engine.strong_count() == 0).then_some(()))
        })
        .await?;
        Self::open(data, clock).await
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }

    pub fn engine(&self) -> &Arc<Engine> {
        &self.running.engine
    }

    /// What requests name as their host.
    pub fn host(&self) -> &str {
        self.base.trim_start_matches("https://")
    }

    /// # Errors
    /// When the engine refuses.
    pub async fn user(&self, name: &str, role: Role) -> Result<UserId> {
        let body = NewUserBody {
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            role,
        };
        Ok(self.engine().create_user(&Actor::engine(), body).await?.id)
    }

    /// # Errors
    /// When the engine refuses.
    pub async fn project(&self, name: &str) -> Result<ProjectId> {
        let body = ProjectBody {
            name: name.to_owned(),
            description: String::new(),
        };
        Ok(self.engine().create_project(&Actor::engine(), body).await?.id)
    }

    /// The lab's own project.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn own_project(&self) -> Result<ProjectId> {
        let projects = self.engine().list_projects()?;
        let own = projects.iter().find(|project| project.is_default);
        Ok(own.context("the lab's own project")?.id)
    }

    /// # Errors
    /// When the engine refuses.
    pub async fn key(&self, user: UserId, project: ProjectId) -> Result<Key> {
        let body = NewAccessKeyBody {
            user,
            project,
            description: String::new(),
        };
        let made = self.engine().create_access_key(&Actor::engine(), body).await?;
        Ok(Key {
            access: made.key.key,
            secret: made.secret,
        })
    }

    /// A signed request, to be changed or sent.
    pub fn signed(&self, key: &Key, plain: &Plain) -> RequestBuilder {
        self.signed_at(key, plain, self.clock.now())
    }

    pub fn signed_at(&self, key: &Key, plain: &Plain, at: Time) -> RequestBuilder {
        let url = format!("{}{}", self.base, plain.target());
        let mut request = self.http.request(plain.method.clone(), url);
        for (name, value) in key.sign(plain, self.host(), at) {
            request = request.header(name, value);
        }
        request.body(plain.body.clone())
    }

    /// The body of a request to log in.
    pub fn login(name: &str, password: &str, project: &str) -> Value {
        json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": {
                "name": name, "password": password, "domain": { "name": "EdgeDeck" },
            } } },
            "scope": { "project": { "name": project } },
        } })
    }

    /// # Errors
    /// When there is no answer.
    pub async fn log_in(&self, body: &Value) -> Result<Response> {
        let request = self.http.post(format!("{}/v3/auth/tokens", self.base));
        Ok(request.json(body).send().await?)
    }

    /// A token of a user with [`PASSWORD`].
    ///
    /// # Errors
    /// When there is none.
    pub async fn token(&self, name: &str, project: &str) -> Result<String> {
        let answer = self.log_in(&Self::login(name, PASSWORD, project)).await?;
        ensure!(answer.status() == 201, "{}", answer.status());
        let token = answer.headers().get("x-subject-token").context("a token")?;
        Ok(token.to_str()?.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Document;
    use percent_encoding::percent_decode_str;

    /// The signer gives what the contract's vectors say.
    #[test]
    fn it_signs_as_the_sdk_does() {
        let document = Document::load("hilens").unwrap();
        let vectors = document
            .extension("x-signature-test-vectors")
            .unwrap()
            .as_array()
            .unwrap();
        assert_eq!(vectors.len(), 5);
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap_or_default().to_owned();
            let meant = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
            let target = text("request_target");
            let (path, query) = target.split_once('?').unwrap_or((&target, ""));
            let mut plain = Plain::new(text("method").parse().unwrap(), path).body(text("body"));
            for part in &mut plain.path {
                *part = meant(part);
            }
            for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                plain = plain.query(&meant(name), &meant(value));
            }
            assert_eq!(plain.target(), target);
            let headers = vector["headers"].as_object().unwrap();
            for (name, value) in headers
                .iter()
                .filter(|(name, _)| *name != "Host" && *name != "X-Sdk-Date")
            {
                plain = plain.header(name, value.as_str().unwrap());
            }
            let key = Key {
                access: text("access_key"),
                secret: text("secret_key"),
            };
            let at = Time(1_768_465_800_000);
            assert_eq!(headers["X-Sdk-Date"], stamp(at));
            let signed = key.sign(&plain, headers["Host"].as_str().unwrap(), at);
            let authorization = &signed.last().unwrap().1;
            let expected = format!(
                "SDK-HMAC-SHA256 Access={}, SignedHeaders={}, Signature={}",
                key.access,
                text("signed_headers"),
                text("signature")
            );
            assert_eq!(*authorization, expected, "{}", text("name"));
        }
    }
}
