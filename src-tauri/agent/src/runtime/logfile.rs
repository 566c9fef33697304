//! The log of a process: files that follow each other, each named by the position of its first byte.
//!
//! A line is `<milliseconds> <o|e> <text>`. A position is the count of bytes ever written, so it goes on over rotation.

use super::page::{LogRequest, PageBuilder};
use edgedeck_model::{Time, api::LogPage};
use edgedeck_protocol::{LOG_LINE_MAX, cut_line};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::inotify::{AddWatchFlags, InitFlags, Inotify},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Bytes of one file, and how many files are kept.
pub const FILE_BYTES: u64 = 10 * 1024 * 1024;
pub const FILES_KEPT: usize = 3;

/// Files of a log, oldest first, with their first positions.
fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let position = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(position) = position.filter(|_| path.extension().is_some_and(|extension| extension == "log")) {
            files.push((position, path));
        }
    }
    files.sort();
    Ok(files)
}

/// Writes a log; there is one writer at a time.
pub struct LogWriter {
    folder: PathBuf,
    file: File,
    start: u64,
    length: u64,
    file_bytes: u64,
}

impl LogWriter {
    /// Goes on where the log ends.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, file_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let start = files(folder)?.last().map_or(0, |(position, _)| *position);
        let mut file = open_file(folder, start)?;
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            start,
            length,
            file_bytes,
        })
    }

    /// Adds one line; without its end.
    ///
    /// # Errors
    /// Those of the file system; the line is lost then.
    pub fn write(&mut self, at: Time, error: bool, text: &[u8]) -> io::Result<()> {
        if self.length >= self.file_bytes {
            self.rotate()?;
        }
        let mut line = format!("{} {} ", at.0, if error { 'e' } else { 'o' }).into_bytes();
        let text = text.get(..LOG_LINE_MAX).unwrap_or(text);
        line.extend(text.iter().filter(|byte| **byte != b'\n'));
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.start += self.length;
        self.file = open_file(&self.folder, self.start)?;
        self.length = 0;
        let files = files(&self.folder)?;
        for (_, path) in files.iter().take(files.len().saturating_sub(FILES_KEPT)) {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

fn open_file(folder: &Path, start: u64) -> io::Result<File> {
    let path = folder.join(format!("{start:020}.log"));
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Reads a page; waits for the first line if the request says so.
///
/// # Errors
/// Those of the file system; `NotFound` when there is no log.
pub async fn read(folder: &Path, request: LogRequest) -> io::Result<LogPage> {
    // Watched before the first look, so that nothing falls between.
    let watch = if request.wait > 0 {
        Some(Watch::new(folder)?)
    } else {
        None
    };
    let until = Instant::now() + Duration::from_millis(request.wait.into());
    loop {
        let path = folder.to_owned();
        let page = tokio::task::spawn_blocking(move || read_now(&path, request)).await??;
        let Some(watch) = watch.as_ref().filter(|_| page.lines.is_empty()) else {
            return Ok(page);
        };
        if Instant::now() >= until {
            return Ok(page);
        }
        watch.changed(until).await;
    }
}

fn read_now(folder: &Path, request: LogRequest) -> io::Result<LogPage> {
    let files = files(folder)?;
    let end_of = |(start, path): &(u64, PathBuf)| Ok::<_, io::Error>(start + fs::metadata(path)?.len());
    let end = files.last().map(end_of).transpose()?.unwrap_or(0);
    // A position beyond the end is of another log that was here before: begin with the last lines of this one.
    let request = if request.after > end {
        LogRequest { after: 0, ..request }
    } else {
        request
    };
    let mut page = PageBuilder::new(request);
    'files: for (at, (start, path)) in files.iter().enumerate() {
        let next_start = files.get(at + 1).map(|(start, _)| *start);
        if next_start.is_some_and(|next| next <= request.after) {
            continue;
        }
        let mut file = match File::open(path) {
            Ok(file) => file,
            // Rotated away since the list was made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut position = (*start).max(request.after);
        file.seek(SeekFrom::Start(position - start))?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            // Half a line is still being written.
            let Some((b'\n', text)) = line.split_last() else { break };
            position += read as u64;
            if !page.push(position, parse(text)) {
                break 'files;
            }
        }
    }
    Ok(page.finish(request.after.max(if request.after == 0 { end } else { 0 })))
}

fn parse(line: &[u8]) -> edgedeck_model::api::LogLine {
    let text = String::from_utf8_lossy(line);
    let mut fields = text.splitn(3, ' ');
    let at = fields.next().and_then(|field| field.parse().ok()).map(Time);
    let error = fields.next();
    match (at, error, fields.next()) {
        (Some(at), Some(error @ ("o" | "e")), Some(rest)) => cut_line(at, error == "e", rest.trim_end_matches('\r')),
        // Begun in the middle of a line.
        _ => cut_line(Time(0), false, &text),
    }
}

/// Tells when files in a folder are written.
struct Watch(Arc<Inotify>);

impl Watch {
    fn new(folder: &Path) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        inotify.add_watch(
            folder,
            AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE_SELF,
        )?;
        Ok(Self(Arc::new(inotify)))
    }

    /// Ends with the next change, or at this time; on a thread that sleeps until then.
    async fn changed(&self, until: Instant) {
        let inotify = self.0.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let left = until.saturating_duration_since(Instant::now());
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let _ = poll(&mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)], left);
            // Which file does not matter; what was told is taken so that the next wait waits.
            let _ = inotify.read_events();
        });
        let _ = waiting.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(page: &LogPage) -> Vec<&str> {
        page.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[tokio::test]
    async fn pages_go_on_over_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::open(dir.path(), 100).unwrap();
        for n in 0..40 {
            writer
                .write(Time(n), n % 2 == 1, format!("line {n}").as_bytes())
                .unwrap();
        }
        assert_eq!(files(dir.path()).unwrap().len(), FILES_KEPT);
        let last = read(dir.path(), LogRequest::new(0, 2, 0)).await.unwrap();
        assert_eq!(texts(&last), ["line 38", "line 39"]);
        assert_eq!(
            (last.lines[0].at, last.lines[0].error, last.lines[1].error),
            (Time(38), false, true)
        );
        // From before what is kept, two at a time, each line once.
        let (mut after, mut seen) = (1, Vec::new());
        loop {
            let page = read(dir.path(), LogRequest::new(after, 2, 0)).await.unwrap();
            if page.lines.is_empty() {
                assert_eq!(page.next, after);
                break;
            }
            seen.extend(page.lines.iter().map(|line| line.text.clone()));
            after = page.next;
        }
        assert_eq!(after, last.next);
        let expected: Vec<String> = (40 - seen.len()..40).map(|n| format!("line {n}")).collect();
        assert_eq!(seen, expected);
        // Another process goes on where this one ended.
        drop(writer);
        LogWriter::open(dir.path(), 100)
            .unwrap()
            .write(Time(41), false, b"more")
            .unwrap();
        assert_eq!(
            texts(&read(dir.path(), LogRequest::new(after, 9, 0)).await.unwrap()),
            ["more"]
        );
    }

    #[tokio::test]
    async fn waiting_ends_with_the_first_new_line_or_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = LogWriter::open(dir.path(), FILE_BYTES).unwrap();
        writer.write(Time(1), false, b"one").unwrap();
        let first = read(dir.path(), LogRequest::new(0, 10, 0)).await.unwrap();
        let nothing = read(dir.path(), LogRequest::new(first.next, 10, 30)).await.unwrap();
        assert_eq!((nothing.lines.len(), nothing.next), (0, first.next));
        let folder = dir.path().to_owned();
        let waiting =
            tokio::spawn(async move { read(&folder, LogRequest::new(first.next, 10, 20_000)).await.unwrap() });
        tokio::task::yield_now().await;
        let begun = std::time::Instant::now();
        writer.write(Time(2), true, b"\xfftwo").unwrap();
        assert_eq!(texts(&waiting.await.unwrap()), ["\u{fffd}two"]);
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[tokio::test]
    async fn odd_positions_and_logs() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(&dir.path().join("none"), LogRequest::new(0, 1, 0)).await.is_err());
        let empty = read(dir.path(), LogRequest::new(5, 1, 0)).await.unwrap();
        assert_eq!((empty.lines.len(), empty.next), (0, 0));
        LogWriter::open(dir.path(), FILE_BYTES)
            .unwrap()
            .write(Time(1), false, &vec![b'x'; 100_000])
            .unwrap();
        let page = read(dir.path(), LogRequest::new(9_999_999, 1, 0)).await.unwrap();
        assert_eq!(page.lines[0].text.len(), LOG_LINE_MAX);
        let middle = read(dir.path(), LogRequest::new(10, 1, 0)).await.unwrap();
        assert_eq!((middle.lines.len(), middle.next), (1, page.next));
    }
}
