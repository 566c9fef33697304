//! A plotters backend that records what is drawn as shapes.
//!
//! plotters counts in whole pixels; the recorder offers ten to each CSS pixel so that lines stay smooth.

use crate::scene::{Anchor, Paint, Scene, Shape, Stroke, text_width};
use crate::theme::Color;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::element::{Drawable, PointCollection};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use std::convert::Infallible;

/// Recorder units in a CSS pixel.
pub(crate) const FINE: f32 = 10.0;

pub(crate) fn fine(pixels: f32) -> i32 {
    (pixels * FINE).round() as i32
}

type Drawn = Result<(), DrawingErrorKind<Infallible>>;

pub(crate) struct Recorder<'a>(pub &'a mut Scene);

fn pixels((x, y): BackendCoord) -> (f32, f32) {
    (x as f32 / FINE, y as f32 / FINE)
}

fn color(color: BackendColor) -> Color {
    Color(color.rgb.0, color.rgb.1, color.rgb.2)
}

fn paint(of: BackendColor) -> Paint {
    Paint {
        color: color(of),
        opacity: of.alpha as f32,
    }
}

impl DrawingBackend for Recorder<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (fine(self.0.width) as u32, fine(self.0.height) as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        Ok(())
    }

    fn present(&mut self) -> Drawn {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Drawn {
        let (x, y) = pixels(point);
        self.0.rect(x, y, 1.0 / FINE, 1.0 / FINE, paint(color));
        Ok(())
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        let corners = [from, (to.0, from.1), to, (from.0, to.1)];
        if fill {
            return self.fill_polygon(corners, style);
        }
        self.draw_path(corners.into_iter().chain([from]), style)
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        if style.color().alpha > 0.0 {
            let stroke = Stroke {
                color: color(style.color()),
                width: style.stroke_width() as f32 / FINE,
                dash: vec![],
            };
            let runs = vec![path.into_iter().map(pixels).collect()];
            self.0.shapes.push(Shape::Path {
                runs,
                closed: false,
                fill: None,
                stroke: Some(stroke),
            });
        }
        Ok(())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, _fill: bool) -> Drawn {
        let (center, radius) = (pixels(center), radius as f32 / FINE);
        self.0.shapes.push(Shape::Circle {
            center,
            radius,
            fill: paint(style.color()),
        });
        Ok(())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vert: I, style: &S) -> Drawn {
        if style.color().alpha > 0.0 {
            self.0
                .polygon(vert.into_iter().map(pixels).collect(), paint(style.color()));
        }
        Ok(())
    }

    /// A line feed in `text` begins a second line.
    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, pos: BackendCoord) -> Drawn {
        let (x, y) = pixels(pos);
        let size = style.size() as f32 / FINE;
        let anchor = match style.anchor().h_pos {
            HPos::Left => Anchor::Start,
            HPos::Center => Anchor::Middle,
            HPos::Right => Anchor::End,
        };
        let base = match style.anchor().v_pos {
            VPos::Top => y + size * 0.86,
            VPos::Center => y + size * 0.36,
            VPos::Bottom => y - size * 0.22,
        };
        for (line, text) in text.lines().enumerate() {
            self.0.text(
                (x, base + line as f32 * size * 1.25),
                size,
                anchor,
                color(style.color()),
                text,
            );
        }
        Ok(())
    }

    fn estimate_text_size<T: BackendTextStyle>(
        &self,
        text: &str,
        style: &T,
    ) -> Result<(u32, u32), DrawingErrorKind<Infallible>> {
        let size = style.size() as f32;
        Ok((text_width(text, size).round() as u32, (size * 1.25).round() as u32))
    }
}

/// One line of a chart: runs of points with gaps between them, drawn as one shape with its dashes. plotters' own
/// line elements know neither gaps nor dashes.
pub(crate) struct Trace {
    pub points: Vec<(i64, f64)>,
    /// How many points each run has, in order.
    pub runs: Vec<usize>,
    pub stroke: Stroke,
}

impl<'a> PointCollection<'a, (i64, f64)> for &'a Trace {
    type Point = &'a (i64, f64);
    type IntoIter = std::slice::Iter<'a, (i64, f64)>;

    fn point_iter(self) -> Self::IntoIter {
        self.points.iter()
    }
}

impl<'r> Drawable<Recorder<'r>> for Trace {
    fn draw<I: Iterator<Item = BackendCoord>>(&self, places: I, to: &mut Recorder<'r>, _: (u32, u32)) -> Drawn {
        let mut places = places.map(pixels);
        let mut runs = vec![];
        for length in &self.runs {
            let run: Vec<(f32, f32)> = places.by_ref().take(*length).collect();
            match run.as_slice() {
                // A value between two gaps has no line: a dot shows it.
                [center] => {
                    let fill = self.stroke.color.into();
                    to.0.shapes.push(Shape::Circle {
                        center: *center,
                        radius: self.stroke.width,
                        fill,
                    });
                }
                _ => runs.push(run),
            }
        }
        if !runs.is_empty() {
            let stroke = Some(self.stroke.clone());
            to.0.shapes.push(Shape::Path {
                runs,
                closed: false,
                fill: None,
                stroke,
            });
        }
        Ok(())
    }
}

/// An axis whose ticks were chosen beforehand.
pub(crate) struct Ticked<T> {
    pub low: T,
    pub high: T,
    pub ticks: Vec<T>,
}

/// Where a value stands between two others, 0 to 1 within them.
pub(crate) trait Place: Copy {
    fn share(self, low: Self, high: Self) -> f64;
}

impl Place for i64 {
    fn share(self, low: Self, high: Self) -> f64 {
        (self as i128 - low as i128) as f64 / ((high as i128 - low as i128).max(1)) as f64
    }
}

impl Place for f64 {
    fn share(self, low: Self, high: Self) -> f64 {
        if high > low { (self - low) / (high - low) } else { 0.5 }
    }
}

impl<T: Place> Ranged for Ticked<T> {
    type FormatOption = NoDefaultFormatting;
    type ValueType = T;

    fn map(&self, value: &T, limit: (i32, i32)) -> i32 {
        // Values beyond the axis are drawn at its end.
        let share = value.share(self.low, self.high).clamp(0.0, 1.0);
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<T> {
        // Light points would be grid lines between the ticks.
        if hint.weight().allow_light_points() {
            vec![]
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> std::ops::Range<T> {
        self.low..self.high
    }
}

impl<T: Place> ValueFormatter<T> for Ticked<T> {
    /// Never used: the mesh is given a formatter of its own.
    fn format(_: &T) -> String {
        String::new()
    }
}
