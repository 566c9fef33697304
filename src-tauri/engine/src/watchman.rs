//! The engine's own round: presence, samples, certificates, what has outlived its time.

use crate::{Engine, error::Result};
use edgedeck_model::{
    alarm::AlarmKind,
    time::{DAY, HOUR, MINUTE, SECOND},
};
use std::sync::atomic::Ordering;

/// Free space on the data's disk, in bytes, below which an alarm is raised.
const DISK_LOW: u64 = 512 * 1024 * 1024;
/// How long each kind of record is kept.
const EVENTS_KEPT: i64 = 90 * DAY;
const ALARMS_KEPT: i64 = 90 * DAY;
const AUDIT_KEPT: i64 = 365 * DAY;
const SAMPLES_KEPT: i64 = 2 * DAY;

impl Engine {
    /// One round; called every second, and by tests that move the clock.
    pub async fn tick(&self) {
        let mut last_round = self.last_round.lock().await;
        let now = self.clock.monotonic();
        let last = last_round.replace(now);
        let due = |every: i64| last.is_none_or(|last| now / every != last / every);
        self.end_watches();
        self.mend_credentials();
        self.mend_client_trust();
        let mut outcomes = vec![("presence", self.mark_lost().await)];
        outcomes.push(("samples", self.flush_samples(false).await));
        if due(10 * SECOND) {
            outcomes.push(("store", self.judge_store().await));
            outcomes.push(("changes", self.end_late_rollouts().await));
        }
        if due(MINUTE) {
            self.sample_lab();
            self.send_outside_again();
            self.mend_pki().await;
        }
        if due(HOUR) {
            outcomes.push(("CA", self.advance_ca().await));
            outcomes.push(("certificates", self.judge_certificates().await));
            outcomes.push(("retention", self.retain().await));
            outcomes.push(("metering", self.retain_usage().await));
            outcomes.push(("archives", self.retain_archives().await));
            outcomes.push(("rollouts", self.retain_rollouts().await));
            outcomes.push(("images", self.collect_garbage().await));
            outcomes.push(("tombstones", self.prune_tombstones().await));
        }
        for (what, outcome) in outcomes {
            if let Err(error) = outcome {
                // It is tried again in the next round; the store tells when it is well again.
                tracing::warn!(error = &error as &dyn std::error::Error, what, "the engine's round");
            }
        }
    }

    /// Says so while the data's disk is nearly full, or transactions were lost since the last look.
    async fn judge_store(&self) -> Result<()> {
        let lost = self.store.stats().failed_commits.swap(0, Ordering::Relaxed);
        let free = match nix::sys::statvfs::statvfs(self.data()) {
            Ok(disk) => disk.blocks_available() * disk.fragment_size(),
            Err(error) => {
                tracing::warn!(%error, "asking for the free space of the data's disk");
                u64::MAX
            }
        };
        self.store
            .write(move |tx| {
                if lost == 0 && free >= DISK_LOW {
                    return tx.clear(AlarmKind::StoreTrouble, None, "");
                }
                let (mib, lost) = ((free / (1024 * 1024)).to_string(), lost.to_string());
                tx.raise(AlarmKind::StoreTrouble, None, "", &[("mib", &mib), ("failed", &lost)])
            })
            .await
    }

    async fn retain(&self) -> Result<()> {
        self.store
            .write(|tx| {
                let before = |kept: i64| tx.now().plus(-kept).0;
                tx.execute("DELETE FROM event WHERE at < ?1", [before(EVENTS_KEPT)])?;
                tx.execute("DELETE FROM alarm WHERE cleared_at < ?1", [before(ALARMS_KEPT)])?;
                tx.execute(
                    "DELETE FROM alias WHERE kind = 4 AND id NOT IN (SELECT id FROM alarm)",
                    [],
                )?;
                tx.execute(
                    "DELETE FROM alias WHERE kind = 5 AND id NOT IN (SELECT id FROM event)",
                    [],
                )?;
                tx.execute("DELETE FROM audit WHERE at < ?1", [before(AUDIT_KEPT)])?;
                tx.execute("DELETE FROM samples WHERE start < ?1", [before(SAMPLES_KEPT)])?;
                tx.execute("DELETE FROM join_token WHERE expires_at < ?1", [tx.now().0])?;
                tx.execute("DELETE FROM cloud_token WHERE expires_at < ?1", [tx.now().0])?;
                Ok(())
            })
            .await
    }
}
