//! The lab at a glance. Every figure leads to the list it counts.
//!
//! `data-test`: `overview`, `state-<state>`, `severity-<severity>`, `last-events`, and those of `first_steps`.

pub mod cards;
pub mod first_steps;

use crate::{
    components::Skeleton,
    store::{lab, store},
    texts,
};
use leptos::prelude::*;

texts! {
    TITLE: "概览", "Overview";
}

#[component]
pub fn Overview() -> impl IntoView {
    let is_empty = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| lab.node_count() == 0)
    });
    view! {
        <div class="screen" data-test="overview">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <Show when=move || store().ready.get() fallback=|| view! { <Skeleton lines=8/> }>
                <Show when=move || !is_empty.get() fallback=|| view! { <first_steps::FirstSteps/> }>
                    <cards::Cards/>
                </Show>
            </Show>
        </div>
    }
}
