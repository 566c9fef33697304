//! What nodes send for a job: one file each, in the job's folder.

use super::{Done, Sent};
use crate::{
    Engine,
    error::Result,
    packages::{check_space, disk},
};
use edgedeck_model::{
    Code, JobId, NodeId, Problem,
    job::{ItemState, Job, JobItem, JobKind, JobState, SENT_BYTES_MAX},
};
use edgedeck_protocol::Answer;
use sha2::{Digest, Sha256};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
};
use tempfile::NamedTempFile;

/// How often the free space is looked at while a file arrives, in bytes.
const LOOK_EVERY: u64 = 8 * 1024 * 1024;

/// A node's file on its way in; one for each node that is asked.
pub struct JobUpload {
    engine: Arc<Engine>,
    key: (JobId, NodeId),
    file: Option<NamedTempFile>,
    place: PathBuf,
    hash: Sha256,
    bytes: u64,
}

impl JobUpload {
    /// # Errors
    /// [`Code::TooLarge`] past the limit, [`Code::StoreUnavailable`] when the disk is full.
    pub fn write(&mut self, chunk: &[u8]) -> std::result::Result<(), Problem> {
        let before = self.bytes;
        self.bytes += chunk.len() as u64;
        if self.bytes > SENT_BYTES_MAX {
            return Err(Problem::new(Code::TooLarge).with("max", SENT_BYTES_MAX));
        }
        if before / LOOK_EVERY != self.bytes / LOOK_EVERY {
            check_space(self.engine.data())?;
        }
        self.hash.update(chunk);
        match &mut self.file {
            Some(file) => file.write_all(chunk).map_err(disk),
            None => Ok(()),
        }
    }

    /// Keeps the file if it is what the node meant to send.
    ///
    /// # Errors
    /// [`Code::Invalid`] when its SHA-256 is another one.
    pub fn keep(mut self, sha256: &str) -> std::result::Result<(), Problem> {
        let found = hex::encode(std::mem::take(&mut self.hash).finalize());
        if found != sha256 {
            return Err(Problem::invalid("sha256", "checksum"));
        }
        let file = self.file.take().ok_or_else(|| Problem::not_found("job"))?;
        file.as_file().sync_all().map_err(disk)?;
        file.persist(&self.place).map_err(|error| disk(error.error))?;
        let whole = Sent::Whole {
            bytes: self.bytes,
            sha256: found,
        };
        self.engine.jobs.sent.lock().insert(self.key, whole);
        Ok(())
    }
}

impl Drop for JobUpload {
    /// An upload that was not kept may be tried again.
    fn drop(&mut self) {
        let mut sent = self.engine.jobs.sent.lock();
        if sent.get(&self.key) == Some(&Sent::Arriving) {
            sent.remove(&self.key);
        }
    }
}

impl Engine {
    pub(super) fn job_folder(&self, job: JobId) -> PathBuf {
        self.data().join("jobs").join(job.to_string())
    }

    /// What a node has sent, whatever it is.
    pub(super) fn job_file(&self, job: JobId, node: NodeId) -> PathBuf {
        self.job_folder(job).join(format!("{node}.tar.gz"))
    }

    /// Begins the upload of a node's file.
    ///
    /// # Errors
    /// [`Code::NotFound`] unless the job is just asking this node, [`Code::Conflict`] while it is sending already,
    /// [`Code::StoreUnavailable`].
    pub fn upload_job_file(self: &Arc<Self>, job: JobId, node: NodeId) -> std::result::Result<JobUpload, Problem> {
        let (state, item) = self
            .store
            .read(|connection| Ok((super::job(connection, job)?.state, super::item(connection, job, node)?)))?;
        let is_asked = item.is_some_and(|item| item.state == ItemState::Running);
        if state != JobState::Running || !is_asked {
            return Err(Problem::not_found("job"));
        }
        let folder = self.job_folder(job);
        fs::create_dir_all(&folder).map_err(disk)?;
        check_space(self.data())?;
        let file = NamedTempFile::new_in(&folder).map_err(disk)?;
        let key = (job, node);
        let mut sent = self.jobs.sent.lock();
        if sent.get(&key) == Some(&Sent::Arriving) {
            return Err(Problem::conflict("uploading"));
        }
        sent.insert(key, Sent::Arriving);
        drop(sent);
        Ok(JobUpload {
            engine: self.clone(),
            key,
            file: Some(file),
            place: self.job_file(job, node),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// What has come of a node that says that it has sent its file.
    pub(super) fn sent_for(&self, job: JobId, node: NodeId, answer: &Answer) -> std::result::Result<Done, Problem> {
        if !matches!(answer, Answer::Collected { .. }) {
            return Err(Problem::internal("an answer to another question"));
        }
        // What counts is what has arrived.
        let sent = self.sent_file(job, node);
        let (bytes, sha256) = sent.ok_or_else(|| Problem::conflict("nothing-sent"))?;
        let sha256 = Some(sha256);
        Ok(Done { bytes, sha256 })
    }

    /// Size and SHA-256 of what a node has sent for a job; told once.
    pub(super) fn sent_file(&self, job: JobId, node: NodeId) -> Option<(u64, String)> {
        match self.jobs.sent.lock().remove(&(job, node))? {
            Sent::Whole { bytes, sha256 } => Some((bytes, sha256)),
            Sent::Arriving => None,
        }
    }

    pub(super) fn forget_sent(&self, job: JobId) {
        self.jobs.sent.lock().retain(|(of, _), _| *of != job);
    }

    /// Removes what a job has collected.
    pub(super) fn drop_job_files(&self, job: JobId) {
        match fs::remove_dir_all(self.job_folder(job)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, %job, "removing the files of a job");
            }
            _ => {}
        }
    }

    /// Writes the archive of a job: a `.tar.gz` with each node's own, called by its serial number.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none or its time is over; those of the disk and of `out`.
    pub fn write_job_archive(&self, job: &Job, items: &[JobItem], out: impl Write) -> std::result::Result<(), Problem> {
        // What is inside is packed already.
        let packed = flate2::write::GzEncoder::new(out, flate2::Compression::none());
        let mut archive = tar::Builder::new(packed);
        for item in items.iter().filter(|item| item.state == ItemState::Succeeded) {
            let mut file = File::open(self.job_file(job.id, item.node)).map_err(disk)?;
            let mut header = tar::Header::new_gnu();
            header.set_size(file.metadata().map_err(disk)?.len());
            header.set_mode(0o600);
            let at = item.finished_at.map_or(0, |at| at.0 / 1_000);
            header.set_mtime(u64::try_from(at).unwrap_or(0));
            let name = format!("{}.tar.gz", file_name(&item.serial));
            archive.append_data(&mut header, name, &mut file).map_err(disk)?;
        }
        archive.into_inner().and_then(|packed| packed.finish()).map_err(disk)?;
        Ok(())
    }

    /// The file that a job has fetched, and its size.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is none or its time is over.
    pub fn fetched_file(&self, job: JobId) -> std::result::Result<(Job, JobItem, File), Problem> {
        let (job, items) = self.archive_of(self.job(job)?)?;
        let item = items.into_iter().find(|item| item.state == ItemState::Succeeded);
        let item = item.filter(|_| job.file.is_some() && job.has_file(self.clock.now()));
        let item = item.ok_or_else(|| Problem::not_found("file"))?;
        let file = File::open(self.job_file(job.id, item.node)).map_err(disk)?;
        Ok((job, item, file))
    }

    /// Removes the files of jobs, but for those of `keep`.
    pub(super) fn remove_job_files(&self, keep: &[JobId]) {
        let kept: Vec<String> = keep.iter().map(ToString::to_string).collect();
        let Ok(folders) = fs::read_dir(self.data().join("jobs")) else {
            return;
        };
        for folder in folders.flatten() {
            if !kept.iter().any(|kept| folder.file_name() == kept.as_str())
                && let Err(error) = fs::remove_dir_all(folder.path())
            {
                tracing::warn!(%error, folder = %folder.path().display(), "removing the files of a job");
            }
        }
    }

    /// The newest collection of logs with its items, if it can be downloaded.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn newest_archive(&self) -> Result<Option<(Job, Vec<JobItem>)>> {
        let newest = self.jobs_of(JobKind::Logs)?.into_iter().next();
        match newest.filter(|job| job.has_file(self.clock.now())) {
            Some(job) => Ok(Some(self.archive_of(job)?)),
            None => Ok(None),
        }
    }

    /// A job with all its items, to write its archive.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn archive_of(&self, job: Job) -> Result<(Job, Vec<JobItem>)> {
        let all = edgedeck_model::api::PageQuery {
            limit: u32::MAX,
            ..Default::default()
        };
        let items = self.job_items(job.id, &all)?.items;
        Ok((job, items))
    }
}

/// A serial number as a file's name; serial numbers come from outside.
fn file_name(serial: &str) -> String {
    let tame = |c: char| {
        if c.is_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = serial.chars().map(tame).collect();
    name.trim_start_matches('.').to_owned()
}
