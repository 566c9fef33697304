//! A line the size of a word.

use crate::reduce::reduce;
use crate::scene::{Paint, Scene, Shape, Stroke};
use crate::theme::Look;

/// The course of one value without axes: a tile or a table cell says the number beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparkline {
    /// Read out, not drawn.
    pub title: String,
    /// Ascend in time; a point without a value is a gap.
    pub points: Vec<(i64, Option<f64>)>,
    pub from_ms: i64,
    pub to_ms: i64,
    /// Values at the lower and upper edge; those beyond are drawn at the edge.
    pub low: f64,
    pub high: f64,
    pub look: Look,
}

impl Sparkline {
    pub fn svg(&self) -> String {
        self.scene().svg()
    }

    pub fn scene(&self) -> Scene {
        let (width, height) = self.look.size((16.0, 8.0));
        let mut scene = Scene::new(width, height, &self.title, String::new());
        if self.look.background {
            scene.rect(0.0, 0.0, width, height, self.look.theme.background());
        }
        let color = self.look.theme.series(0);
        let span = (self.to_ms as i128 - self.from_ms as i128).max(1) as f64;
        let range = if self.high > self.low {
            self.high - self.low
        } else {
            1.0
        };
        // Half a line's width, and the dot at the end, stay inside.
        let place = |(time, value): (i64, f64)| {
            let x = (time as i128 - self.from_ms as i128) as f64 / span;
            let y = ((value - self.low) / range).clamp(0.0, 1.0);
            (2.0 + x as f32 * (width - 4.0), 2.0 + (1.0 - y as f32) * (height - 4.0))
        };
        let reduced = reduce(&self.points, self.from_ms, self.to_ms, width as usize);
        let runs: Vec<Vec<(f32, f32)>> = reduced
            .into_iter()
            .map(|run| run.into_iter().map(place).collect::<Vec<_>>())
            .collect();
        let end = runs.last().and_then(|run| run.last()).copied();
        let (lines, dots): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.len() > 1);
        if !lines.is_empty() {
            let ground = |run: &Vec<(f32, f32)>| {
                let ends = run
                    .last()
                    .into_iter()
                    .chain(run.first())
                    .map(|point| (point.0, height - 2.0));
                run.iter().copied().chain(ends).collect()
            };
            let fill = Some(Paint { color, opacity: 0.15 });
            scene.shapes.push(Shape::Path {
                runs: lines.iter().map(ground).collect(),
                closed: true,
                fill,
                stroke: None,
            });
            let stroke = Some(Stroke {
                color,
                width: 1.25,
                dash: vec![],
            });
            scene.shapes.push(Shape::Path {
                runs: lines,
                closed: false,
                fill: None,
                stroke,
            });
        }
        for center in dots.into_iter().flatten() {
            scene.shapes.push(Shape::Circle {
                center,
                radius: 1.0,
                fill: color.into(),
            });
        }
        if let Some(center) = end {
            scene.shapes.push(Shape::Circle {
                center,
                radius: 1.75,
                fill: color.into(),
            });
        }
        scene
    }
}
