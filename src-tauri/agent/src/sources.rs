//! Where the agent reads the machine: the files below one root, so that tests can point it at captured ones.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

/// No file of `/proc` or `/sys` that the agent reads is larger, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// The machine's files.
#[derive(Clone, Debug)]
pub struct Sources {
    pub root: PathBuf,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
        }
    }
}

impl Sources {
    /// Whether this is the machine itself, not captured files.
    pub fn is_real(&self) -> bool {
        self.root == Path::new("/")
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A text file, with anything that is not UTF-8 replaced; `None` where it cannot be read.
    pub fn text(&self, path: &str) -> Option<String> {
        let mut bytes = Vec::new();
        File::open(self.path(path))
            .ok()?
            .take(FILE_MAX)
            .read_to_end(&mut bytes)
            .ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file with one value: trimmed, without the NUL that ends device-tree texts; `None` where it is empty.
    pub fn value(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let value = edgedeck_model::name::tame(text.trim_matches(['\0', '\n', ' ']), 200);
        (!value.is_empty()).then_some(value)
    }

    /// Names in a folder, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .take(4_096)
            .collect();
        names.sort();
        names
    }
}
