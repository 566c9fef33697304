//! Reading what other authorities made: certificate chains and revocation lists. All of it comes from outside.

use edgedeck_model::{
    Problem, Time,
    certificate::{CHAIN_BYTES_MAX, CHAIN_MAX, Certificate},
};
use edgedeck_protocol::revocation_mark;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use webpki::anchor_from_trusted_cert;
use x509_parser::{
    certificate::X509Certificate,
    oid_registry::{
        OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384, Oid,
    },
    parse_x509_certificate, parse_x509_crl,
    pem::Pem,
    public_key::PublicKey,
    revocation_list::CertificateRevocationList,
    time::ASN1Time,
    x509::X509Version,
};

const RSA_BITS_MIN: usize = 3_072;
const EC_BITS_MIN: usize = 256;
const DIGESTS: [Oid<'static>; 5] = [
    OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384,
];

/// Certificates that are not good any more, by the name of their issuer in DER and their serial number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(HashSet<(Vec<u8>, Vec<u8>)>);

impl Revoked {
    pub fn add(&mut self, issuer: &[u8], serial: &[u8]) {
        self.0.insert((issuer.to_owned(), bare(serial).to_owned()));
    }

    /// Whether a certificate in DER is on a list. One that cannot be read is: nothing is known of it.
    pub fn has(&self, certificate: &[u8]) -> bool {
        parse_x509_certificate(certificate).map_or(true, |(_, certificate)| {
            let key = (
                certificate.issuer().as_raw().to_owned(),
                bare(certificate.raw_serial()).to_owned(),
            );
            self.0.contains(&key)
        })
    }
}

/// A serial number without the zeros that only its encoding needs.
fn bare(serial: &[u8]) -> &[u8] {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    &serial[zeros..]
}

/// A chain that has passed every check, in DER.
pub struct Chain(Vec<Vec<u8>>);

/// The blocks of a PEM text that have this label; none if there is any other.
fn blocks(pem: &str, label: &str) -> Option<Vec<Vec<u8>>> {
    if pem.len() > CHAIN_BYTES_MAX {
        return None;
    }
    let blocks = Pem::iter_from_buffer(pem.as_bytes())
        .map(|block| {
            block
                .ok()
                .filter(|block| block.label == label)
                .map(|block| block.contents)
        })
        .collect::<Option<Vec<_>>>()?;
    (!blocks.is_empty()).then_some(blocks)
}

impl Chain {
    /// Reads what was checked when it was stored.
    pub fn stored(pem: &str) -> Option<Self> {
        blocks(pem, "CERTIFICATE").map(Self)
    }

    /// Checks a chain: every certificate a CA's of good strength that is valid now, one at least signed by itself and
    /// every other by one of the chain.
    pub fn check(field: &str, pem: &str, now: Time) -> Result<Self, Problem> {
        let refuse = |reason: &str| Problem::invalid(field, reason);
        let ders = blocks(pem, "CERTIFICATE").ok_or_else(|| refuse("certificate-form"))?;
        if ders.len() > CHAIN_MAX {
            return Err(refuse("certificate-count"));
        }
        let chain = ders
            .iter()
            .map(|der| whole(parse_x509_certificate(der)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refuse("certificate-form"))?;
        // The reader of these facts forgives more than TLS does, which must be able to use every certificate of the chain.
        if !ders
            .iter()
            .all(|der| anchor_from_trusted_cert(&der.as_slice().into()).is_ok())
        {
            return Err(refuse("certificate-form"));
        }
        let at = asn1(now);
        for certificate in &chain {
            if let Some(reason) = weakness(certificate, at) {
                return Err(refuse(reason));
            }
            let issuer = chain
                .iter()
                .filter(|issuer| issuer.subject().as_raw() == certificate.issuer().as_raw());
            if !issuer.into_iter().any(|issuer| signed(certificate, issuer)) {
                return Err(refuse("certificate-signature"));
            }
        }
        let has_root = chain.iter().any(|certificate| signed(certificate, certificate));
        if !has_root {
            return Err(refuse("certificate-signature"));
        }
        Ok(Self(ders))
    }

    pub fn ders(&self) -> &[Vec<u8>] {
        &self.0
    }

    pub fn facts(&self) -> Vec<Certificate> {
        self.0.iter().filter_map(|der| facts(der)).collect()
    }
}

/// Revocation lists that have passed every check, in DER.
pub struct Lists(Vec<Vec<u8>>);

impl Lists {
    pub fn stored(pem: &str) -> Option<Self> {
        blocks(pem, "X509 CRL").map(Self)
    }

    /// Checks lists against the chain of their authority: one of every certificate, whole, signed by it and valid now.
    pub fn check(field: &str, pem: &str, chain: &Chain, now: Time) -> Result<Self, Problem> {
        let refuse = |reason: &str| Problem::invalid(field, reason);
        let ders = blocks(pem, "X509 CRL").ok_or_else(|| refuse("crl-form"))?;
        let lists = ders
            .iter()
            .map(|der| whole(parse_x509_crl(der)))
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| refuse("crl-form"))?;
        if lists.len() != chain.0.len() {
            return Err(refuse("crl-chain"));
        }
        let at = asn1(now);
        for list in &lists {
            // A list of changes, of some certificates only or of other issuers' ones would pass for a whole one.
            let mut entries = list.iter_revoked_certificates().flat_map(|entry| entry.extensions());
            if list.extensions().iter().any(|extension| extension.critical)
                || entries.any(|extension| extension.critical)
            {
                return Err(refuse("crl-partial"));
            }
            if list.last_update() > at || list.next_update().is_some_and(|next| next < at) {
                return Err(refuse("crl-time"));
            }
        }
        for der in &chain.0 {
            let Some(certificate) = whole(parse_x509_certificate(der)) else {
                return Err(refuse("crl-chain"));
            };
            if !lists.iter().any(|list| is_of(list, &certificate)) {
                return Err(refuse("crl-chain"));
            }
        }
        Ok(Self(ders))
    }

    /// Whether every list was signed by a certificate of the chain.
    pub fn are_of(&self, chain: &Chain) -> bool {
        let signers: Vec<_> = chain
            .0
            .iter()
            .filter_map(|der| whole(parse_x509_certificate(der)))
            .collect();
        let mut lists = self.0.iter().map(|der| whole(parse_x509_crl(der)));
        lists.all(|list| list.is_some_and(|list| signers.iter().any(|signer| is_of(&list, signer))))
    }

    /// How many certificates are on the lists, and when the first should be replaced.
    pub fn facts(&self) -> (u32, Option<Time>) {
        let lists = || self.0.iter().filter_map(|der| whole(parse_x509_crl(der)));
        let count = lists()
            .map(|list| list.iter_revoked_certificates().count())
            .sum::<usize>();
        let next = lists().filter_map(|list| list.next_update()).map(time).min();
        (u32::try_from(count).unwrap_or(u32::MAX), next)
    }

    /// What is on the lists, for those who check by marks.
    pub fn marks(&self) -> Vec<u64> {
        let mut marks = Vec::new();
        for list in self.0.iter().filter_map(|der| whole(parse_x509_crl(der))) {
            let issuer = list.issuer().as_raw();
            let entries = list.iter_revoked_certificates();
            marks.extend(entries.map(|entry| revocation_mark(issuer, entry.raw_serial())));
        }
        marks
    }

    pub fn add_to(&self, revoked: &mut Revoked) {
        for list in self.0.iter().filter_map(|der| whole(parse_x509_crl(der))) {
            for entry in list.iter_revoked_certificates() {
                revoked.add(list.issuer().as_raw(), entry.raw_serial());
            }
        }
    }
}

/// What was parsed, unless something follows it.
fn whole<T, E>(parsed: Result<(&[u8], T), E>) -> Option<T> {
    parsed
        .ok()
        .filter(|(rest, _)| rest.is_empty())
        .map(|(_, parsed)| parsed)
}

fn is_of(list: &CertificateRevocationList<'_>, issuer: &X509Certificate<'_>) -> bool {
    list.issuer().as_raw() == issuer.subject().as_raw() && list.verify_signature(issuer.public_key()).is_ok()
}

fn signed(certificate: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> bool {
    certificate.verify_signature(Some(issuer.public_key())).is_ok()
}

/// Why a certificate cannot be an authority's.
fn weakness(certificate: &X509Certificate<'_>, at: ASN1Time) -> Option<&'static str> {
    let is_ca = certificate.version() == X509Version::V3
        && certificate.is_ca()
        && certificate
            .key_usage()
            .ok()
            .flatten()
            .is_some_and(|usage| usage.value.key_cert_sign());
    let is_strong = match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size() >= RSA_BITS_MIN,
        Ok(PublicKey::EC(point)) => point.key_size() >= EC_BITS_MIN,
        _ => false,
    };
    let checks = [
        (is_ca, "certificate-not-ca"),
        (certificate.validity().is_valid_at(at), "certificate-time"),
        (is_strong, "certificate-key"),
        (
            DIGESTS.contains(&certificate.signature_algorithm.algorithm),
            "certificate-digest",
        ),
    ];
    checks.into_iter().find(|(good, _)| !good).map(|(_, reason)| reason)
}

pub fn facts(der: &[u8]) -> Option<Certificate> {
    let certificate = whole(parse_x509_certificate(der))?;
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        serial: with_colons(certificate.raw_serial()),
        fingerprint: with_colons(&Sha256::digest(der)),
        begins: time(certificate.validity().not_before),
        ends: time(certificate.validity().not_after),
    })
}

pub fn with_colons(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

fn time(time: ASN1Time) -> Time {
    Time(time.timestamp().saturating_mul(1_000))
}

fn asn1(time: Time) -> ASN1Time {
    ASN1Time::new(super::date(time))
}

/// Tries a chain, and after a NUL revocation lists, and drops the results: the entry for fuzzing.
///
/// # Panics
/// When what was let through does not hold what it promises.
pub fn parse_any(bytes: &[u8]) {
    const NOW: Time = Time(1_800_000_000_000);
    let text = String::from_utf8_lossy(bytes);
    let (chain, lists) = text.split_once('\0').unwrap_or((&text, ""));
    let checked = Chain::check("chain", chain, NOW);
    for chain in checked.ok().into_iter().chain(Chain::stored(chain)) {
        assert!(chain.facts().len() <= chain.ders().len());
        if let Ok(lists) = Lists::check("revocations", lists, &chain, NOW) {
            assert!(lists.are_of(&chain) && lists.facts().0 as usize >= lists.marks().len());
            lists.add_to(&mut Revoked::default());
        }
    }
    Revoked::default().has(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer, KeyIdMethod, KeyPair,
        KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };
    use std::sync::LazyLock;
    use time::{Duration, OffsetDateTime};

    const NOW: Time = Time(1_800_000_000_000);

    /// A root, and its list with one entry.
    static GOOD: LazyLock<(String, String)> = LazyLock::new(|| {
        let now = OffsetDateTime::from_unix_timestamp(NOW.0 / 1_000).unwrap();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (now - Duration::DAY, now + Duration::DAY);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().pem();
        let entry = RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[0, 0x80, 7]),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::HOUR,
            next_update: now + Duration::HOUR,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: vec![entry],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        (root, list.signed_by(&Issuer::new(params, key)).unwrap().pem().unwrap())
    });

    #[test]
    fn a_list_belongs_to_its_chain() {
        let chain = Chain::check("chain", &GOOD.0, NOW).unwrap();
        let lists = Lists::check("lists", &GOOD.1, &chain, NOW).unwrap();
        assert_eq!(lists.facts().0, 1);
        let mut revoked = Revoked::default();
        lists.add_to(&mut revoked);
        assert!(!revoked.has(&chain.ders()[0]));
        // A number is the same with or without the zeros before it.
        let (_, root) = parse_x509_certificate(&chain.ders()[0]).unwrap();
        let mut other = Revoked::default();
        other.add(root.subject().as_raw(), &[0x80, 7]);
        assert_eq!(revoked, other);
        assert!(revoked.has(b"no certificate"));
        assert!(Lists::check("lists", &GOOD.1, &chain, NOW.plus(2 * 3_600_000)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_panics(at in 0_usize..2_000, byte: u8, cut in 0_usize..2_000) {
            let chain = Chain::check("chain", &GOOD.0, NOW).unwrap();
            for (label, pem) in [("CERTIFICATE", &GOOD.0), ("X509 CRL", &GOOD.1)] {
                let mut der = blocks(pem, label).unwrap().remove(0);
                der.truncate(der.len().saturating_sub(cut % 40));
                let at = at % der.len();
                der[at] = byte;
                let changed = pem::encode(label, &der);
                // Unless it is what it was, its signature does not fit any more.
                let same = blocks(pem, label).unwrap()[0] == der;
                prop_assert_eq!(Chain::check("chain", &changed, NOW).is_ok(), same && label == "CERTIFICATE");
                // What stands around a signed list may be written in more than one way; the list is the same then.
                let lists = Lists::check("lists", &changed, &chain, NOW);
                prop_assert!(lists.is_ok() || !(same && label == "X509 CRL"));
                prop_assert!(label == "X509 CRL" || lists.is_err());
                if let Ok(lists) = lists {
                    let good = Lists::check("lists", &GOOD.1, &chain, NOW).unwrap();
                    prop_assert_eq!((lists.facts(), lists.marks()), (good.facts(), good.marks()));
                }
            }
        }
    }

    mod pem {
        use base64::{Engine, engine::general_purpose::STANDARD};

        pub fn encode(label: &str, der: &[u8]) -> String {
            format!(
                "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
                STANDARD.encode(der)
            )
        }
    }
}
