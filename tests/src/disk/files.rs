//! The files of a disk: those of a folder, with the disk's faults.

use super::{Faults, lock};
use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenAccMode, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::{fcntl::OFlag, sys::statvfs::statvfs};
use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fs::{self, DirBuilder, File, FileTimes, OpenOptions, Permissions},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, DirEntryExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{Duration, SystemTime},
};

/// How long the kernel may believe what it was told: all changes come through it, so that it stays right.
const KNOWN_FOR: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, Errno>;

impl Faults {
    fn changes(&self) -> Outcome<()> {
        if self.read_only { Err(Errno::EROFS) } else { Ok(()) }
    }

    fn grows(&self) -> Outcome<()> {
        self.changes()?;
        if self.full { Err(Errno::ENOSPC) } else { Ok(()) }
    }

    /// A write or an fsync happens; is it the one that fails?
    fn next(&mut self) -> Outcome<()> {
        let left = self.fails_in.take();
        if left.is_some_and(|left| left <= 1) {
            return Err(Errno::EIO);
        }
        self.fails_in = left.map(|left| left - 1);
        Ok(())
    }
}

pub(super) struct Files {
    faults: Arc<Mutex<Faults>>,
    /// What the kernel knows, by the backing folder's own inode numbers.
    nodes: Mutex<HashMap<u64, Node>>,
    open: Mutex<Opened>,
}

/// Its file is open as a mere place (`O_PATH`), which stays right when it is renamed or unlinked.
struct Node {
    file: File,
    lookups: u64,
}

type Entry = (u64, FileType, OsString);

#[derive(Default)]
struct Opened {
    last: u64,
    files: HashMap<u64, Arc<File>>,
    /// As they were when they were opened, so that removing what was listed skips nothing.
    folders: HashMap<u64, Vec<Entry>>,
}

impl Opened {
    fn add(&mut self, file: File) -> FileHandle {
        self.last += 1;
        self.files.insert(self.last, Arc::new(file));
        FileHandle(self.last)
    }

    fn add_folder(&mut self, entries: Vec<Entry>) -> FileHandle {
        self.last += 1;
        self.folders.insert(self.last, entries);
        FileHandle(self.last)
    }
}

fn open_node(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn kind(file_type: fs::FileType) -> FileType {
    FileType::from_std(file_type).unwrap_or(FileType::RegularFile)
}

fn attributes(file: &File) -> io::Result<FileAttr> {
    let found = file.metadata()?;
    Ok(FileAttr {
        ino: INodeNo(found.ino()),
        size: found.size(),
        blocks: found.blocks(),
        atime: found.accessed()?,
        mtime: found.modified()?,
        ctime: SystemTime::UNIX_EPOCH + Duration::new(found.ctime().cast_unsigned(), found.ctime_nsec() as u32),
        crtime: SystemTime::UNIX_EPOCH,
        kind: kind(found.file_type()),
        perm: (found.mode() & 0o7777) as u16,
        nlink: found.nlink() as u32,
        uid: found.uid(),
        gid: found.gid(),
        rdev: 0,
        blksize: found.blksize() as u32,
        flags: 0,
    })
}

impl Files {
    pub(super) fn new(folder: &Path, faults: Arc<Mutex<Faults>>) -> io::Result<Self> {
        let root = Node {
            file: open_node(folder)?,
            lookups: 1,
        };
        Ok(Self {
            faults,
            nodes: Mutex::new(HashMap::from([(INodeNo::ROOT.0, root)])),
            open: Mutex::default(),
        })
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// A path to it that the kernel resolves by the open file, whatever its name is now.
    fn at(&self, node: INodeNo) -> Outcome<PathBuf> {
        let nodes = lock(&self.nodes);
        let node = nodes.get(&node.0).ok_or(Errno::ESTALE)?;
        Ok(PathBuf::from(format!("/proc/self/fd/{}", node.file.as_raw_fd())))
    }

    fn file(&self, handle: FileHandle) -> Outcome<Arc<File>> {
        lock(&self.open).files.get(&handle.0).cloned().ok_or(Errno::EBADF)
    }

    fn look_up(&self, parent: INodeNo, name: &OsStr) -> Outcome<FileAttr> {
        let file = open_node(&self.at(parent)?.join(name))?;
        let attributes = attributes(&file)?;
        let mut nodes = lock(&self.nodes);
        nodes
            .entry(attributes.ino.0)
            .or_insert(Node { file, lookups: 0 })
            .lookups += 1;
        Ok(attributes)
    }

    fn set(
        &self,
        node: INodeNo,
        mode: Option<u32>,
        owner: (Option<u32>, Option<u32>),
        size: Option<u64>,
        times: (Option<TimeOrNow>, Option<TimeOrNow>),
    ) -> Outcome<FileAttr> {
        let path = self.at(node)?;
        self.faults().changes()?;
        if let Some(size) = size {
            if size > fs::metadata(&path)?.len() {
                self.faults().grows()?;
            }
            OpenOptions::new().write(true).open(&path)?.set_len(size)?;
        }
        if let Some(mode) = mode {
            fs::set_permissions(&path, Permissions::from_mode(mode))?;
        }
        if owner != (None, None) {
            chown(&path, owner.0, owner.1)?;
        }
        if times != (None, None) {
            let moment = |time| match time {
                TimeOrNow::SpecificTime(time) => time,
                TimeOrNow::Now => SystemTime::now(),
            };
            let mut set = FileTimes::new();
            if let Some(accessed) = times.0 {
                set = set.set_accessed(moment(accessed));
            }
            if let Some(modified) = times.1 {
                set = set.set_modified(moment(modified));
            }
            File::open(&path)?.set_times(set)?;
        }
        self.attributes(node)
    }

    fn attributes(&self, node: INodeNo) -> Outcome<FileAttr> {
        let nodes = lock(&self.nodes);
        Ok(attributes(&nodes.get(&node.0).ok_or(Errno::ESTALE)?.file)?)
    }

    fn write(&self, handle: FileHandle, offset: u64, data: &[u8], flags: WriteFlags) -> Outcome<()> {
        let file = self.file(handle)?;
        // A page that was changed in memory, as of SQLite's -shm, is written back some time; nobody could be told that
        // it failed.
        if !flags.contains(WriteFlags::FUSE_WRITE_CACHE) {
            let mut faults = self.faults();
            faults.writes += 1;
            faults.next()?;
            faults.changes()?;
            if offset + data.len() as u64 > file.metadata()?.len() {
                faults.grows()?;
            }
        }
        Ok(file.write_all_at(data, offset)?)
    }

    /// Does nothing but take its time, which is then the same on every machine: no test cuts the power.
    fn sync(&self, reply: ReplyEmpty) {
        let (delay, outcome) = {
            let mut faults = self.faults();
            faults.fsyncs += 1;
            (faults.fsync_delay, faults.next())
        };
        if delay.is_zero() {
            return empty(reply, outcome);
        }
        thread::spawn(move || {
            thread::sleep(delay);
            empty(reply, outcome);
        });
    }
}

fn empty(reply: ReplyEmpty, outcome: Outcome<()>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(reply: ReplyEntry, outcome: Outcome<FileAttr>) {
    match outcome {
        Ok(found) => reply.entry(&KNOWN_FOR, &found, Generation(0)),
        Err(error) => reply.error(error),
    }
}

fn attr(reply: ReplyAttr, outcome: Outcome<FileAttr>) {
    match outcome {
        Ok(found) => reply.attr(&KNOWN_FOR, &found),
        Err(error) => reply.error(error),
    }
}

/// The kernel keeps its pages of a file that is opened again, and does not ask when one is closed.
const OPENED: FopenFlags = FopenFlags::FOPEN_KEEP_CACHE.union(FopenFlags::FOPEN_NOFLUSH);

impl Filesystem for Files {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.look_up(parent, name));
    }

    fn forget(&self, _: &Request, node: INodeNo, lookups: u64) {
        let mut nodes = lock(&self.nodes);
        if let Some(known) = nodes.get_mut(&node.0) {
            known.lookups = known.lookups.saturating_sub(lookups);
            if known.lookups == 0 {
                nodes.remove(&node.0);
            }
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attr(reply, self.attributes(node));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        attr(reply, self.set(node, mode, (uid, gid), size, (accessed, modified)));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let made = || {
            self.faults().grows()?;
            DirBuilder::new().mode(mode).create(self.at(parent)?.join(name))?;
            self.look_up(parent, name)
        };
        entry(reply, made());
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = || {
            self.faults().changes()?;
            Ok(fs::remove_file(self.at(parent)?.join(name))?)
        };
        empty(reply, removed());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let removed = || {
            self.faults().changes()?;
            Ok(fs::remove_dir(self.at(parent)?.join(name))?)
        };
        empty(reply, removed());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let renamed = || {
            self.faults().changes()?;
            if !flags.is_empty() {
                return Err(Errno::EINVAL);
            }
            Ok(fs::rename(
                self.at(parent)?.join(name),
                self.at(new_parent)?.join(new_name),
            )?)
        };
        empty(reply, renamed());
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let created = || {
            self.faults().grows()?;
            let exclusive = OFlag::from_bits_retain(flags).contains(OFlag::O_EXCL);
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .create_new(exclusive)
                .mode(mode)
                .open(self.at(parent)?.join(name))?;
            Ok((self.look_up(parent, name)?, lock(&self.open).add(file)))
        };
        match created() {
            Ok((found, handle)) => reply.created(&KNOWN_FOR, &found, Generation(0), handle, OPENED),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, node: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let opened = || {
            let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
            if writes {
                self.faults().changes()?;
            }
            Ok(OpenOptions::new().read(true).write(writes).open(self.at(node)?)?)
        };
        match opened() {
            Ok(file) => reply.opened(lock(&self.open).add(file), OPENED),
            Err(error) => reply.error(error),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        lock(&self.open).files.remove(&handle.0);
        reply.ok();
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut data = vec![0; size as usize];
        let read = self.file(handle).and_then(|file| Ok(file.read_at(&mut data, offset)?));
        match read {
            Ok(length) => reply.data(&data[..length]),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.write(handle, offset, data, flags) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(reply);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.sync(reply);
    }

    fn opendir(&self, _: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let listed = || {
            let entries = fs::read_dir(self.at(node)?)?
                .map(|entry| entry.and_then(|entry| Ok((entry.ino(), kind(entry.file_type()?), entry.file_name()))));
            Ok(entries.collect::<io::Result<Vec<Entry>>>()?)
        };
        match listed() {
            Ok(entries) => reply.opened(lock(&self.open).add_folder(entries), FopenFlags::empty()),
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let open = lock(&self.open);
        let entries = open.folders.get(&handle.0).into_iter().flatten();
        for ((node, kind, name), after) in entries.zip(1..).skip(offset as usize) {
            if reply.add(INodeNo(*node), after, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        lock(&self.open).folders.remove(&handle.0);
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let found = self
            .at(INodeNo::ROOT)
            .and_then(|path| Ok(statvfs(&path).map_err(io::Error::from)?));
        let free = |blocks| if self.faults().full { 0 } else { blocks };
        match found {
            Ok(found) => reply.statfs(
                found.blocks(),
                free(found.blocks_free()),
                free(found.blocks_available()),
                found.files(),
                found.files_free(),
                found.block_size() as u32,
                found.name_max() as u32,
                found.fragment_size() as u32,
            ),
            Err(error) => reply.error(error),
        }
    }
}
