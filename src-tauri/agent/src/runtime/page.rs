//! A page of a log: at most so many lines, and small enough for one frame.

use edgedeck_model::api::{LogLine, LogPage};
use edgedeck_protocol::LOG_LINES_MAX;
use std::collections::VecDeque;

/// Most bytes of text in one page: what is left of a frame is for the rest of each line.
const PAGE_BYTES: usize = 3 * 1024 * 1024;

/// Which lines are asked for.
#[derive(Clone, Copy, Debug)]
pub struct LogRequest {
    /// The position after which to begin; 0 for the last lines.
    pub after: u64,
    pub lines: usize,
    /// Milliseconds to wait for the first line.
    pub wait: u32,
}

impl LogRequest {
    /// Within the limits that either side keeps.
    pub fn new(after: u64, lines: u32, wait: u32) -> Self {
        Self {
            after,
            lines: lines.clamp(1, LOG_LINES_MAX) as usize,
            wait: wait.min(20_000),
        }
    }
}

/// Collects lines with the positions after them.
#[derive(Debug)]
pub struct PageBuilder {
    request: LogRequest,
    lines: VecDeque<(u64, LogLine)>,
    bytes: usize,
}

impl PageBuilder {
    pub fn new(request: LogRequest) -> Self {
        Self {
            request,
            lines: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Adds a line that ends at a position; false when it does not fit any more, which only happens for pages that
    /// begin after a position: of the last lines, the first go.
    pub fn push(&mut self, position: u64, line: LogLine) -> bool {
        let bytes = line.text.len();
        if self.request.after != 0 && (self.lines.len() >= self.request.lines || self.bytes + bytes > PAGE_BYTES) {
            return false;
        }
        self.bytes += bytes;
        self.lines.push_back((position, line));
        while self.lines.len() > self.request.lines || self.bytes > PAGE_BYTES {
            let gone = self.lines.pop_front().map_or(0, |(_, line)| line.text.len());
            self.bytes -= gone;
        }
        true
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The page; `end` is where to go on when it is empty.
    pub fn finish(self, end: u64) -> LogPage {
        // Standard output and error are written down side by side: the last line need not be the latest.
        let next = self.lines.iter().map(|(position, _)| *position).max().unwrap_or(end);
        LogPage {
            lines: self.lines.into_iter().map(|(_, line)| line).collect(),
            next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::Time;

    fn page(after: u64, lines: u32, text: &str, count: u64) -> (Vec<bool>, LogPage) {
        let mut page = PageBuilder::new(LogRequest::new(after, lines, 0));
        let line = || LogLine {
            at: Time(0),
            error: false,
            text: text.to_owned(),
        };
        let fitted = (1..=count).map(|n| page.push(after + n, line())).collect();
        (fitted, page.finish(after))
    }

    #[test]
    fn the_last_lines_or_the_next_ones() {
        let (fitted, last) = page(0, 2, "x", 3);
        assert_eq!((fitted, last.lines.len(), last.next), (vec![true; 3], 2, 3));
        let (fitted, next) = page(7, 2, "x", 3);
        assert_eq!((fitted, next.lines.len(), next.next), (vec![true, true, false], 2, 9));
        assert_eq!(page(7, 0, "x", 0).1.next, 7);
    }

    #[test]
    fn lines_that_overtook_each_other_come_once() {
        let mut page = PageBuilder::new(LogRequest::new(3, 10, 0));
        for position in [5, 9, 7] {
            let line = LogLine {
                at: Time(0),
                error: false,
                text: String::new(),
            };
            assert!(page.push(position, line));
        }
        assert_eq!(page.finish(3).next, 9);
    }

    #[test]
    fn a_page_fits_a_frame() {
        let long = "y".repeat(16 * 1024);
        for after in [0, 7] {
            let (_, full) = page(after, 2_000, &long, 2_000);
            let size = edgedeck_protocol::encode(&full).unwrap().len();
            assert!(full.lines.len() > 100 && size < edgedeck_protocol::FRAME_MAX, "{size}");
        }
    }
}
