//! Packages of the agent: the engine's own and those that were brought, each signed with the lab's key.
//!
//! They lie beside the database among the packages of processes, where nodes fetch them by their hash.

use crate::{
    Actor, Engine, PackageUpload,
    error::{Error, Result},
    packages::disk,
    seal::{self, Seal, SealError},
    store::Store,
};
use edgedeck_model::{
    Problem, Time,
    app::is_package_hash,
    software::{Manifest, NAME, Software, compare},
};
use edgedeck_protocol::software::{self as package, PackageError};
use parking_lot::RwLock;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair},
};
use rusqlite::{OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};
use tempfile::NamedTempFile;

/// The version of the agents that this engine brings.
const OWN: &str = env!("CARGO_PKG_VERSION");
/// The name that the lab's key is sealed under.
const KEY: &str = "software-key";
const COLUMNS: &str = "version, arch, bytes, sha256, made_at, program";

/// Why the lab's key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the database failed")]
    Store(#[from] Error),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the key that software is signed with cannot be made or read")]
    Key,
}

/// The lab's key, and the programs that the engine brings.
pub struct SoftwareStore {
    key: Arc<Ed25519KeyPair>,
    /// By architecture.
    programs: RwLock<Vec<(String, PathBuf)>>,
    /// Held while packages are made of them.
    making: tokio::sync::Mutex<()>,
}

impl SoftwareStore {
    /// Reads the key, or makes it at the first run.
    pub async fn open(store: &Store, sealing: &Seal) -> std::result::Result<Self, KeyError> {
        let sealed = store.read(|connection| seal::stored(connection, KEY))?;
        let secret = match sealed {
            Some(sealed) => sealing.unseal(KEY, &sealed)?.to_vec(),
            None => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Key)?;
                let sealed = sealing.seal(KEY, made.as_ref())?;
                store.write(move |tx| tx.put_secret(KEY, &sealed)).await?;
                made.as_ref().to_vec()
            }
        };
        let key = Ed25519KeyPair::from_pkcs8(&secret).map_err(|_| KeyError::Key)?;
        Ok(Self {
            key: Arc::new(key),
            programs: RwLock::default(),
            making: tokio::sync::Mutex::default(),
        })
    }

    /// The key that nodes check packages with, in hex.
    pub fn public_key(&self) -> String {
        hex::encode(self.key.public_key())
    }
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<(Software, Option<String>)> {
    let version: String = row.get(0)?;
    let program: Option<String> = row.get(5)?;
    let software = Software {
        own: version == OWN && program.is_some(),
        version,
        arch: row.get(1)?,
        bytes: row.get(2)?,
        sha256: row.get(3)?,
        made_at: Time(row.get(4)?),
    };
    Ok((software, program))
}

/// A package on its way out, which knows its size and hash.
struct Counted<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Signs a package of a program into the folder; its hash and size.
fn make(folder: &Path, key: &Ed25519KeyPair, manifest: &Manifest, program: &mut File) -> io::Result<(String, u64)> {
    let bytes = program.metadata()?.len();
    program.rewind()?;
    let file = NamedTempFile::new_in(folder)?;
    let (hash, bytes) = {
        let mut out = Counted {
            out: BufWriter::new(file.as_file()),
            hash: Sha256::new(),
            bytes: 0,
        };
        let sign = |text: &[u8]| Some(key.sign(text).as_ref().to_vec());
        package::pack(manifest, BufReader::new(program), bytes, sign, &mut out)?;
        (hex::encode(out.hash.finalize()), out.bytes)
    };
    file.as_file().sync_all()?;
    file.persist(folder.join(&hash)).map_err(|error| error.error)?;
    Ok((hash, bytes))
}

/// Tells a program from another at the same place.
fn mark(program: &Path) -> io::Result<String> {
    let facts = program.metadata()?;
    let changed = facts.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{}-{}", facts.len(), changed.as_nanos()))
}

impl Engine {
    /// Names the agents that came with this engine, by architecture.
    pub fn offer_agents(&self, programs: Vec<(String, PathBuf)>) {
        *self.software.programs.write() = programs;
    }

    /// The packages that nodes can be given, the highest version first.
    ///
    /// # Errors
    /// [`Code::StoreUnavailable`] when one of the engine's own cannot be written.
    pub async fn list_software(&self) -> std::result::Result<Vec<Software>, Problem> {
        self.make_own().await?;
        let mut all = self.stored_software()?;
        all.sort_by(|a, b| compare(&b.version, &a.version).then_with(|| a.arch.cmp(&b.arch)));
        Ok(all)
    }

    fn stored_software(&self) -> Result<Vec<Software>> {
        let all = self.store.read(|connection| {
            let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM software"))?;
            let rows = statement.query_map([], of_row)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        let is_there = |software: &Software| self.packages().join(&software.sha256).is_file();
        Ok(all.into_iter().map(|(software, _)| software).filter(is_there).collect())
    }

    /// The package of a version for an architecture.
    ///
    /// # Errors
    /// [`Code::Conflict`] where the lab has none.
    pub(crate) fn software_for(&self, version: &str, arch: &str) -> std::result::Result<Software, Problem> {
        let found = self.stored_software()?.into_iter();
        let mut fits = found.filter(|software| software.version == version && software.arch == arch);
        let none = || {
            Problem::conflict("no-software")
                .with("version", version)
                .with("arch", arch)
        };
        fits.next().ok_or_else(none)
    }

    /// Makes packages of the engine's own agents where there are none yet, or the programs are others by now.
    async fn make_own(&self) -> std::result::Result<(), Problem> {
        let _turn = self.software.making.lock().await;
        let programs = self.software.programs.read().clone();
        for (arch, path) in programs {
            let mark = mark(&path).map_err(Problem::internal)?;
            let known = self.store.read(|connection| {
                Ok(connection
                    .prepare_cached(&format!(
                        "SELECT {COLUMNS} FROM software WHERE version = ?1 AND arch = ?2"
                    ))?
                    .query_row([OWN, &arch], of_row)
                    .optional()?)
            })?;
            let is_good = |(software, program): &(Software, Option<String>)| {
                program.as_ref() == Some(&mark) && self.packages().join(&software.sha256).is_file()
            };
            if known.as_ref().is_some_and(is_good) {
                continue;
            }
            let (folder, key) = (self.packages(), self.software.key.clone());
            let made = tokio::task::spawn_blocking(move || -> io::Result<_> {
                fs::create_dir_all(&folder)?;
                let mut program = File::open(path)?;
                let manifest = Manifest {
                    name: NAME.to_owned(),
                    version: OWN.to_owned(),
                    arch,
                    sha256: package::hash(&program)?,
                };
                let (hash, bytes) = make(&folder, &key, &manifest, &mut program)?;
                Ok((manifest, hash, bytes))
            });
            let (manifest, hash, bytes) = made.await.map_err(Problem::internal)?.map_err(disk)?;
            self.keep_made(None, manifest, hash, bytes, Some(mark)).await?;
        }
        Ok(())
    }

    /// Stores what was made, instead of what was there of this version.
    async fn keep_made(
        &self,
        actor: Option<Actor>,
        manifest: Manifest,
        sha256: String,
        bytes: u64,
        program: Option<String>,
    ) -> std::result::Result<Software, Problem> {
        let written = self.store.write(move |tx| {
            let made_at = tx.now();
            let Manifest { version, arch, .. } = manifest;
            let before: Option<String> = tx
                .prepare_cached("SELECT sha256 FROM software WHERE version = ?1 AND arch = ?2")?
                .query_row([&version, &arch], |row| row.get(0))
                .optional()?;
            tx.execute(
                &format!("INSERT OR REPLACE INTO software ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
                params![version, arch, bytes, sha256, made_at.0, program],
            )?;
            if let Some(actor) = &actor {
                tx.audit(actor, "software.add", &format!("{version} ({arch})"))?;
            }
            let own = program.is_some();
            let software = Software {
                version,
                arch,
                bytes,
                sha256,
                made_at,
                own,
            };
            Ok((software, before))
        });
        let (software, before) = written.await?;
        if let Some(before) = before.filter(|before| *before != software.sha256) {
            self.drop_software(&before);
        }
        Ok(software)
    }

    fn drop_software(&self, sha256: &str) {
        if let Err(error) = fs::remove_file(self.packages().join(sha256)) {
            tracing::warn!(%error, sha256, "removing a package of software");
        }
    }

    /// Takes a package that somebody vouches for: the lab signs it, and nodes may have it.
    ///
    /// # Errors
    /// [`Code::Invalid`] when it is no package of the agent, [`Code::Taken`] for the engine's own version.
    pub async fn add_software(&self, actor: &Actor, upload: PackageUpload) -> std::result::Result<Software, Problem> {
        let (folder, key) = (self.packages(), self.software.key.clone());
        let own: Vec<String> = self
            .software
            .programs
            .read()
            .iter()
            .map(|(arch, _)| arch.clone())
            .collect();
        let made = tokio::task::spawn_blocking(move || {
            let mut program = tempfile::tempfile_in(&folder).map_err(disk)?;
            let mut packed = upload.into_file();
            packed.rewind().map_err(disk)?;
            let opened = package::open(BufReader::new(packed), &mut program);
            let manifest = opened.map_err(|error| refused(&error))?.manifest;
            if manifest.version == OWN && own.contains(&manifest.arch) {
                let name = format!("{} ({})", manifest.version, manifest.arch);
                return Err(Problem::taken("software", &name));
            }
            let (hash, bytes) = make(&folder, &key, &manifest, &mut program).map_err(disk)?;
            Ok((manifest, hash, bytes))
        });
        let (manifest, hash, bytes) = made.await.map_err(Problem::internal)??;
        self.keep_made(Some(actor.clone()), manifest, hash, bytes, None).await
    }

    /// Removes a package by its hash; nodes that run it go on.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn delete_software(&self, actor: &Actor, sha256: String) -> std::result::Result<(), Problem> {
        let (actor, gone) = (actor.clone(), sha256.clone());
        let deleted = self.store.write(move |tx| {
            let found = tx
                .prepare_cached(&format!("SELECT {COLUMNS} FROM software WHERE sha256 = ?1"))?
                .query_row([&gone], of_row)
                .optional()?;
            let (software, _) = found.ok_or_else(|| Problem::not_found("software"))?;
            tx.execute("DELETE FROM software WHERE sha256 = ?1", [&gone])?;
            tx.audit(
                &actor,
                "software.delete",
                &format!("{} ({})", software.version, software.arch),
            )
        });
        deleted.await?;
        self.drop_software(&sha256);
        Ok(())
    }

    /// A package and its file.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn software_file(&self, sha256: &str) -> std::result::Result<(Software, File), Problem> {
        let missing = || Problem::not_found("software");
        if !is_package_hash(sha256) {
            return Err(missing());
        }
        let found = self
            .stored_software()?
            .into_iter()
            .find(|software| software.sha256 == sha256);
        let software = found.ok_or_else(missing)?;
        Ok((software, self.package(sha256)?))
    }
}

fn refused(error: &PackageError) -> Problem {
    match error {
        PackageError::Write(error) => disk(io::Error::new(error.kind(), error.to_string())),
        other => Problem {
            detail: Some(other.to_string()),
            ..Problem::invalid("package", "software-package")
        },
    }
}
