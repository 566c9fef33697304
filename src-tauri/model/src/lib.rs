//! The domain of EdgeDeck: its nouns, their rules, and the console API's declaration.
//!
//! Everything here is pure: no I/O, no clock, no threads. The same code runs in the engine and, compiled to
//! WebAssembly, in the browser, so a form cannot accept what the engine refuses. May depend on serde and uuid only.

pub mod access_key;
pub mod alarm;
pub mod api;
pub mod app;
pub mod audit;
pub mod certificate;
pub mod deployment;
pub mod event;
pub mod feed;
pub mod fit;
pub mod group;
pub mod id;
pub mod image;
pub mod job;
pub mod join;
pub mod metering;
pub mod name;
pub mod node;
pub mod npu;
pub mod probe;
pub mod problem;
pub mod project;
pub mod software;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod user;

pub use id::*;
pub use problem::{Code, Problem};
pub use text::Lang;
pub use time::Time;
