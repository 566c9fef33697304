//! Follows the change feed for as long as somebody is signed in.

use crate::{
    api, browser,
    state::{Link, Session, ui},
    store,
};
use edgedeck_model::{Code, api::Watch};
use leptos::prelude::*;
use std::cell::Cell;

/// Milliseconds the engine may wait for a change.
const WAIT: u32 = 20_000;
/// Shortest time between two answers: a busy lab is drawn a few times a second, not hundreds, and once where nothing
/// but figures moves.
const GAP: u32 = 200;
const GAP_OF_FIGURES: u32 = 800;
const LONGEST_PAUSE: u32 = 15;

thread_local! {
    /// A newer follower, after another sign-in, ends the older one.
    static GENERATION: Cell<u32> = const { Cell::new(0) };
    static HURRY: Cell<bool> = const { Cell::new(false) };
}

/// Ends the pause after a failure.
pub fn retry_now() {
    HURRY.set(true);
}

pub fn start() {
    let generation = GENERATION.get() + 1;
    GENERATION.set(generation);
    leptos::task::spawn_local(follow(generation));
}

async fn follow(generation: u32) {
    let ui = ui();
    let (mut failures, mut lag, mut drawn) = (0_u32, Lag::default(), false);
    while GENERATION.get() == generation && ui.session.get_untracked() == Session::SignedIn {
        let query = store::lab(|lab| lab.ask(if lab.ask(0).rev == 0 { 0 } else { WAIT }));
        match api::call::<Watch>((), &query, &()).await {
            Ok(feed) => {
                if GENERATION.get() != generation {
                    return;
                }
                failures = 0;
                ui.trouble.set(None);
                let told = feed.now.0;
                let gap = if feed.changes.is_empty() { GAP_OF_FIGURES } else { GAP };
                store::apply(feed);
                // The lag that people see: from the engine's word to the picture.
                browser::next_frame(100).await;
                if !std::mem::replace(&mut drawn, true) {
                    browser::mark("lab-drawn");
                }
                ui.link.set(Link::Live(lag.measure(told, browser::now_ms())));
                browser::sleep(gap).await;
            }
            Err(problem) if problem.code == Code::Unauthenticated => return,
            Err(problem) => {
                failures += 1;
                ui.trouble
                    .set(Some(problem).filter(|problem| !api::is_unreachable(problem)));
                pause(failures).await;
            }
        }
    }
}

/// Waits before the next try, telling how long, unless the user hurries.
async fn pause(failures: u32) {
    HURRY.set(false);
    for left in (1..=pause_seconds(failures)).rev() {
        ui().link.set(Link::Cut(left));
        for _ in 0..4 {
            browser::sleep(250).await;
            if HURRY.replace(false) {
                ui().link.set(Link::Connecting);
                return;
            }
        }
    }
    ui().link.set(Link::Connecting);
}

fn pause_seconds(failures: u32) -> u32 {
    1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(LONGEST_PAUSE)
        .clamp(1, LONGEST_PAUSE)
}

/// How late the feed is drawn. The two clocks differ, so the quickest answer so far counts as not late.
#[derive(Debug, Default)]
struct Lag {
    quickest: Option<i64>,
}

impl Lag {
    fn measure(&mut self, told: i64, drawn: i64) -> f64 {
        let took = drawn - told;
        let quickest = self.quickest.map_or(took, |quickest| quickest.min(took));
        self.quickest = Some(quickest);
        (took - quickest) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let pauses: Vec<u32> = [1, 2, 3, 4, 5, 40].map(pause_seconds).into();
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn lag_needs_no_common_clock() {
        let mut lag = Lag::default();
        assert_eq!(lag.measure(1_000_000, 5_030), 0.0);
        assert_eq!(lag.measure(1_001_000, 6_090), 60.0);
        assert_eq!(lag.measure(1_002_000, 7_010), 0.0);
        assert_eq!(lag.measure(1_003_000, 8_030), 20.0);
    }
}
