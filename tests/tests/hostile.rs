//! Clients that are idle, slow or too much: everybody else goes on, and memory stays bounded.

use anyhow::{Context, Result, ensure};
use edgedeck_agent::{
    identity::{self, Identity, Trust},
    link::Link,
};
use edgedeck_model::{
    JobId, Problem, Time,
    api::{self, ById, ManageBody, NewJoinTokenBody, NodeQuery, NodesBody, PageQuery},
    certificate::NodeTrust,
    deployment::Target,
    join::JoinTokenKind,
    node::{Facts, NodeState, Runtime},
    telemetry::{Metric, Sample, Value},
};
use edgedeck_protocol::{FromAgent, Hello, Instance, JoinReply, JoinRequest, Observed, VERSIONS};
use edgedeck_tests::{
    client::{Console, use_ring},
    lab::{LONG, container, deploy, node_in, placement},
    programs::Edgedeckd,
    rounds,
    wait::{USUAL, until},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Resident memory of a process, in MiB.
fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("a figure")?.parse()?;
    Ok(kib / 1024)
}

async fn answers_quickly(console: &Console) -> Result<()> {
    let asked = Instant::now();
    console.call::<api::ListGroups>((), PageQuery::default(), ()).await?;
    let took = asked.elapsed();
    ensure!(took < Duration::from_secs(2), "the console took {took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_slow_clients_keep_nobody_waiting() -> Result<()> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let before = resident(engine.id())?;
    let mut held = Vec::new();
    for address in engine.listeners.values() {
        for number in 0..rounds(400, 5_000) {
            let mut stream = TcpStream::connect(address).await?;
            if number % 2 == 1 {
                // The begin of a handshake, and no more.
                stream.write_all(&[0x16, 0x03, 0x01]).await?;
            }
            held.push(stream);
        }
    }
    answers_quickly(&console).await?;
    let more = resident(engine.id())?.saturating_sub(before);
    let each = more * 1024 / held.len() as u64;
    ensure!(each < 64, "{each} KiB a connection");
    // They are not held for ever, either: neither the one that says nothing nor the one in the middle of a handshake.
    for mut ended in [held.swap_remove(1), held.swap_remove(0)] {
        let end = timeout(LONG, ended.read(&mut [0; 16])).await.context("it is held")?;
        ensure!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    }
    answers_quickly(&console).await
}

async fn joined(engine: &Edgedeckd, console: &Console, serial: &str) -> Result<(Trust, Identity, JoinReply)> {
    let kind = JoinTokenKind::Single;
    let token = console
        .call::<api::CreateJoinToken>((), (), NewJoinTokenBody { kind })
        .await?;
    let url = engine.agents_url();
    let ca = edgedeck_agent::join::fetch_ca(&url, &token.ca_hash).await?;
    let trust = Trust::new(&ca)?;
    let key_pem = identity::new_key()?;
    let request = JoinRequest {
        token: token.secret,
        csr_pem: identity::request(&key_pem, serial)?,
        serial: serial.to_owned(),
        host_name: serial.to_lowercase(),
        arch: "x86_64".to_owned(),
        agent_version: "0".to_owned(),
    };
    let client = edgedeck_agent::join::client(trust.anonymous()?)?;
    let reply = edgedeck_agent::join::join(&client, &url, &request).await?;
    let identity = Identity {
        key_pem,
        certificate_pem: reply.certificate_pem.clone(),
    };
    Ok((trust, identity, reply))
}

/// Whoever goes away at any moment of a request leaves nothing half done: a job that was begun is run to its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_client_goes_away_is_finished() -> Result<()> {
    use_ring();
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let (_, _, reply) = joined(&engine, &console, "FLOOD").await?;
    console
        .call::<api::ManageNode>(ById { id: reply.node }, (), ManageBody::default())
        .await?;
    let mut left = 0;
    for round in 0..rounds(60, 2_000) {
        let nodes = NodesBody {
            nodes: vec![reply.node],
        };
        let patience = Duration::from_micros(250 * (round as u64 % 60));
        let asking = console.try_call::<api::CollectLogs>((), (), nodes);
        left += usize::from(tokio::time::timeout(patience, asking).await.is_err());
        // The node is not there, so that the job ends at once; it must not stay open for want of somebody to run it.
        until("end of the job", USUAL, async || {
            let jobs = console.call::<api::ListJobs>((), PageQuery::default(), ()).await?;
            Ok(jobs.items.iter().all(|job| job.state.is_over()).then_some(()))
        })
        .await?;
    }
    ensure!(left > 0, "nobody went away");
    Ok(())
}

fn hello(serial: &str, at: Time) -> Hello {
    Hello {
        versions: VERSIONS,
        agent_version: "0".to_owned(),
        serial: serial.to_owned(),
        boot_id: "boot".to_owned(),
        generation: 0,
        outside: None,
        at,
    }
}

/// Who speaks is told by the certificate alone; what is said twice counts once.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_lies_and_replays_speaks_for_nobody_else() -> Result<()> {
    use_ring();
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let (trust, honest, victim) = joined(&engine, &console, "HONEST").await?;
    let (_, lying, liar) = joined(&engine, &console, "LIAR").await?;
    let address = engine.listeners.get("agents").context("agents")?.to_string();
    let open = async |identity: &Identity, serial: &str| {
        let hello = hello(serial, edgedeck_agent::now());
        Link::open(&address, Arc::new(trust.client(identity)?), hello)
            .await
            .context("a link")
    };
    let facts = |kernel: &str| Facts {
        cpus: 8,
        memory_bytes: 1 << 34,
        runtime: Some(Runtime {
            name: "docker".to_owned(),
            version: "27".to_owned(),
            api_version: "1.47".to_owned(),
        }),
        kernel: kernel.to_owned(),
        ..Facts::default()
    };
    let (mut good, _) = open(&honest, "HONEST").await?;
    good.send(&FromAgent::Facts(Box::new(facts("honest")))).await?;
    for node in [victim.node, liar.node] {
        console
            .call::<api::ManageNode>(ById { id: node }, (), ManageBody::default())
            .await?;
    }
    let kernel = async |node, kernel: &str| {
        until(&format!("facts {kernel}"), USUAL, async || {
            let known = console.call::<api::GetNode>(ById { id: node }, (), ()).await?;
            Ok((known.facts.kernel == kernel).then_some(known))
        })
        .await
    };
    kernel(victim.node, "honest").await?;
    let app = deploy(
        &console,
        "steady",
        container("a:1", "x"),
        Target::Nodes(vec![victim.node]),
    )
    .await?;
    let placed = placement(&console, app, "placement", |_| true).await?;

    // By another's serial number, about another's placement, again and again, out of order and for requests never made.
    let (mut bad, _) = open(&lying, "HONEST").await?;
    let instance = Instance {
        placement: placed.id,
        version: placed.version,
        parts: Vec::new(),
        removed: true,
        at: edgedeck_agent::now(),
    };
    let sample = Sample {
        at: edgedeck_agent::now(),
        values: vec![Value {
            metric: Metric::CpuPercent,
            part: 0,
            value: 99.0,
        }],
    };
    let certificate = identity::request(&honest.key_pem, "HONEST")?;
    for sequence in [7, 7, 3, u64::MAX, 0] {
        for frame in [
            FromAgent::Observed(Observed {
                sequence,
                generation: u64::MAX - sequence,
                instances: vec![instance.clone(); 3],
            }),
            FromAgent::Sample {
                number: sequence,
                sample: sample.clone(),
            },
            FromAgent::Answer {
                request: sequence,
                outcome: Err(Problem::internal("nobody asked")),
            },
            FromAgent::Progress {
                job: JobId(placed.id.0),
                percent: 255,
            },
            FromAgent::OutsideTaken {
                revision: u64::MAX,
                problem: Some("x".repeat(100_000)),
            },
            FromAgent::Renew {
                csr_pem: certificate.clone(),
            },
            FromAgent::Trusts(NodeTrust {
                roots: vec!["f".repeat(1_000); 1_000],
                issuer: "?".to_owned(),
            }),
            FromAgent::Hello(hello("HONEST", Time(0))),
        ] {
            bad.send(&frame).await?;
        }
    }
    bad.send(&FromAgent::Facts(Box::new(facts("liar")))).await?;
    let known = kernel(liar.node, "liar").await?;
    ensure!(known.serial == "LIAR" && known.trust.is_none(), "{known:?}");
    let known = kernel(victim.node, "honest").await?;
    ensure!(known.state == NodeState::Online, "{known:?}");
    let still = placement(&console, app, "placement", |_| true).await?;
    ensure!((still.id, still.state) == (placed.id, placed.state), "{still:?}");
    // The honest one's link was never touched.
    good.send(&FromAgent::Facts(Box::new(facts("honest still")))).await?;
    kernel(victim.node, "honest still").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_floods_harms_nobody_else() -> Result<()> {
    use_ring();
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let (trust, identity, _) = joined(&engine, &console, "FLOOD").await?;
    let address = engine.listeners.get("agents").context("agents")?.to_string();
    let tls = Arc::new(trust.client(&identity)?);
    let hello = |at| hello("FLOOD", at);
    let now = edgedeck_agent::now();
    let (mut link, _) = Link::open(&address, tls.clone(), hello(now)).await?;
    let node = node_in(&console, NodeState::Online).await?;
    let before = resident(engine.id())?;
    let begun = Instant::now();
    for number in 0..rounds(1_200, 10_000) as u64 {
        // Figures that say nothing sensible, of times from the epoch to far ahead.
        let at = Time(now.0.wrapping_mul(i64::try_from(number % 5)?) / 2);
        let values = (0..50)
            .map(|part| Value {
                metric: Metric::NpuTemperature,
                part,
                value: if number % 2 == 0 { f32::NAN } else { f32::MAX },
            })
            .collect();
        let sample = Sample { at, values };
        link.send(&FromAgent::Sample { number, sample }).await?;
    }
    // What the network has taken is not what the engine has read: this comes after all of it.
    let last = Facts {
        kernel: "after the flood".to_owned(),
        ..Facts::default()
    };
    link.send(&FromAgent::Facts(Box::new(last))).await?;
    answers_quickly(&console).await?;
    until("end of the flood", LONG * rounds(1, 4) as u32, async || {
        let known = console.call::<api::GetNode>(ById { id: node.id }, (), ()).await?;
        Ok((known.facts.kernel == "after the flood").then_some(()))
    })
    .await?;
    ensure!(
        begun.elapsed() > Duration::from_secs(10),
        "nobody slowed it down: {:?}",
        begun.elapsed()
    );
    answers_quickly(&console).await?;
    let more = resident(engine.id())?.saturating_sub(before);
    ensure!(more < 200, "{more} MiB for one node's flood");
    // The node can come back.
    drop(link);
    let (again, _) = Link::open(&address, tls, hello(edgedeck_agent::now())).await?;
    let known = console.call::<api::GetNode>(ById { id: node.id }, (), ()).await?;
    assert_eq!(known.state, NodeState::Online);
    again.close().await;
    let listed = console.call::<api::ListNodes>((), NodeQuery::default(), ()).await?;
    assert_eq!(listed.total, 1);
    Ok(())
}
