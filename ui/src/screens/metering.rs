//! Metering: what containers used over a period, by image, version or node.
//!
//! `data-test`: `metering-period`, `metering-from`, `metering-to`, `metering-by`, `metering-total`, `metering-chart`,
//! `metering-table`, `metering-row`, `metering-only`, `metering-all`,
//! `metering-uncounted`.

use crate::{
    api,
    components::{Button, Chart, Choice, Column, EmptyState, ErrorBox, Field, Icon, Kind, SortKey, Table},
    format,
    i18n::Text,
    load::load,
    state::ui,
    texts,
    url::url_state,
};
use edgedeck_charts::Series as Line;
use edgedeck_model::{
    NodeId, Time,
    api::GetUsage,
    metering::{UsageBy, UsageQuery, UsageReport, UsageRow},
    telemetry::Unit,
    time::{DAY, HOUR, MINUTE},
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    TITLE: "计量", "Metering";
    PERIOD: "时间段", "Period";
    LAST_HOUR: "最近 1 小时", "The last hour";
    LAST_DAY: "最近 24 小时", "The last 24 hours";
    LAST_WEEK: "最近 7 天", "The last 7 days";
    LAST_MONTH: "最近 30 天", "The last 30 days";
    OWN: "自定义", "From … to …";
    FROM: "开始", "From";
    TO: "结束", "To";
    ORDER: "结束时间必须晚于开始时间", "the end must be after the begin";
    BY: "汇总方式", "Summed by";
    NAME: "名称", "Name";
    IMAGE: "镜像", "Image";
    VERSION: "镜像版本", "Image version";
    NODE: "节点", "Node";
    TOTAL: "合计", "In all";
    SENT: "上行流量", "Sent";
    RECEIVED: "下行流量", "Received";
    PEAK_SENT: "上行峰值", "Peak sent";
    PEAK_RECEIVED: "下行峰值", "Peak received";
    CPU: "CPU 核时", "CPU core-hours";
    MEMORY: "平均内存", "Mean memory";
    DISK: "平均磁盘", "Mean disk";
    TRAFFIC: "带宽", "Traffic";
    UP: "上行", "sent";
    DOWN: "下行", "received";
    ONLY: "仅 {name}", "Only {name}";
    ALL: "显示全部", "Show all";
    REMOVED: "已移除的节点 {id}", "Removed node {id}";
    FINE: "峰值是 5 分钟平均值的最大值；最近一个时间窗仍在增长。", "A peak is the highest mean of 5 minutes. The newest window still grows.";
    COARSE: "峰值是 1 小时平均值的最大值；最近一小时仍在增长。", "A peak is the highest mean of an hour. The newest hour still grows.";
    UNCOUNTED: "有容器的流量无法计量（节点没有可用的控制组或权限，原因见代理日志），合计中不含这部分。", "The traffic of some containers could not be counted, for want of control groups or rights on their nodes (their agents' logs say which). It is not in these sums.";
    EMPTY: "此时段没有计量数据", "Nothing was metered in this period";
    EMPTY_TEXT: "节点上的容器运行后，代理每 15 秒读取一次流量、CPU、内存和磁盘，约一分钟后出现在这里。", "Once containers run on a node, its agent reads their traffic, CPU, memory and disk every 15 seconds; it shows here after about a minute.";
}

fn length_of(period: &str) -> Option<i64> {
    match period {
        "1h" => Some(HOUR),
        "7d" => Some(7 * DAY),
        "30d" => Some(30 * DAY),
        "own" => None,
        _ => Some(DAY),
    }
}

fn by_of(key: &str) -> UsageBy {
    match key {
        "version" => UsageBy::Version,
        "node" => UsageBy::Node,
        _ => UsageBy::Image,
    }
}

/// The time of a date field, which gives the computer's own time; `None` while it is empty.
fn time_of(text: &str) -> Option<Time> {
    let ms = js_sys::Date::parse(text);
    ms.is_finite().then_some(Time(ms as i64))
}

/// What a row is about, in words.
fn name_of(row: &UsageRow) -> String {
    match (&row.node, &row.node_name) {
        (Some(_), Some(name)) => name.clone(),
        (Some(node), None) => {
            let id = node.to_string();
            REMOVED.with(&[("id", &id.get(..8).unwrap_or(&id))])
        }
        _ if row.tag.is_empty() => row.repository.clone(),
        _ => format!("{}:{}", row.repository, row.tag),
    }
}

fn core_hours(row: &UsageRow) -> f64 {
    row.used.cpu_ms as f64 / HOUR as f64
}

/// A figure of a row: its word, its column's name, the figure for sorting, and how it is written.
type Figure = (Text, &'static str, fn(&UsageRow) -> f64, fn(f64) -> String);

const FIGURES: [Figure; 7] = [
    (SENT, "sent", |row| row.used.sent_bytes as f64, bytes),
    (RECEIVED, "received", |row| row.used.received_bytes as f64, bytes),
    (PEAK_SENT, "peak-sent", |row| row.peak_sent_bps, format::bit_rate),
    (
        PEAK_RECEIVED,
        "peak-received",
        |row| row.peak_received_bps,
        format::bit_rate,
    ),
    (CPU, "cpu", core_hours, |hours| format::number(hours, 3)),
    (MEMORY, "memory", |row| row.memory_bytes, bytes),
    (DISK, "disk", |row| row.disk_bytes, bytes),
];

fn bytes(value: f64) -> String {
    format::bytes(value.max(0.0) as u64)
}

fn lines_of(report: &UsageReport) -> Vec<Line> {
    let line = |name: Text, value: fn(&edgedeck_model::metering::UsagePoint) -> f64| Line {
        name: name.get().to_owned(),
        points: with_gaps(
            report.points.iter().map(|point| (point.at.0, value(point))),
            report.step,
        ),
    };
    vec![line(UP, |point| point.sent_bps), line(DOWN, |point| point.received_bps)]
}

/// Steps in which nothing ran break the line.
fn with_gaps(points: impl Iterator<Item = (i64, f64)>, step: i64) -> Vec<(i64, Option<f64>)> {
    let mut found: Vec<(i64, Option<f64>)> = Vec::new();
    for (at, value) in points {
        if let Some((before, _)) = found.last()
            && at - before > step
        {
            found.push((before + 1, None));
        }
        found.push((at, Some(value)));
    }
    found
}

#[component]
pub fn Metering() -> impl IntoView {
    let url = url_state();
    let (period, by) = (url.param("period"), url.param("by"));
    let (image, tag, node) = (url.param("image"), url.param("tag"), url.param("node"));
    let (from, to) = (url.param("from"), url.param("to"));
    // The end moves on by the minute.
    let now = Memo::new(move |_| ui().clock.get() / MINUTE * MINUTE + MINUTE);
    let own = move || from.with(|from| time_of(from)).zip(to.with(|to| time_of(to)));
    let span = Memo::new(move |_| match period.with(|period| length_of(period)) {
        Some(length) => Some((Time(now.get() - length), Time(now.get()))),
        None => own().filter(|(from, to)| from < to),
    });
    let ordered = Signal::derive(move || own().filter(|(from, to)| from >= to).map(|_| ORDER.get().to_owned()));
    let some = |param: RwSignal<String>| param.with(|text| (!text.is_empty()).then(|| text.clone()));
    let answer = load(move || {
        let query = span.get().map(|(from, to)| UsageQuery {
            from,
            to,
            by: by.with(|by| by_of(by)),
            image: some(image),
            tag: some(tag),
            node: node.with(|node| node.parse::<NodeId>().ok()),
        });
        async move {
            match query {
                Some(query) => api::call::<GetUsage>((), &query, &())
                    .await
                    .map(|report| Some(Arc::new(report))),
                None => Ok(None),
            }
        }
    });
    let report = Memo::new(move |_| answer.state.with(|state| state.ready().cloned().flatten()));
    let rows = Memo::new(move |_| {
        let rows = report.with(|report| report.as_ref().map(|report| report.rows.clone()));
        Arc::new(rows.unwrap_or_default().into_iter().map(Arc::new).collect::<Vec<_>>())
    });
    let word = |pairs: &[(&str, Text)]| {
        let words = pairs
            .iter()
            .map(|(key, word)| ((*key).to_owned(), word.get().to_owned()));
        words.collect::<Vec<_>>()
    };
    let periods = Signal::derive(move || {
        word(&[
            ("1h", LAST_HOUR),
            ("", LAST_DAY),
            ("7d", LAST_WEEK),
            ("30d", LAST_MONTH),
            ("own", OWN),
        ])
    });
    let ways = Signal::derive(move || word(&[("", IMAGE), ("version", VERSION), ("node", NODE)]));
    let is_own = Memo::new(move |_| period.with(|period| length_of(period).is_none()));
    let totals = move || {
        report.with(|report| {
            let total = report.as_ref().map(|report| report.total.clone()).unwrap_or_default();
            FIGURES
                .map(|(title, _, figure, shown)| {
                    let value = shown(figure(&total));
                    view! { <div><dt>{title.get()}</dt><dd class="number">{value}</dd></div> }
                })
                .collect_view()
        })
    };
    let lines = Signal::derive(move || {
        report.with(|report| Arc::new(report.as_ref().map(|report| lines_of(report)).unwrap_or_default()))
    });
    let chart_span = Signal::derive(move || {
        let asked = span.get().map(|(from, to)| (from.0, to.0));
        asked.unwrap_or_else(|| (now.get() - DAY, now.get()))
    });
    let hint = move || {
        report.with(|report| {
            report
                .as_ref()
                .map(|report| if report.step < HOUR { FINE } else { COARSE }.get())
        })
    };
    let columns = std::iter::once(
        Column::new("name", NAME, 180, |row: &Arc<UsageRow>| name_of(row))
            .sort(|row| SortKey::name(&name_of(row)))
            .share(4),
    );
    let figures = FIGURES.map(|(title, name, figure, shown)| {
        Column::new(name, title, 116, move |row: &Arc<UsageRow>| shown(figure(row)))
            .sort(move |row| SortKey::number(Some(figure(row))))
    });
    let columns = columns.chain(figures).collect();
    // Opening a row shows it alone, divided further where that can be.
    let open = Callback::new(move |row: Arc<UsageRow>| match row.node {
        Some(id) => {
            node.set(id.to_string());
            by.set("version".to_owned());
        }
        None => {
            image.set(row.repository.clone());
            tag.set(row.tag.clone());
            by.set(if row.tag.is_empty() { "version" } else { "node" }.to_owned());
        }
    });
    let only = move || {
        let id = node.with(|node| node.parse::<NodeId>().ok());
        let of_node = id.map(|id| {
            crate::store::store().nodes.track();
            crate::store::lab(|lab| lab.node_name(id))
        });
        let of_image = some(image).map(|image| some(tag).map_or_else(|| image.clone(), |tag| format!("{image}:{tag}")));
        let names: Vec<String> = of_node.into_iter().chain(of_image).collect();
        (!names.is_empty()).then(|| ONLY.with(&[("name", &names.join(" · "))]))
    };
    let all = Callback::new(move |()| {
        for param in [image, tag, node] {
            param.set(String::new());
        }
    });
    let problem = Signal::derive(move || answer.state.with(|state| state.problem().cloned()));
    view! {
        <div class="screen fill">
            <header class="screen-head"><h1>{TITLE.t()}</h1></header>
            <section class="card">
                <div class="field-row ends">
                    <Choice label=PERIOD value=period options=periods test="metering-period"/>
                    <Show when=move || is_own.get()>
                        <Field label=FROM value=from kind="datetime-local" test="metering-from"/>
                        <Field label=TO value=to kind="datetime-local" error=ordered test="metering-to"/>
                    </Show>
                    <Choice label=BY value=by options=ways test="metering-by"/>
                </div>
                <dl class="facts in-line" data-test="metering-total" aria-label=TOTAL.t()>{totals}</dl>
                <Chart title=TRAFFIC unit=Unit::BitsPerSecond series=lines span=chart_span test="metering-chart"/>
                <p class="quiet-text">{hint}</p>
                <Show when=move || report.with(|report| report.as_ref().is_some_and(|report| report.total.used.uncounted_ms > 0))>
                    <p class="quiet-text" data-test="metering-uncounted">{UNCOUNTED.t()}</p>
                </Show>
                {move || problem.get().map(|problem| view! { <ErrorBox problem=Signal::stored(problem)/> })}
            </section>
            <Table
                name="metering"
                label=TITLE
                rows=rows
                columns=columns
                open=open
                url=url
                loading=Signal::derive(move || answer.state.with(|state| *state == crate::load::Loaded::Loading))
                empty=|| view! { <EmptyState sign=Icon::Columns title=EMPTY text=EMPTY_TEXT/> }
            >
                {move || {
                    only()
                        .map(|words| {
                            view! {
                                <span class="chip" data-test="metering-only">{words}</span>
                                <Button label=ALL sign=Icon::Close kind=Kind::Quiet press=all test="metering-all"/>
                            }
                        })
                }}
            </Table>
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_anything_break_the_line() {
        let points = with_gaps([(10, 1.0), (20, 2.0), (50, 3.0)].into_iter(), 10);
        assert_eq!(points, [(10, Some(1.0)), (20, Some(2.0)), (21, None), (50, Some(3.0))]);
    }
}
