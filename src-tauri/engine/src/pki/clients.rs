//! Programs that come with a client certificate: those that the lab's own authority has made, and whom to let in.

use super::{
    authorities,
    x509::{Revoked, with_colons},
};
use crate::{Actor, Engine, Pki, error::Result, store::Store};
use edgedeck_model::{
    ClientCertificateId, Problem, Time,
    api::NewClientCertificate,
    certificate::{ClientCertificate, Purpose},
    name,
};
use parking_lot::Mutex;
use rusqlite::params;
use std::sync::Arc;
use tokio::sync::watch;
use uuid::Uuid;

/// Whom to let in with a client certificate, besides the holders of the lab's own.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ClientTrust {
    /// Certificates, in DER, that others may come from.
    pub outside: Vec<Vec<u8>>,
    pub revoked: Revoked,
    /// What is trusted cannot be read at the moment: nobody is let in.
    pub unknown: bool,
}

impl ClientTrust {
    fn load(store: &Store, pki: &Pki) -> Result<Self> {
        let mut revoked = Revoked::default();
        let serials = store.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT serial FROM client_certificate WHERE revoked_at IS NOT NULL")?;
            Ok(statement
                .query_map([], |row| row.get::<_, String>(0))?
                .collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        // Which of the lab's CAs made it does not matter: numbers are random.
        let cas = pki.present();
        for serial in serials {
            let serial = hex::decode(serial.replace(':', "")).unwrap_or_default();
            for ca in cas.all() {
                revoked.add(&ca.subject, &serial);
            }
        }
        let stored = authorities::stored(store, Purpose::Clients)?;
        if let Some(lists) = stored.as_ref().and_then(authorities::Stored::lists) {
            lists.add_to(&mut revoked);
        }
        let chain = stored.as_ref().and_then(authorities::Stored::chain);
        let outside = chain
            .iter()
            .flat_map(|chain| chain.ders())
            .filter(|der| !revoked.has(der))
            .cloned()
            .collect();
        Ok(Self {
            outside,
            revoked,
            unknown: false,
        })
    }
}

/// The present [`ClientTrust`], and who waits for the next.
pub struct Clients {
    trust: watch::Sender<Arc<ClientTrust>>,
    /// Held while it is read and told, so that an older one is never told after a newer.
    renewing: Mutex<()>,
}

impl Clients {
    pub fn open(store: &Store, pki: &Pki) -> Result<Self> {
        let trust = ClientTrust::load(store, pki)?;
        Ok(Self {
            trust: watch::Sender::new(Arc::new(trust)),
            renewing: Mutex::default(),
        })
    }
}

impl Engine {
    /// Whom to let in, now and after each change.
    pub fn client_trust(&self) -> watch::Receiver<Arc<ClientTrust>> {
        self.clients.trust.subscribe()
    }

    pub(super) fn renew_client_trust(&self) {
        let _renewing = self.clients.renewing.lock();
        match ClientTrust::load(&self.store, &self.pki) {
            Ok(trust) => {
                self.clients.trust.send_replace(Arc::new(trust));
            }
            Err(error) => {
                tracing::error!(%error, "reading whom to let in; nobody is, until it can be read");
                self.clients.trust.send_replace(Arc::new(ClientTrust {
                    unknown: true,
                    ..ClientTrust::default()
                }));
            }
        }
    }

    /// Tries again what could not be read.
    pub(crate) fn mend_client_trust(&self) {
        if self.clients.trust.borrow().unknown {
            self.renew_client_trust();
        }
    }

    /// The newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_client_certificates(&self) -> Result<Vec<ClientCertificate>> {
        self.store.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, name, serial, created_at, ends, revoked_at FROM client_certificate ORDER BY created_at DESC",
            )?;
            let found = statement.query_map([], |row| {
                Ok(ClientCertificate {
                    id: ClientCertificateId(row.get(0)?),
                    name: row.get(1)?,
                    serial: row.get(2)?,
                    created_at: Time(row.get(3)?),
                    ends: Time(row.get(4)?),
                    revoked_at: row.get::<_, Option<i64>>(5)?.map(Time),
                })
            })?;
            Ok(found.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// A client certificate for an API; its key is not kept.
    ///
    /// # Errors
    /// An invalid name, or a store that cannot write.
    pub async fn create_client_certificate(
        &self,
        actor: &Actor,
        name: String,
    ) -> std::result::Result<NewClientCertificate, Problem> {
        name::check_name("name", &name)?;
        let steady = self.pki.steady(&self.store, &self.seal).await;
        let _steady = steady.map_err(Problem::internal)?;
        let issuer = self.pki.present().current.hash.clone();
        let issued = self.pki.client(&name, self.clock.now()).map_err(Problem::internal)?;
        let (actor, serial, ends) = (actor.clone(), with_colons(&issued.serial), issued.ends);
        self.store
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO client_certificate (id, name, serial, created_at, ends, issuer) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        Uuid::now_v7().as_bytes().as_slice(),
                        name,
                        serial,
                        tx.now().0,
                        ends.0,
                        issuer
                    ],
                )?;
                tx.audit(&actor, "client-certificate.create", &name)
            })
            .await?;
        Ok(NewClientCertificate {
            certificate_pem: issued.certificate_pem,
            key_pem: issued.key_pem.to_string(),
            ca_pem: self.pki.present().pem(),
        })
    }

    /// Refuses a client certificate from now on, on open connections too.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`]; [`edgedeck_model::Code::Conflict`] when it is revoked already.
    pub async fn revoke_client_certificate(
        &self,
        actor: &Actor,
        id: ClientCertificateId,
    ) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            use rusqlite::OptionalExtension;
            let found: Option<(String, Option<i64>)> = tx
                .prepare_cached("SELECT name, revoked_at FROM client_certificate WHERE id = ?1")?
                .query_row([id.0.as_bytes().as_slice()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            match found {
                None => return Err(Problem::not_found("client-certificate").into()),
                Some((_, Some(_))) => return Err(Problem::conflict("revoked").into()),
                Some((name, None)) => tx.audit(&actor, "client-certificate.revoke", &name)?,
            }
            tx.execute(
                "UPDATE client_certificate SET revoked_at = ?2 WHERE id = ?1",
                params![id.0.as_bytes().as_slice(), tx.now().0],
            )?;
            Ok(())
        });
        done.await?;
        self.renew_client_trust();
        Ok(())
    }
}
