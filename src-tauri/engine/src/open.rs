//! Opening and closing an engine.

use crate::{
    Clock, Engine, alarms, backup, hub, identity, outside,
    pki::{Clients, Pki, PkiError},
    registry,
    seal::{Seal, SealError},
    settings, software,
    store::{self, Effect, Store},
    telemetry,
};
use edgedeck_model::{Code, Problem, time::SECOND};
use parking_lot::RwLock;
use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::sync::{Mutex, mpsc};

/// How an engine is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; made when it is not there.
    pub data: PathBuf,
    pub clock: Clock,
    /// Names and addresses that the engine's certificate must carry.
    pub hosts: BTreeSet<String>,
    /// Addresses (`host:port`) that agents are told, likeliest first.
    pub addresses: Vec<String>,
}

/// Why an engine could not be opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the data folder {path} cannot be made or read: {source}")]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the data folder {path} is in use by another EdgeDeck")]
    InUse { path: PathBuf },
    #[error(transparent)]
    Database(#[from] store::OpenError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Software(#[from] software::KeyError),
    #[error(transparent)]
    Store(#[from] crate::Error),
}

/// The data folder, held for one engine.
pub struct Lock {
    _file: File,
}

impl Lock {
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join("lock");
        let fail = |source| OpenError::Folder {
            path: path.clone(),
            source,
        };
        let file = fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: folder.to_owned(),
            }),
            Err(TryLockError::Error(source)) => Err(fail(source)),
        }
    }
}

impl Engine {
    /// Opens the lab in a data folder, making its database, key and certificates at the first run, and starts the
    /// engine's own work. Call it within a tokio runtime.
    ///
    /// # Errors
    /// [`OpenError`]; the folder is left as it was.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        let Options {
            data,
            clock,
            hosts,
            addresses,
        } = options;
        let folder = |source| OpenError::Folder {
            path: data.clone(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&data)
            .map_err(folder)?;
        let lock = Lock::take(&data)?;
        let (store, effects) = Store::open(&data.join("edgedeck.db"), clock.clone())?;
        let seal = Arc::new(Seal::open(&data.join("secret.key"))?);
        let settings = settings::load(&store)?;
        let pki = Pki::open(&store, &seal, &clock, hosts, &settings.addresses).await?;
        let clients = Clients::open(&store, &pki)?;
        let outsides = outside::Outsides::open(&store, seal.clone())?;
        let software = software::SoftwareStore::open(&store, &seal).await?;
        let lab_store = registry::LabStore::open(&store, &seal).await?;
        let identity = identity::Identity::open(&store)?;
        let alarms = alarms::Active::open(&store)?;
        let hub = hub::Hub::open(&store, &clock)?;
        let now = clock.now();
        let engine = Arc::new(Self {
            started_at: now,
            epoch: u64::try_from(now.0).unwrap_or(1).max(1),
            settings: RwLock::new(Arc::new(settings)),
            telemetry: telemetry::Telemetry::default(),
            store,
            clock,
            pki,
            data,
            hub,
            identity,
            clients,
            outsides,
            software,
            lab_store,
            seal,
            jobs: crate::jobs::Jobs::default(),
            alarms,
            addresses: RwLock::new(addresses),
            last_round: Mutex::default(),
            _lock: lock,
        });
        tokio::spawn(effects_loop(Arc::downgrade(&engine), effects));
        tokio::spawn(tick_loop(Arc::downgrade(&engine)));
        registry::sweep(engine.data());
        engine.resume_jobs()?;
        Ok(engine)
    }

    /// Writes a backup into the data folder's `backups`.
    ///
    /// # Errors
    /// [`Code::Invalid`] for a weak passphrase, [`Code::StoreUnavailable`] when the disk cannot be written.
    pub fn backup(&self, passphrase: &str) -> Result<edgedeck_model::api::Backup, Problem> {
        let disk = |error: anyhow::Error| Problem {
            detail: Some(format!("{error:#}")),
            ..Problem::new(Code::StoreUnavailable)
        };
        let folder = self.data.join("backups");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| disk(error.into()))?;
        let at = self.clock.now();
        let path = folder.join(format!("edgedeck-{}.tar.gz", at.0));
        backup::write(&self.data, &path, passphrase).map_err(|error| match error {
            backup::BackupError::Weak(problem) => problem,
            error => disk(error.into()),
        })?;
        let bytes = path.metadata().map_err(|error| disk(error.into()))?.len();
        Ok(edgedeck_model::api::Backup {
            path: path.display().to_string(),
            bytes,
            at,
        })
    }

    /// Writes what is only in memory and ends the writer. Writes after this are refused.
    pub async fn close(&self) {
        if let Err(problem) = self.flush_samples(true).await {
            tracing::warn!(%problem, "the newest samples are not stored; agents will send them again");
        }
        // First, so that jobs find that the engine ends, not that their nodes are gone.
        self.store.close();
        self.hub.close_all();
    }
}

/// Does what writes left to be done, until the engine is gone.
async fn effects_loop(engine: Weak<Engine>, mut effects: mpsc::UnboundedReceiver<Effect>) {
    let mut batch = Vec::new();
    while effects.recv_many(&mut batch, 1_024).await > 0 {
        let Some(engine) = engine.upgrade() else {
            return;
        };
        let mut wanted = BTreeSet::new();
        for effect in batch.drain(..) {
            match effect {
                Effect::Desired(node) => {
                    wanted.insert(node);
                }
                Effect::Removed(node) => {
                    engine.hub.dismiss(node);
                    engine.outside_forgotten(node);
                }
                Effect::Settings => engine.reload_settings(),
            }
        }
        for node in wanted {
            engine.send_desired(node);
        }
    }
}

/// The engine's own round, once a second; who has fallen silent is looked for more often, and known within a second.
async fn tick_loop(engine: Weak<Engine>) {
    let mut interval = tokio::time::interval(Duration::from_millis(SECOND as u64 / 4));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0_u64.. {
        interval.tick().await;
        let Some(engine) = engine.upgrade() else {
            return;
        };
        if round.is_multiple_of(4) {
            engine.tick().await;
        } else if let Err(error) = engine.mark_lost().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "looking for silent nodes");
        }
    }
}
