//! MEF's envelope: `{status, msg, data}`, HTTP 200 for success and 400 for everything that is refused.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use edgedeck_engine::CAP_REACHED;
use edgedeck_model::{Code as Why, Lang, Problem};
use serde::Serialize;
use serde_json::{Map, Value, json};

/// An error code of the contract and the message it is sent with.
#[derive(Clone, Copy, Debug)]
pub struct Code(pub &'static str, pub &'static str);

/// A query parameter is missing or no number.
pub const QUERY: &str = "00001001";
/// The answer of the part behind the gateway cannot be had.
pub const UNAVAILABLE: Code = Code("00001002", "get response failed");
pub const NO_ROUTE: Code = Code("00001004", "module resource or option not found");
pub const INVALID: Code = Code("00001005", "parameter invalid");
pub const MALFORMED: Code = Code("00001006", "parse content failed");

/// A success.
pub struct Reply {
    msg: &'static str,
    data: Option<Value>,
}

impl Reply {
    pub const DONE: Self = Self::said("success");

    pub const fn said(msg: &'static str) -> Self {
        Self { msg, data: None }
    }

    /// # Errors
    /// Never for the types of this dialect, all of which are JSON.
    pub fn data(data: impl Serialize, own: Code) -> Outcome {
        Self::worded("success", data, own)
    }

    pub fn worded(msg: &'static str, data: impl Serialize, own: Code) -> Outcome {
        let data = serde_json::to_value(data).map_err(|error| own.because(Problem::internal(error)))?;
        Ok(Self { msg, data: Some(data) })
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut body = json!({ "status": "00000000", "msg": self.msg });
        if let (Some(data), Some(fields)) = (self.data, body.as_object_mut()) {
            fields.insert("data".to_owned(), data);
        }
        Json(body).into_response()
    }
}

/// Anything else.
#[derive(Debug)]
pub struct Failure {
    http: StatusCode,
    status: &'static str,
    msg: String,
    data: Option<Value>,
}

pub type Outcome = Result<Reply, Failure>;

impl Failure {
    pub fn new(http: StatusCode, code: Code) -> Self {
        Self {
            http,
            status: code.0,
            msg: code.1.to_owned(),
            data: None,
        }
    }

    pub fn query(name: &str) -> Self {
        let msg = format!("req int para [{name}] is invalid");
        Self {
            http: StatusCode::BAD_REQUEST,
            status: QUERY,
            msg,
            data: None,
        }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code)
    }
}

impl Code {
    /// This code, with what the domain says.
    pub fn because(self, problem: impl Into<Problem>) -> Failure {
        let problem = problem.into();
        let msg = match problem.code {
            Why::Internal | Why::StoreUnavailable => self.1.to_owned(),
            _ => format!("{}: {}", self.1, reason(&problem)),
        };
        Failure { msg, ..self.into() }
    }
}

/// What the domain refused, in one English sentence.
pub fn reason(problem: &Problem) -> String {
    problem.text(Lang::En)
}

/// Whether a limit of this API was what refused it.
pub fn is_capped(problem: &Problem) -> bool {
    problem.code == Why::Conflict && problem.fact("reason") == CAP_REACHED
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut body = json!({ "status": self.status, "msg": self.msg });
        if let (Some(data), Some(fields)) = (self.data, body.as_object_mut()) {
            fields.insert("data".to_owned(), data);
        }
        (self.http, Json(body)).into_response()
    }
}

/// What became of the elements of a batch call.
#[derive(Default)]
pub struct Batch {
    succeeded: Vec<Value>,
    failed: Map<String, Value>,
}

impl Batch {
    pub fn add(&mut self, id: u32, outcome: Result<(), Problem>) {
        self.add_as(id.into(), id.to_string(), outcome);
    }

    /// An element that is more than a number: as it is listed when it succeeds, and its key when it fails.
    pub fn add_as(&mut self, element: Value, key: String, outcome: Result<(), Problem>) {
        match outcome {
            Ok(()) => self.succeeded.push(element),
            Err(problem) => {
                self.failed.insert(key, Value::String(reason(&problem)));
            }
        }
    }

    /// As [`Self::answer`], with both lists on success, too.
    pub fn whole(self, code: Code) -> Outcome {
        if !self.failed.is_empty() {
            return self.answer(code);
        }
        let data = json!({ "successIDs": self.succeeded, "failedInfos": {} });
        Ok(Reply {
            data: Some(data),
            ..Reply::DONE
        })
    }

    /// Success without data, or the code with both lists.
    pub fn answer(self, code: Code) -> Outcome {
        if self.failed.is_empty() {
            return Ok(Reply::DONE);
        }
        let succeeded = if self.succeeded.is_empty() {
            Value::Null
        } else {
            self.succeeded.into()
        };
        let data = json!({ "successIDs": succeeded, "failedInfos": self.failed });
        Err(Failure {
            data: Some(data),
            ..code.into()
        })
    }
}
