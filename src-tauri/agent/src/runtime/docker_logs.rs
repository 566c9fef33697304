//! Logs of containers. The position of a line is the nanosecond that the engine wrote beside it.

use super::page::{LogRequest, PageBuilder};
use bollard::{Docker as Client, container::LogOutput, errors::Error, query_parameters::LogsOptionsBuilder};
use edgedeck_model::{
    Time,
    api::{LogLine, LogPage},
};
use edgedeck_protocol::{LOG_LINE_MAX, cut_line};
use futures::StreamExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// After the first new line, others that come at the same moment are taken along.
const GATHER: Duration = Duration::from_millis(50);

/// Reads a page of a container's log.
pub async fn read(client: &Client, id: &str, request: LogRequest) -> Result<LogPage, Error> {
    let begun = now_nanoseconds();
    let page = collect(client, id, request, false, begun).await?;
    if !page.lines.is_empty() || request.wait == 0 {
        return Ok(page);
    }
    let after = page.next.max(1);
    let until = Instant::now() + Duration::from_millis(request.wait.into());
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let wait = u32::try_from(left).unwrap_or(0);
        let page = collect(client, id, LogRequest { after, wait, ..request }, true, begun).await?;
        if !page.lines.is_empty() || wait == 0 {
            return Ok(page);
        }
        // The log of an ended container has an end; the container may be started again.
        tokio::time::sleep_until(until.min(Instant::now() + Duration::from_secs(1))).await;
    }
}

async fn collect(client: &Client, id: &str, request: LogRequest, follow: bool, begun: u64) -> Result<LogPage, Error> {
    let since = i32::try_from(request.after / 1_000_000_000).unwrap_or(i32::MAX);
    let tail = if request.after == 0 {
        request.lines.to_string()
    } else {
        "all".to_owned()
    };
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(follow)
        .since(since)
        .tail(&tail)
        .build();
    let mut stream = client.logs(id, Some(options));
    let mut until = follow.then(|| Instant::now() + Duration::from_millis(request.wait.into()));
    let mut page = PageBuilder::new(request);
    let mut joiner = Joiner::default();
    loop {
        let next = match until {
            None => stream.next().await,
            Some(until) => match timeout_at(until, stream.next()).await {
                Ok(next) => next,
                Err(_) => break,
            },
        };
        let output = match next {
            None => break,
            Some(output) => output?,
        };
        let error = matches!(output, LogOutput::StdErr { .. });
        let Some((position, line)) = joiner.add(error, &output.into_bytes()) else {
            continue;
        };
        if position <= request.after {
            continue;
        }
        if page.is_empty() && follow {
            until = until.map(|until| until.min(Instant::now() + GATHER));
        }
        if !page.push(position, line) {
            break;
        }
    }
    // An empty log of which the last lines were asked: go on from when that was.
    Ok(page.finish(if request.after == 0 { begun } else { request.after }))
}

/// Puts lines together that the engine cut at 16 KiB.
#[derive(Debug, Default)]
struct Joiner {
    begun: Option<(u64, bool, Vec<u8>)>,
}

impl Joiner {
    fn add(&mut self, error: bool, frame: &[u8]) -> Option<(u64, LogLine)> {
        let split = frame.iter().position(|byte| *byte == b' ').unwrap_or(frame.len());
        let (stamp, rest) = frame.split_at(split);
        let position = std::str::from_utf8(stamp).ok().and_then(nanoseconds)?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        let (rest, is_whole) = match rest.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (rest, false),
        };
        let (_, _, mut bytes) =
            self.begun
                .take()
                .filter(|(_, other, _)| *other == error)
                .unwrap_or((0, error, Vec::new()));
        let room = (LOG_LINE_MAX + 8).saturating_sub(bytes.len());
        bytes.extend_from_slice(rest.get(..room).unwrap_or(rest));
        // Only a piece as long as the engine's limit has more to come; others just lack their last newline.
        if !is_whole && rest.len() >= 16 * 1024 {
            self.begun = Some((position, error, bytes));
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let at = Time(i64::try_from(position / 1_000_000).unwrap_or(i64::MAX));
        Some((position, cut_line(at, error, text.trim_end_matches('\r'))))
    }
}

fn nanoseconds(stamp: &str) -> Option<u64> {
    let at: jiff::Timestamp = stamp.parse().ok()?;
    u64::try_from(at.as_nanosecond()).ok()
}

fn now_nanoseconds() -> u64 {
    u64::try_from(crate::now().0).unwrap_or(0).saturating_mul(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_become_lines() {
        let mut joiner = Joiner::default();
        let (position, line) = joiner.add(true, b"2024-05-01T00:00:00.000000007Z hello\r\n").unwrap();
        assert_eq!(position, 1_714_521_600_000_000_007);
        assert_eq!(
            (line.at, line.error, line.text.as_str()),
            (Time(1_714_521_600_000), true, "hello")
        );
        let long = vec![b'x'; 16 * 1024];
        let stamped = |text: &[u8]| [b"2024-05-01T00:00:00Z ", text].concat();
        assert!(joiner.add(false, &stamped(&long)).is_none());
        let (_, line) = joiner.add(false, &stamped(b"tail\n")).unwrap();
        assert!(
            line.text.ends_with('…') && line.text.len() <= LOG_LINE_MAX + 3,
            "{}",
            line.text.len()
        );
        let (_, line) = joiner.add(false, &stamped(b"no newline")).unwrap();
        assert_eq!(line.text, "no newline");
        assert!(joiner.add(false, b"no stamp\n").is_none());
        assert!(joiner.add(false, b"").is_none());
    }
}
