//! TLS for the listeners: the engine's certificate, and who may show a client certificate.

use edgedeck_engine::{ClientTrust, Engine, LabCas};
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
use std::{fmt, sync::Arc};
use tokio::sync::watch;

/// What a listener asks of the other end.
#[derive(Clone, Copy)]
pub enum Admission {
    Anybody,
    /// A certificate of the lab's CAs is verified where shown; the router decides who needs one.
    Nodes,
    /// A certificate of the lab's CA or of the outside one for clients, that is not revoked.
    Clients,
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

/// What was made of something that changes, until it does.
struct Made<K, V>(Mutex<Option<(Arc<K>, V)>>);

impl<K, V: Clone> Made<K, V> {
    fn of(&self, key: &Arc<K>, make: impl FnOnce() -> V) -> V {
        let mut made = self.0.lock();
        match &*made {
            Some((known, value)) if Arc::ptr_eq(known, key) => value.clone(),
            _ => {
                let value = make();
                *made = Some((key.clone(), value.clone()));
                value
            }
        }
    }
}

impl<K, V> Default for Made<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A listener's TLS, and who guards it.
pub struct Tls {
    engine: Arc<Engine>,
    admission: Admission,
    /// With the lab's CAs and the engine's certificate as they are now; none if those cannot be used.
    config: Made<LabCas, Option<Arc<ServerConfig>>>,
    pub guard: Option<Arc<Guard>>,
}

/// Whose certificate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    Lab,
    Outside,
}

impl Tls {
    /// # Errors
    /// When the engine's certificate cannot be used.
    pub fn new(engine: Arc<Engine>, admission: Admission) -> Result<Self, TlsError> {
        let guard = match &admission {
            Admission::Clients => Some(Arc::new(Guard::new(engine.clone())?)),
            Admission::Anybody | Admission::Nodes => None,
        };
        let tls = Self {
            engine,
            admission,
            config: Made::default(),
            guard,
        };
        tls.make(&tls.engine.pki.present())?;
        Ok(tls)
    }

    /// What to meet a new connection with.
    pub fn config(&self) -> Option<Arc<ServerConfig>> {
        let present = self.engine.pki.present();
        self.config.of(&present, || {
            self.make(&present)
                .inspect_err(|error| tracing::error!(error = error as &dyn std::error::Error, "TLS cannot be set up"))
                .ok()
        })
    }

    fn make(&self, cas: &LabCas) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = CertificateDer::pem_slice_iter(cas.server.chain_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(cas.server.key_pem.as_bytes()).map_err(TlsError::Certificate)?;
        let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let builder = match (&self.admission, &self.guard) {
            (Admission::Nodes, _) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(lab_roots(cas)?, provider()).allow_unauthenticated();
                builder.with_client_cert_verifier(verifier.build().map_err(TlsError::Verifier)?)
            }
            (_, Some(guard)) => builder.with_client_cert_verifier(guard.clone()),
            (_, None) => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
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

fn usable(made: Result<Arc<dyn ClientCertVerifier>, TlsError>, what: &str) -> Verifier {
    made.inspect_err(|error| tracing::error!(error = error as &dyn std::error::Error, what, "a CA is not usable"))
        .ok()
}

fn verifier(roots: Arc<RootCertStore>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    verifier.build().map_err(TlsError::Verifier)
}

fn lab_roots(cas: &LabCas) -> Result<Arc<RootCertStore>, TlsError> {
    roots(cas.all().map(|ca| ca.der.as_slice()))
}

type Verifier = Option<Arc<dyn ClientCertVerifier>>;

/// Judges client certificates by what the lab trusts now, which changes while connections are open.
pub struct Guard {
    engine: Arc<Engine>,
    trust: watch::Receiver<Arc<ClientTrust>>,
    lab: Made<LabCas, Verifier>,
    outside: Made<ClientTrust, Verifier>,
    /// For what does not depend on whom the lab trusts.
    signatures: Arc<dyn ClientCertVerifier>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Guard {
    fn new(engine: Arc<Engine>) -> Result<Self, TlsError> {
        Ok(Self {
            signatures: verifier(lab_roots(&engine.pki.present())?)?,
            trust: engine.client_trust(),
            engine,
            lab: Made::default(),
            outside: Made::default(),
        })
    }

    /// Changes whenever a judgement may.
    pub fn changes(&self) -> watch::Receiver<Arc<ClientTrust>> {
        self.trust.clone()
    }

    fn lab(&self) -> Verifier {
        let cas = self.engine.pki.present();
        self.lab
            .of(&cas, || usable(lab_roots(&cas).and_then(verifier), "the lab's CA"))
    }

    fn outside(&self, trust: &Arc<ClientTrust>) -> Verifier {
        self.outside.of(trust, || {
            let ders = trust.outside.iter().map(Vec::as_slice);
            let made = (!trust.outside.is_empty()).then(|| roots(ders).and_then(verifier))?;
            usable(made, "the outside CA for clients")
        })
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
        let lab = self.lab().ok_or(CertificateError::UnknownIssuer)?;
        let by_lab = lab.verify_client_cert(leaf, rest, now).map(|_| Issuer::Lab);
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
        self.signatures.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.supported_verify_schemes()
    }
}
