//! Images.

use super::lab::TingyuLab;
use crate::{
    case,
    contract::{Answer, Chapter},
};
use edgedeck_model::api::PageQuery;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const CHAPTER: Chapter<TingyuLab> = Chapter {
    name: "images",
    cases: &[
        case! {
            operation: "uploadImage",
            rules: ["uploadImage/f0338a93", "uploadImage/20d17826", "uploadImage/82ae689f", "uploadImage/debeb59f"],
            errors: ["uploadImage/200/500/adba05ea", "uploadImage/200/500/0e8ac3ba"],
            async |lab: &mut TingyuLab| {
                let params = about("doc", "lab", "v1.33");
                // As one body, as a form's file whatever it is called, and with the form's other fields before it.
                let raw = upload(lab, &params, "application/x-tar", archive(b"one", 1)).await?;
                let whole: Value = serde_json::from_slice(&raw.body)?;
                anyhow::ensure!(whole == json!({ "msg": "success", "code": 200 }), "{whole}");
                let first = digest(lab, "lab/doc", "v1.33")?;
                let (kind, body) = form("upload", &archive(b"two", 1));
                upload(lab, &params, &kind, body).await?.success()?;
                let second = digest(lab, "lab/doc", "v1.33")?;
                anyhow::ensure!(first != second, "the same name is another image now");
                let images = lab.engine().list_images()?.images;
                anyhow::ensure!(images.len() == 1 && images[0].description == "jiekouceshi 接口", "{images:?}");
                upload(lab, &about("doc", "lab", "v2"), "application/octet-stream", archive(b"three", 1)).await?.success()?;
                upload(lab, &about("doc", "lab", "v3"), "application/x-tar", packed(&archive(b"four", 1))).await?.success()?;
                // The address may be this registry's own, or that of one that is not here.
                let own = lab.engine().registry_addresses()[0].clone();
                upload(lab, &about("own", &format!("https://{own}/cdn/"), "v1"), "application/x-tar", archive(b"five", 1)).await?.success()?;
                upload(lab, &about("away", "registry.example.com:5000/cdn", "v1"), "application/x-tar", archive(b"six", 1)).await?.success()?;
                digest(lab, "cdn/own", "v1")?;
                digest(lab, "registry.example.com/cdn/away", "v1")?;
                let before = lab.engine().list_images()?.images;
                // What is no such archive, or ends half-way.
                let good = archive(b"seven", 1);
                let mut named = tar::Builder::new(Vec::new());
                add(&mut named, "else.json", b"[]");
                let bad = [
                    b"no archive".to_vec(), Vec::new(), good[..good.len() / 3].to_vec(), named.into_inner()?, archive(b"", 0),
                    packed(&good)[..200].to_vec(), vec![0; 10_240],
                ];
                for bytes in bad {
                    let refused = upload(lab, &about("bad", "lab", "v1"), "application/x-tar", bytes).await?;
                    refused.expect_error(lab.north.document(), "uploadImage/200/500/adba05ea")?;
                }
                let (kind, _) = form("file", b"");
                for body in ["", "--edgedeck--\r\n", "--edgedeck\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--edgedeck--\r\n"] {
                    let refused = upload(lab, &about("bad", "lab", "v1"), &kind, body.as_bytes().to_vec()).await?;
                    anyhow::ensure!(!refused.success, "{body}: {}", refused.shown());
                }
                for params in [
                    about("bad", "lab", ""), about("bad", "lab", "a b"), about("bad", "lab", "../x"), about("../bad", "lab", "v1"),
                    about("bad", "../..", "v1"), about("Bad", "lab", "v1"), about("", "lab", "v1"), about("bad", "", "v1"),
                    vec![("image_name", "bad".to_owned())],
                ] {
                    let refused = upload(lab, &params, "application/x-tar", good.clone()).await?;
                    refused.expect_error(lab.north.document(), "uploadImage/200/500/0e8ac3ba")?;
                }
                anyhow::ensure!(lab.engine().list_images()?.images == before);
            }
        },
        case! {
            operation: "searchImages",
            rules: ["searchImages/cee87a30"],
            errors: ["searchImages/200/500"],
            async |lab: &mut TingyuLab| {
                upload(lab, &about("pcdn", "look", "v1"), "application/x-tar", archive(b"p", 1)).await?.success()?;
                let found = lab.read("searchImages", &[("wordKey", "pcd")]).await?;
                let row = found.at("/data/0");
                let time = row["createtime"].as_str().unwrap_or_default();
                anyhow::ensure!(
                    row["image"] == "look/pcdn" && row["imageversion"] == "v1" && row["detail"] == "jiekouceshi 接口" && time.len() == 19
                        && row["image_url"].as_str().is_some_and(|url| url.ends_with("/look/pcdn")),
                    "{}", found.shown()
                );
                let other = lab.read("searchImages", &[("wordkey", "pcd")]).await?;
                anyhow::ensure!(other.at("/data") == found.at("/data"), "{}", other.shown());
                anyhow::ensure!(*lab.read("searchImages", &[("wordKey", "no such %")]).await?.at("/data") == json!([]));
                let all = lab.read("searchImages", &[]).await?;
                anyhow::ensure!(all.at("/data").as_array().is_some_and(|rows| rows.len() > 1), "{}", all.shown());
                lab.fails_without("registry_tag", "searchImages", &[]).await?;
            }
        },
        case! {
            operation: "deleteImageVersion",
            rules: ["deleteImageVersion/cbd73f9a"],
            errors: ["deleteImageVersion/200/500"],
            async |lab: &mut TingyuLab| {
                for tag in ["v1", "v2"] {
                    upload(lab, &about("one", "gone", tag), "application/x-tar", archive(tag.as_bytes(), 1)).await?.success()?;
                }
                // With the image's name in front it is none of these versions.
                for (image, version) in [("one", "one:v1"), ("one", "v3"), ("none", "v1"), ("one", ""), ("", "v1")] {
                    let refused = lab.ask("deleteImageVersion", &[("image", image), ("imageVersion", version)]).await?;
                    refused.expect_error(lab.north.document(), "deleteImageVersion/200/500")?;
                }
                let done = lab.read("deleteImageVersion", &[("image", "one"), ("imageVersion", "v1")]).await?;
                anyhow::ensure!(done.at("/data").is_null(), "{}", done.shown());
                anyhow::ensure!(digest(lab, "gone/one", "v1").is_err() && digest(lab, "gone/one", "v2").is_ok());
            }
        },
        case! {
            operation: "deleteImage",
            rules: ["deleteImage/ad7e079f"],
            errors: ["deleteImage/200/500"],
            async |lab: &mut TingyuLab| {
                for (url, tag) in [("left", "v1"), ("left", "v2"), ("right", "v1")] {
                    upload(lab, &about("all", url, tag), "application/x-tar", archive(url.as_bytes(), 1)).await?.success()?;
                }
                // Two that are called so: neither goes by the short name.
                for image in ["all", "no-such", ""] {
                    let refused = lab.ask("deleteImage", &[("image", image)]).await?;
                    refused.expect_error(lab.north.document(), "deleteImage/200/500")?;
                }
                lab.read("deleteImage", &[("image", "left/all")]).await?;
                anyhow::ensure!(digest(lab, "left/all", "v1").is_err() && digest(lab, "left/all", "v2").is_err());
                digest(lab, "right/all", "v1")?;
                lab.read("deleteImage", &[("image", "all")]).await?;
                anyhow::ensure!(digest(lab, "right/all", "v1").is_err());
            }
        },
        case! {
            operation: "createContainers",
            async |lab: &mut TingyuLab| {
                // What the lab's registry holds is run from there, by its short name or in full.
                upload(lab, &about("vod", "registry.example.com/cdn", "v1"), "application/x-tar", archive(b"v", 1)).await?.success()?;
                let (machine, address) = (lab.managed("R-1").await?, lab.engine().registry_addresses()[0].clone());
                let held = format!("{address}/registry.example.com/cdn/vod:v1");
                for (number, (image, tag, runs)) in [
                    ("vod", "v1", held.as_str()), ("registry.example.com/cdn/vod", "v1", &held), ("vod", "v2", "vod:v2"),
                    ("elsewhere.example.com/vod", "v1", "elsewhere.example.com/vod:v1"),
                ]
                .into_iter()
                .enumerate()
                {
                    let name = format!("r-{number}");
                    let spec = json!([{ "uuid": machine.names().1, "image": image, "imageversion": tag, "deploymentname": name }]);
                    lab.send("createContainers", &spec).await?.success()?;
                    let got = lab.read("getContainers", &[("name", &name)]).await?;
                    anyhow::ensure!(got.at("/data/0/data/image") == runs, "{image}: {}", got.shown());
                }
                let jobs = lab.engine().list_jobs(&PageQuery { limit: 10, ..PageQuery::default() })?;
                anyhow::ensure!(jobs.items.len() == 4, "{jobs:?}");
            }
        },
    ],
};

fn about(name: &str, url: &str, version: &str) -> Vec<(&'static str, String)> {
    let detail = "jiekouceshi 接口".to_owned();
    vec![
        ("image_name", name.to_owned()),
        ("image_url", url.to_owned()),
        ("version", version.to_owned()),
        ("detail", detail),
    ]
}

async fn upload(lab: &TingyuLab, params: &[(&str, String)], kind: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
    let mut request = lab.north.call("uploadImage");
    for (name, value) in params {
        request = request.query(name, value);
    }
    Ok(request.raw(kind, body).send().await?)
}

fn digest(lab: &TingyuLab, repository: &str, tag: &str) -> anyhow::Result<String> {
    Ok(lab.engine().manifest(repository, tag)?.digest)
}

fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    // Memory takes it.
    let _whole = archive.append_data(&mut header, name, bytes);
}

/// What `docker save` writes of so many images with one layer.
fn archive(content: &[u8], images: usize) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    add(&mut layer, "file", content);
    let layer = layer.into_inner().unwrap_or_default();
    let hash = hex::encode(Sha256::digest(&layer));
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{hash}")] },
    })
    .to_string();
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "layer.tar", &layer);
    add(&mut archive, "config.json", config.as_bytes());
    let one = json!({ "Config": "config.json", "RepoTags": ["any/name:at-all"], "Layers": ["layer.tar"] });
    add(
        &mut archive,
        "manifest.json",
        json!(vec![one; images]).to_string().as_bytes(),
    );
    archive.into_inner().unwrap_or_default()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let _whole = out.write_all(bytes);
    out.finish().unwrap_or_default()
}

/// A form with one file after another field, and its kind.
fn form(name: &str, content: &[u8]) -> (String, Vec<u8>) {
    let mut body =
        b"--edgedeck\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nno file\r\n--edgedeck\r\n".to_vec();
    body.extend(format!("Content-Disposition: form-data; name=\"{name}\"; filename=\"x.tar\"\r\n\r\n").into_bytes());
    body.extend(content);
    body.extend(b"\r\n--edgedeck--\r\n");
    ("multipart/form-data; boundary=edgedeck".to_owned(), body)
}
