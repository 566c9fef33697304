//! Alarms and events. Both are records of one list of numbers.

use super::{
    answer::{Code, Failure, INVALID, Outcome, Reply},
    common,
    kinds::{self, Kind},
    request::{Query, read},
    rules::{self, require},
};
use crate::dialects::times;
use axum::extract::State;
use edgedeck_engine::{AliasKind, Engine, Error, RecordsOf, System};
use edgedeck_model::{
    AlarmId, Code as Why, EventId, Lang, NodeId, Problem, Time, alarm::Alarm, event::Event, node::Node, text,
};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

const OF_CENTER: Code = Code("50011001", "failed to list center node alarm info");
const OF_NODES: Code = Code("50011002", "failed to list edge node alarm info");
const OF_GROUP: Code = Code("50011003", "failed to list specific group node alarm info");
const LIST: Code = Code("50011004", "failed to list alarms");
const GROUP: Code = Code(
    "50011005",
    "failed to query nodeGroup information, please recheck provided groupId is valid",
);
const GROUP_DATA: Code = Code("50011006", "failed to unmarshal response from edge-manager");
const GET: Code = Code("50011007", "failed to get alarm detail in db");
/// Events kept of each node, as far as MEF is concerned.
const EVENTS_PER_NODE: u32 = 50;

type Lab = State<Arc<Engine>>;

/// What alarms and events have in common here.
struct Record {
    id: u32,
    kind: Kind,
    severity: &'static str,
    at: Time,
    node: Option<Node>,
    sentence: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    id: u32,
    alarm_type: &'static str,
    create_at: String,
    ip: String,
    serial_number: String,
    resource: String,
    severity: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    alarm_id: &'static str,
    alarm_name: &'static str,
    alarm_type: &'static str,
    create_at: String,
    detailed_information: String,
    id: u32,
    impact: &'static str,
    ip: String,
    serial_number: String,
    perceived_severity: &'static str,
    reason: &'static str,
    resource: String,
    suggestion: &'static str,
}

impl Record {
    fn of_alarm(engine: &Engine, alarm: &Alarm) -> Result<Self, Problem> {
        Ok(Self {
            id: common::number(engine, AliasKind::Alarm, alarm.id.0)?,
            kind: kinds::of_alarm(alarm.kind, alarm.node.is_some(), &alarm.subject),
            severity: kinds::severity(alarm.severity),
            at: alarm.raised_at,
            node: present(engine, alarm.node)?,
            sentence: text::alarm(alarm, Lang::En),
        })
    }

    fn of_event(engine: &Engine, event: &Event) -> Result<Self, Problem> {
        let (kind, severity) = kinds::of_event(event.kind);
        Ok(Self {
            id: common::number(engine, AliasKind::Event, event.id.0)?,
            kind,
            severity,
            at: event.at,
            node: present(engine, event.node)?,
            sentence: text::event(event, Lang::En),
        })
    }

    fn ip(&self) -> String {
        self.node
            .as_ref()
            .and_then(|node| node.facts.ip.clone())
            .unwrap_or_default()
    }

    fn serial(&self) -> String {
        self.node.as_ref().map(|node| node.serial.clone()).unwrap_or_default()
    }

    fn resource(&self) -> String {
        self.node
            .as_ref()
            .map_or_else(|| "EdgeDeck".to_owned(), |node| node.name.clone())
    }

    fn row(self, alarm_type: &'static str) -> Row {
        Row {
            id: self.id,
            alarm_type,
            create_at: times::utc(self.at),
            ip: self.ip(),
            serial_number: self.serial(),
            resource: self.resource(),
            severity: self.severity,
        }
    }

    fn detail(self, alarm_type: &'static str) -> Detail {
        Detail {
            alarm_type,
            create_at: times::utc(self.at),
            id: self.id,
            ip: self.ip(),
            serial_number: self.serial(),
            resource: self.resource(),
            alarm_id: self.kind.id,
            alarm_name: self.kind.name,
            impact: self.kind.impact,
            reason: self.kind.reason,
            suggestion: self.kind.suggestion,
            perceived_severity: self.severity,
            detailed_information: self.sentence,
        }
    }
}

/// The node of a record; one that was removed meanwhile is none.
fn present(engine: &Engine, node: Option<NodeId>) -> Result<Option<Node>, Problem> {
    match node.map(|node| engine.node(node).map_err(Problem::from)) {
        None => Ok(None),
        Some(Ok(node)) => Ok(Some(node)),
        Some(Err(problem)) if problem.code == Why::NotFound => Ok(None),
        Some(Err(problem)) => Err(problem),
    }
}

/// Whose records are asked for, and the code for what fails then.
fn scope(engine: &Engine, query: &Query) -> Result<(RecordsOf, Code), Failure> {
    let center = match query.text("ifCenter") {
        None => None,
        Some("true") => return Ok((RecordsOf::Engine, OF_CENTER)),
        Some("false") => Some(false),
        Some(_) => return Err(INVALID.into()),
    };
    match (query.text("sn"), query.text("groupId")) {
        (Some(_), Some(_)) => Err(INVALID.into()),
        (Some(serial), None) => {
            require(rules::is_node_name(serial))?;
            let node = read(engine.node_by_serial(serial), OF_NODES)?;
            Ok((
                RecordsOf::These(node.into_iter().map(|node| node.id).collect()),
                OF_NODES,
            ))
        }
        (None, Some(_)) => Ok((RecordsOf::These(members(engine, query.id("groupId")?)?), OF_GROUP)),
        (None, None) if center.is_some() => Ok((RecordsOf::Nodes, OF_NODES)),
        (None, None) => Ok((RecordsOf::Lab, LIST)),
    }
}

/// The nodes of a group; an unknown one has none.
fn members(engine: &Engine, group: u32) -> Result<Vec<NodeId>, Failure> {
    let group = match common::group(engine, group) {
        Ok(group) => group,
        Err(problem) if problem.code == Why::NotFound => return Ok(Vec::new()),
        Err(problem) => return Err(GROUP.because(problem)),
    };
    match engine.group(group) {
        Ok(group) => read(engine.group_members(group.id), GROUP),
        Err(error @ Error::Row(_)) => Err(GROUP_DATA.because(error)),
        Err(error) => Err(GROUP.because(error)),
    }
}

pub async fn list_alarms(State(engine): Lab, query: Query) -> Outcome {
    let find = query.page()?;
    let (of, own) = scope(&engine, &query)?;
    let found = read(engine.alarms_of(&of, find.offset, find.limit), own)?;
    let records = found
        .items
        .iter()
        .map(|alarm| Ok(Record::of_alarm(&engine, alarm)?.row("alarm")));
    let records = records
        .collect::<Result<Vec<_>, Problem>>()
        .map_err(|problem| own.because(problem))?;
    Reply::data(json!({ "records": records, "total": found.total }), own)
}

pub async fn list_events(State(engine): Lab, query: Query) -> Outcome {
    let find = query.page()?;
    let (of, own) = scope(&engine, &query)?;
    let found = read(engine.events_of(&of, EVENTS_PER_NODE, find.offset, find.limit), own)?;
    let records = found
        .items
        .iter()
        .map(|event| Ok(Record::of_event(&engine, event)?.row("event")));
    let records = records
        .collect::<Result<Vec<_>, Problem>>()
        .map_err(|problem| own.because(problem))?;
    Reply::data(json!({ "records": records, "total": found.total }), own)
}

/// What a record's number stands for; that of the other kind of record is refused.
fn record(engine: &Engine, id: u32, kind: AliasKind, other: AliasKind) -> Result<Uuid, Failure> {
    if let Some(found) = read(engine.resolve(System::Mef, kind, id), GET)? {
        return Ok(found);
    }
    match read(engine.resolve(System::Mef, other, id), GET)? {
        Some(_) => Err(INVALID.into()),
        None => Err(Code(GET.0, "id not found").into()),
    }
}

pub async fn get_alarm(State(engine): Lab, query: Query) -> Outcome {
    let id = record(&engine, query.id("id")?, AliasKind::Alarm, AliasKind::Event)?;
    let alarm = read(engine.alarm(AlarmId(id)), GET)?;
    // A cleared alarm is history, which MEF does not keep.
    if alarm.cleared_at.is_some() {
        return Err(GET.because(Problem::not_found("alarm")));
    }
    let record = Record::of_alarm(&engine, &alarm).map_err(|problem| GET.because(problem))?;
    Reply::data(record.detail("alarm"), GET)
}

pub async fn get_event(State(engine): Lab, query: Query) -> Outcome {
    let id = record(&engine, query.id("id")?, AliasKind::Event, AliasKind::Alarm)?;
    let event = read(engine.event(EventId(id)), GET)?;
    let record = Record::of_event(&engine, &event).map_err(|problem| GET.because(problem))?;
    Reply::data(record.detail("event"), GET)
}
