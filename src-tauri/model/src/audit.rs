//! The audit log: who changed, or tried to change, what. Kept for one year.

use crate::{AuditId, Time};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub id: AuditId,
    pub at: Time,
    /// Who: a user's name, `token:<name>`, `key:<access key>`, `node:<serial>`, `mef:<certificate subject>`.
    pub actor: String,
    /// Network address, or `window`.
    pub origin: String,
    /// `<noun>.<verb>`, as `group.create`.
    pub action: String,
    /// Id or name of the thing.
    pub subject: String,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
}
