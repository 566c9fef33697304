//! Blobs: uploaded in pieces that may be gone on with, kept once under their digest, and shared by repositories.

use super::{is_linked, make_folder};
use crate::{
    Engine,
    error::Result,
    packages::{check_space, disk},
};
use edgedeck_model::{
    Code, Problem,
    image::{ARCHIVE_BYTES_MAX, is_digest, is_repository},
};
use edgedeck_protocol::software::hash;
use rusqlite::{OptionalExtension, params};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

/// How often the free space is looked at while a blob arrives, in bytes.
const LOOK_EVERY: u64 = 64 * 1024 * 1024;

/// A piece of an upload on its way in; what has arrived stays when it breaks off.
pub struct BlobUpload {
    engine: Arc<Engine>,
    id: String,
    file: File,
    bytes: u64,
}

impl BlobUpload {
    /// What has arrived, in all.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// # Errors
    /// [`Code::TooLarge`], [`Code::StoreUnavailable`] when the disk is full.
    pub fn write(&mut self, chunk: &[u8]) -> std::result::Result<(), Problem> {
        let before = self.bytes;
        if before + chunk.len() as u64 > ARCHIVE_BYTES_MAX {
            return Err(Problem::new(Code::TooLarge).with("max", ARCHIVE_BYTES_MAX));
        }
        if before / LOOK_EVERY != (before + chunk.len() as u64) / LOOK_EVERY {
            check_space(self.engine.data())?;
        }
        self.file.write_all(chunk).map_err(disk)?;
        self.bytes += chunk.len() as u64;
        Ok(())
    }
}

impl Drop for BlobUpload {
    fn drop(&mut self) {
        self.engine.lab_store.writing.lock().remove(&self.id);
    }
}

/// SHA-256 of a file, as a digest, and its size.
pub(super) fn digest_of(path: &Path) -> io::Result<(String, u64)> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    Ok((format!("sha256:{}", hash(file)?), bytes))
}

fn check_name(repository: &str) -> std::result::Result<(), Problem> {
    if is_repository(repository) {
        Ok(())
    } else {
        Err(Problem::invalid("name", "image-repository"))
    }
}

pub(super) fn check_digest(digest: &str) -> std::result::Result<(), Problem> {
    if is_digest(digest) {
        Ok(())
    } else {
        Err(Problem::invalid("digest", "image-digest"))
    }
}

impl Engine {
    fn upload_file(&self, id: &str) -> PathBuf {
        self.registry_folder().join("uploads").join(id)
    }

    /// Begins an upload; its id.
    ///
    /// # Errors
    /// [`Code::Invalid`] for the name, [`Code::StoreUnavailable`].
    pub async fn begin_blob(&self, repository: &str) -> std::result::Result<String, Problem> {
        check_name(repository)?;
        make_folder(&self.registry_folder().join("uploads"))?;
        check_space(self.data())?;
        let id = Uuid::now_v7().to_string();
        File::create_new(self.upload_file(&id)).map_err(disk)?;
        let (row, repository) = (id.clone(), repository.to_owned());
        let written = self.store.write(move |tx| {
            tx.execute(
                "INSERT INTO registry_upload (id, repository, used_at) VALUES (?1, ?2, ?3)",
                params![row, repository, tx.now().0],
            )?;
            Ok(())
        });
        written.await?;
        Ok(id)
    }

    /// How much of an upload has arrived.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn blob_offset(&self, repository: &str, id: &str) -> std::result::Result<u64, Problem> {
        let known = self.store.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT 1 FROM registry_upload WHERE id = ?1 AND repository = ?2")?
                .query_row([id, repository], |_| Ok(()))
                .optional()?)
        })?;
        known.ok_or_else(|| Problem::not_found("upload"))?;
        let facts = fs::metadata(self.upload_file(id));
        Ok(facts.map_err(|_| Problem::not_found("upload"))?.len())
    }

    /// Goes on with an upload; `at` is where the piece begins, if the sender says so.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Conflict`] when another piece is arriving or this one does not follow.
    pub async fn resume_blob(
        self: &Arc<Self>,
        repository: &str,
        id: &str,
        at: Option<u64>,
    ) -> std::result::Result<BlobUpload, Problem> {
        self.blob_offset(repository, id)?;
        if !self.lab_store.writing.lock().insert(id.to_owned()) {
            return Err(Problem::conflict("uploading"));
        }
        let file = OpenOptions::new().append(true).open(self.upload_file(id));
        let opened = file.and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.lab_store.writing.lock().remove(id);
                return Err(disk(error));
            }
        };
        let upload = BlobUpload {
            engine: self.clone(),
            id: id.to_owned(),
            file,
            bytes,
        };
        if at.is_some_and(|at| at != bytes) {
            return Err(Problem::conflict("upload-offset").with("offset", bytes));
        }
        let row = id.to_owned();
        let touched = self.store.write(move |tx| {
            tx.execute(
                "UPDATE registry_upload SET used_at = ?2 WHERE id = ?1",
                params![row, tx.now().0],
            )?;
            Ok(())
        });
        touched.await?;
        Ok(upload)
    }

    /// Gives an upload up.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn drop_blob(&self, repository: &str, id: &str) -> std::result::Result<(), Problem> {
        self.blob_offset(repository, id)?;
        let row = id.to_owned();
        let dropped = self.store.write(move |tx| {
            tx.execute("DELETE FROM registry_upload WHERE id = ?1", [row])?;
            Ok(())
        });
        dropped.await?;
        fs::remove_file(self.upload_file(id)).map_err(disk)
    }

    /// Ends an upload: what has arrived must have this digest.
    ///
    /// # Errors
    /// [`Code::Invalid`] for another digest.
    pub async fn end_blob(
        &self,
        repository: &str,
        upload: BlobUpload,
        digest: &str,
    ) -> std::result::Result<(), Problem> {
        check_digest(digest)?;
        let path = self.upload_file(&upload.id);
        let found = {
            let path = path.clone();
            tokio::task::spawn_blocking(move || digest_of(&path))
        };
        let (found, bytes) = found.await.map_err(Problem::internal)?.map_err(disk)?;
        if found != digest {
            return Err(Problem::invalid("digest", "checksum"));
        }
        upload.file.sync_all().map_err(disk)?;
        self.keep_blob(repository, &path, digest, bytes, Some(upload.id.clone()))
            .await
    }

    /// Moves a whole file to its place among the blobs, and tells the database.
    pub(super) async fn keep_blob(
        &self,
        repository: &str,
        file: &Path,
        digest: &str,
        bytes: u64,
        upload: Option<String>,
    ) -> std::result::Result<(), Problem> {
        let _files = self.lab_store.files.lock().await;
        fs::rename(file, self.blob_file(digest)).map_err(disk)?;
        File::open(self.registry_folder())
            .and_then(|folder| folder.sync_all())
            .map_err(disk)?;
        let (repository, digest) = (repository.to_owned(), digest.to_owned());
        let written = self.store.write(move |tx| {
            tx.execute(
                "INSERT OR IGNORE INTO registry_blob (digest, bytes, used_at) VALUES (?1, ?2, 0)",
                params![digest, bytes],
            )?;
            tx.link_blob(&repository, &digest)?;
            if let Some(upload) = upload {
                tx.execute("DELETE FROM registry_upload WHERE id = ?1", [upload])?;
            }
            Ok(())
        });
        Ok(written.await?)
    }

    /// The size of a blob that a repository has; it is in use from now on.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn blob(&self, repository: &str, digest: &str) -> std::result::Result<(File, u64), Problem> {
        check_digest(digest)?;
        if !self
            .store
            .read(|connection| is_linked(connection, repository, digest))?
        {
            return Err(Problem::not_found("blob"));
        }
        let file = File::open(self.blob_file(digest)).map_err(|_| Problem::not_found("blob"))?;
        let bytes = file.metadata().map_err(disk)?.len();
        Ok((file, bytes))
    }

    /// Gives a repository a blob that another one has.
    ///
    /// # Errors
    /// [`Code::Invalid`] for the name.
    pub async fn mount_blob(&self, repository: &str, digest: &str, from: &str) -> std::result::Result<bool, Problem> {
        check_name(repository)?;
        if !is_digest(digest) || !self.blob_file(digest).is_file() {
            return Ok(false);
        }
        let (repository, digest, from) = (repository.to_owned(), digest.to_owned(), from.to_owned());
        let mounted = self
            .store
            .write(move |tx| Ok(is_linked(tx, &from, &digest)? && tx.link_blob(&repository, &digest)?));
        Ok(mounted.await?)
    }

    /// Says that a push counts on a blob, so that it is not collected before its manifest comes.
    ///
    /// # Errors
    /// [`Code::NotFound`] for one that has just been collected.
    pub async fn touch_blob(&self, repository: &str, digest: &str) -> Result<()> {
        let (repository, digest) = (repository.to_owned(), digest.to_owned());
        self.store
            .write(move |tx| {
                if tx.link_blob(&repository, &digest)? {
                    Ok(())
                } else {
                    Err(Problem::not_found("blob").into())
                }
            })
            .await
    }
}
