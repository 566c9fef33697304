//! A disk that is slow, full, read-only or fails on purpose: a file system in user space over a temporary folder.

mod files;

use crate::programs::program;
use anyhow::{Context, Result, ensure};
use fuser::{Config, MountOption, Session};
use nix::{
    mount::{MntFlags, umount2},
    sys::stat::{Mode, umask},
};
use std::{
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// A mounted disk; ends with the test. Files that are still open then stay usable.
///
/// It has a process of its own: one that unmaps a file waits for the disk while its memory map is locked, and threads
/// of the same process that need memory to answer would wait for that lock.
pub struct Disk {
    path: PathBuf,
    pipes: Mutex<Pipes>,
    /// Taken when it ends.
    process: Option<Child>,
}

struct Pipes {
    /// Closed, it tells the process to end, also when this one is killed.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Pipes {
    fn answer(&mut self) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.strip_suffix('\n').context("it has ended")?.to_owned())
    }
}

impl Disk {
    /// Mounts in a new temporary folder.
    ///
    /// # Errors
    /// Without `/dev/fuse`, or without both root and `fusermount3`.
    pub fn mount() -> Result<Self> {
        // In its own group, so that Ctrl-C leaves it time to unmount.
        let mut process = Command::new(program("edgedeck-disk")?)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut pipes = Pipes {
            commands: process.stdin.take(),
            answers: BufReader::new(process.stdout.take().context("piped")?),
        };
        let path = pipes
            .answer()
            .context("a disk needs /dev/fuse, and root or the package fuse3")?;
        Ok(Self {
            path: PathBuf::from(path),
            pipes: Mutex::new(pipes),
            process: Some(process),
        })
    }

    /// The mount point.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on every fsync and fdatasync takes at least this long; other requests do not wait for it.
    pub fn set_fsync_delay(&self, delay: Duration) {
        self.tell(&format!("fsync-delay {}", delay.as_micros()));
    }

    /// While set, what needs more room fails with ENOSPC: files that grow, new files and folders.
    pub fn set_full(&self, full: bool) {
        self.tell(&format!("full {}", u8::from(full)));
    }

    /// While set, any change fails with EROFS; so does opening for writing.
    pub fn set_read_only(&self, read_only: bool) {
        self.tell(&format!("read-only {}", u8::from(read_only)));
    }

    /// The n-th write or fsync from now on (1 is the next) fails with EIO, once; `None`: none does.
    pub fn fail_at(&self, n: Option<u64>) {
        self.tell(&format!("fail-at {}", n.map_or(0, |n| n.max(1))));
    }

    /// Writes and fsyncs since the mount, those that failed included.
    pub fn counts(&self) -> (u64, u64) {
        self.tell("counts 0")
    }

    /// It does what it is told before this returns; every answer has the counts.
    fn tell(&self, command: &str) -> (u64, u64) {
        let mut pipes = lock(&self.pipes);
        let mut ask = || {
            writeln!(pipes.commands.as_ref().context("it has ended")?, "{command}")?;
            let answer = pipes.answer()?;
            let (writes, fsyncs) = answer.split_once(' ').context("two counts")?;
            anyhow::Ok((writes.parse()?, fsyncs.parse()?))
        };
        ask().expect("the process of the disk answers")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut pipes = lock(&self.pipes);
        pipes.commands = None;
        if let Err(error) = pipes.answer() {
            eprintln!("{} may be mounted still: {error:#}", self.path.display());
        }
        // It lives as long as a file on it is open, which may be longer than this.
        if let Some(mut process) = self.process.take() {
            thread::spawn(move || process.wait());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the process of a [`Disk`] does.
///
/// # Errors
/// When it cannot mount.
pub fn serve() -> Result<()> {
    let folder = TempDir::new()?;
    let [backing, path] = ["backing", "disk"].map(|name| folder.path().join(name));
    fs::create_dir(&backing)?;
    fs::create_dir(&path)?;
    // The kernel has applied the one of who creates a file.
    umask(Mode::empty());
    let faults = Arc::new(Mutex::new(Faults::default()));
    let files = files::Files::new(&backing, faults.clone())?;
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("disk".to_owned()), MountOption::DefaultPermissions];
    config.n_threads = Some(4);
    let session = Session::new(files, &path, &config)?;
    let session = thread::spawn(move || session.run());
    println!("{}", path.display());
    for line in io::stdin().lines() {
        let line = line?;
        let (command, value) = line.split_once(' ').context("a command and a value")?;
        let value: u64 = value.parse()?;
        let mut faults = lock(&faults);
        match command {
            "fsync-delay" => faults.fsync_delay = Duration::from_micros(value),
            "full" => faults.full = value > 0,
            "read-only" => faults.read_only = value > 0,
            "fail-at" => faults.fails_in = (value > 0).then_some(value),
            _ => {}
        }
        println!("{} {}", faults.writes, faults.fsyncs);
    }
    // Lazily, because a test that panics may have files open.
    if umount2(&path, MntFlags::MNT_DETACH).is_err() {
        let unmounted = Command::new("fusermount3").args(["-u", "-z"]).arg(&path).status()?;
        ensure!(unmounted.success(), "fusermount3: {unmounted}");
    }
    folder.close()?;
    // Nobody reads it when the test was killed.
    let _told = writeln!(io::stdout(), "unmounted");
    let _ended = session.join();
    Ok(())
}

#[derive(Default)]
struct Faults {
    fsync_delay: Duration,
    full: bool,
    read_only: bool,
    fails_in: Option<u64>,
    writes: u64,
    fsyncs: u64,
}
