//! Containers of an application, on the wire and in the domain.

use super::{
    answer::Failure,
    rules::{self, given, require},
};
use edgedeck_model::app::{Container as Image, MIB, Mount, Part, Port, Protocol, Resources, Restart, Run, Spec};
use serde::{Deserialize, Serialize};

/// Most containers of an application.
const CONTAINERS_MAX: usize = 10;

/// As a request has it: any field may be missing.
#[derive(Deserialize)]
pub struct Given {
    name: Option<String>,
    #[serde(rename = "cpurequest")]
    cpu_request: Option<f64>,
    #[serde(rename = "cpulimit")]
    cpu_limit: Option<f64>,
    #[serde(rename = "memrequest")]
    mem_request: Option<i64>,
    #[serde(rename = "memlimit")]
    mem_limit: Option<i64>,
    npu: Option<i64>,
    image: Option<String>,
    #[serde(rename = "imageversion")]
    image_version: Option<String>,
    env: Option<Vec<GivenVariable>>,
    #[serde(rename = "userid")]
    user: Option<i64>,
    #[serde(rename = "groupid")]
    group: Option<i64>,
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
    #[serde(rename = "containerport")]
    ports: Option<Vec<GivenPort>>,
    #[serde(rename = "hostpathvolumes")]
    volumes: Option<Vec<GivenVolume>>,
}

#[derive(Deserialize)]
struct GivenVariable {
    name: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct GivenPort {
    name: Option<String>,
    proto: Option<String>,
    #[serde(rename = "containerport")]
    container: Option<i64>,
    #[serde(rename = "hostip")]
    host_ip: Option<String>,
    #[serde(rename = "hostport")]
    host: Option<i64>,
}

#[derive(Deserialize)]
struct GivenVolume {
    name: Option<String>,
    #[serde(rename = "hostpath")]
    host: Option<String>,
    #[serde(rename = "mountpath")]
    mount: Option<String>,
}

/// As an answer has it. Lists without elements are null.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    name: String,
    cpu_request: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_limit: Option<f64>,
    mem_request: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mem_limit: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    npu: Option<i64>,
    pub image: String,
    pub image_version: String,
    env: Option<Vec<Variable>>,
    #[serde(rename = "userID")]
    user: Option<i64>,
    #[serde(rename = "groupID")]
    group: Option<i64>,
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
    #[serde(rename = "containerPort")]
    ports: Option<Vec<WirePort>>,
    #[serde(rename = "hostPathVolumes")]
    volumes: Option<Vec<Volume>>,
}

#[derive(Serialize)]
struct Variable {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct WirePort {
    name: String,
    proto: String,
    #[serde(rename = "containerPort")]
    container: i64,
    #[serde(rename = "hostIP")]
    host_ip: String,
    #[serde(rename = "hostPort")]
    host: i64,
}

#[derive(Serialize)]
struct Volume {
    name: String,
    #[serde(rename = "hostPath")]
    host: String,
    #[serde(rename = "mountPath")]
    mount: String,
}

/// The containers of a request, every rule checked.
pub fn read(given_containers: Option<Vec<Given>>) -> Result<Vec<Container>, Failure> {
    let containers = given(given_containers)?;
    let containers = containers
        .into_iter()
        .map(Container::read)
        .collect::<Result<Vec<_>, _>>()?;
    require(are_valid(&containers))?;
    Ok(containers)
}

fn are_valid(containers: &[Container]) -> bool {
    let names: Vec<&str> = containers.iter().map(|container| container.name.as_str()).collect();
    (1..=CONTAINERS_MAX).contains(&containers.len())
        && rules::is_unique(&names)
        && containers.iter().all(Container::is_valid)
}

/// What runs on the nodes for these containers.
pub fn spec(containers: &[Container]) -> Spec {
    Spec {
        parts: containers.iter().map(Container::part).collect(),
    }
}

/// A specification in MEF's form, if that can express it.
pub fn view(spec: &Spec) -> Option<Vec<Container>> {
    let containers = spec.parts.iter().map(Container::of).collect::<Option<Vec<_>>>()?;
    are_valid(&containers).then_some(containers)
}

/// The reference of an image, as the domain has it.
pub fn reference(image: &str, version: &str) -> String {
    format!("{image}:{version}")
}

fn unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    if list.is_empty() { None } else { Some(list) }
}

fn unless_zero(value: i64) -> Option<i64> {
    if value == 0 { None } else { Some(value) }
}

impl Container {
    fn read(container: Given) -> Result<Self, Failure> {
        let env = container.env.unwrap_or_default().into_iter();
        let ports = container.ports.unwrap_or_default().into_iter();
        let volumes = container.volumes.unwrap_or_default().into_iter();
        let variable = |v: GivenVariable| {
            Ok(Variable {
                name: given(v.name)?,
                value: given(v.value)?,
            })
        };
        let port = |port: GivenPort| {
            Ok(WirePort {
                name: given(port.name)?,
                proto: given(port.proto)?,
                container: given(port.container)?,
                host_ip: given(port.host_ip)?,
                host: given(port.host)?,
            })
        };
        let volume = |volume: GivenVolume| {
            let host = given(rules::host_path(&given(volume.host)?))?.to_owned();
            Ok(Volume {
                name: given(volume.name)?,
                host,
                mount: given(volume.mount)?,
            })
        };
        Ok(Self {
            name: given(container.name)?,
            cpu_request: given(container.cpu_request)?,
            cpu_limit: container.cpu_limit,
            mem_request: given(container.mem_request)?,
            mem_limit: container.mem_limit,
            npu: container.npu,
            image: given(container.image)?,
            image_version: given(container.image_version)?,
            env: unless_empty(env.map(variable).collect::<Result<_, Failure>>()?),
            user: container.user,
            group: container.group,
            command: unless_empty(container.command.unwrap_or_default()),
            args: unless_empty(container.args.unwrap_or_default()),
            ports: unless_empty(ports.map(port).collect::<Result<_, Failure>>()?),
            volumes: unless_empty(volumes.map(volume).collect::<Result<_, Failure>>()?),
        })
    }

    fn is_valid(&self) -> bool {
        let cpu = |cores: f64| (0.01..=1000.0).contains(&cores);
        let memory = |mib: i64| (4..=1_024_000).contains(&mib);
        let who = |id: &Option<i64>| id.is_none_or(|id| (1..=65_535).contains(&id));
        rules::is_app_name(&self.name)
            && cpu(self.cpu_request)
            && self
                .cpu_limit
                .is_none_or(|limit| cpu(limit) && limit >= self.cpu_request)
            && memory(self.mem_request)
            && self
                .mem_limit
                .is_none_or(|limit| memory(limit) && limit >= self.mem_request)
            && self.npu.is_none_or(|npu| (0..=32).contains(&npu))
            && rules::is_image(&self.image)
            && rules::is_image_version(&self.image_version)
            && who(&self.user)
            && who(&self.group)
            && self.are_lists_valid()
    }

    fn are_lists_valid(&self) -> bool {
        let env = self.env.as_deref().unwrap_or_default();
        let command = self.command.as_deref().unwrap_or_default();
        let args = self.args.as_deref().unwrap_or_default();
        let ports = self.ports.as_deref().unwrap_or_default();
        let volumes = self.volumes.as_deref().unwrap_or_default();
        let variables: Vec<&str> = env.iter().map(|variable| variable.name.as_str()).collect();
        let names: Vec<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
        let mounts: Vec<&str> = volumes.iter().map(|volume| volume.mount.as_str()).collect();
        env.len() <= 256
            && env
                .iter()
                .all(|v| rules::is_env_name(&v.name) && rules::is_env_value(&v.value))
            && rules::is_unique(&variables)
            && command.len() <= 16
            && command.iter().all(|word| rules::is_command(word))
            && args.len() <= 16
            && args.iter().all(|word| rules::is_argument(word))
            && ports.len() <= 16
            && ports.iter().all(WirePort::is_valid)
            && volumes.len() <= 256
            && volumes.iter().all(Volume::is_valid)
            && rules::is_unique(&names)
            && rules::is_unique(&mounts)
    }

    /// In the domain: always hardened, always started again, without a limit limited to what it requests.
    fn part(&self) -> Part {
        // Checked to be at most 1000 cores.
        let millis = |cores: f64| (cores * 1_000.0).round() as u32;
        let bytes = |mib: i64| u64::try_from(mib).unwrap_or_default() * MIB;
        let who = |id: Option<i64>| id.and_then(|id| u32::try_from(id).ok());
        let port = |port: &WirePort| Port {
            name: port.name.clone(),
            container: u16::try_from(port.container).unwrap_or_default(),
            host: u16::try_from(port.host).unwrap_or_default(),
            host_ip: Some(port.host_ip.clone()),
            protocol: if port.proto == "UDP" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            },
        };
        let mount = |volume: &Volume| Mount {
            name: volume.name.clone(),
            host: volume.host.clone(),
            container: volume.mount.clone(),
            read_only: true,
        };
        Part {
            name: self.name.clone(),
            run: Run::Container(Image {
                image: reference(&self.image, &self.image_version),
                command: self.command.clone().unwrap_or_default(),
                ports: self.ports.iter().flatten().map(port).collect(),
                mounts: self.volumes.iter().flatten().map(mount).collect(),
                user: who(self.user),
                group: who(self.group),
                hardened: true,
                ..Image::default()
            }),
            args: self.args.clone().unwrap_or_default(),
            env: self
                .env
                .iter()
                .flatten()
                .map(|v| (v.name.clone(), v.value.clone()))
                .collect(),
            resources: Resources {
                cpu_millis: millis(self.cpu_request),
                cpu_limit_millis: millis(self.cpu_limit.unwrap_or(self.cpu_request)),
                memory_bytes: bytes(self.mem_request),
                memory_limit_bytes: bytes(self.mem_limit.unwrap_or(self.mem_request)),
                npus: self.npu.and_then(|npu| u32::try_from(npu).ok()).unwrap_or_default(),
                ..Resources::default()
            },
            restart: Restart::Always,
            liveness: None,
            readiness: None,
        }
    }

    /// A part that is one container, in MEF's form. What MEF has no word for (a process, the node's network, writable
    /// mounts, probes, devices …) has none; a name that is missing is derived.
    fn of(part: &Part) -> Option<Self> {
        let Run::Container(container) = &part.run else {
            return None;
        };
        if container.host_network || container.mounts.iter().any(|mount| !mount.read_only) {
            return None;
        }
        let has_more = container.privileged || !container.devices.is_empty() || !container.extra_hosts.is_empty();
        let is_probed = part.liveness.is_some() || part.readiness.is_some();
        if has_more || is_probed || part.resources.npu_model.is_some() || part.resources.vnpu.is_some() {
            return None;
        }
        let (image, version) = split_reference(&container.image);
        let asked = &part.resources;
        let mib = |bytes: u64| i64::try_from(bytes.div_ceil(MIB)).ok();
        let or = |name: &str, derived: String| if name.is_empty() { derived } else { name.to_owned() };
        let port = |port: &Port| {
            let proto = if port.protocol == Protocol::Udp { "UDP" } else { "TCP" };
            Some(WirePort {
                name: or(&port.name, format!("{}-{}", proto.to_lowercase(), port.host)),
                proto: proto.to_owned(),
                container: port.container.into(),
                host_ip: port.host_ip.clone()?,
                host: port.host.into(),
            })
        };
        let volume = |(at, mount): (usize, &Mount)| Volume {
            name: or(&mount.name, format!("volume-{}", at + 1)),
            host: mount.host.clone(),
            mount: mount.container.clone(),
        };
        let variable = |(name, value): (&String, &String)| Variable {
            name: name.clone(),
            value: value.clone(),
        };
        Some(Self {
            name: part.name.clone(),
            cpu_request: f64::from(asked.cpu_millis) / 1_000.0,
            cpu_limit: (asked.cpu_limit_millis > 0).then_some(f64::from(asked.cpu_limit_millis) / 1_000.0),
            mem_request: mib(asked.memory_bytes)?,
            mem_limit: unless_zero(mib(asked.memory_limit_bytes)?),
            npu: unless_zero(asked.npus.into()),
            image,
            image_version: version,
            env: unless_empty(part.env.iter().map(variable).collect()),
            user: container.user.map(Into::into),
            group: container.group.map(Into::into),
            command: unless_empty(container.command.clone()),
            args: unless_empty(part.args.clone()),
            ports: unless_empty(container.ports.iter().map(port).collect::<Option<_>>()?),
            volumes: unless_empty(container.mounts.iter().enumerate().map(volume).collect()),
        })
    }
}

/// Image and version; one without a version is `latest`, as container engines read it.
pub fn split_reference(reference: &str) -> (String, String) {
    match reference.rsplit_once(':') {
        Some((image, version)) if !version.contains('/') => (image.to_owned(), version.to_owned()),
        _ => (reference.to_owned(), "latest".to_owned()),
    }
}

impl WirePort {
    fn is_valid(&self) -> bool {
        rules::is_app_name(&self.name)
            && matches!(self.proto.as_str(), "TCP" | "UDP")
            && (1..=65_535).contains(&self.container)
            && rules::is_host_ip(&self.host_ip)
            && (1024..=65_535).contains(&self.host)
    }
}

impl Volume {
    fn is_valid(&self) -> bool {
        rules::is_app_name(&self.name) && rules::host_path(&self.host).is_some() && rules::is_mount_path(&self.mount)
    }
}
