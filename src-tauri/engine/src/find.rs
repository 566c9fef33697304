//! Looking things up across nouns, for APIs that show the lab in their own way.

use crate::{Engine, error::Result, store::row};
use edgedeck_model::{
    AppId, DeploymentId, GroupId, NodeId, VersionId,
    alarm::Alarm,
    api::Page,
    app::{App, Version},
    deployment::{Deployment, Placement},
    event::Event,
    group::Group,
    node::{Node, NodeState},
};
use rusqlite::{Connection, params, params_from_iter, types::Value};
use std::collections::{BTreeMap, BTreeSet};

/// A page of what has a text in its name, in the order in which it was made.
#[derive(Clone, Debug)]
pub struct Find {
    /// Letters count as they are; empty for all.
    pub name: String,
    pub offset: u64,
    pub limit: u64,
}

impl Find {
    /// Everything, on one page.
    pub const ALL: Self = Self {
        name: String::new(),
        offset: 0,
        limit: i64::MAX as u64,
    };
}

/// Whose instances.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    Lab,
    App(AppId),
    Node(NodeId),
}

/// Instances with what they hang on. Being removed counts as gone.
#[derive(Clone, Debug, Default)]
pub struct Instances {
    /// In the order in which they were made.
    pub placements: Vec<Placement>,
    pub deployments: BTreeMap<DeploymentId, Deployment>,
    pub apps: BTreeMap<AppId, App>,
    pub versions: BTreeMap<VersionId, Version>,
    pub nodes: BTreeMap<NodeId, Node>,
}

/// Whose alarms or events. Those of nodes that are no more are nobody's.
#[derive(Clone, Debug)]
pub enum RecordsOf {
    Lab,
    /// The engine's own.
    Engine,
    Nodes,
    These(Vec<NodeId>),
}

impl RecordsOf {
    /// A condition on the column `node`, with the nodes as a JSON list in parameter 1.
    fn filter(&self) -> Result<(&'static str, String)> {
        Ok(match self {
            Self::Lab => (
                "(node IS NULL OR node IN (SELECT doc ->> '$.id' FROM node)) AND ?1 = ''",
                String::new(),
            ),
            Self::Engine => ("node IS NULL AND ?1 = ''", String::new()),
            Self::Nodes => ("node IN (SELECT doc ->> '$.id' FROM node) AND ?1 = ''", String::new()),
            Self::These(nodes) => (
                "node IN (SELECT value FROM json_each(?1))",
                serde_json::to_string(nodes)?,
            ),
        })
    }
}

impl Engine {
    /// # Errors
    /// When the database cannot be read.
    pub fn find_nodes(&self, find: &Find, managed: Option<bool>) -> Result<Page<Node>> {
        self.store.read(|connection| {
            // Only what is asked for, so that an index answers.
            let mut filter = "WHERE 1 = 1".to_owned();
            let mut values: Vec<Value> = Vec::new();
            if let Some(managed) = managed {
                filter.push_str(" AND managed = ?");
                values.push(managed.into());
            }
            if !find.name.is_empty() {
                filter.push_str(" AND instr(name, ?) > 0");
                values.push(find.name.clone().into());
            }
            let total = row::count::<Node>(connection, &filter, params_from_iter(&values))?;
            let bound = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
            values.extend([bound(find.limit), bound(find.offset)]);
            Ok(Page {
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY id LIMIT ? OFFSET ?"),
                    params_from_iter(&values),
                )?,
                total,
            })
        })
    }

    /// How many nodes are in each state.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn count_node_states(&self) -> Result<Vec<(NodeState, u64)>> {
        self.store.read(|connection| {
            let mut counts = connection.prepare_cached("SELECT state, count(*) FROM node GROUP BY state")?;
            let counts = counts.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
            let counts = counts.collect::<rusqlite::Result<Vec<_>>>()?;
            let known = |key: &str| NodeState::ALL.into_iter().find(|state| state.key() == key);
            Ok(counts
                .into_iter()
                .filter_map(|(key, count)| Some((known(&key)?, count)))
                .collect())
        })
    }

    /// The groups with these ids that there are.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn groups_by_id(&self, ids: &BTreeSet<GroupId>) -> Result<Vec<Group>> {
        let get = |connection: &Connection| {
            let found = ids.iter().map(|id| row::get::<Group>(connection, id.0));
            found.filter_map(Result::transpose).collect()
        };
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.store.read(get)
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn find_groups(&self, find: &Find) -> Result<Page<Group>> {
        self.store.read(|connection| {
            let filter = "WHERE (?1 = '' OR instr(name, ?1) > 0)";
            Ok(Page {
                total: row::count::<Group>(connection, filter, [&find.name])?,
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY id LIMIT ?2 OFFSET ?3"),
                    params![find.name, find.limit, find.offset],
                )?,
            })
        })
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn instances(&self, of: Of) -> Result<Instances> {
        self.store.read(|connection| {
            let (filter, id) = match of {
                Of::Lab => ("?1 = ''", String::new()),
                Of::Node(node) => ("node = ?1", node.to_string()),
                Of::App(app) => (
                    "deployment IN (SELECT doc ->> '$.id' FROM deployment WHERE app = ?1)",
                    app.to_string(),
                ),
            };
            let rest = format!("WHERE wanted <> 'gone' AND {filter} ORDER BY id");
            let mut found = Instances {
                placements: row::select(connection, &rest, [id])?,
                ..Instances::default()
            };
            for placement in &found.placements {
                if !found.nodes.contains_key(&placement.node)
                    && let Some(node) = row::get::<Node>(connection, placement.node.0)?
                {
                    found.nodes.insert(node.id, node);
                }
                if !found.versions.contains_key(&placement.version)
                    && let Some(version) = row::get::<Version>(connection, placement.version.0)?
                {
                    found.versions.insert(version.id, version);
                }
                if !found.deployments.contains_key(&placement.deployment)
                    && let Some(deployment) = row::get::<Deployment>(connection, placement.deployment.0)?
                {
                    if let Some(app) = row::get::<App>(connection, deployment.app.0)? {
                        found.apps.insert(app.id, app);
                    }
                    found.deployments.insert(deployment.id, deployment);
                }
            }
            Ok(found)
        })
    }

    /// Alarms that are raised now, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn alarms_of(&self, of: &RecordsOf, offset: u64, limit: u64) -> Result<Page<Alarm>> {
        let (filter, nodes) = of.filter()?;
        let filter = format!("WHERE cleared_at IS NULL AND {filter}");
        self.store.read(|connection| {
            Ok(Page {
                total: row::count::<Alarm>(connection, &filter, [&nodes])?,
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY raised_at DESC, id DESC LIMIT ?2 OFFSET ?3"),
                    params![nodes, limit, offset],
                )?,
            })
        })
    }

    /// The newest `each` events of every node, and of the engine itself; the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn events_of(&self, of: &RecordsOf, each: u32, offset: u64, limit: u64) -> Result<Page<Event>> {
        let (filter, nodes) = of.filter()?;
        let newest = format!(
            "WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY node ORDER BY at DESC, id DESC) AS \
             place FROM event WHERE {filter}) WHERE place <= ?2)"
        );
        self.store.read(|connection| {
            Ok(Page {
                total: row::count::<Event>(connection, &newest, params![nodes, each])?,
                items: row::select(
                    connection,
                    &format!("{newest} ORDER BY at DESC, id DESC LIMIT ?3 OFFSET ?4"),
                    params![nodes, each, limit, offset],
                )?,
            })
        })
    }

    /// One event.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn event(&self, id: edgedeck_model::EventId) -> Result<Event> {
        let found = self.store.read(|connection| row::get::<Event>(connection, id.0))?;
        Ok(found.ok_or_else(|| edgedeck_model::Problem::not_found("event"))?)
    }
}
