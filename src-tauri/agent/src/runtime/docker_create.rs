//! The body of a container's creation.

use crate::{reconcile::Trouble, sources::Sources};
use bollard::models::{
    ContainerCreateBody, DeviceMapping, HostConfig, HostConfigLogConfig, Mount, MountType, PortBinding, RestartPolicy,
    RestartPolicyNameEnum,
};
use edgedeck_model::{
    app::{Container, Device, Part, Protocol},
    deployment::Reason,
};
use std::collections::{BTreeSet, HashMap};

/// Who a hardened container runs as, where the specification names nobody or root.
const NOBODY: u32 = 65_534;
/// Devices that go with every NPU.
const NPU_MANAGERS: &[&str] = &["davinci_manager", "devmm_svm", "hisi_hdc"];

/// An image reference that means one image: without a tag the engine would pull all of them.
pub fn with_tag(image: &str) -> String {
    let name = image.rsplit_once('/').map_or(image, |(_, name)| name);
    if name.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// Numbers of free NPU devices.
///
/// # Errors
/// [`Reason::NoSuchDevice`] when there are fewer than asked for.
pub fn choose_npus(sources: &Sources, asked: u32, used: &BTreeSet<u32>) -> Result<Vec<u32>, Trouble> {
    let mut present: Vec<u32> = sources
        .names("dev")
        .iter()
        .filter_map(|name| name.strip_prefix("davinci")?.parse().ok())
        .collect();
    present.sort_unstable();
    let free: Vec<u32> = present
        .iter()
        .copied()
        .filter(|number| !used.contains(number))
        .take(asked as usize)
        .collect();
    if free.len() < asked as usize {
        let detail = format!(
            "asked for {asked} NPUs; /dev/davinci*: {} present, {} in use",
            present.len(),
            used.len()
        );
        return Err(Trouble::new(Reason::NoSuchDevice, detail));
    }
    Ok(free)
}

/// The devices of these NPUs, with the managers that are there.
pub fn npu_devices(sources: &Sources, numbers: &[u32]) -> Vec<DeviceMapping> {
    let managers = NPU_MANAGERS
        .iter()
        .filter(|name| sources.path("dev").join(name).exists())
        .map(|name| (*name).to_owned());
    let chips = numbers.iter().map(|number| format!("davinci{number}"));
    chips
        .chain(managers)
        .map(|name| DeviceMapping {
            path_on_host: Some(format!("/dev/{name}")),
            path_in_container: Some(format!("/dev/{name}")),
            cgroup_permissions: Some("rwm".to_owned()),
        })
        .collect()
}

/// The devices that a specification names.
pub fn devices(container: &Container) -> Vec<DeviceMapping> {
    let mapping = |device: &Device| {
        let rights = [(device.read, 'r'), (device.write, 'w'), (device.mknod, 'm')];
        DeviceMapping {
            path_on_host: Some(device.host.clone()),
            path_in_container: Some(device.container.clone()),
            cgroup_permissions: Some(
                rights
                    .into_iter()
                    .filter(|(given, _)| *given)
                    .map(|(_, right)| right)
                    .collect(),
            ),
        }
    };
    container.devices.iter().map(mapping).collect()
}

/// Numbers of the NPUs among the devices that a specification names.
pub fn named_npus(container: &Container) -> BTreeSet<u32> {
    let number = |device: &Device| device.host.strip_prefix("/dev/davinci")?.parse().ok();
    container.devices.iter().filter_map(number).collect()
}

/// Everything the engine needs to know of a container. `cpus` are the processors of the node.
pub fn body(
    part: &Part,
    container: &Container,
    labels: HashMap<String, String>,
    devices: Vec<DeviceMapping>,
    cpus: u32,
) -> ContainerCreateBody {
    let some = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let mut ports = HashMap::new();
    if !container.host_network {
        for port in &container.ports {
            let protocol = if port.protocol == Protocol::Udp { "udp" } else { "tcp" };
            let binding = PortBinding {
                host_ip: port.host_ip.clone(),
                host_port: Some(port.host.to_string()),
            };
            let list: &mut Option<Vec<PortBinding>> = ports
                .entry(format!("{}/{protocol}", port.container))
                .or_insert_with(|| Some(Vec::new()));
            list.get_or_insert_default().push(binding);
        }
    }
    let exposed: Vec<String> = ports.keys().cloned().collect();
    ContainerCreateBody {
        image: Some(with_tag(&container.image)),
        entrypoint: some(&container.command),
        cmd: some(&part.args),
        env: Some(part.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels),
        user: user(container),
        exposed_ports: (!exposed.is_empty()).then_some(exposed),
        host_config: Some(HostConfig {
            port_bindings: (!ports.is_empty()).then_some(ports),
            devices: (!devices.is_empty()).then_some(devices),
            ..host_config(part, container, cpus)
        }),
        ..ContainerCreateBody::default()
    }
}

fn host_config(part: &Part, container: &Container, cpus: u32) -> HostConfig {
    let asked = &part.resources;
    let bytes = |count: u64| (count > 0).then(|| i64::try_from(count).unwrap_or(i64::MAX));
    // More than there is means no limit; the engine would refuse it.
    let cpu_limit = Some(asked.cpu_limit_millis).filter(|limit| *limit > 0 && (cpus == 0 || *limit <= cpus * 1_000));
    let mounts = container.mounts.iter().map(|mount| Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.host.clone()),
        target: Some(mount.container.clone()),
        read_only: Some(mount.read_only),
        ..Mount::default()
    });
    let hosts = container
        .extra_hosts
        .iter()
        .map(|host| format!("{}:{}", host.name, host.ip));
    let log = HashMap::from([
        ("max-size".to_owned(), "10m".to_owned()),
        ("max-file".to_owned(), "3".to_owned()),
    ]);
    HostConfig {
        cpu_shares: (asked.cpu_millis > 0).then(|| (i64::from(asked.cpu_millis) * 1_024 / 1_000).max(2)),
        nano_cpus: cpu_limit.map(|limit| i64::from(limit) * 1_000_000),
        memory: bytes(asked.memory_limit_bytes),
        // As much as the memory: no swap on top of the limit.
        memory_swap: bytes(asked.memory_limit_bytes),
        // Docker takes no reservation below 6 MiB, and none that is not below the limit is of any use.
        memory_reservation: bytes(asked.memory_bytes).filter(|_| {
            asked.memory_bytes >= 6 * edgedeck_model::app::MIB && asked.memory_bytes != asked.memory_limit_bytes
        }),
        mounts: Some(mounts.collect()),
        privileged: container.privileged.then_some(true),
        extra_hosts: (!container.extra_hosts.is_empty()).then(|| hosts.collect()),
        network_mode: container.host_network.then(|| "host".to_owned()),
        // The agent restarts: it knows the back-off and counts.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(log),
        }),
        readonly_rootfs: container.hardened.then_some(true),
        cap_drop: container.hardened.then(|| vec!["ALL".to_owned()]),
        security_opt: container.hardened.then(|| vec!["no-new-privileges".to_owned()]),
        ..HostConfig::default()
    }
}

fn user(container: &Container) -> Option<String> {
    let user = match (container.user, container.hardened) {
        (None | Some(0), true) => Some(NOBODY),
        (user, _) => user,
    };
    match (user, container.group) {
        (Some(user), Some(group)) => Some(format!("{user}:{group}")),
        (Some(user), None) => Some(format!("{user}:{user}")),
        (None, Some(group)) => Some(format!("0:{group}")),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::app::{ExtraHost, Mount as SpecMount, Port, Resources, Run};

    fn part(resources: Resources) -> Part {
        let run = Run::Container(Container::default());
        Part {
            name: "a".to_owned(),
            run,
            args: vec![],
            env: Default::default(),
            resources,
            restart: Default::default(),
            liveness: None,
            readiness: None,
        }
    }

    #[test]
    fn an_image_without_a_tag_is_the_latest() {
        assert_eq!(with_tag("busybox"), "busybox:latest");
        assert_eq!(with_tag("lab:5000/busybox"), "lab:5000/busybox:latest");
        assert_eq!(with_tag("lab:5000/busybox:1"), "lab:5000/busybox:1");
        assert_eq!(with_tag("busybox@sha256:00"), "busybox@sha256:00");
    }

    #[test]
    fn hardened_is_never_root() {
        let container = |user, hardened| Container {
            user,
            hardened,
            ..Container::default()
        };
        assert_eq!(user(&container(None, false)), None);
        assert_eq!(user(&container(Some(5), false)).as_deref(), Some("5:5"));
        assert_eq!(user(&container(None, true)).as_deref(), Some("65534:65534"));
        assert_eq!(user(&container(Some(0), true)).as_deref(), Some("65534:65534"));
        let made = body(
            &part(Resources::default()),
            &container(None, true),
            HashMap::new(),
            vec![],
            2,
        );
        let host = made.host_config.unwrap();
        assert_eq!(
            (host.readonly_rootfs, host.cap_drop),
            (Some(true), Some(vec!["ALL".to_owned()]))
        );
    }

    #[test]
    fn limits_ports_and_mounts() {
        let port = |host, protocol| Port {
            name: String::new(),
            container: 80,
            host,
            host_ip: None,
            protocol,
        };
        let container = Container {
            ports: vec![
                port(8080, Protocol::Tcp),
                port(8081, Protocol::Tcp),
                port(53, Protocol::Udp),
            ],
            mounts: vec![SpecMount {
                name: String::new(),
                host: "/data".to_owned(),
                container: "/d".to_owned(),
                read_only: true,
            }],
            ..Container::default()
        };
        let asked = Resources {
            cpu_millis: 500,
            cpu_limit_millis: 1_500,
            memory_limit_bytes: 64 << 20,
            ..Resources::default()
        };
        let made = body(&part(asked.clone()), &container, HashMap::new(), vec![], 2)
            .host_config
            .unwrap();
        assert_eq!(
            (made.cpu_shares, made.nano_cpus, made.memory),
            (Some(512), Some(1_500_000_000), Some(64 << 20))
        );
        let bindings = made.port_bindings.unwrap();
        assert_eq!(bindings["80/tcp"].as_ref().unwrap().len(), 2);
        assert_eq!(bindings["80/udp"].as_ref().unwrap().len(), 1);
        assert_eq!(made.mounts.unwrap()[0].read_only, Some(true));
        assert_eq!(
            body(&part(asked), &container, HashMap::new(), vec![], 1)
                .host_config
                .unwrap()
                .nano_cpus,
            None
        );
        let shared = Container {
            host_network: true,
            ..container
        };
        let made = body(&part(Resources::default()), &shared, HashMap::new(), vec![], 1)
            .host_config
            .unwrap();
        assert_eq!((made.network_mode.as_deref(), made.port_bindings), (Some("host"), None));
    }

    #[test]
    fn privileges_devices_and_hosts_are_passed_on_where_they_are_given() {
        let device = |host: &str, read, write, mknod| Device {
            host: host.to_owned(),
            container: "/dev/x".to_owned(),
            read,
            write,
            mknod,
        };
        let container = Container {
            privileged: true,
            devices: vec![
                device("/dev/video0", true, false, false),
                device("/dev/davinci3", true, true, true),
                device("/dev/davinci_manager", false, true, true),
            ],
            extra_hosts: vec![ExtraHost {
                name: "db.lab".to_owned(),
                ip: "fd00::1".to_owned(),
            }],
            ..Container::default()
        };
        let mapped = devices(&container);
        let rights: Vec<_> = mapped
            .iter()
            .filter_map(|one| one.cgroup_permissions.as_deref())
            .collect();
        assert_eq!(rights, ["r", "rwm", "wm"]);
        assert_eq!(mapped[0].path_on_host.as_deref(), Some("/dev/video0"));
        assert_eq!(mapped[0].path_in_container.as_deref(), Some("/dev/x"));
        assert_eq!(named_npus(&container), BTreeSet::from([3]));
        let made = |container: &Container| {
            let made = body(
                &part(Resources::default()),
                container,
                HashMap::new(),
                devices(container),
                1,
            );
            made.host_config.unwrap()
        };
        let host = made(&container);
        assert_eq!(
            (host.privileged, host.devices.map(|list| list.len())),
            (Some(true), Some(3))
        );
        assert_eq!(host.extra_hosts, Some(vec!["db.lab:fd00::1".to_owned()]));
        let host = made(&Container::default());
        assert_eq!((host.privileged, host.devices, host.extra_hosts), (None, None, None));
    }

    #[test]
    fn npus_are_not_given_twice() {
        let (_dir, sources) = crate::facts::tests::machine(&[
            ("dev/davinci0", ""),
            ("dev/davinci1", ""),
            ("dev/davinci10", ""),
            ("dev/davinci_manager", ""),
            ("dev/hisi_hdc", ""),
        ]);
        let used = BTreeSet::from([0]);
        assert_eq!(choose_npus(&sources, 2, &used).unwrap(), [1, 10]);
        assert_eq!(
            choose_npus(&sources, 3, &used).unwrap_err().reason,
            Reason::NoSuchDevice
        );
        let devices: Vec<String> = npu_devices(&sources, &[10])
            .into_iter()
            .filter_map(|device| device.path_on_host)
            .collect();
        assert_eq!(devices, ["/dev/davinci10", "/dev/davinci_manager", "/dev/hisi_hdc"]);
    }
}
