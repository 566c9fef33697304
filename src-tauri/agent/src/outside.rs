//! What the engine sends of systems outside the lab: kept sealed, and the registry's authority shown to the container
//! engine.

use crate::{
    home::{Home, replace_as},
    sources::Sources,
};
use edgedeck_protocol::{Outside, RegistryAccount, decode, encode};
use parking_lot::RwLock;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom, SystemRandom},
};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::PathBuf,
    sync::Arc,
};

const FILE: &str = "outside.sealed";
/// Where Docker looks for the authority of a registry; Podman looks there, too.
const AUTHORITIES: &str = "etc/docker/certs.d";
/// The agent's own file in a registry's folder; others there are somebody else's.
const AUTHORITY: &str = "edgedeck.crt";

/// Why something was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    #[error("sealing what the engine sent")]
    Seal,
    #[error(transparent)]
    Home(#[from] crate::home::HomeError),
    #[error("writing {} for the container engine", path.display())]
    Authority { path: PathBuf, source: io::Error },
}

pub struct Outsides {
    home: Home,
    sources: Sources,
    present: RwLock<Arc<Outside>>,
}

impl Outsides {
    /// Reads what was kept. What cannot be opened is as good as nothing: the engine sends it again.
    pub fn open(home: Home, sources: Sources) -> Self {
        let kept = load(&home).unwrap_or_else(|| {
            if home.path().join(FILE).exists() {
                tracing::warn!("what the engine had sent of outside systems cannot be opened");
            }
            Outside::default()
        });
        let this = Self {
            home,
            sources,
            present: RwLock::new(Arc::new(kept)),
        };
        // A power cut, or somebody, may have taken what was shown.
        let present = this.present.read().clone();
        if let Err(error) = this.install(&present) {
            tracing::warn!("{}", crate::chain(&error));
        }
        this
    }

    pub fn revision(&self) -> u64 {
        self.present.read().revision
    }

    /// The account for the registry that an image comes from.
    pub fn account(&self, image: &str) -> Option<RegistryAccount> {
        let registry = edgedeck_model::image::registry_of(image)?;
        let present = self.present.read();
        let lab = present
            .lab
            .as_ref()
            .filter(|lab| lab.addresses.iter().any(|address| address == registry));
        if let Some(lab) = lab {
            return Some(RegistryAccount {
                address: registry.to_owned(),
                account: lab.account.clone(),
                password: lab.password.clone(),
            });
        }
        present.registry.clone().filter(|account| account.address == registry)
    }

    /// Where an image of the lab's registry can be had: its reference under each of the registry's addresses, as it is
    /// given first. Nothing for images of others, and for those that are named by their digest.
    pub fn places(&self, image: &str) -> Vec<String> {
        let present = self.present.read();
        let (Some(registry), Some(lab)) = (edgedeck_model::image::registry_of(image), &present.lab) else {
            return Vec::new();
        };
        let is_lab = lab.addresses.iter().any(|address| address == registry);
        let Some(path) = image.strip_prefix(registry).filter(|_| is_lab && !image.contains('@')) else {
            return Vec::new();
        };
        let others = lab.addresses.iter().filter(|address| *address != registry);
        let others = others.map(|address| format!("{address}{path}"));
        std::iter::once(image.to_owned()).chain(others).collect()
    }

    /// Keeps what the engine has sent and puts it to use.
    ///
    /// # Errors
    /// [`OutsideError`]; what was there before stays in use.
    pub fn take(&self, outside: Outside) -> Result<(), OutsideError> {
        self.install(&outside)?;
        let sealed = seal(&self.home, &outside).ok_or(OutsideError::Seal)?;
        self.home.write(FILE, &sealed)?;
        *self.present.write() = Arc::new(outside);
        Ok(())
    }

    /// Takes the authority away from the container engine again.
    pub fn remove(&self) {
        if let Err(error) = self.install(&Outside::default()) {
            tracing::warn!("{}", crate::chain(&error));
        }
    }

    /// Shows the container engine the registries' authorities, and no longer those that are not wanted any more.
    fn install(&self, outside: &Outside) -> Result<(), OutsideError> {
        let places = |outside: &Outside| -> BTreeMap<PathBuf, String> {
            let outer = outside.registry.iter().zip(&outside.images);
            let outer = outer.map(|(registry, images)| (registry.address.clone(), images.chain_pem.clone()));
            let lab = outside.lab.iter();
            let lab = lab.flat_map(|lab| {
                lab.addresses
                    .iter()
                    .map(|address| (address.clone(), lab.ca_pem.clone()))
            });
            // The engine has checked the addresses; a name that leads elsewhere must do no harm all the same.
            let good = |(address, _): &(String, String)| edgedeck_model::image::check_address(address).is_ok();
            let folder = |address: &str| self.sources.path(AUTHORITIES).join(address);
            outer
                .chain(lab)
                .filter(good)
                .map(|(address, pem)| (folder(&address), pem))
                .collect()
        };
        let (before, now) = (places(&self.present.read()), places(outside));
        for folder in before.keys().filter(|folder| !now.contains_key(*folder)) {
            // Either may be gone already, or hold what others have put there.
            let _gone = fs::remove_file(folder.join(AUTHORITY));
            let _empty = fs::remove_dir(folder);
        }
        for (folder, pem) in now {
            let path = folder.join(AUTHORITY);
            if fs::read(&path).is_ok_and(|shown| shown == pem.as_bytes()) {
                continue;
            }
            let written = DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&folder)
                .and_then(|()| replace_as(&path, pem.as_bytes(), 0o644));
            written.map_err(|source| OutsideError::Authority { path, source })?;
        }
        Ok(())
    }
}

/// The key of this node's seal: whoever has the node's key could get everything of the engine anyway.
fn key(home: &Home) -> Option<LessSafeKey> {
    let secret = home.key_pem().ok()?;
    let derived = Salt::new(HKDF_SHA256, b"edgedeck-agent").extract(secret.as_bytes());
    let key = derived.expand(&[b"outside"], &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(key)))
}

fn seal(home: &Home, outside: &Outside) -> Option<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).ok()?;
    let mut bytes = encode(outside).ok()?;
    let sealing = key(home)?.seal_in_place_append_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(FILE.as_bytes()),
        &mut bytes,
    );
    sealing.ok()?;
    Some([nonce.as_slice(), &bytes].concat())
}

fn load(home: &Home) -> Option<Outside> {
    let (_, sealed) = home.read(FILE).ok()?;
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut bytes = rest.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = key(home)?
        .open_in_place(nonce, Aad::from(FILE.as_bytes()), &mut bytes)
        .ok()?;
    decode(opened).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_protocol::{LabRegistry, Trusted};

    fn sent(revision: u64, address: &str) -> Outside {
        Outside {
            revision,
            registry: Some(RegistryAccount {
                address: address.to_owned(),
                account: "lab".to_owned(),
                password: "a secret word".to_owned(),
            }),
            images: Some(Trusted {
                chain_pem: "a chain".to_owned(),
                revoked: Vec::new(),
            }),
            lab: Some(LabRegistry {
                addresses: vec!["10.0.0.1:5443".to_owned(), "engine.lab:5443".to_owned()],
                account: "node".to_owned(),
                password: "another secret".to_owned(),
                ca_pem: "the lab's".to_owned(),
            }),
        }
    }

    #[test]
    fn what_is_taken_is_kept_sealed_and_shown_to_the_container_engine() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        home.create().unwrap();
        home.store_key(&crate::identity::new_key().unwrap()).unwrap();
        let sources = Sources {
            root: folder.path().join("root"),
        };
        let outsides = || Outsides::open(home.clone(), sources.clone());
        let authority = |address: &str| {
            folder
                .path()
                .join("root")
                .join(AUTHORITIES)
                .join(address)
                .join(AUTHORITY)
        };
        let first = outsides();
        assert_eq!(first.revision(), 0);
        first.take(sent(7, "registry.lab:5000")).unwrap();
        assert_eq!(fs::read_to_string(authority("registry.lab:5000")).unwrap(), "a chain");
        let raw = fs::read(home.path().join(FILE)).unwrap();
        assert!(
            !raw.windows(6).any(|bytes| bytes == b"secret"),
            "the password lies there in plain"
        );

        // Whatever became of what was shown: the next start shows it again.
        fs::write(authority("registry.lab:5000"), "").unwrap();
        fs::remove_file(authority("10.0.0.1:5443")).unwrap();
        let second = outsides();
        assert_eq!(second.revision(), 7);
        assert_eq!(fs::read_to_string(authority("registry.lab:5000")).unwrap(), "a chain");
        assert_eq!(
            second.account("registry.lab:5000/a:1").unwrap().password,
            "a secret word"
        );
        let places = |image: &str| second.places(image);
        assert_eq!(
            places("engine.lab:5443/a/b:1"),
            ["engine.lab:5443/a/b:1", "10.0.0.1:5443/a/b:1"]
        );
        for other in [
            "registry.lab:5000/a:1",
            "a:1",
            "engine.lab:5443/a@sha256:0",
            "engine.lab:54430/a:1",
        ] {
            assert!(places(other).is_empty(), "{other}");
        }
        assert!(second.account("other.lab:5000/a:1").is_none() && second.account("a:1").is_none());
        assert_eq!(
            second.account("engine.lab:5443/a:1").unwrap().password,
            "another secret"
        );
        assert_eq!(fs::read_to_string(authority("10.0.0.1:5443")).unwrap(), "the lab's");
        second.take(sent(8, "other.lab:5000")).unwrap();
        assert!(!authority("registry.lab:5000").exists() && authority("other.lab:5000").exists());
        second.remove();
        assert!(!authority("other.lab:5000").exists());

        // With another key it is as good as nothing.
        home.store_key(&crate::identity::new_key().unwrap()).unwrap();
        assert_eq!(outsides().revision(), 0);
        // Out of the folder with authorities, and it would be this one.
        second.take(sent(9, "../escape:1")).unwrap();
        assert!(!folder.path().join("root/etc/docker/escape:1").exists());
    }
}
