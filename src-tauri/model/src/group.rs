//! Groups of nodes.

use crate::{GroupId, Time};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub id: GroupId,
    pub rev: u64,
    pub name: String,
    pub description: String,
    pub created_at: Time,
    pub updated_at: Time,
}
