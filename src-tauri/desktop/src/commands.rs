//! What the console's page may ask of the desktop. Everything else goes through the API.

use crate::{saving, starting::Answers, uploading};
use edgedeck_model::{Code, Problem};
use serde::Serialize;
use std::path::PathBuf;
use tauri::{AppHandle, State};
use tauri_plugin_notification::NotificationExt;

/// Longest title and body of a notification and of the tray's text, in characters.
const MAX_TITLE: usize = 120;
const MAX_BODY: usize = 600;

/// The program that shows the page.
#[derive(Serialize)]
pub struct AppInfo {
    version: &'static str,
    os: &'static str,
    arch: &'static str,
    /// Whether closing the window keeps it in the tray.
    tray: bool,
}

/// Tells which program this is.
#[tauri::command]
pub fn app_info(app: AppHandle) -> AppInfo {
    AppInfo {
        version: env!("CARGO_PKG_VERSION"),
        os: std::env::consts::OS,
        arch: std::env::consts::ARCH,
        tray: crate::window::hides(&app),
    }
}

/// Hands a notification to the desktop, which does not tell whether it shows it.
///
/// # Errors
/// `unreachable` when it cannot be handed over.
#[tauri::command]
pub async fn notify(app: AppHandle, title: String, body: String) -> Result<(), Problem> {
    let notification = app
        .notification()
        .builder()
        .title(cut(&title, MAX_TITLE))
        .body(cut(&body, MAX_BODY));
    // It waits for the desktop's answer, and so must not hold one of the runtime's own threads.
    let shown = tauri::async_runtime::spawn_blocking(move || notification.show()).await;
    match shown {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(unreachable_desktop(&error)),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// Saves the API's answer at `api_path` to a file that the person chooses; none when they cancel.
///
/// # Errors
/// See [`saving::save`].
#[tauri::command]
pub async fn save_file(
    app: AppHandle,
    answers: State<'_, Answers>,
    saved: State<'_, saving::Saved>,
    suggested_name: String,
    api_path: String,
) -> Result<Option<PathBuf>, Problem> {
    saving::save(&app, &answers, &saved, &suggested_name, &api_path).await
}

/// Uploads a file that the person chooses; none when they cancel.
///
/// # Errors
/// See [`uploading::file`].
#[tauri::command]
pub async fn upload_file(
    app: AppHandle,
    answers: State<'_, Answers>,
    api_path: String,
) -> Result<Option<serde_json::Value>, Problem> {
    uploading::file(&app, &answers, &api_path).await
}

/// Opens a file that `save_file` has written, or shows it in its folder.
///
/// # Errors
/// `forbidden` for any other file; `unreachable` when the desktop has nothing to open it with.
#[tauri::command]
pub async fn open_saved(saved: State<'_, saving::Saved>, path: PathBuf, in_folder: bool) -> Result<(), Problem> {
    if !saved.contains(&path) {
        return Err(Problem::new(Code::Forbidden).with("name", path.display()));
    }
    let opened = tauri::async_runtime::spawn_blocking(move || {
        if in_folder {
            tauri_plugin_opener::reveal_item_in_dir(path)
        } else {
            tauri_plugin_opener::open_path(path, None::<&str>)
        }
    });
    match opened.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(unreachable_desktop(&error)),
        Err(error) => Err(Problem::internal(error)),
    }
}

/// Shows the lab's state in the tray, in the page's language: one line, and whether it needs attention.
#[tauri::command]
pub fn show_status(app: AppHandle, text: String, attention: bool) {
    #[cfg(target_os = "linux")]
    crate::tray::show_status(&app, cut(&text, MAX_TITLE), attention);
    #[cfg(not(target_os = "linux"))]
    let _ = (app, text, attention);
}

fn unreachable_desktop(error: &dyn std::fmt::Display) -> Problem {
    Problem {
        detail: Some(error.to_string()),
        ..Problem::new(Code::Unreachable)
    }
}

/// The first `limit` characters, without control characters other than line ends.
fn cut(text: &str, limit: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .take(limit)
        .collect()
}
