//! What simulated containers use: curves again, so that the same fleet always uses the same.

use crate::{chance, instances::Running, profile::Profile};
use edgedeck_model::{
    Time,
    metering::{PartUsage, TrafficSource, window_of},
    time::{MINUTE, SECOND},
};
use edgedeck_protocol::Usage;
use std::time::Duration;

/// How often it is reported.
pub const INTERVAL: Duration = Duration::from_millis(MINUTE as u64);
/// Numbers grow with time, over runs of the fleet too, so all of them are one row of reports.
const EPOCH: u64 = 1;
const MIB: f64 = (1_u64 << 20) as f64;

/// What they used in the minute before now. `at` is the lab's time.
pub fn report(profile: &Profile, running: Vec<Running>, at: Time, now: Time) -> Usage {
    let seconds = (MINUTE / SECOND) as f64;
    let parts = running.into_iter().map(|one| {
        let of = one.placement.0.as_u128() as u64;
        let [seed, node, _] = profile.inputs(0);
        let drift = |what: u64, low: f64, high: f64| {
            low + (high - low) * chance::drift(at.0, 20 * MINUTE, &[seed ^ of, node, what])
        };
        let sent_bytes_a_second = drift(71, 0.5e6, 9e6);
        PartUsage {
            placement: one.placement,
            part: one.part,
            version: one.version,
            image: one.image,
            traffic: if one.on_host {
                TrafficSource::ControlGroup
            } else {
                TrafficSource::Interface
            },
            sent_bytes: (sent_bytes_a_second * seconds) as u64,
            received_bytes: (sent_bytes_a_second * drift(72, 0.1, 0.4) * seconds) as u64,
            cpu_ms: (drift(73, 0.1, 1.8) * seconds * 1_000.0) as u64,
            memory_bytes: (drift(74, 80.0, 900.0) * MIB) as u64,
            disk_bytes: (drift(75, 200.0, 260.0) * MIB) as u64,
            measured_ms: MINUTE as u64,
        }
    });
    Usage {
        epoch: EPOCH,
        number: u64::try_from(now.0).unwrap_or(1),
        window: window_of(now.plus(-MINUTE / 2)),
        parts: parts.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::{PlacementId, VersionId};

    #[test]
    fn the_same_fleet_uses_the_same() {
        let report = |node: u32| {
            let profile = Profile::new(7, node);
            let one = Running {
                placement: PlacementId(uuid::Uuid::nil()),
                version: VersionId(uuid::Uuid::nil()),
                part: "main".to_owned(),
                image: "pcdn:v1".to_owned(),
                on_host: true,
            };
            super::report(&profile, vec![one], Time(90_000), Time(90_000))
        };
        let (one, other) = (report(1), report(2));
        assert_eq!(one, report(1));
        assert_ne!(one.parts, other.parts);
        assert_eq!((one.window, one.number), (Time(0), 90_000));
        let used = one.parts.first().map(|part| part.sent_bytes / 60);
        assert!(
            used.is_some_and(|bytes| (500_000..9_000_000).contains(&bytes)),
            "{used:?}"
        );
    }
}
