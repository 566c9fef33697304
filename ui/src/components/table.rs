//! Tables of any length: only the rows in sight exist in the page.
//!
//! A fixed set of row elements is moved about and filled anew while scrolling, so nothing is made or thrown away.
//! Cells are reactive: one that reads live data tracks the store's signal and follows it.
//!
//! `data-test`: `<name>-table`, `<name>-row` (with `data-id`), `<name>-sort-<column>`, `<name>-select-all`,
//! `<name>-columns`, `<name>-export`.

use crate::{
    browser,
    components::{
        basic::{Button, ErrorBox, Kind, Skeleton},
        field::new_id,
        icon::{Icon, icon},
        menu::{Menu, MenuItem},
    },
    csv,
    i18n::Text,
    match_text::folded,
    texts,
    url::UrlState,
};
use edgedeck_model::Problem;
use leptos::{html, prelude::*};
use std::{cmp::Ordering, collections::HashSet, sync::Arc};
use uuid::Uuid;
use wasm_bindgen::JsCast;

texts! {
    COLUMNS: "列", "Columns";
    EXPORT: "导出 CSV", "Export CSV";
    SELECT_ALL: "全选", "Select all";
    SELECT_ROW: "选择 {name}", "Select {name}";
    SORT_BY: "按{column}排序", "Sort by {column}";
}

/// Height of a row in CSS pixels, as in components.css.
const ROW: f64 = 36.0;
/// Rows drawn above and below what is in sight.
const SPARE: usize = 4;

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
    edgedeck_model::join::JoinToken
);

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

type CellView<R> = Arc<dyn Fn(&R) -> AnyView + Send + Sync>;
type CellText<R> = Arc<dyn Fn(&R) -> String + Send + Sync>;
type CellKey<R> = Arc<dyn Fn(&R) -> SortKey + Send + Sync>;

/// One column. [`Column::new`] makes one of plain text.
pub struct Column<R> {
    id: &'static str,
    title: Text,
    /// Least width in pixels, and its share of what is left over.
    width: u32,
    share: u32,
    number: bool,
    shown: bool,
    text: CellText<R>,
    view: Option<CellView<R>>,
    key: Option<CellKey<R>>,
}

impl<R> Clone for Column<R> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            view: self.view.clone(),
            key: self.key.clone(),
            ..*self
        }
    }
}

impl<R: Row> Column<R> {
    /// `text` is what is shown, exported and typed ahead; it may track signals.
    pub fn new(id: &'static str, title: Text, width: u32, text: impl Fn(&R) -> String + Send + Sync + 'static) -> Self {
        Self {
            id,
            title,
            width,
            share: 1,
            number: false,
            shown: true,
            text: Arc::new(text),
            view: None,
            key: None,
        }
    }

    /// Shown instead of the text.
    #[must_use]
    pub fn view<V: IntoView + 'static>(self, view: impl Fn(&R) -> V + Send + Sync + 'static) -> Self {
        Self {
            view: Some(Arc::new(move |row| view(row).into_any())),
            ..self
        }
    }

    #[must_use]
    pub fn sort(self, key: impl Fn(&R) -> SortKey + Send + Sync + 'static) -> Self {
        Self {
            key: Some(Arc::new(key)),
            ..self
        }
    }

    /// Right-aligned, in tabular figures.
    #[must_use]
    pub fn number(self) -> Self {
        Self { number: true, ..self }
    }

    /// Not shown until chosen.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self { shown: false, ..self }
    }

    /// Share of the width that is left over; 0 keeps the least width.
    #[must_use]
    pub fn share(self, share: u32) -> Self {
        Self { share, ..self }
    }
}

/// Rows in the order that `sort` asks for: a column's id, with `-` before it for descending; else as they are.
fn sorted<R: Row>(rows: &Arc<Vec<R>>, columns: &[Column<R>], sort: &str) -> Arc<Vec<R>> {
    let (id, descending) = sort.strip_prefix('-').map_or((sort, false), |id| (id, true));
    let Some(key) = columns
        .iter()
        .find(|column| column.id == id)
        .and_then(|column| column.key.as_ref())
    else {
        return rows.clone();
    };
    let mut keyed: Vec<(SortKey, &R)> = rows.iter().map(|row| (key(row), row)).collect();
    keyed.sort_by(|a, b| a.0.order(&b.0, descending));
    Arc::new(keyed.into_iter().map(|(_, row)| row.clone()).collect())
}

/// The columns to show: those that `chosen` names, or the usual ones.
fn shown<R: Row>(columns: &[Column<R>], chosen: &str) -> Vec<Column<R>> {
    let named: HashSet<&str> = chosen.split(',').collect();
    let is_shown = |column: &&Column<R>| {
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
fn toggled<R: Row>(columns: &[Column<R>], chosen: &str, id: &str) -> String {
    let present: HashSet<&str> = shown(columns, chosen).iter().map(|column| column.id).collect();
    let wanted: Vec<&str> = columns
        .iter()
        .map(|column| column.id)
        .filter(|c| present.contains(c) != (*c == id))
        .collect();
    wanted.join(",")
}

/// Where the n-th of `slots` row elements goes when `first` is the first row drawn: each keeps its row as long as it can.
fn row_of_slot(slot: usize, slots: usize, first: usize) -> usize {
    if slots == 0 {
        return first;
    }
    first + (slot + slots - first % slots) % slots
}

#[component]
pub fn Table<R: Row>(
    /// Names the table in `data-test` and in exported files.
    name: &'static str,
    #[prop(into)] label: Signal<String>,
    #[prop(into)] rows: Signal<Arc<Vec<R>>>,
    columns: Vec<Column<R>>,
    /// Enter and double click.
    #[prop(optional)]
    open: Option<Callback<R>>,
    /// Rows can be selected where this is given.
    #[prop(optional)]
    selected: Option<RwSignal<HashSet<Uuid>>>,
    /// Keeps sorting and columns in the address.
    #[prop(optional)]
    url: Option<UrlState>,
    #[prop(optional, into)] loading: Signal<bool>,
    #[prop(optional, into)] problem: Signal<Option<Problem>>,
    #[prop(optional)] retry: Option<Callback<()>>,
    /// Drawn when there is no row.
    #[prop(into)]
    empty: ViewFn,
    /// Stands left in the bar above: filters and actions.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let all_columns = StoredValue::new(columns);
    let kept = |param: &'static str| {
        url.as_ref()
            .map_or_else(|| RwSignal::new(String::new()), |url| url.param(param))
    };
    let (sort, chosen) = (kept("sort"), kept("cols"));
    let sorted_rows = Memo::new_with_compare(
        move |_| rows.with(|rows| all_columns.with_value(|columns| sort.with(|sort| sorted(rows, columns, sort)))),
        |_, _| true,
    );
    let columns = Memo::new_with_compare(
        move |_| all_columns.with_value(|columns| chosen.with(|chosen| shown(columns, chosen))),
        |_, _| true,
    );
    let active = RwSignal::new(None::<Uuid>);
    let anchor = RwSignal::new(None::<Uuid>);
    let scroll = RwSignal::new(0.0_f64);
    let size = RwSignal::new((0.0_f64, 0.0_f64));
    let grid = NodeRef::<html::Div>::new();
    let grid_id = new_id(name);
    Effect::new(move |_| {
        if let Some(grid) = grid.get() {
            browser::follow_size(&grid, size);
        }
    });

    let slots = Memo::new(move |_| (size.get().1 / ROW).ceil() as usize + 1 + 2 * SPARE);
    let first = Memo::new(move |_| ((scroll.get() / ROW) as usize).saturating_sub(SPARE));
    let template = move || {
        let mut template = if selected.is_some() {
            "36px".to_owned()
        } else {
            String::new()
        };
        columns.with(|columns| {
            for Column { width, share, .. } in columns {
                let most = if *share == 0 {
                    format!("{width}px")
                } else {
                    format!("{share}fr")
                };
                template += &format!(" minmax({width}px, {most})");
            }
        });
        template
    };
    let least_width = move || {
        let wide: u32 = columns.with(|columns| columns.iter().map(|column| column.width).sum());
        // 16: the padding of a row.
        format!("{}px", wide + 16 + if selected.is_some() { 36 } else { 0 })
    };

    let place_of = move |id: Option<Uuid>| {
        let id = id?;
        sorted_rows.with_untracked(|rows| rows.iter().position(|row| row.id() == id))
    };
    let row_at = move |place: usize| sorted_rows.with_untracked(|rows| rows.get(place).cloned());
    let show = move |place: usize| {
        let Some(row) = row_at(place) else { return };
        active.set(Some(row.id()));
        let Some(grid) = grid.get_untracked() else { return };
        let (top, height) = (f64::from(grid.scroll_top()), f64::from(grid.client_height()) - ROW);
        let wanted = place as f64 * ROW;
        if wanted < top {
            grid.set_scroll_top(wanted as i32);
        } else if wanted + ROW > top + height {
            grid.set_scroll_top((wanted + ROW - height) as i32);
        }
    };
    let select_range = move |to: usize| {
        let (Some(selected), Some(from)) = (selected, place_of(anchor.get_untracked())) else {
            return;
        };
        let (low, high) = (from.min(to), from.max(to));
        sorted_rows.with_untracked(|rows| {
            selected.set(rows.iter().take(high + 1).skip(low).map(Row::id).collect());
        });
    };
    let toggle = move |id: Uuid| {
        if let Some(selected) = selected {
            anchor.set(Some(id));
            selected.update(|selected| {
                if !selected.remove(&id) {
                    selected.insert(id);
                }
            });
        }
    };
    let select_all = move || {
        if let Some(selected) = selected {
            let everything: HashSet<Uuid> = sorted_rows.with_untracked(|rows| rows.iter().map(Row::id).collect());
            selected.update(|selected| {
                *selected = if everything.is_subset(selected) {
                    HashSet::new()
                } else {
                    everything
                };
            });
        }
    };
    // Letters typed in quick succession, and when the last came.
    let typed = StoredValue::new((String::new(), 0.0_f64));
    let type_ahead = move |letter: &str| {
        let now = browser::ticks();
        typed.update_value(|(text, last)| {
            if now - *last > 800.0 {
                text.clear();
            }
            text.push_str(&folded(letter));
            *last = now;
        });
        let wanted = typed.with_value(|typed| typed.0.clone());
        let text = columns.with_untracked(|columns| columns.first().map(|column| column.text.clone()));
        let from = place_of(active.get_untracked()).map_or(0, |place| place + usize::from(wanted.chars().count() == 1));
        let found = text.and_then(|text| {
            untrack(|| {
                sorted_rows.with(|rows| {
                    let count = rows.len();
                    (from..from + count).map(|n| n % count.max(1)).find(|place| {
                        rows.get(*place)
                            .is_some_and(|row| folded(&text(row)).starts_with(&wanted))
                    })
                })
            })
        });
        if let Some(place) = found {
            show(place);
        }
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        // Buttons and links inside the table keep their own keys.
        if event.target() != event.current_target() {
            return;
        }
        let count = sorted_rows.with_untracked(|rows| rows.len());
        let present = place_of(active.get_untracked());
        let page = ((size.get_untracked().1 / ROW) as usize).saturating_sub(2).max(1);
        let last = count.saturating_sub(1);
        let key = event.key();
        let to = match key.as_str() {
            "ArrowDown" => present.map_or(0, |place| (place + 1).min(last)),
            "ArrowUp" => present.map_or(0, |place| place.saturating_sub(1)),
            "PageDown" => present.map_or(0, |place| (place + page).min(last)),
            "PageUp" => present.map_or(0, |place| place.saturating_sub(page)),
            "Home" => 0,
            "End" => last,
            "Enter" => {
                if let (Some(open), Some(row)) = (open, present.and_then(row_at)) {
                    event.prevent_default();
                    open.run(row);
                }
                return;
            }
            " " if typed.with_value(|typed| browser::ticks() - typed.1 > 800.0) => {
                event.prevent_default();
                if let Some(id) = active.get_untracked() {
                    toggle(id);
                }
                return;
            }
            "a" if event.ctrl_key() && selected.is_some() => {
                event.prevent_default();
                select_all();
                return;
            }
            "Escape" => {
                if let Some(selected) = selected {
                    selected.update(HashSet::clear);
                }
                return;
            }
            letter
                if letter.chars().count() == 1
                    && letter != "?"
                    && letter != "/"
                    && !event.ctrl_key()
                    && !event.alt_key() =>
            {
                type_ahead(letter);
                return;
            }
            _ => return,
        };
        event.prevent_default();
        if event.shift_key() && selected.is_some() {
            if anchor.get_untracked().is_none() {
                anchor.set(active.get_untracked());
            }
            select_range(to);
        }
        show(to);
    };
    let export = Callback::new(move |()| {
        let text = untrack(|| {
            let columns = columns.get();
            let head = columns
                .iter()
                .map(|column| column.title.get().to_owned())
                .collect::<Vec<_>>();
            let rows = sorted_rows.get();
            let body = rows
                .iter()
                .map(|row| columns.iter().map(|column| (column.text)(row)).collect());
            csv::write(std::iter::once(head).chain(body))
        });
        browser::download(&format!("edgedeck-{name}.csv"), "text/csv;charset=utf-8", &text);
    });
    let column_items = Signal::derive(move || {
        all_columns.with_value(|columns| {
            columns
                .iter()
                .map(|column| {
                    let id = column.id;
                    let is_shown = Signal::derive(move || {
                        chosen.with(|chosen| {
                            all_columns.with_value(|all| shown(all, chosen).iter().any(|column| column.id == id))
                        })
                    });
                    MenuItem::new(column.title, id, move || {
                        chosen.update(|chosen| *chosen = all_columns.with_value(|all| toggled(all, chosen, id)));
                    })
                    .chosen(is_shown)
                })
                .collect()
        })
    });

    let head_cell = move |column: Column<R>| {
        let id = column.id;
        let direction = move || {
            sort.with(|sort| {
                if sort == id {
                    1
                } else if sort.strip_prefix('-') == Some(id) {
                    -1
                } else {
                    0
                }
            })
        };
        let title = column.title;
        let turn = move |_| {
            sort.set(match direction() {
                0 => id.to_owned(),
                1 => format!("-{id}"),
                _ => String::new(),
            });
        };
        let aria = move || match direction() {
            1 => "ascending",
            -1 => "descending",
            _ => "none",
        };
        view! {
            <div class="cell head" class:number=column.number role="columnheader" aria-sort=aria>
                {if column.key.is_some() {
                    view! {
                        <button
                            type="button"
                            class="sort"
                            data-test=format!("{name}-sort-{id}")
                            title=move || SORT_BY.with(&[("column", &title.get())])
                            on:click=turn
                        >
                            <span>{title.t()}</span>
                            {move || match direction() {
                                1 => Some(icon(Icon::Up)),
                                -1 => Some(icon(Icon::Down)),
                                _ => None,
                            }}
                        </button>
                    }
                    .into_any()
                } else {
                    view! { <span>{title.t()}</span> }.into_any()
                }}
            </div>
        }
    };

    let row_prefix = grid_id.clone();
    let one_row = move |slot: usize| {
        let place = Memo::new(move |_| row_of_slot(slot, slots.get(), first.get()));
        let row = Memo::new(move |_| {
            let place = place.get();
            sorted_rows.with(|rows| rows.get(place).cloned())
        });
        let id = move || row.with(|row| row.as_ref().map(Row::id));
        let is_active = move || id().is_some_and(|id| active.get() == Some(id));
        let is_selected = move || {
            selected.is_some_and(|selected| id().is_some_and(|id| selected.with(|selected| selected.contains(&id))))
        };
        let press = move |event: web_sys::MouseEvent| {
            let Some(id) = row.with_untracked(|row| row.as_ref().map(Row::id)) else {
                return;
            };
            let target = event
                .target()
                .and_then(|target| target.dyn_into::<web_sys::Element>().ok());
            if target.is_some_and(|target| target.closest("a, button").ok().flatten().is_some()) {
                return;
            }
            active.set(Some(id));
            if event.shift_key() {
                select_range(place.get_untracked());
            } else if event.ctrl_key() || event.meta_key() {
                toggle(id);
            } else {
                anchor.set(Some(id));
            }
        };
        let double = move |_| {
            if let (Some(open), Some(row)) = (open, row.get_untracked()) {
                open.run(row);
            }
        };
        let check = move |event: web_sys::MouseEvent| {
            let Some(id) = row.with_untracked(|row| row.as_ref().map(Row::id)) else {
                return;
            };
            event.stop_propagation();
            if event.shift_key() {
                select_range(place.get_untracked());
            } else {
                toggle(id);
            }
        };
        let label = move || {
            let text = columns.with(|columns| columns.first().map(|column| column.text.clone()));
            let name = row
                .with(|row| row.as_ref().zip(text).map(|(row, text)| text(row)))
                .unwrap_or_default();
            SELECT_ROW.with(&[("name", &name)])
        };
        let cells = move || {
            columns.with(|columns| {
                columns
                    .iter()
                    .map(|column| {
                        let (text, view, number) = (column.text.clone(), column.view.clone(), column.number);
                        let content = move || {
                            row.with(|row| {
                                row.as_ref().map(|row| match &view {
                                    Some(view) => view(row),
                                    None => text(row).into_any(),
                                })
                            })
                        };
                        view! { <div class="cell" class:number=number role="gridcell">{content}</div> }
                    })
                    .collect_view()
            })
        };
        view! {
            <div
                class="row"
                class:active=is_active
                class:selected=is_selected
                role="row"
                id=format!("{row_prefix}-{slot}")
                data-test=format!("{name}-row")
                data-id=move || id().map(|id| id.to_string())
                aria-rowindex=move || place.get() + 2
                aria-selected=move || selected.map(|_| is_selected().to_string())
                style:transform=move || format!("translateY({}px)", place.get() as f64 * ROW)
                hidden=move || row.with(Option::is_none)
                on:click=press
                on:dblclick=double
            >
                {selected
                    .map(|_| {
                        view! {
                            <div class="cell check" role="gridcell">
                                <button
                                    type="button"
                                    class="checkbox"
                                    role="checkbox"
                                    tabindex="-1"
                                    aria-checked=move || is_selected().to_string()
                                    aria-label=label
                                    on:click=check
                                >
                                    {icon(Icon::Check)}
                                </button>
                            </div>
                        }
                    })}
                {cells}
            </div>
        }
    };

    let is_empty = Memo::new(move |_| rows.with(|rows| rows.is_empty()));
    let instead = move || {
        if !is_empty.get() {
            return None;
        }
        if let Some(problem) = problem.get() {
            let problem = Signal::stored(problem);
            return Some(match retry {
                Some(retry) => view! { <ErrorBox problem=problem retry=retry/> }.into_any(),
                None => view! { <ErrorBox problem=problem/> }.into_any(),
            });
        }
        Some(if loading.get() {
            view! { <Skeleton lines=8/> }.into_any()
        } else {
            empty.run()
        })
    };
    let active_row = {
        let grid_id = grid_id.clone();
        move || {
            let place = active
                .get()
                .and_then(|id| sorted_rows.with(|rows| rows.iter().position(|row| row.id() == id)))?;
            Some(format!("{grid_id}-{}", place % slots.get().max(1)))
        }
    };
    let all_selected = move || {
        selected.is_some_and(|selected| {
            sorted_rows.with(|rows| {
                selected.with(|selected| {
                    !rows.is_empty()
                        && rows.len() <= selected.len()
                        && rows.iter().all(|row| selected.contains(&row.id()))
                })
            })
        })
    };
    view! {
        <section class="table-frame">
            <div class="bar">
                <div class="bar-left">{children.map(|children| children())}</div>
                <div class="bar-right">
                    <Menu label=COLUMNS sign=Icon::Columns sign_only=true items=column_items test="columns"/>
                    <Button label=EXPORT sign=Icon::Download kind=Kind::Quiet sign_only=true disabled=is_empty press=export test="export"/>
                </div>
            </div>
            <div
                class="table"
                id=grid_id.clone()
                role="grid"
                tabindex="0"
                data-test=format!("{name}-table")
                node_ref=grid
                aria-label=move || label.get()
                aria-rowcount=move || sorted_rows.with(|rows| rows.len() + 1)
                aria-multiselectable=selected.map(|_| "true")
                aria-activedescendant=active_row
                on:keydown=on_key
                on:scroll=move |_| {
                    if let Some(grid) = grid.get_untracked() {
                        scroll.set(f64::from(grid.scroll_top()));
                    }
                }
            >
                <div class="thead" role="row" aria-rowindex="1" style:grid-template-columns=template style:min-width=least_width>
                    {selected
                        .map(|_| {
                            view! {
                                <div class="cell head check" role="columnheader">
                                    <button
                                        type="button"
                                        class="checkbox"
                                        role="checkbox"
                                        data-test=format!("{name}-select-all")
                                        aria-checked=move || all_selected().to_string()
                                        aria-label=SELECT_ALL.t()
                                        on:click=move |_| select_all()
                                    >
                                        {icon(Icon::Check)}
                                    </button>
                                </div>
                            }
                        })}
                    {move || columns.get().into_iter().map(head_cell).collect_view()}
                </div>
                <div
                    class="tbody"
                    role="rowgroup"
                    style=("--columns", template)
                    style:min-width=least_width
                    style:height=move || format!("{}px", sorted_rows.with(|rows| rows.len()) as f64 * ROW)
                >
                    <For each=move || 0..slots.get() key=|slot| *slot children=one_row/>
                </div>
                {instead}
            </div>
        </section>
    }
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

    fn columns() -> Vec<Column<NodeId>> {
        let number = |id: &NodeId| id.0.as_u128() as f64;
        vec![
            Column::new("name", TITLE, 100, |id: &NodeId| id.to_string()),
            Column::new("size", TITLE, 80, |_| String::new())
                .sort(move |id| SortKey::number((number(id) < 5.0).then(|| number(id)))),
            Column::new("more", TITLE, 80, |_| String::new()).hidden(),
        ]
    }

    #[test]
    fn sorting_keeps_what_is_not_known_last_both_ways() {
        let rows = ids(&[3, 9, 1, 2, 8]);
        assert_eq!(sorted(&rows, &columns(), "size"), ids(&[1, 2, 3, 9, 8]));
        assert_eq!(sorted(&rows, &columns(), "-size"), ids(&[3, 2, 1, 9, 8]));
        assert_eq!(sorted(&rows, &columns(), ""), rows);
        assert_eq!(sorted(&rows, &columns(), "gone"), rows);
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

    #[test]
    fn every_row_in_sight_has_one_slot_and_keeps_it() {
        for slots in 1..12 {
            for first in 0..40 {
                let mut places: Vec<usize> = (0..slots).map(|slot| row_of_slot(slot, slots, first)).collect();
                for (slot, place) in places.iter().enumerate() {
                    assert_eq!(place % slots, slot);
                }
                places.sort_unstable();
                assert_eq!(places, (first..first + slots).collect::<Vec<_>>());
            }
        }
    }
}
