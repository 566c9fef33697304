//! As the HiLens document has it.

use super::{
    IamLab,
    lab::{rows, token_of},
};
use crate::{case, cloud::PASSWORD, contract::Chapter};
use edgedeck_engine::Actor;
use edgedeck_model::{api::ProjectBody, time::DAY};
use serde_json::json;

pub const CHAPTER: Chapter<IamLab> = Chapter {
    name: "identity",
    cases: &[
        case! {
            operation: "createToken",
            rules: ["createToken/760166f0", "createToken/00c42b62", "createToken/e9feb644"],
            errors: ["createToken/401/-"],
            async |lab: &mut IamLab| {
                let answer = lab.log_in(PASSWORD, "default").await?.success()?;
                let token = token_of(&answer)?;
                let own = lab.cloud.own_project()?.hex();
                let time = |pointer: &str| answer.at(pointer).as_str().and_then(|text| {
                    let (day, clock) = text.split_once('T')?;
                    (day.len() == 10 && clock.ends_with('Z')).then(|| text.to_owned())
                });
                anyhow::ensure!(
                    answer.status == 201 && !token.is_empty() && *answer.at("/token/project/id") == json!(own)
                        && answer.at("/token/user/name") == "li" && answer.at("/token/user/domain/name") == "EdgeDeck"
                        && answer.at("/token/methods/0") == "password"
                        && time("/token/issued_at") < time("/token/expires_at") && time("/token/issued_at").is_some(),
                    "{}",
                    answer.shown()
                );
                let shown = async |lab: &IamLab| lab.projects("listProjects", Some(&token), None).await;
                lab.cloud.clock.advance(DAY - 1);
                shown(lab).await?.success()?;
                lab.cloud.clock.advance(1);
                anyhow::ensure!(shown(lab).await?.status == 401);
                let wrong = lab.log_in("wrong horse", "default").await?;
                wrong.expect_error(lab.north.document(), "createToken/401/-")?;
                anyhow::ensure!(wrong.at("/error/message") == "The username or password is wrong.");
            }
        },
        case! {
            operation: "createToken",
            rules: ["createToken/e34c10f8"],
            async |lab: &mut IamLab| {
                let scoped = async |scope: serde_json::Value| {
                    let mut body = crate::cloud::CloudLab::login("li", PASSWORD, "default");
                    body["auth"]["scope"] = scope;
                    anyhow::Ok(lab.north.call("createToken").json(&body).send().await?)
                };
                let own = lab.cloud.own_project()?.hex();
                for good in [json!({ "id": own }), json!({ "name": "default" }), json!({ "id": own, "name": "default" })] {
                    scoped(json!({ "project": good })).await?.success()?;
                }
                for bad in [json!({}), json!({ "project": {} }), json!({ "project": { "id": "x" } }), json!({ "domain": { "name": "EdgeDeck" } })] {
                    let answer = scoped(bad.clone()).await?;
                    anyhow::ensure!(answer.status == 400, "{bad}: {}", answer.shown());
                }
            }
        },
        case! {
            operation: "createToken",
            rules: ["createToken/703e228b"],
            async |lab: &mut IamLab| {
                let own = lab.cloud.own_project()?;
                let named = async |name: &str| {
                    let body = ProjectBody { name: name.to_owned(), description: String::new() };
                    lab.cloud.engine().update_project(&Actor::engine(), own, body).await
                };
                named("cn-north-4").await?;
                let answer = lab.log_in(PASSWORD, "cn-north-4").await?.success()?;
                let listed = lab.projects("listProjects", None, Some("cn-north-4")).await?.success()?;
                anyhow::ensure!(rows(&listed) == [(answer.at("/token/project/name"), answer.at("/token/project/id"))]);
                named("default").await?;
                anyhow::ensure!(lab.log_in(PASSWORD, "cn-north-4").await?.status == 400);
            }
        },
        case! {
            operation: "createToken",
            rules: ["createToken/6a0b856e"],
            async |lab: &mut IamLab| {
                lab.token("default").await?;
                let document = lab.north.document();
                for operation in document.operations.iter().filter(|operation| operation.id != "createToken") {
                    let path: String = operation.path.replace(['{', '}'], "");
                    let request = lab.cloud.http.request(operation.method.clone(), format!("{}{path}", lab.cloud.base));
                    let status = request.json(&json!({})).send().await?.status();
                    anyhow::ensure!(status == 401 || status == 404, "{}: {status}", operation.id);
                }
            }
        },
        case! {
            operation: "listAuthProjects",
            rules: ["listAuthProjects/87119586"],
            errors: ["listAuthProjects/401/-"],
            async |lab: &mut IamLab| {
                let other = lab.cloud.project("cn-east-3").await?.hex();
                let own = lab.cloud.own_project()?.hex();
                let token = lab.token("default").await?;
                let answer = lab.projects("listAuthProjects", Some(&token), None).await?.success()?;
                anyhow::ensure!(
                    rows(&answer) == [(&json!("default"), &json!(own)), (&json!("cn-east-3"), &json!(other))],
                    "{}",
                    answer.shown()
                );
                let nobody = lab.north.call("listAuthProjects").send().await?;
                nobody.expect_error(lab.north.document(), "listAuthProjects/401/-")?;
                anyhow::ensure!(nobody.at("/error_code") == "APIGW.0301");
            }
        },
        case! {
            operation: "listProjects",
            rules: ["listProjects/6bf37a9e", "listProjects/26d9615c", "listProjects/f992301c"],
            errors: ["listProjects/401/-"],
            async |lab: &mut IamLab| {
                let own = lab.cloud.own_project()?.hex();
                let token = lab.token("default").await?;
                for token in [Some(token.as_str()), None] {
                    let answer = lab.projects("listProjects", token, Some("default")).await?.success()?;
                    anyhow::ensure!(rows(&answer) == [(&json!("default"), &json!(own))], "{}", answer.shown());
                    let first = answer.at("/projects/0");
                    anyhow::ensure!(first["enabled"] == true && first["is_domain"] == false && first["domain_id"] == first["parent_id"]);
                    let none = lab.projects("listProjects", token, Some("cn-north-9")).await?.success()?;
                    anyhow::ensure!(rows(&none).is_empty());
                }
                // It is the id that paths take.
                let url = format!("{}/v3/projects/{own}", lab.cloud.base);
                let shown = lab.cloud.http.get(url).header("x-auth-token", &token).send().await?;
                anyhow::ensure!(shown.status() == 200);
                let nobody = lab.projects("listProjects", Some("guessed"), None).await?;
                nobody.expect_error(lab.north.document(), "listProjects/401/-")?;
            }
        },
    ],
};
