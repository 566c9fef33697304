//! `edgedeck-shots [FOLDER [SCREEN…]]`: a picture of every screen, or of some, light and dark, Chinese and English, with an
//! empty lab, with a few nodes and with many.

use anyhow::{Context, Result};
use edgedeck_model::{
    NodeId,
    api::{self, ById, CaStepBody, GroupBody, NewAppBody, NodeQuery, NodesBody},
    certificate::CaStep,
    deployment::{NewDeployment, Target},
    node::{NodeRow, NodeState},
};
use edgedeck_tests::{
    client::Console,
    lab,
    programs::{Edgedeckd, Process},
    web::Web,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

const SCREENS: [&str; 22] = [
    "",
    "nodes",
    "nodes?face=table",
    "join",
    "groups",
    "apps",
    "apps/new",
    "deploy",
    "deployments",
    "alarms",
    "events",
    "reports",
    "metering",
    "users",
    "access",
    "certificates",
    "images",
    "jobs",
    "software",
    "audit",
    "settings",
    "status",
];

async fn shoot(engine: &Edgedeckd, folder: &Path, size: (u32, u32), wanted: &[(String, String)]) -> Result<()> {
    let address = engine.listeners.get("console").context("a console")?;
    for (lang, tag) in [("zh", "zh-CN"), ("en", "en-US")] {
        let web = Web::chromium(&format!("https://{address}/"), size, tag).await?;
        web.fill("[data-test=name]", "admin").await?;
        web.fill("[data-test=password]", &engine.password).await?;
        web.click("[data-test=submit]").await?;
        web.find("[data-test=overview]").await?;
        for theme in ["light", "dark"] {
            let script = format!(
                "localStorage.setItem('edgedeck.theme', '{theme}'); localStorage.setItem('edgedeck.lang', '{lang}')"
            );
            web.client.execute(&script, Vec::new()).await?;
            for (path, name) in wanted {
                web.client.goto(&format!("https://{address}/{path}")).await?;
                web.find("main h1").await?;
                // What the feed brings, and what moves into place, has come by now.
                tokio::time::sleep(Duration::from_millis(900)).await;
                let name = if name.is_empty() { "overview" } else { name };
                web.picture(&folder.join(format!("{name}-{theme}-{lang}.png"))).await?;
            }
        }
        web.close().await?;
    }
    Ok(())
}

/// Nodes that have told what they are, and are well.
async fn known(console: &Console) -> Result<BTreeSet<NodeId>> {
    let mut known = BTreeSet::new();
    let mut query = NodeQuery {
        limit: api::PAGE_MAX,
        ..NodeQuery::default()
    };
    loop {
        let page = console.call::<api::ListNodes>((), query.clone(), ()).await?;
        let able = |node: &&NodeRow| node.cpus > 0 && node.state == NodeState::Online;
        known.extend(page.items.iter().filter(able).map(|node| node.id));
        query.offset += api::PAGE_MAX;
        if u64::from(query.offset) >= page.total {
            return Ok(known);
        }
    }
}

/// Lets nodes join, manages all but a few, and deploys something, so that the screens have what to show.
async fn furnish(engine: &Edgedeckd, console: &Console, nodes: u32) -> Result<(Process, Vec<(String, String)>)> {
    let lab = lab::simulated_fleet(engine, console, nodes, &[]).await?;
    let managed = lab::manage_all_but(console, (nodes / 100).max(1) as usize).await?;
    let body = GroupBody {
        name: "质检产线 A".to_owned(),
        description: "视觉质检".to_owned(),
    };
    let group = console.call::<api::CreateGroup>((), (), body).await?;
    // A node that a fault has taken away, or made unwell, has no room for anything.
    let known = known(console).await?;
    let half = managed
        .iter()
        .copied()
        .filter(|node| known.contains(node))
        .take(managed.len().div_ceil(2))
        .collect();
    console
        .call::<api::AddToGroup>(ById { id: group.id }, (), NodesBody { nodes: half })
        .await?;
    let spec = serde_json::from_value(serde_json::json!({ "parts": [{
        "name": "detector", "run": { "kind": "container", "image": "lab/defect-detector:2.3", "ports": [{ "container": 8080, "host": 18080 }] },
        "env": { "MODEL": "yolo-v8s" }, "resources": { "cpu_millis": 500, "memory_bytes": 268_435_456_u64 }
    }] }))?;
    let body = NewAppBody {
        name: "defect-detector".to_owned(),
        description: "表面缺陷检测".to_owned(),
        label: "2.3".to_owned(),
        spec,
    };
    let app = console.call::<api::CreateApp>((), (), body).await?.app;
    let body = NewDeployment {
        name: "质检".to_owned(),
        app: app.id,
        version: None,
        target: Target::Group(group.id),
    };
    let deployment = console.call::<api::CreateDeployment>((), (), body).await?;
    // Some have not taken the next CA yet where faults have taken nodes away.
    let (step, force) = (CaStep::Begin, false);
    console
        .call::<api::ChangeLabAuthority>((), (), CaStepBody { step, force })
        .await?;
    let first = managed.first().context("a managed node")?;
    // Two samples of each node, and the first instances.
    tokio::time::sleep(Duration::from_secs(65)).await;
    let details = vec![
        (format!("nodes/{first}"), "node".to_owned()),
        (format!("nodes/{first}?tab=charts"), "node-charts".to_owned()),
        (format!("nodes/{first}?tab=events"), "node-events".to_owned()),
        (format!("groups/{}", group.id), "group".to_owned()),
        (format!("apps/{}", app.id), "app".to_owned()),
        (format!("deployments/{}", deployment.id), "deployment".to_owned()),
    ];
    Ok((lab, details))
}

#[tokio::main]
async fn main() -> Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = std::env::args()
        .nth(1)
        .map_or_else(|| target.join("shots"), PathBuf::from);
    let some: Vec<String> = std::env::args().skip(2).collect();
    let sizes = std::env::var("EDGEDECK_SHOT_NODES").unwrap_or_else(|_| "0,3,2000".to_owned());
    for nodes in sizes.split(',') {
        let nodes: u32 = nodes
            .trim()
            .parse()
            .context("EDGEDECK_SHOT_NODES holds numbers and commas")?;
        let engine = Edgedeckd::start().await?;
        let console = engine.console().await?;
        let furnished = if nodes == 0 {
            None
        } else {
            Some(furnish(&engine, &console, nodes).await?)
        };
        let details = furnished
            .as_ref()
            .map(|(_, details)| details.clone())
            .unwrap_or_default();
        let screens = SCREENS.map(|path| (path.to_owned(), path.replace(['/', '?', '='], "-")));
        let all = screens.into_iter().chain(details);
        let is_wanted = |(path, name): &(String, String)| some.is_empty() || some.contains(path) || some.contains(name);
        let wanted: Vec<_> = all.filter(is_wanted).collect();
        let large = (nodes >= 1_000).then_some((1920, 1080));
        for (width, height) in [(1280, 800)].into_iter().chain(large) {
            let folder = folder.join(format!("{nodes}-{width}"));
            shoot(&engine, &folder, (width, height), &wanted).await?;
        }
    }
    println!("{}", folder.display());
    Ok(())
}
