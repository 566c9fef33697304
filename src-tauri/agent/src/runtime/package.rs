//! Process packages: fetched from the engine, checked, unpacked.

use crate::{
    fetch::{FetchError, fetch},
    identity::{Identity, Trust},
    join,
    reconcile::Trouble,
};
use edgedeck_model::{api::PACKAGE_MAX, app::is_package_hash, deployment::Reason};
use edgedeck_protocol::{
    PACKAGE_PATH,
    package::{self, UnpackError},
};
use nix::unistd::syncfs;
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::RwLock;

/// How to reach the engine for bulk; changes with the certificate and the addresses.
#[derive(Clone)]
pub struct EngineAccess {
    pub trust: Trust,
    pub identity: Identity,
    pub addresses: Vec<String>,
}

/// The packages of a node, each in a folder named by its hash.
pub struct Packages {
    folder: PathBuf,
    engine: Option<Arc<RwLock<EngineAccess>>>,
}

impl Packages {
    /// `engine` is where packages come from; without it only those that are there can be used.
    pub fn new(folder: PathBuf, engine: Option<Arc<RwLock<EngineAccess>>>) -> Self {
        Self { folder, engine }
    }

    pub fn folder_of(&self, hash: &str) -> PathBuf {
        self.folder.join(hash)
    }

    /// Gets a package where it is not there yet.
    ///
    /// # Errors
    /// [`Reason::PackageMissing`] when it cannot be had, [`Reason::PackageBroken`] when it must not be used.
    pub async fn fetch(&self, hash: &str) -> Result<(), Trouble> {
        if !is_package_hash(hash) {
            return Err(Trouble::new(Reason::PackageBroken, "not a package's hash"));
        }
        if self.folder_of(hash).is_dir() {
            return Ok(());
        }
        let file = self.download(hash).await?;
        let (folder, place) = (self.folder.clone(), self.folder_of(hash));
        let unpacking = tokio::task::spawn_blocking(move || unpack_to(file, &folder, &place));
        unpacking
            .await
            .map_err(|error| Trouble::new(Reason::PackageBroken, error))?
    }

    async fn download(&self, hash: &str) -> Result<File, Trouble> {
        let missing = |error: &dyn std::fmt::Display| Trouble::new(Reason::PackageMissing, error);
        let Some(engine) = &self.engine else {
            return Err(missing(&"no engine to fetch it from"));
        };
        let access = engine.read().await.clone();
        let client = access
            .trust
            .client(&access.identity)
            .map_err(|error| missing(&crate::chain(&error)))?;
        let client = join::client(client).map_err(|error| missing(&crate::chain(&error)))?;
        let mut last = missing(&"the engine has no address");
        for address in &access.addresses {
            match self.download_from(&client, address, hash).await {
                Ok(file) => return Ok(file),
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    async fn download_from(&self, client: &reqwest::Client, address: &str, hash: &str) -> Result<File, Trouble> {
        let request = client.get(format!("https://{address}{PACKAGE_PATH}/{hash}"));
        match fetch(request, &self.folder, PACKAGE_MAX).await {
            Ok((file, found)) if found == hash => Ok(file),
            Ok((_, found)) => Err(Trouble::new(Reason::PackageBroken, format!("its SHA-256 is {found}"))),
            Err(error @ FetchError::TooLarge(_)) => Err(Trouble::new(Reason::PackageBroken, error)),
            Err(error) => Err(Trouble::new(Reason::PackageMissing, format!("{address}: {error}"))),
        }
    }

    /// Removes packages that nobody uses, and halves of unpacking that a power cut left.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn keep_only(&self, used: &BTreeSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_package_hash(&name.to_string_lossy()) && !used.contains(name.to_string_lossy().as_ref()) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes what an unpacking left that never ended; when none is under way.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_half = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("half-"));
            if is_half {
                fs::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

fn unpack_to(file: File, folder: &Path, place: &Path) -> Result<(), Trouble> {
    let disk = |error: io::Error| Trouble::new(Reason::PackageBroken, format!("unpacking: {error}"));
    let half = tempfile::Builder::new()
        .prefix("half-")
        .tempdir_in(folder)
        .map_err(disk)?;
    unpack(io::BufReader::new(file), half.path())
        .map_err(|error| Trouble::new(Reason::PackageBroken, crate::chain(&error)))?;
    // That the folder is there must say that all of it is, after a power cut, too.
    let synced = File::open(half.path()).and_then(|folder| Ok(syncfs(folder)?));
    synced.map_err(disk)?;
    match fs::rename(half.path(), place) {
        Ok(()) => {
            // It is not there any more under its first name.
            let _ = half.keep();
            Ok(())
        }
        // Two parts with the same package can be unpacking it at once.
        Err(_) if place.is_dir() => Ok(()),
        Err(error) => Err(disk(error)),
    }
}

/// Unpacks a package into an empty folder.
///
/// # Errors
/// [`UnpackError`] for one that must not be used.
pub fn unpack(packed: impl Read, folder: &Path) -> Result<(), UnpackError> {
    package::read(packed, |entry| {
        let place = folder.join(&entry.path);
        if entry.is_folder {
            return make_folder(&place);
        }
        if let Some(parent) = place.parent() {
            make_folder(parent)?;
        }
        let mode = if entry.is_program { 0o755 } else { 0o644 };
        // Never through something that is there already.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&place)?;
        io::copy(entry.content, &mut file).map(drop)
    })
}

fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use tar::{EntryType, Header};

    /// A `.tar.gz` of entries, made byte by byte because good builders refuse bad names.
    pub(crate) fn package(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut tar = Vec::new();
        for (name, kind, content) in entries {
            let mut header = Header::new_ustar();
            header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(content.len() as u64);
            if kind.is_symlink() || kind.is_hard_link() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            tar.extend_from_slice(header.as_bytes());
            tar.extend_from_slice(content);
            tar.resize(tar.len().next_multiple_of(512), 0);
        }
        tar.resize(tar.len() + 1_024, 0);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn files_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let packed = package(&[
            ("./bin/", EntryType::Directory, b""),
            ("bin/run", EntryType::Regular, b"#!/bin/sh\n"),
            ("a/b/c", EntryType::Regular, b"x"),
        ]);
        unpack(packed.as_slice(), dir.path()).unwrap();
        assert_eq!(fs::read(dir.path().join("bin/run")).unwrap(), b"#!/bin/sh\n");
        assert!(dir.path().join("a/b/c").is_file());
    }

    #[test]
    fn what_is_unsafe_is_refused() {
        for (name, kind) in [
            ("../x", EntryType::Regular),
            ("a/../../x", EntryType::Regular),
            ("/etc/x", EntryType::Regular),
            ("link", EntryType::Symlink),
            ("hard", EntryType::Link),
            ("dev", EntryType::Char),
            ("block", EntryType::Block),
            ("pipe", EntryType::Fifo),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let inner = dir.path().join("inner");
            fs::create_dir(&inner).unwrap();
            assert!(
                unpack(package(&[(name, kind, b"")]).as_slice(), &inner).is_err(),
                "{name}"
            );
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
            assert_eq!(fs::read_dir(&inner).unwrap().count(), 0, "{name}");
        }
        let dir = tempfile::tempdir().unwrap();
        let twice = package(&[("a", EntryType::Regular, b"1"), ("a", EntryType::Regular, b"2")]);
        assert!(unpack(twice.as_slice(), dir.path()).is_err());
        for bytes in [&b""[..], b"not gzip", &package(&[])] {
            assert!(unpack(bytes, dir.path()).is_err());
        }
    }
}
