//! Times as the dialects write them.

use edgedeck_engine::Engine;
use edgedeck_model::Time;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

const LOCAL: &str = "%Y-%m-%d %H:%M:%S";
/// [`LOCAL`] with every digit as 0.
const FORM: &[u8; 19] = b"0000-00-00 00:00:00";

/// `YYYY-MM-DD hh:mm:ss` in the lab's time zone.
pub struct LocalTimes(TimeZone);

impl LocalTimes {
    pub fn of(engine: &Engine) -> Self {
        // Settings only take zones that exist.
        Self(TimeZone::get(&engine.settings().time_zone).unwrap_or(TimeZone::UTC))
    }

    pub fn text(&self, time: Time) -> String {
        stamp(time).to_zoned(self.0.clone()).strftime(LOCAL).to_string()
    }

    /// The time that a text of this form means: the first of two where clocks are turned back, and the time after it where
    /// they are turned forward over it. `None` for every other form, and for dates that there are not.
    pub fn parse(&self, text: &str) -> Option<Time> {
        let shape = |text: &str| {
            text.bytes()
                .map(|byte| if byte.is_ascii_digit() { b'0' } else { byte })
                .eq(*FORM)
        };
        let at = DateTime::strptime(LOCAL, text).ok().filter(|_| shape(text))?;
        // A leap second is read as the one before it.
        let is_same = at.strftime(LOCAL).to_string() == text;
        let zoned = at.to_zoned(self.0.clone()).ok().filter(|_| is_same)?;
        Some(Time(zoned.timestamp().as_millisecond()))
    }
}

/// RFC 3339 in UTC, to the second.
pub fn utc(time: Time) -> String {
    stamp(time).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 3339 in UTC, to the microsecond.
pub fn micro(time: Time) -> String {
    stamp(time).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// RFC 3339 in UTC, to the nanosecond.
pub fn precise(time: Time) -> String {
    stamp(time).strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

fn stamp(time: Time) -> Timestamp {
    Timestamp::from_millisecond(time.0).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_are_read_in_one_form_only() {
        let zone = |name: &str| LocalTimes(TimeZone::get(name).unwrap());
        let shanghai = zone("Asia/Shanghai");
        assert_eq!(shanghai.parse("2022-12-27 11:29:33"), Some(Time(1_672_111_773_000)));
        for text in [
            "",
            "2022-12-27",
            "2022-12-27T11:29:33",
            "2022-12-27 11:29",
            "2022-1-7 11:29:33",
            "2022-02-30 00:00:00",
            "2022-13-01 00:00:00",
            "2022-12-27 24:00:00",
            "2022-12-27 11:60:00",
            "2016-12-31 23:59:60",
            "2022-12-27 11:29:33Z",
            " 2022-12-27 11:29:33",
            "２022-12-27 11:29:33",
            "-022-12-27 11:29:33",
        ] {
            assert_eq!(shanghai.parse(text), None, "{text}");
        }
        let berlin = zone("Europe/Berlin");
        // Turned back, and turned forward.
        assert_eq!(berlin.parse("2022-10-30 02:30:00"), Some(Time(1_667_089_800_000)));
        assert_eq!(berlin.parse("2022-03-27 02:30:00"), Some(Time(1_648_344_600_000)));
    }

    #[test]
    fn times_have_their_forms() {
        let time = Time(1_672_111_773_999);
        assert_eq!(utc(time), "2022-12-27T03:29:33Z");
        assert_eq!(micro(time), "2022-12-27T03:29:33.999000Z");
        let shanghai = LocalTimes(TimeZone::get("Asia/Shanghai").unwrap());
        assert_eq!(shanghai.text(time), "2022-12-27 11:29:33");
    }
}
