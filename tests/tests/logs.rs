//! Collecting logs from a real agent: begun in the console, interrupted by a crash of the engine, downloaded.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    Code,
    api::{self, ById, JOBS_PATH, ManageBody, NodesBody, PageQuery},
    deployment::{InstanceState, Target},
    job::{ItemState, Job, JobState},
    node::NodeState,
};
use edgedeck_tests::{
    client::Console,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, logs_say, node_in, placement},
    programs::Edgedeckd,
    wait::until,
    web::Web,
};
use flate2::read::GzDecoder;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, io::Read, net::Ipv4Addr};

async fn over(console: &Console, state: JobState) -> Result<Job> {
    until(&format!("job that is {state:?}"), LONG, async || {
        let jobs = console.call::<api::ListJobs>((), PageQuery::default(), ()).await?;
        Ok(jobs.items.into_iter().next().filter(|job| job.state == state))
    })
    .await
}

fn unpack(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(GzDecoder::new(bytes));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(entry.path()?.display().to_string(), bytes);
    }
    Ok(files)
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_collected_even_if_the_engine_crashes_meanwhile() -> Result<()> {
    let host = Host::new().await?;
    let mut engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let mut console = engine.console().await?;
    let agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;
    let spec = container(IMAGE, "echo a line worth collecting; exec sleep 100000");
    let app = deploy(&console, "speaker", spec, Target::Nodes(vec![node.id])).await?;
    let running = placement(&console, app, "running container", |placement| {
        placement.state == InstanceState::Running
    })
    .await?;
    logs_say(&console, running.id, "worth collecting").await?;

    // Begun on the page, by hand.
    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/nodes?face=table"), (1280, 800), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.click("[data-test=nodes-row] .checkbox").await?;
    web.click("[data-test=do-logs]").await?;
    web.click("[data-test=confirm-yes]").await?;
    web.shows("[data-test=job-facts]", "Succeeded").await?;
    web.shows("[data-test=job-items-row]", "BOX-1").await?;
    web.find("[data-test=download-job]").await?;
    web.close().await?;
    let job = over(&console, JobState::Succeeded).await?;

    // What was sent is what the node packed, down to the checksum.
    let answer = console
        .request(reqwest::Method::GET, &format!("{JOBS_PATH}/{}/file", job.id))
        .send()
        .await?
        .error_for_status()?;
    let whole = unpack(&answer.bytes().await?)?;
    let own = whole
        .get("BOX-1.tar.gz")
        .with_context(|| format!("{:?}", whole.keys()))?;
    let item = console
        .call::<api::ListJobItems>(ById { id: job.id }, PageQuery::default(), ())
        .await?;
    let item = item.items.first().context("an item")?;
    ensure!(
        item.sha256.as_deref() == Some(&hex::encode(Sha256::digest(own))) && item.bytes == own.len() as u64,
        "{item:?}"
    );
    let files = unpack(own)?;
    let log = files
        .iter()
        .find(|(name, _)| name.starts_with("workloads/"))
        .context("a workload's log")?;
    ensure!(
        String::from_utf8_lossy(log.1).contains("a line worth collecting"),
        "{log:?}"
    );
    ensure!(
        files.contains_key("agent/about.json") && files.contains_key("system/proc-meminfo"),
        "{:?}",
        files.keys()
    );

    // The engine crashes while a node packs; both go on afterwards.
    let pid = Pid::from_raw(i32::try_from(agent.id())?);
    kill(pid, Signal::SIGSTOP)?;
    console
        .call::<api::CollectLogs>((), (), NodesBody { nodes: vec![node.id] })
        .await?;
    over(&console, JobState::Running).await?;
    let second = console
        .try_call::<api::CollectLogs>((), (), NodesBody { nodes: vec![node.id] })
        .await?;
    ensure!(
        second.err().is_some_and(|problem| problem.code == Code::Conflict),
        "two at once"
    );
    engine.kill_and_restart().await?;
    console = engine.console().await?;
    over(&console, JobState::Running).await?;
    kill(pid, Signal::SIGCONT)?;
    let job = over(&console, JobState::Succeeded).await?;
    ensure!(job.succeeded == 1 && job.failed == 0, "{job:?}");

    // Stopped, it ends, and what was collected goes.
    kill(pid, Signal::SIGSTOP)?;
    let job = console
        .call::<api::CollectLogs>((), (), NodesBody { nodes: vec![node.id] })
        .await?;
    over(&console, JobState::Running).await?;
    console.call::<api::StopJob>(ById { id: job.id }, (), ()).await?;
    let stopped = over(&console, JobState::Stopped).await?;
    kill(pid, Signal::SIGCONT)?;
    ensure!(stopped.failed == 1 && stopped.file_until.is_none(), "{stopped:?}");
    let items = console
        .call::<api::ListJobItems>(ById { id: job.id }, PageQuery::default(), ())
        .await?;
    ensure!(
        items.items.iter().all(|item| item.state == ItemState::Failed),
        "{items:?}"
    );
    let none = console
        .request(reqwest::Method::GET, &format!("{JOBS_PATH}/{}/file", job.id))
        .send()
        .await?;
    ensure!(none.status() == 409, "{}", none.status());
    Ok(())
}
