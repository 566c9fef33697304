//! Where tiles stand. Plain arithmetic, so that only those in sight need exist.

use super::filter::Gathered;
use edgedeck_model::NodeId;

/// Size of a tile and of what is around it, in CSS pixels, as in screens.css.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileSize {
    pub width: f64,
    pub height: f64,
    pub gap: f64,
}

pub const LARGE: TileSize = TileSize {
    width: 160.0,
    height: 52.0,
    gap: 8.0,
};
pub const SMALL: TileSize = TileSize {
    width: 28.0,
    height: 24.0,
    gap: 4.0,
};
/// Above this many nodes tiles are small.
pub const LARGE_MAX: usize = 400;

pub const TITLE_HEIGHT: f64 = 32.0;
pub const EDGE: f64 = 12.0;

/// One line of the wall: a title, or tiles from `start` on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    top: f64,
    group: usize,
    /// `None`: the group's title.
    start: Option<usize>,
}

/// The wall laid out for a width.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub size: TileSize,
    pub is_small: bool,
    pub columns: usize,
    pub height: f64,
    lines: Vec<Line>,
}

/// A tile at its place. `number` counts through the whole wall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placed {
    pub number: usize,
    pub node: NodeId,
    pub x: f64,
    pub y: f64,
}

impl Layout {
    pub fn new(groups: &[Gathered], width: f64) -> Self {
        let count: usize = groups.iter().map(|group| group.nodes.len()).sum();
        let is_small = count > LARGE_MAX;
        let size = if is_small { SMALL } else { LARGE };
        let room = width - 2.0 * EDGE + size.gap;
        let columns = ((room / (size.width + size.gap)) as usize).max(1);
        // Large tiles share what is left over at the right.
        let width = if is_small {
            size.width
        } else {
            (room / columns as f64 - size.gap).floor().max(size.width)
        };
        let size = TileSize { width, ..size };
        let (mut lines, mut top) = (Vec::new(), EDGE);
        // A single set without a name needs no title.
        let has_titles = groups.len() > 1 || groups.iter().any(|group| !group.title.is_empty());
        for (group, gathered) in groups.iter().enumerate() {
            if has_titles {
                lines.push(Line {
                    top,
                    group,
                    start: None,
                });
                top += TITLE_HEIGHT;
            }
            for start in (0..gathered.nodes.len()).step_by(columns) {
                lines.push(Line {
                    top,
                    group,
                    start: Some(start),
                });
                top += size.height + size.gap;
            }
            if has_titles {
                top += EDGE;
            }
        }
        Self {
            size,
            is_small,
            columns,
            height: top + EDGE,
            lines,
        }
    }

    fn in_sight(&self, from: f64, to: f64) -> &[Line] {
        let tallest = self.size.height.max(TITLE_HEIGHT);
        let first = self.lines.partition_point(|line| line.top + tallest < from);
        let last = self.lines.partition_point(|line| line.top <= to);
        self.lines.get(first..last).unwrap_or_default()
    }

    /// The tiles between two heights.
    pub fn tiles(&self, groups: &[Gathered], from: f64, to: f64) -> Vec<Placed> {
        let mut placed = Vec::new();
        for line in self.in_sight(from, to) {
            let (Some(start), Some(group)) = (line.start, groups.get(line.group)) else {
                continue;
            };
            let before: usize = groups.iter().take(line.group).map(|group| group.nodes.len()).sum();
            for (column, node) in group.nodes.iter().skip(start).take(self.columns).enumerate() {
                let x = EDGE + column as f64 * (self.size.width + self.size.gap);
                placed.push(Placed {
                    number: before + start + column,
                    node: *node,
                    x,
                    y: line.top,
                });
            }
        }
        placed
    }

    /// The titles between two heights: group and height.
    pub fn titles(&self, from: f64, to: f64) -> Vec<(usize, f64)> {
        self.in_sight(from, to)
            .iter()
            .filter(|line| line.start.is_none())
            .map(|line| (line.group, line.top))
            .collect()
    }

    /// Where the n-th tile of the wall is, from top.
    pub fn top_of(&self, groups: &[Gathered], number: usize) -> Option<f64> {
        let mut before = 0;
        for (at, group) in groups.iter().enumerate() {
            if number < before + group.nodes.len() {
                let start = (number - before) / self.columns * self.columns;
                return self
                    .lines
                    .iter()
                    .find(|l| l.group == at && l.start == Some(start))
                    .map(|l| l.top);
            }
            before += group.nodes.len();
        }
        None
    }
}

/// The node of the n-th tile.
pub fn nth(groups: &[Gathered], number: usize) -> Option<NodeId> {
    groups.iter().flat_map(|group| &group.nodes).nth(number).copied()
}

/// The first tile of a node.
pub fn number_of(groups: &[Gathered], node: NodeId) -> Option<usize> {
    groups.iter().flat_map(|group| &group.nodes).position(|id| *id == node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn groups(sizes: &[usize]) -> Vec<Gathered> {
        let mut next = 0;
        sizes
            .iter()
            .map(|size| {
                let nodes = (next..next + size)
                    .map(|n| NodeId(Uuid::from_u128(n as u128)))
                    .collect();
                next += size;
                Gathered {
                    title: format!("g{size}"),
                    nodes,
                }
            })
            .collect()
    }

    #[test]
    fn every_tile_has_one_place_and_none_overlap() {
        let groups = groups(&[7, 0, 1000, 3]);
        let layout = Layout::new(&groups, 500.0);
        let placed = layout.tiles(&groups, 0.0, layout.height);
        assert_eq!(placed.len(), 1010);
        assert!(
            placed
                .iter()
                .enumerate()
                .all(|(at, tile)| tile.number == at && nth(&groups, at) == Some(tile.node))
        );
        assert!(
            placed
                .iter()
                .all(|tile| tile.x >= EDGE && tile.x + layout.size.width <= 500.0)
        );
        let mut places: Vec<(i64, i64)> = placed.iter().map(|tile| (tile.y as i64, tile.x as i64)).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 1010);
        assert_eq!(layout.titles(0.0, layout.height).len(), 4);
        let last = placed.last().map(|tile| tile.y).unwrap_or_default();
        assert!(last + layout.size.height <= layout.height);
        assert_eq!(layout.top_of(&groups, 1009), Some(last));
        assert_eq!(layout.top_of(&groups, 1010), None);
    }

    #[test]
    fn only_what_is_in_sight() {
        let groups = groups(&[100_000]);
        let layout = Layout::new(&groups, 1040.0);
        let placed = layout.tiles(&groups, 50_000.0, 50_700.0);
        assert!((700..2_000).contains(&placed.len()), "{}", placed.len());
        assert!(placed.iter().all(|tile| tile.y > 49_900.0 && tile.y <= 50_700.0));
        assert!(Layout::new(&[], 0.0).tiles(&[], 0.0, 1e9).is_empty());
    }

    #[test]
    fn few_tiles_are_large() {
        let (few, many) = (groups(&[LARGE_MAX]), groups(&[LARGE_MAX + 1]));
        assert!(!Layout::new(&few, 900.0).is_small && Layout::new(&few, 900.0).size.width >= LARGE.width);
        assert_eq!(Layout::new(&many, 900.0).size, SMALL);
        // Nothing sticks out, and the room is used.
        let layout = Layout::new(&few, 1000.0);
        let end = EDGE + layout.columns as f64 * (layout.size.width + layout.size.gap) - layout.size.gap + EDGE;
        assert!((980.0..=1000.0).contains(&end), "{end}");
    }
}
