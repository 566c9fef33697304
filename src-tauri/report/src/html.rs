//! The report as one file for a browser: no script, nothing loaded, charts inside, and a style for printing.

use crate::local::Clock;
use crate::tables::{Cell, Table, printed};
use crate::text::escape;
use crate::{Error, ReportData, charts, summary};
use edgedeck_charts::{Tone, format_count};
use edgedeck_model::Lang;
use std::fmt::Write;

const STYLE: &str = include_str!("report.css");

/// # Errors
/// [`Error::TimeZone`].
pub fn html(data: &ReportData) -> Result<String, Error> {
    let clock = Clock::of(data)?;
    let lang = data.lang;
    let mut out = String::with_capacity(64 * 1024 + data.nodes.len() * 2048);
    let title = summary::title(data);
    let lab = escape(&data.lab);
    push(
        &mut out,
        format_args!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n",
            lang.pick("zh-CN", "en")
        ),
    );
    out.push_str(
        "<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
    );
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    );
    push(
        &mut out,
        format_args!("<title>{title} · {lab}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"),
    );
    push(
        &mut out,
        format_args!("<header>\n<p class=\"lab\">{lab}</p>\n<h1>{title}</h1>\n<dl>"),
    );
    for (label, value) in heading(data, &clock) {
        push(
            &mut out,
            format_args!("<div><dt>{label}</dt><dd>{}</dd></div>", escape(&value)),
        );
    }
    out.push_str("</dl>\n</header>\n<main>\n");
    push(
        &mut out,
        format_args!(
            "<section>\n<h2>{}</h2>\n<div class=\"lead\">",
            lang.pick("概要", "Summary")
        ),
    );
    for sentence in summary::sentences(data) {
        push(&mut out, format_args!("<p>{}</p>", escape(&sentence)));
    }
    out.push_str("</div>\n<ul class=\"figures\">");
    for figure in summary::figures(data) {
        push(
            &mut out,
            format_args!("<li><b>{}</b><span>{}</span></li>", escape(&figure.value), figure.label),
        );
    }
    out.push_str("</ul>\n<div class=\"charts\">\n");
    push(
        &mut out,
        format_args!("<figure>{}</figure>\n", charts::states(data, (520.0, 200.0)).svg()),
    );
    if data.kind.has_health() {
        push(
            &mut out,
            format_args!("<figure>{}</figure>\n", charts::severities(data, (520.0, 200.0)).svg()),
        );
    }
    for chart in charts::lines(data, &clock, (520.0, 220.0)) {
        push(&mut out, format_args!("<figure>{}</figure>\n", chart.svg()));
    }
    out.push_str("</div>\n</section>\n");
    for table in printed(data) {
        write_table(&mut out, &table, &clock, lang);
    }
    push(
        &mut out,
        format_args!(
            "</main>\n<footer>EdgeDeck · {lab} · {}</footer>\n",
            clock.minute(data.generated_at)
        ),
    );
    out.push_str("</body>\n</html>\n");
    Ok(out)
}

/// What stands under the title: period, time of making, number of nodes.
pub(crate) fn heading(data: &ReportData, clock: &Clock) -> [(&'static str, String); 3] {
    let (from, to) = data.period;
    let lang = data.lang;
    [
        (
            lang.pick("统计时段", "Period"),
            format!("{} – {}", clock.minute(from), clock.minute(to)),
        ),
        (lang.pick("生成时间", "Generated"), clock.minute(data.generated_at)),
        (
            lang.pick("时区", "Time zone"),
            format!("{} ({})", data.tz, clock.offset_text(data.generated_at)),
        ),
    ]
}

/// Says that a table is longer than what is shown.
pub(crate) fn more_rows(shown: usize, all: usize, lang: Lang) -> String {
    let (shown, all) = (format_count(shown as u64), format_count(all as u64));
    match lang {
        Lang::Zh => format!("仅列出前 {shown} 行，共 {all} 行；全部数据见 XLSX 格式的报告。"),
        Lang::En => format!("The first {shown} of {all} rows; the XLSX report has all of them."),
    }
}

pub(crate) fn no_rows(lang: Lang) -> &'static str {
    lang.pick("没有数据。", "Nothing to list.")
}

fn write_table(out: &mut String, table: &Table, clock: &Clock, lang: Lang) {
    let count = format_count(table.rows.len() as u64);
    push(
        out,
        format_args!("<section>\n<h2>{} <small>{count}</small></h2>\n", table.title),
    );
    if table.rows.is_empty() {
        push(
            out,
            format_args!("<p class=\"none\">{}</p>\n</section>\n", no_rows(lang)),
        );
        return;
    }
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for column in &table.columns {
        let class = if column.right { " class=\"n\"" } else { "" };
        push(out, format_args!("<th scope=\"col\"{class}>{}</th>", column.title));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in table.rows.iter().take(table.printed_rows) {
        out.push_str("<tr>");
        for (cell, column) in row.iter().zip(&table.columns) {
            let class = if column.right { " class=\"n\"" } else { "" };
            push(out, format_args!("<td{class}>"));
            if let Cell::State(_, tone) = cell {
                let (name, sign) = sign(*tone);
                push(out, format_args!("<span class=\"{name}\">{sign}</span> "));
            }
            push(out, format_args!("{}</td>", escape(&cell.show(clock))));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table></div>\n");
    if table.rows.len() > table.printed_rows {
        push(
            out,
            format_args!(
                "<p class=\"none\">{}</p>\n",
                more_rows(table.printed_rows, table.rows.len(), lang)
            ),
        );
    }
    out.push_str("</section>\n");
}

/// Class and sign of a tone.
fn sign(tone: Tone) -> (&'static str, char) {
    match tone {
        Tone::Good => ("good", '●'),
        Tone::Neutral => ("neutral", '■'),
        Tone::Warning => ("warning", '▲'),
        Tone::Bad => ("bad", '◆'),
        Tone::Notice => ("notice", '✚'),
        Tone::Muted => ("muted", '○'),
    }
}

fn push(out: &mut String, text: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_charts::Theme;

    /// The style names the same colours as the charts.
    #[test]
    fn the_style_has_the_charts_colours() {
        for tone in [
            Tone::Good,
            Tone::Neutral,
            Tone::Warning,
            Tone::Bad,
            Tone::Notice,
            Tone::Muted,
        ] {
            let rule = format!(".{} {{ color: {}; }}", sign(tone).0, Theme::Light.tone(tone));
            assert!(STYLE.contains(&rule), "report.css lacks {rule:?}");
        }
    }
}
