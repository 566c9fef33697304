//! Groups of nodes, and who is in them.

use crate::{
    Actor, AliasKind, Engine,
    caps::{self, Caps, Rules},
    error::Result,
    store::{Tx, row},
};
use edgedeck_model::{
    GroupId, NodeId, Problem,
    api::{GroupBody, Page, PageQuery, UpdateGroupBody},
    deployment::Deployment,
    group::Group,
    name,
    node::Node,
};
use rusqlite::{Connection, params};
use uuid::Uuid;

pub fn get(connection: &Connection, id: GroupId) -> Result<Group> {
    Ok(row::get(connection, id.0)?.ok_or_else(|| Problem::not_found("group"))?)
}

fn check_free(connection: &Connection, name: &str, except: Option<GroupId>) -> Result<()> {
    let taken = row::select::<Group>(connection, "WHERE name = ?1", [name])?;
    match taken.first() {
        Some(other) if Some(other.id) != except => Err(Problem::taken("group", name).into()),
        _ => Ok(()),
    }
}

/// Nodes of a group, in no order.
pub fn members(connection: &Connection, group: GroupId) -> Result<Vec<NodeId>> {
    let mut statement = connection.prepare_cached("SELECT node FROM member WHERE node_group = ?1")?;
    let found = statement.query_map([group.0.as_bytes().as_slice()], |row| Ok(NodeId(row.get(0)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

pub fn deployments_on(connection: &Connection, group: GroupId) -> Result<Vec<Deployment>> {
    row::select(
        connection,
        "WHERE target_group = ?1 AND wanted <> 'gone'",
        [group.to_string()],
    )
}

/// Whether so many nodes may join a group, and each of them one more group.
pub fn check_joining(connection: &Connection, group: GroupId, nodes: &[NodeId], caps: &Caps) -> Result<()> {
    let present = members(connection, group)?;
    let joining = nodes.iter().filter(|node| !present.contains(node));
    caps::check("node", caps.nodes_per_group, joining.clone().count() as u64, || {
        Ok(present.len() as u64)
    })?;
    for node in joining {
        if let Some(node) = row::get::<Node>(connection, node.0)? {
            caps::check("group", caps.groups_per_node, 1, || Ok(node.groups.len() as u64))?;
        }
    }
    Ok(())
}

/// Puts a managed node into a group, and the group's deployments onto the node.
pub fn enter(tx: &mut Tx<'_>, group: GroupId, node: &mut Node, rules: &Rules) -> Result<()> {
    if !node.managed {
        return Err(Problem::conflict("not-managed").with("node", &node.name).into());
    }
    if node.groups.contains(&group) {
        return Ok(());
    }
    for deployment in deployments_on(tx, group)? {
        tx.place(&deployment, node, rules)?;
    }
    tx.prepare_cached("INSERT INTO member (node_group, node) VALUES (?1, ?2)")?
        .execute(params![group.0.as_bytes().as_slice(), node.id.0.as_bytes().as_slice()])?;
    node.groups.push(group);
    tx.put(node)
}

/// Takes a node out of a group, and the group's deployments off the node.
pub fn leave(tx: &mut Tx<'_>, group: GroupId, node: &mut Node) -> Result<()> {
    if !node.groups.contains(&group) {
        return Ok(());
    }
    for deployment in deployments_on(tx, group)? {
        tx.unplace(&deployment, node.id)?;
    }
    tx.prepare_cached("DELETE FROM member WHERE node_group = ?1 AND node = ?2")?
        .execute(params![group.0.as_bytes().as_slice(), node.id.0.as_bytes().as_slice()])?;
    node.groups.retain(|other| *other != group);
    tx.put(node)
}

impl Engine {
    /// # Errors
    /// When the database cannot be read.
    pub fn list_groups(&self, query: &PageQuery) -> Result<Page<Group>> {
        let like = format!("%{}%", crate::feed::escape_like(&query.filter));
        self.store.read(|connection| {
            let filter = "WHERE name LIKE ?1 ESCAPE '\\'";
            Ok(Page {
                total: row::count::<Group>(connection, filter, [&like])?,
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
    pub fn group(&self, id: GroupId) -> Result<Group> {
        self.store.read(|connection| get(connection, id))
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn group_members(&self, id: GroupId) -> Result<Vec<NodeId>> {
        self.store.read(|connection| members(connection, id))
    }

    /// How many nodes each of these groups has, in their order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count_members(&self, groups: impl Iterator<Item = GroupId>) -> Result<Vec<u64>> {
        self.store.read(|connection| {
            let mut count = connection.prepare_cached("SELECT count(*) FROM member WHERE node_group = ?1")?;
            let counts = groups.map(|id| count.query_row([id.0], |row| row.get(0)));
            Ok(counts.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// # Errors
    /// [`edgedeck_model::Code::Invalid`] or [`edgedeck_model::Code::Taken`].
    pub async fn create_group(&self, actor: &Actor, body: GroupBody) -> std::result::Result<Group, Problem> {
        self.create_group_within(actor, body, Caps::NONE).await
    }

    /// As [`Self::create_group`], within an API's caps.
    ///
    /// # Errors
    /// Also [`edgedeck_model::Code::Conflict`] when a cap is reached.
    pub async fn create_group_within(
        &self,
        actor: &Actor,
        body: GroupBody,
        caps: Caps,
    ) -> std::result::Result<Group, Problem> {
        name::check_name("name", &body.name)?;
        name::check_description("description", &body.description)?;
        let actor = actor.clone();
        let group = self.store.write(move |tx| {
            caps::check("group", caps.groups, 1, || row::count::<Group>(tx, "", []))?;
            check_free(tx, &body.name, None)?;
            let now = tx.now();
            let mut group = Group {
                id: GroupId(Uuid::now_v7()),
                rev: 0,
                name: body.name,
                description: body.description,
                created_at: now,
                updated_at: now,
            };
            tx.put(&mut group)?;
            tx.alias(AliasKind::Group, group.id.0)?;
            tx.audit(&actor, "group.create", &group.name)?;
            Ok(group)
        });
        Ok(group.await?)
    }

    /// # Errors
    /// [`edgedeck_model::Code::Changed`] when somebody else changed it since `rev` was read, and the usual ones.
    pub async fn update_group(
        &self,
        actor: &Actor,
        id: GroupId,
        body: UpdateGroupBody,
    ) -> std::result::Result<Group, Problem> {
        let UpdateGroupBody { name, description, rev } = body;
        self.change_group(actor, id, name, Some(description), Some(rev)).await
    }

    async fn change_group(
        &self,
        actor: &Actor,
        id: GroupId,
        name: String,
        description: Option<String>,
        read_rev: Option<u64>,
    ) -> std::result::Result<Group, Problem> {
        name::check_name("name", &name)?;
        if let Some(description) = &description {
            name::check_description("description", description)?;
        }
        let actor = actor.clone();
        let group = self.store.write(move |tx| {
            let mut group = get(tx, id)?;
            if read_rev.is_some_and(|rev| rev != group.rev) {
                return Err(Problem::new(edgedeck_model::Code::Changed).into());
            }
            check_free(tx, &name, Some(id))?;
            group.name = name;
            group.description = description.unwrap_or(group.description);
            group.updated_at = tx.now();
            tx.put(&mut group)?;
            tx.audit(&actor, "group.update", &group.name)?;
            Ok(group)
        });
        Ok(group.await?)
    }

    /// Changes a group's name, and its description where there is a new one.
    ///
    /// # Errors
    /// As [`Self::update_group`].
    pub async fn rename_group(
        &self,
        actor: &Actor,
        id: GroupId,
        name: String,
        description: Option<String>,
    ) -> std::result::Result<Group, Problem> {
        self.change_group(actor, id, name, description, None).await
    }

    /// Deletes a group; its nodes stay.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`], or [`edgedeck_model::Code::Conflict`] while deployments aim at it.
    pub async fn delete_group(&self, actor: &Actor, id: GroupId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let group = get(tx, id)?;
            if let Some(deployment) = deployments_on(tx, id)?.first() {
                return Err(Problem::conflict("group-in-use")
                    .with("deployment", &deployment.name)
                    .into());
            }
            for node in members(tx, id)? {
                if let Some(mut node) = row::get::<Node>(tx, node.0)? {
                    leave(tx, id, &mut node)?;
                }
            }
            tx.delete::<Group>(id.0)?;
            tx.unalias(AliasKind::Group, id.0)?;
            tx.audit(&actor, "group.delete", &group.name)
        });
        Ok(done.await?)
    }

    /// Adds nodes to a group; its deployments go onto them. All or none.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`], [`edgedeck_model::Code::Conflict`] for a node that is not managed, [`edgedeck_model::Code::DoesNotFit`].
    pub async fn add_to_group(
        &self,
        actor: &Actor,
        id: GroupId,
        nodes: Vec<NodeId>,
    ) -> std::result::Result<(), Problem> {
        let (actor, rules) = (actor.clone(), self.rules(Caps::NONE));
        let done = self.store.write(move |tx| {
            let group = get(tx, id)?;
            for node in &nodes {
                enter(tx, id, &mut crate::fleet::get(tx, *node)?, &rules)?;
            }
            tx.audit(&actor, "group.add", &format!("{} +{}", group.name, nodes.len()))
        });
        Ok(done.await?)
    }

    /// Adds nodes to a group, each on its own: for every node in turn, why it was not added, if so.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`] for the group, or [`edgedeck_model::Code::Conflict`] when a cap would be
    /// broken; nobody is added then.
    pub async fn add_each_to_group(
        &self,
        actor: &Actor,
        id: GroupId,
        nodes: Vec<NodeId>,
        caps: Caps,
    ) -> std::result::Result<Vec<Option<Problem>>, Problem> {
        let (actor, rules) = (actor.clone(), self.rules(caps));
        let outcomes = self.store.write(move |tx| {
            let group = get(tx, id)?;
            check_joining(tx, id, &nodes, &rules.caps)?;
            let mut outcomes = Vec::new();
            for node in nodes {
                let outcome = tx.attempt(|tx| {
                    let mut node = crate::fleet::get(tx, node)?;
                    if node.groups.contains(&id) {
                        return Err(Problem::conflict("member-already").into());
                    }
                    enter(tx, id, &mut node, &rules)
                })?;
                outcomes.push(outcome.err());
            }
            let added = outcomes.iter().filter(|outcome| outcome.is_none()).count();
            if added > 0 {
                tx.audit(&actor, "group.add", &format!("{} +{added}", group.name))?;
            }
            Ok(outcomes)
        });
        Ok(outcomes.await?)
    }

    /// Takes one node out of a group it is in.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`], or [`edgedeck_model::Code::Conflict`] when it is not in the group.
    pub async fn take_from_group(&self, actor: &Actor, id: GroupId, node: NodeId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let group = get(tx, id)?;
            let mut node = crate::fleet::get(tx, node)?;
            if !node.groups.contains(&id) {
                return Err(Problem::conflict("no-member").into());
            }
            leave(tx, id, &mut node)?;
            tx.audit(&actor, "group.remove", &format!("{} -{}", group.name, node.name))
        });
        Ok(done.await?)
    }

    /// Takes nodes out of a group; its deployments leave them. Nodes that are not in it are passed over.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub async fn remove_from_group(
        &self,
        actor: &Actor,
        id: GroupId,
        nodes: Vec<NodeId>,
    ) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let group = get(tx, id)?;
            for node in &nodes {
                leave(tx, id, &mut crate::fleet::get(tx, *node)?)?;
            }
            tx.audit(&actor, "group.remove", &format!("{} -{}", group.name, nodes.len()))
        });
        Ok(done.await?)
    }
}
