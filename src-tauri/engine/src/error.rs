//! Errors inside the engine, and how they become the [`Problem`] that a caller gets.

use edgedeck_model::{Code, Problem};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule or a state refuses it.
    #[error("{0}")]
    Problem(#[from] Problem),
    #[error("the database failed")]
    Sql(#[from] rusqlite::Error),
    #[error("a row holds something else than expected")]
    Row(#[from] serde_json::Error),
    /// The transaction that held this write was lost together with its neighbours.
    #[error("the database could not commit: {0}")]
    Commit(String),
    /// The engine is closing.
    #[error("the engine is closing")]
    Closed,
}

pub type Result<T> = std::result::Result<T, Error>;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Problem(problem) => problem,
            Error::Sql(error) if is_storage(&error) => Self {
                detail: Some(error.to_string()),
                ..Self::new(Code::StoreUnavailable)
            },
            Error::Commit(detail) => Self {
                detail: Some(detail),
                ..Self::new(Code::StoreUnavailable)
            },
            Error::Closed => Self {
                detail: Some(error.to_string()),
                ..Self::new(Code::StoreUnavailable)
            },
            Error::Sql(_) | Error::Row(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "inside the engine");
                Self::internal(std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
            }
        }
    }
}

/// Whether the disk, not the statement, is at fault.
fn is_storage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as E;
    matches!(
        error.sqlite_error_code(),
        Some(
            E::DiskFull
                | E::ReadOnly
                | E::SystemIoFailure
                | E::CannotOpen
                | E::DatabaseBusy
                | E::DatabaseLocked
                | E::OutOfMemory
        )
    )
}
