//! Endpoints whose request or answer is not JSON, or that set the cookie: signing in and out, packages, reports.

use super::{Console, SESSION_COOKIE, caller::Caller, handlers::me, json, malformed, parse_body, problem_response};
use crate::{archive, report};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{delete, get, post, put},
};
use edgedeck_engine::PackageUpload;
use edgedeck_model::{
    Problem,
    api::{
        BODY_MAX, Endpoint, IMAGES_PATH, IMAGES_UPLOAD, JOBS_PATH, PACKAGE_MAX, PACKAGES_PATH, Package, REPORT_PATH,
        ReportFormat, ReportQuery, SOFTWARE_PATH, SOFTWARE_UPLOAD, SignIn, SignInBody, SignOut,
    },
    software,
    user::Role,
};
use futures::StreamExt;
use std::sync::Arc;
use tokio_util::io::ReaderStream;

/// A report holds no script and needs nothing but its own styles; only the console may frame it.
const REPORT_POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; sandbox";

pub fn routes(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    let package_limit = DefaultBodyLimit::max(usize::try_from(PACKAGE_MAX).unwrap_or(usize::MAX));
    router
        .route(SignIn::PATH, post(sign_in))
        .route(SignOut::PATH, delete(sign_out))
        .route(PACKAGES_PATH, put(upload).layer(package_limit))
        .route(REPORT_PATH, get(report_file))
        .route(&format!("{JOBS_PATH}/{{id}}/file"), get(job_archive))
        .route(&format!("{SOFTWARE_PATH}/{{hash}}/file"), get(software_file))
        .route(IMAGES_PATH, put(add_images).layer(DefaultBodyLimit::disable()))
        .route(SOFTWARE_PATH, put(add_software).layer(DefaultBodyLimit::disable()))
}

fn cookie(secret: &str, seconds: i64) -> Option<HeaderValue> {
    let text = format!("{SESSION_COOKIE}={secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}");
    HeaderValue::from_str(&text).ok()
}

fn answer(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(|problem| problem_response(&problem))
}

async fn sign_in(State(console): State<Arc<Console>>, request: Request) -> Response {
    let outcome = async {
        let (parts, body) = request.into_parts();
        let origin = parts
            .extensions
            .get::<crate::listen::Peer>()
            .map_or_else(String::new, |peer| peer.address.ip().to_string());
        let bytes = axum::body::to_bytes(body, BODY_MAX)
            .await
            .map_err(|error| malformed(error.to_string()))?;
        let body: SignInBody = parse_body(&bytes, &parts.headers)?;
        let signed = console.engine.sign_in(&body.name, &body.password, &origin).await?;
        let caller = Caller {
            name: signed.identified.name,
            role: Some(signed.identified.role),
            csrf: signed.identified.csrf,
            window: false,
            origin,
            session: None,
        };
        let mut response = json(StatusCode::OK, &me(&console, &caller));
        if let Some(cookie) = cookie(&signed.secret, 30 * 24 * 3_600) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    };
    answer(outcome.await)
}

async fn sign_out(State(console): State<Arc<Console>>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        let caller = Caller::of(&console.engine, &parts, true).await?;
        caller.require(&console.engine, SignOut::ROLE, SignOut::NAME).await?;
        if let Some(secret) = &caller.session {
            console.engine.sign_out(secret).await?;
        }
        let mut response = json(StatusCode::OK, &());
        if let Some(cookie) = cookie("", 0) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    };
    answer(outcome.await)
}

/// Who calls, if that role may.
async fn admit(
    console: &Console,
    parts: &Parts,
    changes: bool,
    least: Role,
    action: &'static str,
) -> Result<Caller, Problem> {
    let caller = Caller::of(&console.engine, parts, changes).await?;
    caller.require(&console.engine, Some(least), action).await?;
    Ok(caller)
}

/// Takes a body of at most this size to disk as it comes.
async fn receive(console: &Console, body: Body, max: u64) -> Result<PackageUpload, Problem> {
    let mut upload = console.engine.upload(max)?;
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        // Whatever has arrived of a broken upload is dropped with its temporary file.
        upload.write(&chunk.map_err(|error| malformed(error.to_string()))?)?;
    }
    Ok(upload)
}

/// Takes an archive of images into the lab's registry.
async fn add_images(State(console): State<Arc<Console>>, request: Request) -> Response {
    let outcome = async {
        let (parts, body) = request.into_parts();
        let caller = admit(&console, &parts, true, Role::Operator, "image.add").await?;
        let upload = receive(&console, body, IMAGES_UPLOAD.max).await?;
        let added = console.engine.add_images(&caller.actor(), upload).await?;
        Ok(json(StatusCode::OK, &added))
    };
    answer(outcome.await)
}

/// Takes a package of the agent, which the lab signs.
async fn add_software(State(console): State<Arc<Console>>, request: Request) -> Response {
    let outcome = async {
        let (parts, body) = request.into_parts();
        let caller = admit(&console, &parts, true, Role::Admin, "software.add").await?;
        let upload = receive(&console, body, SOFTWARE_UPLOAD.max).await?;
        let software = console.engine.add_software(&caller.actor(), upload).await?;
        Ok(json(StatusCode::OK, &software))
    };
    answer(outcome.await)
}

/// A signed package, for a server that nodes download from.
async fn software_file(State(console): State<Arc<Console>>, Path(hash): Path<String>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        admit(&console, &parts, false, Role::Operator, "software.download").await?;
        let (software, file) = console.engine.software_file(&hash)?;
        let name = format!("{}-{}-{}.tar.gz", software::NAME, software.version, software.arch);
        let stream = ReaderStream::new(tokio::fs::File::from_std(file));
        Ok(archive::attached(&name, Body::from_stream(stream)))
    };
    answer(outcome.await)
}

/// Takes a process package as the body, streamed to disk.
async fn upload(State(console): State<Arc<Console>>, request: Request) -> Response {
    let outcome = async {
        let (parts, body) = request.into_parts();
        let caller = admit(&console, &parts, true, Role::Operator, "package.upload").await?;
        let upload = receive(&console, body, PACKAGE_MAX).await?;
        let package: Package = console.engine.keep_package(&caller.actor(), upload).await?;
        Ok(json(StatusCode::OK, &package))
    };
    answer(outcome.await)
}

/// What a job has made.
async fn job_archive(State(console): State<Arc<Console>>, Path(id): Path<String>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        admit(&console, &parts, false, Role::Operator, "job.download").await?;
        let id = id.parse().map_err(|_| Problem::not_found("job"))?;
        let job = console.engine.job(id)?;
        if !job.has_file(console.engine.now()) {
            return Err(Problem::conflict("no-archive"));
        }
        if let Some(wanted) = &job.file {
            let (_, _, file) = console.engine.fetched_file(id)?;
            let stream = ReaderStream::new(tokio::fs::File::from_std(file));
            return Ok(archive::any_file(wanted.name(), Body::from_stream(stream)));
        }
        let (job, items) = console.engine.archive_of(job)?;
        let name = format!("logs-{}.tar.gz", job.created_at.0 / 1_000);
        Ok(archive::response(console.engine.clone(), job, items, &name))
    };
    answer(outcome.await)
}

async fn report_file(State(console): State<Arc<Console>>, request: Request) -> Response {
    let outcome = async {
        let (parts, _) = request.into_parts();
        admit(&console, &parts, false, Role::Viewer, "report.create").await?;
        let Query(query) =
            Query::<ReportQuery>::try_from_uri(&parts.uri).map_err(|error| malformed(error.body_text()))?;
        let query_format = query.format;
        let engine = console.engine.clone();
        let file = tokio::task::spawn_blocking(move || report::make(&engine, &query))
            .await
            .map_err(Problem::internal)??;
        // HTML is shown in a frame of the console; whoever wants it as a file says so.
        let how = if query_format == ReportFormat::Html {
            "inline"
        } else {
            "attachment"
        };
        let disposition = format!("{how}; filename=\"{}\"", file.name);
        let mut response = Body::from(file.bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.kind));
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(REPORT_POLICY));
        Ok(response)
    };
    answer(outcome.await)
}
