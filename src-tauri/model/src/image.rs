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
    fn registries_of_images() {
        assert_eq!(registry_of("registry.lab:5000/a/b:1"), Some("registry.lab:5000"));
        assert_eq!(registry_of("localhost/a"), Some("localhost"));
        assert_eq!(registry_of("library/ubuntu:22.04"), None);
        assert_eq!(registry_of("ubuntu:22.04"), None);
    }
}
