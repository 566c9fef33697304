//! Packages of processes: a `.tar.gz` of plain files and folders. They come from people; nothing in them is believed.

use crate::bounded::HeaderLimit;
use flate2::read::GzDecoder;
use std::{
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

/// Most bytes and entries that a package may unpack to.
pub const UNPACKED_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
pub const ENTRIES_MAX: usize = 100_000;

/// A package that must not be used.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error("writing")]
    Write(#[source] io::Error),
    #[error("it is not a .tar.gz")]
    Format(#[source] io::Error),
    #[error("it holds an unsafe path: {0:?}")]
    Path(String),
    #[error("it holds something that is no file or folder: {0:?}")]
    Kind(String),
    #[error("it holds more than {ENTRIES_MAX} files")]
    TooMany,
    #[error("it holds more than {UNPACKED_BYTES_MAX} bytes")]
    TooLarge,
}

/// A file or folder of a package.
pub struct Entry<'a> {
    /// Below the package's folder, without `.` or `..`; empty for that folder itself.
    pub path: PathBuf,
    pub is_folder: bool,
    pub is_program: bool,
    pub content: &'a mut dyn Read,
}

/// The content of an entry, and whether it could not be read.
struct Content<R> {
    entry: R,
    is_broken: bool,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.entry.read(buffer);
        self.is_broken |= read
            .as_ref()
            .is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// Reads a whole package, so that its checksum is known to fit, and hands over its files and folders one by one.
///
/// # Errors
/// [`UnpackError`] for anything else in it, or too much of it; and what `take` says of writing.
pub fn read(packed: impl Read, mut take: impl FnMut(Entry<'_>) -> io::Result<()>) -> Result<(), UnpackError> {
    let limit = HeaderLimit::default();
    let mut archive = tar::Archive::new(limit.reader(GzDecoder::new(packed)));
    let (mut entries, mut bytes) = (0, 0_u64);
    for entry in archive.entries().map_err(UnpackError::Format)? {
        let mut entry = entry.map_err(UnpackError::Format)?;
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(UnpackError::TooMany);
        }
        bytes = bytes.saturating_add(entry.size());
        if bytes > UNPACKED_BYTES_MAX {
            return Err(UnpackError::TooLarge);
        }
        let name = entry.path().map_err(UnpackError::Format)?.into_owned();
        let shown = || edgedeck_model::name::tame(&name.to_string_lossy(), 200);
        let kind = entry.header().entry_type();
        limit.content(entry.size());
        // What `git archive` begins with.
        if !kind.is_pax_global_extensions() {
            if !(kind.is_file() || kind.is_dir()) {
                return Err(UnpackError::Kind(shown()));
            }
            let path = inside(&name).ok_or_else(|| UnpackError::Path(shown()))?;
            let is_program = kind.is_file() && entry.header().mode().map_err(UnpackError::Format)? & 0o111 != 0;
            let mut content = Content {
                entry: &mut entry,
                is_broken: false,
            };
            let taken = take(Entry {
                path,
                is_folder: kind.is_dir(),
                is_program,
                content: &mut content,
            });
            taken.map_err(if content.is_broken {
                UnpackError::Format
            } else {
                UnpackError::Write
            })?;
        }
        io::copy(&mut entry, &mut io::sink()).map_err(UnpackError::Format)?;
        limit.next();
    }
    if entries == 0 {
        return Err(UnpackError::Format(io::Error::other("it is empty")));
    }
    // The padding at its end; the checksum stands behind that.
    io::copy(&mut archive.into_inner(), &mut io::sink())
        .map(drop)
        .map_err(UnpackError::Format)
}

/// A name in an archive as a path below its folder; `None` when it is outside of that.
fn inside(name: &Path) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use tar::{EntryType, Header};

    fn header(name: &str, kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(size);
        header.set_cksum();
        header
    }

    fn read_all(packed: &[u8]) -> Result<Vec<PathBuf>, UnpackError> {
        let mut paths = Vec::new();
        read(packed, |entry| {
            paths.push(entry.path);
            Ok(())
        })?;
        Ok(paths)
    }

    #[test]
    fn a_long_name_is_read_and_an_endless_one_is_not() {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let long = format!("{}/program", "folder/".repeat(40));
        let mut head = Header::new_gnu();
        head.set_size(1);
        head.set_mode(0o755);
        head.set_cksum();
        archive.append_data(&mut head, &long, &b"x"[..]).unwrap();
        let packed = archive.into_inner().unwrap().finish().unwrap();
        assert_eq!(read_all(&packed).unwrap(), [PathBuf::from(long)]);

        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(header("x", kind, 1 << 30).as_bytes()).unwrap();
            for _ in 0..64 {
                gzip.write_all(&vec![b'a'; 1 << 20]).unwrap();
            }
            let outcome = read_all(&gzip.finish().unwrap());
            assert!(matches!(outcome, Err(UnpackError::Format(_))), "{kind:?}: {outcome:?}");
        }
    }

    #[test]
    fn a_package_with_a_flipped_bit_is_refused() {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::none()));
        archive
            .append(&header("file", EntryType::Regular, 4), &b"abcd"[..])
            .unwrap();
        let mut packed = archive.into_inner().unwrap().finish().unwrap();
        assert!(read_all(&packed).is_ok());
        let content = packed.windows(4).position(|bytes| bytes == b"abcd").unwrap();
        packed[content] ^= 1;
        assert!(matches!(read_all(&packed), Err(UnpackError::Format(_))));
    }

    #[test]
    fn more_than_the_limit_is_refused_before_it_is_read() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        let head = header("big", EntryType::Regular, UNPACKED_BYTES_MAX + 1);
        gzip.write_all(head.as_bytes()).unwrap();
        assert!(matches!(read_all(&gzip.finish().unwrap()), Err(UnpackError::TooLarge)));
    }
}
