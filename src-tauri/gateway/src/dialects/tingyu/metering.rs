//! Metering: traffic and resources by image. Each sample is one window of the engine, told by its end: the range takes in
//! a window that ends at its start, and not one that ends at its end.

use super::{
    answer::{Failure, Outcome, Reply},
    request::Params,
};
use crate::dialects::times::LocalTimes;
use axum::{Router, extract::State, routing::get};
use edgedeck_engine::{Engine, UsageBucket, UsageFind, UsageStep};
use edgedeck_model::{
    Problem,
    metering::{UsageBy, split_image},
};
use serde::Serialize;
use std::sync::Arc;

const GB: f64 = (1_u64 << 30) as f64;
const MB: f64 = (1_u64 << 20) as f64;
/// Bits a second.
const MBPS: f64 = 1e6;

pub fn routes() -> Router<Arc<Engine>> {
    Router::new()
        .route("/tingyu/info/bandWith/getAllNode", get(total_bandwidth))
        .route("/tingyu/info/bandWith/getByImage", get(bandwidth_by_image))
        .route("/tingyu/info/bandWith/getByImageVersion", get(bandwidth_by_version))
        .route("/tingyu/info/resourceUse/getByImage", get(use_by_image))
        .route("/tingyu/info/resourceUse/getByImageVersion", get(use_by_version))
}

type Lab = State<Arc<Engine>>;

#[derive(Serialize)]
struct Bandwidth {
    time: String,
    #[serde(flatten)]
    name: Name,
    bandwith: f64,
    downbandwith: f64,
}

#[derive(Serialize)]
struct ResourceUse {
    time: String,
    #[serde(flatten)]
    name: Name,
    cpu: f64,
    memory: f64,
    disk: f64,
    count: u64,
}

#[derive(Serialize)]
struct Name {
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    imageversion: Option<String>,
}

fn name(bucket: &UsageBucket) -> Name {
    let there = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Name {
        image: there(&bucket.repository),
        imageversion: there(&bucket.tag).map(|tag| format!("{}:{tag}", bucket.repository)),
    }
}

async fn total_bandwidth(State(engine): Lab, parameters: Params) -> Outcome {
    bandwidth(engine, parameters, UsageBy::Total, None).await
}

async fn bandwidth_by_image(State(engine): Lab, parameters: Params) -> Outcome {
    let image = named(&parameters, &["image"]);
    bandwidth(engine, parameters, UsageBy::Image, image).await
}

async fn bandwidth_by_version(State(engine): Lab, parameters: Params) -> Outcome {
    let image = named(&parameters, &["imageVersion", "image"]);
    bandwidth(engine, parameters, UsageBy::Version, image).await
}

async fn use_by_image(State(engine): Lab, parameters: Params) -> Outcome {
    let image = named(&parameters, &["image"]).ok_or_else(Failure::unknown)?;
    resource_use(engine, parameters, UsageBy::Image, image).await
}

async fn use_by_version(State(engine): Lab, parameters: Params) -> Outcome {
    let image = named(&parameters, &["imageVersion", "image"]).ok_or_else(Failure::unknown)?;
    resource_use(engine, parameters, UsageBy::Version, image).await
}

async fn bandwidth(engine: Arc<Engine>, parameters: Params, by: UsageBy, image: Option<String>) -> Outcome {
    answer(engine, parameters, by, image, |time, bucket| Bandwidth {
        time,
        name: name(bucket),
        bandwith: rounded(bucket.used.sent_bps(bucket.length) / MBPS),
        downbandwith: rounded(bucket.used.received_bps(bucket.length) / MBPS),
    })
    .await
}

async fn resource_use(engine: Arc<Engine>, parameters: Params, by: UsageBy, image: String) -> Outcome {
    answer(engine, parameters, by, Some(image), |time, bucket| ResourceUse {
        time,
        name: name(bucket),
        cpu: rounded(bucket.used.cores(bucket.length)),
        memory: rounded(bucket.used.memory_bytes(bucket.length) / MB),
        disk: rounded(bucket.used.disk_bytes(bucket.length) / GB),
        count: bucket.used.containers(bucket.length),
    })
    .await
}

async fn answer<T: Serialize>(
    engine: Arc<Engine>,
    parameters: Params,
    by: UsageBy,
    image: Option<String>,
    sample: impl Fn(String, &UsageBucket) -> T + Send + 'static,
) -> Outcome {
    // A month of many images takes a while to add up.
    let told = tokio::task::spawn_blocking(move || {
        let times = LocalTimes::of(&engine);
        let find = find(&times, &parameters, by, image).ok_or_else(Failure::unknown)?;
        let buckets = engine.usage_ended(find)?;
        let samples = buckets
            .iter()
            .map(|bucket| sample(times.text(bucket.start.plus(bucket.length)), bucket));
        Reply::info(samples.collect::<Vec<_>>())
    });
    told.await.map_err(Problem::internal)?
}

/// What is asked for; `None` without two dates in their order.
fn find(times: &LocalTimes, parameters: &Params, by: UsageBy, image: Option<String>) -> Option<UsageFind> {
    let date = |name| times.parse(parameters.text(name)?);
    let (from, to) = (date("startDate")?, date("endDate")?);
    // Only versions are told apart by their tag; without one all of an image's are meant.
    let (image, tag) = match image {
        Some(version) if by == UsageBy::Version => {
            let (repository, tag) = split_image(&version);
            let has_tag = repository.len() < version.len();
            (Some(repository.to_owned()), has_tag.then(|| tag.to_owned()))
        }
        other => (other, None),
    };
    (from <= to).then_some(UsageFind {
        from,
        to,
        step: UsageStep::Window,
        by,
        image,
        tag,
        node: None,
    })
}

/// The first of these parameters that says something.
fn named(parameters: &Params, names: &[&str]) -> Option<String> {
    let mut said = names.iter().filter_map(|name| parameters.text(name));
    said.find(|value| !value.trim().is_empty())
        .map(|value| value.trim().to_owned())
}

/// To six places.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
