//! The lab's certificate authority: the engine's own certificate, the nodes' and the API clients'.

mod authorities;
mod clients;
mod x509;

pub use authorities::stored_chain;
pub use clients::{ClientTrust, Clients};
pub use x509::Revoked;

use crate::{
    Clock,
    error::{Error, Result},
    seal::{Seal, SealError},
    store::{Store, Tx},
};
use edgedeck_model::{NodeId, Problem, Time, certificate::Certificate, time::DAY};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rusqlite::{OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::{collections::BTreeSet, net::IpAddr};
use time::OffsetDateTime;
use zeroize::Zeroizing;

const CA_DAYS: i64 = 7_300;
const SERVER_DAYS: i64 = 730;
/// How long a node's certificate lasts; its agent renews when a third is left.
const NODE_DAYS: i64 = 90;
const CLIENT_DAYS: i64 = 730;
/// Begin of the URI in a node's certificate; its id follows.
pub const NODE_URI: &str = "edgedeck:node:";
/// Begin of the URI in an API client's certificate; its name follows.
pub const CLIENT_URI: &str = "edgedeck:client:";

#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("making a certificate")]
    Make(#[from] rcgen::Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the database failed")]
    Store(#[from] Error),
    #[error("the stored {0} is not readable")]
    Stored(&'static str),
}

/// The authority and the engine's own certificate.
pub struct Pki {
    ca_pem: String,
    ca_der: Vec<u8>,
    ca_subject: Vec<u8>,
    ca_facts: Certificate,
    issuer: Issuer<'static, KeyPair>,
    server: ServerCertificate,
}

/// What the engine's TLS listeners present.
#[derive(Clone)]
pub struct ServerCertificate {
    /// The certificate, then the CA's.
    pub chain_pem: String,
    pub key_pem: Zeroizing<String>,
    pub ends: Time,
}

/// A certificate with its key, for somebody else to keep.
pub struct Issued {
    pub serial: Vec<u8>,
    pub ends: Time,
    pub certificate_pem: String,
    pub key_pem: Zeroizing<String>,
}

/// The certificate made for a node's request.
pub struct NodeCertificate {
    pub pem: String,
    pub ends: Time,
    pub key_hash: String,
}

impl Pki {
    /// Reads the authority, or makes it at the first run; renews the engine's certificate when it is about to end or
    /// one of `hosts` is not in it.
    ///
    /// # Errors
    /// When a stored secret cannot be opened, or the database cannot be written.
    pub async fn open(
        store: &Store,
        seal: &Seal,
        clock: &Clock,
        hosts: &BTreeSet<String>,
    ) -> std::result::Result<Self, PkiError> {
        let now = clock.now();
        let (ca_pem, ca_key) = match (load(store, seal, "ca-certificate")?, load(store, seal, "ca-key")?) {
            (Some(pem), Some(key)) => (pem.to_string(), key),
            _ => {
                let (pem, key) = make_ca(now)?;
                save(store, seal, &[("ca-certificate", &pem), ("ca-key", &key)]).await?;
                (pem, key)
            }
        };
        let issuer = Issuer::from_ca_cert_pem(&ca_pem, KeyPair::from_pem(&ca_key)?)?;
        let (ca_der, _) = parse(&ca_pem).ok_or(PkiError::Stored("CA certificate"))?;
        let ca_facts = x509::facts(&ca_der).ok_or(PkiError::Stored("CA certificate"))?;
        let ca_subject = x509_parser::parse_x509_certificate(&ca_der)
            .map(|(_, certificate)| certificate.subject().as_raw().to_owned())
            .map_err(|_| PkiError::Stored("CA certificate"))?;
        let server = server(store, seal, &issuer, &ca_pem, hosts, now).await?;
        Ok(Self {
            ca_pem,
            ca_der,
            ca_subject,
            ca_facts,
            issuer,
            server,
        })
    }

    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub fn ca_der(&self) -> &[u8] {
        &self.ca_der
    }

    /// The CA's name in DER, as it stands in what it has issued.
    pub(crate) fn ca_subject(&self) -> &[u8] {
        &self.ca_subject
    }

    pub fn ca_facts(&self) -> &Certificate {
        &self.ca_facts
    }

    /// SHA-256 of the CA certificate in DER, in hex: what a join command pins.
    pub fn ca_hash(&self) -> String {
        hex::encode(Sha256::digest(&self.ca_der))
    }

    pub fn server(&self) -> &ServerCertificate {
        &self.server
    }

    /// Signs the key of a node's request. Nothing else of the request is taken over.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`] for a request that is broken or not signed by its own key.
    pub fn sign_node(
        &self,
        csr_pem: &str,
        node: NodeId,
        serial: &str,
        now: Time,
    ) -> std::result::Result<NodeCertificate, Problem> {
        let invalid = |error: rcgen::Error| Problem {
            detail: Some(error.to_string()),
            ..Problem::invalid("csr_pem", "csr-form")
        };
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).map_err(invalid)?;
        let ends = now.plus(NODE_DAYS * DAY);
        let mut params = leaf(serial, now, ends).map_err(Problem::internal)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![uri(&format!("{NODE_URI}{node}")).map_err(Problem::internal)?];
        request.params = params;
        let certificate = request.signed_by(&self.issuer).map_err(Problem::internal)?;
        Ok(NodeCertificate {
            pem: certificate.pem(),
            ends,
            key_hash: key_hash(request.public_key.der_bytes()),
        })
    }

    /// Makes a client certificate for an API, with its key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn client(&self, name: &str, now: Time) -> std::result::Result<Issued, PkiError> {
        let key = KeyPair::generate()?;
        let ends = now.plus(CLIENT_DAYS * DAY);
        let mut params = leaf(name, now, ends)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.subject_alt_names = vec![uri(&format!("{CLIENT_URI}{}", hex::encode(name)))?];
        let serial = params
            .serial_number
            .as_ref()
            .map(SerialNumber::to_bytes)
            .unwrap_or_default();
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            serial,
            ends,
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem().into(),
        })
    }
}

/// SHA-256 of a public key's bits, in hex: a node's identity.
pub fn key_hash(key: &[u8]) -> String {
    hex::encode(Sha256::digest(key))
}

fn date(time: Time) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time.0 / 1_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn uri(text: &str) -> std::result::Result<SanType, rcgen::Error> {
    Ok(SanType::URI(text.try_into()?))
}

fn leaf(name: &str, now: Time, ends: Time) -> std::result::Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "EdgeDeck");
    // A box whose clock is somewhat behind must still accept it.
    params.not_before = date(now.plus(-DAY));
    params.not_after = date(ends);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let mut serial = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut serial)
        .map_err(|_| rcgen::Error::RingUnspecified)?;
    serial[0] &= 0x7f;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn make_ca(now: Time) -> std::result::Result<(String, Zeroizing<String>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = leaf("EdgeDeck lab CA", now, now.plus(CA_DAYS * DAY))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem().into()))
}

async fn server(
    store: &Store,
    seal: &Seal,
    issuer: &Issuer<'static, KeyPair>,
    ca_pem: &str,
    hosts: &BTreeSet<String>,
    now: Time,
) -> std::result::Result<ServerCertificate, PkiError> {
    let known: BTreeSet<String> = load(store, seal, "server-hosts")?
        .map(|hosts| hosts.lines().map(ToOwned::to_owned).collect())
        .unwrap_or_default();
    if hosts.is_subset(&known)
        && let (Some(pem), Some(key_pem)) = (
            load(store, seal, "server-certificate")?,
            load(store, seal, "server-key")?,
        )
        && let Some((_, ends)) = parse(&pem)
        && ends.since(now) > 30 * DAY
    {
        return Ok(ServerCertificate {
            chain_pem: format!("{}{ca_pem}", pem.as_str()),
            key_pem,
            ends,
        });
    }
    // Hosts that were good once stay good: a box may still use the old address.
    let all: BTreeSet<String> = known.union(hosts).cloned().collect();
    let key = KeyPair::generate()?;
    let ends = now.plus(SERVER_DAYS * DAY);
    let mut params = leaf("EdgeDeck engine", now, ends)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for host in &all {
        params.subject_alt_names.push(match host.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(host.as_str().try_into()?),
        });
    }
    let pem = params.signed_by(&key, issuer)?.pem();
    let key_pem: Zeroizing<String> = key.serialize_pem().into();
    let list = all.into_iter().collect::<Vec<_>>().join("\n");
    save(
        store,
        seal,
        &[
            ("server-certificate", &pem),
            ("server-key", &key_pem),
            ("server-hosts", &list),
        ],
    )
    .await?;
    Ok(ServerCertificate {
        chain_pem: format!("{pem}{ca_pem}"),
        key_pem,
        ends,
    })
}

fn parse(pem: &str) -> Option<(Vec<u8>, Time)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let ends = pem.parse_x509().ok()?.validity().not_after.timestamp();
    Some((pem.contents, Time(ends.saturating_mul(1_000))))
}

fn load(store: &Store, seal: &Seal, name: &str) -> std::result::Result<Option<Zeroizing<String>>, PkiError> {
    let sealed: Option<Vec<u8>> = store.read(|connection| {
        Ok(connection
            .query_row("SELECT sealed FROM secret WHERE name = ?1", [name], |row| row.get(0))
            .optional()?)
    })?;
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let bytes = seal.unseal(name, &sealed)?;
    Ok(Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
}

async fn save(store: &Store, seal: &Seal, secrets: &[(&str, &str)]) -> std::result::Result<(), PkiError> {
    let mut rows = Vec::new();
    for (name, secret) in secrets {
        rows.push(((*name).to_owned(), seal.seal(name, secret.as_bytes())?));
    }
    store
        .write(move |tx: &mut Tx<'_>| -> Result<()> {
            for (name, sealed) in rows {
                tx.execute(
                    "INSERT OR REPLACE INTO secret (name, sealed) VALUES (?1, ?2)",
                    params![name, sealed],
                )?;
            }
            Ok(())
        })
        .await?;
    Ok(())
}
