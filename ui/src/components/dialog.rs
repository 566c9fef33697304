//! Dialogs. The page's own `<dialog>` keeps the focus inside, closes on Escape and gives the focus back.

use crate::{
    components::{
        field::new_id,
        icon::{Icon, icon},
    },
    texts,
};
use leptos::{html, prelude::*};

texts! {
    CLOSE: "关闭", "Close";
}

/// A dialog that is open while `open` is true. What is inside is made anew at each opening.
#[component]
pub fn Dialog(
    open: RwSignal<bool>,
    #[prop(into)] title: Signal<String>,
    /// May be as wide as the window allows.
    #[prop(optional)]
    wide: bool,
    #[prop(optional)] test: &'static str,
    children: ChildrenFn,
) -> impl IntoView {
    let element = NodeRef::<html::Dialog>::new();
    let id = StoredValue::new(new_id("dialog"));
    let children = StoredValue::new(children);
    Effect::new(move |_| {
        let Some(dialog) = element.get() else { return };
        match (open.get(), dialog.open()) {
            // It is refused only for an element that is not in the page.
            (true, false) => _ = dialog.show_modal(),
            (false, true) => dialog.close(),
            _ => {}
        }
    });
    view! {
        <dialog
            node_ref=element
            class="dialog"
            class:wide=wide
            data-test=test
            aria-labelledby=id.get_value()
            on:close=move |_| open.set(false)
        >
            <Show when=move || open.get()>
                <header class="dialog-head">
                    <h2 id=id.get_value()>{move || title.get()}</h2>
                    <button type="button" class="button quiet sign-only" aria-label=CLOSE.t() on:click=move |_| open.set(false)>
                        {icon(Icon::Close)}
                    </button>
                </header>
                <div class="dialog-body">{children.with_value(|children| children())}</div>
            </Show>
        </dialog>
    }
}
