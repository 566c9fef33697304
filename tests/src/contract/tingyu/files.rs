//! Files out of containers.

use super::lab::{Does, FILE, TingyuLab};
use crate::{case, contract::Chapter, wait::Rounds};
use serde_json::{Value, json};

pub const CHAPTER: Chapter<TingyuLab> = Chapter {
    name: "files",
    cases: &[
        case! {
            operation: "downloadFile",
            rules: ["downloadFile/c60bef05", "downloadFile/231cc7e0", "downloadFile/de95a508"],
            errors: ["downloadFile/200/500"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("F-1").await?;
                let spec = json!([{ "uuid": machine.names().1, "image": "vdp", "imageversion": "v1", "deploymentname": "f-1" }]);
                let made = lab.send("createContainers", &spec).await?.success()?;
                lab.task(made.at("/data/0/jobid"), 3).await?;
                // By the container's name, and by its pod's.
                let pods = lab.read("getContainerInfo", &[("name", "f-1")]).await?;
                let pod = pods.at("/data/0/data/podinfo/0/podname").as_str().unwrap_or_default().to_owned();
                for name in ["f-1", &pod] {
                    let begun = lab.read("downloadFile", &[("name", name), ("filepath", FILE.0)]).await?;
                    anyhow::ensure!(begun.at("/jobId").is_string() && begun.at("/error").is_null(), "{}", begun.shown());
                    file(lab, begun.at("/jobId")).await?;
                }
                let jobs = lab.engine().jobs_of(edgedeck_model::job::JobKind::File)?.len();
                // Paths that climb out, lead to devices or are none; containers that are not there.
                let long = format!("/{}", "x".repeat(5_000));
                for path in [
                    "", "run.log", "/", "/a/../../etc/shadow", "/..", "/a//b", "/a/./b", "/a/", "/dev/sda", "/proc/1/environ", "/sys/power/state",
                    "/a\0b", "/a\nb", &long,
                ] {
                    let refused = lab.ask("downloadFile", &[("name", "f-1"), ("filepath", path)]).await?;
                    refused.expect_error(lab.north.document(), "downloadFile/200/500")?;
                    anyhow::ensure!(
                        refused.at("/error") == "Abnormal error, please contact the administrator" && refused.at("/jobId").is_null(),
                        "{path:?}: {}", refused.shown()
                    );
                }
                for name in ["nginx", "", "f-1-0000000000-00000", "../f-1"] {
                    let refused = lab.ask("downloadFile", &[("name", name), ("filepath", FILE.0)]).await?;
                    refused.expect_error(lab.north.document(), "downloadFile/200/500")?;
                }
                anyhow::ensure!(lab.engine().jobs_of(edgedeck_model::job::JobKind::File)?.len() == jobs);
            }
        },
        case! {
            operation: "getFileByJobId",
            rules: ["getFileByJobId/231cc7e0", "getFileByJobId/b48a94c0", "getFileByJobId/fddd2cc3"],
            errors: ["getFileByJobId/200/500"],
            async |lab: &mut TingyuLab| {
                let machine = lab.managed("J-1").await?;
                let spec = json!([{ "uuid": machine.names().1, "image": "vdp", "imageversion": "v1", "deploymentname": "j-1" }]);
                let made = lab.send("createContainers", &spec).await?.success()?;
                let task = made.at("/data/0/jobid").clone();
                lab.task(&task, 3).await?;
                machine.does(Does::Nothing);
                let slow = lab.read("downloadFile", &[("name", "j-1"), ("filepath", FILE.0)]).await?;
                let told = lab.read("getFileByJobId", &[("jobId", slow.at("/jobId").as_str().unwrap_or_default())]).await?;
                anyhow::ensure!(
                    told.at("/data/state").as_u64().is_some_and(|state| state < 3) && told.at("/data/url").is_null() && told.at("/error").is_null(),
                    "{}", told.shown()
                );
                machine.does(Does::All);
                let begun = lab.read("downloadFile", &[("name", "j-1"), ("filepath", FILE.0)]).await?;
                let info = file(lab, begun.at("/jobId")).await?;
                let id = begun.at("/jobId").as_str().unwrap_or_default();
                let expected = json!({
                    "jobId": id, "state": 3, "filename": "run 日志.log", "filepath": FILE.0, "size": 1,
                    "md5": "0cc175b9c0f1b6a831c399e269772661", "url": format!("/file/content/{id}"),
                });
                anyhow::ensure!(info == expected, "{info}");
                let content = lab.http.get(format!("{}/tingyu/file/content/{id}", lab.base)).send().await?;
                let name = content.headers()["content-disposition"].to_str()?.to_owned();
                anyhow::ensure!(name == "attachment; filename*=UTF-8''run%20%E6%97%A5%E5%BF%97%2Elog", "{name}");
                anyhow::ensure!(content.bytes().await? == FILE.1);
                // A file that is not there, a task that is none of a file, and ids that are none.
                let missing = lab.read("downloadFile", &[("name", "j-1"), ("filepath", "/no/such")]).await?;
                let missing = missing.at("/jobId").as_str().unwrap_or_default().to_owned();
                let rounds = Rounds::of("failure");
                loop {
                    let answer = lab.ask("getFileByJobId", &[("jobId", &missing)]).await?;
                    if !answer.success {
                        answer.expect_error(lab.north.document(), "getFileByJobId/200/500")?;
                        anyhow::ensure!(answer.at("/error") == "get file info fail" && answer.at("/data").is_null(), "{}", answer.shown());
                        break;
                    }
                    rounds.next().await?;
                }
                for id in [task.as_str().unwrap_or_default(), "", "x", "../..", &"0".repeat(32)] {
                    let refused = lab.ask("getFileByJobId", &[("jobId", id)]).await?;
                    anyhow::ensure!(!refused.success && refused.at("/error") == "get file info fail", "{id}: {}", refused.shown());
                    let content: Value = lab.http.get(format!("{}/tingyu/file/content/{id}", lab.base)).send().await?.json().await?;
                    anyhow::ensure!(content["code"] == 500, "{id}: {content}");
                }
                // Its time is over in a day.
                lab.clock.advance(25 * 3_600_000);
                lab.engine().tick().await;
                let gone = lab.ask("getFileByJobId", &[("jobId", id)]).await?;
                anyhow::ensure!(!gone.success, "{}", gone.shown());
            }
        },
    ],
};

/// What is told of a file once it is there.
async fn file(lab: &TingyuLab, job: &Value) -> anyhow::Result<Value> {
    let (id, rounds) = (job.as_str().unwrap_or_default(), Rounds::of("file"));
    loop {
        let answer = lab.read("getFileByJobId", &[("jobId", id)]).await?;
        if answer.at("/data/state") == 3 {
            return Ok(answer.at("/data").clone());
        }
        rounds.next().await?;
    }
}
