//! The domain's words and sentences, in Chinese and in English.

use crate::{
    Code, Problem,
    alarm::{Alarm, AlarmKind, Severity},
    certificate::Purpose,
    deployment::{InstanceState, PartStatus, Reason},
    event::{Event, EventKind},
    fit::Misfit,
    job::{ItemState, Job, JobKind, JobState, Step},
    node::NodeState,
    telemetry::Metric,
    user::Role,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A language of the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    #[default]
    Zh,
    En,
}

impl Lang {
    /// Takes the Chinese or the English of a pair.
    pub fn pick<T>(self, zh: T, en: T) -> T {
        match self {
            Self::Zh => zh,
            Self::En => en,
        }
    }
}

type Pair = (&'static str, &'static str);

fn pick(lang: Lang, (zh, en): Pair) -> &'static str {
    lang.pick(zh, en)
}

/// Puts facts into a sentence: `{name}` becomes the fact `name`.
fn fill(sentence: &str, facts: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(sentence.len() + 32);
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((key, after)) = after.split_once('}') else {
            return out;
        };
        out.push_str(facts.get(key).map_or("?", String::as_str));
        rest = after;
    }
    out + rest
}

pub fn node_state(state: NodeState, lang: Lang) -> &'static str {
    pick(
        lang,
        match state {
            NodeState::Registered => ("已登记", "Registered"),
            NodeState::Installed => ("已安装", "Installed"),
            NodeState::Online => ("在线", "Online"),
            NodeState::Degraded => ("异常", "Degraded"),
            NodeState::Offline => ("离线", "Offline"),
            NodeState::Disabled => ("已停用", "Disabled"),
            NodeState::Upgrading => ("升级中", "Upgrading"),
            NodeState::Frozen => ("已冻结", "Frozen"),
            NodeState::Deleting => ("删除中", "Deleting"),
        },
    )
}

pub fn instance_state(state: InstanceState, lang: Lang) -> &'static str {
    pick(
        lang,
        match state {
            InstanceState::Pending => ("等待中", "Pending"),
            InstanceState::Pulling => ("拉取中", "Pulling"),
            InstanceState::Starting => ("启动中", "Starting"),
            InstanceState::Running => ("运行中", "Running"),
            InstanceState::BackOff => ("等待重启", "Restarting soon"),
            InstanceState::Succeeded => ("已完成", "Succeeded"),
            InstanceState::Failed => ("失败", "Failed"),
            InstanceState::Stopping => ("停止中", "Stopping"),
            InstanceState::Stopped => ("已停止", "Stopped"),
            InstanceState::Unknown => ("未知", "Unknown"),
        },
    )
}

pub fn severity(severity: Severity, lang: Lang) -> &'static str {
    pick(
        lang,
        match severity {
            Severity::Critical => ("紧急", "Critical"),
            Severity::Major => ("重要", "Major"),
            Severity::Minor => ("次要", "Minor"),
        },
    )
}

pub fn job_kind(kind: JobKind, lang: Lang) -> &'static str {
    pick(
        lang,
        match kind {
            JobKind::Logs => ("收集日志", "Collect logs"),
            JobKind::Download => ("下载软件", "Download software"),
            JobKind::Upgrade => ("升级软件", "Upgrade software"),
            JobKind::File => ("获取文件", "Fetch a file"),
            JobKind::Deploy => ("变更部署", "Change a deployment"),
        },
    )
}

/// What a job is about, in a line.
pub fn job_title(job: &Job, lang: Lang) -> String {
    if let Some(file) = &job.file {
        return format!("{} {}", job_kind(job.kind, lang), file.path);
    }
    let Some(rollout) = &job.rollout else {
        return job_kind(job.kind, lang).to_owned();
    };
    let step = pick(
        lang,
        match rollout.step {
            Step::Create => ("部署", "Deploy"),
            Step::Update => ("更新", "Update"),
            Step::Start => ("启动", "Start"),
            Step::Stop => ("停止", "Stop"),
            Step::Restart => ("重启", "Restart"),
            Step::Delete => ("移除", "Remove"),
        },
    );
    format!("{step} {}", rollout.name)
}

pub fn job_state(state: JobState, lang: Lang) -> &'static str {
    pick(
        lang,
        match state {
            JobState::Waiting => ("等待中", "Waiting"),
            JobState::Running => ("进行中", "Running"),
            JobState::Stopping => ("正在停止", "Stopping"),
            JobState::Succeeded => ("成功", "Succeeded"),
            JobState::Partly => ("部分成功", "Partly succeeded"),
            JobState::Failed => ("失败", "Failed"),
            JobState::Stopped => ("已停止", "Stopped"),
        },
    )
}

pub fn item_state(state: ItemState, lang: Lang) -> &'static str {
    pick(
        lang,
        match state {
            ItemState::Waiting => ("等待中", "Waiting"),
            ItemState::Running => ("进行中", "Running"),
            ItemState::Succeeded => ("成功", "Succeeded"),
            ItemState::Failed => ("失败", "Failed"),
        },
    )
}

/// What an audit line's action is called; one that this version does not know keeps its key.
pub fn action(key: &str, lang: Lang) -> &str {
    let words = match key {
        "access-key.create" => ("创建访问密钥", "Access key made"),
        "access-key.revoke" => ("吊销访问密钥", "Access key revoked"),
        "alarm.acknowledge" => ("确认告警", "Alarm acknowledged"),
        "api-token.create" => ("创建 API 令牌", "API token made"),
        "api-token.delete" => ("删除 API 令牌", "API token deleted"),
        "app.add-version" => ("新增应用版本", "App version added"),
        "app.create" => ("创建应用", "App made"),
        "app.delete" => ("删除应用", "App deleted"),
        "app.roll-out" => ("更新部署版本", "App rolled out"),
        "authority.delete" => ("删除外部 CA", "Outside CA deleted"),
        "authority.import" => ("导入外部 CA", "Outside CA imported"),
        "authority.restore" => ("恢复先前的外部 CA", "Earlier outside CA put back"),
        "backup.create" => ("备份", "Backup made"),
        "ca.begin" => ("准备新的实验室 CA", "New lab CA made"),
        "ca.cancel" => ("取消更换实验室 CA", "Change of the lab CA cancelled"),
        "ca.end" => ("停用先前的实验室 CA", "Former lab CA dropped"),
        "ca.switch" => ("启用新的实验室 CA", "New lab CA took over"),
        "certificate.show" => ("出示证书", "Certificate shown"),
        "client-certificate.create" => ("创建客户端证书", "Client certificate made"),
        "client-certificate.revoke" => ("吊销客户端证书", "Client certificate revoked"),
        "cloud.call" => ("调用云接口", "Cloud API called"),
        "cloud-token.create" => ("获取云令牌", "Cloud token issued"),
        "cloud-token.revoke" => ("吊销云令牌", "Cloud token revoked"),
        "deployment.create" => ("创建部署", "Deployment made"),
        "deployment.delete" => ("删除部署", "Deployment deleted"),
        "deployment.update" => ("修改部署", "Deployment changed"),
        "group.add" => ("加入分组", "Added to a group"),
        "group.create" => ("创建分组", "Group made"),
        "group.delete" => ("删除分组", "Group deleted"),
        "group.remove" => ("移出分组", "Removed from a group"),
        "group.update" => ("修改分组", "Group changed"),
        "image.add" => ("导入镜像", "Images added"),
        "image.delete" => ("删除镜像", "Image deleted"),
        "image.push" => ("推送镜像", "Image pushed"),
        "file.fetch" => ("从容器获取文件", "File fetched from a container"),
        "job.create" => ("开始作业", "Job begun"),
        "job.download" => ("下载作业结果", "Job's file downloaded"),
        "job.end" => ("作业结束", "Job ended"),
        "job.stop" => ("停止作业", "Job stopped"),
        "join-token.create" => ("创建加入令牌", "Join token made"),
        "join-token.revoke" => ("撤销加入令牌", "Join token revoked"),
        "node.join" => ("节点加入", "Node joined"),
        "node.manage" => ("纳管节点", "Node managed"),
        "node.remove" => ("移除节点", "Node removed"),
        "node.update" => ("修改节点", "Node changed"),
        "package.upload" => ("上传程序包", "Package uploaded"),
        "project.create" => ("创建项目", "Project made"),
        "project.delete" => ("删除项目", "Project deleted"),
        "project.update" => ("修改项目", "Project changed"),
        "report.create" => ("生成报告", "Report made"),
        "registry.delete" => ("删除镜像仓库", "Image registry deleted"),
        "registry.update" => ("设置镜像仓库", "Image registry set"),
        "revocations.import" => ("导入吊销列表", "Revocation lists imported"),
        "session.create" => ("登录", "Signed in"),
        "software.add" => ("添加软件包", "Software package added"),
        "software.delete" => ("删除软件包", "Software package deleted"),
        "software.download" => ("下载软件包", "Software package downloaded"),
        "settings.update" => ("修改设置", "Settings changed"),
        "user.create" => ("创建用户", "User made"),
        "user.delete" => ("删除用户", "User deleted"),
        "user.reset-password" => ("重置密码", "Password reset"),
        _ => return key,
    };
    pick(lang, words)
}

/// How an audit line's action ended: `ok`, or the code of its refusal; one that is not refused on record keeps its key.
pub fn outcome(key: &str, lang: Lang) -> &str {
    let words = match key {
        "ok" => ("成功", "Done"),
        "bad-token" => ("令牌无效", "Bad token"),
        "forbidden" => ("无权限", "Not allowed"),
        "invalid" => ("字段不合规则", "Field breaks a rule"),
        "locked" => ("已锁定", "Locked out"),
        "not-found" => ("不存在", "Does not exist"),
        "taken" => ("已存在", "Exists already"),
        "unauthenticated" => ("身份无效", "Not accepted"),
        "wrong-password" => ("用户名或密码错误", "Wrong name or password"),
        _ => return key,
    };
    pick(lang, words)
}

pub fn role(role: Role, lang: Lang) -> &'static str {
    pick(
        lang,
        match role {
            Role::Viewer => ("只读用户", "Viewer"),
            Role::Operator => ("操作员", "Operator"),
            Role::Admin => ("管理员", "Administrator"),
        },
    )
}

pub fn metric(metric: Metric, lang: Lang) -> &'static str {
    pick(
        lang,
        match metric {
            Metric::CpuPercent => ("CPU 使用率", "CPU use"),
            Metric::MemoryUsed => ("已用内存", "Memory used"),
            Metric::MemoryPercent => ("内存使用率", "Memory use"),
            Metric::DiskPercent => ("磁盘使用率", "Disk use"),
            Metric::Load1 => ("1 分钟负载", "Load, 1 min"),
            Metric::NetworkReceived => ("网络接收", "Network received"),
            Metric::NetworkSent => ("网络发送", "Network sent"),
            Metric::NpuPercent => ("NPU 使用率", "NPU use"),
            Metric::NpuMemoryPercent => ("NPU 内存使用率", "NPU memory use"),
            Metric::NpuTemperature => ("NPU 温度", "NPU temperature"),
            Metric::NpuPower => ("NPU 功率", "NPU power"),
        },
    )
}

/// What an outside CA is for.
pub fn purpose(purpose: Purpose, lang: Lang) -> &'static str {
    pick(
        lang,
        match purpose {
            Purpose::Clients => ("客户端", "API clients"),
            Purpose::Software => ("软件仓库", "software"),
            Purpose::Images => ("镜像仓库", "images"),
        },
    )
}

/// What kind of alarm, in two or three words.
pub fn alarm_kind(kind: AlarmKind, lang: Lang) -> &'static str {
    pick(
        lang,
        match kind {
            AlarmKind::NodeOffline => ("节点离线", "Node offline"),
            AlarmKind::CrashLoop => ("反复重启", "Crash loop"),
            AlarmKind::DiskFull => ("磁盘将满", "Disk nearly full"),
            AlarmKind::NpuHot => ("NPU 过热", "NPU too hot"),
            AlarmKind::CertificateExpiring => ("证书即将到期", "Certificate expiring"),
            AlarmKind::StoreTrouble => ("数据库异常", "Database trouble"),
            AlarmKind::RuntimeDown => ("容器引擎异常", "Container engine down"),
            AlarmKind::ProbeFailed => ("健康检查失败", "Health check failed"),
            AlarmKind::DeviceMissing => ("缺少设备", "Device missing"),
            AlarmKind::NpuUnhealthy => ("NPU 不健康", "NPU unhealthy"),
            AlarmKind::AgentSpace => ("代理空间不足", "Agent short of space"),
            AlarmKind::AgentDamaged => ("代理数据损坏", "Agent's data damaged"),
            AlarmKind::AuthorityExpiring => ("外部 CA 即将到期", "Outside CA expiring"),
            AlarmKind::RevocationsOverdue => ("吊销列表过期", "Revocations overdue"),
            AlarmKind::CaExpiring => ("实验室 CA 即将到期", "Lab CA expiring"),
            AlarmKind::CaNotTaken => ("未接受新 CA", "New CA not taken"),
        },
    )
}

/// What is wrong, on what.
pub fn alarm(alarm: &Alarm, lang: Lang) -> String {
    let sentence = match alarm.kind {
        AlarmKind::NodeOffline => (
            "节点 {node} 已离线：没有收到心跳。",
            "Node {node} is offline: no heartbeat arrives.",
        ),
        AlarmKind::CrashLoop => (
            "{node} 上的 {deployment} / {part} 在 {minutes} 分钟内重启了 {restarts} 次。",
            "{deployment} / {part} on {node} restarted {restarts} times within {minutes} minutes.",
        ),
        AlarmKind::DiskFull => (
            "{node} 的磁盘 {mount} 已使用 {percent}%。",
            "Disk {mount} of {node} is {percent}% full.",
        ),
        AlarmKind::NpuHot => (
            "{node} 的 NPU {chip} 温度为 {celsius} °C。",
            "NPU {chip} of {node} is at {celsius} °C.",
        ),
        AlarmKind::CertificateExpiring => (
            "{node} 的证书将在 {days} 天后到期。",
            "The certificate of {node} ends in {days} days.",
        ),
        AlarmKind::StoreTrouble => (
            "引擎的数据磁盘剩余 {mib} MiB，最近一分钟有 {failed} 次写入失败。",
            "The disk of the engine's data has {mib} MiB left; {failed} transactions failed in the last minute.",
        ),
        AlarmKind::RuntimeDown => (
            "{node} 的容器引擎没有响应：{detail}",
            "The container engine of {node} does not answer: {detail}",
        ),
        AlarmKind::ProbeFailed => (
            "{node} 上的 {deployment} / {part} 的健康检查失败。",
            "The health check of {deployment} / {part} on {node} fails.",
        ),
        AlarmKind::DeviceMissing => (
            "{node} 上的 {deployment} / {part} 无法获得所需的 NPU 或设备：{detail}",
            "{deployment} / {part} on {node} cannot have the NPUs or devices that it asks for: {detail}",
        ),
        AlarmKind::NpuUnhealthy => ("{node} 的 NPU {chip} 不健康。", "NPU {chip} of {node} is not healthy."),
        AlarmKind::AgentSpace => (
            "{node} 上代理目录所在的磁盘几乎已满，日志和程序包可能无法写入。",
            "The disk that holds the agent's folder on {node} is almost full; logs and packages may not be written.",
        ),
        AlarmKind::AgentDamaged => (
            "{node} 上代理保存的 {file} 已损坏，不再使用；所需内容会从引擎重新获取。",
            "What the agent on {node} kept in {file} was damaged and is not used; it gets it from the engine again.",
        ),
        AlarmKind::AuthorityExpiring => (
            "外部 CA“{purpose_zh}”的证书将在 {days} 天后到期。",
            "A certificate of the outside CA for {purpose_en} ends in {days} days.",
        ),
        AlarmKind::RevocationsOverdue => (
            "外部 CA“{purpose_zh}”的吊销列表已过期。",
            "A revocation list of the outside CA for {purpose_en} should have been replaced by now.",
        ),
        AlarmKind::CaExpiring => (
            "实验室的 CA 证书将在 {days} 天后到期。",
            "The lab's own CA certificate ends in {days} days.",
        ),
        AlarmKind::CaNotTaken => (
            "节点 {node} 还没有接受实验室的新 CA；更换之后它将无法连接。",
            "Node {node} has not taken the lab's new CA; once that takes over, it cannot connect.",
        ),
    };
    fill(pick(lang, sentence), &alarm.facts)
}

/// What to do about it.
pub fn alarm_advice(kind: AlarmKind, lang: Lang) -> &'static str {
    pick(
        lang,
        match kind {
            AlarmKind::NodeOffline => (
                "检查设备的电源和网络，并在设备上运行 edgedeck-agent status。",
                "Check the box's power and network, and run edgedeck-agent status on it.",
            ),
            AlarmKind::CrashLoop => (
                "查看该实例的日志和退出码；修正后部署新版本，或停止该部署。",
                "Look at the instance's log and exit code; deploy a mended version or stop the deployment.",
            ),
            AlarmKind::DiskFull => (
                "删除不用的文件和镜像，或扩大磁盘。",
                "Delete files and images that are not needed, or enlarge the disk.",
            ),
            AlarmKind::NpuHot => (
                "检查风扇、风道和室温；必要时减少该节点的负载。",
                "Check fans, air flow and room temperature; take load off the node if need be.",
            ),
            AlarmKind::CertificateExpiring => (
                "保持节点在线，代理会自动续期；如果没有续期，请重新加入该节点。",
                "Keep the node online: its agent renews by itself. If it does not, join the node again.",
            ),
            AlarmKind::StoreTrouble => (
                "在数据目录所在的磁盘上腾出空间，或恢复写权限；引擎会自动继续。",
                "Free space on the disk of the data folder, or make it writable; the engine goes on by itself.",
            ),
            AlarmKind::RuntimeDown => (
                "在设备上检查并重新启动 Docker 或 Podman（systemctl status docker）。",
                "Look at Docker or Podman on the box (systemctl status docker) and start it again.",
            ),
            AlarmKind::ProbeFailed => (
                "查看该实例的日志；必要时重新部署或回退版本。",
                "Look at the instance's log; deploy it again, or an earlier version, if need be.",
            ),
            AlarmKind::DeviceMissing => (
                "检查驱动与设备文件（/dev/davinci*），以及其他应用是否已占用；或减少申请的 NPU 数。",
                "Check driver and device files (/dev/davinci*) and whether other apps use them; or ask for fewer NPUs.",
            ),
            AlarmKind::NpuUnhealthy => (
                "运行 npu-smi info 查看错误码；必要时复位芯片或更换硬件。",
                "Run npu-smi info and look at its error codes; reset the chip or replace the hardware if need be.",
            ),
            AlarmKind::AgentSpace => (
                "在该磁盘上腾出空间，例如删除不用的镜像、日志和程序包。",
                "Free space on that disk: delete images, logs and packages that are not needed.",
            ),
            AlarmKind::AgentDamaged => (
                "检查该设备的磁盘；此告警会在内容重新获取后自动恢复。",
                "Check the box's disk. The alarm clears once everything has come again.",
            ),
            AlarmKind::AuthorityExpiring => ("在“证书”中导入新的证书链。", "Import a new chain under Certificates."),
            AlarmKind::RevocationsOverdue => (
                "在“证书”中导入新的吊销列表；在此之前旧列表仍然有效。",
                "Import new lists under Certificates; until then the old ones hold.",
            ),
            AlarmKind::CaExpiring => (
                "在“证书”中更换实验室的 CA；到期前 30 天会自动更换。",
                "Change the lab's CA under Certificates; 30 days before its end that happens by itself.",
            ),
            AlarmKind::CaNotTaken => (
                "让该节点上线；如果其代理版本过旧，请升级，或在更换后让它重新加入。",
                "Bring the node online; upgrade its agent if it is too old, or join the node again afterwards.",
            ),
        },
    )
}

/// What happened, to what.
pub fn event(event: &Event, lang: Lang) -> String {
    let sentence = match event.kind {
        EventKind::NodeJoined => (
            "节点 {node} 已加入，等待纳管。",
            "Node {node} joined and waits to be managed.",
        ),
        EventKind::NodeManaged => ("节点 {node} 已纳管。", "Node {node} is managed now."),
        EventKind::NodeRemoved => ("节点 {node} 已移除。", "Node {node} was removed."),
        EventKind::NodeOnline => ("节点 {node} 上线。", "Node {node} came online."),
        EventKind::NodeOffline => ("节点 {node} 离线。", "Node {node} went offline."),
        EventKind::NodeDegraded => ("节点 {node} 异常：{detail}", "Node {node} is degraded: {detail}"),
        EventKind::NodeRestarted => ("节点 {node} 已重新启动。", "Node {node} was restarted."),
        EventKind::InstanceRunning => ("{deployment} 在 {node} 上开始运行。", "{deployment} runs on {node}."),
        EventKind::InstanceExited => (
            "{deployment} / {part} 在 {node} 上退出，退出码 {exit_code}。",
            "{deployment} / {part} on {node} ended with exit code {exit_code}.",
        ),
        EventKind::InstanceFailed => (
            "{deployment} 在 {node} 上无法启动：{detail}",
            "{deployment} cannot start on {node}: {detail}",
        ),
        EventKind::InstanceRemoved => (
            "{deployment} 已从 {node} 上移除。",
            "{deployment} was removed from {node}.",
        ),
        EventKind::AlarmRaised => ("告警：{text_zh}", "Alarm: {text_en}"),
        EventKind::AlarmCleared => ("告警已恢复：{text_zh}", "Alarm cleared: {text_en}"),
        EventKind::RequestInvalid => (
            "节点 {node} 收到的请求参数有误：{text_zh}",
            "Node {node} got a request with bad parameters: {text_en}",
        ),
        EventKind::RequestRefused => (
            "节点 {node} 拒绝了请求：{text_zh}",
            "Node {node} refused a request: {text_en}",
        ),
        EventKind::CertificateNotRenewed => (
            "节点 {node} 没有按时更新证书，剩余 {days} 天。",
            "Node {node} has not renewed its certificate in time; it ends in {days} days.",
        ),
        EventKind::CaNotTaken => (
            "节点 {node} 没有按时接受实验室的新 CA。",
            "Node {node} has not taken the lab's new CA in time.",
        ),
    };
    fill(pick(lang, sentence), &event.facts)
}

pub fn reason(reason: Reason, lang: Lang) -> &'static str {
    pick(
        lang,
        match reason {
            Reason::ImageNotFound => ("镜像不存在", "the image does not exist"),
            Reason::ImageDenied => (
                "镜像仓库拒绝了账户，请检查镜像仓库设置",
                "the image's registry refuses the account; check the image registry's settings",
            ),
            Reason::ImageUnreachable => ("无法访问镜像仓库", "the image's registry cannot be reached"),
            Reason::PortTaken => ("端口已被占用", "a port is taken"),
            Reason::NoRuntime => ("节点上没有可用的容器引擎", "the node has no working container engine"),
            Reason::PackageMissing => ("无法下载程序包", "the package cannot be fetched"),
            Reason::PackageBroken => ("程序包损坏或不安全", "the package is broken or unsafe"),
            Reason::ProgramMissing => ("程序包中没有该程序", "the program is not in the package"),
            Reason::NoSuchDevice => ("设备不存在", "a device does not exist"),
            Reason::OutOfMemory => ("内存不足被终止", "it was killed for lack of memory"),
            Reason::Exited => ("程序已退出", "the program ended"),
            Reason::Unhealthy => ("存活检查失败，已停止", "its liveness probe failed, so it was stopped"),
            Reason::Refused => ("容器引擎拒绝启动", "the container engine refused"),
        },
    )
}

/// In one sentence, why a part does not run; `None` where there is nothing to say.
pub fn part_sentence(part: &PartStatus, lang: Lang) -> Option<String> {
    let why = part.reason.map(|found| reason(found, lang))?;
    let mut sentence = lang.pick(format!("{}：{why}", part.name), format!("{}: {why}", part.name));
    if let (Some(Reason::Exited | Reason::OutOfMemory), Some(exit_code)) = (part.reason, part.exit_code) {
        sentence += &lang.pick(format!("（退出码 {exit_code}）"), format!(" (exit code {exit_code})"));
    }
    if part.restarts > 0 {
        sentence += &lang.pick(
            format!("，已重启 {} 次", part.restarts),
            format!(", restarted {} times", part.restarts),
        );
    }
    if let Some(detail) = part.detail.as_deref().filter(|detail| !detail.is_empty()) {
        sentence += &lang.pick(format!("：{detail}"), format!(": {detail}"));
    }
    Some(sentence)
}

/// In one sentence, what a running part says of itself; `None` where it is well, or has a reason, which says more.
pub fn part_health(part: &PartStatus, lang: Lang) -> Option<String> {
    let is_silent = part.state != InstanceState::Running || part.reason.is_some();
    let words = match (part.unhealthy, part.ready) {
        _ if is_silent => return None,
        (true, _) => lang.pick("存活检查失败", "it is not healthy"),
        (false, Some(false)) => lang.pick("尚未就绪", "it is not ready"),
        _ => return None,
    };
    let name = &part.name;
    let mut sentence = lang.pick(format!("{name}：{words}"), format!("{name}: {words}"));
    if let Some(detail) = part.detail.as_deref().filter(|detail| !detail.is_empty()) {
        sentence += &lang.pick(format!("：{detail}"), format!(": {detail}"));
    }
    Some(sentence)
}

/// The state of an instance, with its readiness where its parts are asked for that.
pub fn instance_state_of(state: InstanceState, parts: &[PartStatus], lang: Lang) -> String {
    let word = instance_state(state, lang);
    let asked = parts.iter().any(|part| part.ready.is_some());
    match state {
        InstanceState::Running if asked && parts.iter().all(PartStatus::is_ready) => {
            lang.pick(format!("{word}，就绪"), format!("{word}, ready"))
        }
        InstanceState::Running if asked => lang.pick(format!("{word}，未就绪"), format!("{word}, not ready")),
        _ => word.to_owned(),
    }
}

/// Why a specification does not fit a node.
pub fn misfit(misfit: &Misfit, lang: Lang) -> String {
    let cores = |millis: u64| format!("{:.2}", millis as f64 / 1_000.0);
    let mib = |bytes: u64| bytes / crate::app::MIB;
    match misfit {
        Misfit::NotManaged => lang.pick("节点尚未纳管", "the node is not managed").to_owned(),
        Misfit::Cpu {
            asked_millis,
            free_millis,
        } => {
            let (asked, free) = (cores(*asked_millis), cores(*free_millis));
            lang.pick(
                format!("CPU 不足：需要 {asked} 核，剩余 {free} 核"),
                format!("CPU: asks for {asked} cores, {free} left"),
            )
        }
        Misfit::Memory {
            asked_bytes,
            free_bytes,
        } => {
            let (asked, free) = (mib(*asked_bytes), mib(*free_bytes));
            lang.pick(
                format!("内存不足：需要 {asked} MiB，剩余 {free} MiB"),
                format!("memory: asks for {asked} MiB, {free} MiB left"),
            )
        }
        Misfit::Npu { asked, free } => lang.pick(
            format!("NPU 不足：需要 {asked} 个，剩余 {free} 个"),
            format!("NPU: asks for {asked}, {free} left"),
        ),
        Misfit::TooMany { max } => lang.pick(
            format!("节点上的部署已达上限 {max} 个"),
            format!("the node already has its {max} deployments"),
        ),
        Misfit::NoRuntime => reason(Reason::NoRuntime, lang).to_owned(),
    }
}

/// The name of a noun, as [`Problem::not_found`] and [`Problem::taken`] use it.
pub fn noun(key: &str, lang: Lang) -> &str {
    let pair = match key {
        "node" => ("节点", "node"),
        "group" => ("分组", "group"),
        "app" => ("应用", "app"),
        "version" => ("版本", "version"),
        "deployment" => ("部署", "deployment"),
        "placement" => ("实例", "instance"),
        "alarm" => ("告警", "alarm"),
        "user" => ("用户", "user"),
        "token" => ("令牌", "token"),
        "package" => ("程序包", "package"),
        "software" => ("软件包", "software package"),
        "blob" => ("镜像数据", "blob"),
        "manifest" => ("镜像", "image"),
        "manifest-blob" => ("镜像所引用的数据", "part of the image"),
        "repository" => ("镜像仓库名", "repository"),
        "upload" => ("上传", "upload"),
        "authority" => ("外部 CA", "outside CA"),
        "job" => ("作业", "job"),
        "registry" => ("镜像仓库", "image registry"),
        "client-certificate" => ("客户端证书", "client certificate"),
        "project" => ("项目", "project"),
        "access-key" => ("访问密钥", "access key"),
        "serial" => ("序列号", "serial number"),
        "page" => ("页面", "page"),
        other => return other,
    };
    pick(lang, pair)
}

/// Why a field or an action is refused: the sentence for a reason's key.
pub fn refusal(key: &str, lang: Lang) -> &str {
    let pair = match key {
        "required" => ("必须填写", "must be given"),
        "name-empty" => ("不能为空", "must not be empty"),
        "name-too-long" => ("不能超过 64 个字符", "must not be longer than 64 characters"),
        "text-too-long" => ("过长", "is too long"),
        "name-control-characters" => ("不能含有控制字符", "must not hold control characters"),
        "name-blank-ends" => ("首尾不能有空格", "must not begin or end with a blank"),
        "label-form" => (
            "标签只能含有字母、数字和 - _ . /",
            "a label takes letters, digits and - _ . /",
        ),
        "password-too-short" => ("密码至少 8 个字符", "must have at least 8 characters"),
        "parts-empty" => ("至少需要一个容器或进程", "needs at least one container or process"),
        "list-too-long" => ("列表过长", "has too many entries"),
        "name-twice" => ("名称重复", "appears twice"),
        "port-twice" => ("主机端口重复", "uses a host port twice"),
        "part-count" => ("容器数量与应用不一致", "has another number of containers than the app"),
        "limit-reached" => ("已达上限", "is at its limit"),
        "deployed-already" => ("该应用已部署到此分组", "the app is deployed to this group already"),
        "member-already" => ("节点已在此分组中", "the node is in this group already"),
        "no-member" => ("节点不在此分组中", "the node is not in this group"),
        "node-in-use" => ("节点上仍有部署的应用", "something is still deployed to the node"),
        "port-zero" => ("端口必须在 1 到 65535 之间", "a port must be 1 to 65535"),
        "part-name" => (
            "只能含有小写字母、数字和 -，最多 32 个字符",
            "takes lower-case letters, digits and -, at most 32",
        ),
        "argument-form" => ("参数过长或含有空字符", "is too long or holds a NUL"),
        "env-form" => ("环境变量名或值不合规则", "has a variable of the wrong form"),
        "limit-below-request" => ("上限不能小于请求值", "the limit must not be below the request"),
        "number-too-large" => ("数值过大", "is too large"),
        "memory-too-small" => ("内存上限至少 6 MiB", "the memory limit must be at least 6 MiB"),
        "image-form" => ("不是有效的镜像名称", "is not an image reference"),
        "address-form" => ("不是有效的地址", "is not an address"),
        "no-plain-file" => ("不是普通文件", "it is no plain file"),
        "path-form" => ("不是有效的路径", "is not an allowed path"),
        "path-twice" => ("路径重复", "uses a path twice"),
        "device-path" => ("设备须为 /dev 下的路径", "a device is a path below /dev"),
        "device-rights" => ("设备至少需要一种权限", "a device needs at least one right"),
        "host-name" => ("不是有效的主机名", "is not the name of a host"),
        "privileged-hardened" => ("特权与加固不能同时使用", "cannot be privileged and hardened"),
        "npu-model" => (
            "NPU 型号形如 310、310P、910B",
            "an NPU model reads as 310, 310P or 910B",
        ),
        "vnpu-template" => (
            "虚拟 NPU 模板形如 vir02、vir04_3c",
            "a template of virtual NPUs reads as vir02 or vir04_3c",
        ),
        "vnpu-count" => (
            "虚拟 NPU 只能申请 1 个",
            "a virtual NPU is asked for with exactly 1 NPU",
        ),
        "package-hash" => ("不是已上传的程序包", "is not an uploaded package"),
        "target-empty" => ("没有选择目标", "names no target"),
        "time-order" => ("结束时间必须晚于开始时间", "the end must be after the begin"),
        "time-zone" => ("不是已知的时区", "is not a known time zone"),
        "number-range" => ("数值超出范围", "is out of range"),
        "group-in-use" => (
            "分组上还有部署，请先移除",
            "deployments aim at the group; undeploy them first",
        ),
        "app-in-use" => ("应用还有部署，请先移除", "the app is deployed; undeploy it first"),
        "already-managed" => ("节点已纳管", "the node is managed already"),
        "not-managed" => ("节点尚未纳管", "the node is not managed yet"),
        "being-removed" => ("正在移除", "it is being removed"),
        "last-admin" => ("这是最后一个管理员", "it is the last administrator"),
        "no-previous" => ("没有可以返回的版本", "there is no version to go back to"),
        "package-unsafe" => (
            "程序包中含有不安全的路径、链接或设备",
            "the package holds an unsafe path, a link or a device",
        ),
        "package-format" => ("不是 .tar.gz 程序包", "is not a .tar.gz package"),
        "csr-form" => ("证书请求无效", "is not a certificate request signed by its own key"),
        "host-and-port" => (
            "须为 主机:端口，如 registry.lab:5000",
            "must be host:port, as registry.lab:5000",
        ),
        "account-form" => (
            "须为 1 至 256 个字符，不含冒号和控制字符",
            "must have 1 to 256 characters, without colons and control characters",
        ),
        "password-length" => ("须为 1 至 256 个字符", "must have 1 to 256 characters"),
        "job-nodes" => ("须为 1 至 10000 个不同的节点", "must be 1 to 10,000 different nodes"),
        "job-runs" => (
            "同类作业正在进行，请等待其结束或将其停止",
            "another job of this kind runs; wait for its end, or stop it",
        ),
        "job-of-deployment" => (
            "作业随部署的变更结束，请改为变更该部署",
            "the job ends with the change of its deployment; change the deployment instead",
        ),
        "job-over" => ("作业已结束", "the job is over"),
        "job-stopped" => ("作业已停止", "the job was stopped"),
        "job-late" => ("超过作业时限", "the job's time was over"),
        "no-archive" => (
            "没有可下载的文件，或已过期",
            "there is no file to download, or its time is over",
        ),
        "nothing-sent" => ("节点没有发送文件", "the node has sent no file"),
        "checksum" => ("校验和不符", "is not the checksum of what was sent"),
        "uploading" => ("节点正在发送", "the node is sending it already"),
        "base64" => ("不是有效的 Base64 文本", "is not text in Base64"),
        "certificate-form" => ("不是 PEM 格式的证书", "is not one or more certificates in PEM form"),
        "certificate-count" => ("证书链最多 10 个证书", "holds more than 10 certificates"),
        "certificate-not-ca" => (
            "须为 X.509 v3 CA 证书，且密钥用途含证书签名",
            "must be an X.509 v3 CA certificate whose key may sign certificates",
        ),
        "certificate-time" => ("证书尚未生效或已过期", "is not valid yet, or not any more"),
        "certificate-key" => (
            "密钥须为 3072 位以上的 RSA，或 P-256、P-384 的 ECDSA",
            "needs an RSA key of 3072 bits or more, or an ECDSA key on P-256 or P-384",
        ),
        "certificate-digest" => (
            "摘要算法须为 SHA-256、SHA-384 或 SHA-512",
            "must be signed over SHA-256, SHA-384 or SHA-512",
        ),
        "certificate-signature" => (
            "签名不正确，或缺少自签名的根证书",
            "is not signed rightly, or the root that signs itself is missing",
        ),
        "crl-form" => (
            "不是 PEM 格式的吊销列表",
            "is not one or more revocation lists in PEM form",
        ),
        "crl-chain" => (
            "须为证书链中每个证书各提供一份由其签名的列表",
            "must hold one list of every certificate of the chain, signed by it",
        ),
        "crl-partial" => (
            "须为完整列表，不接受增量或部分列表",
            "must be whole lists, not changes or parts of one",
        ),
        "crl-time" => (
            "吊销列表尚未生效或已过期",
            "is not valid yet, or should have been replaced by now",
        ),
        "revoked" => ("已吊销", "it is revoked already"),
        "software-manifest" => ("不是代理软件包的内容", "is not what a package of the agent says"),
        "software-url" => (
            "须为其他机器上的 https 地址，不含账户，最长 512 字节",
            "must be an https address on another machine, without an account in it, of at most 512 bytes",
        ),
        "software-package" => ("不是完好的代理软件包", "is not a whole package of the agent"),
        "software-unsigned" => (
            "软件包没有本实验室的签名，且设置不允许",
            "the package is not signed by this lab, and the settings do not allow that",
        ),
        "software-signature" => (
            "软件包的签名不是本实验室的",
            "the package's signature is not this lab's",
        ),
        "software-arch" => (
            "软件包适用于 {arch}，与节点的架构不同",
            "the package is for {arch}, which the node is not",
        ),
        "software-lower" => (
            "版本 {version} 不高于正在运行的 {running}，且设置不允许",
            "version {version} is not above {running}, which runs, and the settings do not allow that",
        ),
        "software-program" => ("新版本无法在该节点上运行", "the new version does not run on the node"),
        "software-place" => (
            "节点无法写入代理程序所在的目录",
            "the node cannot write where its agent's program is",
        ),
        "software-unwell" => (
            "新版本未在规定时间内报告正常，已恢复原版本",
            "the new version did not report in time that it is well; the old one runs again",
        ),
        "software-own" => (
            "引擎所在机器的代理随引擎一起升级",
            "the agent of the engine's own machine comes with the engine; upgrade that",
        ),
        "software-interrupted" => (
            "升级中途被打断，原版本继续运行",
            "the upgrade was interrupted; the old version runs on",
        ),
        "software-busy" => (
            "节点上正在进行另一项软件作业",
            "another job with software is under way on the node",
        ),
        "software-late" => ("节点未在规定时间内完成", "the node was not done in time"),
        "nothing-waiting" => (
            "节点没有已下载、等待生效的版本",
            "the node has downloaded no version that could run",
        ),
        "no-software" => (
            "实验室没有适用于 {arch} 的版本 {version}",
            "the lab has no package of version {version} for {arch}",
        ),
        "no-authority" => (
            "尚未导入软件仓库的 CA",
            "the CA of the software's server was not imported yet",
        ),
        "download-refused" => (
            "服务器回应 HTTP {status}，请检查地址和账户",
            "the server answered HTTP {status}; check address and account",
        ),
        "download-failed" => (
            "无法从服务器下载，请检查地址、网络和 CA",
            "the server cannot be reached or trusted; check address, network and CA",
        ),
        "own-address" => ("地址是节点自己", "the address is the node's own"),
        "image-repository" => (
            "须为小写字母、数字及 . _ - /，如 lab/detector",
            "must be lower-case letters, digits and . _ - /, as lab/detector",
        ),
        "image-tag" => (
            "标签须为 1 至 128 个字母、数字或 . _ -",
            "must have 1 to 128 letters, digits or . _ -",
        ),
        "image-digest" => ("须为 sha256 摘要", "must be a digest by sha256"),
        "image-manifest" => (
            "不是 OCI 或 Docker v2 的镜像清单",
            "is not an image's manifest of OCI or of Docker's second version",
        ),
        "image-archive" => (
            "不是 docker save 或 podman save 生成的归档",
            "is not an archive as docker save or podman save write it",
        ),
        "image-unnamed" => (
            "归档中有镜像没有可用的名称和标签；请以 名称:标签 保存",
            "holds an image without a name and tag that can be kept; save it as name:tag",
        ),
        "image-in-version" => (
            "有应用版本以摘要引用它，请先删除该应用",
            "a version of an app names it by its digest; delete that app first",
        ),
        "image-in-list" => (
            "它属于一个多架构镜像，请删除后者",
            "an image for several architectures holds it; delete that one",
        ),
        "upload-offset" => (
            "续传位置不符，已收到 {offset} 字节",
            "the piece does not follow: {offset} bytes have arrived",
        ),
        "ca-step" => (
            "实验室 CA 的更换已有进展，请查看最新状态",
            "the change of the lab's CA has moved on; look at its newest state",
        ),
        "ca-nodes" => (
            "{n} 个节点还没有准备好（{names}），将无法再连接",
            "{n} nodes are not ready ({names}) and could not connect any more",
        ),
        "ca-clients" => (
            "{n} 个有效的客户端证书由先前的 CA 签发，将不再被接受",
            "{n} good client certificates come from the former CA and would be refused",
        ),
        "project-name" => (
            "须为 1 至 64 个字母、数字、- 或 _，如 cn-north-4",
            "must have 1 to 64 letters, digits, - or _, as cn-north-4",
        ),
        "project-default" => ("这是实验室自身的项目", "it is the lab's own project"),
        "project-in-use" => (
            "项目还有访问密钥，请先吊销",
            "the project has access keys; revoke them first",
        ),
        "signature-used" => ("该签名已使用过", "this signature was used before"),
        "joined-already" => ("本机已加入", "this machine is joined already"),
        "no-agent" => (
            "没有适用于该架构的代理程序",
            "there is no agent program for that architecture",
        ),
        "join-failed" => ("加入失败", "joining failed"),
        other => return other,
    };
    pick(lang, pair)
}

/// The sentence for a [`Problem`].
pub fn problem(problem: &Problem, lang: Lang) -> String {
    let (what, name) = (noun(problem.fact("what"), lang), problem.fact("name"));
    let why = fill(refusal(problem.fact("reason"), lang), &problem.facts);
    let field = problem.fact("field");
    match problem.code {
        Code::Invalid => lang.pick(format!("{field}：{why}。"), format!("{field}: {why}.")),
        Code::Malformed => {
            lang.pick("请求不是预期格式的 JSON。", "The request is not JSON of the expected form.").to_owned()
        }
        Code::TooLarge => lang.pick("内容超过大小上限。", "The content is larger than the limit.").to_owned(),
        Code::Unauthenticated => lang.pick("请先登录。", "Please sign in.").to_owned(),
        Code::WrongPassword => lang.pick("用户名或密码错误。", "The name or the password is wrong.").to_owned(),
        Code::Locked => {
            let seconds = problem.fact("seconds");
            lang.pick(
                format!("错误次数过多，请在 {seconds} 秒后再试。"),
                format!("Too many wrong tries. Wait {seconds} seconds and try again."),
            )
        }
        Code::Forbidden => lang
            .pick("您的角色不允许此操作，请联系管理员。", "Your role does not allow this. Ask an administrator.")
            .to_owned(),
        Code::NotFound => lang.pick(format!("找不到该{what}，可能已被删除。"), format!("That {what} does not exist; it may have been deleted.")),
        Code::Taken => lang.pick(
            format!("{what} {name} 已存在，请换一个。"),
            format!("The {what} {name} exists already. Choose another."),
        ),
        Code::Changed => lang
            .pick("其他人刚刚修改了它。请查看最新内容后再保存。", "Somebody else has just changed it. Look at the newest and save again.")
            .to_owned(),
        Code::Conflict if problem.fact("reason") == "instance-failed" => {
            let why = lang.pick(problem.fact("why_zh"), problem.fact("why_en"));
            lang.pick(format!("没有运行起来：{why}"), format!("It does not run: {why}"))
        }
        Code::Conflict => lang.pick(format!("无法执行：{why}。"), format!("Not possible: {why}.")),
        Code::DoesNotFit => {
            let node = problem.fact("node");
            let why = lang.pick(problem.fact("why_zh"), problem.fact("why_en"));
            lang.pick(format!("节点 {node} 放不下：{why}。"), format!("It does not fit node {node}: {why}."))
        }
        Code::BadToken => lang
            .pick("令牌无效、已使用或已过期，请在控制台生成新的令牌。", "The token is wrong, used up or expired. Make a new one in the console.")
            .to_owned(),
        Code::Unreachable if name.is_empty() => {
            lang.pick("节点当前不在线，请稍后再试。", "The node is not connected now. Try again later.").to_owned()
        }
        Code::Unreachable => lang.pick(
            format!("节点 {name} 没有接收，稍后会自动重试。"),
            format!("The node {name} did not take it; it is tried again by itself."),
        ),
        Code::StoreUnavailable => lang
            .pick(
                "引擎当前无法写入数据库（磁盘已满或只读）。没有任何更改；腾出空间后重试。",
                "The engine cannot write its database now (disk full or read-only). Nothing was changed; free space and try again.",
            )
            .to_owned(),
        Code::NotBuilt => lang.pick("此功能尚未提供。", "This is not built yet.").to_owned(),
        Code::Internal => lang
            .pick("引擎内部错误，详情见日志。", "Something went wrong inside the engine; its log says more.")
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_fill_a_sentence_and_a_missing_one_shows() {
        let facts = BTreeMap::from([("node".to_owned(), "a{b}".to_owned())]);
        assert_eq!(fill("x {node} y {gone} z", &facts), "x a{b} y ? z");
        assert_eq!(fill("open {", &facts), "open ");
    }

    #[test]
    fn a_running_part_says_whether_it_is_ready_and_well() {
        let part = |ready, unhealthy, reason, detail: &str| PartStatus {
            name: "a".to_owned(),
            state: InstanceState::Running,
            restarts: 0,
            recent_restarts: 0,
            exit_code: None,
            reason,
            detail: Some(detail.to_owned()),
            started_at: None,
            finished_at: None,
            next_start_at: None,
            unhealthy,
            ready,
        };
        let health = |part: &PartStatus| part_health(part, Lang::En).unwrap_or_default();
        let late = part(Some(false), false, None, "status 503");
        assert_eq!(health(&late), "a: it is not ready: status 503");
        assert_eq!(health(&part(Some(true), true, None, "")), "a: it is not healthy");
        assert_eq!(health(&part(Some(true), false, None, "")), "");
        assert_eq!(health(&part(None, true, Some(Reason::Refused), "")), "");
        let stopped = PartStatus {
            state: InstanceState::Stopped,
            ..late.clone()
        };
        assert_eq!(health(&stopped), "");

        let (ready, unasked) = (part(Some(true), false, None, ""), part(None, false, None, ""));
        let word = |state, parts: &[&PartStatus]| {
            let parts: Vec<PartStatus> = parts.iter().map(|part| (*part).clone()).collect();
            instance_state_of(state, &parts, Lang::En)
        };
        let running = instance_state(InstanceState::Running, Lang::En);
        assert_eq!(word(InstanceState::Running, &[&unasked]), running);
        assert_eq!(
            word(InstanceState::Running, &[&ready, &unasked]),
            format!("{running}, ready")
        );
        assert_eq!(
            word(InstanceState::Running, &[&ready, &late]),
            format!("{running}, not ready")
        );
        let unknown = instance_state(InstanceState::Unknown, Lang::En);
        assert_eq!(word(InstanceState::Unknown, &[&late]), unknown);
    }
}
