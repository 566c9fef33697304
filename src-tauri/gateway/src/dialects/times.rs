//! Times as the dialects write them.

use edgedeck_engine::Engine;
use edgedeck_model::Time;
use jiff::{Timestamp, tz::TimeZone};

/// `YYYY-MM-DD hh:mm:ss` in the lab's time zone.
pub struct LocalTimes(TimeZone);

impl LocalTimes {
    pub fn of(engine: &Engine) -> Self {
        // Settings only take zones that exist.
        Self(TimeZone::get(&engine.settings().time_zone).unwrap_or(TimeZone::UTC))
    }

    pub fn text(&self, time: Time) -> String {
        stamp(time)
            .to_zoned(self.0.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string()
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
    fn times_have_their_forms() {
        let time = Time(1_672_111_773_999);
        assert_eq!(utc(time), "2022-12-27T03:29:33Z");
        assert_eq!(micro(time), "2022-12-27T03:29:33.999000Z");
        let shanghai = LocalTimes(TimeZone::get("Asia/Shanghai").unwrap());
        assert_eq!(shanghai.text(time), "2022-12-27 11:29:33");
    }
}
