//! The envelope and the gateway in front of it.

use super::lab::{MefLab, http};
use crate::{case, contract::Chapter};
use edgedeck_engine::Actor;
use edgedeck_gateway::dialects::mef::MefOptions;
use edgedeck_model::api::{MefLimits, Settings};
use futures::future::join_all;
use serde_json::json;
use std::collections::BTreeSet;

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "wire",
    cases: &[
        case! {
            operation: "getEdgeManagerVersion",
            rules: ["getEdgeManagerVersion/839346d0", "getEdgeManagerVersion/e2a42e0d", "global/b1a75daf"],
            async |lab: &mut MefLab| {
                let answer = lab.read("getEdgeManagerVersion", &[]).await?;
                anyhow::ensure!(answer.status == 200 && answer.at("/msg") == "success", "{}", answer.shown());
                anyhow::ensure!(answer.at("/data").as_str().is_some_and(|version| version.starts_with("7.0")), "{}", answer.shown());
            }
        },
        case! {
            operation: "createNodeGroup",
            rules: ["global/5b6ff579"],
            async |lab: &mut MefLab| {
                let body = json!({ "NODEgroupNAME": "any_case", "Description": "盒子", "unknown": { "x": [1] } });
                let id = lab.done("createNodeGroup", body).await?.at("/data").to_string();
                let made = lab.read("getNodeGroup", &[("id", &id)]).await?;
                anyhow::ensure!(made.at("/data/groupName") == "any_case" && made.at("/data/description") == "盒子", "{}", made.shown());
                // Of two fields that are the same but for their case the last counts.
                let twice = r#"{"nodeGroupName":"first","NodeGroupName":"last_one"}"#;
                let answer = lab.north.call("createNodeGroup").raw("text/plain", twice).send().await?.success()?;
                let made = lab.read("getNodeGroup", &[("id", &answer.at("/data").to_string())]).await?;
                anyhow::ensure!(made.at("/data/groupName") == "last_one", "{}", made.shown());
            }
        },
        case! {
            operation: "getEdgeManagerVersion",
            async |lab: &mut MefLab| {
                let ca = lab.engine().pki.present().pem();
                let url = format!("{}/edgemanager/v1/version", lab.base);
                anyhow::ensure!(http(&ca, None)?.get(&url).send().await.is_err(), "served without a certificate");
                let node = lab.waiting().await?;
                let pem = format!("{}{}", node.identity.certificate_pem, node.identity.key_pem);
                let answer = http(&ca, Some(&pem))?.get(&url).send().await?;
                anyhow::ensure!(answer.status() == 401, "a node's certificate got {}", answer.status());
                for (method, path, status) in [
                    ("GET", "/edgemanager/v1/nothing", 404),
                    ("GET", "/", 404),
                    ("POST", "/edgemanager/v1/version", 405),
                    ("DELETE", "/edgemanager/v1/nodegroup", 405),
                    ("HEAD", "/edgemanager/v1/version", 405),
                ] {
                    let answer = lab.http.request(method.parse()?, format!("{}{path}", lab.base)).send().await?;
                    anyhow::ensure!(answer.status() == status, "{method} {path} got {}", answer.status());
                    let body = answer.text().await?;
                    anyhow::ensure!(method == "HEAD" || body.contains("\"status\":\"") && !body.contains("00000000"), "{path}: {body}");
                }
                let large = vec![b' '; (1 << 20) + 1];
                let answer = lab.http.post(format!("{}/edgemanager/v1/nodegroup", lab.base)).body(large).send().await?;
                anyhow::ensure!(answer.status() == 413, "a large body got {}", answer.status());
                lab.read("getEdgeManagerVersion", &[]).await?;
            }
        },
        case! {
            operation: "getEdgeManagerVersion",
            rules: ["global/7718d043"],
            async |lab: &mut MefLab| {
                let limited = MefLab::start_with(lab.recording(), MefOptions::default()).await?;
                let calls = (0..40).map(|_| limited.north.call("getEdgeManagerVersion").send());
                let answers = join_all(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                let refused = answers.iter().filter(|answer| answer.status == 429).count();
                anyhow::ensure!(refused > 0 && refused < 40, "{refused} of 40 were refused");
                anyhow::ensure!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)));
                limited.running.stop().await;
                lab.read("getEdgeManagerVersion", &[]).await?;
            }
        },
        case! {
            operation: "addNodesToGroup",
            async |lab: &mut MefLab| {
                // All of it is the lab's to change, while it runs.
                let mut own = MefLab::start_with(lab.recording(), MefOptions::default()).await?;
                let set = async |own: &MefLab, change: fn(&mut MefLimits)| {
                    let mut settings = Settings::clone(&own.engine().settings());
                    change(&mut settings.mef);
                    own.engine().update_settings(&Actor::engine(), settings).await
                };
                set(&own, |mef| (mef.calls_per_second, mef.at_once) = (0, 40)).await?;
                let calls = (0..40).map(|_| own.north.call("getEdgeManagerVersion").send());
                let answers = join_all(calls).await.into_iter().collect::<Result<Vec<_>, _>>()?;
                anyhow::ensure!(answers.iter().all(|answer| answer.status == 200), "refused without a limit");
                let node = own.node(&[]).await?;
                let mut groups = Vec::new();
                for _ in 0..11 {
                    groups.push(own.group().await?);
                }
                let (last, first) = groups.split_last().ok_or_else(|| anyhow::anyhow!("no groups"))?;
                for group in first {
                    own.done("addNodesToGroup", json!({ "groupID": group, "nodeIDs": [node.number] })).await?;
                }
                let eleventh = json!({ "groupID": last, "nodeIDs": [node.number] });
                let answer = own.send("addNodesToGroup", eleventh.clone()).await?;
                anyhow::ensure!(answer.at("/status") != "00000000", "an eleventh group: {}", answer.shown());
                let other = own.waiting().await?;
                let all = json!({ "nodeID": other.number, "name": "many", "groupIDs": groups });
                let answer = own.send("manageNode", all.clone()).await?;
                anyhow::ensure!(answer.at("/status") != "00000000", "eleven groups: {}", answer.shown());
                set(&own, |mef| mef.caps = false).await?;
                own.done("addNodesToGroup", eleventh).await?;
                own.done("manageNode", all).await?;
                let post = async |own: &MefLab| {
                    let request = own.http.post(format!("{}/edgemanager/v1/nodegroup", own.base)).body(vec![b' '; 65 * 1_024]);
                    anyhow::Ok(request.send().await?.status())
                };
                anyhow::ensure!(post(&own).await? == 400, "65 KiB are not too much");
                set(&own, |mef| mef.body_kib = 64).await?;
                anyhow::ensure!(post(&own).await? == 413, "65 KiB are too much");
                lab.read("getEdgeManagerVersion", &[]).await?;
                let named = lab.group().await?;
                let node = lab.node(&[]).await?;
                lab.done("addNodesToGroup", json!({ "groupID": named, "nodeIDs": [node.number] })).await?;
                own.running.stop().await;
            }
        },
        case! {
            operation: "listAllNodes",
            rules: ["global/25bec468"],
            async |lab: &mut MefLab| {
                let (host, group) = (lab.fresh("again"), json!({ "nodeGroupName": lab.fresh("again") }));
                let (mut nodes, mut groups) = (BTreeSet::new(), BTreeSet::new());
                for _ in 0..3 {
                    let made = lab.done("createNodeGroup", group.clone()).await?.at("/data").as_u64();
                    anyhow::ensure!(groups.insert(made), "the group {made:?} is there again");
                    lab.done("deleteNodeGroups", json!({ "groupIDs": [made] })).await?;
                    let node = lab.joined(host.clone()).await?;
                    anyhow::ensure!(nodes.insert(node.number), "the node {} is there again", node.number);
                    anyhow::ensure!(lab.joined(host.clone()).await.is_err(), "its serial number is there twice");
                    lab.done("deleteUnmanagedNodes", json!({ "nodeIDs": [node.number] })).await?;
                }
                lab.waiting().await?;
                lab.node(&[]).await?;
                let listed = lab.read("listAllNodes", &[("pageNum", "1"), ("pageSize", "100")]).await?;
                let rows = listed.at("/data/nodes").as_array().cloned().unwrap_or_default();
                for field in ["id", "nodeName", "uniqueName", "serialNumber"] {
                    let different: BTreeSet<String> = rows.iter().map(|row| row[field].to_string()).collect();
                    anyhow::ensure!(rows.len() >= 2 && different.len() == rows.len(), "{field} repeats: {}", listed.shown());
                }
            }
        },
        case! {
            operation: "getNode",
            async |lab: &mut MefLab| {
                // Nothing that comes in makes the engine fail on its own.
                for path in ["/edgemanager/v1/nodegroup?id=%00", "/edgemanager/v1/node?sn=%ff%fe", "/alarmmanager/v1/alarms?%%%", "/edgemanager/v1/node/list?pageNum=1&pageSize=1&name=%27%3B--"] {
                    let status = lab.http.get(format!("{}{path}", lab.base)).send().await?.status();
                    anyhow::ensure!(!status.is_server_error(), "{path} got {status}");
                }
                lab.unread("getNode", "40012007", &[("id", "4294967295")]).await?;
            }
        },
    ],
};
