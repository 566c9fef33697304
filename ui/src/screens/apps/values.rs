//! How the values of a part read as text in its form, and back.

use super::cells::{List, Scalar};
use edgedeck_model::app::{Container, Device, ExtraHost, MIB, Mount, Part, Port, Process, Protocol, Restart, Run};
use std::collections::BTreeMap;

pub const NAME: Scalar = Scalar {
    key: "name",
    print: |part| part.name.clone(),
    put: |part, text| {
        text.clone_into(&mut part.name);
        true
    },
};

pub const KIND: Scalar = Scalar {
    key: "kind",
    print: |part| match part.run {
        Run::Container(_) => "container".to_owned(),
        Run::Process(_) => "process".to_owned(),
    },
    put: |part, text| {
        match (text, &part.run) {
            ("container", Run::Process(_)) => part.run = Run::Container(Container::default()),
            ("process", Run::Container(_)) => part.run = Run::Process(Process::default()),
            _ => {}
        }
        true
    },
};

pub const IMAGE: Scalar = Scalar {
    key: "image",
    print: |part| {
        container(part)
            .map(|container| container.image.clone())
            .unwrap_or_default()
    },
    put: |part, text| {
        if let Run::Container(container) = &mut part.run {
            text.trim().clone_into(&mut container.image);
        }
        true
    },
};

pub const PACKAGE: Scalar = Scalar {
    key: "package",
    print: |part| process(part).map(|process| process.package.clone()).unwrap_or_default(),
    put: |part, text| {
        if let Run::Process(process) = &mut part.run {
            text.trim().clone_into(&mut process.package);
        }
        true
    },
};

pub const PROGRAM: Scalar = Scalar {
    key: "program",
    print: |part| process(part).map(|process| process.program.clone()).unwrap_or_default(),
    put: |part, text| {
        if let Run::Process(process) = &mut part.run {
            text.trim().clone_into(&mut process.program);
        }
        true
    },
};

pub const RESTART: Scalar = Scalar {
    key: "restart",
    print: |part| restart_key(part.restart).to_owned(),
    put: |part, text| {
        let found = [Restart::Always, Restart::OnFailure, Restart::Never]
            .into_iter()
            .find(|r| restart_key(*r) == text);
        part.restart = found.unwrap_or(part.restart);
        found.is_some()
    },
};

pub const CPU: Scalar = Scalar {
    key: "cpu",
    print: |part| print_cores(part.resources.cpu_millis),
    put: |part, text| take(read_cores(text), &mut part.resources.cpu_millis),
};

pub const CPU_LIMIT: Scalar = Scalar {
    key: "cpu-limit",
    print: |part| print_cores(part.resources.cpu_limit_millis),
    put: |part, text| take(read_cores(text), &mut part.resources.cpu_limit_millis),
};

pub const MEMORY: Scalar = Scalar {
    key: "memory",
    print: |part| print_mib(part.resources.memory_bytes),
    put: |part, text| take(read_mib(text), &mut part.resources.memory_bytes),
};

pub const MEMORY_LIMIT: Scalar = Scalar {
    key: "memory-limit",
    print: |part| print_mib(part.resources.memory_limit_bytes),
    put: |part, text| take(read_mib(text), &mut part.resources.memory_limit_bytes),
};

pub const NPUS: Scalar = Scalar {
    key: "npus",
    print: |part| print_number(part.resources.npus),
    put: |part, text| take(read_number(text), &mut part.resources.npus),
};

pub const USER: Scalar = Scalar {
    key: "user",
    print: |part| {
        container(part)
            .and_then(|container| container.user)
            .map(|user| user.to_string())
            .unwrap_or_default()
    },
    put: |part, text| match &mut part.run {
        Run::Container(container) => take(read_optional(text), &mut container.user),
        Run::Process(_) => true,
    },
};

pub const GROUP: Scalar = Scalar {
    key: "group",
    print: |part| {
        container(part)
            .and_then(|container| container.group)
            .map(|group| group.to_string())
            .unwrap_or_default()
    },
    put: |part, text| match &mut part.run {
        Run::Container(container) => take(read_optional(text), &mut container.group),
        Run::Process(_) => true,
    },
};

/// Lists of texts, one a row. The cells' titles stand in `part.rs`.
pub const ARGS: List = List {
    key: "args",
    cells: &[],
    print: |part| singles(&part.args),
    put: |part, rows| {
        part.args = firsts(rows);
        None
    },
};

pub const COMMAND: List = List {
    key: "command",
    cells: &[],
    print: |part| {
        container(part)
            .map(|container| singles(&container.command))
            .unwrap_or_default()
    },
    put: |part, rows| {
        if let Run::Container(container) = &mut part.run {
            container.command = firsts(rows);
        }
        None
    },
};

pub const ENV: List = List {
    key: "env",
    cells: &[],
    print: |part| {
        part.env
            .iter()
            .map(|(key, value)| vec![key.clone(), value.clone()])
            .collect()
    },
    put: |part, rows| {
        let mut env = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let (key, value) = (cell(row, 0), cell(row, 1));
            // A row that nothing was typed into yet is none.
            if key.is_empty() && value.is_empty() {
                continue;
            }
            if env.insert(key.to_owned(), value.to_owned()).is_some() {
                return Some(at);
            }
        }
        part.env = env;
        None
    },
};

pub const PORTS: List = List {
    key: "ports",
    cells: &[],
    print: |part| {
        let row = |port: &Port| {
            let protocol = if port.protocol == Protocol::Udp { "udp" } else { "tcp" };
            let address = port.host_ip.clone().unwrap_or_default();
            vec![
                port.host.to_string(),
                port.container.to_string(),
                protocol.to_owned(),
                address,
            ]
        };
        container(part)
            .map(|container| container.ports.iter().map(row).collect())
            .unwrap_or_default()
    },
    put: |part, rows| {
        let Run::Container(container) = &mut part.run else {
            return None;
        };
        let mut ports = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            if cell(row, 0).is_empty() && cell(row, 1).is_empty() {
                continue;
            }
            let (Ok(host), Ok(inside)) = (cell(row, 0).parse(), cell(row, 1).parse()) else {
                return Some(at);
            };
            let protocol = if cell(row, 2) == "udp" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            };
            let address = cell(row, 3);
            let host_ip = (!address.is_empty()).then(|| address.to_owned());
            ports.push(Port {
                name: String::new(),
                container: inside,
                host,
                host_ip,
                protocol,
            });
        }
        let same = |a: &Port, b: &Port| (a.host, a.container, a.protocol) == (b.host, b.container, b.protocol);
        keep_names(&container.ports, &mut ports, same, |port| &mut port.name);
        container.ports = ports;
        None
    },
};

pub const MOUNTS: List = List {
    key: "mounts",
    cells: &[],
    print: |part| {
        let row = |mount: &Mount| {
            let way = if mount.read_only { "ro" } else { "rw" };
            vec![mount.host.clone(), mount.container.clone(), way.to_owned()]
        };
        container(part)
            .map(|container| container.mounts.iter().map(row).collect())
            .unwrap_or_default()
    },
    put: |part, rows| {
        let Run::Container(container) = &mut part.run else {
            return None;
        };
        let mounts = rows
            .iter()
            .filter(|row| !cell(row, 0).is_empty() || !cell(row, 1).is_empty());
        let mut mounts: Vec<_> = mounts
            .map(|row| Mount {
                name: String::new(),
                host: cell(row, 0).to_owned(),
                container: cell(row, 1).to_owned(),
                read_only: cell(row, 2) != "rw",
            })
            .collect();
        let same = |a: &Mount, b: &Mount| (&a.host, &a.container) == (&b.host, &b.container);
        keep_names(&container.mounts, &mut mounts, same, |mount| &mut mount.name);
        container.mounts = mounts;
        None
    },
};

/// What a device may be used for, the usual first.
pub const RIGHTS: &[&str] = &["rwm", "rw", "r", "w", "rm", "wm", "m"];

pub const DEVICES: List = List {
    key: "devices",
    cells: &[],
    print: |part| {
        let row = |device: &Device| {
            let rights = [(device.read, 'r'), (device.write, 'w'), (device.mknod, 'm')];
            let rights = rights.into_iter().filter(|(given, _)| *given).map(|(_, right)| right);
            vec![device.host.clone(), device.container.clone(), rights.collect()]
        };
        container(part)
            .map(|container| container.devices.iter().map(row).collect())
            .unwrap_or_default()
    },
    put: |part, rows| {
        if let Run::Container(container) = &mut part.run {
            let named = rows.iter().filter(|row| !cell(row, 0).is_empty());
            let device = |row: &Vec<String>| {
                let (host, inside, rights) = (cell(row, 0), cell(row, 1), cell(row, 2));
                Device {
                    host: host.to_owned(),
                    // Mostly the same.
                    container: if inside.is_empty() { host } else { inside }.to_owned(),
                    read: rights.contains('r'),
                    write: rights.contains('w'),
                    mknod: rights.contains('m'),
                }
            };
            container.devices = named.map(device).collect();
        }
        None
    },
};

pub const EXTRA_HOSTS: List = List {
    key: "extra-hosts",
    cells: &[],
    print: |part| {
        let row = |host: &ExtraHost| vec![host.name.clone(), host.ip.clone()];
        container(part)
            .map(|container| container.extra_hosts.iter().map(row).collect())
            .unwrap_or_default()
    },
    put: |part, rows| {
        if let Run::Container(container) = &mut part.run {
            let named = rows
                .iter()
                .filter(|row| !cell(row, 0).is_empty() || !cell(row, 1).is_empty());
            let host = |row: &Vec<String>| ExtraHost {
                name: cell(row, 0).to_owned(),
                ip: cell(row, 1).to_owned(),
            };
            container.extra_hosts = named.map(host).collect();
        }
        None
    },
};

/// The form does not show names: an entry keeps its own, by its place as long as there are as many, else by what it
/// says.
fn keep_names<T: Clone>(old: &[T], new: &mut [T], same: impl Fn(&T, &T) -> bool, name: impl Fn(&mut T) -> &mut String) {
    let by_place = old.len() == new.len();
    for (at, entry) in new.iter_mut().enumerate() {
        let found = if by_place {
            old.get(at)
        } else {
            old.iter().find(|old| same(old, entry))
        };
        if let Some(mut found) = found.cloned() {
            *name(entry) = std::mem::take(name(&mut found));
        }
    }
}

pub fn container(part: &Part) -> Option<&Container> {
    if let Run::Container(container) = &part.run {
        Some(container)
    } else {
        None
    }
}

pub fn process(part: &Part) -> Option<&Process> {
    if let Run::Process(process) = &part.run {
        Some(process)
    } else {
        None
    }
}

pub fn restart_key(restart: Restart) -> &'static str {
    match restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::Never => "never",
    }
}

pub fn cell(row: &[String], at: usize) -> &str {
    row.get(at).map_or("", |text| text.trim())
}

fn singles(texts: &[String]) -> Vec<Vec<String>> {
    texts.iter().map(|text| vec![text.clone()]).collect()
}

/// Arguments stay as typed, blanks and all.
fn firsts(rows: &[Vec<String>]) -> Vec<String> {
    rows.iter()
        .map(|row| row.first().cloned().unwrap_or_default())
        .collect()
}

pub fn take<T>(read: Option<T>, into: &mut T) -> bool {
    match read {
        Some(value) => {
            *into = value;
            true
        }
        None => false,
    }
}

/// Nothing asked reads as an empty field.
fn print_number(value: u32) -> String {
    if value == 0 { String::new() } else { value.to_string() }
}

pub fn read_number(text: &str) -> Option<u32> {
    let text = text.trim();
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

fn read_optional(text: &str) -> Option<Option<u32>> {
    let text = text.trim();
    if text.is_empty() {
        Some(None)
    } else {
        text.parse().ok().map(Some)
    }
}

/// Thousandths of a core as cores.
fn print_cores(millis: u32) -> String {
    if millis == 0 {
        String::new()
    } else {
        (f64::from(millis) / 1_000.0).to_string()
    }
}

fn read_cores(text: &str) -> Option<u32> {
    let millis = read_decimal(text)? * 1_000.0;
    (millis <= f64::from(u32::MAX)).then(|| millis.round() as u32)
}

/// Bytes as MiB.
fn print_mib(bytes: u64) -> String {
    if bytes == 0 {
        String::new()
    } else {
        (bytes as f64 / MIB as f64).to_string()
    }
}

fn read_mib(text: &str) -> Option<u64> {
    let bytes = read_decimal(text)? * MIB as f64;
    (bytes < 2_f64.powi(53)).then(|| bytes.round() as u64)
}

fn read_decimal(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.is_empty() {
        return Some(0.0);
    }
    let plain = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screens::apps::editor::container_spec;

    fn part() -> Part {
        container_spec("nginx:1").parts.remove(0)
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        for (text, millis) in [
            ("", Some(0)),
            ("0.5", Some(500)),
            ("2", Some(2_000)),
            ("1.2345", Some(1_235)),
            (".25", Some(250)),
        ] {
            assert_eq!(read_cores(text), millis, "{text}");
        }
        for bad in ["-1", "1e3", "half", "1,5", "NaN", "99999999999"] {
            assert_eq!(read_cores(bad), None, "{bad}");
        }
        assert_eq!(read_mib("512"), Some(512 * MIB));
        assert_eq!(read_mib("99999999999999999"), None);
        assert_eq!(read_optional(""), Some(None));
        assert_eq!(read_optional("1000"), Some(Some(1_000)));
        assert_eq!(read_optional("x"), None);
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        for millis in [0, 1, 333, 1_000, 64_125, 999_999] {
            assert_eq!(read_cores(&print_cores(millis)), Some(millis));
        }
        for bytes in [0, 1, 7 * MIB, 7 * MIB + 1, 123_456_789_012, 1_024_000 * MIB] {
            assert_eq!(read_mib(&print_mib(bytes)), Some(bytes));
        }
    }

    #[test]
    fn rows_of_a_list_read_back_and_a_wrong_one_is_named() {
        let mut part = part();
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = [row(&["8080", "80", "udp", ""]), row(&["", "", "tcp", ""])];
        assert_eq!((PORTS.put)(&mut part, &rows), None);
        assert_eq!((PORTS.print)(&part), vec![row(&["8080", "80", "udp", ""])]);
        assert_eq!(
            (PORTS.put)(&mut part, &[row(&["1", "2", "tcp", ""]), row(&["x", "2", "tcp", ""])]),
            Some(1)
        );
        assert_eq!((PORTS.print)(&part).len(), 1);

        assert_eq!(
            (ENV.put)(&mut part, &[row(&["A", "1"]), row(&["", ""]), row(&["B", ""])]),
            None
        );
        assert_eq!(part.env.len(), 2);
        assert_eq!((ENV.put)(&mut part, &[row(&["A", "1"]), row(&["A", "2"])]), Some(1));

        assert_eq!((MOUNTS.put)(&mut part, &[row(&["/data", "/in", "rw"])]), None);
        assert_eq!((MOUNTS.print)(&part), vec![row(&["/data", "/in", "rw"])]);

        let devices = [row(&["/dev/video0", "", "rw"]), row(&["", "", "rwm"])];
        assert_eq!((DEVICES.put)(&mut part, &devices), None);
        assert_eq!((DEVICES.print)(&part), vec![row(&["/dev/video0", "/dev/video0", "rw"])]);
        for rights in RIGHTS {
            let devices = [row(&["/dev/a", "/dev/b", rights])];
            assert_eq!((DEVICES.put)(&mut part, &devices), None);
            assert_eq!((DEVICES.print)(&part), devices);
        }
        assert_eq!(
            (EXTRA_HOSTS.put)(&mut part, &[row(&["db", "10.0.0.1"]), row(&["", ""])]),
            None
        );
        assert_eq!((EXTRA_HOSTS.print)(&part), vec![row(&["db", "10.0.0.1"])]);

        assert_eq!((ARGS.put)(&mut part, &[row(&["a b"]), row(&[""])]), None);
        assert_eq!(part.args, ["a b", ""]);
    }
}
