//! Which nodes are shown, and how they are gathered.

use crate::{
    match_text::{folded, has_all_words, natural},
    store::{Lab, NodeEntry},
};
use edgedeck_model::{GroupId, NodeId, node::NodeState};
use std::collections::BTreeMap;

/// What a node must be to be shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    query: String,
    state: Option<NodeState>,
    group: Option<GroupId>,
    /// Both where absent.
    managed: Option<bool>,
}

impl Filter {
    /// From the parameters of the address; what cannot be read does not filter.
    pub fn new(query: &str, state: &str, group: &str, managed: &str) -> Self {
        let managed = match managed {
            "no" => Some(false),
            "all" => None,
            _ => Some(true),
        };
        let state = NodeState::ALL.into_iter().find(|known| known.key() == state);
        Self {
            query: folded(query.trim()),
            state,
            group: super::group_of(group),
            managed,
        }
    }

    pub fn keeps(&self, node: &NodeEntry) -> bool {
        let row = &node.row;
        self.managed.is_none_or(|managed| row.managed == managed)
            && self.state.is_none_or(|state| row.state == state)
            && self.group.is_none_or(|group| row.groups.contains(&group))
            && (self.query.is_empty() || has_all_words(&node.search, &self.query))
    }

    /// The nodes it keeps, by name.
    pub fn nodes(&self, lab: &Lab) -> Vec<NodeId> {
        lab.nodes()
            .filter(|node| self.keeps(node))
            .map(|node| node.row.id)
            .collect()
    }
}

/// What tiles that stand together have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    Nothing,
    Group,
    Model,
    Arch,
}

impl GroupBy {
    pub fn of_key(key: &str) -> Self {
        match key {
            "group" => Self::Group,
            "model" => Self::Model,
            "arch" => Self::Arch,
            _ => Self::Nothing,
        }
    }
}

/// Nodes that stand together. An empty title where nodes are not gathered or lack what they are gathered by.
#[derive(Clone, Debug, PartialEq)]
pub struct Gathered {
    pub title: String,
    pub nodes: Vec<NodeId>,
}

/// Gathers nodes, keeping their order; a node in several groups stands in each. Those with nothing come last.
pub fn gather(lab: &Lab, nodes: &[NodeId], by: GroupBy) -> Vec<Gathered> {
    let mut gathered: BTreeMap<(bool, String, String), Vec<NodeId>> = BTreeMap::new();
    let mut put = |title: String, node: NodeId| {
        gathered
            .entry((title.is_empty(), natural(&title), title))
            .or_default()
            .push(node);
    };
    for id in nodes {
        let Some(node) = lab.node(*id) else { continue };
        match by {
            GroupBy::Nothing => put(String::new(), *id),
            GroupBy::Model => put(node.row.model.clone().unwrap_or_default(), *id),
            GroupBy::Arch => put(node.row.arch.clone(), *id),
            GroupBy::Group if node.row.groups.is_empty() => put(String::new(), *id),
            GroupBy::Group => node
                .row
                .groups
                .iter()
                .for_each(|group| put(lab.group_name(*group), *id)),
        }
    }
    gathered
        .into_iter()
        .map(|((_, _, title), nodes)| Gathered { title, nodes })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::row;
    use edgedeck_model::{
        Time,
        feed::{Change, Feed},
        group::Group,
    };
    use uuid::Uuid;

    fn lab() -> Lab {
        let group = GroupId(Uuid::from_u128(100));
        let mut rows = [row(1, "edge-1"), row(2, "edge-2"), row(10, "edge-10"), row(4, "other")];
        rows[0].groups = vec![group];
        rows[1].state = NodeState::Offline;
        rows[2].model = Some("Atlas 500".to_owned());
        rows[3].managed = false;
        let made = Group {
            id: group,
            rev: 1,
            name: "front".to_owned(),
            description: String::new(),
            created_at: Time(0),
            updated_at: Time(0),
        };
        let mut lab = Lab::default();
        let changes = rows
            .into_iter()
            .map(Change::Node)
            .chain([Change::Group(made)])
            .collect();
        lab.apply(Feed {
            changes,
            ..Feed::default()
        });
        lab
    }

    fn numbers(nodes: &[NodeId]) -> Vec<u128> {
        nodes.iter().map(|id| id.0.as_u128()).collect()
    }

    #[test]
    fn every_condition_counts() {
        let lab = lab();
        let found = |query: &str, state: &str, group: &str, managed: &str| {
            numbers(&Filter::new(query, state, group, managed).nodes(&lab))
        };
        assert_eq!(found("", "", "", ""), [1, 2, 10]);
        assert_eq!(found("", "", "", "all"), [1, 2, 10, 4]);
        assert_eq!(found("", "", "", "no"), [4]);
        assert_eq!(found("EDGE 10.0.0.2", "", "", ""), [2]);
        assert_eq!(found("atlas", "", "", ""), [10]);
        assert_eq!(found("", "offline", "", ""), [2]);
        assert_eq!(found("", "no-such-state", "no-such-group", ""), [1, 2, 10]);
        assert_eq!(found("", "", &Uuid::from_u128(100).to_string(), ""), [1]);
    }

    #[test]
    fn gathered_by_group_and_model() {
        let lab = lab();
        let nodes = Filter::new("", "", "", "").nodes(&lab);
        let titles = |by| {
            gather(&lab, &nodes, by)
                .into_iter()
                .map(|g| (g.title, numbers(&g.nodes)))
                .collect::<Vec<_>>()
        };
        assert_eq!(titles(GroupBy::Nothing), [(String::new(), vec![1, 2, 10])]);
        assert_eq!(
            titles(GroupBy::Group),
            [("front".to_owned(), vec![1]), (String::new(), vec![2, 10])]
        );
        assert_eq!(
            titles(GroupBy::Model),
            [("Atlas 500".to_owned(), vec![10]), (String::new(), vec![1, 2])]
        );
        assert_eq!(titles(GroupBy::Arch), [("aarch64".to_owned(), vec![1, 2, 10])]);
    }
}
