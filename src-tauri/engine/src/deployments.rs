//! Deployments: what is wanted where, and what the agents say of it.

use crate::{
    Actor, Effect, Engine, apps,
    caps::{self, Caps, Rules},
    error::Result,
    fleet, groups,
    store::{Tx, row},
};
use edgedeck_model::{
    AppId, DeploymentId, GroupId, Lang, NodeId, PlacementId, Problem, VersionId,
    alarm::AlarmKind,
    api::{DeploymentDetail, Page, PageQuery, UpdateDeploymentBody},
    app::{Spec, Version},
    deployment::{
        Deployment, InstanceState, NewDeployment, PartStatus, Placement, PlanNode, PlanRequest, RESTART_WINDOW, Reason,
        Target, Wanted,
    },
    event::EventKind,
    fit::{self, Load, Misfit},
    job::Step,
    name,
    node::{Node, NodeState},
    text,
    time::MINUTE,
};
use edgedeck_protocol::{Desired, Instance, Observed, Workload};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

pub fn get(connection: &Connection, id: DeploymentId) -> Result<Deployment> {
    Ok(row::get(connection, id.0)?.ok_or_else(|| Problem::not_found("deployment"))?)
}

/// A deployment's name, from an index: one that is aimed at thousands of nodes names them all, and every node asks.
fn name_of(connection: &Connection, id: DeploymentId) -> Result<Option<String>> {
    let name = connection
        .prepare_cached("SELECT name FROM deployment INDEXED BY deployment_named WHERE id = ?1")?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    Ok(name)
}

fn placements_of(connection: &Connection, deployment: DeploymentId) -> Result<Vec<Placement>> {
    row::select(connection, "WHERE deployment = ?1", [deployment.to_string()])
}

fn placements_on(connection: &Connection, node: NodeId) -> Result<Vec<Placement>> {
    row::select(connection, "WHERE node = ?1", [node.to_string()])
}

fn generation(connection: &Connection, node: NodeId) -> Result<u64> {
    let found = connection
        .prepare_cached("SELECT generation FROM desired WHERE node = ?1")?
        .query_row([node.0], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or(0))
}

/// All that is wanted of a node; `None` while nothing ever was.
pub fn desired(connection: &Connection, node: NodeId) -> Result<Option<Desired>> {
    let generation = generation(connection, node)?;
    if generation == 0 {
        return Ok(None);
    }
    let mut workloads = Vec::new();
    for placement in placements_on(connection, node)? {
        if placement.wanted == Wanted::Gone {
            continue;
        }
        let name = name_of(connection, placement.deployment)?;
        workloads.push(Workload {
            placement: placement.id,
            deployment: placement.deployment,
            name: name.ok_or_else(|| Problem::not_found("deployment"))?,
            version: placement.version,
            wanted: placement.wanted,
            restarts: placement.restarts,
            spec: apps::version(connection, placement.version)?.spec,
        });
    }
    Ok(Some(Desired { generation, workloads }))
}

/// What is wanted on a node already, but for one deployment.
fn load(connection: &Connection, node: NodeId, except: Option<DeploymentId>) -> Result<Load> {
    let mut load = Load::default();
    for placement in placements_on(connection, node)? {
        if placement.wanted != Wanted::Gone && Some(placement.deployment) != except {
            load.add(&apps::version(connection, placement.version)?.spec.total());
        }
    }
    Ok(load)
}

fn check_fit(connection: &Connection, spec: &Spec, node: &Node, except: DeploymentId, rules: &Rules) -> Result<()> {
    let mut misfits = fit::misfits(spec, node, &load(connection, node.id, Some(except))?, &rules.limits);
    if rules.caps.capacity_of_online {
        misfits.retain(|misfit| match misfit {
            Misfit::NotManaged | Misfit::TooMany { .. } => true,
            Misfit::Cpu { .. } | Misfit::Memory { .. } | Misfit::Npu { .. } => node.state == NodeState::Online,
            Misfit::NoRuntime => false,
        });
    }
    match misfits.first() {
        None => Ok(()),
        Some(misfit) => Err(Problem::new(edgedeck_model::Code::DoesNotFit)
            .with("node", &node.name)
            .with("why_zh", text::misfit(misfit, Lang::Zh))
            .with("why_en", text::misfit(misfit, Lang::En))
            .into()),
    }
}

/// Nodes that a target names now.
fn aimed(connection: &Connection, target: &Target) -> Result<BTreeSet<NodeId>> {
    Ok(match target {
        Target::Nodes(nodes) => nodes.iter().copied().collect(),
        Target::Group(group) => {
            groups::get(connection, *group)?;
            groups::members(connection, *group)?.into_iter().collect()
        }
        Target::Labels(wanted) => row::select::<Node>(connection, "WHERE managed = 1", [])?
            .into_iter()
            .filter(|node| carries(node, wanted))
            .map(|node| node.id)
            .collect(),
    })
}

fn carries(node: &Node, labels: &BTreeMap<String, String>) -> bool {
    labels.iter().all(|(key, value)| node.labels.get(key) == Some(value))
}

impl Tx<'_> {
    /// Marks that something else is wanted of a node; the new generation.
    pub fn bump_desired(&mut self, node: NodeId) -> Result<u64> {
        let generation = self
            .prepare_cached(
                "INSERT INTO desired (node, generation) VALUES (?1, 1) \
                 ON CONFLICT (node) DO UPDATE SET generation = generation + 1 RETURNING generation",
            )?
            .query_row([node.0], |row| row.get(0))?;
        self.after_commit(Effect::Desired(node));
        Ok(generation)
    }

    /// Wants a deployment on a node, if it fits and is not there yet.
    pub fn place(&mut self, deployment: &Deployment, node: &Node, rules: &Rules) -> Result<()> {
        let known = row::select::<Placement>(
            self,
            "WHERE node = ?1 AND deployment = ?2",
            params![node.id.to_string(), deployment.id.to_string()],
        )?;
        let known = known.into_iter().next();
        if known.as_ref().is_some_and(|placement| placement.wanted != Wanted::Gone) {
            return Ok(());
        }
        let spec = apps::version(self, deployment.version)?.spec;
        check_fit(self, &spec, node, deployment.id, rules)?;
        let generation = self.bump_desired(node.id)?;
        // One that is still being removed becomes wanted again under a new id, so that its remains cannot be mistaken.
        if let Some(leaving) = known {
            self.delete::<Placement>(leaving.id.0)?;
        }
        let mut placement = Placement {
            id: PlacementId(Uuid::now_v7()),
            rev: 0,
            deployment: deployment.id,
            node: node.id,
            version: deployment.version,
            wanted: deployment.wanted,
            generation,
            observed_generation: 0,
            restarts: 0,
            state: InstanceState::Pending,
            parts: Vec::new(),
            created_at: self.now(),
            observed_at: None,
        };
        self.put(&mut placement)
    }

    /// Wants a deployment off a node. The row stays until the agent has confirmed.
    pub fn unplace(&mut self, deployment: &Deployment, node: NodeId) -> Result<()> {
        let known = row::select::<Placement>(
            self,
            "WHERE node = ?1 AND deployment = ?2 AND wanted <> 'gone'",
            params![node.to_string(), deployment.id.to_string()],
        )?;
        for mut placement in known {
            placement.generation = self.bump_desired(node)?;
            placement.wanted = Wanted::Gone;
            if placement.state != InstanceState::Pending {
                placement.state = InstanceState::Stopping;
            }
            self.put(&mut placement)?;
        }
        Ok(())
    }

    /// Puts the deployments onto a node that its labels ask for, and takes off those that they no longer do.
    pub fn place_by_labels(&mut self, node: &Node, rules: &Rules) -> Result<()> {
        let by_label = row::select::<Deployment>(
            self,
            "WHERE wanted <> 'gone' AND doc ->> '$.target.labels' IS NOT NULL",
            [],
        )?;
        for deployment in by_label {
            match &deployment.target {
                Target::Labels(labels) if node.managed && carries(node, labels) => {
                    self.place(&deployment, node, rules)?
                }
                _ => self.unplace(&deployment, node.id)?,
            }
        }
        Ok(())
    }

    /// Forgets everything that was wanted on a node that is no more.
    pub fn erase_placements(&mut self, node: NodeId) -> Result<()> {
        for placement in placements_on(self, node)? {
            self.delete::<Placement>(placement.id.0)?;
            self.settle_gone(placement.deployment, node)?;
            self.finish_deployment(placement.deployment)?;
        }
        Ok(())
    }

    /// Deletes a deployment that is being undeployed once its last placement is gone.
    fn finish_deployment(&mut self, id: DeploymentId) -> Result<()> {
        let left = "SELECT EXISTS (SELECT 1 FROM placement WHERE deployment = ?1)";
        let is_placed: bool = self
            .prepare_cached(left)?
            .query_row([id.to_string()], |row| row.get(0))?;
        if !is_placed && row::get::<Deployment>(self, id.0)?.is_some_and(|it| it.wanted == Wanted::Gone) {
            self.delete::<Deployment>(id.0)?;
        }
        Ok(())
    }
}

/// Which deployments on a single node are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Single<'a> {
    Named(&'a str),
    On(NodeId),
}

impl Engine {
    /// Deployments that are not being undeployed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_deployments(&self, query: &PageQuery) -> Result<Page<Deployment>> {
        let like = format!("%{}%", crate::feed::escape_like(&query.filter));
        self.store.read(|connection| {
            let filter = "WHERE wanted <> 'gone' AND name LIKE ?1 ESCAPE '\\'";
            Ok(Page {
                total: row::count::<Deployment>(connection, filter, [&like])?,
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY name LIMIT ?2 OFFSET ?3"),
                    params![like, query.limit, query.offset],
                )?,
            })
        })
    }

    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn deployment(&self, id: DeploymentId) -> Result<DeploymentDetail> {
        self.store.read(|connection| {
            Ok(DeploymentDetail {
                deployment: get(connection, id)?,
                placements: placements_of(connection, id)?,
            })
        })
    }

    /// Deployments of an app that are not being undeployed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deployments_of_app(&self, app: AppId) -> Result<Vec<Deployment>> {
        self.store.read(|connection| {
            row::select(
                connection,
                "WHERE app = ?1 AND wanted <> 'gone' ORDER BY id",
                [app.to_string()],
            )
        })
    }

    /// Deployments aimed at a group that are not being undeployed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deployments_of_group(&self, group: GroupId) -> Result<Vec<Deployment>> {
        self.store.read(|connection| {
            row::select(
                connection,
                "WHERE target_group = ?1 AND wanted <> 'gone' ORDER BY id",
                [group.to_string()],
            )
        })
    }

    /// Everything that is wanted on a node, or on its way off it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn placements_on(&self, node: NodeId) -> Result<Vec<Placement>> {
        self.store.read(|connection| placements_on(connection, node))
    }

    /// Judges which nodes of a target a spec fits, without making anything.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`] for the spec or the target, [`edgedeck_model::Code::NotFound`].
    pub fn plan(&self, request: &PlanRequest) -> std::result::Result<Vec<PlanNode>, Problem> {
        request.spec.check()?;
        request.target.check()?;
        let limits = self.settings().limits.clone();
        let plan = self.store.read(|connection| {
            let mut plan = Vec::new();
            for id in aimed(connection, &request.target)? {
                let node = fleet::get(connection, id)?;
                let load = load(connection, id, request.replaces)?;
                plan.push(PlanNode {
                    node: id,
                    misfits: fit::misfits(&request.spec, &node, &load, &limits),
                });
            }
            Ok(plan)
        });
        Ok(plan?)
    }

    /// Deploys a version to a target. All of its nodes, or none.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::DoesNotFit`] naming the first node that is too full, and the usual ones.
    pub async fn create_deployment(
        &self,
        actor: &Actor,
        body: NewDeployment,
    ) -> std::result::Result<Deployment, Problem> {
        self.create_deployment_within(actor, body, Caps::NONE).await
    }

    /// As [`Self::create_deployment`], within an API's caps.
    ///
    /// # Errors
    /// Also [`edgedeck_model::Code::Conflict`] when a cap is reached.
    pub async fn create_deployment_within(
        &self,
        actor: &Actor,
        body: NewDeployment,
        caps: Caps,
    ) -> std::result::Result<Deployment, Problem> {
        name::check_name("name", &body.name)?;
        body.target.check()?;
        let (actor, rules) = (actor.clone(), self.rules(caps));
        let deployment = self.store.write(move |tx| {
            is_free(tx, &body.name)?;
            let app = apps::get(tx, body.app)?;
            let version = apps::version(tx, body.version.unwrap_or(app.latest))?;
            if version.app != app.id {
                return Err(Problem::not_found("version").into());
            }
            if let Target::Group(group) = body.target {
                check_group(tx, group, app.id, &rules.caps)?;
            }
            create(tx, &actor, body.name, &version, body.target, &rules)
        });
        Ok(deployment.await?)
    }

    /// Deploys a specification of its own: the app that it makes goes with its last deployment.
    ///
    /// # Errors
    /// As [`Self::create_deployment`].
    pub async fn deploy_spec(
        &self,
        actor: &Actor,
        name: String,
        spec: Spec,
        target: Target,
    ) -> std::result::Result<Deployment, Problem> {
        name::check_name("name", &name)?;
        target.check()?;
        spec.check()?;
        let (actor, rules) = (actor.clone(), self.rules(Caps::NONE));
        let deployment = self.store.write(move |tx| {
            is_free(tx, &name)?;
            let version = apps::create_inline(tx, &name, spec)?;
            create(tx, &actor, name, &version, target, &rules)
        });
        Ok(deployment.await?)
    }

    /// Changes the specification of one deployment, by a new version of its app. Nothing happens where it is the same.
    ///
    /// # Errors
    /// What `change` returns, and as [`Self::update_deployment`].
    pub async fn change_spec(
        &self,
        actor: &Actor,
        id: DeploymentId,
        change: impl FnOnce(Spec) -> std::result::Result<Spec, Problem> + Send + 'static,
    ) -> std::result::Result<Deployment, Problem> {
        let (actor, rules) = (actor.clone(), self.rules(Caps::NONE));
        let deployment = self.store.write(move |tx| {
            let mut deployment = live(tx, id)?;
            let before = apps::version(tx, deployment.version)?;
            let spec = change(before.spec.clone())?;
            if spec != before.spec {
                let version = apps::next_version(tx, apps::get(tx, deployment.app)?, spec)?;
                change_version(tx, &mut deployment, version.id, &rules)?;
            }
            move_placements(tx, &actor, &mut deployment, Step::Update)?;
            tx.audit(&actor, "deployment.update", &deployment.name)?;
            Ok(deployment)
        });
        Ok(deployment.await?)
    }

    /// Deployments of this name, or on this node, that aim at that one node alone, with their placement and version.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn single_deployments(&self, of: Single<'_>) -> Result<Vec<(Deployment, Placement, Version)>> {
        self.store.read(|connection| {
            let placements = match of {
                Single::Named(name) => {
                    let named = "WHERE name = ?1 AND wanted <> 'gone'";
                    match row::select::<Deployment>(connection, named, [name])?.first() {
                        Some(deployment) if is_single(connection, deployment.id)? => {
                            placements_of(connection, deployment.id)?
                        }
                        _ => Vec::new(),
                    }
                }
                Single::On(node) => placements_on(connection, node)?,
            };
            let mut found = Vec::new();
            for placement in placements.into_iter().filter(|one| one.wanted != Wanted::Gone) {
                if is_single(connection, placement.deployment)? {
                    let deployment = get(connection, placement.deployment)?;
                    let version = apps::version(connection, placement.version)?;
                    found.push((deployment, placement, version));
                }
            }
            Ok(found)
        })
    }

    /// Moves a deployment to another version, or stops, starts or restarts it.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::DoesNotFit`] when the other version is too large for a node, and the usual ones.
    pub async fn update_deployment(
        &self,
        actor: &Actor,
        id: DeploymentId,
        body: UpdateDeploymentBody,
    ) -> std::result::Result<Deployment, Problem> {
        let updated = self.update_deployments(actor, vec![id], body).await?;
        let updated = updated.into_iter().next();
        updated.ok_or_else(|| Problem::internal("an update of nothing"))
    }

    /// As [`Self::update_deployment`], for all of them or none.
    ///
    /// # Errors
    /// As there.
    pub async fn update_deployments(
        &self,
        actor: &Actor,
        ids: Vec<DeploymentId>,
        body: UpdateDeploymentBody,
    ) -> std::result::Result<Vec<Deployment>, Problem> {
        if body.wanted == Some(Wanted::Gone) {
            return Err(Problem::invalid("wanted", "being-removed"));
        }
        let (actor, rules) = (actor.clone(), self.rules(Caps::NONE));
        let updated = self.store.write(move |tx| {
            let mut updated = Vec::with_capacity(ids.len());
            for id in ids {
                let mut deployment = live(tx, id)?;
                if let Some(version) = body.version
                    && version != deployment.version
                {
                    change_version(tx, &mut deployment, version, &rules)?;
                }
                deployment.wanted = body.wanted.unwrap_or(deployment.wanted);
                let step = match (body.restart, body.version, body.wanted) {
                    (true, ..) => Step::Restart,
                    (_, None, Some(Wanted::Running)) => Step::Start,
                    (_, None, Some(_)) => Step::Stop,
                    _ => Step::Update,
                };
                move_placements(tx, &actor, &mut deployment, step)?;
                tx.audit(&actor, "deployment.update", &deployment.name)?;
                updated.push(deployment);
            }
            Ok(updated)
        });
        Ok(updated.await?)
    }

    /// Changes an app's newest specification and moves those of its deployments that `meant` names to it. All or
    /// nothing; the new version gets the next free number as its label.
    ///
    /// # Errors
    /// What `change` returns, [`edgedeck_model::Code::NotFound`], [`edgedeck_model::Code::Invalid`],
    /// [`edgedeck_model::Code::DoesNotFit`].
    pub async fn roll_out(
        &self,
        actor: &Actor,
        app: AppId,
        change: impl FnOnce(Spec) -> std::result::Result<Spec, Problem> + Send + 'static,
        meant: fn(&Deployment) -> bool,
        caps: Caps,
    ) -> std::result::Result<Version, Problem> {
        let (actor, rules) = (actor.clone(), self.rules(caps));
        let version = self.store.write(move |tx| {
            let app = apps::get(tx, app)?;
            let spec = change(apps::version(tx, app.latest)?.spec)?;
            let version = apps::next_version(tx, app, spec)?;
            let deployed = row::select::<Deployment>(
                tx,
                "WHERE app = ?1 AND wanted <> 'gone' ORDER BY id",
                [version.app.to_string()],
            )?;
            for mut deployment in deployed.into_iter().filter(meant) {
                change_version(tx, &mut deployment, version.id, &rules)?;
                move_placements(tx, &actor, &mut deployment, Step::Update)?;
            }
            tx.audit(&actor, "app.roll-out", &format!("{} {}", version.app, version.label))?;
            Ok(version)
        });
        Ok(version.await?)
    }

    /// Undeploys an app from a group.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`] when it is not deployed there.
    pub async fn undeploy(&self, actor: &Actor, app: AppId, group: GroupId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let deployed = groups::deployments_on(tx, group)?;
            let mut deployed = deployed
                .into_iter()
                .filter(|deployment| deployment.app == app)
                .peekable();
            if deployed.peek().is_none() {
                return Err(Problem::not_found("deployment").into());
            }
            for deployment in deployed {
                withdraw(tx, &actor, deployment)?;
            }
            Ok(())
        });
        Ok(done.await?)
    }

    /// Undeploys: the nodes remove every trace, then the deployment is gone. What is left of it until then.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub async fn delete_deployment(&self, actor: &Actor, id: DeploymentId) -> std::result::Result<Deployment, Problem> {
        let actor = actor.clone();
        let gone = self.store.write(move |tx| {
            let deployment = get(tx, id)?;
            if deployment.wanted == Wanted::Gone {
                return Ok(deployment);
            }
            withdraw(tx, &actor, deployment)
        });
        Ok(gone.await?)
    }

    /// Takes what an agent says of its instances.
    pub(crate) async fn observe(&self, node: NodeId, observed: Observed) -> Result<()> {
        let stored = self.store.read(|connection| placements_on(connection, node))?;
        if !stored.iter().any(|placement| news(placement, &observed).is_some()) {
            return Ok(());
        }
        let restarts = self.settings().thresholds.restarts;
        self.store
            .write(move |tx| {
                let Some(row) = row::get::<Node>(tx, node.0)? else {
                    return Ok(());
                };
                for mut placement in placements_on(tx, node)? {
                    match news(&placement, &observed) {
                        None => {}
                        Some(News::Removed) => remove(tx, &row, &placement)?,
                        Some(News::Changed(instance)) => {
                            placement.observed_generation = observed.generation;
                            update(tx, &row, &mut placement, instance, restarts)?;
                            tx.settle(&placement)?;
                        }
                    }
                }
                Ok(())
            })
            .await
    }
}

/// Whether one more deployment of an app may aim at a group.
fn check_group(connection: &Connection, group: GroupId, app: AppId, caps: &Caps) -> Result<()> {
    let present = groups::deployments_on(connection, group)?;
    if caps.once_per_group && present.iter().any(|deployment| deployment.app == app) {
        return Err(Problem::conflict("deployed-already").into());
    }
    caps::check("deployment", caps.deployments_per_group, 1, || Ok(present.len() as u64))
}

/// Whether a deployment aims at one node alone, from an index.
fn is_single(connection: &Connection, id: DeploymentId) -> Result<bool> {
    let sql = "SELECT 1 FROM deployment INDEXED BY deployment_single \
               WHERE id = ?1 AND json_array_length(doc, '$.target.nodes') = 1";
    Ok(connection.prepare_cached(sql)?.exists([id.0])?)
}

/// A deployment that is not being undeployed.
fn live(connection: &Connection, id: DeploymentId) -> Result<Deployment> {
    let deployment = get(connection, id)?;
    if deployment.wanted == Wanted::Gone {
        return Err(Problem::conflict("being-removed").into());
    }
    Ok(deployment)
}

fn is_free(connection: &Connection, name: &str) -> Result<()> {
    if row::count::<Deployment>(connection, "WHERE name = ?1 AND wanted <> 'gone'", [name])? > 0 {
        return Err(Problem::taken("deployment", name).into());
    }
    Ok(())
}

/// Wants a new deployment on all nodes that it is aimed at.
fn create(
    tx: &mut Tx<'_>,
    actor: &Actor,
    name: String,
    version: &Version,
    target: Target,
    rules: &Rules,
) -> Result<Deployment> {
    let now = tx.now();
    let mut deployment = Deployment {
        id: DeploymentId(Uuid::now_v7()),
        rev: 0,
        name,
        app: version.app,
        version: version.id,
        previous: None,
        target,
        wanted: Wanted::Running,
        job: None,
        created_at: now,
        updated_at: now,
    };
    for node in aimed(tx, &deployment.target)? {
        tx.place(&deployment, &fleet::get(tx, node)?, rules)?;
    }
    let placements = placements_of(tx, deployment.id)?;
    tx.begin_rollout(actor, &mut deployment, Step::Create, &placements)?;
    tx.put(&mut deployment)?;
    tx.audit(actor, "deployment.create", &deployment.name)?;
    Ok(deployment)
}

/// Brings a deployment's placements to its version and to what is wanted of it; a restart replaces what runs by the same.
fn move_placements(tx: &mut Tx<'_>, actor: &Actor, deployment: &mut Deployment, step: Step) -> Result<()> {
    let mut placements = placements_of(tx, deployment.id)?;
    placements.retain(|placement| placement.wanted != Wanted::Gone);
    for placement in &mut placements {
        let same = placement.version == deployment.version && placement.wanted == deployment.wanted;
        if same && step != Step::Restart {
            continue;
        }
        placement.version = deployment.version;
        placement.wanted = deployment.wanted;
        if step == Step::Restart {
            placement.restarts = placement.restarts.wrapping_add(1);
        }
        placement.generation = tx.bump_desired(placement.node)?;
        tx.put(placement)?;
    }
    tx.begin_rollout(actor, deployment, step, &placements)?;
    deployment.updated_at = tx.now();
    tx.put(deployment)
}

/// Has every node of a deployment remove it; the last to confirm ends it.
fn withdraw(tx: &mut Tx<'_>, actor: &Actor, mut deployment: Deployment) -> Result<Deployment> {
    let placements = placements_of(tx, deployment.id)?;
    for placement in &placements {
        tx.unplace(&deployment, placement.node)?;
    }
    tx.begin_rollout(actor, &mut deployment, Step::Delete, &placements)?;
    deployment.wanted = Wanted::Gone;
    deployment.updated_at = tx.now();
    tx.put(&mut deployment)?;
    tx.finish_deployment(deployment.id)?;
    apps::delete_inline(tx, deployment.app)?;
    tx.audit(actor, "deployment.delete", &deployment.name)?;
    Ok(deployment)
}

fn change_version(tx: &mut Tx<'_>, deployment: &mut Deployment, version: VersionId, rules: &Rules) -> Result<()> {
    let wanted = apps::version(tx, version)?;
    if wanted.app != deployment.app {
        return Err(Problem::not_found("version").into());
    }
    for placement in placements_of(tx, deployment.id)? {
        if placement.wanted != Wanted::Gone {
            check_fit(tx, &wanted.spec, &fleet::get(tx, placement.node)?, deployment.id, rules)?;
        }
    }
    deployment.previous = Some(std::mem::replace(&mut deployment.version, version));
    Ok(())
}

/// What a report says that is not stored yet.
enum News<'a> {
    /// Every trace is gone from the node.
    Removed,
    Changed(&'a Instance),
}

fn news<'a>(placement: &Placement, observed: &'a Observed) -> Option<News<'a>> {
    let instance = observed
        .instances
        .iter()
        .find(|instance| instance.placement == placement.id);
    if placement.wanted == Wanted::Gone {
        // An agent that works on this generation, or a later one, and does not name the placement has nothing of it.
        let knows = observed.generation >= placement.generation;
        if knows && instance.is_none_or(|instance| instance.removed) {
            return Some(News::Removed);
        }
    }
    let instance = instance.filter(|instance| !instance.removed)?;
    let parts = tamed(&instance.parts);
    let has_begun = placement.observed_generation < placement.generation && observed.generation >= placement.generation;
    (has_begun || parts != placement.parts || placement.observed_at.is_none()).then_some(News::Changed(instance))
}

/// What a box says about its parts, cut to what the database and the screens can bear.
fn tamed(parts: &[PartStatus]) -> Vec<PartStatus> {
    parts
        .iter()
        .take(edgedeck_model::app::PARTS_MAX)
        .map(|part| PartStatus {
            name: name::tame(&part.name, 32),
            detail: part.detail.as_deref().map(|detail| name::tame(detail, 1_000)),
            ..part.clone()
        })
        .collect()
}

fn remove(tx: &mut Tx<'_>, node: &Node, placement: &Placement) -> Result<()> {
    let name = name_of(tx, placement.deployment)?.unwrap_or_default();
    tx.delete::<Placement>(placement.id.0)?;
    tx.settle_gone(placement.deployment, node.id)?;
    for kind in [AlarmKind::CrashLoop, AlarmKind::ProbeFailed, AlarmKind::DeviceMissing] {
        tx.clear(kind, Some(node.id), &placement.id.to_string())?;
    }
    tx.event(
        EventKind::InstanceRemoved,
        Some(node.id),
        &[("deployment", &name), ("node", &node.name)],
    )?;
    tx.finish_deployment(placement.deployment)
}

fn update(tx: &mut Tx<'_>, node: &Node, placement: &mut Placement, instance: &Instance, restarts: u32) -> Result<()> {
    let name = name_of(tx, placement.deployment)?.unwrap_or_default();
    let before = std::mem::replace(&mut placement.parts, tamed(&instance.parts));
    let state_before = std::mem::replace(&mut placement.state, InstanceState::of_parts(&placement.parts));
    placement.observed_at = Some(tx.now());
    tx.put(placement)?;
    let facts = |extra: &[(&'static str, String)]| -> Vec<(&'static str, String)> {
        [("deployment", name.clone()), ("node", node.name.clone())]
            .into_iter()
            .chain(extra.iter().cloned())
            .collect()
    };
    let tell = |tx: &mut Tx<'_>, kind, extra: &[(&'static str, String)]| {
        let facts = facts(extra);
        let facts: Vec<(&str, &str)> = facts.iter().map(|(key, value)| (*key, value.as_str())).collect();
        tx.event(kind, Some(node.id), &facts)
    };
    for part in &placement.parts {
        let old = before.iter().find(|old| old.name == part.name);
        let ended = part.finished_at.is_some() && old.is_none_or(|old| old.finished_at != part.finished_at);
        if let (true, Some(exit_code)) = (ended, part.exit_code) {
            tell(
                tx,
                EventKind::InstanceExited,
                &[("part", part.name.clone()), ("exit_code", exit_code.to_string())],
            )?;
        }
    }
    if placement.state != state_before {
        match placement.state {
            InstanceState::Running => tell(tx, EventKind::InstanceRunning, &[])?,
            InstanceState::Failed => {
                let why = placement
                    .parts
                    .iter()
                    .find_map(|part| text::part_sentence(part, Lang::En))
                    .unwrap_or_default();
                tell(tx, EventKind::InstanceFailed, &[("detail", why)])?;
            }
            _ => {}
        }
    }
    let subject = placement.id.to_string();
    let unhealthy: fn(&PartStatus) -> bool = |part| part.unhealthy;
    let missing: fn(&PartStatus) -> bool = |part| part.reason == Some(Reason::NoSuchDevice);
    for (kind, suffers) in [(AlarmKind::ProbeFailed, unhealthy), (AlarmKind::DeviceMissing, missing)] {
        let part = placement.parts.iter().find(|part| suffers(part));
        // Nearly every report is of parts that are well and were.
        if part.is_none() && !before.iter().any(suffers) {
            continue;
        }
        let told = |read: fn(&PartStatus) -> &str| part.map(read).unwrap_or_default().to_owned();
        let facts = facts(&[
            ("part", told(|part| &part.name)),
            ("detail", told(|part| part.detail.as_deref().unwrap_or_default())),
        ]);
        let facts: Vec<(&str, &str)> = facts.iter().map(|(key, value)| (*key, value.as_str())).collect();
        tx.judge(kind, Some(node.id), &subject, part.is_some(), &facts)?;
    }
    match placement.parts.iter().max_by_key(|part| part.recent_restarts) {
        Some(part) if part.recent_restarts >= restarts => {
            let facts = facts(&[
                ("part", part.name.clone()),
                ("restarts", part.recent_restarts.to_string()),
                ("minutes", (RESTART_WINDOW / MINUTE).to_string()),
            ]);
            let facts: Vec<(&str, &str)> = facts.iter().map(|(key, value)| (*key, value.as_str())).collect();
            tx.raise(AlarmKind::CrashLoop, Some(node.id), &subject, &facts)
        }
        Some(part) if part.recent_restarts > 0 => Ok(()),
        _ => tx.clear(AlarmKind::CrashLoop, Some(node.id), &subject),
    }
}
