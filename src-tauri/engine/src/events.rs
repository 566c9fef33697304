//! Events.

use crate::{
    AliasKind, Engine,
    error::Result,
    store::{Tx, row},
};
use edgedeck_model::{
    EventId, NodeId,
    api::{EventQuery, Page},
    event::{Event, EventKind},
};
use rusqlite::params;
use std::collections::BTreeMap;
use uuid::Uuid;

impl Tx<'_> {
    /// Records that something happened, now.
    pub fn event(&mut self, kind: EventKind, node: Option<NodeId>, facts: &[(&str, &str)]) -> Result<()> {
        let facts: BTreeMap<String, String> = facts
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mut event = Event {
            id: EventId(Uuid::now_v7()),
            rev: 0,
            at: self.now(),
            kind,
            node,
            facts,
        };
        self.put(&mut event)?;
        self.alias(AliasKind::Event, event.id.0)
    }
}

impl Engine {
    /// The newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_events(&self, query: &EventQuery) -> Result<Page<Event>> {
        let node = query.node.map(|node| node.to_string());
        self.store.read(|connection| {
            let filter = "WHERE (?1 IS NULL OR node = ?1)";
            Ok(Page {
                total: row::count::<Event>(connection, filter, [&node])?,
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY at DESC, id DESC LIMIT ?2 OFFSET ?3"),
                    params![node, query.limit, query.offset],
                )?,
            })
        })
    }
}
