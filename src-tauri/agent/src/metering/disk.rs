//! How much a folder holds.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, Instant},
};

/// What is looked at, at most: what lies beyond is not counted.
const ENTRIES_MAX: u32 = 50_000;
const TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes on the disk below a folder, on its own file system and without following links; at least so many where it holds
/// more than can be looked at.
pub fn bytes_below(folder: &Path) -> u64 {
    let Ok(top) = fs::symlink_metadata(folder) else {
        return 0;
    };
    let until = Instant::now() + TIME_MAX;
    let mut bytes = on_disk(&top);
    let mut entries = 0;
    let mut folders = if top.is_dir() {
        vec![folder.to_owned()]
    } else {
        Vec::new()
    };
    while let Some(folder) = folders.pop() {
        let Ok(found) = fs::read_dir(&folder) else { continue };
        for entry in found.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX || Instant::now() > until {
                return bytes;
            }
            let Ok(data) = entry.metadata() else { continue };
            if data.dev() != top.dev() {
                continue;
            }
            bytes += on_disk(&data);
            if data.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    bytes
}

/// A file with several names counts in shares.
fn on_disk(data: &fs::Metadata) -> u64 {
    let names = if data.is_dir() { 1 } else { data.nlink().max(1) };
    data.blocks() * 512 / names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_is_below_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let empty = bytes_below(dir.path());
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/file"), vec![7; 1_000_000]).unwrap();
        fs::hard_link(dir.path().join("a/file"), dir.path().join("again")).unwrap();
        symlink("/", dir.path().join("everything")).unwrap();
        let found = bytes_below(dir.path());
        assert!((1_000_000..1_100_000).contains(&(found - empty)), "{found}");
        assert_eq!(bytes_below(&dir.path().join("missing")), 0);
    }
}
