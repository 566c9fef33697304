//! Upload of a file, with its progress; in the window the file goes from the disk to the engine, past the page.
//!
//! `data-test`: the one that is given (the file input; in the window a button), `cancel-upload`.

use super::{Button, ErrorBox, ProgressBar, field::new_id};
use crate::{api, desktop, format, state::ui, texts};
use edgedeck_model::{
    Code, Problem,
    api::{CSRF_HEADER, Uploaded},
};
use futures::channel::oneshot;
use leptos::prelude::*;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{File, HtmlInputElement, ProgressEvent, XmlHttpRequest};

texts! {
    READING: "正在读取并检查文件…", "Reading and checking the file…";
    SENDING: "正在上传 {name}：{done} / {all}", "Uploading {name}: {done} of {all}";
    CANCEL: "取消上传", "Cancel the upload";
    TOO_LARGE: "文件最大为 {max}", "The file may have at most {max}";
}

#[derive(Clone)]
enum State {
    None,
    /// The window hands the file to the engine itself.
    Reading,
    Sending {
        name: String,
        done: u64,
        all: u64,
    },
    TooLarge,
    Failed(Problem),
}

/// Lets the user choose a file and sends it; `done` takes the engine's answer, and `begin` is told before.
#[component]
pub fn Upload<T: DeserializeOwned + Send + Sync + 'static>(
    to: &'static Uploaded,
    #[prop(into)] label: Signal<String>,
    begin: Callback<()>,
    done: Callback<T>,
    test: &'static str,
) -> impl IntoView {
    let id = new_id("upload");
    let state = RwSignal::new(State::None);
    let request = StoredValue::new_local(None::<XmlHttpRequest>);
    let abort = move || {
        if let Some(Some(request)) = request.try_with_value(Clone::clone) {
            // Refused only for a request that was never opened.
            _ = request.abort();
        }
    };
    on_cleanup(abort);
    let ended = move |outcome: Result<Option<T>, Problem>| {
        state.try_set(match outcome {
            Ok(answer) => {
                if let Some(answer) = answer {
                    done.try_run(answer);
                }
                State::None
            }
            Err(problem) => State::Failed(problem),
        });
    };
    let send = move |file: File| {
        begin.run(());
        if file.size() > to.max as f64 {
            state.set(State::TooLarge);
            return;
        }
        state.set(State::Sending {
            name: file.name(),
            done: 0,
            all: file.size() as u64,
        });
        leptos::task::spawn_local(async move {
            let started = move |sent: XmlHttpRequest| _ = request.try_update_value(|held| *held = Some(sent));
            ended(upload(to.path, file, state, started).await);
        });
    };
    let chosen = move |event: web_sys::Event| {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        if let Some(input) = input
            && let Some(file) = input.files().and_then(|files| files.get(0))
        {
            send(file);
            // So that the same file can be chosen again.
            input.set_value("");
        }
    };
    let told = move || match state.get() {
        State::None => ().into_any(),
        State::Reading => view! { <p class="field-note" role="status">{READING.t()}</p> }.into_any(),
        State::Sending { name, done, all } => {
            let words = SENDING.with(&[
                ("name", &name),
                ("done", &format::bytes(done)),
                ("all", &format::bytes(all)),
            ]);
            view! {
                <div class="button-row">
                    <ProgressBar done=Signal::stored(done) all=Signal::stored(all) label=Signal::stored(words)/>
                    <Button label=CANCEL press=Callback::new(move |()| abort()) test="cancel-upload"/>
                </div>
            }
            .into_any()
        }
        State::TooLarge => {
            let words = TOO_LARGE.with(&[("max", &format::bytes(to.max))]);
            view! { <p class="field-note field-error" role="alert">{words}</p> }.into_any()
        }
        State::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem)/> }.into_any(),
    };
    if desktop::in_window() {
        let busy = Signal::derive(move || state.with(|state| matches!(state, State::Reading)));
        let choose = Callback::new(move |()| {
            begin.run(());
            state.set(State::Reading);
            leptos::task::spawn_local(async move { ended(desktop::upload_file(to.path).await) });
        });
        return view! {
            <div class="field">
                <div><Button label=label busy=busy press=choose test=test/></div>
                {told}
            </div>
        }
        .into_any();
    }
    view! {
        <div class="field">
            <label for=id.clone()>{move || label.get()}</label>
            <input type="file" id=id accept=to.accept data-test=test on:change=chosen/>
            {told}
        </div>
    }
    .into_any()
}

/// Sends a file; `None` where it was cancelled. `fetch` tells no progress, so it is the older kind of request.
async fn upload<T: DeserializeOwned>(
    path: &str,
    file: File,
    state: RwSignal<State>,
    started: impl FnOnce(XmlHttpRequest),
) -> Result<Option<T>, Problem> {
    let failed = |_| Problem::new(Code::Unreachable).with("what", "engine");
    let request = XmlHttpRequest::new().map_err(failed)?;
    request.open("PUT", path).map_err(failed)?;
    request
        .set_request_header("content-type", "application/octet-stream")
        .map_err(failed)?;
    let csrf = ui()
        .me
        .with_untracked(|me| me.as_ref().map(|me| me.csrf.clone()))
        .unwrap_or_default();
    if !csrf.is_empty() {
        request.set_request_header(CSRF_HEADER, &csrf).map_err(failed)?;
    }
    let (name, all) = (file.name(), file.size() as u64);
    let progress = Closure::<dyn FnMut(ProgressEvent)>::new(move |event: ProgressEvent| {
        state.try_set(State::Sending {
            name: name.clone(),
            done: event.loaded() as u64,
            all,
        });
    });
    if let Ok(sending) = request.upload() {
        sending.set_onprogress(Some(progress.as_ref().unchecked_ref()));
    }
    let (done, ended) = oneshot::channel();
    let ending = Closure::<dyn FnMut()>::once(move || _ = done.send(()));
    request.set_onloadend(Some(ending.as_ref().unchecked_ref()));
    started(request.clone());
    request.send_with_opt_blob(Some(&file)).map_err(failed)?;
    _ = ended.await;
    let status = request.status().unwrap_or(0);
    let text = request.response_text().ok().flatten().unwrap_or_default();
    match status {
        0 if request.ready_state() == XmlHttpRequest::UNSENT => Ok(None),
        0 => Err(failed(wasm_bindgen::JsValue::NULL)),
        200 => serde_json::from_str(&text).map(Some).map_err(Problem::internal),
        _ => Err(api::refusal(status, &text)),
    }
}
