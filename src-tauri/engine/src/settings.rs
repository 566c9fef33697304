//! Settings of the lab.

use crate::{
    Actor, Engine,
    error::Result,
    store::{Effect, Store},
};
use edgedeck_model::{Code, Problem, api::Settings, name};
use rusqlite::OptionalExtension;
use std::sync::Arc;

pub fn load(store: &Store) -> Result<Settings> {
    let stored: Option<String> = store.read(|connection| {
        Ok(connection
            .query_row("SELECT value FROM setting WHERE key = 'lab'", [], |row| row.get(0))
            .optional()?)
    })?;
    match stored {
        Some(json) => Ok(serde_json::from_str(&json)?),
        None => Ok(Settings {
            time_zone: host_time_zone(),
            ..Settings::default()
        }),
    }
}

fn host_time_zone() -> String {
    jiff::tz::TimeZone::system().iana_name().unwrap_or("UTC").to_owned()
}

fn check(settings: &Settings) -> std::result::Result<(), Problem> {
    name::check_name("lab", &settings.lab)?;
    if jiff::tz::TimeZone::get(&settings.time_zone).is_err() {
        return Err(Problem::invalid("time_zone", "time-zone"));
    }
    let (limits, thresholds) = (&settings.limits, &settings.thresholds);
    let percent = |value: f32| (1.0..=100.0).contains(&value);
    let celsius = |value: f32| (1.0..=150.0).contains(&value);
    let checks = [
        ("limits.reserve_cpu_millis", limits.reserve_cpu_millis <= 1_000_000),
        ("limits.reserve_memory_bytes", limits.reserve_memory_bytes <= 1 << 50),
        (
            "limits.deployments_per_node",
            (1..=10_000).contains(&limits.deployments_per_node),
        ),
        ("thresholds.disk_raise", percent(thresholds.disk_raise)),
        (
            "thresholds.disk_clear",
            percent(thresholds.disk_clear) && thresholds.disk_clear <= thresholds.disk_raise,
        ),
        ("thresholds.npu_raise", celsius(thresholds.npu_raise)),
        (
            "thresholds.npu_clear",
            celsius(thresholds.npu_clear) && thresholds.npu_clear <= thresholds.npu_raise,
        ),
        (
            "thresholds.certificate_days",
            (1..=365).contains(&thresholds.certificate_days),
        ),
        (
            "software.trial_seconds",
            (10..=3_600).contains(&settings.software.trial_seconds),
        ),
        ("mef.calls_per_second", settings.mef.calls_per_second <= 100_000),
        ("mef.burst", settings.mef.burst <= 100_000),
        ("mef.at_once", (1..=10_000).contains(&settings.mef.at_once)),
        ("mef.body_kib", (64..=65_536).contains(&settings.mef.body_kib)),
        ("thresholds.restarts", (1..=100).contains(&thresholds.restarts)),
        (
            "addresses",
            settings.addresses.len() <= 16 && settings.addresses.iter().all(|host| is_host(host)),
        ),
    ];
    match checks.iter().find(|(_, good)| !good) {
        Some((field, _)) => Err(Problem::invalid(field, "number-range")),
        None => Ok(()),
    }
}

/// A DNS name or an IP address, without a port.
fn is_host(text: &str) -> bool {
    let label = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    text.parse::<std::net::IpAddr>().is_ok() || (!text.is_empty() && text.len() <= 253 && text.chars().all(label))
}

impl Engine {
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    pub(crate) fn reload_settings(&self) {
        match load(&self.store) {
            Ok(settings) => *self.settings.write() = Arc::new(settings),
            Err(error) => tracing::error!(%error, "reading the settings again"),
        }
    }

    /// # Errors
    /// [`Code::Invalid`] naming the field, [`Code::Changed`] when somebody else changed them since `rev` was read.
    pub async fn update_settings(&self, actor: &Actor, settings: Settings) -> std::result::Result<Settings, Problem> {
        check(&settings)?;
        let actor = actor.clone();
        let stored = self.store.write(move |tx| {
            let present: Option<u64> = tx
                .query_row(
                    "SELECT coalesce(value ->> '$.rev', 0) FROM setting WHERE key = 'lab'",
                    [],
                    |row| row.get(0),
                )
                .optional()?;
            if present.unwrap_or(0) != settings.rev {
                return Err(Problem::new(Code::Changed).into());
            }
            let stored = Settings {
                rev: tx.next_rev(),
                ..settings
            };
            tx.execute(
                "INSERT OR REPLACE INTO setting (key, value) VALUES ('lab', ?1)",
                [serde_json::to_string(&stored)?],
            )?;
            tx.after_commit(Effect::Settings);
            tx.audit(&actor, "settings.update", "lab")?;
            Ok(stored)
        });
        let stored = stored.await?;
        *self.settings.write() = Arc::new(stored.clone());
        self.renew_server().await;
        self.registry_moved().await?;
        Ok(stored)
    }
}
