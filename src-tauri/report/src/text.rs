//! Texts from outside, made harmless, and numbers for readers.

use edgedeck_charts::format_value;
use edgedeck_model::Lang;
use edgedeck_model::telemetry::Unit;

/// Longest text shown in one place, in characters.
const LONGEST: usize = 500;

/// `text` as one bounded line: control characters become blanks, and invisible ones that change the direction of
/// the text around them are dropped, so that a name cannot pose as another.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (at, c) in text.chars().enumerate() {
        match c {
            _ if at >= LONGEST => {
                out.push('…');
                break;
            }
            '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{00AD}' => {}
            '\u{2028}' | '\u{2029}' | '\u{00A0}' | '\u{3000}' => out.push(' '),
            '\u{FFFE}' | '\u{FFFF}' => out.push('\u{FFFD}'),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// For element content and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let text = clean(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub(crate) fn percent(value: f64) -> String {
    format_value(value, Unit::Percent)
}

pub(crate) fn celsius(value: f64) -> String {
    format_value(value, Unit::Celsius)
}

pub(crate) fn bytes(value: u64) -> String {
    format_value(value as f64, Unit::Bytes)
}

/// `3 d 4 h`, `12 min`: the two largest parts.
pub(crate) fn duration(ms: i64, lang: Lang) -> String {
    let minutes = ms.max(0) / 60_000;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    let unit = |n: i64, zh: &str, en: &str| lang.pick(format!("{n} {zh}"), format!("{n} {en}"));
    match (days, hours, minutes) {
        (0, 0, 0) => lang.pick("不到 1 分钟", "under 1 min").to_owned(),
        (0, 0, m) => unit(m, "分钟", "min"),
        (0, h, 0) => unit(h, "小时", "h"),
        (0, h, m) => format!("{} {}", unit(h, "小时", "h"), unit(m, "分", "min")),
        (d, 0, _) => unit(d, "天", "d"),
        (d, h, _) => format!("{} {}", unit(d, "天", "d"), unit(h, "小时", "h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_hide_or_turn_text() {
        assert_eq!(clean("a\u{202E}txt.exe\u{0}\n\tb"), "atxt.exe   b");
        assert_eq!(clean(&"x".repeat(1_000_000)).chars().count(), LONGEST + 1);
        assert_eq!(escape("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(-5, Lang::En), "under 1 min");
        assert_eq!(duration(90 * 60_000, Lang::Zh), "1 小时 30 分");
        assert_eq!(duration(26 * 3_600_000, Lang::En), "1 d 2 h");
    }
}
