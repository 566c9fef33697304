//! Images and where they come from.

use crate::{Problem, Time};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The registry outside the lab that nodes pull images from, with the account for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// `host:port`, as image references begin.
    pub address: String,
    pub account: String,
    pub changed_at: Time,
}

/// Longest account and longest password, in characters.
pub const ACCOUNT_MAX: usize = 256;
pub const PASSWORD_MAX: usize = 256;

/// # Errors
/// [`crate::Code::Invalid`] unless it is `host:port`.
pub fn check_address(address: &str) -> Result<(), Problem> {
    let parts = address.rsplit_once(':');
    let good = parts.is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0));
    if good {
        Ok(())
    } else {
        Err(Problem::invalid("address", "host-and-port"))
    }
}

/// # Errors
/// [`crate::Code::Invalid`] for an empty or long account, or one that cannot stand in front of a colon.
pub fn check_account(account: &str) -> Result<(), Problem> {
    let good = !account.is_empty()
        && account.chars().count() <= ACCOUNT_MAX
        && account.chars().all(|c| !c.is_control() && c != ':');
    if good {
        Ok(())
    } else {
        Err(Problem::invalid("account", "account-form"))
    }
}

/// # Errors
/// [`crate::Code::Invalid`] for an empty or long password.
pub fn check_password(password: &str) -> Result<(), Problem> {
    if (1..=PASSWORD_MAX).contains(&password.chars().count()) {
        Ok(())
    } else {
        Err(Problem::invalid("password", "password-length"))
    }
}

/// A DNS name or an IP address; IPv6 in brackets.
fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match bare {
        Some(bare) => bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.split('.').all(|label| {
                    (1..=63).contains(&label.len())
                        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                })
        }
    }
}

/// The registry that an image reference names; `None` for the container engine's own default.
pub fn registry_of(image: &str) -> Option<&str> {
    let (first, _) = image.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some(first)
}

/// An image that the lab's own registry holds, under one of its names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabImage {
    pub repository: String,
    pub tag: String,
    /// `sha256:` and the hash of the manifest.
    pub digest: String,
    /// Of the manifest and all that it names, as they are kept.
    pub bytes: u64,
    /// `linux/arm64` and the like.
    pub platforms: Vec<String>,
    pub pushed_at: Time,
    pub pushed_by: String,
    /// In the words of whoever added it.
    #[serde(default)]
    pub description: String,
}

/// The lab's own registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabImages {
    /// Where nodes and container tools reach it (`host:port`), likeliest first; empty where it does not listen.
    pub addresses: Vec<String>,
    pub images: Vec<LabImage>,
    /// What all of them take on the disk; what two share counts once.
    pub bytes: u64,
}

/// Largest archive of images that can be uploaded, and largest blob, in bytes.
pub const ARCHIVE_BYTES_MAX: u64 = 32 * 1024 * 1024 * 1024;
/// Largest manifest, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 4 * 1024 * 1024;
const REPOSITORY_MAX: usize = 255;

/// The name of a repository, as the OCI distribution specification has it.
pub fn is_repository(name: &str) -> bool {
    name.len() <= REPOSITORY_MAX && name.split('/').all(is_path_component)
}

/// Lower-case words, with `.`, `_`, `__` or hyphens between them.
fn is_path_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(is_word) || !text.ends_with(is_word) {
        return false;
    }
    let between = text.split(is_word).filter(|between| !between.is_empty());
    let mut between = between.map(|between| [".", "_", "__"].contains(&between) || between.chars().all(|c| c == '-'));
    between.all(|good| good)
}

pub fn is_tag(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= 128 && text.starts_with(is_word) && text.chars().all(|c| is_word(c) || ".-".contains(c))
}

/// `sha256:` and 64 hexadecimal digits in lower case.
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(crate::app::is_package_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["registry.lab:5000", "10.0.0.1:443", "[fd00::1]:5000", "a:1"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "registry.lab",
            ":5000",
            "a b:1",
            "a:0",
            "a:65536",
            "fd00::1:5000",
            "-a:1",
            "a..b:1",
            "../x:1",
            "a/b:1",
        ] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_in_the_registry() {
        for good in ["a", "lab/detector", "a.b/c_d/e__f/g--h/0", "x-1"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "A",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a/../b",
            "a b",
            "a:b",
            "a._b",
            &"a".repeat(256),
        ] {
            assert!(!is_repository(bad), "{bad}");
        }
        assert!(is_tag("1.0-rc_1") && is_tag("_x") && is_tag(&"a".repeat(128)));
        assert!(!is_tag("") && !is_tag(".a") && !is_tag("-a") && !is_tag("a/b") && !is_tag(&"a".repeat(129)));
        let digest = format!("sha256:{}", "0a".repeat(32));
        assert!(is_digest(&digest) && !is_digest(&digest.to_uppercase()) && !is_digest("sha256:../x"));
    }

    #[test]
    fn registries_of_images() {
        assert_eq!(registry_of("registry.lab:5000/a/b:1"), Some("registry.lab:5000"));
        assert_eq!(registry_of("localhost/a"), Some("localhost"));
        assert_eq!(registry_of("library/ubuntu:22.04"), None);
        assert_eq!(registry_of("ubuntu:22.04"), None);
    }
}
