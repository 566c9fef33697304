//! Form fields with label, help and error.

use crate::i18n::Text;
use edgedeck_model::{Code, Problem, text};
use leptos::prelude::*;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// An id for an element that another one names.
pub fn new_id(prefix: &str) -> String {
    format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A line, or with `lines` an area, of text.
#[component]
pub fn Field(
    #[prop(into)] label: Signal<String>,
    value: RwSignal<String>,
    #[prop(optional, into)] error: Signal<Option<String>>,
    #[prop(optional, into)] help: Option<Signal<String>>,
    /// `text`, `password`, `number`, `search` …
    #[prop(default = "text")]
    kind: &'static str,
    #[prop(default = "off")] autocomplete: &'static str,
    #[prop(optional, into)] placeholder: Signal<String>,
    #[prop(optional)] lines: u32,
    #[prop(optional)] required: bool,
    #[prop(optional)] focus: bool,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional)] test: &'static str,
) -> impl IntoView {
    let id = new_id("field");
    let note = format!("{id}-note");
    // What nobody has typed into yet is not wrong: what it lacks is said quietly.
    let typed = RwSignal::new(false);
    let wrong = move || error.with(Option::is_some) && (typed.get() || value.with(|value| !value.is_empty()));
    let take = move |text: String| {
        typed.set(true);
        value.set(text);
    };
    let described = {
        let note = note.clone();
        move || (error.with(Option::is_some) || help.is_some()).then(|| note.clone())
    };
    let invalid = move || wrong().then_some("true");
    let input = if lines > 0 {
        view! {
            <textarea
                id=id.clone()
                rows=lines
                data-test=test
                autofocus=focus
                placeholder=move || placeholder.get()
                prop:value=move || value.get()
                disabled=move || disabled.get()
                aria-invalid=invalid
                aria-describedby=described
                on:input:target=move |event| take(event.target().value())
            ></textarea>
        }
        .into_any()
    } else {
        view! {
            <input
                id=id.clone()
                type=kind
                data-test=test
                autocomplete=autocomplete
                autofocus=focus
                required=required
                spellcheck="false"
                placeholder=move || placeholder.get()
                prop:value=move || value.get()
                disabled=move || disabled.get()
                aria-invalid=invalid
                aria-describedby=described
                on:input:target=move |event| take(event.target().value())
            />
        }
        .into_any()
    };
    view! {
        <div class="field">
            <label for=id>{move || label.get()}</label>
            {input}
            <p id=note class="field-note" class:field-error=wrong>
                {move || error.get().or_else(|| help.map(|help| help.get()))}
            </p>
        </div>
    }
}

/// A yes or no.
#[component]
pub fn Check(
    #[prop(into)] label: Signal<String>,
    #[prop(into)] checked: Signal<bool>,
    #[prop(into)] set: Callback<bool>,
    #[prop(default = None)] help: Option<Text>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional)] test: &'static str,
) -> impl IntoView {
    let id = new_id("check");
    view! {
        <div class="check-field">
            <input
                type="checkbox"
                id=id.clone()
                data-test=test
                prop:checked=move || checked.get()
                prop:disabled=move || disabled.get()
                on:change:target=move |event| set.run(event.target().checked())
            />
            <label for=id>{move || label.get()}</label>
            {help.map(|help| view! { <p class="field-note">{help.t()}</p> })}
        </div>
    }
}

/// One of a few: value and word.
#[component]
pub fn Choice(
    #[prop(into)] label: Signal<String>,
    value: RwSignal<String>,
    #[prop(into)] options: Signal<Vec<(String, String)>>,
    /// The label is read out but not shown.
    #[prop(optional)]
    hide_label: bool,
    #[prop(optional)] test: &'static str,
) -> impl IntoView {
    let id = new_id("choice");
    view! {
        <div class="field" class:inline=hide_label>
            <label for=id.clone() class:off-screen=hide_label>{move || label.get()}</label>
            <select
                id=id
                data-test=test
                prop:value=move || { options.track(); value.get() }
                on:change:target=move |event| value.set(event.target().value())
            >
                {move || {
                    let chosen = value.get_untracked();
                    options
                        .get()
                        .into_iter()
                        .map(|(key, word)| {
                            let selected = key == chosen;
                            view! { <option value=key selected=selected>{word}</option> }
                        })
                        .collect_view()
                }}
            </select>
        </div>
    }
}

/// The sentence for a field that a problem names; `None` where the problem is about something else.
pub fn error_of(problem: &Problem, field: &str, lang: edgedeck_model::Lang) -> Option<String> {
    let is_it = problem.code == Code::Invalid && problem.fact("field") == field;
    is_it.then(|| text::refusal(problem.fact("reason"), lang).to_owned())
}
