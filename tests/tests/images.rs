//! Images from a registry outside the lab, over TLS with an account, pulled by a real agent with a real Docker Engine.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    api::{self, ById, ManageBody, PemBody, RegistryBody},
    certificate::Purpose,
    deployment::{InstanceState, Reason, Target},
    node::NodeState,
};
use edgedeck_tests::{
    authority::Authority,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, node_in, placement},
    programs::Edgedeckd,
    registry::{ACCOUNT, PASSWORD, Registry},
    wait::until,
    web::Web,
};
use std::{net::Ipv4Addr, path::Path};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_pulls_with_the_account_and_the_authority_of_the_lab() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let authority = Authority::root("images")?;
    let registry = Registry::start(host.cable.near, &authority).await?;
    let agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;

    // With the authority the node's container engine trusts the registry, which a push shows.
    let set = |password: &str| RegistryBody {
        address: registry.address(),
        account: ACCOUNT.to_owned(),
        password: Some(password.to_owned()),
    };
    console
        .call::<api::SetRegistry>((), (), set("not the password"))
        .await?;
    let pem = authority.pem.clone();
    console
        .call::<api::ImportAuthority>(ById { id: Purpose::Images }, (), PemBody { pem })
        .await?;
    let shown = format!("/etc/docker/certs.d/{}/edgedeck.crt", registry.address());
    until("authority for the container engine", LONG, async || {
        Ok(Path::new(&shown).exists().then_some(()))
    })
    .await?;
    let image = registry.take(&host.docker, IMAGE, "lab/from-outside:1")?;

    // A wrong password is told as what it is; with the right one the image comes.
    let app = deploy(
        &console,
        "outside",
        container(&image, "exec sleep 100000"),
        Target::Nodes(vec![node.id]),
    )
    .await?;
    let denied = placement(&console, app, "refused account", |placement| {
        placement
            .parts
            .first()
            .is_some_and(|part| part.reason == Some(Reason::ImageDenied))
    })
    .await?;
    let detail = denied
        .parts
        .first()
        .and_then(|part| part.detail.clone())
        .unwrap_or_default();
    ensure!(!detail.contains("not the password"), "{detail}");
    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/images"), (1280, 800), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.click("[data-test=tab-outside]").await?;
    web.shows("[data-test=registry-told]", &registry.address()).await?;
    web.fill("[data-test=registry-password]", PASSWORD).await?;
    web.click("[data-test=save-registry]").await?;
    web.shows("[data-test=toast]", "Saved").await?;
    web.close().await?;
    placement(&console, app, "running container", |placement| {
        placement.state == InstanceState::Running
    })
    .await?;

    // The password lies nowhere in plain: neither on the engine's disk nor on the node's.
    for folder in [engine.data.path(), Path::new(&host.state())] {
        let found = std::process::Command::new("grep")
            .args(["-rl", PASSWORD])
            .arg(folder)
            .output()?;
        ensure!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    }

    // A node that leaves takes the authority along.
    drop(agent);
    let left = host.agent(&["leave", "--docker", &host.docker.host()]).output()?;
    ensure!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    let parent = Path::new(&shown).parent().context("a folder")?;
    ensure!(!parent.exists(), "{} is left", parent.display());
    Ok(())
}
