//! Containers and the tasks that their changes are.

use super::lab::{Does, TingyuLab};
use crate::{
    case,
    contract::{Answer, Chapter},
    wait::Rounds,
};
use edgedeck_engine::Actor;
use edgedeck_model::{
    api::{PageQuery, UpdateNodeBody},
    node::{Carrier, Line},
};
use serde_json::{Value, json};

pub const CHAPTER: Chapter<TingyuLab> = Chapter {
    name: "containers",
    cases: &[
        case! {
            operation: "createContainers",
            rules: [
                "createContainers/2c3a7f63", "createContainers/792478f1", "createContainers/4170ce4e", "createContainers/1b94e100",
                "createContainers/0452db81", "global/d39a23d7", "global/b1c6dc27",
            ],
            errors: ["createContainers/200/TY0015", "createContainers/200/500/904b0e3f", "createContainers/200/500/0e8ac3ba"],
            async |lab: &mut TingyuLab| {
                let (first, second, away) = (lab.managed("C-1").await?, lab.managed("C-2").await?, lab.joined("C-3").await?);
                let spec = json!({
                    "uuid": first.names().1, "image": "registry.lab/cdn/pop2p", "imageversion": "v1", "deploymentname": "c-pop2p1",
                    "env": [{ "key": "port", "value": "6555" }], "volumes": [{ "hostPath": "/data/vdp", "mountPath": "/storage" }],
                    "requestscpu": 0.5, "requestsmemory": 100, "limitscpu": 1, "limitsmemory": 200.5, "more": "is passed over",
                });
                let other = json!({ "uuid": second.names().1, "image": "pop2p", "imageversion": "v1", "deploymentname": "c-pop2p2" });
                let idle = json!({ "uuid": away.names().1, "image": "pop2p", "imageversion": "v1", "deploymentname": "c-pop2p3" });
                let answer = lab.send("createContainers", &json!([spec, idle, other, spec])).await?.success()?;
                anyhow::ensure!(answer.at("/code") == 200 && answer.at("/msg") == "success", "{}", answer.shown());
                anyhow::ensure!(codes(&answer) == [200, 500, 200, 500], "{}", answer.shown());
                answer.expect_error(lab.north.document(), "createContainers/200/500/904b0e3f")?;
                anyhow::ensure!(answer.at("/data/1/message") == "Node is not ready", "{}", answer.shown());
                anyhow::ensure!(answer.at("/data/1/jobid").is_null(), "{}", answer.shown());
                anyhow::ensure!(answer.at("/data/3/message") == r#"deployments.apps "c-pop2p1" already exists"#, "{}", answer.shown());
                let task = lab.task(answer.at("/data/0/jobid"), 3).await?;
                let (name, uuid) = first.names();
                anyhow::ensure!(task == json!({ "uuid": name, "deviceid": uuid, "deploymentname": "c-pop2p1", "state": 3 }), "{task}");
                // The lab has it as asked.
                let (_, _, version) = lab.engine().single_deployments(edgedeck_engine::Single::Named("c-pop2p1"))?.remove(0);
                let asked = &version.spec.parts[0].resources;
                anyhow::ensure!((asked.cpu_millis, asked.cpu_limit_millis) == (500, 1_000));
                anyhow::ensure!((asked.memory_bytes, asked.memory_limit_bytes) == (100 << 20, 401 << 19));
                // One machine that is not there fails all, and nothing is left of the rest.
                let good = json!({ "uuid": second.names().1, "image": "pop2p", "imageversion": "v1", "deploymentname": "c-whole" });
                for uuid in ["tingyu-00000000000000000000000000000000", "", "tingyu-", "../x"] {
                    let lost = json!({ "uuid": uuid, "image": "pop2p", "imageversion": "v1", "deploymentname": "c-lost" });
                    let whole = lab.send("createContainers", &json!([good, lost])).await?;
                    whole.expect_error(lab.north.document(), "createContainers/200/TY0015")?;
                    anyhow::ensure!(whole.at("/data").is_null() && whole.at("/msg") == "uuid不存在!", "{}", whole.shown());
                }
                anyhow::ensure!(names_on(lab, &second.names().1).await? == ["c-pop2p2"]);
                // What is not such a list is not taken at all.
                for body in [json!({}), json!("x"), json!([1]), json!([{}]), json!([{ "uuid": uuid }]), json!([with(&spec, "env", json!("a"))]),
                    json!([with(&spec, "requestscpu", json!("1"))])]
                {
                    let refused = lab.send("createContainers", &body).await?;
                    refused.expect_error(lab.north.document(), "createContainers/200/500/0e8ac3ba")?;
                    anyhow::ensure!(refused.at("/data").is_null(), "{}", refused.shown());
                }
                let broken = lab.north.call("createContainers").raw("application/json", "[{").send().await?;
                anyhow::ensure!(!broken.success, "{}", broken.shown());
            }
        },
        case! {
            operation: "createContainers",
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("B-1").await?;
                let uuid = machine.names().1;
                let good = json!({ "uuid": uuid, "image": "pop2p", "imageversion": "v1", "deploymentname": "b-1" });
                // Each item is refused by itself, with its reason, and nothing is left of it.
                for (field, value) in [
                    ("requestscpu", json!(-1)), ("limitsmemory", json!(-0.5)), ("requestscpu", json!(1e300)), ("limitscpu", json!(1e9)),
                    ("requestsmemory", json!(1e12)), ("limitsmemory", json!(1)), ("requestscpu", json!(500)),
                    ("deploymentname", json!("")), ("deploymentname", json!("A b")), ("deploymentname", json!("a,b")),
                    ("deploymentname", json!("-a")), ("deploymentname", json!("x".repeat(10_000))), ("deploymentname", json!("名")),
                    ("image", json!("")), ("image", json!("a b")), ("image", json!("<script>")), ("imageversion", json!("a b")),
                    ("env", json!([{ "key": "a b", "value": "" }])), ("env", json!([{ "key": "", "value": "" }])),
                    ("volumes", json!([{ "hostPath": "relative", "mountPath": "/x" }])),
                    ("volumes", json!([{ "hostPath": "/a/../../etc", "mountPath": "/x" }])),
                    ("volumes", json!([{ "hostPath": "/a", "mountPath": "/x" }, { "hostPath": "/b", "mountPath": "/x" }])),
                ] {
                    let answer = lab.send("createContainers", &json!([with(&good, field, value.clone())])).await?.success()?;
                    let message = answer.at("/data/0/message").as_str().unwrap_or_default();
                    anyhow::ensure!(codes(&answer) == [500] && !message.is_empty(), "{field} {value}: {}", answer.shown());
                }
                anyhow::ensure!(names_on(lab, &uuid).await?.is_empty());
                let apps = lab.engine().list_apps(&PageQuery { filter: "b-1".to_owned(), ..PageQuery::default() })?;
                anyhow::ensure!(apps.items.is_empty(), "{apps:?}");
                let audited = lab.send("createContainers", &json!([good])).await?.success()?;
                lab.task(audited.at("/data/0/jobid"), 3).await?;
            }
        },
        case! {
            operation: "createContainers",
            async |lab: &mut TingyuLab| {
                // Sixty-four at once, each of them twice: none is lost and none is doubled.
                let machines = [lab.managed("P-1").await?, lab.managed("P-2").await?];
                let calls = (0..128_usize).map(|number| {
                    let name = format!("p-{}", number / 2);
                    let uuid = machines[number / 2 % 2].names().1;
                    let lab = &*lab;
                    async move {
                        let spec = json!({ "uuid": uuid, "image": "pop2p", "imageversion": "v1", "deploymentname": name });
                        anyhow::Ok(codes(&lab.send("createContainers", &json!([spec])).await?.success()?)[0])
                    }
                });
                let codes = futures::future::try_join_all(calls).await?;
                anyhow::ensure!(codes.iter().filter(|code| **code == 200).count() == 64, "{codes:?}");
                let mut found = Vec::new();
                for machine in &machines {
                    found.extend(names_on(lab, &machine.names().1).await?);
                }
                found.sort();
                let mut wanted: Vec<String> = (0..64).map(|number| format!("p-{number}")).collect();
                wanted.sort();
                anyhow::ensure!(found == wanted, "{found:?}");
            }
        },
        case! {
            operation: "getTaskStatus",
            rules: [
                "getTaskStatus/b441f359", "getTaskStatus/3f086ef2", "getTaskStatus/b419d549", "getTaskStatus/77181a7a",
                "getTaskStatus/5fcaa464", "getTaskStatus/2023550d", "global/c427de03",
            ],
            errors: ["getTaskStatus/200/500"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("T-1").await?;
                let uuid = machine.names().1;
                machine.does(Does::Nothing);
                let spec = |name: &str| json!({ "uuid": uuid, "image": "pop2p", "imageversion": "v1", "deploymentname": name });
                let made = lab.send("createContainers", &json!([spec("t-1"), spec("t-2")])).await?.success()?;
                let (one, two) = (made.at("/data/0/jobid").clone(), made.at("/data/1/jobid").clone());
                lab.task(&one, 1).await?;
                machine.does(Does::Begins);
                lab.task(&one, 2).await?;
                machine.does(Does::Fails);
                lab.task(&one, 4).await?;
                // What may pass by itself is waited for, but not for ever.
                machine.does(Does::Tries);
                let tried = lab.send("createContainers", &json!([spec("t-3")])).await?.success()?;
                lab.task(tried.at("/data/0/jobid"), 2).await?;
                lab.clock.advance(9 * 60_000);
                lab.silence(Vec::new(), &[&machine]).await?;
                lab.task(tried.at("/data/0/jobid"), 2).await?;
                lab.clock.advance(2 * 60_000);
                lab.silence(Vec::new(), &[&machine]).await?;
                lab.task(tried.at("/data/0/jobid"), 4).await?;
                // What has come to its end stays there, whatever becomes of the container.
                machine.does(Does::All);
                let changed = lab.ask("restartContainers", &[("name", "t-1,t-2")]).await?.success()?;
                anyhow::ensure!(changed.at("/msg") == "重启成功!", "{}", changed.shown());
                lab.task(&one, 4).await?;
                let (one, two) = (one.as_str().unwrap_or_default(), two.as_str().unwrap_or_default());
                let both = format!("{two},{one},{two},no-task,{},{}", "0".repeat(32), "%".repeat(5_000));
                let answer = lab.read("getTaskStatus", &[("jobid", &both)]).await?;
                let told: Vec<&Value> = answer.at("/info").as_array().into_iter().flatten().map(|task| &task["deploymentname"]).collect();
                anyhow::ensure!(told == ["t-2", "t-1"] && answer.at("/data").is_null(), "{}", answer.shown());
                anyhow::ensure!(answer.at("/msg") == "success" && answer.at("/code") == 200, "{}", answer.shown());
                // An update and a deletion are tasks, too.
                let update = json!([{ "uuid": uuid, "deploymentname": "t-1", "imageversion": "v2" }]);
                let updated = lab.send("updateContainersByName", &update).await?.success()?;
                lab.task(updated.at("/data/0/jobid"), 3).await?;
                let deleted = lab.ask("deleteContainers", &[("name", "t-1")]).await?.success()?;
                let gone = lab.task(deleted.at("/data/0/jobid"), 3).await?;
                anyhow::ensure!(gone["deploymentname"] == "t-1" && gone["deviceid"] == uuid, "{gone}");
                for nothing in [&[][..], &[("jobid", "")], &[("jobid", ",,")]] {
                    let refused = lab.ask("getTaskStatus", nothing).await?;
                    refused.expect_error(lab.north.document(), "getTaskStatus/200/500")?;
                    anyhow::ensure!(refused.at("/info").is_null(), "{}", refused.shown());
                }
                lab.fails_without("job", "getTaskStatus", &[("jobid", one)]).await?;
            }
        },
        case! {
            operation: "updateContainersByName",
            rules: [
                "updateContainersByName/906457ec", "updateContainersByName/570ef0d8", "updateContainersByName/9f77fe4a",
                "updateContainersByName/354c55b2",
            ],
            errors: [
                "updateContainersByName/200/TY0015", "updateContainersByName/200/500/904b0e3f", "updateContainersByName/200/500/0e8ac3ba",
            ],
            async |lab: &mut TingyuLab| {
                let (machine, away) = (lab.managed("U-1").await?, lab.managed("U-2").await?);
                let uuid = machine.names().1;
                for (machine, name) in [(&machine, "u-1"), (&away, "u-2")] {
                    let spec = json!({
                        "uuid": machine.names().1, "image": "r.lab/cdn/pop2p", "imageversion": "v1", "deploymentname": name,
                        "env": [{ "key": "a", "value": "1" }], "volumes": [{ "hostPath": "/data", "mountPath": "/storage" }],
                    });
                    let made = lab.send("createContainers", &json!([spec])).await?.success()?;
                    lab.task(made.at("/data/0/jobid"), 3).await?;
                }
                lab.silence(vec![away], &[&machine]).await?;
                let update = json!([
                    { "uuid": uuid, "deploymentname": "u-1", "imageversion": "v2", "env": [{ "key": "b", "value": "2" }], "limitscpu": 2 },
                    { "uuid": uuid, "deploymentname": "u-none", "imageversion": "v2" },
                    { "deploymentname": "u-2", "imageversion": "v2" },
                    { "deploymentname": "u-1", "requestscpu": -1 },
                ]);
                let answer = lab.send("updateContainersByName", &update).await?.success()?;
                anyhow::ensure!(codes(&answer) == [200, 500, 500, 500], "{}", answer.shown());
                anyhow::ensure!(answer.at("/data/1/message") == r#"deployments.apps "u-none" not found"#, "{}", answer.shown());
                answer.expect_error(lab.north.document(), "updateContainersByName/200/500/904b0e3f")?;
                lab.task(answer.at("/data/0/jobid"), 3).await?;
                let got = lab.read("getContainers", &[("name", "u-1,u-2")]).await?;
                let expected = json!({
                    "name": "u-1", "image": "r.lab/cdn/pop2p:v2", "restart": "Always", "network": "host",
                    "env": [{ "key": "b", "value": "2" }], "volumes": [{ "hostPath": "/data", "mountPath": "/storage" }],
                });
                anyhow::ensure!(*got.at("/data/0/data") == expected, "{}", got.shown());
                anyhow::ensure!(got.at("/data/1/data/image") == "r.lab/cdn/pop2p:v1", "{}", got.shown());
                // What is the same already is done at once, and nothing is replaced.
                let before = pod(lab, "u-1").await?;
                let same = json!([{ "uuid": uuid, "deploymentname": "u-1", "imageversion": "v2" }]);
                let answer = lab.send("updateContainersByName", &same).await?.success()?;
                lab.task(answer.at("/data/0/jobid"), 3).await?;
                anyhow::ensure!(pod(lab, "u-1").await? == before);
                let lost = json!([{ "uuid": uuid, "deploymentname": "u-1", "imageversion": "v3" }, { "uuid": "tingyu-0", "deploymentname": "u-1" }]);
                let whole = lab.send("updateContainersByName", &lost).await?;
                whole.expect_error(lab.north.document(), "updateContainersByName/200/TY0015")?;
                anyhow::ensure!(whole.at("/data").is_null() && pod(lab, "u-1").await? == before, "{}", whole.shown());
                let refused = lab.send("updateContainersByName", &json!({ "deploymentname": "u-1" })).await?;
                refused.expect_error(lab.north.document(), "updateContainersByName/200/500/0e8ac3ba")?;
            }
        },
        case! {
            operation: "updateContainersByAreaAndOperator",
            rules: [
                "updateContainersByAreaAndOperator/7a7ea0b2", "updateContainersByAreaAndOperator/fe874639",
                "updateContainersByAreaAndOperator/d8c0e37d", "updateContainersByAreaAndOperator/2645c46e",
            ],
            errors: ["updateContainersByAreaAndOperator/200/TY0032", "updateContainersByAreaAndOperator/200/500"],
            async |lab: &mut TingyuLab| {
                let lines = [("南京", Carrier::Mobile), ("南京", Carrier::Mobile), ("南京", Carrier::Unicom), ("上海", Carrier::Mobile)];
                let mut machines = Vec::new();
                for (number, (area, carrier)) in lines.into_iter().enumerate() {
                    let machine = lab.managed(&format!("A-{number}")).await?;
                    let known = lab.engine().node(machine.id)?;
                    let line = Line { carrier, area: area.to_owned(), mbps: 100 };
                    let body = UpdateNodeBody {
                        name: known.name, description: String::new(), labels: known.labels, line: Some(line), rev: known.rev,
                    };
                    lab.engine().update_node(&Actor::engine(), machine.id, body).await?;
                    machines.push(machine);
                }
                let mut specs = Vec::new();
                for (machine, names) in [(0, ["a-1", "a-2", "a-5"]), (1, ["a-3", "a-4", "a-9"]), (2, ["f-1", "f-2", "f-3"]), (3, ["h-1", "h-2", "h-3"])] {
                    for (number, name) in names.into_iter().enumerate() {
                        // The third on each is another image.
                        let image = if number == 2 { "r.lab/cdn/other" } else { "r.lab/cdn/vdp" };
                        specs.push(json!({ "uuid": machines[machine].names().1, "image": image, "imageversion": "v1", "deploymentname": name }));
                    }
                }
                let made = lab.send("createContainers", &json!(specs)).await?.success()?;
                anyhow::ensure!(codes(&made) == [200; 12], "{}", made.shown());
                let roll = async |lab: &TingyuLab, percent: f64| {
                    let body = json!({ "area": "南京", "operator": "移动", "percent": percent, "image": "vdp", "imageversion": "v2" });
                    let answer = lab.send("updateContainersByAreaAndOperator", &body).await?.success()?;
                    anyhow::ensure!(answer.at("/data").is_null() && answer.shown().contains("data"), "{}", answer.shown());
                    let all = "a-1,a-2,a-3,a-4,a-5,a-9,f-1,f-2,f-3,h-1,h-2,h-3";
                    let got = lab.read("getContainers", &[("name", all)]).await?;
                    let rows = got.at("/data").as_array().cloned().unwrap_or_default();
                    let new = rows.iter().filter(|row| row["data"]["image"] == "r.lab/cdn/vdp:v2");
                    anyhow::Ok(new.map(|row| row["data"]["name"].clone()).collect::<Vec<_>>())
                };
                anyhow::ensure!(roll(lab, 0.0).await?.is_empty());
                // A part of one counts as one; the order of names is kept, so a second call at the same share does nothing.
                anyhow::ensure!(roll(lab, 26.0).await? == ["a-1", "a-2"]);
                anyhow::ensure!(roll(lab, 26.0).await? == ["a-1", "a-2"]);
                anyhow::ensure!(roll(lab, 100.0).await? == ["a-1", "a-2", "a-3", "a-4"]);
                let body = json!({ "area": "南京", "operator": "移动", "percent": 10, "image": "vdp", "imageversion": "v3" });
                for operator in ["string", "", "Mobile", "移动 "] {
                    let wrong = lab.send("updateContainersByAreaAndOperator", &with(&body, "operator", json!(operator))).await?;
                    wrong.expect_error(lab.north.document(), "updateContainersByAreaAndOperator/200/TY0032")?;
                    anyhow::ensure!(wrong.at("/data").is_null() && wrong.at("/msg") == "运营商错误!正确为移动、联通和电信!", "{}", wrong.shown());
                }
                for percent in [json!(-1), json!(100.5), json!("10"), Value::Null] {
                    let wrong = lab.send("updateContainersByAreaAndOperator", &with(&body, "percent", percent)).await?;
                    wrong.expect_error(lab.north.document(), "updateContainersByAreaAndOperator/200/500")?;
                }
                // Of what could not be changed it is told, per container.
                lab.silence(machines, &[]).await?;
                let some = lab.send("updateContainersByAreaAndOperator", &with(&body, "percent", json!(100))).await?.success()?;
                anyhow::ensure!(codes(&some) == [500; 4], "{}", some.shown());
            }
        },
        case! {
            operation: "upgradeContainerImage",
            rules: ["upgradeContainerImage/a4f2e4fb", "upgradeContainerImage/95db6456", "upgradeContainerImage/de2438a7"],
            errors: ["upgradeContainerImage/200/500/5ce5e596", "upgradeContainerImage/200/500/0e8ac3ba"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("I-1").await?;
                let spec = |name: &str| json!({
                    "uuid": machine.names().1, "image": "r.lab/cdn/vdp", "imageversion": "v1", "deploymentname": name,
                    "env": [{ "key": "a", "value": "1" }], "volumes": [{ "hostPath": "/data", "mountPath": "/storage" }],
                });
                lab.send("createContainers", &json!([spec("i-1"), spec("i-2")])).await?.success()?;
                let body = json!({ "deploymentnames": "i-1, i-none ,i-2", "image": "r.lab/cdn/next", "imageversion": "v9" });
                let answer = lab.send("upgradeContainerImage", &body).await?.success()?;
                anyhow::ensure!(codes(&answer) == [200, 500, 200], "{}", answer.shown());
                answer.expect_error(lab.north.document(), "upgradeContainerImage/200/500/5ce5e596")?;
                anyhow::ensure!(answer.at("/data/1/message") == "Get Deploymentname Fail", "{}", answer.shown());
                lab.task(answer.at("/data/2/jobid"), 3).await?;
                let got = lab.read("getContainers", &[("name", "i-1")]).await?;
                let data = got.at("/data/0/data");
                anyhow::ensure!(
                    data["image"] == "r.lab/cdn/next:v9" && data["env"] == json!([{ "key": "a", "value": "1" }])
                        && data["volumes"][0]["hostPath"] == "/data",
                    "{data}"
                );
                for body in [json!({}), json!([body]), with(&body, "deploymentnames", json!("")), with(&body, "deploymentnames", json!(["i-1"]))] {
                    let refused = lab.send("upgradeContainerImage", &body).await?;
                    refused.expect_error(lab.north.document(), "upgradeContainerImage/200/500/0e8ac3ba")?;
                }
            }
        },
        case! {
            operation: "getContainers",
            rules: ["getContainers/8504a9cd", "getContainers/220d8507", "getContainers/8f159731"],
            errors: ["getContainers/200/500/e69cd024", "getContainers/200/500/0e8ac3ba"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("G-1").await?;
                let spec = json!({ "uuid": machine.names().1, "image": "r.lab/cdn/vdp", "imageversion": "v1", "deploymentname": "g-1" });
                lab.send("createContainers", &json!([spec])).await?.success()?;
                let answer = lab.read("getContainers", &[("name", "nginx,g-1")]).await?;
                let missing = json!({ "code": 500, "data": { "name": "nginx" }, "message": r#"deployments.apps "nginx" not found"# });
                anyhow::ensure!(*answer.at("/data/0") == missing && codes(&answer) == [500, 200], "{}", answer.shown());
                answer.expect_error(lab.north.document(), "getContainers/200/500/e69cd024")?;
                anyhow::ensure!(answer.at("/data/1/data/image") == "r.lab/cdn/vdp:v1", "{}", answer.shown());
                // As a form, too.
                let form = lab.north.call("getContainers").raw("application/x-www-form-urlencoded", "name=g-1").send().await?.success()?;
                anyhow::ensure!(codes(&form) == [200], "{}", form.shown());
                let nothing = lab.ask("getContainers", &[]).await?;
                nothing.expect_error(lab.north.document(), "getContainers/200/500/0e8ac3ba")?;
                lab.fails_without("deployment", "getContainers", &[("name", "g-1")]).await?;
            }
        },
        case! {
            operation: "getContainerInfo",
            rules: ["getContainerInfo/8504a9cd", "getContainerInfo/5c1ee0fd"],
            errors: ["getContainerInfo/200/500/e69cd024", "getContainerInfo/200/500/0e8ac3ba"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("N-1").await?;
                machine.does(Does::Nothing);
                let spec = json!({ "uuid": machine.names().1, "image": "vdp", "imageversion": "v1", "deploymentname": "n-1" });
                let made = lab.send("createContainers", &json!([spec])).await?.success()?;
                let state = async |lab: &TingyuLab| {
                    let answer = lab.read("getContainerInfo", &[("name", "n-1")]).await?;
                    let data = answer.at("/data/0/data").clone();
                    anyhow::ensure!(data["deploymentname"] == "n-1" && data["createtime"].as_str().is_some_and(|at| at.len() == 19), "{data}");
                    anyhow::Ok(data["podinfo"][0]["podstate"].clone())
                };
                anyhow::ensure!(state(lab).await? == "Pending");
                machine.does(Does::Fails);
                lab.task(made.at("/data/0/jobid"), 4).await?;
                // Kubernetes keeps the phase of what cannot be pulled.
                anyhow::ensure!(state(lab).await? == "Pending");
                machine.does(Does::All);
                let rounds = Rounds::of("running container");
                while state(lab).await? != "Running" {
                    rounds.next().await?;
                }
                let pod = pod(lab, "n-1").await?;
                anyhow::ensure!(pod.starts_with("n-1-") && pod.matches('-').count() == 3, "{pod}");
                lab.silence(vec![machine], &[]).await?;
                anyhow::ensure!(state(lab).await? == "Unknown");
                let answer = lab.read("getContainerInfo", &[("name", "nginx,n-1")]).await?;
                anyhow::ensure!(codes(&answer) == [500, 200], "{}", answer.shown());
                answer.expect_error(lab.north.document(), "getContainerInfo/200/500/e69cd024")?;
                let nothing = lab.ask("getContainerInfo", &[("name", ",")]).await?;
                nothing.expect_error(lab.north.document(), "getContainerInfo/200/500/0e8ac3ba")?;
            }
        },
        case! {
            operation: "listContainersByUuid",
            rules: ["listContainersByUuid/93f366c0", "listContainersByUuid/32b40eff", "listContainersByUuid/781d999e"],
            errors: ["listContainersByUuid/200/TY0015", "listContainersByUuid/200/500"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("L-1").await?;
                let uuid = machine.names().1;
                anyhow::ensure!(*lab.read("listContainersByUuid", &[("uuid", &uuid)]).await?.at("/data") == json!([]));
                let specs: Vec<Value> = (0..60)
                    .map(|number| json!({ "uuid": uuid, "image": "r.lab/vdp", "imageversion": "v1", "deploymentname": format!("l-{number}") }))
                    .collect();
                lab.send("createContainers", &json!(specs)).await?.success()?;
                let answer = lab.read("listContainersByUuid", &[("uuid", &uuid), ("pageSize", "1")]).await?;
                let rows = answer.at("/data").as_array().cloned().unwrap_or_default();
                anyhow::ensure!(rows.len() == 60 && rows.iter().all(|row| row["image"] == "r.lab/vdp:v1"), "{}", answer.shown());
                for unknown in ["tingyu-00000000000000000000000000000000", "x", &machine.names().0] {
                    let answer = lab.ask("listContainersByUuid", &[("uuid", unknown)]).await?;
                    answer.expect_error(lab.north.document(), "listContainersByUuid/200/TY0015")?;
                    anyhow::ensure!(answer.at("/data").is_null(), "{}", answer.shown());
                }
                let nothing = lab.ask("listContainersByUuid", &[]).await?;
                nothing.expect_error(lab.north.document(), "listContainersByUuid/200/500")?;
            }
        },
        case! {
            operation: "deleteContainers",
            rules: ["deleteContainers/8504a9cd", "deleteContainers/9f77fe4a", "deleteContainers/b4a5bb76"],
            errors: ["deleteContainers/200/500/904b0e3f", "deleteContainers/200/500/e69cd024", "deleteContainers/200/500/0e8ac3ba"],
            async |lab: &mut TingyuLab| {
                let (machine, away) = (lab.managed("D-1").await?, lab.managed("D-2").await?);
                let spec = |uuid: String, name: &str| json!({ "uuid": uuid, "image": "vdp", "imageversion": "v1", "deploymentname": name });
                let both = json!([spec(machine.names().1, "d-1"), spec(away.names().1, "d-2")]);
                let made = lab.send("createContainers", &both).await?.success()?;
                for at in ["/data/0/jobid", "/data/1/jobid"] {
                    lab.task(made.at(at), 3).await?;
                }
                lab.silence(vec![away], &[&machine]).await?;
                let answer = lab.ask("deleteContainers", &[("name", "d-2,nginx,d-1")]).await?.success()?;
                anyhow::ensure!(codes(&answer) == [500, 500, 200], "{}", answer.shown());
                answer.expect_error(lab.north.document(), "deleteContainers/200/500/904b0e3f")?;
                answer.expect_error(lab.north.document(), "deleteContainers/200/500/e69cd024")?;
                lab.task(answer.at("/data/2/jobid"), 3).await?;
                let left = lab.read("getContainers", &[("name", "d-1,d-2")]).await?;
                anyhow::ensure!(codes(&left) == [500, 200], "{}", left.shown());
                // Nothing is left of it in the lab, and the name is free.
                let apps = lab.engine().list_apps(&PageQuery { filter: "d-1".to_owned(), ..PageQuery::default() })?;
                anyhow::ensure!(apps.items.is_empty(), "{apps:?}");
                let again = lab.send("createContainers", &json!([spec(machine.names().1, "d-1")])).await?.success()?;
                lab.task(again.at("/data/0/jobid"), 3).await?;
                let nothing = lab.ask("deleteContainers", &[]).await?;
                nothing.expect_error(lab.north.document(), "deleteContainers/200/500/0e8ac3ba")?;
            }
        },
        case! {
            operation: "startContainers",
            rules: ["startContainers/831b68db", "startContainers/125f1d8e", "startContainers/696fad41"],
            errors: ["startContainers/200/500"],
            async |lab: &mut TingyuLab| { steered(lab, "startContainers").await?; }
        },
        case! {
            operation: "stopContainers",
            rules: ["stopContainers/c73f9e2b", "stopContainers/125f1d8e", "stopContainers/b5cfb702"],
            errors: ["stopContainers/200/500"],
            async |lab: &mut TingyuLab| { steered(lab, "stopContainers").await?; }
        },
        case! {
            operation: "restartContainers",
            rules: ["restartContainers/a01f79a9", "restartContainers/125f1d8e", "restartContainers/e9f2c3f8"],
            errors: ["restartContainers/200/500"],
            async |lab: &mut TingyuLab| { steered(lab, "restartContainers").await?; }
        },
    ],
};

/// Item codes of a batch.
fn codes(answer: &Answer) -> Vec<u64> {
    let rows = answer.at("/data").as_array();
    rows.into_iter()
        .flatten()
        .filter_map(|row| row["code"].as_u64())
        .collect()
}

/// The same JSON with one field of another value.
fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

async fn names_on(lab: &TingyuLab, uuid: &str) -> anyhow::Result<Vec<String>> {
    let answer = lab.read("listContainersByUuid", &[("uuid", uuid)]).await?;
    let rows = answer.at("/data").as_array();
    Ok(rows
        .into_iter()
        .flatten()
        .filter_map(|row| row["name"].as_str().map(str::to_owned))
        .collect())
}

/// The name of a container's pod; empty where it has none.
async fn pod(lab: &TingyuLab, name: &str) -> anyhow::Result<String> {
    let answer = lab.read("getContainerInfo", &[("name", name)]).await?;
    Ok(answer
        .at("/data/0/data/podinfo/0/podname")
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

/// Starts, stops and restarts two containers, one call of it being the operation's.
async fn steered(lab: &mut TingyuLab, operation: &str) -> anyhow::Result<()> {
    let begin = operation.get(..3).unwrap_or_default().to_lowercase();
    let machine = lab.managed(&format!("{begin}-1")).await?;
    let names = [format!("{begin}-a"), format!("{begin}-b")];
    let specs: Vec<Value> = names
        .iter()
        .map(|name| json!({ "uuid": machine.names().1, "image": "vdp", "imageversion": "v1", "deploymentname": name }))
        .collect();
    let made = lab.send("createContainers", &json!(specs)).await?.success()?;
    lab.task(made.at("/data/1/jobid"), 3).await?;
    let both = names.join(",");
    let runs = async |lab: &TingyuLab, wanted: bool| {
        let rounds = Rounds::of("such state");
        loop {
            let pods = [pod(lab, &names[0]).await?, pod(lab, &names[1]).await?];
            if pods.iter().all(|pod| pod.is_empty() != wanted) {
                return anyhow::Ok(pods);
            }
            rounds.next().await?;
        }
    };
    let act = async |lab: &TingyuLab, operation: &str, msg: &str| {
        let answer = lab.read(operation, &[("name", &both)]).await?;
        let whole: Value = serde_json::from_slice(&answer.body)?;
        anyhow::ensure!(whole == json!({ "msg": msg, "code": 200 }), "{whole}");
        anyhow::Ok(())
    };
    let first = runs(lab, true).await?;
    act(lab, "stopContainers", "停止成功!").await?;
    runs(lab, false).await?;
    // What is stopped is still there.
    let kept = lab.read("getContainers", &[("name", &both)]).await?;
    anyhow::ensure!(codes(&kept) == [200, 200], "{}", kept.shown());
    let definition = kept.at("/data/0/data").clone();
    act(lab, "startContainers", "启动成功!").await?;
    let again = runs(lab, true).await?;
    anyhow::ensure!(again == first, "starting replaces nothing: {again:?}");
    act(lab, "restartContainers", "重启成功!").await?;
    let rounds = Rounds::of("other pods");
    while runs(lab, true).await? == first {
        rounds.next().await?;
    }
    let kept = lab.read("getContainers", &[("name", &names[0])]).await?;
    anyhow::ensure!(*kept.at("/data/0/data") == definition, "{}", kept.shown());
    // One that is not there fails all, and nothing is done.
    act(lab, "stopContainers", "停止成功!").await?;
    runs(lab, false).await?;
    let some = format!("{},{begin}-none", names[0]);
    for wrong in [&[("name", some.as_str())][..], &[], &[("name", "")]] {
        let refused = lab.ask(operation, wrong).await?;
        refused.expect_error(lab.north.document(), &format!("{operation}/200/500"))?;
    }
    runs(lab, false).await?;
    Ok(())
}
