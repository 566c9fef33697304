//! Reports: the engine's facts in the shape that the report crate draws.

use edgedeck_engine::{Engine, Health};
use edgedeck_model::{
    Lang, Problem, Time,
    alarm::Alarm,
    api::{AlarmQuery, NodeQuery, PAGE_MAX, PageQuery, ReportFormat, ReportKind, ReportQuery},
    deployment::{Deployment, InstanceState, Target},
    node::Node,
    telemetry::{Metric, SeriesQuery},
    text,
    time::DAY,
};
use edgedeck_report::{AlarmLine, DeploymentLine, Kind, LabSeries, NodeLine, ReportData};
use std::collections::HashMap;

/// Longest period of one report.
const PERIOD_MAX: i64 = 400 * DAY;

pub struct ReportFile {
    /// Suggested name, in ASCII.
    pub name: String,
    /// Content type.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// # Errors
/// [`edgedeck_model::Code::Invalid`] for an impossible period.
pub fn make(engine: &Engine, query: &ReportQuery) -> Result<ReportFile, Problem> {
    let span = query.to.since(query.from);
    if span <= 0 || span > PERIOD_MAX {
        return Err(Problem::invalid("to", "time-order"));
    }
    let data = gather(engine, query)?;
    let (bytes, kind, ending) = match query.format {
        ReportFormat::Pdf => (edgedeck_report::pdf(&data), "application/pdf", "pdf"),
        ReportFormat::Xlsx => (
            edgedeck_report::xlsx(&data),
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "xlsx",
        ),
        ReportFormat::Csv => (edgedeck_report::csv(&data), "text/csv; charset=utf-8", "csv"),
        ReportFormat::Html => (
            edgedeck_report::html(&data).map(String::into_bytes),
            "text/html; charset=utf-8",
            "html",
        ),
    };
    let bytes = bytes.map_err(Problem::internal)?;
    let kind_name = match query.kind {
        ReportKind::Inventory => "inventory",
        ReportKind::Health => "health",
        ReportKind::InventoryAndHealth => "inventory-health",
    };
    let lang = query.lang.pick("zh", "en");
    Ok(ReportFile {
        name: format!("edgedeck-{kind_name}-{lang}.{ending}"),
        kind,
        bytes,
    })
}

/// Every page of a list, one after the other.
fn all<T>(mut page: impl FnMut(u32) -> Result<Vec<T>, Problem>) -> Result<Vec<T>, Problem> {
    let mut found = Vec::new();
    loop {
        let items = page(u32::try_from(found.len()).unwrap_or(u32::MAX))?;
        let last = items.len() < PAGE_MAX as usize;
        found.extend(items);
        if last {
            return Ok(found);
        }
    }
}

fn gather(engine: &Engine, query: &ReportQuery) -> Result<ReportData, Problem> {
    let settings = engine.settings();
    let lang = query.lang;
    let nodes = all(|offset| {
        Ok(engine
            .list_whole_nodes(&NodeQuery {
                offset,
                limit: PAGE_MAX,
                ..NodeQuery::default()
            })?
            .items)
    })?;
    let groups = all(|offset| {
        Ok(engine
            .list_groups(&PageQuery {
                offset,
                limit: PAGE_MAX,
                filter: String::new(),
            })?
            .items)
    })?;
    let groups: HashMap<_, _> = groups.into_iter().map(|group| (group.id, group.name)).collect();
    let names: HashMap<_, _> = nodes.iter().map(|node| (node.id, node.name.clone())).collect();
    let alarms: Vec<Alarm> = all(|offset| {
        Ok(engine
            .list_alarms(&AlarmQuery {
                offset,
                limit: PAGE_MAX,
                cleared: true,
                node: None,
            })?
            .items)
    })?
    .into_iter()
    .filter(|alarm| alarm.raised_at <= query.to && alarm.cleared_at.is_none_or(|cleared| cleared >= query.from))
    .collect();
    let health = engine.health(query.from, query.to)?;
    let availability = engine.availability(query.from, query.to)?;
    let line = |node: &Node| {
        let raised = alarms
            .iter()
            .filter(|alarm| alarm.node == Some(node.id) && alarm.raised_at >= query.from)
            .count();
        let groups = node
            .groups
            .iter()
            .filter_map(|group| groups.get(group).cloned())
            .collect();
        let current = engine.node(node.id).unwrap_or_else(|_| node.clone());
        node_line(
            &current,
            groups,
            health.get(&node.id),
            availability.get(&node.id).copied(),
            raised,
        )
    };
    let deployments = all(|offset| {
        Ok(engine
            .list_deployments(&PageQuery {
                offset,
                limit: PAGE_MAX,
                filter: String::new(),
            })?
            .items)
    })?;
    Ok(ReportData {
        lab: settings.lab.clone(),
        generated_at: engine.now(),
        period: (query.from, query.to),
        tz: settings.time_zone.clone(),
        lang,
        kind: match query.kind {
            ReportKind::Inventory => Kind::Inventory,
            ReportKind::Health => Kind::Health,
            ReportKind::InventoryAndHealth => Kind::InventoryAndHealth,
        },
        nodes: nodes.iter().map(line).collect(),
        alarms: alarms.iter().map(|alarm| alarm_line(alarm, &names, lang)).collect(),
        deployments: deployments
            .iter()
            .map(|deployment| deployment_line(engine, deployment, &groups, &names, lang))
            .collect::<Result<_, _>>()?,
        series: series(engine, query.from, query.to)?,
    })
}

fn node_line(
    node: &Node,
    groups: Vec<String>,
    health: Option<&Health>,
    availability: Option<f64>,
    alarms: usize,
) -> NodeLine {
    let facts = &node.facts;
    let mean = |metric| health.and_then(|health| health.get(&metric)?.mean());
    let peak = |metric| health.and_then(|health| health.get(&metric)?.peak());
    NodeLine {
        name: node.name.clone(),
        serial: node.serial.clone(),
        model: facts.model.clone(),
        arch: facts.arch.clone(),
        os: facts.os.clone(),
        state: node.state,
        managed: node.managed,
        ip: facts.ip.clone(),
        cpus: facts.cpus,
        memory_bytes: facts.memory_bytes,
        disk_total_bytes: facts.disks.iter().map(|disk| disk.total_bytes).sum(),
        disk_used_bytes: facts.disks.iter().map(|disk| disk.used_bytes).sum(),
        npus: facts.npus.len() as u32,
        npu_name: facts.npus.first().map(|chip| chip.name.clone()),
        agent_version: facts.agent_version.clone(),
        groups,
        availability,
        cpu_mean: mean(Metric::CpuPercent),
        cpu_max: peak(Metric::CpuPercent),
        memory_mean: mean(Metric::MemoryPercent),
        memory_max: peak(Metric::MemoryPercent),
        npu_mean: mean(Metric::NpuPercent),
        npu_max: peak(Metric::NpuPercent),
        npu_temperature_max: peak(Metric::NpuTemperature),
        alarms: u32::try_from(alarms).unwrap_or(u32::MAX),
    }
}

fn alarm_line(alarm: &Alarm, names: &HashMap<edgedeck_model::NodeId, String>, lang: Lang) -> AlarmLine {
    AlarmLine {
        severity: alarm.severity,
        kind: alarm.kind,
        text: text::alarm(alarm, lang),
        node: alarm.node.map(|node| {
            names
                .get(&node)
                .or_else(|| alarm.facts.get("node"))
                .cloned()
                .unwrap_or_else(|| node.to_string())
        }),
        raised_at: alarm.raised_at,
        cleared_at: alarm.cleared_at,
        acknowledged_by: alarm.acknowledged.as_ref().map(|seen| seen.by.clone()),
    }
}

fn deployment_line(
    engine: &Engine,
    deployment: &Deployment,
    groups: &HashMap<edgedeck_model::GroupId, String>,
    names: &HashMap<edgedeck_model::NodeId, String>,
    lang: Lang,
) -> Result<DeploymentLine, Problem> {
    let placements = engine.deployment(deployment.id)?.placements;
    let count = |state| placements.iter().filter(|placement| placement.state == state).count() as u32;
    let target = match &deployment.target {
        Target::Group(group) => groups.get(group).cloned().unwrap_or_default(),
        Target::Nodes(nodes) if nodes.len() == 1 => nodes
            .first()
            .and_then(|node| names.get(node))
            .cloned()
            .unwrap_or_default(),
        Target::Nodes(nodes) => lang.pick(format!("{} 个节点", nodes.len()), format!("{} nodes", nodes.len())),
        Target::Labels(labels) => labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Ok(DeploymentLine {
        name: deployment.name.clone(),
        app: engine
            .app(deployment.app)
            .map(|detail| detail.app.name)
            .unwrap_or_default(),
        version: engine
            .version(deployment.version)
            .map(|version| version.label)
            .unwrap_or_default(),
        target,
        wanted: deployment.wanted,
        nodes: placements.len() as u32,
        running: count(InstanceState::Running),
        failed: count(InstanceState::Failed) + count(InstanceState::BackOff),
        restarts: placements
            .iter()
            .flat_map(|placement| &placement.parts)
            .map(|part| part.restarts)
            .sum(),
        updated_at: deployment.updated_at,
    })
}

fn series(engine: &Engine, from: Time, to: Time) -> Result<Vec<LabSeries>, Problem> {
    let wanted = [
        Metric::CpuPercent,
        Metric::MemoryPercent,
        Metric::NpuPercent,
        Metric::NpuTemperature,
    ];
    let mut found = Vec::new();
    for metric in wanted {
        for line in engine.series(&SeriesQuery {
            node: None,
            metric,
            from,
            to,
        })? {
            let points = line
                .points
                .into_iter()
                .map(|(at, value)| (at, value.map(f64::from)))
                .collect();
            found.push(LabSeries { metric, points });
        }
    }
    Ok(found)
}
