//! What a set of nodes can carry, and what of it is left: by the same figures that the engine judges a fit by.

use crate::store::Lab;
use edgedeck_model::{NodeId, deployment::Wanted, fit::Limits};

/// CPU in thousandths of a core, memory in bytes, whole NPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub npus: u64,
}

/// All that the nodes have, and what neither the reserve nor a deployment takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub nodes: usize,
    pub all: Capacity,
    pub left: Capacity,
}

/// Sums over nodes. What a full node lacks does not count against another one.
pub fn room(lab: &Lab, nodes: impl IntoIterator<Item = NodeId>, limits: &Limits) -> Room {
    let mut room = Room::default();
    for entry in nodes.into_iter().filter_map(|id| lab.node(id)) {
        let row = &entry.row;
        let mut used = Capacity {
            cpu_millis: limits.reserve_cpu_millis.into(),
            memory_bytes: limits.reserve_memory_bytes,
            npus: 0,
        };
        for placement in lab.placements_of_node(row.id) {
            if placement.wanted != Wanted::Gone
                && let Some(version) = lab.versions.get(&placement.version)
            {
                let asked = version.spec.total();
                used.cpu_millis += u64::from(asked.cpu_millis);
                used.memory_bytes += asked.memory_bytes;
                used.npus += u64::from(asked.npus);
            }
        }
        let cpu_millis = u64::from(row.cpus) * 1_000;
        room.nodes += 1;
        room.all.cpu_millis += cpu_millis;
        room.all.memory_bytes += row.memory_bytes;
        room.all.npus += u64::from(row.npus);
        room.left.cpu_millis += cpu_millis.saturating_sub(used.cpu_millis);
        room.left.memory_bytes += row.memory_bytes.saturating_sub(used.memory_bytes);
        room.left.npus += u64::from(row.npus).saturating_sub(used.npus);
    }
    room
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::row;
    use edgedeck_model::{
        AppId, DeploymentId, PlacementId, Time, VersionId,
        app::{Container, MIB, Part, Resources, Restart, Run, Spec, Version},
        deployment::{InstanceState, Placement},
        feed::{Change, Feed},
    };
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn version() -> Version {
        let resources = Resources {
            cpu_millis: 2_500,
            memory_bytes: 512 * MIB,
            npus: 1,
            ..Resources::default()
        };
        let part = Part {
            name: "a".to_owned(),
            run: Run::Container(Container::default()),
            args: vec![],
            env: BTreeMap::new(),
            resources,
            restart: Restart::Always,
            liveness: None,
            readiness: None,
        };
        let id = VersionId(Uuid::from_u128(1));
        let spec = Spec { parts: vec![part] };
        Version {
            id,
            rev: 1,
            app: AppId(Uuid::from_u128(1)),
            label: "1".to_owned(),
            spec,
            created_at: Time(0),
        }
    }

    fn placement(number: u128, node: u128, wanted: Wanted) -> Placement {
        Placement {
            id: PlacementId(Uuid::from_u128(number)),
            rev: 1,
            deployment: DeploymentId(Uuid::from_u128(number)),
            node: NodeId(Uuid::from_u128(node)),
            version: VersionId(Uuid::from_u128(1)),
            wanted,
            generation: 1,
            observed_generation: 0,
            restarts: 0,
            state: InstanceState::Running,
            parts: vec![],
            created_at: Time(0),
            observed_at: None,
        }
    }

    #[test]
    fn what_is_left_is_summed_per_node() {
        let mut lab = Lab::default();
        let changes = vec![
            Change::Node(row(1, "a")),
            Change::Node(row(2, "b")),
            Change::Version(version()),
            Change::Placement(placement(1, 1, Wanted::Running)),
            // Stopped keeps its place; one that is being removed does not.
            Change::Placement(placement(2, 1, Wanted::Stopped)),
            Change::Placement(placement(3, 2, Wanted::Gone)),
        ];
        lab.apply(Feed {
            changes,
            ..Feed::default()
        });
        let ids = [1, 2, 9].map(|n| NodeId(Uuid::from_u128(n)));
        let room = room(&lab, ids, &Limits::default());
        // Each has 8 cores, 8 GiB and one NPU; one core and 1 GiB are kept back.
        assert_eq!(room.nodes, 2);
        assert_eq!(
            room.all,
            Capacity {
                cpu_millis: 16_000,
                memory_bytes: 16 << 30,
                npus: 2
            }
        );
        assert_eq!(
            room.left,
            Capacity {
                cpu_millis: 2_000 + 7_000,
                memory_bytes: (13 << 30),
                npus: 1
            }
        );
    }
}
