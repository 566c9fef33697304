//! Nodes, and who may ask.

use super::lab::TingyuLab;
use crate::{case, contract::Chapter};
use edgedeck_engine::Actor;
use edgedeck_model::{
    api::{ManageBody, UpdateNodeBody},
    node::{Carrier, Line},
};
use serde_json::{Value, json};

pub const CHAPTER: Chapter<TingyuLab> = Chapter {
    name: "nodes",
    cases: &[
        case! {
            operation: "getNodes",
            rules: [
                "getNodes/666925a3", "getNodes/1eb872ca", "getNodes/5dcbc838",
                "global/b4a5c7ca", "global/cf3f6c7e", "global/9db1838e", "global/36754381", "global/e3870ba2",
            ],
            errors: ["getNodes/200/500"],
            async |lab: &mut TingyuLab| {
                let (first, second) = (lab.linked("T-1").await?, lab.joined("T-2").await?);
                let actor = Actor::engine();
                let known = lab.engine().node(first.id)?;
                let line = Line { carrier: Carrier::Telecom, area: "南京".to_owned(), mbps: 1_000 };
                let body = UpdateNodeBody {
                    name: known.name, description: String::new(), labels: known.labels, line: Some(line), rev: known.rev,
                };
                lab.engine().update_node(&actor, first.id, body).await?;
                let ((name, uuid), (other, _)) = (first.names(), second.names());
                let answer = lab.read("getNodes", &[("name", &name), ("unknown", "1")]).await?;
                let eth = r#"[{"IP":"192.168.3.102","Name":"eth0","Type":"real"},{"IP":"","Name":"docker0","Type":"virt"}]"#;
                let expected = json!([{
                    "uuid": uuid, "nodename": name, "area": "南京", "operator": "电信", "bandwith": 1000, "eth": eth,
                    "diskinfo": r#"[{"Name":"/","Size":100,"Use":15}]"#, "operatingsystem": "linux", "osimage": "openEuler 22.03",
                    "architecture": "arm64", "kernelversion": "5.10.0",
                }]);
                anyhow::ensure!(*answer.at("/data") == expected && answer.at("/code") == 200, "{}", answer.shown());
                let names = |answer: &crate::contract::Answer| -> Vec<Value> {
                    let rows = answer.at("/data").as_array().cloned().unwrap_or_default();
                    rows.iter().map(|row| row["nodename"].clone()).collect()
                };
                let both = format!("{other},{},{name}", "0".repeat(32));
                anyhow::ensure!(names(&lab.read("getNodes", &[("name", &both)]).await?) == [json!(other), json!(name)]);
                // A machine's uuid is no name, and neither is anything else.
                for no_name in [uuid.as_str(), "", ",", "../..", "%", &"f".repeat(10_000)] {
                    anyhow::ensure!(names(&lab.read("getNodes", &[("name", no_name)]).await?).is_empty(), "{no_name}");
                }
                let nothing = lab.ask("getNodes", &[]).await?;
                anyhow::ensure!(!nothing.success && nothing.at("/data").is_null(), "{}", nothing.shown());
                lab.fails_without("node", "getNodes", &[("name", &name)]).await?;
            }
        },
        case! {
            operation: "listNodes",
            rules: ["listNodes/e7c1d2a8", "listNodes/1eb872ca", "listNodes/5dcbc838"],
            errors: ["listNodes/200/500"],
            async |lab: &mut TingyuLab| {
                let before = lab.read("listNodes", &[]).await?.at("/data").as_array().map_or(0, Vec::len);
                let mut boxes = Vec::new();
                for number in 0..30 {
                    boxes.push(lab.joined(&format!("L-{number}")).await?);
                }
                let linked = lab.linked("L-30").await?;
                let row = async |lab: &TingyuLab| {
                    let answer = lab.read("listNodes", &[("pageSize", "1"), ("name", "x")]).await?;
                    let rows = answer.at("/data").as_array().cloned().unwrap_or_default();
                    anyhow::ensure!(rows.len() == before + 31, "{} rows", rows.len());
                    let (name, _) = linked.names();
                    rows.into_iter().find(|row| row["nodename"] == name).ok_or_else(|| anyhow::anyhow!("{name} is missing"))
                };
                let waits = row(lab).await?;
                anyhow::ensure!(waits["status"] == "NotReady", "a node that waits takes nothing: {waits}");
                lab.engine().manage_node(&Actor::engine(), linked.id, ManageBody::default()).await?;
                let ready = row(lab).await?;
                let at = ready["createtime"].as_str().unwrap_or_default();
                anyhow::ensure!(
                    ready["status"] == "Ready" && ready["cpu"] == 24 && ready["memory"] == 32_052 && ready["address"] == ready["nodename"]
                        && ready["systemos"] == ready["osimage"] && at.len() == 19 && at.as_bytes()[10] == b' ',
                    "{ready}"
                );
                lab.clock.advance(60_000);
                lab.engine().tick().await;
                anyhow::ensure!(row(lab).await?["status"] == "NotReady", "it is silent");
                lab.fails_without("node", "listNodes", &[]).await?;
            }
        },
        case! {
            operation: "listNodes",
            async |lab: &mut TingyuLab| {
                // A page that somebody has open on this machine must not act for them; a wrong token is none.
                let url = format!("{}/tingyu/node/list", lab.base);
                let code = async |name: &str, value: &str| {
                    let answer = lab.http.get(&url).header(name, value).send().await?;
                    anyhow::ensure!(answer.status() == 200, "{}", answer.status());
                    anyhow::Ok(answer.json::<Value>().await?["code"].clone())
                };
                for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("authorization", "Bearer guessed")] {
                    anyhow::ensure!(code(name, value).await? == 500, "{name}: {value} passes");
                }
                anyhow::ensure!(code("accept", "*/*").await? == 200);
                // What is not served says so, and nothing else.
                for path in ["/tingyu/node/list", "/tingyu/no/such", "/", "/tingyu/../etc/passwd"] {
                    let answer: Value = lab.http.post(format!("{}{path}", lab.base)).body("[]").send().await?.json().await?;
                    anyhow::ensure!(answer == json!({ "msg": "未知异常,请联系管理员", "code": 500 }), "{path}: {answer}");
                }
                lab.read("listNodes", &[]).await?;
            }
        },
    ],
};
