//! Rows that screens show: an id, a revision, and the thing itself as JSON.
//!
//! What a query filters or sorts by is a generated column over the JSON, so that it is written down once.

use super::Tx;
use crate::error::Result;
use edgedeck_model::feed::Kind;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A thing with a table of its own.
pub trait Row: Serialize + DeserializeOwned {
    const TABLE: &'static str;
    const KIND: Kind;
    fn uuid(&self) -> Uuid;
    fn set_rev(&mut self, rev: u64);
}

macro_rules! rows {
    ($($type:ty: $table:literal, $kind:ident;)*) => {$(
        impl Row for $type {
            const TABLE: &'static str = $table;
            const KIND: Kind = Kind::$kind;
            fn uuid(&self) -> Uuid { self.id.0 }
            fn set_rev(&mut self, rev: u64) { self.rev = rev; }
        }
    )*};
}

rows! {
    edgedeck_model::node::Node: "node", Node;
    edgedeck_model::group::Group: "node_group", Group;
    edgedeck_model::app::App: "app", App;
    edgedeck_model::app::Version: "version", Version;
    edgedeck_model::deployment::Deployment: "deployment", Deployment;
    edgedeck_model::deployment::Placement: "placement", Placement;
    edgedeck_model::alarm::Alarm: "alarm", Alarm;
    edgedeck_model::event::Event: "event", Event;
    edgedeck_model::job::Job: "job", Job;
}

/// Number of a kind in the table of tombstones. Never reuse one.
pub fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Node => 1,
        Kind::Group => 2,
        Kind::App => 3,
        Kind::Version => 4,
        Kind::Deployment => 5,
        Kind::Placement => 6,
        Kind::Alarm => 7,
        Kind::Event => 8,
        Kind::Job => 9,
    }
}

pub fn kind_of(number: u8) -> Option<Kind> {
    use Kind as K;
    [
        K::Node,
        K::Group,
        K::App,
        K::Version,
        K::Deployment,
        K::Placement,
        K::Alarm,
        K::Event,
        K::Job,
    ]
    .into_iter()
    .find(|kind| kind_number(*kind) == number)
}

pub fn get<R: Row>(connection: &Connection, id: Uuid) -> Result<Option<R>> {
    let sql = const_sql::<R>("SELECT doc FROM {} WHERE id = ?1");
    let doc: Option<String> = connection
        .prepare_cached(&sql)?
        .query_row([id.as_bytes().as_slice()], |row| row.get(0))
        .optional()?;
    Ok(doc.map(|doc| serde_json::from_str(&doc)).transpose()?)
}

/// Rows whose table is `R`'s, by the rest of a query: `WHERE … ORDER BY … LIMIT …`.
pub fn select<R: Row>(connection: &Connection, rest: &str, params: impl rusqlite::Params) -> Result<Vec<R>> {
    let sql = format!("SELECT doc FROM {} {rest}", R::TABLE);
    documents(connection.prepare_cached(&sql)?.query(params)?)
}

/// Reads the things whose JSON is the first column.
pub fn documents<T: DeserializeOwned>(mut rows: rusqlite::Rows<'_>) -> Result<Vec<T>> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(serde_json::from_str(
            row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
        )?);
    }
    Ok(found)
}

pub fn count<R: Row>(connection: &Connection, rest: &str, params: impl rusqlite::Params) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {} {rest}", R::TABLE);
    Ok(connection.prepare_cached(&sql)?.query_row(params, |row| row.get(0))?)
}

fn const_sql<R: Row>(sql: &str) -> String {
    sql.replacen("{}", R::TABLE, 1)
}

impl Tx<'_> {
    /// Inserts or replaces a row under the next revision, which is also set in `row`.
    pub fn put<R: Row>(&mut self, row: &mut R) -> Result<()> {
        row.set_rev(self.next_rev());
        let sql = const_sql::<R>(
            "INSERT INTO {} (id, rev, doc) VALUES (?1, ?2, ?3) \
             ON CONFLICT (id) DO UPDATE SET rev = excluded.rev, doc = excluded.doc",
        );
        let doc = serde_json::to_string(row)?;
        self.prepare_cached(&sql)?
            .execute(params![row.uuid().as_bytes().as_slice(), self.rev(), doc])?;
        Ok(())
    }

    /// Deletes a row and leaves a tombstone, so that every watcher hears of it. Whether there was one.
    pub fn delete<R: Row>(&mut self, id: Uuid) -> Result<bool> {
        let sql = const_sql::<R>("DELETE FROM {} WHERE id = ?1");
        let deleted = self.prepare_cached(&sql)?.execute([id.as_bytes().as_slice()])? > 0;
        if deleted {
            let (rev, at) = (self.next_rev(), self.now());
            self.prepare_cached("INSERT INTO gone (rev, kind, id, at) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![rev, kind_number(R::KIND), id.as_bytes().as_slice(), at.0])?;
        }
        Ok(deleted)
    }
}
