//! What stands around every screen: navigation, top bar, status line, and what lies over it.

pub mod drawer;
pub mod keys;
pub mod nav;
pub mod palette;
pub mod password;
pub mod sign_in;
pub mod status;
pub mod topbar;

use crate::{
    components::toast::Toasts,
    i18n::lang,
    screens,
    state::{self, Session, ui},
    texts,
};
use leptos::prelude::*;
use leptos_router::components::Router;

texts! {
    SKIP: "跳到内容", "Skip to content";
    CONNECTING: "正在连接引擎…", "Connecting to the engine…";
}

/// The whole page.
#[component]
pub fn Console() -> impl IntoView {
    let ui = ui();
    leptos::task::spawn_local(state::ask_who());
    let title = move || {
        let lab = ui
            .me
            .with(|me| me.as_ref().map(|me| me.lab.clone()))
            .unwrap_or_default();
        document().set_title(&if lab.is_empty() {
            "EdgeDeck".to_owned()
        } else {
            format!("{lab} – EdgeDeck")
        });
    };
    Effect::new(move |_| title());
    // Once somebody has signed in the screens stay, so that nothing typed is lost when the session ends.
    let has_entered = Memo::new(move |entered: Option<&bool>| {
        entered.is_some_and(|entered| *entered) || ui.session.get() == Session::SignedIn
    });
    view! {
        <Router>
            <Show when=move || has_entered.get() fallback=Before>
                <a class="skip" href="#main">{SKIP.t()}</a>
                <div class="frame" data-test="frame" data-lang=move || lang().pick("zh", "en")>
                    <topbar::TopBar/>
                    <nav::Nav/>
                    <main class="main" id="main" tabindex="-1">
                        <screens::Screens/>
                    </main>
                    <drawer::Drawer/>
                    <status::StatusLine/>
                </div>
                <palette::Palette/>
                <keys::Keys/>
                <password::ChangePasswordDialog/>
                <Show when=move || ui.session.get() == Session::SignedOut>
                    <sign_in::SignInAgain/>
                </Show>
            </Show>
            <Toasts/>
        </Router>
    }
}

/// Shown until it is known who is there.
#[component]
fn Before() -> impl IntoView {
    view! {
        <Show
            when=move || ui().session.get() == Session::SignedOut
            fallback=move || view! { <div class="before" role="status"><p>{CONNECTING.t()}</p><status::Cut/></div> }
        >
            <sign_in::SignInPage/>
        </Show>
    }
}
