//! Backups: one `.tar.gz` with a consistent copy of the database, the process packages, and the key that the lab's
//! secrets are sealed with, itself sealed under a passphrase.

use crate::{
    open::Lock,
    seal::{Seal, SealError},
};
use argon2::Argon2;
use edgedeck_model::{Problem, app::is_package_hash, name};
use edgedeck_protocol::bounded::HeaderLimit;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tempfile::{NamedTempFile, TempDir};
use zeroize::Zeroizing;

const DATABASE: &str = "edgedeck.db";
/// The database that a restore has put aside.
const BEFORE: &str = "edgedeck.db.before-restore";
const KEY: &str = "secret.key";
const SEALED_KEY: &str = "secret.key.sealed";
const PACKAGES: &str = "packages";
const SALT_BYTES: usize = 16;
/// The sealed key with its salt is far shorter.
const SEALED_KEY_MAX: u64 = 1_024;

/// Why a backup could not be made or restored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} exists already; choose another name", .0.display())]
    Exists(PathBuf),
    #[error("the passphrase {}", .0.text(edgedeck_model::Lang::En))]
    Weak(Problem),
    #[error("{what} {}", .path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the database cannot be copied or read")]
    Database(#[from] rusqlite::Error),
    #[error("the passphrase is wrong, or the backup was changed")]
    Passphrase,
    #[error("{} is no backup of EdgeDeck: {why}", .path.display())]
    Format { path: PathBuf, why: String },
    #[error("the database in the backup is damaged: {0}")]
    Damaged(String),
    #[error("an engine runs on {}; stop it first", .0.display())]
    InUse(PathBuf),
    #[error(transparent)]
    Seal(#[from] SealError),
}

fn at(what: &'static str, path: &Path) -> impl Fn(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File {
        what,
        path: path.clone(),
        source,
    }
}

/// The key that a passphrase gives, slow to guess.
fn sealing(passphrase: &str, salt: &[u8]) -> Result<Seal, SealError> {
    let mut key = Zeroizing::new([0; 32]);
    Argon2::default()
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(|_| SealError::Seal)?;
    Seal::of(&*key).ok_or(SealError::Seal)
}

fn seal_key(key: &[u8], passphrase: &str) -> Result<Vec<u8>, SealError> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_| SealError::Seal)?;
    let sealed = sealing(passphrase, &salt)?.seal(KEY, key)?;
    Ok([salt.as_slice(), &sealed].concat())
}

fn unseal_key(sealed: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, BackupError> {
    let (salt, sealed) = sealed
        .split_first_chunk::<SALT_BYTES>()
        .ok_or(BackupError::Passphrase)?;
    sealing(passphrase, salt)?
        .unseal(KEY, sealed)
        .map_err(|_| BackupError::Passphrase)
}

/// Writes a backup of the data folder; an engine may run on it meanwhile. `to` is there whole or not at all.
///
/// # Errors
/// [`BackupError`].
pub fn write(data: &Path, to: &Path, passphrase: &str) -> Result<(), BackupError> {
    name::check_password(passphrase).map_err(BackupError::Weak)?;
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let folder = match to.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let writing = at("writing", to);
    let work = TempDir::new_in(folder).map_err(&writing)?;
    let copy = work.path().join(DATABASE);
    let database = data.join(DATABASE);
    Connection::open_with_flags(&database, OpenFlags::SQLITE_OPEN_READ_ONLY)?
        .execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    let key_file = data.join(KEY);
    let key = Zeroizing::new(fs::read(&key_file).map_err(at("reading", &key_file))?);
    let sealed = seal_key(&key, passphrase)?;

    let file = NamedTempFile::new_in(folder).map_err(&writing)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(sealed.len() as u64);
    header.set_mode(0o600);
    archive
        .append_data(&mut header, SEALED_KEY, sealed.as_slice())
        .and_then(|()| archive.append_path_with_name(&copy, DATABASE))
        .map_err(&writing)?;
    let packages = data.join(PACKAGES);
    if packages.is_dir() {
        for entry in fs::read_dir(&packages).map_err(at("reading", &packages))? {
            let entry = entry.map_err(at("reading", &packages))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Uploads on their way have other names.
            if is_package_hash(&name) {
                archive
                    .append_path_with_name(entry.path(), format!("{PACKAGES}/{name}"))
                    .map_err(&writing)?;
            }
        }
    }
    let file = archive.into_inner().and_then(GzEncoder::finish).map_err(&writing)?;
    file.as_file().sync_all().map_err(&writing)?;
    file.persist_noclobber(to).map_err(|error| writing(error.error))?;
    Ok(())
}

/// What a restore has put aside.
#[derive(Debug)]
pub struct Restored {
    /// The database that was there before, if one was.
    pub kept: Option<PathBuf>,
}

/// Puts a backup in place of what is in the data folder. The present database and key are kept beside the new ones.
///
/// # Errors
/// [`BackupError`]; nothing is changed before the backup is known to be sound and the passphrase to be right.
pub fn restore(data: &Path, from: &Path, passphrase: &str) -> Result<Restored, BackupError> {
    let writing = at("writing", data);
    fs::create_dir_all(data).map_err(&writing)?;
    let _lock = Lock::take(data).map_err(|_| BackupError::InUse(data.to_owned()))?;
    let work = TempDir::new_in(data).map_err(&writing)?;
    let sealed = unpack(from, work.path())?;
    let key = unseal_key(&sealed, passphrase)?;
    let copy = work.path().join(DATABASE);
    let damaged: String = Connection::open_with_flags(&copy, OpenFlags::SQLITE_OPEN_READ_ONLY)?.query_row(
        "PRAGMA integrity_check(1)",
        [],
        |row| row.get(0),
    )?;
    if damaged != "ok" {
        return Err(BackupError::Damaged(damaged));
    }
    {
        let restored = Connection::open(&copy)?;
        crate::registry::forget_missing(&restored, data)?;
        // One file again, before it takes its place.
        restored.execute_batch("PRAGMA journal_mode = DELETE")?;
    }

    // From here on what is there is replaced, the database last.
    let packages = data.join(PACKAGES);
    fs::create_dir_all(&packages).map_err(&writing)?;
    let unpacked = work.path().join(PACKAGES);
    if unpacked.is_dir() {
        for entry in fs::read_dir(&unpacked).map_err(&writing)? {
            let entry = entry.map_err(&writing)?;
            fs::rename(entry.path(), packages.join(entry.file_name())).map_err(&writing)?;
        }
    }
    let target = data.join(DATABASE);
    let mut kept = None;
    if target.exists() {
        // Takes what the write-ahead log still holds along. A damaged one is kept as it is.
        if let Ok(old) = Connection::open(&target) {
            _ = old.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        }
        let before = data.join(BEFORE);
        fs::rename(&target, &before).map_err(&writing)?;
        kept = Some(before);
    }
    for ending in ["-wal", "-shm"] {
        let path = data.join(format!("{DATABASE}{ending}"));
        if path.exists() {
            fs::remove_file(path).map_err(&writing)?;
        }
    }
    let key_file = data.join(KEY);
    if fs::read(&key_file).ok().as_deref() != Some(key.as_slice()) {
        if key_file.exists() {
            fs::rename(&key_file, data.join("secret.key.before-restore")).map_err(&writing)?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&key_file)
            .map_err(&writing)?;
        io::Write::write_all(&mut file, &key)
            .and_then(|()| file.sync_all())
            .map_err(&writing)?;
    }
    fs::rename(&copy, &target).map_err(&writing)?;
    File::open(data)
        .and_then(|folder| folder.sync_all())
        .map_err(&writing)?;
    Ok(Restored { kept })
}

/// Whether the database from before a restore is still there.
pub(crate) fn can_be_undone(data: &Path) -> bool {
    data.join(BEFORE).exists()
}

/// Unpacks a backup into an empty folder and returns the sealed key. Only what a backup holds is taken, under its own
/// name: the file may come from anybody.
fn unpack(from: &Path, to: &Path) -> Result<Vec<u8>, BackupError> {
    let reading = at("reading", from);
    let format = |why: &str| BackupError::Format {
        path: from.to_owned(),
        why: why.to_owned(),
    };
    let broken = |error: io::Error| format(&error.to_string());
    let limit = HeaderLimit::default();
    let mut archive = tar::Archive::new(limit.reader(GzDecoder::new(File::open(from).map_err(&reading)?)));
    let (mut sealed, mut database) = (None, false);
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.to_string_lossy().into_owned();
        if !entry.header().entry_type().is_file() {
            return Err(format(&format!("{name:?} is no file")));
        }
        limit.content(entry.size());
        match name.split_once('/') {
            None if name == SEALED_KEY => {
                let mut bytes = Vec::new();
                (&mut entry)
                    .take(SEALED_KEY_MAX)
                    .read_to_end(&mut bytes)
                    .map_err(broken)?;
                sealed = Some(bytes);
            }
            None if name == DATABASE && !database => {
                keep(&mut entry, &to.join(DATABASE)).map_err(broken)?;
                database = true;
            }
            Some((PACKAGES, hash)) if is_package_hash(hash) => {
                let folder = to.join(PACKAGES);
                fs::create_dir_all(&folder).map_err(at("writing", &folder))?;
                keep(&mut entry, &folder.join(hash)).map_err(broken)?;
            }
            _ => return Err(format(&format!("{name:?} does not belong into it"))),
        }
        limit.next();
    }
    if !database {
        return Err(format("there is no database in it"));
    }
    sealed.ok_or_else(|| format("there is no key in it"))
}

fn keep(entry: &mut impl Read, to: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    io::copy(entry, &mut file)?;
    file.sync_all()
}
