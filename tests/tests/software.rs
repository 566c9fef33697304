//! Changing the version of real agents: packages signed by the lab, from the lab and from another server; versions that
//! are not well; and a crash at every step.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    NodeId,
    api::{self, ById, JOBS_PATH, ManageBody, PageQuery, SOFTWARE_PATH, SoftwareBody},
    deployment::{InstanceState, Target},
    job::{ItemState, Job, JobItem},
    node::NodeState,
    software::{Software, Source},
};
use edgedeck_tests::{
    client::Console,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, node, node_in, placement},
    programs::Edgedeckd,
    software::{NEXT, next, package, script_that},
    wait::until,
    web::Web,
};
use std::{fs, net::Ipv4Addr};

const ARCH: &str = std::env::consts::ARCH;

async fn add(console: &Console, package: Vec<u8>) -> Result<Software> {
    let answer = console
        .request(reqwest::Method::PUT, SOFTWARE_PATH)
        .body(package)
        .send()
        .await?;
    ensure!(answer.status().is_success(), "{}", answer.text().await?);
    Ok(answer.json().await?)
}

async fn upgrade(console: &Console, node: NodeId, version: &str) -> Result<Job> {
    let source = Source::Lab {
        version: version.to_owned(),
    };
    let body = SoftwareBody {
        nodes: vec![node],
        source,
        run: true,
    };
    console.call::<api::ChangeSoftware>((), (), body).await
}

/// The job's only item once the job is over.
async fn over(console: &Console, job: &Job) -> Result<JobItem> {
    until("end of the job", LONG, async || {
        let job = console.call::<api::GetJob>(ById { id: job.id }, (), ()).await?;
        Ok(job.state.is_over().then_some(()))
    })
    .await?;
    let items = console
        .call::<api::ListJobItems>(ById { id: job.id }, PageQuery::default(), ())
        .await?;
    items.items.into_iter().next().context("an item")
}

async fn runs(console: &Console, version: &str) -> Result<()> {
    until(&format!("node that runs {version}"), LONG, async || {
        let found = node(console).await?;
        let good =
            |node: &edgedeck_model::node::Node| node.state == NodeState::Online && node.facts.agent_version == version;
        Ok(found.filter(good).map(drop))
    })
    .await
}

fn reason(item: &JobItem) -> &str {
    item.problem.as_ref().map_or("", |problem| problem.fact("reason"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_well_stays_and_another_goes() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let mut agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    let own = node.facts.agent_version.clone();
    let offered = console.call::<api::ListSoftware>((), (), ()).await?;
    ensure!(
        offered
            .iter()
            .any(|software| software.version == own && software.arch == ARCH && software.own),
        "{offered:?}"
    );
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;
    let app = deploy(
        &console,
        "steady",
        container(IMAGE, "exec sleep 100000"),
        Target::Nodes(vec![node.id]),
    )
    .await?;
    placement(&console, app, "running container", |placement| {
        placement.state == InstanceState::Running
    })
    .await?;
    let containers = host.containers()?;

    // To a version that is well, by the process that was there, under a workload that does not notice.
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("next.tar.gz");
    fs::write(&file, next()?)?;
    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/software"), (1280, 800), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.shows("[data-test=versions]", &format!("{own}: 1 node")).await?;
    web.choose("[data-test=add-software]", &file).await?;
    web.shows("[data-test=software-table]", NEXT).await?;
    web.client.goto(&format!("https://{address}/nodes?face=table")).await?;
    web.click("[data-test=nodes-row] .checkbox").await?;
    web.click("[data-test=do-software]").await?;
    web.shows("[data-test=software-source]", NEXT).await?;
    web.click("[data-test=change-software]").await?;
    web.shows("[data-test=job-facts]", "Succeeded").await?;
    web.close().await?;
    let jobs = console.call::<api::ListJobs>((), PageQuery::default(), ()).await?;
    let item = over(&console, jobs.items.first().context("a job")?).await?;
    ensure!(
        item.state == ItemState::Succeeded && item.progress == 100,
        "{item:?}\n{}",
        host.log()
    );
    runs(&console, NEXT).await?;
    let version = host.agent(&["--version"]).output()?;
    ensure!(String::from_utf8_lossy(&version.stdout).contains(NEXT) || !version.status.success());
    ensure!(agent.ended().is_none() && host.containers()? == containers);

    // One that ends at once, one that says nothing, one that is no program for this machine, one for another.
    let mut settings = console.call::<api::GetSettings>((), (), ()).await?;
    settings.software.trial_seconds = 10;
    console.call::<api::UpdateSettings>((), (), settings).await?;
    for (version, program, why) in [
        ("98.0.1", script_that("98.0.1", "exit 7"), "software-unwell"),
        ("98.0.2", script_that("98.0.2", "exec sleep 1000"), "software-unwell"),
        ("98.0.3", b"no program".to_vec(), "software-program"),
        ("98.0.4", script_that("1.2.3", "exit 0"), "software-program"),
    ] {
        add(&console, package(version, ARCH, &program)?).await?;
        let item = over(&console, &upgrade(&console, node.id, version).await?).await?;
        ensure!(
            item.state == ItemState::Failed && reason(&item) == why,
            "{version}: {item:?}\n{}",
            host.log()
        );
        runs(&console, NEXT).await?;
    }
    let elsewhere = if ARCH == "aarch64" { "x86_64" } else { "aarch64" };
    add(&console, package("97.0.0", elsewhere, b"x")?).await?;
    let item = over(&console, &upgrade(&console, node.id, "97.0.0").await?).await?;
    ensure!(reason(&item) == "no-software", "{item:?}");

    // The power goes while a version is on trial: the old one runs, and says so.
    let job = upgrade(&console, node.id, "98.0.2").await?;
    let trial = host.program().with_file_name(".edgedeck-agent.trial");
    until("trial", LONG, async || Ok(trial.exists().then_some(()))).await?;
    agent.kill();
    let mut agent = host.run_agent()?;
    let item = over(&console, &job).await?;
    ensure!(reason(&item) == "software-interrupted", "{item:?}\n{}", host.log());
    runs(&console, NEXT).await?;
    ensure!(!trial.exists() && host.containers()? == containers && agent.ended().is_none());

    // The engine crashes meanwhile: the job goes on, and the version before comes back.
    let mut engine = engine;
    let job = upgrade(&console, node.id, &own).await?;
    engine.kill_and_restart().await?;
    let console = engine.console().await?;
    let item = over(&console, &job).await?;
    ensure!(item.state == ItemState::Succeeded, "{item:?}\n{}", host.log());
    runs(&console, &own).await?;
    ensure!(host.containers()? == containers);

    // What is not allowed, or not there, is refused before anything is done.
    let mut settings = console.call::<api::GetSettings>((), (), ()).await?;
    settings.software.lower = false;
    console.call::<api::UpdateSettings>((), (), settings).await?;
    let item = over(&console, &upgrade(&console, node.id, &own).await?).await?;
    ensure!(reason(&item) == "software-lower", "{item:?}");
    let source = Source::Lab {
        version: "1.0.0".to_owned(),
    };
    let body = SoftwareBody {
        nodes: vec![node.id],
        source,
        run: true,
    };
    ensure!(console.try_call::<api::ChangeSoftware>((), (), body).await?.is_err());
    for bad in [b"nothing".to_vec(), package("1.0", "mips", b"x")?] {
        let answer = console
            .request(reqwest::Method::PUT, SOFTWARE_PATH)
            .body(bad)
            .send()
            .await?;
        ensure!(answer.status() == 400, "{}", answer.status());
    }
    let again = console
        .request(reqwest::Method::PUT, SOFTWARE_PATH)
        .body(package(&own, ARCH, b"x")?)
        .send()
        .await?;
    ensure!(again.status() == 409, "{}", again.status());
    let logs = console
        .request(reqwest::Method::GET, &format!("{JOBS_PATH}/{}/file", job.id))
        .send()
        .await?;
    ensure!(logs.status() == 409, "an upgrade has a file to download");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_at_any_step_one_of_two_versions_runs() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let mut agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    let own = node.facts.agent_version.clone();
    add(&console, next()?).await?;
    // The agent, and what it becomes, is killed at the n-th of the calls that change what a restart finds; each of its
    // threads counts for itself. It has got through when none has so many any more.
    const CALLS: &str = "rename,renameat,renameat2,unlink,unlinkat,execve,link,linkat";
    let (mut running, mut killed, mut through) = (own.clone(), 0, 0);
    for at in 1..=60 {
        agent.stop()?;
        let (trace, inject) = (
            format!("trace={CALLS}"),
            format!("inject={CALLS}:signal=SIGKILL:when={at}"),
        );
        let tracer = ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
        let mut traced = host.run_agent_under(&tracer)?;
        let wanted = if running == own { NEXT } else { &own };
        let job = upgrade(&console, node.id, wanted).await?;
        until("end of job or agent", LONG, async || {
            let job = console.call::<api::GetJob>(ById { id: job.id }, (), ()).await?;
            Ok((job.state.is_over() || traced.ended().is_some()).then_some(()))
        })
        .await?;
        let was_killed = traced.ended().is_some();
        traced.kill();
        agent = host.run_agent()?;
        let told = || format!("killed at {at}: {}", host.log());
        let item = over(&console, &job).await.with_context(told)?;
        match item.state {
            ItemState::Succeeded => running = wanted.to_owned(),
            _ => ensure!(reason(&item) == "software-interrupted", "{item:?} {}", told()),
        }
        runs(&console, &running).await.with_context(told)?;
        for entry in fs::read_dir(host.program().parent().context("a folder")?)? {
            let name = entry?.file_name();
            ensure!(!name.to_string_lossy().contains(".trial"), "{name:?} is left behind");
        }
        killed += usize::from(was_killed);
        through = if was_killed { 0 } else { through + 1 };
        if through == 2 {
            break;
        }
    }
    eprintln!("killed {killed} times");
    ensure!(killed >= 8 && through == 2, "killed {killed} times");
    Ok(())
}
