//! Title, summary and charts, then the tables.

use super::font::Face;
use super::table::lay_out_table;
use super::{INNER, MARGIN, Pages};
use crate::html::heading;
use crate::local::Clock;
use crate::tables::printed;
use crate::text::clean;
use crate::{ReportData, charts, summary};
use edgedeck_charts::{Anchor, Color, Paint, Scene, Shape, Stroke, Theme};

pub(super) const INK: Color = Color(0x1c, 0x23, 0x2b);
pub(super) const QUIET: Color = Color(0x57, 0x60, 0x6a);
pub(super) const ACCENT: Color = Color(0x00, 0x72, 0xb2);

pub(super) fn text(x: f32, y: f32, size: f32, color: Color, text: impl Into<String>) -> Shape {
    Shape::Text {
        x,
        y,
        size,
        bold: false,
        anchor: Anchor::Start,
        color,
        text: text.into(),
    }
}

pub(super) fn bold(x: f32, y: f32, size: f32, color: Color, text: impl Into<String>) -> Shape {
    Shape::Text {
        x,
        y,
        size,
        bold: true,
        anchor: Anchor::Start,
        color,
        text: text.into(),
    }
}

pub(super) fn rect(x: f32, y: f32, width: f32, height: f32, fill: impl Into<Paint>) -> Shape {
    let corners = vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height)];
    Shape::Path {
        runs: vec![corners],
        closed: true,
        fill: Some(fill.into()),
        stroke: None,
    }
}

pub(super) fn lay_out(pages: &mut Pages, data: &ReportData, clock: &Clock, face: &Face) {
    title(pages, data, clock, face);
    summary(pages, data, face);
    charts(pages, data, clock);
    for table in printed(data) {
        lay_out_table(pages, &table, data.lang, clock, face);
    }
}

fn title(pages: &mut Pages, data: &ReportData, clock: &Clock, face: &Face) {
    let lab = face.elide(&clean(&data.lab), 13.0, INNER);
    pages.draw(text(MARGIN, pages.y + 12.0, 13.0, QUIET, lab));
    pages.draw(bold(MARGIN, pages.y + 42.0, 24.0, INK, summary::title(data)));
    let mut x = MARGIN;
    for (label, value) in heading(data, clock) {
        pages.draw(text(x, pages.y + 62.0, 9.0, QUIET, label));
        x += face.width(label, 9.0) + 6.0;
        let value = face.elide(&clean(&value), 9.0, 240.0);
        let width = face.width(&value, 9.0);
        pages.draw(text(x, pages.y + 62.0, 9.0, INK, value));
        x += width + 24.0;
    }
    pages.draw(rect(MARGIN, pages.y + 72.0, INNER, 1.5, ACCENT));
    pages.y += 90.0;
}

pub(super) fn section_title(pages: &mut Pages, title: &str) {
    pages.section(title);
    pages.draw(bold(MARGIN, pages.y + 13.0, 14.0, INK, title));
    pages.y += 24.0;
}

fn summary(pages: &mut Pages, data: &ReportData, face: &Face) {
    section_title(pages, data.lang.pick("概要", "Summary"));
    for sentence in summary::sentences(data) {
        for line in face.wrap(&clean(&sentence), 10.5, INNER, 3) {
            pages.draw(text(MARGIN, pages.y + 10.0, 10.5, INK, line));
            pages.y += 16.0;
        }
        pages.y += 2.0;
    }
    pages.y += 8.0;
    // Figures in rows of six, each with a line of the accent colour at its left.
    const ACROSS: usize = 6;
    let width = INNER / ACROSS as f32;
    for row in summary::figures(data).chunks(ACROSS) {
        for (at, figure) in row.iter().enumerate() {
            let x = MARGIN + at as f32 * width;
            pages.draw(rect(x, pages.y, 2.0, 32.0, ACCENT));
            let value = face.elide(&figure.value, 15.0, width - 18.0);
            pages.draw(bold(x + 9.0, pages.y + 14.0, 15.0, INK, value));
            pages.draw(text(x + 9.0, pages.y + 29.0, 8.5, QUIET, figure.label));
        }
        pages.y += 42.0;
    }
    pages.y += 6.0;
}

/// Charts in two columns.
fn charts(pages: &mut Pages, data: &ReportData, clock: &Clock) {
    const GAP: f32 = 18.0;
    let width = (INNER - GAP) / 2.0;
    let size = |height: f32| (width / SCALE, height / SCALE);
    let mut scenes = vec![charts::states(data, size(180.0)).scene()];
    if data.kind.has_health() {
        scenes.push(charts::severities(data, size(180.0)).scene());
    }
    scenes.extend(
        charts::lines(data, clock, size(236.0))
            .iter()
            .map(|chart| chart.scene()),
    );
    for pair in scenes.chunks(2) {
        let height = pair.iter().map(|scene| scene.height * SCALE).fold(0.0, f32::max);
        pages.need(height);
        for (at, scene) in pair.iter().enumerate() {
            place(pages, scene, MARGIN + at as f32 * (width + GAP), pages.y);
        }
        pages.y += height + 16.0;
    }
}

/// Points on paper for a chart's pixel: its texts become as large as those of the tables.
const SCALE: f32 = 0.82;

/// Draws a chart with its upper left corner at the given place.
fn place(pages: &mut Pages, scene: &Scene, left: f32, top: f32) {
    let moved = |(x, y): (f32, f32)| (x * SCALE + left, y * SCALE + top);
    for shape in scene.shapes.clone() {
        pages.draw(match shape {
            Shape::Path {
                runs,
                closed,
                fill,
                stroke,
            } => {
                let runs = runs
                    .into_iter()
                    .map(|run| run.into_iter().map(moved).collect())
                    .collect();
                let stroke = stroke.map(|stroke| Stroke {
                    width: stroke.width * SCALE,
                    dash: stroke.dash.into_iter().map(|length| length * SCALE).collect(),
                    ..stroke
                });
                Shape::Path {
                    runs,
                    closed,
                    fill,
                    stroke,
                }
            }
            Shape::Circle { center, radius, fill } => Shape::Circle {
                center: moved(center),
                radius: radius * SCALE,
                fill,
            },
            Shape::Text {
                x,
                y,
                size,
                bold,
                anchor,
                color,
                text,
            } => {
                let (x, y) = moved((x, y));
                Shape::Text {
                    x,
                    y,
                    size: size * SCALE,
                    bold,
                    anchor,
                    color,
                    text,
                }
            }
        });
    }
}

/// Thin lines of tables.
pub(super) fn rule() -> Color {
    Theme::Light.grid()
}
