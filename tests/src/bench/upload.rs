//! `upload`: an archive of an image of 2 GiB by Tingyu's API; how long it takes, and how much memory the engine.

use super::{Figure, process};
use crate::programs::Edgedeckd;
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Instant;

const LAYER: u64 = 2 << 30;
const CHUNK: usize = 1 << 20;

fn header(name: &str, bytes: u64) -> Result<Bytes> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_cksum();
    Ok(Bytes::copy_from_slice(header.as_bytes()))
}

/// A small file of an archive, with what fills its last block.
fn small(name: &str, content: &Value) -> Result<[Bytes; 2]> {
    let mut text = content.to_string().into_bytes();
    let begin = header(name, text.len() as u64)?;
    text.resize(text.len().next_multiple_of(512), 0);
    Ok([begin, text.into()])
}

pub async fn run() -> Result<Vec<Figure>> {
    let engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    let before = process::peak(engine.id())?;
    let config = json!({ "architecture": "arm64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] } });
    let manifest = json!([{ "Config": "config.json", "RepoTags": ["any:1"], "Layers": ["layer.tar"] }]);
    let mut parts = Vec::new();
    parts.extend(small("config.json", &config)?);
    parts.extend(small("manifest.json", &manifest)?);
    parts.push(header("layer.tar", LAYER)?);
    let noise: Vec<u8> = (0..CHUNK as u64)
        .map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
        .collect();
    let noise = Bytes::from(noise);
    parts.extend((0..LAYER / CHUNK as u64).map(|_| noise.clone()));
    parts.push(Bytes::from(vec![0; 1024]));
    let stream = futures::stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>));
    let address = engine.listeners.get("tingyu").context("Tingyu's listener")?;
    let url = format!("https://{address}/tingyu/image/uploadImage?image_name=big&image_url=lab&version=v1");
    let begin = Instant::now();
    let request = console.http.post(url).body(reqwest::Body::wrap_stream(stream));
    let answer: Value = request
        .timeout(std::time::Duration::from_secs(600))
        .send()
        .await?
        .json()
        .await?;
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(answer["code"] == 200, "{answer}");
    let more = process::peak(engine.id())? - before;
    Ok(vec![
        Figure::told("upload", "2 GiB archive".to_owned(), seconds, "s"),
        Figure::at_most(
            "upload",
            "2 GiB archive: more memory at most".to_owned(),
            more,
            "MiB",
            64.0,
        ),
    ])
}
