//! Charts from the charts crate, with a crosshair that tells the values.

use crate::{
    browser,
    components::{
        basic::{Button, Kind},
        icon::Icon,
    },
    format,
    i18n::lang,
    state, texts,
};
use edgedeck_charts::{LineChart, Look, Range, Series, nearest};
use edgedeck_model::{Time, telemetry::Unit};
use leptos::{html, prelude::*};
use std::sync::Arc;

texts! {
    AS_SVG: "保存为 SVG", "Save as SVG";
}

/// Lines over time. Left and right arrows move the crosshair.
#[component]
pub fn Chart(
    #[prop(into)] title: Signal<String>,
    unit: Unit,
    #[prop(into)] series: Signal<Arc<Vec<Series>>>,
    /// First and last time, in UTC milliseconds.
    #[prop(into)]
    span: Signal<(i64, i64)>,
    #[prop(default = 190.0)] height: f32,
    #[prop(optional)] test: &'static str,
) -> impl IntoView {
    let element = NodeRef::<html::Div>::new();
    let size = RwSignal::new((0.0_f64, 0.0_f64));
    let at = RwSignal::new(None::<i64>);
    Effect::new(move |_| {
        if let Some(element) = element.get() {
            browser::follow_size(&element, size);
        }
    });
    let chart = Memo::new(move |_| {
        let width = size.get().0;
        (width > 0.0).then(|| {
            let (from_ms, to_ms) = span.get();
            LineChart {
                title: title.get(),
                unit,
                series: series.with(|series| series.to_vec()),
                from_ms,
                to_ms,
                y: Range::Auto,
                tz_offset: format::zone_offset(Time(to_ms)),
                look: Look {
                    width: width as f32,
                    height,
                    theme: state::theme(),
                    lang: lang(),
                    background: false,
                },
            }
        })
    });
    // The charts crate writes this SVG itself and escapes every name in it.
    let svg = move || {
        chart
            .with(|chart| chart.as_ref().map(LineChart::svg))
            .unwrap_or_default()
    };
    let plot = Memo::new(move |_| chart.with(|chart| chart.as_ref().map(LineChart::plot)));
    let point = move |event: web_sys::PointerEvent| {
        let Some(element) = element.get_untracked() else { return };
        let x = f64::from(event.client_x()) - element.get_bounding_client_rect().left();
        at.set(plot.get_untracked().map(|plot| plot.pixel_to_time(x as f32)));
    };
    let on_key = move |event: web_sys::KeyboardEvent| {
        let by = match event.key().as_str() {
            "ArrowLeft" => -1,
            "ArrowRight" => 1,
            "Escape" => return at.set(None),
            _ => return,
        };
        event.prevent_default();
        let (from, to) = span.get_untracked();
        let step = (to - from) / 60;
        at.update(|at| *at = Some((at.unwrap_or(to) + by * step).clamp(from, to)));
    };
    // What stands under the crosshair: the moment, and name and value of every line.
    let reading = Memo::new(move |_| {
        let (at, plot) = (at.get()?, plot.get()?);
        let x = plot.time_to_pixel(at);
        let values = series.with(|series| {
            series
                .iter()
                .map(|series| {
                    let point = nearest(&series.points, at)
                        .and_then(|place| series.points.get(place))
                        .copied();
                    (
                        series.name.clone(),
                        format::measured(point.and_then(|point| point.1), unit),
                    )
                })
                .collect::<Vec<_>>()
        });
        Some((
            x,
            plot.left,
            plot.width,
            plot.top,
            plot.height,
            format::moment(Time(at)),
            values,
        ))
    });
    let save = Callback::new(move |()| {
        let drawn = chart.with_untracked(|chart| {
            chart.as_ref().map(|chart| {
                LineChart {
                    look: Look {
                        background: true,
                        ..chart.look
                    },
                    ..chart.clone()
                }
                .svg()
            })
        });
        if let Some(drawn) = drawn {
            browser::download("edgedeck-chart.svg", "image/svg+xml", &drawn);
        }
    });
    view! {
        <figure class="chart" data-test=test>
            <div
                class="chart-area"
                node_ref=element
                tabindex="0"
                role="group"
                aria-label=move || title.get()
                style:height=format!("{height}px")
                on:pointermove=point
                on:pointerleave=move |_| at.set(None)
                on:keydown=on_key
            >
                <div class="chart-svg" inner_html=svg></div>
                {move || {
                    reading
                        .get()
                        .map(|(x, left, width, top, height, moment, values)| {
                            let is_right = x > left + width / 2.0;
                            let lines = values
                                .into_iter()
                                .map(|(name, value)| view! { <span class="reading-name">{name}</span> <span class="reading-value">{value}</span> })
                                .collect_view();
                            view! {
                                <span
                                    class="crosshair"
                                    style:left=format!("{x}px")
                                    style:top=format!("{top}px")
                                    style:height=format!("{height}px")
                                ></span>
                                <div class="reading" class:left=is_right style:left=format!("{x}px") aria-live="polite">
                                    <span class="reading-moment">{moment}</span>
                                    {lines}
                                </div>
                            }
                        })
                }}
            </div>
            <div class="chart-tools">
                <Button label=AS_SVG sign=Icon::Download kind=Kind::Quiet sign_only=true press=save test="chart-svg"/>
            </div>
        </figure>
    }
}
