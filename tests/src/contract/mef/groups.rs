//! Node groups and their members.

use super::lab::{MefLab, batch, number, with};
use crate::{case, contract::Chapter};
use serde_json::{Value, json};

const BAD_NAMES: [&str; 7] = ["", "1a", "a_", "_a", "a-b", "ä", "a23456789012345678901234567890123"];

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "groups",
    cases: &[
        case! {
            operation: "listNodeGroups",
            rules: ["listNodeGroups/97afbaaf"],
            async |lab: &mut MefLab| {
                let empty = lab.read("listNodeGroups", &[("pageNum", "1"), ("pageSize", "10")]).await?;
                anyhow::ensure!(empty.at("/data") == &json!({ "groups": null, "total": 0 }), "{}", empty.shown());
            }
        },
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/74c421c6", "createNodeGroup/1b2b6f7a", "createNodeGroup/3194926d"],
            async |lab: &mut MefLab| {
                let made = lab.done("createNodeGroup", json!({ "nodeGroupName": "a" })).await?;
                let id = number(made.at("/data"))?.to_string();
                let group = lab.read("getNodeGroup", &[("id", &id)]).await?;
                anyhow::ensure!(group.at("/data/nodes").is_null() && group.at("/data/description") == "", "{}", group.shown());
                let longest = "a2345678901234567890123456789_12";
                lab.done("createNodeGroup", json!({ "nodeGroupName": longest, "description": "~ ".repeat(256) })).await?;
            }
        },
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/a8e7e720"],
            errors: ["createNodeGroup/400/00001006", "createNodeGroup/400/00001005"],
            async |lab: &mut MefLab| {
                let before = lab.read("getNodeGroupStats", &[]).await?.at("/data").clone();
                let good = json!({ "nodeGroupName": "good", "description": "" });
                let wrong = [with(good.clone(), "nodeGroupName", json!(7)), with(good.clone(), "description", json!([])), json!([good.clone()])];
                let mut invalid: Vec<Value> = BAD_NAMES.iter().map(|name| with(good.clone(), "nodeGroupName", json!(name))).collect();
                invalid.push(with(good.clone(), "nodeGroupName", Value::Null));
                invalid.push(json!({}));
                for description in ["a\tb".to_owned(), "a\nb".to_owned(), "x".repeat(513)] {
                    invalid.push(with(good.clone(), "description", json!(description)));
                }
                lab.checks_body("createNodeGroup", &wrong, &invalid).await?;
                let after = lab.read("getNodeGroupStats", &[]).await?.at("/data").clone();
                anyhow::ensure!(before == after, "something was stored");
            }
        },
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/05bab2a6"],
            errors: ["createNodeGroup/400/40012000"],
            async |lab: &mut MefLab| {
                let body = json!({ "nodeGroupName": "twice" });
                lab.done("createNodeGroup", body.clone()).await?;
                lab.refused("createNodeGroup", "40012000", body).await?;
            }
        },
        case! {
            operation: "createNodeGroup",
            errors: ["createNodeGroup/400/40012001"],
            async |lab: &mut MefLab| {
                let body = json!({ "nodeGroupName": "unlucky" });
                lab.refused_without("node_group", "createNodeGroup", "40012001", body.clone()).await?;
                // A mark that turns the direction of text is no blank to MEF, and nothing that the lab shows.
                lab.refused("createNodeGroup", "40012001", with(body, "description", json!("a\u{202e}b"))).await?;
            }
        },
        case! {
            operation: "getNodeGroup",
            rules: ["getNodeGroup/c2cb5e5c", "getNodeGroup/55c2f212", "getNodeGroup/5523bee4"],
            errors: ["getNodeGroup/400/00001001", "getNodeGroup/400/00001005", "getNodeGroup/400/40012003"],
            async |lab: &mut MefLab| {
                let group = lab.group().await?;
                let (first, second) = (lab.node(&[group]).await?, lab.node(&[group]).await?);
                lab.node(&[]).await?;
                let answer = lab.read("getNodeGroup", &[("id", &group.to_string())]).await?;
                let nodes = answer.at("/data/nodes").as_array().cloned().unwrap_or_default();
                let ids: Vec<&Value> = nodes.iter().map(|node| &node["id"]).collect();
                anyhow::ensure!(ids == [first.number, second.number], "{}", answer.shown());
                anyhow::ensure!(nodes.iter().all(|node| node.get("nodeGroup").is_none()), "{}", answer.shown());
                for query in [&[][..], &[("id", "")], &[("id", "x")], &[("ID", "1")]] {
                    lab.unread("getNodeGroup", "00001001", query).await?;
                }
                for id in ["0", "-1", "4294967296"] {
                    lab.unread("getNodeGroup", "00001005", &[("id", id)]).await?;
                }
                lab.unread("getNodeGroup", "40012003", &[("id", "4000000000")]).await?;
            }
        },
        case! {
            operation: "updateNodeGroup",
            rules: ["updateNodeGroup/10cf7987", "updateNodeGroup/abfb78b5", "updateNodeGroup/b48d7e63"],
            errors: [
                "updateNodeGroup/400/00001006", "updateNodeGroup/400/00001005", "updateNodeGroup/400/40012000",
                "updateNodeGroup/400/40012004",
            ],
            async |lab: &mut MefLab| {
                let group = lab.group().await?;
                let id = group.to_string();
                let before = lab.read("getNodeGroup", &[("id", &id)]).await?;
                lab.clock.advance(2_000);
                let body = json!({ "groupID": group, "nodeGroupName": "renamed", "description": "new", "id": 99, "createdAt": "x" });
                lab.done("updateNodeGroup", body.clone()).await?;
                let after = lab.read("getNodeGroup", &[("id", &id)]).await?;
                anyhow::ensure!(after.at("/data/groupName") == "renamed" && after.at("/data/description") == "new", "{}", after.shown());
                anyhow::ensure!(after.at("/data/createdAt") == before.at("/data/createdAt"), "{}", after.shown());
                anyhow::ensure!(after.at("/data/updatedAt") != before.at("/data/updatedAt"), "{}", after.shown());
                // Its own name is no duplicate, and a description left out stays.
                lab.done("updateNodeGroup", json!({ "groupID": group, "nodeGroupName": "renamed" })).await?;
                let after = lab.read("getNodeGroup", &[("id", &id)]).await?;
                anyhow::ensure!(after.at("/data/description") == "new", "{}", after.shown());
                lab.refused("updateNodeGroup", "40012000", with(body.clone(), "nodeGroupName", json!("twice"))).await?;
                lab.refused("updateNodeGroup", "40012004", with(body.clone(), "groupID", json!(4_000_000_000_u32))).await?;
                let wrong = [with(body.clone(), "groupID", json!("1")), with(body.clone(), "groupID", json!(1.5))];
                let invalid = [
                    with(body.clone(), "nodeGroupName", Value::Null), with(body.clone(), "groupID", Value::Null),
                    with(body.clone(), "groupID", json!(0)), with(body.clone(), "nodeGroupName", json!("a b")),
                ];
                lab.checks_body("updateNodeGroup", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "listNodeGroups",
            rules: ["listNodeGroups/96deffe7", "listNodeGroups/484dc4c7", "listNodeGroups/225a640c", "listNodeGroups/bee5036b", "listNodeGroups/0cc6bbd2"],
            errors: ["listNodeGroups/400/00001001", "listNodeGroups/400/00001005", "listNodeGroups/400/40012002"],
            async |lab: &mut MefLab| {
                lab.checks_page("listNodeGroups").await?;
                let group = lab.group().await?;
                lab.group().await?;
                lab.node(&[group]).await?;
                lab.node(&[group]).await?;
                lab.checks_search("listNodeGroups", "groups", "groupName", "group").await?;
                let answer = lab.read("listNodeGroups", &[("pageNum", "1"), ("pageSize", "100")]).await?;
                let rows = answer.at("/data/groups").as_array().cloned().unwrap_or_default();
                let counts: Vec<&Value> = rows.iter().filter(|row| row["id"] == group).map(|row| &row["nodeCount"]).collect();
                anyhow::ensure!(counts == [2], "{}", answer.shown());
                lab.unread_without("node_group", "listNodeGroups", "40012002", &[("pageNum", "1"), ("pageSize", "100")]).await?;
            }
        },
        case! {
            operation: "getNodeGroupStats",
            rules: ["getNodeGroupStats/b3d10070"],
            errors: ["getNodeGroupStats/400/40012005"],
            async |lab: &mut MefLab| {
                let before = number(lab.read("getNodeGroupStats", &[]).await?.at("/data"))?;
                lab.group().await?;
                let after = lab.read("getNodeGroupStats", &[]).await?;
                anyhow::ensure!(after.at("/data") == before + 1, "{}", after.shown());
                lab.unread_without("node_group", "getNodeGroupStats", "40012005", &[]).await?;
            }
        },
        case! {
            operation: "deleteNodeGroups",
            rules: ["deleteNodeGroups/f7400f7f", "deleteNodeGroups/1f441290"],
            async |lab: &mut MefLab| {
                let (first, second) = (lab.group().await?, lab.group().await?);
                let node = lab.node(&[first, second]).await?;
                let answer = lab.done("deleteNodeGroups", json!({ "groupIDs": [first, second] })).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                let node = lab.read("getNode", &[("id", &node.number.to_string())]).await?;
                anyhow::ensure!(node.at("/data/isManaged") == true && node.at("/data/nodeGroup") == "", "{}", node.shown());
            }
        },
        case! {
            operation: "deleteNodeGroups",
            rules: ["deleteNodeGroups/229645c8", "deleteNodeGroups/3287d445", "deleteNodeGroups/889bb26f"],
            errors: ["deleteNodeGroups/400/00001006", "deleteNodeGroups/400/00001005", "deleteNodeGroups/400/40012006"],
            async |lab: &mut MefLab| {
                let (used, free, app) = (lab.group().await?, lab.group().await?, lab.app().await?);
                lab.node(&[used]).await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [used] })).await?;
                let ids = json!({ "groupIDs": [used, 4_000_000_000_u32, free] });
                let answer = lab.refused("deleteNodeGroups", "40012006", ids).await?;
                let expected = (vec!["4000000000".to_owned(), used.to_string()], json!([free]));
                let mut told = batch(&answer);
                told.0.sort_by_key(|key| *key != "4000000000");
                anyhow::ensure!(told == expected, "{}", answer.shown());
                let none = lab.refused("deleteNodeGroups", "40012006", json!({ "groupIDs": [free] })).await?;
                anyhow::ensure!(none.at("/data/successIDs").is_null(), "{}", none.shown());
                let too_many: Vec<u32> = (1..=1025).collect();
                let wrong = [json!({ "groupIDs": 1 }), json!({ "groupIDs": ["1"] })];
                let invalid = [
                    json!({}), json!({ "groupIDs": [] }), json!({ "groupIDs": [0] }), json!({ "groupIDs": [1, 1] }),
                    json!({ "groupIDs": too_many }), json!({ "groupIDs": [4_294_967_296_u64] }),
                ];
                lab.checks_body("deleteNodeGroups", &wrong, &invalid).await?;
            }
        },
    ],
};

pub const MEMBERS: Chapter<MefLab> = Chapter {
    name: "members of groups",
    cases: &[
        case! {
            operation: "addNodesToGroup",
            rules: ["addNodesToGroup/8dae9548", "addNodesToGroup/f7400f7f", "global/c05c6e76"],
            async |lab: &mut MefLab| {
                let (group, app, node) = (lab.group().await?, lab.app().await?, lab.node(&[]).await?);
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                let _box = lab.connect(&node, 4, 8192).await?;
                let answer = lab.done("addNodesToGroup", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.until_instances(app, 1, "running").await?;
                lab.done("removeNodesFromGroup", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
                lab.until_instances(app, 0, "running").await?;
            }
        },
        case! {
            operation: "addNodesToGroup",
            rules: ["addNodesToGroup/889bb26f", "addNodesToGroup/e76a634f", "global/e25552f8"],
            errors: ["addNodesToGroup/400/00001006", "addNodesToGroup/400/00001005", "addNodesToGroup/400/40012012"],
            async |lab: &mut MefLab| {
                let group = lab.group().await?;
                let (good, member, waiting) = (lab.node(&[]).await?, lab.node(&[group]).await?, lab.waiting().await?);
                let body = json!({ "groupID": group, "nodeIDs": [member.number, good.number, waiting.number, 4_000_000_000_u32] });
                let answer = lab.refused("addNodesToGroup", "40012012", body.clone()).await?;
                let (mut failed, added) = batch(&answer);
                failed.sort();
                let mut expected = vec![member.number.to_string(), waiting.number.to_string(), "4000000000".to_owned()];
                expected.sort();
                anyhow::ensure!(failed == expected && added == json!([good.number]), "{}", answer.shown());
                let unknown = lab.refused("addNodesToGroup", "40012012", with(body.clone(), "groupID", json!(4_000_000_000_u32))).await?;
                anyhow::ensure!(unknown.at("/data").is_null(), "{}", unknown.shown());
                lab.refused("updateManagedNode", "40012008", json!({ "nodeID": waiting.number, "nodeName": "x" })).await?;
                let wrong = [with(body.clone(), "groupID", json!("1")), with(body.clone(), "nodeIDs", json!({}))];
                let invalid = [
                    with(body.clone(), "groupID", Value::Null), with(body.clone(), "groupID", json!(0)),
                    with(body.clone(), "nodeIDs", Value::Null), with(body.clone(), "nodeIDs", json!([])),
                    with(body.clone(), "nodeIDs", json!([1, 1])), with(body, "nodeIDs", json!([0])),
                ];
                lab.checks_body("addNodesToGroup", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "addNodesToGroup",
            rules: ["addNodesToGroup/80fbe04d", "addNodesToGroup/699261b2", "addNodesToGroup/852534bc", "global/26951890"],
            async |lab: &mut MefLab| {
                // Two cores and 2048 MiB, of which one core and 1024 MiB stay back.
                let node = lab.node(&[]).await?;
                let _box = lab.connect(&node, 2, 2048).await?;
                let offline = lab.node(&[]).await?;
                for (field, fits, too_much) in [("cpuRequest", json!(0.2), json!(1.1)), ("memRequest", json!(100), json!(1025)), ("npu", json!(0), json!(1))] {
                    for (value, is_refused) in [(fits, false), (too_much, true)] {
                        let (group, name) = (lab.group().await?, lab.fresh("asks-"));
                        let asking = with(super::lab::container("main"), field, value);
                        let app = lab.done("createApp", json!({ "appName": name, "containers": [asking] })).await?;
                        lab.done("deployApp", json!({ "appID": app.at("/data"), "nodeGroupIds": [group] })).await?;
                        let body = json!({ "groupID": group, "nodeIDs": [node.number, offline.number] });
                        if is_refused {
                            let answer = lab.refused("addNodesToGroup", "40012012", body).await?;
                            let expected = (vec![node.number.to_string()], json!([offline.number]));
                            anyhow::ensure!(batch(&answer) == expected, "{field}: {}", answer.shown());
                        } else {
                            lab.done("addNodesToGroup", body).await?;
                        }
                    }
                }
                // What the first three groups request counts: 0.1 and 0.1 and 0.2 cores are taken, 0.7 do not fit.
                let (group, name) = (lab.group().await?, lab.fresh("asks-"));
                let asking = with(super::lab::container("main"), "cpuRequest", json!(0.7));
                let app = lab.done("createApp", json!({ "appName": name, "containers": [asking] })).await?;
                lab.done("deployApp", json!({ "appID": app.at("/data"), "nodeGroupIds": [group] })).await?;
                lab.refused("addNodesToGroup", "40012012", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
            }
        },
        case! {
            operation: "addNodesToGroup",
            rules: ["addNodesToGroup/2cd79f40"],
            errors: ["addNodesToGroup/400/40011000"],
            async |lab: &mut MefLab| {
                let mut groups = Vec::new();
                for _ in 0..10 {
                    groups.push(lab.group().await?);
                }
                let (full, other) = (lab.node(&groups).await?, lab.node(&[]).await?);
                let group = lab.group().await?;
                let body = json!({ "groupID": group, "nodeIDs": [other.number, full.number] });
                let answer = lab.refused("addNodesToGroup", "40011000", body).await?;
                anyhow::ensure!(answer.at("/data").is_null(), "{}", answer.shown());
                let group = lab.read("getNodeGroup", &[("id", &group.to_string())]).await?;
                anyhow::ensure!(group.at("/data/nodes").is_null(), "something was done: {}", group.shown());
            }
        },
        case! {
            operation: "addNodesToGroup",
            rules: ["addNodesToGroup/8c4c5f7c", "deployApp/f655b973"],
            async |lab: &mut MefLab| {
                let (group, node) = (lab.group().await?, lab.node(&[]).await?);
                for _ in 0..20 {
                    let app = lab.app().await?;
                    lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                }
                let (app, free) = (lab.app().await?, lab.group().await?);
                let answer = lab.refused("deployApp", "40022005", json!({ "appID": app, "nodeGroupIds": [group, free] })).await?;
                anyhow::ensure!(batch(&answer) == (vec![group.to_string()], json!([free])), "{}", answer.shown());
                lab.done("addNodesToGroup", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
                let body = json!({ "groupID": free, "nodeIDs": [node.number] });
                lab.refused("addNodesToGroup", "40012012", body).await?;
                let empty = lab.group().await?;
                lab.done("addNodesToGroup", json!({ "groupID": empty, "nodeIDs": [node.number] })).await?;
                lab.refused("deployApp", "40022005", json!({ "appID": app, "nodeGroupIds": [empty] })).await?;
            }
        },
        case! {
            operation: "removeNodesFromGroup",
            rules: ["removeNodesFromGroup/048e7346", "removeNodesFromGroup/fc55405a", "removeNodesFromGroup/1a0a4eb6", "removeNodesFromGroup/f7400f7f"],
            async |lab: &mut MefLab| {
                let (first, second) = (lab.group().await?, lab.group().await?);
                let (app, other, node) = (lab.app().await?, lab.app().await?, lab.node(&[first, second]).await?);
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [first] })).await?;
                lab.done("deployApp", json!({ "appID": other, "nodeGroupIds": [second] })).await?;
                let _box = lab.connect(&node, 4, 8192).await?;
                lab.until_instances(app, 1, "running").await?;
                let answer = lab.done("removeNodesFromGroup", json!({ "groupID": first, "nodeIDs": [node.number] })).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.until_instances(app, 0, "running").await?;
                lab.until_instances(other, 1, "running").await?;
                let node = lab.read("getNode", &[("id", &node.number.to_string())]).await?;
                anyhow::ensure!(node.at("/data/isManaged") == true, "{}", node.shown());
            }
        },
        case! {
            operation: "removeNodesFromGroup",
            rules: ["removeNodesFromGroup/8f4f2b0c", "removeNodesFromGroup/ee17a9db", "removeNodesFromGroup/889bb26f"],
            errors: ["removeNodesFromGroup/400/00001006", "removeNodesFromGroup/400/00001005", "removeNodesFromGroup/400/40012015"],
            async |lab: &mut MefLab| {
                let group = lab.group().await?;
                let (member, other) = (lab.node(&[group]).await?, lab.node(&[]).await?);
                let body = json!({ "groupID": group, "nodeIDs": [other.number, member.number] });
                let answer = lab.refused("removeNodesFromGroup", "40012015", body.clone()).await?;
                anyhow::ensure!(batch(&answer) == (vec![other.number.to_string()], json!([member.number])), "{}", answer.shown());
                let answer = lab.refused("removeNodesFromGroup", "40012015", with(body.clone(), "groupID", json!(4_000_000_000_u32))).await?;
                anyhow::ensure!(batch(&answer).0.len() == 2 && answer.at("/data/successIDs").is_null(), "{}", answer.shown());
                let wrong = [with(body.clone(), "nodeIDs", json!([[1]]))];
                let invalid = [with(body.clone(), "nodeIDs", json!([])), with(body.clone(), "nodeIDs", json!([2, 2])), with(body, "groupID", Value::Null)];
                lab.checks_body("removeNodesFromGroup", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "deletePods",
            rules: ["deletePods/29a77f18", "deletePods/e61ae931", "deletePods/4b24ac5e", "deletePods/e4e00555", "deletePods/4f1f7797"],
            errors: ["deletePods/400/00001006", "deletePods/400/00001005", "deletePods/400/40012015"],
            async |lab: &mut MefLab| {
                let (group, app, node) = (lab.group().await?, lab.app().await?, lab.node(&[]).await?);
                lab.done("addNodesToGroup", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                let pair = json!({ "groupID": group, "nodeID": node.number });
                let answer = lab.done("deletePods", json!([pair])).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.until_instances(app, 0, "pending").await?;
                lab.done("addNodesToGroup", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
                let answer = lab.refused("deletePods", "40012015", json!([{ "groupID": group, "nodeID": 4_000_000_000_u32 }, pair])).await?;
                let expected = (vec![format!("groupID: {group}, nodeID: 4000000000")], json!([pair]));
                anyhow::ensure!(batch(&answer) == expected, "{}", answer.shown());
                let many: Vec<Value> = (1..=1025).map(|id| json!({ "groupID": 1, "nodeID": id })).collect();
                let wrong = [pair.clone(), json!([1]), json!([{ "groupID": "1", "nodeID": 1 }])];
                let invalid = [json!([]), json!([pair, pair]), json!([{ "groupID": 1 }]), json!([{ "groupID": 0, "nodeID": 1 }]), json!(many)];
                lab.checks_body("deletePods", &wrong, &invalid).await?;
            }
        },
    ],
};
