//! Upload of a process package, with its progress.
//!
//! `data-test`: `choose-package` (the file input; in the window a button), `cancel-upload`, `package-told`.

use super::{editor::Editor, values::process};
use crate::{
    api,
    components::{Button, ErrorBox, ProgressBar, field::new_id},
    desktop, format,
    state::ui,
    texts,
};
use edgedeck_model::{
    Code, Problem,
    api::{CSRF_HEADER, PACKAGE_MAX, PACKAGES_PATH, Package},
    app::Run,
};
use futures::channel::oneshot;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{File, HtmlInputElement, ProgressEvent, XmlHttpRequest};

texts! {
    CHOOSE: "上传程序包（.tar.gz）", "Upload a package (.tar.gz)";
    READING: "正在读取并检查程序包…", "Reading and checking the package…";
    SENDING: "正在上传 {name}：{done} / {all}", "Uploading {name}: {done} of {all}";
    CANCEL: "取消上传", "Cancel the upload";
    TOLD: "已上传 {bytes}，含 {n} 个可执行程序", "Uploaded {bytes}, with {n} {n|program|programs}";
    TOO_LARGE: "程序包最大为 {max}", "A package has at most {max}";
}

#[derive(Clone)]
enum Upload {
    None,
    /// The window hands the file to the engine itself.
    Reading,
    Sending {
        name: String,
        done: u64,
        all: u64,
    },
    Done(Package),
    TooLarge,
    Failed(Problem),
}

#[component]
pub fn PackageUpload(editor: Editor, at: usize) -> impl IntoView {
    let id = new_id("package");
    let state = RwSignal::new(Upload::None);
    let request = StoredValue::new_local(None::<XmlHttpRequest>);
    let abort = move || {
        if let Some(Some(request)) = request.try_with_value(Clone::clone) {
            // Refused only for a request that was never opened.
            _ = request.abort();
        }
    };
    on_cleanup(abort);
    let ended = move |outcome: Result<Option<Package>, Problem>| {
        state.try_set(match outcome {
            Ok(Some(package)) => {
                take(editor, at, &package);
                Upload::Done(package)
            }
            Ok(None) => Upload::None,
            Err(problem) => Upload::Failed(problem),
        });
    };
    let send = move |file: File| {
        if file.size() > PACKAGE_MAX as f64 {
            state.set(Upload::TooLarge);
            return;
        }
        state.set(Upload::Sending {
            name: file.name(),
            done: 0,
            all: file.size() as u64,
        });
        leptos::task::spawn_local(async move {
            let started = move |sent: XmlHttpRequest| _ = request.try_update_value(|held| *held = Some(sent));
            ended(upload(file, state, started).await);
        });
    };
    let chosen = move |event: web_sys::Event| {
        let input = event
            .target()
            .and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        if let Some(file) = input.and_then(|input| input.files()).and_then(|files| files.get(0)) {
            send(file);
        }
    };
    let told = move || match state.get() {
        Upload::None => ().into_any(),
        Upload::Reading => view! { <p class="field-note" role="status">{READING.t()}</p> }.into_any(),
        Upload::Sending { name, done, all } => {
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
        Upload::Done(package) => {
            let words = TOLD.with(&[("bytes", &format::bytes(package.bytes)), ("n", &package.programs.len())]);
            view! { <p class="field-note" role="status" data-test="package-told">{words}</p> }.into_any()
        }
        Upload::TooLarge => {
            let words = TOO_LARGE.with(&[("max", &format::bytes(PACKAGE_MAX))]);
            view! { <p class="field-note field-error" role="alert">{words}</p> }.into_any()
        }
        Upload::Failed(problem) => view! { <ErrorBox problem=Signal::stored(problem)/> }.into_any(),
    };
    if desktop::in_window() {
        let busy = Signal::derive(move || state.with(|state| matches!(state, Upload::Reading)));
        let choose = Callback::new(move |()| {
            state.set(Upload::Reading);
            leptos::task::spawn_local(async move { ended(desktop::upload_package().await) });
        });
        return view! {
            <div class="field">
                <div><Button label=CHOOSE busy=busy press=choose test="choose-package"/></div>
                {told}
            </div>
        }
        .into_any();
    }
    view! {
        <div class="field">
            <label for=id.clone()>{CHOOSE.t()}</label>
            <input type="file" id=id accept=".gz,.tgz,application/gzip" data-test="choose-package" on:change=chosen/>
            {told}
        </div>
    }
    .into_any()
}

/// Names the package in the content, and its program where there is only one to choose.
fn take(editor: Editor, at: usize, package: &Package) {
    editor
        .packages
        .try_update(|packages| packages.insert(package.hash.clone(), package.clone()));
    let only = package.programs.first().cloned().unwrap_or_default();
    let hash = package.hash.clone();
    let keeps = editor
        .spec_untracked()
        .parts
        .get(at)
        .and_then(process)
        .is_some_and(|process| package.programs.contains(&process.program));
    editor.edit_part(at, |part| {
        if let Run::Process(process) = &mut part.run {
            process.package = hash;
            if !keeps {
                process.program = only;
            }
        }
    });
}

/// Sends a file; `None` where it was cancelled. `fetch` tells no progress, so it is the older kind of request.
async fn upload(
    file: File,
    state: RwSignal<Upload>,
    started: impl FnOnce(XmlHttpRequest),
) -> Result<Option<Package>, Problem> {
    let failed = |_| Problem::new(Code::Unreachable).with("what", "engine");
    let request = XmlHttpRequest::new().map_err(failed)?;
    request.open("PUT", PACKAGES_PATH).map_err(failed)?;
    request
        .set_request_header("content-type", "application/gzip")
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
        state.try_set(Upload::Sending {
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
