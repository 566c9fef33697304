//! Access keys: made by administrators for a user and a project, with a secret that is shown once.

use super::CloudCaller;
use crate::{
    Actor, Engine,
    error::Result,
    identity::role_of,
    projects::{self, project_of},
};
use edgedeck_model::{
    Problem, ProjectId, Time, UserId,
    access_key::{AccessKey, KEY_LENGTH, SECRET_LENGTH},
    api::{NewAccessKey, NewAccessKeyBody},
    name,
};
use rand::RngExt;
use ring::hmac;
use rusqlite::{OptionalExtension, params};

const UPPER: &[u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const MIXED: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A random text of these characters.
fn random_text(alphabet: &[u8], length: usize) -> String {
    let mut random = rand::rng();
    (0..length)
        .filter_map(|_| alphabet.get(random.random_range(0..alphabet.len())).copied())
        .map(char::from)
        .collect()
}

/// The name that a key's secret is sealed under.
fn sealed_name(key: &str) -> String {
    format!("access-key-{key}")
}

impl Engine {
    /// The newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_access_keys(&self) -> Result<Vec<AccessKey>> {
        self.store.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT access_key.key, user.id, user.name, project.id, project.name, access_key.description, \
                 access_key.created_at FROM access_key JOIN user ON user.id = access_key.user \
                 JOIN project ON project.id = access_key.project ORDER BY access_key.created_at DESC, access_key.key",
            )?;
            let keys = statement.query_map([], |row| {
                Ok(AccessKey {
                    key: row.get(0)?,
                    user: UserId(row.get(1)?),
                    user_name: row.get(2)?,
                    project: ProjectId(row.get(3)?),
                    project_name: row.get(4)?,
                    description: row.get(5)?,
                    created_at: Time(row.get(6)?),
                })
            })?;
            Ok(keys.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Makes an access key; its secret is returned once and kept sealed.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`]; [`edgedeck_model::Code::NotFound`] for the user or the project.
    pub async fn create_access_key(
        &self,
        actor: &Actor,
        body: NewAccessKeyBody,
    ) -> std::result::Result<NewAccessKey, Problem> {
        name::check_description("description", &body.description)?;
        let key = random_text(UPPER, KEY_LENGTH);
        let secret = random_text(MIXED, SECRET_LENGTH);
        let sealed = self
            .seal
            .seal(&sealed_name(&key), secret.as_bytes())
            .map_err(Problem::internal)?;
        let actor = actor.clone();
        let made = self.store.write(move |tx| {
            let user_name: Option<String> = tx
                .query_row("SELECT name FROM user WHERE id = ?1", [body.user.0], |row| row.get(0))
                .optional()?;
            let user_name = user_name.ok_or_else(|| Problem::not_found("user"))?;
            let project = projects::by_id(tx, body.project)?.ok_or_else(|| Problem::not_found("project"))?;
            let key = AccessKey {
                key,
                user: body.user,
                user_name,
                project: project.id,
                project_name: project.name,
                description: body.description,
                created_at: tx.now(),
            };
            tx.execute(
                "INSERT INTO access_key (key, user, project, description, sealed, created_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    key.key,
                    key.user.0,
                    key.project.0,
                    key.description,
                    sealed,
                    key.created_at.0
                ],
            )?;
            let subject = format!("{} ({}, {})", key.key, key.user_name, key.project_name);
            tx.audit(&actor, "access-key.create", &subject)?;
            Ok(key)
        });
        Ok(NewAccessKey {
            key: made.await?,
            secret,
        })
    }

    /// Refuses an access key from now on.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub async fn revoke_access_key(&self, actor: &Actor, key: String) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            if tx.execute("DELETE FROM access_key WHERE key = ?1", [&key])? == 0 {
                return Err(Problem::not_found("access-key").into());
            }
            tx.audit(&actor, "access-key.revoke", &key)
        });
        Ok(done.await?)
    }

    /// Whether there is such a key, so that only requests of its holders cost more than a look.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn has_access_key(&self, key: &str) -> Result<bool> {
        self.store.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT 1 FROM access_key WHERE key = ?1")?
                .exists([key])?)
        })
    }

    /// Who has signed `text` with a key by HMAC-SHA256; nobody if the signature is not that, or there is no such key.
    ///
    /// # Errors
    /// When the database cannot be read, or the secret not be opened.
    pub fn cloud_signer(
        &self,
        key: &str,
        text: &[u8],
        signature: &[u8],
    ) -> std::result::Result<Option<CloudCaller>, Problem> {
        let sql = format!(
            "SELECT access_key.sealed, user.id, user.role, {} FROM access_key JOIN user ON user.id = access_key.user \
             JOIN project ON project.id = access_key.project WHERE access_key.key = ?1",
            projects::COLUMNS
        );
        let found = self.store.read(|connection| {
            let found = connection.prepare_cached(&sql)?.query_row([key], |row| {
                let role: String = row.get(2)?;
                let caller = CloudCaller {
                    user: UserId(row.get(1)?),
                    role: role_of(&role),
                    project: project_of(row, 3)?,
                    name: format!("key:{key}"),
                    by_key: true,
                };
                Ok((row.get::<_, Vec<u8>>(0)?, caller))
            });
            Ok(found.optional()?)
        })?;
        let Some((sealed, caller)) = found else {
            return Ok(None);
        };
        let secret = self
            .seal
            .unseal(&sealed_name(key), &sealed)
            .map_err(Problem::internal)?;
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(hmac::verify(&secret, text, signature).is_ok().then_some(caller))
    }
}
