//! The folder where an agent keeps what it must not forget.
//!
//! `key.pem`, `certificate.pem`, `ca.pem` and `state.json` say who it is; `desired.cbor` and `memory.cbor` what it has to
//! run; `packages/`, `work/` and `logs/` belong to processes; `usage.cbor` and `usage/` hold what was measured and is not
//! reported yet. All for its owner only. Files are replaced whole.

use edgedeck_model::{NodeId, Time};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    unistd::geteuid,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Largest file of the agent's own that is read whole, in bytes.
const FILE_MAX: u64 = 64 * 1024 * 1024;

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "certificate.pem";
const CA: &str = "ca.pem";
const STATE: &str = "state.json";
const LOCK: &str = "lock";
const VERSIONS_LOCK: &str = "versions.lock";

#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("reading {}: it is damaged ({detail})", path.display())]
    Damaged { path: PathBuf, detail: String },
    #[error("another agent (process {pid}) uses {}", path.display())]
    InUse { path: PathBuf, pid: u32 },
}

/// Who this node is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub node: NodeId,
    pub serial: String,
    /// `host:port` of the engine, likeliest first.
    pub addresses: Vec<String>,
    pub joined_at: Time,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Home {
    path: PathBuf,
    /// Files that were found damaged and have not been written anew.
    damaged: Arc<Mutex<BTreeSet<String>>>,
}

/// Held by the agent that runs out of a folder; ends with it.
pub struct HomeLock {
    _file: Flock<File>,
}

impl Home {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            damaged: Arc::default(),
        }
    }

    /// `/var/lib/edgedeck-agent` for root, else below the user's data folder.
    pub fn default_path() -> PathBuf {
        if geteuid().is_root() {
            return PathBuf::from("/var/lib/edgedeck-agent");
        }
        let data = std::env::var_os("XDG_DATA_HOME")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
        data.or_else(home)
            .unwrap_or_else(|| PathBuf::from("."))
            .join("edgedeck-agent")
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file that was found damaged and has not been written anew.
    pub fn damaged(&self) -> Option<String> {
        self.damaged.lock().first().cloned()
    }

    /// A damaged file is gone for good, and nothing waits for it.
    pub fn give_up(&self, name: &str) {
        self.damaged.lock().remove(name);
    }

    pub fn packages(&self) -> PathBuf {
        self.path.join("packages")
    }

    /// Working folders of processes.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Reports of what containers used.
    pub fn usage(&self) -> PathBuf {
        self.path.join("usage")
    }

    /// Makes the folder, for its owner only.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn create(&self) -> Result<(), HomeError> {
        for path in [
            self.path.clone(),
            self.packages(),
            self.work(),
            self.logs(),
            self.usage(),
        ] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|source| HomeError::Io {
                    doing: "making the folder",
                    path,
                    source,
                })?;
        }
        Ok(())
    }

    /// Whether a join has been completed here.
    pub fn is_joined(&self) -> bool {
        self.path.join(STATE).exists()
    }

    /// # Errors
    /// [`HomeError::Io`] with `NotFound` where nothing has joined.
    pub fn state(&self) -> Result<State, HomeError> {
        let (path, bytes) = self.read(STATE)?;
        serde_json::from_slice(&bytes).map_err(|error| HomeError::Damaged {
            path,
            detail: error.to_string(),
        })
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn store_state(&self, state: &State) -> Result<(), HomeError> {
        let bytes = serde_json::to_vec_pretty(state).map_err(|error| HomeError::Damaged {
            path: self.path.join(STATE),
            detail: error.to_string(),
        })?;
        self.write(STATE, &bytes)
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn identity(&self) -> Result<crate::identity::Identity, HomeError> {
        Ok(crate::identity::Identity {
            key_pem: self.text(KEY)?,
            certificate_pem: self.text(CERTIFICATE)?,
        })
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn key_pem(&self) -> Result<String, HomeError> {
        self.text(KEY)
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn ca_pem(&self) -> Result<String, HomeError> {
        self.text(CA)
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn store_key(&self, pem: &str) -> Result<(), HomeError> {
        self.write(KEY, pem.as_bytes())
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn store_certificate(&self, pem: &str) -> Result<(), HomeError> {
        self.write(CERTIFICATE, pem.as_bytes())
    }

    /// # Errors
    /// [`HomeError::Io`].
    pub fn store_ca(&self, pem: &str) -> Result<(), HomeError> {
        self.write(CA, pem.as_bytes())
    }

    /// Reads a CBOR file; `None` where there is none yet.
    ///
    /// # Errors
    /// [`HomeError::Damaged`] when it cannot be understood.
    pub fn load<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HomeError> {
        match self.read(name) {
            Ok((path, bytes)) => edgedeck_protocol::decode(&bytes).map(Some).map_err(|error| {
                self.damaged.lock().insert(name.to_owned());
                HomeError::Damaged {
                    path,
                    detail: crate::chain(&error),
                }
            }),
            Err(HomeError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::load`], but a damaged file is as good as none.
    ///
    /// # Errors
    /// [`HomeError::Io`].
    pub fn load_or_none<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, HomeError> {
        match self.load(name) {
            Err(HomeError::Damaged { path, detail }) => {
                tracing::error!("{} is damaged and not used: {detail}", path.display());
                Ok(None)
            }
            other => other,
        }
    }

    /// Replaces a CBOR file; after a power cut it is the old one or the new one.
    ///
    /// # Errors
    /// [`HomeError::Io`], the old file being untouched.
    pub fn store<T: Serialize>(&self, name: &str, value: &T) -> Result<(), HomeError> {
        let bytes = edgedeck_protocol::encode(value).map_err(|error| HomeError::Damaged {
            path: self.path.join(name),
            detail: crate::chain(&error),
        })?;
        self.write(name, &bytes)
    }

    fn text(&self, name: &str) -> Result<String, HomeError> {
        let (path, bytes) = self.read(name)?;
        String::from_utf8(bytes).map_err(|error| HomeError::Damaged {
            path,
            detail: error.to_string(),
        })
    }

    pub(crate) fn read(&self, name: &str) -> Result<(PathBuf, Vec<u8>), HomeError> {
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
        match read {
            Ok(_) => Ok((path, bytes)),
            Err(source) => Err(HomeError::Io {
                doing: "reading",
                path,
                source,
            }),
        }
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), HomeError> {
        let path = self.path.join(name);
        replace(&path, bytes).map_err(|source| HomeError::Io {
            doing: "writing",
            path,
            source,
        })?;
        self.damaged.lock().remove(name);
        Ok(())
    }

    /// Takes the folder for this process.
    ///
    /// # Errors
    /// [`HomeError::InUse`] with the process that has it.
    pub fn lock(&self) -> Result<HomeLock, HomeError> {
        self.lock_by(LOCK)
    }

    /// Takes the right to change which version runs out of the folder; the one on trial does without.
    ///
    /// # Errors
    /// [`HomeError::InUse`] with the process that has it.
    pub fn lock_versions(&self) -> Result<HomeLock, HomeError> {
        self.lock_by(VERSIONS_LOCK)
    }

    fn lock_by(&self, name: &str) -> Result<HomeLock, HomeError> {
        let path = self.path.join(name);
        let io = |source| HomeError::Io {
            doing: "locking",
            path: path.clone(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                let mark = |file: &mut File| {
                    file.set_len(0)?;
                    file.rewind()?;
                    write!(file, "{}", std::process::id())
                };
                // The lock is what counts; a full disk must not keep the agent from running.
                if let Err(error) = mark(&mut file) {
                    tracing::warn!("{}: {error}", path.display());
                }
                Ok(HomeLock { _file: file })
            }
            Err((_, Errno::EWOULDBLOCK)) => {
                let pid = fs::read_to_string(&path)
                    .ok()
                    .and_then(|text| text.trim().parse().ok())
                    .unwrap_or(0);
                Err(HomeError::InUse {
                    path: self.path.clone(),
                    pid,
                })
            }
            Err((_, errno)) => Err(io(errno.into())),
        }
    }

    /// Removes the folder with everything in it.
    ///
    /// # Errors
    /// [`HomeError::Io`] when something is left.
    pub fn remove(&self) -> Result<(), HomeError> {
        match fs::remove_dir_all(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(HomeError::Io {
                doing: "removing",
                path: self.path.clone(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// Writes a file beside its place, syncs it, and moves it there.
///
/// # Errors
/// Those of the file system; the old file is untouched then.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_as(path, bytes, 0o600)
}

/// As [`replace`], with a mode.
///
/// # Errors
/// Those of the file system; the old file is untouched then.
pub fn replace_as(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder_of(path);
    Ok(())
}

/// Syncs the folder of a file that was moved there. That has happened by now, even if a power cut could take it back.
pub fn sync_folder_of(path: &Path) {
    let synced = path.parent().map(|folder| File::open(folder)?.sync_all());
    if let Some(Err(error)) = synced {
        tracing::warn!("syncing the folder of {}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(dir.path().join("agent"));
        home.create().unwrap();
        (dir, home)
    }

    #[test]
    fn what_is_stored_is_the_owners_only_and_comes_back() {
        let (_dir, home) = home();
        assert!(!home.is_joined());
        assert_eq!(home.load::<Vec<u32>>("x.cbor").unwrap(), None);
        home.store("x.cbor", &vec![1_u32, 2]).unwrap();
        assert_eq!(home.load::<Vec<u32>>("x.cbor").unwrap(), Some(vec![1, 2]));
        home.store_key("secret").unwrap();
        let mode = |name: &str| fs::metadata(home.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("key.pem"), mode("x.cbor"), mode("")), (0o600, 0o600, 0o700));
        assert_eq!(
            fs::read_dir(home.path())
                .unwrap()
                .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "new"))
                .count(),
            0
        );
    }

    #[test]
    fn a_damaged_file_is_told_from_a_missing_one() {
        let (_dir, home) = home();
        fs::write(home.path().join("x.cbor"), [0xff, 0xff]).unwrap();
        assert!(matches!(
            home.load::<Vec<u32>>("x.cbor"),
            Err(HomeError::Damaged { .. })
        ));
    }

    #[test]
    fn two_agents_cannot_share_a_folder() {
        let (_dir, home) = home();
        let held = home.lock().unwrap();
        match home.lock() {
            Err(HomeError::InUse { pid, .. }) => assert_eq!(pid, std::process::id()),
            _ => panic!("locked twice"),
        }
        drop(held);
        home.lock().unwrap();
    }
}
