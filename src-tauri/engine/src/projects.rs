//! Projects, the tenants of the cloud dialects.

use crate::{Actor, Engine, error::Result};
use edgedeck_model::{
    Problem, ProjectId, Time,
    api::ProjectBody,
    name,
    project::{self, Project},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

/// What [`project_of`] reads, of a table `project`.
pub const COLUMNS: &str = "project.id, project.name, project.description, project.is_default, project.created_at";

/// Reads [`COLUMNS`] from column `at` on.
pub fn project_of(row: &Row<'_>, at: usize) -> rusqlite::Result<Project> {
    Ok(Project {
        id: ProjectId(row.get(at)?),
        name: row.get(at + 1)?,
        description: row.get(at + 2)?,
        is_default: row.get(at + 3)?,
        created_at: Time(row.get(at + 4)?),
    })
}

pub fn by_id(connection: &Connection, id: ProjectId) -> Result<Option<Project>> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM project WHERE id = ?1"))?
        .query_row([id.0], |row| project_of(row, 0))
        .optional()?)
}

pub fn by_name(connection: &Connection, name: &str) -> Result<Option<Project>> {
    Ok(connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM project WHERE name = ?1"))?
        .query_row([name], |row| project_of(row, 0))
        .optional()?)
}

fn check(body: &ProjectBody) -> std::result::Result<(), Problem> {
    project::check_name(&body.name)?;
    name::check_description("description", &body.description)
}

impl Engine {
    /// The account that all projects belong to in the cloud dialects: its id, 32 hex digits, and its name, the lab's.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn domain(&self) -> Result<(String, String)> {
        let id = self.store.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT value FROM meta WHERE key = 'domain'")?
                .query_row([], |row| row.get(0))?)
        })?;
        Ok((id, self.settings().lab.clone()))
    }

    /// By name, the lab's own first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_projects(&self) -> Result<Vec<Project>> {
        self.store.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM project ORDER BY is_default DESC, name");
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement
                .query_map([], |row| project_of(row, 0))?
                .collect::<rusqlite::Result<_>>()?)
        })
    }

    /// # Errors
    /// [`edgedeck_model::Code::Invalid`], [`edgedeck_model::Code::Taken`].
    pub async fn create_project(&self, actor: &Actor, body: ProjectBody) -> std::result::Result<Project, Problem> {
        check(&body)?;
        let actor = actor.clone();
        let made = self.store.write(move |tx| {
            if by_name(tx, &body.name)?.is_some() {
                return Err(Problem::taken("project", &body.name).into());
            }
            let project = Project {
                id: ProjectId(Uuid::now_v7()),
                name: body.name,
                description: body.description,
                is_default: false,
                created_at: tx.now(),
            };
            tx.execute(
                "INSERT INTO project (id, name, description, is_default, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    project.id.0,
                    project.name,
                    project.description,
                    project.is_default,
                    project.created_at.0
                ],
            )?;
            tx.audit(&actor, "project.create", &project.name)?;
            Ok(project)
        });
        Ok(made.await?)
    }

    /// Gives a project another name and description; its id and all that belongs to it stay.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::Invalid`], [`edgedeck_model::Code::NotFound`], [`edgedeck_model::Code::Taken`].
    pub async fn update_project(
        &self,
        actor: &Actor,
        id: ProjectId,
        body: ProjectBody,
    ) -> std::result::Result<Project, Problem> {
        check(&body)?;
        let actor = actor.clone();
        let changed = self.store.write(move |tx| {
            let project = by_id(tx, id)?.ok_or_else(|| Problem::not_found("project"))?;
            if by_name(tx, &body.name)?.is_some_and(|other| other.id != id) {
                return Err(Problem::taken("project", &body.name).into());
            }
            tx.execute(
                "UPDATE project SET name = ?2, description = ?3 WHERE id = ?1",
                params![id.0, body.name, body.description],
            )?;
            tx.audit(&actor, "project.update", &body.name)?;
            Ok(Project {
                name: body.name,
                description: body.description,
                ..project
            })
        });
        Ok(changed.await?)
    }

    /// Deletes a project and ends its tokens.
    ///
    /// # Errors
    /// [`edgedeck_model::Code::NotFound`]; [`edgedeck_model::Code::Conflict`] for the lab's own, and for one that
    /// something still belongs to.
    pub async fn delete_project(&self, actor: &Actor, id: ProjectId) -> std::result::Result<(), Problem> {
        let actor = actor.clone();
        let done = self.store.write(move |tx| {
            let project = by_id(tx, id)?.ok_or_else(|| Problem::not_found("project"))?;
            if project.is_default {
                return Err(Problem::conflict("project-default").into());
            }
            let keys: u32 = tx.query_row("SELECT count(*) FROM access_key WHERE project = ?1", [id.0], |row| {
                row.get(0)
            })?;
            if keys > 0 {
                return Err(Problem::conflict("project-in-use").into());
            }
            tx.execute("DELETE FROM cloud_token WHERE project = ?1", [id.0])?;
            tx.execute("DELETE FROM project WHERE id = ?1", [id.0])?;
            tx.audit(&actor, "project.delete", &project.name)
        });
        Ok(done.await?)
    }
}
