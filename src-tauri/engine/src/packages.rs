//! Packages: `.tar.gz` files kept beside the database under their SHA-256; here those of processes.

use crate::{Actor, Engine, error::Error};
use edgedeck_model::{
    Code, Problem,
    api::{PACKAGE_MAX, Package},
    app::is_package_hash,
};
use edgedeck_protocol::package::{self, ENTRIES_MAX, UnpackError};
use rusqlite::params;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;

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

/// Reads the whole archive without unpacking it; the programs in it.
fn inspect(path: &Path) -> Result<Vec<String>, Problem> {
    let file = File::open(path).map_err(disk)?;
    let mut programs = Vec::new();
    let read = package::read(file, |entry| {
        if entry.is_program && programs.len() < PROGRAMS_MAX {
            programs.push(entry.path.to_string_lossy().into_owned());
        }
        Ok(())
    });
    read.map_err(|error| match error {
        UnpackError::Path(path) | UnpackError::Kind(path) => {
            Problem::invalid("package", "package-unsafe").with("path", path)
        }
        UnpackError::TooMany => Problem::invalid("package", "list-too-long").with("max", ENTRIES_MAX),
        UnpackError::Format(error) | UnpackError::Write(error) => Problem {
            detail: Some(error.to_string()),
            ..Problem::invalid("package", "package-format")
        },
        UnpackError::TooLarge => Problem::invalid("package", "package-format"),
    })?;
    programs.sort();
    Ok(programs)
}
