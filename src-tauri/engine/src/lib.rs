//! The control plane: one module per business noun, on the store. Knows no HTTP and no window.
//!
//! May depend on `model` and `protocol`. Every mutation takes the [`Actor`] who asks, checks and writes in one
//! transaction, and leaves an audit line in it.

mod alarms;
mod alias;
mod apps;
mod audit;
pub mod backup;
mod caps;
mod clock;
mod cloud;
mod deployments;
mod error;
mod events;
mod feed;
mod find;
mod fleet;
pub mod fuzzing;
mod groups;
mod hub;
mod identity;
mod jobs;
mod join;
mod metering;
mod open;
mod outside;
mod packages;
mod pki;
mod projects;
mod registry;
mod seal;
mod settings;
mod software;
mod store;
mod telemetry;
mod watchman;

pub use alias::{AliasKind, System};
pub use apps::AppInUse;
pub use audit::Actor;
pub use caps::{CAP_REACHED, Caps};
pub use clock::Clock;
pub use cloud::{CloudCaller, CloudLogin, CloudToken, SIGNATURE_WINDOW, Scope};
pub use deployments::Single;
pub use error::{Error, Result};
pub use find::{Find, Instances, Of, RecordsOf};
pub use hub::{OFFLINE_AFTER, Session, SessionError};
pub use identity::{Identified, SignedIn};
pub use jobs::JobUpload;
pub use metering::{UsageBucket, UsageFind, UsageStep};
pub use open::{OpenError, Options};
pub use packages::PackageUpload;
pub use pki::{CLIENT_URI, ClientTrust, LabCa, LabCas, NODE_URI, Pki, Revoked, ServerCertificate, key_hash};
pub use registry::{BlobUpload, StoredManifest};
pub use seal::random_hex;
pub use store::{Effect, Store, Tx, WriteStats};
pub use telemetry::{Figure, Health};

use edgedeck_model::{Time, api::Settings};
use parking_lot::RwLock;
use std::{path::PathBuf, sync::Arc};
use tokio::sync::Mutex;

/// The engine of one lab.
pub struct Engine {
    pub store: Store,
    pub clock: Clock,
    pub pki: Pki,
    data: PathBuf,
    started_at: Time,
    /// Tells the figures in memory of one run from those of another.
    epoch: u64,
    settings: RwLock<Arc<Settings>>,
    hub: hub::Hub,
    telemetry: telemetry::Telemetry,
    identity: identity::Identity,
    clients: pki::Clients,
    outsides: outside::Outsides,
    software: software::SoftwareStore,
    lab_store: registry::LabStore,
    seal: Arc<seal::Seal>,
    jobs: jobs::Jobs,
    alarms: alarms::Active,
    /// Addresses that agents are told, in order.
    addresses: RwLock<Vec<String>>,
    /// When its last round of its own was, by the clock that only goes on; held during one.
    last_round: Mutex<Option<i64>>,
    /// Held as long as the engine lives, so that no second engine takes the folder.
    _lock: open::Lock,
}

impl Engine {
    pub fn data(&self) -> &std::path::Path {
        &self.data
    }

    pub fn started_at(&self) -> Time {
        self.started_at
    }

    pub fn now(&self) -> Time {
        self.clock.now()
    }
}
