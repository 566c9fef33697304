//! Containers, by the Docker Engine API over its socket. Podman serves the same API.

use super::{LogRequest, Runtime, STOP_SECONDS, docker_create, docker_exec::Stuck, docker_logs, npu_check};
use crate::{
    collect::{Bounded, Copied},
    observer,
    outside::Outsides,
    reconcile::{Kind, Outcome, PartKey, Seen, SeenState, Trial, Trouble},
    sources::Sources,
};
use bollard::{
    API_DEFAULT_VERSION, Docker as Client,
    auth::DockerCredentials,
    errors::Error,
    models::{ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum},
    query_parameters::{
        CreateContainerOptions, CreateImageOptions, DownloadFromContainerOptions, EventsOptions,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions, StopContainerOptionsBuilder,
        TagImageOptions,
    },
};
use edgedeck_model::{
    Code, NodeId, Problem, Time, VersionId,
    api::LogPage,
    app::{Container, Part, Run},
    deployment::Reason,
    node,
};
use edgedeck_protocol::bounded::HeaderLimit;
use futures::StreamExt;
use std::{
    collections::{BTreeSet, HashMap},
    io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{Mutex, Notify, mpsc, oneshot},
    time::timeout,
};
use tokio_util::io::{StreamReader, SyncIoBridge};

pub(super) const LABEL_NODE: &str = "edgedeck.node";
pub(super) const LABEL_PLACEMENT: &str = "edgedeck.placement";
pub(super) const LABEL_VERSION: &str = "edgedeck.version";
pub(super) const LABEL_PART: &str = "edgedeck.part";
pub(super) const LABEL_HASH: &str = "edgedeck.spec-hash";
/// Numbers of the NPU devices that a container has, separated by commas.
pub(super) const LABEL_NPUS: &str = "edgedeck.npus";

/// Seconds that the engine has to begin an answer.
const ANSWER_SECONDS: u64 = 60;
/// How long the lab's registry has to answer at one of its addresses.
const REGISTRY_TIME: Duration = Duration::from_secs(3);
/// A pull that brings nothing for this long has failed.
const PULL_SILENCE: Duration = Duration::from_secs(120);

/// The socket to use where none is named: `DOCKER_HOST`, else Docker's, else Podman's.
pub fn default_host() -> String {
    if let Ok(host) = std::env::var("DOCKER_HOST")
        && !host.is_empty()
    {
        return host;
    }
    let places = ["/var/run/docker.sock", "/run/podman/podman.sock"];
    let found = places
        .iter()
        .find(|place| std::path::Path::new(place).exists())
        .unwrap_or(&places[0]);
    format!("unix://{found}")
}

/// The container engine of this node.
pub struct Docker {
    /// `unix://…`
    host: String,
    node: NodeId,
    sources: Sources,
    outsides: Arc<Outsides>,
    client: Mutex<Option<Client>>,
    /// Held from choosing NPUs until a container has them.
    creating: Mutex<()>,
    /// Told when one of this node's containers starts or ends.
    pub(super) came_or_went: Arc<Notify>,
    /// Whoever wants to look at containers before they are stopped.
    pub(super) before_stop: OnceLock<mpsc::Sender<oneshot::Sender<()>>>,
    pub(super) stuck: Stuck,
}

impl Docker {
    pub fn new(host: String, node: NodeId, sources: Sources, outsides: Arc<Outsides>) -> Self {
        Self {
            host,
            node,
            sources,
            outsides,
            client: Mutex::new(None),
            creating: Mutex::new(()),
            came_or_went: Arc::default(),
            before_stop: OnceLock::new(),
            stuck: Stuck::default(),
        }
    }

    /// A client that speaks the engine's version of the API.
    pub(super) async fn client(&self) -> Result<Client, Error> {
        let mut held = self.client.lock().await;
        if let Some(client) = held.as_ref() {
            return Ok(client.clone());
        }
        let client = Client::connect_with_unix(&self.host, ANSWER_SECONDS, API_DEFAULT_VERSION)?;
        let client = client.negotiate_version().await?;
        *held = Some(client.clone());
        Ok(client)
    }

    /// Forgets the client when the engine went away: it may come back as another version.
    pub(super) async fn check<T>(&self, outcome: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &outcome
            && !matches!(
                error,
                Error::DockerResponseServerError { .. } | Error::DockerStreamError { .. }
            )
        {
            *self.client.lock().await = None;
        }
        outcome
    }

    /// What the engine is, or why it could not be asked; `None` where there is none.
    pub async fn about(&self) -> Option<Result<node::Runtime, String>> {
        let asked = async {
            let client = self.client().await?;
            self.check(client.version().await).await
        };
        let version = match asked.await {
            Ok(version) => version,
            Err(Error::SocketNotFoundError(_)) => return None,
            Err(error) => return Some(Err(edgedeck_model::name::tame(&crate::chain(&error), 300))),
        };
        let components = version.components.unwrap_or_default();
        let is_podman = components
            .iter()
            .any(|component| component.name.to_ascii_lowercase().contains("podman"));
        let tame = |text: Option<String>| edgedeck_model::name::tame(&text.unwrap_or_default(), 64);
        Some(Ok(node::Runtime {
            name: if is_podman { "podman" } else { "docker" }.to_owned(),
            version: tame(version.version),
            api_version: tame(version.api_version),
        }))
    }

    /// Wakes somebody whenever something happens to this node's containers; never ends.
    pub async fn watch(&self, wake: Arc<Notify>) {
        loop {
            if let Ok(client) = self.client().await {
                let filters = HashMap::from([
                    ("type".to_owned(), vec!["container".to_owned()]),
                    ("label".to_owned(), vec![self.node_label()]),
                ]);
                let mut events = client.events(Some(EventsOptions {
                    filters: Some(filters),
                    ..Default::default()
                }));
                wake.notify_one();
                while let Some(Ok(event)) = events.next().await {
                    wake.notify_one();
                    if matches!(event.action.as_deref(), Some("start" | "die")) {
                        self.came_or_went.notify_one();
                    }
                }
                *self.client.lock().await = None;
                wake.notify_one();
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }

    fn node_label(&self) -> String {
        format!("{LABEL_NODE}={}", self.node)
    }

    /// Ids and labels of this node's containers, or of those of one part.
    pub(super) async fn list(
        &self,
        client: &Client,
        key: Option<&PartKey>,
    ) -> Result<Vec<(String, HashMap<String, String>)>, Error> {
        let mut labels = vec![self.node_label()];
        if let Some(key) = key {
            labels.push(format!("{LABEL_PLACEMENT}={}", key.placement));
            labels.push(format!("{LABEL_PART}={}", key.part));
        }
        let filters = HashMap::from([("label".to_owned(), labels)]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let found = self.check(client.list_containers(Some(options)).await).await?;
        Ok(found
            .into_iter()
            .filter_map(|one| Some((one.id?, one.labels.unwrap_or_default())))
            .collect())
    }

    async fn look_for(&self, key: Option<&PartKey>) -> Result<Vec<Seen>, Error> {
        let client = self.client().await?;
        let mut seen = Vec::new();
        for (id, labels) in self.list(&client, key).await? {
            match self.check(client.inspect_container(&id, None).await).await {
                Ok(found) => seen.extend(read(&id, &labels, &found)),
                // It went away since the list was made.
                Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    async fn create(
        &self,
        client: &Client,
        key: &PartKey,
        part: &Part,
        container: &Container,
        version: VersionId,
        hash: &str,
    ) -> Result<(), Trouble> {
        let _creating = self.creating.lock().await;
        let mut labels = HashMap::from([
            (LABEL_NODE.to_owned(), self.node.to_string()),
            (LABEL_PLACEMENT.to_owned(), key.placement.to_string()),
            (LABEL_VERSION.to_owned(), version.to_string()),
            (LABEL_PART.to_owned(), key.part.clone()),
            (LABEL_HASH.to_owned(), hash.to_owned()),
        ]);
        let mut devices = docker_create::devices(container);
        // Chips that are named as devices are given away, too.
        let mut given = docker_create::named_npus(container);
        if part.resources.npus > 0 {
            let mut used: BTreeSet<u32> = self
                .list(client, None)
                .await
                .map_err(|error| trouble(&error))?
                .iter()
                .filter_map(|(_, labels)| labels.get(LABEL_NPUS))
                .flat_map(|list| list.split(',').filter_map(|number| number.parse().ok()))
                .collect();
            used.extend(&given);
            let chosen = docker_create::choose_npus(&self.sources, part.resources.npus, &used)?;
            devices.extend(docker_create::npu_devices(&self.sources, &chosen));
            given.extend(chosen);
        }
        if !given.is_empty() {
            let list: Vec<String> = given.iter().map(u32::to_string).collect();
            labels.insert(LABEL_NPUS.to_owned(), list.join(","));
        }
        let cpus = crate::facts::cpus(&self.sources);
        let body = docker_create::body(part, container, labels, devices, cpus);
        let options = CreateContainerOptions {
            name: Some(key.name()),
            ..Default::default()
        };
        let created = self.check(client.create_container(Some(options), body).await).await;
        created.map(drop).map_err(|error| trouble(&error))
    }
}

impl Docker {
    /// Copies a file out of a container. Links are not followed, and what is no plain file is not taken.
    ///
    /// # Errors
    /// [`Code::NotFound`] where there is no such container or file, [`Code::Invalid`] for a folder, a link or a device,
    /// [`Code::TooLarge`].
    pub async fn copy_out(&self, key: &PartKey, path: &str, folder: &Path, most: u64) -> Result<Copied, Problem> {
        let client = self
            .client()
            .await
            .map_err(|error| Problem::internal(crate::chain(&error)))?;
        let options = DownloadFromContainerOptions { path: path.to_owned() };
        let mut chunks = Box::pin(client.download_from_container(&key.name(), Some(options)));
        let first = match chunks.next().await {
            Some(Err(Error::DockerResponseServerError { status_code: 404, .. })) => {
                return Err(Problem::not_found("file"));
            }
            first => first,
        };
        let whole = futures::stream::iter(first).chain(chunks);
        let stream = StreamReader::new(whole.map(|chunk| chunk.map_err(io::Error::other)));
        let (reader, folder) = (SyncIoBridge::new(stream), folder.to_owned());
        let copying = tokio::task::spawn_blocking(move || copy_first(reader, &folder, most));
        copying.await.map_err(Problem::internal)?
    }
}

/// Copies the file that an archive begins with.
fn copy_first(archive: impl io::Read, folder: &Path, most: u64) -> Result<Copied, Problem> {
    let broken = |error: io::Error| Problem::internal(format!("copying a file: {error}"));
    let limit = HeaderLimit::default();
    let mut archive = tar::Archive::new(limit.reader(archive));
    let entry = archive.entries().map_err(broken)?.next();
    let mut entry = entry.ok_or_else(|| Problem::not_found("file"))?.map_err(broken)?;
    if entry.header().entry_type() != tar::EntryType::Regular {
        return Err(Problem::invalid("path", "no-plain-file"));
    }
    if entry.size() > most {
        return Err(Problem::new(Code::TooLarge).with("max", most));
    }
    limit.content(entry.size());
    let mut out = Bounded::in_folder(folder, most).map_err(broken)?;
    let copied = io::copy(&mut entry, &mut out).map_err(broken)?;
    if copied != entry.size() {
        return Err(broken(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(out.end())
}

impl Runtime for Docker {
    async fn look(&self) -> Option<Vec<Seen>> {
        self.look_for(None)
            .await
            .inspect_err(|error| tracing::debug!("containers: {}", crate::chain(error)))
            .ok()
    }

    async fn look_at(&self, key: &PartKey) -> Result<Option<Seen>, Trouble> {
        Ok(self.look_for(Some(key)).await.map_err(|error| trouble(&error))?.pop())
    }

    async fn fetch(&self, _: &PartKey, part: &Part) -> Result<(), Trouble> {
        let Run::Container(container) = &part.run else {
            return Ok(());
        };
        // Before anything is changed: what runs of the version before goes on.
        npu_check::check(&part.resources, &observer::npu_tool()).await?;
        let client = self.client().await.map_err(|error| trouble(&error))?;
        let image = docker_create::with_tag(&container.image);
        match self.check(client.inspect_image(&image).await).await {
            Ok(_) => return Ok(()),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => {}
            Err(error) => return Err(trouble(&error)),
        }
        let place = nearest(self.outsides.places(&image))
            .await
            .unwrap_or_else(|| image.clone());
        tracing::info!(image, place, "pulling");
        let options = CreateImageOptions {
            from_image: Some(place.clone()),
            ..Default::default()
        };
        let account = self.outsides.account(&place).map(|account| DockerCredentials {
            username: Some(account.account),
            password: Some(account.password),
            serveraddress: Some(account.address),
            ..Default::default()
        });
        let mut progress = client.create_image(Some(options), None, account);
        loop {
            match timeout(PULL_SILENCE, progress.next()).await {
                Err(_) => return Err(Trouble::new(Reason::ImageUnreachable, "the pull stands still")),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(pull_trouble(&error)),
                Ok(None) => break,
            }
        }
        if let (true, Some((name, tag))) = (place != image, image.rsplit_once(':')) {
            let named = TagImageOptions {
                repo: Some(name.to_owned()),
                tag: Some(tag.to_owned()),
            };
            let named = client.tag_image(&place, Some(named)).await;
            named.map_err(|error| trouble(&error))?;
            // The other name does no harm where it stays.
            let _gone = client.remove_image(&place, None::<RemoveImageOptions>, None).await;
        }
        // A pull can end without an error and without the image, for another architecture for instance.
        match client.inspect_image(&image).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Trouble::new(Reason::ImageNotFound, error)),
        }
    }

    async fn start(&self, key: &PartKey, part: &Part, version: VersionId, hash: &str) -> Result<(), Trouble> {
        let Run::Container(container) = &part.run else {
            return Ok(());
        };
        let client = self.client().await.map_err(|error| trouble(&error))?;
        let mut there = false;
        for (id, labels) in self.list(&client, Some(key)).await.map_err(|error| trouble(&error))? {
            if labels.get(LABEL_HASH).is_some_and(|other| other == hash) && !there {
                there = true;
            } else {
                self.remove_one(&client, &id).await?;
            }
        }
        if !there {
            self.create(&client, key, part, container, version, hash).await?;
        }
        let started = self.check(client.start_container(&key.name(), None).await).await;
        started.map_err(|error| trouble(&error))
    }

    async fn stop(&self, key: &PartKey) -> Result<(), Trouble> {
        let client = self.client().await.map_err(|error| trouble(&error))?;
        self.ask_before_stop().await;
        let options = || StopContainerOptionsBuilder::default().t(STOP_SECONDS as i32).build();
        for (id, _) in self.list(&client, Some(key)).await.map_err(|error| trouble(&error))? {
            match self.check(client.stop_container(&id, Some(options())).await).await {
                // 304: it had ended already.
                Ok(())
                | Err(Error::DockerResponseServerError {
                    status_code: 304 | 404, ..
                }) => {}
                Err(error) => return Err(trouble(&error)),
            }
        }
        Ok(())
    }

    async fn remove(&self, key: &PartKey) -> Result<(), Trouble> {
        self.stop(key).await?;
        let client = self.client().await.map_err(|error| trouble(&error))?;
        for (id, _) in self.list(&client, Some(key)).await.map_err(|error| trouble(&error))? {
            self.remove_one(&client, &id).await?;
        }
        Ok(())
    }

    async fn address(&self, key: &PartKey, part: &Part) -> Result<Option<IpAddr>, Trouble> {
        if matches!(&part.run, Run::Container(container) if container.host_network) {
            return Ok(Some(Ipv4Addr::LOCALHOST.into()));
        }
        let client = self.client().await.map_err(|error| trouble(&error))?;
        let found = self.check(client.inspect_container(&key.name(), None).await).await;
        let settings = found.map_err(|error| trouble(&error))?.network_settings;
        let networks = settings.and_then(|settings| settings.networks).unwrap_or_default();
        let addresses = networks
            .into_values()
            .flat_map(|end| [end.ip_address, end.global_ipv6_address]);
        Ok(addresses.flatten().find_map(|address| address.parse().ok()))
    }

    async fn exec(&self, trial: &Trial, command: &[String], patience: Duration) -> Outcome {
        self.exec_in(trial, command, patience).await
    }

    async fn logs(&self, key: &PartKey, request: LogRequest) -> Result<LogPage, Problem> {
        let unreachable = |error: Error| Problem::internal(crate::chain(&error));
        let client = self.client().await.map_err(unreachable)?;
        let found = self.list(&client, Some(key)).await.map_err(unreachable)?;
        let Some((id, _)) = found.first() else {
            return Err(Problem::not_found("placement"));
        };
        docker_logs::read(&client, id, request).await.map_err(unreachable)
    }
}

impl Docker {
    async fn remove_one(&self, client: &Client, id: &str) -> Result<(), Trouble> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        match self.check(client.remove_container(id, Some(options)).await).await {
            // 409: it is being removed already; the next look tells.
            Ok(())
            | Err(Error::DockerResponseServerError {
                status_code: 404 | 409, ..
            }) => Ok(()),
            Err(error) => Err(trouble(&error)),
        }
    }
}

/// What an inspected container means; `None` for one that carries no labels of ours or is on its way out.
fn read(id: &str, labels: &HashMap<String, String>, found: &ContainerInspectResponse) -> Option<Seen> {
    let state = found.state.as_ref()?;
    let since = state.started_at.as_deref().and_then(time);
    let finished_at = state.finished_at.as_deref().and_then(time);
    let seen_state = match (state.status?, since) {
        (ContainerStateStatusEnum::REMOVING, _) => return None,
        (ContainerStateStatusEnum::EXITED | ContainerStateStatusEnum::DEAD, Some(since)) => SeenState::Ended {
            since,
            finished_at: finished_at.unwrap_or(since),
            exit_code: state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1),
            out_of_memory: state.oom_killed.unwrap_or(false),
        },
        (ContainerStateStatusEnum::CREATED, _) | (_, None) => SeenState::Made,
        (_, Some(since)) => SeenState::Running { since },
    };
    Some(Seen {
        key: PartKey {
            placement: labels.get(LABEL_PLACEMENT)?.parse().ok()?,
            part: labels.get(LABEL_PART)?.clone(),
        },
        kind: Kind::Container,
        version: labels.get(LABEL_VERSION)?.parse().ok()?,
        hash: labels.get(LABEL_HASH)?.clone(),
        run: format!("{id} {}", state.started_at.as_deref().unwrap_or_default()),
        state: seen_state,
        unhealthy: state.health.as_ref().and_then(|health| health.status) == Some(HealthStatusEnum::UNHEALTHY),
    })
}

/// The engine's time; `None` for its zero.
pub(super) fn time(text: &str) -> Option<Time> {
    let at: jiff::Timestamp = text.parse().ok()?;
    (at.as_second() > 0).then(|| Time(at.as_millisecond()))
}

fn words(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => crate::chain(other),
    }
}

/// Why the engine refused, told from its words: the API has no codes for it.
fn trouble(error: &Error) -> Trouble {
    let words = words(error);
    let has = |text: &str| words.contains(text);
    let reason = match error {
        Error::DockerResponseServerError { .. } | Error::DockerStreamError { .. } => {
            if has("port is already allocated") || has("address already in use") || has("ports are not available") {
                Reason::PortTaken
            } else if has("No such image") || has("image not known") {
                Reason::ImageNotFound
            } else if has("device information") || has("no such device") {
                Reason::NoSuchDevice
            } else {
                Reason::Refused
            }
        }
        _ => Reason::NoRuntime,
    };
    Trouble::new(reason, words)
}

/// The first of these references whose registry answers from here; the engine that pulls is on the same box.
async fn nearest(places: Vec<String>) -> Option<String> {
    if places.len() < 2 {
        return None;
    }
    let tried = places.into_iter().map(async |place| {
        let registry = edgedeck_model::image::registry_of(&place)?.to_owned();
        let answers = timeout(REGISTRY_TIME, tokio::net::TcpStream::connect(registry)).await;
        matches!(answers, Ok(Ok(_))).then_some(place)
    });
    futures::future::join_all(tried).await.into_iter().flatten().next()
}

fn pull_trouble(error: &Error) -> Trouble {
    let words = words(error);
    let says = [
        "manifest unknown",
        "not found",
        "does not exist",
        "pull access denied",
        "name unknown",
        "no matching manifest",
    ];
    // What could not be asked is not known to be missing.
    let network = [
        "no such host",
        "dial tcp",
        "lookup ",
        "timeout",
        "connection refused",
        "Client.Timeout",
        "TLS handshake",
    ];
    let denied = ["unauthorized", "no basic auth credentials", "authentication required"];
    let is_missing = says.iter().any(|text| words.contains(text)) && !network.iter().any(|text| words.contains(text));
    let reason = match error {
        Error::DockerResponseServerError { status_code: 404, .. }
            if !network.iter().any(|text| words.contains(text)) =>
        {
            Reason::ImageNotFound
        }
        _ if is_missing => Reason::ImageNotFound,
        _ if denied.iter().any(|text| words.contains(text)) => Reason::ImageDenied,
        _ => Reason::ImageUnreachable,
    };
    Trouble::new(reason, words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_by_their_words() {
        let server = |status_code, message: &str| Error::DockerResponseServerError {
            status_code,
            message: message.to_owned(),
        };
        let port = "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated";
        assert_eq!(trouble(&server(500, port)).reason, Reason::PortTaken);
        assert_eq!(
            trouble(&server(404, "No such image: x:1")).reason,
            Reason::ImageNotFound
        );
        assert_eq!(
            trouble(&server(
                500,
                "error gathering device information while adding custom device"
            ))
            .reason,
            Reason::NoSuchDevice
        );
        assert_eq!(trouble(&server(400, "invalid mount config")).reason, Reason::Refused);
        assert_eq!(
            trouble(&Error::SocketNotFoundError("x".to_owned())).reason,
            Reason::NoRuntime
        );
        for missing in [
            "manifest for x:1 not found: manifest unknown",
            "pull access denied for x, repository does not exist or may require 'docker login'",
        ] {
            assert_eq!(
                pull_trouble(&server(404, missing)).reason,
                Reason::ImageNotFound,
                "{missing}"
            );
        }
        let denied = "Head \"https://registry.lab:5000/v2/a/manifests/1\": unauthorized: authentication required";
        assert_eq!(pull_trouble(&server(500, denied)).reason, Reason::ImageDenied);
        for away in [
            "Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host",
            "net/http: TLS handshake timeout",
        ] {
            assert_eq!(
                pull_trouble(&server(500, away)).reason,
                Reason::ImageUnreachable,
                "{away}"
            );
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("2024-05-01T00:00:00.5Z"), Some(Time(1_714_521_600_500)));
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        assert_eq!(time("soon"), None);
    }
}
