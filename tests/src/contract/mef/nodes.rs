//! Nodes.

use super::lab::{MefLab, Order, batch, number, until, with};
use crate::{case, contract::Chapter};
use edgedeck_model::npu::NpuChip;
use serde_json::{Value, json};

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "nodes",
    cases: &[
        case! {
            operation: "listUnmanagedNodes",
            rules: ["listUnmanagedNodes/97afbaaf"],
            async |lab: &mut MefLab| {
                for operation in ["listUnmanagedNodes", "listManagedNodes", "listAllNodes"] {
                    let empty = lab.read(operation, &[("pageNum", "1"), ("pageSize", "10")]).await?;
                    anyhow::ensure!(empty.at("/data") == &json!({ "nodes": null, "total": 0 }), "{}", empty.shown());
                }
            }
        },
        case! {
            operation: "listManagedNodes",
            rules: ["listManagedNodes/97afbaaf"],
            async |lab: &mut MefLab| {
                let empty = lab.read("listManagedNodes", &[("pageNum", "1"), ("pageSize", "10")]).await?;
                anyhow::ensure!(empty.at("/data/nodes").is_null(), "{}", empty.shown());
            }
        },
        case! {
            operation: "listAllNodes",
            rules: ["listAllNodes/97afbaaf"],
            async |lab: &mut MefLab| {
                let empty = lab.read("listAllNodes", &[("pageNum", "1"), ("pageSize", "10")]).await?;
                anyhow::ensure!(empty.at("/data/nodes").is_null(), "{}", empty.shown());
            }
        },
        case! {
            operation: "listUnmanagedNodes",
            rules: [
                "listUnmanagedNodes/96deffe7", "listUnmanagedNodes/484dc4c7", "listUnmanagedNodes/5a66c941",
                "listUnmanagedNodes/d7982d49", "listUnmanagedNodes/b6eb17bf", "listUnmanagedNodes/9de953da",
                "listUnmanagedNodes/29012707",
            ],
            errors: ["listUnmanagedNodes/400/00001001", "listUnmanagedNodes/400/00001005", "listUnmanagedNodes/400/40012011"],
            async |lab: &mut MefLab| {
                lab.checks_page("listUnmanagedNodes").await?;
                let (first, _) = (lab.waiting().await?, lab.waiting().await?);
                lab.node(&[]).await?;
                let _box = lab.connect(&first, 4, 8192).await?;
                lab.checks_search("listUnmanagedNodes", "nodes", "nodeName", "host").await?;
                let listed = lab.read("listUnmanagedNodes", &[("pageNum", "1"), ("pageSize", "100")]).await?;
                let rows = listed.at("/data/nodes").as_array().cloned().unwrap_or_default();
                anyhow::ensure!(rows.iter().all(|row| row["isManaged"] == false && row["softwareInfo"] == ""), "{}", listed.shown());
                let row = rows.iter().find(|row| row["serialNumber"] == first.serial.as_str()).cloned().unwrap_or_default();
                anyhow::ensure!(row["nodeName"] == row["uniqueName"] && row["status"] == "ready", "{row}");
                lab.done("manageNode", json!({ "nodeID": row["id"], "name": "by-its-row" })).await?;
                let node = lab.read("getNode", &[("sn", &first.serial)]).await?;
                anyhow::ensure!(node.at("/data/nodeName") == "by-its-row", "{}", node.shown());
                lab.unread_without("node", "listUnmanagedNodes", "40012011", &[("pageNum", "1"), ("pageSize", "9")]).await?;
            }
        },
        case! {
            operation: "manageNode",
            rules: ["manageNode/6ce31920", "manageNode/f701307c", "manageNode/003fa96f"],
            errors: ["manageNode/400/00001006", "manageNode/400/00001005", "manageNode/400/40012013"],
            async |lab: &mut MefLab| {
                let (first, second) = (lab.waiting().await?, lab.waiting().await?);
                let body = json!({ "nodeID": first.number, "name": "taken-1", "description": "d" });
                lab.done("manageNode", body.clone()).await?;
                let node = lab.read("getNode", &[("id", &first.number.to_string())]).await?;
                anyhow::ensure!(
                    node.at("/data/isManaged") == true && node.at("/data/nodeName") == "taken-1"
                        && node.at("/data/description") == "d" && node.at("/data/nodeGroup") == "",
                    "{}", node.shown()
                );
                let again = lab.refused("manageNode", "40012013", with(body.clone(), "name", json!("other"))).await?;
                anyhow::ensure!(again.at("/data").is_null(), "{}", again.shown());
                lab.refused("manageNode", "40012013", with(body.clone(), "nodeID", json!(second.number))).await?;
                lab.refused("manageNode", "40012013", with(body.clone(), "nodeID", json!(4_000_000_000_u32))).await?;
                let wrong = [with(body.clone(), "groupIDs", json!("1")), with(body.clone(), "nodeID", json!("1")), with(body.clone(), "name", json!(1))];
                let invalid = [
                    with(body.clone(), "name", Value::Null), with(body.clone(), "name", json!("-a")), with(body.clone(), "name", json!("a.b")),
                    with(body.clone(), "name", json!("x".repeat(65))), with(body.clone(), "nodeID", json!(0)),
                    with(body.clone(), "groupIDs", json!([1, 1])), with(body.clone(), "groupIDs", json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])),
                    with(body, "description", json!("a\u{b}b")),
                ];
                lab.checks_body("manageNode", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "manageNode",
            rules: ["manageNode/ed3cd2f3", "manageNode/c692e1d4", "manageNode/deef0f47", "manageNode/74335178", "manageNode/2cd79f40"],
            async |lab: &mut MefLab| {
                let (light, heavy) = (lab.group().await?, lab.group().await?);
                let app = lab.app().await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [light] })).await?;
                let large = with(super::lab::container("main"), "cpuRequest", json!(500));
                let name = lab.fresh("large-");
                let large = lab.done("createApp", json!({ "appName": name, "containers": [large] })).await?;
                lab.done("deployApp", json!({ "appID": large.at("/data"), "nodeGroupIds": [heavy] })).await?;
                let node = lab.waiting().await?;
                let _box = lab.connect(&node, 4, 8192).await?;
                let body = json!({ "nodeID": node.number, "name": "in-groups", "groupIDs": [light, heavy, 4_000_000_000_u32] });
                let answer = lab.refused("manageNode", "40012013", body).await?;
                let (mut failed, joined) = batch(&answer);
                failed.sort_by_key(|key| key == "4000000000");
                anyhow::ensure!(failed == [heavy.to_string(), "4000000000".to_owned()] && joined == json!([light]), "{}", answer.shown());
                let shown = lab.read("getNode", &[("id", &node.number.to_string())]).await?;
                anyhow::ensure!(shown.at("/data/isManaged") == true, "{}", shown.shown());
                lab.until_instances(app, 1, "running").await?;
                // All ten groups that a node may be in at once.
                let mut groups = Vec::new();
                for _ in 0..10 {
                    groups.push(lab.group().await?);
                }
                let answer = lab.node(&groups).await?;
                let shown = lab.read("getNode", &[("id", &answer.number.to_string())]).await?;
                anyhow::ensure!(shown.at("/data/nodeGroup").as_str().is_some_and(|names| names.split(',').count() == 10), "{}", shown.shown());
            }
        },
        case! {
            operation: "listManagedNodes",
            rules: [
                "listManagedNodes/96deffe7", "listManagedNodes/484dc4c7", "listManagedNodes/c3c175f2",
                "listManagedNodes/320a0bad", "listManagedNodes/29012707",
            ],
            errors: ["listManagedNodes/400/00001001", "listManagedNodes/400/00001005", "listManagedNodes/400/40012010"],
            async |lab: &mut MefLab| {
                lab.checks_page("listManagedNodes").await?;
                let (first, second) = (lab.group().await?, lab.group().await?);
                let node = lab.node(&[first, second]).await?;
                lab.node(&[]).await?;
                lab.waiting().await?;
                lab.checks_search("listManagedNodes", "nodes", "nodeName", "node-").await?;
                let listed = lab.read("listManagedNodes", &[("pageNum", "1"), ("pageSize", "100")]).await?;
                let rows = listed.at("/data/nodes").as_array().cloned().unwrap_or_default();
                anyhow::ensure!(rows.iter().all(|row| row["isManaged"] == true), "{}", listed.shown());
                let mut names = Vec::new();
                for group in [first, second] {
                    let group = lab.read("getNodeGroup", &[("id", &group.to_string())]).await?;
                    names.push(group.at("/data/groupName").as_str().unwrap_or_default().to_owned());
                }
                let row = rows.iter().find(|row| row["id"] == node.number).cloned().unwrap_or_default();
                anyhow::ensure!(row["nodeGroup"] == names.join(",").as_str(), "{row}");
                anyhow::ensure!(row["softwareInfo"].as_str().is_some_and(|text| text.starts_with("[{\"")), "{row}");
                lab.unread_without("node", "listManagedNodes", "40012010", &[("pageNum", "1"), ("pageSize", "9")]).await?;
            }
        },
        case! {
            operation: "listAllNodes",
            rules: ["listAllNodes/96deffe7", "listAllNodes/484dc4c7", "listAllNodes/f5876475", "listAllNodes/320a0bad"],
            errors: ["listAllNodes/400/00001001", "listAllNodes/400/00001005", "listAllNodes/400/40012010"],
            async |lab: &mut MefLab| {
                lab.checks_page("listAllNodes").await?;
                let group = lab.group().await?;
                let (managed, waiting) = (lab.node(&[group]).await?, lab.waiting().await?);
                lab.checks_search("listAllNodes", "nodes", "nodeName", "host").await?;
                let listed = lab.read("listAllNodes", &[("pageNum", "1"), ("pageSize", "100")]).await?;
                let rows = listed.at("/data/nodes").as_array().cloned().unwrap_or_default();
                let row = |number: u32| rows.iter().find(|row| row["id"] == number).cloned().unwrap_or_default();
                anyhow::ensure!(row(managed.number)["isManaged"] == true && row(waiting.number)["isManaged"] == false, "{}", listed.shown());
                anyhow::ensure!(row(managed.number)["nodeGroup"] != "" && row(waiting.number)["nodeGroup"] == "", "{}", listed.shown());
                lab.unread_without("node", "listAllNodes", "40012010", &[("pageNum", "1"), ("pageSize", "9")]).await?;
            }
        },
        case! {
            operation: "getNode",
            rules: ["getNode/a669e22b", "getNode/1393b5e6", "getNode/0c49ed5c", "getNode/dd394648"],
            errors: ["getNode/400/00001001", "getNode/400/00001005", "getNode/400/40012007"],
            async |lab: &mut MefLab| {
                let node = lab.node(&[]).await?;
                let id = node.number.to_string();
                let offline = lab.read("getNode", &[("id", &id)]).await?;
                let figures = |answer: &crate::contract::Answer| ["cpu", "memory", "npu"].map(|key| answer.at(&format!("/data/{key}")).clone());
                anyhow::ensure!(offline.at("/data/status") == "offline" && figures(&offline) == [0, 0, 0].map(Value::from), "{}", offline.shown());
                let mut connected = lab.connect(&node, 8, 16_384).await?;
                connected.facts.npus = vec![NpuChip::default(), NpuChip { npu_id: 1, ..NpuChip::default() }];
                connected.tell(Order::Facts(Box::new(connected.facts.clone())));
                until!("two chips", {
                    let ready = lab.read("getNode", &[("sn", &node.serial)]).await?;
                    (figures(&ready) == [7, 15_360 * super::lab::MIB, 2].map(Value::from)).then_some(())
                });
                lab.unread("getNode", "00001001", &[]).await?;
                lab.unread("getNode", "00001001", &[("id", &id), ("sn", &node.serial)]).await?;
                lab.unread("getNode", "00001001", &[("id", "x")]).await?;
                for query in [[("id", "0")], [("sn", "")], [("sn", "-a")], [("sn", "a b")]] {
                    lab.unread("getNode", "00001005", &query).await?;
                }
                lab.unread("getNode", "40012007", &[("id", "4000000000")]).await?;
                lab.unread("getNode", "40012007", &[("sn", "nobody")]).await?;
            }
        },
        case! {
            operation: "updateManagedNode",
            rules: ["updateManagedNode/5c87bb6e", "updateManagedNode/952d5031", "updateManagedNode/fcc3a53d"],
            errors: [
                "updateManagedNode/400/00001006", "updateManagedNode/400/00001005", "updateManagedNode/400/40012000",
                "updateManagedNode/400/40012008",
            ],
            async |lab: &mut MefLab| {
                let (node, other, waiting) = (lab.node(&[]).await?, lab.node(&[]).await?, lab.waiting().await?);
                let id = node.number.to_string();
                let before = lab.read("getNode", &[("id", &id)]).await?;
                let body = json!({ "nodeID": node.number, "nodeName": "renamed-1", "description": "new", "serialNumber": "x", "isManaged": false });
                lab.done("updateManagedNode", body.clone()).await?;
                lab.done("updateManagedNode", json!({ "nodeID": node.number, "nodeName": "renamed-1" })).await?;
                let after = lab.read("getNode", &[("id", &id)]).await?;
                let mut expected = before.at("/data").clone();
                expected = with(with(expected, "nodeName", json!("renamed-1")), "description", json!("new"));
                anyhow::ensure!(*after.at("/data") == expected, "{} is not {expected}", after.shown());
                lab.refused("updateManagedNode", "40012000", with(body.clone(), "nodeID", json!(other.number))).await?;
                for unknown in [waiting.number, 4_000_000_000] {
                    let body = json!({ "nodeID": unknown, "nodeName": "somebody" });
                    lab.refused("updateManagedNode", "40012008", body).await?;
                }
                let wrong = [with(body.clone(), "nodeID", json!(true))];
                let invalid = [with(body.clone(), "nodeName", Value::Null), with(body.clone(), "nodeName", json!("a/b")), with(body, "nodeID", Value::Null)];
                lab.checks_body("updateManagedNode", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "deleteUnmanagedNodes",
            rules: ["deleteUnmanagedNodes/e1575efb", "deleteUnmanagedNodes/54489606", "deleteUnmanagedNodes/13dd63fb", "deleteUnmanagedNodes/f7400f7f", "deleteUnmanagedNodes/889bb26f"],
            errors: ["deleteUnmanagedNodes/400/00001006", "deleteUnmanagedNodes/400/00001005", "deleteUnmanagedNodes/400/40012014"],
            async |lab: &mut MefLab| {
                let (first, second, managed) = (lab.waiting().await?, lab.waiting().await?, lab.node(&[]).await?);
                let connected = lab.connect(&first, 4, 8192).await?;
                let body = json!({ "nodeIDs": [managed.number, first.number, 4_000_000_000_u32] });
                let answer = lab.refused("deleteUnmanagedNodes", "40012014", body).await?;
                let (mut failed, done) = batch(&answer);
                failed.sort_by_key(|key| key == "4000000000");
                anyhow::ensure!(failed == [managed.number.to_string(), "4000000000".to_owned()] && done == json!([first.number]), "{}", answer.shown());
                anyhow::ensure!(connected.ended().await?, "the box was not told");
                lab.unread("getNode", "40012007", &[("sn", &first.serial)]).await?;
                let answer = lab.done("deleteUnmanagedNodes", json!({ "nodeIDs": [second.number] })).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.checks_body("deleteUnmanagedNodes", &[json!({ "nodeIDs": "1" })], &[json!({}), json!({ "nodeIDs": [] }), json!({ "nodeIDs": [1, 1] })]).await?;
            }
        },
        case! {
            operation: "deleteManagedNodes",
            rules: [
                "deleteManagedNodes/78699ecc", "deleteManagedNodes/244aa66e", "deleteManagedNodes/9090305b",
                "deleteManagedNodes/560484a2", "deleteManagedNodes/b3863bd2", "deleteManagedNodes/13dd63fb",
                "deleteManagedNodes/f7400f7f", "deleteManagedNodes/889bb26f",
            ],
            errors: ["deleteManagedNodes/400/00001006", "deleteManagedNodes/400/00001005", "deleteManagedNodes/400/40012014"],
            async |lab: &mut MefLab| {
                let (used, free, app) = (lab.group().await?, lab.group().await?, lab.app().await?);
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [used] })).await?;
                let (busy, idle, waiting) = (lab.node(&[used]).await?, lab.node(&[free]).await?, lab.waiting().await?);
                let connected = lab.connect(&idle, 4, 8192).await?;
                let answer = lab.refused("deleteManagedNodes", "40012014", json!({ "nodeIDs": [waiting.number, idle.number, busy.number] })).await?;
                let (mut failed, done) = batch(&answer);
                failed.sort();
                let mut expected = vec![waiting.number.to_string(), busy.number.to_string()];
                expected.sort();
                anyhow::ensure!(failed == expected && done == json!([idle.number]), "{}", answer.shown());
                anyhow::ensure!(connected.ended().await?, "the box was not told");
                let group = lab.read("getNodeGroup", &[("id", &free.to_string())]).await?;
                anyhow::ensure!(group.at("/data/nodes").is_null(), "{}", group.shown());
                anyhow::ensure!(lab.connect(&idle, 4, 8192).await.is_err(), "it came back with its old certificate");
                let back = lab.joined(idle.serial.trim_start_matches("SN-").to_owned()).await?;
                anyhow::ensure!(back.number > busy.number, "its number was used again");
                let other = lab.node(&[]).await?;
                let answer = lab.done("deleteManagedNodes", json!({ "nodeIDs": [other.number] })).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.checks_body("deleteManagedNodes", &[json!({ "nodeIDs": [1.5] })], &[json!({}), json!({ "nodeIDs": [0] })]).await?;
            }
        },
        case! {
            operation: "getNodeStats",
            rules: ["getNodeStats/47873bfe"],
            errors: ["getNodeStats/400/40012009"],
            async |lab: &mut MefLab| {
                let counts = |answer: &crate::contract::Answer| -> anyhow::Result<Vec<u32>> {
                    ["ready", "notReady", "unknown", "offline", "abnormal"].iter().map(|key| number(answer.at(&format!("/data/{key}")))).collect()
                };
                let node = lab.node(&[]).await?;
                let mut connected = lab.connect(&node, 4, 8192).await?;
                let ready = counts(&lab.read("getNodeStats", &[]).await?)?;
                anyhow::ensure!(ready[0] >= 1 && ready[3] >= 1, "{ready:?}");
                connected.facts.runtime_problem = Some("the container engine does not answer".to_owned());
                connected.tell(Order::Facts(Box::new(connected.facts.clone())));
                lab.until_status(node.number, "notReady").await?;
                let bad = counts(&lab.read("getNodeStats", &[]).await?)?;
                anyhow::ensure!(bad[1] == ready[1] + 1, "{bad:?} after {ready:?}");
                drop(connected);
                lab.clock.advance(31_000);
                lab.until_status(node.number, "unknown").await?;
                let lost = counts(&lab.read("getNodeStats", &[]).await?)?;
                let all = lab.read("listAllNodes", &[("pageNum", "1"), ("pageSize", "1")]).await?;
                anyhow::ensure!(lost[2] >= 1 && all.at("/data/total") == lost.iter().sum::<u32>(), "{lost:?}");
                lab.unread_without("node", "getNodeStats", "40012009", &[]).await?;
            }
        },
    ],
};
