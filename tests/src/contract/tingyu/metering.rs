//! Metering: what nodes report over their links, by image and by time.

use super::lab::{Machine, TingyuLab};
use crate::{
    case,
    contract::{Answer, Chapter},
};
use anyhow::ensure;
use edgedeck_engine::Actor;
use edgedeck_model::{
    PlacementId, Time, VersionId,
    metering::{PartUsage, TrafficSource, WINDOW, window_of},
    time::{DAY, HOUR, MINUTE, SECOND},
};
use edgedeck_protocol::{FromAgent, Usage};
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

const TOTAL: &str = "getTotalBandwidth";
const BY_IMAGE: &str = "getBandwidthByImage";
const BY_VERSION: &str = "getBandwidthByImageVersion";
const USE_BY_IMAGE: &str = "getResourceUseByImage";
const USE_BY_VERSION: &str = "getResourceUseByImageVersion";

/// Bytes of one megabit a second over a window.
const MBIT: u64 = 125_000 * (WINDOW / SECOND) as u64;
const MIB: u64 = 1 << 20;

/// A container that ran for the whole window, with so many Mbit/s out, and half of that in.
fn part(image: &str, mbps: u64) -> PartUsage {
    PartUsage {
        placement: PlacementId(Uuid::now_v7()),
        part: "main".to_owned(),
        version: VersionId(Uuid::now_v7()),
        image: image.to_owned(),
        traffic: TrafficSource::ControlGroup,
        sent_bytes: mbps * MBIT,
        received_bytes: mbps * MBIT / 2,
        cpu_ms: WINDOW as u64 / 4,
        memory_bytes: 100 * MIB,
        disk_bytes: 3 << 29,
        measured_ms: WINDOW as u64,
    }
}

async fn report(one: &Machine, number: u64, window: Time, parts: Vec<PartUsage>) -> anyhow::Result<()> {
    let usage = Usage {
        epoch: 7,
        number,
        window,
        parts,
    };
    one.say(FromAgent::Usage(usage)).await
}

/// The lab is in Shanghai, which is eight hours ahead all year.
async fn in_shanghai(lab: &TingyuLab) -> anyhow::Result<()> {
    let mut settings = (*lab.engine().settings()).clone();
    settings.time_zone = "Asia/Shanghai".to_owned();
    lab.engine().update_settings(&Actor::engine(), settings).await?;
    Ok(())
}

fn text(time: Time) -> anyhow::Result<String> {
    let at = OffsetDateTime::from_unix_timestamp(time.plus(8 * HOUR).0 / SECOND)?;
    let (date, clock) = (at.date(), at.time());
    Ok(format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    ))
}

async fn ask(
    lab: &TingyuLab,
    operation: &str,
    from: Time,
    to: Time,
    more: &[(&str, &str)],
) -> anyhow::Result<Vec<Value>> {
    let (from, to) = (text(from)?, text(to)?);
    let query = [&[("startDate", from.as_str()), ("endDate", to.as_str())], more].concat();
    samples(&lab.read(operation, &query).await?)
}

fn samples(answer: &Answer) -> anyhow::Result<Vec<Value>> {
    let has_data = answer.at("").get("data").is_some();
    let samples = answer.at("/info").as_array().cloned();
    samples
        .filter(|_| !has_data && answer.at("/code") == 200)
        .ok_or_else(|| anyhow::anyhow!("{}", answer.shown()))
}

/// What all five have in common, shown with one of them; `end` is the end of a window with samples of what `more` asks for.
async fn is_by_time(lab: &TingyuLab, operation: &'static str, end: Time, more: &[(&str, &str)]) -> anyhow::Result<()> {
    // The lab's local time, the start taken in and the end not.
    let found = ask(lab, operation, end, end.plus(SECOND), more).await?;
    ensure!(!found.is_empty(), "nothing at {}", text(end)?);
    ensure!(
        found
            .iter()
            .all(|sample| sample["time"] == text(end).unwrap_or_default()),
        "{found:?}"
    );
    ensure!(
        ask(lab, operation, end.plus(-WINDOW + SECOND), end, more)
            .await?
            .is_empty(),
        "the end is taken in"
    );
    ensure!(
        ask(lab, operation, end.plus(SECOND), end.plus(WINDOW), more)
            .await?
            .is_empty(),
        "before the start"
    );
    // No data is no error, nor is a range without length.
    for (from, to) in [(-300 * DAY, -200 * DAY), (DAY, 2 * DAY), (0, 0)] {
        ensure!(
            ask(lab, operation, end.plus(from), end.plus(to), more)
                .await?
                .is_empty()
        );
    }
    // Every other form, and dates that there are not.
    let (good, after) = (text(end)?, text(end.plus(DAY))?);
    let refused = [
        (Some("2021-02-30 00:00:00"), Some(after.as_str())),
        (Some("2021-05-08 24:00:00"), Some(&after)),
        (Some("2021-05-08T11:24:22"), Some(&after)),
        (Some("2021-5-8 11:24:22"), Some(&after)),
        (Some("2021-05-08"), Some(&after)),
        (Some("1620444262000"), Some(&after)),
        (Some(""), Some(&after)),
        (Some("' OR 1=1 --"), Some(&after)),
        (Some(&good), Some("2021-05-11 11:24:22Z")),
        (Some(&good), Some("tomorrow")),
        (Some(&good), None),
        (None, Some(&after)),
        (None, None),
        (Some(&after), Some(&good)),
    ];
    for (from, to) in refused {
        let dates = [("startDate", from), ("endDate", to)];
        let dates = dates.into_iter().filter_map(|(name, date)| Some((name, date?)));
        let query: Vec<(&str, &str)> = dates.chain(more.iter().copied()).collect();
        let answer = lab.ask(operation, &query).await?;
        let error = format!("{operation}/200/500");
        answer.expect_error(lab.north.document(), &error)?;
        ensure!(
            answer.at("/info").is_null() && answer.at("/data").is_null(),
            "{from:?} {to:?}: {}",
            answer.shown()
        );
    }
    let query = [&[("startDate", good.as_str()), ("endDate", &after)], more].concat();
    lab.fails_without("usage_window", operation, &query).await
}

pub const CHAPTER: Chapter<TingyuLab> = Chapter {
    name: "metering",
    cases: &[
        case! {
            operation: "getTotalBandwidth",
            rules: [
                "getTotalBandwidth/96f6f1cf", "getTotalBandwidth/f4aacecf", "getTotalBandwidth/b419d549",
                "getTotalBandwidth/122cba0a", "getTotalBandwidth/5b9a021c", "getTotalBandwidth/42f10956",
            ],
            errors: ["getTotalBandwidth/200/500"],
            async |lab: &mut TingyuLab| {
                in_shanghai(lab).await?;
                let (first, second) = (lab.linked("M-1").await?, lab.linked("M-2").await?);
                let now = window_of(lab.engine().now());
                let window = now.plus(-4 * WINDOW);
                let end = window.plus(WINDOW);
                report(&first, 1, window, vec![part("pcdn:v1", 6), part("other:1", 2)]).await?;
                report(&second, 1, window, vec![part("pcdn:v1", 10)]).await?;
                // Sent again, because its acknowledgement was lost; and the rest of the window.
                report(&second, 1, window, vec![part("pcdn:v1", 10)]).await?;
                report(&second, 2, window, vec![part("pcdn:v1", 2)]).await?;
                is_by_time(lab, TOTAL, end, &[]).await?;
                let expected = vec![json!({ "time": text(end)?, "bandwith": 20.0, "downbandwith": 10.0 })];
                let found = ask(lab, TOTAL, end, end.plus(DAY), &[("image", "pcdn"), ("pageSize", "0")]).await?;
                ensure!(found == expected, "{found:?}");
                // A node that goes takes nothing of it along.
                lab.engine().remove_node(&Actor::engine(), second.id).await?;
                ensure!(ask(lab, TOTAL, end, end.plus(DAY), &[]).await? == expected);
                // A window that has not ended is no sample yet.
                let present = window_of(lab.engine().now());
                report(&first, 2, present, vec![part("pcdn:v1", 1)]).await?;
                let of_present = async |lab: &TingyuLab| ask(lab, TOTAL, present.plus(WINDOW), present.plus(DAY), &[]).await;
                ensure!(of_present(lab).await?.is_empty());
                lab.clock.advance(WINDOW);
                ensure!(of_present(lab).await?.len() == 1);
            }
        },
        case! {
            operation: "getBandwidthByImage",
            rules: [
                "getBandwidthByImage/96f6f1cf", "getBandwidthByImage/f4aacecf", "getBandwidthByImage/b419d549",
                "getBandwidthByImage/36abb318", "getBandwidthByImage/122cba0a", "getBandwidthByImage/5b9a021c",
            ],
            errors: ["getBandwidthByImage/200/500"],
            async |lab: &mut TingyuLab| {
                let one = lab.linked("M-3").await?;
                let window = window_of(lab.engine().now()).plus(-20 * WINDOW);
                let end = window.plus(WINDOW);
                let parts = vec![part("pcdn:v1", 4), part("pcdn:v2", 6), part("hub.lab:5000/cdn/pcdn:v1", 8), part("cache", 2)];
                report(&one, 1, window, parts).await?;
                is_by_time(lab, BY_IMAGE, end, &[("image", "pcdn")]).await?;
                let sample = |image: &str, mbps: f64| -> anyhow::Result<Value> {
                    Ok(json!({ "time": text(end)?, "image": image, "bandwith": mbps, "downbandwith": mbps / 2.0 }))
                };
                let (short, long, cache) = (sample("pcdn", 10.0)?, sample("hub.lab:5000/cdn/pcdn", 8.0)?, sample("cache", 2.0)?);
                let all = vec![cache.clone(), long.clone(), short.clone()];
                for (image, expected) in [
                    (None, all.clone()),
                    (Some(""), all),
                    (Some("pcdn"), vec![long.clone(), short]),
                    (Some("hub.lab:5000/cdn/pcdn"), vec![long]),
                    (Some("cache"), vec![cache]),
                    (Some("cdn"), vec![]),
                    (Some("pcdn:v1"), vec![]),
                    (Some("%"), vec![]),
                ] {
                    let image: Vec<(&str, &str)> = image.map(|image| ("image", image)).into_iter().collect();
                    let found = ask(lab, BY_IMAGE, end, end.plus(MINUTE), &image).await?;
                    ensure!(found == expected, "{image:?}: {found:?}");
                }
            }
        },
        case! {
            operation: "getBandwidthByImageVersion",
            rules: [
                "getBandwidthByImageVersion/96f6f1cf", "getBandwidthByImageVersion/f4aacecf",
                "getBandwidthByImageVersion/b419d549", "getBandwidthByImageVersion/def31573",
                "getBandwidthByImageVersion/122cba0a", "getBandwidthByImageVersion/5b9a021c",
            ],
            errors: ["getBandwidthByImageVersion/200/500"],
            async |lab: &mut TingyuLab| {
                let one = lab.linked("M-4").await?;
                let window = window_of(lab.engine().now()).plus(-40 * WINDOW);
                let end = window.plus(WINDOW);
                let parts = vec![part("pcdn:v1", 4), part("pcdn:v2", 6), part("hub.lab:5000/cdn/pcdn:v1", 8)];
                report(&one, 1, window, parts).await?;
                is_by_time(lab, BY_VERSION, end, &[("imageVersion", "pcdn:v1")]).await?;
                let sample = |image: &str, tag: &str, mbps: f64| -> anyhow::Result<Value> {
                    Ok(json!({
                        "time": text(end)?, "image": image, "imageversion": format!("{image}:{tag}"), "bandwith": mbps,
                        "downbandwith": mbps / 2.0,
                    }))
                };
                let long = sample("hub.lab:5000/cdn/pcdn", "v1", 8.0)?;
                let (first, next) = (sample("pcdn", "v1", 4.0)?, sample("pcdn", "v2", 6.0)?);
                let all = vec![long.clone(), first.clone(), next.clone()];
                for (version, expected) in [
                    (None, all.clone()),
                    (Some(""), all.clone()),
                    // As the table describes it: without a tag, all of an image's.
                    (Some("pcdn"), all),
                    (Some("pcdn:v1"), vec![long.clone(), first]),
                    (Some("pcdn:v2"), vec![next]),
                    (Some("hub.lab:5000/cdn/pcdn:v1"), vec![long]),
                    (Some("pcdn:v3"), vec![]),
                    (Some("pcdn:"), vec![]),
                ] {
                    let version: Vec<(&str, &str)> = version.map(|version| ("imageVersion", version)).into_iter().collect();
                    let found = ask(lab, BY_VERSION, end, end.plus(MINUTE), &version).await?;
                    ensure!(found == expected, "{version:?}: {found:?}");
                }
            }
        },
        case! {
            operation: "getResourceUseByImage",
            rules: [
                "getResourceUseByImage/96f6f1cf", "getResourceUseByImage/f4aacecf", "getResourceUseByImage/b419d549",
                "getResourceUseByImage/122cba0a", "getResourceUseByImage/5b9a021c",
            ],
            errors: ["getResourceUseByImage/200/500"],
            async |lab: &mut TingyuLab| {
                let (one, other) = (lab.linked("M-5").await?, lab.linked("M-6").await?);
                let window = window_of(lab.engine().now()).plus(-60 * WINDOW);
                let end = window.plus(WINDOW);
                report(&one, 1, window, vec![part("pcdn:v1", 1), part("pcdn:v2", 1), part("cache:1", 1)]).await?;
                // Half a window in two pieces.
                let quarter = PartUsage { measured_ms: WINDOW as u64 / 4, cpu_ms: WINDOW as u64 / 8, ..part("pcdn:v1", 1) };
                report(&other, 1, window, vec![quarter.clone()]).await?;
                report(&other, 2, window, vec![quarter]).await?;
                is_by_time(lab, USE_BY_IMAGE, end, &[("image", "pcdn")]).await?;
                let expected = json!([{
                    "time": text(end)?, "image": "pcdn", "cpu": 0.75, "memory": 250.0, "disk": 3.75, "count": 3,
                }]);
                let found = ask(lab, USE_BY_IMAGE, end, end.plus(MINUTE), &[("image", "pcdn")]).await?;
                ensure!(json!(found) == expected, "{found:?}");
                let cache = ask(lab, USE_BY_IMAGE, end, end.plus(MINUTE), &[("image", "cache")]).await?;
                ensure!(cache.len() == 1 && cache[0]["count"] == 1, "{cache:?}");
                ensure!(ask(lab, USE_BY_IMAGE, end, end.plus(MINUTE), &[("image", "nothing")]).await?.is_empty());
                let (from, to) = (text(end)?, text(end.plus(MINUTE))?);
                for image in [None, Some(("image", ""))] {
                    let dates = [("startDate", from.as_str()), ("endDate", to.as_str())];
                    let query: Vec<(&str, &str)> = dates.into_iter().chain(image).collect();
                    let answer = lab.ask(USE_BY_IMAGE, &query).await?;
                    answer.expect_error(lab.north.document(), "getResourceUseByImage/200/500")?;
                }
            }
        },
        case! {
            operation: "getResourceUseByImageVersion",
            rules: [
                "getResourceUseByImageVersion/96f6f1cf", "getResourceUseByImageVersion/f4aacecf",
                "getResourceUseByImageVersion/b419d549", "getResourceUseByImageVersion/122cba0a",
                "getResourceUseByImageVersion/5b9a021c",
            ],
            errors: ["getResourceUseByImageVersion/200/500"],
            async |lab: &mut TingyuLab| {
                let one = lab.linked("M-7").await?;
                let window = window_of(lab.engine().now()).plus(-80 * WINDOW);
                let end = window.plus(WINDOW);
                report(&one, 1, window, vec![part("pcdn:v1", 1), part("pcdn:v2", 1), part("pcdn:v2", 1)]).await?;
                is_by_time(lab, USE_BY_VERSION, end, &[("imageVersion", "pcdn:v2")]).await?;
                // Both spellings of the parameter; the one of the sample goes first.
                let expected = json!([{
                    "time": text(end)?, "image": "pcdn", "imageversion": "pcdn:v2", "cpu": 0.5, "memory": 200.0, "disk": 3.0, "count": 2,
                }]);
                for query in [
                    &[("imageVersion", "pcdn:v2")][..],
                    &[("image", "pcdn:v2")],
                    &[("image", "pcdn:v1"), ("imageVersion", "pcdn:v2")],
                    &[("image", "pcdn:v2"), ("imageVersion", "")],
                ] {
                    let found = ask(lab, USE_BY_VERSION, end, end.plus(MINUTE), query).await?;
                    ensure!(json!(found) == expected, "{query:?}: {found:?}");
                }
                let (from, to) = (text(end)?, text(end.plus(MINUTE))?);
                let answer = lab.ask(USE_BY_VERSION, &[("startDate", &from), ("endDate", &to)]).await?;
                answer.expect_error(lab.north.document(), "getResourceUseByImageVersion/200/500")?;
                // Long ago there are hours only.
                lab.clock.advance(40 * DAY);
                lab.engine().tick().await;
                let hours = ask(lab, USE_BY_VERSION, end.plus(-HOUR), end.plus(HOUR), &[("image", "pcdn:v2")]).await?;
                ensure!(hours.len() == 1 && hours[0]["memory"] == 16.666_667, "{hours:?}");
            }
        },
    ],
};
