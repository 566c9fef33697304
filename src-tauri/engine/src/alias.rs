//! Aliases: the names that other systems know a thing by, made in the transaction that makes the thing.

use crate::{error::Result, store::Tx};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

/// A system whose API the engine answers to. The number is stored: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum System {
    Mef = 1,
}

/// What kind of thing a name belongs to. The number is stored: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AliasKind {
    Node = 1,
    Group = 2,
    App = 3,
    Alarm = 4,
    Event = 5,
}

impl AliasKind {
    /// Whose counter gives the numbers: alarms and events are records of one list in MEF.
    fn counter(self) -> Self {
        match self {
            Self::Event => Self::Alarm,
            other => other,
        }
    }
}

impl Tx<'_> {
    /// Gives a new thing its names in every system: in MEF the next number, which is never used again.
    pub fn alias(&mut self, kind: AliasKind, id: Uuid) -> Result<()> {
        let (system, counter, kind) = (System::Mef as u8, kind.counter() as u8, kind as u8);
        let next: u32 = self
            .prepare_cached(
                "INSERT INTO alias_counter (system, kind, last) VALUES (?1, ?2, 1) \
                 ON CONFLICT (system, kind) DO UPDATE SET last = last + 1 RETURNING last",
            )?
            .query_row([system, counter], |row| row.get(0))?;
        self.prepare_cached("INSERT INTO alias (system, kind, external, id) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![system, kind, next, id.as_bytes().as_slice()])?;
        Ok(())
    }

    pub fn unalias(&mut self, kind: AliasKind, id: Uuid) -> Result<()> {
        self.prepare_cached("DELETE FROM alias WHERE kind = ?1 AND id = ?2")?
            .execute(params![kind as u8, id.as_bytes().as_slice()])?;
        Ok(())
    }
}

/// The thing that `system` knows by a number.
pub fn resolve(connection: &Connection, system: System, kind: AliasKind, external: u32) -> Result<Option<Uuid>> {
    Ok(connection
        .prepare_cached("SELECT id FROM alias WHERE system = ?1 AND kind = ?2 AND external = ?3")?
        .query_row(params![system as u8, kind as u8, external], |row| row.get(0))
        .optional()?)
}

/// The number that `system` knows a thing by.
pub fn external(connection: &Connection, system: System, kind: AliasKind, id: Uuid) -> Result<Option<u32>> {
    Ok(connection
        .prepare_cached("SELECT external FROM alias WHERE system = ?1 AND kind = ?2 AND id = ?3")?
        .query_row(params![system as u8, kind as u8, id.as_bytes().as_slice()], |row| {
            row.get(0)
        })
        .optional()?)
}

impl crate::Engine {
    /// The thing that a system knows by a number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn resolve(&self, system: System, kind: AliasKind, number: u32) -> Result<Option<Uuid>> {
        self.store.read(|connection| resolve(connection, system, kind, number))
    }

    /// The numbers that a system knows these things by, in their order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn externals_of(
        &self,
        system: System,
        kind: AliasKind,
        ids: impl Iterator<Item = Uuid>,
    ) -> Result<Vec<Option<u32>>> {
        self.store
            .read(|connection| ids.map(|id| external(connection, system, kind, id)).collect())
    }

    /// The number that a system knows a thing by.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn external(&self, system: System, kind: AliasKind, id: Uuid) -> Result<Option<u32>> {
        self.store.read(|connection| external(connection, system, kind, id))
    }
}
