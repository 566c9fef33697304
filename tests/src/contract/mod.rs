//! Contract conformance: the machine-readable contracts of the systems whose management APIs the engine speaks, the
//! client that holds every answer against them, and the runner that counts which of their rules a test has shown.
//!
//! * [`document`] reads a contract: its operations, rules and documented errors, each with a stable id;
//! * [`schema`] validates answers and examples against the contract's JSON Schemas;
//! * [`client`] calls operations by their id, validates and records every answer ([`recorder`]);
//! * [`case`] binds tests to rules and errors; [`suite`] runs them against a lab; [`report`] counts;
//! * [`suites`] is the table of all documents with their cases. A dialect's cases live in a folder of their own
//!   beside this file and are entered there.
//!
//! Nothing here knows a dialect's code: what it sees is HTTP.

pub mod case;
pub mod client;
pub mod cloud;
pub mod document;
pub mod mef;
mod observed;
pub mod recorder;
pub mod report;
pub mod schema;
pub mod suite;
pub mod suites;
pub mod tingyu;

pub use case::{Case, CaseFuture, Chapter, Lab};
pub use client::{Answer, ContractClient};
pub use document::Document;
pub use recorder::{Recorder, Recording};
pub use suite::{Exception, Suite};
