//! Downloads: the API's answer streams to a file that the person chose, and is there whole or not at all.

use crate::starting::Answers;
use axum::{
    body::Body,
    http::{Request, Uri},
};
use edgedeck_model::{Code, Problem};
use futures::StreamExt;
use std::{
    collections::BTreeSet,
    env, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use tauri::AppHandle;
use tauri_plugin_dialog::DialogExt;
use tokio::{fs, io::AsyncWriteExt, sync::oneshot};
use tower::ServiceExt;

/// Where tests save to instead of asking: a folder.
const TEST_DIR: &str = "EDGEDECK_TEST_SAVE_DIR";
/// Longest refusal of the API that is read, in bytes.
const MAX_REFUSAL: usize = 64 << 10;
/// Longest name that is suggested, in bytes: most file systems take 255.
const MAX_NAME: usize = 200;

/// The files written since the window was opened: the only ones that the page may have opened.
#[derive(Default)]
pub struct Saved(Mutex<BTreeSet<PathBuf>>);

impl Saved {
    pub fn contains(&self, path: &Path) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn add(&self, path: PathBuf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}

/// Saves the answer to GET `api_path` under a name and place that the person chooses. Returns where, or none when they
/// cancel. With the environment's `EDGEDECK_TEST_SAVE_DIR` nobody is asked: the file goes to that folder.
///
/// # Errors
/// `forbidden` for a path outside `/api/`, the API's own refusal, or `store-unavailable` when the file cannot be written.
pub async fn save(
    app: &AppHandle,
    answers: &Answers,
    saved: &Saved,
    suggested_name: &str,
    api_path: &str,
) -> Result<Option<PathBuf>, Problem> {
    let uri = api_uri(api_path)?;
    let router = answers.router().ok_or_else(|| Problem::new(Code::StoreUnavailable))?;
    let name = file_name(suggested_name);
    let place = match env::var_os(TEST_DIR) {
        Some(folder) => Some(PathBuf::from(folder).join(name)),
        None => ask(app, &name).await?,
    };
    let Some(place) = place else {
        return Ok(None);
    };
    download(router, uri, &place).await?;
    saved.add(place.clone());
    Ok(Some(place))
}

/// Only the API is saved from, and only as it stands: no other host, no dots that lead elsewhere.
fn api_uri(api_path: &str) -> Result<Uri, Problem> {
    let forbidden = || Problem::new(Code::Forbidden).with("name", api_path);
    let uri: Uri = api_path.parse().map_err(|_| forbidden())?;
    let path = uri.path();
    let inside = uri.authority().is_none() && path.starts_with("/api/") && !path.split('/').any(|part| part == "..");
    if inside { Ok(uri) } else { Err(forbidden()) }
}

/// The suggested name without what file systems refuse or what would lead to another folder.
fn file_name(suggested: &str) -> String {
    let mut name: String = suggested
        .chars()
        .map(|c| {
            if c.is_control() || "/\\:*?\"<>|".contains(c) {
                '-'
            } else {
                c
            }
        })
        .collect();
    while name.len() > MAX_NAME {
        name.pop();
    }
    let name = name.trim_matches(['.', ' ']);
    if name.is_empty() {
        "edgedeck".to_owned()
    } else {
        name.to_owned()
    }
}

/// Asks for a place by the desktop's own dialog, over the window.
async fn ask(app: &AppHandle, name: &str) -> Result<Option<PathBuf>, Problem> {
    use tauri::Manager;
    let mut dialog = app.dialog().file().set_file_name(name);
    if let Some(window) = app.get_webview_window(crate::page::WINDOW) {
        dialog = dialog.set_parent(&window);
    }
    let (chosen, choice) = oneshot::channel();
    dialog.save_file(move |path| {
        // Nobody waits any more when the page went away.
        _ = chosen.send(path);
    });
    let choice = choice.await.map_err(Problem::internal)?;
    choice
        .map(|path| path.into_path().map_err(Problem::internal))
        .transpose()
}

/// Streams the answer into a new file beside `place`, and renames it when it is whole and on disk.
async fn download(router: axum::Router, uri: Uri, place: &Path) -> Result<(), Problem> {
    let request = Request::get(uri).body(Body::empty()).map_err(Problem::internal)?;
    let answer = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    if !answer.status().is_success() {
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), MAX_REFUSAL)
            .await
            .unwrap_or_default();
        let refusal = serde_json::from_slice(&body);
        return Err(refusal.unwrap_or_else(|_| Problem::internal(format!("the engine answered {status}"))));
    }
    let part = part_of(place);
    let written = write(answer.into_body(), &part, place).await;
    if written.is_err() {
        // The part may not even exist; the error that matters is the first.
        _ = fs::remove_file(&part).await;
    }
    written.map_err(|error| Problem {
        detail: Some(format!("write {}: {error}", place.display())),
        ..Problem::new(Code::StoreUnavailable)
    })
}

async fn write(body: Body, part: &Path, place: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(part).await?;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        file.write_all(&chunk.map_err(io::Error::other)?).await?;
    }
    file.sync_all().await?;
    drop(file);
    fs::rename(part, place).await
}

/// A name beside `place` that no other download of this or another window uses.
fn part_of(place: &Path) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    place.with_file_name(format!(".{name}.{}-{count}.part", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::get};

    fn files(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn only_the_api_is_saved_from() {
        assert!(api_uri("/api/nodes.csv?state=online").is_ok());
        for path in [
            "/",
            "/index.html",
            "/apix",
            "api/nodes",
            "http://elsewhere/api/x",
            "/api/../x",
            "//host/api/x",
            "",
        ] {
            assert_eq!(api_uri(path).unwrap_err().code, Code::Forbidden, "{path}");
        }
    }

    #[test]
    fn a_suggested_name_stays_in_its_folder() {
        assert_eq!(file_name("节点 2026.csv"), "节点 2026.csv");
        assert_eq!(file_name("../../etc/passwd"), "-..-etc-passwd");
        assert_eq!(file_name("a\0b\nc"), "a-b-c");
        assert_eq!(file_name(".."), "edgedeck");
        assert!(file_name(&"节".repeat(300)).len() <= MAX_NAME);
    }

    #[tokio::test]
    async fn a_download_is_whole_and_replaces_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("nodes.csv");
        std::fs::write(&place, "old").unwrap();
        let big = "x".repeat(3 << 20);
        let body = big.clone();
        let router = Router::new().route("/api/nodes.csv", get(move || async move { body }));
        download(router, "/api/nodes.csv".parse().unwrap(), &place)
            .await
            .unwrap();
        assert_eq!(std::fs::read_to_string(&place).unwrap(), big);
        assert_eq!(files(folder.path()), ["nodes.csv"]);
    }

    #[tokio::test]
    async fn a_download_that_breaks_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("nodes.csv");
        std::fs::write(&place, "old").unwrap();
        let broken = || async {
            Body::from_stream(futures::stream::iter([
                Ok("half".to_owned()),
                Err(io::Error::other("the engine stopped")),
            ]))
        };
        let router = Router::new().route("/api/nodes.csv", get(broken));
        let problem = download(router, "/api/nodes.csv".parse().unwrap(), &place)
            .await
            .unwrap_err();
        assert_eq!(problem.code, Code::StoreUnavailable);
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "old");
        assert_eq!(files(folder.path()), ["nodes.csv"]);
    }

    #[tokio::test]
    async fn the_refusal_of_the_api_is_passed_on() {
        let refused = || async {
            (
                axum::http::StatusCode::NOT_FOUND,
                axum::Json(Problem::not_found("node")),
            )
        };
        let router = Router::new().route("/api/nodes/x", get(refused));
        let folder = tempfile::tempdir().unwrap();
        let problem = download(router, "/api/nodes/x".parse().unwrap(), &folder.path().join("x"))
            .await
            .unwrap_err();
        assert_eq!(problem, Problem::not_found("node"));
        assert!(files(folder.path()).is_empty());
    }
}
