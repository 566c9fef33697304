//! Packages: `.tar.gz` files kept beside the database under their SHA-256; here those of processes.

use crate::{Actor, Engine, error::Error};
use edgedeck_model::{
    Code, Problem,
    api::{PACKAGE_MAX, Package},
    app::is_package_hash,
};
use flate2::read::GzDecoder;
use rusqlite::params;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};
use tempfile::NamedTempFile;

/// Most bytes and files that a package may unpack to.
const UNPACKED_MAX: u64 = 2 * 1024 * 1024 * 1024;
const FILES_MAX: usize = 100_000;
/// Free bytes that uploads leave on the data's disk.
const DISK_LEFT: u64 = 512 * 1024 * 1024;
/// How often the free space is looked at while a file arrives, in bytes.
const LOOK_EVERY: u64 = 64 * 1024 * 1024;
/// Most programs that are named to choose from.
const PROGRAMS_MAX: usize = 200;

/// A package on its way in.
pub struct PackageUpload {
    file: NamedTempFile,
    hash: Sha256,
    bytes: u64,
    max: u64,
    folder: PathBuf,
}

impl PackageUpload {
    pub(crate) fn into_file(self) -> File {
        self.file.into_file()
    }

    /// # Errors
    /// [`Code::TooLarge`] past the limit, [`Code::StoreUnavailable`] when the disk is full.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        let before = self.bytes;
        self.bytes += chunk.len() as u64;
        if self.bytes > self.max {
            return Err(Problem::new(Code::TooLarge).with("max", self.max));
        }
        if before / LOOK_EVERY != self.bytes / LOOK_EVERY {
            check_space(&self.folder)?;
        }
        self.hash.update(chunk);
        self.file.write_all(chunk).map_err(disk)
    }
}

pub fn disk(error: io::Error) -> Problem {
    Problem {
        detail: Some(error.to_string()),
        ..Problem::new(Code::StoreUnavailable)
    }
}

/// Refuses to write more to the disk that holds `data` when it is nearly full: the database lies there, too.
///
/// # Errors
/// [`Code::StoreUnavailable`].
pub fn check_space(data: &Path) -> Result<(), Problem> {
    let space = nix::sys::statvfs::statvfs(data).map_err(|error| disk(error.into()))?;
    if space.blocks_available() * space.fragment_size() < DISK_LEFT {
        return Err(disk(io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}

impl Engine {
    pub(crate) fn packages(&self) -> PathBuf {
        self.data().join("packages")
    }

    /// Begins an upload.
    ///
    /// # Errors
    /// [`Code::StoreUnavailable`].
    pub fn upload_package(&self) -> Result<PackageUpload, Problem> {
        self.upload(PACKAGE_MAX)
    }

    /// As [`Self::upload_package`], of something of at most this size.
    ///
    /// # Errors
    /// [`Code::StoreUnavailable`].
    pub fn upload(&self, max: u64) -> Result<PackageUpload, Problem> {
        let folder = self.packages();
        fs::create_dir_all(&folder).map_err(disk)?;
        let file = NamedTempFile::new_in(&folder).map_err(disk)?;
        Ok(PackageUpload {
            file,
            hash: Sha256::new(),
            bytes: 0,
            max,
            folder,
        })
    }

    /// Checks what was uploaded and keeps it. The same package twice is one.
    ///
    /// # Errors
    /// [`Code::Invalid`] for something that is no `.tar.gz`, or holds a path that climbs out, a link or a device.
    pub async fn keep_package(&self, actor: &Actor, upload: PackageUpload) -> Result<Package, Problem> {
        let PackageUpload {
            mut file, hash, bytes, ..
        } = upload;
        let hash = hex::encode(hash.finalize());
        file.as_file_mut().sync_all().map_err(disk)?;
        let path = file.path().to_owned();
        let programs = tokio::task::spawn_blocking(move || inspect(&path))
            .await
            .map_err(Problem::internal)??;
        file.persist(self.packages().join(&hash))
            .map_err(|error| disk(error.error))?;
        let (actor, name) = (actor.clone(), hash.clone());
        self.store
            .write(move |tx| {
                let now = tx.now().0;
                tx.execute(
                    "INSERT OR IGNORE INTO package (hash, bytes, created_at) VALUES (?1, ?2, ?3)",
                    params![name, bytes, now],
                )?;
                tx.audit(&actor, "package.upload", &name)
            })
            .await
            .map_err(|error: Error| Problem::from(error))?;
        Ok(Package { hash, bytes, programs })
    }

    /// The file of a package.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn package(&self, hash: &str) -> Result<File, Problem> {
        if !is_package_hash(hash) {
            return Err(Problem::not_found("package"));
        }
        File::open(self.packages().join(hash)).map_err(|_| Problem::not_found("package"))
    }
}

/// Whether a path inside an archive stays inside.
fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Reads the whole archive without unpacking it; the programs in it.
fn inspect(path: &Path) -> Result<Vec<String>, Problem> {
    let format = |error: io::Error| Problem {
        detail: Some(error.to_string()),
        ..Problem::invalid("package", "package-format")
    };
    let unsafe_entry = |path: &Path| Problem::invalid("package", "package-unsafe").with("path", path.display());
    let file = File::open(path).map_err(disk)?;
    let mut archive = tar::Archive::new(GzDecoder::new(file).take(UNPACKED_MAX));
    let (mut programs, mut files) = (Vec::new(), 0);
    for entry in archive.entries().map_err(format)? {
        let mut entry = entry.map_err(format)?;
        let path = entry.path().map_err(format)?.into_owned();
        let kind = entry.header().entry_type();
        files += 1;
        if files > FILES_MAX {
            return Err(Problem::invalid("package", "list-too-long").with("max", FILES_MAX));
        }
        if !is_inside(&path) || !(kind.is_file() || kind.is_dir()) {
            return Err(unsafe_entry(&path));
        }
        let runs = entry.header().mode().map_err(format)? & 0o111 != 0;
        if kind.is_file() && runs && programs.len() < PROGRAMS_MAX {
            let shown = path.strip_prefix(".").unwrap_or(&path);
            programs.push(shown.to_string_lossy().into_owned());
        }
        // The checksum of the gzip stream is only checked when all of it is read.
        io::copy(&mut entry, &mut io::sink()).map_err(format)?;
    }
    if files == 0 {
        return Err(Problem::invalid("package", "package-format"));
    }
    programs.sort();
    Ok(programs)
}
