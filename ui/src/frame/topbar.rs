//! The top bar: the lab, search, open alarms, language, theme and the user.

use crate::{
    api,
    components::{Icon, Menu, MenuItem, badge::glyph, icon, sign_of_alarm, toast_problem},
    format,
    frame::nav,
    i18n::lang,
    state::{Session, ThemeChoice, set_lang, set_theme, ui},
    store::{self, lab, store},
    texts,
};
use edgedeck_model::{Lang, alarm::Severity, api::SignOut, text};
use leptos::prelude::*;
use leptos_router::components::A;

texts! {
    SEARCH: "搜索或执行操作", "Search or run an action";
    ALARMS: "{n} 个{severity}告警", "{severity} alarms: {n}";
    ALARMS_LABEL: "未恢复的告警", "Open alarms";
    THEME: "主题", "Theme";
    SYSTEM: "跟随系统", "As the system";
    LIGHT: "浅色", "Light";
    DARK: "深色", "Dark";
    CONTRAST: "高对比度", "High contrast";
    CHANGE_PASSWORD: "修改密码", "Change password";
    SIGN_OUT: "退出登录", "Sign out";
    KEYS: "键盘快捷键", "Keyboard keys";
    LOCAL: "本机操作员", "Local operator";
}

pub fn theme_word(theme: ThemeChoice) -> crate::i18n::Text {
    match theme {
        ThemeChoice::System => SYSTEM,
        ThemeChoice::Light => LIGHT,
        ThemeChoice::Dark => DARK,
        ThemeChoice::Contrast => CONTRAST,
    }
}

#[component]
pub fn TopBar() -> impl IntoView {
    let ui = ui();
    let lab_name = move || ui.me.with(|me| me.as_ref().map(|me| me.lab.clone()));
    let languages = [(Lang::Zh, "中文", "lang-zh"), (Lang::En, "English", "lang-en")];
    let languages: Vec<MenuItem> = languages
        .into_iter()
        .map(|(lang, word, test)| {
            MenuItem::new(Signal::stored(word.to_owned()), test, move || set_lang(lang))
                .chosen(Signal::derive(move || ui.lang.get() == lang))
        })
        .collect();
    let theme_sign = move || match ui.theme.get() {
        ThemeChoice::System => Icon::System,
        ThemeChoice::Light => Icon::Sun,
        ThemeChoice::Dark => Icon::Moon,
        ThemeChoice::Contrast => Icon::Contrast,
    };
    let themes: Vec<MenuItem> = ThemeChoice::ALL
        .into_iter()
        .map(|choice| {
            let test = match choice {
                ThemeChoice::System => "theme-system",
                ThemeChoice::Light => "theme-light",
                ThemeChoice::Dark => "theme-dark",
                ThemeChoice::Contrast => "theme-contrast",
            };
            MenuItem::new(theme_word(choice), test, move || set_theme(choice))
                .chosen(Signal::derive(move || ui.theme.get() == choice))
        })
        .collect();
    let user_items = Signal::derive(move || {
        let keys = MenuItem::new(KEYS, "keys", move || ui.keys.set(true));
        if ui.me.with(|me| me.as_ref().is_none_or(|me| me.window)) {
            return vec![keys];
        }
        vec![
            keys,
            MenuItem::new(CHANGE_PASSWORD, "change-password", move || ui.password.set(true)),
            MenuItem::new(SIGN_OUT, "sign-out", sign_out),
        ]
    });
    let user = Signal::derive(move || {
        ui.me.with(|me| match me {
            Some(me) if me.window => LOCAL.get().to_owned(),
            Some(me) => format!("{} · {}", me.name, text::role(me.role, lang())),
            None => String::new(),
        })
    });
    view! {
        <header class="topbar">
            <A href="/" attr:class="brand">
                <svg class="brand-sign" viewBox="0 0 20 20" aria-hidden="true">
                    <path d="M2 4h16v3h-16z M2 8.5h11v3h-11z M2 13h16v3h-16z"></path>
                </svg>
                <span data-test="lab-name">{lab_name}</span>
            </A>
            <button
                type="button"
                class="search-opener"
                data-test="open-palette"
                aria-keyshortcuts="Control+K"
                on:click=move |_| ui.palette.set(true)
            >
                {icon(Icon::Search)} <span>{SEARCH.t()}</span> <kbd>"Ctrl K"</kbd>
            </button>
            <div class="topbar-end">
                <AlarmCounts/>
                <Menu label=LANGUAGE_NOW sign_only=false items=Signal::stored(languages) test="language"/>
                {move || view! { <Menu label=THEME sign=theme_sign() sign_only=true items=Signal::stored(themes.clone()) test="theme"/> }}
                <Menu label=user sign=Icon::User items=user_items test="user"/>
            </div>
        </header>
    }
}

/// Each language is named in itself, so that nobody needs to read the other to find it.
const LANGUAGE_NOW: crate::i18n::Text = crate::i18n::Text {
    zh: "中文",
    en: "English",
};

/// Open alarms by severity; those with none are not shown.
#[component]
fn AlarmCounts() -> impl IntoView {
    let counts = Memo::new(move |_| {
        store().alarms.track();
        lab(|lab| Severity::ALL.map(|severity| (severity, lab.alarm_count(severity))))
    });
    let one = move |(severity, count): (Severity, usize)| {
        let label = move || {
            ALARMS.with(&[
                ("n", &format::count(count)),
                ("severity", &text::severity(severity, lang())),
            ])
        };
        let inner =
            move || view! { {glyph(sign_of_alarm(severity))} <span class="number">{format::count(count)}</span> };
        if nav::exists("/alarms") {
            view! { <a class="alarm-count" href="/alarms" title=label aria-label=label>{inner()}</a> }.into_any()
        } else {
            view! { <span class="alarm-count" title=label aria-label=label role="img">{inner()}</span> }.into_any()
        }
    };
    view! {
        <div class="alarm-counts" role="group" aria-label=ALARMS_LABEL.t() data-test="alarm-counts">
            {move || counts.get().into_iter().filter(|(_, count)| *count > 0).map(one).collect_view()}
        </div>
    }
}

/// Ends the session and forgets what was shown.
pub fn sign_out() {
    leptos::task::spawn_local(async {
        match api::call::<SignOut>((), &(), &()).await {
            Ok(()) => {
                ui().session.set(Session::SignedOut);
                ui().me.set(None);
                store::forget();
            }
            Err(problem) => toast_problem(&problem),
        }
    });
}
