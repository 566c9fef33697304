//! What the page's surroundings offer, with nothing to unwrap.

use futures::channel::oneshot;
use leptos::prelude::*;
use std::time::Duration;
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::JsFuture;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    js_sys::Date::now() as i64
}

/// A clock for durations, in milliseconds.
pub fn ticks() -> f64 {
    window()
        .performance()
        .map_or_else(js_sys::Date::now, |clock| clock.now())
}

/// Marks this moment in the page's timeline, where who measures the page finds it.
pub fn mark(name: &str) {
    if let Some(clock) = window().performance() {
        // A page that cannot mark works all the same.
        let _marked = clock.mark(name);
    }
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

pub fn stored(key: &str) -> Option<String> {
    storage()?.get_item(key).ok().flatten()
}

/// Remembers a choice; where storage is refused it lasts for the page only.
pub fn store(key: &str, value: &str) {
    if let Some(storage) = storage() {
        _ = storage.set_item(key, value);
    }
}

/// The first language the user reads.
pub fn language() -> String {
    window().navigator().language().unwrap_or_default()
}

/// Sets an attribute of the page's root element.
pub fn set_root(name: &str, value: &str) {
    if let Some(root) = document().document_element() {
        _ = root.set_attribute(name, value);
    }
}

/// Keeps a signal equal to a media query for the page's life.
pub fn follow_media(query: &str, signal: RwSignal<bool>) {
    let Ok(Some(list)) = window().match_media(query) else {
        return;
    };
    signal.set(list.matches());
    let watched = list.clone();
    let changed = Closure::<dyn FnMut()>::new(move || signal.set(watched.matches()));
    list.set_onchange(Some(changed.as_ref().unchecked_ref()));
    changed.forget();
}

pub async fn sleep(ms: u32) {
    let (done, wait) = oneshot::channel();
    set_timeout(move || _ = done.send(()), Duration::from_millis(ms.into()));
    _ = wait.await;
}

/// Waits for the next drawing, at most `ms`: a page that is hidden draws nothing.
pub async fn next_frame(ms: u32) {
    let (done, drawn) = oneshot::channel();
    request_animation_frame(move || _ = done.send(()));
    futures::future::select(drawn, Box::pin(sleep(ms))).await;
}

/// Whether a text was put on the clipboard.
pub async fn copy(text: String) -> bool {
    // The window's own scheme may have no clipboard interface; the old way works in both.
    if js_sys::Reflect::get(&window().navigator(), &JsValue::from_str("clipboard")).is_ok_and(|c| c.is_object())
        && JsFuture::from(window().navigator().clipboard().write_text(&text))
            .await
            .is_ok()
    {
        return true;
    }
    copy_by_selection(&text).unwrap_or(false)
}

fn copy_by_selection(text: &str) -> Option<bool> {
    let page = document();
    let area = page
        .create_element("textarea")
        .ok()?
        .dyn_into::<web_sys::HtmlTextAreaElement>()
        .ok()?;
    area.set_value(text);
    area.set_class_name("off-screen");
    // Inside an open dialog only what is in the dialog can be selected.
    let dialogs = page.query_selector("dialog[open]").ok().flatten();
    let parent = dialogs.or_else(|| page.body().map(Into::into))?;
    parent.append_child(&area).ok()?;
    area.select();
    let done = page
        .dyn_ref::<web_sys::HtmlDocument>()?
        .exec_command("copy")
        .unwrap_or(false);
    area.remove();
    Some(done)
}

/// Hands a file to the user.
pub fn download(name: &str, mime: &str, text: &str) {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(mime);
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let made = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options)
        .and_then(|blob| web_sys::Url::create_object_url_with_blob(&blob));
    let Ok(address) = made else { return };
    if let Some(link) = document()
        .create_element("a")
        .ok()
        .and_then(|e| e.dyn_into::<web_sys::HtmlAnchorElement>().ok())
    {
        link.set_href(&address);
        link.set_download(name);
        link.click();
    }
    set_timeout(
        move || _ = web_sys::Url::revoke_object_url(&address),
        Duration::from_secs(60),
    );
}

/// Moves the focus to the first element that a selector finds.
pub fn focus(selector: &str) {
    let found = document().query_selector(selector).ok().flatten();
    if let Some(element) = found.and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok()) {
        _ = element.focus();
    }
}

/// Whether a key event goes into a field where people type.
pub fn is_typing(event: &web_sys::KeyboardEvent) -> bool {
    let target = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::HtmlElement>().ok());
    target.is_some_and(|e| e.is_content_editable() || matches!(e.tag_name().as_str(), "INPUT" | "TEXTAREA" | "SELECT"))
}

/// Keeps a signal equal to an element's inner size until the element's owner is gone.
pub fn follow_size(element: &web_sys::Element, size: RwSignal<(f64, f64)>) {
    let watched = element.clone();
    let measure = move || {
        let now = (f64::from(watched.client_width()), f64::from(watched.client_height()));
        if size.try_get_untracked().is_some_and(|before| before != now) {
            size.try_set(now);
        }
    };
    measure();
    let changed = Closure::<dyn FnMut()>::new(measure);
    if let Ok(observer) = web_sys::ResizeObserver::new(changed.as_ref().unchecked_ref()) {
        observer.observe(element);
        let kept = send_wrapper::SendWrapper::new((observer, changed));
        on_cleanup(move || kept.0.disconnect());
    }
}
