//! Reading tar archives that come from anybody: what stands before an entry, for its long name, is read whole into memory
//! and must have an end.

use std::{
    cell::Cell,
    io::{self, Read, Seek, SeekFrom},
};

/// Most bytes between the content of one entry and the next, and of all of that in an archive.
const BETWEEN_MAX: u64 = 256 * 1024;
const HEADERS_MAX: u64 = 256 * 1024 * 1024;

/// How much of an archive may be read before something else is said. It begins before the first entry.
#[derive(Debug)]
pub struct HeaderLimit {
    /// What may be read now, and what was when it was last said.
    left: Cell<u64>,
    allowed: Cell<u64>,
    headers: Cell<u64>,
}

impl Default for HeaderLimit {
    fn default() -> Self {
        Self {
            left: Cell::new(BETWEEN_MAX),
            allowed: Cell::new(BETWEEN_MAX),
            headers: Cell::new(HEADERS_MAX),
        }
    }
}

impl HeaderLimit {
    pub fn reader<R>(&self, inner: R) -> Limited<'_, R> {
        Limited { inner, limit: self }
    }

    /// An entry has come, with so much content to read.
    pub fn content(&self, bytes: u64) {
        let read = self.allowed.get() - self.left.get();
        self.headers.set(self.headers.get().saturating_sub(read));
        self.left.set(bytes);
    }

    /// The content was read, or will be passed over: the next entry.
    pub fn next(&self) {
        let allowed = BETWEEN_MAX.min(self.headers.get());
        self.allowed.set(allowed);
        self.left.set(allowed);
    }
}

/// A reader that gives no more than is allowed now.
#[derive(Debug)]
pub struct Limited<'a, R> {
    inner: R,
    limit: &'a HeaderLimit,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.limit.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a header is too long"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.limit.left.set(left - read as u64);
        Ok(read)
    }
}

impl<R: Seek> Seek for Limited<'_, R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_a_limit_each_and_together() {
        let limit = HeaderLimit::default();
        let mut reader = limit.reader(io::repeat(0));
        let mut header = vec![0; 200 * 1024];
        reader.read_exact(&mut header).unwrap();
        assert!(reader.read_exact(&mut header).is_err(), "longer than a header may be");

        let limit = HeaderLimit::default();
        let mut reader = limit.reader(io::repeat(0));
        let mut entries = 0;
        while reader.read_exact(&mut header).is_ok() {
            // Content is not counted.
            limit.content(1_024);
            reader.read_exact(&mut [0; 1_024]).unwrap();
            limit.next();
            entries += 1;
        }
        assert_eq!(entries, HEADERS_MAX / header.len() as u64);
    }
}
