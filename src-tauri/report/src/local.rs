//! Times as the lab's clock shows them.

use crate::{Error, ReportData};
use edgedeck_model::Time;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

pub(crate) struct Clock {
    zone: TimeZone,
}

impl Clock {
    /// # Errors
    /// [`Error::TimeZone`] for a zone that the database does not have.
    pub fn of(data: &ReportData) -> Result<Self, Error> {
        let zone = TimeZone::get(&data.tz).map_err(|source| Error::TimeZone {
            name: data.tz.clone(),
            source,
        })?;
        Ok(Self { zone })
    }

    fn zoned(&self, time: Time) -> Zoned {
        // Times beyond the years 1 to 9999 exist only in a broken database: they are shown as the nearest end.
        let end = if time.0 < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::from_millisecond(time.0)
            .unwrap_or(end)
            .to_zoned(self.zone.clone())
    }

    pub fn civil(&self, time: Time) -> DateTime {
        self.zoned(time).datetime()
    }

    /// `2026-11-21 14:05`.
    pub fn minute(&self, time: Time) -> String {
        self.zoned(time).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// `2026-11-21T14:05:09+08:00`.
    pub fn iso(&self, time: Time) -> String {
        self.zoned(time).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// Seconds east of UTC at `time`.
    pub fn offset(&self, time: Time) -> i32 {
        self.zoned(time).offset().seconds()
    }

    /// `UTC+8`, `UTC+5:30`.
    pub fn offset_text(&self, time: Time) -> String {
        let seconds = self.offset(time);
        let sign = if seconds < 0 { '−' } else { '+' };
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() % 3600 / 60);
        if minutes == 0 {
            format!("UTC{sign}{hours}")
        } else {
            format!("UTC{sign}{hours}:{minutes:02}")
        }
    }
}
