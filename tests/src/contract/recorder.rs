//! What the contract clients of a case saw.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::client::ContractClient;
use super::document::{Document, DocumentedError, code_text};

/// The names under which the systems write an error's code and its message.
const CODE_KEYS: [&str; 4] = ["status", "code", "error_code", "errorCode"];
const MESSAGE_KEYS: [&str; 5] = ["msg", "message", "error_msg", "error_message", "errorMessage"];
/// How deep error objects are looked for: batch answers have them in a list of items.
const MAX_DEPTH: usize = 8;

/// A code and messages found together in one object of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorFace {
    pub code: String,
    pub messages: Vec<String>,
}

/// One answered call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The documented name of the operation.
    pub operation: String,
    /// The `operationId` its rules and errors stand under.
    pub owner: String,
    pub status: u16,
    pub success: bool,
    /// Whether the answer fits the contract.
    pub fits: bool,
    pub errors: Vec<ErrorFace>,
}

impl Call {
    /// Whether this answer shows the error: its operation, its HTTP status and, where it has one, its code.
    pub fn shows(&self, error: &DocumentedError) -> bool {
        self.owner == error.operation && shows(self.status, &self.errors, error)
    }
}

/// Collects calls; clones share the collection.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Call>>>);

impl Recorder {
    pub(super) fn add(&self, call: Call) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(call);
    }

    /// The calls since the last time, in the order of their answers.
    pub fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A document and the recorder of this run: what a lab makes its clients from.
#[derive(Clone)]
pub struct Recording {
    pub document: Arc<Document>,
    pub recorder: Recorder,
}

impl Recording {
    pub fn new(document: Arc<Document>) -> Self {
        Self {
            document,
            recorder: Recorder::default(),
        }
    }

    /// A client for the system at this base URL (scheme, host, port), over this HTTP client, which brings the trust
    /// and the client certificate.
    pub fn client(&self, base_url: &str, http: reqwest::Client) -> ContractClient {
        ContractClient::new(self.clone(), base_url, http)
    }
}

pub(super) fn shows(status: u16, faces: &[ErrorFace], error: &DocumentedError) -> bool {
    let code_seen = |code: &String| faces.iter().any(|face| face.code == *code);
    status == error.status && error.code.as_ref().is_none_or(code_seen)
}

/// Every object of a body that carries a code, with the messages beside it.
pub fn error_faces(body: &Value) -> Vec<ErrorFace> {
    let mut faces = Vec::new();
    collect_faces(body, MAX_DEPTH, &mut faces);
    faces
}

fn collect_faces(node: &Value, depth: usize, faces: &mut Vec<ErrorFace>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match node {
        Value::Array(items) => items.iter().for_each(|item| collect_faces(item, depth, faces)),
        Value::Object(fields) => {
            let messages: Vec<_> = MESSAGE_KEYS
                .iter()
                .filter_map(|key| Some(fields.get(*key)?.as_str()?.to_owned()))
                .collect();
            for code in CODE_KEYS.iter().filter_map(|key| fields.get(*key).and_then(code_text)) {
                faces.push(ErrorFace {
                    code,
                    messages: messages.clone(),
                });
            }
            fields.values().for_each(|value| collect_faces(value, depth, faces));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_seen_at_the_top_and_in_items() {
        let body = json!({"code": 200, "msg": "success", "data": [{"code": 500, "message": "Node is not ready"}]});
        let faces = error_faces(&body);
        assert!(
            faces.contains(&ErrorFace {
                code: "200".into(),
                messages: vec!["success".into()]
            }),
            "{faces:?}"
        );
        assert!(faces.contains(&ErrorFace {
            code: "500".into(),
            messages: vec!["Node is not ready".into()]
        }));
    }

    #[test]
    fn a_call_shows_only_errors_of_its_operation_status_and_code() {
        let mef = Document::load("mef-center").unwrap();
        let call = Call {
            operation: "createNodeGroup".into(),
            owner: "createNodeGroup".into(),
            status: 400,
            success: false,
            fits: true,
            errors: error_faces(&json!({"status": "00001005", "msg": "参数校验失败"})),
        };
        assert!(call.shows(mef.error("createNodeGroup/400/00001005").unwrap()));
        assert!(!call.shows(mef.error("createNodeGroup/400/00001006").unwrap()));
        assert!(!call.shows(mef.error("createApp/400/00001005").unwrap()));
    }
}
