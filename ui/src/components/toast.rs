//! Short messages at the edge of the window, read out as they come.

use crate::{
    api, browser,
    components::{
        badge::{Shape, Sign, Tone, glyph},
        icon::{Icon, icon},
    },
    state::ui,
    texts,
};
use edgedeck_model::Problem;
use leptos::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

texts! {
    UNDO: "撤销", "Undo";
    DISMISS: "关闭提示", "Dismiss";
    MESSAGES: "提示", "Messages";
}

static NEXT: AtomicU32 = AtomicU32::new(0);

#[derive(Clone)]
pub struct Toast {
    id: u32,
    sign: Sign,
    text: String,
    undo: Option<Callback<()>>,
}

fn show(sign: Sign, text: String, undo: Option<Callback<()>>, ms: u32) {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    ui().toasts.update(|toasts| {
        toasts.push(Toast { id, sign, text, undo });
        // Many at once would cover the screen.
        if toasts.len() > 4 {
            toasts.remove(0);
        }
    });
    leptos::task::spawn_local(async move {
        browser::sleep(ms).await;
        dismiss(id);
    });
}

fn dismiss(id: u32) {
    ui().toasts.update(|toasts| toasts.retain(|toast| toast.id != id));
}

/// Says that something was done.
pub fn toast(text: impl Into<String>) {
    show(
        Sign {
            shape: Shape::Check,
            tone: Tone::Good,
        },
        text.into(),
        None,
        5_000,
    );
}

/// Says that something was done, and offers to undo it.
pub fn toast_undo(text: impl Into<String>, undo: Callback<()>) {
    show(
        Sign {
            shape: Shape::Check,
            tone: Tone::Good,
        },
        text.into(),
        Some(undo),
        10_000,
    );
}

/// Says that something failed, and why. For what was not asked in a form or dialog, which show it themselves.
pub fn toast_problem(problem: &Problem) {
    let text = api::sentence(problem, ui().lang.get_untracked());
    show(
        Sign {
            shape: Shape::Triangle,
            tone: Tone::Bad,
        },
        text,
        None,
        12_000,
    );
}

/// Where they stand; once, in the frame.
#[component]
pub fn Toasts() -> impl IntoView {
    view! {
        <div class="toasts" role="region" aria-live="polite" aria-label=MESSAGES.t()>
            <For each=move || ui().toasts.get() key=|toast| toast.id let(toast)>
                <div class="toast" data-test="toast">
                    {glyph(toast.sign)} <span class="toast-text">{toast.text.clone()}</span>
                    {toast.undo.map(|undo| {
                        let act = move |_| {
                            dismiss(toast.id);
                            undo.run(());
                        };
                        view! {
                            <button type="button" class="button quiet" data-test="undo" on:click=act>
                                {UNDO.t()}
                            </button>
                        }
                    })}
                    <button type="button" class="button quiet sign-only" aria-label=DISMISS.t() on:click=move |_| dismiss(toast.id)>
                        {icon(Icon::Close)}
                    </button>
                </div>
            </For>
        </div>
    }
}
