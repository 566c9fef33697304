//! An integrator's day: a script that knows MEF Center and nothing else, with certificates that `openssl` made, over curl.
//! Two boxes join, work, are cut off, heal, are read, upgraded and taken away again.

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edgedeck_model::{
    api::{self, ById, PemBody},
    certificate::Purpose,
};
use edgedeck_tests::{
    authority::Authority,
    curl::Curl,
    docker::IMAGE,
    host::Host,
    lab::LONG,
    programs::Edgedeckd,
    software::{ACCOUNT, NEXT, PASSWORD, SoftwareServer, next},
    wait::until,
};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    sync::Mutex,
    time::{Interval, MissedTickBehavior},
};

const MANAGER: &str = "/edgemanager/v1";
const CERTIFICATES: &str = "/certmanager/v1";

/// What `openssl` says to these words, run in a folder.
fn openssl(folder: &Path, words: &str) -> Result<()> {
    let said = Command::new("openssl")
        .args(words.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("running openssl")?;
    ensure!(
        said.status.success(),
        "openssl {words}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(())
}

/// The integrator's own authority, kept as people keep one: files, and `openssl ca`.
struct OwnAuthority {
    folder: TempDir,
}

impl OwnAuthority {
    fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        let path = folder.path();
        fs::write(
            path.join("ca.cnf"),
            "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nserial = serial\ncrlnumber = crlnumber\nnew_certs_dir = .\n\
             certificate = root.pem\nprivate_key = root.key\ndefault_md = sha256\ndefault_days = 10\ndefault_crl_days = 7\n\
             policy = any\nx509_extensions = client\n[any]\ncommonName = supplied\n[client]\nkeyUsage = digitalSignature\n\
             extendedKeyUsage = clientAuth\n",
        )?;
        fs::write(path.join("index.txt"), "")?;
        for name in ["serial", "crlnumber"] {
            fs::write(path.join(name), "1000\n")?;
        }
        openssl(
            path,
            "req -x509 -newkey rsa:3072 -nodes -sha256 -days 30 -subj /CN=integrator -addext basicConstraints=critical,CA:TRUE \
             -addext keyUsage=critical,keyCertSign,cRLSign -keyout root.key -out root.pem",
        )?;
        Ok(Self { folder })
    }

    fn read(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join(name))?)
    }

    fn client(&self, name: &str) -> Result<(String, String)> {
        let path = self.folder.path();
        openssl(
            path,
            &format!("req -newkey rsa:3072 -nodes -sha256 -subj /CN={name} -keyout {name}.key -out {name}.csr"),
        )?;
        openssl(
            path,
            &format!("ca -batch -notext -config ca.cnf -in {name}.csr -out {name}.pem"),
        )?;
        Ok((self.read(&format!("{name}.pem"))?, self.read(&format!("{name}.key"))?))
    }

    /// A list with this client on it.
    fn revoke(&self, name: &str) -> Result<String> {
        let path = self.folder.path();
        openssl(path, &format!("ca -config ca.cnf -revoke {name}.pem"))?;
        openssl(path, "ca -config ca.cnf -gencrl -out crl.pem")?;
        self.read("crl.pem")
    }
}

/// The script, which keeps to MEF's limit of calls.
struct Script {
    curl: Curl,
    pace: Mutex<Interval>,
}

impl Script {
    fn new(base: &str, ca: &str, certificate: &str, key: &str) -> Result<Self> {
        let mut pace = tokio::time::interval(Duration::from_millis(120));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            curl: Curl::new(base.to_owned(), ca, certificate, key)?,
            pace: Mutex::new(pace),
        })
    }

    async fn call(&self, arguments: &[&str], path: &str) -> Result<Value> {
        self.pace.lock().await.tick().await;
        let answer = self.curl.call(arguments, path)?;
        ensure!(answer["status"] == "00000000", "{path}: {answer}");
        Ok(answer["data"].clone())
    }

    async fn read(&self, path: &str) -> Result<Value> {
        self.call(&[], path).await
    }

    async fn send(&self, method: &str, path: &str, body: Value) -> Result<Value> {
        let body = body.to_string();
        let arguments = [
            "--request",
            method,
            "--header",
            "Content-Type: application/json",
            "--data",
            &body,
        ];
        self.call(&arguments, path).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        self.send("POST", path, body).await
    }

    /// What a path answers as soon as it fits.
    async fn until(&self, what: &str, path: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut last = Value::Null;
        let found = until(what, LONG, async || {
            last = self.read(path).await?;
            Ok(fits(&last).then(|| last.clone()))
        })
        .await;
        found.with_context(|| last.to_string())
    }
}

/// Joins a box as the vendor's manual has it: with the token and the root that the API has exported.
fn join(host: &Host, port: u16, token: &str, root: &Path, serial: &str) -> Result<()> {
    let engine = format!("https://{}:{port}", host.cable.near);
    let (root, state) = (root.display(), host.state());
    let hash = format!("$(sed '/-----/d' {root} | base64 -d | sha256sum | cut -c1-64)");
    let line = format!(
        "curl -fsS --cacert {root} {engine}/join.sh | sh -s -- {engine} {token} {hash} --no-service --serial {serial} --state {state}"
    );
    let joined = host.paste(&line)?;
    ensure!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    Ok(())
}

fn all_run(instances: &Value, count: usize, image: &str) -> bool {
    let instances = instances["appInstances"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let runs = |one: &Value| {
        one["appStatus"] == "running"
            && one["containerInfo"][0]["status"] == "running"
            && one["containerInfo"][0]["image"] == image
    };
    instances.len() == count && instances.iter().all(runs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_for_mef_center_works_a_whole_day() -> Result<()> {
    let (one, two) = (Host::new().await?, Host::new().await?);
    let engine = Edgedeckd::start_at(Ipv4Addr::UNSPECIFIED).await?;
    let console = engine.console().await?;
    let agents = engine.listeners.get("agents").context("the agents' listener")?.port();
    let base = format!("https://{}", engine.listeners.get("mef").context("a MEF listener")?);

    // The operator lets the integrator's clients in, as MEF's own installation does; the script gets the lab's CA.
    let own = OwnAuthority::new()?;
    let pem = own.read("root.pem")?;
    console
        .call::<api::ImportAuthority>(ById { id: Purpose::Clients }, (), PemBody { pem })
        .await?;
    let ca = console.call::<api::GetLabAuthority>((), (), ()).await?.pem;
    let (certificate, key) = own.client("script")?;
    let script = Script::new(&base, &ca, &certificate, &key)?;
    let (certificate, key) = own.client("admin")?;
    let admin = Script::new(&base, &ca, &certificate, &key)?;
    let info = script
        .read(&format!("{CERTIFICATES}/certificates/info?certName=north"))
        .await?;
    ensure!(info[0]["Subject"] == "CN=integrator", "{info}");

    // Two boxes join with the token and the root of the center.
    let token = script.read(&format!("{MANAGER}/token")).await?;
    let token = token.as_str().context("a token")?;
    let folder = TempDir::new()?;
    let root = folder.path().join("root.crt");
    fs::write(
        &root,
        script
            .curl
            .bytes(&[], &format!("{CERTIFICATES}/export?certName=hub_svr"))?,
    )?;
    let mut running = Vec::new();
    for (host, serial) in [(&one, "BOX-1"), (&two, "BOX-2")] {
        join(host, agents, token, &root, serial)?;
        running.push(host.run_agent()?);
    }
    let waiting = script
        .until(
            "waiting boxes",
            &format!("{MANAGER}/node/list/unmanaged?pageNum=1&pageSize=10"),
            |list| list["total"] == 2,
        )
        .await?;
    let group = script
        .post(
            &format!("{MANAGER}/nodegroup"),
            json!({ "nodeGroupName": "line_1", "description": "the first line" }),
        )
        .await?;
    let mut nodes = Vec::new();
    for serial in ["BOX-1", "BOX-2"] {
        let all = waiting["nodes"].as_array().context("nodes")?;
        let node = all.iter().find(|node| node["serialNumber"] == serial).context(serial)?;
        let id = node["id"].clone();
        let body = json!({ "name": serial.to_lowercase(), "groupIDs": [group], "nodeID": id });
        script.post(&format!("{MANAGER}/node/add"), body).await?;
        nodes.push(id);
    }
    for node in &nodes {
        let path = format!("{MANAGER}/node?id={node}");
        script
            .until("ready node", &path, |node| {
                node["status"] == "ready" && node["cpu"] != 0
            })
            .await?;
    }

    // An application on both, then its next image.
    let (image, tag) = IMAGE.split_once(':').context("a tag")?;
    let container = |tag: &str| {
        json!({
            "name": "main", "cpuRequest": 0.1, "cpuLimit": 0.5, "memRequest": 16, "memLimit": 64, "image": image,
            "imageVersion": tag, "userID": 1001, "groupID": 1002, "env": [{ "name": "line", "value": "1" }],
            "command": ["/bin/sh", "-c"], "args": ["echo begun; exec sleep 30000"],
        })
    };
    let app = script
        .post(
            &format!("{MANAGER}/app"),
            json!({ "appName": "detector", "containers": [container(tag)] }),
        )
        .await;
    // A semicolon is none of MEF's characters; what the refusal says is the script writer's to mend.
    ensure!(app.is_err_and(|error| error.to_string().contains("00001005")));
    let container = |tag: &str| {
        let mut container = container(tag);
        container["args"] = json!(["sleep 30000"]);
        container
    };
    let app = script
        .post(
            &format!("{MANAGER}/app"),
            json!({ "appName": "detector", "containers": [container(tag)] }),
        )
        .await?;
    let deployment = json!({ "appID": app, "nodeGroupIds": [group] });
    script
        .post(&format!("{MANAGER}/app/deployment"), deployment.clone())
        .await?;
    let instances = format!("{MANAGER}/app/deployment?appID={app}");
    script
        .until("running instances", &instances, |list| all_run(list, 2, IMAGE))
        .await?;
    let [id] = one.containers()?.try_into().ok().context("one container")?;
    let format = "{{.Config.User}} {{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.Memory}}";
    let made = one.docker.run(&["inspect", "--format", format, &id])?;
    ensure!(made.trim() == format!("1001:1002 false [ALL] {}", 64 << 20), "{made}");
    for host in [&one, &two] {
        host.docker.run(&["tag", IMAGE, &format!("{image}:2")])?;
    }
    script
        .send(
            "PATCH",
            &format!("{MANAGER}/app"),
            json!({ "appID": app, "appName": "detector", "containers": [container("2")] }),
        )
        .await?;
    let second = format!("{image}:2");
    script
        .until("updated instances", &instances, |list| all_run(list, 2, &second))
        .await?;

    // One box is cut off: what is known of it is said, and it works on; it heals by itself.
    let before = one.containers()?;
    one.cable.cut()?;
    let path = format!("{MANAGER}/node?id={}", nodes[0]);
    script
        .until("node that is not known", &path, |node| node["status"] == "unknown")
        .await?;
    let list = script.read(&instances).await?;
    let of = |list: &Value, node: &Value| {
        let all = list["appInstances"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|one| one["nodeID"] == *node).unwrap_or_default()
    };
    ensure!(
        of(&list, &nodes[0])["appStatus"] == "unknown" && of(&list, &nodes[1])["appStatus"] == "running",
        "{list}"
    );
    let alarms = script
        .read("/alarmmanager/v1/alarms?pageNum=1&pageSize=10&sn=BOX-1&ifCenter=false")
        .await?;
    ensure!(alarms["total"] == 1, "{alarms}");
    ensure!(one.containers()? == before, "the container went with the network");
    one.cable.mend()?;
    script
        .until("ready node", &path, |node| node["status"] == "ready")
        .await?;
    script
        .until("running instances", &instances, |list| all_run(list, 2, &second))
        .await?;
    ensure!(one.containers()? == before, "the container was made anew");
    script
        .until(
            "no alarm",
            "/alarmmanager/v1/alarms?pageNum=1&pageSize=10&sn=BOX-1&ifCenter=false",
            |list| list["total"] == 0,
        )
        .await?;

    // The logs of both.
    let task = script
        .post(
            &format!("{MANAGER}/logmgmt/dump/task"),
            json!({ "module": "edgeNode", "edgeNodes": nodes }),
        )
        .await?;
    let id = task["taskId"].as_str().context("a task")?;
    let path = format!("{MANAGER}/logmgmt/dump/task?taskId={id}");
    script
        .until("collected logs", &path, |task| {
            task["status"] == "succeed" && task["progress"] == 100
        })
        .await?;
    let archive = script
        .curl
        .bytes(&[], &format!("{MANAGER}/logmgmt/dump/download/edgeNodes.tar.gz"))?;
    let mut archive = tar::Archive::new(GzDecoder::new(archive.as_slice()));
    let mut names = Vec::new();
    for entry in archive.entries()? {
        names.push(entry?.path()?.display().to_string());
    }
    ensure!(
        names.len() == 2
            && ["BOX-1", "BOX-2"]
                .iter()
                .all(|serial| names.iter().any(|name| name.contains(serial))),
        "{names:?}"
    );

    // The first box gets the next agent from the integrator's server, which the lab does not sign for.
    let mut settings = console.call::<api::GetSettings>((), (), ()).await?;
    settings.software.unsigned = true;
    console.call::<api::UpdateSettings>((), (), settings).await?;
    let repository = Authority::root("repository")?;
    let pem = STANDARD.encode(&repository.pem);
    script
        .post(
            &format!("{CERTIFICATES}/certificates/import"),
            json!({ "certName": "software", "cert": pem }),
        )
        .await?;
    let server = SoftwareServer::start(one.cable.near, &repository, 7).await?;
    server.offer(next()?);
    let download = json!({
        "serialNumbers": ["BOX-1"], "softwareName": "MEFEdge",
        "downloadInfo": { "package": format!("GET {}", server.url), "userName": ACCOUNT, "password": PASSWORD.as_bytes() },
    });
    let software = format!("{MANAGER}/software/edge");
    script.post(&format!("{software}/download"), download).await?;
    script
        .until(
            "download",
            &format!("{software}/download-progress?serialNumber=BOX-1"),
            |told| told["progress"] == 100 && told["res"] == "success",
        )
        .await?;
    script
        .post(
            &format!("{software}/upgrade"),
            json!({ "SerialNumbers": ["BOX-1"], "softwareName": "MEFEdge" }),
        )
        .await?;
    script
        .until(
            "new version",
            &format!("{software}/version-info?serialNumber=BOX-1"),
            |told| told[0]["Version"] == NEXT,
        )
        .await?;
    script
        .until("running instances", &instances, |list| all_run(list, 2, &second))
        .await?;
    ensure!(one.containers()? == before, "the upgrade has touched the container");

    // The script's certificate is taken back; its colleague's is not.
    let crl = STANDARD.encode(own.revoke("script")?);
    admin
        .post(
            &format!("{CERTIFICATES}/crl/import"),
            json!({ "crlName": "north", "crl": crl }),
        )
        .await?;
    ensure!(
        script.read(&format!("{MANAGER}/version")).await.is_err(),
        "a revoked client was served"
    );

    // All goes, from the boxes too.
    let groups = json!({ "groupIDs": [group] });
    let refused = admin
        .post(&format!("{MANAGER}/app/batch-delete"), json!({ "appIDs": [app] }))
        .await;
    ensure!(refused.is_err(), "an application that is deployed was deleted");
    admin
        .post(&format!("{MANAGER}/app/deployment/batch-delete"), deployment)
        .await?;
    admin
        .until("no instances", &instances, |list| list["total"] == 0)
        .await?;
    admin
        .post(&format!("{MANAGER}/app/batch-delete"), json!({ "appIDs": [app] }))
        .await?;
    admin
        .post(&format!("{MANAGER}/node/batch-delete"), json!({ "nodeIDs": nodes }))
        .await?;
    admin.post(&format!("{MANAGER}/nodegroup/batch-delete"), groups).await?;
    for host in [&one, &two] {
        until("box without a trace", LONG, async || {
            Ok((host.containers()?.is_empty() && !Path::new(&host.state()).join("state.json").exists()).then_some(()))
        })
        .await?;
    }
    let left = admin.read(&format!("{MANAGER}/node/stats")).await?;
    ensure!(
        left.as_object()
            .is_none_or(|counts| counts.values().all(|count| *count == 0)),
        "{left}"
    );
    drop(running);
    Ok(())
}
