//! Manifests, and the tags that name them.

use super::is_linked;
use crate::{Actor, Engine, error::Result, store::Tx};
use edgedeck_model::{
    Code, Problem,
    image::{MANIFEST_BYTES_MAX, is_digest, is_repository, is_tag},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
};

/// Kinds of manifests that are kept: those of one image, and lists of them.
const IMAGES: [&str; 2] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const INDEXES: [&str; 2] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];
/// Largest description of an image that is read for its platform, in bytes.
const CONFIG_MAX: u64 = 4 * 1024 * 1024;

/// A manifest as it was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    pub digest: String,
    pub media_type: String,
    pub content: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
}

impl Manifest {
    fn layers(&self) -> &[Descriptor] {
        self.layers.as_deref().unwrap_or_default()
    }

    fn manifests(&self) -> &[Descriptor] {
        self.manifests.as_deref().unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    /// Of layers that are had elsewhere.
    #[serde(default)]
    urls: Vec<String>,
}

/// What of an image's description is shown.
#[derive(Deserialize)]
struct Platform {
    os: Option<String>,
    architecture: Option<String>,
}

/// Reads a manifest and drops what it says: the entry for fuzzing.
pub fn parse_any(bytes: &[u8]) {
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(bytes) {
        let parts = manifest
            .config
            .iter()
            .chain(manifest.layers())
            .chain(manifest.manifests());
        parts.for_each(|part| _ = is_digest(&part.digest) && part.urls.is_empty());
    }
    drop(serde_json::from_slice::<Platform>(bytes));
}

fn invalid(reason: &str) -> Problem {
    Problem::invalid("manifest", reason)
}

fn stored(connection: &Connection, repository: &str, digest: &str) -> Result<Option<(StoredManifest, u64, String)>> {
    let sql =
        "SELECT media_type, content, bytes, platforms FROM registry_manifest WHERE repository = ?1 AND digest = ?2";
    Ok(connection
        .prepare_cached(sql)?
        .query_row([repository, digest], |row| {
            let manifest = StoredManifest {
                digest: digest.to_owned(),
                media_type: row.get(0)?,
                content: row.get(1)?,
            };
            Ok((manifest, row.get(2)?, row.get(3)?))
        })
        .optional()?)
}

fn tagged(connection: &Connection, repository: &str, tag: &str) -> Result<Option<String>> {
    Ok(connection
        .prepare_cached("SELECT digest FROM registry_tag WHERE repository = ?1 AND tag = ?2")?
        .query_row([repository, tag], |row| row.get(0))
        .optional()?)
}

impl Tx<'_> {
    fn delete_image(&mut self, actor: &Actor, repository: &str, reference: &str) -> Result<()> {
        let by_digest = is_digest(reference);
        let digest = if by_digest {
            stored(self, repository, reference)?.map(|_| reference.to_owned())
        } else {
            tagged(self, repository, reference)?
        };
        let digest = digest.ok_or_else(|| Problem::not_found("manifest"))?;
        let is_part = "SELECT count(*) FROM registry_part WHERE repository = ?1 AND digest = ?2";
        let parts: u64 = self.query_row(is_part, [repository, &digest], |row| row.get(0))?;
        let pinned = "SELECT count(*) FROM version WHERE instr(doc, ?1) > 0";
        let pinned: u64 = self.query_row(pinned, [&digest], |row| row.get(0))?;
        if by_digest && parts > 0 {
            return Err(Problem::conflict("image-in-list").into());
        }
        if by_digest && pinned > 0 {
            return Err(Problem::conflict("image-in-version").into());
        }
        if !by_digest {
            self.execute(
                "DELETE FROM registry_tag WHERE repository = ?1 AND tag = ?2",
                [repository, reference],
            )?;
        }
        let left = "SELECT count(*) FROM registry_tag WHERE repository = ?1 AND digest = ?2";
        let left: u64 = self.query_row(left, [repository, &digest], |row| row.get(0))?;
        if by_digest || (left == 0 && parts == 0 && pinned == 0) {
            self.drop_manifest(repository, &digest)?;
        }
        let between = if by_digest { '@' } else { ':' };
        self.audit(actor, "image.delete", &format!("{repository}{between}{reference}"))
    }
}

/// What is to be stored of a manifest.
struct Checked {
    parts: BTreeSet<String>,
    bytes: u64,
    platforms: BTreeSet<String>,
}

impl Tx<'_> {
    /// Checks that all that a manifest names is there.
    fn check_manifest(&self, engine: &Platforms, repository: &str, manifest: &Manifest, own: u64) -> Result<Checked> {
        let mut checked = Checked {
            parts: BTreeSet::new(),
            bytes: own,
            platforms: BTreeSet::new(),
        };
        let missing = |what: &str, digest: &str| Problem::not_found(what).with("digest", digest);
        for part in manifest.config.iter().chain(manifest.layers()) {
            if !is_digest(&part.digest) {
                return Err(invalid("image-digest").into());
            }
            if !part.urls.is_empty() {
                continue;
            }
            if !is_linked(self, repository, &part.digest)? {
                return Err(missing("manifest-blob", &part.digest).into());
            }
            if checked.parts.insert(part.digest.clone()) {
                let bytes = "SELECT bytes FROM registry_blob WHERE digest = ?1";
                let bytes: u64 = self
                    .prepare_cached(bytes)?
                    .query_row([&part.digest], |row| row.get(0))?;
                checked.bytes = checked.bytes.saturating_add(bytes);
            }
        }
        if let Some(config) = &manifest.config {
            checked.platforms.extend(engine.get(&config.digest).cloned());
        }
        for part in manifest.manifests() {
            let (_, bytes, platforms) =
                stored(self, repository, &part.digest)?.ok_or_else(|| missing("manifest-blob", &part.digest))?;
            if checked.parts.insert(part.digest.clone()) {
                checked.bytes = checked.bytes.saturating_add(bytes);
            }
            checked
                .platforms
                .extend(platforms.split_whitespace().map(ToOwned::to_owned));
        }
        Ok(checked)
    }

    /// Forgets a manifest that nobody names; what it named may go.
    pub(super) fn drop_manifest(&mut self, repository: &str, digest: &str) -> Result<()> {
        let now = self.now().0;
        // What it named is without a name from now on, not since it was pushed.
        self.execute(
            "UPDATE registry_manifest SET pushed_at = ?3 WHERE repository = ?1 AND digest IN \
             (SELECT digest FROM registry_part WHERE repository = ?1 AND manifest = ?2)",
            params![repository, digest, now],
        )?;
        for table in [
            "registry_part WHERE manifest",
            "registry_manifest WHERE digest",
            "registry_tag WHERE digest",
        ] {
            self.execute(
                &format!("DELETE FROM {table} = ?2 AND repository = ?1"),
                [repository, digest],
            )?;
        }
        Ok(())
    }
}

/// Platforms of the images whose descriptions a manifest names, by digest.
type Platforms = BTreeMap<String, String>;

impl Engine {
    /// A manifest by its tag or its digest.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn manifest(&self, repository: &str, reference: &str) -> std::result::Result<StoredManifest, Problem> {
        let found = self.store.read(|connection| {
            let digest = if is_digest(reference) {
                Some(reference.to_owned())
            } else {
                tagged(connection, repository, reference)?
            };
            match digest {
                Some(digest) => stored(connection, repository, &digest),
                None => Ok(None),
            }
        })?;
        let (manifest, _, _) = found.ok_or_else(|| Problem::not_found("manifest"))?;
        Ok(manifest)
    }

    /// Keeps a manifest, and names it if `reference` is a tag; its digest.
    ///
    /// # Errors
    /// [`Code::Invalid`] for what is no manifest of a known kind or has another digest, [`Code::NotFound`] for what it
    /// names and the repository does not have.
    pub async fn put_manifest(
        &self,
        actor: &Actor,
        repository: &str,
        reference: &str,
        media_type: Option<&str>,
        content: Vec<u8>,
    ) -> std::result::Result<String, Problem> {
        if !is_repository(repository) {
            return Err(Problem::invalid("name", "image-repository"));
        }
        if content.len() as u64 > MANIFEST_BYTES_MAX {
            return Err(Problem::new(Code::TooLarge).with("max", MANIFEST_BYTES_MAX));
        }
        let manifest: Manifest = serde_json::from_slice(&content).map_err(|error| Problem {
            detail: Some(error.to_string()),
            ..invalid("image-manifest")
        })?;
        let media_type = media_type
            .or(manifest.media_type.as_deref())
            .unwrap_or_default()
            .to_owned();
        let is_image =
            IMAGES.contains(&media_type.as_str()) && manifest.config.is_some() && manifest.manifests().is_empty();
        let is_index =
            INDEXES.contains(&media_type.as_str()) && manifest.config.is_none() && manifest.layers().is_empty();
        let says_same = manifest.media_type.as_ref().is_none_or(|said| *said == media_type);
        if manifest.schema_version != 2 || !(is_image || is_index) || !says_same {
            return Err(invalid("image-manifest"));
        }
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&content)));
        let tag = if reference.contains(':') {
            if reference != digest {
                return Err(Problem::invalid("digest", "checksum"));
            }
            None
        } else if is_tag(reference) {
            Some(reference.to_owned())
        } else {
            return Err(Problem::invalid("reference", "image-tag"));
        };
        let platforms = self.platforms(&manifest);
        let (actor, repository, own) = (actor.clone(), repository.to_owned(), digest.clone());
        let written = self.store.write(move |tx| {
            let checked = tx.check_manifest(&platforms, &repository, &manifest, content.len() as u64)?;
            let now = tx.now().0;
            tx.execute(
                "INSERT INTO registry_manifest (repository, digest, media_type, content, bytes, platforms, pushed_at, pushed_by) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (repository, digest) DO UPDATE SET pushed_at = ?7",
                params![
                    repository, own, media_type, content, checked.bytes,
                    checked.platforms.into_iter().collect::<Vec<_>>().join(" "), now, actor.name
                ],
            )?;
            for part in &checked.parts {
                tx.prepare_cached("INSERT OR IGNORE INTO registry_part (repository, manifest, digest) VALUES (?1, ?2, ?3)")?
                    .execute([&repository, &own, part])?;
            }
            let subject = match &tag {
                Some(tag) => {
                    // The image that had the name is without it from now on.
                    tx.execute(
                        "UPDATE registry_manifest SET pushed_at = ?3 WHERE repository = ?1 AND digest = \
                         (SELECT digest FROM registry_tag WHERE repository = ?1 AND tag = ?2)",
                        params![repository, tag, now],
                    )?;
                    tx.execute(
                        "INSERT OR REPLACE INTO registry_tag (repository, tag, digest, tagged_at, tagged_by) \
                         VALUES (?1, ?2, ?3, ?4, ?5)",
                        params![repository, tag, own, now, actor.name],
                    )?;
                    format!("{repository}:{tag}")
                }
                None => format!("{repository}@{own}"),
            };
            tx.audit(&actor, "image.push", &subject)
        });
        written.await?;
        Ok(digest)
    }

    /// What the image's description says that it runs on; nothing where there is none that says so.
    fn platforms(&self, manifest: &Manifest) -> Platforms {
        let mut platforms = Platforms::new();
        if let Some(config) = manifest.config.as_ref().filter(|config| is_digest(&config.digest)) {
            let mut bytes = Vec::new();
            let read = File::open(self.blob_file(&config.digest))
                .and_then(|file| file.take(CONFIG_MAX).read_to_end(&mut bytes));
            let platform = read.ok().and_then(|_| serde_json::from_slice::<Platform>(&bytes).ok());
            if let Some(Platform {
                os: Some(os),
                architecture: Some(architecture),
            }) = platform
            {
                let text = edgedeck_model::name::tame(&format!("{os}/{architecture}"), 64);
                platforms.insert(config.digest.clone(), text.replace(' ', "-"));
            }
        }
        platforms
    }

    /// Takes a tag away, or a manifest with all its tags; what nobody names any more goes from the disk in a day.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] for one that a list of images or a version names.
    pub async fn delete_image(
        &self,
        actor: &Actor,
        repository: &str,
        reference: &str,
    ) -> std::result::Result<(), Problem> {
        let one = (repository.to_owned(), reference.to_owned());
        self.delete_images(actor, vec![one]).await
    }

    /// As [`Self::delete_image`], for all of these (repository, reference) or none.
    ///
    /// # Errors
    /// As there.
    pub async fn delete_images(
        &self,
        actor: &Actor,
        images: Vec<(String, String)>,
    ) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let deleted = self.store.write(move |tx| {
            images
                .iter()
                .try_for_each(|(repository, reference)| tx.delete_image(&actor, repository, reference))
        });
        Ok(deleted.await?)
    }
}
