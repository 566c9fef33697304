//! From one CA of the lab to the next, with both trusted in between.
//!
//! A coming CA is made known to every node before anything comes from it. Then it takes over, and nodes renew their
//! certificates; the former one is trusted until nobody needs it. A CA that is near its end goes this way by itself.

use super::{
    CA, CA_KEY, CA_NAME, LabCas, OTHER_CA, OTHER_CA_KEY, PkiError, Secret, load, make_ca, make_server, put, sealed,
    wanted,
};
use crate::{Actor, Engine, error::Result, fleet, store::Tx};
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
/// What the end of a CA calls for waits this long after the step before, in milliseconds: boxes may be off for a while, and
/// a clock that is wrong gets put right.
const STEPS_APART: i64 = 7 * DAY;
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

/// All nodes, and what they have said of the CAs they go by.
fn trusts(connection: &Connection) -> Result<Vec<(NodeBehind, Option<NodeTrust>)>> {
    let mut statement = connection.prepare_cached("SELECT id, name, doc ->> '$.trust' FROM node")?;
    let mut rows = statement.query([])?;
    let mut trusts = Vec::new();
    while let Some(row) = rows.next()? {
        let node = NodeBehind {
            id: NodeId(row.get(0)?),
            name: row.get(1)?,
        };
        let trust: Option<String> = row.get(2)?;
        trusts.push((node, trust.map(|json| serde_json::from_str(&json)).transpose()?));
    }
    Ok(trusts)
}

impl LabCas {
    fn stage(&self) -> Option<CaStage> {
        self.other.as_ref().map(|(_, change)| change.stage)
    }

    /// Whether a node would lose its link by the next step.
    fn is_behind(&self, trust: Option<&NodeTrust>) -> bool {
        match &self.other {
            None => false,
            Some((coming, change)) if change.stage == CaStage::Coming => {
                !trust.is_some_and(|trust| trust.roots.contains(&coming.hash))
            }
            Some(_) => trust.is_none_or(|trust| trust.issuer != self.current.hash),
        }
    }

    fn behind(&self, connection: &Connection) -> Result<Vec<NodeBehind>> {
        if self.other.is_none() {
            return Ok(Vec::new());
        }
        let mut nodes = trusts(connection)?;
        nodes.retain(|(_, trust)| self.is_behind(trust.as_ref()));
        Ok(nodes.into_iter().map(|(node, _)| node).collect())
    }

    /// Whether a node's certificate comes from no CA that is trusted. What it comes from may be unknown.
    fn is_stray(&self, trust: Option<&NodeTrust>) -> bool {
        trust.map_or(self.other.is_none(), |trust| {
            self.all().all(|ca| ca.hash != trust.issuer)
        })
    }

    /// How many client certificates come from the former CA and are still good.
    fn former_clients(&self, connection: &Connection, now: Time) -> Result<u32> {
        let sql = "SELECT count(*) FROM client_certificate WHERE issuer IS NOT ?1 AND revoked_at IS NULL AND ends > ?2";
        match self.stage() {
            Some(CaStage::Former) => Ok(connection
                .prepare_cached(sql)?
                .query_row(params![self.current.hash, now.0], |row| row.get(0))?),
            _ => Ok(0),
        }
    }

    /// Client certificates made before it was written down which CA they come from.
    pub(super) fn name_issuers(&self, tx: &mut Tx<'_>) -> Result<()> {
        if let Some((former, change)) = &self.other
            && change.stage == CaStage::Former
        {
            tx.execute(
                "UPDATE client_certificate SET issuer = ?1 WHERE issuer IS NULL AND created_at < ?2",
                params![former.hash, change.since.0],
            )?;
        }
        tx.execute(
            "UPDATE client_certificate SET issuer = ?1 WHERE issuer IS NULL",
            [&self.current.hash],
        )?;
        Ok(())
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
                behind: behind.into_iter().take(BEHIND_SHOWN).collect(),
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
        let steady = self.pki.steady(&self.store, &self.seal).await;
        let steady = steady.map_err(Problem::internal)?;
        let cas = self.pki.present();
        let needed = match step {
            CaStep::Begin => None,
            CaStep::Cancel | CaStep::Switch => Some(CaStage::Coming),
            CaStep::End => Some(CaStage::Former),
        };
        if cas.stage() != needed {
            return Err(Problem::conflict("ca-step"));
        }
        let written = self.write_step(&cas, step).map_err(Problem::internal)?;
        let sealed = sealed(&self.seal, written.secrets).map_err(Problem::internal)?;
        let actor = actor.clone();
        self.pki.is_stale.store(true, Ordering::Relaxed);
        let was_untold = self.pki.is_untold.swap(true, Ordering::Relaxed);
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
            if step == CaStep::End {
                // Nobody lets them in any more, and the list has to say so.
                let now = tx.now().0;
                tx.execute(
                    "UPDATE client_certificate SET revoked_at = ?2 WHERE issuer IS NOT ?1 AND revoked_at IS NULL",
                    params![cas.current.hash, now],
                )?;
            }
            store(tx, written.stage)?;
            tx.outside_changed()?;
            tx.audit(&actor, written.action, "")
        });
        if let Err(error) = outcome.await {
            // What is in memory is what was written before.
            self.pki.is_stale.store(false, Ordering::Relaxed);
            self.pki.is_untold.store(was_untold, Ordering::Relaxed);
            return Err(error.into());
        }
        self.pki.reload(&self.store, &self.seal).map_err(Problem::internal)?;
        drop(steady);
        self.tell_cas().await?;
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
                let hosts = wanted(&self.pki.hosts, &self.settings().addresses);
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
    async fn tell_cas(&self) -> Result<()> {
        self.renew_client_trust();
        self.renew_outside();
        let cas = self.pki.present();
        // A CA that is not trusted any more holds no link either.
        for (node, trust) in self.store.read(trusts)? {
            if cas.is_stray(trust.as_ref()) {
                self.hub.cut(node.id);
            }
        }
        let pem = cas.pem();
        for node in self.hub.linked() {
            self.hub.send(node, ToAgent::Authorities { pem: pem.clone() });
        }
        self.judge_certificates().await?;
        self.pki.is_untold.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Goes on with what a change could not bring to its end, and renews the engine's certificate where it must.
    pub(crate) async fn mend_pki(&self) {
        if self.pki.is_untold.load(Ordering::Relaxed) {
            let told = match self.pki.steady(&self.store, &self.seal).await {
                Ok(_steady) => self.tell_cas().await.map_err(PkiError::from),
                Err(error) => Err(error),
            };
            if let Err(error) = told {
                tracing::error!(error = &error as &dyn std::error::Error, "telling of the lab's CA");
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
        let now = self.clock.now();
        let left = cas.current.facts.ends.since(now);
        let step = match &cas.other {
            None if left < BEGUN_BEFORE => CaStep::Begin,
            Some((_, change)) if now.since(change.since) < STEPS_APART => return Ok(()),
            Some((_, change)) if change.stage == CaStage::Coming && left < SWITCHED_BEFORE => CaStep::Switch,
            Some((former, change)) if change.stage == CaStage::Former && former.facts.ends <= now => CaStep::End,
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
                if cas.is_behind(row.trust.as_ref()) {
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
        change.stage == CaStage::Coming
            && tx.now().since(change.since) > TAKEN_WITHIN
            && cas.is_behind(node.trust.as_ref())
    });
    let facts = [("node", node.name.as_str())];
    if is_late && !tx.is_raised(AlarmKind::CaNotTaken, Some(node.id), "")? {
        tx.event(EventKind::CaNotTaken, Some(node.id), &facts)?;
    }
    tx.judge(AlarmKind::CaNotTaken, Some(node.id), "", is_late, &facts)
}
