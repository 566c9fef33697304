//! Limits so high that the engine is filled up without HTTP.

use super::lab::{MefLab, container};
use crate::{case, contract::Chapter};
use edgedeck_engine::Actor;
use edgedeck_model::{
    api::{GroupBody, ManageBody, NewAppBody},
    app::{Container, Part, Resources, Restart, Run, Spec},
};
use futures::future::try_join_all;
use serde_json::json;

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "limits",
    cases: &[
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
