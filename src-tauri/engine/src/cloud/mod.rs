//! Who calls the cloud dialects: users with a token, and programs that sign with an access key, each in one project.
//!
//! Nothing is held in memory: every request is looked up, so what ends, ends at once.

mod keys;
mod signatures;
mod tokens;

pub use signatures::SIGNATURE_WINDOW;
pub use tokens::{CloudLogin, CloudToken, Scope};

use crate::Actor;
use edgedeck_model::{UserId, project::Project, user::Role};

/// Who has shown a token or signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudCaller {
    pub user: UserId,
    pub role: Role,
    /// What the request may be about.
    pub project: Project,
    /// As the audit names it: the user's name, or `key:<access key>`.
    pub name: String,
    /// Whether a key has signed, whose project is the only one that it may use.
    pub by_key: bool,
}

impl CloudCaller {
    pub fn actor(&self, origin: &str) -> Actor {
        Actor {
            name: self.name.clone(),
            origin: origin.to_owned(),
            role: self.role,
        }
    }
}
