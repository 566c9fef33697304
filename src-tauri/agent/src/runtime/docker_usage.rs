//! What running containers use, by the Docker Engine API.

use super::docker::{Docker, LABEL_PART, LABEL_PLACEMENT, LABEL_VERSION, time};
use crate::{
    metering::{
        ledger::{Moment, Owner},
        traffic::Bytes,
    },
    reconcile::PartKey,
};
use bollard::{
    errors::Error,
    models::{ContainerInspectResponse, ContainerStatsResponse},
    query_parameters::{InspectContainerOptionsBuilder, StatsOptionsBuilder},
};
use edgedeck_model::{Time, metering::TrafficSource};
use futures::StreamExt;
use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::timeout,
};

/// Stopping a container waits no longer than this for its last reading.
const LAST_READING_MAX: Duration = Duration::from_secs(2);

/// A running container, and its counters.
#[derive(Clone, Debug)]
pub struct Running {
    pub id: String,
    /// Tells one run from the next; fit for a file's name.
    pub run: String,
    pub started_at: Time,
    pub pid: i64,
    pub host_network: bool,
    /// With the interface of its own, for now.
    pub owner: Owner,
    /// The host's folders that it may write to.
    pub writable: Vec<PathBuf>,
    pub cpu_ns: u64,
    pub memory_bytes: u64,
    pub bytes: Bytes,
    pub moment: Moment,
}

impl Docker {
    /// Told when one of this node's containers starts or ends.
    pub fn came_or_went(&self) -> Arc<Notify> {
        self.came_or_went.clone()
    }

    /// Before containers are stopped, whoever has the other end is asked and waited for. Taken once.
    pub fn set_before_stop(&self, asks: mpsc::Sender<oneshot::Sender<()>>) {
        let _first_stays = self.before_stop.set(asks);
    }

    pub(super) async fn ask_before_stop(&self) {
        let Some(asks) = self.before_stop.get() else { return };
        let (reply, done) = oneshot::channel();
        let asking = async {
            asks.send(reply).await.ok()?;
            done.await.ok()
        };
        // A reading that is late must not keep anything from stopping.
        let _read = timeout(LAST_READING_MAX, asking).await;
    }

    /// All of this node's running containers, and the ids of those that cannot be read now; `None` when the engine does not
    /// answer.
    pub async fn running(&self) -> Option<(Vec<Running>, Vec<String>)> {
        let reading = async {
            let client = self.client().await?;
            let (mut running, mut unread) = (Vec::new(), Vec::new());
            for (id, labels) in self.list(&client, None).await? {
                match self.running_one(&id, &labels).await {
                    Ok(found) => running.extend(found),
                    // It went away since the list was made.
                    Err(Error::DockerResponseServerError {
                        status_code: 404 | 409, ..
                    }) => {}
                    Err(error @ Error::DockerResponseServerError { .. }) => {
                        tracing::debug!(id, "use of a container: {}", crate::chain(&error));
                        unread.push(id);
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok((running, unread))
        };
        let read: Result<_, Error> = reading.await;
        read.inspect_err(|error| tracing::debug!("use of containers: {}", crate::chain(error)))
            .ok()
    }

    async fn running_one(&self, id: &str, labels: &HashMap<String, String>) -> Result<Option<Running>, Error> {
        let client = self.client().await?;
        let found = self.check(client.inspect_container(id, None).await).await?;
        let Some(mut running) = describe(id, labels, &found) else {
            return Ok(None);
        };
        let once = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
        let stats = Box::pin(client.stats(id, Some(once))).next().await;
        let Some(stats) = stats else { return Ok(None) };
        let stats = self.check(stats).await?;
        running.moment = Moment::now();
        let Some(cpu_ns) = cpu_ns(&stats) else {
            // It ended in between.
            return Ok(None);
        };
        running.cpu_ns = cpu_ns;
        running.memory_bytes = memory_bytes(&stats);
        running.bytes = interface_bytes(&stats);
        Ok(Some(running))
    }

    /// Bytes of a container's writable layer, which the engine has to add up.
    pub async fn layer_bytes(&self, id: &str) -> Option<u64> {
        let client = self.client().await.ok()?;
        let sized = InspectContainerOptionsBuilder::default().size(true).build();
        let found = self.check(client.inspect_container(id, Some(sized)).await).await.ok()?;
        u64::try_from(found.size_rw?).ok()
    }
}

/// A container that runs, without its counters.
fn describe(id: &str, labels: &HashMap<String, String>, found: &ContainerInspectResponse) -> Option<Running> {
    let state = found.state.as_ref()?;
    let pid = state.pid.filter(|pid| state.running == Some(true) && *pid > 0)?;
    let started = state.started_at.as_deref()?;
    let key = PartKey {
        placement: labels.get(LABEL_PLACEMENT)?.parse().ok()?,
        part: labels.get(LABEL_PART)?.clone(),
    };
    let host = found.host_config.as_ref();
    let mounts = found.mounts.iter().flatten();
    let writable = mounts
        .filter(|mount| mount.rw == Some(true))
        .filter_map(|mount| mount.source.clone());
    let digits: String = started.chars().filter(char::is_ascii_digit).collect();
    Some(Running {
        id: id.to_owned(),
        run: format!("{id}-{digits}"),
        started_at: time(started)?,
        pid,
        host_network: host.and_then(|host| host.network_mode.as_deref()) == Some("host"),
        owner: Owner {
            placement: key.placement,
            part: key.part,
            version: labels.get(LABEL_VERSION)?.parse().ok()?,
            image: found.config.as_ref()?.image.clone()?,
            traffic: TrafficSource::Interface,
        },
        writable: writable.map(PathBuf::from).collect(),
        cpu_ns: 0,
        memory_bytes: 0,
        bytes: Bytes::default(),
        moment: Moment::now(),
    })
}

fn cpu_ns(stats: &ContainerStatsResponse) -> Option<u64> {
    stats.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage
}

/// What is in memory without what the kernel could drop: files that were not read for a while.
fn memory_bytes(stats: &ContainerStatsResponse) -> u64 {
    let Some(memory) = &stats.memory_stats else { return 0 };
    let details = memory.stats.as_ref();
    // Control groups of version 1 have it with their children under another name.
    let inactive = details.and_then(|details| {
        details
            .get("total_inactive_file")
            .or_else(|| details.get("inactive_file"))
    });
    memory.usage.unwrap_or(0).saturating_sub(inactive.copied().unwrap_or(0))
}

fn interface_bytes(stats: &ContainerStatsResponse) -> Bytes {
    let networks = stats.networks.iter().flat_map(HashMap::values);
    networks.fold(Bytes::default(), |sum, network| Bytes {
        sent: sum.sent.saturating_add(network.tx_bytes.unwrap_or(0)),
        received: sum.received.saturating_add(network.rx_bytes.unwrap_or(0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_without_files_that_can_be_dropped() {
        let stats = |details: &str| -> ContainerStatsResponse {
            serde_json::from_str(&format!(r#"{{"memory_stats":{{"usage":1000,"stats":{details}}}}}"#)).unwrap()
        };
        assert_eq!(memory_bytes(&stats(r#"{"inactive_file":300}"#)), 700);
        assert_eq!(
            memory_bytes(&stats(r#"{"inactive_file":10,"total_inactive_file":400}"#)),
            600
        );
        assert_eq!(memory_bytes(&stats("{}")), 1_000);
    }

    #[test]
    fn every_interface_counts() {
        let text = r#"{"networks":{"eth0":{"rx_bytes":1,"tx_bytes":2},"eth1":{"rx_bytes":10,"tx_bytes":20}}}"#;
        let bytes = interface_bytes(&serde_json::from_str(text).unwrap());
        assert_eq!((bytes.sent, bytes.received), (22, 11));
        assert_eq!(interface_bytes(&serde_json::from_str("{}").unwrap()), Bytes::default());
    }
}
