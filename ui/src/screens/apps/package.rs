//! Upload of a process package.
//!
//! `data-test`: `choose-package`, `package-told`.

use super::{editor::Editor, values::process};
use crate::{components::Upload, format, texts};
use edgedeck_model::{
    api::{PACKAGE_UPLOAD, Package},
    app::Run,
};
use leptos::prelude::*;

texts! {
    CHOOSE: "上传程序包（.tar.gz）", "Upload a package (.tar.gz)";
    TOLD: "已上传 {bytes}，含 {n} 个可执行程序", "Uploaded {bytes}, with {n} {n|program|programs}";
}

#[component]
pub fn PackageUpload(editor: Editor, at: usize) -> impl IntoView {
    let uploaded = RwSignal::new(None::<Package>);
    let done = Callback::new(move |package: Package| {
        take(editor, at, &package);
        uploaded.set(Some(package));
    });
    let begin = Callback::new(move |()| uploaded.set(None));
    view! {
        <Upload to=&PACKAGE_UPLOAD label=CHOOSE begin=begin done=done test="choose-package"/>
        {move || uploaded.get().map(|package| {
            let words = TOLD.with(&[("bytes", &format::bytes(package.bytes)), ("n", &package.programs.len())]);
            view! { <p class="field-note" role="status" data-test="package-told">{words}</p> }
        })}
    }
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
