//! What boxes of the labs tell of what is wanted of them.

use edgedeck_model::{
    Time,
    deployment::{InstanceState, PartStatus},
};
use edgedeck_protocol::{Desired, Instance, Observed, Workload};

/// A part in a state, and nothing else to say of it.
pub fn part(name: &str, state: InstanceState) -> PartStatus {
    PartStatus {
        name: name.to_owned(),
        state,
        restarts: 0,
        recent_restarts: 0,
        exit_code: None,
        reason: None,
        detail: None,
        started_at: None,
        finished_at: None,
        next_start_at: None,
        unhealthy: false,
        ready: None,
    }
}

/// A report on everything that is wanted.
pub fn observed(desired: &Desired, sequence: u64, status: impl Fn(&Workload, &str) -> PartStatus) -> Observed {
    let instance = |workload: &Workload| Instance {
        placement: workload.placement,
        version: workload.version,
        parts: workload
            .spec
            .parts
            .iter()
            .map(|part| status(workload, &part.name))
            .collect(),
        removed: false,
        at: Time(0),
    };
    Observed {
        sequence,
        generation: desired.generation,
        instances: desired.workloads.iter().map(instance).collect(),
    }
}
