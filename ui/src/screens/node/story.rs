//! What is wrong with a node, and what happened to it.

use crate::{
    api,
    components::{Button, ErrorBox, Skeleton, StateBadge, sign_of_alarm, toast_problem},
    format,
    i18n::lang,
    load::{Loaded, load},
    state::may,
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    NodeId,
    alarm::Alarm,
    api::{AcknowledgeAlarm, AlarmQuery, ById, EventQuery, ListAlarms, ListEvents},
    text,
    user::Role,
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    OPEN: "未恢复的告警", "Open alarms";
    NO_OPEN: "没有未恢复的告警。", "No open alarm.";
    ACKNOWLEDGE: "确认", "Acknowledge";
    ACKNOWLEDGED: "{who} 已确认", "Acknowledged by {who}";
    PAST: "已恢复的告警", "Cleared alarms";
    NO_PAST: "没有已恢复的告警。", "No alarm has cleared.";
    CLEARED: "{from} 至 {to}", "{from} to {to}";
    EVENTS: "事件", "Events";
    NO_EVENTS: "还没有事件。", "Nothing has happened yet.";
}

const SHOWN: u32 = 200;

/// Open alarms with what to do about each; nothing while all is well.
#[component]
pub fn OpenAlarms(id: NodeId) -> impl IntoView {
    let alarms = Memo::new(move |_| {
        store().alarms.track();
        let mut found: Vec<Arc<Alarm>> = lab(|lab| {
            lab.alarms
                .values()
                .filter(|alarm| alarm.node == Some(id))
                .cloned()
                .collect()
        });
        found.sort_by_key(|alarm| (std::cmp::Reverse(alarm.severity), std::cmp::Reverse(alarm.raised_at)));
        found
    });
    let one = |alarm: Arc<Alarm>| {
        let sign = sign_of_alarm(alarm.severity);
        let (id, kind, severity, raised) = (alarm.id, alarm.kind, alarm.severity, alarm.raised_at);
        let who = alarm.acknowledged.as_ref().map(|acknowledged| acknowledged.by.clone());
        let press = Callback::new(move |()| {
            leptos::task::spawn_local(async move {
                if let Err(problem) = api::call::<AcknowledgeAlarm>(ById { id }, &(), &()).await {
                    toast_problem(&problem);
                }
            });
        });
        view! {
            <li class="alarm" data-test="alarm">
                <StateBadge sign=Signal::stored(sign) word=Signal::derive(move || text::severity(severity, lang()).to_owned())/>
                <div class="alarm-text">
                    <p>{move || text::alarm(&alarm, lang())}</p>
                    <p class="quiet-text">{move || text::alarm_advice(kind, lang())}</p>
                </div>
                <time class="quiet-text" title=move || format::moment(raised)>{move || format::ago(raised)}</time>
                {match who {
                    Some(who) => view! { <span class="quiet-text">{move || ACKNOWLEDGED.with(&[("who", &who)])}</span> }.into_any(),
                    None => view! {
                        <Show when=move || may(Role::Operator)>
                            <Button label=ACKNOWLEDGE press=press test="acknowledge"/>
                        </Show>
                    }
                    .into_any(),
                }}
            </li>
        }
    };
    view! {
        <section class="card wide">
            <h2>{OPEN.t()}</h2>
            <Show when=move || !alarms.with(Vec::is_empty) fallback=|| view! { <p class="quiet-text">{NO_OPEN.t()}</p> }>
                <ul class="alarms">{move || alarms.get().into_iter().map(one).collect_view()}</ul>
            </Show>
        </section>
    }
}

#[component]
pub fn Story(id: NodeId) -> impl IntoView {
    // Only what is about this node asks again: in a busy lab something always happens.
    let newest = Memo::new(move |_| {
        store().events.track();
        lab(|lab| {
            lab.events
                .iter()
                .find(|event| event.node == Some(id))
                .map(|event| event.id)
        })
    });
    let events = load(move || {
        newest.track();
        let query = EventQuery {
            node: Some(id),
            limit: SHOWN,
            offset: 0,
        };
        async move { api::call::<ListEvents>((), &query, &()).await }
    });
    let alarms = load(move || {
        newest.track();
        let query = AlarmQuery {
            node: Some(id),
            cleared: true,
            limit: SHOWN,
            offset: 0,
        };
        async move { api::call::<ListAlarms>((), &query, &()).await }
    });
    let event_list = move || match events.state.get() {
        Loaded::Loading => view! { <Skeleton lines=5/> }.into_any(),
        Loaded::Failed(problem) => {
            view! { <ErrorBox problem=Signal::stored(problem) retry=Callback::new(move |()| events.again())/> }
                .into_any()
        }
        Loaded::Ready(page) if page.items.is_empty() => view! { <p class="quiet-text">{NO_EVENTS.t()}</p> }.into_any(),
        Loaded::Ready(page) => {
            let rows = page.items.into_iter().map(|event| {
                let at = event.at;
                view! {
                    <li class="event">
                        <time class="event-time">{move || format::moment(at)}</time>
                        <span class="event-text">{move || text::event(&event, lang())}</span>
                    </li>
                }
            });
            view! { <ol class="events">{rows.collect_view()}</ol> }.into_any()
        }
    };
    let alarm_list = move || match alarms.state.get() {
        Loaded::Loading => view! { <Skeleton lines=3/> }.into_any(),
        Loaded::Failed(problem) => {
            view! { <ErrorBox problem=Signal::stored(problem) retry=Callback::new(move |()| alarms.again())/> }
                .into_any()
        }
        Loaded::Ready(page) => {
            let cleared: Vec<Alarm> = page
                .items
                .into_iter()
                .filter(|alarm| alarm.cleared_at.is_some())
                .collect();
            if cleared.is_empty() {
                return view! { <p class="quiet-text">{NO_PAST.t()}</p> }.into_any();
            }
            let rows = cleared.into_iter().map(|alarm| {
                let (raised, cleared) = (alarm.raised_at, alarm.cleared_at.unwrap_or_default());
                let span = move || CLEARED.with(&[("from", &format::minute(raised)), ("to", &format::minute(cleared))]);
                view! {
                    <li class="event">
                        <time class="event-time">{span}</time>
                        <span class="event-text">{move || text::alarm(&alarm, lang())}</span>
                    </li>
                }
            });
            view! { <ol class="events">{rows.collect_view()}</ol> }.into_any()
        }
    };
    view! {
        <OpenAlarms id=id/>
        <section class="card wide"><h2>{EVENTS.t()}</h2>{event_list}</section>
        <section class="card wide"><h2>{PAST.t()}</h2>{alarm_list}</section>
    }
}
