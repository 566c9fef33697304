//! Tingyu's envelope: `{msg, code, data|info}` with HTTP 200, whatever the outcome. A success has the code 200.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use edgedeck_model::{Code, Problem};
use serde::Serialize;
use serde_json::{Value, json};

/// The answer to whatever has no answer of its own.
const UNKNOWN: &str = "未知异常,请联系管理员";

/// A success with its payload.
pub struct Reply {
    key: &'static str,
    payload: Value,
}

pub type Outcome = Result<Reply, Failure>;

impl Reply {
    /// # Errors
    /// Never for the types of this dialect, all of which are JSON.
    pub fn data(payload: impl Serialize) -> Outcome {
        let payload = serde_json::to_value(payload).map_err(Problem::internal)?;
        Ok(Self { key: "data", payload })
    }

    /// As [`Self::data`], where the system calls it so.
    ///
    /// # Errors
    /// Never for the types of this dialect, all of which are JSON.
    pub fn info(payload: impl Serialize) -> Outcome {
        let payload = serde_json::to_value(payload).map_err(Problem::internal)?;
        Ok(Self { key: "info", payload })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        Json(json!({ "msg": "success", "code": 200, self.key: self.payload })).into_response()
    }
}

/// Anything else.
#[derive(Debug)]
pub struct Failure {
    msg: String,
}

impl Failure {
    pub fn unknown() -> Self {
        Self {
            msg: UNKNOWN.to_owned(),
        }
    }

    /// A refusal that the system has no words for.
    pub fn said(msg: &str) -> Self {
        Self { msg: msg.to_owned() }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        if matches!(problem.code, Code::Internal | Code::StoreUnavailable) {
            tracing::error!("{problem}");
        }
        Self::unknown()
    }
}

impl From<edgedeck_engine::Error> for Failure {
    fn from(error: edgedeck_engine::Error) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        Json(json!({ "msg": self.msg, "code": 500 })).into_response()
    }
}
