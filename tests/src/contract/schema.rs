//! Answers and examples against the contract's schemas (OpenAPI 3.1, so JSON Schema 2020-12).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::{Map, Value, json};

use super::document::{Document, Operation};

/// Marks of a documented example that does not fit its own schema; it is kept for the reader and not tested.
const MISFITS: [&str; 2] = ["x-invalid", "x-breaks-schema"];
/// The largest compiled pattern, in bytes: a class repeated 20,480 times needs more than the library's default.
const MAX_PATTERN: usize = 256 << 20;
/// How many violations of one body are told; the rest only repeats them.
const MAX_TOLD: usize = 12;

/// Compiled schemas by the place they stand at.
#[derive(Default)]
pub(super) struct Validators(Mutex<HashMap<String, Arc<Validator>>>);

impl Document {
    /// Holds an answer against the contract: the status is one of the operation's, the content type is one of the
    /// status's, the body fits the schema. A status without content in the contract may carry any body, as the text
    /// is silent there, except for 204, which has none.
    ///
    /// # Errors
    /// What breaks the contract, one sentence each.
    pub fn check_response(
        &self,
        operation_id: &str,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<(), Vec<String>> {
        let operation = self.operation_or_violation(operation_id)?;
        let definition = self
            .definition(operation)
            .ok_or_else(|| vec![format!("{operation_id} has no definition")])?;
        if status == 204 && !body.is_empty() {
            return Err(vec![format!("HTTP 204 has no body, this one has {} bytes", body.len())]);
        }
        let responses = definition.get("responses").unwrap_or(&Value::Null);
        let response = responses.get(status.to_string()).or_else(|| responses.get("default"));
        let Some(response) = response else {
            // Some statuses stand only in the list of errors; nothing is said about their body.
            let listed = self
                .errors
                .iter()
                .any(|error| error.operation == operation.owner && error.status == status);
            return if listed {
                Ok(())
            } else {
                Err(vec![format!("status {status} is not in the contract")])
            };
        };
        let response = self
            .resolve(response)
            .ok_or_else(|| vec![format!("response {status}: broken reference")])?;
        let Some(contents) = response
            .get("content")
            .and_then(Value::as_object)
            .filter(|map| !map.is_empty())
        else {
            return Ok(());
        };
        let essence = content_type.map(essence).unwrap_or_default();
        let Some((_, media)) = contents
            .iter()
            .find(|(documented, _)| self::essence(documented) == essence)
        else {
            let documented: Vec<_> = contents.keys().map(String::as_str).collect();
            return Err(vec![format!(
                "content type is {essence:?}, the contract has {}",
                documented.join(", ")
            )]);
        };
        if !is_json(&essence) {
            return Ok(());
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|error| vec![format!("the body is not JSON: {error}")])?;
        self.check_media(&format!("{}/{status}/{essence}", operation.owner), media, &body)
    }

    /// Holds a request body against the operation's request schema. Documented examples pass this unless marked.
    ///
    /// # Errors
    /// What breaks the contract, one sentence each.
    pub fn check_request_example(&self, operation_id: &str, body: &Value) -> Result<(), Vec<String>> {
        let operation = self.operation_or_violation(operation_id)?;
        let media = self
            .definition(operation)
            .and_then(|definition| {
                self.resolve(definition.get("requestBody")?)?
                    .pointer("/content/application~1json")
            })
            .ok_or_else(|| vec![format!("{operation_id} takes no JSON body")])?;
        self.check_media(&format!("{}/request", operation.owner), media, body)
    }

    /// Holds every documented example that is not marked as a misfit against its schema.
    ///
    /// # Errors
    /// The examples that do not fit, with where and why.
    pub fn check_examples(&self) -> Result<usize, Vec<String>> {
        let mut checked = 0;
        let mut wrong = Vec::new();
        for operation in self
            .operations
            .iter()
            .filter(|operation| operation.id == operation.owner)
        {
            for (place, carrier) in self.carriers(operation) {
                for (name, example) in self.examples(carrier) {
                    checked += 1;
                    if let Err(violations) = self.check_media(&place, carrier, example) {
                        wrong.push(format!("{place}, example {name}: {}", violations.join("; ")));
                    }
                }
            }
        }
        if wrong.is_empty() { Ok(checked) } else { Err(wrong) }
    }

    fn operation_or_violation(&self, id: &str) -> Result<&Operation, Vec<String>> {
        self.operation(id)
            .ok_or_else(|| vec![format!("{} has no operation {id}", self.name)])
    }

    /// Everything of an operation that carries a schema and examples: parameters, JSON request, JSON responses.
    fn carriers<'a>(&'a self, operation: &Operation) -> Vec<(String, &'a Value)> {
        let mut carriers = Vec::new();
        let Some(definition) = self.definition(operation) else {
            return carriers;
        };
        let parameters = definition
            .get("parameters")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for parameter in parameters.iter().filter_map(|parameter| self.resolve(parameter)) {
            let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
            carriers.push((format!("{}/parameter/{name}", operation.owner), parameter));
        }
        let mut add_contents = |place: &str, holder: &'a Value| {
            let contents = self
                .resolve(holder)
                .and_then(|holder| holder.get("content")?.as_object());
            for (content_type, media) in contents.into_iter().flatten() {
                if is_json(&essence(content_type)) {
                    carriers.push((format!("{}/{place}", operation.owner), media));
                }
            }
        };
        if let Some(request) = definition.get("requestBody") {
            add_contents("request", request);
        }
        for (status, response) in definition
            .get("responses")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            add_contents(&format!("{status}/application/json"), response);
        }
        carriers
    }

    fn examples<'a>(&'a self, carrier: &'a Value) -> Vec<(&'a str, &'a Value)> {
        let mut examples = Vec::new();
        if let Some(example) = carrier.get("example").filter(|_| !is_misfit(carrier)) {
            examples.push(("example", example));
        }
        for (name, example) in carrier.get("examples").and_then(Value::as_object).into_iter().flatten() {
            if let Some(example) = self.resolve(example).filter(|example| !is_misfit(example)) {
                examples.extend(example.get("value").map(|value| (name.as_str(), value)));
            }
        }
        examples
    }

    /// Holds a value against the schema of a media type or parameter; `place` names that schema within the document.
    fn check_media(&self, place: &str, media: &Value, value: &Value) -> Result<(), Vec<String>> {
        let Some(schema) = media.get("schema") else {
            return Ok(());
        };
        let validator = self.validator(place, schema).map_err(|error| vec![error])?;
        let violations: Vec<_> = validator
            .iter_errors(value)
            .take(MAX_TOLD)
            .map(|error| format!("{}: {}", error.instance_path(), shorten(&error.to_string())))
            .collect();
        if violations.is_empty() { Ok(()) } else { Err(violations) }
    }

    fn validator(&self, place: &str, schema: &Value) -> Result<Arc<Validator>, String> {
        let mut validators = self.validators.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(validator) = validators.get(place) {
            return Ok(Arc::clone(validator));
        }
        // The schema's references are into the document's components; those become part of the compiled schema.
        let schemas = self
            .root
            .pointer("/components/schemas")
            .cloned()
            .unwrap_or(Value::Object(Map::new()));
        let whole = json!({ "allOf": [schema], "components": { "schemas": schemas } });
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::fancy_regex().size_limit(MAX_PATTERN))
            .build(&whole)
            .map_err(|error| format!("the contract's schema of {place} cannot be compiled: {error}"))?;
        let validator = Arc::new(validator);
        validators.insert(place.to_owned(), Arc::clone(&validator));
        Ok(validator)
    }
}

/// A content type without its parameters, in lower case.
fn essence(content_type: &str) -> String {
    content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase()
}

fn is_json(essence: &str) -> bool {
    essence == "application/json" || essence.ends_with("+json")
}

fn is_misfit(example: &Value) -> bool {
    MISFITS.iter().any(|mark| example.get(mark).is_some()) || example.get("x-validates") == Some(&Value::Bool(false))
}

fn shorten(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{} …", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_examples_fit_their_schemas() {
        let mut wrong = Vec::new();
        for name in Document::names() {
            match Document::load(name).unwrap().check_examples() {
                Ok(checked) => assert!(checked > 0, "{name} has examples"),
                Err(violations) => wrong.extend(violations.into_iter().map(|violation| format!("{name}: {violation}"))),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn a_marked_example_does_break_its_schema() {
        let mef = Document::load("mef-center").unwrap();
        let example = mef
            .definition(mef.operation("createApp").unwrap())
            .and_then(|op| op.pointer("/requestBody/content/application~1json/examples/documented/value"))
            .unwrap();
        let violations = mef.check_request_example("createApp", example).unwrap_err();
        assert!(
            violations.iter().any(|violation| violation.contains("hostIP")),
            "{violations:?}"
        );
    }

    #[test]
    fn answers_are_held_against_status_type_and_schema() {
        let mef = Document::load("mef-center").unwrap();
        let json = Some("application/json; charset=utf-8");
        let check = |status, content_type, body: &str| {
            mef.check_response("createNodeGroup", status, content_type, body.as_bytes())
        };
        assert_eq!(
            check(200, json, r#"{"status":"00000000","msg":"success","data":1}"#),
            Ok(())
        );
        assert!(
            check(200, json, r#"{"status":"00000000","msg":"success"}"#).is_err(),
            "data is missing"
        );
        assert!(
            check(200, json, r#"{"status":"00000000","msg":"success","data":"1"}"#).is_err(),
            "data is text"
        );
        assert!(
            check(200, json, r#"{"status":"40012000","msg":"success","data":1}"#).is_err(),
            "status is an error"
        );
        assert!(
            check(400, json, r#"{"status":"00000000","msg":"no"}"#).is_err(),
            "an error has no success code"
        );
        assert!(check(400, json, r#"{"status":"40012000","msg":"no"}"#).is_ok());
        assert!(check(200, Some("text/html"), "<p>").is_err(), "wrong content type");
        assert!(check(200, None, "{}").is_err(), "no content type");
        assert!(check(200, json, "{").is_err(), "not JSON");
        assert!(check(418, json, "{}").is_err(), "unknown status");
        assert!(
            mef.check_response("noSuchOperation", 200, json, b"{}").is_err(),
            "unknown operation"
        );
    }
}
