//! Entries for fuzzing: each takes whatever comes, and drops what it made of it.

use crate::{pki, registry};
use std::fs::File;

pub fn certificates(bytes: &[u8]) {
    pki::parse_any(bytes);
}

pub fn image_archive(file: File) {
    registry::parse_archive(file);
}

pub fn manifest(bytes: &[u8]) {
    registry::parse_manifest(bytes);
}
