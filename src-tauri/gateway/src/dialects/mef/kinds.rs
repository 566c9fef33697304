//! The kinds of alarms and events in MEF's words. Numbers that end in `e0..` are of kinds that MEF does not have.

use edgedeck_model::{
    Lang,
    alarm::{AlarmKind, Severity},
    event::EventKind,
    text,
};

pub struct Kind {
    /// `alarmId`.
    pub id: &'static str,
    pub name: &'static str,
    pub reason: &'static str,
    pub impact: &'static str,
    pub suggestion: &'static str,
}

pub fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Minor => "MINOR",
        Severity::Major => "MAJOR",
        Severity::Critical => "CRITICAL",
    }
}

/// The kind of an alarm, of a node or of the engine itself, about this subject.
pub fn of_alarm(kind: AlarmKind, of_node: bool, subject: &str) -> Kind {
    let (id, name, reason, impact) = match (kind, of_node) {
        (AlarmKind::NodeOffline, _) => (
            "0x0013e001",
            "Node Offline",
            "Nothing was heard of the node for longer than its timeout.",
            "The state of the node and of its applications is not known.",
        ),
        (AlarmKind::CrashLoop, _) => (
            "0x0013e002",
            "Application Restarts Repeatedly",
            "A container or process of the application ends again and again.",
            "The application does not do its work on this node.",
        ),
        (AlarmKind::DiskFull, _) => (
            "0x0013e003",
            "Disk Nearly Full",
            "The use of a disk is over its threshold.",
            "Images cannot be pulled and applications cannot write.",
        ),
        (AlarmKind::NpuHot, _) => (
            "0x00131012",
            "NPU Abnormal",
            "The temperature of a chip is over its threshold.",
            "The chip may slow down or switch itself off.",
        ),
        (AlarmKind::CertificateExpiring, true) => (
            "0x00131013",
            "Cert Abnormal",
            "The certificate of the node ends soon.",
            "The node cannot connect once its certificate has ended.",
        ),
        (AlarmKind::CertificateExpiring, false) => (
            "0x01000005",
            "MEF Center Service Cert Need Update",
            "The certificate of the service ends soon.",
            "Nodes and clients cannot connect once the certificate has ended.",
        ),
        (AlarmKind::RuntimeDown, _) => (
            "0x00131001",
            "Docker Engine Abnormal",
            "The container engine of the node does not answer.",
            "Containers cannot be started, stopped or watched.",
        ),
        (AlarmKind::ProbeFailed, _) => (
            "0x00131002",
            "Application Liveness Probe Abnormal",
            "The container's own check says that it is not well.",
            "The application may not do its work on this node.",
        ),
        (AlarmKind::DeviceMissing, _) => (
            "0x00131003",
            "Apply NPU Resource Failed",
            "The node does not have the NPUs or devices that the application asks for.",
            "The application does not run on this node.",
        ),
        (AlarmKind::AgentSpace, _) => (
            "0x00131011",
            "MEFEdge Log Abnormal",
            "The disk with the agent's folder is almost full.",
            "Logs and packages may not be written.",
        ),
        (AlarmKind::NpuUnhealthy, _) => (
            "0x00131012",
            "NPU Abnormal",
            "The NPU tool says that a chip is not healthy.",
            "Work on the chip fails or is slow.",
        ),
        (AlarmKind::AgentDamaged, _) => (
            "0x00131014",
            "MEFEdge Database Abnormal",
            "What the agent has kept was damaged.",
            "None, once the agent has got it from the engine again.",
        ),
        (AlarmKind::AuthorityExpiring, _) => match subject {
            "clients" => (
                "0x01000001",
                "Third Management Platform Cert Abnormal",
                "A certificate of the integrator's chain ends soon, or has ended.",
                "Clients of the integrator cannot connect once it has ended.",
            ),
            "software" => (
                "0x01000002",
                "Software Repository Cert Abnormal",
                "A certificate of the software repository's chain ends soon, or has ended.",
                "Nodes cannot download software once it has ended.",
            ),
            _ => (
                "0x01000003",
                "Image Repository Cert Abnormal",
                "A certificate of the image repository's chain ends soon, or has ended.",
                "Nodes cannot pull images once it has ended.",
            ),
        },
        (AlarmKind::CaExpiring, _) => (
            "0x01000004",
            "MEF Center Ca Cert Need Update",
            "The CA that nodes' certificates come from ends soon.",
            "Nodes cannot connect once it has ended.",
        ),
        (AlarmKind::CaNotTaken, _) => (
            "0x0013e004",
            "New Root Cert Not Taken",
            "The node has not taken the coming root certificate.",
            "The node cannot connect once that certificate is in use.",
        ),
        (AlarmKind::RevocationsOverdue, _) => (
            "0x0100e002",
            "Revocation List Overdue",
            "A revocation list should have been replaced by now.",
            "What was revoked since is not known.",
        ),
        (AlarmKind::StoreTrouble, _) => (
            "0x0100e001",
            "Database Abnormal",
            "The database cannot be written, or its disk is nearly full.",
            "Nothing can be changed until it can be written again.",
        ),
    };
    Kind {
        id,
        name,
        reason,
        impact,
        suggestion: text::alarm_advice(kind, Lang::En),
    }
}

/// The kind of an event, and how severe it is.
pub fn of_event(kind: EventKind) -> (Kind, &'static str) {
    let (id, name, severity, reason) = match kind {
        EventKind::NodeJoined => ("0x0013e101", "Node Joined", "OK", "A box joined the lab."),
        EventKind::NodeManaged => ("0x0013e102", "Node Managed", "OK", "A node was put to work."),
        EventKind::NodeRemoved => ("0x0100e103", "Node Removed", "OK", "A node was taken out of the lab."),
        EventKind::NodeOnline => ("0x0013e104", "Node Online", "OK", "The node's link is up."),
        EventKind::NodeOffline => ("0x0013e105", "Node Offline", "MAJOR", "Nothing was heard of the node."),
        EventKind::NodeDegraded => ("0x0013e106", "Node Degraded", "MINOR", "A check of the node fails."),
        EventKind::NodeRestarted => ("0x0013e107", "Node Restarted", "MINOR", "The box was started again."),
        EventKind::InstanceRunning => ("0x0013e108", "Application Running", "OK", "The application runs."),
        EventKind::InstanceExited => (
            "0x00131004",
            "Application Restart",
            "OK",
            "A container or process ended.",
        ),
        EventKind::InstanceFailed => (
            "0x0013e109",
            "Application Failed",
            "MAJOR",
            "The application cannot start.",
        ),
        EventKind::InstanceRemoved => (
            "0x0013e10a",
            "Application Removed",
            "OK",
            "The application was removed.",
        ),
        EventKind::AlarmRaised => ("0x0013e10b", "Alarm Raised", "MINOR", "The cause of an alarm came up."),
        EventKind::RequestInvalid => (
            "0x00135001",
            "Invalid parameter",
            "OK",
            "A request to the node had bad parameters.",
        ),
        EventKind::RequestRefused => (
            "0x00135002",
            "Operation Invalid",
            "OK",
            "The node got a request that it does not carry out.",
        ),
        EventKind::CertificateNotRenewed => (
            "0x01000006",
            "MEF Center Ca Cert Update Abnormal",
            "CRITICAL",
            "The node is connected and did not renew its certificate.",
        ),
        EventKind::CaNotTaken => (
            "0x01000007",
            "MEF Center Service Cert Update Abnormal",
            "CRITICAL",
            "The node did not take the new root certificate.",
        ),
        EventKind::AlarmCleared => ("0x0013e10c", "Alarm Cleared", "OK", "The cause of an alarm is gone."),
    };
    let impact = if severity == "OK" {
        "None."
    } else {
        "See the alarms of the node."
    };
    let suggestion = if severity == "OK" {
        "None."
    } else {
        "Look at the node and at its alarms."
    };
    (
        Kind {
            id,
            name,
            reason,
            impact,
            suggestion,
        },
        severity,
    )
}
