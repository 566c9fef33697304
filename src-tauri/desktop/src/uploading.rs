//! Uploads: a file that the person chose goes from the disk to the engine, without a detour through the page.

use crate::starting::Answers;
use axum::{
    body::Body,
    http::{Request, header},
};
use edgedeck_model::{
    Code, Problem,
    api::{UPLOADS, Uploaded},
};
use serde_json::Value;
use std::{
    env,
    path::{Path, PathBuf},
};
use tauri::AppHandle;
use tauri_plugin_dialog::DialogExt;
use tokio::{fs::File, sync::oneshot};
use tokio_util::io::ReaderStream;
use tower::ServiceExt;

/// What tests upload instead of asking: a file.
const TEST_FILE: &str = "EDGEDECK_TEST_OPEN_FILE";
/// Longest answer of the API that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Uploads a file that the person chooses to one of the API's places for files; none when they cancel. With the
/// environment's `EDGEDECK_TEST_OPEN_FILE` nobody is asked.
///
/// # Errors
/// `not-found` for another place, `too-large`, `store-unavailable` when the file cannot be read, or the API's own
/// refusal.
pub async fn file(app: &AppHandle, answers: &Answers, api_path: &str) -> Result<Option<Value>, Problem> {
    let to = UPLOADS.iter().find(|to| to.path == api_path);
    let to = to.ok_or_else(|| Problem::not_found("page"))?;
    let router = answers.router().ok_or_else(|| Problem::new(Code::StoreUnavailable))?;
    let place = match env::var_os(TEST_FILE) {
        Some(file) => Some(PathBuf::from(file)),
        None => ask(app, to).await?,
    };
    match place {
        Some(place) => send(router, to, &place).await.map(Some),
        None => Ok(None),
    }
}

/// Asks for a file by the desktop's own dialog, over the window.
async fn ask(app: &AppHandle, to: &Uploaded) -> Result<Option<PathBuf>, Problem> {
    use tauri::Manager;
    let ends: Vec<&str> = to.accept.split(',').map(|end| end.trim_start_matches('.')).collect();
    let mut dialog = app.dialog().file().add_filter(to.accept, &ends);
    if let Some(window) = app.get_webview_window(crate::page::WINDOW) {
        dialog = dialog.set_parent(&window);
    }
    let (chosen, choice) = oneshot::channel();
    dialog.pick_file(move |path| {
        // Nobody waits any more when the page went away.
        _ = chosen.send(path);
    });
    let choice = choice.await.map_err(Problem::internal)?;
    choice
        .map(|path| path.into_path().map_err(Problem::internal))
        .transpose()
}

async fn send(router: axum::Router, to: &Uploaded, place: &Path) -> Result<Value, Problem> {
    let disk = |error: std::io::Error| Problem {
        detail: Some(format!("read {}: {error}", place.display())),
        ..Problem::new(Code::StoreUnavailable)
    };
    let file = File::open(place).await.map_err(disk)?;
    let length = file.metadata().await.map_err(disk)?.len();
    if length > to.max {
        return Err(Problem::new(Code::TooLarge).with("max", to.max));
    }
    let request = Request::put(to.path)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .body(Body::from_stream(ReaderStream::new(file)))
        .map_err(Problem::internal)?;
    let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = answer.status();
    let bytes = axum::body::to_bytes(answer.into_body(), MAX_ANSWER)
        .await
        .map_err(Problem::internal)?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(Problem::internal);
    }
    let refusal = serde_json::from_slice(&bytes);
    Err(refusal.unwrap_or_else(|_| Problem::internal(format!("the engine answered {status}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Bytes, routing::put};
    use edgedeck_model::api::{PACKAGE_UPLOAD, PACKAGES_PATH, Package};

    #[tokio::test]
    async fn the_whole_file_arrives_and_a_refusal_is_passed_on() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("p.tar.gz");
        std::fs::write(&place, vec![7; 3 << 20]).unwrap();
        let takes = async |body: Bytes| {
            axum::Json(Package {
                hash: "a".repeat(64),
                bytes: body.iter().filter(|byte| **byte == 7).count() as u64,
                programs: Vec::new(),
            })
        };
        let limit = axum::extract::DefaultBodyLimit::disable();
        let router = Router::new().route(PACKAGES_PATH, put(takes)).layer(limit);
        assert_eq!(send(router, &PACKAGE_UPLOAD, &place).await.unwrap()["bytes"], 3 << 20);
        let refuses = async || {
            let problem = Problem::invalid("package", "package-format");
            (axum::http::StatusCode::BAD_REQUEST, axum::Json(problem))
        };
        let router = Router::new().route(PACKAGES_PATH, put(refuses));
        let refused = send(router.clone(), &PACKAGE_UPLOAD, &place).await.unwrap_err();
        assert_eq!(refused, Problem::invalid("package", "package-format"));
        let missing = send(router, &PACKAGE_UPLOAD, &folder.path().join("none"))
            .await
            .unwrap_err();
        assert_eq!(missing.code, Code::StoreUnavailable);
    }
}
