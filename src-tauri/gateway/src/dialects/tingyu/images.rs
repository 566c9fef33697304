//! Images of the lab's registry, and how containers name them.

use super::{
    answer::{Failure, Outcome, Reply},
    request::{Caller, Params},
};
use crate::dialects::times::LocalTimes;
use axum::{
    body::Body,
    extract::{FromRequest, Multipart, Request, State},
    http::header,
};
use bytes::Bytes;
use edgedeck_engine::{Actor, Engine};
use edgedeck_model::{
    Code, Problem,
    image::{ARCHIVE_BYTES_MAX, LabImage, is_repository, is_tag},
    name,
};
use futures::{Stream, StreamExt};
use serde_json::json;
use std::{pin::pin, sync::Arc};

const NO_ARCHIVE: &str = "上传失败!请检查tar包是否是通过docker save保存!";

type Lab = State<Arc<Engine>>;

/// The image that a reference names, without its tag.
pub fn name_of(reference: &str) -> Option<String> {
    let (name, tag) = reference.rsplit_once(':')?;
    (!tag.contains('/')).then(|| name.to_owned())
}

/// Whether a reference is of an image, which is given by its last word or in full.
pub fn is_of(reference: &str, image: &str) -> bool {
    let name = name_of(reference).unwrap_or_else(|| reference.to_owned());
    name == image || name.rsplit('/').next() == Some(image) || name.ends_with(&format!("/{image}"))
}

/// A reference with another image or version, where these are given. Of an image that the lab's registry holds it is the
/// one there, so that nodes without internet find it.
///
/// # Errors
/// When the lab's database cannot be read.
pub fn changed(engine: &Engine, before: &str, image: Option<&str>, tag: Option<&str>) -> Result<String, Problem> {
    let (old_name, old_tag) = match name_of(before) {
        Some(name) => (name, before.rsplit(':').next().unwrap_or_default()),
        None => (before.to_owned(), ""),
    };
    let (name, tag) = (image.unwrap_or(&old_name), tag.unwrap_or(old_tag));
    if image.is_some() {
        let held = engine.list_images()?;
        let bare = held
            .addresses
            .iter()
            .find_map(|address| name.strip_prefix(address)?.strip_prefix('/'))
            .unwrap_or(name);
        let known = held
            .images
            .iter()
            .find(|known| known.tag == tag && is_called(known, bare));
        if let (Some(known), Some(address)) = (known, held.addresses.first()) {
            return Ok(format!("{address}/{}:{tag}", known.repository));
        }
    }
    Ok(match tag {
        "" => name.to_owned(),
        tag => format!("{name}:{tag}"),
    })
}

/// Whether an image of the lab is meant by a name, in full or by its last word.
fn is_called(image: &LabImage, name: &str) -> bool {
    image.repository == name || (!name.contains('/') && image.repository.rsplit('/').next() == Some(name))
}

pub async fn search(State(engine): Lab, params: Params) -> Outcome {
    let word = params.text("wordKey").or(params.text("wordkey")).unwrap_or_default();
    let times = LocalTimes::of(&engine);
    let held = engine.list_images()?;
    let address = held.addresses.first().cloned().unwrap_or_default();
    let found = held.images.into_iter().filter(|image| image.repository.contains(word));
    let found = found.map(|image| {
        json!({
            "image": image.repository,
            "imageversion": image.tag,
            "image_url": format!("{address}/{}", image.repository),
            "detail": image.description,
            "createtime": times.text(image.pushed_at),
        })
    });
    Reply::data(found.collect::<Vec<_>>())
}

/// Takes names away from images that a name means.
async fn delete_those(engine: &Engine, actor: &Actor, params: &Params, tag: Option<&str>) -> Outcome {
    let name = params.given("image")?;
    let held = engine.list_images()?;
    let meant = held
        .images
        .into_iter()
        .filter(|image| is_called(image, name) && tag.is_none_or(|tag| image.tag == tag))
        .map(|image| (image.repository, image.tag))
        .collect::<Vec<_>>();
    let mut repositories: Vec<&String> = meant.iter().map(|(repository, _)| repository).collect();
    repositories.dedup();
    // None, or one that a short name does not tell from another.
    if repositories.len() != 1 {
        return Err(Failure::unknown());
    }
    engine.delete_images(actor, meant).await?;
    Ok(Reply::DONE)
}

pub async fn delete(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    delete_those(&engine, &actor, &params, None).await
}

pub async fn delete_version(State(engine): Lab, Caller(actor): Caller, params: Params) -> Outcome {
    delete_those(&engine, &actor, &params, Some(params.given("imageVersion")?)).await
}

/// The repository here for an address and a name: the address's host is part of it, unless it is the lab's own.
fn repository(engine: &Engine, url: &str, name: &str) -> Option<String> {
    let url = url
        .trim_start_matches("https://")
        .trim_start_matches("http://")
        .trim_matches('/');
    let addresses = engine.registry_addresses();
    let own = addresses.iter().find_map(|address| url.strip_prefix(address.as_str()));
    let path = own.unwrap_or(url).trim_matches('/');
    // A repository's name has no port.
    let path = match path.split_once('/') {
        Some((host, rest)) => format!("{}/{rest}", host.split(':').next().unwrap_or(host)),
        None => path.split(':').next().unwrap_or_default().to_owned(),
    };
    let whole = if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}/{name}")
    };
    is_repository(&whole).then_some(whole)
}

pub async fn upload(State(engine): Lab, Caller(actor): Caller, request: Request) -> Outcome {
    let params = Params::of_query(request.uri().query().unwrap_or_default());
    let (image, tag) = (params.given("image_name")?, params.given("version")?);
    let repository = repository(&engine, params.given("image_url")?, image).ok_or_else(Failure::unknown)?;
    let detail = params.text("detail").unwrap_or_default().to_owned();
    name::check_description("detail", &detail)?;
    if !is_tag(tag) {
        return Err(Failure::unknown());
    }
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let upload = if kind.is_some_and(|kind| kind.starts_with(b"multipart/")) {
        let mut parts = Multipart::from_request(request, &())
            .await
            .map_err(|_| Failure::unknown())?;
        loop {
            let part = parts.next_field().await.map_err(|_| Failure::unknown())?;
            let part = part.ok_or_else(|| Failure::said(NO_ARCHIVE))?;
            if part.file_name().is_some() || part.name() == Some("file") {
                break receive(&engine, part).await?;
            }
        }
    } else {
        receive(&engine, Body::into_data_stream(request.into_body())).await?
    };
    let added = engine.add_image_as(&actor, upload, &repository, tag, detail).await;
    added.map_err(|problem| match problem.code {
        Code::Invalid => Failure::said(NO_ARCHIVE),
        _ => problem.into(),
    })?;
    Ok(Reply::DONE)
}

/// Takes an archive to the disk as it comes.
async fn receive<E>(
    engine: &Engine,
    chunks: impl Stream<Item = Result<Bytes, E>>,
) -> Result<edgedeck_engine::PackageUpload, Failure> {
    let mut upload = engine.upload(ARCHIVE_BYTES_MAX)?;
    let mut chunks = pin!(chunks);
    while let Some(chunk) = chunks.next().await {
        // What has arrived of one that breaks off is dropped with its file.
        upload.write(&chunk.map_err(|_| Failure::unknown())?)?;
    }
    Ok(upload)
}
