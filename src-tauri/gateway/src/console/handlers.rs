//! The endpoints, each one call of the engine.

use super::{Call, Console, caller::Caller, route};
use crate::agent_files;
use axum::Router;
use edgedeck_model::{
    Problem,
    api::{self, Backup, PageQuery, Settings, Status},
    job::JobKind,
    join::NewJoinToken,
    user::Me,
};
use std::sync::{Arc, atomic::Ordering};

/// Cuts a page to the longest that is served.
fn bounded(query: PageQuery) -> PageQuery {
    PageQuery {
        limit: query.limit.clamp(1, api::PAGE_MAX),
        ..query
    }
}

pub(super) fn me(console: &Console, caller: &Caller) -> Me {
    let settings = console.engine.settings();
    Me {
        name: caller.name.clone(),
        role: caller.role.unwrap_or(edgedeck_model::user::Role::Viewer),
        window: caller.window,
        lab: settings.lab.clone(),
        time_zone: settings.time_zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        csrf: caller.csrf.clone(),
    }
}

macro_rules! routes {
    ($router:ident; $($endpoint:ident($call:ident) $body:expr;)*) => {
        $(let $router = route($router, api::$endpoint, async |$call: Call<api::$endpoint>| $body);)*
    };
}

pub(super) fn routes(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    let router = session(router);
    let router = nodes(router);
    let router = workloads(router);
    watching(administration(router))
}

fn session(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    routes! { router;
        GetMe(call) Ok(me(&call.console, &call.caller));
        ChangePassword(call) call.console.engine.change_password(&call.caller.actor(), &call.body.old, &call.body.new).await;
    }
    router
}

fn nodes(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    routes! { router;
        ListNodes(call) {
            let limit = call.query.limit.clamp(1, api::PAGE_MAX);
            Ok(call.console.engine.list_nodes(&api::NodeQuery { limit, ..call.query })?)
        };
        GetNode(call) Ok(call.console.engine.node(call.args.id)?);
        ManageNode(call) call.console.engine.manage_node(&call.caller.actor(), call.args.id, call.body).await;
        UpdateNode(call) call.console.engine.update_node(&call.caller.actor(), call.args.id, call.body).await;
        RemoveNode(call) call.console.engine.remove_node(&call.caller.actor(), call.args.id).await;
        GetSeries(call) {
            let query = call.query.query()?;
            if let Some(node) = query.node {
                call.console.engine.watch_node(node);
            }
            Ok(call.console.engine.series(&query)?)
        };
        GetUsage(call) {
            // A month of many images takes a while to add up.
            let engine = call.console.engine.clone();
            tokio::task::spawn_blocking(move || engine.usage_report(&call.query)).await.map_err(Problem::internal)?
        };
        ListJoinTokens(call) Ok(call.console.engine.list_join_tokens()?);
        CreateJoinToken(call) create_join_token(call).await;
        RevokeJoinToken(call) call.console.engine.revoke_join_token(&call.caller.actor(), call.args.id).await;
        JoinHere(call) {
            let console = &call.console;
            console.local_agent.join(&console.engine, &call.caller.actor(), console.agents.as_deref()).await
        };
        ListGroups(call) Ok(call.console.engine.list_groups(&bounded(call.query))?);
        GetGroup(call) Ok(call.console.engine.group(call.args.id)?);
        CreateGroup(call) call.console.engine.create_group(&call.caller.actor(), call.body).await;
        UpdateGroup(call) call.console.engine.update_group(&call.caller.actor(), call.args.id, call.body).await;
        DeleteGroup(call) call.console.engine.delete_group(&call.caller.actor(), call.args.id).await;
        AddToGroup(call) call.console.engine.add_to_group(&call.caller.actor(), call.args.id, call.body.nodes).await;
        RemoveFromGroup(call) {
            call.console.engine.remove_from_group(&call.caller.actor(), call.args.id, call.body.nodes).await
        };
    }
    router
}

fn workloads(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    routes! { router;
        ListApps(call) Ok(call.console.engine.list_apps(&bounded(call.query))?);
        GetApp(call) Ok(call.console.engine.app(call.args.id)?);
        CreateApp(call) call.console.engine.create_app(&call.caller.actor(), call.body).await;
        AddVersion(call) call.console.engine.add_version(&call.caller.actor(), call.args.id, call.body).await;
        DeleteApp(call) call.console.engine.delete_app(&call.caller.actor(), call.args.id).await;
        ListDeployments(call) Ok(call.console.engine.list_deployments(&bounded(call.query))?);
        GetDeployment(call) Ok(call.console.engine.deployment(call.args.id)?);
        PlanDeployment(call) call.console.engine.plan(&call.body);
        CreateDeployment(call) call.console.engine.create_deployment(&call.caller.actor(), call.body).await;
        UpdateDeployment(call) {
            call.console.engine.update_deployment(&call.caller.actor(), call.args.id, call.body).await
        };
        DeleteDeployment(call) call.console.engine.delete_deployment(&call.caller.actor(), call.args.id).await.map(drop);
        GetLogs(call) call.console.engine.logs(call.args.id, call.query).await;
    }
    router
}

fn watching(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    routes! { router;
        Watch(call) Ok(call.console.engine.watch(&call.query).await?);
        GetStatus(call) status(&call.console);
        ListAlarms(call) {
            let limit = call.query.limit.clamp(1, api::PAGE_MAX);
            Ok(call.console.engine.list_alarms(&api::AlarmQuery { limit, ..call.query })?)
        };
        AcknowledgeAlarm(call) call.console.engine.acknowledge_alarm(&call.caller.actor(), call.args.id).await;
        ListEvents(call) {
            let limit = call.query.limit.clamp(1, api::PAGE_MAX);
            Ok(call.console.engine.list_events(&api::EventQuery { limit, ..call.query })?)
        };
    }
    router
}

fn administration(router: Router<Arc<Console>>) -> Router<Arc<Console>> {
    routes! { router;
        ListJobs(call) Ok(call.console.engine.list_jobs(&bounded(call.query))?);
        GetJob(call) Ok(call.console.engine.job(call.args.id)?);
        ListJobItems(call) Ok(call.console.engine.job_items(call.args.id, &bounded(call.query))?);
        ListSoftware(call) call.console.engine.list_software().await;
        DeleteSoftware(call) call.console.engine.delete_software(&call.caller.actor(), call.args.id).await;
        ChangeSoftware(call) {
            let api::SoftwareBody { nodes, source, run } = call.body;
            let kind = if run { JobKind::Upgrade } else { JobKind::Download };
            call.console.engine.change_software(&call.caller.actor(), nodes, source, kind).await
        };
        CollectLogs(call) call.console.engine.collect_logs(&call.caller.actor(), call.body.nodes).await;
        StopJob(call) call.console.engine.stop_job(&call.caller.actor(), call.args.id).await;
        ListAudit(call) Ok(call.console.engine.list_audit(&bounded(call.query))?);
        ListUsers(call) Ok(call.console.engine.list_users()?);
        CreateUser(call) call.console.engine.create_user(&call.caller.actor(), call.body).await;
        DeleteUser(call) call.console.engine.delete_user(&call.caller.actor(), call.args.id).await;
        ListApiTokens(call) Ok(call.console.engine.list_api_tokens()?);
        CreateApiToken(call) call.console.engine.create_api_token(&call.caller.actor(), call.body).await;
        DeleteApiToken(call) call.console.engine.delete_api_token(&call.caller.actor(), call.args.id).await;
        ListProjects(call) Ok(call.console.engine.list_projects()?);
        CreateProject(call) call.console.engine.create_project(&call.caller.actor(), call.body).await;
        UpdateProject(call) call.console.engine.update_project(&call.caller.actor(), call.args.id, call.body).await;
        DeleteProject(call) call.console.engine.delete_project(&call.caller.actor(), call.args.id).await;
        ListAccessKeys(call) Ok(call.console.engine.list_access_keys()?);
        CreateAccessKey(call) call.console.engine.create_access_key(&call.caller.actor(), call.body).await;
        RevokeAccessKey(call) call.console.engine.revoke_access_key(&call.caller.actor(), call.args.id).await;
        CreateClientCertificate(call) {
            call.console.engine.create_client_certificate(&call.caller.actor(), call.body.name).await
        };
        ListClientCertificates(call) Ok(call.console.engine.list_client_certificates()?);
        RevokeClientCertificate(call) {
            call.console.engine.revoke_client_certificate(&call.caller.actor(), call.args.id).await
        };
        GetLabAuthority(call) Ok(call.console.engine.lab_authority()?);
        ChangeLabAuthority(call) {
            let api::CaStepBody { step, force } = call.body;
            call.console.engine.change_ca(&call.caller.actor(), step, force).await
        };
        ListAuthorities(call) Ok(call.console.engine.list_authorities()?);
        ImportAuthority(call) {
            call.console.engine.import_authority(&call.caller.actor(), call.args.id, call.body.pem).await
        };
        DeleteAuthority(call) call.console.engine.delete_authority(&call.caller.actor(), call.args.id).await;
        RestoreAuthority(call) call.console.engine.restore_authority(&call.caller.actor(), call.args.id).await;
        ImportRevocations(call) {
            call.console.engine.import_revocations(&call.caller.actor(), call.args.id, call.body.pem).await
        };
        ListImages(call) Ok(call.console.engine.list_images()?);
        DeleteImage(call) {
            let api::ImageQuery { repository, tag } = call.query;
            call.console.engine.delete_image(&call.caller.actor(), &repository, &tag).await
        };
        GetRegistry(call) Ok(call.console.engine.registry()?);
        SetRegistry(call) {
            let api::RegistryBody { address, account, password } = call.body;
            call.console.engine.set_registry(&call.caller.actor(), address, account, password).await
        };
        DeleteRegistry(call) call.console.engine.delete_registry(&call.caller.actor()).await;
        GetSettings(call) Ok(Settings::clone(&call.console.engine.settings()));
        UpdateSettings(call) call.console.engine.update_settings(&call.caller.actor(), call.body).await;
        CreateBackup(call) backup(call).await;
    }
    router
}

async fn create_join_token(call: Call<api::CreateJoinToken>) -> Result<NewJoinToken, Problem> {
    let engine = &call.console.engine;
    let (token, secret) = engine.create_join_token(&call.caller.actor(), call.body.kind).await?;
    let ca_hash = engine.pki.present().current.hash.clone();
    let commands = engine
        .agent_addresses()
        .iter()
        .map(|address| command(address, &secret, &ca_hash))
        .collect();
    Ok(NewJoinToken {
        token,
        secret,
        ca_hash,
        commands,
    })
}

/// The line to paste on a box. It trusts nothing before the CA certificate has the hash that stands in the line, cleans
/// up after itself, and ends as joining ended.
fn command(address: &str, secret: &str, ca_hash: &str) -> String {
    let engine = format!("https://{address}");
    format!(
        "(d=$(mktemp -d) && trap \"rm -rf $d\" EXIT && curl -fsSk {engine}/ca.pem -o $d/ca.pem && \
         [ \"$(sed '/-----/d' $d/ca.pem | base64 -d | sha256sum | cut -c1-64)\" = {ca_hash} ] && \
         curl -fsS --cacert $d/ca.pem {engine}/join.sh -o $d/join.sh && sh $d/join.sh {engine} {secret} {ca_hash})"
    )
}

fn status(console: &Console) -> Result<Status, Problem> {
    let engine = &console.engine;
    let (database_bytes, wal_bytes) = engine.store.sizes();
    let stats = engine.store.stats();
    let nodes = engine
        .list_nodes(&api::NodeQuery {
            limit: 1,
            ..Default::default()
        })?
        .total;
    let host = std::env::consts::ARCH;
    let ca = engine.pki.present();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: engine.started_at(),
        connected: u32::try_from(engine.connected()).unwrap_or(u32::MAX),
        nodes: u32::try_from(nodes).unwrap_or(u32::MAX),
        database_bytes,
        wal_bytes,
        writes: stats.writes.load(Ordering::Relaxed),
        commits: stats.commits.load(Ordering::Relaxed),
        data: engine.data().display().to_string(),
        listeners: console
            .listeners
            .iter()
            .map(|(name, address)| (name.clone(), address.to_string()))
            .collect(),
        can_join_here: !console.local_agent.is_joined()
            && agent_files::program(console.agents.as_deref(), host).is_some(),
        ca_hash: ca.current.hash.clone(),
        ca_ends: ca.current.facts.ends,
    })
}

async fn backup(call: Call<api::CreateBackup>) -> Result<Backup, Problem> {
    let engine = call.console.engine.clone();
    let actor = call.caller.actor();
    let made = tokio::task::spawn_blocking({
        let engine = engine.clone();
        let passphrase = call.body.passphrase;
        move || engine.backup(&passphrase)
    });
    let made = made.await.map_err(Problem::internal)??;
    let name = made.path.clone();
    engine
        .store
        .write(move |tx| tx.audit(&actor, "backup.create", &name))
        .await?;
    Ok(made)
}
