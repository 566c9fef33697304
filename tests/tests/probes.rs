//! Probes, devices and privileges with real containers and real processes.

use anyhow::{Context, Result, ensure};
use edgedeck_agent::reconcile::PartKey;
use edgedeck_model::{
    PlacementId,
    app::{Device, ExtraHost, Part, Process, Restart, Run},
    deployment::{InstanceState, PartStatus, Reason, Wanted},
    probe::{Check, Probe},
};
use edgedeck_tests::{
    agent::{Agent, FOREVER, Node, is_alive, part, placement, shell, unpacked, with, workload},
    authority::Authority,
    docker::PrivateDocker,
    wait::{USUAL, until},
};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{fs, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

fn exec(command: &[&str]) -> Check {
    Check::Exec {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn http(port: u16, path: &str) -> Check {
    Check::Http {
        path: path.to_owned(),
        port,
        host: None,
        https: false,
    }
}

fn every_second(failure_threshold: u32, checks: Vec<Check>) -> Option<Probe> {
    Some(Probe {
        period_seconds: 1,
        timeout_seconds: 5,
        failure_threshold,
        ..Probe::new(checks)
    })
}

fn probed(mut part: Part, liveness: Option<Probe>, readiness: Option<Probe>) -> Part {
    (part.liveness, part.readiness) = (liveness, readiness);
    part
}

fn name(placement: PlacementId) -> String {
    PartKey {
        placement,
        part: "main".to_owned(),
    }
    .name()
}

fn says(part: &PartStatus, words: &str) -> bool {
    part.detail.as_deref().is_some_and(|detail| detail.contains(words))
}

/// Waits until a part runs and its readiness is this.
async fn readiness(agent: &Agent, ready: bool, detail: &str) -> Result<PartStatus> {
    let what = format!("a part that is ready: {ready}, {detail}");
    let is = |part: &PartStatus| part.state == InstanceState::Running && part.ready == Some(ready);
    agent
        .part(&what, |part| is(part) && (ready || says(part, detail)))
        .await
}

async fn restarted(agent: &Agent, detail: &str) -> Result<PartStatus> {
    let ended = agent
        .part("an end for a failed probe", |part| {
            part.state == InstanceState::BackOff && part.reason == Some(Reason::Unhealthy)
        })
        .await?;
    ensure!(
        ended.unhealthy && ended.ready.is_none() && says(&ended, detail),
        "{ended:?}"
    );
    agent
        .part("running and well again", |part| {
            part.state == InstanceState::Running && part.restarts == 1 && !part.unhealthy
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_fails_its_command_is_started_anew() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let id = placement();
    let alive = every_second(
        2,
        vec![exec(&["cat", "/tmp/alive"]), exec(&["/bin/sh", "-c", "exit 0"])],
    );
    let ready = every_second(1, vec![exec(&["cat", "/tmp/ready"])]);
    let script = format!("echo > /tmp/alive; {FOREVER}");
    agent.want(vec![workload(
        id,
        Wanted::Running,
        probed(shell(&script, Restart::Always), alive, ready),
    )]);

    // Running is not being ready.
    readiness(&agent, false, "exit code 1").await?;
    docker.run(&["exec", &name(id), "touch", "/tmp/ready"])?;
    readiness(&agent, true, "").await?;
    docker.run(&["exec", &name(id), "rm", "/tmp/ready"])?;
    let part = readiness(&agent, false, "can't open").await?;
    ensure!(
        part.restarts == 0 && !part.unhealthy && part.reason.is_none(),
        "{part:?}"
    );

    docker.run(&["exec", &name(id), "rm", "/tmp/alive"])?;
    let part = restarted(&agent, "cat: exit code 1").await?;
    ensure!(part.exit_code == Some(0) && part.ready == Some(false), "{part:?}");

    // A command that is not in the image is a failure, too.
    let nonsense = every_second(1, vec![exec(&["/bin/nonsense"])]);
    let hopeless = probed(shell(&script, Restart::Never), nonsense, None);
    agent.want(vec![workload(id, Wanted::Running, hopeless)]);
    let part = agent
        .part("a failure for good", |part| part.state == InstanceState::Failed)
        .await?;
    ensure!(
        part.reason == Some(Reason::Unhealthy) && says(&part, "nonsense"),
        "{part:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_at_their_own_address() -> Result<()> {
    let docker = Arc::new(PrivateDocker::start().await?);
    docker.within(servers(docker.clone())).await
}

async fn servers(docker: Arc<PrivateDocker>) -> Result<()> {
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let serving = format!("echo ok > /tmp/index.html; /bin/httpd -p 8080 -h /tmp; {FOREVER}");
    // No port is published: they are asked in the container's own network, or in the node's.
    for host_network in [false, true] {
        let id = placement();
        let server = with(shell(&serving, Restart::Always), |one| one.host_network = host_network);
        let alive = every_second(1, vec![Check::Tcp { port: 8080 }, http(8080, "/")]);
        let ready = every_second(1, vec![http(8080, "/ready/page")]);
        agent.want(vec![workload(id, Wanted::Running, probed(server, alive, ready))]);
        readiness(&agent, false, "status 404").await?;
        docker.run(&["exec", &name(id), "/bin/busybox", "mkdir", "/tmp/ready"])?;
        docker.run(&["exec", &name(id), "touch", "/tmp/ready/page"])?;
        let part = readiness(&agent, true, "").await?;
        ensure!(part.restarts == 0 && !part.unhealthy, "{part:?}");
        docker.run(&["exec", &name(id), "/bin/busybox", "killall", "httpd"])?;
        restarted(&agent, "8080").await?;
        agent.want(vec![]);
        agent
            .report("removed", |report| report.instances.iter().all(|one| one.removed))
            .await?;
    }

    // A redirect is an answer and is not followed, TLS is spoken with anybody, and a server that says nothing is late.
    let asked = |port: u16, path: &str, https: bool| {
        let check = Check::Http {
            path: path.to_owned(),
            port,
            host: Some("127.0.0.1".to_owned()),
            https,
        };
        let probe = every_second(1, vec![check]).map(|probe| Probe {
            timeout_seconds: 1,
            ..probe
        });
        probed(shell(FOREVER, Restart::Always), None, probe)
    };
    let port = tls_server().await?;
    for (path, ready, detail) in [
        ("/ok", true, ""),
        ("/moved", true, ""),
        ("/broken", false, "status 500"),
    ] {
        agent.want(vec![workload(placement(), Wanted::Running, asked(port, path, true))]);
        readiness(&agent, ready, detail).await.context(path)?;
    }
    let silent = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = silent.local_addr()?.port();
    agent.want(vec![workload(placement(), Wanted::Running, asked(port, "/", false))]);
    readiness(&agent, false, "no answer within 1 s").await?;
    Ok(())
}

/// Serves HTTPS with a certificate that nobody knows.
async fn tls_server() -> Result<u16> {
    let pem = Authority::root("nobody's")?.server("elsewhere.lab", 1)?;
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pem.as_bytes())?)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await?;
                let mut head = [0; 1_024];
                let length = stream.read(&mut head).await?;
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                let status = match head.split(' ').nth(1) {
                    Some("/ok") => "200 OK",
                    Some("/moved") => "302 Found\r\nlocation: /broken",
                    _ => "500 Broken",
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await?;
                anyhow::Ok(stream.shutdown().await?)
            });
        }
    });
    Ok(port)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_in_a_container_is_ended() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let id = placement();
    let hangs = |command: Check| Probe {
        period_seconds: 1,
        failure_threshold: 3,
        ..Probe::new(vec![command])
    };
    let alone = hangs(exec(&["sleep", "1001"]));
    let with_child = hangs(exec(&["/bin/sh", "-c", "sleep 1002; true"]));
    let part = probed(shell(FOREVER, Restart::Always), Some(with_child), Some(alone));
    agent.want(vec![workload(id, Wanted::Running, part)]);
    readiness(&agent, false, "sleep: no answer within 1 s").await?;
    let ended = agent
        .part("an end for a failed probe", |part| {
            part.reason == Some(Reason::Unhealthy)
        })
        .await?;
    ensure!(says(&ended, "/bin/sh: no answer within 1 s"), "{ended:?}");

    let counted = Some(hangs(exec(&["/bin/sh", "-c", "echo >> /tmp/count; sleep 1003; true"])));
    let id = placement();
    let part = probed(shell(FOREVER, Restart::Always), None, counted);
    agent.want(vec![workload(id, Wanted::Running, part)]);
    until("third try", USUAL, async || {
        let count = docker.run(&["exec", &name(id), "cat", "/tmp/count"])?;
        Ok((count.lines().count() >= 3).then_some(()))
    })
    .await?;
    let processes = docker.run(&["top", &name(id)])?;
    let count = processes.lines().filter(|line| line.contains("sleep 1003")).count();
    // The shell and its child, of the one that runs at this moment.
    ensure!(count <= 2, "{processes}");
    // Stopping the probes leaves none.
    let calm = shell(FOREVER, Restart::Always);
    agent.want(vec![workload(id, Wanted::Running, calm)]);
    agent
        .part("a part without a probe", |part| {
            part.state == InstanceState::Running && part.ready.is_none()
        })
        .await?;
    until("container without commands of a probe", USUAL, async || {
        Ok((!docker.run(&["top", &name(id)])?.contains("sleep 1003")).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_are_probed_where_they_run() -> Result<()> {
    let node = Node::new("unix:///nonexistent.sock".to_owned())?;
    let home = node.home();
    home.create()?;
    let mut agent = node.start(0)?;
    // What nobody uses is removed first; the package comes after that.
    agent.report("first look", |_| true).await?;
    let hash = unpacked(&home, "#!/bin/sh\ntouch alive\nwhile true; do sleep 1; done\n")?;
    let run = Run::Process(Process {
        package: hash,
        program: "bin/run".to_owned(),
    });
    let id = placement();
    let folder = home.work().join(name(id)).join("data");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let in_place = "test -f alive && test \"$GREETING\" = 你好 && test \"$HOME\" = \"$PWD\"";
    let alive = every_second(2, vec![exec(&["/bin/sh", "-c", in_place])]);
    let ready = every_second(1, vec![Check::Tcp { port }]);
    let wanted = probed(part(run.clone(), &[], Restart::Always), alive, ready);
    agent.want(vec![workload(id, Wanted::Running, wanted)]);
    let first = readiness(&agent, true, "").await?;
    ensure!(first.restarts == 0 && !first.unhealthy, "{first:?}");

    drop(listener);
    readiness(&agent, false, "refused").await?;
    fs::remove_file(folder.join("alive"))?;
    restarted(&agent, "/bin/sh: exit code 1").await?;

    // What hangs is ended with all that it started.
    let pids = node.folder.path().join("pids");
    let hang = format!("sleep 1000 & echo $$ $! >> {}; wait", pids.display());
    let slow = Probe {
        period_seconds: 1,
        failure_threshold: 2,
        ..Probe::new(vec![exec(&["/bin/sh", "-c", &hang])])
    };
    let wanted = probed(part(run, &[], Restart::Always), None, Some(slow));
    agent.want(vec![workload(id, Wanted::Running, wanted)]);
    readiness(&agent, false, "no answer within 1 s").await?;
    until("second try", USUAL, async || {
        Ok((fs::read_to_string(&pids)?.lines().count() >= 2).then_some(()))
    })
    .await?;
    agent.want(vec![]);
    agent
        .report("removed", |report| report.instances.iter().all(|one| one.removed))
        .await?;
    let begun = fs::read_to_string(&pids)?;
    until("end of all that the probe has started", USUAL, async || {
        Ok((!begun.split_whitespace().any(is_alive)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_hosts_and_privileges_are_given_and_shares_of_chips_are_not() -> Result<()> {
    let docker = PrivateDocker::start().await?;
    let node = Node::new(docker.host())?;
    let mut agent = node.start(0)?;
    let id = placement();
    let device = |host: &str, container: &str, write: bool| Device {
        host: host.to_owned(),
        container: container.to_owned(),
        read: true,
        write,
        mknod: false,
    };
    // 1:11 is no device that containers may use anyway.
    let script = "test -c /dev/edge/log && echo there; echo x > /dev/edge/log && echo written; \
                  cat /etc/hosts; /bin/busybox mount -t tmpfs none /tmp && echo mounted; true";
    let plain = with(shell(script, Restart::Never), |one| {
        one.devices = vec![device("/dev/kmsg", "/dev/edge/log", false)];
        one.extra_hosts = vec![ExtraHost {
            name: "db.lab".to_owned(),
            ip: "10.9.8.7".to_owned(),
        }];
    });
    let wide = with(plain.clone(), |one| one.privileged = true);
    agent.want(vec![workload(id, Wanted::Running, plain)]);
    agent
        .part("an end", |part| part.state == InstanceState::Succeeded)
        .await?;
    let (lines, _) = agent.lines(id, 0, 0).await?;
    let has = |words: &str| lines.iter().any(|line| line.split_whitespace().eq(words.split(' ')));
    ensure!(has("there") && has("10.9.8.7 db.lab"), "{lines:?}");
    ensure!(!has("mounted") && !has("written"), "{lines:?}");
    // Starting it needs every capability, which a machine for tests does not always have itself.
    let id = placement();
    agent.want(vec![workload(id, Wanted::Running, wide)]);
    until("privileged container", USUAL, async || {
        let privileged = docker.run(&["inspect", "--format", "{{.HostConfig.Privileged}}", &name(id)])?;
        Ok((privileged.trim() == "true").then_some(()))
    })
    .await?;

    for (part, detail) in [
        (
            with(shell(FOREVER, Restart::Always), |one| {
                one.devices = vec![device("/dev/edge-none", "/dev/x", true)]
            }),
            "/dev/edge-none",
        ),
        (
            {
                let mut part = shell(FOREVER, Restart::Always);
                part.resources.npus = 1;
                part.resources.vnpu = Some("vir01".to_owned());
                part
            },
            "virtual NPU (vir01)",
        ),
        (
            {
                let mut part = shell(FOREVER, Restart::Always);
                part.resources.npus = 1;
                part.resources.npu_model = Some("310P".to_owned());
                part
            },
            "model 310P",
        ),
    ] {
        agent.want(vec![workload(id, Wanted::Running, part)]);
        agent
            .part(detail, |part| {
                part.state == InstanceState::Failed && part.reason == Some(Reason::NoSuchDevice) && says(part, detail)
            })
            .await?;
    }
    Ok(())
}
