//! The database's tables, and how an older database becomes a newer one.

use rusqlite::{Connection, ErrorCode};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Why a database could not be opened; nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "the database {path} is of version {found}; this program knows {known}. Use the newer program, or restore a backup"
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("the database {path} is damaged or is no database: {detail}. Restore a backup")]
    Damaged { path: PathBuf, detail: String },
    #[error("the database {path} is locked by another program")]
    Locked { path: PathBuf },
    #[error("the database {path} cannot be written: {detail}. Check the folder's owner and rights, and the disk")]
    NotWritable { path: PathBuf, detail: String },
    #[error("the disk that holds {path} is full")]
    DiskFull { path: PathBuf },
    #[error(
        "bringing the database {path} from version {from} to {to} failed; it is as it was, and a copy is at {backup}"
    )]
    Migration {
        path: PathBuf,
        from: i64,
        to: i64,
        backup: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the database failed")]
    Sql(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Each entry brings the database one version further. Never change one that was released: add.
const MIGRATIONS: &[&str] = &[
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
];

pub fn open(path: &Path) -> Result<Connection, OpenError> {
    let explain = |error: rusqlite::Error| {
        let (path, detail) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, detail },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
            Some(
                ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure,
            ) => OpenError::NotWritable { path, detail },
            Some(ErrorCode::DiskFull) => OpenError::DiskFull { path },
            _ => OpenError::Sql(error),
        }
    };
    let mut connection = Connection::open(path).map_err(explain)?;
    connection.busy_timeout(Duration::from_secs(2)).map_err(explain)?;
    let found: i64 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(explain)?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 2000; PRAGMA temp_store = MEMORY",
        )
        .map_err(explain)?;
    connection.set_prepared_statement_cache_capacity(256);
    if found < known {
        migrate(&mut connection, path, found).map_err(|error| match error {
            OpenError::Sql(error) => explain(error),
            other => other,
        })?;
    }
    // Says at once, rather than at the first write, that the disk is read-only.
    connection
        .execute("UPDATE meta SET value = value WHERE key = 'rev'", [])
        .map_err(explain)?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path, found: i64) -> Result<(), OpenError> {
    let known = MIGRATIONS.len() as i64;
    let mut backup = path.to_owned();
    if found > 0 {
        backup.set_extension(format!("before-{known}.db"));
        if backup.exists() {
            std::fs::remove_file(&backup).map_err(|error| OpenError::NotWritable {
                path: backup.clone(),
                detail: error.to_string(),
            })?;
        }
        connection.execute("VACUUM INTO ?1", [backup.to_string_lossy()])?;
    }
    let steps = MIGRATIONS.iter().zip(1_i64..).skip(usize::try_from(found).unwrap_or(0));
    let tx = connection.transaction()?;
    let run = || {
        for (sql, version) in steps {
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "user_version", version)?;
        }
        Ok(())
    };
    let done: rusqlite::Result<()> = run();
    let done = done.and_then(|()| tx.commit());
    match done {
        Err(source) if found > 0 => Err(OpenError::Migration {
            path: path.to_owned(),
            from: found,
            to: known,
            backup,
            source,
        }),
        other => other.map_err(OpenError::Sql),
    }
}

pub fn rev(connection: &Connection) -> Result<u64, OpenError> {
    Ok(connection.query_row("SELECT value FROM meta WHERE key = 'rev'", [], |row| row.get(0))?)
}
