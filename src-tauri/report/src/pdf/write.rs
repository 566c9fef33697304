//! Pages of shapes as a file.

use super::font::Face;
use super::layout::{QUIET, rect, rule, text};
use super::{BOTTOM, HEIGHT, INNER, MARGIN, Pages, WIDTH};
use crate::local::Clock;
use crate::text::clean;
use crate::{Error, ReportData, summary};
use edgedeck_charts::{Anchor, Color, Paint, Shape, Stroke};
use krilla::Document;
use krilla::color::rgb;
use krilla::destination::XyzDestination;
use krilla::geom::{Path, PathBuilder, Point};
use krilla::metadata::{DateTime, Metadata};
use krilla::num::NormalizedF32;
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, LineJoin, StrokeDash};
use krilla::surface::Surface;

pub(super) fn write(pages: Pages, data: &ReportData, clock: &Clock, face: &Face) -> Result<Vec<u8>, Error> {
    let mut document = Document::new();
    document.set_metadata(metadata(data, clock));
    let total = pages.pages.len();
    for (index, mut shapes) in pages.pages.into_iter().enumerate() {
        footer(&mut shapes, data, clock, face, index + 1, total);
        let size = PageSettings::from_wh(WIDTH, HEIGHT).ok_or_else(|| Error::Pdf("the page has no size".to_owned()))?;
        let mut page = document.start_page_with(size);
        let mut surface = page.surface();
        for shape in &shapes {
            draw(&mut surface, shape, face);
        }
        surface.finish();
        page.finish();
    }
    let mut outline = Outline::new();
    for (title, page) in pages.sections {
        outline.push_child(OutlineNode::new(
            title,
            XyzDestination::new(page, Point::from_xy(0.0, 0.0)),
        ));
    }
    document.set_outline(outline);
    document.finish().map_err(|error| Error::Pdf(format!("{error:?}")))
}

fn metadata(data: &ReportData, clock: &Clock) -> Metadata {
    let time = clock.civil(data.generated_at);
    let offset = clock.offset(data.generated_at);
    let date = DateTime::new(time.year().max(0) as u16)
        .month(time.month() as u8)
        .day(time.day() as u8)
        .hour(time.hour() as u8)
        .minute(time.minute() as u8)
        .second(time.second() as u8)
        .utc_offset_hour((offset / 3600) as i8)
        .utc_offset_minute((offset.abs() % 3600 / 60) as u8);
    Metadata::new()
        .title(format!("{} · {}", summary::title(data), clean(&data.lab)))
        .creator("EdgeDeck".to_owned())
        .language(data.lang.pick("zh-CN", "en").to_owned())
        .creation_date(date)
}

fn footer(shapes: &mut Vec<Shape>, data: &ReportData, clock: &Clock, face: &Face, page: usize, total: usize) {
    let y = HEIGHT - 22.0;
    shapes.push(rect(MARGIN, BOTTOM + 8.0, INNER, 0.5, rule()));
    let lab = face.elide(&clean(&data.lab), 8.0, INNER * 0.6);
    shapes.push(text(
        MARGIN,
        y,
        8.0,
        QUIET,
        format!("{lab} · {}", clock.minute(data.generated_at)),
    ));
    let number = format!("{page} / {total}");
    let x = MARGIN + INNER - face.width(&number, 8.0);
    shapes.push(text(x, y, 8.0, QUIET, number));
}

fn opacity(value: f32) -> NormalizedF32 {
    NormalizedF32::new(value.clamp(0.0, 1.0)).unwrap_or(NormalizedF32::ONE)
}

fn fill(paint: Paint) -> Fill {
    let Paint {
        color: Color(r, g, b),
        opacity: share,
    } = paint;
    Fill {
        paint: rgb::Color::new(r, g, b).into(),
        opacity: opacity(share),
        rule: FillRule::NonZero,
    }
}

fn stroke(stroke: &Stroke) -> krilla::paint::Stroke {
    let Color(r, g, b) = stroke.color;
    let dash = (!stroke.dash.is_empty()).then(|| StrokeDash {
        array: stroke.dash.clone(),
        offset: 0.0,
    });
    let paint = rgb::Color::new(r, g, b).into();
    krilla::paint::Stroke {
        paint,
        width: stroke.width,
        line_join: LineJoin::Round,
        dash,
        ..Default::default()
    }
}

fn draw(surface: &mut Surface, shape: &Shape, face: &Face) {
    match shape {
        Shape::Path {
            runs,
            closed,
            fill: paint,
            stroke: line,
        } => {
            if let Some(path) = path(runs, *closed) {
                surface.set_fill(paint.map(fill));
                surface.set_stroke(line.as_ref().map(stroke));
                surface.draw_path(&path);
            }
        }
        Shape::Circle {
            center,
            radius,
            fill: paint,
        } => {
            if let Some(path) = circle(*center, *radius) {
                surface.set_fill(Some(fill(*paint)));
                surface.set_stroke(None);
                surface.draw_path(&path);
            }
        }
        Shape::Text {
            x,
            y,
            size,
            bold,
            anchor,
            color,
            text,
        } => {
            let width = || face.width(text, *size);
            let x = match anchor {
                Anchor::Start => *x,
                Anchor::Middle => *x - width() / 2.0,
                Anchor::End => *x - width(),
            };
            // One weight is embedded; bold is a thin line around it.
            let outline = Stroke {
                color: *color,
                width: *size * 0.035,
                dash: vec![],
            };
            surface.set_fill(Some(fill((*color).into())));
            surface.set_stroke(bold.then(|| stroke(&outline)));
            surface.draw_glyphs(
                Point::from_xy(x, *y),
                &face.glyphs(text),
                face.font.clone(),
                text,
                *size,
                false,
            );
        }
    }
}

fn path(runs: &[Vec<(f32, f32)>], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for run in runs {
        for (at, (x, y)) in run.iter().enumerate() {
            if at == 0 {
                builder.move_to(*x, *y)
            } else {
                builder.line_to(*x, *y)
            }
        }
        if closed {
            builder.close();
        }
    }
    builder.finish()
}

/// Four curves, as usual.
fn circle((x, y): (f32, f32), r: f32) -> Option<Path> {
    let k = r * 0.552_284_8;
    let mut builder = PathBuilder::new();
    builder.move_to(x + r, y);
    builder.cubic_to(x + r, y + k, x + k, y + r, x, y + r);
    builder.cubic_to(x - k, y + r, x - r, y + k, x - r, y);
    builder.cubic_to(x - r, y - k, x - k, y - r, x, y - r);
    builder.cubic_to(x + k, y - r, x + r, y - k, x + r, y);
    builder.close();
    builder.finish()
}
