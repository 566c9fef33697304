//! What a screen asks the engine for beside the change feed.

use edgedeck_model::Problem;
use leptos::prelude::*;
use std::{cell::Cell, future::Future, rc::Rc, sync::Arc};

/// Where a question to the engine stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded<T> {
    Loading,
    Ready(T),
    Failed(Problem),
}

impl<T> Loaded<T> {
    pub fn ready(&self) -> Option<&T> {
        if let Self::Ready(value) = self {
            Some(value)
        } else {
            None
        }
    }

    pub fn problem(&self) -> Option<&Problem> {
        if let Self::Failed(problem) = self {
            Some(problem)
        } else {
            None
        }
    }
}

/// An answer that can be asked for again.
pub struct Load<T: Send + Sync + 'static> {
    pub state: RwSignal<Loaded<T>>,
    again: RwSignal<u32>,
}

impl<T: Send + Sync + 'static> Clone for Load<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Send + Sync + 'static> Copy for Load<T> {}

impl<T: Send + Sync + 'static> Load<T> {
    /// Asks again; what is there stays until the answer comes.
    pub fn again(self) {
        self.again.try_update(|n| *n += 1);
    }
}

impl<T: Clone + PartialEq + Send + Sync + 'static> Load<Vec<T>> {
    /// What was loaded as a table's rows; none before.
    pub fn rows(self) -> Memo<Arc<Vec<Arc<T>>>> {
        Memo::new(move |_| {
            self.state.with(|loaded| {
                let rows = loaded.ready().into_iter().flatten().cloned().map(Arc::new);
                Arc::new(rows.collect())
            })
        })
    }
}

/// Asks now, whenever a signal that `ask` reads before its first await changes, and on [`Load::again`].
/// An answer that a newer question has overtaken is dropped.
pub fn load<T, F>(ask: impl Fn() -> F + 'static) -> Load<T>
where
    T: Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, Problem>> + 'static,
{
    let state = RwSignal::new(Loaded::Loading);
    let again = RwSignal::new(0);
    let newest = Rc::new(Cell::new(0_u32));
    Effect::new(move |_| {
        again.track();
        let question = ask();
        let number = newest.get() + 1;
        newest.set(number);
        let newest = newest.clone();
        leptos::task::spawn_local(async move {
            let answer = question.await;
            if newest.get() == number {
                // The screen may be gone by now.
                state.try_set(match answer {
                    Ok(value) => Loaded::Ready(value),
                    Err(problem) => Loaded::Failed(problem),
                });
            }
        });
    });
    Load { state, again }
}
