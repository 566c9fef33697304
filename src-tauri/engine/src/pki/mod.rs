//! The lab's certificate authority: the engine's own certificate, the nodes' and the API clients'.

mod authorities;
mod clients;
mod rotation;
mod x509;

pub use authorities::stored_chain;
pub use clients::{ClientTrust, Clients};
pub use rotation::judge_taken;
pub use x509::{Revoked, parse_any};

use crate::{
    Clock,
    error::{Error, Result},
    seal::{self, Seal, SealError},
    store::{Store, Tx},
};
use edgedeck_model::{
    NodeId, Problem, Time,
    certificate::{CaChange, Certificate},
    time::DAY,
};
use parking_lot::RwLock;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use zeroize::Zeroizing;

const CA_DAYS: i64 = 7_300;
const CA_NAME: &str = "EdgeDeck lab CA";
const SERVER_DAYS: i64 = 730;
/// The engine's certificate is renewed when less than this is left of it, in milliseconds.
const SERVER_RENEWED_BEFORE: i64 = 30 * DAY;
/// Most hosts in the engine's certificate.
const SERVER_HOSTS_MAX: usize = 64;
/// How long a node's certificate lasts; its agent renews when a third is left.
const NODE_DAYS: i64 = 90;
const CLIENT_DAYS: i64 = 730;
/// Names that secrets are sealed under.
const CA: &str = "ca-certificate";
const CA_KEY: &str = "ca-key";
const OTHER_CA: &str = "ca-other-certificate";
const OTHER_CA_KEY: &str = "ca-other-key";
const SERVER: &str = "server-certificate";
const SERVER_KEY: &str = "server-key";
const SERVER_HOSTS: &str = "server-hosts";
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

/// The lab's CAs and the engine's own certificate.
pub struct Pki {
    present: RwLock<Arc<LabCas>>,
    /// Held while they are changed, so that each change builds on the one before.
    changing: Mutex<()>,
    /// Something was written that [`Self::present`] does not show yet.
    is_stale: AtomicBool,
    /// The CAs have changed, and not everybody who goes by them was told.
    is_untold: AtomicBool,
    /// Names and addresses of this machine.
    hosts: BTreeSet<String>,
}

/// The lab's CAs at one moment.
pub struct LabCas {
    /// The one that certificates come from.
    pub current: LabCa,
    /// One more that is trusted, while the lab goes from one to the next.
    pub other: Option<(LabCa, CaChange)>,
    pub server: ServerCertificate,
    issuer: Issuer<'static, KeyPair>,
}

/// The certificate of one of the lab's CAs.
#[derive(Clone)]
pub struct LabCa {
    pub pem: String,
    pub der: Vec<u8>,
    pub facts: Certificate,
    /// SHA-256 of the certificate in DER, in hex: what a join command pins.
    pub hash: String,
    /// Its name in DER, as it stands in what it has issued.
    subject: Vec<u8>,
}

impl LabCa {
    fn of(pem: String) -> std::result::Result<Self, PkiError> {
        let wrong = || PkiError::Stored("CA certificate");
        let (der, _) = parse(&pem).ok_or_else(wrong)?;
        let facts = x509::facts(&der).ok_or_else(wrong)?;
        let subject = x509_parser::parse_x509_certificate(&der)
            .map(|(_, certificate)| certificate.subject().as_raw().to_owned())
            .map_err(|_| wrong())?;
        let hash = hex::encode(Sha256::digest(&der));
        Ok(Self {
            pem,
            der,
            facts,
            hash,
            subject,
        })
    }
}

impl LabCas {
    fn load(store: &Store, seal: &Seal) -> std::result::Result<Self, PkiError> {
        let needed = |name: &'static str| load(store, seal, name)?.ok_or(PkiError::Stored(name));
        let (pem, key) = (needed(CA)?, needed(CA_KEY)?);
        let issuer = Issuer::from_ca_cert_pem(&pem, KeyPair::from_pem(&key)?)?;
        let other = store
            .read(rotation::stored)?
            .map(|change| Ok::<_, PkiError>((LabCa::of(needed(OTHER_CA)?.to_string())?, change)));
        Ok(Self {
            server: ServerCertificate::of(&needed(SERVER)?, &pem, needed(SERVER_KEY)?, &needed(SERVER_HOSTS)?)?,
            current: LabCa::of(pem.to_string())?,
            other: other.transpose()?,
            issuer,
        })
    }

    /// All that are trusted, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &LabCa> {
        std::iter::once(&self.current).chain(self.other.as_ref().map(|(ca, _)| ca))
    }

    /// Their certificates in one text, the current one first.
    pub fn pem(&self) -> String {
        self.all().map(|ca| ca.pem.as_str()).collect()
    }
}

/// What the engine's TLS listeners present.
#[derive(Clone)]
pub struct ServerCertificate {
    /// The certificate, then the CA's.
    pub chain_pem: String,
    pub key_pem: Zeroizing<String>,
    pub ends: Time,
    /// The names and addresses in it, those of now first.
    pub hosts: Vec<String>,
}

impl ServerCertificate {
    fn of(pem: &str, ca_pem: &str, key_pem: Zeroizing<String>, hosts: &str) -> std::result::Result<Self, PkiError> {
        let (_, ends) = parse(pem).ok_or(PkiError::Stored("engine's certificate"))?;
        Ok(Self {
            chain_pem: format!("{pem}{ca_pem}"),
            key_pem,
            ends,
            hosts: hosts.lines().map(ToOwned::to_owned).collect(),
        })
    }

    /// Whether it carries all of these hosts, and will for a while.
    fn is_good(&self, hosts: &[String], now: Time) -> bool {
        hosts.iter().all(|host| self.hosts.contains(host)) && self.ends.since(now) > SERVER_RENEWED_BEFORE
    }
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
    /// Reads the CAs, or makes the first at the first run; renews the engine's certificate when it is about to end or one
    /// of `hosts` or `more` is not in it. `hosts` are this machine's.
    ///
    /// # Errors
    /// When a stored secret cannot be opened, or the database cannot be written.
    pub async fn open(
        store: &Store,
        seal: &Seal,
        clock: &Clock,
        hosts: BTreeSet<String>,
        more: &[String],
    ) -> std::result::Result<Self, PkiError> {
        let wanted = wanted(&hosts, more);
        let now = clock.now();
        let mut made = Vec::new();
        let (pem, key) = match load(store, seal, CA)?.zip(load(store, seal, CA_KEY)?) {
            Some(stored) => stored,
            None => {
                let (pem, key) = make_ca(CA_NAME, now)?;
                let pem = Zeroizing::new(pem);
                made.extend([(CA, pem.clone()), (CA_KEY, key.clone())]);
                (pem, key)
            }
        };
        if load(store, seal, SERVER)?.is_none() {
            made.extend(make_server(&pem, &key, &wanted, &[], now)?);
        }
        let made = sealed(seal, made)?;
        store.write(move |tx| put(tx, &made)).await?;
        let cas = Arc::new(LabCas::load(store, seal)?);
        let known = cas.clone();
        store.write(move |tx| known.name_issuers(tx)).await?;
        let pki = Self {
            present: RwLock::new(cas),
            changing: Mutex::default(),
            is_stale: AtomicBool::new(false),
            is_untold: AtomicBool::new(false),
            hosts,
        };
        pki.renew_server(store, seal, clock, more).await?;
        Ok(pki)
    }

    /// The CAs and the engine's certificate as they are now; another one after each change.
    pub fn present(&self) -> Arc<LabCas> {
        self.present.read().clone()
    }

    /// Makes the engine's certificate anew when it is about to end or a host is not in it.
    ///
    /// # Errors
    /// As [`Self::open`]; the one before stays.
    pub(crate) async fn renew_server(
        &self,
        store: &Store,
        seal: &Seal,
        clock: &Clock,
        more: &[String],
    ) -> std::result::Result<(), PkiError> {
        let wanted = wanted(&self.hosts, more);
        if self.present().server.is_good(&wanted, clock.now()) {
            return Ok(());
        }
        let _steady = self.steady(store, seal).await?;
        let present = self.present();
        if present.server.is_good(&wanted, clock.now()) {
            return Ok(());
        }
        let key = load(store, seal, CA_KEY)?.ok_or(PkiError::Stored("CA key"))?;
        let secrets = make_server(&present.current.pem, &key, &wanted, &present.server.hosts, clock.now())?;
        let sealed = sealed(seal, secrets)?;
        self.is_stale.store(true, Ordering::Relaxed);
        store.write(move |tx| put(tx, &sealed)).await?;
        self.reload(store, seal)
    }

    /// The right to change what is stored, or to build on it: [`Self::present`] shows all of it.
    async fn steady(&self, store: &Store, seal: &Seal) -> std::result::Result<MutexGuard<'_, ()>, PkiError> {
        let changing = self.changing.lock().await;
        if self.is_stale.load(Ordering::Relaxed) {
            self.reload(store, seal)?;
        }
        Ok(changing)
    }

    /// Reads what was written.
    fn reload(&self, store: &Store, seal: &Seal) -> std::result::Result<(), PkiError> {
        let cas = LabCas::load(store, seal)?;
        *self.present.write() = Arc::new(cas);
        self.is_stale.store(false, Ordering::Relaxed);
        Ok(())
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
        let certificate = request.signed_by(&self.present().issuer).map_err(Problem::internal)?;
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
        let certificate = params.signed_by(&key, &self.present().issuer)?;
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

/// The hosts for the engine's certificate, those that somebody has named first.
fn wanted(hosts: &BTreeSet<String>, named: &[String]) -> Vec<String> {
    let unnamed = hosts.iter().filter(|host| !named.contains(host));
    named.iter().chain(unnamed).take(SERVER_HOSTS_MAX).cloned().collect()
}

fn make_ca(name: &str, now: Time) -> std::result::Result<(String, Zeroizing<String>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = leaf(name, now, now.plus(CA_DAYS * DAY))?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = false;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem().into()))
}

type Secret = (&'static str, Zeroizing<String>);

/// A certificate for the engine, as it is stored. Hosts that were good once stay good for long: a box may still use an old
/// address.
fn make_server(
    ca_pem: &str,
    ca_key: &str,
    hosts: &[String],
    earlier: &[String],
    now: Time,
) -> std::result::Result<Vec<Secret>, PkiError> {
    let issuer = Issuer::from_ca_cert_pem(ca_pem, KeyPair::from_pem(ca_key)?)?;
    let earlier = earlier.iter().filter(|host| !hosts.contains(*host));
    let all: Vec<&String> = hosts.iter().chain(earlier).take(SERVER_HOSTS_MAX).collect();
    let key = KeyPair::generate()?;
    let mut params = leaf("EdgeDeck engine", now, now.plus(SERVER_DAYS * DAY))?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for host in &all {
        params.subject_alt_names.push(match host.parse::<IpAddr>() {
            Ok(ip) => SanType::IpAddress(ip),
            Err(_) => SanType::DnsName(host.as_str().try_into()?),
        });
    }
    let pem = params.signed_by(&key, &issuer)?.pem();
    let list = all.into_iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    Ok(vec![
        (SERVER, pem.into()),
        (SERVER_KEY, key.serialize_pem().into()),
        (SERVER_HOSTS, list.into()),
    ])
}

fn parse(pem: &str) -> Option<(Vec<u8>, Time)> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let ends = pem.parse_x509().ok()?.validity().not_after.timestamp();
    Some((pem.contents, Time(ends.saturating_mul(1_000))))
}

fn load(store: &Store, sealing: &Seal, name: &str) -> std::result::Result<Option<Zeroizing<String>>, PkiError> {
    let sealed = store.read(|connection| seal::stored(connection, name))?;
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let bytes = sealing.unseal(name, &sealed)?;
    Ok(Some(Zeroizing::new(String::from_utf8_lossy(&bytes).into_owned())))
}

type Sealed = Vec<(&'static str, Vec<u8>)>;

fn sealed(seal: &Seal, secrets: Vec<Secret>) -> std::result::Result<Sealed, SealError> {
    let seal = |(name, secret): Secret| Ok((name, seal.seal(name, secret.as_bytes())?));
    secrets.into_iter().map(seal).collect()
}

fn put(tx: &mut Tx<'_>, sealed: &Sealed) -> Result<()> {
    for (name, bytes) in sealed {
        tx.put_secret(name, bytes)?;
    }
    Ok(())
}
