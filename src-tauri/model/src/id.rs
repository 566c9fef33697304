//! Typed identifiers. Each is a UUIDv7 made by the engine; two kinds cannot be mixed up.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.hyphenated().fmt(f) }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> { Uuid::parse_str(text).map(Self) }
        }
    )*};
}

ids! {
    /// A box that an agent runs on.
    NodeId,
    /// A set of nodes that deployments can aim at.
    GroupId,
    /// Something that can run; its versions hold the specification.
    AppId,
    /// One frozen specification of an app.
    VersionId,
    /// A version wanted on a target.
    DeploymentId,
    /// One deployment on one node.
    PlacementId,
    AlarmId,
    EventId,
    UserId,
    JoinTokenId,
    ApiTokenId,
    AuditId,
    ClientCertificateId,
    /// A tenant of the cloud dialects.
    ProjectId,
    /// Administrative work that takes its time.
    JobId,
}
