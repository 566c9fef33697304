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
/// Largest header that stands before a file, in bytes.
const EXTENSION_MAX: u64 = 64 * 1024;
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
        // What stands before an entry for its long name is read whole: none may be long.
        for entry in tar::Archive::new(&file).entries_with_seek().map_err(broken)?.raw(true) {
            let entry = entry.map_err(broken)?;
            let kind = entry.header().entry_type();
            let is_extension = kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions();
            if is_extension && entry.size() > EXTENSION_MAX {
                return Err(broken("it holds a name that is too long"));
            }
        }
        file.rewind().map_err(disk)?;
        let mut archive = tar::Archive::new(&file);
        let (mut places, mut links) = (BTreeMap::new(), Vec::new());
        for entry in archive.entries_with_seek().map_err(broken)? {
            let entry = entry.map_err(broken)?;
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
pub fn parse_any(bytes: &[u8]) {
    let folder = std::env::temp_dir();
    let written = tempfile::tempfile().and_then(|mut file| file.write_all(bytes).map(|()| file));
    let file = written.expect("a file for what is looked through");
    let Ok(archive) = unpacked(file, &folder).and_then(Archive::open) else {
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

/// A blob that was copied out of an archive.
struct Copied {
    file: NamedTempFile,
    digest: String,
    bytes: u64,
    is_packed: bool,
}

fn copy(archive: &Archive, name: &str, folder: &Path) -> Result<Copied, Problem> {
    let mut file = NamedTempFile::new_in(folder).map_err(disk)?;
    copy_within(archive.read(name)?, file.as_file_mut(), folder)?;
    file.as_file().sync_all().map_err(disk)?;
    let mut magic = [0; 2];
    let mut begin = File::open(file.path()).map_err(disk)?;
    let is_packed = begin.read_exact(&mut magic).is_ok() && magic == [0x1f, 0x8b];
    let (digest, bytes) = digest_of(file.path()).map_err(disk)?;
    Ok(Copied {
        file,
        digest,
        bytes,
        is_packed,
    })
}

impl Engine {
    /// Takes the images out of an archive; their names here.
    ///
    /// # Errors
    /// [`Code::Invalid`] for what is no such archive, or has an image without a name.
    pub async fn add_images(self: &Arc<Self>, actor: &Actor, upload: PackageUpload) -> Result<Vec<String>, Problem> {
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
        for image in &saved {
            let references = image.repo_tags.iter().flatten().map(|reference| named(reference));
            let here = references.collect::<Option<Vec<_>>>().filter(|here| !here.is_empty());
            names.push(here.ok_or_else(|| Problem::invalid("archive", "image-unnamed"))?);
            for name in image.layers.iter().chain([&image.config]) {
                archive.read(name)?;
            }
        }
        if saved.is_empty() {
            return Err(broken("it holds no images"));
        }
        let mut added = Vec::new();
        for (image, names) in saved.iter().zip(&names) {
            for (repository, tag) in names {
                self.add_image(actor, &archive, image, repository, tag, &folder).await?;
                added.push(format!("{repository}:{tag}"));
            }
        }
        Ok(added)
    }

    async fn add_image(
        &self,
        actor: &Actor,
        archive: &Arc<Archive>,
        image: &Saved,
        repository: &str,
        tag: &str,
        folder: &Path,
    ) -> Result<(), Problem> {
        let mut parts = Vec::new();
        for name in [&image.config].into_iter().chain(&image.layers) {
            let (archive, name, folder) = (archive.clone(), name.clone(), folder.to_owned());
            let copying = tokio::task::spawn_blocking(move || copy(&archive, &name, &folder));
            let Copied {
                file,
                digest,
                bytes,
                is_packed,
            } = copying.await.map_err(Problem::internal)??;
            let path = file.into_temp_path();
            self.keep_blob(repository, &path, &digest, bytes, None).await?;
            // It has gone to its place.
            let _moved = path.keep();
            let layer = if is_packed {
                format!("{LAYER}.gzip")
            } else {
                LAYER.to_owned()
            };
            let media_type = if parts.is_empty() { CONFIG.to_owned() } else { layer };
            parts.push(json!({ "mediaType": media_type, "size": bytes, "digest": digest }));
        }
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
