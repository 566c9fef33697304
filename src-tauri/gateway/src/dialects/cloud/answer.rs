//! What is refused, in one body that fits every reader: the cloud's gateway and services read `error_code` and `error_msg`
//! (some `error_message`), clients of the log-in `error`.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use edgedeck_engine::random_hex;
use edgedeck_model::{Code, Lang, Problem};
use serde_json::json;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A refusal, with its HTTP status and the cloud's code for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Seconds after which it may be tried again.
    wait: Option<u64>,
}

impl Failure {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            wait: None,
        }
    }

    /// No path of any API here.
    pub fn no_route() -> Self {
        let message = "The API does not exist or has not been published in the environment.";
        Self::new(StatusCode::NOT_FOUND, "APIGW.0101", message)
    }

    /// A body that is not what the operation takes.
    pub fn body(why: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "IAM.0011",
            format!("Request body is invalid: {why}."),
        )
    }

    /// A query that is not what the operation takes.
    pub fn query() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "IAM.0007", "Request parameter is invalid.")
    }

    /// Wrong credentials in a request to log in.
    pub fn login(message: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "IAM.0001", message)
    }

    pub fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "IAM.0002", message)
    }

    pub fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "IAM.0004", message)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let message = problem.text(Lang::En);
        match problem.code {
            Code::NotFound => Self::not_found(&message),
            Code::Forbidden => Self::forbidden(&message),
            Code::Locked => Self {
                wait: problem.fact("seconds").parse().ok(),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "IAM.0012", message)
            },
            Code::StoreUnavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, "IAM.0006", message),
            _ => {
                tracing::error!("{problem}");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "IAM.0006", message)
            }
        }
    }
}

impl From<edgedeck_engine::Error> for Failure {
    fn from(error: edgedeck_engine::Error) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let request = random_hex::<16>().unwrap_or_default();
        let body = json!({
            "error_code": self.code,
            "error_msg": self.message,
            "error_message": self.message,
            "request_id": request,
            "error": {
                "code": self.status.as_u16(),
                "message": self.message,
                "title": self.status.canonical_reason().unwrap_or_default(),
            },
        });
        let mut response = (self.status, Json(body)).into_response();
        if let Ok(request) = HeaderValue::from_str(&request) {
            response.headers_mut().insert(REQUEST_ID, request);
        }
        if let Some(seconds) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
