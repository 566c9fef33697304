//! A light HTTPS client for load: one connection per client, kept open.

use crate::client::use_ring;
use anyhow::{Context, Result, ensure};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// One client's connection.
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    token: String,
}

impl Connection {
    /// # Errors
    /// When there is nobody, or somebody else than the lab's engine.
    pub async fn open(address: SocketAddr, ca_pem: &str, token: &str) -> Result<Self> {
        use_ring();
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
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
        Ok(Self {
            sender,
            token: format!("Bearer {token}"),
        })
    }

    /// Posts JSON and reads the whole answer.
    ///
    /// # Errors
    /// Any answer but success.
    pub async fn post(&mut self, path: &str, body: String) -> Result<Bytes> {
        self.sender.ready().await?;
        let request = Request::post(path)
            .header(header::HOST, "engine")
            .header(header::AUTHORIZATION, &self.token)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
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
