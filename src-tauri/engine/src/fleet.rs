//! Nodes: lists, managing, changing, removing.

use crate::{
    Actor, AliasKind, Effect, Engine,
    caps::{self, Caps},
    error::Result,
    groups,
    store::{Tx, row},
};
use edgedeck_model::{
    NodeId, Problem,
    api::{ManageBody, NodeQuery, NodeSort, Page, UpdateNodeBody},
    deployment::Placement,
    event::EventKind,
    name,
    node::{Node, NodeRow},
};
use rusqlite::{Connection, params, types::Value};

pub fn get(connection: &Connection, id: NodeId) -> Result<Node> {
    Ok(row::get(connection, id.0)?.ok_or_else(|| Problem::not_found("node"))?)
}

fn check_free(connection: &Connection, name: &str, except: NodeId) -> Result<()> {
    let taken = row::select::<Node>(connection, "WHERE name = ?1", [name])?;
    match taken.first() {
        Some(other) if other.id != except => Err(Problem::taken("node", name).into()),
        _ => Ok(()),
    }
}

/// A name like `wanted` that no other node has.
pub fn free_name(connection: &Connection, wanted: &str) -> Result<String> {
    let base = match name::tame(wanted, name::NAME_MAX - 6) {
        tamed if tamed.is_empty() => "node".to_owned(),
        tamed => tamed,
    };
    let taken = |name: &str| -> Result<bool> { Ok(row::count::<Node>(connection, "WHERE name = ?1", [name])? > 0) };
    if !taken(&base)? {
        return Ok(base);
    }
    // Numbered from the count of likely namesakes on, so that many boxes of one host name stay quick.
    let like = format!("{}-%", crate::feed::escape_like(&base));
    let mut number = row::count::<Node>(connection, "WHERE name LIKE ?1 ESCAPE '\\'", [like])? + 2;
    loop {
        let name = format!("{base}-{number}");
        if !taken(&name)? {
            return Ok(name);
        }
        number += 1;
    }
}

/// Deletes a node with everything that hangs on it.
pub fn erase(tx: &mut Tx<'_>, node: &Node) -> Result<()> {
    tx.erase_placements(node.id)?;
    tx.clear_alarms_of(node.id)?;
    let id = node.id.0.as_bytes().as_slice();
    tx.execute("DELETE FROM member WHERE node = ?1", [id])?;
    tx.execute("DELETE FROM desired WHERE node = ?1", [id])?;
    tx.execute("DELETE FROM samples WHERE node = ?1", [id])?;
    tx.execute("DELETE FROM node_changed WHERE node = ?1", [id])?;
    let now = tx.now().0;
    tx.execute(
        "INSERT OR REPLACE INTO removed_node (node, at) VALUES (?1, ?2)",
        params![id, now],
    )?;
    tx.delete::<Node>(node.id.0)?;
    tx.unalias(AliasKind::Node, node.id.0)?;
    tx.event(EventKind::NodeRemoved, None, &[("node", &node.name)])?;
    tx.after_commit(Effect::Removed(node.id));
    Ok(())
}

/// A page of a list that has to be looked through to its end anyway: counting it is no second look.
fn page_in_one_pass(connection: &Connection, rest: &str, values: &[Value], query: &NodeQuery) -> Result<Page<Node>> {
    let mut found = connection.prepare_cached(&format!("SELECT id FROM node {rest}"))?;
    let mut found = found.query(rusqlite::params_from_iter(values))?;
    let begin = u64::from(query.offset);
    let shown = begin..begin + u64::from(query.limit);
    let (mut total, mut ids) = (0, Vec::new());
    while let Some(row) = found.next()? {
        if shown.contains(&total) {
            ids.push(row.get(0)?);
        }
        total += 1;
    }
    let items = ids.into_iter().map(|id| row::get(connection, id));
    Ok(Page {
        items: items.filter_map(Result::transpose).collect::<Result<_>>()?,
        total,
    })
}

impl Engine {
    /// # Errors
    /// When the database cannot be read.
    pub fn list_nodes(&self, query: &NodeQuery) -> Result<Page<NodeRow>> {
        let page = self.list_whole_nodes(query)?;
        Ok(Page {
            items: page.items.iter().map(Node::row).collect(),
            total: page.total,
        })
    }

    /// As [`Self::list_nodes`], with all facts.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_whole_nodes(&self, query: &NodeQuery) -> Result<Page<Node>> {
        let mut filters = vec!["1 = 1"];
        let mut values: Vec<Value> = Vec::new();
        if !query.filter.is_empty() {
            filters.push("search LIKE ? ESCAPE '\\'");
            values.push(format!("%{}%", crate::feed::escape_like(&query.filter)).into());
        }
        if let Some(managed) = query.managed {
            filters.push("managed = ?");
            values.push(managed.into());
        }
        if let Some(state) = query.state {
            filters.push("state = ?");
            values.push(state.key().to_owned().into());
        }
        if let Some(group) = query.group {
            filters.push("id IN (SELECT node FROM member WHERE node_group = ?)");
            values.push(group.0.as_bytes().to_vec().into());
        }
        // What is searched for stands in the index; the planner would read every document instead.
        let index = if query.filter.is_empty() {
            ""
        } else {
            "INDEXED BY node_search "
        };
        let filter = format!("{index}WHERE {}", filters.join(" AND "));
        let column = match query.sort {
            NodeSort::Name => "name",
            NodeSort::Serial => "serial",
            NodeSort::State => "state",
            NodeSort::Joined => "id",
        };
        let direction = if query.descending { "DESC" } else { "ASC" };
        let order = format!("ORDER BY {column} {direction}, id {direction}");
        self.store.read(|connection| {
            if !query.filter.is_empty() {
                return page_in_one_pass(connection, &format!("{filter} {order}"), &values, query);
            }
            let total = row::count::<Node>(connection, &filter, rusqlite::params_from_iter(&values))?;
            let rest = format!("{filter} {order} LIMIT ? OFFSET ?");
            values.extend([query.limit.into(), query.offset.into()]);
            Ok(Page {
                items: row::select(connection, &rest, rusqlite::params_from_iter(&values))?,
                total,
            })
        })
    }

    /// A node with its newest facts.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn node(&self, id: NodeId) -> Result<Node> {
        let node = self.store.read(|connection| get(connection, id))?;
        Ok(self.as_present(node))
    }

    /// A stored node with what its link has told since.
    pub fn as_present(&self, mut node: Node) -> Node {
        if let Some(facts) = self.hub.facts(node.id) {
            node.facts = facts;
        }
        node.last_seen = self.hub.last_seen(node.id, &self.clock).or(node.last_seen);
        node
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn node_by_serial(&self, serial: &str) -> Result<Option<Node>> {
        let found = self
            .store
            .read(|connection| row::select::<Node>(connection, "WHERE serial = ?1", [serial]))?;
        Ok(found.into_iter().next())
    }

    /// Puts a waiting node to work.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`], [`edgedeck_model::Code::Taken`], [`edgedeck_model::Code::Conflict`] when it
    /// is managed already, [`edgedeck_model::Code::DoesNotFit`] for what its groups run.
    pub async fn manage_node(&self, actor: &Actor, id: NodeId, body: ManageBody) -> std::result::Result<Node, Problem> {
        let all =
            |outcomes: &[Option<Problem>]| outcomes.iter().flatten().next().map_or(Ok(()), |why| Err(why.clone()));
        Ok(self.manage(actor, id, body, Caps::NONE, all).await?.0)
    }

    /// As [`Self::manage_node`], within an API's caps, and each group on its own: for every group in turn, why the node
    /// did not join it, if so. The node is managed all the same.
    ///
    /// # Errors
    /// As [`Self::manage_node`], but not for a group; [`edgedeck_model::Code::Conflict`] when a cap would be broken.
    pub async fn manage_node_within(
        &self,
        actor: &Actor,
        id: NodeId,
        body: ManageBody,
        caps: Caps,
    ) -> std::result::Result<(Node, Vec<Option<Problem>>), Problem> {
        self.manage(actor, id, body, caps, |_| Ok(())).await
    }

    /// Manages a node if `accept` takes what became of its groups.
    async fn manage(
        &self,
        actor: &Actor,
        id: NodeId,
        body: ManageBody,
        caps: Caps,
        accept: fn(&[Option<Problem>]) -> std::result::Result<(), Problem>,
    ) -> std::result::Result<(Node, Vec<Option<Problem>>), Problem> {
        if let Some(name) = &body.name {
            name::check_name("name", name)?;
        }
        if let Some(description) = &body.description {
            name::check_description("description", description)?;
        }
        let (actor, rules) = (actor.clone(), self.rules(caps));
        let outcome = self.store.write(move |tx| {
            let mut node = get(tx, id)?;
            if node.managed {
                return Err(Problem::conflict("already-managed").with("node", &node.name).into());
            }
            if let Some(name) = body.name {
                check_free(tx, &name, id)?;
                node.name = name;
            }
            caps::check("node", rules.caps.nodes, 1, || {
                row::count::<Node>(tx, "WHERE managed = 1", [])
            })?;
            for group in &body.groups {
                groups::check_joining(tx, *group, &[id], &rules.caps)?;
            }
            node.description = body.description.unwrap_or(node.description);
            node.managed = true;
            tx.put(&mut node)?;
            tx.judge_facts(&node)?;
            let mut outcomes = Vec::new();
            for group in body.groups {
                let joined = tx.attempt(|tx| {
                    let mut joining = node.clone();
                    groups::get(tx, group)?;
                    groups::enter(tx, group, &mut joining, &rules)?;
                    Ok(joining)
                })?;
                outcomes.push(joined.map(|joined| node = joined).err());
            }
            accept(&outcomes)?;
            tx.place_by_labels(&node, &rules)?;
            tx.bump_desired(id)?;
            tx.event(EventKind::NodeManaged, Some(id), &[("node", &node.name)])?;
            tx.audit(&actor, "node.manage", &node.name)?;
            Ok((node, outcomes))
        });
        Ok(outcome.await?)
    }

    /// Changes name, description, labels and line.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Changed`] when somebody else changed it since `rev` was read, and the usual ones.
    pub async fn update_node(
        &self,
        actor: &Actor,
        id: NodeId,
        body: UpdateNodeBody,
    ) -> std::result::Result<Node, Problem> {
        name::check_name("name", &body.name)?;
        name::check_description("description", &body.description)?;
        body.labels
            .iter()
            .try_for_each(|(key, value)| name::check_label(key, value))?;
        if body.labels.len() > 64 {
            return Err(Problem::invalid("labels", "list-too-long").with("max", 64));
        }
        if let Some(line) = &body.line {
            line.check()?;
        }
        let (actor, rules) = (actor.clone(), self.rules(Caps::NONE));
        let node = self.store.write(move |tx| {
            let mut node = get(tx, id)?;
            let line = body.line.unwrap_or_else(|| node.line.clone());
            // Only what a user can set counts: a state that moves on by itself must not refuse a form.
            let same = node.name == body.name
                && node.description == body.description
                && node.labels == body.labels
                && node.line == line;
            if node.rev != body.rev && !same && body.rev < last_user_change(tx, id)? {
                return Err(Problem::new(edgedeck_model::Code::Changed).into());
            }
            check_free(tx, &body.name, id)?;
            node.name = body.name;
            node.description = body.description;
            node.labels = body.labels;
            node.line = line;
            tx.put(&mut node)?;
            tx.place_by_labels(&node, &rules)?;
            let rev = node.rev;
            tx.execute(
                "INSERT INTO node_changed (node, rev) VALUES (?1, ?2) ON CONFLICT (node) DO UPDATE SET rev = excluded.rev",
                params![id.0.as_bytes().as_slice(), rev],
            )?;
            tx.audit(&actor, "node.update", &node.name)?;
            Ok(node)
        });
        Ok(node.await?)
    }

    /// Changes a managed node's name, and its description where there is a new one.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Conflict`] for a node that waits to be managed, and the usual ones.
    pub async fn rename_node(
        &self,
        actor: &Actor,
        id: NodeId,
        name: String,
        description: Option<String>,
    ) -> std::result::Result<Node, Problem> {
        let known = self.node(id)?;
        if !known.managed {
            return Err(Problem::conflict("not-managed").with("node", &known.name));
        }
        let body = UpdateNodeBody {
            name,
            description: description.unwrap_or(known.description),
            labels: known.labels,
            line: None,
            rev: known.rev,
        };
        self.update_node(actor, id, body).await
    }

    /// Takes a node out of the lab that nothing is deployed to, by its groups or otherwise, and that is managed or
    /// waits, as the caller thinks it is.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`], [`edgedeck_model::Code::Conflict`].
    pub async fn remove_idle_node(&self, actor: &Actor, id: NodeId, managed: bool) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let node = get(tx, id)?;
            if node.managed != managed {
                let why = if managed { "not-managed" } else { "already-managed" };
                return Err(Problem::conflict(why).with("node", &node.name).into());
            }
            let mut deployed = row::count::<Placement>(tx, "WHERE node = ?1 AND wanted <> 'gone'", [id.to_string()])?;
            for group in &node.groups {
                deployed += groups::deployments_on(tx, *group)?.len() as u64;
            }
            if deployed > 0 {
                return Err(Problem::conflict("node-in-use").with("node", &node.name).into());
            }
            erase(tx, &node)?;
            tx.audit(&actor, "node.remove", &node.name)
        });
        Ok(done.await?)
    }

    /// Takes a node out of the lab: its agent is told to remove every trace, and its certificate is refused.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub async fn remove_node(&self, actor: &Actor, id: NodeId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let node = get(tx, id)?;
            erase(tx, &node)?;
            tx.audit(&actor, "node.remove", &node.name)
        });
        Ok(done.await?)
    }
}

/// The revision of the last change that a user made to a node.
fn last_user_change(connection: &Connection, id: NodeId) -> Result<u64> {
    use rusqlite::OptionalExtension;
    let rev = connection
        .prepare_cached("SELECT rev FROM node_changed WHERE node = ?1")?
        .query_row([id.0.as_bytes().as_slice()], |row| row.get(0))
        .optional()?;
    Ok(rev.unwrap_or(0))
}
