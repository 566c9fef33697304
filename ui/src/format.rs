//! Dates, numbers and units in the user's language and the lab's time zone.

use crate::{i18n::lang, state::ui, texts};
use edgedeck_model::{
    Lang, Time,
    telemetry::Unit,
    time::{DAY, HOUR, MINUTE, SECOND},
};
use js_sys::{Array, Intl, Object, Reflect};
use leptos::prelude::*;
use std::{cell::RefCell, collections::HashMap};
use wasm_bindgen::JsValue;

texts! {
    NEVER: "从未", "never";
    JUST_NOW: "刚刚", "just now";
    MINUTES_AGO: "{n} 分钟前", "{n} min ago";
    HOURS_AGO: "{n} 小时前", "{n} h ago";
    DAYS_AGO: "{n} 天前", "{n} {n|day|days} ago";
    IN_MINUTES: "{n} 分钟后", "in {n} min";
    IN_HOURS: "{n} 小时后", "in {n} h";
    IN_DAYS: "{n} 天后", "in {n} {n|day|days}";
    SECONDS: "{n} 秒", "{n} s";
    MINUTES: "{n} 分钟", "{n} min";
    HOURS: "{n} 小时", "{n} h";
    DAYS: "{n} 天", "{n} {n|day|days}";
}

/// Shown where a box does not tell.
pub const NOTHING: &str = "–";

type Formats = HashMap<(Lang, String, &'static str), Intl::DateTimeFormat>;

thread_local! {
    // Making one takes about a millisecond; using it, microseconds.
    static DATES: RefCell<Formats> = RefCell::new(HashMap::new());
    static NUMBERS: RefCell<HashMap<(Lang, u32), Intl::NumberFormat>> = RefCell::new(HashMap::new());
}

fn locale(lang: Lang) -> Array {
    Array::of1(&JsValue::from_str(lang.pick("zh-CN", "en-GB")))
}

fn options(pairs: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (key, value) in pairs {
        // Setting a property of a plain object cannot fail.
        _ = Reflect::set(&object, &JsValue::from_str(key), value);
    }
    object
}

/// The lab's time zone, or the browser's until it is known; tracked.
fn zone() -> String {
    ui().me
        .with(|me| me.as_ref().map(|me| me.time_zone.clone()))
        .unwrap_or_default()
}

fn date(time: Time, kind: &'static str, fields: &[&str]) -> String {
    let (lang, zone) = (lang(), zone());
    DATES.with_borrow_mut(|made| {
        let format = made.entry((lang, zone.clone(), kind)).or_insert_with(|| {
            let mut chosen: Vec<(&str, JsValue)> = fields.iter().map(|field| (*field, "2-digit".into())).collect();
            for (field, value) in &mut chosen {
                if *field == "year" {
                    *value = "numeric".into();
                }
            }
            chosen.push(("hourCycle", "h23".into()));
            if is_known_zone(&zone) {
                chosen.push(("timeZone", JsValue::from_str(&zone)));
            }
            Intl::DateTimeFormat::new(&locale(lang), &options(&chosen))
        });
        let at = js_sys::Date::new(&JsValue::from_f64(time.0 as f64));
        let text = format
            .format()
            .call1(&JsValue::UNDEFINED, &at)
            .ok()
            .and_then(|text| text.as_string());
        text.unwrap_or_else(|| time.0.to_string())
    })
}

/// Whether the browser knows a zone: one it does not know would throw, and lists differ from system to system.
fn is_known_zone(zone: &str) -> bool {
    if zone.is_empty() {
        return false;
    }
    let intl = Reflect::get(&js_sys::global(), &JsValue::from_str("Intl"));
    let maker = intl.and_then(|intl| Reflect::get(&intl, &JsValue::from_str("DateTimeFormat")));
    let Ok(maker) = maker.map(js_sys::Function::from) else {
        return false;
    };
    let arguments = Array::of2(
        &JsValue::from_str("en"),
        &options(&[("timeZone", JsValue::from_str(zone))]),
    );
    Reflect::construct(&maker, &arguments).is_ok()
}

/// Date and time to the second.
pub fn moment(time: Time) -> String {
    date(time, "moment", &["year", "month", "day", "hour", "minute", "second"])
}

/// Date and time to the minute.
pub fn minute(time: Time) -> String {
    date(time, "minute", &["year", "month", "day", "hour", "minute"])
}

pub fn day(time: Time) -> String {
    date(time, "day", &["year", "month", "day"])
}

/// Time of day to the second.
pub fn clock(time: Time) -> String {
    date(time, "clock", &["hour", "minute", "second"])
}

/// How far a time lies from now: "3 min ago", "in 2 days". Moves with the clock.
pub fn ago(time: Time) -> String {
    let passed = ui().clock.get() - time.0;
    let (size, past) = (passed.abs(), passed >= 0);
    let texts = if past {
        [MINUTES_AGO, HOURS_AGO, DAYS_AGO]
    } else {
        [IN_MINUTES, IN_HOURS, IN_DAYS]
    };
    let [minutes, hours, days] = texts;
    match size {
        _ if past && size < MINUTE => JUST_NOW.get().to_owned(),
        _ if size < HOUR => minutes.with(&[("n", &(size / MINUTE).max(1))]),
        _ if size < DAY => hours.with(&[("n", &(size / HOUR))]),
        _ => days.with(&[("n", &(size / DAY))]),
    }
}

/// [`ago`], or "never".
pub fn ago_or_never(time: Option<Time>) -> String {
    time.map_or_else(|| NEVER.get().to_owned(), ago)
}

/// A length of time in its largest unit.
pub fn duration(ms: i64) -> String {
    match ms.max(0) {
        ms @ ..MINUTE => SECONDS.with(&[("n", &(ms / SECOND))]),
        ms @ ..HOUR => MINUTES.with(&[("n", &(ms / MINUTE))]),
        ms @ ..DAY => HOURS.with(&[("n", &(ms / HOUR))]),
        ms => DAYS.with(&[("n", &(ms / DAY))]),
    }
}

/// How long something has lasted; moves with the clock.
pub fn duration_since(begin: Time) -> String {
    duration(ui().clock.get() - begin.0)
}

/// A number with at most `decimals` decimals and grouped digits.
pub fn number(value: f64, decimals: u32) -> String {
    let lang = lang();
    NUMBERS.with_borrow_mut(|made| {
        let format = made.entry((lang, decimals)).or_insert_with(|| {
            Intl::NumberFormat::new(&locale(lang), &options(&[("maximumFractionDigits", decimals.into())]))
        });
        let text = format
            .format()
            .call1(&JsValue::UNDEFINED, &JsValue::from_f64(value))
            .ok();
        text.and_then(|text| text.as_string())
            .unwrap_or_else(|| value.to_string())
    })
}

pub fn count(value: usize) -> String {
    number(value as f64, 0)
}

/// Bytes in the unit that suits them: KiB, MiB, GiB.
pub fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = value as f64;
    let mut chosen = "B";
    for unit in units {
        chosen = unit;
        if size < 1_024.0 {
            break;
        }
        if unit != "PiB" {
            size /= 1_024.0;
        }
    }
    format!("{} {chosen}", number(size, u32::from(size < 100.0 && chosen != "B")))
}

/// Bits a second in the unit that suits them, by thousands.
pub fn bit_rate(value: f64) -> String {
    let (factor, unit) = match value {
        value if value >= 1e9 => (1e9, "Gbit/s"),
        value if value >= 1e6 => (1e6, "Mbit/s"),
        value if value >= 1e3 => (1e3, "kbit/s"),
        _ => (1.0, "bit/s"),
    };
    format!("{} {unit}", number(value / factor, u32::from(factor > 1.0) * 2))
}

pub fn percent(value: Option<f32>) -> String {
    value.map_or_else(
        || NOTHING.to_owned(),
        |value| format!("{}%", number(f64::from(value), 0)),
    )
}

/// A measured value with its unit.
pub fn measured(value: Option<f64>, unit: Unit) -> String {
    let Some(value) = value else { return NOTHING.to_owned() };
    match unit {
        Unit::Percent => format!("{}%", number(value, 1)),
        Unit::Celsius => format!("{} °C", number(value, 1)),
        Unit::Watt => format!("{} W", number(value, 1)),
        Unit::Bytes => bytes(value.max(0.0) as u64),
        Unit::BytesPerSecond => format!("{}/s", bytes(value.max(0.0) as u64)),
        Unit::BitsPerSecond => bit_rate(value),
        Unit::Plain => number(value, 2),
    }
}

/// Seconds east of UTC in the lab's zone at a time.
pub fn zone_offset(time: Time) -> i32 {
    let zone = zone();
    let mut chosen = vec![("timeZoneName", JsValue::from_str("longOffset"))];
    if is_known_zone(&zone) {
        chosen.push(("timeZone", JsValue::from_str(&zone)));
    }
    let format = Intl::DateTimeFormat::new(&Array::of1(&"en-US".into()), &options(&chosen));
    let at = js_sys::Date::new(&JsValue::from_f64(time.0 as f64));
    let text = format
        .format()
        .call1(&JsValue::UNDEFINED, &at)
        .ok()
        .and_then(|text| text.as_string());
    text.map_or(0, |text| offset_of(&text))
}

/// The seconds in `…, GMT+08:00`; none for `GMT` alone.
fn offset_of(text: &str) -> i32 {
    let Some((_, offset)) = text.rsplit_once("GMT") else {
        return 0;
    };
    let negative = offset.starts_with(['-', '−']);
    let mut parts = offset
        .trim_start_matches(['+', '-', '−'])
        .split(':')
        .map(|part| part.parse::<i32>().unwrap_or(0));
    let seconds = parts.next().unwrap_or(0) * 3_600 + parts.next().unwrap_or(0) * 60;
    if negative { -seconds } else { seconds }
}

#[cfg(test)]
mod offsets {
    use super::*;

    #[test]
    fn are_read_from_the_browsers_words() {
        for (text, seconds) in [
            ("11/21/2026, GMT+08:00", 28_800),
            ("11/21/2026, GMT-03:30", -12_600),
            ("11/21/2026, GMT", 0),
            ("nonsense", 0),
        ] {
            assert_eq!(offset_of(text), seconds, "{text}");
        }
    }
}
