//! What every part of the console shares: language, theme, who is signed in, and what lies over the screen.

use crate::{api, browser, components::toast::Toast, feed, frame::drawer::Drawn, store};
use edgedeck_model::{
    Lang, Problem,
    api::GetMe,
    problem::Code,
    user::{Me, Role},
};
use leptos::prelude::*;
use std::cell::OnceCell;

/// What the user chose; `System` follows the desktop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    System,
    Light,
    Dark,
    Contrast,
}

impl ThemeChoice {
    pub const ALL: [Self; 4] = [Self::System, Self::Light, Self::Dark, Self::Contrast];

    pub fn key(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Contrast => "contrast",
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Session {
    /// Not known yet: the engine has not answered.
    Asking,
    SignedOut,
    SignedIn,
}

/// The link to the engine, for the status line.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    Connecting,
    /// Milliseconds by which the feed lags.
    Live(f64),
    /// Cut; tries again after so many seconds.
    Cut(u32),
}

/// Signals that live as long as the page.
#[derive(Clone, Copy)]
pub struct Ui {
    pub lang: RwSignal<Lang>,
    pub theme: RwSignal<ThemeChoice>,
    /// What the system asks for.
    pub system_dark: RwSignal<bool>,
    pub system_contrast: RwSignal<bool>,
    pub session: RwSignal<Session>,
    /// The last one who signed in; stays while the session has ended, so that nothing typed is lost.
    pub me: RwSignal<Option<Me>>,
    pub link: RwSignal<Link>,
    /// Why the feed does not go on, where the engine does answer.
    pub trouble: RwSignal<Option<Problem>>,
    pub toasts: RwSignal<Vec<Toast>>,
    pub drawer: RwSignal<Option<Drawn>>,
    pub palette: RwSignal<bool>,
    pub keys: RwSignal<bool>,
    pub password: RwSignal<bool>,
    /// The time of now in milliseconds, moved once every ten seconds, for "3 minutes ago".
    pub clock: RwSignal<i64>,
}

thread_local! {
    static UI: OnceCell<Ui> = const { OnceCell::new() };
}

pub fn ui() -> Ui {
    UI.with(|cell| {
        *cell.get_or_init(|| Ui {
            lang: RwSignal::new(Lang::Zh),
            theme: RwSignal::new(ThemeChoice::System),
            system_dark: RwSignal::new(false),
            system_contrast: RwSignal::new(false),
            session: RwSignal::new(Session::Asking),
            me: RwSignal::new(None),
            link: RwSignal::new(Link::Connecting),
            trouble: RwSignal::new(None),
            toasts: RwSignal::new(Vec::new()),
            drawer: RwSignal::new(None),
            palette: RwSignal::new(false),
            keys: RwSignal::new(false),
            password: RwSignal::new(false),
            clock: RwSignal::new(0),
        })
    })
}

const LANG_KEY: &str = "edgedeck.lang";
const THEME_KEY: &str = "edgedeck.theme";

/// Reads what the user chose before. Called once, before anything is drawn.
pub fn start() {
    // Made here, outside every view, so that no view takes them along when it goes.
    let (ui, _) = (ui(), store::store());
    let stored = browser::stored(LANG_KEY).unwrap_or_else(browser::language);
    ui.lang.set(lang_of(&stored));
    let theme = browser::stored(THEME_KEY);
    let theme = ThemeChoice::ALL
        .into_iter()
        .find(|choice| Some(choice.key()) == theme.as_deref());
    ui.theme.set(theme.unwrap_or(ThemeChoice::System));
    browser::follow_media("(prefers-color-scheme: dark)", ui.system_dark);
    browser::follow_media("(prefers-contrast: more)", ui.system_contrast);
    ui.clock.set(browser::now_ms());
    set_interval(
        move || ui.clock.set(browser::now_ms()),
        std::time::Duration::from_secs(10),
    );
    show_theme();
    show_lang();
}

/// `zh` in any form is Chinese; a system that speaks neither gets English.
fn lang_of(tag: &str) -> Lang {
    if tag.to_ascii_lowercase().starts_with("zh") {
        Lang::Zh
    } else {
        Lang::En
    }
}

/// Asks the engine who is there, until it answers.
pub async fn ask_who() {
    let mut wait = 500;
    loop {
        match api::call::<GetMe>((), &(), &()).await {
            Ok(me) => return signed_in(me),
            Err(problem) if problem.code == Code::Unauthenticated => {
                ui().session.set(Session::SignedOut);
                return;
            }
            Err(_) => {
                ui().link.set(Link::Cut(wait / 1_000 + 1));
                browser::sleep(wait).await;
                wait = (wait * 2).min(8_000);
            }
        }
    }
}

pub fn signed_in(me: Me) {
    let ui = ui();
    ui.me.set(Some(me));
    ui.session.set(Session::SignedIn);
    feed::start();
}

pub fn set_lang(lang: Lang) {
    ui().lang.set(lang);
    browser::store(LANG_KEY, lang.pick("zh", "en"));
    show_lang();
}

pub fn set_theme(theme: ThemeChoice) {
    ui().theme.set(theme);
    browser::store(THEME_KEY, theme.key());
    show_theme();
}

fn show_lang() {
    browser::set_root("lang", ui().lang.get_untracked().pick("zh-CN", "en"));
}

fn show_theme() {
    browser::set_root("data-theme", ui().theme.get_untracked().key());
}

/// The theme as drawn; tracked.
pub fn theme() -> edgedeck_charts::Theme {
    use edgedeck_charts::Theme;
    let ui = ui();
    match ui.theme.get() {
        ThemeChoice::Light => Theme::Light,
        ThemeChoice::Dark => Theme::Dark,
        ThemeChoice::Contrast => Theme::HighContrast,
        ThemeChoice::System if ui.system_contrast.get() => Theme::HighContrast,
        ThemeChoice::System if ui.system_dark.get() => Theme::Dark,
        ThemeChoice::System => Theme::Light,
    }
}

/// Whether the user's role includes `role`; tracked.
pub fn may(role: Role) -> bool {
    ui().me.with(|me| me.as_ref().is_some_and(|me| me.role >= role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages() {
        for (tag, lang) in [
            ("zh-CN", Lang::Zh),
            ("ZH", Lang::Zh),
            ("en-GB", Lang::En),
            ("de", Lang::En),
            ("", Lang::En),
        ] {
            assert_eq!(lang_of(tag), lang, "{tag}");
        }
    }
}
