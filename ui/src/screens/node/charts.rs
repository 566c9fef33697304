//! A node's measurements over the last hours.

use crate::{
    api, browser,
    components::{Chart, EmptyState, ErrorBox, Icon},
    i18n::lang,
    load::load,
    store::{lab, store},
    texts,
    url::url_state,
};
use edgedeck_charts::Series as Line;
use edgedeck_model::{
    NodeId, Problem, Time,
    api::{GetSeries, OneSeries},
    npu::NpuChipKey,
    telemetry::{Metric, Series},
    text,
    time::{HOUR, SECOND},
};
use leptos::prelude::*;
use std::sync::Arc;

texts! {
    RANGE: "时间范围", "Time range";
    HOUR_1: "1 小时", "1 hour";
    HOUR_6: "6 小时", "6 hours";
    HOUR_24: "24 小时", "24 hours";
    CHIP: "芯片 {key}", "Chip {key}";
    NETWORK: "网络", "Network";
    RECEIVED: "接收", "received";
    SENT: "发送", "sent";
    NONE: "此时段没有数据", "Nothing was measured in this time";
    NONE_TEXT: "节点加入后每 30 秒测量一次；稍后再来，或选择更长的时间范围。", "A node is measured every 30 seconds from when it joins. Come back in a moment, or choose a longer range.";
}

/// One chart: its metrics, which share a unit.
const OF_NODE: [&[Metric]; 5] = [
    &[Metric::CpuPercent],
    &[Metric::MemoryPercent],
    &[Metric::DiskPercent],
    &[Metric::NetworkReceived, Metric::NetworkSent],
    &[Metric::Load1],
];
const OF_CHIPS: [&[Metric]; 4] = [
    &[Metric::NpuPercent],
    &[Metric::NpuMemoryPercent],
    &[Metric::NpuTemperature],
    &[Metric::NpuPower],
];

/// What is asked for again after so long while somebody looks.
const REFRESH: i64 = 5 * SECOND;

fn range_of(key: &str) -> i64 {
    match key {
        "6h" => 6 * HOUR,
        "24h" => 24 * HOUR,
        _ => HOUR,
    }
}

#[component]
pub fn Charts(id: NodeId) -> impl IntoView {
    let range = url_state().param("range");
    // The end of the time shown moves on in steps, so that the lines do.
    let end = Memo::new(move |_| {
        let now = store().now.get().0.max(0);
        let now = if now == 0 { browser::now_ms() } else { now };
        now - now.rem_euclid(REFRESH) + REFRESH
    });
    let span = Signal::derive(move || (end.get() - range.with(|range| range_of(range)), end.get()));
    let has_npu = Memo::new(move |_| {
        store().nodes.track();
        lab(|lab| lab.node(id).is_some_and(|node| node.row.npus > 0))
    });
    let button = move |key: &'static str, word: crate::i18n::Text, test: &'static str| {
        let chosen = move || range.with(|range| range_of(range) == range_of(key));
        view! {
            <button type="button" data-test=test aria-pressed=move || chosen().to_string() on:click=move |_| range.set(key.to_owned())>
                {word.t()}
            </button>
        }
    };
    let charts = move || {
        let chips = if has_npu.get() { &OF_CHIPS[..] } else { &[] };
        chips
            .iter()
            .chain(&OF_NODE)
            .map(|metrics| view! { <MetricChart id=id metrics=*metrics span=span/> })
            .collect_view()
    };
    view! {
        <div class="bar">
            <div class="switch" role="group" aria-label=RANGE.t()>
                {button("1h", HOUR_1, "range-1h")} {button("6h", HOUR_6, "range-6h")} {button("24h", HOUR_24, "range-24h")}
            </div>
        </div>
        <div class="charts">{charts}</div>
    }
}

#[component]
fn MetricChart(id: NodeId, metrics: &'static [Metric], span: Signal<(i64, i64)>) -> impl IntoView {
    let answer = load(move || {
        let (from, to) = span.get();
        async move {
            let mut all: Vec<Series> = Vec::new();
            for metric in metrics {
                let query = OneSeries {
                    node: Some(id),
                    metric: Some(*metric),
                    from: Time(from),
                    to: Time(to),
                };
                all.extend(api::call::<GetSeries>((), &query, &()).await?);
            }
            Ok::<_, Problem>(Arc::new(all))
        }
    });
    let Some(first) = metrics.first().copied() else {
        return ().into_any();
    };
    let title = Signal::derive(move || match first {
        Metric::NetworkReceived => NETWORK.get().to_owned(),
        metric => text::metric(metric, lang()).to_owned(),
    });
    let lines = Signal::derive(move || {
        let lang = lang();
        answer
            .state
            .with(|answer| Arc::new(answer.ready().map(|all| lines_of(all, lang)).unwrap_or_default()))
    });
    let problem = move || answer.state.with(|answer| answer.problem().cloned());
    let is_empty = move || {
        answer.state.with(|answer| {
            answer
                .ready()
                .is_some_and(|all| all.iter().all(|series| series.points.is_empty()))
        })
    };
    view! {
        <section class="card">
            {move || problem().map(|problem| view! { <ErrorBox problem=Signal::stored(problem) retry=Callback::new(move |()| answer.again())/> })}
            <Chart title=title unit=first.unit() series=lines span=span test="chart"/>
            <Show when=move || is_empty() && first == Metric::CpuPercent>
                <EmptyState sign=Icon::Events title=NONE text=NONE_TEXT/>
            </Show>
        </section>
    }
    .into_any()
}

/// Measured series as lines of a chart, each under its name.
fn lines_of(all: &[Series], lang: edgedeck_model::Lang) -> Vec<Line> {
    all.iter()
        .map(|series| {
            let name = match series.metric {
                Metric::NetworkReceived => RECEIVED.of(lang).to_owned(),
                Metric::NetworkSent => SENT.of(lang).to_owned(),
                metric if metric.is_per_chip() => {
                    crate::i18n::fill(CHIP.of(lang), &[("key", &NpuChipKey::from_part(series.part))])
                }
                metric => text::metric(metric, lang).to_owned(),
            };
            let points = series
                .points
                .iter()
                .map(|(at, value)| (at.0, value.map(f64::from)))
                .collect();
            Line { name, points }
        })
        .collect()
}

#[cfg(test)]
mod lines {
    use super::*;
    use edgedeck_model::Lang;

    #[test]
    fn chips_are_named_by_their_key() {
        let part = NpuChipKey {
            npu_id: 5,
            chip_id: Some(1),
        }
        .part();
        let series = Series {
            metric: Metric::NpuPercent,
            part,
            points: vec![(Time(5), Some(2.5)), (Time(6), None)],
        };
        let lines = lines_of(&[series], Lang::En);
        assert_eq!(lines.first().map(|line| line.name.as_str()), Some("Chip 5-1"));
        assert_eq!(
            lines.first().map(|line| line.points.clone()),
            Some(vec![(5, Some(2.5)), (6, None)])
        );
    }
}
