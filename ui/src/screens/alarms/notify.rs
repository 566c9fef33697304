//! Tells the desktop of alarms that come up while the console is open.

use crate::{
    components::toast,
    desktop,
    store::{lab, store},
    texts,
};
use edgedeck_model::{AlarmId, alarm::Alarm, text};
use leptos::prelude::*;
use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

texts! {
    NOTIFY: "新告警时桌面通知", "Desktop notification of new alarms";
    NOTIFY_DENIED: "浏览器不允许通知；请在浏览器的网站设置中允许。", "The browser does not allow notifications; allow them in its settings for this site.";
    MANY: "{n} 个新告警", "{n} new {n|alarm|alarms}";
}

/// Notifications shown apart at once; more become one.
const APART_MAX: usize = 3;

thread_local! {
    /// Alarms that have been open already; none until the first feed has told.
    static KNOWN: RefCell<Option<BTreeSet<AlarmId>>> = const { RefCell::new(None) };
}

/// Watches the alarms for as long as its owner lives.
pub fn follow() {
    Effect::new(move |_| {
        store().alarms.track();
        if !store().ready.get() {
            KNOWN.set(None);
            return;
        }
        let open: Vec<Arc<Alarm>> = lab(|lab| lab.alarms.values().cloned().collect());
        let new = KNOWN.with_borrow_mut(|known| fresh(known, &open));
        if desktop::wants_notifications() {
            tell(&new);
        }
    });
}

/// Those that were not open before; at the first look none is new.
fn fresh(known: &mut Option<BTreeSet<AlarmId>>, open: &[Arc<Alarm>]) -> Vec<Arc<Alarm>> {
    let now: BTreeSet<AlarmId> = open.iter().map(|alarm| alarm.id).collect();
    let before = known.replace(now);
    let Some(before) = before else { return Vec::new() };
    open.iter()
        .filter(|alarm| !before.contains(&alarm.id))
        .cloned()
        .collect()
}

fn tell(new: &[Arc<Alarm>]) {
    let lang = crate::state::ui().lang.get_untracked();
    if new.len() > APART_MAX {
        let sentences: Vec<String> = new
            .iter()
            .take(APART_MAX)
            .map(|alarm| text::alarm(alarm, lang))
            .collect();
        desktop::notify(MANY.with_untracked(&[("n", &new.len())]), sentences.join("\n"));
        return;
    }
    for alarm in new {
        let title = format!(
            "{} · {}",
            text::severity(alarm.severity, lang),
            text::alarm_kind(alarm.kind, lang)
        );
        desktop::notify(title, text::alarm(alarm, lang));
    }
}

/// Turns desktop notifications on and off, for this computer.
#[component]
pub fn NotifySwitch() -> impl IntoView {
    let wanted = RwSignal::new(desktop::wants_notifications() && desktop::may_notify());
    let toggle = move |event: web_sys::Event| {
        let on = event_target_checked(&event);
        desktop::set_wants_notifications(on);
        wanted.set(on);
        if on {
            leptos::task::spawn_local(async move {
                if !desktop::ask_to_notify().await {
                    wanted.try_set(false);
                    toast(NOTIFY_DENIED.get_untracked());
                }
            });
        }
    };
    view! {
        <label class="check-line">
            <input type="checkbox" data-test="notify-switch" prop:checked=move || wanted.get() on:change=toggle/>
            <span>{NOTIFY.t()}</span>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::{
        Time,
        alarm::{AlarmKind, Severity},
    };
    use uuid::Uuid;

    fn alarm(n: u128) -> Arc<Alarm> {
        Arc::new(Alarm {
            id: AlarmId(Uuid::from_u128(n)),
            rev: 1,
            kind: AlarmKind::DiskFull,
            severity: Severity::Minor,
            node: None,
            subject: String::new(),
            facts: Default::default(),
            raised_at: Time(0),
            cleared_at: None,
            acknowledged: None,
        })
    }

    #[test]
    fn only_what_comes_up_while_looking_is_new() {
        let mut known = None;
        let ids = |new: Vec<Arc<Alarm>>| new.iter().map(|alarm| alarm.id.0.as_u128()).collect::<Vec<_>>();
        assert_eq!(ids(fresh(&mut known, &[alarm(1), alarm(2)])), [0_u128; 0]);
        assert_eq!(ids(fresh(&mut known, &[alarm(1), alarm(2), alarm(3)])), [3]);
        assert_eq!(ids(fresh(&mut known, &[alarm(3)])), [0_u128; 0]);
        // One that was cleared and is raised again under a new id is new.
        assert_eq!(ids(fresh(&mut known, &[alarm(3), alarm(4)])), [4]);
    }
}
