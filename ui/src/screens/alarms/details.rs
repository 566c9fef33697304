//! An alarm in the drawer: what, since when, and what to do.

use super::{acknowledge, node_word, older::PAGE, state_word};
use crate::{
    api,
    components::{Button, Icon, Kind, Skeleton, StateBadge, sign_of_alarm},
    format,
    i18n::lang,
    load::load,
    state::may,
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    AlarmId, Problem,
    alarm::Alarm,
    api::{AlarmQuery, ListAlarms},
    text,
    user::Role,
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    CAUSE: "原因", "Cause";
    ADVICE: "处理建议", "What to do";
    NODE: "节点", "Node";
    KIND: "类型", "Kind";
    STATE: "状态", "State";
    RAISED: "发生时间", "Raised";
    LASTED: "持续时间", "Lasted";
    CLEARED: "恢复时间", "Cleared";
    BY: "由 {who} 确认于 {at}", "acknowledged by {who}, {at}";
    ACKNOWLEDGE: "确认", "Acknowledge";
    GONE: "找不到该告警，可能已过保留期。", "That alarm is not found; it may be past its time.";
    EVENTS: "该节点的事件", "Events of the node";
}

#[component]
pub fn Details(id: AlarmId) -> impl IntoView {
    let held = Memo::new(move |_| {
        store().alarms.track();
        lab(|lab| lab.alarms.get(&id).cloned())
    });
    // A cleared one is not held: it is looked for among the last ones.
    let is_open = Memo::new(move |_| held.with(Option::is_some));
    let found = load(move || {
        let is_open = is_open.get();
        async move {
            if is_open {
                return Ok(None);
            }
            let query = AlarmQuery {
                cleared: true,
                limit: PAGE * 5,
                ..AlarmQuery::default()
            };
            let page = api::call::<ListAlarms>((), &query, &()).await?;
            let alarm = page.items.into_iter().find(|alarm| alarm.id == id);
            alarm
                .map(|alarm| Some(Arc::new(alarm)))
                .ok_or_else(|| Problem::not_found("alarm"))
        }
    });
    move || {
        let alarm = held
            .get()
            .or_else(|| found.state.with(|found| found.ready().cloned().flatten()));
        if let Some(alarm) = alarm {
            return view! { <Shown alarm=alarm/> }.into_any();
        }
        if found.state.with(|found| found.problem().is_some()) {
            return view! { <p>{GONE.t()}</p> }.into_any();
        }
        view! { <Skeleton/> }.into_any()
    }
}

#[component]
fn Shown(alarm: Arc<Alarm>) -> impl IntoView {
    let (id, severity, kind, node) = (alarm.id, alarm.severity, alarm.kind, alarm.node);
    let (raised, cleared, seen) = (alarm.raised_at, alarm.cleared_at, alarm.acknowledged.clone());
    let is_seen = seen.is_some();
    let sentence = {
        let alarm = alarm.clone();
        move || text::alarm(&alarm, lang())
    };
    let state = {
        let alarm = alarm.clone();
        move || {
            let by = seen
                .as_ref()
                .map(|seen| BY.with(&[("who", &seen.by), ("at", &format::minute(seen.at))]));
            [state_word(&alarm), by.unwrap_or_default()].join(" ")
        }
    };
    let place = move || node_word(&alarm);
    let place = match node {
        Some(node) => view! { <a href=format!("/nodes/{node}")>{place}</a> }.into_any(),
        None => view! { <span>{place}</span> }.into_any(),
    };
    let until = move || cleared.map_or(crate::state::ui().clock.get(), |at| at.0);
    view! {
        <div class="form">
            <StateBadge sign=Signal::stored(sign_of_alarm(severity)) word=Signal::derive(move || text::severity(severity, lang()).to_owned())/>
            <section>
                <h3>{CAUSE.t()}</h3>
                <p data-test="alarm-cause">{sentence}</p>
            </section>
            <section>
                <h3>{ADVICE.t()}</h3>
                <p data-test="alarm-advice">{move || text::alarm_advice(kind, lang())}</p>
            </section>
            <dl class="facts">
                <dt>{KIND.t()}</dt><dd>{move || text::alarm_kind(kind, lang())}</dd>
                <dt>{NODE.t()}</dt><dd>{place}</dd>
                <dt>{STATE.t()}</dt><dd>{state}</dd>
                <dt>{RAISED.t()}</dt><dd>{move || format::moment(raised)}</dd>
                <dt>{LASTED.t()}</dt><dd>{move || format::duration(until() - raised.0)}</dd>
                {cleared.map(|at| view! { <dt>{CLEARED.t()}</dt><dd>{move || format::moment(at)}</dd> })}
            </dl>
            <Show when=move || may(Role::Operator) && !is_seen && cleared.is_none()>
                <Button
                    label=ACKNOWLEDGE
                    kind=Kind::Primary
                    sign=Icon::Check
                    press=Callback::new(move |()| acknowledge(vec![id]))
                    test="acknowledge-one"
                />
            </Show>
            {node.map(|node| view! { <a href=format!("/events?node={node}")>{EVENTS.t()}</a> })}
        </div>
    }
}
