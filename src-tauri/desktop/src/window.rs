//! The one window: opens, comes to the front, hides in the tray, and shows no page but the console's.

use crate::page;
use tauri::{
    AppHandle, Manager, Url, WebviewUrl, WebviewWindowBuilder, Wry, plugin::TauriPlugin, webview::NewWindowResponse,
};
use tauri_plugin_window_state::StateFlags;

/// Keeps size and place. Not whether it was visible: a window that was quit from the tray shall open again.
pub fn state_plugin() -> TauriPlugin<Wry> {
    tauri_plugin_window_state::Builder::new()
        .with_state_flags(StateFlags::all() - StateFlags::VISIBLE)
        .build()
}

/// Opens the window on the console, or on the page that a deep link named.
pub fn open(app: &AppHandle, link: Option<Url>) -> tauri::Result<()> {
    WebviewWindowBuilder::new(
        app,
        page::WINDOW,
        WebviewUrl::CustomProtocol(link.unwrap_or_else(page::home)),
    )
    .title("EdgeDeck")
    .inner_size(1280.0, 800.0)
    .min_inner_size(800.0, 600.0)
    .on_navigation(|url| url.scheme() == page::SCHEME && url.host_str() == Some("localhost"))
    .on_new_window(|_url, _features| NewWindowResponse::Deny)
    .build()?;
    Ok(())
}

/// Brings the window to the front, on that page if one is asked for.
pub fn raise(app: &AppHandle, link: Option<Url>) {
    let Some(window) = app.get_webview_window(page::WINDOW) else {
        return;
    };
    let raised = window
        .show()
        .and_then(|()| window.unminimize())
        .and_then(|()| window.set_focus());
    let moved = link.map_or(Ok(()), |link| window.navigate(link));
    if let Err(error) = raised.and(moved) {
        tracing::warn!("the window could not be brought to the front: {error}");
    }
}

/// Whether closing the window only hides it: there is a tray to call it back from.
pub fn hides(app: &AppHandle) -> bool {
    #[cfg(target_os = "linux")]
    return crate::tray::visible(app);
    #[cfg(not(target_os = "linux"))]
    {
        _ = app;
        false
    }
}
