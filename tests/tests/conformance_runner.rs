//! The conformance runner itself: what it counts, and what it refuses to count.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use edgedeck_tests::case;
use edgedeck_tests::contract::recorder::Recording;
use edgedeck_tests::contract::suite::MAX_EXCEPTIONS;
use edgedeck_tests::contract::{Chapter, ContractClient, Exception, Lab, Suite, report};
use serde_json::{Value, json};

/// A small system that gives one right answer, one documented error and one answer against the contract.
struct SmallLab {
    client: ContractClient,
}

impl Lab for SmallLab {
    async fn start(recording: Recording) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes()).await });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().tls_certs_only([]).build()?;
        Ok(Self {
            client: recording.client(&base_url, http),
        })
    }
}

fn routes() -> Router {
    let create = async |Json(body): Json<Value>| match body.get("nodeGroupName").and_then(Value::as_str) {
        Some("taken") => (
            StatusCode::BAD_REQUEST,
            Json(json!({ "status": "40012000", "msg": "node group is duplicate" })),
        ),
        _ => (
            StatusCode::OK,
            Json(json!({ "status": "00000000", "msg": "success", "data": 1 })),
        ),
    };
    Router::new().route("/edgemanager/v1/nodegroup", post(create)).route(
        "/edgemanager/v1/nodegroup/stats",
        get(async || Json(json!({ "status": "00000000", "msg": "success" }))),
    )
}

const CHAPTERS: &[Chapter<SmallLab>] = &[Chapter {
    name: "small",
    cases: &[
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/74c421c6"],
            async |lab: &mut SmallLab| {
                let answer = lab.client.call("createNodeGroup").json(&json!({ "nodeGroupName": "one" })).send().await?;
                anyhow::ensure!(answer.success()?.at("/data") == 1);
            }
        },
        case! {
            operation: "createNodeGroup",
            errors: ["createNodeGroup/400/40012000"],
            async |lab: &mut SmallLab| {
                let answer = lab.client.call("createNodeGroup").json(&json!({ "nodeGroupName": "taken" })).send().await?;
                answer.expect_error(lab.client.document(), "createNodeGroup/400/40012000")?;
            }
        },
        // Claims an error that it never received.
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/1b2b6f7a"],
            errors: ["createNodeGroup/400/00001005"],
            async |lab: &mut SmallLab| {
                lab.client.call("createNodeGroup").json(&json!({ "nodeGroupName": "two" })).send().await?;
            }
        },
        // Its answer lacks the data of the contract.
        case! {
            operation: "getNodeGroupStats",
            async |lab: &mut SmallLab| {
                lab.client.call("getNodeGroupStats").send().await?;
            }
        },
        // Never calls its operation.
        case! {
            operation: "createApp",
            rules: ["createApp/774d108e"],
            async |_lab: &mut SmallLab| {}
        },
        case! {
            operation: "createNodeGroup",
            async |lab: &mut SmallLab| {
                let answer = lab.client.call("createNodeGroup").json(&json!({})).send().await?;
                assert!(!answer.success, "the panic is told");
            }
        },
        // After the panic a fresh lab is there.
        case! {
            operation: "createNodeGroup",
            rules: ["createNodeGroup/1b2b6f7a"],
            async |lab: &mut SmallLab| {
                lab.client.call("createNodeGroup").json(&json!({ "nodeGroupName": "six" })).send().await?.success()?;
            }
        },
    ],
}];

#[tokio::test]
async fn a_rule_counts_only_if_its_case_ran_and_passed() {
    let report = report::run(&Suite::of("mef-center", CHAPTERS), None).await.unwrap();
    assert_eq!(
        (report.operations.served, report.operations.total),
        (1, report.operations.missing.len() + 1)
    );
    assert!(!report.operations.missing.contains(&"createNodeGroup".to_owned()));
    assert!(
        report.operations.missing.contains(&"getNodeGroupStats".to_owned()),
        "its answer broke the contract"
    );
    assert_eq!(report.rules.tested, 2, "the two rules of passed cases");
    assert!(
        !report.rules.untested.contains(&"createNodeGroup/1b2b6f7a".to_owned()),
        "a later case shows it"
    );
    assert!(
        report.rules.untested.contains(&"createApp/774d108e".to_owned()),
        "its case called nothing"
    );
    assert_eq!(report.rules.tested + report.rules.untested.len(), report.rules.total);
    assert_eq!(report.errors.tested, 1);
    assert!(
        report
            .errors
            .untested
            .contains(&"createNodeGroup/400/00001005".to_owned()),
        "it was never received"
    );
    let told = report.failures.join("\n");
    assert_eq!(report.failures.len(), 4, "{told}");
    for reason in [
        "never received the error",
        "against the contract",
        "never called createApp",
        "the panic is told",
    ] {
        assert!(told.contains(reason), "{reason:?} is not in {told}");
    }
}

#[tokio::test]
async fn only_the_cases_of_one_operation_run() {
    let report = report::run(&Suite::of("mef-center", CHAPTERS), Some("createApp"))
        .await
        .unwrap();
    assert_eq!((report.operations.served, report.failures.len()), (0, 1));
}

#[tokio::test]
async fn the_figures_have_the_shape_other_programs_read() {
    const EXCUSED: &[Exception] = &[Exception {
        rule: "createNodeGroup/6b0adb15",
        why: "a second machine",
    }];
    let suite = Suite::empty("mef-center").excused(EXCUSED);
    let report = report::run(&suite, None).await.unwrap();
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let figures = serde_json::to_value(&report).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut top = keys(&figures);
    top.sort();
    assert_eq!(top, ["document", "errors", "inferred_rules", "operations", "rules"]);
    assert_eq!(figures["operations"]["served"], 0);
    for part in ["rules", "inferred_rules", "errors"] {
        let mut names = keys(&figures[part]);
        names.sort();
        assert_eq!(names, ["departed", "excused", "tested", "total", "untested"]);
        assert_eq!(figures[part]["tested"], 0, "what is excused is not tested");
    }
    assert_eq!(
        figures["rules"]["excused"],
        json!([{ "rule": "createNodeGroup/6b0adb15", "why": "a second machine" }])
    );
}

#[tokio::test]
async fn mistakes_of_a_suite_are_failures() {
    const WRONG: &[Chapter<SmallLab>] = &[Chapter {
        name: "wrong",
        cases: &[case! {
            operation: "noSuchOperation",
            rules: ["createNodeGroup/00000000"],
            errors: ["createNodeGroup/400/99999999"],
            async |_lab: &mut SmallLab| {}
        }],
    }];
    const MANY: &[Exception] = &[Exception {
        rule: "createNodeGroup/74c421c6",
        why: " ",
    }; MAX_EXCEPTIONS + 1];
    let failures = report::run(&Suite::of("mef-center", WRONG).departed(MANY), None)
        .await
        .unwrap()
        .failures
        .join("\n");
    for mistake in [
        "no operation noSuchOperation",
        "no rule createNodeGroup/00000000",
        "no error createNodeGroup/400/99999999",
        "6 rules are departed, at most 5",
        "lacks the reason",
        "is listed twice",
    ] {
        assert!(failures.contains(mistake), "{mistake:?} is not in {failures}");
    }
}

#[tokio::test]
async fn urls_are_built_from_the_contract() {
    let record = async |axum::extract::OriginalUri(uri): axum::extract::OriginalUri| {
        (
            StatusCode::NOT_FOUND,
            [("content-type", "application/json")],
            json!({ "seen": uri.to_string() }).to_string(),
        )
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(record)).await });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
    let document = edgedeck_tests::contract::Document::load("hilens").unwrap();
    let client = Recording::new(document).client(&base_url, http);
    let sent = client
        .call("showWorkspace")
        .path("project_id", "p 1")
        .path("workspace_id", "a/b")
        .query("name", "x&y")
        .send()
        .await;
    let told = sent.unwrap_err().to_string();
    assert!(told.contains("/v3/p%201/ai-mgr/workspaces/a%2Fb?name=x%26y"), "{told}");
    let lacking = client
        .call("showWorkspace")
        .path("project_id", "p")
        .send()
        .await
        .unwrap_err()
        .to_string();
    assert!(lacking.contains("workspace_id"), "{lacking}");
}
