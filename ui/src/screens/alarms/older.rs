//! What lies further back than the console holds: asked for page by page, newest first.

use crate::{
    components::{Button, ErrorBox},
    format,
    screens::common::Change,
    texts,
};
use edgedeck_model::{Problem, api::Page};
use leptos::prelude::*;
use std::{future::Future, pin::Pin, sync::Arc};

texts! {
    SHOWN: "已加载 {n} / {all} 条", "{n} of {all} loaded";
    MORE: "加载更早的", "Load older ones";
}

/// Lines asked for at once.
pub const PAGE: u32 = 200;

type Asked<T> = Pin<Box<dyn Future<Output = Result<Page<T>, Problem>>>>;

/// Pages that have been asked for so far.
pub struct Older<T: Send + Sync + 'static> {
    pub items: RwSignal<Vec<Arc<T>>>,
    total: RwSignal<Option<u64>>,
    change: Change,
    ask: StoredValue<Box<dyn Fn(u32) -> Asked<T>>, LocalStorage>,
    /// Answers to an earlier question are dropped.
    question: StoredValue<u32>,
}

impl<T: Send + Sync + 'static> Clone for Older<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Older<T> {}

impl<T: Send + Sync + 'static> Older<T> {
    /// `ask` takes the offset. Call [`Self::start`] when what it asks for has changed.
    pub fn new<F>(ask: impl Fn(u32) -> F + 'static) -> Self
    where
        F: Future<Output = Result<Page<T>, Problem>> + 'static,
    {
        Self {
            items: RwSignal::new(Vec::new()),
            total: RwSignal::new(None),
            change: Change::new(),
            ask: StoredValue::new_local(Box::new(move |offset| Box::pin(ask(offset)))),
            question: StoredValue::new(0),
        }
    }

    /// Forgets what is there and asks for the first page.
    pub fn start(self) {
        self.question.update_value(|question| *question += 1);
        self.items.set(Vec::new());
        self.total.set(None);
        self.change.busy.set(false);
        self.more();
    }

    pub fn more(self) {
        let offset = self.items.with_untracked(Vec::len) as u32;
        let work = self.ask.with_value(|ask| ask(offset));
        let question = self.question.get_value();
        self.change.run(work, move |page| {
            if self.question.try_get_value() == Some(question) {
                self.total.try_set(Some(page.total));
                self.items
                    .try_update(|items| items.extend(page.items.into_iter().map(Arc::new)));
            }
        });
    }

    pub fn is_loading(self) -> bool {
        self.total.with(Option::is_none) && self.change.problem.with(Option::is_none)
    }
}

/// How much is loaded, and the button for more.
#[component]
pub fn More<T: Send + Sync + 'static>(older: Older<T>, test: &'static str) -> impl IntoView {
    let count = move || older.items.with(Vec::len);
    let told = move || {
        older
            .total
            .get()
            .map(|all| SHOWN.with(&[("n", &format::count(count())), ("all", &format::number(all as f64, 0))]))
    };
    let has_more = move || older.total.get().is_some_and(|all| (count() as u64) < all);
    view! {
        <span class="quiet-text number" role="status">{told}</span>
        <Show when=has_more>
            <Button label=MORE busy=older.change.busy press=Callback::new(move |()| older.more()) test=test/>
        </Show>
        {move || older.change.problem.get().map(|problem| view! {
            <ErrorBox problem=Signal::stored(problem) retry=Callback::new(move |()| older.more())/>
        })}
    }
}
