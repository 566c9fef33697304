//! Limits: under sixty-four calls at once, and those so high that the engine is filled up without HTTP.

use super::lab::{MIB, MefLab, Order, container, number, until};
use crate::{case, contract::Chapter};
use anyhow::Context;
use edgedeck_engine::{Actor, Engine};
use edgedeck_gateway::dialects::mef::MefOptions;
use edgedeck_model::{
    NodeId,
    api::{GroupBody, ManageBody, NewAppBody, PageQuery},
    app::{Container, Part, Resources, Restart, Run, Spec},
    deployment::Wanted,
    node::Facts,
    npu::NpuChip,
};
use futures::future::try_join_all;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A number below `below` that follows from where it is used.
fn chance(seed: u32, at: u32, what: &str, below: u32) -> u32 {
    let digest = Sha256::digest(format!("{seed} {at} {what}"));
    u32::from_be_bytes(std::array::from_fn(|byte| digest[byte])) % below
}

/// What is asked of every node in all: requests, and how many applications.
fn loads(engine: &Engine) -> anyhow::Result<BTreeMap<NodeId, (Resources, usize)>> {
    let mut loads: BTreeMap<NodeId, (Resources, usize)> = BTreeMap::new();
    let all = PageQuery {
        limit: u32::MAX,
        ..PageQuery::default()
    };
    for deployment in engine.list_deployments(&all)?.items {
        let detail = engine.deployment(deployment.id)?;
        let versions = engine.app(deployment.app)?.versions;
        for placement in detail
            .placements
            .iter()
            .filter(|placement| placement.wanted != Wanted::Gone)
        {
            let version = versions
                .iter()
                .find(|version| version.id == placement.version)
                .context("a version")?;
            let (load, count) = loads.entry(placement.node).or_default();
            *count += 1;
            for part in &version.spec.parts {
                load.cpu_millis += part.resources.cpu_millis;
                load.memory_bytes += part.resources.memory_bytes;
                load.npus += part.resources.npus;
            }
        }
    }
    Ok(loads)
}

/// Sixty-four calls at once, of which each would fit, and all do not: nodes with 3 cores, 3 GiB and 2 chips to give.
async fn crowds(lab: &mut MefLab, seed: u32) -> anyhow::Result<()> {
    let (mut groups, mut nodes, mut links) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        groups.push(lab.group().await?);
    }
    for _ in 0..6 {
        let node = lab.waiting().await?;
        // Managed by one of the calls, or before them.
        if nodes.len() < 3 {
            lab.manage(&node, &[]).await?;
            let link = lab.connect(&node, 4, 4096).await?;
            let chip = |id| NpuChip {
                npu_id: id,
                ..NpuChip::default()
            };
            let facts = Facts {
                npus: vec![chip(0), chip(1)],
                ..link.facts.clone()
            };
            link.tell(Order::Facts(Box::new(facts)));
            let id = node.number.to_string();
            until!("chips", {
                (lab.read("getNode", &[("id", &id)]).await?.at("/data/npu") == 2).then_some(())
            });
            links.push(link);
        }
        nodes.push(node);
    }
    let mut apps = Vec::new();
    for at in 0..32 {
        // Half of them so small that their number is what is too much.
        let small = at % 2 == 0;
        let cpu = if small {
            0.01
        } else {
            f64::from(1 + chance(seed, at, "cpu", 12)) / 10.0
        };
        let memory = if small {
            8
        } else {
            16 + chance(seed, at, "memory", 1024)
        };
        let npu = if small { 0 } else { chance(seed, at, "npu", 2) };
        let mut one = json!({ "name": "main", "cpuRequest": cpu, "memRequest": memory, "image": "ubuntu", "imageVersion": "22.04" });
        if npu > 0 {
            one["npu"] = json!(npu);
        }
        let name = lab.fresh("crowd-");
        apps.push(number(
            lab.done("createApp", json!({ "appName": name, "containers": [one] }))
                .await?
                .at("/data"),
        )?);
    }
    let pick = |at: u32, what: &str, from: &[u32]| from[chance(seed, at, what, from.len() as u32) as usize];
    let numbers: Vec<u32> = nodes.iter().map(|node| node.number).collect();
    let call = |at: u32| {
        let group = pick(at, "group", &groups);
        let (operation, body) = match at % 8 {
            6 => (
                "addNodesToGroup",
                json!({ "groupID": group, "nodeIDs": [pick(at, "node", &numbers[..3])] }),
            ),
            7 => {
                let node = pick(at, "node", &numbers[3..]);
                (
                    "manageNode",
                    json!({ "name": format!("crowd{seed}-{at}"), "nodeID": node, "groupIDs": [group] }),
                )
            }
            _ => (
                "deployApp",
                json!({ "appID": pick(at, "app", &apps), "nodeGroupIds": [group] }),
            ),
        };
        lab.send(operation, body)
    };
    // What fills the groups before their nodes come to them.
    for group in &groups {
        let body = json!({ "groupID": group, "nodeIDs": [pick(*group, "first", &numbers[..3])] });
        lab.send("addNodesToGroup", body).await?;
    }
    let answers = try_join_all((0..64).map(call)).await?;
    let refused = answers
        .iter()
        .filter(|answer| answer.at("/status") != "00000000")
        .count();
    anyhow::ensure!(
        refused > 0 && refused < 64,
        "{refused} of 64 were refused: nothing is shown"
    );
    for (node, (load, count)) in loads(lab.engine())? {
        let fits = load.cpu_millis <= 3_000 && load.memory_bytes <= 3_072 * MIB && load.npus <= 2 && count <= 20;
        let is_known = nodes[..3].iter().any(|known| known.id == node);
        // Of one that has told nothing yet only the number of applications can be judged.
        anyhow::ensure!(
            fits || (!is_known && count <= 20),
            "seed {seed}: {node} has {count}: {load:?}"
        );
    }
    Ok(())
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "limits",
    cases: &[
        case! {
            operation: "deployApp",
            async |lab: &mut MefLab| {
                for seed in 0..5 {
                    let mut own = MefLab::start_with(lab.recording(), MefOptions { limited: false }).await?;
                    crowds(&mut own, seed).await?;
                    own.running.stop().await;
                }
                lab.read("getEdgeManagerVersion", &[]).await?;
            }
        },
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/6b0adb15"],
            errors: ["createNodeGroup/400/40011000"],
            async |lab: &mut MefLab| {
                let (engine, actor) = (lab.engine().clone(), Actor::engine());
                let make = |at: u32| engine.create_group(&actor, GroupBody { name: format!("g{at}"), description: String::new() });
                try_join_all((0..1023).map(make)).await?;
                lab.done("createNodeGroup", json!({ "nodeGroupName": "the_last" })).await?;
                lab.refused("createNodeGroup", "40011000", json!({ "nodeGroupName": "one_more" })).await?;
            }
        },
        case! {
            operation: "createApp",
            rules: ["createApp/4039f498"],
            errors: ["createApp/400/40021000"],
            async |lab: &mut MefLab| {
                let (engine, actor) = (lab.engine().clone(), Actor::engine());
                let part = Part {
                    name: "main".to_owned(),
                    run: Run::Container(Container { image: "ubuntu:22.04".to_owned(), ..Container::default() }),
                    args: Vec::new(),
                    env: std::collections::BTreeMap::new(),
                    resources: Resources::default(),
                    restart: Restart::Always,
                    liveness: None,
                    readiness: None,
                };
                let spec = Spec { parts: vec![part] };
                let make = |at: u32| {
                    let body = NewAppBody { name: format!("a{at}"), description: String::new(), label: "1".to_owned(), spec: spec.clone() };
                    engine.create_app(&actor, body)
                };
                try_join_all((0..999).map(make)).await?;
                lab.done("createApp", json!({ "appName": "the-last", "containers": [container("main")] })).await?;
                lab.refused("createApp", "40021000", json!({ "appName": "one-more", "containers": [container("main")] })).await?;
            }
        },
        case! {
            operation: "manageNode",
            rules: ["manageNode/e0e05c71", "addNodesToGroup/b3c13642"],
            errors: ["manageNode/400/40011000"],
            async |lab: &mut MefLab| {
                let (engine, actor) = (lab.engine().clone(), Actor::engine());
                let many = GroupBody { name: "many".to_owned(), description: String::new() };
                let group = engine.create_group(&actor, many).await?.id;
                let nodes = try_join_all((0..1026).map(|at| lab.joined(format!("many{at}")))).await?;
                let ids: Vec<_> = nodes[..1024].iter().map(|node| node.id).collect();
                let manage = |id| {
                    engine.manage_node(&actor, id, ManageBody { name: None, description: None, groups: vec![group] })
                };
                try_join_all(ids.into_iter().map(manage)).await?;
                let more = json!({ "nodeID": nodes[1025].number, "name": "one-more" });
                lab.refused("manageNode", "40011000", more).await?;
                // The lab itself has no such limit; the group's holds all the same.
                engine.manage_node(&actor, nodes[1024].id, ManageBody { name: None, description: None, groups: Vec::new() }).await?;
                let number = engine.external(edgedeck_engine::System::Mef, edgedeck_engine::AliasKind::Group, group.0)?;
                let body = json!({ "groupID": number, "nodeIDs": [nodes[1024].number] });
                lab.refused("addNodesToGroup", "40011000", body).await?;
            }
        },
    ],
};
