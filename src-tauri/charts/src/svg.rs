//! A scene as SVG: presentation attributes only, so a page whose policy is `style-src 'self'` shows it.

use crate::scene::{Anchor, Scene, Shape};
use std::fmt::Write;

impl Scene {
    /// A complete `<svg>` element; all text in it is escaped.
    pub fn svg(&self) -> String {
        let mut out = String::with_capacity(1024 + self.shapes.len() * 96);
        let (width, height) = (number(self.width), number(self.height));
        out.push_str(r#"<svg xmlns="http://www.w3.org/2000/svg" role="img" "#);
        push(
            &mut out,
            format_args!(r#"width="{width}" height="{height}" viewBox="0 0 {width} {height}" "#),
        );
        out.push_str(r#"font-family="system-ui, 'Noto Sans', 'Noto Sans CJK SC', 'EdgeDeck CJK', sans-serif">"#);
        push(&mut out, format_args!("<title>{}</title>", escape(&self.title)));
        push(&mut out, format_args!("<desc>{}</desc>\n", escape(&self.description)));
        for shape in &self.shapes {
            write_shape(&mut out, shape);
        }
        out.push_str("</svg>\n");
        out
    }
}

fn write_shape(out: &mut String, shape: &Shape) {
    match shape {
        Shape::Path {
            runs,
            closed,
            fill,
            stroke,
        } => {
            out.push_str("<path d=\"");
            for run in runs {
                for (at, (x, y)) in run.iter().enumerate() {
                    out.push(if at == 0 { 'M' } else { 'L' });
                    push(out, format_args!("{} {}", number(*x), number(*y)));
                }
                if *closed {
                    out.push('Z');
                }
            }
            match fill {
                Some(fill) => push(out, format_args!("\" fill=\"{}\"{}", fill.color, opacity(fill.opacity))),
                None => out.push_str("\" fill=\"none\""),
            }
            if let Some(stroke) = stroke {
                push(
                    out,
                    format_args!(" stroke=\"{}\" stroke-width=\"{}\"", stroke.color, number(stroke.width)),
                );
                out.push_str(" stroke-linejoin=\"round\"");
                if !stroke.dash.is_empty() {
                    let dash: Vec<String> = stroke.dash.iter().map(|length| number(*length)).collect();
                    push(out, format_args!(" stroke-dasharray=\"{}\"", dash.join(" ")));
                }
            }
            out.push_str("/>\n");
        }
        Shape::Circle { center, radius, fill } => {
            let (x, y, radius) = (number(center.0), number(center.1), number(*radius));
            push(
                out,
                format_args!("<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"{}\"", fill.color),
            );
            push(out, format_args!("{}/>\n", opacity(fill.opacity)));
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
            let anchor = match anchor {
                Anchor::Start => "",
                Anchor::Middle => " text-anchor=\"middle\"",
                Anchor::End => " text-anchor=\"end\"",
            };
            let weight = if *bold { " font-weight=\"600\"" } else { "" };
            let (x, y, size) = (number(*x), number(*y), number(*size));
            push(
                out,
                format_args!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" fill=\"{color}\"{anchor}{weight}>"),
            );
            push(out, format_args!("{}</text>\n", escape(text)));
        }
    }
}

fn push(out: &mut String, text: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    _ = out.write_fmt(text);
}

fn opacity(value: f32) -> String {
    if value >= 1.0 {
        String::new()
    } else {
        format!(" fill-opacity=\"{}\"", number(value.max(0.0)))
    }
}

/// At most two decimals. Not finite never happens in a scene; 0 keeps the file valid should it.
fn number(value: f32) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let hundredths = (f64::from(value) * 100.0).round() as i64;
    let sign = if hundredths < 0 { "-" } else { "" };
    let (whole, rest) = (hundredths.abs() / 100, hundredths.abs() % 100);
    match rest {
        0 => format!("{sign}{whole}"),
        rest if rest % 10 == 0 => format!("{sign}{whole}.{}", rest / 10),
        rest => format!("{sign}{whole}.{rest:02}"),
    }
}

/// Escapes for element content and quoted attributes; characters that XML 1.0 forbids become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
