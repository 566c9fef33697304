//! Many things over time, one row each: how busy or how hot every chip was.

use crate::line::Series;
use crate::scene::{Anchor, Paint, Scene, elide, text_width};
use crate::theme::Look;
use crate::ticks::{moment, time_ticks};
use crate::value::format_value;
use edgedeck_model::Lang;
use edgedeck_model::telemetry::Unit;

/// Rows of cells; a cell's colour is the mean of the values in it. A cell without values stays empty, with a thin
/// line through it.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatStrip {
    /// Drawn above the rows unless empty.
    pub title: String,
    pub unit: Unit,
    pub rows: Vec<Series>,
    /// UTC milliseconds.
    pub from_ms: i64,
    pub to_ms: i64,
    /// Values of the scale's ends; those beyond take the end's colour.
    pub low: f64,
    pub high: f64,
    /// Seconds east of UTC for the ticks of the time axis.
    pub tz_offset: i32,
    pub look: Look,
}

const LABEL: f32 = 11.0;
/// Steps of the scale: more cannot be told apart, and equal neighbours become one shape.
const SHADES: f64 = 24.0;
/// Pixels of a cell.
const CELL: f32 = 5.0;
/// Above the rows (scale) and below them (times).
const SCALE: f32 = 20.0;
const TIMES: f32 = 34.0;

impl HeatStrip {
    /// Height at which each row has `row` pixels.
    pub fn height_for(rows: usize, row: f32, titled: bool) -> f32 {
        rows.max(1) as f32 * row + SCALE + TIMES + if titled { 26.0 } else { 4.0 }
    }

    pub fn svg(&self) -> String {
        self.scene().svg()
    }

    pub fn scene(&self) -> Scene {
        let theme = self.look.theme;
        let (width, height) = self.look.size((200.0, 90.0));
        let mut scene = Scene::new(width, height, &self.title, self.description());
        if self.look.background {
            scene.rect(0.0, 0.0, width, height, theme.background());
        }
        let mut top = 4.0;
        if !self.title.is_empty() {
            let title = elide(&self.title, 13.0, width - 16.0);
            scene.bold_text((8.0, 16.0), 13.0, Anchor::Start, theme.text(), title);
            top = 26.0;
        }
        let names = self
            .rows
            .iter()
            .map(|row| text_width(&row.name, LABEL))
            .fold(24.0, f32::max);
        let left = (names + 16.0).min(width * 0.3);
        let across = width - left - 28.0;
        self.draw_scale(&mut scene, left + across, top);
        top += SCALE;
        let row_height = (height - top - TIMES) / self.rows.len().max(1) as f32;
        let cells = ((across / CELL) as usize).max(1);
        for (index, row) in self.rows.iter().enumerate() {
            let y = top + index as f32 * row_height;
            let gap = if row_height > 6.0 { 1.0 } else { 0.0 };
            // With rows lower than a line of text, only some are named.
            let every = (LABEL / row_height).ceil().max(1.0) as usize;
            if index % every == 0 {
                let base = y + row_height / 2.0 + LABEL * 0.36;
                let name = elide(&row.name, LABEL, left - 12.0);
                scene.text((left - 8.0, base), LABEL, Anchor::End, theme.label(), name);
            }
            let shades = self.shades(row, cells);
            let cell = across / cells as f32;
            let mut start = 0;
            for group in shades.chunk_by(|a, b| a == b) {
                let (x, wide) = (left + start as f32 * cell, group.len() as f32 * cell);
                match group.first().copied().flatten() {
                    Some(shade) => {
                        let color = theme.heat(f32::from(shade) / SHADES as f32);
                        scene.rect(x, y, wide, row_height - gap, color);
                    }
                    None => {
                        let color = Paint {
                            color: theme.axis(),
                            opacity: 0.7,
                        };
                        scene.rect(x, y + (row_height - gap) / 2.0 - 0.4, wide, 0.8, color);
                    }
                }
                start += group.len();
            }
        }
        self.draw_times(&mut scene, left, across, height - TIMES);
        if self.rows.is_empty() {
            let text = match self.look.lang {
                Lang::Zh => "此时段没有数据",
                Lang::En => "No data in this period",
            };
            scene.text((width / 2.0, top + 14.0), 12.0, Anchor::Middle, theme.label(), text);
        }
        scene
    }

    /// The shade of each cell of a row; none where it has no value.
    fn shades(&self, row: &Series, cells: usize) -> Vec<Option<u8>> {
        let mut sums = vec![(0.0, 0u32); cells];
        let span = (self.to_ms as i128 - self.from_ms as i128).max(1);
        for (time, value) in &row.points {
            let Some(value) = value.filter(|v| v.is_finite()) else {
                continue;
            };
            if *time < self.from_ms || *time > self.to_ms {
                continue;
            }
            let cell = ((*time as i128 - self.from_ms as i128) * cells as i128 / span) as usize;
            if let Some((sum, count)) = sums.get_mut(cell.min(cells - 1)) {
                *sum += value;
                *count += 1;
            }
        }
        let range = if self.high > self.low {
            self.high - self.low
        } else {
            1.0
        };
        let shade = |mean: f64| (((mean - self.low) / range).clamp(0.0, 1.0) * SHADES).round() as u8;
        sums.into_iter()
            .map(|(sum, count)| (count > 0).then(|| shade(sum / f64::from(count))))
            .collect()
    }

    fn draw_scale(&self, scene: &mut Scene, right: f32, top: f32) {
        let theme = self.look.theme;
        let high = format_value(self.high, self.unit);
        let number_right = right;
        let bar_right = number_right - text_width(&high, LABEL) - 6.0;
        let bar_left = bar_right - 96.0;
        scene.text((number_right, top + 11.0), LABEL, Anchor::End, theme.label(), high);
        for step in 0..24 {
            scene.rect(
                bar_left + step as f32 * 4.0,
                top + 2.0,
                4.0,
                10.0,
                theme.heat(step as f32 / 23.0),
            );
        }
        scene.text(
            (bar_left - 6.0, top + 11.0),
            LABEL,
            Anchor::End,
            theme.label(),
            format_value(self.low, self.unit),
        );
    }

    fn draw_times(&self, scene: &mut Scene, left: f32, across: f32, top: f32) {
        let theme = self.look.theme;
        let span = (self.to_ms as i128 - self.from_ms as i128).max(1) as f64;
        let most = ((across / 64.0) as usize).clamp(1, 16);
        for tick in time_ticks(self.from_ms, self.to_ms, most, self.tz_offset, self.look.lang) {
            let x = left + across * ((tick.at as i128 - self.from_ms as i128) as f64 / span) as f32;
            let stroke = crate::scene::Stroke {
                color: theme.axis(),
                width: 1.0,
                dash: vec![],
            };
            scene.line((x, top), (x, top + 3.0), stroke);
            for (line, text) in tick.label.lines().enumerate() {
                let y = top + 14.0 + line as f32 * LABEL * 1.25;
                scene.text((x, y), LABEL, Anchor::Middle, theme.label(), text);
            }
        }
    }

    fn description(&self) -> String {
        let (from, to) = (moment(self.from_ms, self.tz_offset), moment(self.to_ms, self.tz_offset));
        let rows = self.rows.len();
        match self.look.lang {
            Lang::Zh => format!("热度图，{rows} 行，{from} 至 {to}。"),
            Lang::En => format!("Heat map of {rows} rows from {from} to {to}."),
        }
    }
}
