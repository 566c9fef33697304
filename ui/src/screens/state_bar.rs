//! How many instances are in which state: a bar, and beside it shape, word and number of each.

use crate::{
    components::{badge::glyph, sign_of_instance},
    format,
    i18n::lang,
};
use edgedeck_model::{deployment::InstanceState, text};
use leptos::prelude::*;
use std::collections::BTreeMap;

/// `data-test`: `state-bar`, in it `state-<word>` with the count as `data-count`.
#[component]
pub fn StateBar(
    #[prop(into)] counts: Signal<BTreeMap<InstanceState, usize>>,
    /// The bar alone, for lists; the words are its title.
    #[prop(optional)]
    small: bool,
) -> impl IntoView {
    let words = move || {
        counts.with(|counts| {
            let parts = counts
                .iter()
                .map(|(state, count)| format!("{} {count}", text::instance_state(*state, lang())));
            parts.collect::<Vec<_>>().join("  ")
        })
    };
    let bars = move || {
        let counts = counts.get();
        let all: usize = counts.values().sum();
        counts
            .into_iter()
            .map(|(state, count)| {
                let share = count as f64 * 100.0 / all.max(1) as f64;
                let tone = sign_of_instance(state).tone.class();
                view! { <span class=format!("state-part {tone}") style:width=format!("{share:.2}%")></span> }
            })
            .collect_view()
    };
    let one = move |(state, count): (InstanceState, usize)| {
        view! {
            <span class="badge" data-test=format!("state-{}", key(state)) data-count=count>
                {glyph(sign_of_instance(state))} <span>{move || text::instance_state(state, lang())}</span>
                <span class="number">{move || format::count(count)}</span>
            </span>
        }
    };
    view! {
        <div class="state-bar" class:small=small data-test="state-bar" title=words>
            <span class="state-track" aria-hidden="true">{bars}</span>
            <span class="state-words">{move || counts.get().into_iter().map(one).collect_view()}</span>
        </div>
    }
}

/// The state's key, as in JSON.
pub fn key(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Pending => "pending",
        InstanceState::Pulling => "pulling",
        InstanceState::Starting => "starting",
        InstanceState::Running => "running",
        InstanceState::BackOff => "back-off",
        InstanceState::Succeeded => "succeeded",
        InstanceState::Failed => "failed",
        InstanceState::Stopping => "stopping",
        InstanceState::Stopped => "stopped",
        InstanceState::Unknown => "unknown",
    }
}
