//! The wire's own rules about single values.

use super::answer::{Failure, INVALID};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::net::Ipv4Addr;

/// Most elements of a batch call.
pub const BATCH_MAX: usize = 1024;

pub fn require(good: bool) -> Result<(), Failure> {
    if good { Ok(()) } else { Err(INVALID.into()) }
}

pub fn given<T>(value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| INVALID.into())
}

/// Bytes, one by one or in Base64.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Password {
    Bytes(Vec<i64>),
    Base64(String),
}

impl Password {
    /// A text of 8 to 20 bytes without colons.
    pub fn text(self) -> Option<String> {
        let bytes = match self {
            Self::Bytes(values) => values
                .into_iter()
                .map(|value| u8::try_from(value).ok())
                .collect::<Option<Vec<_>>>()?,
            Self::Base64(text) => STANDARD.decode(text).ok()?,
        };
        let good = (8..=20).contains(&bytes.len()) && !bytes.contains(&b':');
        good.then(|| String::from_utf8(bytes).ok()).flatten()
    }
}

/// An id: 1 to 4294967295.
pub fn id(value: Option<i64>) -> Result<u32, Failure> {
    let id = value.and_then(|value| u32::try_from(value).ok()).filter(|id| *id > 0);
    given(id)
}

/// 1 to 1024 different ids.
pub fn ids(values: Option<Vec<i64>>) -> Result<Vec<u32>, Failure> {
    let values = given(values)?;
    require(!values.is_empty())?;
    different_ids(values, BATCH_MAX)
}

pub fn different_ids(values: Vec<i64>, max: usize) -> Result<Vec<u32>, Failure> {
    require(values.len() <= max)?;
    let ids = values
        .into_iter()
        .map(|value| id(Some(value)))
        .collect::<Result<Vec<_>, _>>()?;
    require(is_unique(&ids))?;
    Ok(ids)
}

pub fn is_unique<T: Ord>(values: &[T]) -> bool {
    let mut sorted: Vec<&T> = values.iter().collect();
    sorted.sort();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

/// A text of `1..=max` characters out of `inner`, of which the first is out of `first` and the last out of `last`.
fn word(text: &str, max: usize, first: fn(char) -> bool, inner: fn(char) -> bool, last: fn(char) -> bool) -> bool {
    text.len() <= max && text.chars().all(inner) && text.starts_with(first) && text.ends_with(last)
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

pub fn is_group_name(text: &str) -> bool {
    word(
        text,
        32,
        |c| c.is_ascii_alphabetic(),
        |c| alphanumeric(c) || c == '_',
        alphanumeric,
    )
}

/// Of nodes; serial numbers have the same form.
pub fn is_node_name(text: &str) -> bool {
    word(
        text,
        64,
        alphanumeric,
        |c| alphanumeric(c) || matches!(c, '_' | '-'),
        alphanumeric,
    )
}

/// Of apps, containers, ports and volumes.
pub fn is_app_name(text: &str) -> bool {
    word(text, 32, lower, |c| lower(c) || c == '-', lower)
}

/// No blank but the space.
pub fn is_description(text: &str) -> bool {
    text.chars().count() <= 512 && text.chars().all(|c| c == ' ' || !c.is_whitespace())
}

pub fn is_search(text: &str) -> bool {
    text.chars().count() <= 253 && !text.chars().any(char::is_whitespace)
}

pub fn is_env_name(text: &str) -> bool {
    let inner = |c| alphanumeric(c) || matches!(c, '_' | '.' | '-');
    text.len() >= 2 && word(text, 32, |c| c.is_ascii_alphabetic(), inner, alphanumeric)
}

pub fn is_env_value(text: &str) -> bool {
    let inner = |c: char| alphanumeric(c) || matches!(c, ' ' | '.' | '_' | '/' | ':' | '-');
    (1..=512).contains(&text.len()) && text.chars().all(inner)
}

pub fn is_command(text: &str) -> bool {
    let inner = |c| alphanumeric(c) || matches!(c, ' ' | '.' | '_' | '/' | '-');
    word(text, 256, inner, inner, alphanumeric)
}

pub fn is_argument(text: &str) -> bool {
    let inner = |c| alphanumeric(c) || matches!(c, ' ' | '.' | '_' | '/' | '=' | '-');
    word(text, 256, inner, inner, alphanumeric)
}

pub fn is_image(text: &str) -> bool {
    let inner = |c: char| alphanumeric(c) || matches!(c, ':' | '.' | '_' | '/' | '-');
    (1..=256).contains(&text.len()) && text.chars().all(inner)
}

pub fn is_image_version(text: &str) -> bool {
    let inner = |c: char| alphanumeric(c) || matches!(c, '.' | '_' | '-');
    (1..=32).contains(&text.len()) && text.chars().all(inner)
}

/// A domain name that is neither a number nor this very host's.
pub fn is_domain(text: &str) -> bool {
    let inner = |c| alphanumeric(c) || matches!(c, '.' | '-');
    text.len() >= 3
        && word(text, 63, alphanumeric, inner, alphanumeric)
        && !text.chars().all(|c| c.is_ascii_digit())
        && text != "localhost"
}

pub fn is_registry_ip(text: &str) -> bool {
    text.parse::<Ipv4Addr>()
        .is_ok_and(|ip| !ip.is_unspecified() && !ip.is_broadcast() && ip != Ipv4Addr::LOCALHOST)
}

/// Of the image registry.
pub fn is_account(text: &str) -> bool {
    let inner = |c| alphanumeric(c) || matches!(c, '_' | '-');
    word(text, 256, alphanumeric, inner, alphanumeric)
}

/// An address of the node that ports can be bound to.
pub fn is_host_ip(text: &str) -> bool {
    text.parse::<Ipv4Addr>()
        .is_ok_and(|ip| !ip.is_unspecified() && !ip.is_broadcast() && !ip.is_multicast() && !ip.is_link_local())
}

pub fn is_mount_path(text: &str) -> bool {
    let inner = |c: char| alphanumeric(c) || matches!(c, '_' | '.' | '/' | '-');
    (2..=512).contains(&text.len()) && text.starts_with('/') && text.chars().all(inner) && !text.contains("..")
}

/// What of a node may be mounted.
const HOST_PATHS: [&str; 20] = [
    "/etc/sys_version.conf",
    "/etc/hdcBasic.cfg",
    "/usr/lib64/libaicpu_processer.so",
    "/usr/lib64/libaicpu_prof.so",
    "/usr/lib64/libaicpu_sharder.so",
    "/usr/lib64/libadump.so",
    "/usr/lib64/libtsd_eventclient.so",
    "/usr/lib64/libaicpu_scheduler.so",
    "/usr/lib/aarch64-linux-gnu/libcrypto.so.1.1",
    "/usr/lib64/libcrypto.so.1.1.1m",
    "/usr/lib/aarch64-linux-gnu/libyaml-0.so.2.0.6",
    "/usr/lib64/libyaml-0.so.2.0.9",
    "/usr/lib64/libdcmi.so",
    "/usr/lib64/libmpi_dvpp_adapter.so",
    "/usr/lib64/aicpu_kernels/",
    "/usr/local/sbin/npu-smi",
    "/usr/lib64/libstackcore.so",
    "/usr/local/Ascend/driver/lib64",
    "/var/slogd",
    "/var/dmp_daemon",
];

/// The listed form of a path that may be mounted; a slash at its end makes no difference.
pub fn host_path(text: &str) -> Option<&'static str> {
    let bare = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
    HOST_PATHS.into_iter().find(|path| bare(path) == bare(text))
}
