//! A button that opens a short list of actions.

use crate::components::{
    field::new_id,
    icon::{Icon, icon},
};
use leptos::{html, prelude::*};
use wasm_bindgen::JsCast;

/// One entry of a menu.
#[derive(Clone)]
pub struct MenuItem {
    pub label: Signal<String>,
    /// Marks the present one of several choices.
    pub chosen: Signal<bool>,
    pub act: Callback<()>,
    pub test: &'static str,
}

impl MenuItem {
    pub fn new(label: impl Into<Signal<String>>, test: &'static str, act: impl Fn() + Send + Sync + 'static) -> Self {
        let act = Callback::new(move |()| act());
        Self {
            label: label.into(),
            chosen: Signal::stored(false),
            act,
            test,
        }
    }

    #[must_use]
    pub fn chosen(self, chosen: Signal<bool>) -> Self {
        Self { chosen, ..self }
    }
}

/// Arrows move, Enter acts, Escape and a click outside close.
#[component]
pub fn Menu(
    #[prop(into)] label: Signal<String>,
    #[prop(optional)] sign: Option<Icon>,
    #[prop(optional)] sign_only: bool,
    #[prop(into)] items: Signal<Vec<MenuItem>>,
    #[prop(optional)] test: &'static str,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let (root, list) = (NodeRef::<html::Div>::new(), NodeRef::<html::Div>::new());
    let id = new_id("menu");
    let step = move |by: i32| {
        let Some(list) = list.get_untracked() else { return };
        let entries = list.children();
        let count = entries.length() as i32;
        let active = document().active_element();
        let at = (0..count).find(|at| entries.item(*at as u32) == active);
        let next = at.map_or(if by > 0 { 0 } else { count - 1 }, |at| {
            (at + by).rem_euclid(count.max(1))
        });
        if let Some(entry) = entries
            .item(next as u32)
            .and_then(|e| e.dyn_into::<web_sys::HtmlElement>().ok())
        {
            _ = entry.focus();
        }
    };
    let close = move || {
        open.set(false);
        let button = root
            .get_untracked()
            .and_then(|root| root.query_selector("button").ok().flatten());
        if let Some(button) = button.and_then(|b| b.dyn_into::<web_sys::HtmlElement>().ok()) {
            _ = button.focus();
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        match event.key().as_str() {
            "ArrowDown" if open.get_untracked() => step(1),
            "ArrowUp" if open.get_untracked() => step(-1),
            "ArrowDown" => {
                open.set(true);
                request_animation_frame(move || step(1));
            }
            "Escape" if open.get_untracked() => close(),
            _ => return,
        }
        event.prevent_default();
        event.stop_propagation();
    };
    // Focus that leaves the menu closes it; a click elsewhere moves the focus.
    let on_leave = move |event: web_sys::FocusEvent| {
        let inside = event
            .related_target()
            .and_then(|to| to.dyn_into::<web_sys::Node>().ok());
        let stays = root
            .get_untracked()
            .is_some_and(|root| inside.is_some_and(|to| root.contains(Some(&to))));
        if !stays {
            open.set(false);
        }
    };
    view! {
        <div class="menu" node_ref=root on:keydown=on_key on:focusout=on_leave>
            <button
                type="button"
                class="button quiet"
                class:sign-only=sign_only
                data-test=test
                aria-haspopup="menu"
                aria-expanded=move || open.get().to_string()
                aria-controls=id.clone()
                aria-label=move || sign_only.then(|| label.get())
                title=move || sign_only.then(|| label.get())
                on:click=move |_| open.update(|open| *open = !*open)
            >
                {sign.map(icon)}
                {(!sign_only).then(|| view! { <span>{move || label.get()}</span> })}
            </button>
            <div class="menu-list" role="menu" id=id node_ref=list hidden=move || !open.get()>
                {move || {
                    items
                        .get()
                        .into_iter()
                        .map(|item| {
                            view! {
                                <button
                                    type="button"
                                    role="menuitem"
                                    class="menu-item"
                                    class:chosen=move || item.chosen.get()
                                    data-test=item.test
                                    on:click=move |_| {
                                        close();
                                        item.act.run(());
                                    }
                                >
                                    <span class="menu-sign">
                                        {move || if item.chosen.get() { Some(icon(Icon::Check)) } else { None }}
                                    </span>
                                    <span>{move || item.label.get()}</span>
                                </button>
                            }
                        })
                        .collect_view()
                }}
            </div>
        </div>
    }
}
