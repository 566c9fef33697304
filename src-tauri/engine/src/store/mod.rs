//! The store: SQLite in WAL mode with `synchronous=FULL`.
//!
//! One writer thread takes the writes of all callers, commits as many as are waiting in one transaction, each in a
//! savepoint of its own, and answers them after the commit. Reads go to a pool of read-only connections.

pub mod row;
mod schema;
mod writer;

pub use row::Row;
pub use schema::OpenError;
pub use writer::{Effect, Tx, WriteStats};

use crate::{Clock, error::Result};
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// Connections kept for reading.
const READERS_KEPT: usize = 8;

/// The database of one engine.
pub struct Store {
    path: PathBuf,
    writer: writer::Writer,
    readers: Mutex<Vec<Connection>>,
    rev: watch::Receiver<u64>,
}

impl Store {
    /// Opens or makes the database, brings it to this program's version, and starts the writer.
    ///
    /// What writes leave to be done after their commit comes out of the receiver.
    ///
    /// # Errors
    /// [`OpenError`] when the file is newer, damaged, locked, or cannot be written.
    pub fn open(path: &Path, clock: Clock) -> std::result::Result<(Self, mpsc::UnboundedReceiver<Effect>), OpenError> {
        let connection = schema::open(path)?;
        let (rev_sender, rev) = watch::channel(schema::rev(&connection)?);
        let (effects, effects_out) = mpsc::unbounded_channel();
        let writer = writer::Writer::start(connection, clock, rev_sender, effects);
        Ok((
            Self {
                path: path.to_owned(),
                writer,
                readers: Mutex::new(Vec::new()),
                rev,
            },
            effects_out,
        ))
    }

    /// Runs `work` in a savepoint of the next transaction and answers once that is durable.
    ///
    /// # Errors
    /// What `work` returns, with nothing of it left behind; or that the database cannot write now.
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.write(work).await
    }

    /// Reads from a consistent state of the database. Short reads only: it blocks the calling thread.
    ///
    /// # Errors
    /// What `work` returns, or that the database cannot be read.
    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let kept = self.readers.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.reader()?,
        };
        let result = connection.unchecked_transaction().map_err(Into::into).and_then(|tx| {
            let result = work(&tx);
            tx.finish()?;
            result
        });
        let mut readers = self.readers.lock();
        if readers.len() < READERS_KEPT {
            readers.push(connection);
        }
        result
    }

    fn reader(&self) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(128);
        Ok(connection)
    }

    /// The revision of the last commit, and a way to wait for the next.
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.rev.clone()
    }

    /// Commits and writes since the start.
    pub fn stats(&self) -> Arc<WriteStats> {
        self.writer.stats()
    }

    /// Bytes of the database and of its write-ahead log.
    pub fn sizes(&self) -> (u64, u64) {
        let size = |path: &Path| path.metadata().map_or(0, |data| data.len());
        let mut wal = self.path.clone().into_os_string();
        wal.push("-wal");
        (size(&self.path), size(Path::new(&wal)))
    }

    /// Commits what is waiting and ends the writer; later writes are refused.
    pub fn close(&self) {
        self.writer.close();
    }
}
