//! Sealing of secrets at rest, with a key that lies outside the database.

use crate::{error::Result, store::Tx};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom, SystemRandom},
};
use rusqlite::{Connection, OptionalExtension, params};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("reading or making the key file {path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "the key file {path} is not {KEY_BYTES} bytes long. Restore it from a backup: without it no secret can be read"
    )]
    Length { path: String },
    #[error("sealing failed")]
    Seal,
    #[error(
        "the secret {name} cannot be opened with this key file. Restore the key file that belongs to this database"
    )]
    Open { name: String },
}

/// Seals and opens secrets.
pub struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Seal {
    /// Reads the key, or makes one where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, or holds no key.
    pub fn open(path: &Path) -> std::result::Result<Self, SealError> {
        let shown = path.display().to_string();
        let file = |source| SealError::File {
            path: shown.clone(),
            source,
        };
        let bytes = match fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut bytes = Zeroizing::new(vec![0; KEY_BYTES]);
                SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::Seal)?;
                let mut out = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(file)?;
                out.write_all(&bytes).and_then(|()| out.sync_all()).map_err(file)?;
                bytes
            }
            Err(error) => return Err(file(error)),
        };
        Self::of(&bytes).ok_or(SealError::Length { path: shown })
    }

    /// Seals with this key; none unless it has 32 bytes.
    pub fn of(key: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
        Some(Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }

    /// Seals `secret` under its name: it cannot be opened under another.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn seal(&self, name: &str, secret: &[u8]) -> std::result::Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| SealError::Seal)?;
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Seal)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// # Errors
    /// When it was sealed with another key or under another name, or was changed.
    pub fn unseal(&self, name: &str, sealed: &[u8]) -> std::result::Result<Zeroizing<Vec<u8>>, SealError> {
        let fail = || SealError::Open { name: name.to_owned() };
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(fail)?;
        let mut bytes = Zeroizing::new(rest.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(name.as_bytes()),
                &mut bytes,
            )
            .map_err(|_| fail())?
            .len();
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// What is sealed under a name, if anything is.
///
/// # Errors
/// When the database cannot be read.
pub fn stored(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>> {
    let sealed = connection
        .prepare_cached("SELECT sealed FROM secret WHERE name = ?1")?
        .query_row([name], |row| row.get(0));
    Ok(sealed.optional()?)
}

impl Tx<'_> {
    /// Keeps what was sealed under a name, instead of what was there.
    pub fn put_secret(&mut self, name: &str, sealed: &[u8]) -> Result<()> {
        self.execute(
            "INSERT OR REPLACE INTO secret (name, sealed) VALUES (?1, ?2)",
            params![name, sealed],
        )?;
        Ok(())
    }

    pub fn forget_secret(&mut self, name: &str) -> Result<()> {
        self.execute("DELETE FROM secret WHERE name = ?1", [name])?;
        Ok(())
    }
}

/// Random bytes in lower-case hex, for tokens.
///
/// # Errors
/// When the system gives no randomness.
pub fn random_hex<const BYTES: usize>() -> std::result::Result<String, SealError> {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealError::Seal)?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_name_open_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        let seal = Seal::open(&folder.path().join("a")).unwrap();
        let sealed = seal.seal("ca", b"secret").unwrap();
        assert_eq!(seal.unseal("ca", &sealed).unwrap().as_slice(), b"secret");
        assert!(
            Seal::open(&folder.path().join("a"))
                .unwrap()
                .unseal("ca", &sealed)
                .is_ok()
        );
        assert!(seal.unseal("cb", &sealed).is_err());
        assert!(
            Seal::open(&folder.path().join("b"))
                .unwrap()
                .unseal("ca", &sealed)
                .is_err()
        );
        assert!(seal.unseal("ca", &sealed[..5]).is_err());
    }
}
