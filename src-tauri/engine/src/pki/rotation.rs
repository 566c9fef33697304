//! From one CA of the lab to the next, with both trusted in between.
//!
//! A coming CA is made known to every node before anything comes from it. Then it takes over, and nodes renew their
//! certificates; the former one is trusted until nobody needs it. A CA that is near its end goes this way by itself.

use super::{
    CA, CA_KEY, CA_NAME, LabCas, OTHER_CA, OTHER_CA_KEY, PkiError, Secret, load, make_ca, make_server, put, sealed,
    with,
};
use crate::{
    Actor, Engine,
    error::Result,
    fleet,
    store::{Tx, row},
};
use edgedeck_model::{
    NodeId, Problem, Time,
    alarm::AlarmKind,
    certificate::{BEHIND_SHOWN, CaChange, CaChanging, CaStage, CaStep, LabAuthority, NodeBehind, NodeTrust},
    event::EventKind,
    node::Node,
    time::DAY,
};
use edgedeck_protocol::ToAgent;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::atomic::Ordering;
use zeroize::Zeroizing;

/// The setting with the [`CaChange`] that goes on.
const CHANGE: &str = "ca-change";
/// How long before the end of the current CA the next is made, and takes over, in milliseconds.
const BEGUN_BEFORE: i64 = 180 * DAY;
const SWITCHED_BEFORE: i64 = 30 * DAY;
/// A node that has not taken a coming CA for this long raises an alarm, in milliseconds.
const TAKEN_WITHIN: i64 = DAY;
/// Most CAs that an agent is believed to trust.
const ROOTS_MAX: usize = 8;

pub(super) fn stored(connection: &Connection) -> Result<Option<CaChange>> {
    let stored: Option<String> = connection
        .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
        .query_row([CHANGE], |row| row.get(0))
        .optional()?;
    Ok(stored.map(|json| serde_json::from_str(&json)).transpose()?)
}

fn store(tx: &Tx<'_>, stage: Option<CaStage>) -> Result<()> {
    match stage {
        Some(stage) => {
            let change = CaChange { stage, since: tx.now() };
            tx.execute(
                "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)",
                params![CHANGE, serde_json::to_string(&change)?],
            )?
        }
        None => tx.execute("DELETE FROM setting WHERE key = ?1", [CHANGE])?,
    };
    Ok(())
}

impl LabCas {
    fn stage(&self) -> Option<CaStage> {
        self.other.as_ref().map(|(_, change)| change.stage)
    }

    /// Whether a node would lose its link by the next step.
    fn is_behind(&self, node: &Node) -> bool {
        let trust = node.trust.as_ref();
        match &self.other {
            None => false,
            Some((coming, change)) if change.stage == CaStage::Coming => {
                !trust.is_some_and(|trust| trust.roots.contains(&coming.hash))
            }
            Some(_) => trust.is_none_or(|trust| trust.issuer != self.current.hash),
        }
    }

    fn behind(&self, connection: &Connection) -> Result<Vec<Node>> {
        if self.other.is_none() {
            return Ok(Vec::new());
        }
        let mut nodes = row::select::<Node>(connection, "", [])?;
        nodes.retain(|node| self.is_behind(node));
        Ok(nodes)
    }

    /// How many client certificates come from the former CA and are still good.
    fn former_clients(&self, connection: &Connection, now: Time) -> Result<u32> {
        match &self.other {
            Some((_, change)) if change.stage == CaStage::Former => Ok(connection
                .prepare_cached(
                    "SELECT count(*) FROM client_certificate WHERE created_at < ?1 AND revoked_at IS NULL AND ends > ?2",
                )?
                .query_row([change.since.0, now.0], |row| row.get(0))?),
            _ => Ok(0),
        }
    }

    /// The name of the CA after the current one.
    fn next_name(&self) -> String {
        let number = self.current.facts.subject.split_once(CA_NAME).map(|(_, rest)| {
            rest.chars()
                .skip(1)
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        });
        let number = number.and_then(|number| number.parse().ok()).unwrap_or(1_u32);
        format!("{CA_NAME} {}", number.saturating_add(1))
    }
}

/// What a step writes, and what it forgets.
struct Written {
    secrets: Vec<Secret>,
    forgotten: &'static [&'static str],
    stage: Option<CaStage>,
    action: &'static str,
}

impl Engine {
    /// The lab's CA, the engine's certificate, and how far a change to another CA has come.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn lab_authority(&self) -> Result<LabAuthority> {
        let cas = self.pki.present();
        let now = self.clock.now();
        let change = self.store.read(|connection| {
            let Some((other, change)) = &cas.other else {
                return Ok(None);
            };
            let behind = cas.behind(connection)?;
            Ok(Some(CaChanging {
                stage: change.stage,
                since: change.since,
                other: other.facts.clone(),
                behind_count: u32::try_from(behind.len()).unwrap_or(u32::MAX),
                behind: behind
                    .into_iter()
                    .take(BEHIND_SHOWN)
                    .map(|node| NodeBehind {
                        id: node.id,
                        name: node.name,
                    })
                    .collect(),
                clients: cas.former_clients(connection, now)?,
            }))
        })?;
        Ok(LabAuthority {
            pem: cas.pem(),
            current: cas.current.facts.clone(),
            server_ends: cas.server.ends,
            server_hosts: cas.server.hosts.clone(),
            change,
        })
    }

    /// Takes a step of a change from one CA to the next. With `force` even if nodes or clients lose their way in by it.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Conflict`] for a step that is not the next one, or that nodes or clients are not ready for.
    pub async fn change_ca(
        &self,
        actor: &Actor,
        step: CaStep,
        force: bool,
    ) -> std::result::Result<LabAuthority, Problem> {
        let changing = self.pki.changing.lock().await;
        let cas = self.pki.present();
        let needed = match step {
            CaStep::Begin => None,
            CaStep::Cancel | CaStep::Switch => Some(CaStage::Coming),
            CaStep::End => Some(CaStage::Former),
        };
        if cas.stage() != needed || self.pki.is_stale.load(Ordering::Relaxed) {
            return Err(Problem::conflict("ca-step"));
        }
        let written = self.write_step(&cas, step).map_err(Problem::internal)?;
        let sealed = sealed(&self.seal, written.secrets).map_err(Problem::internal)?;
        let actor = actor.clone();
        self.pki.is_stale.store(true, Ordering::Relaxed);
        let outcome = self.store.write(move |tx| {
            let losing = matches!(step, CaStep::Switch | CaStep::End) && !force;
            if losing {
                let behind = cas.behind(tx)?;
                if !behind.is_empty() {
                    let names = behind.iter().take(5).map(|node| node.name.as_str()).collect::<Vec<_>>();
                    return Err(Problem::conflict("ca-nodes")
                        .with("n", behind.len().to_string())
                        .with("names", names.join(", "))
                        .into());
                }
                let clients = cas.former_clients(tx, tx.now())?;
                if clients > 0 {
                    return Err(Problem::conflict("ca-clients").with("n", clients.to_string()).into());
                }
            }
            put(tx, &sealed)?;
            for name in written.forgotten {
                tx.forget_secret(name)?;
            }
            if let (CaStep::End, Some((_, change))) = (step, &cas.other) {
                // Nobody lets them in any more, and the list has to say so.
                tx.execute(
                    "UPDATE client_certificate SET revoked_at = ?2 WHERE created_at < ?1 AND revoked_at IS NULL",
                    [change.since.0, tx.now().0],
                )?;
            }
            store(tx, written.stage)?;
            tx.outside_changed()?;
            tx.audit(&actor, written.action, "")?;
            // A CA that is not trusted any more holds no link either.
            Ok(if step == CaStep::End {
                cas.behind(tx)?
            } else {
                Vec::new()
            })
        });
        let lost = match outcome.await {
            Ok(lost) => lost,
            Err(error) => {
                // What is in memory is what was written before.
                self.pki.is_stale.store(false, Ordering::Relaxed);
                return Err(error.into());
            }
        };
        self.pki.reload(&self.store, &self.seal).map_err(Problem::internal)?;
        drop(changing);
        for node in lost {
            self.hub.cut(node.id);
        }
        self.tell_cas();
        self.judge_certificates().await?;
        Ok(self.lab_authority()?)
    }

    fn write_step(&self, cas: &LabCas, step: CaStep) -> std::result::Result<Written, PkiError> {
        let now = self.clock.now();
        Ok(match step {
            CaStep::Begin => {
                let (pem, key) = make_ca(&cas.next_name(), now)?;
                Written {
                    secrets: vec![(OTHER_CA, pem.into()), (OTHER_CA_KEY, key)],
                    forgotten: &[],
                    stage: Some(CaStage::Coming),
                    action: "ca.begin",
                }
            }
            CaStep::Cancel => Written {
                secrets: Vec::new(),
                forgotten: &[OTHER_CA, OTHER_CA_KEY],
                stage: None,
                action: "ca.cancel",
            },
            CaStep::Switch => {
                let coming = load(&self.store, &self.seal, OTHER_CA)?.ok_or(PkiError::Stored(OTHER_CA))?;
                let key = load(&self.store, &self.seal, OTHER_CA_KEY)?.ok_or(PkiError::Stored(OTHER_CA_KEY))?;
                let hosts = with(&self.pki.hosts, &self.settings().addresses);
                let mut secrets = make_server(&coming, &key, &hosts, &cas.server.hosts, now)?;
                let former = Zeroizing::new(cas.current.pem.clone());
                secrets.extend([(CA, coming), (CA_KEY, key), (OTHER_CA, former)]);
                Written {
                    secrets,
                    // The former one's key is never needed again.
                    forgotten: &[OTHER_CA_KEY],
                    stage: Some(CaStage::Former),
                    action: "ca.switch",
                }
            }
            CaStep::End => Written {
                secrets: Vec::new(),
                forgotten: &[OTHER_CA],
                stage: None,
                action: "ca.end",
            },
        })
    }

    /// Brings what has changed to those who go by it.
    fn tell_cas(&self) {
        self.renew_client_trust();
        self.renew_outside();
        let cas = self.pki.present();
        let pem = cas.pem();
        for node in self.hub.linked() {
            self.hub.send(node, ToAgent::Authorities { pem: pem.clone() });
        }
    }

    /// Renews the engine's certificate where it must, and reads what could not be read after it was written.
    pub(crate) async fn mend_pki(&self) {
        if self.pki.is_stale.load(Ordering::Relaxed)
            && let Ok(_changing) = self.pki.changing.try_lock()
        {
            match self.pki.reload(&self.store, &self.seal) {
                Ok(()) => self.tell_cas(),
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "reading the lab's CA"),
            }
        }
        self.renew_server().await;
    }

    /// Renews the engine's certificate if it ends soon, or the settings name a host that is not in it.
    pub(crate) async fn renew_server(&self) {
        let more = self.settings().addresses.clone();
        if let Err(error) = self.pki.renew_server(&self.store, &self.seal, &self.clock, &more).await {
            // The one before goes on to be shown; its end raises an alarm.
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "renewing the engine's certificate"
            );
        }
    }

    /// Takes the steps that the end of a CA calls for.
    pub(crate) async fn advance_ca(&self) -> Result<()> {
        let cas = self.pki.present();
        let left = cas.current.facts.ends.since(self.clock.now());
        let step = match &cas.other {
            None if left < BEGUN_BEFORE => CaStep::Begin,
            Some((_, change)) if change.stage == CaStage::Coming && left < SWITCHED_BEFORE => CaStep::Switch,
            Some((former, change)) if change.stage == CaStage::Former && former.facts.ends <= self.clock.now() => {
                CaStep::End
            }
            _ => return Ok(()),
        };
        // Whoever is not ready would lose its way in by the end of the CA as well.
        self.change_ca(&Actor::engine(), step, true).await?;
        Ok(())
    }

    /// A node says which CAs it goes by.
    pub(crate) async fn take_trust(&self, node: NodeId, mut trust: NodeTrust) -> Result<()> {
        trust.roots.truncate(ROOTS_MAX);
        if !trust.roots.iter().chain([&trust.issuer]).all(|hash| hash.len() <= 64) {
            return Err(Problem::invalid("trust", "hash").into());
        }
        let known = self.store.read(|connection| fleet::get(connection, node))?;
        if known.trust.as_ref() == Some(&trust) {
            return Ok(());
        }
        let cas = self.pki.present();
        self.store
            .write(move |tx| {
                let mut row = fleet::get(tx, node)?;
                row.trust = Some(trust);
                tx.put(&mut row)?;
                if cas.is_behind(&row) {
                    return Ok(());
                }
                tx.clear(AlarmKind::CaNotTaken, Some(node), "")
            })
            .await
    }
}

/// Raises an alarm for a node that has not taken a coming CA for long, and clears it when that is over.
pub fn judge_taken(tx: &mut Tx<'_>, cas: &LabCas, node: &Node) -> Result<()> {
    let is_late = cas.other.as_ref().is_some_and(|(_, change)| {
        change.stage == CaStage::Coming && tx.now().since(change.since) > TAKEN_WITHIN && cas.is_behind(node)
    });
    let facts = [("node", node.name.as_str())];
    if is_late && !tx.is_raised(AlarmKind::CaNotTaken, Some(node.id), "")? {
        tx.event(EventKind::CaNotTaken, Some(node.id), &facts)?;
    }
    tx.judge(AlarmKind::CaNotTaken, Some(node.id), "", is_late, &facts)
}
