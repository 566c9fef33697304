//! Projects: the tenants of the cloud dialects. One of them is the lab's own, which everything else works on.

use crate::{Problem, ProjectId, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest name, in characters.
pub const NAME_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub id: ProjectId,
    /// As a cloud's region or a part of one: `cn-north-4`, `cn-north-4_lab`.
    pub name: String,
    pub description: String,
    /// The lab's own: it may be renamed, and stays.
    pub is_default: bool,
    pub created_at: Time,
}

impl ProjectId {
    /// The id as the cloud dialects write it: 32 lower-case hex digits.
    pub fn hex(self) -> String {
        self.0.simple().to_string()
    }

    /// Reads what [`Self::hex`] writes, and nothing else.
    pub fn of_hex(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Uuid::try_parse(text).ok().map(Self)).flatten()
    }
}

/// A project's name: 1 to 64 letters and digits of ASCII, `-` and `_`.
///
/// # Errors
/// [`crate::Code::Invalid`] naming `name`.
pub fn check_name(name: &str) -> Result<(), Problem> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(good) {
        Ok(())
    } else {
        Err(Problem::invalid("name", "project-name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_regions() {
        for good in ["a", "default", "cn-north-4_lab", &"x".repeat(64)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", " a", "a b", "项目", "a/b", "a.b", "a\n", &"x".repeat(65)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_id_on_the_wire_has_one_form() {
        let id = ProjectId(Uuid::from_u128(0x0504_1fff_a400_2570_2f6d_c009_cc6f_8f33));
        assert_eq!(id.hex(), "05041fffa40025702f6dc009cc6f8f33");
        assert_eq!(ProjectId::of_hex(&id.hex()), Some(id));
        for bad in [
            "",
            "05041FFFA40025702F6DC009CC6F8F33",
            &id.to_string(),
            "{05041fffa40025702f6dc009cc6f8f3",
        ] {
            assert_eq!(ProjectId::of_hex(bad), None, "{bad}");
        }
    }
}
