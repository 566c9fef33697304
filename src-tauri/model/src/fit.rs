//! Whether a specification fits a node. The wizard and the engine ask the same function.

use crate::{
    app::{MIB, Resources, Run, Spec},
    node::Node,
    npu::NpuChip,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is kept back on every node, and how much may run there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// CPU kept back on each node, in thousandths of a core.
    pub reserve_cpu_millis: u32,
    /// Memory kept back on each node, in bytes.
    pub reserve_memory_bytes: u64,
    /// Most deployments on one node.
    pub deployments_per_node: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reserve_cpu_millis: 1_000,
            reserve_memory_bytes: 1_024 * MIB,
            deployments_per_node: 200,
        }
    }
}

/// What already runs, or is wanted, on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    pub cpu_millis: u64,
    pub memory_bytes: u64,
    pub npus: u32,
    pub deployments: u32,
}

impl Load {
    pub fn add(&mut self, asked: &Resources) {
        self.cpu_millis += u64::from(asked.cpu_millis);
        self.memory_bytes += asked.memory_bytes;
        self.npus += asked.npus;
        self.deployments += 1;
    }
}

/// One reason why a specification does not fit a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Misfit {
    /// The node waits to be managed.
    NotManaged,
    Cpu {
        asked_millis: u64,
        free_millis: u64,
    },
    Memory {
        asked_bytes: u64,
        free_bytes: u64,
    },
    Npu {
        asked: u32,
        free: u32,
    },
    TooMany {
        max: u32,
    },
    /// Containers are asked for and the node has no container engine.
    NoRuntime,
}

/// Everything that keeps `spec` off `node`, which already carries `load`; empty if it fits.
///
/// Capacity that the node has not told yet (no facts) counts as none, but a spec that asks for nothing fits all the same.
pub fn misfits(spec: &Spec, node: &Node, load: &Load, limits: &Limits) -> Vec<Misfit> {
    let mut found = Vec::new();
    if !node.managed {
        found.push(Misfit::NotManaged);
    }
    let asked = spec.total();
    let free_millis = (u64::from(node.facts.cpus) * 1_000)
        .saturating_sub(u64::from(limits.reserve_cpu_millis))
        .saturating_sub(load.cpu_millis);
    if u64::from(asked.cpu_millis) > free_millis {
        found.push(Misfit::Cpu {
            asked_millis: asked.cpu_millis.into(),
            free_millis,
        });
    }
    let free_bytes = node
        .facts
        .memory_bytes
        .saturating_sub(limits.reserve_memory_bytes)
        .saturating_sub(load.memory_bytes);
    if asked.memory_bytes > free_bytes {
        found.push(Misfit::Memory {
            asked_bytes: asked.memory_bytes,
            free_bytes,
        });
    }
    let mut free = (node.facts.npus.len() as u32).saturating_sub(load.npus);
    if let Some(chips) = missing_model(spec, &node.facts.npus) {
        free = free.min(chips);
    }
    if asked.npus > free {
        found.push(Misfit::Npu {
            asked: asked.npus,
            free,
        });
    }
    if load.deployments >= limits.deployments_per_node {
        found.push(Misfit::TooMany {
            max: limits.deployments_per_node,
        });
    }
    let has_container = spec.parts.iter().any(|part| matches!(part.run, Run::Container(_)));
    if has_container && node.state.is_connected() && node.facts.runtime.is_none() {
        found.push(Misfit::NoRuntime);
    }
    found
}

/// How many chips there are of a model that the spec asks for more of; `None` where every model suffices.
fn missing_model(spec: &Spec, chips: &[NpuChip]) -> Option<u32> {
    let mut asked: BTreeMap<&str, u32> = BTreeMap::new();
    for resources in spec.parts.iter().map(|part| &part.resources) {
        if let Some(model) = &resources.npu_model {
            let sum = asked.entry(model).or_default();
            *sum = sum.saturating_add(resources.npus);
        }
    }
    asked.into_iter().find_map(|(model, count)| {
        let there = chips.iter().filter(|chip| chip.is_model(model)).count() as u32;
        (count > there).then_some(there)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::{Container, Part, Restart};

    #[test]
    fn chips_of_another_model_do_not_count() {
        let part = |model: Option<&str>, npus| Part {
            name: "a".to_owned(),
            run: Run::Container(Container::default()),
            args: Vec::new(),
            env: BTreeMap::new(),
            resources: Resources {
                npus,
                npu_model: model.map(str::to_owned),
                ..Resources::default()
            },
            restart: Restart::Always,
            liveness: None,
            readiness: None,
        };
        let chips = ["310P3", "310P3", "910A"].map(|name| NpuChip {
            name: name.to_owned(),
            ..NpuChip::default()
        });
        for (parts, missing) in [
            (vec![part(None, 9)], None),
            (vec![part(Some("310P"), 2), part(Some("910"), 1)], None),
            (vec![part(Some("310P"), 2), part(Some("310P"), 1)], Some(2)),
            (vec![part(Some("310"), 1)], Some(0)),
            (vec![part(Some("310"), 0)], None),
        ] {
            assert_eq!(missing_model(&Spec { parts }, &chips), missing);
        }
    }
}
