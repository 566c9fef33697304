//! What processes use, as the kernel counts it.

use anyhow::{Context, Result};
use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// USER_HZ, which is 100 on every Linux that this runs on.
const TICKS: f64 = 100.0;

/// The fields of `/proc/…/stat` from the third on: what comes before them may hold spaces.
fn stat(process: u32) -> Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let rest = stat.rsplit_once(')').context("a name in /proc/…/stat")?.1;
    Ok(rest.split_whitespace().map(ToOwned::to_owned).collect())
}

fn field(stat: &[String], number: usize) -> Result<f64> {
    let text = stat.get(number - 3).context("too few fields in /proc/…/stat")?;
    Ok(text.parse()?)
}

/// Seconds of processor that a process has used.
fn cpu_seconds(process: u32) -> Result<f64> {
    let stat = stat(process)?;
    Ok((field(&stat, 14)? + field(&stat, 15)?) / TICKS)
}

/// Percent of one core that processes use together over some time.
pub async fn share_of_a_core(processes: &[u32], over: Duration) -> Result<f64> {
    let used = || {
        processes
            .iter()
            .map(|process| cpu_seconds(*process))
            .sum::<Result<f64>>()
    };
    let (before, from) = (used()?, Instant::now());
    tokio::time::sleep(over).await;
    Ok((used()? - before) / from.elapsed().as_secs_f64() * 100.0)
}

/// The most that a process has had in memory so far, in MiB.
///
/// # Errors
/// When there is no such process.
pub fn peak(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.context("VmHWM in status")?.trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1_024.0)
}

/// Proportional set size of a process, in MiB.
pub fn pss(process: u32) -> Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))
        .context("Pss in smaps_rollup")?;
    let kib: f64 = line.split_whitespace().next().context("a number of KiB")?.parse()?;
    Ok(kib / 1_024.0)
}

/// When a process started, in milliseconds since 1970, to 10 ms.
pub fn started_at(process: u32) -> Result<f64> {
    let up = fs::read_to_string("/proc/uptime")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    let up: f64 = up
        .split_whitespace()
        .next()
        .context("a number in /proc/uptime")?
        .parse()?;
    Ok((now - up + field(&stat(process)?, 22)? / TICKS) * 1_000.0)
}

/// The name of a process.
pub fn name(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm"));
    name.unwrap_or_default().trim().to_owned()
}

/// All that a process has started, directly or not.
pub fn descendants(of: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // It may have ended meanwhile.
        if let Ok(parent) = stat(process).and_then(|stat| field(&stat, 4)) {
            parents.push((process, parent as u32));
        }
    }
    let mut found = vec![of];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, its)| *its == parent)
                .map(|(process, _)| *process),
        );
        at += 1;
    }
    found.remove(0);
    Ok(found)
}
