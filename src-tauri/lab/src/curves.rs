//! What a simulated node measures: a day's rhythm, a drift of its own, and its faults.

use crate::{
    chance::{drift, share},
    faults::Fault,
    profile::Profile,
};
use edgedeck_model::{
    Time,
    npu::NpuChipKey,
    telemetry::{Metric, Sample, Value},
    time::{DAY, HOUR, MINUTE},
};
use std::f64::consts::TAU;

/// From 0 at four in the night to 1 at four in the afternoon, in China.
fn day(at: Time) -> f64 {
    let hour = (at.0 + 8 * HOUR).rem_euclid(DAY) as f64 / HOUR as f64;
    0.5 - 0.5 * ((hour - 4.0) / 24.0 * TAU).cos()
}

/// How busy the node is, 0 to 1.
fn load(profile: &Profile, at: Time) -> f64 {
    let base = share(&profile.inputs(30)) * 0.4;
    let slow = drift(at.0, 20 * MINUTE, &profile.inputs(31));
    let quick = drift(at.0, MINUTE, &profile.inputs(32));
    (base + 0.25 * day(at) + 0.25 * slow + 0.1 * quick).clamp(0.01, 0.99)
}

/// How full the disk is, in percent.
pub fn disk_percent(profile: &Profile, at: Time, fault: Option<Fault>) -> f64 {
    if fault == Some(Fault::DiskFull) {
        return 96.0;
    }
    // It fills slowly and is cleaned up each week.
    let week = at.0.rem_euclid(7 * DAY) as f64 / (7 * DAY) as f64;
    25.0 + share(&profile.inputs(33)) * 45.0 + week * 8.0
}

/// Everything that a node measures at a time; `at` is the lab's time, `stamp` the real one.
pub fn sample(profile: &Profile, at: Time, stamp: Time, fault: Option<Fault>) -> Sample {
    let load = load(profile, at);
    let memory = 0.25 + 0.5 * drift(at.0, 40 * MINUTE, &profile.inputs(34));
    let traffic = load * 6e6 * (0.3 + drift(at.0, 2 * MINUTE, &profile.inputs(35)));
    let mut values = Vec::with_capacity(8 + profile.chips().count() * 4);
    let mut push = |metric, part, value: f64| {
        values.push(Value {
            metric,
            part,
            value: value as f32,
        })
    };
    push(Metric::CpuPercent, 0, load * 100.0);
    push(Metric::MemoryUsed, 0, memory * profile.memory_bytes() as f64);
    push(Metric::MemoryPercent, 0, memory * 100.0);
    push(Metric::DiskPercent, 0, disk_percent(profile, at, fault));
    push(Metric::Load1, 0, load * f64::from(profile.kind.cpus) * 1.1);
    push(Metric::NetworkReceived, 0, traffic);
    push(Metric::NetworkSent, 0, traffic * 0.2);
    for (card, chip) in profile.chips() {
        let part = NpuChipKey {
            npu_id: card,
            chip_id: Some(chip),
        }
        .part();
        let own = drift(at.0, 5 * MINUTE, &profile.inputs(40 + u64::from(part)));
        let busy = (load * 0.6 + own * 0.5).clamp(0.0, 1.0);
        let heat = if fault == Some(Fault::Hot) {
            88.0 + own * 6.0
        } else {
            36.0 + busy * 32.0
        };
        push(Metric::NpuPercent, part, busy * 100.0);
        push(Metric::NpuMemoryPercent, part, 12.0 + busy * 70.0);
        push(Metric::NpuTemperature, part, heat);
        push(Metric::NpuPower, part, profile.kind.chip_watts * (0.6 + busy * 0.8));
    }
    Sample { at: stamp, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_range_and_move_smoothly() {
        for node in 0..50 {
            let profile = Profile::new(5, node);
            let cpu = |second: i64| {
                let sample = sample(&profile, Time(second * 1_000), Time(second * 1_000), None);
                for value in &sample.values {
                    let top = if value.metric.unit() == edgedeck_model::telemetry::Unit::Percent {
                        100.0
                    } else {
                        f32::MAX
                    };
                    assert!(value.value >= 0.0 && value.value <= top, "{value:?}");
                }
                sample.values[0].value
            };
            let values: Vec<f32> = (0..600).map(cpu).collect();
            assert!(values.windows(2).all(|pair| (pair[0] - pair[1]).abs() < 2.0));
        }
    }
}
