//! The image registry that nodes pull from.

use super::{
    answer::{Code, INVALID, Outcome, Reply},
    request::{Body, Caller, read},
    rules::{self, given, require},
};
use axum::extract::State;
use edgedeck_engine::Engine;
use edgedeck_model::{
    Code as Why,
    api::{NodeQuery, NodeSort},
    certificate::Purpose,
};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

const STORE: Code = Code("60001008", "create image config failed");
const TELL: Code = Code("40012016", "send message to nodes failed");
/// How long the nodes that are connected have to say that they hold what they were sent.
pub const TELL_TIME: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
pub struct Registry {
    domain: Option<String>,
    ip: Option<String>,
    port: Option<i64>,
    account: Option<String>,
    password: Option<rules::Password>,
}

pub async fn configure(
    State(engine): State<Arc<Engine>>,
    Caller(actor): Caller,
    Body(body): Body<Registry>,
) -> Outcome {
    let port = body
        .port
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0);
    let (port, account) = (given(port)?, given(body.account)?);
    let password = given(given(body.password)?.text())?;
    require(rules::is_account(&account) && body.domain.as_deref().is_none_or(rules::is_domain))?;
    if let Some(ip) = &body.ip {
        require(rules::is_registry_ip(ip) && !is_node(&engine, ip)?)?;
    }
    let host = given(body.domain.or(body.ip))?;
    let stored = engine.set_registry(&actor, format!("{host}:{port}"), account, Some(password));
    stored.await.map_err(|problem| match problem.code {
        Why::Invalid => INVALID.because(problem),
        _ => STORE.because(problem),
    })?;
    if read(engine.authority(Purpose::Images), STORE)?.is_none() {
        return Err(TELL.into());
    }
    engine
        .outside_reached(TELL_TIME)
        .await
        .map_err(|problem| TELL.because(problem))?;
    Ok(Reply::DONE)
}

fn is_node(engine: &Engine, ip: &str) -> Result<bool, super::answer::Failure> {
    let query = NodeQuery {
        filter: ip.to_owned(),
        sort: NodeSort::Joined,
        limit: u32::MAX,
        ..NodeQuery::default()
    };
    let found = read(engine.list_whole_nodes(&query), STORE)?;
    Ok(found.items.iter().any(|node| node.facts.ip.as_deref() == Some(ip)))
}
