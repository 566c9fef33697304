//! Several faces of one thing.

use leptos::{html, prelude::*};
use wasm_bindgen::JsCast;

/// A row of tabs; `value` is the key of the present one. What a tab shows is up to the caller.
#[component]
pub fn Tabs(
    value: RwSignal<String>,
    /// Key and word of each.
    #[prop(into)]
    tabs: Signal<Vec<(String, String)>>,
    #[prop(into)] label: Signal<String>,
    #[prop(optional)] test: &'static str,
) -> impl IntoView {
    let root = NodeRef::<html::Div>::new();
    let present = move |key: &str| {
        let value = value.get();
        value == key || (value.is_empty() && tabs.with(|tabs| tabs.first().is_some_and(|tab| tab.0 == key)))
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let by: i32 = match event.key().as_str() {
            "ArrowRight" => 1,
            "ArrowLeft" => -1,
            _ => return,
        };
        event.prevent_default();
        let keys: Vec<String> = tabs.with_untracked(|tabs| tabs.iter().map(|tab| tab.0.clone()).collect());
        let at = keys.iter().position(|key| *key == value.get_untracked()).unwrap_or(0) as i32;
        let next = (at + by).rem_euclid(keys.len().max(1) as i32) as usize;
        if let Some(key) = keys.get(next) {
            value.set(key.clone());
            let tab = root.get_untracked().and_then(|root| root.children().item(next as u32));
            if let Some(tab) = tab.and_then(|tab| tab.dyn_into::<web_sys::HtmlElement>().ok()) {
                _ = tab.focus();
            }
        }
    };
    view! {
        <div class="tabs" role="tablist" aria-label=move || label.get() node_ref=root on:keydown=on_key data-test=test>
            <For each=move || tabs.get() key=|tab| tab.clone() let((key, word))>
                {
                    let (of_class, of_aria, of_index, of_test) = (key.clone(), key.clone(), key.clone(), key.clone());
                    view! {
                        <button
                            type="button"
                            role="tab"
                            class="tab"
                            class:chosen=move || present(&of_class)
                            aria-selected=move || present(&of_aria).to_string()
                            tabindex=move || if present(&of_index) { "0" } else { "-1" }
                            data-test=format!("tab-{of_test}")
                            on:click=move |_| value.set(key.clone())
                        >
                            {word}
                        </button>
                    }
                }
            </For>
        </div>
    }
}
