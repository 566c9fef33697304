//! What a node is: facts, labels, groups, certificate, and its NPUs.

use crate::{
    components::{
        StateBadge,
        badge::{Shape, Sign, Tone},
        basic::Meter,
    },
    format::{self, NOTHING},
    i18n::Text,
    store::{lab, store},
    texts,
};
use edgedeck_model::{
    NodeId,
    node::{Carrier, Line, Node},
    npu::{NpuChip, NpuHealth},
    telemetry::{Live, Unit},
};
use leptos::prelude::*;

texts! {
    NOW: "当前", "Now";
    CPU: "CPU", "CPU";
    MEMORY: "内存", "Memory";
    DISK: "磁盘", "Disk";
    NPU: "NPU", "NPU";
    NPU_MEMORY: "NPU 内存", "NPU memory";
    NPU_TEMPERATURE: "NPU 温度", "NPU temp.";
    LOAD1: "1 分钟负载", "Load, 1 min";
    RECEIVED: "网络接收", "Received";
    SENT: "网络发送", "Sent";
    NOT_NOW: "节点未连接，没有当前数据。", "The node is not connected: there is nothing current.";
    IDENTITY: "标识", "Identity";
    DESCRIPTION: "描述", "Description";
    SERIAL: "序列号", "Serial number";
    ID: "ID", "Id";
    GROUPS: "分组", "Groups";
    LABELS: "标签", "Labels";
    LINE: "线路", "Line";
    LINE_RATE: "{n} Mbit/s", "{n} Mbit/s";
    MOBILE: "移动", "China Mobile";
    UNICOM: "联通", "China Unicom";
    TELECOM: "电信", "China Telecom";
    JOINED: "加入时间", "Joined";
    SEEN: "最近心跳", "Last heard of";
    CERTIFICATE: "证书到期", "Certificate ends";
    KEY: "公钥指纹", "Public key";
    HARDWARE: "硬件", "Hardware";
    MODEL: "型号", "Model";
    CPU_MODEL: "CPU 型号", "CPU model";
    CPUS: "CPU 核数", "CPU cores";
    MEMORY_SIZE: "内存容量", "Memory size";
    ARCH: "架构", "Architecture";
    SOFTWARE: "软件", "Software";
    HOST: "主机名", "Host name";
    OS: "操作系统", "Operating system";
    KERNEL: "内核", "Kernel";
    BOOT: "启动时间", "Started";
    RUNTIME: "容器引擎", "Container engine";
    NO_RUNTIME: "没有：只能运行进程应用", "None: runs process apps only";
    AGENT: "代理版本", "Agent";
    WAITING: "已下载、等待生效的版本", "Downloaded, not run yet";
    NPU_DRIVER: "NPU 驱动", "NPU driver";
    NPU_TOOL: "NPU 工具", "NPU tool";
    NETWORK: "网络", "Network";
    DISKS: "磁盘", "Disks";
    MOUNT: "挂载点", "Mount";
    USED: "已用", "Used";
    SIZE: "容量", "Size";
    FILESYSTEM: "文件系统", "File system";
    NPUS: "NPU 芯片", "NPU chips";
    NPU_PROBLEM: "无法读取 NPU：{detail}", "The NPUs cannot be read: {detail}";
    CHIP: "芯片", "Chip";
    CHIP_NAME: "型号", "Model";
    HEALTH: "健康", "Health";
    LOAD: "使用率", "Use";
    TEMPERATURE: "温度", "Temperature";
    POWER: "功率", "Power";
    PROCESSES: "进程", "Processes";
    BUS: "总线地址", "Bus";
    HEALTH_OK: "正常", "OK";
    HEALTH_WARNING: "警告", "Warning";
    HEALTH_ALARM: "告警", "Alarm";
    HEALTH_CRITICAL: "严重", "Critical";
    HEALTH_UNKNOWN: "未知", "Unknown";
}

pub fn carrier_word(carrier: Carrier) -> Text {
    match carrier {
        Carrier::Mobile => MOBILE,
        Carrier::Unicom => UNICOM,
        Carrier::Telecom => TELECOM,
    }
}

/// A line in words; nothing where nobody has written one down.
fn line_words(line: &Line) -> String {
    if *line == Line::default() {
        return NOTHING.to_owned();
    }
    let rate = (line.mbps > 0).then(|| LINE_RATE.with(&[("n", &format::count(line.mbps as usize))]));
    let words = [
        Some(carrier_word(line.carrier).get().to_owned()),
        Some(line.area.clone()),
        rate,
    ];
    let words: Vec<_> = words.into_iter().flatten().filter(|word| !word.is_empty()).collect();
    words.join(" · ")
}

fn fact(title: Text, value: Option<String>) -> impl IntoView {
    let value = value
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| NOTHING.to_owned());
    view! { <dt>{title.t()}</dt><dd>{value}</dd> }
}

/// A fact whose words follow the language or the clock.
fn telling(title: Text, value: impl Fn() -> String + Send + Sync + 'static) -> impl IntoView {
    view! { <dt>{title.t()}</dt><dd>{value}</dd> }
}

#[component]
pub fn Facts(node: Node) -> impl IntoView {
    let Node {
        id,
        serial,
        description,
        labels,
        groups,
        line,
        facts,
        joined_at,
        last_seen,
        certificate_ends,
        key_hash,
        ..
    } = node;
    let group_links = move || {
        store().groups.track();
        let names = lab(|lab| {
            groups
                .iter()
                .map(|group| (*group, lab.group_name(*group)))
                .collect::<Vec<_>>()
        });
        if names.is_empty() {
            return NOTHING.into_any();
        }
        let chips = names
            .into_iter()
            .map(|(id, name)| view! { <a class="chip" href=format!("/nodes?group={id}")>{name}</a> });
        view! { <span class="chips">{chips.collect_view()}</span> }.into_any()
    };
    let label_chips = labels.iter().map(|(key, value)| {
        let text = if value.is_empty() {
            key.clone()
        } else {
            format!("{key}={value}")
        };
        view! { <span class="chip">{text}</span> }
    });
    let label_chips = if labels.is_empty() {
        NOTHING.into_any()
    } else {
        view! { <span class="chips">{label_chips.collect_view()}</span> }.into_any()
    };
    let runtime = facts
        .runtime
        .as_ref()
        .map(|runtime| format!("{} {}", runtime.name, runtime.version));
    let has_npu = !facts.npus.is_empty();
    let (boot, cpus, memory) = (facts.boot_at, facts.cpus, facts.memory_bytes);
    let nics = facts.nics.iter().filter(|nic| nic.name != "lo").map(|nic| {
        let mac = nic.mac.clone().unwrap_or_default();
        view! { <dt>{nic.name.clone()}</dt><dd><span class="mono">{nic.addresses.join("  ")}</span> "  " <span class="quiet-text mono">{mac}</span></dd> }
    });
    let disks = facts.disks.iter().map(|disk| {
        let (used, total) = (disk.used_bytes, disk.total_bytes);
        let share = (total > 0).then(|| (used as f64 * 100.0 / total as f64) as f32);
        view! {
            <tr>
                <td class="mono">{disk.mount.clone()}</td>
                <td>{disk.filesystem.clone()}</td>
                <td><Meter value=Signal::stored(share)/></td>
                <td class="number">{move || format::bytes(total)}</td>
            </tr>
        }
    });
    view! {
        <div class="fact-cards">
            <NowCard id=id has_npu=has_npu/>
            <section class="card">
                <h2>{IDENTITY.t()}</h2>
                <dl class="facts">
                    {fact(DESCRIPTION, Some(description))} {fact(SERIAL, Some(serial))}
                    <dt>{ID.t()}</dt><dd class="mono">{id.to_string()}</dd>
                    <dt>{GROUPS.t()}</dt><dd>{group_links}</dd>
                    <dt>{LABELS.t()}</dt><dd>{label_chips}</dd>
                    {telling(LINE, move || line_words(&line))}
                    {telling(JOINED, move || format::minute(joined_at))}
                    {telling(SEEN, move || format::ago_or_never(last_seen))}
                    {telling(CERTIFICATE, move || {
                        certificate_ends.map_or_else(|| NOTHING.to_owned(), |end| format!("{} ({})", format::day(end), format::ago(end)))
                    })}
                    <dt>{KEY.t()}</dt><dd class="mono">{key_hash}</dd>
                </dl>
            </section>
            <section class="card">
                <h2>{HARDWARE.t()}</h2>
                <dl class="facts">
                    {fact(MODEL, facts.model.clone())} {fact(CPU_MODEL, facts.cpu_model.clone())}
                    {telling(CPUS, move || format::count(cpus as usize))} {telling(MEMORY_SIZE, move || format::bytes(memory))}
                    {fact(ARCH, Some(facts.arch.clone()))}
                </dl>
                <h3>{NETWORK.t()}</h3>
                <dl class="facts">{nics.collect_view()}</dl>
            </section>
            <section class="card">
                <h2>{SOFTWARE.t()}</h2>
                <dl class="facts">
                    {fact(HOST, Some(facts.host_name.clone()))} {fact(OS, Some(facts.os.clone()))}
                    {fact(KERNEL, Some(facts.kernel.clone()))}
                    {telling(BOOT, move || boot.map_or_else(|| NOTHING.to_owned(), |boot| format!("{} ({})", format::minute(boot), format::ago(boot))))}
                    {telling(RUNTIME, move || runtime.clone().unwrap_or_else(|| NO_RUNTIME.get().to_owned()))}
                    {fact(AGENT, Some(facts.agent_version.clone()))}
                    {facts.agent_waiting.clone().map(|version| fact(WAITING, Some(version)))}
                    {fact(NPU_DRIVER, facts.npu_driver_version.clone())}
                    {fact(NPU_TOOL, facts.npu_tool_version.clone())}
                </dl>
            </section>
            <section class="card wide">
                <h2>{DISKS.t()}</h2>
                <table class="plain-table">
                    <thead>
                        <tr><th>{MOUNT.t()}</th><th>{FILESYSTEM.t()}</th><th>{USED.t()}</th><th class="number">{SIZE.t()}</th></tr>
                    </thead>
                    <tbody>{disks.collect_view()}</tbody>
                </table>
            </section>
            {(has_npu || facts.npu_problem.is_some()).then(|| view! { <Npus chips=facts.npus.clone() problem=facts.npu_problem.clone()/> })}
        </div>
    }
}

/// The newest figures, as they come.
#[component]
fn NowCard(id: NodeId, has_npu: bool) -> impl IntoView {
    let live = Memo::new(move |_| {
        store().live.track();
        store().nodes.track();
        lab(|lab| {
            lab.node(id)
                .filter(|node| node.row.state.is_connected())
                .map(|node| node.live.clone())
        })
    });
    let meter = move |title: Text, read: fn(&Live) -> Option<f32>| {
        let value = Signal::derive(move || live.with(|live| live.as_ref().and_then(read)));
        view! { <dt>{title.t()}</dt><dd><Meter value=value/></dd> }
    };
    let value = move |title: Text, unit: Unit, read: fn(&Live) -> Option<f32>| {
        telling(title, move || {
            format::measured(live.with(|live| live.as_ref().and_then(read)).map(f64::from), unit)
        })
    };
    view! {
        <section class="card">
            <h2>{NOW.t()}</h2>
            <Show when=move || live.with(Option::is_some) fallback=|| view! { <p class="quiet-text">{NOT_NOW.t()}</p> }>
                <dl class="facts">
                    {has_npu
                        .then(|| {
                            view! {
                                {meter(NPU, |live| live.npu)} {meter(NPU_MEMORY, |live| live.npu_memory)}
                                {value(NPU_TEMPERATURE, Unit::Celsius, |live| live.npu_temperature)}
                            }
                        })}
                    {meter(CPU, |live| live.cpu)} {meter(MEMORY, |live| live.memory)} {meter(DISK, |live| live.disk)}
                    {value(LOAD1, Unit::Plain, |live| live.load1)}
                    {value(RECEIVED, Unit::BytesPerSecond, |live| live.received)}
                    {value(SENT, Unit::BytesPerSecond, |live| live.sent)}
                </dl>
            </Show>
        </section>
    }
}

fn health(health: NpuHealth) -> (Sign, Text) {
    let sign = |shape, tone| Sign { shape, tone };
    match health {
        NpuHealth::Ok => (sign(Shape::Disc, Tone::Good), HEALTH_OK),
        NpuHealth::Warning => (sign(Shape::Square, Tone::Warning), HEALTH_WARNING),
        NpuHealth::Alarm => (sign(Shape::Triangle, Tone::Warning), HEALTH_ALARM),
        NpuHealth::Critical => (sign(Shape::Diamond, Tone::Bad), HEALTH_CRITICAL),
        NpuHealth::Unknown => (sign(Shape::Question, Tone::Quiet), HEALTH_UNKNOWN),
    }
}

#[component]
fn Npus(chips: Vec<NpuChip>, problem: Option<String>) -> impl IntoView {
    let rows = chips.into_iter().map(|chip| {
        let (sign, word) = health(chip.health);
        let memory = chip.main_memory();
        let share = memory.map(|memory| (memory.used_bytes as f64 * 100.0 / memory.total_bytes.max(1) as f64) as f32);
        let load = chip.load_percent().map(|load| load as f32);
        let (temperature, power) = (chip.temperature_c, chip.power_w);
        let memory_word = move || {
            memory
                .map(|memory| format::bytes(memory.total_bytes))
                .unwrap_or_default()
        };
        let processes: Vec<String> = chip
            .processes
            .iter()
            .map(|process| format!("{} ({})", process.name, process.pid))
            .collect();
        let processes = if processes.is_empty() {
            NOTHING.to_owned()
        } else {
            processes.join(", ")
        };
        view! {
            <tr data-test="npu-chip">
                <td class="mono">{chip.key().to_string()}</td>
                <td>{chip.name.clone()}</td>
                <td><StateBadge sign=Signal::stored(sign) word=word/></td>
                <td><Meter value=Signal::stored(load)/></td>
                <td><Meter value=Signal::stored(share)/> <span class="quiet-text">{memory_word}</span></td>
                <td class="number">{move || format::measured(temperature, Unit::Celsius)}</td>
                <td class="number">{move || format::measured(power, Unit::Watt)}</td>
                <td class="mono">{chip.bus_id.clone().unwrap_or_else(|| NOTHING.to_owned())}</td>
                <td>{processes}</td>
            </tr>
        }
    });
    let rows = rows.collect_view();
    view! {
        <section class="card wide">
            <h2>{NPUS.t()}</h2>
            {problem.map(|detail| view! { <p role="alert">{move || NPU_PROBLEM.with(&[("detail", &detail)])}</p> })}
            <div class="scroll-x">
                <table class="plain-table">
                    <thead>
                        <tr>
                            <th>{CHIP.t()}</th>
                            <th>{CHIP_NAME.t()}</th>
                            <th>{HEALTH.t()}</th>
                            <th>{LOAD.t()}</th>
                            <th>{MEMORY.t()}</th>
                            <th class="number">{TEMPERATURE.t()}</th>
                            <th class="number">{POWER.t()}</th>
                            <th>{BUS.t()}</th>
                            <th>{PROCESSES.t()}</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </section>
    }
}
