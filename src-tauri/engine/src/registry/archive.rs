//! Archives of images, as `docker save` and `podman save` write them: their images become the registry's.

use super::{blobs::digest_of, make_folder};
use crate::{
    Actor, Engine, PackageUpload,
    packages::{check_space, disk},
};
use edgedeck_model::{
    Code, Problem,
    image::{ARCHIVE_BYTES_MAX, is_repository, is_tag, registry_of},
};
use edgedeck_protocol::bounded::HeaderLimit;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Component, Path},
    sync::Arc,
};
use tempfile::NamedTempFile;

/// Most files in an archive, and largest file that describes others, in bytes.
const FILES_MAX: usize = 100_000;
const DESCRIPTION_MAX: u64 = 16 * 1024 * 1024;
/// What is copied between two looks at the disk, in bytes.
const PIECE: u64 = 8 * 1024 * 1024;
const IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";

/// What an archive says of one image.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// Where the files of an archive are.
struct Archive {
    file: File,
    places: BTreeMap<String, (u64, u64)>,
}

fn broken(detail: impl ToString) -> Problem {
    Problem {
        detail: Some(detail.to_string()),
        ..Problem::invalid("archive", "image-archive")
    }
}

impl Archive {
    /// Finds the files without reading them.
    fn open(mut file: File) -> Result<Self, Problem> {
        file.rewind().map_err(disk)?;
        let limit = HeaderLimit::default();
        let mut archive = tar::Archive::new(limit.reader(&file));
        let (mut places, mut links) = (BTreeMap::new(), Vec::new());
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            limit.content(0);
            limit.next();
            let name = entry.path().map_err(broken)?;
            let inside = name
                .components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
            if !inside || places.len() + links.len() > FILES_MAX {
                return Err(broken("it holds paths that lead outside, or too many files"));
            }
            let name = name.strip_prefix(".").unwrap_or(&name).display().to_string();
            match entry.header().entry_type() {
                kind if kind.is_file() => _ = places.insert(name, (entry.raw_file_position(), entry.size())),
                // Layers that two images share are links to the first, in archives of older tools.
                kind if kind.is_symlink() || kind.is_hard_link() => {
                    if let Ok(Some(target)) = entry.link_name() {
                        links.push((name, target.into_owned(), kind.is_symlink()));
                    }
                }
                _ => {}
            }
        }
        for (name, target, is_relative) in links {
            let from = if is_relative { Path::new(&name).parent() } else { None };
            let target = plain(&from.unwrap_or(Path::new("")).join(target));
            if let Some(place) = target.and_then(|target| places.get(&target).copied()) {
                places.insert(name, place);
            }
        }
        Ok(Self { file, places })
    }

    fn read(&self, name: &str) -> Result<impl Read, Problem> {
        let (at, bytes) = *self
            .places
            .get(name)
            .ok_or_else(|| broken(format!("{name} is missing")))?;
        let mut file = self.file.try_clone().map_err(disk)?;
        file.seek(SeekFrom::Start(at)).map_err(disk)?;
        Ok(file.take(bytes))
    }

    fn describe<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Problem> {
        let mut bytes = Vec::new();
        self.read(name)?
            .take(DESCRIPTION_MAX)
            .read_to_end(&mut bytes)
            .map_err(broken)?;
        serde_json::from_slice(&bytes).map_err(broken)
    }
}

/// Looks through an archive and drops what it finds: the entry for fuzzing.
pub fn parse_any(file: File) {
    let Ok(archive) = unpacked(file, &std::env::temp_dir()).and_then(Archive::open) else {
        return;
    };
    for image in archive.describe::<Vec<Saved>>("manifest.json").unwrap_or_default() {
        image.repo_tags.iter().flatten().for_each(|tag| _ = named(tag));
        for name in image.layers.iter().chain([&image.config]) {
            if let Ok(content) = archive.read(name) {
                // What is broken ends the copy, as it would there.
                let _ = io::copy(&mut content.take(1 << 20), &mut io::sink());
            }
        }
    }
}

/// A path without `..`; `None` where it leads outside.
fn plain(path: &Path) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir => _ = parts.pop()?,
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

/// Repository and tag that a name in an archive stands for here: without the registry that it came from.
fn named(reference: &str) -> Option<(String, String)> {
    let bare = match registry_of(reference) {
        Some(registry) => reference.strip_prefix(registry)?.strip_prefix('/')?,
        None => reference,
    };
    let (repository, tag) = bare.rsplit_once(':')?;
    (is_repository(repository) && is_tag(tag)).then(|| (repository.to_owned(), tag.to_owned()))
}

/// Unpacks a compressed archive, which must be read here and there.
fn unpacked(mut file: File, folder: &Path) -> Result<File, Problem> {
    let mut magic = [0; 2];
    file.rewind().map_err(disk)?;
    let is_packed = file.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    file.rewind().map_err(disk)?;
    if !is_packed {
        return Ok(file);
    }
    let mut plain = tempfile::tempfile_in(folder).map_err(disk)?;
    let written = copy_within(
        MultiGzDecoder::new(file).take(ARCHIVE_BYTES_MAX + 1),
        &mut plain,
        folder,
    )?;
    if written > ARCHIVE_BYTES_MAX {
        return Err(Problem::new(Code::TooLarge).with("max", ARCHIVE_BYTES_MAX));
    }
    Ok(plain)
}

/// Copies as long as the disk has space that others need, too.
fn copy_within(mut from: impl Read, to: &mut File, folder: &Path) -> Result<u64, Problem> {
    let mut written = 0;
    loop {
        check_space(folder)?;
        let mut piece = Vec::new();
        from.by_ref().take(PIECE).read_to_end(&mut piece).map_err(broken)?;
        if piece.is_empty() {
            return Ok(written);
        }
        to.write_all(&piece).map_err(disk)?;
        written += piece.len() as u64;
    }
}

/// A blob out of an archive.
#[derive(Clone)]
struct Blob {
    digest: String,
    bytes: u64,
    is_packed: bool,
}

/// The blobs that were copied, by their names in the archive.
type Kept = BTreeMap<String, Blob>;

fn copy(archive: &Archive, name: &str, folder: &Path) -> Result<(NamedTempFile, Blob), Problem> {
    let mut file = NamedTempFile::new_in(folder).map_err(disk)?;
    copy_within(archive.read(name)?, file.as_file_mut(), folder)?;
    file.as_file().sync_all().map_err(disk)?;
    let mut magic = [0; 2];
    let mut begin = File::open(file.path()).map_err(disk)?;
    let is_packed = begin.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let (digest, bytes) = digest_of(file.path()).map_err(disk)?;
    let blob = Blob {
        digest,
        bytes,
        is_packed,
    };
    Ok((file, blob))
}

impl Engine {
    /// Takes the images out of an archive; their names here.
    ///
    /// # Errors
    /// [`Code::Invalid`] for what is no such archive, or has an image without a name.
    pub async fn add_images(self: &Arc<Self>, actor: &Actor, upload: PackageUpload) -> Result<Vec<String>, Problem> {
        self.add_archive(actor, upload, None).await
    }

    /// Takes the only image out of an archive under this name, whatever it is called in there.
    ///
    /// # Errors
    /// [`Code::Invalid`] for what is no such archive, or has several images.
    pub async fn add_image_as(
        self: &Arc<Self>,
        actor: &Actor,
        upload: PackageUpload,
        repository: &str,
        tag: &str,
        description: String,
    ) -> Result<(), Problem> {
        edgedeck_model::name::check_description("description", &description)?;
        let name = (repository.to_owned(), tag.to_owned());
        self.add_archive(actor, upload, Some(name.clone())).await?;
        let (repository, tag) = name;
        let described = self.store.write(move |tx| {
            let sql = "UPDATE registry_tag SET description = ?3 WHERE repository = ?1 AND tag = ?2";
            tx.execute(sql, [repository, tag, description])?;
            Ok(())
        });
        Ok(described.await?)
    }

    async fn add_archive(
        self: &Arc<Self>,
        actor: &Actor,
        upload: PackageUpload,
        called: Option<(String, String)>,
    ) -> Result<Vec<String>, Problem> {
        let folder = self.registry_folder().join("uploads");
        make_folder(&folder)?;
        let (archive, saved) = {
            let folder = folder.clone();
            let opening = tokio::task::spawn_blocking(move || {
                let archive = Archive::open(unpacked(upload.into_file(), &folder)?)?;
                let saved: Vec<Saved> = archive.describe("manifest.json")?;
                Ok::<_, Problem>((Arc::new(archive), saved))
            });
            opening.await.map_err(Problem::internal)??
        };
        // Before anything is stored: an archive is taken whole or not at all.
        let mut names = Vec::new();
        if called.is_some() && saved.len() > 1 {
            return Err(broken("it holds several images"));
        }
        for image in &saved {
            let references = image.repo_tags.iter().flatten().map(|reference| named(reference));
            let here = match &called {
                Some(name) => Some(vec![name.clone()]),
                None => references.collect::<Option<Vec<_>>>().filter(|here| !here.is_empty()),
            };
            names.push(here.ok_or_else(|| Problem::invalid("archive", "image-unnamed"))?);
            for name in image.layers.iter().chain([&image.config]) {
                archive.read(name)?;
            }
        }
        if saved.is_empty() {
            return Err(broken("it holds no images"));
        }
        let mut added = Vec::new();
        let mut kept = Kept::new();
        for (image, names) in saved.iter().zip(&names) {
            for (repository, tag) in names {
                let mut parts = Vec::new();
                for name in [&image.config].into_iter().chain(&image.layers) {
                    parts.push(self.add_blob(repository, &archive, name, &mut kept, &folder).await?);
                }
                self.add_image(actor, repository, tag, &parts).await?;
                added.push(format!("{repository}:{tag}"));
            }
        }
        Ok(added)
    }

    /// Copies a file of an archive, unless that was done for another name or image in it.
    async fn add_blob(
        &self,
        repository: &str,
        archive: &Arc<Archive>,
        name: &str,
        kept: &mut Kept,
        folder: &Path,
    ) -> Result<Blob, Problem> {
        if let Some(blob) = kept.get(name) {
            self.touch_blob(repository, &blob.digest).await?;
            return Ok(blob.clone());
        }
        let (archive, folder) = (archive.clone(), folder.to_owned());
        let copied = name.to_owned();
        let copying = tokio::task::spawn_blocking(move || copy(&archive, &copied, &folder));
        let (file, blob) = copying.await.map_err(Problem::internal)??;
        let path = file.into_temp_path();
        self.keep_blob(repository, &path, &blob.digest, blob.bytes, None)
            .await?;
        // It has gone to its place.
        let _moved = path.keep();
        kept.insert(name.to_owned(), blob.clone());
        Ok(blob)
    }

    /// An image of its configuration, which comes first, and its layers.
    async fn add_image(&self, actor: &Actor, repository: &str, tag: &str, parts: &[Blob]) -> Result<(), Problem> {
        let described = |(at, part): (usize, &Blob)| {
            let media_type = match (at, part.is_packed) {
                (0, _) => CONFIG.to_owned(),
                (_, true) => format!("{LAYER}.gzip"),
                (_, false) => LAYER.to_owned(),
            };
            json!({ "mediaType": media_type, "size": part.bytes, "digest": part.digest })
        };
        let parts: Vec<_> = parts.iter().enumerate().map(described).collect();
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": IMAGE, "config": parts.first(), "layers": parts.get(1..) });
        let content = serde_json::to_vec(&manifest).map_err(Problem::internal)?;
        self.put_manifest(actor, repository, tag, Some(IMAGE), content)
            .await
            .map(drop)
    }
}

/// Removes what uploads and additions that broke off have left in a data folder; when none is under way.
pub fn sweep(data: &Path) {
    let folders = ["packages", "registry/uploads"].map(|name| fs::read_dir(data.join(name)));
    for file in folders.into_iter().flatten().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(".tmp") {
            // Whoever cannot remove it now will be asked again.
            let _gone = fs::remove_file(file.path());
        }
    }
}
