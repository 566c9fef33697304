//! Starting and stopping the engine with its listeners.

use crate::{
    agent_files,
    console::{self, Console, LocalOperator},
    dialects::{
        cloud,
        mef::{self, MefOptions},
        tingyu,
    },
    fleet, listen, local,
    local_agent::LocalAgent,
    registry,
    tls::{Admission, Tls, TlsError},
};
use axum::{Extension, Router};
use edgedeck_engine::{Clock, Engine, OpenError};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// How a lab is started.
#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    /// Folder of the agent programs; found by itself where absent.
    pub agent_files: Option<PathBuf>,
    /// Where the console listens; nowhere where absent.
    pub console: Option<SocketAddr>,
    /// Where agents join and link.
    pub agents: Option<SocketAddr>,
    /// Where the MEF dialect listens.
    pub mef: Option<SocketAddr>,
    /// Where the cloud dialects and their identity service listen.
    pub cloud: Option<SocketAddr>,
    /// Where the Tingyu dialect listens.
    pub tingyu: Option<SocketAddr>,
    /// Where the image registry listens.
    pub registry: Option<SocketAddr>,
    pub mef_options: MefOptions,
    pub clock: Clock,
}

impl Options {
    /// A lab in `data` that listens nowhere.
    pub fn new(data: PathBuf) -> Self {
        Self {
            data,
            agent_files: None,
            console: None,
            agents: None,
            mef: None,
            cloud: None,
            tingyu: None,
            registry: None,
            mef_options: MefOptions::default(),
            clock: Clock::system(),
        }
    }

    /// The listeners of a headless engine, on all addresses; but Tingyu's, which asks for nothing, for this machine only.
    #[must_use]
    pub fn listening(self) -> Self {
        let at = |port| Some(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
        Self {
            console: at(8443),
            agents: at(8444),
            mef: at(30035),
            tingyu: Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 8446)),
            registry: at(5443),
            ..self
        }
    }

    /// Where the data lies unless told: `EDGEDECK_DATA`, else the system's place for root, else the user's.
    pub fn default_data_dir() -> PathBuf {
        if let Some(told) = std::env::var_os("EDGEDECK_DATA") {
            return told.into();
        }
        if nix::unistd::geteuid().is_root() {
            return "/var/lib/edgedeck".into();
        }
        let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| ".".into())).join(".local/share");
        std::env::var_os("XDG_DATA_HOME")
            .map_or_else(home, PathBuf::from)
            .join("edgedeck")
    }
}

/// Why a lab could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{address} for {name} is taken by another program. End it, or choose another port with --{name}")]
    Taken { name: &'static str, address: SocketAddr },
    #[error("listening at {address} for {name}")]
    Listen {
        name: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// A lab that runs.
pub struct Running {
    pub engine: Arc<Engine>,
    /// Where each listener really listens, by name: `console`, `agents`, `mef`, `cloud`, `tingyu`, `registry`.
    pub listeners: BTreeMap<String, SocketAddr>,
    console: Arc<Console>,
    stop: CancellationToken,
    serving: JoinSet<()>,
}

/// Opens the lab and starts its listeners.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub async fn start(options: Options) -> Result<Running, StartError> {
    // Every agent holds a socket; the usual limit is 1,024.
    if let Err(error) = rlimit::increase_nofile_limit(2 * listen::CONNECTIONS_MAX as u64) {
        tracing::warn!(%error, "allowing many open files");
    }
    let wanted = [
        ("console", options.console),
        ("agents", options.agents),
        ("mef", options.mef),
        ("cloud", options.cloud),
        ("tingyu", options.tingyu),
        ("registry", options.registry),
    ];
    let mut sockets = BTreeMap::new();
    for (name, address) in wanted {
        if let Some(address) = address {
            sockets.insert(name, bind(name, address).await?);
        }
    }
    let listeners: BTreeMap<String, SocketAddr> = sockets
        .iter()
        .filter_map(|(name, socket)| Some(((*name).to_owned(), socket.local_addr().ok()?)))
        .collect();
    let own = own_addresses();
    let agents = listeners.get("agents").copied();
    let engine = Engine::open(edgedeck_engine::Options {
        data: options.data.clone(),
        clock: options.clock,
        hosts: hosts(&own),
        addresses: agents.map(|agents| agent_addresses(&own, agents)).unwrap_or_default(),
    })
    .await?;
    let agent_files = agent_files::folder(options.agent_files.as_deref());
    let programs = edgedeck_model::software::ARCHES.into_iter();
    let programs =
        programs.filter_map(|arch| Some((arch.to_owned(), agent_files::program(agent_files.as_deref(), arch)?)));
    engine.offer_agents(programs.collect());
    let port = listeners.get("registry").map(SocketAddr::port);
    engine.serve_registry(port).await.map_err(OpenError::from)?;
    let console = Arc::new(Console {
        engine: engine.clone(),
        local_agent: LocalAgent::new(&options.data, agents),
        agents: agent_files.clone(),
        listeners: listeners.clone(),
    });
    let stop = CancellationToken::new();
    let mut serving = JoinSet::new();
    for (name, socket) in sockets {
        let (admission, router) = match name {
            "console" => (Admission::Anybody, console::router(console.clone())),
            "agents" => (Admission::Nodes, fleet::router(engine.clone(), agent_files.clone())),
            "registry" => (Admission::Anybody, registry::router(engine.clone())),
            "cloud" => (Admission::Anybody, cloud::router(engine.clone())),
            "tingyu" => (Admission::Anybody, tingyu::router(engine.clone())),
            _ => (
                Admission::Clients,
                mef::router(engine.clone(), options.mef_options.clone()),
            ),
        };
        serving.spawn(listen::serve(
            socket,
            Arc::new(Tls::new(engine.clone(), admission)?),
            router,
            Arc::new(listen::Refusals::new(engine.clone(), name)),
            stop.clone(),
        ));
    }
    let running = Running {
        engine,
        listeners,
        console,
        stop,
        serving,
    };
    Ok(running.open_locally(&options.data, agent_files.as_deref()))
}

impl Running {
    /// Begins what only this machine uses: the socket in the data folder, and the agent beside the engine.
    fn open_locally(mut self, data: &Path, agent_files: Option<&Path>) -> Self {
        match local::listen(data) {
            Ok(listener) => {
                self.serving
                    .spawn(local::serve(listener, self.window_router(), self.stop.clone()));
            }
            // Everything else works without it.
            Err(error) => tracing::warn!(%error, "no local socket: a second program cannot use this engine"),
        }
        self.console.local_agent.start(agent_files);
        self
    }

    /// The console for the window: its requests are the local operator's.
    pub fn window_router(&self) -> Router {
        console::router(self.console.clone()).layer(Extension(LocalOperator))
    }

    /// Stops listening, lets open requests end, and closes the engine.
    pub async fn stop(mut self) {
        self.console.local_agent.stop().await;
        self.stop.cancel();
        while self.serving.join_next().await.is_some() {}
        self.engine.close().await;
    }
}

async fn bind(name: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::Taken { name, address },
        _ => StartError::Listen { name, address, source },
    })
}

/// Addresses of this machine's interfaces, but for loopback and link-local ones.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else {
        return Vec::new();
    };
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|at| IpAddr::V4(at.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|at| IpAddr::V6(at.ip())))
    };
    let far = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let mut found: Vec<IpAddr> = interfaces.filter_map(address).filter(far).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.dedup();
    found
}

/// Names and addresses that the engine's certificate carries.
fn hosts(own: &[IpAddr]) -> BTreeSet<String> {
    let mut hosts: BTreeSet<String> = ["localhost", "127.0.0.1", "::1"].map(ToOwned::to_owned).into();
    hosts.extend(own.iter().map(ToString::to_string));
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    hosts.extend(
        name.filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))),
    );
    hosts
}

fn agent_addresses(own: &[IpAddr], listening: SocketAddr) -> Vec<String> {
    let at = |ip: IpAddr| SocketAddr::new(ip, listening.port()).to_string();
    if !listening.ip().is_unspecified() {
        return vec![listening.to_string()];
    }
    // IPv6 only where it is listened on.
    let reachable = own.iter().filter(|ip| ip.is_ipv4() || listening.is_ipv6());
    reachable.copied().chain([Ipv4Addr::LOCALHOST.into()]).map(at).collect()
}
