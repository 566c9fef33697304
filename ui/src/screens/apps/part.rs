//! The form of one container or process.
//!
//! `data-test`: `part` (with `data-at`), in it `part-name`, `part-kind`, `image`, `package`, `program`, `cpu`, `cpu-limit`,
//! `memory`, `memory-limit`, `npus`, `restart`, `args`, `env`, `ports`, `mounts`, `command`, `user`, `group`, `hardened`,
//! `host-network`, `privileged`, `devices`, `extra-hosts`, `remove-part`; probes in `probe.rs`, upload in `package.rs`.

use super::{
    cells::{BoundCheck, BoundChoice, BoundField, BoundList, Cell, List},
    editor::Editor,
    package::PackageUpload,
    probe::Probes,
    values::{
        ARGS, COMMAND, CPU, CPU_LIMIT, DEVICES, ENV, EXTRA_HOSTS, GROUP, IMAGE, KIND, MEMORY, MEMORY_LIMIT, MOUNTS,
        NAME, NPUS, PACKAGE, PORTS, PROGRAM, RESTART, RIGHTS, USER, container, process,
    },
};
use crate::{
    components::{Button, Icon, Kind},
    texts,
};
use edgedeck_model::app::{Part, Run};
use leptos::prelude::*;

texts! {
    PART_NAME: "名称", "Name";
    KIND_WORD: "运行方式", "Runs as";
    CONTAINER: "容器", "Container";
    PROCESS: "进程（程序包）", "Process (package)";
    IMAGE_WORD: "镜像", "Image";
    IMAGE_HELP: "含标签或摘要，例如 registry.lab/app:1.2", "With tag or digest, as registry.lab/app:1.2";
    PACKAGE_WORD: "程序包（SHA-256）", "Package (SHA-256)";
    PROGRAM_WORD: "程序", "Program";
    PROGRAM_HELP: "程序包中的路径", "Its path inside the package";
    RESOURCES: "资源", "Resources";
    CPU_WORD: "CPU 请求（核）", "CPU asked (cores)";
    CPU_LIMIT_WORD: "CPU 上限（核）", "CPU limit (cores)";
    MEMORY_WORD: "内存请求（MiB）", "Memory asked (MiB)";
    MEMORY_LIMIT_WORD: "内存上限（MiB）", "Memory limit (MiB)";
    NPUS_WORD: "NPU（整卡数）", "NPUs (whole chips)";
    NOT_LIMITED: "不限", "none";
    RESTART_WORD: "退出后", "After its end";
    ALWAYS: "总是重启", "Start again always";
    ON_FAILURE: "失败时重启", "Start again on failure";
    NEVER: "不重启", "Do not start again";
    ARGS_WORD: "参数", "Arguments";
    ARGUMENT: "参数", "Argument";
    ENV_WORD: "环境变量", "Environment";
    ENV_NAME: "名称", "Name";
    ENV_VALUE: "值", "Value";
    PORTS_WORD: "端口", "Ports";
    HOST_PORT: "主机端口", "Host port";
    CONTAINER_PORT: "容器端口", "Container port";
    PROTOCOL: "协议", "Protocol";
    HOST_IP: "主机 IP（可选）", "Host IP (optional)";
    MOUNTS_WORD: "挂载", "Mounts";
    HOST_PATH: "主机路径", "Host path";
    CONTAINER_PATH: "容器路径", "Container path";
    ACCESS: "读写", "Access";
    MORE: "更多", "More";
    COMMAND_WORD: "入口命令（替换镜像自带的）", "Entry point (replaces the image's)";
    USER_WORD: "用户 UID", "User id";
    GROUP_WORD: "用户组 GID", "Group id";
    IMAGES_OWN: "镜像默认", "the image's";
    HARDENED: "加固", "Hardened";
    HARDENED_HELP: "只读根文件系统、无特权能力、不提权、不以 root 运行。", "Read-only root, no capabilities, no new privileges, never root.";
    HOST_NETWORK: "使用主机网络", "Use the node's network";
    PRIVILEGED: "特权", "Privileged";
    PRIVILEGED_HELP: "拥有节点的全部能力和设备，不能与加固同用。", "All capabilities and devices of the node; not together with hardened.";
    DEVICES_WORD: "设备", "Devices";
    HOST_DEVICE: "主机设备，如 /dev/video0", "Device of the node, as /dev/video0";
    CONTAINER_DEVICE: "容器内路径（默认相同）", "Path inside (the same)";
    RIGHTS_WORD: "权限", "Rights";
    EXTRA_HOSTS_WORD: "附加主机名", "Extra host names";
    HOST_NAME: "主机名", "Host name";
    ADDRESS: "IP 地址", "IP address";
    REMOVE: "移除“{name}”", "Remove “{name}”";
}

const ARGS_LIST: List = List {
    cells: &[Cell::Text(ARGUMENT)],
    ..ARGS
};
const COMMAND_LIST: List = List {
    cells: &[Cell::Text(ARGUMENT)],
    ..COMMAND
};
const ENV_LIST: List = List {
    cells: &[Cell::Text(ENV_NAME), Cell::Text(ENV_VALUE)],
    ..ENV
};
const PORTS_LIST: List = List {
    cells: &[
        Cell::Text(HOST_PORT),
        Cell::Text(CONTAINER_PORT),
        Cell::OneOf(PROTOCOL, &["tcp", "udp"]),
        Cell::Text(HOST_IP),
    ],
    ..PORTS
};
const MOUNTS_LIST: List = List {
    cells: &[
        Cell::Text(HOST_PATH),
        Cell::Text(CONTAINER_PATH),
        Cell::OneOf(ACCESS, &["ro", "rw"]),
    ],
    ..MOUNTS
};

const DEVICES_LIST: List = List {
    cells: &[
        Cell::Text(HOST_DEVICE),
        Cell::Text(CONTAINER_DEVICE),
        Cell::OneOf(RIGHTS_WORD, RIGHTS),
    ],
    ..DEVICES
};
const EXTRA_HOSTS_LIST: List = List {
    cells: &[Cell::Text(HOST_NAME), Cell::Text(ADDRESS)],
    ..EXTRA_HOSTS
};

fn set_privileged(part: &mut Part, on: bool) {
    if let Run::Container(container) = &mut part.run {
        container.privileged = on;
    }
}

fn set_hardened(part: &mut Part, on: bool) {
    if let Run::Container(container) = &mut part.run {
        container.hardened = on;
    }
}

fn set_host_network(part: &mut Part, on: bool) {
    if let Run::Container(container) = &mut part.run {
        container.host_network = on;
    }
}

#[component]
pub fn PartForm(editor: Editor, at: usize) -> impl IntoView {
    let name = move || editor.of_part(at, |part| part.name.clone());
    let is_container = Memo::new(move |_| editor.of_part(at, |part| container(part).is_some()));
    let kinds = Signal::derive(|| {
        [("container", CONTAINER), ("process", PROCESS)]
            .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
            .to_vec()
    });
    let restarts = Signal::derive(|| {
        [("always", ALWAYS), ("on-failure", ON_FAILURE), ("never", NEVER)]
            .map(|(key, word)| (key.to_owned(), word.get().to_owned()))
            .to_vec()
    });
    view! {
        <article class="card part" data-test="part" data-at=at>
            <header class="card-head">
                <h3>{name}</h3>
                <Button
                    label=Signal::derive(move || REMOVE.with(&[("name", &name())]))
                    sign=Icon::Trash
                    sign_only=true
                    kind=Kind::Quiet
                    press=Callback::new(move |()| editor.remove_part(at))
                    test="remove-part"
                />
            </header>
            <div class="field-row">
                <BoundField editor=editor at=at scalar=NAME label=PART_NAME field="name" test="part-name"/>
                <BoundChoice editor=editor at=at scalar=KIND label=KIND_WORD options=kinds test="part-kind"/>
            </div>
            <Show when=move || is_container.get() fallback=move || view! { <ProcessFields editor=editor at=at/> }>
                <BoundField
                    editor=editor
                    at=at
                    scalar=IMAGE
                    label=IMAGE_WORD
                    field="image"
                    help=IMAGE_HELP
                    placeholder="registry.lab/app:1.0"
                    test="image"
                />
            </Show>
            <BoundList editor=editor at=at list=ARGS_LIST label=ARGS_WORD field="args" test="args"/>
            <BoundList editor=editor at=at list=ENV_LIST label=ENV_WORD field="env" test="env"/>
            <Show when=move || is_container.get()>
                <BoundList editor=editor at=at list=PORTS_LIST label=PORTS_WORD field="ports" test="ports"/>
                <BoundList editor=editor at=at list=MOUNTS_LIST label=MOUNTS_WORD field="mounts" test="mounts"/>
            </Show>
            <Resources editor=editor at=at/>
            <BoundChoice editor=editor at=at scalar=RESTART label=RESTART_WORD options=restarts test="restart"/>
            <Probes editor=editor at=at/>
            <Show when=move || is_container.get()>
                <BoundCheck
                    editor=editor
                    at=at
                    read=|part| container(part).is_some_and(|container| container.hardened)
                    put=set_hardened
                    label=HARDENED
                    help=HARDENED_HELP
                    test="hardened"
                />
                <BoundCheck
                    editor=editor
                    at=at
                    read=|part| container(part).is_some_and(|container| container.host_network)
                    put=set_host_network
                    label=HOST_NETWORK
                    test="host-network"
                />
                <details>
                    <summary>{MORE.t()}</summary>
                    <div class="form">
                        <BoundCheck
                            editor=editor
                            at=at
                            read=|part| container(part).is_some_and(|container| container.privileged)
                            put=set_privileged
                            label=PRIVILEGED
                            help=PRIVILEGED_HELP
                            test="privileged"
                        />
                        <BoundList editor=editor at=at list=DEVICES_LIST label=DEVICES_WORD field="devices" test="devices"/>
                        <BoundList editor=editor at=at list=EXTRA_HOSTS_LIST label=EXTRA_HOSTS_WORD field="extra_hosts" test="extra-hosts"/>
                        <BoundList editor=editor at=at list=COMMAND_LIST label=COMMAND_WORD field="command" test="command"/>
                        <div class="field-row">
                            <BoundField editor=editor at=at scalar=USER label=USER_WORD field="user" help=IMAGES_OWN test="user"/>
                            <BoundField editor=editor at=at scalar=GROUP label=GROUP_WORD field="group" help=IMAGES_OWN test="group"/>
                        </div>
                    </div>
                </details>
            </Show>
        </article>
    }
}

#[component]
fn Resources(editor: Editor, at: usize) -> impl IntoView {
    view! {
        <div class="field" role="group" aria-label=RESOURCES.t()>
            <div class="field-row">
                <BoundField editor=editor at=at scalar=CPU label=CPU_WORD field="resources" placeholder="0" test="cpu"/>
                <BoundField
                    editor=editor
                    at=at
                    scalar=CPU_LIMIT
                    label=CPU_LIMIT_WORD
                    field="resources.cpu_limit_millis"
                    help=NOT_LIMITED
                    test="cpu-limit"
                />
                <BoundField editor=editor at=at scalar=NPUS label=NPUS_WORD field="resources.npus" placeholder="0" test="npus"/>
            </div>
            <div class="field-row">
                <BoundField editor=editor at=at scalar=MEMORY label=MEMORY_WORD field="resources.memory_bytes" placeholder="0" test="memory"/>
                <BoundField
                    editor=editor
                    at=at
                    scalar=MEMORY_LIMIT
                    label=MEMORY_LIMIT_WORD
                    field="resources.memory_limit_bytes"
                    help=NOT_LIMITED
                    test="memory-limit"
                />
            </div>
        </div>
    }
}

#[component]
fn ProcessFields(editor: Editor, at: usize) -> impl IntoView {
    // The programs of a package that was uploaded here.
    let programs = Memo::new(move |_| {
        let hash = editor.of_part(at, |part| {
            process(part).map(|process| process.package.clone()).unwrap_or_default()
        });
        editor.packages.with(|packages| {
            packages
                .get(&hash)
                .map(|package| package.programs.clone())
                .unwrap_or_default()
        })
    });
    let options = Signal::derive(move || {
        let present = editor.of_part(at, |part| {
            process(part).map(|process| process.program.clone()).unwrap_or_default()
        });
        let mut names = programs.get();
        if !names.contains(&present) {
            names.insert(0, present);
        }
        names.into_iter().map(|name| (name.clone(), name)).collect::<Vec<_>>()
    });
    view! {
        <PackageUpload editor=editor at=at/>
        <BoundField editor=editor at=at scalar=PACKAGE label=PACKAGE_WORD field="package" test="package"/>
        <Show
            when=move || !programs.with(Vec::is_empty)
            fallback=move || view! {
                <BoundField editor=editor at=at scalar=PROGRAM label=PROGRAM_WORD field="program" help=PROGRAM_HELP test="program"/>
            }
        >
            <BoundChoice editor=editor at=at scalar=PROGRAM label=PROGRAM_WORD options=options test="program"/>
        </Show>
    }
}
