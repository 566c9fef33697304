//! Who changed, or tried to change, what.
//!
//! `data-test`: `audit-filter`, `audit-table`, `audit-row`, `older-audit`.

use super::NotAllowed;
use crate::{
    api, browser,
    components::{
        Column, EmptyState, Icon, Sign, SortKey, StateBadge, Table,
        badge::{Shape, Tone},
    },
    format,
    i18n::lang,
    screens::{
        alarms::older::{More, Older, PAGE},
        groups::Filter,
    },
    state::may,
    texts,
    url::url_state,
};
use edgedeck_model::{
    api::{ListAudit, PageQuery},
    audit::AuditEntry,
    text,
    user::Role,
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    TITLE: "审计", "Audit log";
    FILTER: "按操作者、操作、对象或结果筛选", "Filter by who, what or outcome";
    AT: "时间", "Time";
    ACTOR: "操作者", "Who";
    ORIGIN: "来源", "From";
    ACTION: "操作", "Action";
    SUBJECT: "对象", "On what";
    OUTCOME: "结果", "Outcome";
    EMPTY: "没有记录", "Nothing on record";
    EMPTY_TEXT: "每次修改以及被拒绝的尝试都会记录在这里，保留一年。", "Every change, and every refused try, is kept here for a year.";
}

#[component]
pub fn Audit() -> impl IntoView {
    view! { <Show when=|| may(Role::Admin) fallback=NotAllowed><List/></Show> }
}

/// Words, and beside them the key, which is what the filter finds.
fn with_key(words: &str, key: &str) -> String {
    if words == key {
        key.to_owned()
    } else {
        format!("{words} · {key}")
    }
}

fn outcome(entry: &AuditEntry) -> String {
    let words = text::outcome(&entry.outcome, lang());
    if entry.outcome == "ok" {
        words.to_owned()
    } else {
        with_key(words, &entry.outcome)
    }
}

#[component]
fn List() -> impl IntoView {
    let url = url_state();
    let filter = url.param("q");
    let older = Older::<AuditEntry>::new(move |offset| async move {
        let filter = filter.get_untracked().trim().to_owned();
        api::call::<ListAudit>(
            (),
            &PageQuery {
                offset,
                limit: PAGE,
                filter,
            },
            &(),
        )
        .await
    });
    // The engine filters; it is asked where typing rests.
    let typed = StoredValue::new(0_u32);
    Effect::new(move |before: Option<()>| {
        filter.track();
        let number = typed.get_value() + 1;
        typed.set_value(number);
        let wait = if before.is_some() { 250 } else { 0 };
        leptos::task::spawn_local(async move {
            browser::sleep(wait).await;
            if typed.try_get_value() == Some(number) {
                older.start();
            }
        });
    });
    let rows = Signal::derive(move || Arc::new(older.items.get()));
    let columns = vec![
        Column::new("at", AT, 160, |entry: &Arc<AuditEntry>| format::moment(entry.at))
            .sort(|entry| SortKey::number(Some(entry.at.0 as f64)))
            .share(0),
        Column::new("actor", ACTOR, 130, |entry: &Arc<AuditEntry>| entry.actor.clone()).sort(|entry| SortKey::name(&entry.actor)),
        Column::new("action", ACTION, 220, |entry: &Arc<AuditEntry>| {
            with_key(text::action(&entry.action, lang()), &entry.action)
        })
        .sort(|entry| SortKey::name(&entry.action)),
        Column::new("subject", SUBJECT, 150, |entry: &Arc<AuditEntry>| entry.subject.clone()).share(3),
        Column::new("outcome", OUTCOME, 180, |entry: &Arc<AuditEntry>| outcome(entry)).view(|entry| {
            let good = entry.outcome == "ok";
            let (shape, tone) = if good { (Shape::Check, Tone::Good) } else { (Shape::Cross, Tone::Bad) };
            let entry = entry.clone();
            view! { <StateBadge sign=Signal::stored(Sign { shape, tone }) word=Signal::derive(move || outcome(&entry))/> }
        }),
        Column::new("origin", ORIGIN, 120, |entry: &Arc<AuditEntry>| entry.origin.clone()),
    ];
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <Table
                name="audit"
                label=TITLE
                rows=rows
                columns=columns
                url=url
                loading=Signal::derive(move || older.is_loading())
                empty=|| view! { <EmptyState sign=Icon::Audit title=EMPTY text=EMPTY_TEXT/> }
            >
                <Filter value=filter label=FILTER test="audit-filter"/>
                <More older=older test="older-audit"/>
            </Table>
        </div>
    }
}
