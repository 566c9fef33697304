//! Certificates come and go while the lab runs: a node's, the engine's own, and the CA that both come from.

use anyhow::{Context, Result, ensure};
use edgedeck_engine::Clock;
use edgedeck_gateway::Options;
use edgedeck_model::{
    api::{self, ById, CaStepBody, ManageBody, NewClientCertificateBody, NewJoinTokenBody, NodeQuery},
    certificate::{CaStage, CaStep},
    deployment::{InstanceState, Target},
    join::JoinTokenKind,
    node::NodeState,
    time::DAY,
};
use edgedeck_tests::{
    client::use_ring,
    curl::Curl,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, node_in, placement, simulated_fleet},
    programs::{Edgedeckd, Process, joining_agent, program},
    wait::until,
    web::Web,
};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
};
use tempfile::TempDir;

const VERSION: &str = "/edgemanager/v1/version";

/// Joins an agent on this machine whose state lies in a folder; it does not run yet.
fn join_here(url: &str, token: &str, ca_hash: &str, serial: &str, state: &Path) -> Result<()> {
    let joined = joining_agent(url, token, ca_hash)?
        .args(["--serial", serial, "--state"])
        .arg(state)
        .output()?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    Ok(())
}

fn run_here(state: &Path, log: &Path) -> Result<Process> {
    let log = fs::File::options().create(true).append(true).open(log)?;
    Process::start(
        Command::new(program("edgedeck-agent")?)
            .args(["run", "--docker", "unix:///nowhere.sock", "--state"])
            .arg(state)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_renews_its_certificate_over_the_link_it_has() -> Result<()> {
    use_ring();
    let folder = TempDir::new()?;
    // The engine's clock is two months behind when the node joins: its certificate is in its last third.
    let clock = Clock::manual(edgedeck_agent::now().plus(-61 * DAY));
    let running = edgedeck_gateway::start(Options {
        agents: Some("127.0.0.1:0".parse()?),
        clock: clock.clone(),
        ..Options::new(folder.path().join("lab"))
    })
    .await?;
    let engine = running.engine.clone();
    let actor = edgedeck_engine::Actor::engine();
    let (_, token) = engine.create_join_token(&actor, JoinTokenKind::Single).await?;
    let url = format!(
        "https://{}",
        running.listeners.get("agents").context("the agents' listener")?
    );
    let (state, log) = (folder.path().join("agent"), folder.path().join("agent.log"));
    let hash = engine.pki.present().current.hash.clone();
    join_here(&url, &token, &hash, "BOX-1", &state)?;
    let first = engine.list_nodes(&NodeQuery::default())?.items.remove(0).id;
    let before = engine.node(first)?.certificate_ends.context("an end")?;
    let on_disk = fs::read_to_string(state.join("certificate.pem"))?;
    clock.advance(61 * DAY);

    let mut agent = run_here(&state, &log)?;
    until("renewed certificate", LONG, async || {
        let ends = engine.node(first)?.certificate_ends;
        Ok((ends > Some(before.plus(60 * DAY))).then_some(()))
    })
    .await?;
    until("certificate on the disk", LONG, async || {
        Ok((fs::read_to_string(state.join("certificate.pem"))? != on_disk).then_some(()))
    })
    .await?;
    // The link is the one that it was renewed over.
    ensure!(engine.is_linked(first), "the link is gone");
    let said = fs::read_to_string(&log)?;
    ensure!(said.matches("linked").count() == 1, "{said}");
    ensure!(said.matches("asking for a new certificate").count() == 1, "{said}");

    // With what is on its disk now it is let in again.
    agent.kill();
    until("broken link", LONG, async || {
        Ok((!engine.is_linked(first)).then_some(()))
    })
    .await?;
    let _agent = run_here(&state, &log)?;
    until("second link", LONG, async || Ok(engine.is_linked(first).then_some(()))).await?;
    running.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_the_settings_is_in_the_certificate_at_once() -> Result<()> {
    use_ring();
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let made = console
        .call::<api::CreateClientCertificate>(
            (),
            (),
            NewClientCertificateBody {
                name: "script".to_owned(),
            },
        )
        .await?;
    let host = "edge.lab.example";
    let reach = async |listener: &str| -> Result<()> {
        let address: SocketAddr = *engine.listeners.get(listener).context("a listener")?;
        let client = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(made.ca_pem.as_bytes())?])
            .resolve(host, address)
            .build()?;
        client.get(format!("https://{host}:{}/", address.port())).send().await?;
        Ok(())
    };
    for listener in ["console", "agents", "registry"] {
        ensure!(reach(listener).await.is_err(), "{listener} knows {host} already");
    }
    let mut settings = console.call::<api::GetSettings>((), (), ()).await?;
    settings.addresses = vec![host.to_owned()];
    console.call::<api::UpdateSettings>((), (), settings).await?;
    for listener in ["console", "agents", "registry"] {
        reach(listener).await.with_context(|| listener.to_owned())?;
    }
    let authority = console.call::<api::GetLabAuthority>((), (), ()).await?;
    ensure!(
        authority.server_hosts.iter().any(|known| known == host),
        "{authority:?}"
    );
    Ok(())
}

/// Presses the button of a step and agrees to it; gives back what the question says.
async fn step(web: &Web, button: &str) -> Result<String> {
    web.click(&format!("[data-test={button}]")).await?;
    let asked = web.find("[data-test=confirm]").await?.text().await?;
    web.click("[data-test=confirm-yes]").await?;
    web.is_gone("[data-test=confirm-yes]").await?;
    Ok(asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lab_goes_from_one_ca_to_the_next_without_losing_a_node() -> Result<()> {
    use_ring();
    let host = Host::new().await?;
    let mut engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let mut agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;
    let spec = container(IMAGE, "exec sleep 100000");
    let app = deploy(&console, "stays", spec, Target::Nodes(vec![node.id])).await?;
    let runs = placement(&console, app, "running container", |one| {
        one.state == InstanceState::Running
    })
    .await?;
    let started = runs.parts[0].started_at;
    let fleet = simulated_fleet(&engine, &console, 3, &["--steady"]).await?;
    // A box that has joined and never comes.
    let folder = TempDir::new()?;
    let away = folder.path().join("away");
    let body = NewJoinTokenBody {
        kind: JoinTokenKind::Single,
    };
    let token = console.call::<api::CreateJoinToken>((), (), body).await?;
    join_here(&engine.agents_url(), &token.secret, &token.ca_hash, "AWAY", &away)?;

    let script = |name: &str| NewClientCertificateBody { name: name.to_owned() };
    let old = console
        .call::<api::CreateClientCertificate>((), (), script("old"))
        .await?;
    let mef = format!("https://{}", engine.listeners.get("mef").context("a MEF listener")?);
    let curl = |ca: &str, client: &api::NewClientCertificate| {
        Curl::new(mef.clone(), ca, &client.certificate_pem, &client.key_pem)
    };
    let with_old = curl(&old.ca_pem, &old)?;
    with_old.call(&[], VERSION)?;

    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/certificates"), (1280, 900), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    let shown = format!(
        "/etc/docker/certs.d/{}:{}/edgedeck.crt",
        host.cable.near,
        engine.listeners["registry"].port()
    );
    until("CA for the container engine", LONG, async || {
        Ok(Path::new(&shown).exists().then_some(()))
    })
    .await?;

    // The next CA becomes known to everybody who is there; the page says who is not.
    let links = || host.log().matches("linked").count();
    step(&web, "ca-begin").await?;
    let behind = async |stage: CaStage, count: u32| {
        until(&format!("{count} nodes behind in {stage:?}"), LONG, async || {
            let change = console.call::<api::GetLabAuthority>((), (), ()).await?.change;
            let change = change.context("a change")?;
            Ok((change.stage == stage && change.behind_count == count).then_some(change))
        })
        .await
    };
    let change = behind(CaStage::Coming, 1).await?;
    web.shows("[data-test=ca-behind]", &change.behind[0].name).await?;
    let both = console.call::<api::GetLabAuthority>((), (), ()).await?.pem;
    until("both CAs for the container engine", LONG, async || {
        Ok((fs::read_to_string(&shown)? == both).then_some(()))
    })
    .await?;
    let refused = console
        .try_call::<api::ChangeLabAuthority>(
            (),
            (),
            CaStepBody {
                step: CaStep::Switch,
                force: false,
            },
        )
        .await?;
    ensure!(
        refused.is_err_and(|problem| problem.fact("reason") == "ca-nodes"),
        "a node would have been lost"
    );
    ensure!(links() == 1, "{}", host.log());
    engine.kill_and_restart().await?;
    behind(CaStage::Coming, 1).await?;
    until("second link", LONG, async || Ok((links() == 2).then_some(()))).await?;
    with_old.call(&[], VERSION)?;

    // It takes over; who trusts only the former one is told so by TLS, and nothing else changes for anybody.
    let asked = step(&web, "ca-switch").await?;
    ensure!(asked.contains("join again"), "{asked}");
    ensure!(with_old.call(&[], VERSION).is_err(), "the former CA is still shown");
    let with_both = curl(&both, &old)?;
    with_both.call(&[], VERSION)?;
    behind(CaStage::Former, 1).await?;
    // Over the link that there was.
    ensure!(links() == 2, "{}", host.log());
    engine.kill_and_restart().await?;
    until("links to the new CA", LONG, async || {
        let status = console.call::<api::GetStatus>((), (), ()).await?;
        Ok((status.connected == 4).then_some(()))
    })
    .await?;
    let new = console
        .call::<api::CreateClientCertificate>((), (), script("new"))
        .await?;
    let with_new = curl(&new.ca_pem, &new)?;
    with_new.call(&[], VERSION)?;
    with_both.call(&[], VERSION)?;

    // The former one is dropped, and what came from it is good no more.
    web.client.refresh().await?;
    let asked = step(&web, "ca-end").await?;
    ensure!(asked.contains("former client certificates"), "{asked}");
    ensure!(
        with_both.call(&[], VERSION).is_err(),
        "a client of the former CA is let in"
    );
    with_new.call(&[], VERSION)?;
    let one = console.call::<api::GetLabAuthority>((), (), ()).await?.pem;
    ensure!(one.matches("BEGIN CERTIFICATE").count() == 1);
    until("the one CA for the container engine", LONG, async || {
        Ok((fs::read_to_string(&shown)? == one).then_some(()))
    })
    .await?;
    web.find("[data-test=ca-begin]").await?;

    // A box that comes back with the new certificate is let in, and its container never noticed.
    agent.kill();
    agent = host.run_agent()?;
    until("all links", LONG, async || {
        let status = console.call::<api::GetStatus>((), (), ()).await?;
        Ok((status.connected == 4).then_some(()))
    })
    .await?;
    let runs = placement(&console, app, "running container", |one| {
        one.state == InstanceState::Running
    })
    .await?;
    ensure!(runs.parts[0].started_at == started, "the container was started again");

    // The box that was away all the time says why it has no link.
    let log = folder.path().join("away.log");
    let late = run_here(&away, &log)?;
    until("reason of the box that was away", LONG, async || {
        Ok(fs::read_to_string(&log)?.contains("no link").then_some(()))
    })
    .await?;
    drop((late, agent, fleet));
    web.close().await
}
