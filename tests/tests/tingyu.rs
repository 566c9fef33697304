//! A script that speaks Tingyu, on real containers.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    api::{self, ById, ManageBody, PageQuery},
    deployment::Wanted,
    node::{Node, NodeState},
};
use edgedeck_tests::{
    client::Console,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, node_in},
    programs::{Edgedeckd, Process},
    wait::until,
};
use serde_json::{Value, json};
use std::{net::Ipv4Addr, path::Path, process::Command};

/// What the images of these tests run.
const RUNS: &str = r#"CMD ["/bin/sh", "-c", "echo $WORD > /run.log; ln -sf /etc/shadow /link; exec sleep 100000"]"#;

struct Script {
    engine: Edgedeckd,
    console: Console,
    host: Host,
    _agent: Process,
    node: Node,
}

impl Script {
    async fn start() -> Result<Self> {
        let host = Host::new().await?;
        let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
        let console = engine.console().await?;
        let agent = join(&console, &host).await?;
        let node = node_in(&console, NodeState::Online).await?;
        console
            .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
            .await?;
        Ok(Self {
            engine,
            console,
            host,
            _agent: agent,
            node,
        })
    }

    fn uuid(&self) -> String {
        format!("tingyu-{}", self.node.id.0.simple())
    }

    /// As curl of a script does it; the answer's body.
    fn curl(&self, method: &str, path: &str, more: &[&str]) -> Result<Value> {
        let bytes = self.curl_bytes(method, path, more)?;
        serde_json::from_slice(&bytes).with_context(|| format!("{path}: {}", String::from_utf8_lossy(&bytes)))
    }

    fn curl_bytes(&self, method: &str, path: &str, more: &[&str]) -> Result<Vec<u8>> {
        let address = self.engine.listeners.get("tingyu").context("Tingyu's listener")?;
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--insecure",
                "--globoff",
                "--request",
                method,
            ])
            .args(more)
            .arg(format!("https://{address}/tingyu{path}"))
            .output()?;
        ensure!(
            output.status.success(),
            "{path}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        self.curl(
            method,
            path,
            &["--header", "Content-Type: application/json", "--data", &body],
        )
    }

    async fn task(&self, job: &Value, state: u64) -> Result<()> {
        let path = format!("/task/status?jobid={}", job.as_str().context("a task")?);
        until(&format!("task in state {state}"), LONG, async || {
            let answer = self.curl("GET", &path, &[])?;
            let now = answer["info"][0]["state"].as_u64();
            let is_over = now.is_some_and(|now| now >= 3);
            ensure!(
                !is_over || now == Some(state),
                "{answer}; the agent: {}",
                self.host.log()
            );
            Ok(is_over.then_some(()))
        })
        .await
    }

    /// Ids of the containers that run.
    fn running(&self) -> Result<Vec<String>> {
        let listed = self
            .host
            .docker
            .run(&["ps", "--quiet", "--no-trunc", "--filter", "name=edgedeck-"])?;
        Ok(listed.lines().map(ToOwned::to_owned).collect())
    }

    /// Makes an image on the box.
    fn make(&self, tag: &str) -> Result<()> {
        let made = self.host.docker.run(&["create", IMAGE, "true"])?;
        let container = made.trim();
        self.host.docker.run(&["commit", "--change", RUNS, container, tag])?;
        self.host.docker.run(&["rm", container])?;
        Ok(())
    }

    /// Writes such an image as `docker save` does, and forgets it.
    fn save(&self, to: &Path, tag: &str) -> Result<()> {
        self.make(tag)?;
        self.host
            .docker
            .run(&["save", "--output", &to.display().to_string(), tag])?;
        self.host.docker.run(&["rmi", tag])?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_containers_and_files_of_a_real_box() -> Result<()> {
    let mut script = Script::start().await?;
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("pop2p.tar");
    for version in ["v1", "v2"] {
        script.save(&archive, &format!("any:{version}"))?;
        let file = format!("file=@{}", archive.display());
        let path = format!("/image/uploadImage?image_name=pop2p&image_url=cdn&version={version}&detail=test");
        let added = script.curl("POST", &path, &["--form", &file])?;
        ensure!(added == json!({ "msg": "success", "code": 200 }), "{added}");
    }
    let found = script.curl("GET", "/image/search?wordKey=pop", &[])?;
    ensure!(
        found["data"].as_array().is_some_and(|images| images.len() == 2),
        "{found}"
    );

    let spec = |name: &str| {
        json!({
            "uuid": script.uuid(), "image": "pop2p", "imageversion": "v1", "deploymentname": name,
            "env": [{ "key": "WORD", "value": "hello" }], "limitscpu": 0.5, "limitsmemory": 64,
        })
    };
    let made = script.json("POST", "/container/create", &json!([spec("pop2p1"), spec("pop2p2")]))?;
    script.task(&made["data"][0]["jobid"], 3).await?;
    script.task(&made["data"][1]["jobid"], 3).await?;
    let first = script.running()?;
    ensure!(first.len() == 2, "{first:?}");
    let seen = script.host.docker.run(&[
        "inspect",
        "--format",
        "{{.HostConfig.NetworkMode}} {{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}",
        &first[0],
    ])?;
    ensure!(seen.trim() == "host 67108864 500000000", "{seen}");
    let info = script.curl("POST", "/container/info?name=pop2p1", &[])?;
    ensure!(info["data"][0]["data"]["podinfo"][0]["podstate"] == "Running", "{info}");

    // A file that is there; links, folders and devices are not taken, and what fails says so.
    let begun = script.curl("POST", "/file/downloadfile?name=pop2p1&filepath=/run.log", &[])?;
    let job = begun["jobId"].as_str().context("a job")?;
    let told = until("file", LONG, async || {
        let answer = script.curl("POST", &format!("/file/getResponseByJobId?jobId={job}"), &[])?;
        Ok((answer["data"]["state"] == 3).then_some(answer))
    })
    .await?;
    ensure!(
        told["data"]["size"] == 6 && told["data"]["md5"] == "b1946ac92492d2347c6235b4d2611184",
        "{told}"
    );
    let url = told["data"]["url"].as_str().context("an address")?;
    ensure!(script.curl_bytes("GET", url, &[])? == b"hello\n");
    for path in ["/link", "/bin", "/no/such"] {
        let begun = script.curl("POST", &format!("/file/downloadfile?name=pop2p1&filepath={path}"), &[])?;
        let job = begun["jobId"].as_str().context("a job")?;
        until("failure", LONG, async || {
            let answer = script.curl("POST", &format!("/file/getResponseByJobId?jobId={job}"), &[])?;
            Ok((answer["error"] == "get file info fail").then_some(()))
        })
        .await?;
    }

    // Stopping keeps the container, a restart replaces it; the other is left alone.
    let stopped = script.curl("POST", "/container/stop?name=pop2p1", &[])?;
    ensure!(stopped["msg"] == "停止成功!", "{stopped}");
    until("one that runs", LONG, async || {
        Ok((script.running()?.len() == 1).then_some(()))
    })
    .await?;
    script.curl("POST", "/container/start?name=pop2p1", &[])?;
    until("the same two", LONG, async || {
        let mut now = script.running()?;
        let mut before = first.clone();
        now.sort();
        before.sort();
        Ok((now == before).then_some(()))
    })
    .await?;
    script.curl("POST", "/container/restart?name=pop2p1", &[])?;
    until("another beside the same", LONG, async || {
        let now = script.running()?;
        let same = now.iter().filter(|id| first.contains(id)).count();
        Ok((now.len() == 2 && same == 1).then_some(()))
    })
    .await?;

    // A task outlives the engine, and goes on without it.
    let update = json!([{ "uuid": script.uuid(), "deploymentname": "pop2p1", "imageversion": "v2" }]);
    let updated = script.json("PUT", "/container/updateByName", &update)?;
    script.engine.kill_and_restart().await?;
    script.console = script.engine.console().await?;
    script.task(&updated["data"][0]["jobid"], 3).await?;
    let got = script.curl("POST", "/container/get?name=pop2p1", &[])?;
    let image = got["data"][0]["data"]["image"].as_str().unwrap_or_default();
    let registry = image.strip_suffix("/cdn/pop2p:v2");
    let registry = registry.with_context(|| got.to_string())?;
    // One whose image the registry does not have fails, and keeps Kubernetes' word for it.
    let lost = json!([{ "uuid": script.uuid(), "image": format!("{registry}/no/such"), "imageversion": "v0", "deploymentname": "lost" }]);
    let lost = script.json("POST", "/container/create", &lost)?;
    script.task(&lost["data"][0]["jobid"], 4).await?;
    let info = script.curl("POST", "/container/info?name=lost", &[])?;
    ensure!(info["data"][0]["data"]["podinfo"][0]["podstate"] == "Pending", "{info}");

    let gone = script.curl("DELETE", "/container/delete?name=pop2p1,pop2p2,lost", &[])?;
    for at in 0..3 {
        script.task(&gone["data"][at]["jobid"], 3).await?;
    }
    ensure!(script.host.containers()?.is_empty());
    ensure!(
        script
            .console
            .call::<api::ListApps>((), PageQuery::default(), ())
            .await?
            .total
            == 0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_are_sixty_four_containers() -> Result<()> {
    const COUNT: usize = 64;
    let script = Script::start().await?;
    script.make("vdp:v1")?;
    let address = script.engine.listeners.get("tingyu").context("Tingyu's listener")?;
    let create = |name: String| {
        let body = json!([{ "uuid": script.uuid(), "image": "vdp", "imageversion": "v1", "deploymentname": name }]);
        let request = script
            .console
            .http
            .post(format!("https://{address}/tingyu/container/create"));
        async move { anyhow::Ok(request.json(&body).send().await?.json::<Value>().await?["data"][0]["code"].clone()) }
    };
    // Each name twice: one of the two is refused.
    let calls = (0..COUNT * 2).map(|number| create(format!("vdp-{}", number / 2)));
    let codes = futures::future::try_join_all(calls).await?;
    ensure!(codes.iter().filter(|code| **code == 200).count() == COUNT, "{codes:?}");
    until("as many containers", LONG * 3, async || {
        Ok((script.running()?.len() == COUNT).then_some(()))
    })
    .await?;
    let listed = script
        .console
        .call::<api::ListDeployments>(
            (),
            PageQuery {
                limit: 200,
                ..PageQuery::default()
            },
            (),
        )
        .await?;
    ensure!(listed.total == COUNT as u64 && listed.items.iter().all(|one| one.wanted == Wanted::Running));
    ensure!(script.host.containers()?.len() == COUNT);
    Ok(())
}
