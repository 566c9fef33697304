//! Applications: made, read, changed, deployed, deleted.

use super::lab::{MefLab, batch, container, number, until, with};
use crate::{case, contract::Chapter};
use serde_json::{Value, json};

/// Every field that a container can have.
fn full() -> Value {
    json!({
        "name": "container1", "cpuRequest": 1.25, "cpuLimit": 2, "memRequest": 200, "memLimit": 300, "npu": 2,
        "image": "registry.lab:5000/project/ubuntu", "imageVersion": "22.04",
        "env": [{ "name": "lib", "value": "/test:a b" }], "userID": 1001, "groupID": 1002,
        "command": ["/bin/bash", "-c"], "args": ["sleep 30000", "--a=b"],
        "containerPort": [{ "name": "test-port", "proto": "UDP", "containerPort": 1234, "hostIP": "10.10.10.20", "hostPort": 30023 }],
        "hostPathVolumes": [{ "name": "slog", "hostPath": "/var/slogd", "mountPath": "/var/slogd" }],
    })
}

/// Containers that break a rule each.
fn broken() -> Vec<Value> {
    let port = full()["containerPort"][0].clone();
    let volume = full()["hostPathVolumes"][0].clone();
    let fields = [
        ("name", json!("A")),
        ("name", json!("a-")),
        ("name", json!("x".repeat(33))),
        ("cpuRequest", json!(0)),
        ("cpuRequest", json!(0.001)),
        ("cpuRequest", json!(1000.5)),
        ("cpuLimit", json!(1)),
        ("memRequest", json!(3)),
        ("memRequest", json!(1_024_001)),
        ("memLimit", json!(199)),
        ("npu", json!(-1)),
        ("npu", json!(33)),
        ("image", json!("")),
        ("image", json!("a b")),
        ("image", json!("x".repeat(257))),
        ("imageVersion", json!("")),
        ("imageVersion", json!("a:b")),
        ("userID", json!(0)),
        ("groupID", json!(0)),
        ("userID", json!(65_536)),
        ("env", json!([{ "name": "x", "value": "y" }])),
        ("env", json!([{ "name": "ab", "value": "" }])),
        ("env", json!([{ "name": "ab" }])),
        ("env", json!([{ "name": "ab", "value": "$x" }])),
        (
            "env",
            json!([{ "name": "ab", "value": "x" }, { "name": "ab", "value": "y" }]),
        ),
        ("command", json!([""])),
        ("command", json!(["a;b"])),
        ("command", json!(vec!["a"; 17])),
        ("args", json!(["a "])),
        ("args", json!(["$(x)"])),
        ("containerPort", json!([with(port.clone(), "hostPort", json!(1023))])),
        ("containerPort", json!([with(port.clone(), "containerPort", json!(0))])),
        ("containerPort", json!([with(port.clone(), "proto", json!("tcp"))])),
        ("containerPort", json!([with(port.clone(), "hostIP", json!("0.0.0.0"))])),
        (
            "containerPort",
            json!([with(port.clone(), "hostIP", json!("255.255.255.255"))]),
        ),
        ("containerPort", json!([with(port.clone(), "hostIP", json!("::1"))])),
        ("containerPort", json!([with(port, "name", Value::Null)])),
        (
            "hostPathVolumes",
            json!([with(volume.clone(), "hostPath", json!("/etc"))]),
        ),
        (
            "hostPathVolumes",
            json!([with(volume.clone(), "hostPath", json!("/var/slogd/../x"))]),
        ),
        (
            "hostPathVolumes",
            json!([with(volume.clone(), "mountPath", json!("/a/../b"))]),
        ),
        (
            "hostPathVolumes",
            json!([with(volume.clone(), "mountPath", json!("relative"))]),
        ),
        (
            "hostPathVolumes",
            json!([volume, with(volume.clone(), "mountPath", json!("/other"))]),
        ),
        (
            "hostPathVolumes",
            json!([volume, with(volume.clone(), "name", json!("other"))]),
        ),
    ];
    let mut containers: Vec<Value> = fields
        .into_iter()
        .map(|(field, value)| with(full(), field, value))
        .collect();
    for field in ["name", "cpuRequest", "memRequest", "image", "imageVersion"] {
        containers.push(with(full(), field, Value::Null));
    }
    containers
}

/// Bodies of createApp or updateApp that break a rule each.
fn invalid(body: &Value) -> Vec<Value> {
    let mut bodies: Vec<Value> = broken()
        .into_iter()
        .map(|container| with(body.clone(), "containers", json!([container])))
        .collect();
    let eleven: Vec<Value> = (0..11).map(|at| container(&format!("c{at}"))).collect();
    bodies.extend([
        with(body.clone(), "appName", Value::Null),
        with(body.clone(), "appName", json!("App")),
        with(body.clone(), "appName", json!("a-")),
        with(body.clone(), "description", json!("a\tb")),
        with(body.clone(), "containers", Value::Null),
        with(body.clone(), "containers", json!([])),
        with(body.clone(), "containers", json!(eleven)),
        with(body.clone(), "containers", json!([full(), full()])),
    ]);
    bodies
}

fn wrong_types(body: &Value) -> Vec<Value> {
    let container = |field, value| with(body.clone(), "containers", json!([with(full(), field, value)]));
    vec![
        with(body.clone(), "appName", json!(1)),
        with(body.clone(), "containers", json!({})),
        container("cpuRequest", json!("1")),
        container("memRequest", json!(1.5)),
        container("env", json!({})),
        container("command", json!("sh")),
        container("containerPort", json!([1])),
    ]
}

async fn groups_of(lab: &MefLab, app: u32) -> anyhow::Result<Vec<Value>> {
    let app = lab.read("getApp", &[("appID", &app.to_string())]).await?;
    let groups = app.at("/data/nodeGroupInfos").as_array().cloned().unwrap_or_default();
    Ok(groups.into_iter().map(|group| group["nodeGroupID"].clone()).collect())
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "apps",
    cases: &[
        case! {
            operation: "listApps",
            rules: ["listApps/97afbaaf", "listApps/8eeaf5c0"],
            async |lab: &mut MefLab| {
                let empty = lab.read("listApps", &[("pageNum", "1"), ("pageSize", "10")]).await?;
                let expected = json!({ "appInfo": null, "deployed": 0, "unDeployed": 0, "total": 0 });
                anyhow::ensure!(*empty.at("/data") == expected && empty.at("/msg") == "list apps Infos success", "{}", empty.shown());
            }
        },
        case! {
            operation: "createApp",
            rules: [
                "createApp/774d108e", "createApp/245201a9", "createApp/9cec9cb0", "createApp/b7113c98", "createApp/8a6c8b59",
                "listApps/fbce5230", "getApp/a4fa84c8", "getApp/b907b6ce",
            ],
            async |lab: &mut MefLab| {
                let body = json!({ "appName": "full", "description": "everything", "containers": [full(), container("plain")] });
                let id = number(lab.done("createApp", body).await?.at("/data"))?;
                let node_group = lab.group().await?;
                lab.node(&[node_group]).await?;
                lab.until_instances(id, 0, "pending").await?;
                let shown = lab.read("getApp", &[("appID", &id.to_string())]).await?;
                let expected = with(full(), "cpuLimit", json!(2.0));
                anyhow::ensure!(*shown.at("/data/containers/0") == expected, "{} is not {expected}", shown.at("/data/containers/0"));
                anyhow::ensure!(*shown.at("/data/nodeGroupInfos") == json!([]), "{}", shown.shown());
                let plain = shown.at("/data/containers/1");
                for key in ["env", "userID", "groupID", "command", "args", "containerPort", "hostPathVolumes"] {
                    anyhow::ensure!(plain.get(key).is_some_and(Value::is_null), "{key} of {plain}");
                }
                let spec = &lab.engine().app(lab.app_id(id)?)?.versions[0].spec;
                let images: Vec<&str> = spec.parts.iter().filter_map(|part| match &part.run {
                    edgedeck_model::app::Run::Container(run) => Some(run.image.as_str()),
                    edgedeck_model::app::Run::Process(_) => None,
                }).collect();
                anyhow::ensure!(images == ["registry.lab:5000/project/ubuntu:22.04", "ubuntu:22.04"], "{images:?}");
                lab.done("deployApp", json!({ "appID": id, "nodeGroupIds": [node_group] })).await?;
                anyhow::ensure!(groups_of(lab, id).await? == [node_group]);
            }
        },
        case! {
            operation: "createApp",
            rules: ["createApp/a8e7e720", "createApp/e90d1bec", "createApp/e4e1a5a2", "createApp/61e90774", "createApp/45c57c1f", "createApp/07a13898"],
            errors: ["createApp/400/00001006", "createApp/400/00001005"],
            async |lab: &mut MefLab| {
                let body = json!({ "appName": "wrong", "containers": [full()] });
                lab.checks_body("createApp", &wrong_types(&body), &invalid(&body)).await?;
                let listed = lab.read("listApps", &[("pageNum", "1"), ("pageSize", "10"), ("name", "wrong")]).await?;
                anyhow::ensure!(listed.at("/data/total") == 0, "something was stored");
            }
        },
        case! {
            operation: "createApp",
            errors: ["createApp/400/40021001", "createApp/400/40021002", "createApp/400/40022000", "createApp/400/40022002"],
            async |lab: &mut MefLab| {
                let body = json!({ "appName": "once", "containers": [container("main")] });
                lab.done("createApp", body.clone()).await?;
                lab.refused("createApp", "40022000", body.clone()).await?;
                let other = with(body, "appName", json!("never"));
                lab.refused("createApp", "40021001", with(other.clone(), "description", json!("a\u{202e}b"))).await?;
                // No container engine runs a container in 4 MiB.
                let small = with(container("main"), "memRequest", json!(4));
                lab.refused("createApp", "40021002", with(other.clone(), "containers", json!([small]))).await?;
                lab.refused_without("app", "createApp", "40022002", other).await?;
            }
        },
        case! {
            operation: "getApp",
            rules: ["getApp/79276a98"],
            errors: ["getApp/400/00001001", "getApp/400/00001005", "getApp/400/40022001", "getApp/400/40022003"],
            async |lab: &mut MefLab| {
                let app = lab.app().await?.to_string();
                lab.read("getApp", &[("appID", &app)]).await?;
                lab.unread("getApp", "00001001", &[]).await?;
                lab.unread("getApp", "00001005", &[("appID", "0")]).await?;
                lab.unread("getApp", "40022001", &[("appID", "4000000000")]).await?;
                lab.unread_without("app", "getApp", "40022003", &[("appID", &app)]).await?;
            }
        },
        case! {
            operation: "updateApp",
            rules: ["updateApp/bbfbdfe5", "updateApp/a5dae44d", "updateApp/658fdcac", "updateApp/a67e9d0d", "updateApp/a594e6f0", "updateApp/1ab93821"],
            errors: [
                "updateApp/400/00001006", "updateApp/400/00001005", "updateApp/400/40021001", "updateApp/400/40021002",
                "updateApp/400/40022001", "updateApp/400/40022007",
            ],
            async |lab: &mut MefLab| {
                let (group, app) = (lab.group().await?, lab.app().await?);
                let node = lab.node(&[group]).await?;
                let _box = lab.connect(&node, 4, 8192).await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [group] })).await?;
                lab.until_instances(app, 1, "running").await?;
                let id = app.to_string();
                let before = lab.read("getApp", &[("appID", &id)]).await?;
                lab.clock.advance(2_000);
                let changed = json!({ "name": "renamed", "cpuRequest": 1, "memRequest": 99, "image": "debian", "imageVersion": "12", "userId": 7 });
                let body = json!({ "appID": app, "appName": "other-name", "description": "other", "containers": [changed] });
                lab.done("updateApp", body.clone()).await?;
                let after = lab.read("getApp", &[("appID", &id)]).await?;
                let container = with(with(before.at("/data/containers/0").clone(), "image", json!("debian")), "imageVersion", json!("12"));
                anyhow::ensure!(*after.at("/data/containers") == json!([container]), "{}", after.shown());
                for key in ["/data/appName", "/data/description", "/data/createdAt"] {
                    anyhow::ensure!(after.at(key) == before.at(key), "{key} of {}", after.shown());
                }
                anyhow::ensure!(after.at("/data/modifiedAt") != before.at("/data/modifiedAt"), "{}", after.shown());
                until!("the new image on the node", {
                    let rows = lab.until_instances(app, 1, "running").await?;
                    (rows[0]["containerInfo"][0]["image"] == "debian:12").then_some(())
                });
                let two = json!([changed, with(changed.clone(), "name", json!("second"))]);
                lab.refused("updateApp", "40022007", with(body.clone(), "containers", two)).await?;
                lab.refused("updateApp", "40022001", with(body.clone(), "appID", json!(4_000_000_000_u32))).await?;
                lab.refused("updateApp", "40021001", with(body.clone(), "description", json!("a\u{202e}b"))).await?;
                let small = with(changed.clone(), "memRequest", json!(4));
                lab.refused("updateApp", "40021002", with(body.clone(), "containers", json!([small]))).await?;
                let mut broken = invalid(&body);
                broken.push(with(body.clone(), "appID", Value::Null));
                lab.checks_body("updateApp", &wrong_types(&body), &broken).await?;
            }
        },
        case! {
            operation: "listApps",
            rules: ["listApps/96deffe7", "listApps/484dc4c7", "listApps/f0ea8e7a", "listApps/1429d0dc"],
            errors: ["listApps/400/00001001", "listApps/400/00001005", "listApps/400/40022004"],
            async |lab: &mut MefLab| {
                lab.checks_page("listApps").await?;
                let (deployed, _, group) = (lab.app().await?, lab.app().await?, lab.group().await?);
                lab.done("deployApp", json!({ "appID": deployed, "nodeGroupIds": [group] })).await?;
                lab.checks_search("listApps", "appInfo", "appName", "app-").await?;
                let all = lab.read("listApps", &[("pageNum", "1"), ("pageSize", "100")]).await?;
                let rows = all.at("/data/appInfo").as_array().cloned().unwrap_or_default();
                let used = rows.iter().filter(|row| row["nodeGroupInfos"] != json!([])).count();
                let none = lab.read("listApps", &[("pageNum", "1"), ("pageSize", "100"), ("name", "no-such-app")]).await?;
                for answer in [&all, &none] {
                    anyhow::ensure!(answer.at("/data/deployed") == used && answer.at("/data/unDeployed") == rows.len() - used, "{}", answer.shown());
                }
                lab.unread_without("app", "listApps", "40022004", &[("pageNum", "1"), ("pageSize", "9")]).await?;
            }
        },
        case! {
            operation: "deployApp",
            rules: [
                "deployApp/b43fd9b8", "deployApp/2dca100d", "deployApp/e6bb0e02", "deployApp/a67e9d0d", "deployApp/2443221b",
                "deployApp/f7400f7f", "deployApp/889bb26f",
            ],
            errors: ["deployApp/400/00001006", "deployApp/400/00001005", "deployApp/400/40022001", "deployApp/400/40022005"],
            async |lab: &mut MefLab| {
                let (app, first, second, third) = (lab.app().await?, lab.group().await?, lab.group().await?, lab.group().await?);
                lab.node(&[first, second]).await?;
                let body = json!({ "appID": app, "nodeGroupIds": [first, second] });
                let answer = lab.done("deployApp", body.clone()).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                // The node has never connected: the plan stands, and that nothing is known of it shows in the instances.
                lab.until_instances(app, 2, "unknown").await?;
                let late = lab.node(&[]).await?;
                lab.done("addNodesToGroup", json!({ "groupID": first, "nodeIDs": [late.number] })).await?;
                lab.until_instances(app, 3, "unknown").await?;
                let again = with(body.clone(), "nodeGroupIds", json!([first, third, 4_000_000_000_u32]));
                let answer = lab.refused("deployApp", "40022005", again).await?;
                let (mut failed, done) = batch(&answer);
                failed.sort_by_key(|key| key == "4000000000");
                anyhow::ensure!(failed == [first.to_string(), "4000000000".to_owned()] && done == json!([third]), "{}", answer.shown());
                lab.refused("deployApp", "40022001", with(body.clone(), "appID", json!(4_000_000_000_u32))).await?;
                let wrong = [with(body.clone(), "nodeGroupIds", json!("1"))];
                let many: Vec<u32> = (1..=1025).collect();
                let invalid = [
                    with(body.clone(), "nodeGroupIds", json!([])), with(body.clone(), "nodeGroupIds", json!([1, 1])),
                    with(body.clone(), "nodeGroupIds", json!(many)), with(body.clone(), "appID", Value::Null),
                    json!({ "appID": app, "groupIDs": [first] }),
                ];
                lab.checks_body("deployApp", &wrong, &invalid).await?;
            }
        },
        case! {
            operation: "deployApp",
            rules: ["deployApp/7e2af936", "deployApp/b17a51ef"],
            async |lab: &mut MefLab| {
                let (ready, offline) = (lab.group().await?, lab.group().await?);
                let node = lab.node(&[ready]).await?;
                lab.node(&[offline]).await?;
                let _box = lab.connect(&node, 2, 2048).await?;
                for (field, value) in [("cpuRequest", json!(1.1)), ("memRequest", json!(1025)), ("npu", json!(1))] {
                    let name = lab.fresh("too-large-");
                    let asking = with(container("main"), field, value);
                    let app = lab.done("createApp", json!({ "appName": name, "containers": [asking] })).await?;
                    let body = json!({ "appID": app.at("/data"), "nodeGroupIds": [ready, offline] });
                    let answer = lab.refused("deployApp", "40022005", body).await?;
                    anyhow::ensure!(batch(&answer) == (vec![ready.to_string()], json!([offline])), "{field}: {}", answer.shown());
                }
            }
        },
        case! {
            operation: "undeployApp",
            rules: [
                "undeployApp/8ed63b53", "undeployApp/ee5e7ada", "undeployApp/a67e9d0d", "undeployApp/e6bb0e02",
                "undeployApp/8196211b", "undeployApp/f7400f7f", "undeployApp/889bb26f",
            ],
            errors: ["undeployApp/400/00001006", "undeployApp/400/00001005", "undeployApp/400/40022006"],
            async |lab: &mut MefLab| {
                let (app, first, second, never) = (lab.app().await?, lab.group().await?, lab.group().await?, lab.group().await?);
                let node = lab.node(&[first, second]).await?;
                let _box = lab.connect(&node, 4, 8192).await?;
                lab.done("deployApp", json!({ "appID": app, "nodeGroupIds": [first, second] })).await?;
                lab.until_instances(app, 2, "running").await?;
                let body = json!({ "appID": app, "nodeGroupIds": [never, first] });
                let answer = lab.refused("undeployApp", "40022006", body.clone()).await?;
                anyhow::ensure!(batch(&answer) == (vec![never.to_string()], json!([first])), "{}", answer.shown());
                lab.until_instances(app, 1, "running").await?;
                anyhow::ensure!(groups_of(lab, app).await? == [second]);
                let answer = lab.done("undeployApp", with(body.clone(), "nodeGroupIds", json!([second]))).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.until_instances(app, 0, "running").await?;
                let unknown = lab.refused("undeployApp", "40022006", with(body.clone(), "appID", json!(4_000_000_000_u32))).await?;
                anyhow::ensure!(unknown.at("/data").is_null(), "{}", unknown.shown());
                let invalid = [with(body.clone(), "nodeGroupIds", json!([])), with(body.clone(), "nodeGroupIds", json!([2, 2])), with(body.clone(), "appID", json!(0))];
                lab.checks_body("undeployApp", &[with(body, "appID", json!([]))], &invalid).await?;
            }
        },
        case! {
            operation: "deleteApps",
            rules: ["deleteApps/1727033f", "deleteApps/938a08ca", "deleteApps/f7400f7f", "deleteApps/889bb26f"],
            errors: ["deleteApps/400/00001006", "deleteApps/400/00001005", "deleteApps/400/40022008"],
            async |lab: &mut MefLab| {
                let (used, free, other, group) = (lab.app().await?, lab.app().await?, lab.app().await?, lab.group().await?);
                lab.done("deployApp", json!({ "appID": used, "nodeGroupIds": [group] })).await?;
                let answer = lab.refused("deleteApps", "40022008", json!({ "appIDs": [used, free, 4_000_000_000_u32] })).await?;
                let (mut failed, done) = batch(&answer);
                failed.sort_by_key(|key| key == "4000000000");
                anyhow::ensure!(failed == [used.to_string(), "4000000000".to_owned()] && done == json!([free]), "{}", answer.shown());
                let answer = lab.done("deleteApps", json!({ "appIDs": [other] })).await?;
                anyhow::ensure!(answer.json.as_ref().is_some_and(|json| json.get("data").is_none()), "{}", answer.shown());
                lab.unread("getApp", "40022001", &[("appID", &other.to_string())]).await?;
                lab.checks_body("deleteApps", &[json!({ "appIDs": {} })], &[json!({}), json!({ "appIDs": [] }), json!({ "appIDs": [3, 3] })]).await?;
            }
        },
    ],
};
