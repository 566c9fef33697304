//! The charts of a report, the same ones the window shows.

use crate::data::ReportData;
use crate::local::Clock;
use crate::summary;
use edgedeck_charts::{BarChart, DonutChart, LineChart, Look, Range, Series, Theme};
use edgedeck_model::text;

fn look(data: &ReportData, (width, height): (f32, f32)) -> Look {
    Look {
        width,
        height,
        theme: Theme::Light,
        lang: data.lang,
        background: false,
    }
}

pub(crate) fn states(data: &ReportData, size: (f32, f32)) -> DonutChart {
    let title = data.lang.pick("节点状态", "Nodes by state").to_owned();
    DonutChart {
        title,
        counts: summary::states(data),
        look: look(data, size),
    }
}

pub(crate) fn severities(data: &ReportData, size: (f32, f32)) -> BarChart {
    let title = data
        .lang
        .pick("期间告警（按级别）", "Alarms of the period by severity")
        .to_owned();
    BarChart {
        title,
        counts: summary::severities(data),
        look: look(data, size),
    }
}

/// One chart for each series of the lab.
pub(crate) fn lines(data: &ReportData, clock: &Clock, size: (f32, f32)) -> Vec<LineChart> {
    if !data.kind.has_health() {
        return vec![];
    }
    let chart = |series: &crate::LabSeries| LineChart {
        title: data.lang.pick(
            format!("{}（全部节点平均）", text::metric(series.metric, data.lang)),
            format!("{}, mean of all nodes", text::metric(series.metric, data.lang)),
        ),
        unit: series.metric.unit(),
        series: vec![Series {
            name: text::metric(series.metric, data.lang).to_owned(),
            points: series.points.iter().map(|(time, value)| (time.0, *value)).collect(),
        }],
        from_ms: data.period.0.0,
        to_ms: data.period.1.0,
        y: Range::Auto,
        tz_offset: clock.offset(data.period.0),
        look: look(data, size),
    };
    data.series.iter().take(12).map(chart).collect()
}
