//! Log tasks.

use super::lab::{Collects, Connected, MefLab, Node, Order, until};
use crate::{case, contract::Chapter};
use anyhow::{Context, ensure};
use edgedeck_engine::Actor;
use edgedeck_gateway::dialects::mef::MefOptions;
use edgedeck_model::{
    api::PageQuery,
    job::JobState,
    time::{DAY, HOUR},
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read;

const STATES: [&str; 6] = [
    "waiting",
    "processing",
    "aborting",
    "succeed",
    "failed",
    "partiallyFailed",
];

fn task(nodes: &[u32]) -> Value {
    json!({ "module": "edgeNode", "edgeNodes": nodes })
}

async fn node(lab: &mut MefLab) -> anyhow::Result<(Node, Connected)> {
    let node = lab.node(&[]).await?;
    let connected = lab.connect(&node, 4, 8192).await?;
    Ok((node, connected))
}

/// Begins a task; its id.
async fn begin(lab: &MefLab, nodes: &[u32]) -> anyhow::Result<String> {
    let begun = lab.done("createLogTask", task(nodes)).await?;
    Ok(begun.at("/data/taskId").as_str().context("no task id")?.to_owned())
}

/// A task once it is in this state.
async fn in_state(lab: &MefLab, id: &str, state: &str) -> anyhow::Result<Value> {
    let found = until!(format!("task that is {state}"), {
        let answer = lab.read("getLogTask", &[("taskId", id)]).await?;
        let task = answer.at("/data").clone();
        ensure!(
            task["progress"].as_u64().is_some_and(|progress| progress <= 100),
            "{task}"
        );
        ensure!(
            task["status"].as_str().is_some_and(|status| STATES.contains(&status)),
            "{task}"
        );
        (task["status"] == state).then_some(task)
    });
    Ok(found)
}

/// Names and texts of what can be downloaded; `None` where nothing can.
async fn downloaded(lab: &MefLab) -> anyhow::Result<Option<Vec<(String, String)>>> {
    let url = format!("{}/edgemanager/v1/logmgmt/dump/download/edgeNodes.tar.gz", lab.base);
    let answer = lab.http.get(url).send().await?;
    if answer.status() == 400 {
        ensure!(answer.text().await? == "\"file is abnormal\"");
        return Ok(None);
    }
    let name = answer
        .headers()
        .get("content-disposition")
        .and_then(|name| name.to_str().ok());
    ensure!(name == Some("attachment; filename=edgeNodes.tar.gz"), "{name:?}");
    let bytes = answer.error_for_status()?.bytes().await?;
    let mut archive = tar::Archive::new(GzDecoder::new(bytes.as_ref()));
    let mut found = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        found.push((entry.path()?.display().to_string(), text));
    }
    Ok(Some(found))
}

pub const CHAPTER: Chapter<MefLab> = Chapter {
    name: "logs",
    cases: &[
        case! {
            operation: "createLogTask",
            rules: [
                "createLogTask/887decb5", "createLogTask/a7537a4f", "getLogTask/50c5677d", "getLogTask/62bf3dd0",
                "getLogTask/cb1fdd4b"
            ],
            errors: ["createLogTask/400/40052002"],
            async |lab: &mut MefLab| {
                let ((first, one), (second, two)) = (node(lab).await?, node(lab).await?);
                two.tell(Order::Collects(Collects::Nothing));
                let id = begin(lab, &[first.number, second.number]).await?;
                ensure!(id.strip_prefix("dumpMultiNodesLog.").is_some_and(|hex| hex.len() == 24 && hex.chars().all(|c| c.is_ascii_hexdigit())), "{id}");
                let running = until!("first node's logs", {
                    let task = in_state(lab, &id, "processing").await?;
                    (task["progress"] == 50).then_some(task)
                });
                ensure!(running["finishedAt"].is_null() && running["data"].is_null() && running["startedAt"].is_string(), "{running}");
                lab.refused("createLogTask", "40052002", task(&[first.number])).await?;
                ensure!(downloaded(lab).await?.is_none(), "half a task can be downloaded");
                // The second box goes away: its part has failed.
                drop(two);
                lab.clock.advance(31_000);
                one.tell(Order::Facts(Box::new(one.facts.clone())));
                let done = in_state(lab, &id, "partiallyFailed").await?;
                let reason = done["reason"].as_str().unwrap_or_default();
                ensure!(reason.starts_with(&format!("failed to dump log for following nodes:({})", second.number)), "{done}");
                ensure!(done["progress"] == 100 && done["finishedAt"].is_string() && done["data"]["fileName"] == "edgeNodes.tar.gz", "{done}");
            }
        },
        case! {
            operation: "getLogTask",
            rules: ["getLogTask/f00a3826", "createLogTask/eb558ac7"],
            async |lab: &mut MefLab| {
                let ((first, one), (second, _two)) = (node(lab).await?, node(lab).await?);
                let id = begin(lab, &[first.number, second.number]).await?;
                let done = in_state(lab, &id, "succeed").await?;
                ensure!(done["reason"] == "task succeeded" && done["data"]["fileName"] == "edgeNodes.tar.gz", "{done}");
                let mut files = downloaded(lab).await?.context("nothing to download")?;
                files.sort();
                let mut expected = [&first, &second].map(|node| format!("{}.tar.gz", node.serial));
                expected.sort();
                ensure!(files.iter().map(|(name, _)| name.as_str()).eq(expected.iter().map(String::as_str)), "{files:?}");
                ensure!(files.iter().all(|(_, text)| text.starts_with("logs of ")), "{files:?}");
                // Both spellings of the address that the text has.
                let url = format!("{}/edgemanager/v1/logmgmt/dump/task/?taskId={id}", lab.base);
                ensure!(lab.http.get(url).send().await?.status() == 200);
                one.tell(Order::Collects(Collects::Fails));
                let next = begin(lab, &[first.number]).await?;
                in_state(lab, &next, "failed").await?;
                ensure!(downloaded(lab).await?.is_none(), "the earlier logs are still there");
                ensure!(in_state(lab, &id, "succeed").await?["data"].is_null(), "the earlier task still names a file");
                // A box that says that it has sent something and has not is believed nothing.
                one.tell(Order::Collects(Collects::Lies));
                let next = begin(lab, &[first.number]).await?;
                in_state(lab, &next, "failed").await?;
            }
        },
        case! {
            operation: "downloadLogFile",
            rules: ["downloadLogFile/a201facd"],
            async |lab: &mut MefLab| {
                // What it leaves behind is nothing for the cases after it.
                let mut own = MefLab::start_with(lab.recording(), MefOptions { limited: false }).await?;
                let lab = &mut own;
                let (first, one) = node(lab).await?;
                one.tell(Order::Collects(Collects::SendsMuch));
                let id = begin(lab, &[first.number]).await?;
                in_state(lab, &id, "succeed").await?;
                lab.read("downloadLogFile", &[]).await?;
                let url = format!("{}/edgemanager/v1/logmgmt/dump/download/edgeNodes.tar.gz", lab.base);
                for (pause, is_whole) in [(2 * HOUR - 60_000, true), (2 * HOUR, false)] {
                    let mut answer = lab.http.get(&url).send().await?.error_for_status()?;
                    ensure!(answer.chunk().await?.is_some(), "nothing came");
                    // The rest is too much for any buffer on the way.
                    lab.clock.advance(pause);
                    let rest = answer.bytes().await;
                    ensure!(rest.is_ok() == is_whole, "after {pause} ms: {:?}", rest.map(|rest| rest.len()));
                }
                own.running.stop().await;
            }
        },
        case! {
            operation: "downloadLogFile",
            rules: ["downloadLogFile/f5f374f8", "downloadLogFile/ea855855", "downloadLogFile/41f6064a"],
            async |lab: &mut MefLab| {
                let (first, _one) = node(lab).await?;
                ensure!(downloaded(lab).await?.is_none());
                let id = begin(lab, &[first.number]).await?;
                in_state(lab, &id, "succeed").await?;
                let answer = lab.read("downloadLogFile", &[]).await?;
                ensure!(answer.body.starts_with(&[0x1f, 0x8b]), "no gzip");
                lab.clock.advance(DAY - 60_000);
                ensure!(downloaded(lab).await?.is_some(), "gone too early");
                lab.clock.advance(60_000);
                ensure!(downloaded(lab).await?.is_none(), "still there after a day");
            }
        },
        case! {
            operation: "createLogTask",
            rules: ["createLogTask/1ecba640", "global/38599997"],
            errors: ["createLogTask/400/00001006", "createLogTask/400/40051002"],
            async |lab: &mut MefLab| {
                let (node, waiting) = (lab.node(&[]).await?, lab.waiting().await?);
                let hundred: Vec<u32> = (1..=101).collect();
                for body in [
                    json!({}), json!({ "module": "edgeNode" }), json!({ "edgeNodes": [1] }), json!({ "module": "center", "edgeNodes": [1] }),
                    json!({ "module": 1, "edgeNodes": [1] }), json!({ "module": "edgeNode", "edgeNodes": "1" }), json!({ "module": "edgeNode", "edgeNodes": ["1"] }),
                    task(&[]), task(&[0]), task(&[node.number, node.number]), task(&hundred), json!({ "module": "edgeNode", "edgeNodes": [4_294_967_296_u64] }),
                ] {
                    lab.refused("createLogTask", "00001006", body).await?;
                }
                let answer = lab.north.call("createLogTask").raw("application/json", "{").send().await?;
                lab.is_error(&answer, "createLogTask", "00001006")?;
                lab.refused("createLogTask", "40051002", task(&[4_294_967_295])).await?;
                lab.refused("createLogTask", "40051002", task(&[node.number, waiting.number])).await?;
                lab.refused_without("job", "createLogTask", "40052002", task(&[node.number])).await?;
                // A box that is not there is no reason to refuse the task.
                let id = begin(lab, &[node.number]).await?;
                in_state(lab, &id, "failed").await?;
            }
        },
        case! {
            operation: "getLogTask",
            errors: ["getLogTask/400/00001001", "getLogTask/400/00001006", "getLogTask/400/40052002"],
            async |lab: &mut MefLab| {
                lab.unread("getLogTask", "00001001", &[]).await?;
                lab.unread("getLogTask", "00001001", &[("taskId", "")]).await?;
                let long = format!("dumpMultiNodesLog{}", "a".repeat(129));
                for bad in ["dumpMultiNodesLog", "task.1", "dumpMultiNodesLog.a/b", "dumpMultiNodesLog.\u{e9}", &long] {
                    lab.unread("getLogTask", "00001006", &[("taskId", bad)]).await?;
                }
                let unknown = "dumpMultiNodesLog.eca14a007f930e5689652a30";
                lab.unread("getLogTask", "40052002", &[("taskId", unknown)]).await?;
                lab.unread_without("job", "getLogTask", "40052002", &[("taskId", unknown)]).await?;
            }
        },
        case! {
            operation: "createLogTask",
            rules: ["createLogTask/651fb723"],
            async |lab: &mut MefLab| {
                let node = lab.node(&[]).await?;
                let first = begin(lab, &[node.number]).await?;
                in_state(lab, &first, "failed").await?;
                // Two thousand more, as if they had been: each later than the one before.
                lab.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000), \
                    one(doc) AS (SELECT doc FROM job ORDER BY created_at DESC LIMIT 1), \
                    many(id, doc, i) AS (SELECT printf('0fffffff-0000-7000-8000-%012x', i), doc, i FROM one, n) \
                    INSERT INTO job (id, rev, doc) SELECT unhex(replace(id, '-', '')), 1, \
                    json_set(doc, '$.id', id, '$.created_at', (doc ->> '$.created_at') + i) FROM many".to_owned()).await?;
                lab.clock.advance(60_000);
                let last = begin(lab, &[node.number]).await?;
                in_state(lab, &last, "failed").await?;
                lab.unread("getLogTask", "40052002", &[("taskId", &first)]).await?;
                let query = PageQuery { limit: u32::MAX, ..PageQuery::default() };
                let kept = lab.engine().list_jobs(&query)?.items;
                ensure!(kept.iter().filter(|job| job.state.is_over()).count() <= 2_001, "{} are kept", kept.len());
                // Stopping one is nobody's right through this interface, but the console's.
                let job = kept.first().context("a job")?;
                ensure!(job.state == JobState::Failed && lab.engine().stop_job(&Actor::engine(), job.id).await.is_err());
            }
        },
    ],
};
