//! TLS for the listeners: the engine's certificate, and who may show a client certificate.

use edgedeck_engine::{ClientTrust, Pki};
use parking_lot::Mutex;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::sync::Arc;
use tokio::sync::watch;

/// What a listener asks of the other end.
#[derive(Clone)]
pub enum Admission {
    Anybody,
    /// A certificate of the lab's CA is verified where shown; the router decides who needs one.
    Nodes,
    /// A certificate of the lab's CA or of the outside one for clients, that is not revoked.
    Clients(watch::Receiver<Arc<ClientTrust>>),
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

/// A listener's TLS, and who guards it.
#[derive(Clone)]
pub struct Tls {
    pub config: Arc<ServerConfig>,
    pub guard: Option<Arc<Guard>>,
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    Lab,
    Outside,
}

pub fn tls(pki: &Pki, admission: Admission) -> Result<Tls, TlsError> {
    let server = pki.server();
    let chain = CertificateDer::pem_slice_iter(server.chain_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(server.key_pem.as_bytes()).map_err(TlsError::Certificate)?;
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let lab = || roots([pki.ca_der()]);
    let (builder, guard) = match admission {
        Admission::Anybody => (builder.with_no_client_auth(), None),
        Admission::Nodes => {
            let verifier = WebPkiClientVerifier::builder_with_provider(lab()?, provider()).allow_unauthenticated();
            (
                builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Verifier)?),
                None,
            )
        }
        Admission::Clients(trust) => {
            let guard = Arc::new(Guard::new(lab()?, trust)?);
            (builder.with_client_cert_verifier(guard.clone()), Some(guard))
        }
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls {
        config: Arc::new(config),
        guard,
    })
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn roots<'a>(ders: impl IntoIterator<Item = &'a [u8]>) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for der in ders {
        roots.add(CertificateDer::from(der.to_vec()))?;
    }
    Ok(roots.into())
}

fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    verifier.build().map_err(TlsError::Verifier)
}

/// Judges client certificates by what the lab trusts now, which changes while connections are open.
#[derive(Debug)]
pub struct Guard {
    lab: Arc<dyn ClientCertVerifier>,
    trust: watch::Receiver<Arc<ClientTrust>>,
    outside: Mutex<Option<Outside>>,
}

/// The verifier of outside certificates that was made of a trust.
#[derive(Debug)]
struct Outside {
    trust: Arc<ClientTrust>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

impl Guard {
    fn new(lab: Arc<RootCertStore>, trust: watch::Receiver<Arc<ClientTrust>>) -> Result<Self, TlsError> {
        Ok(Self {
            lab: verifier(lab)?,
            trust,
            outside: Mutex::default(),
        })
    }

    /// Changes whenever a judgement may.
    pub fn changes(&self) -> watch::Receiver<Arc<ClientTrust>> {
        self.trust.clone()
    }

    fn outside(&self, trust: &Arc<ClientTrust>) -> Option<Arc<dyn ClientCertVerifier>> {
        let mut known = self.outside.lock();
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.trust, trust)) {
            return known.verifier.clone();
        }
        let ders = trust.outside.iter().map(Vec::as_slice);
        let made = (!trust.outside.is_empty()).then(|| roots(ders).and_then(verifier));
        let verifier = made.transpose().unwrap_or_else(|error| {
            tracing::error!(%error, "the outside CA for clients is not usable");
            None
        });
        *known = Some(Outside {
            trust: trust.clone(),
            verifier: verifier.clone(),
        });
        verifier
    }

    /// Whose certificate a chain begins with.
    ///
    /// # Errors
    /// When it is nobody's who may come in, or revoked.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<Issuer, Error> {
        let (leaf, rest) = chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        let trust = self.trust.borrow().clone();
        if trust.unknown {
            return Err(CertificateError::UnknownRevocationStatus.into());
        }
        let by_lab = self.lab.verify_client_cert(leaf, rest, now).map(|_| Issuer::Lab);
        let issuer = match (by_lab, self.outside(&trust)) {
            (
                Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)),
                Some(outside),
            ) => outside.verify_client_cert(leaf, rest, now).map(|_| Issuer::Outside),
            (by_lab, _) => by_lab,
        }?;
        if chain.iter().any(|certificate| trust.revoked.has(certificate)) {
            return Err(CertificateError::Revoked.into());
        }
        Ok(issuer)
    }
}

impl ClientCertVerifier for Guard {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // They change; a client that has one certificate shows it without a hint.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain: Vec<CertificateDer<'_>> = std::iter::once(leaf).chain(rest).cloned().collect();
        self.judge(&chain, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.lab.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.lab.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.lab.supported_verify_schemes()
    }
}
