//! Joining and leaving: tokens, and the certificate for a token.

use crate::{Actor, AliasKind, Engine, error::Result, fleet, seal::random_hex, store::row};
use edgedeck_model::{
    Code, JoinTokenId, NodeId, Problem, Time,
    event::EventKind,
    join::{JoinToken, JoinTokenKind, LAB_TOKEN_DAYS, SINGLE_TOKEN_HOURS},
    name,
    node::{Facts, Line, Node, NodeState},
    time::{DAY, HOUR},
    user::Role,
};
use edgedeck_protocol::{JoinReply, JoinRequest};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use uuid::Uuid;

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

fn token_of(row: &Row<'_>) -> rusqlite::Result<JoinToken> {
    let kind: String = row.get(2)?;
    Ok(JoinToken {
        id: JoinTokenId(row.get(0)?),
        rev: row.get(1)?,
        kind: if kind == "lab" {
            JoinTokenKind::Lab
        } else {
            JoinTokenKind::Single
        },
        created_at: Time(row.get(3)?),
        expires_at: Time(row.get(4)?),
        uses: row.get(5)?,
    })
}

const COLUMNS: &str = "id, rev, kind, created_at, expires_at, uses";

fn token_by_secret(connection: &Connection, secret: &str) -> Result<Option<JoinToken>> {
    let sql = format!("SELECT {COLUMNS} FROM join_token WHERE hash = ?1");
    Ok(connection
        .prepare_cached(&sql)?
        .query_row([hash(secret)], token_of)
        .optional()?)
}

impl Engine {
    /// Tokens that can still be used, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_join_tokens(&self) -> Result<Vec<JoinToken>> {
        let now = self.clock.now();
        self.store.read(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM join_token WHERE expires_at > ?1 AND (kind = 'lab' OR uses = 0) ORDER BY created_at DESC"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_map([now.0], token_of)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Makes a token; a new one for the lab ends the old. Its secret is returned once and kept as a hash only.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn create_join_token(
        &self,
        actor: &Actor,
        kind: JoinTokenKind,
    ) -> std::result::Result<(JoinToken, String), Problem> {
        let secret = random_hex::<24>().map_err(Problem::internal)?;
        let (actor, hash) = (actor.clone(), hash(&secret));
        let token = self.store.write(move |tx| {
            let now = tx.now();
            let (word, life) = match kind {
                JoinTokenKind::Lab => ("lab", LAB_TOKEN_DAYS * DAY),
                JoinTokenKind::Single => ("single", SINGLE_TOKEN_HOURS * HOUR),
            };
            if kind == JoinTokenKind::Lab {
                tx.execute("DELETE FROM join_token WHERE kind = 'lab'", [])?;
            }
            let token = JoinToken {
                id: JoinTokenId(Uuid::now_v7()),
                rev: tx.next_rev(),
                kind,
                created_at: now,
                expires_at: now.plus(life),
                uses: 0,
            };
            tx.execute(
                "INSERT INTO join_token (id, rev, kind, hash, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![token.id.0, token.rev, word, hash, now.0, token.expires_at.0],
            )?;
            tx.audit(&actor, "join-token.create", word)?;
            Ok(token)
        });
        Ok((token.await?, secret))
    }

    /// # Errors
    /// [`Code::NotFound`].
    pub async fn revoke_join_token(&self, actor: &Actor, id: JoinTokenId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            if tx.execute("DELETE FROM join_token WHERE id = ?1", [id.0])? == 0 {
                return Err(Problem::not_found("token").into());
            }
            tx.audit(&actor, "join-token.revoke", &id.to_string())
        });
        Ok(done.await?)
    }

    /// Makes a node of a box that shows a token, and gives it its certificate.
    ///
    /// # Errors
    /// [`Code::BadToken`], [`Code::Locked`] after five wrong tries from one address, [`Code::Taken`] for a serial
    /// number that another key holds, [`Code::Invalid`].
    pub async fn join(&self, request: JoinRequest, origin: &str) -> std::result::Result<JoinReply, Problem> {
        let serial = name::tame(&request.serial, name::NAME_MAX);
        let actor = Actor {
            name: format!("node:{serial}"),
            origin: origin.to_owned(),
            role: Role::Viewer,
        };
        let outcome = self.try_join(&actor, request, serial, origin).await;
        if let Err(problem) = &outcome {
            self.audit_refusal(actor, "node.join", String::new(), problem).await;
        }
        outcome
    }

    async fn try_join(
        &self,
        actor: &Actor,
        request: JoinRequest,
        serial: String,
        origin: &str,
    ) -> std::result::Result<JoinReply, Problem> {
        self.identity.join_tries.check(origin, self.clock.monotonic())?;
        if serial.is_empty() || serial != request.serial {
            return Err(Problem::invalid("serial", "name-control-characters"));
        }
        let now = self.clock.now();
        let fresh = NodeId(Uuid::now_v7());
        // The same box may join again with the same key; then its node stays.
        let known = self.node_by_serial(&serial)?;
        let id = known.as_ref().map_or(fresh, |node| node.id);
        let certificate = self.pki.sign_node(&request.csr_pem, id, &serial, now)?;
        let pem = certificate.pem.clone();
        let writer = actor.clone();
        let secret = request.token.clone();
        let outcome = self
            .store
            .write(move |tx| {
                let now = tx.now();
                let token = token_by_secret(tx, &secret)?
                    .filter(|token| token.expires_at > now && (token.kind == JoinTokenKind::Lab || token.uses == 0))
                    .ok_or_else(|| Problem::new(Code::BadToken))?;
                let present = row::select::<Node>(tx, "WHERE serial = ?1", [&serial])?
                    .into_iter()
                    .next();
                let mut node = match present {
                    Some(node) if node.id == id && node.key_hash == certificate.key_hash => node,
                    Some(_) => return Err(Problem::taken("serial", &serial).into()),
                    None if id != fresh => return Err(Problem::conflict("being-removed").into()),
                    None => {
                        let node = Node {
                            id,
                            rev: 0,
                            name: fleet::free_name(tx, &request.host_name)?,
                            serial: serial.clone(),
                            description: String::new(),
                            managed: false,
                            state: NodeState::Installed,
                            state_since: now,
                            labels: BTreeMap::new(),
                            groups: Vec::new(),
                            line: Line::default(),
                            facts: Facts {
                                host_name: name::tame(&request.host_name, 253),
                                arch: name::tame(&request.arch, 16),
                                agent_version: name::tame(&request.agent_version, 32),
                                ..Facts::default()
                            },
                            joined_at: now,
                            last_seen: None,
                            certificate_ends: None,
                            key_hash: certificate.key_hash,
                            trust: None,
                        };
                        tx.alias(AliasKind::Node, id.0)?;
                        tx.event(EventKind::NodeJoined, Some(id), &[("node", &node.name)])?;
                        node
                    }
                };
                node.certificate_ends = Some(certificate.ends);
                tx.put(&mut node)?;
                tx.execute("UPDATE join_token SET uses = uses + 1 WHERE id = ?1", [token.id.0])?;
                tx.audit(&writer, "node.join", &node.name)
            })
            .await
            .map_err(Problem::from);
        if matches!(&outcome, Err(problem) if problem.code == Code::BadToken) {
            self.identity.join_tries.wrong(origin, self.clock.monotonic());
        }
        outcome?;
        self.identity.join_tries.right(origin);
        Ok(JoinReply {
            node: id,
            certificate_pem: pem,
            ca_pem: self.pki.present().current.pem.clone(),
            addresses: self.agent_addresses(),
            software_key: Some(self.software.public_key()),
        })
    }

    /// Addresses that agents are told, in the order to try them.
    pub fn agent_addresses(&self) -> Vec<String> {
        let told = self.addresses.read();
        let port = told
            .first()
            .and_then(|address| address.rsplit_once(':'))
            .map_or("8444", |(_, port)| port);
        let set = self
            .settings()
            .addresses
            .iter()
            .map(|host| {
                if host.contains(':') {
                    format!("[{host}]:{port}")
                } else {
                    format!("{host}:{port}")
                }
            })
            .collect::<Vec<_>>();
        let mut all = set;
        for address in told.iter() {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }

    /// The agent says that its box leaves the lab.
    ///
    /// # Errors
    /// [`Code::NotFound`] when it is gone already.
    pub async fn leave(&self, node: NodeId, origin: &str) -> std::result::Result<(), Problem> {
        let known = self.node(node)?;
        let actor = Actor {
            name: format!("node:{}", known.serial),
            origin: origin.to_owned(),
            role: Role::Viewer,
        };
        self.remove_node(&actor, node).await
    }
}
