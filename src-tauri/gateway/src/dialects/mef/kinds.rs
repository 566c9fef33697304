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

/// The kind of an alarm, of a node or of the engine itself.
pub fn of_alarm(kind: AlarmKind, of_node: bool) -> Kind {
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
