//! Calls operations by their documented name, holds every answer against the contract and records it.

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::document::{Document, Operation};
use super::recorder::{Call, ErrorFace, Recording, error_faces, shows};

/// The largest answer that is read, in bytes: a downloaded log bundle of a test stays far below.
const MAX_ANSWER: usize = 256 << 20;
/// How much of a body is shown in an error, in characters.
const MAX_SHOWN: usize = 600;

/// Why a call gave no answer to work with.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("calling {operation}: {document} has no such operation")]
    UnknownOperation { document: &'static str, operation: String },
    #[error("calling {operation}: the path {path} needs the parameter {parameter}")]
    MissingPathParameter {
        operation: String,
        path: String,
        parameter: String,
    },
    #[error("calling {operation}: {url} is no base URL")]
    BaseUrl { operation: String, url: String },
    #[error("calling {operation}: the header {name} cannot be sent")]
    Header { operation: String, name: String },
    #[error("calling {operation}: {source}")]
    Transport { operation: String, source: reqwest::Error },
    #[error("calling {operation}: the answer is larger than {MAX_ANSWER} bytes")]
    TooLarge { operation: String },
    #[error("{operation} answered against the contract (HTTP {status}): {}\nbody: {body}", violations.join("; "))]
    OffContract {
        operation: String,
        status: u16,
        violations: Vec<String>,
        body: String,
    },
}

/// A client of one system; clones share the connection pool and the recorder.
#[derive(Clone)]
pub struct ContractClient {
    recording: Recording,
    base_url: String,
    http: reqwest::Client,
    headers: HeaderMap,
}

impl ContractClient {
    pub(super) fn new(recording: Recording, base_url: &str, http: reqwest::Client) -> Self {
        Self {
            recording,
            base_url: base_url.trim_end_matches('/').to_owned(),
            http,
            headers: HeaderMap::new(),
        }
    }

    /// The same client with a header on every call, for example a token.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub fn document(&self) -> &Document {
        &self.recording.document
    }

    /// Begins a call of an operation; [`Request::send`] makes it.
    pub fn call(&self, operation: &str) -> Request<'_> {
        Request {
            client: self,
            operation: operation.to_owned(),
            path: Vec::new(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Holds an answer that came another way (a WebSocket upgrade, a stream) against the contract and records it.
    ///
    /// # Errors
    /// The operation is unknown or the answer breaks the contract.
    pub fn observe(
        &self,
        operation: &str,
        status: u16,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, CallError> {
        let document = &self.recording.document;
        let known = self.operation(operation)?;
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let checked = document.check_response(operation, status, content_type, &body);
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        let errors = json.as_ref().map(error_faces).unwrap_or_default();
        let success = document.is_success(status, json.as_ref());
        self.recording.recorder.add(Call {
            operation: known.id.clone(),
            owner: known.owner.clone(),
            status,
            success,
            fits: checked.is_ok(),
            errors: errors.clone(),
        });
        match checked {
            Ok(()) => Ok(Answer {
                operation: operation.to_owned(),
                status,
                headers,
                body,
                json,
                success,
                errors,
            }),
            Err(violations) => Err(CallError::OffContract {
                operation: operation.to_owned(),
                status,
                violations,
                body: shown(&body),
            }),
        }
    }

    fn operation(&self, id: &str) -> Result<&Operation, CallError> {
        self.recording
            .document
            .operation(id)
            .ok_or_else(|| CallError::UnknownOperation {
                document: self.recording.document.name,
                operation: id.to_owned(),
            })
    }
}

/// A call in the making.
#[must_use = "nothing is sent before `send`"]
pub struct Request<'c> {
    client: &'c ContractClient,
    operation: String,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<(String, Vec<u8>)>,
}

impl Request<'_> {
    /// Fills a parameter of the path template; the value is percent-encoded.
    pub fn path(mut self, name: &str, value: impl ToString) -> Self {
        self.path.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a query parameter; call it again for lists.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.raw("application/json", body.to_string().into_bytes())
    }

    /// A body as it is: broken JSON, multipart, an archive.
    pub fn raw(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some((content_type.to_owned(), body.into()));
        self
    }

    /// Sends the call; the answer is held against the contract and recorded, whatever it is.
    ///
    /// # Errors
    /// The call could not be built or sent, or the answer breaks the contract.
    pub async fn send(self) -> Result<Answer, CallError> {
        let operation = self.client.operation(&self.operation)?;
        let url = self.url(operation)?;
        let mut request = self
            .client
            .http
            .request(operation.method.clone(), url)
            .headers(self.client.headers.clone());
        for (name, value) in &self.headers {
            let wrong = || CallError::Header {
                operation: self.operation.clone(),
                name: name.clone(),
            };
            let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            request = request.header(header, HeaderValue::from_bytes(value.as_bytes()).map_err(|_| wrong())?);
        }
        if let Some((content_type, body)) = self.body {
            request = request.header(CONTENT_TYPE, content_type).body(body);
        }
        let transport = |source| CallError::Transport {
            operation: self.operation.clone(),
            source,
        };
        let mut response = request.send().await.map_err(transport)?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(CallError::TooLarge {
                    operation: self.operation,
                });
            }
            body.extend_from_slice(&chunk);
        }
        self.client.observe(&self.operation, status, headers, body)
    }

    fn url(&self, operation: &Operation) -> Result<Url, CallError> {
        let wrong = || CallError::BaseUrl {
            operation: self.operation.clone(),
            url: self.client.base_url.clone(),
        };
        let mut url = Url::parse(&self.client.base_url).map_err(|_| wrong())?;
        let template = format!("{}{}", self.client.recording.document.base_path, operation.path);
        {
            let mut segments = url.path_segments_mut().map_err(|()| wrong())?;
            segments.clear();
            for segment in template.trim_start_matches('/').split('/') {
                segments.push(&self.fill(operation, segment)?);
            }
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    /// One segment of the template with its `{parameters}` replaced.
    fn fill(&self, operation: &Operation, segment: &str) -> Result<String, CallError> {
        let mut filled = String::new();
        let mut rest = segment;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            let value = self
                .path
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.as_str());
            filled.push_str(before);
            filled.push_str(value.ok_or_else(|| CallError::MissingPathParameter {
                operation: self.operation.clone(),
                path: operation.path.clone(),
                parameter: name.to_owned(),
            })?);
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// An answer that fits the contract.
#[derive(Debug, Clone)]
pub struct Answer {
    pub operation: String,
    /// HTTP status.
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// The body, where it is JSON.
    pub json: Option<Value>,
    /// Whether the system calls this a success, by its own convention.
    pub success: bool,
    errors: Vec<ErrorFace>,
}

impl Answer {
    /// The value at a JSON pointer, null where there is none: `answer.at("/data/total")`.
    pub fn at(&self, pointer: &str) -> &Value {
        self.json
            .as_ref()
            .and_then(|json| json.pointer(pointer))
            .unwrap_or(&Value::Null)
    }

    /// The answer itself, if it is a success.
    ///
    /// # Errors
    /// It is none; the message shows it.
    pub fn success(self) -> anyhow::Result<Self> {
        anyhow::ensure!(self.success, "{} did not succeed: {}", self.operation, self.shown());
        Ok(self)
    }

    /// Checks that this is the documented error: HTTP status and code, and the message: verbatim where the system sends
    /// it so ([`Document::sends_verbatim`]), otherwise any text.
    ///
    /// # Errors
    /// It is not, or the document has no such error.
    pub fn expect_error(&self, document: &Document, id: &str) -> anyhow::Result<()> {
        let error = self.expect_error_code(document, id)?;
        let verbatim = document.sends_verbatim(error);
        let right = |message: &String| {
            if verbatim {
                *message == error.message
            } else {
                !message.trim().is_empty()
            }
        };
        let told = |face: &ErrorFace| {
            error.code.as_ref().is_none_or(|code| face.code == *code) && face.messages.iter().any(right)
        };
        anyhow::ensure!(
            self.errors.iter().any(told),
            "{id}: the message is not {:?}: {}",
            error.message,
            self.shown()
        );
        Ok(())
    }

    /// Checks status and code of a documented error, for messages with a name filled in.
    ///
    /// # Errors
    /// It is another answer, or the document has no such error.
    pub fn expect_error_code<'d>(
        &self,
        document: &'d Document,
        id: &str,
    ) -> anyhow::Result<&'d super::document::DocumentedError> {
        let Some(error) = document.error(id) else {
            anyhow::bail!("{} has no error {id}", document.name)
        };
        anyhow::ensure!(
            shows(self.status, &self.errors, error),
            "expected {id}, got {}",
            self.shown()
        );
        Ok(error)
    }

    /// Status and the beginning of the body, for messages.
    pub fn shown(&self) -> String {
        format!("HTTP {} {}", self.status, shown(&self.body))
    }
}

fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, json: Value) -> Answer {
        Answer {
            operation: "listInstances".into(),
            status,
            headers: HeaderMap::new(),
            body: json.to_string().into_bytes(),
            errors: error_faces(&json),
            json: Some(json),
            success: false,
        }
    }

    #[test]
    fn messages_are_compared_where_the_contract_has_them_verbatim() {
        let git = Document::load("git").unwrap();
        let id = "createOAuth/400/SVCSTG.REPO.0400";
        let sent = |message: &str| answer(400, json!({ "error_code": "SVCSTG.REPO.0400", "error_msg": message }));
        sent("parameter invalid").expect_error(&git, id).unwrap();
        assert!(sent("something else").expect_error(&git, id).is_err());
        sent("something else").expect_error_code(&git, id).unwrap();
        assert!(
            answer(500, json!({ "error_code": "SVCSTG.REPO.0400" }))
                .expect_error_code(&git, id)
                .is_err()
        );
        let mef = Document::load("mef-center").unwrap();
        let id = "createNodeGroup/400/40012000";
        answer(400, json!({ "status": "40012000", "msg": "node group is duplicate" }))
            .expect_error(&mef, id)
            .unwrap();
        assert!(
            answer(400, json!({ "status": "40012000", "msg": "" }))
                .expect_error(&mef, id)
                .is_err()
        );
        assert!(
            answer(400, json!({ "status": "40012001", "msg": "no" }))
                .expect_error(&mef, id)
                .is_err()
        );
        assert!(
            answer(400, json!({}))
                .expect_error(&mef, "createNodeGroup/400/1")
                .is_err(),
            "no such error"
        );
    }
}
