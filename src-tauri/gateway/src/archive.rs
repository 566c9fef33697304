//! The archive of a job as an answer: packed while it is sent.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use edgedeck_engine::Engine;
use edgedeck_model::job::{Job, JobItem};
use futures::StreamExt;
use std::{
    io::{self, BufWriter, Write},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// How long a download may take.
const TIME: Duration = Duration::from_secs(2 * 3_600);
const CHUNK: usize = 256 * 1024;

struct Sender(mpsc::Sender<io::Result<Bytes>>);

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Whoever has gone away ends the packing.
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer with the archive as a file of this name.
pub fn response(engine: Arc<Engine>, job: Job, items: Vec<JobItem>, name: &str) -> Response {
    let (sender, receiver) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut out = BufWriter::with_capacity(CHUNK, Sender(sender.clone()));
        let packed = engine.write_job_archive(&job, &items, &mut out);
        let sent = packed.map_err(io::Error::other).and_then(|()| out.flush());
        if let Err(error) = sent {
            tracing::warn!(%error, job = %job.id, "sending the archive of a job");
            // The connection breaks off, so that nobody takes half an archive for a whole one.
            let _told = sender.blocking_send(Err(error));
        }
    });
    let end = Instant::now() + TIME;
    let chunks = futures::stream::unfold(receiver, move |mut receiver| async move {
        let next = tokio::time::timeout_at(end, receiver.recv()).await;
        let late = || Some(Err(io::ErrorKind::TimedOut.into()));
        let chunk = next.unwrap_or_else(|_| late())?;
        Some((chunk, receiver))
    });
    let mut response = Body::from_stream(chunks.boxed()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/gzip"));
    if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename={name}")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}
