//! Packages of software, and a server outside the lab that nodes download them from: over TLS, with an account.

use crate::{authority::Authority, programs::program};
use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_model::software::{Manifest, NAME};
use edgedeck_protocol::software::{hash, pack};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{
    fs,
    net::Ipv4Addr,
    process::Command,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

pub const ACCOUNT: &str = "FileTransferAccount";
pub const PASSWORD: &str = "Huawei12#$";

/// The version of `edgedeck-agent-next`.
pub const NEXT: &str = "99.0.0";

/// A program that knows its version and does nothing.
pub fn script(version: &str) -> Vec<u8> {
    script_that(version, "exit 1")
}

/// A program that knows its version, and when it is run does this instead of an agent's work.
pub fn script_that(version: &str, does: &str) -> Vec<u8> {
    format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{NAME} {version}'; else {does}; fi\n").into_bytes()
}

/// A package that nobody has signed.
///
/// # Errors
/// When it cannot be packed.
pub fn package(version: &str, arch: &str, program: &[u8]) -> Result<Vec<u8>> {
    let manifest = Manifest {
        name: NAME.to_owned(),
        version: version.to_owned(),
        arch: arch.to_owned(),
        sha256: hash(program)?,
    };
    let mut out = Vec::new();
    pack(&manifest, program, program.len() as u64, |_| None, &mut out)?;
    Ok(out)
}

/// A package of the agent of a version to come.
///
/// # Errors
/// When it cannot be made.
pub fn next() -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let stripped = folder.path().join("agent");
    let done = Command::new("strip")
        .arg(program("edgedeck-agent-next")?)
        .arg("-o")
        .arg(&stripped)
        .status();
    ensure!(done.context("strip")?.success());
    package(NEXT, std::env::consts::ARCH, &fs::read(stripped)?)
}

/// What a client has asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub path: String,
    /// The value of the header `nodeID`.
    pub node: Option<String>,
    pub authorized: bool,
}

/// The server; it ends with this value.
pub struct SoftwareServer {
    pub url: String,
    served: watch::Sender<Served>,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Served {
    package: Arc<Vec<u8>>,
    /// It sends half of the package and then stands still.
    stands_still: bool,
}

impl SoftwareServer {
    /// Starts one at an address of this machine, with a certificate of `authority` that has this serial number.
    ///
    /// # Errors
    /// When it cannot listen.
    pub async fn start(ip: Ipv4Addr, authority: &Authority, serial: u64) -> Result<Self> {
        let pem = authority.server(&ip.to_string(), serial)?;
        let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(pem.as_bytes())?)?;
        let listener = TcpListener::bind((ip, 0)).await?;
        let url = format!("https://{}/repo/MEFEdge.tar.gz", listener.local_addr()?);
        let (served, serving) = watch::channel(Served::default());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, log) = (TlsAcceptor::from(Arc::new(config)), asked.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, serving, log) = (acceptor.clone(), serving.clone(), log.clone());
                tokio::spawn(async move {
                    // Clients that trust nobody here, or go away, are part of the tests.
                    let _served = serve(acceptor.accept(stream).await?, serving, log).await;
                    anyhow::Ok(())
                });
            }
        });
        Ok(Self {
            url,
            served,
            asked,
            task,
        })
    }

    pub fn offer(&self, package: Vec<u8>) {
        self.served.send_modify(|served| served.package = Arc::new(package));
    }

    /// Makes downloads stand still in the middle from now on, or go on.
    pub fn hold(&self, stands_still: bool) {
        self.served.send_modify(|served| served.stands_still = stands_still);
    }

    /// All that was asked for since the last look.
    ///
    /// # Errors
    /// When a request before has panicked.
    pub fn asked(&self) -> Result<Vec<Asked>> {
        let mut asked = self.asked.lock().ok().context("a request panicked")?;
        Ok(std::mem::take(&mut *asked))
    }
}

impl Drop for SoftwareServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    mut serving: watch::Receiver<Served>,
    log: Arc<Mutex<Vec<Asked>>>,
) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
        ensure!(head.len() < 16 * 1024, "a long request");
    }
    let head = String::from_utf8(head)?;
    let header = |name: &str| {
        let lines = head.lines().skip(1);
        let mut values = lines.filter_map(|line| line.split_once(": "));
        values
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let expected = format!("Basic {}", STANDARD.encode(format!("{ACCOUNT}:{PASSWORD}")));
    let asked = Asked {
        path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
        node: header("nodeID"),
        authorized: header("authorization") == Some(expected),
    };
    let authorized = asked.authorized && head.starts_with("GET ");
    log.lock().ok().context("a request panicked")?.push(asked);
    if !authorized {
        stream
            .write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await?;
        return Ok(stream.shutdown().await?);
    }
    let package = serving.borrow().package.clone();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        package.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let (first, second) = package.split_at(package.len() / 2);
    stream.write_all(first).await?;
    stream.flush().await?;
    serving.wait_for(|served| !served.stands_still).await?;
    stream.write_all(second).await?;
    Ok(stream.shutdown().await?)
}
