//! Certificates of authorities that are not the lab's.

use anyhow::{Context, Result, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use std::process::Command;
use time::{Duration, OffsetDateTime};

/// An authority with its key.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A good root on P-256, valid for a day.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn root(name: &str) -> Result<Self> {
        Self::root_but(name, |_| {})
    }

    /// A root that `change` has made different.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn root_but(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Result<Self> {
        let (params, key) = (authority(name, change), KeyPair::generate()?);
        Ok(Self {
            pem: params.self_signed(&key)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// An authority that this one has made.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn below(&self, name: &str) -> Result<Self> {
        let (params, key) = (authority(name, |_| {}), KeyPair::generate()?);
        Ok(Self {
            pem: params.signed_by(&key, &self.issuer)?.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// A client's certificate with its key, in one PEM text.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn client(&self, name: &str, serial: u64) -> Result<String> {
        let mut params = leaf(name, serial);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
    }

    /// A server's certificate for a host, with its key, in one PEM text.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn server(&self, host: &str, serial: u64) -> Result<String> {
        let mut params = leaf(host, serial);
        params.subject_alt_names = CertificateParams::new([host.to_owned()])?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(format!("{}{}", certificate.pem(), key.serialize_pem()))
    }

    /// A list of revoked serial numbers, valid for a day.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn crl(&self, serials: &[u64]) -> Result<String> {
        self.crl_but(serials, |_| {})
    }

    /// # Errors
    /// When it cannot be made.
    pub fn crl_but(
        &self,
        serials: &[u64],
        change: impl FnOnce(&mut CertificateRevocationListParams),
    ) -> Result<String> {
        let now = OffsetDateTime::now_utc();
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now - Duration::HOUR,
            reason_code: None,
            invalidity_date: None,
        };
        let mut params = CertificateRevocationListParams {
            this_update: now - Duration::HOUR,
            next_update: now + Duration::DAY,
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        change(&mut params);
        Ok(params.signed_by(&self.issuer)?.pem()?)
    }
}

fn authority(name: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = leaf(name, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    change(&mut params);
    params
}

fn leaf(name: &str, serial: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = OffsetDateTime::now_utc() - Duration::HOUR;
    params.not_after = OffsetDateTime::now_utc() + Duration::DAY;
    params
}

/// A root as `openssl` makes it: `key` as `rsa:3072`, `digest` as `sha256`.
///
/// # Errors
/// When `openssl` is missing or refuses.
pub fn openssl_root(key: &str, digest: &str) -> Result<String> {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "1",
            "-subj",
            "/CN=outside",
            "-keyout",
            "/dev/null",
        ])
        .args(["-newkey", key, &format!("-{digest}")])
        .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
        .output()
        .context("running openssl")?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(String::from_utf8(made.stdout)?)
}
