//! The lab's own image registry: real Docker and Podman push to it and pull from it, uploads are cut and gone on with,
//! and nodes without internet run what an archive brought.

use anyhow::{Context, Result, ensure};
use edgedeck_model::{
    api::{self, ById, IMAGES_PATH, ImageQuery, ManageBody, NewUserBody, PageQuery},
    audit::AuditEntry,
    deployment::{InstanceState, Target},
    image::LabImages,
    node::NodeState,
    user::Role,
};
use edgedeck_tests::{
    client::Console,
    docker::IMAGE,
    host::{Host, join},
    lab::{LONG, container, deploy, node_in, placement},
    programs::{Edgedeckd, program},
    wait::until,
    web::Web,
};
use reqwest::{Method, StatusCode, header};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{fs, net::Ipv4Addr, path::Path, process::Command};

const PASSWORD: &str = "a long password";

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

async fn images(console: &Console) -> Result<LabImages> {
    console.call::<api::ListImages>((), (), ()).await
}

async fn user(console: &Console, name: &str, role: Role) -> Result<()> {
    let body = NewUserBody {
        name: name.to_owned(),
        password: PASSWORD.to_owned(),
        role,
    };
    console.call::<api::CreateUser>((), (), body).await?;
    Ok(())
}

/// The registry by plain HTTP requests.
struct Wire {
    http: reqwest::Client,
    base: String,
    user: String,
}

impl Wire {
    fn new(engine: &Edgedeckd, console: &Console, user: &str) -> Result<Self> {
        let address = engine.listeners.get("registry").context("a registry")?;
        Ok(Self {
            http: console.http.clone(),
            base: format!("https://localhost:{}", address.port()),
            user: user.to_owned(),
        })
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        self.http.request(method, path).basic_auth(&self.user, Some(PASSWORD))
    }

    async fn status(&self, method: Method, path: &str) -> Result<StatusCode> {
        Ok(self.ask(method, path).send().await?.status())
    }

    /// Begins an upload; where it goes on.
    async fn begin(&self, repository: &str) -> Result<String> {
        let begun = self
            .ask(Method::POST, &format!("/v2/{repository}/blobs/uploads/"))
            .send()
            .await?;
        ensure!(begun.status() == 202, "{}", begun.status());
        Ok(begun.headers()[header::LOCATION].to_str()?.to_owned())
    }

    async fn push(&self, repository: &str, blob: &[u8]) -> Result<String> {
        let digest = digest(blob);
        let place = self.begin(repository).await?;
        let put = self
            .ask(Method::PUT, &format!("{place}?digest={digest}"))
            .body(blob.to_vec())
            .send()
            .await?;
        ensure!(put.status() == 201, "{}", put.text().await?);
        Ok(digest)
    }

    async fn put(&self, repository: &str, reference: &str, manifest: &serde_json::Value) -> Result<reqwest::Response> {
        let put = self.ask(Method::PUT, &format!("/v2/{repository}/manifests/{reference}"));
        let media_type = manifest["mediaType"].as_str().unwrap_or("application/json").to_owned();
        Ok(put
            .header(header::CONTENT_TYPE, media_type)
            .body(manifest.to_string())
            .send()
            .await?)
    }
}

fn manifest(config: &str, layers: &[&str]) -> serde_json::Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 1 }))
        .collect();
    json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2 }, "layers": layers,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_may_be_cut_and_gone_on_with_and_nothing_half_done_is_shown() -> Result<()> {
    let mut engine = Edgedeckd::start().await?;
    let console = engine.console().await?;
    user(&console, "pusher", Role::Operator).await?;
    user(&console, "looker", Role::Viewer).await?;
    let wire = Wire::new(&engine, &console, "pusher")?;
    // A push begins with several requests at once, and nobody has signed in yet.
    let begins = (0..32).map(|_| wire.status(Method::GET, "/v2/"));
    let begins = futures::future::try_join_all(begins).await?;
    ensure!(begins.iter().all(|status| *status == 200), "{begins:?}");
    let sessions = console.call::<api::ListAudit>((), PageQuery::default(), ()).await?;
    let signed_in = |entry: &&AuditEntry| entry.actor == "pusher" && entry.action == "session.create";
    ensure!(
        sessions.items.iter().filter(signed_in).count() == 1,
        "one session is enough"
    );
    let nobody = wire.http.get(format!("{}/v2/", wire.base)).send().await?;
    ensure!(
        nobody.status() == 401
            && nobody.headers()[header::WWW_AUTHENTICATE]
                .to_str()?
                .starts_with("Basic")
    );

    // In pieces, with a crash of the engine between them.
    let blob: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (first, rest) = blob.split_at(1_000_000);
    let place = wire.begin("lab/cut").await?;
    let patch = wire
        .ask(Method::PATCH, &place)
        .header(header::CONTENT_RANGE, "0-999999")
        .body(first.to_vec())
        .send()
        .await?;
    ensure!(
        patch.status() == 202 && patch.headers()[header::RANGE] == "0-999999",
        "{patch:?}"
    );
    engine.kill_and_restart().await?;
    let console = engine.console().await?;
    let wire = Wire::new(&engine, &console, "pusher")?;
    let asked = wire.ask(Method::GET, &place).send().await?;
    ensure!(
        asked.status() == 204 && asked.headers()[header::RANGE] == "0-999999",
        "{asked:?}"
    );
    let wrong = wire
        .ask(Method::PATCH, &place)
        .header(header::CONTENT_RANGE, "5-9")
        .body("12345")
        .send()
        .await?;
    ensure!(wrong.status() == 416, "{}", wrong.status());
    let other = digest(b"other");
    let put = wire.ask(Method::PUT, &format!("{place}?digest={other}")).send().await?;
    ensure!(put.status() == 400 && put.text().await?.contains("DIGEST_INVALID"));
    let (second, third) = rest.split_at(1_000_000);
    let patch = wire.ask(Method::PATCH, &place).body(second.to_vec()).send().await?;
    ensure!(patch.status() == 202, "{}", patch.status());
    let name = digest(&blob);
    let put = wire
        .ask(Method::PUT, &format!("{place}?digest={name}"))
        .body(third.to_vec())
        .send()
        .await?;
    ensure!(
        put.status() == 201 && put.headers()["docker-content-digest"] == name.as_str(),
        "{put:?}"
    );

    // What is there can be had whole, in part, and only by those who may.
    let path = format!("/v2/lab/cut/blobs/{name}");
    let got = wire.ask(Method::GET, &path).send().await?.bytes().await?;
    ensure!(got == blob);
    let part = wire
        .ask(Method::GET, &path)
        .header(header::RANGE, "bytes=2999990-")
        .send()
        .await?;
    ensure!(part.status() == 206 && part.bytes().await? == blob[2_999_990..]);
    ensure!(
        wire.ask(Method::GET, &path)
            .header(header::RANGE, "bytes=9999999-")
            .send()
            .await?
            .status()
            == 416
    );
    let looker = Wire::new(&engine, &console, "looker")?;
    ensure!(looker.status(Method::HEAD, &path).await? == 200);
    ensure!(looker.status(Method::POST, "/v2/lab/cut/blobs/uploads/").await? == 403);
    // Another repository has it only when it says where from.
    ensure!(
        wire.status(Method::HEAD, &format!("/v2/lab/other/blobs/{name}"))
            .await?
            == 404
    );
    let mount = |from: &str| format!("/v2/lab/other/blobs/uploads/?mount={name}&from={from}");
    ensure!(wire.status(Method::POST, &mount("lab/nothing")).await? == 202);
    ensure!(wire.status(Method::POST, &mount("lab/cut")).await? == 201);
    ensure!(
        wire.status(Method::HEAD, &format!("/v2/lab/other/blobs/{name}"))
            .await?
            == 200
    );

    // A manifest counts only with all that it names.
    let config = wire
        .push("lab/cut", br#"{"os":"linux","architecture":"arm64"}"#)
        .await?;
    let refused = wire.put("lab/cut", "1", &manifest(&config, &[&other])).await?;
    ensure!(refused.status() == 404 && refused.text().await?.contains("MANIFEST_BLOB_UNKNOWN"));
    for (reference, body, code) in [
        ("1", json!({}), "MANIFEST_INVALID"),
        (
            "1",
            json!({ "schemaVersion": 1, "mediaType": "application/vnd.oci.image.manifest.v1+json" }),
            "MANIFEST_INVALID",
        ),
        ("-bad", manifest(&config, &[&name]), "MANIFEST_INVALID"),
        (&*other, manifest(&config, &[&name]), "DIGEST_INVALID"),
    ] {
        let refused = wire.put("lab/cut", reference, &body).await?;
        ensure!(
            refused.status() == 400 && refused.text().await?.contains(code),
            "{reference} {body}"
        );
    }
    ensure!(images(&console).await?.images.is_empty());
    let good = manifest(&config, &[&name]);
    let put = wire.put("lab/cut", "1", &good).await?;
    let made = digest(good.to_string().as_bytes());
    ensure!(put.status() == 201 && put.headers()["docker-content-digest"] == made.as_str());
    wire.put("lab/cut", "2", &good).await?.error_for_status()?;
    let index = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{ "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": made, "size": 1 }],
    });
    wire.put("lab/cut", "all", &index).await?.error_for_status()?;
    let listed = images(&console).await?;
    ensure!(
        listed.images.len() == 3 && listed.images.iter().all(|image| image.platforms == ["linux/arm64"]),
        "{listed:?}"
    );
    let got = wire.ask(Method::GET, "/v2/lab/cut/manifests/1").send().await?;
    ensure!(got.headers()[header::CONTENT_TYPE] == "application/vnd.oci.image.manifest.v1+json");
    ensure!(got.text().await? == good.to_string());

    // A backup holds no images: elsewhere it is restored without their names, in place with them.
    let copies = tempfile::tempdir()?;
    let copy = copies.path().join("copy.tar.gz").display().to_string();
    let tool = |words: &[&str], data: &Path| -> Result<()> {
        let mut command = Command::new(program("edgedeckd")?);
        command
            .args(words)
            .env("EDGEDECK_DATA", data)
            .env("EDGEDECK_PASSPHRASE", "open sesame");
        let output = command.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    tool(&["backup", &copy], engine.data.path())?;
    let elsewhere = copies.path().join("elsewhere");
    tool(&["restore", &copy], &elsewhere)?;
    let names = |data: &Path| -> Result<(u64, u64)> {
        let database = rusqlite::Connection::open(data.join("edgedeck.db"))?;
        let sql = "SELECT (SELECT count(*) FROM registry_tag), (SELECT count(*) FROM registry_manifest)";
        Ok(database.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
    };
    ensure!(names(&elsewhere)? == (0, 0));
    fs::create_dir(elsewhere.join("registry"))?;
    for file in fs::read_dir(engine.data.path().join("registry"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), elsewhere.join("registry").join(file.file_name()))?;
        }
    }
    tool(&["restore", &copy], &elsewhere)?;
    ensure!(names(&elsewhere)? == (3, 2));

    // Lists come by pages.
    let tags = wire.ask(Method::GET, "/v2/lab/cut/tags/list?n=2").send().await?;
    let next = tags.headers()[header::LINK].to_str()?.to_owned();
    let tags: serde_json::Value = tags.json().await?;
    ensure!(
        tags == json!({ "name": "lab/cut", "tags": ["1", "2"] }) && next.contains("last=2"),
        "{tags} {next}"
    );
    let rest: serde_json::Value = wire
        .ask(Method::GET, "/v2/lab/cut/tags/list?n=2&last=2")
        .send()
        .await?
        .json()
        .await?;
    ensure!(rest["tags"] == json!(["all"]), "{rest}");
    let catalog: serde_json::Value = wire.ask(Method::GET, "/v2/_catalog").send().await?.json().await?;
    ensure!(catalog == json!({ "repositories": ["lab/cut"] }), "{catalog}");
    ensure!(wire.status(Method::GET, "/v2/lab/nothing/tags/list").await? == 404);

    // Names that lead elsewhere, ids of nobody, and what is no path at all.
    for path in [
        "/v2/../../etc/passwd/blobs/uploads/",
        "/v2/UPPER/blobs/uploads/",
        "/v2/x/blobs/sha256:..",
        "/v2/lab/cut/blobs/uploads/..%2f..%2fx",
        "/v2/lab/cut/manifests/%00",
        "/v2/nothing",
        "/v3/",
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let status = wire.ask(method.clone(), path).body("x").send().await?.status();
            ensure!(status.is_client_error(), "{method} {path}: {status}");
        }
    }
    // What is deleted goes from the disk, unless another name has it.
    let file = engine
        .data
        .path()
        .join("registry")
        .join(name.trim_start_matches("sha256:"));
    let delete = async |reference: &str| {
        wire.status(Method::DELETE, &format!("/v2/lab/cut/manifests/{reference}"))
            .await
    };
    ensure!(delete(&made).await? == 409, "a list of images names it");
    ensure!(delete("1").await? == 202 && delete("2").await? == 202 && file.exists());
    ensure!(delete("2").await? == 404);
    ensure!(delete("all").await? == 202);
    ensure!(images(&console).await?.images.is_empty());
    ensure!(
        wire.status(Method::GET, &format!("/v2/lab/cut/manifests/{made}"))
            .await?
            == 200,
        "kept for a day"
    );
    ensure!(
        delete(&made).await? == 202 && file.exists(),
        "a push may count on the blob"
    );
    // After a day nobody does.
    engine.stop()?;
    let database = rusqlite::Connection::open(engine.data.path().join("edgedeck.db"))?;
    database.execute("UPDATE registry_blob SET used_at = used_at - 90000000", [])?;
    drop(database);
    engine.kill_and_restart().await?;
    let console = engine.console().await?;
    let looker = Wire::new(&engine, &console, "looker")?;
    until("end of the blob", LONG, async || Ok((!file.exists()).then_some(()))).await?;
    // A deleted user is nobody at once.
    let users = console.call::<api::ListUsers>((), (), ()).await?;
    let looking = users.iter().find(|user| user.name == "looker").context("a user")?;
    console.call::<api::DeleteUser>(ById { id: looking.id }, (), ()).await?;
    ensure!(looker.status(Method::GET, "/v2/").await? == 401);
    Ok(())
}

fn docker(host: &Host, config: &Path, words: &[&str]) -> Result<String> {
    let mut command = Command::new("docker");
    command
        .env("DOCKER_CONFIG", config)
        .args(["--host", &host.docker.host()])
        .args(words);
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_run_what_docker_has_pushed_and_what_an_archive_has_brought() -> Result<()> {
    let host = Host::new().await?;
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    user(&console, "pusher", Role::Operator).await?;
    let agent = join(&console, &host).await?;
    let node = node_in(&console, NodeState::Online).await?;
    console
        .call::<api::ManageNode>(ById { id: node.id }, (), ManageBody::default())
        .await?;
    let port = engine.listeners.get("registry").context("a registry")?.port();
    let registry = format!("{}:{port}", host.cable.near);
    ensure!(images(&console).await?.addresses.contains(&registry));
    // The node's container engine learns whom to trust; with that its own Docker client can push, too.
    let shown = format!("/etc/docker/certs.d/{registry}/edgedeck.crt");
    until("authority for the container engine", LONG, async || {
        Ok(Path::new(&shown).exists().then_some(()))
    })
    .await?;
    let config = tempfile::tempdir()?;
    let client = |words: &[&str]| docker(&host, config.path(), words);
    client(&["login", "--username", "pusher", "--password", PASSWORD, &registry])?;
    let pushed = format!("{registry}/lab/pushed:1");
    client(&["tag", IMAGE, &pushed])?;
    client(&["push", &pushed])?;
    // Once more, to another name: its layers are mounted, not sent.
    let twice = format!("{registry}/lab/twice:1");
    client(&["tag", IMAGE, &twice])?;
    let again = client(&["push", &twice])?;
    ensure!(
        again.contains("Mounted from") || again.contains("already exists"),
        "{again}"
    );

    // An archive, as somebody carries it in, by the page.
    let archive = config.path().join("images.tar");
    client(&["tag", IMAGE, "detector/vision:2.0"])?;
    client(&[
        "save",
        "--output",
        &archive.display().to_string(),
        "detector/vision:2.0",
        &pushed,
    ])?;
    let address = engine.listeners.get("console").context("a console")?;
    let web = Web::chromium(&format!("https://{address}/images"), (1280, 800), "en").await?;
    web.fill("[data-test=name]", "admin").await?;
    web.fill("[data-test=password]", &engine.password).await?;
    web.click("[data-test=submit]").await?;
    web.shows("[data-test=images-table]", "lab/pushed").await?;
    web.choose("[data-test=add-images]", &archive).await?;
    web.shows("[data-test=images-table]", "detector/vision").await?;
    web.close().await?;
    let listed = images(&console).await?;
    let names: Vec<_> = listed
        .images
        .iter()
        .map(|image| format!("{}:{}", image.repository, image.tag))
        .collect();
    ensure!(
        names == ["detector/vision:2.0", "lab/pushed:1", "lab/twice:1"],
        "{names:?}"
    );
    ensure!(
        listed
            .images
            .iter()
            .all(|image| image.bytes > 0 && image.platforms.len() == 1),
        "{listed:?}"
    );

    // Podman, which keeps images in a folder of its own.
    let store = tempfile::tempdir()?;
    let trusted = store.path().join("certificates");
    fs::create_dir_all(&trusted)?;
    fs::copy(&shown, trusted.join("ca.crt"))?;
    let podman = |words: &[&str]| -> Result<String> {
        let mut command = host.docker.inside("podman");
        command
            .arg("--root")
            .arg(store.path().join("root"))
            .arg("--runroot")
            .arg(store.path().join("run"));
        let output = command.args(["--storage-driver", "vfs"]).args(words).output()?;
        ensure!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    };
    let by_podman = format!("{registry}/lab/podman:1");
    let (trust, account) = (
        format!("--cert-dir={}", trusted.display()),
        format!("--creds=pusher:{PASSWORD}"),
    );
    podman(&["pull", &trust, &account, &pushed])?;
    podman(&["push", &trust, &account, &pushed, &by_podman])?;
    podman(&["rmi", "--all", "--force"])?;
    podman(&["pull", &trust, &account, &by_podman])?;
    let query = ImageQuery {
        repository: "lab/podman".to_owned(),
        tag: "1".to_owned(),
    };
    console.call::<api::DeleteImage>((), query, ()).await?;

    // A node that has none of them pulls them with its own account.
    client(&["logout", &registry])?;
    client(&["rmi", &pushed, &twice, "detector/vision:2.0"])?;
    for (name, image) in [
        ("pushed", pushed.clone()),
        ("carried", format!("{registry}/detector/vision:2.0")),
    ] {
        let app = deploy(
            &console,
            name,
            container(&image, "exec sleep 100000"),
            Target::Nodes(vec![node.id]),
        )
        .await?;
        placement(&console, app, "running container", |placement| {
            placement.state == InstanceState::Running
        })
        .await?;
    }
    // The password is for this node only, and only while it is managed.
    let sealed = fs::read(format!("{}/outside.sealed", host.state()))?;
    ensure!(
        !sealed.windows(5).any(|bytes| bytes == b"node-"),
        "the account lies there in plain"
    );

    // What is no archive is refused whole.
    for bad in [b"no archive".to_vec(), vec![0; 1024], Vec::new()] {
        let answer = console.request(Method::PUT, IMAGES_PATH).body(bad).send().await?;
        ensure!(answer.status() == 400, "{}", answer.status());
    }
    let query = ImageQuery {
        repository: "lab/twice".to_owned(),
        tag: "1".to_owned(),
    };
    console.call::<api::DeleteImage>((), query.clone(), ()).await?;
    ensure!(console.try_call::<api::DeleteImage>((), query, ()).await?.is_err());
    ensure!(images(&console).await?.images.len() == 2);
    drop(agent);
    Ok(())
}
