//! Software of nodes: versions of the agent itself, in signed packages.

use crate::{Problem, Time};
use serde::{Deserialize, Serialize};
use std::{cmp::Ordering, fmt};

/// The program that a package holds.
pub const NAME: &str = "edgedeck-agent";
/// Largest package, in bytes.
pub const PACKAGE_BYTES_MAX: u64 = 120 * 1024 * 1024;
/// Largest program in a package, in bytes.
pub const PROGRAM_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Longest address of a package on another server, in bytes.
pub const URL_MAX: usize = 512;
const VERSION_MAX: usize = 32;
/// Architectures that there are programs for.
pub const ARCHES: [&str; 2] = ["x86_64", "aarch64"];

/// What a package says of its program; this is what is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: String,
    pub version: String,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// SHA-256 of the program, in hex.
    pub sha256: String,
}

impl Manifest {
    /// # Errors
    /// [`crate::Code::Invalid`] naming what cannot be.
    pub fn check(&self) -> Result<(), Problem> {
        let inner = |c: char| c.is_ascii_alphanumeric() || ".+-".contains(c);
        let version = self.version.as_str();
        let checks = [
            ("name", self.name == NAME),
            (
                "version",
                version.len() <= VERSION_MAX
                    && version.starts_with(|c: char| c.is_ascii_digit())
                    && version.chars().all(inner),
            ),
            ("arch", ARCHES.contains(&self.arch.as_str())),
            ("sha256", crate::app::is_package_hash(&self.sha256)),
        ];
        match checks.iter().find(|(_, good)| !good) {
            Some((field, _)) => Err(Problem::invalid(field, "software-manifest")),
            None => Ok(()),
        }
    }
}

/// A package that the lab has signed and keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Software {
    pub version: String,
    pub arch: String,
    pub bytes: u64,
    /// Of the package, in hex.
    pub sha256: String,
    pub made_at: Time,
    /// It came with this engine.
    pub own: bool,
}

/// Where nodes get a version from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum Source {
    /// The packages that the lab keeps; each node gets the one for its architecture.
    Lab { version: String },
    /// Another server, over TLS by the authority for software.
    Server(Server),
    /// What each node has downloaded before.
    Downloaded,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    pub url: String,
    pub account: String,
    /// Never told again.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub password: String,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({} as {})", self.url, self.account)
    }
}

/// What the lab lets nodes take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Packages that the lab has not signed.
    pub unsigned: bool,
    /// The version that runs already, and lower ones.
    pub lower: bool,
    /// How long a new version has to report that it is well, before the old one comes back, in seconds.
    pub trial_seconds: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            unsigned: false,
            lower: true,
            trial_seconds: 120,
        }
    }
}

/// An address of a package: `https`, with a host that is not the node itself, without an account in it.
///
/// # Errors
/// [`crate::Code::Invalid`].
pub fn check_url(url: &str) -> Result<(), Problem> {
    let refuse = || Problem::invalid("url", "software-url");
    let rest = url.strip_prefix("https://").ok_or_else(refuse)?;
    let plain = url.len() <= URL_MAX && url.chars().all(|c| c.is_ascii_graphic() && !"\"<>\\^`{|}@".contains(c));
    let host = host_of(rest);
    let own = ["", "localhost", "127.0.0.1", "0.0.0.0", "::1", "::"].contains(&host);
    if plain && !own { Ok(()) } else { Err(refuse()) }
}

/// The host in what follows `https://`; empty where there is none.
pub fn host_of(rest: &str) -> &str {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

/// Compares two versions by their numbers, then by what follows; one before its release comes before it.
pub fn compare(a: &str, b: &str) -> Ordering {
    let split = |version: &str| {
        let version = version.split('+').next().unwrap_or_default();
        let (numbers, rest) = version
            .split_once('-')
            .map_or((version, None), |(numbers, rest)| (numbers, Some(rest)));
        let numbers: Vec<u64> = numbers.split('.').map(|part| part.parse().unwrap_or(0)).collect();
        (numbers, rest.map(str::to_owned))
    };
    let ((a, a_rest), (b, b_rest)) = (split(a), split(b));
    a.cmp(&b).then_with(|| match (a_rest, b_rest) {
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (a, b) => a.cmp(&b),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_their_numbers() {
        let sorted = ["0.9.0", "0.10.0-rc1", "0.10.0", "0.10.1", "1.0"];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        }
        assert_eq!(compare("1.2.3+a", "1.2.3+b"), Ordering::Equal);
    }

    #[test]
    fn a_package_comes_from_another_machine() {
        for good in [
            "https://10.0.0.1:443/a.tar.gz",
            "https://host.lab/a?b=c",
            "https://[fd00::1]:8443/a",
        ] {
            check_url(good).unwrap();
        }
        for bad in [
            "http://10.0.0.1/a",
            "https:///a",
            "https://localhost/a",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "https://0.0.0.0/a",
            "https://me@host/a",
            "https://host/a b",
            "https://host/\u{e9}",
            &format!("https://host/{}", "a".repeat(URL_MAX)),
            "",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_manifest_is_of_this_program() {
        let good = Manifest {
            name: NAME.to_owned(),
            version: "1.2.3-rc1".to_owned(),
            arch: "aarch64".to_owned(),
            sha256: "a".repeat(64),
        };
        good.check().unwrap();
        for bad in [
            Manifest {
                name: "other".to_owned(),
                ..good.clone()
            },
            Manifest {
                version: "../1".to_owned(),
                ..good.clone()
            },
            Manifest {
                version: String::new(),
                ..good.clone()
            },
            Manifest {
                arch: "mips".to_owned(),
                ..good.clone()
            },
            Manifest {
                sha256: "A".repeat(64),
                ..good.clone()
            },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
