//! The lab's own image registry: repositories with tags, manifests and blobs, as the OCI distribution specification has
//! them.
//!
//! Names and manifests are in the database, blobs beside it under their digest. A blob is whole and on the disk before
//! the database knows of it.

mod archive;
mod blobs;
mod garbage;
mod manifests;

pub use archive::{parse_any as parse_archive, sweep};
pub use blobs::BlobUpload;
pub use garbage::forget_missing;
pub use manifests::{StoredManifest, parse_any as parse_manifest};

use crate::{
    Engine,
    error::Result,
    packages::disk,
    seal::{self, Seal, random_hex},
    store::{Store, Tx},
};
use edgedeck_model::{
    NodeId, Problem, Time,
    image::{LabImage, LabImages},
};
use edgedeck_protocol::LabRegistry;
use parking_lot::{Mutex, RwLock};
use ring::hmac;
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::HashSet, path::PathBuf};

/// The name that the secret behind nodes' passwords is sealed under.
const NODES_SECRET: &str = "registry-nodes";
/// Begin of a node's account; its id follows.
const NODE_ACCOUNT: &str = "node-";

/// What the registry holds in memory.
pub struct LabStore {
    nodes: hmac::Key,
    /// The port that it listens on.
    port: RwLock<Option<u16>>,
    /// Uploads that somebody writes to just now.
    writing: Mutex<HashSet<String>>,
    /// Held while files of blobs come and go, with what the database says of them.
    files: tokio::sync::Mutex<()>,
}

impl LabStore {
    /// Reads the secret, or makes it at the first run.
    pub async fn open(store: &Store, sealing: &Seal) -> std::result::Result<Self, crate::pki::PkiError> {
        let sealed = store.read(|connection| seal::stored(connection, NODES_SECRET))?;
        let secret = match sealed {
            Some(sealed) => sealing.unseal(NODES_SECRET, &sealed)?.to_vec(),
            None => {
                let secret = random_hex::<32>()?.into_bytes();
                let sealed = sealing.seal(NODES_SECRET, &secret)?;
                store.write(move |tx| tx.put_secret(NODES_SECRET, &sealed)).await?;
                secret
            }
        };
        Ok(Self {
            nodes: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            port: RwLock::default(),
            writing: Mutex::default(),
            files: tokio::sync::Mutex::default(),
        })
    }
}

fn is_linked(connection: &Connection, repository: &str, digest: &str) -> Result<bool> {
    let found = connection
        .prepare_cached("SELECT 1 FROM registry_link WHERE repository = ?1 AND digest = ?2")?
        .query_row([repository, digest], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

impl Tx<'_> {
    /// A blob that is there belongs to a repository from now on, and is in use.
    fn link_blob(&mut self, repository: &str, digest: &str) -> Result<bool> {
        let now = self.now().0;
        let touched = self
            .prepare_cached("UPDATE registry_blob SET used_at = ?2 WHERE digest = ?1")?
            .execute(params![digest, now])?;
        if touched > 0 {
            self.prepare_cached("INSERT OR IGNORE INTO registry_link (repository, digest) VALUES (?1, ?2)")?
                .execute([repository, digest])?;
        }
        Ok(touched > 0)
    }
}

impl Engine {
    fn registry_folder(&self) -> PathBuf {
        self.data().join("registry")
    }

    /// Where the file of a blob lies.
    fn blob_file(&self, digest: &str) -> PathBuf {
        self.registry_folder().join(digest.trim_start_matches("sha256:"))
    }

    /// Says which port the registry listens on, if any.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn serve_registry(&self, port: Option<u16>) -> Result<()> {
        *self.lab_store.port.write() = port;
        self.registry_moved().await
    }

    /// Where the registry can be reached, likeliest first; nowhere where it does not listen.
    pub fn registry_addresses(&self) -> Vec<String> {
        let Some(port) = *self.lab_store.port.read() else {
            return Vec::new();
        };
        let hosts = self.agent_addresses();
        let hosts = hosts.iter().filter_map(|address| Some(address.rsplit_once(':')?.0));
        let mut addresses: Vec<String> = hosts.map(|host| format!("{host}:{port}")).collect();
        if addresses.is_empty() {
            addresses.push(format!("localhost:{port}"));
        }
        addresses
    }

    /// Nodes are sent the addresses of the registry when they are others than before.
    pub(crate) async fn registry_moved(&self) -> Result<()> {
        const KEY: &str = "registry-addresses";
        let addresses = self.registry_addresses().join(" ");
        let moved = self.store.write(move |tx| {
            let before: Option<String> = tx
                .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
                .query_row([KEY], |row| row.get(0))
                .optional()?;
            if before.as_ref() == Some(&addresses) {
                return Ok(false);
            }
            tx.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                [KEY, &addresses],
            )?;
            tx.outside_changed()?;
            Ok(true)
        });
        if moved.await? {
            self.renew_outside();
        }
        Ok(())
    }

    /// What a node needs to pull from the registry.
    pub(crate) fn registry_for(&self, node: NodeId) -> Option<LabRegistry> {
        let addresses = self.registry_addresses();
        (!addresses.is_empty()).then(|| LabRegistry {
            addresses,
            account: format!("{NODE_ACCOUNT}{node}"),
            password: self.node_password(node),
            ca_pem: self.pki.present().pem(),
        })
    }

    fn node_password(&self, node: NodeId) -> String {
        hex::encode(hmac::sign(&self.lab_store.nodes, node.0.as_bytes()))
    }

    /// The managed node that an account and a password of the registry are of.
    pub fn registry_node(&self, account: &str, password: &str) -> Option<NodeId> {
        let node: NodeId = account.strip_prefix(NODE_ACCOUNT)?.parse().ok()?;
        let tag = hex::decode(password).ok()?;
        hmac::verify(&self.lab_store.nodes, node.0.as_bytes(), &tag).ok()?;
        self.node(node).is_ok_and(|node| node.managed).then_some(node)
    }

    /// All images with a name, and what they take.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_images(&self) -> Result<LabImages> {
        let (images, bytes) = self.store.read(|connection| {
            let sql = "SELECT t.repository, t.tag, t.digest, m.bytes, m.platforms, t.tagged_at, t.tagged_by, t.description \
                       FROM registry_tag t JOIN registry_manifest m ON m.repository = t.repository AND m.digest = t.digest \
                       ORDER BY t.repository, t.tagged_at DESC, t.tag";
            let mut statement = connection.prepare_cached(sql)?;
            let images = statement.query_map([], |row| {
                let platforms: String = row.get(4)?;
                Ok(LabImage {
                    repository: row.get(0)?,
                    tag: row.get(1)?,
                    digest: row.get(2)?,
                    bytes: row.get(3)?,
                    platforms: platforms.split_whitespace().map(ToOwned::to_owned).collect(),
                    pushed_at: Time(row.get(5)?),
                    pushed_by: row.get(6)?,
                    description: row.get(7)?,
                })
            })?;
            let images = images.collect::<rusqlite::Result<Vec<_>>>()?;
            let bytes = connection.query_row("SELECT coalesce(sum(bytes), 0) FROM registry_blob", [], |row| row.get(0))?;
            Ok((images, bytes))
        })?;
        let addresses = self.registry_addresses();
        Ok(LabImages {
            addresses,
            images,
            bytes,
        })
    }

    /// Names of repositories after `last`, at most `limit` of them.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_repositories(&self, last: &str, limit: u32) -> Result<Vec<String>> {
        self.store.read(|connection| {
            let sql = "SELECT DISTINCT repository FROM registry_manifest WHERE repository > ?1 ORDER BY 1 LIMIT ?2";
            let mut statement = connection.prepare_cached(sql)?;
            let names = statement.query_map(params![last, limit], |row| row.get(0))?;
            Ok(names.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Tags of a repository after `last`, at most `limit` of them.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`] for a repository that holds nothing.
    pub fn list_tags(&self, repository: &str, last: &str, limit: u32) -> Result<Vec<String>> {
        self.store.read(|connection| {
            let known = connection
                .prepare_cached("SELECT 1 FROM registry_manifest WHERE repository = ?1 LIMIT 1")?
                .query_row([repository], |_| Ok(()))
                .optional()?;
            known.ok_or_else(|| Problem::not_found("repository"))?;
            let sql = "SELECT tag FROM registry_tag WHERE repository = ?1 AND tag > ?2 ORDER BY tag LIMIT ?3";
            let mut statement = connection.prepare_cached(sql)?;
            let tags = statement.query_map(params![repository, last, limit], |row| row.get(0))?;
            Ok(tags.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn make_folder(path: &std::path::Path) -> std::result::Result<(), Problem> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(disk)
}
