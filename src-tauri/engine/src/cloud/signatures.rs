//! Signatures that were taken already.
//!
//! They are written down before the request does anything, rather than held in memory: a request that was taken just
//! before the engine ended could else be sent again after its start, and so could one that a client whose clock is ahead
//! has dated into the time after it. Refusing everything of that time instead would shut honest clients out for up to
//! half an hour after every start.

use crate::Engine;
use edgedeck_model::{Code, Problem, Time, time::MINUTE};
use rusqlite::params;

/// How far the date of a signed request may be from the engine's, either way, in milliseconds.
pub const SIGNATURE_WINDOW: i64 = 15 * MINUTE;
/// Signatures that are kept; with more in half an hour, further ones are refused.
const KEPT: i64 = 1_000_000;

impl Engine {
    /// Takes the signature of a request that changes something; each once.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`] for a date outside the window; [`Code::Conflict`] for a signature that was taken before,
    /// or when there are too many.
    pub async fn take_signature(&self, signature: [u8; 32], dated: Time) -> Result<(), Problem> {
        let taken = self.store.write(move |tx| {
            let oldest = tx.now().plus(-SIGNATURE_WINDOW);
            // Those before it are forgotten, so it must not be one of them.
            if dated < oldest {
                return Err(Problem::new(Code::Unauthenticated).into());
            }
            tx.prepare_cached("DELETE FROM used_signature WHERE dated < ?1")?
                .execute([oldest.0])?;
            let kept: i64 = tx
                .prepare_cached("SELECT coalesce(max(place) - min(place) + 1, 0) FROM used_signature")?
                .query_row([], |row| row.get(0))?;
            if kept >= KEPT {
                return Err(Problem::conflict("limit-reached").into());
            }
            let new = tx
                .prepare_cached("INSERT OR IGNORE INTO used_signature (signature, dated) VALUES (?1, ?2)")?
                .execute(params![signature.as_slice(), dated.0])?;
            if new == 0 {
                return Err(Problem::conflict("signature-used").into());
            }
            Ok(())
        });
        Ok(taken.await?)
    }
}
