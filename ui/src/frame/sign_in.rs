//! Signing in, in a browser. When a session ends it lies over the screen, which keeps what was typed.

use crate::{
    api, browser,
    components::{Button, Choice, Dialog, ErrorBox, Field, Kind},
    i18n::lang,
    state::{self, Session, set_lang, ui},
    texts,
};
use edgedeck_model::{
    Lang, Problem,
    api::{SignIn, SignInBody},
};
use leptos::prelude::*;

texts! {
    TITLE: "登录 EdgeDeck", "Sign in to EdgeDeck";
    ENDED: "会话已结束", "The session has ended";
    ENDED_TEXT: "请重新登录；屏幕上填写的内容仍然保留。", "Sign in again; what you typed on the screen is kept.";
    NAME: "用户名", "User name";
    PASSWORD: "密码", "Password";
    SIGN_IN: "登录", "Sign in";
    FORGOTTEN: "忘记密码？请在引擎所在的机器上运行：", "Forgotten the password? Run on the engine's machine:";
    LANGUAGE: "语言", "Language";
}

#[component]
pub fn SignInPage() -> impl IntoView {
    let language = RwSignal::new(ui().lang.get_untracked().pick("zh", "en").to_owned());
    Effect::new(move |before: Option<()>| {
        let chosen = language.get();
        if before.is_some() {
            set_lang(if chosen == "zh" { Lang::Zh } else { Lang::En });
        }
    });
    let languages = vec![
        ("zh".to_owned(), "中文".to_owned()),
        ("en".to_owned(), "English".to_owned()),
    ];
    view! {
        <main class="sign-in" data-test="sign-in">
            <div class="sign-in-box">
                <h1>{TITLE.t()}</h1>
                <SignInForm/>
                <div class="sign-in-foot">
                    <p class="quiet-text">{FORGOTTEN.t()} " " <code>"edgedeckd reset-password"</code></p>
                    <Choice label=LANGUAGE hide_label=true value=language options=Signal::stored(languages) test="sign-in-language"/>
                </div>
            </div>
        </main>
    }
}

/// Over the screen, when a session has ended.
#[component]
pub fn SignInAgain() -> impl IntoView {
    // Closing it without signing in would leave a screen that cannot do anything, so it opens again.
    let open = RwSignal::new(true);
    Effect::new(move |_| {
        if !open.get() && ui().session.get_untracked() == Session::SignedOut {
            request_animation_frame(move || _ = open.try_set(true));
        }
    });
    view! {
        <Dialog open=open title=ENDED test="sign-in-again">
            <p>{ENDED_TEXT.t()}</p>
            <SignInForm/>
        </Dialog>
    }
}

#[component]
fn SignInForm() -> impl IntoView {
    let last = ui().me.with_untracked(|me| me.as_ref().map(|me| me.name.clone()));
    let (name, password) = (RwSignal::new(last.unwrap_or_default()), RwSignal::new(String::new()));
    let (busy, problem) = (RwSignal::new(false), RwSignal::new(None::<Problem>));
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if busy.get_untracked() {
            return;
        }
        busy.set(true);
        let body = SignInBody {
            name: name.get_untracked().trim().to_owned(),
            password: password.get_untracked(),
        };
        leptos::task::spawn_local(async move {
            let answer = api::call::<SignIn>((), &(), &body).await;
            busy.try_set(false);
            match answer {
                Ok(me) => state::signed_in(me),
                Err(refused) => {
                    problem.try_set(Some(refused));
                    password.try_set(String::new());
                    browser::focus("[data-test=password]");
                }
            }
        });
    };
    let empty = Signal::derive(move || name.with(|name| name.trim().is_empty()) || password.with(String::is_empty));
    view! {
        <form class="form" on:submit=submit lang=move || lang().pick("zh-CN", "en")>
            <Field label=NAME value=name autocomplete="username" focus=true test="name"/>
            <Field label=PASSWORD value=password kind="password" autocomplete="current-password" test="password"/>
            {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            <Button label=SIGN_IN kind=Kind::Primary submit=true busy=busy disabled=empty test="submit"/>
        </form>
    }
}
