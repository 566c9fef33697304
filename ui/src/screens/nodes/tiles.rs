//! The wall of tiles: every node of the set, of which only those in sight exist in the page.
//!
//! Tiles are drawn by hand rather than as reactive views: a wall holds a thousand at a time, and ten thousand changes
//! a minute must cost a few attribute writes each, not a view. Elements are used again while scrolling.

use super::{
    filter::Gathered,
    layout::{Layout, Placed, nth, number_of},
    metric::TileMetric,
    summary::{NodeSummary, show_summary},
};
use crate::{
    browser,
    components::{Skeleton, field::new_id},
    i18n::lang,
    store::{lab, store},
    texts,
};
use edgedeck_model::{Lang, NodeId, alarm::Severity, node::NodeState};
use leptos::{html, prelude::*};
use send_wrapper::SendWrapper;
use std::{cell::RefCell, collections::HashSet, rc::Rc, sync::Arc};
use uuid::Uuid;
use wasm_bindgen::JsCast;

texts! {
    WALL: "节点方块", "Node tiles";
    TILE: "{name}，{metric}：{word}", "{name}, {metric}: {word}";
    OTHERS: "其他", "Others";
    TITLE: "{title} · {n}", "{title} · {n}";
}

/// Drawn above and below what is in sight, in pixels.
const SPARE: f64 = 160.0;

/// One tile in the page, and what was last written to it.
struct Tile {
    root: web_sys::Element,
    shape: web_sys::Element,
    name: web_sys::Element,
    value: web_sys::Element,
    stamp: Option<Stamp>,
    shown: Shown,
}

/// Everything that the look of a tile depends on. Words cost a hundred times more than comparing this, and most tiles
/// have not changed when one has.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    node: NodeId,
    rev: u64,
    state: NodeState,
    figure: Option<i32>,
    worst: Option<Severity>,
    place: (i64, i64),
    metric: TileMetric,
    lang: Lang,
    is_small: bool,
    is_selected: bool,
    is_active: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    node: Option<NodeId>,
    place: (i64, i64),
    class: String,
    path: &'static str,
    name: String,
    value: String,
    label: String,
    selected: bool,
}

impl Tile {
    fn new(parent: &web_sys::Element, id: &str) -> Option<Self> {
        let page = document();
        let root = page.create_element("div").ok()?;
        root.set_attribute("role", "option").ok()?;
        root.set_attribute("data-test", "tile").ok()?;
        root.set_id(id);
        let space = Some("http://www.w3.org/2000/svg");
        let svg = page.create_element_ns(space, "svg").ok()?;
        svg.set_attribute("viewBox", "0 0 12 12").ok()?;
        svg.set_attribute("class", "glyph").ok()?;
        svg.set_attribute("aria-hidden", "true").ok()?;
        let shape = page.create_element_ns(space, "path").ok()?;
        shape.set_attribute("fill-rule", "evenodd").ok()?;
        svg.append_child(&shape).ok()?;
        let (name, value) = (page.create_element("span").ok()?, page.create_element("span").ok()?);
        name.set_class_name("tile-name");
        value.set_class_name("tile-value");
        for part in [&svg, &name, &value] {
            root.append_child(part).ok()?;
        }
        parent.append_child(&root).ok()?;
        Some(Self {
            root,
            shape,
            name,
            value,
            stamp: None,
            shown: Shown::default(),
        })
    }

    /// Writes what differs from what is there.
    fn show(&mut self, wanted: Shown) {
        let shown = &mut self.shown;
        // Setting attributes of an element that exists cannot fail.
        if shown.node != wanted.node {
            _ = self
                .root
                .set_attribute("data-id", &wanted.node.map(|id| id.to_string()).unwrap_or_default());
        }
        if shown.place != wanted.place
            && let Some(element) = self.root.dyn_ref::<web_sys::HtmlElement>()
        {
            let (x, y) = wanted.place;
            _ = element
                .style()
                .set_property("transform", &format!("translate({x}px, {y}px)"));
        }
        if shown.class != wanted.class {
            self.root.set_class_name(&wanted.class);
        }
        if shown.path != wanted.path {
            _ = self.shape.set_attribute("d", wanted.path);
        }
        if shown.name != wanted.name {
            self.name.set_text_content(Some(&wanted.name));
        }
        if shown.value != wanted.value {
            self.value.set_text_content(Some(&wanted.value));
        }
        if shown.label != wanted.label {
            _ = self.root.set_attribute("aria-label", &wanted.label);
        }
        if shown.selected != wanted.selected || shown.node.is_none() {
            _ = self
                .root
                .set_attribute("aria-selected", if wanted.selected { "true" } else { "false" });
        }
        *shown = wanted;
    }
}

#[component]
pub fn Wall(
    groups: Signal<Arc<Vec<Gathered>>>,
    metric: Signal<TileMetric>,
    selected: RwSignal<HashSet<Uuid>>,
    open: Callback<NodeId>,
    loading: Signal<bool>,
    empty: ViewFn,
) -> impl IntoView {
    let (frame, canvas) = (NodeRef::<html::Div>::new(), NodeRef::<html::Div>::new());
    let size = RwSignal::new((0.0_f64, 0.0_f64));
    let scroll = RwSignal::new(0.0_f64);
    let active = RwSignal::new(None::<NodeId>);
    let hovered = RwSignal::new(None::<NodeId>);
    let id = new_id("tile");
    Effect::new(move |_| {
        if let Some(frame) = frame.get() {
            browser::follow_size(&frame, size);
        }
    });
    let layout = Memo::new(move |_| groups.with(|groups| Layout::new(groups, size.get().0)));
    let sight = Memo::new(move |_| {
        // In steps, so that a small scroll draws nothing.
        let top = (scroll.get() / SPARE).floor() * SPARE;
        (top - SPARE, top + size.get().1 + 2.0 * SPARE)
    });
    let placed = Memo::new(move |_| {
        let (from, to) = sight.get();
        layout.with(|layout| groups.with(|groups| layout.tiles(groups, from, to)))
    });
    let worst = Memo::new(move |_| {
        store().alarms.track();
        Arc::new(lab(|lab| lab.worst_alarms()))
    });

    // The elements, used again by number: a tile that stays in sight keeps its element.
    let tiles: Rc<RefCell<Vec<Tile>>> = Rc::default();
    let prefix = id.clone();
    Effect::new(move |_| {
        let Some(canvas) = canvas.get() else { return };
        store().nodes.track();
        let (metric, lang) = (metric.get(), lang());
        if metric != TileMetric::State {
            store().live.track();
        }
        let (placed, worst, active) = (placed.get(), worst.get(), active.get());
        let selected = selected.get();
        let is_small = layout.with(|layout| layout.is_small);
        let mut tiles = tiles.borrow_mut();
        while tiles.len() < placed.len() {
            let Some(tile) = Tile::new(&canvas, &format!("{prefix}-{}", tiles.len())) else {
                return;
            };
            tiles.push(tile);
        }
        let count = tiles.len();
        let mut used = vec![false; count];
        lab(|lab| {
            for Placed { number, node: id, x, y } in placed {
                let Some(node) = lab.node(id) else { continue };
                let slot = number % count.max(1);
                let Some(tile) = tiles.get_mut(slot) else { continue };
                if let Some(used) = used.get_mut(slot) {
                    *used = true;
                }
                let is_selected = selected.contains(&id.0);
                let stamp = Stamp {
                    node: id,
                    rev: node.row.rev,
                    state: node.row.state,
                    figure: metric.step(&node.live),
                    worst: worst.get(&id).copied(),
                    place: (x as i64, y as i64),
                    metric,
                    lang,
                    is_small,
                    is_selected,
                    is_active: active == Some(id),
                };
                if tile.stamp == Some(stamp) {
                    continue;
                }
                tile.stamp = Some(stamp);
                let face = metric.face(node, stamp.worst, lang);
                let name = node.row.name.as_str();
                let label = crate::i18n::fill(
                    TILE.of(lang),
                    &[("name", &name), ("metric", &metric.word(lang)), ("word", &face.word)],
                );
                let mut class = format!("tile {}", face.class);
                for (has, more) in [
                    (is_small, " small"),
                    (is_selected, " selected"),
                    (stamp.is_active, " active"),
                    (!node.row.managed, " waiting"),
                ] {
                    if has {
                        class.push_str(more);
                    }
                }
                tile.show(Shown {
                    node: Some(id),
                    place: stamp.place,
                    class,
                    path: face.sign.map_or("", |sign| sign.shape.path()),
                    name: if is_small { String::new() } else { name.to_owned() },
                    value: if is_small { face.short } else { face.word },
                    label,
                    selected: is_selected,
                });
            }
        });
        for (tile, used) in tiles.iter_mut().zip(used) {
            if !used && tile.shown.class != "tile gone" {
                tile.stamp = None;
                tile.show(Shown {
                    class: "tile gone".to_owned(),
                    ..Shown::default()
                });
            }
        }
    });

    let node_at = |target: Option<web_sys::EventTarget>| -> Option<NodeId> {
        let element = target?
            .dyn_into::<web_sys::Element>()
            .ok()?
            .closest("[data-id]")
            .ok()
            .flatten()?;
        element.get_attribute("data-id")?.parse().ok()
    };
    let toggle = move |id: NodeId| {
        selected.update(|selected| {
            if !selected.remove(&id.0) {
                selected.insert(id.0);
            }
        });
    };
    let click = move |event: web_sys::MouseEvent| {
        let Some(id) = node_at(event.target()) else { return };
        let before = active.get_untracked();
        active.set(Some(id));
        if event.ctrl_key() || event.meta_key() {
            toggle(id);
        } else if event.shift_key() {
            groups.with_untracked(|groups| {
                let (Some(a), Some(b)) = (before.and_then(|b| number_of(groups, b)), number_of(groups, id)) else {
                    return;
                };
                let all = groups.iter().flat_map(|group| &group.nodes);
                selected.set(all.skip(a.min(b)).take(a.abs_diff(b) + 1).map(|id| id.0).collect());
            });
        } else {
            show_summary(id);
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let columns = layout.with_untracked(|layout| layout.columns);
        let count: usize = groups.with_untracked(|groups| groups.iter().map(|group| group.nodes.len()).sum());
        let at = active
            .get_untracked()
            .and_then(|id| groups.with_untracked(|groups| number_of(groups, id)));
        let last = count.saturating_sub(1);
        let to = match event.key().as_str() {
            "ArrowRight" => at.map_or(0, |at| (at + 1).min(last)),
            "ArrowLeft" => at.map_or(0, |at| at.saturating_sub(1)),
            "ArrowDown" => at.map_or(0, |at| (at + columns).min(last)),
            "ArrowUp" => at.map_or(0, |at| at.saturating_sub(columns)),
            "Home" => 0,
            "End" => last,
            "Enter" => {
                if let Some(id) = active.get_untracked() {
                    open.run(id);
                }
                return;
            }
            " " => {
                event.prevent_default();
                if let Some(id) = active.get_untracked() {
                    toggle(id);
                }
                return;
            }
            "a" if event.ctrl_key() => {
                event.prevent_default();
                selected
                    .set(groups.with_untracked(|groups| groups.iter().flat_map(|g| &g.nodes).map(|id| id.0).collect()));
                return;
            }
            "Escape" => {
                selected.set(HashSet::new());
                hovered.set(None);
                return;
            }
            _ => return,
        };
        event.prevent_default();
        let target = groups.with_untracked(|groups| nth(groups, to));
        active.set(target);
        hovered.set(target);
        let top = groups.with_untracked(|groups| layout.with_untracked(|layout| layout.top_of(groups, to)));
        if let (Some(top), Some(frame)) = (top, frame.get_untracked()) {
            let (from, height) = (f64::from(frame.scroll_top()), size.get_untracked().1);
            let tall = layout.with_untracked(|layout| layout.size.height);
            if top < from {
                frame.set_scroll_top(top as i32);
            } else if top + tall > from + height {
                frame.set_scroll_top((top + tall - height) as i32 + 1);
            }
        }
    };
    let titles = move || {
        let (from, to) = sight.get();
        layout
            .with(|layout| layout.titles(from, to))
            .into_iter()
            .filter_map(|(group, top)| {
                let (title, count) =
                    groups.with(|groups| groups.get(group).map(|g| (g.title.clone(), g.nodes.len())))?;
                let title = if title.is_empty() {
                    OTHERS.get().to_owned()
                } else {
                    title
                };
                let text = TITLE.with(&[("title", &title), ("n", &count)]);
                Some(view! { <h3 class="wall-title" style:transform=format!("translateY({top}px)")>{text}</h3> })
            })
            .collect_view()
    };
    // Beside the tile, and inside the wall.
    let card = move || {
        let id = hovered.get()?;
        let tile = placed.with(|placed| placed.iter().find(|tile| tile.node == id).copied())?;
        let (tall, width) = (layout.with(|layout| layout.size.height), size.get().0);
        let low = tile.y - scroll.get() > size.get().1 / 2.0;
        let x = tile.x.min(width - 300.0).max(4.0);
        let place = if low {
            format!("translate({x}px, calc({}px - 100%))", tile.y - 4.0)
        } else {
            format!("translate({x}px, {}px)", tile.y + tall + 4.0)
        };
        Some(
            view! { <div class="hover-card" style:transform=place role="tooltip"><NodeSummary id=id brief=true/></div> },
        )
    };
    let is_empty = Memo::new(move |_| groups.with(|groups| groups.iter().all(|group| group.nodes.is_empty())));
    let active_element = {
        let id = SendWrapper::new(id);
        move || {
            placed.track();
            let active = active.get()?;
            // The element that shows the node is found by the page: slots move while scrolling.
            let found = canvas
                .get()?
                .query_selector(&format!("[data-id=\"{active}\"]"))
                .ok()
                .flatten()?;
            Some(found.id()).filter(|found| found.starts_with(id.as_str()))
        }
    };
    view! {
        <div
            class="wall"
            role="listbox"
            tabindex="0"
            data-test="wall"
            aria-label=WALL.t()
            aria-multiselectable="true"
            aria-activedescendant=active_element
            node_ref=frame
            on:scroll=move |_| {
                if let Some(frame) = frame.get_untracked() {
                    scroll.set(f64::from(frame.scroll_top()));
                }
            }
            on:keydown=on_key
            on:click=click
            on:dblclick=move |event| {
                if let Some(id) = node_at(event.target()) {
                    open.run(id);
                }
            }
            on:pointerover=move |event| hovered.set(node_at(event.target()))
            on:pointerleave=move |_| hovered.set(None)
        >
            <div class="wall-canvas" style=("--tile-width", move || format!("{}px", layout.with(|layout| layout.size.width))) style:height=move || format!("{}px", layout.with(|layout| layout.height)) node_ref=canvas></div>
            {titles}
            {card}
            {move || {
                is_empty.get().then(|| if loading.get() { view! { <Skeleton lines=8/> }.into_any() } else { empty.run() })
            }}
        </div>
    }
}
