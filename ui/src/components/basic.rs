//! Buttons, boxes and bars.

use crate::{
    api, browser,
    components::icon::{Icon, icon},
    i18n::lang,
    texts,
};
use edgedeck_model::Problem;
use leptos::prelude::*;

texts! {
    COPY: "复制", "Copy";
    COPIED: "已复制", "Copied";
    COPY_FAILED: "请手动选择并复制", "Select and copy by hand";
    RETRY: "重试", "Try again";
    TECHNICAL: "技术细节", "Technical detail";
    LOADING: "正在加载", "Loading";
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The one thing to do here.
    Primary,
    #[default]
    Plain,
    /// Deletes or stops.
    Danger,
    /// In lines and bars: no border until pointed at.
    Quiet,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Primary => "button primary",
            Self::Plain => "button",
            Self::Danger => "button danger",
            Self::Quiet => "button quiet",
        }
    }
}

/// A button. While `busy` it cannot be pressed again and says so.
#[component]
pub fn Button(
    #[prop(into)] label: Signal<String>,
    #[prop(optional)] kind: Kind,
    #[prop(optional)] sign: Option<Icon>,
    #[prop(optional, into)] disabled: Signal<bool>,
    #[prop(optional, into)] busy: Signal<bool>,
    /// Why it is disabled, or what it does where the label is short.
    #[prop(optional, into)]
    hint: Option<Signal<String>>,
    /// Shows the sign only; the label is read out.
    #[prop(optional)]
    sign_only: bool,
    /// Submits its form.
    #[prop(optional)]
    submit: bool,
    #[prop(optional)] test: &'static str,
    #[prop(optional)] press: Option<Callback<()>>,
) -> impl IntoView {
    let pressed = move |_| {
        if let Some(press) = press {
            press.run(());
        }
    };
    view! {
        <button
            type=if submit { "submit" } else { "button" }
            class=kind.class()
            class:sign-only=sign_only
            data-test=test
            disabled=move || disabled.get() || busy.get()
            aria-busy=move || busy.get().then_some("true")
            aria-label=move || sign_only.then(|| label.get())
            title=move || hint.map(|hint| hint.get()).or_else(|| sign_only.then(|| label.get()))
            on:click=pressed
        >
            {sign.map(icon)}
            {(!sign_only).then(|| view! { <span>{move || label.get()}</span> })}
        </button>
    }
}

/// Text to copy as it is, on one line that scrolls.
#[component]
pub fn CopyBox(#[prop(into)] text: Signal<String>, #[prop(optional)] test: &'static str) -> impl IntoView {
    let outcome = RwSignal::new(None::<bool>);
    let press = Callback::new(move |()| {
        let wanted = text.get_untracked();
        leptos::task::spawn_local(async move {
            outcome.try_set(Some(browser::copy(wanted).await));
            browser::sleep(2_000).await;
            outcome.try_set(None);
        });
    });
    let label = Signal::derive(move || {
        match outcome.get() {
            None => COPY,
            Some(true) => COPIED,
            Some(false) => COPY_FAILED,
        }
        .get()
        .to_owned()
    });
    view! {
        <div class="copy-box">
            <code class="copy-text" data-test=test tabindex="0">{move || text.get()}</code>
            <Button label=label kind=Kind::Quiet sign=Icon::Copy press=press test="copy"/>
            <span class="off-screen" role="status">
                {move || outcome.get().map(|done| if done { COPIED.get() } else { COPY_FAILED.get() })}
            </span>
        </div>
    }
}

/// What went wrong, what to do, and the code and detail to copy.
#[component]
pub fn ErrorBox(
    #[prop(into)] problem: Signal<Problem>,
    #[prop(optional)] retry: Option<Callback<()>>,
) -> impl IntoView {
    let technical = move || {
        problem.with(|problem| {
            let code = serde_json::to_string(&problem.code).unwrap_or_default();
            let facts: Vec<String> = problem
                .facts
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let detail = problem.detail.clone().unwrap_or_default();
            [code.trim_matches('"').to_owned(), facts.join(" "), detail]
                .join(" ")
                .trim()
                .to_owned()
        })
    };
    view! {
        <div class="error-box" role="alert" data-test="error">
            <p class="error-text">{move || problem.with(|problem| api::sentence(problem, lang()))}</p>
            <details>
                <summary>{TECHNICAL.t()}</summary>
                <CopyBox text=Signal::derive(technical)/>
            </details>
            {retry.map(|retry| view! { <Button label=RETRY sign=Icon::Retry press=retry test="retry"/> })}
        </div>
    }
}

/// How far something is: `done` of `all`, with words beside it.
#[component]
pub fn ProgressBar(
    #[prop(into)] done: Signal<u64>,
    #[prop(into)] all: Signal<u64>,
    #[prop(into)] label: Signal<String>,
) -> impl IntoView {
    let share = move || {
        if all.get() == 0 {
            0.0
        } else {
            done.get() as f64 * 100.0 / all.get() as f64
        }
    };
    view! {
        <div
            class="progress"
            role="progressbar"
            aria-valuemin="0"
            aria-valuemax=move || all.get()
            aria-valuenow=move || done.get()
            aria-label=move || label.get()
        >
            <span class="progress-track"><span class="progress-fill" style:width=move || format!("{:.1}%", share())></span></span>
            <span class="progress-word">{move || label.get()}</span>
        </div>
    }
}

/// A meter of a share that may be unknown, 0 to 100.
#[component]
pub fn Meter(#[prop(into)] value: Signal<Option<f32>>) -> impl IntoView {
    let width = move || format!("{:.0}%", value.get().unwrap_or(0.0).clamp(0.0, 100.0));
    let is_high = move || value.get().is_some_and(|value| value >= 90.0);
    view! {
        <span class="meter" class:meter-high=is_high>
            <span class="meter-track"><span class="meter-fill" style:width=width></span></span>
            <span class="meter-word">{move || crate::format::percent(value.get())}</span>
        </span>
    }
}

/// Teaches what a place is for while there is nothing in it: one button, and a command to copy where there is one.
#[component]
pub fn EmptyState(
    sign: Icon,
    #[prop(into)] title: Signal<String>,
    #[prop(into)] text: Signal<String>,
    #[prop(optional)] command: Option<Signal<String>>,
    /// The one button.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    view! {
        <div class="empty" data-test="empty">
            <span class="empty-sign">{icon(sign)}</span>
            <h2>{move || title.get()}</h2>
            <p>{move || text.get()}</p>
            {children.map(|children| view! { <div class="empty-action">{children()}</div> })}
            {command.map(|command| view! { <CopyBox text=command/> })}
        </div>
    }
}

/// Grey lines where text will stand.
#[component]
pub fn Skeleton(#[prop(default = 4)] lines: usize) -> impl IntoView {
    let lines = (0..lines)
        .map(|_| view! { <span class="skeleton-line"></span> })
        .collect_view();
    view! { <div class="skeleton" role="status" aria-label=LOADING.t()>{lines}</div> }
}
