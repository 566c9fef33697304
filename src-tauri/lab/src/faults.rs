//! What goes wrong with a node: at most one thing in each quarter of an hour, for a part of it.

use crate::{chance::share, profile::Profile};
use edgedeck_model::{Time, time::MINUTE};

const WINDOW: i64 = 15 * MINUTE;

/// Something that is wrong with a node for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No link.
    Offline,
    /// The container engine does not answer.
    Degraded,
    /// The disk fills up.
    DiskFull,
    /// The chips get hot.
    Hot,
}

/// The fault at a time, and until when that holds.
pub fn at(profile: &Profile, now: Time) -> (Option<Fault>, Time) {
    let window = now.0.div_euclid(WINDOW);
    let [seed, number, _] = profile.inputs(0);
    let chance = |what: u64| share(&[seed, number, what, window as u64]);
    let begin = window * WINDOW;
    let fault = match chance(20) {
        x if x < 0.012 => Fault::Offline,
        x if x < 0.018 => Fault::Degraded,
        x if x < 0.024 => Fault::DiskFull,
        x if x < 0.036 => Fault::Hot,
        _ => return (None, Time(begin + WINDOW)),
    };
    let from = begin + (chance(21) * 5.0 * MINUTE as f64) as i64;
    let to = from + MINUTE + (chance(22) * 8.0 * MINUTE as f64) as i64;
    if now.0 < from {
        (None, Time(from))
    } else if now.0 < to {
        (Some(fault), Time(to))
    } else {
        (None, Time(begin + WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_nodes_fail_at_a_time_and_each_recovers() {
        let now = Time(40 * WINDOW + 5 * MINUTE);
        let failing = (0..10_000)
            .filter(|node| at(&Profile::new(1, *node), now).0.is_some())
            .count();
        assert!((50..400).contains(&failing), "{failing}");
        for node in 0..500 {
            let profile = Profile::new(1, node);
            let mut time = Time(0);
            for _ in 0..400 {
                let (fault, until) = at(&profile, time);
                assert!(until > time, "{time:?} {until:?}");
                assert!(fault.is_none() || until.since(time) <= 10 * MINUTE);
                time = until;
            }
        }
    }
}
