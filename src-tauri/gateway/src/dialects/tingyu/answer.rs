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

/// A success, with its payload where there is one.
pub struct Reply {
    msg: &'static str,
    payload: Option<(&'static str, Value)>,
}

pub type Outcome = Result<Reply, Failure>;

impl Reply {
    pub const DONE: Self = Self::worded("success");

    /// A success with words of its own.
    pub const fn worded(msg: &'static str) -> Self {
        Self { msg, payload: None }
    }

    /// # Errors
    /// Never for the types of this dialect, all of which are JSON.
    pub fn data(payload: impl Serialize) -> Outcome {
        Self::with("data", payload)
    }

    /// # Errors
    /// As for [`Self::data`].
    pub fn with(key: &'static str, payload: impl Serialize) -> Outcome {
        let payload = serde_json::to_value(payload).map_err(Problem::internal)?;
        Ok(Self {
            payload: Some((key, payload)),
            ..Self::DONE
        })
    }

    /// As [`Self::data`], where the system calls it so.
    ///
    /// # Errors
    /// Never for the types of this dialect, all of which are JSON.
    pub fn info(payload: impl Serialize) -> Outcome {
        Self::with("info", payload)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut body = json!({ "msg": self.msg, "code": 200 });
        if let Some((key, payload)) = self.payload {
            body[key] = payload;
        }
        Json(body).into_response()
    }
}

/// Anything else.
#[derive(Debug)]
pub struct Failure {
    msg: String,
    code: Value,
    /// In English; of operations with files.
    error: Option<&'static str>,
}

impl Failure {
    pub fn unknown() -> Self {
        Self::said(UNKNOWN)
    }

    /// A refusal that has no code of its own.
    pub fn said(msg: &str) -> Self {
        Self {
            msg: msg.to_owned(),
            code: 500.into(),
            error: None,
        }
    }

    /// A refusal of the system's own.
    pub fn coded(code: &str, msg: &str) -> Self {
        Self {
            code: code.into(),
            ..Self::said(msg)
        }
    }

    /// The general failure, with what has failed.
    pub fn unknown_because(error: &'static str) -> Self {
        Self {
            error: Some(error),
            ..Self::unknown()
        }
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
        let mut body = json!({ "msg": self.msg, "code": self.code });
        if let Some(error) = self.error {
            body["error"] = error.into();
        }
        Json(body).into_response()
    }
}
