//! The agent's runtimes with real containers and real processes: no engine of the lab, only what is wanted.

use anyhow::{Context, Result, ensure};
use edgedeck_agent::{reconcile::PartKey, runtime::LogRequest};
use edgedeck_model::{
    app::{Mount, Port, Process, Protocol, Restart, Run},
    deployment::{InstanceState, Reason, Wanted},
};
use edgedeck_protocol::{Instance, Observed, Workload};
use edgedeck_tests::{
    agent::{FOREVER, Node, is_alive, part, placement, shell, unpacked, with, workload},
    docker::{IMAGE, PrivateDocker},
    wait::{USUAL, until},
};
use std::{fs, path::Path, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn containers_run_end_and_leave_nothing() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let id = placement();
    let name = PartKey {
        placement: id,
        part: "main".to_owned(),
    }
    .name();

    // It runs, with its environment, and its log can be read and waited for.
    let script = format!("echo \"$GREETING\"; echo broken >&2; {FOREVER}");
    agent.want(vec![workload(id, Wanted::Running, shell(&script, Restart::Always))]);
    let first = agent
        .part("running", |part| part.state == InstanceState::Running)
        .await?;
    ensure!(first.restarts == 0 && first.started_at.is_some(), "{first:?}");
    ensure!(docker.containers()? == std::slice::from_ref(&name));
    let lines = until("all three lines", USUAL, async || {
        let (lines, next) = agent.lines(id, 0, 0).await?;
        Ok((lines.len() == 3).then_some((lines, next)))
    })
    .await?;
    ensure!(
        lines.0.contains(&"你好".to_owned()) && lines.0.contains(&"broken".to_owned()),
        "{lines:?}"
    );
    let page = agent
        .workloads
        .logs(id, String::new(), LogRequest::new(0, 10, 0))
        .await?;
    ensure!(
        page.lines.iter().any(|line| line.error && line.text == "broken"),
        "{page:?}"
    );
    let (none, next) = agent.lines(id, lines.1, 300).await?;
    ensure!(none.is_empty() && next == lines.1);

    // Killed from outside: counted, told, and started again after a moment; the log goes on.
    docker.run(&["kill", &name])?;
    let ended = agent
        .part("back-off", |part| part.state == InstanceState::BackOff)
        .await?;
    ensure!(
        ended.exit_code == Some(137) && ended.reason == Some(Reason::Exited),
        "{ended:?}"
    );
    ensure!(ended.next_start_at.is_some(), "{ended:?}");
    let again = agent
        .part("running again", |part| part.state == InstanceState::Running)
        .await?;
    ensure!((again.restarts, again.recent_restarts) == (1, 1), "{again:?}");
    let (new, _) = agent.lines(id, lines.1, 20_000).await?;
    ensure!(!new.is_empty(), "the log stands still");

    // Stopped and kept; started again, which is no restart.
    agent.want(vec![workload(id, Wanted::Stopped, shell(&script, Restart::Always))]);
    agent
        .part("stopped", |part| part.state == InstanceState::Stopped)
        .await?;
    ensure!(docker.containers()? == std::slice::from_ref(&name));
    agent.want(vec![workload(id, Wanted::Running, shell(&script, Restart::Always))]);
    let third = agent
        .part("running after a stop", |part| part.state == InstanceState::Running)
        .await?;
    ensure!(third.restarts == 1, "{third:?}");

    // Not wanted any more: every trace goes, and that is reported until it is stored.
    agent.want(vec![]);
    let report = agent
        .report("removed", |report| report.instances.iter().all(|one| one.removed))
        .await?;
    ensure!(report.instances.len() == 1, "{report:?}");
    ensure!(docker.containers()?.is_empty());
    agent.workloads.stored(report.sequence);
    agent
        .report("nothing to report", |report| report.instances.is_empty())
        .await?;
    ensure!(docker.run(&["volume", "ls", "--quiet"])?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_cannot_run_say_why() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let id = placement();

    // Exit codes and policies.
    for (script, restart, state, code) in [
        ("exit 3", Restart::Never, InstanceState::Failed, 3),
        ("exit 0", Restart::OnFailure, InstanceState::Succeeded, 0),
        (
            "/bin/sh -c 'kill -9 $$'; exit $?",
            Restart::Never,
            InstanceState::Failed,
            137,
        ),
        ("exit 4", Restart::OnFailure, InstanceState::BackOff, 4),
    ] {
        let id = placement();
        agent.want(vec![workload(id, Wanted::Running, shell(script, restart))]);
        let what = format!("{state:?} of {script}");
        agent
            .report(&what, |report| {
                let this = report.instances.iter().find(|one| one.placement == id);
                this.is_some_and(|one| {
                    one.parts
                        .iter()
                        .any(|part| part.state == state && part.exit_code == Some(code))
                })
            })
            .await?;
    }

    // Nobody can be asked for an image here, and that is not the same as an image that does not exist.
    let absent = with(shell("true", Restart::Always), |container| {
        container.image = "registry.invalid/none:1".to_owned()
    });
    agent.want(vec![workload(id, Wanted::Running, absent)]);
    let failed = agent
        .part("a pull that fails", |part| {
            part.reason == Some(Reason::ImageUnreachable)
        })
        .await?;
    ensure!(
        failed.state == InstanceState::Failed && failed.next_start_at.is_some(),
        "{failed:?}"
    );
    ensure!(
        failed
            .detail
            .as_ref()
            .is_some_and(|detail| detail.contains("registry.invalid")),
        "{failed:?}"
    );

    // A port that another container has; free again, it is taken.
    let port = Port {
        name: String::new(),
        container: 80,
        host: 18_080,
        host_ip: None,
        protocol: Protocol::Tcp,
    };
    docker.run(&[
        "run",
        "-d",
        "--name",
        "squatter",
        "-p",
        "18080:80",
        IMAGE,
        "/bin/sleep",
        "1000",
    ])?;
    let listening = with(shell(FOREVER, Restart::Always), |container| {
        container.ports = vec![port]
    });
    agent.want(vec![workload(id, Wanted::Running, listening)]);
    agent
        .part("a taken port", |part| part.reason == Some(Reason::PortTaken))
        .await?;
    docker.run(&["rm", "-f", "squatter"])?;
    agent
        .part("the port at last", |part| part.state == InstanceState::Running)
        .await?;

    // A folder that is not there is refused with the engine's words, not made.
    let missing = node.folder.path().join("missing");
    let mount = Mount {
        name: String::new(),
        host: missing.display().to_string(),
        container: "/data".to_owned(),
        read_only: true,
    };
    let mounted = with(shell(FOREVER, Restart::Always), |container| {
        container.mounts = vec![mount]
    });
    agent.want(vec![workload(id, Wanted::Running, mounted)]);
    agent
        .part("a missing folder", |part| part.reason == Some(Reason::Refused))
        .await?;
    ensure!(!missing.exists());

    // No NPU here.
    let mut greedy = shell(FOREVER, Restart::Always);
    greedy.resources.npus = 1;
    agent.want(vec![workload(id, Wanted::Running, greedy)]);
    agent
        .part("a missing NPU", |part| part.reason == Some(Reason::NoSuchDevice))
        .await?;

    // More memory than it may have.
    let mut hungry = with(shell("", Restart::Never), |container| {
        container.command = vec!["/bin/dd".to_owned()]
    });
    hungry.resources.memory_limit_bytes = 32 << 20;
    hungry.args = ["if=/dev/zero", "of=/dev/null", "bs=200M", "count=2"]
        .map(str::to_owned)
        .to_vec();
    agent.want(vec![workload(id, Wanted::Running, hungry)]);
    let killed = agent
        .part("an end for lack of memory", |part| {
            part.reason == Some(Reason::OutOfMemory)
        })
        .await?;
    ensure!(killed.exit_code == Some(137), "{killed:?}");

    // Hardened is not root and cannot write.
    let script = "id -u; touch /x 2>/dev/null && echo wrote; true";
    let hardened = with(shell(script, Restart::Never), |container| container.hardened = true);
    agent.want(vec![workload(id, Wanted::Running, hardened)]);
    agent
        .part("a hardened end", |part| part.state == InstanceState::Succeeded)
        .await?;
    let (lines, _) = agent.lines(id, 0, 0).await?;
    ensure!(lines == ["65534"], "{lines:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_takes_up_its_containers() -> Result<()> {
    let mut docker = PrivateDocker::start().await?;
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let ids = [placement(), placement(), placement()];
    let all: Vec<Workload> = ids
        .iter()
        .map(|id| workload(*id, Wanted::Running, shell(FOREVER, Restart::Always)))
        .collect();
    agent.want(all.clone());
    let is_all_running = |report: &Observed| {
        let running = |one: &Instance| one.parts.iter().all(|part| part.state == InstanceState::Running);
        report.instances.len() == 3 && report.instances.iter().all(running)
    };
    agent.report("three running", is_all_running).await?;
    let before = docker.run(&["ps", "--no-trunc", "--quiet"])?;

    // A container of somebody else, and one of another node, are none of its business.
    docker.run(&[
        "run",
        "-d",
        "--name",
        "other",
        "--label",
        "edgedeck.node=x",
        IMAGE,
        "/bin/sleep",
        "1000",
    ])?;

    // As after kill -9: nothing is said, and one of the containers ends meanwhile.
    drop(agent);
    let victim = PartKey {
        placement: ids[0],
        part: "main".to_owned(),
    }
    .name();
    docker.run(&["kill", &victim])?;
    let agent = node.start(1)?;
    let report = agent.report("three running again", |report| {
        is_all_running(report)
            && report
                .instances
                .iter()
                .any(|one| one.parts.iter().any(|part| part.restarts == 1))
    });
    report.await?;
    let after = docker.run(&["ps", "--no-trunc", "--quiet", "--filter", "name=edgedeck-"])?;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    ensure!(sorted(&before) == sorted(&after), "others run now: {before} / {after}");

    // The engine of the containers goes away and comes back.
    docker.stop_engine()?;
    agent
        .part("trouble without a container engine", |part| {
            part.reason == Some(Reason::NoRuntime)
        })
        .await?;
    docker.start_engine().await?;
    agent.report("three running after all", is_all_running).await?;
    ensure!(docker.containers()?.len() == 4);

    // Everything of this node goes, and nothing else.
    ensure!(agent.workloads.remove_all(Duration::from_secs(60)).await);
    ensure!(docker.containers()? == ["other"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_outlive_the_agent_and_end_with_all_they_started() -> Result<()> {
    let node = Node::new("unix:///nonexistent.sock".to_owned())?;
    let home = node.home();
    home.create()?;
    let pids = node.folder.path().join("pids");
    let script = format!(
        "#!/bin/sh\necho \"$GREETING $1\"\necho broken >&2\nsleep 1000 &\necho $$ $! > {0}.new\nmv {0}.new {0}\nwait\n",
        pids.display()
    );
    let mut agent = node.start(0)?;
    // What nobody uses is removed first; the package comes after that.
    agent.report("first look", |_| true).await?;
    let hash = unpacked(&home, &script)?;
    let run = |program: &str| {
        Run::Process(Process {
            package: hash.clone(),
            program: program.to_owned(),
        })
    };
    let id = placement();

    agent.want(vec![workload(
        id,
        Wanted::Running,
        part(run("bin/gone"), &[], Restart::Always),
    )]);
    agent
        .part("a missing program", |part| part.reason == Some(Reason::ProgramMissing))
        .await?;

    let wanted = workload(id, Wanted::Running, part(run("bin/run"), &["world"], Restart::Always));
    agent.want(vec![wanted.clone()]);
    agent
        .part("running", |part| part.state == InstanceState::Running)
        .await?;
    let started = async |other_than: &str| {
        let what = "the process's own word";
        until(what, USUAL, async || {
            Ok(fs::read_to_string(&pids).ok().filter(|text| text != other_than))
        })
        .await
    };
    let first = started("").await?;
    let lines = until("two lines", USUAL, async || {
        let (lines, _) = agent.lines(id, 0, 1_000).await?;
        Ok((lines.len() == 2).then_some(lines))
    })
    .await?;
    ensure!(
        lines.contains(&"你好 world".to_owned()) && lines.contains(&"broken".to_owned()),
        "{lines:?}"
    );

    // The agent goes and comes: it is the same process.
    drop(agent);
    let agent = node.start(2)?;
    agent
        .part("still running", |part| {
            part.state == InstanceState::Running && part.restarts == 0
        })
        .await?;
    ensure!(fs::read_to_string(&pids)? == first);

    // Killed while no agent looks: told and started again, child and all.
    drop(agent);
    let (main, child) = first.trim().split_once(' ').context("two numbers")?;
    ensure!(is_alive(main) && is_alive(child));
    std::process::Command::new("kill").args(["-9", main]).status()?;
    until("the end of what it had started", USUAL, async || {
        Ok((!is_alive(child)).then_some(()))
    })
    .await?;
    let mut agent = node.start(2)?;
    let again = agent
        .part("running again", |part| {
            part.state == InstanceState::Running && part.restarts == 1
        })
        .await?;
    ensure!(again.exit_code == Some(137), "{again:?}");
    let second = started(&first).await?;

    agent.want(vec![Workload {
        wanted: Wanted::Stopped,
        ..wanted
    }]);
    agent
        .part("stopped", |part| part.state == InstanceState::Stopped)
        .await?;
    for pid in second.split_whitespace() {
        ensure!(!is_alive(pid), "{pid} is still there");
    }
    agent.want(vec![]);
    agent
        .report("removed", |report| report.instances.iter().all(|one| one.removed))
        .await?;
    for folder in [home.work(), home.logs(), home.packages()] {
        ensure!(is_empty(&folder)?, "{} is not empty", folder.display());
    }
    Ok(())
}

fn is_empty(folder: &Path) -> Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}
