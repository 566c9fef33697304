//! The keys and certificates of simulated nodes, one line of JSON for each.

use edgedeck_agent::{
    home,
    identity::{self, Identity},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

#[derive(Serialize, Deserialize)]
struct Line {
    serial: String,
    key_pem: String,
    certificate_pem: String,
}

/// The lab's CAs, as the fleet has last heard of them.
const AUTHORITIES: &str = "authorities.pem";

/// Whether the nodes in a folder trust the CA with this hash.
pub fn knows_authority(folder: &Path, ca_hash: &str) -> bool {
    let pem = fs::read_to_string(folder.join(AUTHORITIES)).unwrap_or_default();
    identity::certificate_hashes(&pem).is_ok_and(|hashes| hashes.iter().any(|hash| hash == ca_hash))
}

pub struct Identities {
    folder: PathBuf,
    known: Mutex<HashMap<String, Identity>>,
    file: Mutex<File>,
}

impl Identities {
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("nodes.jsonl");
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .mode(0o600)
            .open(path)?;
        let mut known = HashMap::new();
        for line in BufReader::new(&file).lines() {
            // A line that a crash cut off belongs to a node that joins again, as far as the engine lets it.
            if let Ok(line) = serde_json::from_str::<Line>(&line?) {
                known.insert(
                    line.serial,
                    Identity {
                        key_pem: line.key_pem,
                        certificate_pem: line.certificate_pem,
                    },
                );
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            known: Mutex::new(known),
            file: Mutex::new(file),
        })
    }

    /// # Errors
    /// Those of the file system.
    pub fn keep_authorities(&self, pem: &str) -> io::Result<()> {
        home::replace(&self.folder.join(AUTHORITIES), pem.as_bytes())
    }

    /// The identity of a node that joined before; given away, because a node needs it once.
    pub fn take(&self, serial: &str) -> Option<Identity> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(serial)
    }

    /// Gives one back.
    pub fn put(&self, serial: &str, identity: Identity) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(serial.to_owned(), identity);
    }

    /// # Errors
    /// Those of the file system.
    pub fn store(&self, serial: &str, identity: &Identity) -> io::Result<()> {
        let line = Line {
            serial: serial.to_owned(),
            key_pem: identity.key_pem.clone(),
            certificate_pem: identity.certificate_pem.clone(),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        self.file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_by_every_ca_that_they_trust() {
        let folder = tempfile::tempdir().unwrap();
        let identities = Identities::open(folder.path()).unwrap();
        let ca = || {
            let made = rcgen::generate_simple_self_signed(["lab".to_owned()]).unwrap();
            made.cert.pem()
        };
        let (first, second) = (ca(), ca());
        let knows = |pem: &str| knows_authority(folder.path(), &identity::certificate_hash(pem).unwrap());
        assert!(!knows(&first));
        identities.keep_authorities(&first).unwrap();
        assert!(knows(&first) && !knows(&second));
        identities.keep_authorities(&format!("{second}{first}")).unwrap();
        assert!(knows(&first) && knows(&second));
    }
}
