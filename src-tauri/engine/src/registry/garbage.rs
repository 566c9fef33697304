//! What nobody names any more: manifests without a name, blobs without a manifest, uploads that never ended.

use crate::{Engine, backup, error::Result};
use edgedeck_model::{
    app::is_package_hash,
    time::{DAY, HOUR},
};
use rusqlite::{Connection, params};
use std::{collections::HashSet, fs, path::Path};

/// How long a blob without a manifest is kept: its push may not have ended.
const BLOB_KEPT: i64 = DAY;
/// How long a manifest without a name is kept.
const UNNAMED_KEPT: i64 = DAY;
/// How long an upload may stand still.
const UPLOAD_KEPT: i64 = 6 * HOUR;
/// Manifests in one go: a transaction must not hold up others.
const AT_ONCE: u32 = 500;

impl Engine {
    /// Removes from database and disk what nobody names.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn collect_garbage(&self) -> Result<()> {
        let _files = self.lab_store.files.lock().await;
        let collected = self.store.write(|tx| {
            let before = |kept: i64| tx.now().plus(-kept).0;
            let (blobs_before, unnamed_before, uploads_before) =
                (before(BLOB_KEPT), before(UNNAMED_KEPT), before(UPLOAD_KEPT));
            loop {
                // A list of images goes before those that it names. What a version pins by its digest stays.
                let sql = "SELECT m.repository, m.digest FROM registry_manifest m WHERE m.pushed_at < ?1 \
                           AND NOT EXISTS (SELECT 1 FROM registry_tag t WHERE t.repository = m.repository AND t.digest = m.digest) \
                           AND NOT EXISTS (SELECT 1 FROM registry_part p WHERE p.repository = m.repository AND p.digest = m.digest) \
                           AND NOT EXISTS (SELECT 1 FROM version v WHERE instr(v.doc, m.digest) > 0) LIMIT ?2";
                let unnamed: Vec<(String, String)> = {
                    let mut statement = tx.prepare_cached(sql)?;
                    let rows = statement.query_map(params![unnamed_before, AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
                    rows.collect::<rusqlite::Result<_>>()?
                };
                if unnamed.is_empty() {
                    break;
                }
                for (repository, digest) in unnamed {
                    tx.drop_manifest(&repository, &digest)?;
                }
            }
            let sql = "SELECT digest FROM registry_blob WHERE used_at < ?1 \
                       AND NOT EXISTS (SELECT 1 FROM registry_part p WHERE p.digest = registry_blob.digest)";
            let blobs: Vec<String> = {
                let mut statement = tx.prepare_cached(sql)?;
                let rows = statement.query_map([blobs_before], |row| row.get(0))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            for digest in &blobs {
                tx.prepare_cached("DELETE FROM registry_link WHERE digest = ?1")?.execute([digest])?;
                tx.prepare_cached("DELETE FROM registry_blob WHERE digest = ?1")?.execute([digest])?;
            }
            tx.execute("DELETE FROM registry_upload WHERE used_at < ?1", [uploads_before])?;
            let uploads: Vec<String> = {
                let mut statement = tx.prepare_cached("SELECT id FROM registry_upload")?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            let kept: HashSet<String> = {
                let mut statement = tx.prepare_cached("SELECT substr(digest, 8) FROM registry_blob")?;
                let rows = statement.query_map([], |row| row.get(0))?;
                rows.collect::<rusqlite::Result<_>>()?
            };
            Ok((kept, uploads))
        });
        let (kept, uploads) = collected.await?;
        // Also what a crash has left between a file and its row; but not what the database from before a restore names,
        // as long as that is kept.
        let files = if backup::can_be_undone(self.data()) {
            None
        } else {
            fs::read_dir(self.registry_folder()).ok()
        };
        for file in files.into_iter().flatten().flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            if is_package_hash(&name) && !kept.contains(name.as_ref()) {
                remove(&file.path());
            }
        }
        let Ok(files) = fs::read_dir(self.registry_folder().join("uploads")) else {
            return Ok(());
        };
        for file in files.flatten() {
            let name = file.file_name();
            let is_open = self.lab_store.writing.lock().contains(name.to_string_lossy().as_ref());
            if !is_open && !uploads.iter().any(|id| name == id.as_str()) && is_old(&file) {
                remove(&file.path());
            }
        }
        Ok(())
    }
}

/// Forgets images whose blobs do not lie in a data folder, as in a database that was restored: backups hold no images.
///
/// # Errors
/// When the database cannot be written.
pub fn forget_missing(connection: &Connection, data: &Path) -> rusqlite::Result<()> {
    let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'registry_blob'";
    if connection.query_row(tables, [], |row| row.get::<_, u64>(0))? == 0 {
        return Ok(());
    }
    let digests: Vec<String> = {
        let mut statement = connection.prepare("SELECT digest FROM registry_blob")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    let folder = data.join("registry");
    for digest in digests {
        if !folder.join(digest.trim_start_matches("sha256:")).is_file() {
            connection.execute("DELETE FROM registry_link WHERE digest = ?1", [&digest])?;
            connection.execute("DELETE FROM registry_blob WHERE digest = ?1", [&digest])?;
        }
    }
    // What names something that is gone is gone; so is the list that names that.
    let broken = "DELETE FROM registry_manifest WHERE EXISTS (SELECT 1 FROM registry_part p \
                  WHERE p.repository = registry_manifest.repository AND p.manifest = registry_manifest.digest \
                  AND NOT EXISTS (SELECT 1 FROM registry_blob b WHERE b.digest = p.digest) \
                  AND NOT EXISTS (SELECT 1 FROM registry_manifest m WHERE m.repository = p.repository AND m.digest = p.digest))";
    while connection.execute(broken, [])? > 0 {}
    for (table, digest) in [("registry_part", "manifest"), ("registry_tag", "digest")] {
        let left = format!(
            "DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM registry_manifest m \
             WHERE m.repository = {table}.repository AND m.digest = {table}.{digest})"
        );
        connection.execute(&left, [])?;
    }
    connection.execute("DELETE FROM registry_upload", []).map(drop)
}

/// An upload that is just beginning has its file before its row.
fn is_old(file: &fs::DirEntry) -> bool {
    let changed = file.metadata().and_then(|facts| facts.modified()).ok();
    let age = changed.and_then(|changed| changed.elapsed().ok());
    age.is_some_and(|age| age.as_millis() > HOUR as u128)
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(%error, path = %path.display(), "removing what no image names");
    }
}
