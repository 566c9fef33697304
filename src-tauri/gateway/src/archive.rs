//! The archive of a job as an answer: packed while it is sent.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use edgedeck_engine::Engine;
use edgedeck_model::{
    job::{Job, JobItem},
    time::HOUR,
};
use futures::StreamExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    io::{self, BufWriter, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc, time::timeout};

/// How long a download may take, in milliseconds.
const TIME: i64 = 2 * HOUR;
const CHUNK: usize = 256 * 1024;

/// A client that takes nothing for this long has gone.
const SILENCE: Duration = Duration::from_secs(60);

struct Sender {
    chunks: mpsc::Sender<Bytes>,
    runtime: Handle,
    engine: Arc<Engine>,
    /// Monotonic time of the engine's clock.
    end: i64,
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.engine.clock.monotonic() >= self.end {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // Whoever has gone away, or stands still, ends the packing.
        let sending = self.chunks.send(Bytes::copy_from_slice(bytes));
        match self.runtime.block_on(async { timeout(SILENCE, sending).await }) {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer with the archive as a file of this name.
pub fn response(engine: Arc<Engine>, job: Job, items: Vec<JobItem>, name: &str) -> Response {
    let (sender, receiver) = mpsc::channel(2);
    let packed_whole = Arc::new(AtomicBool::new(false));
    let whole = packed_whole.clone();
    let out = Sender {
        chunks: sender,
        runtime: Handle::current(),
        end: engine.clock.monotonic() + TIME,
        engine: engine.clone(),
    };
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, out);
        let packed = engine.write_job_archive(&job, &items, &mut out);
        let sent = packed.map_err(io::Error::other).and_then(|()| out.flush());
        if let Err(error) = sent {
            tracing::warn!(%error, job = %job.id, "sending the archive of a job");
        } else {
            whole.store(true, Ordering::Release);
        }
    });
    let chunks = futures::stream::unfold(Some(receiver), move |receiver| {
        let whole = packed_whole.clone();
        async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(chunk) => Some((Ok(chunk), Some(receiver))),
                None if whole.load(Ordering::Acquire) => None,
                // The connection breaks off, so that nobody takes half an archive for a whole one.
                None => Some((Err(io::Error::from(io::ErrorKind::UnexpectedEof)), None)),
            }
        }
    });
    attached(name, Body::from_stream(chunks.boxed()))
}

/// An archive as a file of this name.
/// An answer with any content as a file of this name, which may be any text.
pub fn any_file(name: &str, body: Body) -> Response {
    let mut response = attached("file", body);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename*=UTF-8''{name}")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

pub fn attached(name: &str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename={name}")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}
