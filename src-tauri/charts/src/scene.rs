//! The display list that every chart becomes. Lengths are CSS pixels, y grows downwards.

use crate::theme::Color;

/// A finished drawing.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub width: f32,
    pub height: f32,
    /// What a screen reader says first; plain text.
    pub title: String,
    /// What the drawing shows, in words; plain text.
    pub description: String,
    /// In drawing order: later ones cover earlier ones.
    pub shapes: Vec<Shape>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One or more runs of straight lines. With `closed` each run is a polygon.
    Path {
        runs: Vec<Vec<(f32, f32)>>,
        closed: bool,
        fill: Option<Paint>,
        stroke: Option<Stroke>,
    },
    Circle {
        center: (f32, f32),
        radius: f32,
        fill: Paint,
    },
    /// One line of text; `y` is the base line.
    Text {
        x: f32,
        y: f32,
        size: f32,
        bold: bool,
        anchor: Anchor,
        color: Color,
        text: String,
    },
}

/// Which point of a text stands at its `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Paint {
    pub color: Color,
    /// 0 to 1.
    pub opacity: f32,
}

impl From<Color> for Paint {
    fn from(color: Color) -> Self {
        Self { color, opacity: 1.0 }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stroke {
    pub color: Color,
    pub width: f32,
    /// Lengths of dashes and the gaps between them; empty for a solid line.
    pub dash: Vec<f32>,
}

impl Scene {
    pub(crate) fn new(width: f32, height: f32, title: &str, description: String) -> Self {
        Self {
            width,
            height,
            title: title.to_owned(),
            description,
            shapes: Vec::new(),
        }
    }

    pub(crate) fn line(&mut self, from: (f32, f32), to: (f32, f32), stroke: Stroke) {
        self.shapes.push(Shape::Path {
            runs: vec![vec![from, to]],
            closed: false,
            fill: None,
            stroke: Some(stroke),
        });
    }

    pub(crate) fn polygon(&mut self, points: Vec<(f32, f32)>, fill: impl Into<Paint>) {
        self.shapes.push(Shape::Path {
            runs: vec![points],
            closed: true,
            fill: Some(fill.into()),
            stroke: None,
        });
    }

    pub(crate) fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, fill: impl Into<Paint>) {
        self.polygon(
            vec![(x, y), (x + width, y), (x + width, y + height), (x, y + height)],
            fill,
        );
    }

    pub(crate) fn text(&mut self, at: (f32, f32), size: f32, anchor: Anchor, color: Color, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.shapes.push(Shape::Text {
                x: at.0,
                y: at.1,
                size,
                bold: false,
                anchor,
                color,
                text,
            });
        }
    }

    pub(crate) fn bold_text(
        &mut self,
        at: (f32, f32),
        size: f32,
        anchor: Anchor,
        color: Color,
        text: impl Into<String>,
    ) {
        self.shapes.push(Shape::Text {
            x: at.0,
            y: at.1,
            size,
            bold: true,
            anchor,
            color,
            text: text.into(),
        });
    }
}

/// Estimated width of `text` in pixels: no font is at hand, so an average sans-serif is assumed.
pub fn text_width(text: &str, size: f32) -> f32 {
    let em: f32 = text
        .chars()
        .map(|c| match c {
            'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.3,
            'm' | 'w' | 'M' | 'W' | '%' | '@' => 0.88,
            'A'..='Z' => 0.66,
            c if (c as u32) < 0x2E80 => 0.56,
            _ => 1.0,
        })
        .sum();
    em * size
}

/// `text` shortened with an ellipsis to at most `width` pixels.
pub fn elide(text: &str, size: f32, width: f32) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let room = width - size;
    let mut kept = String::new();
    let mut used = 0.0;
    for c in text.chars() {
        used += text_width(c.encode_utf8(&mut [0; 4]), size);
        if used > room {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}
