//! Tables over as many pages as they need: the head on each, no row cut.

use super::font::Face;
use super::layout::{INK, QUIET, bold, rect, rule, section_title, text};
use super::{BOTTOM, INNER, MARGIN, Pages};
use crate::html::{more_rows, no_rows};
use crate::local::Clock;
use crate::tables::{Cell, Table};
use edgedeck_charts::{Color, Shape, Theme, Tone, format_count};
use edgedeck_model::Lang;

const SIZE: f32 = 7.5;
const LINE: f32 = 10.0;
/// Between a cell's text and its column's edges.
const PAD: f32 = 3.5;
/// Longer texts end with an ellipsis.
const LINES: usize = 3;

struct Column {
    left: f32,
    width: f32,
    right: bool,
    title: Vec<String>,
}

pub(super) fn lay_out_table(pages: &mut Pages, table: &Table, lang: Lang, clock: &Clock, face: &Face) {
    // Below a title stand at least some rows.
    pages.need(60.0 + table.rows.len().min(5) as f32 * 2.0 * LINE);
    section_title(pages, table.title);
    if table.rows.is_empty() {
        pages.draw(text(MARGIN, pages.y + 8.0, 9.0, QUIET, no_rows(lang)));
        pages.y += 24.0;
        return;
    }
    let count = format_count(table.rows.len() as u64);
    let x = MARGIN + face.width(table.title, 14.0) + 10.0;
    pages.draw(text(x, pages.y - 11.0, 9.0, QUIET, count));
    let columns = columns(table, face);
    head(pages, &columns, face);
    for (index, row) in table.rows.iter().take(table.printed_rows).enumerate() {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(&columns)
            .map(|(cell, column)| lines(cell, column, clock, face))
            .collect();
        let most = cells.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let height = most as f32 * LINE + 4.0;
        if pages.y + height > BOTTOM {
            pages.next_page();
            head(pages, &columns, face);
        }
        if index % 2 == 1 {
            pages.draw(rect(MARGIN, pages.y, INNER, height, Color(0xf8, 0xf9, 0xfa)));
        }
        for ((cell, lines), column) in row.iter().zip(cells).zip(&columns) {
            draw_cell(pages, cell, lines, column, face);
        }
        pages.y += height;
        pages.draw(rect(MARGIN, pages.y - 0.25, INNER, 0.5, rule()));
    }
    if table.rows.len() > table.printed_rows {
        pages.need(20.0);
        pages.draw(text(
            MARGIN,
            pages.y + 14.0,
            8.5,
            QUIET,
            more_rows(table.printed_rows, table.rows.len(), lang),
        ));
        pages.y += 20.0;
    }
    pages.y += 16.0;
}

/// Columns that fill the page's width, with their titles wrapped.
fn columns(table: &Table, face: &Face) -> Vec<Column> {
    let sum: f32 = table.columns.iter().map(|column| column.width).sum();
    let mut left = MARGIN;
    let mut columns = vec![];
    for column in &table.columns {
        let width = column.width / sum.max(1.0) * INNER;
        let title = face.wrap(column.title, SIZE, width - 2.0 * PAD, 2);
        columns.push(Column {
            left,
            width,
            right: column.right,
            title,
        });
        left += width;
    }
    columns
}

fn head(pages: &mut Pages, columns: &[Column], face: &Face) {
    let most = columns
        .iter()
        .map(|column| column.title.len())
        .max()
        .unwrap_or(1)
        .max(1);
    let height = most as f32 * LINE + 6.0;
    pages.draw(rect(MARGIN, pages.y, INNER, height, Color(0xee, 0xf1, 0xf4)));
    for column in columns {
        // Titles of one line stand at the foot of a head of two.
        let first = pages.y + 3.0 + (most - column.title.len()) as f32 * LINE;
        for (line, title) in column.title.iter().enumerate() {
            let x = place(column, title, face);
            pages.draw(bold(x, first + 7.6 + line as f32 * LINE, SIZE, INK, title.clone()));
        }
    }
    pages.y += height;
    pages.draw(rect(MARGIN, pages.y - 0.4, INNER, 0.8, Theme::Light.axis()));
}

/// Where a text of a column begins.
fn place(column: &Column, text: &str, face: &Face) -> f32 {
    if column.right {
        column.left + column.width - PAD - face.width(text, SIZE)
    } else {
        column.left + PAD
    }
}

/// Room that the sign of a state takes.
fn indent(cell: &Cell) -> f32 {
    if matches!(cell, Cell::State(..)) { 9.0 } else { 0.0 }
}

fn lines(cell: &Cell, column: &Column, clock: &Clock, face: &Face) -> Vec<String> {
    let width = column.width - 2.0 * PAD - indent(cell);
    match cell {
        Cell::Text(text) => face.wrap(text, SIZE, width, LINES),
        _ => vec![face.elide(&cell.show(clock), SIZE, width)],
    }
}

fn draw_cell(pages: &mut Pages, cell: &Cell, lines: Vec<String>, column: &Column, face: &Face) {
    let color = if *cell == Cell::Absent {
        Theme::Light.axis()
    } else {
        INK
    };
    if let Cell::State(_, tone) = cell {
        sign(pages, *tone, (column.left + PAD + 3.0, pages.y + 6.8));
    }
    for (line, content) in lines.into_iter().enumerate() {
        let x = place(column, &content, face) + indent(cell);
        pages.draw(text(x, pages.y + 9.6 + line as f32 * LINE, SIZE, color, content));
    }
}

/// The charts' sign for a tone.
fn sign(pages: &mut Pages, tone: Tone, center: (f32, f32)) {
    let fill = Some(Theme::Light.tone(tone).into());
    pages.draw(Shape::Path {
        runs: vec![tone.sign(center, 2.4)],
        closed: true,
        fill,
        stroke: None,
    });
}
