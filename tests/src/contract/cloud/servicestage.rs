//! As the ServiceStage document has it.

use super::{
    IamLab,
    lab::{rows, token_of},
};
use crate::{
    case,
    cloud::{CloudLab, PASSWORD},
    contract::Chapter,
};
use edgedeck_model::time::DAY;
use serde_json::json;

pub const CHAPTER: Chapter<IamLab> = Chapter {
    name: "identity",
    cases: &[
        case! {
            operation: "createToken",
            rules: ["createToken/f013b56b", "createToken/d75020d1", "createToken/001c7b4a"],
            async |lab: &mut IamLab| {
                let token = token_of(&lab.log_in(PASSWORD, "default").await?.success()?)?;
                let mut body = CloudLab::login("li", PASSWORD, "default");
                body["auth"]["scope"] = json!({ "domain": { "name": "EdgeDeck" } });
                let refused = lab.north.call("createToken").json(&body).send().await?;
                anyhow::ensure!(refused.status == 400 && refused.at("/error_code") == "IAM.0011", "{}", refused.shown());
                let wrong = lab.log_in("wrong horse", "default").await?;
                anyhow::ensure!(wrong.status == 401, "{}", wrong.shown());
                lab.cloud.clock.advance(DAY - 1);
                lab.projects("listProjects", Some(&token), None).await?.success()?;
                lab.cloud.clock.advance(1);
                // The document tells no refusal here.
                let get = |path: &str| lab.cloud.http.get(format!("{}{path}", lab.cloud.base));
                anyhow::ensure!(get("/v3/projects").header("x-auth-token", &token).send().await?.status() == 401);
                let document = lab.north.document();
                for operation in document.operations.iter().filter(|operation| operation.owner != "createToken") {
                    let path: String = operation.path.replace(['{', '}'], "");
                    let request = lab.cloud.http.request(operation.method.clone(), format!("{}{path}", lab.cloud.base));
                    let status = request.json(&json!({})).send().await?.status();
                    anyhow::ensure!(status == 401 || status == 404, "{}: {status}", operation.id);
                }
            }
        },
        case! {
            operation: "listProjects",
            rules: ["listProjects/98ce0933"],
            async |lab: &mut IamLab| {
                let own = lab.cloud.own_project()?.hex();
                for token in [Some(lab.token("default").await?), None] {
                    let answer = lab.projects("listProjects", token.as_deref(), None).await?.success()?;
                    anyhow::ensure!(rows(&answer) == [(&json!("default"), &json!(own))], "{}", answer.shown());
                }
            }
        },
    ],
};
