//! Rows, columns and their order. The table itself does not know what kind of rows it shows, so that it is compiled
//! once, not once a kind.

use crate::i18n::Text;
use leptos::prelude::*;
use std::hash::{Hash, Hasher};
use std::{any::Any, cmp::Ordering, collections::HashSet, marker::PhantomData, sync::Arc};
use uuid::Uuid;

/// What a table can show: something with an id.
pub trait Row: Clone + PartialEq + Send + Sync + 'static {
    fn id(&self) -> Uuid;
}

macro_rules! rows {
    ($($path:path),*) => {$(
        impl Row for Arc<$path> { fn id(&self) -> Uuid { self.id.0 } }
    )*};
}
rows!(
    edgedeck_model::group::Group,
    edgedeck_model::app::App,
    edgedeck_model::app::Version,
    edgedeck_model::deployment::Deployment,
    edgedeck_model::deployment::Placement,
    edgedeck_model::alarm::Alarm,
    edgedeck_model::event::Event,
    edgedeck_model::audit::AuditEntry,
    edgedeck_model::user::User,
    edgedeck_model::user::ApiToken,
    edgedeck_model::project::Project,
    edgedeck_model::join::JoinToken,
    edgedeck_model::certificate::ClientCertificate,
    edgedeck_model::job::Job
);

/// By the begin of its hash.
impl Row for Arc<edgedeck_model::software::Software> {
    fn id(&self) -> Uuid {
        let begin = self.sha256.get(..32).and_then(|begin| Uuid::parse_str(begin).ok());
        begin.unwrap_or_default()
    }
}

/// By its name: a digest may have several.
impl Row for Arc<edgedeck_model::image::LabImage> {
    fn id(&self) -> Uuid {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.repository, &self.tag).hash(&mut hasher);
        Uuid::from_u64_pair(hasher.finish(), 1)
    }
}

/// By the key itself.
impl Row for Arc<edgedeck_model::access_key::AccessKey> {
    fn id(&self) -> Uuid {
        let mut hasher = std::hash::DefaultHasher::new();
        self.key.hash(&mut hasher);
        Uuid::from_u64_pair(hasher.finish(), 2)
    }
}

/// A node by its id, an image by its name.
impl Row for Arc<edgedeck_model::metering::UsageRow> {
    fn id(&self) -> Uuid {
        let mut hasher = std::hash::DefaultHasher::new();
        (&self.repository, &self.tag).hash(&mut hasher);
        self.node
            .map_or_else(|| Uuid::from_u64_pair(hasher.finish(), 1), |node| node.0)
    }
}

impl Row for Arc<edgedeck_model::job::JobItem> {
    fn id(&self) -> Uuid {
        self.node.0
    }
}

/// A node by its id: the cells read the node itself from the store.
impl Row for edgedeck_model::NodeId {
    fn id(&self) -> Uuid {
        self.0
    }
}

/// What a column sorts by. Nothing comes last.
#[derive(Clone, Debug, PartialEq)]
pub enum SortKey {
    Text(Arc<str>),
    Number(f64),
    Nothing,
}

impl SortKey {
    /// By name, with numbers in it counted.
    pub fn name(text: &str) -> Self {
        Self::Text(crate::match_text::natural(text).into())
    }

    pub fn number(value: Option<impl Into<f64>>) -> Self {
        value.map_or(Self::Nothing, |value| Self::Number(value.into()))
    }

    fn order(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.total_cmp(b),
            (Self::Nothing, Self::Nothing) => return Ordering::Equal,
            (Self::Nothing, _) => return Ordering::Greater,
            (_, Self::Nothing) => return Ordering::Less,
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        };
        if descending { order.reverse() } else { order }
    }
}

/// A list of rows of some kind.
pub trait List: Send + Sync {
    fn len(&self) -> usize;
    fn id(&self, at: usize) -> Option<Uuid>;
    /// Whether a row here equals one of a list of the same kind.
    fn is_same(&self, at: usize, other: &AnyRow) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<R: Row> List for Vec<R> {
    fn len(&self) -> usize {
        self.len()
    }

    fn id(&self, at: usize) -> Option<Uuid> {
        self.get(at).map(Row::id)
    }

    fn is_same(&self, at: usize, other: &AnyRow) -> bool {
        self.get(at) == other.get::<R>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// One row of a list.
#[derive(Clone)]
pub struct AnyRow {
    list: Arc<dyn List>,
    at: usize,
}

impl AnyRow {
    pub fn get<R: Row>(&self) -> Option<&R> {
        self.list.as_any().downcast_ref::<Vec<R>>()?.get(self.at)
    }

    pub fn id(&self) -> Option<Uuid> {
        self.list.id(self.at)
    }
}

impl PartialEq for AnyRow {
    fn eq(&self, other: &Self) -> bool {
        self.list.is_same(self.at, other)
    }
}

/// A list in the order in which it is shown.
#[derive(Clone)]
pub struct Rows {
    list: Arc<dyn List>,
    /// Which row comes at each place; as they are where absent.
    order: Option<Arc<Vec<u32>>>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    fn at(&self, place: usize) -> usize {
        let at = self.order.as_ref().and_then(|order| order.get(place));
        at.map_or(place, |at| *at as usize)
    }

    pub fn get(&self, place: usize) -> Option<AnyRow> {
        (place < self.len()).then(|| AnyRow {
            list: self.list.clone(),
            at: self.at(place),
        })
    }

    pub fn ids(&self) -> impl Iterator<Item = Uuid> {
        (0..self.len()).filter_map(|place| self.list.id(self.at(place)))
    }

    pub fn iter(&self) -> impl Iterator<Item = AnyRow> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    pub fn place_of(&self, id: Uuid) -> Option<usize> {
        self.ids().position(|other| other == id)
    }
}

type Read<T> = Arc<dyn Fn(&AnyRow) -> T + Send + Sync>;

/// One column of a table, whatever its rows are.
#[derive(Clone)]
pub struct AnyColumn {
    pub id: &'static str,
    pub title: Text,
    /// Least width in pixels, and its share of what is left over.
    pub width: u32,
    pub share: u32,
    pub number: bool,
    shown: bool,
    pub text: Read<String>,
    pub view: Option<Read<AnyView>>,
    pub key: Option<Read<SortKey>>,
}

/// One column. [`Column::new`] makes one of plain text.
pub struct Column<R> {
    pub(super) any: AnyColumn,
    kind: PhantomData<fn(R)>,
}

impl<R: Row> Column<R> {
    /// `text` is what is shown, exported and typed ahead; it may track signals.
    pub fn new(id: &'static str, title: Text, width: u32, text: impl Fn(&R) -> String + Send + Sync + 'static) -> Self {
        let any = AnyColumn {
            id,
            title,
            width,
            share: 1,
            number: false,
            shown: true,
            text: Arc::new(move |row| row.get().map(&text).unwrap_or_default()),
            view: None,
            key: None,
        };
        Self { any, kind: PhantomData }
    }

    /// Shown instead of the text.
    #[must_use]
    pub fn view<V: IntoView + 'static>(mut self, view: impl Fn(&R) -> V + Send + Sync + 'static) -> Self {
        self.any.view = Some(Arc::new(move |row| row.get().map(&view).into_any()));
        self
    }

    #[must_use]
    pub fn sort(mut self, key: impl Fn(&R) -> SortKey + Send + Sync + 'static) -> Self {
        self.any.key = Some(Arc::new(move |row| row.get().map_or(SortKey::Nothing, &key)));
        self
    }

    /// Right-aligned, in tabular figures.
    #[must_use]
    pub fn number(mut self) -> Self {
        self.any.number = true;
        self
    }

    /// Not shown until chosen.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.any.shown = false;
        self
    }

    /// Share of the width that is left over; 0 keeps the least width.
    #[must_use]
    pub fn share(mut self, share: u32) -> Self {
        self.any.share = share;
        self
    }
}

/// Rows in the order that `sort` asks for: a column's id, with `-` before it for descending; else as they are.
pub fn sorted(list: Arc<dyn List>, columns: &[AnyColumn], sort: &str) -> Rows {
    let (id, descending) = sort.strip_prefix('-').map_or((sort, false), |id| (id, true));
    let key = columns
        .iter()
        .find(|column| column.id == id)
        .and_then(|column| column.key.as_ref());
    let mut rows = Rows { list, order: None };
    if let Some(key) = key {
        let mut keyed: Vec<(SortKey, u32)> = rows.iter().map(|row| key(&row)).zip(0..).collect();
        keyed.sort_by(|a, b| a.0.order(&b.0, descending));
        rows.order = Some(Arc::new(keyed.into_iter().map(|(_, at)| at).collect()));
    }
    rows
}

/// The columns to show: those that `chosen` names, or the usual ones.
pub fn shown(columns: &[AnyColumn], chosen: &str) -> Vec<AnyColumn> {
    let named: HashSet<&str> = chosen.split(',').collect();
    let is_shown = |column: &&AnyColumn| {
        if chosen.is_empty() {
            column.shown
        } else {
            named.contains(column.id)
        }
    };
    let found: Vec<_> = columns.iter().filter(is_shown).cloned().collect();
    if found.is_empty() {
        columns.iter().take(1).cloned().collect()
    } else {
        found
    }
}

/// `chosen` with one column more or less, in the order of the columns.
pub fn toggled(columns: &[AnyColumn], chosen: &str, id: &str) -> String {
    let present: HashSet<&str> = shown(columns, chosen).iter().map(|column| column.id).collect();
    let wanted: Vec<&str> = columns
        .iter()
        .map(|column| column.id)
        .filter(|c| present.contains(c) != (*c == id))
        .collect();
    wanted.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::NodeId;

    const TITLE: Text = Text {
        zh: "列", en: "Column"
    };

    fn ids(numbers: &[u128]) -> Arc<Vec<NodeId>> {
        Arc::new(numbers.iter().map(|n| NodeId(Uuid::from_u128(*n))).collect())
    }

    fn columns() -> Vec<AnyColumn> {
        let number = |id: &NodeId| id.0.as_u128() as f64;
        let columns = [
            Column::new("name", TITLE, 100, |id: &NodeId| id.to_string()),
            Column::new("size", TITLE, 80, |_| String::new())
                .sort(move |id| SortKey::number((number(id) < 5.0).then(|| number(id)))),
            Column::new("more", TITLE, 80, |_| String::new()).hidden(),
        ];
        columns.map(|column| column.any).into()
    }

    #[test]
    fn sorting_keeps_what_is_not_known_last_both_ways() {
        let order = |sort| {
            let rows = sorted(ids(&[3, 9, 1, 2, 8]), &columns(), sort);
            rows.ids().map(|id| id.as_u128()).collect::<Vec<_>>()
        };
        assert_eq!(order("size"), [1, 2, 3, 9, 8]);
        assert_eq!(order("-size"), [3, 2, 1, 9, 8]);
        assert_eq!(order(""), [3, 9, 1, 2, 8]);
        assert_eq!(order("gone"), [3, 9, 1, 2, 8]);
    }

    #[test]
    fn columns_come_and_go_but_never_all() {
        let names = |chosen: &str| shown(&columns(), chosen).iter().map(|c| c.id).collect::<Vec<_>>();
        assert_eq!(names(""), ["name", "size"]);
        assert_eq!(names("more,name"), ["name", "more"]);
        assert_eq!(names("nonsense"), ["name"]);
        assert_eq!(toggled(&columns(), "", "more"), "name,size,more");
        assert_eq!(toggled(&columns(), "name,more", "name"), "more");
    }
}
