//! Asks once before something is deleted or stopped, saying exactly what it will touch.

use crate::{
    components::{
        basic::{Button, ErrorBox, Kind},
        dialog::Dialog,
    },
    format, texts,
};
use edgedeck_model::Problem;
use leptos::prelude::*;

texts! {
    CANCEL: "取消", "Cancel";
    TOUCHES: "将影响 {n} 项：", "This touches {n} {n|thing|things}:";
}

/// The question. `act` is called when the user agrees; set `busy` while it works, `problem` if it failed, and `open` to
/// false when done.
#[component]
pub fn Confirm(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    /// What will happen, in a sentence or two.
    #[prop(into)]
    text: Signal<String>,
    /// Of everything it touches.
    #[prop(into)]
    names: Signal<Vec<String>>,
    /// The verb on the button.
    #[prop(into)]
    label: Signal<String>,
    #[prop(optional)] danger: bool,
    #[prop(optional, into)] busy: Signal<bool>,
    #[prop(optional, into)] problem: Signal<Option<Problem>>,
    act: Callback<()>,
) -> impl IntoView {
    let kind = if danger { Kind::Danger } else { Kind::Primary };
    view! {
        <Dialog open=open title=title test="confirm">
            <p>{move || text.get()}</p>
            <p class="confirm-count">{move || TOUCHES.with(&[("n", &format::count(names.with(Vec::len)))])}</p>
            <ul class="confirm-names" tabindex="0" data-test="confirm-names">
                {move || names.get().into_iter().map(|name| view! { <li>{name}</li> }).collect_view()}
            </ul>
            {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <footer class="dialog-foot">
                <Button label=CANCEL press=Callback::new(move |()| open.set(false)) test="confirm-no"/>
                <Button label=label kind=kind busy=busy press=act test="confirm-yes"/>
            </footer>
        </Dialog>
    }
}
