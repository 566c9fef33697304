//! Access keys: pairs of a key and a secret that programs sign their requests to the cloud dialects with.

use crate::{ProjectId, Time, UserId};
use serde::{Deserialize, Serialize};

/// Length of an access key, in characters.
pub const KEY_LENGTH: usize = 20;
/// Length of its secret, in characters.
pub const SECRET_LENGTH: usize = 40;

/// An access key without its secret. Whoever signs with it acts as the user, in the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessKey {
    /// Upper-case letters and digits; also its id.
    pub key: String,
    pub user: UserId,
    pub user_name: String,
    pub project: ProjectId,
    pub project_name: String,
    pub description: String,
    pub created_at: Time,
}
