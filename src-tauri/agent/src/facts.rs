//! What a node is: system, processors, memory, disks, network.

use crate::sources::Sources;
use edgedeck_model::{
    Time,
    name::tame,
    node::{Disk, Facts, Nic},
    time::SECOND,
};
use nix::sys::statvfs::statvfs;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};
use tokio::sync::Semaphore;

/// File systems that hold files for longer than a boot and can fill up.
const DISK_FILESYSTEMS: &[&str] = &[
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "jffs2", "ntfs3", "ubifs", "vfat", "xfs", "zfs",
];
/// A disk that does not answer within this time is left out.
const DISK_DEADLINE: Duration = Duration::from_secs(3);
/// Threads that may wait for dead disks.
static ASKING: Semaphore = Semaphore::const_new(32);
const DISKS_MAX: usize = 64;
const NICS_MAX: usize = 64;

/// Everything but container engine and NPUs, which have their own readers.
pub async fn read(sources: &Sources) -> Facts {
    let disks = disks(sources).await;
    let nics = nics(sources);
    Facts {
        host_name: sources.value("proc/sys/kernel/hostname").unwrap_or_default(),
        arch: std::env::consts::ARCH.to_owned(),
        os: os(sources),
        kernel: sources.value("proc/sys/kernel/osrelease").unwrap_or_default(),
        model: model(sources),
        cpu_model: cpu_model(sources),
        cpus: cpus(sources),
        memory_bytes: memory(sources).map_or(0, |(total, _)| total),
        ip: ip(sources, &nics),
        boot_at: boot_at(sources),
        disks,
        nics,
        agent_version: crate::version().to_owned(),
        ..Facts::default()
    }
}

/// The system's boot, as the kernel numbers it; empty where it does not.
pub fn boot_id(sources: &Sources) -> String {
    sources.value("proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn os(sources: &Sources) -> String {
    let text = sources
        .text("etc/os-release")
        .or_else(|| sources.text("usr/lib/os-release"))
        .unwrap_or_default();
    let value = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        let value = tame(line.trim().trim_matches(['"', '\'']), 120);
        (!value.is_empty()).then_some(value)
    };
    value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_default()
}

fn model(sources: &Sources) -> Option<String> {
    let dmi = sources.value("sys/class/dmi/id/product_name").filter(|name| {
        let lower = name.to_ascii_lowercase();
        !lower.starts_with("to be filled") && lower != "default string" && lower != "system product name"
    });
    dmi.or_else(|| sources.value("proc/device-tree/model"))
        .or_else(|| sources.value("sys/firmware/devicetree/base/model"))
}

fn cpu_model(sources: &Sources) -> Option<String> {
    let text = sources.text("proc/cpuinfo")?;
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key)
                .then(|| tame(value, 120))
                .filter(|value| !value.is_empty())
        })
    };
    value("model name")
        .or_else(|| value("Hardware"))
        .or_else(|| value("cpu model"))
}

/// Logical processors that are online.
pub fn cpus(sources: &Sources) -> u32 {
    let text = sources.text("proc/stat").unwrap_or_default();
    let is_one = |line: &&str| {
        line.strip_prefix("cpu")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    u32::try_from(text.lines().filter(is_one).count()).unwrap_or(u32::MAX)
}

/// Bytes of memory in all, and those that new programs could have.
pub fn memory(sources: &Sources) -> Option<(u64, u64)> {
    let text = sources.text("proc/meminfo")?;
    let bytes = |key: &str| -> Option<u64> {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let total = bytes("MemTotal")?;
    // Kernels before 3.14 do not say what is available.
    let available = bytes("MemAvailable").or_else(|| Some(bytes("MemFree")? + bytes("Buffers")? + bytes("Cached")?))?;
    Some((total, available.min(total)))
}

fn boot_at(sources: &Sources) -> Option<Time> {
    let text = sources.text("proc/stat")?;
    let seconds: i64 = text
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    seconds.checked_mul(SECOND).map(Time)
}

/// A mount point that holds files on a disk.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    mount: String,
    device: String,
    filesystem: String,
}

fn mounted(sources: &Sources) -> Vec<Mounted> {
    let text = sources.text("proc/self/mountinfo").unwrap_or_default();
    let mut found: BTreeMap<String, Mounted> = BTreeMap::new();
    for line in text.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let (mut left, mut right) = (left.split(' '), right.split(' '));
        let (Some(number), Some(mount)) = (left.nth(2), left.nth(1)) else {
            continue;
        };
        let (Some(filesystem), Some(device)) = (right.next(), right.next()) else {
            continue;
        };
        let (mount, device) = (unescape(mount), unescape(device));
        // The root of a box that is itself a container counts, but no container's layers do.
        let counts = DISK_FILESYSTEMS.contains(&filesystem) || (filesystem == "overlay" && mount == "/");
        if !counts {
            continue;
        }
        // One disk can be mounted in many places; the shortest path is where people look for it.
        let key = if device.starts_with("/dev/") {
            device.clone()
        } else {
            number.to_owned()
        };
        let entry = Mounted {
            mount,
            device,
            filesystem: filesystem.to_owned(),
        };
        match found.get(&key) {
            Some(other) if other.mount.len() <= entry.mount.len() => {}
            _ => {
                found.insert(key, entry);
            }
        }
    }
    let mut list: Vec<Mounted> = found.into_values().collect();
    list.sort_by(|a, b| a.mount.cmp(&b.mount));
    list.truncate(DISKS_MAX);
    list
}

/// Undoes the octal escapes of `/proc/self/mountinfo`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal
            .filter(|_| first == b'\\')
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Disks with what is used of them. Each is asked on a thread of its own: a dead one can hang.
pub async fn disks(sources: &Sources) -> Vec<Disk> {
    let asked: Vec<_> = mounted(sources)
        .into_iter()
        .filter_map(|mounted| {
            let path = sources.path(&mounted.mount);
            let permit = ASKING.try_acquire().ok()?;
            let task = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                statvfs(&path)
            });
            Some((mounted, task))
        })
        .collect();
    let until = tokio::time::Instant::now() + DISK_DEADLINE;
    let mut disks = Vec::with_capacity(asked.len());
    for (mounted, task) in asked {
        let Ok(Ok(Ok(stat))) = tokio::time::timeout_at(until, task).await else {
            continue;
        };
        #[allow(clippy::unnecessary_cast, reason = "the widths differ between architectures")]
        let (unit, blocks, free) = (
            stat.fragment_size() as u64,
            stat.blocks() as u64,
            stat.blocks_free() as u64,
        );
        let total_bytes = blocks.saturating_mul(unit);
        if total_bytes > 0 {
            disks.push(Disk {
                mount: tame(&mounted.mount, 200),
                device: tame(&mounted.device, 200),
                filesystem: mounted.filesystem,
                total_bytes,
                used_bytes: blocks.saturating_sub(free).saturating_mul(unit),
            });
        }
    }
    disks
}

fn nics(sources: &Sources) -> Vec<Nic> {
    let mut addresses: BTreeMap<String, BTreeSet<(bool, String)>> = BTreeMap::new();
    // Addresses have no file that names them with their interface.
    if sources.is_real()
        && let Ok(found) = nix::ifaddrs::getifaddrs()
    {
        for entry in found {
            let Some(address) = entry.address else { continue };
            let text = if let Some(v4) = address.as_sockaddr_in() {
                (false, v4.ip().to_string())
            } else if let Some(v6) = address.as_sockaddr_in6() {
                (true, v6.ip().to_string())
            } else {
                continue;
            };
            addresses.entry(entry.interface_name).or_default().insert(text);
        }
    }
    let is_shown = |name: &String| name != "lo" && !name.starts_with("veth");
    sources
        .names("sys/class/net")
        .into_iter()
        .filter(is_shown)
        .take(NICS_MAX)
        .map(|name| Nic {
            physical: sources.path(&format!("sys/class/net/{name}/device")).exists(),
            mac: sources
                .value(&format!("sys/class/net/{name}/address"))
                .filter(|mac| mac != "00:00:00:00:00:00"),
            addresses: addresses
                .remove(&name)
                .unwrap_or_default()
                .into_iter()
                .map(|(_, text)| text)
                .collect(),
            name,
        })
        .collect()
}

/// The address of the interface that the default route uses, else the first that reaches beyond the node.
fn ip(sources: &Sources, nics: &[Nic]) -> Option<String> {
    let routes = sources.text("proc/net/route").unwrap_or_default();
    let default_route = routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let (name, destination) = (fields.next()?, fields.next()?);
        (destination == "00000000").then(|| name.to_owned())
    });
    let reaches = |text: &&String| {
        let v4 = text
            .parse::<Ipv4Addr>()
            .is_ok_and(|ip| !ip.is_loopback() && !ip.is_link_local());
        v4 || text
            .parse::<Ipv6Addr>()
            .is_ok_and(|ip| !ip.is_loopback() && !ip.is_unicast_link_local())
    };
    let of = |nic: &Nic| nic.addresses.iter().find(reaches).cloned();
    nics.iter()
        .filter(|nic| Some(&nic.name) == default_route.as_ref())
        .find_map(of)
        .or_else(|| nics.iter().find_map(of))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::fs;

    /// A machine of captured files.
    pub(crate) fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let sources = Sources {
            root: dir.path().to_owned(),
        };
        (dir, sources)
    }

    const MOUNTS: &str = "\
22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw
23 22 0:21 / /proc rw - proc proc rw
24 22 0:22 / /sys rw - sysfs sysfs rw
25 22 8:1 / /boot/efi rw - vfat /dev/sda1 rw
26 22 0:30 / /run rw - tmpfs tmpfs rw
27 22 8:3 / /mnt/with\\040blank rw - xfs /dev/sda3 rw
28 22 8:2 /var/lib/docker /var/lib/docker rw - ext4 /dev/sda2 rw
29 28 0:44 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw
30 22 7:1 / /snap/core/1 ro - squashfs /dev/loop1 ro
half a line
31 22";

    #[test]
    fn only_disks_and_each_once() {
        let (_dir, sources) = machine(&[("proc/self/mountinfo", MOUNTS)]);
        let mounts: Vec<String> = mounted(&sources)
            .into_iter()
            .map(|m| format!("{} {}", m.mount, m.device))
            .collect();
        assert_eq!(
            mounts,
            ["/ /dev/sda2", "/boot/efi /dev/sda1", "/mnt/with blank /dev/sda3"]
        );
    }

    #[tokio::test]
    async fn an_arm_box() {
        let (dir, sources) = machine(&[
            ("proc/sys/kernel/hostname", "atlas-7\n"),
            ("proc/sys/kernel/osrelease", "5.10.0+\n"),
            (
                "etc/os-release",
                "NAME=\"openEuler\"\nPRETTY_NAME=\"openEuler 22.03 (LTS-SP3)\"\n",
            ),
            ("proc/device-tree/model", "Atlas 200I DK A2\0"),
            ("proc/cpuinfo", "processor\t: 0\nBogoMIPS\t: 96.00\nCPU part\t: 0xd02\n"),
            (
                "proc/stat",
                "cpu  1 2 3 4\ncpu0 1 2 3 4\ncpu1 1 2 3 4\nctxt 5\nbtime 1700000000\n",
            ),
            (
                "proc/meminfo",
                "MemTotal:        3885268 kB\nMemFree:  1 kB\nMemAvailable:    2885268 kB\n",
            ),
            ("proc/self/mountinfo", MOUNTS),
            ("proc/net/route", "Iface Destination Gateway\neth1 00000000 0101A8C0\n"),
            ("sys/class/net/eth0/address", "aa:bb:cc:dd:ee:01\n"),
            ("sys/class/net/lo/address", "00:00:00:00:00:00\n"),
            ("sys/class/net/veth12/address", "aa:bb:cc:dd:ee:02\n"),
            ("proc/sys/kernel/random/boot_id", "5f1a\n"),
        ]);
        fs::create_dir_all(dir.path().join("boot/efi")).unwrap();
        let facts = read(&sources).await;
        assert_eq!(facts.host_name, "atlas-7");
        assert_eq!(facts.os, "openEuler 22.03 (LTS-SP3)");
        assert_eq!(facts.model.as_deref(), Some("Atlas 200I DK A2"));
        assert_eq!((facts.cpu_model, facts.cpus), (None, 2));
        assert_eq!(facts.memory_bytes, 3_885_268 * 1024);
        assert_eq!(facts.boot_at, Some(Time(1_700_000_000_000)));
        assert_eq!(facts.nics.len(), 1);
        assert_eq!(facts.nics[0].mac.as_deref(), Some("aa:bb:cc:dd:ee:01"));
        // What is mounted but cannot be asked is left out, never shown as empty.
        let mounts: Vec<&str> = facts.disks.iter().map(|disk| disk.mount.as_str()).collect();
        assert_eq!(mounts, ["/", "/boot/efi"]);
        assert!(
            facts
                .disks
                .iter()
                .all(|disk| disk.total_bytes >= disk.used_bytes && disk.total_bytes > 0)
        );
        assert_eq!(boot_id(&sources), "5f1a");
    }

    #[tokio::test]
    async fn a_machine_that_tells_nothing() {
        let (_dir, sources) = machine(&[]);
        let facts = read(&sources).await;
        assert_eq!(
            (facts.cpus, facts.memory_bytes, facts.disks.len(), facts.nics.len()),
            (0, 0, 0, 0)
        );
        assert_eq!((facts.model, facts.boot_at, facts.ip), (None, None, None));
    }

    #[tokio::test]
    async fn this_machine() {
        let facts = read(&Sources::default()).await;
        assert!(
            !facts.host_name.is_empty() && facts.cpus > 0 && facts.memory_bytes > 0,
            "{facts:?}"
        );
        assert!(facts.boot_at.is_some() && !facts.kernel.is_empty(), "{facts:?}");
    }

    #[test]
    fn the_address_of_the_default_route_comes_first() {
        let (_dir, sources) = machine(&[("proc/net/route", "Iface Destination\neth0 0000FEA9\neth1 00000000\n")]);
        let nic = |name: &str, address: &str| Nic {
            name: name.to_owned(),
            addresses: vec![address.to_owned()],
            ..Nic::default()
        };
        let nics = [
            nic("eth0", "169.254.1.1"),
            nic("docker0", "172.17.0.1"),
            nic("eth1", "192.168.1.8"),
        ];
        assert_eq!(ip(&sources, &nics).as_deref(), Some("192.168.1.8"));
        assert_eq!(ip(&sources, &nics[..2]).as_deref(), Some("172.17.0.1"));
        assert_eq!(ip(&sources, &nics[..1]), None);
    }
}
