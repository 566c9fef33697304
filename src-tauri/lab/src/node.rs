//! One simulated node: joins, links, reports.

use crate::{
    Fleet, chance, curves,
    faults::{self, Fault},
    instances::{Instances, Rules},
    profile::Profile,
    usage,
};
use edgedeck_agent::{
    identity::{self, Identity, Trust},
    join::{self, JoinError},
    link::{Link, LinkError},
};
use edgedeck_model::{Code, Problem, Time, certificate::NodeTrust};
use edgedeck_protocol::{Answer, FromAgent, Hello, JoinRequest, Observed, Task, ToAgent, VERSIONS, Welcome};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The time in the lab: real time, passing as quickly as the options say.
fn lab_time(fleet: &Fleet, now: Time) -> Time {
    Time((now.0 as f64 * fleet.options.speed) as i64)
}

/// Joins, or takes up the identity of a node that joined before.
///
/// # Errors
/// As of a real join.
pub async fn join(fleet: &Fleet, profile: &Profile) -> Result<(), JoinError> {
    let serial = profile.serial();
    if let Some(identity) = fleet.identities.take(&serial) {
        fleet.identities.put(&serial, identity);
        return Ok(());
    }
    let key_pem = identity::new_key()?;
    let request = JoinRequest {
        token: fleet.options.tokens.next().await.map_err(JoinError::Refused)?,
        csr_pem: identity::request(&key_pem, &serial)?,
        serial: serial.clone(),
        host_name: profile.name(),
        arch: profile.kind.arch.to_owned(),
        agent_version: edgedeck_agent::version().to_owned(),
    };
    let reply = join::join(&fleet.client, &fleet.options.engine, &request).await?;
    let identity = Identity {
        key_pem,
        certificate_pem: reply.certificate_pem,
    };
    if let Err(error) = fleet.identities.store(&serial, &identity) {
        tracing::warn!(serial, "keeping a key: {error}");
    }
    fleet.identities.put(&serial, identity);
    Ok(())
}

/// Lives the life of a node; ends when it is removed from the lab.
pub async fn run(fleet: Arc<Fleet>, number: u32) {
    let profile = Profile::new(fleet.options.seed, number);
    let Some(mut identity) = prepare(&fleet, &profile).await else {
        return;
    };
    let mut instances = Instances::default();
    // Grows over links and, being a time, over runs of the fleet.
    let mut sample_number = u64::try_from(edgedeck_agent::now().0).unwrap_or(0);
    let mut backoff = Duration::from_secs(1);
    let mut failures = 0_u64;
    loop {
        if let Some(back) = offline_for(&fleet, &profile) {
            sleep(back).await;
            continue;
        }
        match open(&fleet, &profile, &identity, instances.generation).await {
            Ok((link, welcome)) => {
                backoff = Duration::from_secs(1);
                let mut linked = Linked {
                    fleet: &fleet,
                    profile,
                    instances: &mut instances,
                    identity: &mut identity,
                    link,
                    sequence: 0,
                };
                match linked.serve(&welcome, &mut sample_number).await {
                    Ok(()) | Err(LinkError::Removed) => return,
                    // It went offline by itself.
                    Err(LinkError::Closed) if offline_for(&fleet, &profile).is_some() => continue,
                    Err(error) => tracing::debug!(number, "link: {}", edgedeck_agent::chain(&error)),
                }
            }
            Err(LinkError::Removed) => return,
            Err(error) => tracing::debug!(number, "opening: {}", edgedeck_agent::chain(&error)),
        }
        failures += 1;
        sleep(backoff.mul_f64(0.5 + chance::share(&[fleet.options.seed, u64::from(number), 60, failures]) / 2.0)).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn prepare(fleet: &Fleet, profile: &Profile) -> Option<Identity> {
    let serial = profile.serial();
    let mut wait = Duration::from_secs(1);
    loop {
        let joined = {
            let _turn = fleet.opening.acquire().await.ok()?;
            join(fleet, profile).await
        };
        match joined {
            Ok(()) => break,
            Err(error @ (JoinError::Refused(_) | JoinError::WrongHash { .. })) => {
                tracing::error!(serial, "{}", error.text(edgedeck_agent::cli::lang()));
                return None;
            }
            Err(error) => tracing::debug!(serial, "joining: {}", edgedeck_agent::chain(&error)),
        }
        sleep(wait).await;
        wait = (wait * 2).min(BACKOFF_MAX);
    }
    fleet.identities.take(&serial)
}

fn fault(fleet: &Fleet, profile: &Profile) -> (Option<Fault>, Duration) {
    if !fleet.options.faults {
        return (None, Duration::from_secs(3_600));
    }
    let now = lab_time(fleet, edgedeck_agent::now());
    let (fault, until) = faults::at(profile, now);
    let ms = until.since(now).max(1) as f64 / fleet.options.speed.max(0.001);
    (fault, Duration::from_millis(ms as u64 + 1))
}

fn offline_for(fleet: &Fleet, profile: &Profile) -> Option<Duration> {
    let (fault, left) = fault(fleet, profile);
    (fault == Some(Fault::Offline)).then_some(left)
}

async fn open(
    fleet: &Fleet,
    profile: &Profile,
    identity: &Identity,
    generation: u64,
) -> Result<(Link, Welcome), LinkError> {
    let _turn = fleet.opening.acquire().await.map_err(|_| LinkError::Closed)?;
    let hello = Hello {
        versions: VERSIONS,
        agent_version: edgedeck_agent::version().to_owned(),
        serial: profile.serial(),
        boot_id: profile.boot_id(),
        generation,
        outside: Some(0),
        at: edgedeck_agent::now(),
    };
    let tls = fleet.authorities.read().1.client(identity);
    let tls = tls.map_err(|error| LinkError::Refused(edgedeck_agent::chain(&error)))?;
    Link::open(&fleet.address, Arc::new(tls), hello).await
}

struct Waiting {
    until: Instant,
    request: u64,
    task: Task,
}

struct Linked<'a> {
    fleet: &'a Fleet,
    profile: Profile,
    instances: &'a mut Instances,
    identity: &'a mut Identity,
    link: Link,
    sequence: u64,
}

impl Linked<'_> {
    /// Serves a link; `Ok` when the node was removed.
    async fn serve(&mut self, welcome: &Welcome, sample_number: &mut u64) -> Result<(), LinkError> {
        let heartbeat = Duration::from_millis(welcome.heartbeat.max(500).into());
        let mut pace = Duration::from_millis(welcome.sample_interval.max(200).into());
        let begun = Instant::now();
        // Nodes do not beat in step.
        let phase = |what| chance::share(&self.profile.inputs(what));
        let mut beat_at = begun + heartbeat.mul_f64(phase(61));
        let mut sample_at = begun + pace.mul_f64(phase(62));
        let mut usage_at = begun + usage::INTERVAL.mul_f64(phase(63));
        if let Some(pem) = &welcome.ca_pem {
            self.take_authorities(pem).await?;
        }
        let (mut fault, left) = fault(self.fleet, &self.profile);
        let mut fault_at = begun + left;
        let mut report_at = self.report().await?;
        self.send_facts(fault).await?;
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            let mut next = beat_at.min(sample_at).min(usage_at).min(fault_at);
            next = report_at.map_or(next, |at| next.min(at));
            next = waiting
                .iter()
                .map(|one| one.until)
                .min()
                .map_or(next, |at| next.min(at));
            tokio::select! {
                frame = self.link.receive() => match frame? {
                    ToAgent::Removed => return Ok(()),
                    ToAgent::Authorities { pem } => self.take_authorities(&pem).await?,
                    ToAgent::Certificate { pem } => self.renew(pem).await?,
                    // It pulls nothing; that it was told is all that there is to do.
                    ToAgent::Outside(outside) => {
                        let frame = FromAgent::OutsideTaken { revision: outside.revision, problem: None };
                        self.link.send(&frame).await?;
                    }
                    ToAgent::Desired(desired) => {
                        self.instances.want(desired, edgedeck_agent::now());
                        report_at = self.report().await?;
                    }
                    ToAgent::ObservedStored { sequence } if sequence == self.sequence => self.instances.stored(),
                    ToAgent::Pace { sample_interval } => {
                        pace = Duration::from_millis(sample_interval.max(200).into());
                        sample_at = Instant::now();
                    }
                    ToAgent::Request { request, task } => {
                        if let Some(task) = self.answer(request, task, false).await? {
                            let wait = match &task {
                                Task::Logs { wait, .. } => *wait,
                                _ => 0,
                            };
                            let until = Instant::now() + Duration::from_millis(wait.clamp(1, 1_000).into());
                            waiting.push(Waiting { until, request, task });
                        }
                    }
                    _ => {}
                },
                () = sleep_until(next) => {
                    let now = Instant::now();
                    if now >= fault_at {
                        let (new, left) = self::fault(self.fleet, &self.profile);
                        fault_at = now + left;
                        if new == Some(Fault::Offline) {
                            return Err(LinkError::Closed);
                        }
                        if std::mem::replace(&mut fault, new) != new {
                            self.send_facts(fault).await?;
                        }
                    }
                    if now >= sample_at {
                        sample_at = now + pace;
                        *sample_number += 1;
                        let stamp = edgedeck_agent::now();
                        let sample = curves::sample(&self.profile, lab_time(self.fleet, stamp), stamp, fault);
                        self.link.send(&FromAgent::Sample { number: *sample_number, sample }).await?;
                    }
                    if now >= usage_at {
                        usage_at = now + usage::INTERVAL;
                        if welcome.takes_usage {
                            self.report_usage().await?;
                        }
                    }
                    if now >= beat_at {
                        beat_at = now + heartbeat;
                        self.link.send(&FromAgent::Heartbeat { at: edgedeck_agent::now() }).await?;
                        self.link.ping().await?;
                    }
                    if report_at.is_some_and(|at| now >= at) {
                        report_at = self.report().await?;
                    }
                    while let Some(at) = waiting.iter().position(|one| one.until <= now) {
                        let one = waiting.swap_remove(at);
                        self.answer(one.request, one.task, true).await?;
                    }
                }
            }
        }
    }

    /// Trusts these CAs, for the whole fleet, and asks for a certificate of the first.
    async fn take_authorities(&mut self, pem: &str) -> Result<(), LinkError> {
        {
            let mut present = self.fleet.authorities.write();
            if present.0 != pem
                && let Ok(trust) = Trust::new(pem)
            {
                *present = (pem.to_owned(), trust);
                if let Err(error) = self.fleet.identities.keep_authorities(pem) {
                    tracing::warn!("keeping the lab's CAs: {error}");
                }
            }
        }
        let trust = self.tell_trust().await?;
        if trust.is_some_and(|trust| trust.is_former())
            && let Ok(csr_pem) = identity::request(&self.identity.key_pem, &self.profile.serial())
        {
            self.link.send(&FromAgent::Renew { csr_pem }).await?;
        }
        Ok(())
    }

    async fn tell_trust(&mut self) -> Result<Option<NodeTrust>, LinkError> {
        let trust = identity::trust_of(&self.fleet.authorities.read().0, &self.identity.certificate_pem).ok();
        if let Some(trust) = &trust {
            self.link.send(&FromAgent::Trusts(trust.clone())).await?;
        }
        Ok(trust)
    }

    async fn renew(&mut self, pem: String) -> Result<(), LinkError> {
        self.identity.certificate_pem = pem;
        let serial = self.profile.serial();
        if let Err(error) = self.fleet.identities.store(&serial, self.identity) {
            tracing::warn!(serial, "keeping a certificate: {error}");
        }
        self.tell_trust().await?;
        Ok(())
    }

    /// Reports the instances, and says when they change by themselves.
    async fn report(&mut self) -> Result<Option<Instant>, LinkError> {
        let now = edgedeck_agent::now();
        let (instances, next) = self.instances.report(&self.profile, self.rules(), now);
        self.sequence += 1;
        let observed = Observed {
            sequence: self.sequence,
            generation: self.instances.generation,
            instances,
        };
        self.link.send(&FromAgent::Observed(observed)).await?;
        let wait = |at: Time| Duration::from_millis(u64::try_from(at.since(now)).unwrap_or(0) + 1);
        Ok(next.map(|at| Instant::now() + wait(at)))
    }

    /// Tells what the containers used since the last time.
    async fn report_usage(&mut self) -> Result<(), LinkError> {
        let now = edgedeck_agent::now();
        let running = self.instances.containers(&self.profile, self.rules(), now);
        if running.is_empty() {
            return Ok(());
        }
        let usage = usage::report(&self.profile, running, lab_time(self.fleet, now), now);
        self.link.send(&FromAgent::Usage(usage)).await
    }

    fn rules(&self) -> Rules {
        Rules {
            faults: self.fleet.options.faults,
            start_delay: self.fleet.options.start_delay,
        }
    }

    async fn send_facts(&mut self, fault: Option<Fault>) -> Result<(), LinkError> {
        let now = edgedeck_agent::now();
        let disk = curves::disk_percent(&self.profile, lab_time(self.fleet, now), fault);
        let facts = self.profile.facts(now, disk, fault != Some(Fault::Degraded));
        self.link.send(&FromAgent::Facts(Box::new(facts))).await
    }

    /// Answers a request; gives it back when there is nothing to tell yet and it may wait.
    async fn answer(&mut self, request: u64, task: Task, now_or_never: bool) -> Result<Option<Task>, LinkError> {
        let Task::Logs {
            placement,
            after,
            lines,
            wait,
            ..
        } = task.clone()
        else {
            // There is no machine to collect anything from, or to run anything else on.
            let outcome = Err(Problem::new(Code::NotBuilt));
            self.link.send(&FromAgent::Answer { request, outcome }).await?;
            return Ok(None);
        };
        let page = self.instances.logs(placement, after, lines, edgedeck_agent::now());
        if !now_or_never && wait > 0 && page.as_ref().is_some_and(|page| page.lines.is_empty()) {
            return Ok(Some(task));
        }
        let outcome = match page {
            Some(page) => Ok(Answer::Logs(page)),
            None => Err(Problem {
                code: Code::NotFound,
                ..Problem::not_found("placement")
            }),
        };
        self.link.send(&FromAgent::Answer { request, outcome }).await?;
        Ok(None)
    }
}
