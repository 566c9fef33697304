//! Which alarms the filters ask for.

use crate::match_text::{folded, has_all_words};
use edgedeck_model::{
    NodeId,
    alarm::{Alarm, AlarmKind, Severity},
};

/// A severity's key in addresses.
pub fn severity_key(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::Major => "major",
        Severity::Minor => "minor",
    }
}

/// A kind's key in addresses.
pub fn kind_key(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NodeOffline => "node-offline",
        AlarmKind::CrashLoop => "crash-loop",
        AlarmKind::DiskFull => "disk-full",
        AlarmKind::NpuHot => "npu-hot",
        AlarmKind::CertificateExpiring => "certificate-expiring",
        AlarmKind::StoreTrouble => "store-trouble",
        AlarmKind::RuntimeDown => "runtime-down",
        AlarmKind::ProbeFailed => "probe-failed",
        AlarmKind::DeviceMissing => "device-missing",
        AlarmKind::NpuUnhealthy => "npu-unhealthy",
        AlarmKind::AgentSpace => "agent-space",
        AlarmKind::AgentDamaged => "agent-damaged",
        AlarmKind::AuthorityExpiring => "authority-expiring",
        AlarmKind::RevocationsOverdue => "revocations-overdue",
        AlarmKind::CaExpiring => "ca-expiring",
        AlarmKind::CaNotTaken => "ca-not-taken",
    }
}

/// What the filters ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub words: String,
    pub severity: String,
    pub state: String,
    pub kind: String,
    pub node: Option<NodeId>,
}

impl Wanted {
    /// Whether an alarm fits; `sentence` is what is shown of it.
    pub fn takes(&self, alarm: &Alarm, sentence: &str) -> bool {
        let is_open = alarm.cleared_at.is_none();
        let state = match self.state.as_str() {
            "unseen" => is_open && alarm.acknowledged.is_none(),
            "seen" => is_open && alarm.acknowledged.is_some(),
            "cleared" => !is_open,
            "every" => true,
            _ => is_open,
        };
        let fits = |wanted: &str, key: &str| wanted.is_empty() || wanted == key;
        state
            && fits(&self.severity, severity_key(alarm.severity))
            && fits(&self.kind, kind_key(alarm.kind))
            && self.node.is_none_or(|node| alarm.node == Some(node))
            && has_all_words(&folded(sentence), &self.words)
    }

    /// Whether cleared ones are wanted, which the console does not hold.
    pub fn looks_back(&self) -> bool {
        matches!(self.state.as_str(), "cleared" | "every")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::{AlarmId, Time, alarm::Acknowledged};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    fn alarm(severity: Severity, cleared: bool, seen: bool) -> Alarm {
        Alarm {
            id: AlarmId(Uuid::from_u128(1)),
            rev: 1,
            kind: AlarmKind::NodeOffline,
            severity,
            node: Some(NodeId(Uuid::from_u128(2))),
            subject: String::new(),
            facts: BTreeMap::new(),
            raised_at: Time(1),
            cleared_at: cleared.then_some(Time(2)),
            acknowledged: seen.then(|| Acknowledged {
                by: "a".to_owned(),
                at: Time(1),
            }),
        }
    }

    #[test]
    fn filters() {
        let (open, seen, cleared) = (
            alarm(Severity::Major, false, false),
            alarm(Severity::Minor, false, true),
            alarm(Severity::Critical, true, false),
        );
        let taken =
            |wanted: &Wanted| [&open, &seen, &cleared].map(|alarm| wanted.takes(alarm, "Node Box-1 is offline"));
        let plain = Wanted::default();
        assert_eq!(taken(&plain), [true, true, false]);
        for (state, expected) in [
            ("unseen", [true, false, false]),
            ("seen", [false, true, false]),
            ("cleared", [false, false, true]),
            ("every", [true; 3]),
        ] {
            assert_eq!(
                taken(&Wanted {
                    state: state.to_owned(),
                    ..plain.clone()
                }),
                expected,
                "{state}"
            );
        }
        assert_eq!(
            taken(&Wanted {
                severity: "minor".to_owned(),
                ..plain.clone()
            }),
            [false, true, false]
        );
        assert_eq!(
            taken(&Wanted {
                kind: "npu-hot".to_owned(),
                ..plain.clone()
            }),
            [false; 3]
        );
        assert_eq!(
            taken(&Wanted {
                words: "box offline".to_owned(),
                ..plain.clone()
            }),
            [true, true, false]
        );
        assert_eq!(
            taken(&Wanted {
                node: Some(NodeId(Uuid::from_u128(9))),
                ..plain
            }),
            [false; 3]
        );
    }
}
