//! The live log of an instance.
//!
//! `data-test`: `logs`, `log-lines`, `log-line` (with `data-error`), `log-part`, `log-search`, `log-pause`, `log-state`,
//! `log-save`.

use crate::{
    api, browser,
    components::{Button, Choice, Dialog, ErrorBox, Field, Icon, Kind},
    format,
    i18n::Text,
    match_text::{folded, has_all_words},
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    PlacementId, Problem,
    api::{ById, GetLogs, LogLine, LogQuery},
};
use leptos::{html, prelude::*};
use std::{collections::VecDeque, sync::Arc};

texts! {
    TITLE: "{deployment} 在 {node} 上的日志", "Log of {deployment} on {node}";
    PART: "部分", "Part";
    SEARCH: "搜索", "Search";
    PAUSE: "暂停", "Pause";
    GO_ON: "继续", "Go on";
    SAVE: "保存为文本", "Save as text";
    LIVE: "实时", "live";
    CONNECTING: "正在连接…", "connecting…";
    AGAIN: "连接中断，正在重连…", "cut off; connecting again…";
    PAUSED: "已暂停，有 {n} 行新内容", "paused, {n} new {n|line|lines}";
    SHOWN: "{shown} / {all} 行", "{shown} of {all} {all|line|lines}";
    EMPTY: "还没有输出", "No output yet";
    NO_MATCH: "没有匹配的行", "No line matches";
    STDERR: "标准错误", "standard error";
    LINES: "日志行", "Lines of the log";
}

/// Most lines that are held; the oldest go first.
const LINES_MAX: usize = 5_000;
/// Milliseconds that the engine may wait for a new line.
const WAIT: u32 = 15_000;

/// The last lines, each with a number that never comes again.
#[derive(Default)]
struct Tail {
    lines: VecDeque<(u64, Arc<LogLine>)>,
    next: u64,
}

impl Tail {
    fn add(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            self.lines.push_back((self.next, Arc::new(line)));
            self.next += 1;
        }
        while self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }
}

/// How the tail stands with the engine.
#[derive(Clone, Debug, PartialEq)]
enum Link {
    Connecting,
    Live,
    Again(Problem),
}

#[component]
pub fn LogDialog(open: RwSignal<bool>, placement: Memo<Option<PlacementId>>) -> impl IntoView {
    let title = Signal::derive(move || {
        store().placements.track();
        store().nodes.track();
        let found = placement
            .get()
            .and_then(|id| lab(|lab| lab.placements.get(&id).cloned()));
        found.map_or_else(String::new, |placement| {
            lab(|lab| {
                let deployment = lab
                    .deployments
                    .get(&placement.deployment)
                    .map(|d| d.name.clone())
                    .unwrap_or_default();
                TITLE.with(&[("deployment", &deployment), ("node", &lab.node_name(placement.node))])
            })
        })
    });
    view! {
        <Dialog open=open title=title wide=true test="logs">
            {move || placement.get().map(|id| view! { <LogView id=id/> })}
        </Dialog>
    }
}

/// Follows one part of an instance until it is taken away.
#[component]
pub fn LogView(id: PlacementId) -> impl IntoView {
    let parts = Memo::new(move |_| {
        store().placements.track();
        let names = lab(|lab| {
            lab.placements
                .get(&id)
                .map(|placement| placement.parts.iter().map(|part| part.name.clone()).collect())
        });
        names.unwrap_or_else(Vec::<String>::new)
    });
    let part = RwSignal::new(parts.with_untracked(|parts| parts.first().cloned().unwrap_or_default()));
    let (tail, changed) = (StoredValue::new(Tail::default()), RwSignal::new(0_u64));
    let link = RwSignal::new(Link::Connecting);
    let (search, paused) = (RwSignal::new(String::new()), RwSignal::new(false));
    // A part that is chosen later ends the tail of the one before.
    let generation = StoredValue::new(0_u32);
    Effect::new(move |_| {
        let part = part.get();
        let number = generation.get_value() + 1;
        generation.set_value(number);
        tail.set_value(Tail::default());
        link.set(Link::Connecting);
        changed.update(|changed| *changed += 1);
        leptos::task::spawn_local(follow(
            id,
            part,
            move || generation.try_get_value() == Some(number),
            tail,
            changed,
            link,
        ));
    });
    let options = Signal::derive(move || {
        parts
            .get()
            .into_iter()
            .map(|name| (name.clone(), name))
            .collect::<Vec<_>>()
    });
    // While paused, what is shown stays; what comes is held.
    let held_at = RwSignal::new(0_u64);
    let shown = Memo::new(move |_| {
        if !paused.get() {
            changed.track();
        }
        let query = search.with(|search| folded(search));
        tail.with_value(|tail| {
            let fits = |line: &&(u64, Arc<LogLine>)| query.is_empty() || has_all_words(&folded(&line.1.text), &query);
            tail.lines.iter().filter(fits).cloned().collect::<Vec<_>>()
        })
    });
    let all = move || {
        changed.track();
        tail.with_value(|tail| tail.lines.len())
    };
    let pause = Callback::new(move |()| {
        held_at.set(tail.with_value(|tail| tail.next));
        paused.update(|paused| *paused = !*paused);
    });
    let state = move || match link.get() {
        Link::Again(_) => AGAIN.get().to_owned(),
        Link::Connecting => CONNECTING.get().to_owned(),
        Link::Live if paused.get() => {
            changed.track();
            PAUSED.with(&[("n", &tail.with_value(|tail| tail.next.saturating_sub(held_at.get())))])
        }
        Link::Live => LIVE.get().to_owned(),
    };
    let pause_label = Signal::derive(move || if paused.get() { GO_ON } else { PAUSE }.get().to_owned());
    let area = NodeRef::<html::Div>::new();
    // At the end it stays at the end; who has scrolled up stays where they are.
    let at_end = RwSignal::new(true);
    Effect::new(move |_| {
        shown.track();
        if at_end.get_untracked() {
            request_animation_frame(move || {
                if let Some(Some(area)) = area.try_get_untracked() {
                    area.set_scroll_top(area.scroll_height());
                }
            });
        }
    });
    let save = Callback::new(move |()| {
        let text = tail.with_value(|tail| {
            let lines = tail
                .lines
                .iter()
                .map(|(_, line)| format!("{}\t{}\n", untrack(|| format::moment(line.at)), line.text));
            lines.collect::<String>()
        });
        browser::download("edgedeck-log.txt", "text/plain;charset=utf-8", &text);
    });
    let one = |(_, line): (u64, Arc<LogLine>)| {
        let (at, error, text) = (line.at, line.error, line.text.clone());
        view! {
            <div class="log-line" class:log-error=error data-test="log-line" data-error=error.to_string()>
                <span class="log-time">{move || format::clock(at)}</span>
                <span class="log-mark" title=move || error.then(|| STDERR.get())>{if error { "!" } else { "" }}</span>
                <span class="log-text">{text}</span>
            </div>
        }
    };
    let none: Signal<Text> = Signal::derive(move || if search.with(String::is_empty) { EMPTY } else { NO_MATCH });
    view! {
        <div class="log-bar">
            <Show when=move || { parts.with(Vec::len) > 1 }>
                <Choice label=PART hide_label=true value=part options=options test="log-part"/>
            </Show>
            <div class="filter-field"><Field label=SEARCH value=search kind="search" placeholder=SEARCH test="log-search"/></div>
            <Button label=pause_label kind=Kind::Plain press=pause test="log-pause"/>
            <Button label=SAVE sign=Icon::Download sign_only=true kind=Kind::Quiet press=save test="log-save"/>
            <span class="quiet-text" role="status" data-test="log-state">{state}</span>
            <span class="quiet-text number">
                {move || SHOWN.with(&[("shown", &format::count(shown.with(Vec::len))), ("all", &format::count(all()))])}
            </span>
        </div>
        {move || match link.get() {
            Link::Again(problem) => Some(view! { <ErrorBox problem=Signal::stored(problem)/> }),
            _ => None,
        }}
        <div
            class="log-lines"
            tabindex="0"
            role="log"
            aria-label=LINES.t()
            data-test="log-lines"
            node_ref=area
            on:scroll=move |_| {
                if let Some(area) = area.get_untracked() {
                    at_end.set(area.scroll_top() + area.client_height() + 24 >= area.scroll_height());
                }
            }
        >
            <For each=move || shown.get() key=|line| line.0 children=one/>
            <Show when=move || shown.with(Vec::is_empty)>
                <p class="quiet-text">{move || none.get().get()}</p>
            </Show>
        </div>
    }
}

/// Asks for lines for as long as `is_wanted`; after a failure again, a little later each time.
async fn follow(
    id: PlacementId,
    part: String,
    is_wanted: impl Fn() -> bool,
    tail: StoredValue<Tail>,
    changed: RwSignal<u64>,
    link: RwSignal<Link>,
) {
    let (mut after, mut failures) = (0, 0_u32);
    while is_wanted() {
        let wait = if after == 0 { 0 } else { WAIT };
        let query = LogQuery {
            part: part.clone(),
            after,
            lines: 1_000,
            wait,
        };
        let answer = api::call::<GetLogs>(ById { id }, &query, &()).await;
        if !is_wanted() {
            return;
        }
        match answer {
            Ok(page) => {
                failures = 0;
                let is_empty = page.lines.is_empty();
                // An instance that has written nothing yet has no place to go on from.
                let asks_at_once = after == page.next && is_empty && wait == 0;
                after = page.next;
                if !is_empty {
                    tail.try_update_value(|tail| tail.add(page.lines));
                    changed.try_update(|changed| *changed += 1);
                }
                link.try_set(Link::Live);
                browser::sleep(if asks_at_once { 2_000 } else { 200 }).await;
            }
            Err(problem) => {
                failures += 1;
                link.try_set(Link::Again(problem));
                browser::sleep(pause(failures)).await;
            }
        }
    }
}

/// Milliseconds before the next try.
fn pause(failures: u32) -> u32 {
    1_000_u32
        .saturating_mul(1 << failures.saturating_sub(1).min(4))
        .min(10_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::Time;

    #[test]
    fn the_tail_keeps_the_last_lines_with_numbers_of_their_own() {
        let line = |n: usize| LogLine {
            at: Time(0),
            error: false,
            text: n.to_string(),
        };
        let mut tail = Tail::default();
        tail.add((0..LINES_MAX).map(line).collect());
        tail.add((LINES_MAX..LINES_MAX + 10).map(line).collect());
        assert_eq!(tail.lines.len(), LINES_MAX);
        assert_eq!(
            tail.lines.front().map(|(number, line)| (*number, line.text.clone())),
            Some((10, "10".to_owned()))
        );
        assert_eq!(tail.next, LINES_MAX as u64 + 10);
    }

    #[test]
    fn tries_grow_rarer() {
        assert_eq!([1, 2, 3, 9, u32::MAX].map(pause), [1_000, 2_000, 4_000, 10_000, 10_000]);
    }
}
