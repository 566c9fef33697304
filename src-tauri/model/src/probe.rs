//! Probes: how the agent finds out whether a part lives and whether it is ready.

use crate::{app::ENTRIES_MAX, problem::Problem};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// Most checks of one probe.
pub const CHECKS_MAX: usize = 3;
/// Delays, timeouts and periods of a probe, in seconds.
pub const SECONDS_MAX: u32 = 3_600;
/// Most failures in a row that a probe may wait for.
pub const FAILURES_MAX: u32 = 100;

/// What is tried again and again while a part runs. A try passes when every check passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// From the part's start to the first try: 0..=3600.
    pub initial_delay_seconds: u32,
    /// A try that takes longer has failed: 1..=3600.
    pub timeout_seconds: u32,
    /// From the begin of one try to the begin of the next: 1..=3600.
    #[serde(default = "usual_period")]
    pub period_seconds: u32,
    /// So many failures in a row count: 1..=100.
    #[serde(default = "usual_threshold")]
    pub failure_threshold: u32,
    /// At least one, at most [`CHECKS_MAX`].
    pub checks: Vec<Check>,
}

fn usual_period() -> u32 {
    10
}

fn usual_threshold() -> u32 {
    3
}

/// One question to a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Check {
    /// A command inside the container, or beside the process: passes with exit code 0.
    Exec { command: Vec<String> },
    /// Passes when a connection is taken.
    Tcp { port: u16 },
    /// A GET: passes with a status of 200..=399; redirects are not followed.
    Http {
        /// Begins with `/`; a query may follow.
        path: String,
        port: u16,
        /// Whom to ask instead of the part itself: a name or an address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Over TLS, with whatever certificate it shows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        https: bool,
    },
}

impl Probe {
    /// A probe with these checks and the usual times: at once, a second to answer, every ten seconds, three failures.
    pub fn new(checks: Vec<Check>) -> Self {
        Self {
            initial_delay_seconds: 0,
            timeout_seconds: 1,
            period_seconds: usual_period(),
            failure_threshold: usual_threshold(),
            checks,
        }
    }

    /// # Errors
    /// [`crate::Code::Invalid`]; `field` is the path of the probe.
    pub fn check(&self, field: &str) -> Result<(), Problem> {
        let at = |name: &str| format!("{field}.{name}");
        let within = |name: &str, value: u32, range: RangeInclusive<u32>| {
            if range.contains(&value) {
                return Ok(());
            }
            Err(Problem::invalid(&at(name), "number-range")
                .with("min", range.start())
                .with("max", range.end()))
        };
        within("initial_delay_seconds", self.initial_delay_seconds, 0..=SECONDS_MAX)?;
        within("timeout_seconds", self.timeout_seconds, 1..=SECONDS_MAX)?;
        within("period_seconds", self.period_seconds, 1..=SECONDS_MAX)?;
        within("failure_threshold", self.failure_threshold, 1..=FAILURES_MAX)?;
        if self.checks.is_empty() {
            return Err(Problem::invalid(&at("checks"), "required"));
        }
        if self.checks.len() > CHECKS_MAX {
            return Err(Problem::invalid(&at("checks"), "list-too-long").with("max", CHECKS_MAX));
        }
        let refused = |reason| Err(Problem::invalid(&at("checks"), reason));
        for check in &self.checks {
            match check {
                Check::Exec { command } => {
                    let is_long = |word: &String| word.len() > 4_096 || word.contains('\0');
                    if command.first().is_none_or(String::is_empty) {
                        return refused("required");
                    }
                    if command.len() > ENTRIES_MAX || command.iter().any(is_long) {
                        return refused("argument-form");
                    }
                }
                Check::Tcp { port: 0 } | Check::Http { port: 0, .. } => return refused("port-zero"),
                Check::Tcp { .. } => {}
                Check::Http { path, host, .. } => {
                    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '\\' | '"' | '<' | '>');
                    if !path.starts_with('/') || path.len() > 1_024 || !path.chars().all(plain) {
                        return refused("path-form");
                    }
                    if host.as_deref().is_some_and(|host| !is_host(host)) {
                        return refused("address-form");
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a text is the name or the address of a machine.
pub fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok() || is_host_name(text)
}

/// Whether a text is the name of a machine: labels of letters, digits and `-`, joined by dots, at most 253 characters.
pub fn is_host_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(plain) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Probe)) -> (String, String) {
        let mut probe = Probe::new(vec![Check::Tcp { port: 80 }]);
        change(&mut probe);
        probe.check("probe").err().map_or_else(Default::default, |problem| {
            (problem.fact("field").to_owned(), problem.fact("reason").to_owned())
        })
    }

    fn reason(check: Check) -> String {
        refused(|probe| probe.checks = vec![check]).1
    }

    #[test]
    fn times_and_counts_are_in_range() {
        type Set = fn(&mut Probe, u32);
        let fields: [(&str, Set, u32, u32); 4] = [
            ("initial_delay_seconds", |p, n| p.initial_delay_seconds = n, 0, 3_600),
            ("timeout_seconds", |p, n| p.timeout_seconds = n, 1, 3_600),
            ("period_seconds", |p, n| p.period_seconds = n, 1, 3_600),
            ("failure_threshold", |p, n| p.failure_threshold = n, 1, 100),
        ];
        for (name, set, min, max) in fields {
            for good in [min, max] {
                assert_eq!(refused(|probe| set(probe, good)), Default::default(), "{name} {good}");
            }
            for bad in [min.checked_sub(1), Some(max + 1), Some(u32::MAX)]
                .into_iter()
                .flatten()
            {
                let expected = (format!("probe.{name}"), "number-range".to_owned());
                assert_eq!(refused(|probe| set(probe, bad)), expected, "{bad}");
            }
        }
    }

    #[test]
    fn checks_are_some_and_not_too_many() {
        let many = |count| refused(|probe| probe.checks = vec![Check::Tcp { port: 1 }; count]).1;
        assert_eq!(
            [many(0), many(1), many(3), many(4)],
            ["required", "", "", "list-too-long"]
        );
    }

    #[test]
    fn commands_ports_paths_and_hosts_keep_their_form() {
        let exec = |count: usize, word: &str| {
            reason(Check::Exec {
                command: vec![word.to_owned(); count],
            })
        };
        assert_eq!([exec(0, ""), exec(1, "")], ["required", "required"]);
        assert_eq!(exec(ENTRIES_MAX, &"x".repeat(4_096)), "");
        for (count, word) in [(ENTRIES_MAX + 1, "x"), (1, "\0"), (1, &"x".repeat(4_097))] {
            assert_eq!(exec(count, word), "argument-form");
        }
        assert_eq!(reason(Check::Tcp { port: 0 }), "port-zero");
        let http = |path: &str, port: u16, host: Option<&str>| {
            reason(Check::Http {
                path: path.to_owned(),
                port,
                host: host.map(str::to_owned),
                https: false,
            })
        };
        assert_eq!(http("/", 0, None), "port-zero");
        for path in ["/", "/a?b=c&d=%20", &format!("/{}", "x".repeat(1_023))] {
            assert_eq!(http(path, 1, None), "", "{path:?}");
        }
        let long = format!("/{}", "x".repeat(1_024));
        for path in [
            "",
            "a",
            "http://x/",
            "/a b",
            "/a\r\nX: y",
            "/中",
            "/a#b",
            "/a\\b",
            &long,
        ] {
            assert_eq!(http(path, 1, None), "path-form", "{path:?}");
        }
        for host in ["127.0.0.1", "fd00::1", "web.lab", "a_b", &"a".repeat(63)] {
            assert_eq!(http("/", 1, Some(host)), "", "{host:?}");
        }
        let long = vec!["a".repeat(63); 4].join(".");
        for host in [
            "",
            "a b",
            "a/b",
            "user@a",
            "a:80",
            "-a",
            "a-",
            "a..b",
            "[::1]",
            &"a".repeat(64),
            &long,
        ] {
            assert_eq!(http("/", 1, Some(host)), "address-form", "{host:?}");
        }
    }

    #[test]
    fn what_is_left_out_takes_its_usual_value() {
        let text = r#"{"initial_delay_seconds":5,"timeout_seconds":2,"checks":[
            {"kind":"exec","command":["true"]},{"kind":"tcp","port":80},{"kind":"http","path":"/","port":80}]}"#;
        let probe: Probe = serde_json::from_str(text).unwrap();
        assert_eq!(
            (probe.period_seconds, probe.failure_threshold, probe.checks.len()),
            (10, 3, 3)
        );
        assert!(probe.check("probe").is_ok());
        let again: Probe = serde_json::from_str(&serde_json::to_string(&probe).unwrap()).unwrap();
        assert_eq!(again, probe);
        for missing in [
            r#"{"timeout_seconds":2,"checks":[]}"#,
            r#"{"initial_delay_seconds":2,"checks":[]}"#,
            r#"{"initial_delay_seconds":2,"timeout_seconds":1}"#,
            r#"{"initial_delay_seconds":2,"timeout_seconds":1,"checks":[{"kind":"udp","port":1}]}"#,
        ] {
            assert!(serde_json::from_str::<Probe>(missing).is_err(), "{missing}");
        }
    }
}
