//! Filters, sorting and columns kept in the address, so that a link or the back button restores them.

use leptos::prelude::*;
use leptos_router::{
    NavigateOptions,
    hooks::{use_location, use_navigate, use_query_map},
};
use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

/// Parameters of the present screen. Changing one is immediate; the address follows a moment later in one step,
/// because a navigation for each keystroke would be felt.
#[derive(Clone, Copy)]
pub struct UrlState(StoredValue<Inner, LocalStorage>);

#[derive(Clone)]
struct Inner {
    wanted: Rc<RefCell<BTreeMap<&'static str, String>>>,
    scheduled: Rc<RefCell<Option<TimeoutHandle>>>,
    write: Rc<dyn Fn()>,
}

/// Must be called by a screen while it is being made.
pub fn url_state() -> UrlState {
    let wanted: Rc<RefCell<BTreeMap<&'static str, String>>> = Rc::default();
    let location = use_location();
    let navigate = use_navigate();
    let path = location.pathname.get_untracked();
    let write = {
        let wanted = wanted.clone();
        Rc::new(move || {
            // Another screen may have come in between.
            if location.pathname.get_untracked() != path {
                return;
            }
            let mut query = location.query.get_untracked();
            for (name, value) in wanted.borrow().iter() {
                query.remove(name);
                if !value.is_empty() {
                    query.insert((*name).to_owned(), value.clone());
                }
            }
            let address = format!("{path}{}", query.to_query_string());
            let present = location.search.get_untracked();
            if address.trim_start_matches(&path).trim_start_matches('?') != present.trim_start_matches('?') {
                navigate(
                    &address,
                    NavigateOptions {
                        replace: true,
                        scroll: false,
                        ..NavigateOptions::default()
                    },
                );
            }
        })
    };
    let inner = Inner {
        wanted,
        scheduled: Rc::default(),
        write,
    };
    let scheduled = send_wrapper::SendWrapper::new(inner.scheduled.clone());
    on_cleanup(move || {
        if let Some(handle) = scheduled.borrow_mut().take() {
            handle.clear();
        }
    });
    UrlState(StoredValue::new_local(inner))
}

impl UrlState {
    /// A parameter as a signal; empty means absent.
    pub fn param(self, name: &'static str) -> RwSignal<String> {
        let query = use_query_map();
        let of_address = Memo::new(move |_| query.with(|query| query.get(name).unwrap_or_default()));
        let value = RwSignal::new(of_address.get_untracked());
        let inner = self.0.get_value();
        inner.wanted.borrow_mut().insert(name, value.get_untracked());
        let state = inner.clone();
        // The address changed: by ourselves, then it is equal already, or by a link or the back button.
        Effect::new(move |_| {
            let told = of_address.get();
            if state.scheduled.borrow().is_none() && value.get_untracked() != told {
                value.set(told);
            }
        });
        Effect::new(move |before: Option<()>| {
            inner.wanted.borrow_mut().insert(name, value.get());
            if before.is_some() {
                inner.schedule();
            }
        });
        value
    }
}

impl Inner {
    fn schedule(&self) {
        if let Some(earlier) = self.scheduled.borrow_mut().take() {
            earlier.clear();
        }
        let (write, scheduled) = (self.write.clone(), self.scheduled.clone());
        let later = set_timeout_with_handle(
            move || {
                write();
                scheduled.borrow_mut().take();
            },
            Duration::from_millis(300),
        );
        *self.scheduled.borrow_mut() = later.ok();
    }
}
