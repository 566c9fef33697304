//! The audit log.

use crate::{Engine, error::Result, store::Tx};
use edgedeck_model::{
    AuditId, Problem, Time,
    api::{Page, PageQuery},
    audit::AuditEntry,
    user::Role,
};
use rusqlite::params;
use uuid::Uuid;

/// Who asks for something, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// A user's name, `token:<name>`, `key:<access key>`, `node:<serial>`, `mef:<certificate name>`, `local`.
    pub name: String,
    /// Network address, or `window`.
    pub origin: String,
    pub role: Role,
}

impl Actor {
    /// The engine itself.
    pub fn engine() -> Self {
        Self {
            name: "engine".to_owned(),
            origin: "engine".to_owned(),
            role: Role::Admin,
        }
    }
}

impl Tx<'_> {
    /// Writes an audit line for a mutation that this transaction makes.
    pub fn audit(&mut self, actor: &Actor, action: &str, subject: &str) -> Result<()> {
        self.audit_outcome(actor, action, subject, "ok")
    }

    /// Writes an audit line for something refused.
    pub fn audit_outcome(&mut self, actor: &Actor, action: &str, subject: &str, outcome: &str) -> Result<()> {
        let now = self.now();
        self.prepare_cached(
            "INSERT INTO audit (id, at, actor, origin, action, subject, outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            Uuid::now_v7().as_bytes().as_slice(),
            now.0,
            actor.name,
            actor.origin,
            action,
            subject,
            outcome
        ])?;
        Ok(())
    }
}

impl Engine {
    /// Records that somebody was refused. A store that cannot write is logged instead: the refusal stands.
    pub async fn audit_refusal(&self, actor: Actor, action: &'static str, subject: String, problem: &Problem) {
        let outcome = serde_json::to_value(problem.code)
            .ok()
            .and_then(|code| code.as_str().map(ToOwned::to_owned));
        let outcome = outcome.unwrap_or_default();
        let written = self
            .store
            .write(move |tx| tx.audit_outcome(&actor, action, &subject, &outcome))
            .await
            .map_err(Problem::from);
        if let Err(problem) = written {
            tracing::warn!(%problem, action, "an audit line was not written");
        }
    }

    /// The newest first; `filter` is part of actor, action, subject or outcome.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_audit(&self, query: &PageQuery) -> Result<Page<AuditEntry>> {
        let like = format!("%{}%", crate::feed::escape_like(&query.filter));
        self.store.read(|connection| {
            let filter = "WHERE actor LIKE ?1 ESCAPE '\\' OR action LIKE ?1 ESCAPE '\\' OR subject LIKE ?1 ESCAPE '\\' \
                          OR outcome LIKE ?1 ESCAPE '\\'";
            let total = connection
                .prepare_cached(&format!("SELECT count(*) FROM audit {filter}"))?
                .query_row([&like], |row| row.get(0))?;
            let sql = format!(
                "SELECT id, at, actor, origin, action, subject, outcome FROM audit {filter} \
                 ORDER BY at DESC, id DESC LIMIT ?2 OFFSET ?3"
            );
            let items = connection
                .prepare_cached(&sql)?
                .query_map(params![like, query.limit, query.offset], |row| {
                    Ok(AuditEntry {
                        id: AuditId(row.get(0)?),
                        at: Time(row.get(1)?),
                        actor: row.get(2)?,
                        origin: row.get(3)?,
                        action: row.get(4)?,
                        subject: row.get(5)?,
                        outcome: row.get(6)?,
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Page { items, total })
        })
    }
}
