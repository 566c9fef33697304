//! A light HTTPS client for load: one connection per client, kept open.

use crate::client::use_ring;
use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header, http::request::Builder};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One client's connection.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    token: Option<String>,
}

impl Connection {
    /// # Errors
    /// When there is nobody, or somebody else than the lab's engine.
    pub async fn open(address: SocketAddr, ca_pem: &str, token: &str) -> Result<Self> {
        let config = ClientConfig::builder()
            .with_root_certificates(roots(ca_pem)?)
            .with_no_client_auth();
        Self::connect(address, config, Some(format!("Bearer {token}"))).await
    }

    /// As [`Self::open`], with a client certificate and its key in one PEM text.
    ///
    /// # Errors
    /// As there.
    pub async fn open_as(address: SocketAddr, ca_pem: &str, identity: &str) -> Result<Self> {
        let chain = CertificateDer::pem_slice_iter(identity.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(identity.as_bytes())?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots(ca_pem)?)
            .with_client_auth_cert(chain, key)?;
        Self::connect(address, config, None).await
    }

    async fn connect(address: SocketAddr, config: ClientConfig, token: Option<String>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(Arc::new(config))
            .connect(ServerName::from(address.ip()), stream)
            .await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("a connection under load ended: {error}");
            }
        });
        Ok(Self { sender, token })
    }

    /// Posts JSON and reads the whole answer.
    ///
    /// # Errors
    /// Any answer but success.
    pub async fn post(&mut self, path: &str, body: String) -> Result<Bytes> {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        self.ask(path, request, Bytes::from(body)).await
    }

    /// Reads a whole answer.
    ///
    /// # Errors
    /// Any answer but success.
    pub async fn get(&mut self, path: &str) -> Result<Bytes> {
        self.ask(path, Request::get(path), Bytes::new()).await
    }

    async fn ask(&mut self, path: &str, mut request: Builder, body: Bytes) -> Result<Bytes> {
        self.sender.ready().await?;
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.header(header::HOST, "engine").body(Full::new(body))?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let bytes = response
            .into_body()
            .collect()
            .await
            .context("reading the answer")?
            .to_bytes();
        ensure!(
            status.is_success(),
            "{path}: {status} {}",
            String::from_utf8_lossy(&bytes)
        );
        Ok(bytes)
    }
}

fn roots(ca_pem: &str) -> Result<RootCertStore> {
    use_ring();
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
        roots.add(certificate?)?;
    }
    Ok(roots)
}
