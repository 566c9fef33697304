//! The lab's image registry on the wire: the OCI distribution specification, version 1.1, and what Docker's clients add.
//!
//! People push and pull with their name and password or an API token, nodes pull with the account that they were sent.

use crate::{
    limit::{Rate, RateLimit},
    listen::Peer,
};
use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_engine::{Actor, BlobUpload, Engine, Identified};
use edgedeck_model::{Code, Lang, Problem, image::MANIFEST_BYTES_MAX, user::Role};
use futures::StreamExt;
use parking_lot::Mutex;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// An upload that brings nothing for this long has broken off.
const SILENCE: Duration = Duration::from_secs(60);
/// Longest page of a list.
const PAGE_MAX: u32 = 1_000;
/// Names and passwords whose session is remembered; argon2 is too slow for every request of a push.
const SESSIONS_MAX: usize = 1_000;
/// Sign-ins with a password from one address: guessing costs the engine more than whoever guesses.
const SIGN_INS: Rate = Rate {
    per_second: 2.0,
    burst: 10.0,
    at_once: u32::MAX,
};
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const UPLOAD: HeaderName = HeaderName::from_static("docker-upload-uuid");
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

pub struct Registry {
    engine: Arc<Engine>,
    /// Sessions by the hash of what was shown for them.
    sessions: Mutex<HashMap<[u8; 32], String>>,
    sign_ins: RateLimit,
    /// Held by whoever signs in: a push begins with several requests at once, and one session is enough for them.
    signing_in: tokio::sync::Mutex<()>,
}

/// Serves the registry. Every request needs the extension [`Peer`].
pub fn router(engine: Arc<Engine>) -> Router {
    let registry = Arc::new(Registry {
        engine,
        sessions: Mutex::default(),
        sign_ins: RateLimit::new(SIGN_INS),
        signing_in: tokio::sync::Mutex::default(),
    });
    Router::new()
        .route("/v2", any(serve))
        .route("/v2/", any(serve))
        .route("/v2/{*rest}", any(serve))
        .fallback(async || refusal(&Problem::not_found("page")))
        .layer(DefaultBodyLimit::disable())
        .with_state(registry)
}

/// The specification's code for a refusal, with its HTTP status.
fn code(problem: &Problem) -> (StatusCode, &'static str) {
    let key = |name| problem.fact(name);
    match problem.code {
        Code::NotFound => (
            StatusCode::NOT_FOUND,
            match key("what") {
                "blob" => "BLOB_UNKNOWN",
                "manifest" => "MANIFEST_UNKNOWN",
                "manifest-blob" => "MANIFEST_BLOB_UNKNOWN",
                "upload" => "BLOB_UPLOAD_UNKNOWN",
                "repository" => "NAME_UNKNOWN",
                _ => "UNSUPPORTED",
            },
        ),
        Code::Invalid => (
            StatusCode::BAD_REQUEST,
            match key("field") {
                "digest" => "DIGEST_INVALID",
                "name" => "NAME_INVALID",
                "manifest" | "reference" => "MANIFEST_INVALID",
                _ => "UNSUPPORTED",
            },
        ),
        Code::Conflict if key("reason") == "upload-offset" => {
            (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
        }
        Code::Conflict => (StatusCode::CONFLICT, "DENIED"),
        Code::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
        Code::Unauthenticated | Code::WrongPassword => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Code::Locked => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
        Code::Forbidden => (StatusCode::FORBIDDEN, "DENIED"),
        Code::Malformed => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
        Code::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN"),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    }
}

fn refusal(problem: &Problem) -> Response {
    let (status, code) = code(problem);
    let error = json!({ "code": code, "message": problem.text(Lang::En), "detail": problem.facts });
    let mut response = (status, Json(json!({ "errors": [error] }))).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"EdgeDeck\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn serve(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let outcome = registry.answer(&parts, body).await;
    let mut response = outcome.unwrap_or_else(|problem| refusal(&problem));
    response
        .headers_mut()
        .insert(VERSION, HeaderValue::from_static("registry/2.0"));
    response
}

/// What a path below `/v2/` names.
enum Place<'a> {
    Base,
    Catalog,
    Tags(&'a str),
    Manifest(&'a str, &'a str),
    Blob(&'a str, &'a str),
    Uploads(&'a str),
    Upload(&'a str, &'a str),
}

impl<'a> Place<'a> {
    /// Names of repositories have slashes, so the last word that is none of a name decides.
    fn of(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/v2")?.trim_start_matches('/');
        if rest.is_empty() {
            return Some(Self::Base);
        }
        if rest == "_catalog" {
            return Some(Self::Catalog);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags(name));
        }
        if let Some(name) = rest
            .strip_suffix("/blobs/uploads/")
            .or_else(|| rest.strip_suffix("/blobs/uploads"))
        {
            return Some(Self::Uploads(name));
        }
        let (before, last) = rest.rsplit_once('/')?;
        if let Some(name) = before.strip_suffix("/blobs/uploads") {
            return Some(Self::Upload(name, last));
        }
        if let Some(name) = before.strip_suffix("/blobs") {
            return Some(Self::Blob(name, last));
        }
        before.strip_suffix("/manifests").map(|name| Self::Manifest(name, last))
    }
}

/// The first value of a parameter of the query.
fn parameter(parts: &Parts, name: &str) -> Option<String> {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).ok()?;
    pairs
        .0
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An answer without a body.
fn empty(status: StatusCode, headers: &[(HeaderName, String)]) -> Response {
    let mut response = status.into_response();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Where a piece of an upload begins, if its sender says so.
fn offset(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(range) = text(headers, &header::CONTENT_RANGE) else {
        return Ok(None);
    };
    let begin = range
        .trim_start_matches("bytes ")
        .split('-')
        .next()
        .and_then(|begin| begin.parse().ok());
    begin.map(Some).ok_or_else(|| Problem::new(Code::Malformed))
}

/// The piece of a file that is asked for: its first byte and the one after its last.
fn range(headers: &HeaderMap, bytes: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some(range) = text(headers, &header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let (begin, end) = range.split_once('-').ok_or(())?;
    let (begin, end) = match (begin.parse::<u64>(), end.parse::<u64>()) {
        (Ok(begin), Ok(end)) => (begin, end.saturating_add(1).min(bytes)),
        (Ok(begin), Err(_)) if end.is_empty() => (begin, bytes),
        (Err(_), Ok(last)) if begin.is_empty() => (bytes.saturating_sub(last), bytes),
        _ => return Err(()),
    };
    if begin < end { Ok(Some((begin, end))) } else { Err(()) }
}

impl Registry {
    async fn answer(&self, parts: &Parts, body: Body) -> Result<Response, Problem> {
        let actor = self.caller(parts).await?;
        let unsupported = || Problem::not_found("page");
        let path = parts.uri.path();
        let place = Place::of(path).ok_or_else(unsupported)?;
        let reads = [Method::GET, Method::HEAD].contains(&parts.method);
        if !reads && actor.role < Role::Operator {
            let problem = Problem::new(Code::Forbidden);
            self.engine
                .audit_refusal(actor, "image.push", String::new(), &problem)
                .await;
            return Err(problem);
        }
        let is_head = parts.method == Method::HEAD;
        match (&parts.method, place) {
            (_, Place::Base) if reads => Ok(Json(json!({})).into_response()),
            (&Method::GET, Place::Catalog) => self.catalog(parts),
            (&Method::GET, Place::Tags(name)) => self.tags(parts, name),
            (_, Place::Manifest(name, reference)) if reads => self.manifest(name, reference, is_head),
            (&Method::PUT, Place::Manifest(name, reference)) => {
                self.put_manifest(&actor, parts, name, reference, body).await
            }
            (&Method::DELETE, Place::Manifest(name, reference)) => {
                self.engine.delete_image(&actor, name, reference).await?;
                Ok(empty(StatusCode::ACCEPTED, &[]))
            }
            (_, Place::Blob(name, digest)) if reads => self.blob(&actor, parts, name, digest, is_head).await,
            (&Method::POST, Place::Uploads(name)) => self.begin(parts, name, body).await,
            (&Method::GET, Place::Upload(name, id)) => {
                let bytes = self.engine.blob_offset(name, id)?;
                Ok(self.upload_answer(StatusCode::NO_CONTENT, name, id, bytes))
            }
            (&Method::PATCH, Place::Upload(name, id)) => {
                let upload = self.receive(parts, name, id, body).await?;
                Ok(self.upload_answer(StatusCode::ACCEPTED, name, id, upload.bytes()))
            }
            (&Method::PUT, Place::Upload(name, id)) => {
                let digest = parameter(parts, "digest").ok_or_else(|| Problem::invalid("digest", "required"))?;
                let upload = self.receive(parts, name, id, body).await?;
                self.end(name, upload, &digest).await
            }
            (&Method::DELETE, Place::Upload(name, id)) => {
                self.engine.drop_blob(name, id).await?;
                Ok(empty(StatusCode::NO_CONTENT, &[]))
            }
            _ => Ok(StatusCode::METHOD_NOT_ALLOWED.into_response()),
        }
    }

    /// Who asks: by a node's account, a user's name and password, or an API token in the password's place.
    async fn caller(&self, parts: &Parts) -> Result<Actor, Problem> {
        let refused = || Problem::new(Code::Unauthenticated);
        let origin = parts
            .extensions
            .get::<Peer>()
            .map(|peer| peer.address.ip().to_string())
            .unwrap_or_default();
        let shown = text(&parts.headers, &header::AUTHORIZATION).ok_or_else(refused)?;
        let actor = |name: String, role| Actor {
            name,
            origin: origin.clone(),
            role,
        };
        let by_token = |token: &str| {
            let found = self.engine.api_token(token);
            found.map(|found| actor(found.name, found.role))
        };
        if let Some(token) = shown.strip_prefix("Bearer ") {
            return by_token(token.trim()).ok_or_else(refused);
        }
        let pair = shown
            .strip_prefix("Basic ")
            .and_then(|pair| STANDARD.decode(pair.trim()).ok());
        let pair = pair.and_then(|pair| String::from_utf8(pair).ok()).ok_or_else(refused)?;
        let (name, password) = pair.split_once(':').ok_or_else(refused)?;
        if let Some(node) = self.engine.registry_node(name, password) {
            return Ok(actor(format!("node:{node}"), Role::Viewer));
        }
        if let Some(actor) = by_token(password) {
            return Ok(actor);
        }
        let key: [u8; 32] = Sha256::digest(&pair).into();
        if let Some(found) = self.known(&key).await {
            return Ok(actor(found.name, found.role));
        }
        let _turn = self.signing_in.lock().await;
        if let Some(found) = self.known(&key).await {
            return Ok(actor(found.name, found.role));
        }
        let address = parts.extensions.get::<Peer>().map(|peer| peer.address.ip());
        let place = address.map(|address| self.sign_ins.take(address, Instant::now()));
        if matches!(place, Some(None)) {
            return Err(Problem::new(Code::Locked).with("seconds", 1));
        }
        let signed = self.engine.sign_in(name, password, &origin).await?;
        let mut sessions = self.sessions.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.clear();
        }
        sessions.insert(key, signed.secret);
        Ok(actor(signed.identified.name, signed.identified.role))
    }

    async fn known(&self, key: &[u8; 32]) -> Option<Identified> {
        let secret = self.sessions.lock().get(key).cloned()?;
        self.engine.session(&secret).await
    }

    /// Page of a list: its length, and after what it begins.
    fn page(parts: &Parts) -> (u32, String) {
        let limit = parameter(parts, "n").and_then(|n| n.parse().ok()).unwrap_or(PAGE_MAX);
        (limit.min(PAGE_MAX), parameter(parts, "last").unwrap_or_default())
    }

    /// A page of names, with a link to the next one where there may be one.
    fn listed(parts: &Parts, limit: u32, names: &[String], body: serde_json::Value) -> Response {
        let mut response = Json(body).into_response();
        if let Some(last) = names
            .last()
            .filter(|_| limit > 0 && names.len() as u64 >= u64::from(limit))
        {
            let next = format!("<{}?n={limit}&last={last}>; rel=\"next\"", parts.uri.path());
            if let Ok(next) = HeaderValue::from_str(&next) {
                response.headers_mut().insert(header::LINK, next);
            }
        }
        response
    }

    fn catalog(&self, parts: &Parts) -> Result<Response, Problem> {
        let (limit, last) = Self::page(parts);
        let names = self.engine.list_repositories(&last, limit)?;
        Ok(Self::listed(parts, limit, &names, json!({ "repositories": names })))
    }

    fn tags(&self, parts: &Parts, name: &str) -> Result<Response, Problem> {
        let (limit, last) = Self::page(parts);
        let tags = self.engine.list_tags(name, &last, limit)?;
        Ok(Self::listed(parts, limit, &tags, json!({ "name": name, "tags": tags })))
    }

    fn manifest(&self, name: &str, reference: &str, is_head: bool) -> Result<Response, Problem> {
        let manifest = self.engine.manifest(name, reference)?;
        let length = manifest.content.len();
        let headers = [
            (header::CONTENT_TYPE, manifest.media_type),
            (header::CONTENT_LENGTH, length.to_string()),
            (header::ETAG, format!("\"{}\"", manifest.digest)),
            (DIGEST, manifest.digest),
        ];
        let mut response = empty(StatusCode::OK, &headers);
        if !is_head {
            *response.body_mut() = Body::from(manifest.content);
        }
        Ok(response)
    }

    async fn put_manifest(
        &self,
        actor: &Actor,
        parts: &Parts,
        name: &str,
        reference: &str,
        body: Body,
    ) -> Result<Response, Problem> {
        let limit = usize::try_from(MANIFEST_BYTES_MAX).unwrap_or(usize::MAX);
        let reading = tokio::time::timeout(SILENCE, axum::body::to_bytes(body, limit)).await;
        let content = reading.map_err(|_| Problem::new(Code::Malformed))?;
        let content = content.map_err(|_| Problem::new(Code::TooLarge).with("max", MANIFEST_BYTES_MAX))?;
        let media_type = text(&parts.headers, &header::CONTENT_TYPE);
        let stored = self
            .engine
            .put_manifest(actor, name, reference, media_type, content.to_vec());
        let digest = stored.await?;
        let place = format!("/v2/{name}/manifests/{digest}");
        Ok(empty(
            StatusCode::CREATED,
            &[(header::LOCATION, place), (DIGEST, digest)],
        ))
    }

    async fn blob(
        &self,
        actor: &Actor,
        parts: &Parts,
        name: &str,
        digest: &str,
        is_head: bool,
    ) -> Result<Response, Problem> {
        let (file, bytes) = self.engine.blob(name, digest).await?;
        let headers = [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (header::ETAG, format!("\"{digest}\"")),
            (DIGEST, digest.to_owned()),
        ];
        if is_head {
            // Whoever may push asks so that it need not: what it counts on must stay until its manifest comes.
            if actor.role >= Role::Operator {
                self.engine.touch_blob(name, digest).await?;
            }
            let mut response = empty(StatusCode::OK, &headers);
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
            return Ok(response);
        }
        let Ok(piece) = range(&parts.headers, bytes) else {
            let whole = format!("bytes */{bytes}");
            return Ok(empty(
                StatusCode::RANGE_NOT_SATISFIABLE,
                &[(header::CONTENT_RANGE, whole)],
            ));
        };
        let (begin, end) = piece.unwrap_or((0, bytes));
        let mut file = tokio::fs::File::from_std(file);
        file.seek(std::io::SeekFrom::Start(begin))
            .await
            .map_err(Problem::internal)?;
        let status = if piece.is_some() {
            StatusCode::PARTIAL_CONTENT
        } else {
            StatusCode::OK
        };
        let mut response = empty(status, &headers);
        response
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(end - begin));
        if piece.is_some()
            && let Ok(told) = HeaderValue::from_str(&format!("bytes {begin}-{}/{bytes}", end - 1))
        {
            response.headers_mut().insert(header::CONTENT_RANGE, told);
        }
        *response.body_mut() = Body::from_stream(ReaderStream::with_capacity(file.take(end - begin), 256 * 1024));
        Ok(response)
    }

    async fn begin(&self, parts: &Parts, name: &str, body: Body) -> Result<Response, Problem> {
        if let (Some(digest), Some(from)) = (parameter(parts, "mount"), parameter(parts, "from"))
            && self.engine.mount_blob(name, &digest, &from).await?
        {
            return Ok(blob_made(name, &digest));
        }
        let id = self.engine.begin_blob(name).await?;
        match parameter(parts, "digest") {
            Some(digest) => {
                let upload = self.receive(parts, name, &id, body).await?;
                self.end(name, upload, &digest).await
            }
            None => Ok(self.upload_answer(StatusCode::ACCEPTED, name, &id, 0)),
        }
    }

    /// Takes a piece of an upload to the disk as it comes.
    async fn receive(&self, parts: &Parts, name: &str, id: &str, body: Body) -> Result<BlobUpload, Problem> {
        let mut upload = self.engine.resume_blob(name, id, offset(&parts.headers)?).await?;
        let mut stream = body.into_data_stream();
        loop {
            let next = tokio::time::timeout(SILENCE, stream.next()).await;
            match next.map_err(|_| Problem::new(Code::Malformed))? {
                // What has arrived stays: the client asks how much that is, and goes on.
                Some(chunk) => upload.write(&chunk.map_err(|_| Problem::new(Code::Malformed))?)?,
                None => return Ok(upload),
            }
        }
    }

    async fn end(&self, name: &str, upload: BlobUpload, digest: &str) -> Result<Response, Problem> {
        self.engine.end_blob(name, upload, digest).await?;
        Ok(blob_made(name, digest))
    }

    fn upload_answer(&self, status: StatusCode, name: &str, id: &str, bytes: u64) -> Response {
        let headers = [
            (header::LOCATION, format!("/v2/{name}/blobs/uploads/{id}")),
            (header::RANGE, format!("0-{}", bytes.saturating_sub(1))),
            (UPLOAD, id.to_owned()),
        ];
        empty(status, &headers)
    }
}

fn blob_made(name: &str, digest: &str) -> Response {
    let place = format!("/v2/{name}/blobs/{digest}");
    empty(
        StatusCode::CREATED,
        &[(header::LOCATION, place), (DIGEST, digest.to_owned())],
    )
}
