//! HTTP around the engine: the console API and the UI's files, the dialects, identity, the fleet hub.
//!
//! Code here only translates: rules live in `model`, state in `engine`.

mod agent_files;
mod archive;
pub mod console;
pub mod dialects;
mod fleet;
pub mod fuzzing;
pub mod limit;
pub mod listen;
pub mod local;
mod local_agent;
mod registry;
mod report;
mod start;
mod tls;
mod ui_files;

pub use start::{Options, Running, StartError, start};
