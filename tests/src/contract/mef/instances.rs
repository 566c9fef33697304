//! Instances of applications.

use super::lab::{MefLab, Order, until};
use crate::{case, contract::Chapter};
use edgedeck_model::deployment::InstanceState;
use serde_json::{Value, json};

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "instances",
    cases: &[
        case! {
            operation: "listDeployments",
            rules: ["listDeployments/97afbaaf"],
            async |lab: &mut MefLab| {
                let empty = lab.read("listDeployments", &[("pageNum", "1"), ("pageSize", "10")]).await?;
                anyhow::ensure!(*empty.at("/data") == json!({ "appInstances": null, "total": 0 }), "{}", empty.shown());
            }
        },
        case! {
            operation: "listAppDeployments",
            rules: ["listAppDeployments/07f8b132", "listAppDeployments/8fe4566a"],
            errors: ["listAppDeployments/400/00001001", "listAppDeployments/400/00001005", "listAppDeployments/400/40022009"],
            async |lab: &mut MefLab| {
                let (app, other, group) = (lab.app().await?, lab.app().await?, lab.group().await?);
                let (node, quiet) = (lab.node(&[group]).await?, lab.node(&[group]).await?);
                for app in [app, other] {
                    lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                }
                let connected = lab.connect(&node, 4, 8192).await?;
                let id = app.to_string();
                let told = [
                    (InstanceState::Running, "running", "running"), (InstanceState::Pulling, "pending", "waiting"),
                    (InstanceState::Failed, "failed", "terminated"), (InstanceState::Succeeded, "succeeded", "terminated"),
                ];
                for (state, app_status, container_status) in told {
                    connected.tell(Order::Are(state, 3));
                    until!(app_status, {
                        let answer = lab.read("listAppDeployments", &[("appID", &id)]).await?;
                        let rows = answer.at("/data/appInstances").as_array().cloned().unwrap_or_default();
                        anyhow::ensure!(rows.len() == 2 && rows.iter().all(|row| row["appID"] == app), "{}", answer.shown());
                        let of = |number: u32| rows.iter().find(|row| row["nodeID"] == number).cloned().unwrap_or_default();
                        let (row, silent) = (of(node.number), of(quiet.number));
                        anyhow::ensure!(silent["appStatus"] == "unknown" && silent["nodeStatus"] == "offline", "{silent}");
                        let info = &row["containerInfo"][0];
                        (row["appStatus"] == app_status && info["status"] == container_status && info["restartCount"] == 3
                            && info["image"] == "ubuntu:22.04").then_some(())
                    });
                }
                let unknown = lab.read("listAppDeployments", &[("appID", "4000000000")]).await?;
                anyhow::ensure!(*unknown.at("/data") == json!({ "appInstances": null, "total": 0 }), "{}", unknown.shown());
                lab.unread("listAppDeployments", "00001001", &[("appID", "")]).await?;
                lab.unread("listAppDeployments", "00001005", &[("appID", "0")]).await?;
                lab.unread_without("placement", "listAppDeployments", "40022009", &[("appID", &id)]).await?;
            }
        },
        case! {
            operation: "listNodeDeployments",
            rules: ["listNodeDeployments/8f6e5080", "listNodeDeployments/7f4dfc9d"],
            errors: ["listNodeDeployments/400/00001001", "listNodeDeployments/400/00001005", "listNodeDeployments/400/40022010"],
            async |lab: &mut MefLab| {
                let (first, second, one, two) = (lab.group().await?, lab.group().await?, lab.app().await?, lab.app().await?);
                let (node, _other) = (lab.node(&[first, second]).await?, lab.node(&[first]).await?);
                lab.done("deployApp", json!({ "appID": one, "nodeGroupIds": [first, second] })).await?;
                lab.done("deployApp", json!({ "appID": two, "nodeGroupIds": [second] })).await?;
                let id = node.number.to_string();
                let answer = lab.read("listNodeDeployments", &[("nodeID", &id)]).await?;
                let rows = answer.at("/data/appInstances").as_array().cloned().unwrap_or_default();
                let mut found: Vec<(Option<u64>, Option<u64>)> = rows.iter()
                    .filter(|row| row["nodeID"] == node.number)
                    .map(|row| (row["appID"].as_u64(), row["nodeGroupInfo"]["nodeGroupID"].as_u64())).collect();
                found.sort();
                let expected = [(one, first), (one, second), (two, second)].map(|(app, group)| (Some(app.into()), Some(group.into())));
                anyhow::ensure!(found == expected && answer.at("/data/total") == 3, "{}", answer.shown());
                let unknown = lab.read("listNodeDeployments", &[("nodeID", "4000000000")]).await?;
                anyhow::ensure!(unknown.at("/data/appInstances").is_null(), "{}", unknown.shown());
                lab.unread("listNodeDeployments", "00001001", &[]).await?;
                lab.unread("listNodeDeployments", "00001005", &[("nodeID", "4294967296")]).await?;
                lab.unread_without("placement", "listNodeDeployments", "40022010", &[("nodeID", &id)]).await?;
            }
        },
        case! {
            operation: "listDeployments",
            rules: ["listDeployments/96deffe7", "listDeployments/484dc4c7", "listDeployments/a7b1887a", "listDeployments/12300abf"],
            errors: ["listDeployments/400/00001001", "listDeployments/400/00001005", "listDeployments/400/40022011"],
            async |lab: &mut MefLab| {
                lab.checks_page("listDeployments").await?;
                let (group, app) = (lab.group().await?, lab.app().await?);
                lab.node(&[group]).await?;
                lab.node(&[group]).await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                let shown = lab.read("getApp", &[("appID", &app.to_string())]).await?;
                let name = shown.at("/data/appName").as_str().unwrap_or_default().to_owned();
                lab.checks_search("listDeployments", "appInstances", "appName", &name).await?;
                let all = lab.read("listDeployments", &[("pageNum", "1"), ("pageSize", "100"), ("name", &name)]).await?;
                let rows = all.at("/data/appInstances").as_array().map_or(0, Vec::len);
                anyhow::ensure!(rows == 2 && all.at("/data/total") == 2 && all.at("/data/appInstances/0/appName") != &Value::Null, "{}", all.shown());
                lab.unread_without("placement", "listDeployments", "40022011", &[("pageNum", "1"), ("pageSize", "9")]).await?;
            }
        },
    ],
};
