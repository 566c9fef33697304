//! Apps and their versions.

use crate::{
    Actor, AliasKind, Engine,
    caps::{self, Caps},
    error::Result,
    store::{Tx, row},
};
use edgedeck_model::{
    AppId, Problem, VersionId,
    api::{AppDetail, NewAppBody, NewVersionBody, Page, PageQuery},
    app::{App, Run, Spec, Version},
    deployment::Deployment,
    name,
};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use uuid::Uuid;

pub fn get(connection: &Connection, id: AppId) -> Result<App> {
    Ok(row::get(connection, id.0)?.ok_or_else(|| Problem::not_found("app"))?)
}

pub fn version(connection: &Connection, id: VersionId) -> Result<Version> {
    Ok(row::get(connection, id.0)?.ok_or_else(|| Problem::not_found("version"))?)
}

fn versions(connection: &Connection, app: AppId) -> Result<Vec<Version>> {
    row::select(connection, "WHERE app = ?1 ORDER BY id DESC", [app.to_string()])
}

/// Refuses a package that the engine does not hold.
fn check_packages(connection: &Connection, spec: &Spec) -> Result<()> {
    for (at, part) in spec.parts.iter().enumerate() {
        if let Run::Process(process) = &part.run {
            let held: Option<i64> = connection
                .query_row("SELECT bytes FROM package WHERE hash = ?1", [&process.package], |row| {
                    row.get(0)
                })
                .optional()?;
            if held.is_none() {
                return Err(Problem::invalid(&format!("parts.{at}.package"), "package-hash").into());
            }
        }
    }
    Ok(())
}

fn add_version(tx: &mut Tx<'_>, app: AppId, label: String, spec: Spec) -> Result<Version> {
    check_packages(tx, &spec)?;
    let taken = row::count::<Version>(tx, "WHERE app = ?1 AND label = ?2", params![app.to_string(), label])?;
    if taken > 0 {
        return Err(Problem::taken("version", &label).into());
    }
    let mut version = Version {
        id: VersionId(Uuid::now_v7()),
        rev: 0,
        app,
        label,
        spec,
        created_at: tx.now(),
    };
    tx.put(&mut version)?;
    Ok(version)
}

/// Adds a version under the next free number and makes it the app's newest.
pub fn next_version(tx: &mut Tx<'_>, mut app: App, spec: Spec) -> Result<Version> {
    spec.check()?;
    let known = versions(tx, app.id)?;
    let free = (known.len() as u64 + 1..).map(|number| number.to_string());
    let label = free
        .into_iter()
        .find(|label| known.iter().all(|version| version.label != *label));
    let version = add_version(tx, app.id, label.unwrap_or_default(), spec)?;
    app.latest = version.id;
    app.updated_at = tx.now();
    tx.put(&mut app)?;
    Ok(version)
}

/// Makes an app for one deployment, called like it; where that name is taken, a number follows.
pub fn create_inline(tx: &mut Tx<'_>, name: &str, spec: Spec) -> Result<Version> {
    let mut free = name.to_owned();
    let mut number = 1_u32;
    while row::count::<App>(tx, "WHERE name = ?1", [&free])? > 0 {
        number += 1;
        let number = format!("-{number}");
        let kept = name::NAME_MAX - number.len();
        free = name.chars().take(kept).chain(number.chars()).collect();
    }
    let body = NewAppBody {
        name: free,
        description: String::new(),
        label: "1".to_owned(),
        spec,
    };
    let (_, version) = create(tx, body, true)?;
    Ok(version)
}

/// Deletes an app that was made for a deployment, once nothing is deployed of it.
pub fn delete_inline(tx: &mut Tx<'_>, id: AppId) -> Result<()> {
    let Some(app) = row::get::<App>(tx, id.0)?.filter(|app| app.inline) else {
        return Ok(());
    };
    let is_deployed = row::count::<Deployment>(tx, "WHERE app = ?1 AND wanted <> 'gone'", [id.to_string()])? > 0;
    if is_deployed { Ok(()) } else { delete(tx, &app) }
}

fn create(tx: &mut Tx<'_>, body: NewAppBody, inline: bool) -> Result<(App, Version)> {
    let (id, now) = (AppId(Uuid::now_v7()), tx.now());
    let version = add_version(tx, id, body.label, body.spec)?;
    let mut app = App {
        id,
        rev: 0,
        name: body.name,
        description: body.description,
        created_at: now,
        updated_at: now,
        latest: version.id,
        inline,
    };
    tx.put(&mut app)?;
    tx.alias(AliasKind::App, id.0)?;
    Ok((app, version))
}

fn delete(tx: &mut Tx<'_>, app: &App) -> Result<()> {
    for version in versions(tx, app.id)? {
        tx.delete::<Version>(version.id.0)?;
    }
    tx.delete::<App>(app.id.0)?;
    tx.unalias(AliasKind::App, app.id.0)
}

/// An app with what runs of it.
#[derive(Clone, Debug)]
pub struct AppInUse {
    pub app: App,
    /// The newest version.
    pub version: Version,
    /// Deployments that are not being undeployed.
    pub deployments: Vec<Deployment>,
}

impl Engine {
    /// Every app with its newest version and its deployments, in the order in which they were made.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn apps_in_use(&self) -> Result<Vec<AppInUse>> {
        self.store.read(|connection| {
            let mut deployed: BTreeMap<AppId, Vec<Deployment>> = BTreeMap::new();
            for deployment in row::select::<Deployment>(connection, "WHERE wanted <> 'gone' ORDER BY id", [])? {
                deployed.entry(deployment.app).or_default().push(deployment);
            }
            let apps = row::select::<App>(connection, "ORDER BY id", [])?;
            apps.into_iter()
                .map(|app| {
                    Ok(AppInUse {
                        version: version(connection, app.latest)?,
                        deployments: deployed.remove(&app.id).unwrap_or_default(),
                        app,
                    })
                })
                .collect()
        })
    }

    /// # Errors
    /// When the database cannot be read.
    pub fn list_apps(&self, query: &PageQuery) -> Result<Page<App>> {
        let like = format!("%{}%", crate::feed::escape_like(&query.filter));
        self.store.read(|connection| {
            let filter = "WHERE name LIKE ?1 ESCAPE '\\'";
            Ok(Page {
                total: row::count::<App>(connection, filter, [&like])?,
                items: row::select(
                    connection,
                    &format!("{filter} ORDER BY name LIMIT ?2 OFFSET ?3"),
                    params![like, query.limit, query.offset],
                )?,
            })
        })
    }

    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn app(&self, id: AppId) -> Result<AppDetail> {
        self.store.read(|connection| {
            Ok(AppDetail {
                app: get(connection, id)?,
                versions: versions(connection, id)?,
            })
        })
    }

    /// # Errors
    /// [`edgedeck_model::Code::NotFound`].
    pub fn version(&self, id: VersionId) -> Result<Version> {
        self.store.read(|connection| version(connection, id))
    }

    /// Makes an app with its first version.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`] naming the field, [`edgedeck_model::Code::Taken`].
    pub async fn create_app(&self, actor: &Actor, body: NewAppBody) -> std::result::Result<AppDetail, Problem> {
        self.create_app_within(actor, body, Caps::NONE).await
    }

    /// As [`Self::create_app`], within an API's caps.
    ///
    /// # Errors
    /// Also [`edgedeck_model::Code::Conflict`] when a cap is reached.
    pub async fn create_app_within(
        &self,
        actor: &Actor,
        body: NewAppBody,
        caps: Caps,
    ) -> std::result::Result<AppDetail, Problem> {
        name::check_name("name", &body.name)?;
        name::check_description("description", &body.description)?;
        name::check_name("label", &body.label)?;
        body.spec.check()?;
        let actor = actor.clone();
        let detail = self.store.write(move |tx| {
            let own = "WHERE doc ->> '$.inline' IS NOT 1";
            caps::check("app", caps.apps, 1, || row::count::<App>(tx, own, []))?;
            if row::count::<App>(tx, "WHERE name = ?1", [&body.name])? > 0 {
                return Err(Problem::taken("app", &body.name).into());
            }
            let (app, version) = create(tx, body, false)?;
            tx.audit(&actor, "app.create", &app.name)?;
            Ok(AppDetail {
                app,
                versions: vec![version],
            })
        });
        Ok(detail.await?)
    }

    /// Adds a version, the app's newest from now on. What runs stays as it is.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`], [`edgedeck_model::Code::NotFound`], [`edgedeck_model::Code::Taken`].
    pub async fn add_version(
        &self,
        actor: &Actor,
        app: AppId,
        body: NewVersionBody,
    ) -> std::result::Result<Version, Problem> {
        name::check_name("label", &body.label)?;
        body.spec.check()?;
        let actor = actor.clone();
        let version = self.store.write(move |tx| {
            let mut app = get(tx, app)?;
            let version = add_version(tx, app.id, body.label, body.spec)?;
            app.latest = version.id;
            app.updated_at = tx.now();
            tx.put(&mut app)?;
            tx.audit(&actor, "app.add-version", &format!("{} {}", app.name, version.label))?;
            Ok(version)
        });
        Ok(version.await?)
    }

    /// Deletes an app with its versions.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`], or [`edgedeck_model::Code::Conflict`] while it is deployed.
    pub async fn delete_app(&self, actor: &Actor, id: AppId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let app = get(tx, id)?;
            let deployed =
                row::select::<Deployment>(tx, "WHERE app = ?1 AND wanted <> 'gone' LIMIT 1", [id.to_string()])?;
            if let Some(deployment) = deployed.first() {
                return Err(Problem::conflict("app-in-use")
                    .with("deployment", &deployment.name)
                    .into());
            }
            delete(tx, &app)?;
            tx.audit(&actor, "app.delete", &app.name)
        });
        Ok(done.await?)
    }
}
