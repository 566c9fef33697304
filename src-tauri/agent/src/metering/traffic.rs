//! Bytes of containers on the host's network, which have no interface of their own: counted by the kernel for each
//! container's control group.
//!
//! Programs and counters are pinned in the bpf file system, one folder per run of a container, so that counting goes on
//! while the agent does not run, and a run's last figure can be read after its end. Where they cannot be pinned (there is
//! no bpf file system, or the kernel is older than 5.7) they end with the agent, and count anew with the next.

use super::program;
use crate::sources::Sources;
use aya::{
    Ebpf, EbpfError,
    maps::{Array, Map, MapData, MapError},
    pin::PinError,
    programs::{
        CgroupAttachMode, CgroupSkb, ProgramError,
        cgroup_skb::CgroupSkbAttachType,
        links::{FdLink, LinkError},
    },
    util::KernelVersion,
};
use edgedeck_model::NodeId;
use nix::{
    mount::{MsFlags, mount},
    sys::resource::{RLIM_INFINITY, Resource, setrlimit},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Where the bpf file system is mounted when it is not mounted yet.
const BPF_MOUNT: &str = "sys/fs/bpf";

/// Counters of a container since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub sent: u64,
    pub received: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum TrafficError {
    #[error("there are no control groups of version 2")]
    NoControlGroups,
    #[error("process {0} has no control group of version 2 for its container alone")]
    Shared(i64),
    #[error("{doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("writing the programs")]
    Object(#[source] object::write::Error),
    #[error("loading the programs")]
    Load(#[source] Box<EbpfError>),
    #[error("attaching a program")]
    Attach(#[source] Box<ProgramError>),
    #[error("the programs have no {0}")]
    Missing(&'static str),
    #[error("keeping a program attached")]
    Link(#[source] Box<LinkError>),
    #[error("pinning")]
    Pin(#[source] Box<PinError>),
    #[error("reading the counters")]
    Map(#[source] Box<MapError>),
}

impl From<EbpfError> for TrafficError {
    fn from(error: EbpfError) -> Self {
        Self::Load(Box::new(error))
    }
}

impl From<ProgramError> for TrafficError {
    fn from(error: ProgramError) -> Self {
        Self::Attach(Box::new(error))
    }
}

impl From<LinkError> for TrafficError {
    fn from(error: LinkError) -> Self {
        Self::Link(Box::new(error))
    }
}

impl From<PinError> for TrafficError {
    fn from(error: PinError) -> Self {
        Self::Pin(Box::new(error))
    }
}

impl From<MapError> for TrafficError {
    fn from(error: MapError) -> Self {
        Self::Map(Box::new(error))
    }
}

/// The counters of one run.
struct Counted {
    counts: Array<MapData, u64>,
    /// What detaches when it is dropped, where it could not be pinned.
    _unpinned: Option<Ebpf>,
}

/// The counters of all runs.
pub struct Traffic {
    sources: Sources,
    /// This node's folder in the bpf file system.
    folder: Option<PathBuf>,
    counted: HashMap<String, Counted>,
}

impl Traffic {
    /// Looks for what was pinned before.
    pub fn open(sources: Sources, node: NodeId) -> Self {
        let folder = pin_folder(&sources, node)
            .inspect_err(|error| {
                tracing::info!("traffic is counted only while the agent runs: {}", crate::chain(error))
            })
            .ok();
        // Older kernels take the memory of maps from this limit.
        let _older_kernels_only = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
        Self {
            sources,
            folder,
            counted: HashMap::new(),
        }
    }

    /// The counters of a run, which begin now when it was not counted yet. `run` is a name in a folder.
    ///
    /// # Errors
    /// [`TrafficError`] where its traffic cannot be counted.
    pub fn count(&mut self, run: &str, container: &str, pid: i64) -> Result<Bytes, TrafficError> {
        if !self.counted.contains_key(run) {
            let counted = match self.pinned(run) {
                Some(counts) => Counted {
                    counts,
                    _unpinned: None,
                },
                None => self
                    .attach(run, &control_group(&self.sources, container, pid)?)
                    .inspect_err(|_| self.remove_pins(run))?,
            };
            self.counted.insert(run.to_owned(), counted);
        }
        self.read(run).ok_or(TrafficError::Missing("counters"))?
    }

    /// The last counters of a run that has ended, if it was counted.
    pub fn last(&mut self, run: &str) -> Option<Bytes> {
        if !self.counted.contains_key(run) {
            let counts = self.pinned(run)?;
            self.counted.insert(
                run.to_owned(),
                Counted {
                    counts,
                    _unpinned: None,
                },
            );
        }
        self.read(run)?.ok()
    }

    /// Names of all runs that are counted or were pinned.
    pub fn runs(&self) -> Vec<String> {
        let pinned = self.folder.iter().flat_map(fs::read_dir).flatten();
        let pinned = pinned.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut runs: Vec<String> = pinned.chain(self.counted.keys().cloned()).collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// Counts a run no longer.
    pub fn forget(&mut self, run: &str) {
        self.counted.remove(run);
        self.remove_pins(run);
    }

    fn remove_pins(&self, run: &str) {
        if let Some(folder) = &self.folder {
            remove(&folder.join(run));
        }
    }

    /// Counts nothing any longer.
    pub fn forget_all(&mut self) {
        for run in self.runs() {
            self.forget(&run);
        }
        if let Some(folder) = &self.folder {
            remove(folder);
        }
    }

    fn read(&self, run: &str) -> Option<Result<Bytes, TrafficError>> {
        let counts = &self.counted.get(run)?.counts;
        let read = |place| counts.get(&place, 0);
        Some(
            read(program::SENT)
                .and_then(|sent| {
                    let received = read(program::RECEIVED)?;
                    Ok(Bytes { sent, received })
                })
                .map_err(Into::into),
        )
    }

    /// What was pinned of a run, if all of it is there.
    fn pinned(&self, run: &str) -> Option<Array<MapData, u64>> {
        let folder = self.folder.as_ref()?.join(run);
        let is_whole = [program::EGRESS, program::INGRESS]
            .iter()
            .all(|name| folder.join(name).exists());
        let counts = is_whole
            .then(|| MapData::from_pin(folder.join(program::COUNTS)).ok())
            .flatten();
        let counts = counts.and_then(|data| Array::try_from(Map::Array(data)).ok());
        if counts.is_none() {
            // Half of it would count half.
            remove(&folder);
        }
        counts
    }

    fn attach(&self, run: &str, group: &Path) -> Result<Counted, TrafficError> {
        let io = |doing, path: &Path| {
            let path = path.to_owned();
            move |source| TrafficError::Io { doing, path, source }
        };
        let directory = File::open(group).map_err(io("opening", group))?;
        let object = program::object().map_err(TrafficError::Object)?;
        let mut programs = Ebpf::load(&object)?;
        let has_links = KernelVersion::current().is_ok_and(|kernel| kernel >= KernelVersion::new(5, 7, 0));
        let folder = self
            .folder
            .as_ref()
            .filter(|_| has_links)
            .map(|folder| folder.join(run));
        if let Some(folder) = &folder {
            fs::create_dir(folder).map_err(io("making", folder))?;
        }
        let counts = programs
            .take_map(program::COUNTS)
            .ok_or(TrafficError::Missing(program::COUNTS))?;
        if let Some(folder) = &folder {
            counts.pin(folder.join(program::COUNTS))?;
        }
        // A link leaves room for others whatever is asked for; without links, one of our own that an agent left behind is
        // replaced, and not counted twice.
        let mode = CgroupAttachMode::Single;
        for (name, direction) in [
            (program::EGRESS, CgroupSkbAttachType::Egress),
            (program::INGRESS, CgroupSkbAttachType::Ingress),
        ] {
            let found: &mut CgroupSkb = programs
                .program_mut(name)
                .ok_or(TrafficError::Missing(name))?
                .try_into()?;
            found.load()?;
            let link = found.attach(&directory, direction, mode)?;
            if let Some(folder) = &folder {
                FdLink::try_from(found.take_link(link)?)?.pin(folder.join(name))?;
            }
        }
        Ok(Counted {
            counts: Array::try_from(counts)?,
            _unpinned: folder.is_none().then_some(programs),
        })
    }
}

/// Removes a folder of the bpf file system with the files in it, which detaches what they pin.
fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("removing {}: {error}", folder.display());
        }
        _ => {}
    }
}

/// Where a file system of this kind is mounted whole.
fn mount_point(sources: &Sources, kind: &str) -> Option<PathBuf> {
    let mounts = sources.text("proc/self/mountinfo")?;
    mounts.lines().find_map(|line| {
        // id, parent, device, root, mount point, options and tags, "-", kind
        let (place, rest) = line.split_once(" - ")?;
        let mut fields = place.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (rest.split(' ').next() == Some(kind) && root == "/").then(|| sources.path(point))
    })
}

/// This node's folder in the bpf file system, which is mounted where it is not.
fn pin_folder(sources: &Sources, node: NodeId) -> Result<PathBuf, TrafficError> {
    let point = match mount_point(sources, "bpf") {
        Some(point) => point,
        None => {
            let point = sources.path(BPF_MOUNT);
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("bpf"), &point, Some("bpf"), flags, Some("mode=0700")).map_err(|errno| TrafficError::Io {
                doing: "mounting",
                path: point.clone(),
                source: errno.into(),
            })?;
            point
        }
    };
    let folder = point.join(format!("edgedeck-{}", node.0.simple()));
    match fs::create_dir(&folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(TrafficError::Io {
            doing: "making",
            path: folder,
            source,
        }),
        _ => Ok(folder),
    }
}

/// The folder of a container's control group of version 2, which runtimes make on machines with both versions, too.
fn control_group(sources: &Sources, container: &str, pid: i64) -> Result<PathBuf, TrafficError> {
    let point = mount_point(sources, "cgroup2").ok_or(TrafficError::NoControlGroups)?;
    let groups = sources.text(&format!("proc/{pid}/cgroup"));
    let group = groups
        .as_deref()
        .and_then(|groups| groups.lines().find_map(|line| line.strip_prefix("0::")));
    // A group that is not the container's own would count others, too.
    let own = group.filter(|group| group.contains(container) && !group.contains(".."));
    let own = own.ok_or(TrafficError::Shared(pid))?;
    Ok(point.join(own.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::machine;

    const MOUNTS: &str = "\
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 /docker/x /sys/fs/cgroup/half rw shared:9 - cgroup2 cgroup2 rw\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:10 - cgroup2 cgroup2 rw\n";

    #[test]
    fn only_a_control_group_of_the_containers_own_is_counted() {
        let (_dir, sources) = machine(&[
            ("proc/self/mountinfo", MOUNTS),
            ("proc/7/cgroup", "9:name=systemd:/docker/c0ffee\n0::/docker/c0ffee\n"),
            ("proc/8/cgroup", "4:memory:/docker/c0ffee\n0::/\n"),
            ("proc/9/cgroup", "4:memory:/docker/c0ffee\n"),
        ]);
        assert_eq!(
            control_group(&sources, "c0ffee", 7).unwrap(),
            sources.path("/sys/fs/cgroup/unified/docker/c0ffee")
        );
        for pid in [8, 9, 10] {
            let found = control_group(&sources, "c0ffee", pid);
            assert!(matches!(found, Err(TrafficError::Shared(_))), "{found:?}");
        }
        let (_dir, bare) = machine(&[("proc/self/mountinfo", "")]);
        let found = control_group(&bare, "c0ffee", 7);
        assert!(matches!(found, Err(TrafficError::NoControlGroups)), "{found:?}");
    }
}
