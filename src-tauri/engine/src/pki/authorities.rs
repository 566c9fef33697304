//! Outside authorities: imported, replaced, put back, deleted; and what they have taken back.

use super::x509::{Chain, Lists};
use crate::{
    Actor, Engine,
    error::Result,
    store::{Store, Tx},
};
use edgedeck_model::{
    Problem, Time,
    certificate::{Authority, Purpose, Revocations},
};
use edgedeck_protocol::Trusted;
use rusqlite::{Connection, OptionalExtension, Row, params};

/// An authority as it is stored.
pub(super) struct Stored {
    purpose: Purpose,
    imported_at: Time,
    chain: String,
    has_previous: bool,
    revocations: Option<(String, Time)>,
}

const COLUMNS: &str = "purpose, imported_at, chain, previous IS NOT NULL, revocations, revocations_at";

impl Stored {
    fn of(row: &Row<'_>) -> rusqlite::Result<Option<Self>> {
        // A purpose of a newer program is none of this one's.
        let Ok(purpose) = row.get::<_, String>(0)?.parse() else {
            return Ok(None);
        };
        let lists: Option<String> = row.get(4)?;
        let at: Option<i64> = row.get(5)?;
        Ok(Some(Self {
            purpose,
            imported_at: Time(row.get(1)?),
            chain: row.get(2)?,
            has_previous: row.get(3)?,
            revocations: lists.zip(at.map(Time)),
        }))
    }

    pub(super) fn chain(&self) -> Option<Chain> {
        Chain::stored(&self.chain)
    }

    pub(super) fn lists(&self) -> Option<Lists> {
        Lists::stored(&self.revocations.as_ref()?.0)
    }

    fn authority(&self) -> Authority {
        let revocations = self.revocations.as_ref().map(|(pem, at)| {
            let (count, next_update) = Lists::stored(pem).map(|lists| lists.facts()).unwrap_or_default();
            Revocations {
                imported_at: *at,
                count,
                next_update,
            }
        });
        Authority {
            purpose: self.purpose,
            imported_at: self.imported_at,
            chain: self.chain().map(|chain| chain.facts()).unwrap_or_default(),
            revocations,
            has_previous: self.has_previous,
        }
    }
}

fn get(connection: &Connection, purpose: Purpose) -> Result<Option<Stored>> {
    let sql = format!("SELECT {COLUMNS} FROM authority WHERE purpose = ?1");
    let found = connection
        .prepare_cached(&sql)?
        .query_row([purpose.key()], Stored::of)
        .optional()?;
    Ok(found.flatten())
}

fn present(tx: &Tx<'_>, purpose: Purpose) -> Result<Stored> {
    Ok(get(tx, purpose)?.ok_or_else(|| Problem::not_found("authority"))?)
}

/// Lists of nobody in the new chain stay with the chain that they belong to; others go on to hold, even overdue ones.
fn keep_fitting_lists(tx: &Tx<'_>, purpose: Purpose, chain: &Chain) -> Result<()> {
    let Some((lists, _)) = present(tx, purpose)?.revocations else {
        return Ok(());
    };
    if !Lists::stored(&lists).is_some_and(|lists| lists.are_of(chain)) {
        tx.execute(
            "UPDATE authority SET revocations = NULL, revocations_at = NULL WHERE purpose = ?1",
            [purpose.key()],
        )?;
    }
    Ok(())
}

pub(super) fn stored(store: &Store, purpose: Purpose) -> Result<Option<Stored>> {
    store.read(|connection| get(connection, purpose))
}

/// The chain of an authority, in PEM.
pub fn stored_chain(connection: &Connection, purpose: Purpose) -> Result<Option<String>> {
    Ok(get(connection, purpose)?.map(|stored| stored.chain))
}

/// Writes down that an authority has changed.
fn changed(tx: &mut Tx<'_>, actor: &Actor, action: &str, purpose: Purpose) -> Result<()> {
    if purpose == Purpose::Images {
        tx.outside_changed()?;
    }
    tx.audit(actor, action, purpose.key())
}

impl Engine {
    /// The authority of servers with software, with what it has taken back.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn software_trust(&self) -> Result<Option<Trusted>> {
        let Some(stored) = stored(&self.store, Purpose::Software)? else {
            return Ok(None);
        };
        let revoked = stored.lists().map(|lists| lists.marks()).unwrap_or_default();
        Ok(Some(Trusted {
            chain_pem: stored.chain,
            revoked,
        }))
    }

    /// Tells those who go by an authority that it has changed.
    fn tell(&self, purpose: Purpose) {
        match purpose {
            Purpose::Clients => self.renew_client_trust(),
            Purpose::Images => self.renew_outside(),
            // A node is sent it with every download.
            Purpose::Software => {}
        }
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn list_authorities(&self) -> Result<Vec<Authority>> {
        self.store.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM authority ORDER BY purpose");
            let mut statement = connection.prepare_cached(&sql)?;
            let stored = statement
                .query_map([], Stored::of)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(stored.into_iter().flatten().map(|stored| stored.authority()).collect())
        })
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn authority(&self, purpose: Purpose) -> Result<Option<Authority>> {
        Ok(stored(&self.store, purpose)?.map(|stored| stored.authority()))
    }

    /// Trusts a chain for a purpose from now on, instead of the one before, which is kept.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`] with what is wrong with the chain.
    pub async fn import_authority(
        &self,
        actor: &Actor,
        purpose: Purpose,
        pem: String,
    ) -> std::result::Result<Authority, Problem> {
        let chain = Chain::check("chain", &pem, self.clock.now())?;
        let actor = actor.clone();
        let stored = self.store.write(move |tx| {
            tx.execute(
                "INSERT INTO authority (purpose, imported_at, chain) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (purpose) DO UPDATE SET previous = chain, previous_revocations = revocations, \
                 previous_revocations_at = revocations_at, imported_at = ?2, chain = ?3",
                params![purpose.key(), tx.now().0, pem],
            )?;
            keep_fitting_lists(tx, purpose, &chain)?;
            changed(tx, &actor, "authority.import", purpose)?;
            present(tx, purpose)
        });
        let stored = stored.await?;
        self.tell(purpose);
        Ok(stored.authority())
    }

    /// Puts the chain before the present one back; the present one is kept instead.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`] where none is kept, [`edgedeck_model::Code::Invalid`] when it has ended since.
    pub async fn restore_authority(&self, actor: &Actor, purpose: Purpose) -> std::result::Result<Authority, Problem> {
        let actor = actor.clone();
        let stored = self.store.write(move |tx| {
            let previous: Option<Option<String>> = tx
                .prepare_cached("SELECT previous FROM authority WHERE purpose = ?1")?
                .query_row([purpose.key()], |row| row.get(0))
                .optional()?;
            let pem = previous.flatten().ok_or_else(|| Problem::not_found("authority"))?;
            Chain::check("chain", &pem, tx.now())?;
            tx.execute(
                "UPDATE authority SET previous = chain, previous_revocations = revocations, \
                 previous_revocations_at = revocations_at, imported_at = ?2, chain = previous, \
                 revocations = previous_revocations, revocations_at = previous_revocations_at WHERE purpose = ?1",
                params![purpose.key(), tx.now().0],
            )?;
            changed(tx, &actor, "authority.restore", purpose)?;
            present(tx, purpose)
        });
        let stored = stored.await?;
        self.tell(purpose);
        Ok(stored.authority())
    }

    /// # Errors
    /// [`edgedeck_model::Code::NotFound`] where none was imported.
    pub async fn delete_authority(&self, actor: &Actor, purpose: Purpose) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            if tx.execute("DELETE FROM authority WHERE purpose = ?1", [purpose.key()])? == 0 {
                return Err(Problem::not_found("authority").into());
            }
            changed(tx, &actor, "authority.delete", purpose)
        });
        done.await?;
        self.tell(purpose);
        Ok(())
    }

    /// Takes what an authority has revoked instead of the lists before; in force once this returns, for open connections
    /// too.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`] where the authority was not imported, [`edgedeck_model::Code::Invalid`] with
    /// what is wrong with the lists.
    pub async fn import_revocations(
        &self,
        actor: &Actor,
        purpose: Purpose,
        pem: String,
    ) -> std::result::Result<Authority, Problem> {
        let actor = actor.clone();
        let stored = self.store.write(move |tx| {
            let chain = present(tx, purpose)?
                .chain()
                .ok_or_else(|| Problem::internal("a stored chain"))?;
            Lists::check("revocations", &pem, &chain, tx.now())?;
            tx.execute(
                "UPDATE authority SET revocations = ?2, revocations_at = ?3 WHERE purpose = ?1",
                params![purpose.key(), pem, tx.now().0],
            )?;
            changed(tx, &actor, "revocations.import", purpose)?;
            present(tx, purpose)
        });
        let stored = stored.await?;
        self.tell(purpose);
        Ok(stored.authority())
    }
}
