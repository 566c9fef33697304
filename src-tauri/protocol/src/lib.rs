//! What engine and agent say to each other.
//!
//! One WebSocket over mutual TLS carries CBOR frames with named fields, so that either side may be older: unknown
//! fields are ignored and new ones have defaults. Bulk (packages, the agent itself) goes over separate HTTPS requests.

pub mod bounded;
mod frame;
mod join;
pub mod package;
pub mod software;

pub use frame::*;
pub use join::*;

use serde::{Serialize, de::DeserializeOwned};

/// Versions of the protocol that this build speaks; the higher of both sides' common ones is used.
pub const VERSIONS: (u16, u16) = (1, 1);
/// Largest frame either side accepts, in bytes.
pub const FRAME_MAX: usize = 4 * 1024 * 1024;
/// How often an agent says that it is alive, in milliseconds.
pub const HEARTBEAT: u32 = 10_000;
/// How often an agent measures while nobody looks closer, in milliseconds.
pub const SAMPLE_INTERVAL: u32 = 30_000;
/// Samples that an agent keeps while they are not acknowledged; the oldest go first.
pub const SAMPLES_KEPT: usize = 2_880;

/// A frame that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is over the limit of {FRAME_MAX}")]
    TooLarge(usize),
    #[error("writing a frame")]
    Write(#[source] ciborium::ser::Error<std::io::Error>),
    #[error("reading a frame")]
    Read(#[source] ciborium::de::Error<std::io::Error>),
}

/// # Errors
/// [`FrameError::TooLarge`] when the other side would refuse it.
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::with_capacity(256);
    ciborium::into_writer(frame, &mut bytes).map_err(FrameError::Write)?;
    if bytes.len() > FRAME_MAX {
        return Err(FrameError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// # Errors
/// [`FrameError::Read`] for anything that is not a frame of this kind; nesting is bounded.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    if bytes.len() > FRAME_MAX {
        return Err(FrameError::TooLarge(bytes.len()));
    }
    ciborium::de::from_reader_with_recursion_limit(bytes, 64).map_err(FrameError::Read)
}

/// The version to speak with a side that offers `theirs`, if there is one.
pub fn agree(theirs: (u16, u16)) -> Option<u16> {
    let (low, high) = (VERSIONS.0.max(theirs.0), VERSIONS.1.min(theirs.1));
    (low <= high).then_some(high)
}
