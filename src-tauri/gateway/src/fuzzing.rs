//! Entries for fuzzing: each takes whatever comes, and drops what it made of it.

pub fn cloud_signature(bytes: &[u8]) {
    crate::dialects::cloud::parse_any(bytes);
}

pub fn mef_body(bytes: &[u8]) {
    crate::dialects::mef::parse_any(bytes);
}
