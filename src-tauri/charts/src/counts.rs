//! How many of what: bars, and a ring of shares. Each entry has a word, a number and a sign beside its colour.

use crate::scene::{Anchor, Paint, Scene, elide, text_width};
use crate::theme::{Look, Tone};
use crate::value::{format_count, format_value};
use edgedeck_model::Lang;
use edgedeck_model::telemetry::Unit;

/// One entry, such as "online: 41".
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    pub label: String,
    pub count: u64,
    pub tone: Tone,
}

/// One horizontal bar per entry, in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// Drawn above the bars unless empty.
    pub title: String,
    pub counts: Vec<Count>,
    pub look: Look,
}

/// A ring whose parts are the shares, the sum in its middle and a list of the entries at its side.
#[derive(Clone, Debug, PartialEq)]
pub struct DonutChart {
    /// Drawn above the ring unless empty.
    pub title: String,
    pub counts: Vec<Count>,
    pub look: Look,
}

const LABEL: f32 = 11.5;

fn total(counts: &[Count]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.saturating_add(count.count))
}

fn description(counts: &[Count], lang: Lang) -> String {
    let (colon, comma) = match lang {
        Lang::Zh => ("：", "，"),
        Lang::En => (": ", ", "),
    };
    counts
        .iter()
        .map(|c| format!("{}{colon}{}", c.label, c.count))
        .collect::<Vec<_>>()
        .join(comma)
}

/// An empty drawing with background and title, and the height the title takes.
fn begin(title: &str, counts: &[Count], look: &Look, least: (f32, f32)) -> (Scene, f32) {
    let (width, height) = look.size(least);
    let mut scene = Scene::new(width, height, title, description(counts, look.lang));
    if look.background {
        scene.rect(0.0, 0.0, width, height, look.theme.background());
    }
    if title.is_empty() {
        return (scene, 4.0);
    }
    scene.bold_text(
        (8.0, 16.0),
        13.0,
        Anchor::Start,
        look.theme.text(),
        elide(title, 13.0, width - 16.0),
    );
    (scene, 28.0)
}

impl BarChart {
    pub fn svg(&self) -> String {
        self.scene().svg()
    }

    pub fn scene(&self) -> Scene {
        let theme = self.look.theme;
        let (mut scene, top) = begin(&self.title, &self.counts, &self.look, (160.0, 40.0));
        let room = scene.height - top - 6.0;
        let row = (room / self.counts.len().max(1) as f32).min(28.0);
        let size = LABEL.min(row * 0.8);
        let most = self.counts.iter().map(|count| count.count).max().unwrap_or(0).max(1);
        let labels = self
            .counts
            .iter()
            .map(|c| text_width(&c.label, size))
            .fold(0.0, f32::max)
            .min(scene.width * 0.4);
        let numbers = text_width(&format_count(most), size) + 8.0;
        let left = 8.0 + 16.0 + labels + 8.0;
        let length = (scene.width - left - numbers - 8.0).max(8.0);
        for (index, count) in self.counts.iter().enumerate() {
            let middle = top + (index as f32 + 0.5) * row;
            let thick = (row * 0.56).min(14.0);
            let color = theme.tone(count.tone);
            let base = middle + size * 0.36;
            scene.polygon(count.tone.sign((14.0, middle), 3.4), color);
            scene.text(
                (24.0, base),
                size,
                Anchor::Start,
                theme.label(),
                elide(&count.label, size, labels + 2.0),
            );
            scene.rect(
                left,
                middle - thick / 2.0,
                length,
                thick,
                Paint {
                    color: theme.grid(),
                    opacity: 0.6,
                },
            );
            let share = (count.count as f64 / most as f64) as f32;
            if count.count > 0 {
                // A few among thousands still show.
                scene.rect(left, middle - thick / 2.0, (length * share).max(1.5), thick, color);
            }
            let number = format_count(count.count);
            scene.text((scene.width - 8.0, base), size, Anchor::End, theme.text(), number);
        }
        scene
    }
}

impl DonutChart {
    pub fn svg(&self) -> String {
        self.scene().svg()
    }

    pub fn scene(&self) -> Scene {
        let theme = self.look.theme;
        let (mut scene, top) = begin(&self.title, &self.counts, &self.look, (200.0, 90.0));
        let radius = ((scene.height - top - 8.0) / 2.0).min(scene.width * 0.22);
        let center = (8.0 + radius, top + (scene.height - top - 8.0) / 2.0);
        let sum = total(&self.counts);
        if sum == 0 {
            ring(&mut scene, center, radius, (0.0, 1.0), theme.grid());
        }
        let mut begun = 0.0;
        for count in self.counts.iter().filter(|count| count.count > 0) {
            let share = count.count as f64 / sum as f64;
            let color = theme.tone(count.tone);
            ring(&mut scene, center, radius, (begun, begun + share), color);
            // Wide enough parts carry their sign, too.
            if share > 0.08 {
                let angle = (begun + share / 2.0) as f32 * std::f32::consts::TAU;
                let place = (
                    center.0 + angle.sin() * radius * 0.81,
                    center.1 - angle.cos() * radius * 0.81,
                );
                scene.polygon(count.tone.sign(place, (radius * 0.07).min(4.0)), theme.background());
            }
            begun += share;
        }
        // A ray of the background's colour between the parts.
        let mut at = 0.0;
        let parts: Vec<f64> = self
            .counts
            .iter()
            .filter(|c| c.count > 0)
            .map(|c| c.count as f64 / sum as f64)
            .collect();
        for share in parts.iter().filter(|_| parts.len() > 1) {
            let (sin, cos) = (at as f32 * std::f32::consts::TAU).sin_cos();
            let edge = |r: f32| (center.0 + sin * r, center.1 - cos * r);
            let stroke = crate::scene::Stroke {
                color: theme.background(),
                width: 1.5,
                dash: vec![],
            };
            scene.line(edge(radius * 0.6), edge(radius + 1.0), stroke);
            at += share;
        }
        let number = format_count(sum);
        let size = (radius * 0.42)
            .min(26.0)
            .min(radius * 1.7 / number.chars().count().max(1) as f32);
        scene.bold_text(
            (center.0, center.1 + size * 0.36),
            size,
            Anchor::Middle,
            theme.text(),
            number,
        );
        self.list(&mut scene, center.0 + radius + 18.0, top, sum);
        scene
    }

    fn list(&self, scene: &mut Scene, left: f32, top: f32, sum: u64) {
        let theme = self.look.theme;
        let room = scene.height - top - 8.0;
        let row = (room / self.counts.len().max(1) as f32).min(20.0);
        let size = LABEL.min(row * 0.8);
        let first = top + (room - row * self.counts.len() as f32) / 2.0;
        let numbers = |count: &Count| {
            let percent = if sum == 0 {
                0.0
            } else {
                count.count as f64 * 100.0 / sum as f64
            };
            format!(
                "{} ({})",
                format_count(count.count),
                format_value(percent, Unit::Percent)
            )
        };
        let widest = self
            .counts
            .iter()
            .map(|count| text_width(&numbers(count), size))
            .fold(0.0, f32::max);
        let labels = self
            .counts
            .iter()
            .map(|count| text_width(&count.label, size))
            .fold(0.0, f32::max);
        // Numbers stand close to their words, however wide the drawing is.
        let right = (left + 14.0 + labels + 24.0 + widest).min(scene.width - 8.0);
        for (index, count) in self.counts.iter().enumerate() {
            let middle = first + (index as f32 + 0.5) * row;
            let base = middle + size * 0.36;
            scene.polygon(count.tone.sign((left, middle), 3.6), theme.tone(count.tone));
            let label = elide(&count.label, size, right - widest - left - 20.0);
            scene.text((left + 12.0, base), size, Anchor::Start, theme.label(), label);
            scene.text((right, base), size, Anchor::End, theme.text(), numbers(count));
        }
    }
}

/// A part of a ring from one share of the turn to another, clockwise from the top.
fn ring(scene: &mut Scene, center: (f32, f32), radius: f32, (from, to): (f64, f64), color: crate::theme::Color) {
    let steps = ((to - from) * 120.0).ceil().max(1.0) as usize;
    let arc = |radius: f32, step: usize| {
        let share = from + (to - from) * step as f64 / steps as f64;
        let (sin, cos) = (share as f32 * std::f32::consts::TAU).sin_cos();
        (center.0 + sin * radius, center.1 - cos * radius)
    };
    let outer = (0..=steps).map(|step| arc(radius, step));
    let inner = (0..=steps).rev().map(|step| arc(radius * 0.62, step));
    scene.polygon(outer.chain(inner).collect(), color);
}
