//! The one writer: group commit, each caller in a savepoint of its own.

use crate::{
    Clock,
    error::{Error, Result},
};
use edgedeck_model::{NodeId, Time};
use rusqlite::Connection;
use std::{
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
};
use tokio::sync::{mpsc as async_mpsc, oneshot, watch};

/// Most writes that share a transaction: bounds how long the first of them waits.
const BATCH_MAX: usize = 256;

/// What a write leaves to be done once it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The desired state of a node has changed.
    Desired(NodeId),
    /// A node was taken out of the lab.
    Removed(NodeId),
    /// The settings have changed.
    Settings,
}

/// How many commits carried how many writes.
#[derive(Debug, Default)]
pub struct WriteStats {
    pub commits: AtomicU64,
    pub writes: AtomicU64,
    pub failed_commits: AtomicU64,
}

/// A write under way: the connection inside the caller's savepoint.
pub struct Tx<'a> {
    connection: &'a Connection,
    now: Time,
    rev: u64,
    effects: Vec<Effect>,
}

impl Deref for Tx<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Tx<'_> {
    /// The time of this write.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The last revision given out.
    pub fn rev(&self) -> u64 {
        self.rev
    }

    pub fn next_rev(&mut self) -> u64 {
        self.rev += 1;
        self.rev
    }

    /// Does all of `work` or nothing of it, and goes on either way with what it was refused for.
    ///
    /// # Errors
    /// When the database fails: then the whole write has to.
    pub fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<std::result::Result<T, edgedeck_model::Problem>> {
        let effects = self.effects.len();
        self.execute_batch("SAVEPOINT attempt")?;
        let result = work(self);
        if result.is_err() {
            self.effects.truncate(effects);
            self.execute_batch("ROLLBACK TO attempt")?;
        }
        self.execute_batch("RELEASE attempt")?;
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(Error::Problem(problem)) => Ok(Err(problem)),
            Err(error) => Err(error),
        }
    }

    /// Has `effect` done after the commit; not at all if this write fails.
    pub fn after_commit(&mut self, effect: Effect) {
        if self.effects.last() != Some(&effect) {
            self.effects.push(effect);
        }
    }
}

trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// `Err` when the transaction as a whole was lost.
    fn answer(self: Box<Self>, commit: std::result::Result<(), &str>);
}

struct Call<T, F> {
    work: Option<F>,
    result: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Work for Call<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        let result = work(tx);
        let good = result.is_ok();
        self.result = Some(result);
        good
    }

    fn answer(self: Box<Self>, commit: std::result::Result<(), &str>) {
        let answer = match (commit, self.result) {
            // A refusal stands whether or not the neighbours could be committed.
            (_, Some(Err(error))) => Err(error),
            (Ok(()), Some(result)) => result,
            (Err(why), _) => Err(Error::Commit(why.to_owned())),
            (Ok(()), None) => Err(Error::Closed),
        };
        // Nobody listens when the caller has gone away; the write stands all the same.
        let _gone = self.reply.send(answer);
    }
}

enum Message {
    Work(Box<dyn Work>),
    Close,
}

pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    thread: parking_lot::Mutex<Option<JoinHandle<()>>>,
    stats: Arc<WriteStats>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        clock: Clock,
        rev: watch::Sender<u64>,
        effects: async_mpsc::UnboundedSender<Effect>,
    ) -> Self {
        let (queue, incoming) = mpsc::channel();
        let stats = Arc::new(WriteStats::default());
        let state = State {
            connection,
            clock,
            rev,
            effects,
            stats: stats.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || state.serve(&incoming))
            .ok();
        Self {
            queue,
            thread: parking_lot::Mutex::new(thread),
            stats,
        }
    }

    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            work: Some(work),
            result: None,
            reply,
        };
        self.queue
            .send(Message::Work(Box::new(call)))
            .map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    pub(super) fn stats(&self) -> Arc<WriteStats> {
        self.stats.clone()
    }

    pub(super) fn close(&self) {
        // The thread may have ended already; then there is nothing to tell it.
        let _ended = self.queue.send(Message::Close);
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer had panicked");
        }
    }
}

struct State {
    connection: Connection,
    clock: Clock,
    rev: watch::Sender<u64>,
    effects: async_mpsc::UnboundedSender<Effect>,
    stats: Arc<WriteStats>,
}

impl State {
    fn serve(self, incoming: &mpsc::Receiver<Message>) {
        let mut open = true;
        while open {
            let mut batch = Vec::new();
            match incoming.recv() {
                Ok(Message::Work(work)) => batch.push(work),
                Ok(Message::Close) | Err(_) => break,
            }
            while batch.len() < BATCH_MAX {
                match incoming.try_recv() {
                    Ok(Message::Work(work)) => batch.push(work),
                    Ok(Message::Close) => {
                        open = false;
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.commit(batch);
        }
        if let Err(error) = self
            .connection
            .execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)")
        {
            tracing::warn!(%error, "the last checkpoint failed; the next start makes it up");
        }
    }

    fn commit(&self, mut batch: Vec<Box<dyn Work>>) {
        let before = *self.rev.borrow();
        let outcome = self.transaction(before, &mut batch);
        let writes = batch.len() as u64;
        let committed = match outcome {
            Ok((rev, effects)) => {
                self.stats.commits.fetch_add(1, Ordering::Relaxed);
                self.stats.writes.fetch_add(writes, Ordering::Relaxed);
                if rev != before {
                    self.rev.send_replace(rev);
                }
                for effect in effects {
                    // The engine is closing if nobody takes it; the next start begins from the stored state.
                    let _closing = self.effects.send(effect);
                }
                Ok(())
            }
            Err(error) => {
                self.stats.failed_commits.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, writes, "a transaction was lost");
                if !self.connection.is_autocommit()
                    && let Err(error) = self.connection.execute_batch("ROLLBACK")
                {
                    tracing::error!(%error, "rolling back");
                }
                Err(error.to_string())
            }
        };
        for work in batch {
            work.answer(committed.as_ref().copied().map_err(String::as_str));
        }
    }

    fn transaction(&self, before: u64, batch: &mut [Box<dyn Work>]) -> rusqlite::Result<(u64, Vec<Effect>)> {
        let connection = &self.connection;
        let run = |sql: &str| {
            connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.execute([]).map(drop))
        };
        run("BEGIN IMMEDIATE")?;
        let mut tx = Tx {
            connection,
            now: self.clock.now(),
            rev: before,
            effects: Vec::new(),
        };
        for work in batch.iter_mut() {
            let effects = tx.effects.len();
            run("SAVEPOINT caller")?;
            if !work.run(&mut tx) {
                tx.effects.truncate(effects);
                // A full disk ends the whole transaction; then there is no savepoint to return to.
                run("ROLLBACK TO caller")?;
            }
            run("RELEASE caller")?;
        }
        if tx.rev != before {
            connection
                .prepare_cached("UPDATE meta SET value = ?1 WHERE key = 'rev'")?
                .execute([tx.rev])?;
        }
        run("COMMIT")?;
        Ok((tx.rev, tx.effects))
    }
}
