//! Details at the right of a list, so that the list does not lose its place.

use crate::{
    components::{Icon, icon},
    state::ui,
    texts,
};
use leptos::prelude::*;

texts! {
    DETAILS: "详情", "Details";
    CLOSE: "关闭详情", "Close details";
}

/// What the drawer shows.
#[derive(Clone)]
pub struct Drawn {
    pub title: Signal<String>,
    pub view: ViewFn,
}

/// Opens the drawer, or shows something else in it.
pub fn open_drawer(title: impl Into<Signal<String>>, view: impl Fn() -> AnyView + Send + Sync + 'static) {
    ui().drawer.set(Some(Drawn {
        title: title.into(),
        view: view.into(),
    }));
}

pub fn close_drawer() {
    ui().drawer.set(None);
}

#[component]
pub fn Drawer() -> impl IntoView {
    let place = leptos_router::hooks::use_location().pathname;
    // What it shows belongs to the list that it was opened from.
    Effect::new(move |before: Option<String>| {
        let now = place.get();
        if before.is_some_and(|before| before != now) {
            close_drawer();
        }
        now
    });
    move || {
        ui().drawer.get().map(|drawn| {
            let on_key = move |event: web_sys::KeyboardEvent| {
                if event.key() == "Escape" {
                    close_drawer();
                }
            };
            view! {
                <aside class="drawer" aria-label=DETAILS.t() data-test="drawer" on:keydown=on_key>
                    <header class="drawer-head">
                        <h2>{move || drawn.title.get()}</h2>
                        <button type="button" class="button quiet sign-only" aria-label=CLOSE.t() on:click=move |_| close_drawer()>
                            {icon(Icon::Close)}
                        </button>
                    </header>
                    <div class="drawer-body">{drawn.view.run()}</div>
                </aside>
            }
        })
    }
}
