//! Alarms: raised and cleared by their causes, acknowledged by people.

use crate::{
    Actor, AliasKind, Engine,
    error::Result,
    pki::judge_taken,
    store::{Store, Tx, row},
};
use edgedeck_model::{
    AlarmId, Lang, NodeId, Problem, Time,
    alarm::{Acknowledged, Alarm, AlarmKind},
    api::{AlarmQuery, Page},
    certificate::Purpose,
    event::EventKind,
    node::Node,
    npu::NpuHealth,
    telemetry::Live,
    text,
    time::DAY,
};
use parking_lot::Mutex;
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Alarms about measured values that are raised now, so that a sample that changes nothing costs no query.
pub struct Active(Mutex<HashSet<(NodeId, AlarmKind, String)>>);

impl Active {
    pub fn open(store: &Store) -> Result<Self> {
        let active = store.read(|connection| row::select::<Alarm>(connection, "WHERE cleared_at IS NULL", []))?;
        let keys = active
            .into_iter()
            .filter_map(|alarm| Some((alarm.node?, alarm.kind, alarm.subject)));
        Ok(Self(Mutex::new(keys.collect())))
    }
}

fn active(connection: &Connection, kind: AlarmKind, node: Option<NodeId>, subject: &str) -> Result<Option<Alarm>> {
    let node = node.map(|node| node.to_string());
    let found = row::select::<Alarm>(connection, "WHERE cleared_at IS NULL AND node IS ?1", [node])?;
    Ok(found
        .into_iter()
        .find(|alarm| alarm.kind == kind && alarm.subject == subject))
}

impl Tx<'_> {
    /// Raises an alarm; one that is raised already only gets the new facts.
    pub fn raise(
        &mut self,
        kind: AlarmKind,
        node: Option<NodeId>,
        subject: &str,
        facts: &[(&str, &str)],
    ) -> Result<()> {
        let facts: BTreeMap<String, String> = facts
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        if let Some(mut alarm) = active(self, kind, node, subject)? {
            if alarm.facts != facts {
                alarm.facts = facts;
                self.put(&mut alarm)?;
            }
            return Ok(());
        }
        let mut alarm = Alarm {
            id: AlarmId(Uuid::now_v7()),
            rev: 0,
            kind,
            severity: kind.severity(),
            node,
            subject: subject.to_owned(),
            facts,
            raised_at: self.now(),
            cleared_at: None,
            acknowledged: None,
        };
        self.put(&mut alarm)?;
        self.alias(AliasKind::Alarm, alarm.id.0)?;
        self.tell(EventKind::AlarmRaised, &alarm)
    }

    pub fn is_raised(&self, kind: AlarmKind, node: Option<NodeId>, subject: &str) -> Result<bool> {
        Ok(active(self, kind, node, subject)?.is_some())
    }

    /// Clears an alarm if it is raised.
    pub fn clear(&mut self, kind: AlarmKind, node: Option<NodeId>, subject: &str) -> Result<()> {
        match active(self, kind, node, subject)? {
            Some(alarm) => self.end(alarm),
            None => Ok(()),
        }
    }

    /// Clears every alarm of a node that is no more.
    pub fn clear_alarms_of(&mut self, node: NodeId) -> Result<()> {
        for alarm in row::select::<Alarm>(self, "WHERE cleared_at IS NULL AND node = ?1", [node.to_string()])? {
            self.end(alarm)?;
        }
        Ok(())
    }

    /// Raises or clears an alarm, whichever holds.
    pub fn judge(
        &mut self,
        kind: AlarmKind,
        node: Option<NodeId>,
        subject: &str,
        holds: bool,
        facts: &[(&str, &str)],
    ) -> Result<()> {
        if holds {
            self.raise(kind, node, subject, facts)
        } else {
            self.clear(kind, node, subject)
        }
    }

    /// Raises and clears what the facts of a managed node call for.
    pub fn judge_facts(&mut self, node: &Node) -> Result<()> {
        if !node.managed {
            return Ok(());
        }
        let (id, facts, name) = (Some(node.id), &node.facts, ("node", node.name.as_str()));
        let detail = facts.runtime_problem.as_deref().unwrap_or_default();
        let is_down = facts.runtime_problem.is_some();
        self.judge(AlarmKind::RuntimeDown, id, "", is_down, &[name, ("detail", detail)])?;
        let unhealthy = facts.npus.iter().filter(|chip| chip.health >= NpuHealth::Alarm);
        let chips = unhealthy
            .map(|chip| chip.key().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        self.judge(
            AlarmKind::NpuUnhealthy,
            id,
            "",
            !chips.is_empty(),
            &[name, ("chip", &chips)],
        )?;
        self.judge(AlarmKind::AgentSpace, id, "", facts.agent_space_low, &[name])?;
        let file = facts.agent_damaged.as_deref().unwrap_or_default();
        self.judge(
            AlarmKind::AgentDamaged,
            id,
            "",
            !file.is_empty(),
            &[name, ("file", file)],
        )
    }

    fn end(&mut self, mut alarm: Alarm) -> Result<()> {
        alarm.cleared_at = Some(self.now());
        self.put(&mut alarm)?;
        self.tell(EventKind::AlarmCleared, &alarm)
    }

    fn tell(&mut self, kind: EventKind, alarm: &Alarm) -> Result<()> {
        let (zh, en) = (text::alarm(alarm, Lang::Zh), text::alarm(alarm, Lang::En));
        self.event(kind, alarm.node, &[("text_zh", &zh), ("text_en", &en)])
    }
}

impl Engine {
    /// The newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_alarms(&self, query: &AlarmQuery) -> Result<Page<Alarm>> {
        let node = query.node.map(|node| node.to_string());
        self.store.read(|connection| {
            let filter = "WHERE (?1 OR cleared_at IS NULL) AND (?2 IS NULL OR node = ?2)";
            Ok(Page {
                total: row::count::<Alarm>(connection, filter, params![query.cleared, node])?,
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY raised_at DESC, id DESC LIMIT ?3 OFFSET ?4"),
                    params![query.cleared, node, query.limit, query.offset],
                )?,
            })
        })
    }

    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn alarm(&self, id: AlarmId) -> Result<Alarm> {
        self.store
            .read(|connection| Ok(row::get(connection, id.0)?.ok_or_else(|| Problem::not_found("alarm"))?))
    }

    /// Notes that somebody has seen an alarm; the first who did stays named.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub async fn acknowledge_alarm(&self, actor: &Actor, id: AlarmId) -> std::result::Result<Alarm, Problem> {
        let actor = actor.clone();
        let alarm = self.store.write(move |tx| {
            let mut alarm: Alarm = row::get(tx, id.0)?.ok_or_else(|| Problem::not_found("alarm"))?;
            if alarm.acknowledged.is_none() {
                alarm.acknowledged = Some(Acknowledged {
                    by: actor.name.clone(),
                    at: tx.now(),
                });
                tx.put(&mut alarm)?;
                tx.audit(&actor, "alarm.acknowledge", &id.to_string())?;
            }
            Ok(alarm)
        });
        Ok(alarm.await?)
    }

    /// Raises and clears the alarms that a node's newest figures call for.
    pub(crate) async fn judge(&self, node: NodeId, live: &Live) -> Result<()> {
        let thresholds = self.settings().thresholds.clone();
        let checks = [
            (
                AlarmKind::DiskFull,
                live.disk,
                thresholds.disk_raise,
                thresholds.disk_clear,
            ),
            (
                AlarmKind::NpuHot,
                live.npu_temperature,
                thresholds.npu_raise,
                thresholds.npu_clear,
            ),
        ];
        for (kind, value, raise, clear) in checks {
            let Some(value) = value else { continue };
            let key = (node, kind, String::new());
            let is_raised = self.alarms.0.lock().contains(&key);
            if !is_raised && value >= raise {
                // Asked without a write: a hot box that nobody manages would otherwise cost one with each sample.
                if !self.is_managed(node)? {
                    continue;
                }
                let facts = self.measured_facts(node, kind, value);
                let raised = self.store.write(move |tx| {
                    let Some(row) = row::get::<Node>(tx, node.0)?.filter(|row| row.managed) else {
                        return Ok(false);
                    };
                    let mut facts: Vec<(&str, &str)> = facts.iter().map(|(k, v)| (*k, v.as_str())).collect();
                    facts.push(("node", &row.name));
                    tx.raise(kind, Some(node), "", &facts)?;
                    Ok(true)
                });
                if raised.await? {
                    self.alarms.0.lock().insert(key);
                }
            } else if is_raised && value <= clear {
                self.store.write(move |tx| tx.clear(kind, Some(node), "")).await?;
                self.alarms.0.lock().remove(&key);
            }
        }
        Ok(())
    }

    fn is_managed(&self, node: NodeId) -> Result<bool> {
        self.store
            .read(|connection| Ok(row::get::<Node>(connection, node.0)?.is_some_and(|row| row.managed)))
    }

    /// What the sentence of an alarm about a measured value needs.
    fn measured_facts(&self, node: NodeId, kind: AlarmKind, value: f32) -> Vec<(&'static str, String)> {
        let facts = self.hub.facts(node).unwrap_or_default();
        match kind {
            AlarmKind::DiskFull => {
                let share = |disk: &edgedeck_model::node::Disk| disk.used_bytes as f64 / disk.total_bytes.max(1) as f64;
                let fullest = facts.disks.iter().max_by(|a, b| share(a).total_cmp(&share(b)));
                let mount = fullest.map(|disk| disk.mount.clone()).unwrap_or_default();
                vec![("mount", mount), ("percent", format!("{value:.0}"))]
            }
            _ => {
                let heat = |chip: &edgedeck_model::npu::NpuChip| chip.temperature_c.unwrap_or(0.0);
                let hottest = facts.npus.iter().max_by(|a, b| heat(a).total_cmp(&heat(b)));
                let chip = hottest.map(|chip| chip.key().to_string());
                vec![("chip", chip.unwrap_or_default()), ("celsius", format!("{value:.0}"))]
            }
        }
    }

    /// Raises an alarm for each certificate that ends soon, and clears those of the renewed.
    pub(crate) async fn judge_certificates(&self) -> Result<()> {
        let days = i64::from(self.settings().thresholds.certificate_days);
        let cas = self.pki.present();
        let (server_ends, ca_ends) = (cas.server.ends, cas.current.facts.ends);
        let authorities = self.list_authorities()?;
        self.store
            .write(move |tx| {
                let now = tx.now();
                let left = |ends: Time| ends.since(now) / DAY;
                for node in row::select::<Node>(tx, "WHERE managed = 1", [])? {
                    let Some(ends) = node.certificate_ends else { continue };
                    // Its agent renews by itself at a third of the life; only what is later than that is worth a word.
                    let (left, late) = (left(ends).max(0).to_string(), left(ends) < days.min(25));
                    let facts = [("node", node.name.as_str()), ("days", left.as_str())];
                    let kind = AlarmKind::CertificateExpiring;
                    if late && node.state.is_connected() && !tx.is_raised(kind, Some(node.id), "")? {
                        tx.event(EventKind::CertificateNotRenewed, Some(node.id), &facts)?;
                    }
                    tx.judge(kind, Some(node.id), "", late, &facts)?;
                    judge_taken(tx, &cas, &node)?;
                }
                for (kind, ends, subject) in [
                    (AlarmKind::CertificateExpiring, server_ends, "server"),
                    (AlarmKind::CaExpiring, ca_ends, ""),
                ] {
                    let told = left(ends).max(0).to_string();
                    tx.judge(
                        kind,
                        None,
                        subject,
                        left(ends) < days,
                        &[("node", "EdgeDeck"), ("days", &told)],
                    )?;
                }
                for purpose in Purpose::ALL {
                    let authority = authorities.iter().find(|authority| authority.purpose == purpose);
                    let first_end = authority.and_then(|authority| authority.chain.iter().map(|one| one.ends).min());
                    let overdue = authority
                        .and_then(|authority| authority.revocations.as_ref()?.next_update)
                        .is_some_and(|next| next < now);
                    let told = first_end.map_or(0, left).max(0).to_string();
                    let facts = [
                        ("purpose_zh", text::purpose(purpose, Lang::Zh)),
                        ("purpose_en", text::purpose(purpose, Lang::En)),
                        ("days", told.as_str()),
                    ];
                    let is_late = first_end.is_some_and(|ends| left(ends) < days);
                    tx.judge(AlarmKind::AuthorityExpiring, None, purpose.key(), is_late, &facts)?;
                    tx.judge(AlarmKind::RevocationsOverdue, None, purpose.key(), overdue, &facts[..2])?;
                }
                Ok(())
            })
            .await
    }
}
