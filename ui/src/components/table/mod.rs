//! Tables of any length: only the rows in sight exist in the page.
//!
//! A fixed set of row elements is moved about and filled anew while scrolling, so nothing is made or thrown away.
//! Cells are reactive: one that reads live data tracks the store's signal and follows it.
//!
//! `data-test`: `<name>-table`, `<name>-row` (with `data-id`), `<name>-sort-<column>`, `<name>-select-all`,
//! `<name>-columns`, `<name>-export`.

mod rows;

pub use rows::{Column, Row, SortKey};

use crate::{
    browser,
    components::{
        basic::{Button, ErrorBox, Kind, Skeleton},
        field::new_id,
        icon::{Icon, icon},
        menu::{Menu, MenuItem},
    },
    csv,
    match_text::folded,
    texts,
    url::UrlState,
};
use edgedeck_model::Problem;
use leptos::{html, prelude::*};
use rows::{AnyColumn, AnyRow, List, shown, sorted, toggled};
use std::{collections::HashSet, sync::Arc};
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
    let open = open.map(|open| {
        Callback::new(move |row: AnyRow| {
            if let Some(row) = row.get::<R>() {
                open.run(row.clone());
            }
        })
    });
    let list = Signal::derive(move || rows.with(|rows| -> Arc<dyn List> { rows.clone() }));
    let columns = columns.into_iter().map(|column| column.any).collect();
    view! { <Grid name label list columns open selected url loading problem retry empty children/> }
}

/// The table without its kind of rows.
#[component]
fn Grid(
    name: &'static str,
    label: Signal<String>,
    list: Signal<Arc<dyn List>>,
    columns: Vec<AnyColumn>,
    open: Option<Callback<AnyRow>>,
    selected: Option<RwSignal<HashSet<Uuid>>>,
    url: Option<UrlState>,
    loading: Signal<bool>,
    problem: Signal<Option<Problem>>,
    retry: Option<Callback<()>>,
    empty: ViewFn,
    children: Option<Children>,
) -> impl IntoView {
    let all_columns = StoredValue::new(columns);
    let kept = |param: &'static str| {
        url.as_ref()
            .map_or_else(|| RwSignal::new(String::new()), |url| url.param(param))
    };
    let (sort, chosen) = (kept("sort"), kept("cols"));
    let sorted_rows = Memo::new_with_compare(
        move |_| all_columns.with_value(|columns| sort.with(|sort| sorted(list.get(), columns, sort))),
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
            for AnyColumn { width, share, .. } in columns {
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
        sorted_rows.with_untracked(|rows| rows.place_of(id))
    };
    let row_at = move |place: usize| sorted_rows.with_untracked(|rows| rows.get(place));
    let show = move |place: usize| {
        let Some(row) = row_at(place) else { return };
        active.set(row.id());
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
            selected.set(rows.ids().take(high + 1).skip(low).collect());
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
            let everything: HashSet<Uuid> = sorted_rows.with_untracked(|rows| rows.ids().collect());
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
                            .is_some_and(|row| folded(&text(&row)).starts_with(&wanted))
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
                .map(|row| columns.iter().map(|column| (column.text)(&row)).collect());
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

    let head_cell = move |column: AnyColumn| {
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
            sorted_rows.with(|rows| rows.get(place))
        });
        let id = move || row.with(|row| row.as_ref().and_then(AnyRow::id));
        let is_active = move || id().is_some_and(|id| active.get() == Some(id));
        let is_selected = move || {
            selected.is_some_and(|selected| id().is_some_and(|id| selected.with(|selected| selected.contains(&id))))
        };
        let press = move |event: web_sys::MouseEvent| {
            let Some(id) = row.with_untracked(|row| row.as_ref().and_then(AnyRow::id)) else {
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
            let Some(id) = row.with_untracked(|row| row.as_ref().and_then(AnyRow::id)) else {
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

    let is_empty = Memo::new(move |_| list.with(|list| list.len() == 0));
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
            let place = active.get().and_then(|id| sorted_rows.with(|rows| rows.place_of(id)))?;
            Some(format!("{grid_id}-{}", place % slots.get().max(1)))
        }
    };
    let all_selected = move || {
        selected.is_some_and(|selected| {
            sorted_rows.with(|rows| {
                selected.with(|selected| {
                    rows.len() > 0 && rows.len() <= selected.len() && rows.ids().all(|id| selected.contains(&id))
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
    use super::row_of_slot;

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
