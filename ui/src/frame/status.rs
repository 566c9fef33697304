//! The status line: the engine, the nodes that are connected, and how late the picture is.

use crate::{
    api,
    components::{
        Sign,
        badge::{Shape, Tone, glyph},
    },
    feed, format,
    i18n::lang,
    state::{Link, ui},
    store::{lab, store},
    texts,
};
use leptos::prelude::*;

texts! {
    CONNECTED: "引擎已连接", "Engine connected";
    CONNECTING: "正在连接引擎", "Connecting to the engine";
    TROUBLE: "引擎返回错误，{n} 秒后重试：{problem}", "The engine answers with an error; trying again in {n} s: {problem}";
    CUT: "引擎无法连接，{n} 秒后重试", "The engine cannot be reached; trying again in {n} s";
    RETRY: "立即重试", "Try now";
    NODES: "{connected} / {all} 个节点已连接", "{connected} of {all} {all|node|nodes} connected";
    LAG: "延迟 {ms} 毫秒", "{ms} ms behind";
    STALE: "显示的是断开前的数据", "showing what was known before";
    STATUS: "状态", "Status";
    VERSION: "EdgeDeck {version}", "EdgeDeck {version}";
}

#[component]
pub fn StatusLine() -> impl IntoView {
    let link = ui().link;
    let counts = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| {
            (
                lab.nodes().filter(|node| node.row.state.is_connected()).count(),
                lab.node_count(),
            )
        })
    });
    let engine = move || match link.get() {
        Link::Live(_) => {
            let sign = Sign {
                shape: Shape::Disc,
                tone: Tone::Good,
            };
            view! { <span class="status-item" data-test="engine">{glyph(sign)} {CONNECTED.t()}</span> }.into_any()
        }
        Link::Connecting => {
            let sign = Sign {
                shape: Shape::Ring,
                tone: Tone::Quiet,
            };
            view! { <span class="status-item" data-test="engine">{glyph(sign)} {CONNECTING.t()}</span> }.into_any()
        }
        Link::Cut(_) => view! { <Cut/> <span class="status-item">{STALE.t()}</span> }.into_any(),
    };
    let nodes = move || {
        let (connected, all) = counts.get();
        NODES.with(&[("connected", &format::count(connected)), ("all", &format::count(all))])
    };
    let lag = move || {
        if let Link::Live(ms) = link.get() {
            // In tenths of a second: a figure that flickers has the whole window drawn again.
            let ms = (ms / 100.0).round() * 100.0;
            Some(LAG.with(&[("ms", &format::number(ms, 0))]))
        } else {
            None
        }
    };
    let version = move || {
        ui().me
            .with(|me| me.as_ref().map(|me| VERSION.with(&[("version", &me.version)])))
    };
    view! {
        <footer class="status" aria-label=STATUS.t()>
            {engine}
            <span class="status-item" data-test="connected">{nodes}</span>
            <span class="status-item" data-test="lag">{lag}</span>
            <span class="status-item status-end">{version}</span>
        </footer>
    }
}

/// Says that the engine is not reached and when it is tried again; nothing while all is well.
#[component]
pub fn Cut() -> impl IntoView {
    move || {
        let Link::Cut(seconds) = ui().link.get() else {
            return None;
        };
        let sign = Sign {
            shape: Shape::Cross,
            tone: Tone::Bad,
        };
        let told = match ui().trouble.get() {
            Some(problem) => TROUBLE.with(&[("n", &seconds), ("problem", &api::sentence(&problem, lang()))]),
            None => CUT.with(&[("n", &seconds)]),
        };
        let detail = ui()
            .trouble
            .with(|problem| problem.as_ref().and_then(|problem| problem.detail.clone()));
        Some(view! {
            <span class="status-item" data-test="engine-cut" title=detail>
                {glyph(sign)} {told}
                <button type="button" class="link" data-test="retry-now" on:click=move |_| feed::retry_now()>
                    {RETRY.t()}
                </button>
            </span>
        })
    }
}
