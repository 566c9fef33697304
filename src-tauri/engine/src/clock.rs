//! Time, from the machine or from a test's hand.

use edgedeck_model::Time;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Where the engine takes the time from. Wall time may jump; monotonic time only goes on.
#[derive(Clone, Debug)]
pub enum Clock {
    System {
        start: Instant,
    },
    /// Moved by a test: wall time and monotonic time, both in milliseconds.
    Manual {
        wall: Arc<AtomicI64>,
        monotonic: Arc<AtomicI64>,
    },
}

impl Clock {
    pub fn system() -> Self {
        Self::System { start: Instant::now() }
    }

    pub fn manual(now: Time) -> Self {
        Self::Manual {
            wall: Arc::new(AtomicI64::new(now.0)),
            monotonic: Arc::new(AtomicI64::new(0)),
        }
    }

    pub fn now(&self) -> Time {
        match self {
            Self::System { .. } => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
            }
            Self::Manual { wall, .. } => Time(wall.load(Ordering::SeqCst)),
        }
    }

    /// Milliseconds since some fixed moment, unmoved by changes of the wall clock.
    pub fn monotonic(&self) -> i64 {
        match self {
            Self::System { start } => i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX),
            Self::Manual { monotonic, .. } => monotonic.load(Ordering::SeqCst),
        }
    }

    /// Lets `ms` pass on a manual clock; nothing on the system's.
    pub fn advance(&self, ms: i64) {
        if let Self::Manual { wall, monotonic } = self {
            wall.fetch_add(ms, Ordering::SeqCst);
            monotonic.fetch_add(ms, Ordering::SeqCst);
        }
    }

    /// Sets a manual clock's wall time without time passing; nothing on the system's.
    pub fn jump(&self, to: Time) {
        if let Self::Manual { wall, .. } = self {
            wall.store(to.0, Ordering::SeqCst);
        }
    }
}
