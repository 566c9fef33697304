//! Lines over time.

use crate::recorder::{FINE, Recorder, Ticked, Trace, fine};
use crate::reduce::reduce;
use crate::scene::{Anchor, Scene, Shape, Stroke, elide, text_width};
use crate::theme::{Color, Look, dash, marker};
use crate::ticks::{TimeTick, moment, time_ticks};
use crate::value::{Axis, format_value};
use edgedeck_model::Lang;
use edgedeck_model::telemetry::Unit;
use plotters::prelude::*;
use plotters::style::Color as _;
use std::convert::Infallible;

/// One line. Points ascend in time (UTC milliseconds); a point without a value, or with one that is not finite, is a
/// gap and stays one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub name: String,
    pub points: Vec<(i64, Option<f64>)>,
}

/// The values an axis covers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// 0 to 100 for percent; for the others what the points need, from 0 unless that hides them (temperatures).
    Auto,
    Fixed(f64, f64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// Drawn above the plot unless empty, and read out either way.
    pub title: String,
    /// Of every series.
    pub unit: Unit,
    pub series: Vec<Series>,
    /// UTC milliseconds.
    pub from_ms: i64,
    pub to_ms: i64,
    pub y: Range,
    /// Seconds east of UTC for the ticks of the time axis.
    pub tz_offset: i32,
    pub look: Look,
}

/// Where the plot lies in the drawing and what it covers, for a crosshair over the SVG. Pixels of the drawing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plot {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
    pub from_ms: i64,
    pub to_ms: i64,
    pub low: f64,
    pub high: f64,
}

impl Plot {
    /// The time at `x`, held within the plot.
    pub fn pixel_to_time(&self, x: f32) -> i64 {
        let share = f64::from(((x - self.left) / self.width).clamp(0.0, 1.0));
        let span = (self.to_ms as i128 - self.from_ms as i128) as f64;
        self.from_ms.saturating_add((span * share).round() as i64)
    }

    pub fn time_to_pixel(&self, time: i64) -> f32 {
        let span = (self.to_ms as i128 - self.from_ms as i128).max(1) as f64;
        let share = (time as i128 - self.from_ms as i128) as f64 / span;
        self.left + self.width * share.clamp(0.0, 1.0) as f32
    }

    pub fn value_to_pixel(&self, value: f64) -> f32 {
        let share = if self.high > self.low {
            (value - self.low) / (self.high - self.low)
        } else {
            0.5
        };
        self.top + self.height * (1.0 - share.clamp(0.0, 1.0) as f32)
    }
}

const LABEL: f32 = 11.0;
const TITLE: f32 = 13.0;
/// Height of a row of the legend.
const ROW: f32 = 18.0;

/// Everything decided before drawing.
struct Layout {
    plot: Plot,
    axis: Axis,
    ticks: Vec<TimeTick>,
    /// Name and left edge of each entry, row by row; empty without a legend.
    legend: Vec<Vec<(usize, String, f32)>>,
}

impl LineChart {
    pub fn svg(&self) -> String {
        self.scene().svg()
    }

    /// Where the plot lies, as `scene` draws it.
    pub fn plot(&self) -> Plot {
        self.layout(&self.reduced(self.columns())).plot
    }

    fn size(&self) -> (f32, f32) {
        self.look.size((160.0, 90.0))
    }

    fn columns(&self) -> usize {
        self.size().0 as usize
    }

    fn reduced(&self, columns: usize) -> Vec<Vec<Vec<(i64, f64)>>> {
        self.series
            .iter()
            .map(|series| reduce(&series.points, self.from_ms, self.to_ms, columns))
            .collect()
    }

    pub fn scene(&self) -> Scene {
        let theme = self.look.theme;
        let (width, height) = self.size();
        let reduced = self.reduced(self.columns());
        let layout = self.layout(&reduced);
        let mut scene = Scene::new(width, height, &self.title, self.description(&reduced));
        if self.look.background {
            scene.rect(0.0, 0.0, width, height, theme.background());
        }
        if !self.title.is_empty() {
            let title = elide(&self.title, TITLE, width - 16.0);
            scene.bold_text((8.0, 16.0), TITLE, Anchor::Start, theme.text(), title);
        }
        self.draw_legend(&mut scene, &layout);
        // Recording cannot fail, and `layout` leaves the plot room.
        _ = self.draw_plot(&mut scene, &layout, &reduced);
        if reduced.iter().all(|runs| runs.is_empty()) {
            let text = match self.look.lang {
                Lang::Zh => "此时段没有数据",
                Lang::En => "No data in this period",
            };
            let plot = layout.plot;
            let middle = (plot.left + plot.width / 2.0, plot.top + plot.height / 2.0 + 4.0);
            scene.text(middle, 12.0, Anchor::Middle, theme.label(), text);
        }
        self.draw_markers(&mut scene, &layout.plot, &reduced);
        scene
    }

    fn layout(&self, reduced: &[Vec<Vec<(i64, f64)>>]) -> Layout {
        let (width, height) = self.size();
        let legend = self.legend(width);
        let top = if self.title.is_empty() { 10.0 } else { 30.0 } + legend.len() as f32 * ROW;
        let bottom = 36.0;
        let plot_height = (height - top - bottom).max(24.0);
        let (low, high, fixed) = self.range(reduced);
        let axis = Axis::new(low, high, self.unit, ((plot_height / 38.0) as usize).clamp(2, 6), fixed);
        let widest = axis
            .ticks
            .iter()
            .map(|tick| text_width(&axis.label(*tick), LABEL))
            .fold(24.0, f32::max);
        let left = (widest + 14.0).min(width / 2.0);
        // Half of the last tick's label stands right of the plot.
        let plot_width = (width - left - 28.0).max(40.0);
        let most = ((plot_width / 64.0) as usize).clamp(1, 16);
        let ticks = time_ticks(self.from_ms, self.to_ms, most, self.tz_offset, self.look.lang);
        // As the recorder rounds, so that a crosshair stands where the line does.
        let round = |pixels: f32| fine(pixels) as f32 / FINE;
        let plot = Plot {
            left: round(left),
            top: round(top),
            width: round(plot_width),
            height: round(plot_height),
            from_ms: self.from_ms,
            to_ms: self.to_ms.max(self.from_ms),
            low: axis.min,
            high: axis.max,
        };
        Layout {
            plot,
            axis,
            ticks,
            legend,
        }
    }

    /// Lowest and highest value of the axis, and whether they stay as they are.
    fn range(&self, reduced: &[Vec<Vec<(i64, f64)>>]) -> (f64, f64, bool) {
        match self.y {
            Range::Fixed(low, high) if low.is_finite() && high.is_finite() && low < high => return (low, high, true),
            Range::Auto if self.unit == Unit::Percent => return (0.0, 100.0, true),
            _ => {}
        }
        let values = || reduced.iter().flatten().flatten().map(|point| point.1);
        let low = values().reduce(f64::min).unwrap_or(0.0);
        let high = values().reduce(f64::max).unwrap_or(1.0);
        let room = (high - low).max(high.abs() * 0.02).max(1e-3);
        match self.unit {
            Unit::Celsius => (low - room * 0.1, high + room * 0.1, false),
            _ if low >= 0.0 => (0.0, if high > 0.0 { high } else { 1.0 }, false),
            _ => (low - room * 0.05, high + room * 0.05, false),
        }
    }

    /// Entries broken into rows; a single line needs none, its title names it.
    fn legend(&self, width: f32) -> Vec<Vec<(usize, String, f32)>> {
        let mut rows: Vec<Vec<(usize, String, f32)>> = vec![];
        if self.series.len() < 2 {
            return rows;
        }
        let mut x = f32::INFINITY;
        for (index, series) in self.series.iter().enumerate() {
            let name = elide(&series.name, LABEL, (width - 60.0).min(220.0));
            let needed = 34.0 + text_width(&name, LABEL) + 14.0;
            if x + needed > width - 8.0 {
                // Names past the third row would eat the plot; hovering still tells them.
                if rows.len() == 3 {
                    break;
                }
                rows.push(vec![]);
                x = 8.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((index, name, x));
            }
            x += needed;
        }
        rows
    }

    fn draw_legend(&self, scene: &mut Scene, layout: &Layout) {
        let theme = self.look.theme;
        let top = if self.title.is_empty() { 4.0 } else { 22.0 };
        for (row, entries) in layout.legend.iter().enumerate() {
            let y = top + row as f32 * ROW + ROW / 2.0;
            for (index, name, x) in entries {
                let color = theme.series(*index);
                let stroke = Stroke {
                    color,
                    width: 1.75,
                    dash: dash(*index),
                };
                scene.line((*x, y), (x + 26.0, y), stroke);
                scene.polygon(marker(*index, (x + 13.0, y), 3.2), color);
                scene.text((x + 32.0, y + 4.0), LABEL, Anchor::Start, theme.label(), name.clone());
            }
        }
    }

    fn draw_plot(
        &self,
        scene: &mut Scene,
        layout: &Layout,
        reduced: &[Vec<Vec<(i64, f64)>>],
    ) -> Result<(), DrawingAreaErrorKind<Infallible>> {
        let theme = self.look.theme;
        let Plot {
            left,
            top,
            width,
            height,
            from_ms,
            to_ms,
            low,
            high,
        } = layout.plot;
        let (total_width, total_height) = (scene.width, scene.height);
        let rgb = |color: Color| RGBColor(color.0, color.1, color.2);
        let stroke = |color: Color, pixels: f32| rgb(color).stroke_width(fine(pixels) as u32);
        let x_axis = Ticked {
            low: from_ms,
            high: to_ms,
            ticks: layout.ticks.iter().map(|tick| tick.at).collect(),
        };
        let y_axis = Ticked {
            low,
            high,
            ticks: layout.axis.ticks.clone(),
        };
        let root = Recorder(scene).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin_top(fine(top))
            .margin_right(fine(total_width) - fine(left) - fine(width))
            .x_label_area_size(fine(total_height) - fine(top) - fine(height))
            .y_label_area_size(fine(left))
            .build_cartesian_2d(x_axis, y_axis)?;
        let label = |at: &i64| {
            let tick = layout.ticks.iter().find(|tick| tick.at == *at);
            tick.map_or_else(String::new, |tick| tick.label.clone())
        };
        let font = || {
            ("sans-serif", f64::from(LABEL * FINE))
                .into_font()
                .color(&rgb(theme.label()))
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(stroke(theme.grid(), 1.0))
            .light_line_style(TRANSPARENT)
            .axis_style(stroke(theme.axis(), 1.0))
            .set_all_tick_mark_size(fine(3.0))
            .x_labels(layout.ticks.len().max(1))
            .y_labels(layout.axis.ticks.len().max(1))
            .x_label_style(font())
            .y_label_style(font())
            .x_label_formatter(&label)
            .y_label_formatter(&|value| layout.axis.label(*value))
            .draw()?;
        for (index, runs) in reduced.iter().enumerate() {
            let stroke = Stroke {
                color: theme.series(index),
                width: 1.5,
                dash: dash(index),
            };
            let trace = Trace {
                points: runs.concat(),
                runs: runs.iter().map(Vec::len).collect(),
                stroke,
            };
            chart.draw_series([trace])?;
        }
        Ok(())
    }

    /// A sign on each line every 90 pixels or so, where there is more than one line.
    fn draw_markers(&self, scene: &mut Scene, plot: &Plot, reduced: &[Vec<Vec<(i64, f64)>>]) {
        if self.series.len() < 2 {
            return;
        }
        const APART: f32 = 90.0;
        for (index, runs) in reduced.iter().enumerate() {
            // Lines begin at different places, so that signs do not cover one another.
            let mut next = plot.left + 18.0 + (index % 5) as f32 * APART / 5.0;
            let mut polygons = vec![];
            for (time, value) in runs.iter().flatten() {
                let x = plot.time_to_pixel(*time);
                if x >= next {
                    polygons.push(marker(index, (x, plot.value_to_pixel(*value)), 3.2));
                    next = x + APART;
                }
            }
            if !polygons.is_empty() {
                let fill = Some(self.look.theme.series(index).into());
                scene.shapes.push(Shape::Path {
                    runs: polygons,
                    closed: true,
                    fill,
                    stroke: None,
                });
            }
        }
    }

    fn description(&self, reduced: &[Vec<Vec<(i64, f64)>>]) -> String {
        let lang = self.look.lang;
        let (from, to) = (moment(self.from_ms, self.tz_offset), moment(self.to_ms, self.tz_offset));
        let mut text = match lang {
            Lang::Zh => format!("折线图，{from} 至 {to}。"),
            Lang::En => format!("Line chart from {from} to {to}."),
        };
        for (series, runs) in self.series.iter().zip(reduced).take(20) {
            let values = || runs.iter().flatten().map(|point| point.1);
            let name = &series.name;
            let low = values().reduce(f64::min).map(|value| format_value(value, self.unit));
            let high = values().reduce(f64::max).map(|value| format_value(value, self.unit));
            text.push_str(&match (low, high, lang) {
                (Some(low), Some(high), Lang::Zh) => format!("{name}：最低 {low}，最高 {high}。"),
                (Some(low), Some(high), Lang::En) => format!(" {name}: lowest {low}, highest {high}."),
                (_, _, Lang::Zh) => format!("{name}：没有数据。"),
                (_, _, Lang::En) => format!(" {name}: no data."),
            });
        }
        text
    }
}
