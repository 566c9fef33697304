//! Ticks of a time axis where a calendar has them: full minutes, hours, midnights, Mondays, firsts of a month.
//!
//! Without jiff's spans and formats: they would bring far more code into the page than these few need.

use edgedeck_model::Lang;
use edgedeck_model::time::{DAY, HOUR, MINUTE, SECOND};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::Offset;

/// A place on a time axis. `label` may have a second line with the date.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TimeTick {
    pub at: i64,
    pub label: String,
}

/// Steps shorter than a day: each divides a day, so they start at midnight.
const SHORT: [i64; 16] = [
    SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
];

/// Longer steps. Days are counted from the first of each month.
#[derive(Clone, Copy)]
enum Long {
    Days(i8),
    Weeks,
    Months(i8),
    Years(i16),
}

const LONG: [(i64, Long); 11] = [
    (DAY, Long::Days(1)),
    (2 * DAY, Long::Days(2)),
    (5 * DAY, Long::Days(5)),
    (7 * DAY, Long::Weeks),
    (10 * DAY, Long::Days(10)),
    (31 * DAY, Long::Months(1)),
    (92 * DAY, Long::Months(3)),
    (184 * DAY, Long::Months(6)),
    (366 * DAY, Long::Years(1)),
    (5 * 366 * DAY, Long::Years(5)),
    (20 * 366 * DAY, Long::Years(20)),
];

/// At most about `most` ticks within `from..=to`, by the civil time at `offset_s` seconds east of UTC.
pub(crate) fn time_ticks(from: i64, to: i64, most: usize, offset_s: i32, lang: Lang) -> Vec<TimeTick> {
    let least = (to.saturating_sub(from)) / most.max(1) as i64;
    let offset = Offset::from_seconds(offset_s).unwrap_or(Offset::UTC);
    match SHORT.into_iter().find(|step| *step >= least) {
        Some(step) => short_ticks(from, to, step, offset, lang),
        None => long_ticks(from, to, least, offset, lang),
    }
}

fn civil(ms: i64, offset: Offset) -> Option<DateTime> {
    Timestamp::from_millisecond(ms)
        .ok()
        .map(|time| offset.to_datetime(time))
}

fn short_ticks(from: i64, to: i64, step: i64, offset: Offset, lang: Lang) -> Vec<TimeTick> {
    // Beyond the calendar there are no ticks; within it the sums below cannot overflow.
    if civil(from, offset).is_none() || civil(to, offset).is_none() {
        return vec![];
    }
    let shift = i64::from(offset.seconds()) * SECOND;
    let mut ticks = vec![];
    let mut at = (from + shift).div_euclid(step) * step - shift;
    while at <= to && ticks.len() < 100 {
        if at >= from
            && let Some(time) = civil(at, offset)
        {
            let mut clock = clock(time);
            if step < MINUTE {
                clock += &format!(":{:02}", time.second());
            }
            let midnight = (at + shift).rem_euclid(DAY) == 0;
            let label = if ticks.is_empty() || midnight {
                format!("{clock}\n{}", day(time.date(), lang))
            } else {
                clock
            };
            ticks.push(TimeTick { at, label });
        }
        at += step;
    }
    ticks
}

fn long_ticks(from: i64, to: i64, least: i64, offset: Offset, lang: Lang) -> Vec<TimeTick> {
    let (_, step) = LONG
        .into_iter()
        .find(|(length, _)| *length >= least)
        .unwrap_or((0, Long::Years(20)));
    let (Some(first), Some(last)) = (civil(from, offset), civil(to, offset)) else {
        return vec![];
    };
    let mut date = step.start(first.date());
    let mut ticks: Vec<TimeTick> = vec![];
    let mut year = None;
    while date <= last.date() && ticks.len() < 100 {
        let at = offset.to_timestamp(date.to_datetime(jiff::civil::Time::midnight()));
        if let Ok(at) = at.map(|time| time.as_millisecond())
            && (from..=to).contains(&at)
        {
            let text = step.label(date, lang);
            let new_year = year.replace(date.year()) != Some(date.year());
            let label = if new_year && !matches!(step, Long::Years(_)) {
                format!("{text}\n{}", year_text(date, lang))
            } else {
                text
            };
            ticks.push(TimeTick { at, label });
        }
        match step.next(date) {
            Some(next) => date = next,
            None => break,
        }
    }
    ticks
}

impl Long {
    fn start(self, date: Date) -> Date {
        match self {
            Self::Days(_) => date.first_of_month(),
            Self::Weeks => date.nth_weekday(-1, Weekday::Monday).unwrap_or(date),
            Self::Months(_) | Self::Years(1) => date.first_of_year(),
            Self::Years(years) => Date::new(date.year() - date.year().rem_euclid(years), 1, 1).unwrap_or(date),
        }
    }

    fn next(self, date: Date) -> Option<Date> {
        match self {
            Self::Days(days) => {
                let next = days_after(date, days)?;
                // Close to the end of a month there is room for the first of the next only.
                let room = next.days_in_month() - next.day() + 1;
                let restart = next.month() != date.month() || days > 1 && room * 2 <= days;
                if restart {
                    date.last_of_month().tomorrow().ok()
                } else {
                    Some(next)
                }
            }
            Self::Weeks => days_after(date, 7),
            Self::Months(months) => {
                let month = date.month() - 1 + months;
                Date::new(date.year() + i16::from(month / 12), month % 12 + 1, 1).ok()
            }
            Self::Years(years) => Date::new(date.year() + years, 1, 1).ok(),
        }
    }

    fn label(self, date: Date, lang: Lang) -> String {
        match (self, lang) {
            (Self::Days(_) | Self::Weeks, _) => day(date, lang),
            (Self::Months(_), Lang::Zh) => format!("{}月", date.month()),
            (Self::Months(_), Lang::En) => month_name(date).to_owned(),
            (Self::Years(_), _) => year_text(date, lang),
        }
    }
}

fn clock(time: DateTime) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

fn days_after(date: Date, days: i8) -> Option<Date> {
    (0..days).try_fold(date, |date, _| date.tomorrow().ok())
}

fn month_name(date: Date) -> &'static str {
    const NAMES: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    NAMES
        .get(date.month().unsigned_abs() as usize - 1)
        .copied()
        .unwrap_or_default()
}

fn year_text(date: Date, lang: Lang) -> String {
    match lang {
        Lang::Zh => format!("{}年", date.year()),
        Lang::En => date.year().to_string(),
    }
}

/// `11月21日` or `21 Nov`.
fn day(date: Date, lang: Lang) -> String {
    match lang {
        Lang::Zh => format!("{}月{}日", date.month(), date.day()),
        Lang::En => format!("{} {}", date.day(), month_name(date)),
    }
}

/// A point in time for a description, to the minute.
pub(crate) fn moment(ms: i64, offset_s: i32) -> String {
    let offset = Offset::from_seconds(offset_s).unwrap_or(Offset::UTC);
    let Some(time) = civil(ms, offset) else {
        return String::new();
    };
    let (year, month, day) = (time.year(), time.month(), time.day());
    format!("{year:04}-{month:02}-{day:02} {}", clock(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21T00:00:00+08:00
    const MIDNIGHT: i64 = 1_795_190_400_000;
    const SHANGHAI: i32 = 8 * 3600;

    fn labels(from: i64, to: i64, most: usize, lang: Lang) -> Vec<String> {
        time_ticks(from, to, most, SHANGHAI, lang)
            .into_iter()
            .map(|tick| tick.label)
            .collect()
    }

    #[test]
    fn hours_start_at_the_labs_midnight() {
        let labels = labels(MIDNIGHT, MIDNIGHT + DAY, 5, Lang::Zh);
        assert_eq!(
            labels,
            ["00:00\n11月21日", "06:00", "12:00", "18:00", "00:00\n11月22日"]
        );
    }

    #[test]
    fn minutes_are_full_ones() {
        let from = MIDNIGHT + 61_234;
        assert_eq!(
            labels(from, from + 20 * MINUTE, 5, Lang::En),
            ["00:05\n21 Nov", "00:10", "00:15", "00:20"]
        );
    }

    #[test]
    fn days_restart_with_the_month() {
        let labels = labels(MIDNIGHT, MIDNIGHT + 16 * DAY, 9, Lang::En);
        assert_eq!(
            labels,
            [
                "21 Nov\n2026",
                "23 Nov",
                "25 Nov",
                "27 Nov",
                "29 Nov",
                "1 Dec",
                "3 Dec",
                "5 Dec",
                "7 Dec"
            ]
        );
    }

    #[test]
    fn weeks_are_mondays_and_months_are_firsts() {
        let weeks = time_ticks(MIDNIGHT, MIDNIGHT + 35 * DAY, 6, SHANGHAI, Lang::Zh);
        let monday = |tick: &TimeTick| {
            civil(tick.at, Offset::from_seconds(SHANGHAI).unwrap())
                .unwrap()
                .weekday()
        };
        assert!(
            weeks.len() >= 5 && weeks.iter().all(|tick| monday(tick) == Weekday::Monday),
            "{weeks:?}"
        );
        let months = labels(MIDNIGHT, MIDNIGHT + 100 * DAY, 5, Lang::Zh);
        assert_eq!(months, ["12月\n2026年", "1月\n2027年", "2月", "3月"]);
    }

    #[test]
    fn a_month_on_a_small_chart_has_several_ticks() {
        let labels = labels(MIDNIGHT - 30 * DAY, MIDNIGHT, 4, Lang::Zh);
        assert_eq!(labels, ["11月1日\n2026年", "11月11日", "11月21日"]);
    }

    #[test]
    fn never_more_than_asked_nor_endless() {
        for days in [0, 1, 10, 400, 4_000, 40_000_000_000] {
            let count = time_ticks(MIDNIGHT, MIDNIGHT.saturating_add(days * DAY), 8, SHANGHAI, Lang::En).len();
            assert!(count <= 17, "{count} ticks for {days} days");
        }
        for (from, to) in [
            (i64::MIN, i64::MAX),
            (i64::MAX - 10, i64::MAX),
            (i64::MIN, i64::MIN + 10),
            (0, i64::MAX),
        ] {
            assert_eq!(time_ticks(from, to, 8, i32::MAX, Lang::En), []);
        }
    }
}
