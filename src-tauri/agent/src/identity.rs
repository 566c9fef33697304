//! Who a node is: its key pair, the certificate that the engine gave it, and the lab's CA that it trusts.

use edgedeck_model::{Time, certificate::NodeTrust};
use edgedeck_protocol::{Trusted, revocation_mark};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use std::{collections::HashSet, sync::Arc};

/// Something about keys or certificates that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("making a key or a certificate request")]
    Make(#[from] rcgen::Error),
    #[error("reading the {what} (PEM)")]
    Pem {
        what: &'static str,
        source: rustls_pki_types::pem::Error,
    },
    #[error("the {0} holds no certificate")]
    Empty(&'static str),
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
    #[error("setting up the check of the engine's certificate")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    #[error("reading a certificate: {0}")]
    Certificate(String),
}

/// The parts of an identity, as they are stored.
#[derive(Clone, Debug)]
pub struct Identity {
    pub key_pem: String,
    pub certificate_pem: String,
}

/// What every TLS connection of this process shares: the ring provider and the trust in one CA.
#[derive(Clone, Debug)]
pub struct Trust {
    provider: Arc<CryptoProvider>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl Trust {
    /// Trusts the certificates of this CA and no others.
    ///
    /// # Errors
    /// [`IdentityError`] when the PEM does not hold a CA certificate.
    pub fn new(ca_pem: &str) -> Result<Self, IdentityError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca_pem, "CA certificate")? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
        Ok(Self { provider, verifier })
    }

    /// A client that shows no certificate; for joining.
    ///
    /// # Errors
    /// [`IdentityError::Tls`] when the provider offers no protocol version.
    pub fn anonymous(&self) -> Result<ClientConfig, IdentityError> {
        Ok(self.builder()?.with_no_client_auth())
    }

    /// A client that shows the node's certificate.
    ///
    /// # Errors
    /// [`IdentityError`] when key and certificate cannot be read or do not belong together.
    pub fn client(&self, identity: &Identity) -> Result<ClientConfig, IdentityError> {
        let chain = certificates(&identity.certificate_pem, "node certificate")?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|source| IdentityError::Pem {
            what: "node key",
            source,
        })?;
        let mut config = self.builder()?.with_client_auth_cert(chain, key)?;
        // One engine is all that a node ever talks to.
        config.resumption = Resumption::in_memory_sessions(2);
        Ok(config)
    }

    fn builder(&self) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, IdentityError> {
        let builder =
            ClientConfig::builder_with_provider(self.provider.clone()).with_safe_default_protocol_versions()?;
        Ok(builder.with_webpki_verifier(self.verifier.clone()))
    }
}

/// A client for a server outside the lab: its certificate must come from an authority, which has not taken it back.
///
/// # Errors
/// [`IdentityError`] when the authority's certificates cannot be read.
pub fn outside_client(trusted: &Trusted) -> Result<ClientConfig, IdentityError> {
    let revoked: HashSet<u64> = trusted.revoked.iter().copied().collect();
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&trusted.chain_pem, "authority's certificate")? {
        if !is_revoked(&revoked, &certificate) {
            roots.add(certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unrevoked { inner, revoked }))
        .with_no_client_auth();
    Ok(config)
}

/// One that cannot be read is as good as taken back.
fn is_revoked(revoked: &HashSet<u64>, certificate: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(certificate).map_or(true, |(_, certificate)| {
        let mark = revocation_mark(certificate.issuer().as_raw(), certificate.raw_serial());
        revoked.contains(&mark)
    })
}

/// The usual checks, and that no certificate of the chain was taken back.
#[derive(Debug)]
struct Unrevoked {
    inner: Arc<WebPkiServerVerifier>,
    revoked: HashSet<u64>,
}

impl ServerCertVerifier for Unrevoked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut chain = std::iter::once(end_entity).chain(intermediates);
        if chain.any(|certificate| is_revoked(&self.revoked, certificate)) {
            return Err(rustls::CertificateError::Revoked.into());
        }
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| IdentityError::Pem { what, source })?;
    if found.is_empty() {
        Err(IdentityError::Empty(what))
    } else {
        Ok(found)
    }
}

/// A new ECDSA P-256 key, in PEM.
///
/// # Errors
/// [`IdentityError::Make`] when the system has no randomness.
pub fn new_key() -> Result<String, IdentityError> {
    Ok(KeyPair::generate()?.serialize_pem())
}

/// A certificate request (PKCS#10, PEM) of a key, with the serial number as common name.
///
/// # Errors
/// [`IdentityError::Make`] when the key cannot be read.
pub fn request(key_pem: &str, serial: &str) -> Result<String, IdentityError> {
    let key = KeyPair::from_pem(key_pem)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, serial);
    Ok(params.serialize_request(&key)?.pem()?)
}

/// SHA-256 of the first certificate (DER) of a PEM, in lower-case hex.
///
/// # Errors
/// [`IdentityError`] when there is none.
pub fn certificate_hash(pem: &str) -> Result<String, IdentityError> {
    let first = certificate_hashes(pem)?.into_iter().next();
    first.ok_or(IdentityError::Empty("certificate"))
}

fn hash_of(der: &[u8]) -> String {
    hex::encode(Sha256::digest(der))
}

/// SHA-256 of every certificate (DER) of a PEM, in lower-case hex.
///
/// # Errors
/// [`IdentityError`] when it cannot be read.
pub fn certificate_hashes(pem: &str) -> Result<Vec<String>, IdentityError> {
    let all = certificates(pem, "certificate")?;
    Ok(all.iter().map(|der| hash_of(der)).collect())
}

/// Which CAs of a PEM are trusted, and which of them a certificate names as its issuer.
///
/// # Errors
/// [`IdentityError`] when one of them cannot be read.
pub fn trust_of(ca_pem: &str, certificate_pem: &str) -> Result<NodeTrust, IdentityError> {
    let wrong = |error: x509_parser::nom::Err<_>| IdentityError::Certificate(error.to_string());
    let own = certificates(certificate_pem, "node certificate")?;
    let own = own.first().ok_or(IdentityError::Empty("node certificate"))?;
    let (_, own) = x509_parser::parse_x509_certificate(own).map_err(wrong)?;
    let mut trust = NodeTrust::default();
    for der in certificates(ca_pem, "CA certificate")? {
        let (_, root) = x509_parser::parse_x509_certificate(&der).map_err(wrong)?;
        let hash = hash_of(&der);
        if root.subject().as_raw() == own.issuer().as_raw() {
            trust.issuer.clone_from(&hash);
        }
        trust.roots.push(hash);
    }
    Ok(trust)
}

/// From when to when the first certificate of a PEM holds.
///
/// # Errors
/// [`IdentityError`] when there is none or it cannot be read.
pub fn validity(pem: &str) -> Result<(Time, Time), IdentityError> {
    let first = certificates(pem, "certificate")?
        .into_iter()
        .next()
        .ok_or(IdentityError::Empty("certificate"))?;
    let (_, parsed) =
        x509_parser::parse_x509_certificate(&first).map_err(|error| IdentityError::Certificate(error.to_string()))?;
    let ms = |at: x509_parser::time::ASN1Time| Time(at.timestamp().saturating_mul(1_000));
    Ok((ms(parsed.validity().not_before), ms(parsed.validity().not_after)))
}

/// Whether a certificate of this validity should be renewed: at most a third of its life is left.
pub fn renewal_due((from, to): (Time, Time), now: Time) -> bool {
    to.since(now) <= to.since(from) / 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_carries_the_serial_number_and_the_key() {
        let key = new_key().unwrap();
        let pem = request(&key, "盒子 / 1").unwrap();
        let (_, der) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
        let (_, csr) = {
            use x509_parser::prelude::FromDer;
            x509_parser::certification_request::X509CertificationRequest::from_der(&der.contents).unwrap()
        };
        let info = &csr.certification_request_info;
        let name = info.subject.iter_common_name().next().unwrap().as_str().unwrap();
        assert_eq!(name, "盒子 / 1");
        let public = KeyPair::from_pem(&key).unwrap();
        assert_eq!(
            info.subject_pki.raw,
            rcgen::PublicKeyData::subject_public_key_info(&public)
        );
    }

    #[test]
    fn renewal_is_due_in_the_last_third() {
        let day = |n: i64| Time(n * edgedeck_model::time::DAY);
        assert!(!renewal_due((day(0), day(90)), day(59)));
        assert!(renewal_due((day(0), day(90)), day(60)));
        assert!(renewal_due((day(0), day(90)), day(100)));
    }

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        assert!(matches!(Trust::new(""), Err(IdentityError::Empty(_))));
        assert!(certificate_hash("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n").is_err());
        let key = new_key().unwrap();
        assert!(certificate_hash(&key).is_err());
    }
}
