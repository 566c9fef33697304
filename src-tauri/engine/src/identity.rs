//! People, sessions, API tokens, and the lock after wrong tries.

use crate::{
    Actor, Engine,
    error::Result,
    seal::random_hex,
    store::{Store, Tx},
};
use argon2::{Argon2, PasswordHasher, PasswordVerifier, password_hash::phc::PasswordHash};
use edgedeck_model::{
    ApiTokenId, Code, Problem, Time, UserId,
    api::{NewApiToken, NewApiTokenBody, NewUserBody},
    name,
    time::{DAY, HOUR, MINUTE, SECOND},
    user::{ApiToken, Role, User},
};
use parking_lot::{Mutex, RwLock};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Passwords that are hashed at once.
const HASHES_AT_ONCE: usize = 4;
/// A session ends after this long without a request, in milliseconds.
pub const SESSION_IDLE: i64 = 8 * HOUR;
/// How often the last use of a session is written down.
const SESSION_NOTED: i64 = 5 * MINUTE;
/// Name of the user that the first run makes.
pub const FIRST_USER: &str = "admin";

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    pub name: String,
    pub role: Role,
    /// To be shown with every change, where a cookie carries the session.
    pub csrf: String,
}

/// A new session: the secret goes into the cookie and is kept as a hash only.
pub struct SignedIn {
    pub secret: String,
    pub identified: Identified,
}

struct Session {
    identified: Identified,
    used_at: Time,
    noted_at: Time,
}

struct Token {
    identified: Identified,
    expires_at: Option<Time>,
}

/// Credentials, cached: every request asks for one.
pub struct Identity {
    sessions: RwLock<HashMap<String, Session>>,
    tokens: RwLock<HashMap<String, Token>>,
    /// Held while they are read, so that older ones never take the place of newer.
    reloading: Mutex<()>,
    /// They could not be read.
    stale: AtomicBool,
    /// Passwords that are hashed at once: each takes some 20 MiB and a thread.
    hashing: Arc<Semaphore>,
    pub sign_in_tries: Arc<Tries>,
    pub join_tries: Tries,
}

/// Counts wrong tries by name or address; five lock it for five minutes.
#[derive(Default)]
pub struct Tries(Mutex<HashMap<String, (u32, i64)>>);

impl Tries {
    const MOST: u32 = 5;
    const LOCKED: i64 = 5 * MINUTE;
    /// Keys that are remembered; past that the oldest are forgotten.
    const KEYS_MAX: usize = 10_000;

    /// # Errors
    /// [`Code::Locked`] with the seconds that are left.
    pub fn check(&self, key: &str, now: i64) -> std::result::Result<(), Problem> {
        match self.0.lock().get(key) {
            Some((wrong, at)) if *wrong >= Self::MOST && now - at < Self::LOCKED => {
                let seconds = (Self::LOCKED - (now - at)).div_euclid(SECOND) + 1;
                Err(Problem::new(Code::Locked).with("seconds", seconds))
            }
            _ => Ok(()),
        }
    }

    pub fn wrong(&self, key: &str, now: i64) {
        let mut tries = self.0.lock();
        if tries.len() >= Self::KEYS_MAX {
            tries.retain(|_, (_, at)| now - *at < Self::LOCKED);
        }
        let (wrong, at) = tries.entry(key.to_owned()).or_insert((0, now));
        *wrong = if now - *at >= Self::LOCKED { 1 } else { *wrong + 1 };
        *at = now;
    }

    pub fn right(&self, key: &str) {
        self.0.lock().remove(key);
    }
}

pub(crate) fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

fn hash_password(password: &str) -> std::result::Result<String, Problem> {
    Ok(Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(Problem::internal)?
        .to_string())
}

/// Hashes where it holds up nobody, and keeps the turn to the end even if nobody waits for it any more.
async fn hashing<T: Send + 'static>(
    turn: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, Problem> {
    let hashed = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    hashed.await.map_err(Problem::internal)
}

fn is_password(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
}

fn role_key(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

pub(crate) fn role_of(key: &str) -> Role {
    match key {
        "admin" => Role::Admin,
        "operator" => Role::Operator,
        _ => Role::Viewer,
    }
}

const USER_COLUMNS: &str = "id, rev, name, role, created_at, last_login";

fn user_of(row: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get(3)?;
    Ok(User {
        id: UserId(row.get(0)?),
        rev: row.get(1)?,
        name: row.get(2)?,
        role: role_of(&role),
        created_at: Time(row.get(4)?),
        last_login: row.get::<_, Option<i64>>(5)?.map(Time),
    })
}

fn token_of(row: &Row<'_>) -> rusqlite::Result<ApiToken> {
    let role: String = row.get(2)?;
    Ok(ApiToken {
        id: ApiTokenId(row.get(0)?),
        name: row.get(1)?,
        role: role_of(&role),
        created_at: Time(row.get(3)?),
        expires_at: row.get::<_, Option<i64>>(4)?.map(Time),
    })
}

pub(crate) fn user_by_name(connection: &Connection, name: &str) -> Result<Option<(User, String)>> {
    let sql = format!("SELECT {USER_COLUMNS}, password FROM user WHERE name = ?1");
    Ok(connection
        .query_row(&sql, [name], |row| Ok((user_of(row)?, row.get(6)?)))
        .optional()?)
}

impl Identity {
    pub fn open(store: &Store) -> Result<Self> {
        let identity = Self {
            sessions: RwLock::default(),
            tokens: RwLock::default(),
            reloading: Mutex::default(),
            stale: AtomicBool::new(false),
            hashing: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
            sign_in_tries: Arc::default(),
            join_tries: Tries::default(),
        };
        let (sessions, tokens) = store.read(read_credentials)?;
        *identity.sessions.write() = sessions;
        *identity.tokens.write() = tokens;
        Ok(identity)
    }

    /// Reads all credentials again. Whoever changes some calls it before answering: nobody is let in, or refused, by
    /// what they were.
    fn reload(&self, store: &Store) {
        let _reloading = self.reloading.lock();
        match store.read(read_credentials) {
            Ok((mut sessions, tokens)) => {
                let mut held = self.sessions.write();
                for (hash, session) in &mut sessions {
                    if let Some(old) = held.get(hash) {
                        session.used_at = old.used_at;
                    }
                }
                *held = sessions;
                *self.tokens.write() = tokens;
                self.stale.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                // Whoever was to be refused must not be let in for that: nobody is, until they can be read.
                tracing::error!(%error, "reading the credentials again");
                self.stale.store(true, Ordering::Relaxed);
                self.sessions.write().clear();
                self.tokens.write().clear();
            }
        }
    }
}

impl Engine {
    /// Tries again what could not be read.
    pub(crate) fn mend_credentials(&self) {
        if self.identity.stale.load(Ordering::Relaxed) {
            self.identity.reload(&self.store);
        }
    }
}

fn read_credentials(connection: &Connection) -> Result<(HashMap<String, Session>, HashMap<String, Token>)> {
    let mut statement = connection
        .prepare("SELECT hash, csrf, used_at, name, role FROM session JOIN user ON user.id = session.user")?;
    let sessions = statement.query_map([], |row| {
        let role: String = row.get(4)?;
        let used_at = Time(row.get(2)?);
        let identified = Identified {
            name: row.get(3)?,
            role: role_of(&role),
            csrf: row.get(1)?,
        };
        Ok((
            row.get(0)?,
            Session {
                identified,
                used_at,
                noted_at: used_at,
            },
        ))
    })?;
    let sessions = sessions.collect::<rusqlite::Result<_>>()?;
    let mut statement = connection.prepare("SELECT id, name, role, created_at, expires_at, hash FROM api_token")?;
    let tokens = statement.query_map([], |row| {
        let token = token_of(row)?;
        let identified = Identified {
            name: format!("token:{}", token.name),
            role: token.role,
            csrf: String::new(),
        };
        Ok((
            row.get(5)?,
            Token {
                identified,
                expires_at: token.expires_at,
            },
        ))
    })?;
    let tokens = tokens.collect::<rusqlite::Result<_>>()?;
    Ok((sessions, tokens))
}

impl Engine {
    /// Makes the first administrator if there is no user yet; the password to show, once.
    ///
    /// # Errors
    /// When the store cannot write.
    pub async fn first_user(&self) -> std::result::Result<Option<String>, Problem> {
        if !self.list_users()?.is_empty() {
            return Ok(None);
        }
        let password = random_hex::<8>().map_err(Problem::internal)?;
        self.create_user(
            &Actor::engine(),
            NewUserBody {
                name: FIRST_USER.to_owned(),
                password: password.clone(),
                role: Role::Admin,
            },
        )
        .await?;
        Ok(Some(password))
    }

    /// Gives a user a new password and ends their sessions and cloud tokens; for the one who forgot it and sits at the machine.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Invalid`].
    pub async fn reset_password(&self, actor: &Actor, user: &str, password: &str) -> std::result::Result<(), Problem> {
        name::check_password(password)?;
        let password = password.to_owned();
        let hashed = hashing(self.hashing_turn().await?, move || hash_password(&password)).await??;
        let (actor, user) = (actor.clone(), user.to_owned());
        let done = self.store.write(move |tx| {
            let (user, _) = user_by_name(tx, &user)?.ok_or_else(|| Problem::not_found("user"))?;
            tx.execute(
                "UPDATE user SET password = ?2 WHERE id = ?1",
                params![user.id.0, hashed],
            )?;
            end_sessions(tx, user.id)?;
            tx.audit(&actor, "user.reset-password", &user.name)
        });
        done.await?;
        self.identity.reload(&self.store);
        Ok(())
    }

    /// Begins a session.
    ///
    /// # Errors
    /// [`Code::WrongPassword`], which does not tell whether there is such a user; [`Code::Locked`].
    pub async fn sign_in(&self, user: &str, password: &str, origin: &str) -> std::result::Result<SignedIn, Problem> {
        let actor = Actor {
            name: name::tame(user, name::NAME_MAX),
            origin: origin.to_owned(),
            role: Role::Viewer,
        };
        let outcome = self.try_sign_in(&actor, password).await;
        if let Err(problem) = &outcome {
            self.audit_refusal(actor, "session.create", String::new(), problem)
                .await;
        }
        outcome
    }

    /// Whether a password is the one behind this hash, unless too many were wrong before it.
    pub(crate) async fn try_password(
        &self,
        actor: &Actor,
        given: &str,
        stored: Option<String>,
    ) -> std::result::Result<(), Problem> {
        let key = format!("{}\n{}", actor.name.to_lowercase(), actor.origin);
        let (tries, clock) = (self.identity.sign_in_tries.clone(), self.clock.clone());
        tries.check(&key, self.clock.monotonic())?;
        let turn = self.hashing_turn().await?;
        // Others may have been wrong while this one waited.
        tries.check(&key, self.clock.monotonic())?;
        let given = given.to_owned();
        // The same work whether or not there is such a user, so that the time tells nothing.
        let tried = move || {
            let right = match stored {
                Some(stored) => is_password(&given, &stored),
                None => hash_password(&given).is_ok_and(|_| false),
            };
            if right {
                tries.right(&key);
                Ok(())
            } else {
                tries.wrong(&key, clock.monotonic());
                Err(Problem::new(Code::WrongPassword))
            }
        };
        hashing(turn, tried).await?
    }

    async fn hashing_turn(&self) -> std::result::Result<OwnedSemaphorePermit, Problem> {
        let turns = self.identity.hashing.clone();
        turns.acquire_owned().await.map_err(Problem::internal)
    }

    async fn try_sign_in(&self, actor: &Actor, password: &str) -> std::result::Result<SignedIn, Problem> {
        let found = self.store.read(|connection| user_by_name(connection, &actor.name))?;
        let stored = found.as_ref().map(|(_, hash)| hash.clone());
        self.try_password(actor, password, stored).await?;
        let Some((user, _)) = found else {
            return Err(Problem::new(Code::WrongPassword));
        };
        let secret = random_hex::<32>().map_err(Problem::internal)?;
        let csrf = random_hex::<16>().map_err(Problem::internal)?;
        let identified = Identified {
            name: user.name.clone(),
            role: user.role,
            csrf,
        };
        let (hashed, csrf, actor, id) = (hash(&secret), identified.csrf.clone(), actor.clone(), user.id);
        self.store
            .write(move |tx| {
                let now = tx.now().0;
                tx.execute(
                    "INSERT INTO session (hash, user, csrf, created_at, used_at) VALUES (?1, ?2, ?3, ?4, ?4)",
                    params![hashed, id.0, csrf, now],
                )?;
                tx.execute("DELETE FROM session WHERE used_at < ?1", [now - SESSION_IDLE])?;
                tx.execute("UPDATE user SET last_login = ?2 WHERE id = ?1", params![id.0, now])?;
                tx.audit(&actor, "session.create", &actor.name)
            })
            .await?;
        self.identity.reload(&self.store);
        Ok(SignedIn { secret, identified })
    }

    /// Who holds a session's secret.
    pub async fn session(&self, secret: &str) -> Option<Identified> {
        let (key, now) = (hash(secret), self.clock.now());
        let (identified, note) = {
            let mut sessions = self.identity.sessions.write();
            let session = sessions.get_mut(&key)?;
            if now.since(session.used_at) > SESSION_IDLE {
                sessions.remove(&key);
                return None;
            }
            session.used_at = now;
            let note = now.since(session.noted_at) > SESSION_NOTED;
            if note {
                session.noted_at = now;
            }
            (session.identified.clone(), note)
        };
        if note {
            let noted = self.store.write(move |tx| {
                tx.execute("UPDATE session SET used_at = ?2 WHERE hash = ?1", params![key, now.0])?;
                Ok(())
            });
            if let Err(error) = noted.await {
                tracing::warn!(%error, "the last use of a session was not written down");
            }
        }
        Some(identified)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the store cannot write; the session is not ended then.
    pub async fn sign_out(&self, secret: &str) -> std::result::Result<(), Problem> {
        let key = hash(secret);
        self.store
            .write(move |tx| {
                tx.execute("DELETE FROM session WHERE hash = ?1", [key])?;
                Ok(())
            })
            .await?;
        self.identity.reload(&self.store);
        Ok(())
    }

    /// Changes one's own password and ends one's other sessions and cloud tokens.
    ///
    /// # Errors
    /// [`Code::WrongPassword`], [`Code::Invalid`].
    pub async fn change_password(&self, actor: &Actor, old: &str, new: &str) -> std::result::Result<(), Problem> {
        let found = self.store.read(|connection| user_by_name(connection, &actor.name))?;
        let stored = found.ok_or_else(|| Problem::not_found("user"))?.1;
        self.try_password(actor, old, Some(stored)).await?;
        self.reset_password(actor, &actor.name, new).await
    }

    /// Who holds an API token.
    pub fn api_token(&self, secret: &str) -> Option<Identified> {
        let tokens = self.identity.tokens.read();
        let token = tokens.get(&hash(secret))?;
        let good = token.expires_at.is_none_or(|ends| ends > self.clock.now());
        good.then(|| token.identified.clone())
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn list_users(&self) -> Result<Vec<User>> {
        self.store.read(|connection| {
            let mut statement = connection.prepare(&format!("SELECT {USER_COLUMNS} FROM user ORDER BY name"))?;
            Ok(statement.query_map([], user_of)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// # Errors
    /// [`Code::Invalid`], [`Code::Taken`].
    pub async fn create_user(&self, actor: &Actor, body: NewUserBody) -> std::result::Result<User, Problem> {
        name::check_name("name", &body.name)?;
        name::check_password(&body.password)?;
        let password = body.password;
        let hashed = hashing(self.hashing_turn().await?, move || hash_password(&password)).await??;
        let actor = actor.clone();
        let user = self.store.write(move |tx| {
            if user_by_name(tx, &body.name)?.is_some() {
                return Err(Problem::taken("user", &body.name).into());
            }
            let user = User {
                id: UserId(Uuid::now_v7()),
                rev: tx.next_rev(),
                name: body.name,
                role: body.role,
                created_at: tx.now(),
                last_login: None,
            };
            tx.execute(
                "INSERT INTO user (id, rev, name, password, role, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    user.id.0,
                    user.rev,
                    user.name,
                    hashed,
                    role_key(user.role),
                    user.created_at.0
                ],
            )?;
            tx.audit(&actor, "user.create", &user.name)?;
            Ok(user)
        });
        Ok(user.await?)
    }

    /// Deletes a user and ends their sessions, cloud tokens and access keys.
    ///
    /// # Errors
    /// [`Code::NotFound`]; [`Code::Conflict`] for the last administrator.
    pub async fn delete_user(&self, actor: &Actor, id: UserId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let sql = format!("SELECT {USER_COLUMNS} FROM user WHERE id = ?1");
            let user = tx
                .query_row(&sql, [id.0], user_of)
                .optional()?
                .ok_or_else(|| Problem::not_found("user"))?;
            let admins: u32 = tx.query_row("SELECT count(*) FROM user WHERE role = 'admin'", [], |row| row.get(0))?;
            if user.role == Role::Admin && admins == 1 {
                return Err(Problem::conflict("last-admin").into());
            }
            end_sessions(tx, id)?;
            tx.execute("DELETE FROM access_key WHERE user = ?1", [id.0])?;
            tx.execute("DELETE FROM user WHERE id = ?1", [id.0])?;
            tx.audit(&actor, "user.delete", &user.name)
        });
        done.await?;
        self.identity.reload(&self.store);
        Ok(())
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn list_api_tokens(&self) -> Result<Vec<ApiToken>> {
        self.store.read(|connection| {
            let mut statement =
                connection.prepare("SELECT id, name, role, created_at, expires_at FROM api_token ORDER BY id")?;
            Ok(statement.query_map([], token_of)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Makes a token for scripts; its secret is returned once and kept as a hash only.
    ///
    /// # Errors
    /// [`Code::Invalid`].
    pub async fn create_api_token(
        &self,
        actor: &Actor,
        body: NewApiTokenBody,
    ) -> std::result::Result<NewApiToken, Problem> {
        name::check_name("name", &body.name)?;
        if body.days.is_some_and(|days| !(1..=3_650).contains(&days)) {
            return Err(Problem::invalid("days", "number-range"));
        }
        let secret = format!("edk_{}", random_hex::<32>().map_err(Problem::internal)?);
        let (actor, hashed) = (actor.clone(), hash(&secret));
        let token = self.store.write(move |tx| {
            let now = tx.now();
            let token = ApiToken {
                id: ApiTokenId(Uuid::now_v7()),
                name: body.name,
                role: body.role,
                created_at: now,
                expires_at: body.days.map(|days| now.plus(i64::from(days) * DAY)),
            };
            tx.execute(
                "INSERT INTO api_token (id, name, hash, role, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    token.id.0,
                    token.name,
                    hashed,
                    role_key(token.role),
                    now.0,
                    token.expires_at.map(|ends| ends.0)
                ],
            )?;
            tx.audit(&actor, "api-token.create", &token.name)?;
            Ok(token)
        });
        let token = token.await?;
        self.identity.reload(&self.store);
        Ok(NewApiToken { token, secret })
    }

    /// # Errors
    /// [`Code::NotFound`].
    pub async fn delete_api_token(&self, actor: &Actor, id: ApiTokenId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        self.store
            .write(move |tx| {
                if tx.execute("DELETE FROM api_token WHERE id = ?1", [id.0])? == 0 {
                    return Err(Problem::not_found("token").into());
                }
                tx.audit(&actor, "api-token.delete", &id.to_string())
            })
            .await?;
        self.identity.reload(&self.store);
        Ok(())
    }
}

fn end_sessions(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM session WHERE user = ?1", [user.0])?;
    tx.execute("DELETE FROM cloud_token WHERE user = ?1", [user.0])?;
    Ok(())
}
