//! The change feed: what changed since a revision, as a long-poll.

use crate::{
    Engine,
    error::Result,
    store::{Row, row},
};
use edgedeck_model::{
    alarm::Alarm,
    app::{App, Version},
    deployment::{Deployment, Placement},
    event::Event,
    feed::{Change, Feed, WatchQuery},
    group::Group,
    job::Job,
    node::Node,
    time::DAY,
};
use rusqlite::{Connection, params};
use std::time::Duration;

/// Longest wait, in milliseconds.
const WAIT_MAX: u32 = 30_000;
/// Changes that come close together are answered together.
const GATHER: Duration = Duration::from_millis(50);
/// Events that a first answer holds; older ones are read by page.
const EVENTS_AT_FIRST: u32 = 200;
/// Changes of deployments, and other jobs, that a first answer holds; older ones are read by page.
const JOBS_AT_FIRST: u32 = 50;
/// How long tombstones are kept; a watcher that was away for longer gets everything.
const TOMBSTONES: i64 = DAY;

/// Escapes what `LIKE … ESCAPE '\'` takes for a wildcard.
pub fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn since<R: Row>(
    connection: &Connection,
    rev: u64,
    changes: &mut Vec<(u64, Change)>,
    wrap: fn(R) -> (u64, Change),
) -> Result<()> {
    changes.extend(
        row::select::<R>(connection, "WHERE rev > ?1 ORDER BY rev", [rev])?
            .into_iter()
            .map(wrap),
    );
    Ok(())
}

/// Rows changed after `rev`, in the order of their revisions.
fn changes(connection: &Connection, rev: u64) -> Result<Vec<Change>> {
    let mut found = Vec::new();
    since::<Group>(connection, rev, &mut found, |x| (x.rev, Change::Group(x)))?;
    since::<Node>(connection, rev, &mut found, |x| (x.rev, Change::Node(x.row())))?;
    since::<App>(connection, rev, &mut found, |x| (x.rev, Change::App(x)))?;
    since::<Version>(connection, rev, &mut found, |x| (x.rev, Change::Version(x)))?;
    since::<Deployment>(connection, rev, &mut found, |x| (x.rev, Change::Deployment(x)))?;
    since::<Placement>(connection, rev, &mut found, |x| (x.rev, Change::Placement(x)))?;
    if rev == 0 {
        let active = row::select::<Alarm>(connection, "WHERE cleared_at IS NULL ORDER BY rev", [])?;
        found.extend(active.into_iter().map(|x| (x.rev, Change::Alarm(x))));
        let newest = row::select::<Event>(connection, "ORDER BY rev DESC LIMIT ?1", [EVENTS_AT_FIRST])?;
        found.extend(newest.into_iter().map(|x| (x.rev, Change::Event(x))));
        // Changes of deployments may be many, and must not hide the rest.
        for kinds in ["kind = 'deploy'", "kind <> 'deploy'"] {
            let filter = format!("WHERE {kinds} ORDER BY created_at DESC LIMIT ?1");
            let newest = row::select::<Job>(connection, &filter, [JOBS_AT_FIRST])?;
            found.extend(newest.into_iter().map(|x| (x.rev, Change::Job(x))));
        }
    } else {
        since::<Alarm>(connection, rev, &mut found, |x| (x.rev, Change::Alarm(x)))?;
        since::<Event>(connection, rev, &mut found, |x| (x.rev, Change::Event(x)))?;
        since::<Job>(connection, rev, &mut found, |x| (x.rev, Change::Job(x)))?;
        let mut statement = connection.prepare_cached("SELECT rev, kind, id FROM gone WHERE rev > ?1")?;
        let mut rows = statement.query([rev])?;
        while let Some(line) = rows.next()? {
            if let Some(kind) = row::kind_of(line.get(1)?) {
                found.push((line.get(0)?, Change::Gone { kind, id: line.get(2)? }));
            }
        }
    }
    found.sort_by_key(|(rev, _)| *rev);
    Ok(found.into_iter().map(|(_, change)| change).collect())
}

impl Engine {
    /// What changed after the query's revision; waits for the first change if there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn watch(&self, query: &WatchQuery) -> Result<Feed> {
        let mut revisions = self.store.revisions();
        let mut figures = self.telemetry.revisions();
        let mut query = query.clone();
        let oldest = self.oldest_tombstone()?;
        // A revision from the future is one of another database; one older than the tombstones has missed deletions.
        let whole =
            query.rev == 0 || query.rev > *revisions.borrow() || oldest.is_some_and(|oldest| query.rev < oldest);
        if whole {
            query.rev = 0;
        }
        if query.epoch != self.epoch {
            query.live = 0;
        }
        if !whole {
            let wait = Duration::from_millis(query.wait.min(WAIT_MAX).into());
            let changed = async {
                tokio::select! {
                    _ = revisions.wait_for(|rev| *rev > query.rev) => {}
                    _ = figures.wait_for(|live| *live > query.live) => {}
                }
                tokio::time::sleep(GATHER).await;
            };
            // Nothing changed in time: the answer says so by being empty.
            let _in_time = tokio::time::timeout(wait, changed).await;
        }
        let (live, newest) = self.telemetry.since(query.live);
        let (rev, changes) = self.store.read(|connection| {
            let rev = connection.query_row("SELECT value FROM meta WHERE key = 'rev'", [], |row| row.get(0))?;
            Ok((
                rev,
                if rev > query.rev {
                    changes(connection, query.rev)?
                } else {
                    Vec::new()
                },
            ))
        })?;
        Ok(Feed {
            rev,
            live,
            epoch: self.epoch,
            whole,
            now: self.clock.now(),
            changes,
            figures: newest,
        })
    }

    /// The revision before which deletions are no longer known.
    fn oldest_tombstone(&self) -> Result<Option<u64>> {
        self.store.read(|connection| {
            use rusqlite::OptionalExtension;
            Ok(connection
                .prepare_cached("SELECT value FROM meta WHERE key = 'gone-before'")?
                .query_row([], |row| row.get(0))
                .optional()?)
        })
    }

    /// Forgets tombstones of more than a day ago.
    pub(crate) async fn prune_tombstones(&self) -> Result<()> {
        self.store
            .write(|tx| {
                let before = tx.now().plus(-TOMBSTONES);
                let last: Option<u64> =
                    tx.query_row("SELECT max(rev) FROM gone WHERE at < ?1", [before.0], |row| row.get(0))?;
                if let Some(last) = last {
                    tx.execute("DELETE FROM gone WHERE rev <= ?1", [last])?;
                    tx.execute(
                        "INSERT OR REPLACE INTO meta (key, value) VALUES ('gone-before', ?1)",
                        params![last],
                    )?;
                }
                Ok(())
            })
            .await
    }
}
