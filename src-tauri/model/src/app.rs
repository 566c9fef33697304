//! Apps and their versions: what can run on a node.

use crate::{
    AppId, Time, VersionId, name,
    probe::{self, Probe},
    problem::Problem,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

pub const MIB: u64 = 1024 * 1024;
/// Most containers or processes in one version.
pub const PARTS_MAX: usize = 10;
/// Most variables, ports, arguments or mounts of one part.
pub const ENTRIES_MAX: usize = 256;
/// Most names that a container finds in its hosts file through its specification.
pub const HOSTS_MAX: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    pub id: AppId,
    pub rev: u64,
    pub name: String,
    pub description: String,
    pub created_at: Time,
    pub updated_at: Time,
    /// The newest version.
    pub latest: VersionId,
    /// It was written down with a deployment and goes with its last one.
    #[serde(default)]
    pub inline: bool,
}

/// One frozen specification of an app. A change makes a new version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    pub id: VersionId,
    pub rev: u64,
    pub app: AppId,
    /// Chosen by the author, unique within the app: `1`, `2.3-rc1` …
    pub label: String,
    pub spec: Spec,
    pub created_at: Time,
}

/// What runs on each node of a deployment: one or more parts that start and stop together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    pub parts: Vec<Part>,
}

/// One container or one process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Unique in the version; lower-case letters, digits and `-`.
    pub name: String,
    pub run: Run,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub restart: Restart,
    // What came later is written only where it is set: a running part carries the hash of what it was made from.
    /// The part is started anew when this fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    /// The part is ready while this passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Run {
    Container(Container),
    Process(Process),
}

/// A container, run by the node's container engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Image reference with tag or digest.
    pub image: String,
    /// Replaces the image's entry point when not empty.
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(default)]
    pub ports: Vec<Port>,
    #[serde(default)]
    pub mounts: Vec<Mount>,
    /// Numeric user and group; the image's own where absent.
    #[serde(default)]
    pub user: Option<u32>,
    #[serde(default)]
    pub group: Option<u32>,
    /// Read-only root, no capabilities, no new privileges, never root.
    #[serde(default)]
    pub hardened: bool,
    /// Share the node's network instead of a network of its own.
    #[serde(default)]
    pub host_network: bool,
    /// All capabilities and all devices of the node; excludes `hardened`.
    #[serde(default, skip_serializing_if = "is_off")]
    pub privileged: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// Names that the container knows beside those of the network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<ExtraHost>,
}

/// A device of the node inside a container. At least one of the three rights is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Below `/dev`, as the path inside.
    pub host: String,
    pub container: String,
    #[serde(default = "yes")]
    pub read: bool,
    #[serde(default = "yes")]
    pub write: bool,
    #[serde(default = "yes")]
    pub mknod: bool,
}

/// A line of a container's hosts file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    pub name: String,
    pub ip: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Port {
    /// What the author calls it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub container: u16,
    pub host: u16,
    /// Address of the node to listen on; all where absent.
    #[serde(default)]
    pub host_ip: Option<String>,
    #[serde(default)]
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    #[default]
    Tcp,
    Udp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// What the author calls it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub host: String,
    pub container: String,
    #[serde(default = "yes")]
    pub read_only: bool,
}

fn yes() -> bool {
    true
}

fn is_off(value: &bool) -> bool {
    !value
}

/// A process out of a package that the engine holds and the agent unpacks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// SHA-256 of the package (`.tar.gz`), in hex, as the upload answered it.
    pub package: String,
    /// Program inside the package, relative to its top.
    pub program: String,
}

/// What a part asks of its node. Zero means: nothing is asked, nothing is limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Requested CPU, in thousandths of a core.
    pub cpu_millis: u32,
    /// Most CPU, in thousandths of a core.
    pub cpu_limit_millis: u32,
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
    /// NPU chips; whole ones, unless `vnpu` cuts one.
    pub npus: u32,
    /// The chips must be of this model: `310`, `310P`, `910B` …; any where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npu_model: Option<String>,
    /// Only this share of one chip: the name of a template, as `npu-smi info -t template-info` lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vnpu: Option<String>,
}

/// When the agent starts a part again after its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    #[default]
    Always,
    OnFailure,
    Never,
}

impl Spec {
    /// What all parts together ask of a node.
    pub fn total(&self) -> Resources {
        self.parts.iter().fold(Resources::default(), |mut sum, part| {
            let asked = &part.resources;
            sum.cpu_millis = sum.cpu_millis.saturating_add(asked.cpu_millis);
            sum.memory_bytes = sum.memory_bytes.saturating_add(asked.memory_bytes);
            sum.npus = sum.npus.saturating_add(asked.npus);
            sum
        })
    }

    /// Checks every rule of a specification.
    ///
    /// # Errors
    /// [`crate::Code::Invalid`]; `field` is the path of the part's field, as `parts.0.name`.
    pub fn check(&self) -> Result<(), Problem> {
        if self.parts.is_empty() {
            return Err(Problem::invalid("parts", "parts-empty"));
        }
        if self.parts.len() > PARTS_MAX {
            return Err(Problem::invalid("parts", "list-too-long").with("max", PARTS_MAX));
        }
        let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for (at, part) in self.parts.iter().enumerate() {
            let field = |name: &str| format!("parts.{at}.{name}");
            check_part(part, &field)?;
            if !names.insert(part.name.as_str()) {
                return Err(Problem::invalid(&field("name"), "name-twice"));
            }
            if let Run::Container(container) = &part.run {
                for port in &container.ports {
                    if !ports.insert((port.host, port.protocol)) {
                        return Err(Problem::invalid(&field("ports"), "port-twice").with("port", port.host));
                    }
                }
            }
        }
        Ok(())
    }
}

fn check_part(part: &Part, field: &dyn Fn(&str) -> String) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=32).contains(&part.name.len()) && part.name.chars().all(plain);
    if !fits || part.name.starts_with('-') || part.name.ends_with('-') {
        return Err(Problem::invalid(&field("name"), "part-name"));
    }
    if part.args.len() > ENTRIES_MAX || part.env.len() > ENTRIES_MAX {
        return Err(Problem::invalid(&field("args"), "list-too-long").with("max", ENTRIES_MAX));
    }
    if part.args.iter().any(|arg| arg.len() > 4096 || arg.contains('\0')) {
        return Err(Problem::invalid(&field("args"), "argument-form"));
    }
    for (key, value) in &part.env {
        let first = key.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let rest = key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
        if !first || !rest || key.len() > 128 || value.len() > 32 * 1024 || value.contains('\0') {
            return Err(Problem::invalid(&field("env"), "env-form").with("key", name::tame(key, 40)));
        }
    }
    check_resources(&part.resources, field)?;
    for (name, probe) in [("liveness", &part.liveness), ("readiness", &part.readiness)] {
        if let Some(probe) = probe {
            probe.check(&field(name))?;
        }
    }
    match &part.run {
        Run::Container(container) => check_container(container, field),
        Run::Process(process) => check_process(process, field),
    }
}

fn check_resources(asked: &Resources, field: &dyn Fn(&str) -> String) -> Result<(), Problem> {
    let over = |request: u64, limit: u64| limit != 0 && limit < request;
    if over(asked.cpu_millis.into(), asked.cpu_limit_millis.into()) || asked.cpu_limit_millis > 1_000_000 {
        return Err(Problem::invalid(
            &field("resources.cpu_limit_millis"),
            "limit-below-request",
        ));
    }
    if over(asked.memory_bytes, asked.memory_limit_bytes) {
        return Err(Problem::invalid(
            &field("resources.memory_limit_bytes"),
            "limit-below-request",
        ));
    }
    if asked.cpu_millis > 1_000_000 || asked.npus > 64 || asked.memory_bytes > 1_024_000 * MIB {
        return Err(Problem::invalid(&field("resources"), "number-too-large"));
    }
    // Container engines refuse less than this.
    if asked.memory_limit_bytes != 0 && asked.memory_limit_bytes < 6 * MIB {
        return Err(Problem::invalid(
            &field("resources.memory_limit_bytes"),
            "memory-too-small",
        ));
    }
    if asked.npu_model.as_deref().is_some_and(|model| !is_npu_model(model)) {
        return Err(Problem::invalid(&field("resources.npu_model"), "npu-model"));
    }
    if let Some(template) = &asked.vnpu {
        if !is_vnpu_template(template) {
            return Err(Problem::invalid(&field("resources.vnpu"), "vnpu-template"));
        }
        if asked.npus != 1 {
            return Err(Problem::invalid(&field("resources.vnpu"), "vnpu-count"));
        }
    }
    Ok(())
}

/// `310`, `310P3`, `910B2C`: a number of three digits, then capitals and digits.
fn is_npu_model(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
    text.len() <= 16 && text.chars().all(plain) && text.chars().take_while(char::is_ascii_digit).count() == 3
}

/// `vir01`, `vir04_3c_ndvpp`: `vir`, the number of AI cores, then words.
fn is_vnpu_template(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("vir").filter(|_| text.len() <= 32) else {
        return false;
    };
    let mut words = rest.split('_');
    let plain = |word: &str, c: fn(&char) -> bool| !word.is_empty() && word.chars().all(|found| c(&found));
    words.next().is_some_and(|cores| plain(cores, char::is_ascii_digit))
        && words.all(|word| plain(word, |c| c.is_ascii_digit() || c.is_ascii_lowercase()))
}

fn given(text: &str, field: &str) -> Result<(), Problem> {
    if text.is_empty() {
        return Err(Problem::invalid(field, "required"));
    }
    Ok(())
}

fn check_container(container: &Container, field: &dyn Fn(&str) -> String) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let image = &container.image;
    given(image, &field("image"))?;
    if image.len() > 512 || !image.chars().all(plain) || !image.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Problem::invalid(&field("image"), "image-form"));
    }
    if container.command.len() > ENTRIES_MAX || container.command.iter().any(|c| c.len() > 4096 || c.contains('\0')) {
        return Err(Problem::invalid(&field("command"), "argument-form"));
    }
    if container.ports.len() > ENTRIES_MAX || container.mounts.len() > ENTRIES_MAX {
        return Err(Problem::invalid(&field("ports"), "list-too-long").with("max", ENTRIES_MAX));
    }
    for port in &container.ports {
        if name::check_description("ports", &port.name).is_err() || port.name.len() > name::NAME_MAX {
            return Err(Problem::invalid(&field("ports"), "name-too-long"));
        }
        if port.container == 0 || port.host == 0 {
            return Err(Problem::invalid(&field("ports"), "port-zero"));
        }
        if port
            .host_ip
            .as_ref()
            .is_some_and(|ip| ip.parse::<std::net::IpAddr>().is_err())
        {
            return Err(Problem::invalid(&field("ports"), "address-form"));
        }
    }
    let mut targets = BTreeSet::new();
    for mount in &container.mounts {
        let good = |path: &str| {
            path.starts_with('/')
                && path.len() <= 1024
                && !path.contains(['\0', ':'])
                && !path.split('/').any(|part| part == "..")
        };
        if !good(&mount.host) || !good(&mount.container) {
            return Err(Problem::invalid(&field("mounts"), "path-form"));
        }
        if name::check_description("mounts", &mount.name).is_err() || mount.name.len() > name::NAME_MAX {
            return Err(Problem::invalid(&field("mounts"), "name-too-long"));
        }
        if !targets.insert(&mount.container) {
            return Err(Problem::invalid(&field("mounts"), "path-twice"));
        }
    }
    if container.privileged && container.hardened {
        return Err(Problem::invalid(&field("privileged"), "privileged-hardened"));
    }
    check_devices(&container.devices, &field("devices"))?;
    check_hosts(&container.extra_hosts, &field("extra_hosts"))
}

fn check_devices(devices: &[Device], field: &str) -> Result<(), Problem> {
    if devices.len() > ENTRIES_MAX {
        return Err(Problem::invalid(field, "list-too-long").with("max", ENTRIES_MAX));
    }
    let mut targets = BTreeSet::new();
    for device in devices {
        let good = |path: &str| {
            let below = path.strip_prefix("/dev/").filter(|_| path.len() <= 1_024);
            below.is_some_and(|below| {
                !below.contains(['\0', ':']) && !below.split('/').any(|part| matches!(part, "" | "." | ".."))
            })
        };
        if !good(&device.host) || !good(&device.container) {
            return Err(Problem::invalid(field, "device-path"));
        }
        if !(device.read || device.write || device.mknod) {
            return Err(Problem::invalid(field, "device-rights"));
        }
        if !targets.insert(&device.container) {
            return Err(Problem::invalid(field, "path-twice"));
        }
    }
    Ok(())
}

fn check_hosts(hosts: &[ExtraHost], field: &str) -> Result<(), Problem> {
    if hosts.len() > HOSTS_MAX {
        return Err(Problem::invalid(field, "list-too-long").with("max", HOSTS_MAX));
    }
    for host in hosts {
        if !probe::is_host_name(&host.name) {
            return Err(Problem::invalid(field, "host-name"));
        }
        if host.ip.parse::<std::net::IpAddr>().is_err() {
            return Err(Problem::invalid(field, "address-form"));
        }
    }
    Ok(())
}

fn check_process(process: &Process, field: &dyn Fn(&str) -> String) -> Result<(), Problem> {
    given(&process.package, &field("package"))?;
    if !is_package_hash(&process.package) {
        return Err(Problem::invalid(&field("package"), "package-hash"));
    }
    let program = &process.program;
    given(program, &field("program"))?;
    let climbs = program.split('/').any(|part| matches!(part, ".." | "." | ""));
    if program.len() > 1024 || climbs || program.contains('\0') {
        return Err(Problem::invalid(&field("program"), "path-form"));
    }
    Ok(())
}

/// Whether a text is a SHA-256 in lower-case hex.
pub fn is_package_hash(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container {
        Container {
            image: "lab/a:1".to_owned(),
            ..Container::default()
        }
    }

    fn part() -> Part {
        Part {
            name: "main".to_owned(),
            run: Run::Container(container()),
            args: Vec::new(),
            env: Default::default(),
            resources: Resources::default(),
            restart: Restart::Always,
            liveness: None,
            readiness: None,
        }
    }

    /// The reason why a specification of one part is refused; empty where it is good.
    fn refused(change: impl FnOnce(&mut Part)) -> String {
        let mut part = part();
        change(&mut part);
        let outcome = Spec { parts: vec![part] }.check();
        outcome
            .err()
            .map_or(String::new(), |problem| problem.fact("reason").to_owned())
    }

    fn refused_container(change: impl FnOnce(&mut Container)) -> String {
        refused(|part| {
            let mut container = container();
            change(&mut container);
            part.run = Run::Container(container);
        })
    }

    fn refused_process(package: &str, program: &str) -> String {
        refused(|part| {
            part.run = Run::Process(Process {
                package: package.to_owned(),
                program: program.to_owned(),
            });
        })
    }

    #[test]
    fn parts_are_some_and_not_too_many_and_differ() {
        assert!(Spec { parts: Vec::new() }.check().is_err());
        let many = |count: usize| Spec {
            parts: (0..count)
                .map(|at| Part {
                    name: format!("p{at}"),
                    ..part()
                })
                .collect(),
        };
        assert!(many(PARTS_MAX).check().is_ok());
        assert!(many(PARTS_MAX + 1).check().is_err());
        let twice = Spec {
            parts: vec![part(), part()],
        };
        assert_eq!(twice.check().unwrap_err().fact("reason"), "name-twice");
    }

    #[test]
    fn names_arguments_and_variables_keep_their_form_and_length() {
        for (name, good) in [
            ("a", true),
            ("a-1", true),
            (&"a".repeat(32), true),
            ("", false),
            (&"a".repeat(33), false),
            ("-a", false),
            ("a-", false),
            ("A", false),
            ("a_b", false),
        ] {
            assert_eq!(refused(|part| part.name = name.to_owned()).is_empty(), good, "{name:?}");
        }
        let args = |count: usize, arg: &str| refused(|part| part.args = vec![arg.to_owned(); count]);
        assert_eq!(args(ENTRIES_MAX, &"x".repeat(4_096)), "");
        assert_eq!(args(ENTRIES_MAX + 1, "x"), "list-too-long");
        assert_eq!(args(1, &"x".repeat(4_097)), "argument-form");
        assert_eq!(args(1, "a\0"), "argument-form");
        let env = |key: &str, value: String| refused(|part| part.env = [(key.to_owned(), value)].into());
        for (key, value, good) in [
            ("A_b-1.c", String::new(), true),
            ("_", "x".repeat(32 * 1_024), true),
            (&"a".repeat(128), String::new(), true),
            ("", String::new(), false),
            ("1a", String::new(), false),
            ("a b", String::new(), false),
            (&"a".repeat(129), String::new(), false),
            ("a", "x".repeat(32 * 1_024 + 1), false),
            ("a", "\0".to_owned(), false),
        ] {
            assert_eq!(env(key, value).is_empty(), good, "{key:?}");
        }
        let many =
            |count: usize| refused(|part| part.env = (0..count).map(|at| (format!("k{at}"), String::new())).collect());
        assert_eq!(
            (many(ENTRIES_MAX).as_str(), many(ENTRIES_MAX + 1).as_str()),
            ("", "list-too-long")
        );
    }

    #[test]
    fn resources_are_in_range_and_no_limit_is_below_its_request() {
        let asked = |change: fn(&mut Resources)| refused(|part| change(&mut part.resources));
        for (change, reason) in [
            (
                (|r| (r.cpu_millis, r.cpu_limit_millis) = (500, 500)) as fn(&mut Resources),
                "",
            ),
            (|r| (r.cpu_millis, r.cpu_limit_millis) = (500, 0), ""),
            (
                |r| (r.cpu_millis, r.cpu_limit_millis) = (500, 499),
                "limit-below-request",
            ),
            (|r| r.cpu_limit_millis = 1_000_000, ""),
            (|r| r.cpu_limit_millis = 1_000_001, "limit-below-request"),
            (|r| r.cpu_millis = 1_000_000, ""),
            (|r| r.cpu_millis = 1_000_001, "number-too-large"),
            (|r| r.npus = 64, ""),
            (|r| r.npus = 65, "number-too-large"),
            (|r| r.memory_bytes = 1_024_000 * MIB, ""),
            (|r| r.memory_bytes = 1_024_000 * MIB + 1, "number-too-large"),
            (|r| r.memory_limit_bytes = 6 * MIB, ""),
            (|r| r.memory_limit_bytes = 6 * MIB - 1, "memory-too-small"),
            (
                |r| (r.memory_bytes, r.memory_limit_bytes) = (8 * MIB, 7 * MIB),
                "limit-below-request",
            ),
        ] {
            assert_eq!(asked(change), reason);
        }
        let mut two = [part(), part()];
        for (part, by) in two.iter_mut().zip([1, 2]) {
            part.resources = Resources {
                cpu_millis: by,
                memory_bytes: u64::from(by) * 10,
                npus: by * 100,
                ..Resources::default()
            };
        }
        let total = Spec { parts: two.to_vec() }.total();
        assert_eq!((total.cpu_millis, total.memory_bytes, total.npus), (3, 30, 300));
    }

    #[test]
    fn containers_name_an_image_ports_and_paths() {
        for (image, good) in [
            ("a", true),
            ("r.lab:5000/a_b/c-d@sha256:0", true),
            (&"a".repeat(512), true),
            ("", false),
            (&"a".repeat(513), false),
            ("a b", false),
            (":a", false),
        ] {
            assert_eq!(
                refused_container(|one| one.image = image.to_owned()).is_empty(),
                good,
                "{image:?}"
            );
        }
        let command = |count: usize, word: &str| refused_container(|one| one.command = vec![word.to_owned(); count]);
        assert_eq!(command(ENTRIES_MAX, &"x".repeat(4_096)), "");
        for (count, word) in [(ENTRIES_MAX + 1, "x"), (1, "\0"), (1, &"x".repeat(4_097))] {
            assert_eq!(command(count, word), "argument-form");
        }
        let port = |container: u16, host: u16, ip: Option<&str>| {
            refused_container(|one| {
                one.ports = vec![Port {
                    name: String::new(),
                    container,
                    host,
                    host_ip: ip.map(str::to_owned),
                    protocol: Protocol::Tcp,
                }];
            })
        };
        assert_eq!(port(80, 8_080, Some("fd00::1")), "");
        assert_eq!(
            (port(0, 1, None).as_str(), port(1, 0, None).as_str()),
            ("port-zero", "port-zero")
        );
        assert_eq!(port(1, 1, Some("10.0.0")), "address-form");
        let mount = |host: &str, inside: &str| {
            refused_container(|one| {
                one.mounts = vec![Mount {
                    name: String::new(),
                    host: host.to_owned(),
                    container: inside.to_owned(),
                    read_only: true,
                }];
            })
        };
        assert_eq!(mount("/a", &format!("/{}", "b".repeat(1_023))), "");
        for (host, inside) in [
            ("a", "/b"),
            ("/a", "b"),
            ("/a/..", "/b"),
            ("/a:", "/b"),
            ("/a", "/b\0"),
            ("/a", &format!("/{}", "b".repeat(1_024))),
        ] {
            assert_eq!(mount(host, inside), "path-form", "{host:?} {inside:?}");
        }
    }

    #[test]
    fn processes_name_a_package_and_a_program_inside() {
        let hash = "0a".repeat(32);
        assert_eq!(refused_process(&hash, "bin/run"), "");
        assert_eq!(refused_process(&hash, &"x".repeat(1_024)), "");
        for program in ["../x", "/x", "a//b", "./a", "a/", &"x".repeat(1_025), "a\0"] {
            assert_eq!(refused_process(&hash, program), "path-form", "{program:?}");
        }
        assert_eq!(
            (refused_process("", "x").as_str(), refused_process(&hash, "").as_str()),
            ("required", "required")
        );
        for package in ["0A".repeat(32), "0".repeat(63), "g".repeat(64)] {
            assert_eq!(refused_process(&package, "x"), "package-hash", "{package:?}");
        }
    }
    #[test]
    fn what_is_not_set_is_not_written_and_need_not_be_there() {
        let old = r#"{"name":"a","run":{"kind":"container","image":"x","command":[],"ports":[],"mounts":[],"user":null,"group":null,"hardened":false,"host_network":false},"args":[],"env":{},"resources":{"cpu_millis":0,"cpu_limit_millis":0,"memory_bytes":0,"memory_limit_bytes":0,"npus":0},"restart":"always"}"#;
        let part: Part = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&part).unwrap(), old);
    }

    #[test]
    fn what_is_set_is_read_back() {
        let mut part = part();
        part.liveness = Some(Probe::new(vec![probe::Check::Tcp { port: 1 }]));
        part.readiness = Some(Probe::new(vec![probe::Check::Http {
            path: "/".to_owned(),
            port: 2,
            host: Some("a".to_owned()),
            https: true,
        }]));
        part.resources.npus = 1;
        part.resources.npu_model = Some("310P".to_owned());
        part.resources.vnpu = Some("vir01".to_owned());
        part.run = Run::Container(Container {
            privileged: true,
            devices: vec![device("/dev/a", "/dev/b")],
            extra_hosts: vec![host("db", "10.0.0.1")],
            ..container()
        });
        let text = serde_json::to_string(&part).unwrap();
        assert_eq!(serde_json::from_str::<Part>(&text).unwrap(), part);
        assert!(Spec { parts: vec![part] }.check().is_ok());
        let short: Device = serde_json::from_str(r#"{"host":"/dev/a","container":"/dev/b"}"#).unwrap();
        assert_eq!(short, device("/dev/a", "/dev/b"));
    }

    #[test]
    fn probes_are_checked_with_their_part() {
        let empty = || Some(Probe::new(Vec::new()));
        assert_eq!(refused(|part| part.liveness = empty()), "required");
        assert_eq!(refused(|part| part.readiness = empty()), "required");
        let mut part = part();
        part.readiness = empty();
        let problem = Spec { parts: vec![part] }.check().unwrap_err();
        assert_eq!(problem.fact("field"), "parts.0.readiness.checks");
    }

    #[test]
    fn models_and_templates_of_npus_keep_their_form() {
        let model = |text: &str| refused(|part| part.resources.npu_model = Some(text.to_owned()));
        for good in ["310", "310P", "310P3", "910", "910B2C", "950"] {
            assert_eq!(model(good), "", "{good}");
        }
        for bad in ["", "D310", "310p", "31", "3100", "310 P", "310-P", "310PPPPPPPPPPPPPP"] {
            assert_eq!(model(bad), "npu-model", "{bad}");
        }
        let vnpu = |npus: u32, text: &str| {
            refused(|part| {
                part.resources.npus = npus;
                part.resources.vnpu = Some(text.to_owned());
            })
        };
        for good in ["vir01", "vir08", "vir16", "vir04_3c", "vir04_4c_dvpp", "vir10_3c_16g"] {
            assert_eq!(vnpu(1, good), "", "{good}");
        }
        for bad in [
            "",
            "vir",
            "vir_3c",
            "vir01_",
            "vir01__c",
            "Vir01",
            "vir01 ",
            "vir01_3C",
            "01",
            &"vir1".repeat(9),
        ] {
            assert_eq!(vnpu(1, bad), "vnpu-template", "{bad}");
        }
        assert_eq!([vnpu(0, "vir01"), vnpu(2, "vir01")], ["vnpu-count", "vnpu-count"]);
    }

    fn device(host: &str, container: &str) -> Device {
        Device {
            host: host.to_owned(),
            container: container.to_owned(),
            read: true,
            write: true,
            mknod: true,
        }
    }

    #[test]
    fn devices_lie_below_dev_and_grant_something() {
        let devices = |list: Vec<Device>| refused_container(|one| one.devices = list);
        let long = format!("/dev/{}", "x".repeat(1_019));
        for good in ["/dev/video0", "/dev/bus/usb/001/002", "/dev/..a", &long] {
            assert_eq!(devices(vec![device(good, "/dev/x")]), "", "{good}");
            assert_eq!(devices(vec![device("/dev/x", good)]), "", "{good}");
        }
        let long = format!("/dev/{}", "x".repeat(1_020));
        for bad in [
            "",
            "/dev",
            "/dev/",
            "/etc/passwd",
            "/device/a",
            "dev/a",
            "/dev/../etc",
            "/dev/a/..",
            "/dev/./a",
            "/dev//a",
            "/dev/a/",
            "/dev/a:b",
            "/dev/a\0",
            &long,
        ] {
            assert_eq!(devices(vec![device(bad, "/dev/x")]), "device-path", "{bad:?}");
            assert_eq!(devices(vec![device("/dev/x", bad)]), "device-path", "{bad:?}");
        }
        let rights = |read, write, mknod| {
            devices(vec![Device {
                read,
                write,
                mknod,
                ..device("/dev/a", "/dev/a")
            }])
        };
        assert_eq!(rights(false, false, false), "device-rights");
        for (read, write, mknod) in [(true, false, false), (false, true, false), (false, false, true)] {
            assert_eq!(rights(read, write, mknod), "");
        }
        assert_eq!(
            devices(vec![device("/dev/a", "/dev/x"), device("/dev/b", "/dev/x")]),
            "path-twice"
        );
        let many = |count: usize| devices((0..count).map(|at| device("/dev/a", &format!("/dev/{at}"))).collect());
        assert_eq!([many(ENTRIES_MAX), many(ENTRIES_MAX + 1)], ["", "list-too-long"]);
    }

    fn host(name: &str, ip: &str) -> ExtraHost {
        ExtraHost {
            name: name.to_owned(),
            ip: ip.to_owned(),
        }
    }

    #[test]
    fn extra_hosts_have_a_name_and_an_address_and_are_few() {
        let hosts = |list: Vec<ExtraHost>| refused_container(|one| one.extra_hosts = list);
        assert_eq!(hosts(vec![host("db.lab", "10.0.0.1"), host("db.lab", "fd00::1")]), "");
        for bad in ["", "a b", "a:b", "a\nb", "-a"] {
            assert_eq!(hosts(vec![host(bad, "10.0.0.1")]), "host-name", "{bad:?}");
        }
        for bad in ["", "db", "10.0.0", "10.0.0.1 evil"] {
            assert_eq!(hosts(vec![host("db", bad)]), "address-form", "{bad:?}");
        }
        let many = |count: usize| hosts(vec![host("db", "10.0.0.1"); count]);
        assert_eq!([many(HOSTS_MAX), many(HOSTS_MAX + 1)], ["", "list-too-long"]);
    }

    #[test]
    fn nothing_is_privileged_and_hardened() {
        let set =
            |privileged, hardened| refused_container(|one| (one.privileged, one.hardened) = (privileged, hardened));
        assert_eq!(set(true, true), "privileged-hardened");
        assert_eq!([set(true, false), set(false, true)], ["", ""]);
    }
}
