//! Trying a probe once.

use super::Runtime;
use crate::{
    join,
    reconcile::{Outcome, Trial},
};
use edgedeck_model::{name, probe::Check};
use reqwest::Client;
use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{net::TcpStream, time::timeout};

/// Of a page, this much is read, in bytes, so that a small one is not cut off while it is being sent.
const PAGE_MAX: usize = 10 * 1024;
/// Of what a command prints, this much is kept, in bytes.
pub const OUTPUT_MAX: usize = 4 * 1024;

/// What asks over HTTP; made when the first probe needs it.
#[derive(Clone, Default)]
pub struct Web(Arc<OnceLock<Result<Client, String>>>);

impl Web {
    fn client(&self) -> Result<&Client, &String> {
        // A probe asks whether a server answers, not who it is: certificates of services on boxes are mostly their own
        // or made for another name, and the agent sends nothing that is worth hiding. Kubernetes does the same. What
        // redirects answers; where to is not asked, because that may be another service.
        let made = self.0.get_or_init(|| {
            join::untrusting_client()
                .and_then(|builder| {
                    builder
                        .pool_max_idle_per_host(0)
                        .build()
                        .map_err(join::JoinError::Client)
                })
                .map_err(|error| crate::chain(&error))
        });
        made.as_ref()
    }
}

/// Tries a probe: all its checks at once, each within the probe's time.
pub async fn attempt(runtime: &impl Runtime, web: &Web, trial: &Trial) -> Outcome {
    let Some(probe) = trial.purpose.probe(&trial.part) else {
        return Outcome::Unknown;
    };
    let patience = Duration::from_secs(probe.timeout_seconds.into());
    let checks = probe.checks.iter().map(async |check| match check {
        // It also ends what it began.
        Check::Exec { command } => runtime.exec(trial, command, patience).await,
        Check::Tcp { .. } | Check::Http { .. } => match timeout(patience, ask(runtime, web, trial, check)).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Failed(format!("{}: {}", words(check), too_late(patience))),
        },
    });
    let outcomes = futures::future::join_all(checks).await;
    let worst = outcomes.into_iter().max_by_key(|outcome| match outcome {
        Outcome::Passed => 0,
        Outcome::Unknown => 1,
        Outcome::Failed(_) => 2,
    });
    worst.unwrap_or(Outcome::Unknown)
}

pub fn too_late(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs())
}

/// What is said of a command that ended with this code, if that is a failure.
pub fn judge(command: &[String], exit_code: i64, printed: &[u8]) -> Outcome {
    if exit_code == 0 {
        return Outcome::Passed;
    }
    let printed = String::from_utf8_lossy(printed);
    let line = printed
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let program = command.first().map_or("", String::as_str);
    let ended = format!("{}: exit code {exit_code}", name::tame(program, 200));
    Outcome::Failed(if line.is_empty() {
        ended
    } else {
        format!("{ended}: {}", name::tame(line, 200))
    })
}

/// What a check asks, for people.
fn words(check: &Check) -> String {
    match check {
        Check::Exec { command } => command.first().cloned().unwrap_or_default(),
        Check::Tcp { port } => format!("TCP {port}"),
        Check::Http { path, port, https, .. } => {
            let scheme = if *https { "https" } else { "http" };
            format!("GET {scheme} {port} {}", name::tame(path, 200))
        }
    }
}

async fn ask(runtime: &impl Runtime, web: &Web, trial: &Trial, check: &Check) -> Outcome {
    let failed = |why: String| Outcome::Failed(format!("{}: {why}", words(check)));
    let own = async || match runtime.address(&trial.key, &trial.part).await {
        Ok(Some(address)) => Ok(address),
        Ok(None) => Err(failed("it has no address".to_owned())),
        // Whoever runs the part does not answer: that says nothing of the part.
        Err(_) => Err(Outcome::Unknown),
    };
    match check {
        Check::Exec { .. } => Outcome::Unknown,
        Check::Tcp { port } => match own().await {
            Ok(address) => match TcpStream::connect((address, *port)).await {
                Ok(_) => Outcome::Passed,
                Err(error) => failed(error.to_string()),
            },
            Err(outcome) => outcome,
        },
        Check::Http {
            path,
            port,
            host,
            https,
        } => {
            let host = match host {
                Some(host) => host.clone(),
                None => match own().await {
                    Ok(address) => address.to_string(),
                    Err(outcome) => return outcome,
                },
            };
            let address = url(*https, &host, *port, path);
            match get(web, &address).await {
                Ok(status) if (200..400).contains(&status) => Outcome::Passed,
                Ok(status) => failed(format!("status {status}")),
                Err(why) => failed(why),
            }
        }
    }
}

fn url(https: bool, host: &str, port: u16, path: &str) -> String {
    let scheme = if https { "https" } else { "http" };
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) => format!("{scheme}://[{address}]:{port}{path}"),
        _ => format!("{scheme}://{host}:{port}{path}"),
    }
}

/// The status that a page is answered with.
async fn get(web: &Web, address: &str) -> Result<u16, String> {
    let client = web.client().map_err(Clone::clone)?;
    let request = client.get(address).header("User-Agent", "edgedeck-probe");
    let mut response = request
        .send()
        .await
        .map_err(|error| crate::chain(&error.without_url()))?;
    let mut read = 0;
    while read < PAGE_MAX {
        // The status counts; a page that breaks off is the server's own affair.
        let Ok(Some(chunk)) = response.chunk().await else { break };
        read += chunk.len();
    }
    Ok(response.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_urls_want_them() {
        assert_eq!(url(false, "10.0.0.1", 80, "/a?b"), "http://10.0.0.1:80/a?b");
        assert_eq!(url(true, "fd00::1", 443, "/"), "https://[fd00::1]:443/");
        assert_eq!(url(false, "web.lab", 8080, "/"), "http://web.lab:8080/");
    }

    #[test]
    fn a_command_says_why_it_failed_and_no_more() {
        let command = ["/bin/check".to_owned()];
        let said = |code, printed: &str| judge(&command, code, printed.as_bytes());
        assert_eq!(said(0, "anything"), Outcome::Passed);
        assert_eq!(said(3, ""), Outcome::Failed("/bin/check: exit code 3".to_owned()));
        assert_eq!(
            said(1, "\n  no\u{1b}[0m disk \nmore"),
            Outcome::Failed("/bin/check: exit code 1: no[0m disk".to_owned())
        );
        let Outcome::Failed(words) = said(1, &"x".repeat(9_000)) else {
            panic!("it failed")
        };
        assert!(words.len() < 300, "{words}");
    }
}
