//! A simulated fleet: many nodes in one process that join, link, report and run as real agents do.
//!
//! A node is a function of the seed, its number and the time: what it is (`profile`), what it measures (`curves`), what
//! goes wrong with it (`faults`) and how its instances fare (`instances`). So the same seed gives the same lab, and a
//! node costs little memory. `node` runs one of them; `identities` keeps their keys from one run to the next.

mod chance;
mod curves;
mod faults;
mod identities;
mod instances;
mod node;
mod profile;
mod usage;

pub use faults::Fault;
pub use profile::Profile;

use anyhow::{Context, Result};
use edgedeck_agent::{
    home::Home,
    identity::{self, Trust},
    join,
};
use edgedeck_model::Problem;
use identities::Identities;
use parking_lot::RwLock;
use std::{fmt, path::PathBuf, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// Nodes that join, or open their links, at a time.
const AT_ONCE: usize = 64;

/// Where the nodes' join tokens come from.
#[derive(Clone)]
pub enum Tokens {
    /// One of the lab, for many nodes.
    Shared(String),
    /// One for each node, made when it joins.
    Asked(Arc<dyn Fn() -> Asking + Send + Sync>),
}

/// A token on its way.
pub type Asking = Pin<Box<dyn Future<Output = Result<String, Problem>> + Send>>;

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret does not belong into a log.
        f.write_str(match self {
            Self::Shared(_) => "Shared",
            Self::Asked(_) => "Asked",
        })
    }
}

impl Tokens {
    pub(crate) async fn next(&self) -> Result<String, Problem> {
        match self {
            Self::Shared(token) => Ok(token.clone()),
            Self::Asked(ask) => ask().await,
        }
    }
}

/// How a simulated fleet is made.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// `https://host:port` where agents join.
    pub engine: String,
    /// Only needed for nodes that have not joined before.
    pub tokens: Tokens,
    /// SHA-256 of the lab's CA certificate, in hex.
    pub ca_hash: String,
    pub nodes: u32,
    pub seed: u64,
    /// How much quicker than real the days and faults pass.
    pub speed: f64,
    /// Whether nodes go offline, get hot, fill up, and their workloads fail.
    pub faults: bool,
    /// How long an instance takes to start, at most.
    pub start_delay: Duration,
    /// Where the nodes' keys are kept, so that the same nodes come back; a folder of the lab's CA and the seed below the
    /// user's data where absent.
    pub state: Option<PathBuf>,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            engine: "https://127.0.0.1:8444".to_owned(),
            tokens: Tokens::Shared(String::new()),
            ca_hash: String::new(),
            nodes: 100,
            seed: 1,
            speed: 1.0,
            faults: true,
            start_delay: Duration::from_secs(3),
            state: None,
        }
    }
}

/// What all nodes of a fleet share.
pub(crate) struct Fleet {
    pub options: LabOptions,
    /// `host:port`
    pub address: String,
    /// The lab's CAs, in PEM.
    pub authorities: RwLock<(String, Trust)>,
    pub client: reqwest::Client,
    pub identities: Identities,
    pub opening: Semaphore,
}

/// Runs a simulated fleet until it is told to stop.
///
/// # Errors
/// When the engine cannot be reached, has another CA, or refuses the first node that joins.
pub async fn run(options: LabOptions, stop: watch::Receiver<bool>) -> Result<()> {
    // A node needs a socket; the usual limit is 1,024.
    if let Err(error) = rlimit::increase_nofile_limit(u64::from(options.nodes) + 256) {
        tracing::warn!(%error, "allowing many open files");
    }
    let said = |error: join::JoinError| anyhow::anyhow!(error.text(edgedeck_agent::cli::lang()));
    let ca_pem = join::fetch_ca(&options.engine, &options.ca_hash).await.map_err(said)?;
    let trust = Trust::new(&ca_pem)?;
    let client = join::client(trust.anonymous()?).map_err(said)?;
    let folder = match &options.state {
        Some(folder) => folder.clone(),
        None => default_folder(&identity::certificate_hash(&ca_pem)?, options.seed),
    };
    let identities = Identities::open(&folder).with_context(|| format!("opening {}", folder.display()))?;
    identities.keep_authorities(&ca_pem)?;
    let address = join::host_and_port(&options.engine).map_err(said)?;
    let nodes = options.nodes;
    let opening = Semaphore::new(AT_ONCE);
    let fleet = Arc::new(Fleet {
        options,
        address,
        authorities: RwLock::new((ca_pem, trust)),
        client,
        identities,
        opening,
    });
    // The first joins alone: what is wrong with the token is said once.
    node::join(&fleet, &Profile::new(fleet.options.seed, 0))
        .await
        .map_err(said)?;
    tracing::info!(nodes, state = %folder.display(), "the simulated fleet begins");
    let mut running = JoinSet::new();
    for number in 0..nodes {
        running.spawn(node::run(fleet.clone(), number));
    }
    let mut stopped = stop;
    // Whoever held the other end and let it go wants no fleet any more, either.
    let _ = stopped.wait_for(|stop| *stop).await;
    running.shutdown().await;
    Ok(())
}

/// Where the nodes of a fleet are kept: by the CA that the lab had then, and found by any that it has had since.
fn default_folder(ca_hash: &str, seed: u64) -> PathBuf {
    let folder = Home::default_path().with_file_name("edgedeck-lab");
    let known = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut known = known.map(|entry| entry.path());
    let of_this = |path: &PathBuf| {
        let is_of_seed = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(&format!("-{seed}")));
        is_of_seed && identities::knows_authority(path, ca_hash)
    };
    known.find(of_this).unwrap_or_else(|| {
        let lab = ca_hash.get(..16).unwrap_or(ca_hash);
        folder.join(format!("{lab}-{seed}"))
    })
}
