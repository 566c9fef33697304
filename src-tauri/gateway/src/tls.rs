//! TLS for the listeners: the engine's certificate, and who may show a client certificate.

use edgedeck_engine::Pki;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::sync::Arc;

/// Whether a listener asks for a client certificate of the lab's CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    No,
    /// Verified where shown; the router decides who needs one.
    Optional,
    Required,
}

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the engine's certificate is not usable")]
    Certificate(#[source] rustls::pki_types::pem::Error),
    #[error("the lab's CA is not usable")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

pub fn config(pki: &Pki, client: ClientCertificate) -> Result<Arc<ServerConfig>, TlsError> {
    let server = pki.server();
    let chain = CertificateDer::pem_slice_iter(server.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).map_err(TlsError::Certificate)?;
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = if client == ClientCertificate::No {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(pki.ca_der().to_vec()))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
        let verifier = match client {
            ClientCertificate::Required => verifier,
            _ => verifier.allow_unauthenticated(),
        };
        builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Verifier)?)
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
