//! Downloads that may be large: to a file, bounded, and given up when nothing comes any more.

use reqwest::RequestBuilder;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io::{self, Seek, Write},
    path::Path,
    time::Duration,
};
use tokio::time::timeout;

/// A download that brings nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0}")]
    Unreachable(String),
    #[error("the server answered HTTP {0}")]
    Status(u16),
    #[error("it has more than {0} bytes")]
    TooLarge(u64),
    #[error("writing it: {0}")]
    Disk(#[from] io::Error),
}

/// Downloads into a file without a name in `folder`; the file, at its beginning, and the SHA-256 in hex.
///
/// # Errors
/// [`FetchError`]; nothing is left behind.
pub async fn fetch(request: RequestBuilder, folder: &Path, max: u64) -> Result<(File, String), FetchError> {
    let broken = |error: reqwest::Error| FetchError::Unreachable(crate::chain(&error));
    let silent = |_| FetchError::Unreachable("the download stands still".to_owned());
    let mut response = timeout(SILENCE, request.send())
        .await
        .map_err(silent)?
        .map_err(broken)?;
    if !response.status().is_success() {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let mut file = tempfile::tempfile_in(folder)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0_u64);
    while let Some(chunk) = timeout(SILENCE, response.chunk())
        .await
        .map_err(silent)?
        .map_err(broken)?
    {
        bytes += chunk.len() as u64;
        if bytes > max {
            return Err(FetchError::TooLarge(max));
        }
        hash.update(&chunk);
        // One chunk is some KiB: quicker than handing it to another thread.
        file.write_all(&chunk)?;
    }
    file.rewind()?;
    Ok((file, hex::encode(hash.finalize())))
}
