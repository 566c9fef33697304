//! What tests of the running lab do again and again: deploy, and wait for what becomes of it.

use crate::{
    client::Console,
    programs::{Edgedeckd, Process, program},
    wait::until,
};
use anyhow::{Context, Result};
use edgedeck_model::{
    DeploymentId, NodeId, PlacementId,
    alarm::AlarmKind,
    api::{self, AlarmQuery, ById, LogQuery, ManageBody, NewAppBody, NewJoinTokenBody, NodeQuery},
    app::{Container, Part, Resources, Restart, Run, Spec},
    deployment::{NewDeployment, Placement, Target},
    join::JoinTokenKind,
    node::{Node, NodeState},
};
use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::Duration,
};

/// Long enough for images, restarts and silence.
pub const LONG: Duration = Duration::from_secs(90);

/// The first node, if there is one.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn node(console: &Console) -> Result<Option<Node>> {
    let page = console.call::<api::ListNodes>((), NodeQuery::default(), ()).await?;
    match page.items.first() {
        Some(row) => Ok(Some(console.call::<api::GetNode>(ById { id: row.id }, (), ()).await?)),
        None => Ok(None),
    }
}

/// Waits for the first node to be in a state.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn node_in(console: &Console, state: NodeState) -> Result<Node> {
    until(&format!("node in state {state:?}"), LONG, async || {
        Ok(node(console).await?.filter(|node| node.state == state))
    })
    .await
}

/// Lets a simulated fleet join, and waits until it is linked: all of it if it is `--steady`, nearly all if faults take
/// some away meanwhile. `more` are further arguments of `edgedeckd lab`.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn simulated_fleet(engine: &Edgedeckd, console: &Console, nodes: u32, more: &[&str]) -> Result<Process> {
    let kind = JoinTokenKind::Lab;
    let token = console
        .call::<api::CreateJoinToken>((), (), NewJoinTokenBody { kind })
        .await?;
    let mut command = Command::new(program("edgedeckd")?);
    command
        .args(["lab", "--nodes", &nodes.to_string()])
        .args(["--engine", &engine.agents_url()])
        .args(["--token", &token.secret, "--ca-hash", &token.ca_hash])
        .args(more)
        // The nodes' keys go with the lab.
        .env("XDG_DATA_HOME", engine.data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let fleet = Process::start(&mut command)?;
    let linked = if more.contains(&"--steady") {
        nodes
    } else {
        nodes - nodes / 5
    };
    until("linked fleet", Duration::from_secs(300), async || {
        let status = console.call::<api::GetStatus>((), (), ()).await?;
        Ok((status.nodes >= nodes && status.connected >= linked).then_some(()))
    })
    .await?;
    Ok(fleet)
}

/// Manages the nodes that wait for it but for `left` of them, and says which.
///
/// # Errors
/// When the engine refuses.
pub async fn manage_all_but(console: &Console, left: usize) -> Result<Vec<NodeId>> {
    let mut managed = Vec::new();
    loop {
        let query = NodeQuery {
            managed: Some(false),
            limit: api::PAGE_MAX,
            ..NodeQuery::default()
        };
        let page = console.call::<api::ListNodes>((), query, ()).await?;
        if page.items.len() <= left {
            return Ok(managed);
        }
        for row in page.items.iter().skip(left) {
            console
                .call::<api::ManageNode>(ById { id: row.id }, (), ManageBody::default())
                .await?;
            managed.push(row.id);
        }
    }
}

/// Waits for a deployment's first placement to be as asked.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn placement(
    console: &Console,
    deployment: DeploymentId,
    what: &str,
    is: impl Fn(&Placement) -> bool,
) -> Result<Placement> {
    let mut last = None;
    let found = until(what, LONG, async || {
        let detail = console
            .call::<api::GetDeployment>(ById { id: deployment }, (), ())
            .await?;
        last = detail.placements.into_iter().next();
        Ok(last.clone().filter(|placement| is(placement)))
    });
    found.await.with_context(|| format!("{last:?}"))
}

/// Waits for an alarm of a kind to be raised, or to be no more.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn alarm(console: &Console, kind: AlarmKind, raised: bool) -> Result<()> {
    until(&format!("alarm {kind:?}, raised: {raised}"), LONG, async || {
        let active = console.call::<api::ListAlarms>((), AlarmQuery::default(), ()).await?;
        Ok((active.items.iter().any(|alarm| alarm.kind == kind) == raised).then_some(()))
    })
    .await
}

/// A container that runs a script.
pub fn container(image: &str, script: &str) -> Spec {
    let run = Container {
        image: image.to_owned(),
        command: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
        ..Container::default()
    };
    part(Run::Container(run))
}

/// A specification of one part.
pub fn part(run: Run) -> Spec {
    let part = Part {
        name: "main".to_owned(),
        run,
        args: Vec::new(),
        env: BTreeMap::new(),
        resources: Resources::default(),
        restart: Restart::Always,
        liveness: None,
        readiness: None,
    };
    Spec { parts: vec![part] }
}

/// Makes an app and deploys it.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn deploy(console: &Console, name: &str, spec: Spec, target: Target) -> Result<DeploymentId> {
    let body = NewAppBody {
        name: name.to_owned(),
        description: String::new(),
        label: "1".to_owned(),
        spec,
    };
    let app = console.call::<api::CreateApp>((), (), body).await?.app;
    let body = NewDeployment {
        name: name.to_owned(),
        app: app.id,
        version: None,
        target,
    };
    Ok(console.call::<api::CreateDeployment>((), (), body).await?.id)
}

/// Waits for a text in a placement's log.
///
/// # Errors
/// When the engine refuses or it takes too long.
pub async fn logs_say(console: &Console, placement: PlacementId, text: &str) -> Result<()> {
    until(&format!("{text:?} in the log"), LONG, async || {
        let page = console
            .call::<api::GetLogs>(ById { id: placement }, LogQuery::default(), ())
            .await?;
        Ok(page.lines.iter().any(|line| line.text.contains(text)).then_some(()))
    })
    .await
}
