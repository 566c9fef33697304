//! Tokens of the cloud dialects: a user's, for one project, for a day.

use super::CloudCaller;
use crate::{
    Actor, Engine,
    error::Result,
    identity::{hash, role_of, user_by_name},
    projects::{self, project_of},
    seal::random_hex,
    store::Tx,
};
use edgedeck_model::{Code, Problem, ProjectId, Time, UserId, name, project::Project, time::DAY, user::Role};
use rusqlite::{OptionalExtension, params};
use zeroize::Zeroizing;

/// How long a token is good, in milliseconds.
const LIFE: i64 = DAY;
/// Tokens of one user that are kept; one more ends the oldest.
const KEPT: i64 = 1_000;

/// How somebody asks for a token.
pub enum CloudLogin {
    Password {
        domain: String,
        name: String,
        password: Zeroizing<String>,
    },
    /// With a token of their own; the new one ends when that does.
    Token(Zeroizing<String>),
}

/// The project that a token is asked for: by id, as it stands on the wire, or by name; if by both, they must agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub id: Option<String>,
    pub name: Option<String>,
}

/// A token that was issued; its secret is kept as a hash only.
pub struct CloudToken {
    pub secret: String,
    pub user: UserId,
    pub user_name: String,
    pub role: Role,
    pub project: Project,
    pub issued_at: Time,
    pub expires_at: Time,
}

/// Whose a new token will be.
struct Holder {
    user: UserId,
    /// The hash of the password that was right; none where a token was shown.
    password: Option<String>,
    /// Its end at the latest.
    until: Option<Time>,
}

impl Engine {
    /// Issues a token.
    ///
    /// # Errors
    /// [`Code::WrongPassword`], which tells nothing of domain and user; [`Code::Unauthenticated`] for a token that is
    /// none; [`Code::Locked`]; [`Code::NotFound`] for the project.
    pub async fn issue_cloud_token(
        &self,
        login: CloudLogin,
        scope: Scope,
        origin: &str,
    ) -> std::result::Result<CloudToken, Problem> {
        let mut actor = Actor {
            name: String::new(),
            origin: origin.to_owned(),
            role: Role::Viewer,
        };
        let issued = self.try_issue(&mut actor, login, scope).await;
        // Who shows a token that is none has no name to write down, and could go on without end.
        if let Err(problem) = &issued
            && problem.code != Code::Unauthenticated
        {
            self.audit_refusal(actor, "cloud-token.create", String::new(), problem)
                .await;
        }
        issued
    }

    async fn try_issue(
        &self,
        actor: &mut Actor,
        login: CloudLogin,
        scope: Scope,
    ) -> std::result::Result<CloudToken, Problem> {
        let holder = match login {
            CloudLogin::Password { domain, name, password } => {
                actor.name = name::tame(&name, name::NAME_MAX);
                let is_ours = domain == self.settings().lab;
                let found = self.store.read(|connection| user_by_name(connection, &actor.name))?;
                let found = found.filter(|_| is_ours);
                let stored = found.as_ref().map(|(_, hash)| hash.clone());
                self.try_password(actor, &password, stored).await?;
                let (user, hash) = found.ok_or_else(|| Problem::new(Code::WrongPassword))?;
                Holder {
                    user: user.id,
                    password: Some(hash),
                    until: None,
                }
            }
            CloudLogin::Token(secret) => {
                let shown = self.shown(&secret)?;
                let (caller, until) = shown.ok_or_else(|| Problem::new(Code::Unauthenticated))?;
                actor.name = caller.name;
                Holder {
                    user: caller.user,
                    password: None,
                    until: Some(until),
                }
            }
        };
        let secret = random_hex::<32>().map_err(Problem::internal)?;
        let (actor, hashed) = (actor.clone(), hash(&secret));
        let issued = self.store.write(move |tx| issue(tx, &actor, &holder, &scope, &hashed));
        Ok(CloudToken {
            secret,
            ..issued.await?
        })
    }

    /// Who holds a token, until when.
    fn shown(&self, secret: &str) -> Result<Option<(CloudCaller, Time)>> {
        let (key, now) = (hash(secret), self.clock.now());
        let sql = format!(
            "SELECT user.id, user.name, user.role, cloud_token.expires_at, {} FROM cloud_token \
             JOIN user ON user.id = cloud_token.user JOIN project ON project.id = cloud_token.project \
             WHERE cloud_token.hash = ?1 AND cloud_token.expires_at > ?2",
            projects::COLUMNS
        );
        self.store.read(|connection| {
            let found = connection.prepare_cached(&sql)?.query_row(params![key, now.0], |row| {
                let role: String = row.get(2)?;
                let caller = CloudCaller {
                    user: UserId(row.get(0)?),
                    name: row.get(1)?,
                    role: role_of(&role),
                    project: project_of(row, 4)?,
                    by_key: false,
                };
                Ok((caller, Time(row.get(3)?)))
            });
            Ok(found.optional()?)
        })
    }

    /// Who holds a token; nobody once it has ended.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn cloud_token(&self, secret: &str) -> Result<Option<CloudCaller>> {
        Ok(self.shown(secret)?.map(|(caller, _)| caller))
    }

    /// Ends a token: one's own, or anybody's for an administrator.
    ///
    /// # Errors
    /// [`Code::NotFound`] for one that is no token, or not any more; [`Code::Forbidden`].
    pub async fn end_cloud_token(
        &self,
        caller: &CloudCaller,
        origin: &str,
        secret: &str,
    ) -> std::result::Result<(), Problem> {
        let actor = caller.actor(origin);
        let Some((held, _)) = self.shown(secret)? else {
            return Err(Problem::not_found("token"));
        };
        if held.user != caller.user && caller.role < Role::Admin {
            let problem = Problem::new(Code::Forbidden);
            self.audit_refusal(actor, "cloud-token.revoke", held.name, &problem)
                .await;
            return Err(problem);
        }
        let key = hash(secret);
        let done = self.store.write(move |tx| {
            if tx.execute("DELETE FROM cloud_token WHERE hash = ?1", [key])? == 0 {
                return Err(Problem::not_found("token").into());
            }
            tx.audit(&actor, "cloud-token.revoke", &held.name)
        });
        Ok(done.await?)
    }
}

fn issue(tx: &mut Tx<'_>, actor: &Actor, holder: &Holder, scope: &Scope, hashed: &str) -> Result<CloudToken> {
    // The password may have changed, or the user gone, since it was found right.
    let user = tx
        .query_row(
            "SELECT name, role FROM user WHERE id = ?1 AND (?2 IS NULL OR password = ?2)",
            params![holder.user.0, holder.password],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    let (user_name, role) = user.ok_or_else(|| Problem::new(Code::WrongPassword))?;
    let project = scoped(tx, scope)?.ok_or_else(|| Problem::not_found("project"))?;
    let now = tx.now();
    let expires_at = now.plus(LIFE).min(holder.until.unwrap_or(Time(i64::MAX)));
    tx.execute("DELETE FROM cloud_token WHERE expires_at <= ?1", [now.0])?;
    tx.execute(
        "DELETE FROM cloud_token WHERE hash IN \
         (SELECT hash FROM cloud_token WHERE user = ?1 ORDER BY issued_at DESC LIMIT -1 OFFSET ?2)",
        params![holder.user.0, KEPT - 1],
    )?;
    tx.execute(
        "INSERT INTO cloud_token (hash, user, project, issued_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![hashed, holder.user.0, project.id.0, now.0, expires_at.0],
    )?;
    tx.execute(
        "UPDATE user SET last_login = ?2 WHERE id = ?1",
        params![holder.user.0, now.0],
    )?;
    tx.audit(actor, "cloud-token.create", &project.name)?;
    Ok(CloudToken {
        secret: String::new(),
        user: holder.user,
        user_name,
        role: role_of(&role),
        project,
        issued_at: now,
        expires_at,
    })
}

fn scoped(tx: &Tx<'_>, scope: &Scope) -> Result<Option<Project>> {
    let project = match (&scope.id, &scope.name) {
        (Some(id), _) => match ProjectId::of_hex(id) {
            Some(id) => projects::by_id(tx, id)?,
            None => None,
        },
        (None, Some(name)) => projects::by_name(tx, name)?,
        (None, None) => None,
    };
    Ok(project.filter(|project| scope.name.as_ref().is_none_or(|name| *name == project.name)))
}
