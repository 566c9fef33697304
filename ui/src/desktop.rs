//! What the desktop window offers the page beside the API: notifications, and saving a file. In a browser there is no
//! such thing, and the page's own means are used.

use crate::browser;
use edgedeck_model::{Code, Problem};
use js_sys::{Array, Function, JSON, Object, Promise, Reflect};
use leptos::prelude::*;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// What the window puts into the page for its calls.
fn internals() -> Option<JsValue> {
    let found = Reflect::get(&window(), &JsValue::from_str("__TAURI_INTERNALS__")).ok()?;
    found.is_object().then_some(found)
}

/// Whether the page runs in the desktop window.
pub fn in_window() -> bool {
    internals().is_some()
}

/// Calls a command of the window.
async fn invoke(command: &str, arguments: &[(&str, &str)]) -> Result<JsValue, Problem> {
    let internals = internals().ok_or_else(|| Problem::new(Code::Unreachable))?;
    let given = Object::new();
    for (name, value) in arguments {
        // Setting a property of a plain object cannot fail.
        _ = Reflect::set(&given, &JsValue::from_str(name), &JsValue::from_str(value));
    }
    let invoke = Reflect::get(&internals, &JsValue::from_str("invoke")).and_then(|found| found.dyn_into::<Function>());
    let call = invoke.and_then(|invoke| invoke.call2(&internals, &JsValue::from_str(command), &given));
    let answer = call.map_err(|error| problem_of(&error))?;
    JsFuture::from(Promise::resolve(&answer))
        .await
        .map_err(|error| problem_of(&error))
}

/// The window refuses in the same form as the API.
fn problem_of(error: &JsValue) -> Problem {
    let json = JSON::stringify(error)
        .ok()
        .and_then(|text| text.as_string())
        .unwrap_or_default();
    serde_json::from_str(&json).unwrap_or_else(|_| Problem::internal(error.as_string().unwrap_or(json)))
}

/// Saves the answer to GET `api_path` as a file. In the window the user chooses where, and `Some` says where it is; a
/// browser does as with every download.
///
/// # Errors
/// What the engine or the disk refused. `Ok(None)` where the user changed their mind.
pub async fn save_file(suggested_name: &str, api_path: &str) -> Result<Option<String>, Problem> {
    if in_window() {
        let saved = invoke("save_file", &[("suggestedName", suggested_name), ("apiPath", api_path)]).await?;
        return Ok(saved.as_string());
    }
    let link = document()
        .create_element("a")
        .ok()
        .and_then(|element| element.dyn_into::<web_sys::HtmlAnchorElement>().ok());
    if let Some(link) = link {
        link.set_href(api_path);
        link.set_download(suggested_name);
        link.click();
    }
    Ok(Some(suggested_name.to_owned()))
}

/// Lets the user choose a file and hands it to the engine from the disk; only in the window. `Ok(None)` where they
/// changed their mind.
///
/// # Errors
/// What the engine or the disk refused.
pub async fn upload_file<T: DeserializeOwned>(api_path: &str) -> Result<Option<T>, Problem> {
    let answer = invoke("upload_file", &[("apiPath", api_path)]).await?;
    if answer.is_null() {
        return Ok(None);
    }
    let json = JSON::stringify(&answer).map_err(|error| problem_of(&error))?;
    serde_json::from_str(&String::from(json)).map_err(Problem::internal)
}

const NOTIFY_KEY: &str = "edgedeck.notify";

/// Whether the user wants notifications of new alarms.
pub fn wants_notifications() -> bool {
    browser::stored(NOTIFY_KEY).is_none_or(|kept| kept != "off")
}

pub fn set_wants_notifications(wanted: bool) {
    browser::store(NOTIFY_KEY, if wanted { "on" } else { "off" });
}

/// Whether this browser would show one now; the window always hands it to the desktop.
pub fn may_notify() -> bool {
    in_window() || permission() == "granted"
}

/// `granted`, `denied`, `default`, or empty where the browser has no notifications.
fn permission() -> String {
    let maker = Reflect::get(&window(), &JsValue::from_str("Notification")).unwrap_or(JsValue::UNDEFINED);
    if !maker.is_function() {
        return String::new();
    }
    let found = Reflect::get(&maker, &JsValue::from_str("permission")).ok();
    found.and_then(|found| found.as_string()).unwrap_or_default()
}

/// Asks the user for leave, where the browser needs that. Must be called by a click.
pub async fn ask_to_notify() -> bool {
    if in_window() {
        return true;
    }
    if permission() != "default" {
        return permission() == "granted";
    }
    let Ok(maker) = Reflect::get(&window(), &JsValue::from_str("Notification")) else {
        return false;
    };
    let ask =
        Reflect::get(&maker, &JsValue::from_str("requestPermission")).and_then(|found| found.dyn_into::<Function>());
    if let Ok(promise) = ask.and_then(|ask| ask.call0(&maker)) {
        _ = JsFuture::from(Promise::resolve(&promise)).await;
    }
    permission() == "granted"
}

/// Shows a notification of the desktop, if it may. It is a help, not the record: a failure is not worth a message.
pub fn notify(title: String, body: String) {
    if in_window() {
        leptos::task::spawn_local(async move {
            _ = invoke("notify", &[("title", &title), ("body", &body)]).await;
        });
    } else if permission() == "granted"
        && let Ok(maker) = Reflect::get(&window(), &JsValue::from_str("Notification"))
    {
        let options = Object::new();
        _ = Reflect::set(&options, &JsValue::from_str("body"), &JsValue::from_str(&body));
        let arguments = Array::of2(&JsValue::from_str(&title), &options);
        _ = Reflect::construct(&Function::from(maker), &arguments);
    }
}
