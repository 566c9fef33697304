//! What the wizard has been told so far. It is kept in the browser at every change, so that leaving loses nothing.

use crate::screens::apps::editor::container_spec;
use edgedeck_model::{AppId, DeploymentId, GroupId, NodeId, VersionId, app::Spec, deployment::Target};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    #[default]
    What,
    Where,
    How,
    Review,
}

impl Step {
    pub const ALL: [Self; 4] = [Self::What, Self::Where, Self::How, Self::Review];

    pub fn key(self) -> &'static str {
        match self {
            Self::What => "what",
            Self::Where => "where",
            Self::How => "how",
            Self::Review => "review",
        }
    }
}

/// All as typed: what is not right yet is kept too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    pub step: Step,
    /// `app` for one that is there, `image` for a new one.
    pub source: String,
    pub app: Option<AppId>,
    /// The newest where absent.
    pub version: Option<VersionId>,
    pub new_app: String,
    pub new_spec: Spec,
    /// `group`, `nodes` or `labels`.
    pub aim: String,
    pub group: Option<GroupId>,
    pub nodes: BTreeSet<Uuid>,
    pub labels: String,
    pub name: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            step: Step::What,
            source: "app".to_owned(),
            app: None,
            version: None,
            new_app: String::new(),
            new_spec: container_spec(""),
            aim: "group".to_owned(),
            group: None,
            nodes: BTreeSet::new(),
            labels: String::new(),
            name: String::new(),
        }
    }
}

impl Draft {
    /// Where it aims; `None` while that is not said.
    pub fn target(&self) -> Option<Target> {
        let target = match self.aim.as_str() {
            "group" => Target::Group(self.group?),
            "nodes" => Target::Nodes(self.nodes.iter().map(|id| NodeId(*id)).collect()),
            _ => Target::Labels(read_labels(&self.labels)?),
        };
        target.check().is_ok().then_some(target)
    }
}

/// Where a draft is kept; one that changes a deployment is another than that of a new one.
pub fn key(updates: Option<DeploymentId>) -> String {
    updates.map_or_else(
        || "edgedeck.draft.deploy".to_owned(),
        |id| format!("edgedeck.draft.update.{id}"),
    )
}

/// `room=a, rack=3` as labels; `None` for anything else.
pub fn read_labels(text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    for pair in text
        .split([',', '，', '\n'])
        .map(str::trim)
        .filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.split_once('=')?;
        labels.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_as_typed() {
        let print = |labels: BTreeMap<String, String>| {
            labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let read = |text: &str| read_labels(text).map(print);
        assert_eq!(
            read(" room = a ,rack=3\n机柜=甲"),
            Some("rack=3, room=a, 机柜=甲".to_owned())
        );
        assert_eq!(read(""), Some(String::new()));
        assert_eq!(read("room"), None);
    }

    #[test]
    fn a_draft_aims_only_where_something_is_named() {
        let mut draft = Draft::default();
        assert_eq!(draft.target(), None);
        draft.group = Some(GroupId(Uuid::from_u128(1)));
        assert_eq!(draft.target(), Some(Target::Group(GroupId(Uuid::from_u128(1)))));
        draft.aim = "nodes".to_owned();
        assert_eq!(draft.target(), None);
        draft.nodes.insert(Uuid::from_u128(2));
        assert_eq!(draft.target(), Some(Target::Nodes(vec![NodeId(Uuid::from_u128(2))])));
        draft.aim = "labels".to_owned();
        assert_eq!(draft.target(), None);
        "room=a b!".clone_into(&mut draft.labels);
        assert_eq!(draft.target(), None);
        "room=a".clone_into(&mut draft.labels);
        assert!(draft.target().is_some());
    }

    #[test]
    fn a_draft_of_an_older_console_is_read() {
        let draft: Draft =
            serde_json::from_str(r#"{"name":"x","gone":1}"#).expect("fields that are missing take their start");
        assert_eq!(
            draft,
            Draft {
                name: "x".to_owned(),
                ..Draft::default()
            }
        );
        let text = serde_json::to_string(&draft).expect("a draft is plain data");
        assert_eq!(serde_json::from_str::<Draft>(&text).ok(), Some(draft));
    }
}
