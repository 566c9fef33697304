//! A real engine with the cloud listener, a user, and a key.

use crate::{
    cloud::{CloudLab, Key, PASSWORD, Plain},
    contract::{Answer, ContractClient, Lab, Recording},
};
use anyhow::Context;
use edgedeck_model::user::Role;
use reqwest::Method;
use serde_json::Value;

pub struct IamLab {
    pub cloud: CloudLab,
    pub north: ContractClient,
    /// The user's, for the lab's own project.
    pub key: Key,
}

impl Lab for IamLab {
    async fn start(recording: Recording) -> anyhow::Result<Self> {
        let cloud = CloudLab::start().await?;
        let user = cloud.user("li", Role::Operator).await?;
        let key = cloud.key(user, cloud.own_project()?).await?;
        Ok(Self {
            north: recording.client(&cloud.base, cloud.http.clone()),
            cloud,
            key,
        })
    }

    async fn stop(self) {
        self.cloud.stop().await;
    }
}

impl IamLab {
    /// Logs in for a project, by its name.
    pub async fn log_in(&self, password: &str, project: &str) -> anyhow::Result<Answer> {
        let body = CloudLab::login("li", password, project);
        Ok(self.north.call("createToken").json(&body).send().await?)
    }

    /// A token for a project, by its name.
    pub async fn token(&self, project: &str) -> anyhow::Result<String> {
        token_of(&self.log_in(PASSWORD, project).await?.success()?)
    }

    /// The projects with a name that an operation shows, to the holder of a token or to who has signed with the key.
    pub async fn projects(&self, operation: &str, token: Option<&str>, name: Option<&str>) -> anyhow::Result<Answer> {
        let mut request = self.north.call(operation);
        if let Some(name) = name {
            request = request.query("name", name);
        }
        if let Some(token) = token {
            return Ok(request.header("X-Auth-Token", token).send().await?);
        }
        let document = self.north.document();
        let path = &document.operation(operation).context("an operation")?.path;
        let mut plain = Plain::new(Method::GET, path);
        if let Some(name) = name {
            plain = plain.query("name", name);
        }
        for (name, value) in self.key.sign(&plain, self.cloud.host(), self.cloud.clock.now()) {
            request = request.header(&name, &value);
        }
        Ok(request.send().await?)
    }
}

/// What stands in `X-Subject-Token`.
pub fn token_of(answer: &Answer) -> anyhow::Result<String> {
    let token = answer.headers.get("x-subject-token").context("X-Subject-Token")?;
    Ok(token.to_str()?.to_owned())
}

/// Names and ids of the projects in an answer.
pub fn rows(answer: &Answer) -> Vec<(&Value, &Value)> {
    let rows = answer.at("/projects").as_array();
    rows.into_iter()
        .flatten()
        .map(|row| (&row["name"], &row["id"]))
        .collect()
}
