//! What managed nodes need to deal with systems outside the lab: the image registry's account, and outside authorities.
//!
//! Every node is sent all of it whenever it changes, and says when it has it.

use crate::{
    Actor, Engine,
    error::{Error, Result},
    pki,
    seal::{self, Seal},
    store::{Store, Tx},
};
use edgedeck_model::{
    Code, NodeId, Problem,
    certificate::Purpose,
    image::{self, Registry},
};
use edgedeck_protocol::{Outside, RegistryAccount, ToAgent, Trusted};
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension, params};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::Notify;

const GATHER: Duration = Duration::from_millis(50);
/// The setting with the registry, and the name that its password is sealed under.
const REGISTRY: &str = "registry";
const PASSWORD: &str = "registry-password";
/// The key of `meta` with the revision of all this.
const REVISION: &str = "outside-rev";

/// The present state, and which nodes have it.
pub struct Outsides {
    seal: Arc<Seal>,
    present: RwLock<Arc<Outside>>,
    /// Held while it is read and sent, so that an older one is never sent after a newer.
    renewing: Mutex<()>,
    taken: Mutex<HashMap<NodeId, Taken>>,
    changed: Notify,
}

/// What a connected node has said last.
struct Taken {
    revision: u64,
    problem: Option<String>,
}

impl Outsides {
    pub fn open(store: &Store, seal: Arc<Seal>) -> Result<Self> {
        let present = load(store, &seal)?;
        Ok(Self {
            seal,
            present: RwLock::new(Arc::new(present)),
            renewing: Mutex::default(),
            taken: Mutex::default(),
            changed: Notify::new(),
        })
    }
}

fn load(store: &Store, seal: &Seal) -> Result<Outside> {
    store.read(|connection| read(connection, seal))
}

fn read(connection: &Connection, sealing: &Seal) -> Result<Outside> {
    let revision = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([REVISION], |row| row.get(0))
        .optional()?;
    let images = pki::stored_chain(connection, Purpose::Images)?.map(|chain_pem| Trusted {
        chain_pem,
        // A container engine reads no revocation lists.
        revoked: Vec::new(),
    });
    let registry = stored_registry(connection)?.map(|registry| -> Result<RegistryAccount> {
        let sealed = seal::stored(connection, PASSWORD)?;
        let sealed = sealed.ok_or_else(|| Problem::internal("a registry without its password"))?;
        let password = sealing.unseal(PASSWORD, &sealed).map_err(Problem::internal)?;
        Ok(RegistryAccount {
            address: registry.address,
            account: registry.account,
            password: String::from_utf8_lossy(&password).into_owned(),
        })
    });
    Ok(Outside {
        revision: revision.unwrap_or(0),
        registry: registry.transpose()?,
        images,
        // Each node has an account of its own.
        lab: None,
    })
}

fn stored_registry(connection: &Connection) -> Result<Option<Registry>> {
    let stored: Option<String> = connection
        .prepare_cached("SELECT value FROM setting WHERE key = ?1")?
        .query_row([REGISTRY], |row| row.get(0))
        .optional()?;
    Ok(stored.map(|json| serde_json::from_str(&json)).transpose()?)
}

impl Tx<'_> {
    /// Says that what nodes are sent has changed; call [`Engine::renew_outside`] after the commit.
    pub fn outside_changed(&mut self) -> Result<()> {
        let rev = self.next_rev();
        self.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            params![REVISION, rev],
        )?;
        Ok(())
    }
}

impl Engine {
    /// # Errors
    /// When the database cannot be read.
    pub fn registry(&self) -> Result<Option<Registry>> {
        self.store.read(stored_registry)
    }

    /// Names the registry that nodes pull images from, instead of the one before. Without a password the present one
    /// is kept.
    ///
    /// # Errors
    /// [`Code::Invalid`] naming the field.
    pub async fn set_registry(
        &self,
        actor: &Actor,
        address: String,
        account: String,
        password: Option<String>,
    ) -> std::result::Result<Registry, Problem> {
        image::check_address(&address)?;
        image::check_account(&account)?;
        if let Some(password) = &password {
            image::check_password(password)?;
        }
        let sealed = password.map(|password| self.outsides.seal.seal(PASSWORD, password.as_bytes()));
        let sealed = sealed.transpose().map_err(Problem::internal)?;
        let actor = actor.clone();
        let registry = self.store.write(move |tx| {
            let registry = Registry {
                address,
                account,
                changed_at: tx.now(),
            };
            match sealed {
                Some(sealed) => {
                    tx.put_secret(PASSWORD, &sealed)?;
                }
                // The password of one registry is not for another.
                None if stored_registry(tx)?.is_none_or(|present| present.address != registry.address) => {
                    return Err(Problem::invalid("password", "required").into());
                }
                None => {}
            }
            tx.execute(
                "INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)",
                params![REGISTRY, serde_json::to_string(&registry)?],
            )?;
            tx.outside_changed()?;
            tx.audit(&actor, "registry.update", &registry.address)?;
            Ok(registry)
        });
        let registry = registry.await?;
        self.renew_outside();
        Ok(registry)
    }

    /// # Errors
    /// [`Code::NotFound`] where none is named.
    pub async fn delete_registry(&self, actor: &Actor) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            if tx.execute("DELETE FROM setting WHERE key = ?1", [REGISTRY])? == 0 {
                return Err(Problem::not_found("registry").into());
            }
            tx.forget_secret(PASSWORD)?;
            tx.outside_changed()?;
            tx.audit(&actor, "registry.delete", "")
        });
        done.await?;
        self.renew_outside();
        Ok(())
    }

    /// Reads what nodes are sent anew, and sends it to those that are connected and managed.
    pub(crate) fn renew_outside(&self) {
        let _renewing = self.outsides.renewing.lock();
        match load(&self.store, &self.outsides.seal) {
            Ok(present) => *self.outsides.present.write() = Arc::new(present),
            Err(error) => {
                tracing::error!(%error, "reading what nodes need of outside systems");
                return;
            }
        }
        let waiting: Vec<NodeId> = self.outsides.taken.lock().keys().copied().collect();
        for node in waiting {
            self.send_outside(node);
        }
    }

    /// A node has connected and says which revision it holds; `None` if it does not know of this.
    pub(crate) fn outside_held(&self, node: NodeId, revision: Option<u64>) {
        let mut taken = self.outsides.taken.lock();
        match revision {
            Some(revision) => taken.insert(
                node,
                Taken {
                    revision,
                    problem: None,
                },
            ),
            None => taken.remove(&node),
        };
    }

    pub(crate) fn outside_forgotten(&self, node: NodeId) {
        self.outsides.taken.lock().remove(&node);
        self.outsides.changed.notify_waiters();
    }

    pub(crate) fn outside_taken(&self, node: NodeId, revision: u64, problem: Option<String>) {
        self.outsides.taken.lock().insert(node, Taken { revision, problem });
        self.outsides.changed.notify_waiters();
    }

    /// Sends a node what it does not have yet. Nodes that are not managed get nothing of this.
    pub(crate) fn send_outside(&self, node: NodeId) {
        // Held until it is in the link's queue, so that an older one never follows a newer.
        let present = self.outsides.present.read();
        let behind = |taken: &Taken| taken.revision != present.revision || taken.problem.is_some();
        let is_behind = self.outsides.taken.lock().get(&node).is_some_and(behind);
        if is_behind && self.node(node).is_ok_and(|node| node.managed) {
            let lab = self.registry_for(node);
            self.hub.send(
                node,
                ToAgent::Outside(Outside {
                    lab,
                    ..Outside::clone(&present)
                }),
            );
        }
    }

    /// Sends it again to those that could not take it.
    pub(crate) fn send_outside_again(&self) {
        let failed: Vec<NodeId> = {
            let taken = self.outsides.taken.lock();
            let failed = taken.iter().filter(|(_, taken)| taken.problem.is_some());
            failed.map(|(node, _)| *node).collect()
        };
        for node in failed {
            self.send_outside(node);
        }
    }

    /// Waits until every connected node that is managed has what is wanted now.
    ///
    /// # Errors
    /// [`Code::Unreachable`] naming those that do not say so in time, or say that they cannot.
    pub async fn outside_reached(&self, wait: Duration) -> std::result::Result<(), Problem> {
        let revision = self.outsides.present.read().revision;
        let reached = async {
            loop {
                let changed = self.outsides.changed.notified();
                let behind = self.outside_behind(revision)?;
                if behind.is_empty() {
                    return Ok(());
                }
                changed.await;
                // Many answer at once.
                tokio::time::sleep(GATHER).await;
            }
        };
        match tokio::time::timeout(wait, reached).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let behind = self.outside_behind(revision)?;
                if behind.is_empty() {
                    return Ok(());
                }
                Err(Problem::new(Code::Unreachable).with("name", behind.join(", ")))
            }
        }
    }

    /// Names of connected managed nodes that do not have a revision yet.
    fn outside_behind(&self, revision: u64) -> std::result::Result<Vec<String>, Problem> {
        let waiting: Vec<(NodeId, Option<String>)> = {
            let taken = self.outsides.taken.lock();
            let behind = taken
                .iter()
                .filter(|(_, taken)| taken.revision < revision || taken.problem.is_some());
            // What it said of an earlier revision is no answer to this one.
            let said = |taken: &Taken| taken.problem.clone().filter(|_| taken.revision >= revision);
            behind.map(|(node, taken)| (*node, said(taken))).collect()
        };
        let mut names = Vec::new();
        for (node, problem) in waiting {
            let known = match self.node(node) {
                Ok(known) => known,
                Err(Error::Problem(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            if !known.managed || !self.hub.is_linked(node) {
                continue;
            }
            if let Some(problem) = problem {
                return Err(Problem {
                    detail: Some(problem),
                    ..Problem::new(Code::Unreachable).with("name", known.name)
                });
            }
            names.push(known.name);
        }
        Ok(names)
    }
}
