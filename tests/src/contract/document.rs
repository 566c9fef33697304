//! A contract document: operations, rules and documented errors, with the ids that tests are bound to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::schema::Validators;

/// The operation part of the ids of rules that stand for the whole document.
pub const GLOBAL: &str = "global";

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
/// Where rules stand, and whether that place alone makes them inferred.
const RULE_KEYS: [(&str, bool); 3] = [
    ("x-rules", false),
    ("x-rules-inferred", true),
    ("x-global-rules", false),
];
/// A rule that carries one of these marks says more than the original text does.
const INFERRED_MARKS: [&str; 3] = ["[inferred]", "(inferred)", "(source)"];

/// The contract documents by name, in the order of their names.
const TEXTS: [(&str, &str); 9] = [
    ("cse", include_str!("../../contract/cse.yaml")),
    ("git", include_str!("../../contract/git.yaml")),
    ("hilens", include_str!("../../contract/hilens.yaml")),
    ("iotedge", include_str!("../../contract/iotedge.yaml")),
    ("mef-center", include_str!("../../contract/mef-center.yaml")),
    ("servicecomb", include_str!("../../contract/servicecomb.yaml")),
    ("servicestage-v2", include_str!("../../contract/servicestage-v2.yaml")),
    ("servicestage-v3", include_str!("../../contract/servicestage-v3.yaml")),
    ("tingyu", include_str!("../../contract/tingyu.yaml")),
];

/// What can be wrong with a contract document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("no contract document is called {name}; there are: {known}")]
    Unknown { name: String, known: String },
    #[error("reading the contract document {name} as YAML: {source}")]
    Yaml { name: String, source: serde_yaml_ng::Error },
    #[error("the contract document {name}: {what}")]
    Shape { name: String, what: String },
}

/// Whether the original text says so, or the contract adds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    Documented,
    Inferred,
}

/// One documented operation. Two documented operations may share a method and path (`x-merged`); each is one of these.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The documented name; `<owner>:<name>` for a merged operation whose name another operation bears.
    pub id: String,
    /// The `operationId` under which rules and errors stand; differs from `id` only for merged operations.
    pub owner: String,
    pub method: Method,
    /// The path template below [`Document::base_path`], for example `/edgemanager/v1/node`.
    pub path: String,
    pub origin: Origin,
}

/// One testable sentence of the contract.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `<operationId>/<first 8 hex of SHA-256 of the text>`, or `global/…`.
    pub id: String,
    pub operation: String,
    pub origin: Origin,
    pub text: String,
}

/// One error of an operation.
#[derive(Debug, Clone)]
pub struct DocumentedError {
    /// `<operationId>/<status>/<code>`, the code `-` where the contract has none. Errors of one operation that share
    /// both are told apart by a last part: the first 8 hex of SHA-256 of message, line feed, occasion.
    pub id: String,
    pub operation: String,
    pub origin: Origin,
    /// HTTP status.
    pub status: u16,
    /// The code in the body; none where only the status is documented.
    pub code: Option<String>,
    /// The message; see [`Document::sends_verbatim`].
    pub message: String,
    /// The occasion that provokes it.
    pub when: String,
}

/// A contract document.
pub struct Document {
    pub name: &'static str,
    pub operations: Vec<Operation>,
    pub rules: Vec<Rule>,
    pub errors: Vec<DocumentedError>,
    /// What every path stands below, for example `/tingyu`; empty for most.
    pub base_path: String,
    pub(super) root: Value,
    pub(super) validators: Validators,
    by_id: HashMap<String, usize>,
}

impl Document {
    /// The names of all documents, sorted.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TEXTS.iter().map(|(name, _)| *name)
    }

    /// Reads the document of this name.
    ///
    /// # Errors
    /// An unknown name, or a text that is not the YAML of a contract.
    pub fn load(name: &str) -> Result<Arc<Self>, DocumentError> {
        let (name, text) = TEXTS
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| DocumentError::Unknown {
                name: name.to_owned(),
                known: Self::names().collect::<Vec<_>>().join(", "),
            })?;
        let root: Value = serde_yaml_ng::from_str(text).map_err(|source| DocumentError::Yaml {
            name: (*name).to_owned(),
            source,
        })?;
        Self::read(name, root).map(Arc::new)
    }

    fn read(name: &'static str, root: Value) -> Result<Self, DocumentError> {
        let wrong = |what: String| DocumentError::Shape {
            name: name.to_owned(),
            what,
        };
        let paths = root
            .get("paths")
            .and_then(Value::as_object)
            .ok_or_else(|| wrong("has no paths".into()))?;
        let own_names: HashSet<&str> = paths
            .values()
            .flat_map(|item| {
                METHODS
                    .iter()
                    .filter_map(|method| item.get(*method)?.get("operationId")?.as_str())
            })
            .collect();
        let mut operations = Vec::new();
        let mut rules = rules_of(&root, GLOBAL, Origin::Documented);
        let mut errors = Vec::new();
        for (path, item) in paths {
            for (method, operation) in METHODS.iter().filter_map(|method| Some((*method, item.get(*method)?))) {
                let owner = operation
                    .get("operationId")
                    .and_then(Value::as_str)
                    .ok_or_else(|| wrong(format!("{method} {path} has no operationId")))?;
                let origin = origin_of(operation, Origin::Documented);
                rules.extend(rules_of(operation, owner, origin));
                errors.extend(errors_of(operation, owner, origin).map_err(wrong)?);
                let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                    .map_err(|error| wrong(format!("{path}: {error}")))?;
                for name in documented_names(operation, owner) {
                    let taken = name != owner && own_names.contains(name);
                    operations.push(Operation {
                        id: if taken {
                            format!("{owner}:{name}")
                        } else {
                            name.to_owned()
                        },
                        owner: owner.to_owned(),
                        method: method.clone(),
                        path: path.clone(),
                        origin,
                    });
                }
            }
        }
        let by_id = operations
            .iter()
            .enumerate()
            .map(|(at, operation)| (operation.id.clone(), at))
            .collect();
        let base_path = base_path(&root);
        Ok(Self {
            name,
            operations,
            rules,
            errors,
            base_path,
            validators: Validators::default(),
            root,
            by_id,
        })
    }

    /// The operation of this documented name.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.by_id.get(id).and_then(|at| self.operations.get(*at))
    }

    /// The rule with this id.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The documented error with this id.
    pub fn error(&self, id: &str) -> Option<&DocumentedError> {
        self.errors.iter().find(|error| error.id == id)
    }

    /// What the document says about an operation: the OpenAPI object.
    pub fn definition(&self, operation: &Operation) -> Option<&Value> {
        self.root
            .get("paths")?
            .get(&operation.path)?
            .get(operation.method.as_str().to_ascii_lowercase())
    }

    /// What the document has under a key of its own at the top, as test vectors.
    pub fn extension(&self, key: &str) -> Option<&Value> {
        self.root.get(key)
    }

    /// Whether an answer is a success: by the status, and for the systems that put errors into the body (MEF Center,
    /// Tingyu) by the code there.
    pub fn is_success(&self, status: u16, body: Option<&Value>) -> bool {
        if !(200..300).contains(&status) {
            return false;
        }
        match (self.name, body) {
            ("mef-center", Some(body)) => body.get("status").is_some_and(|code| code == "00000000"),
            ("tingyu", Some(body)) => body.get("code").is_some_and(|code| code == 200),
            _ => true,
        }
    }

    /// Whether the message of an error stands on the wire as in the contract. Not in MEF Center, where the contract has
    /// the description of the code (the text on the wire is free), nor where only the HTTP status is documented.
    pub fn sends_verbatim(&self, error: &DocumentedError) -> bool {
        self.name != "mef-center" && error.code.is_some()
    }

    /// Follows `$ref` inside the document until something stands there itself.
    pub(super) fn resolve<'a>(&'a self, mut node: &'a Value) -> Option<&'a Value> {
        // A contract's references are at most a few deep; the bound ends a circle.
        for _ in 0..16 {
            match node.get("$ref").and_then(Value::as_str) {
                None => return Some(node),
                Some(reference) => node = self.root.pointer(reference.strip_prefix('#')?)?,
            }
        }
        None
    }
}

/// The first 8 hex digits of the SHA-256 of a text.
fn short_hash(text: &str) -> String {
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    digest.chars().take(8).collect()
}

fn text_of<'a>(node: &'a Value, key: &str) -> &'a str {
    node.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// `x-origin` (or `origin`, as one document writes it) of a node.
fn origin_of(node: &Value, default: Origin) -> Origin {
    match node
        .get("x-origin")
        .or_else(|| node.get("origin"))
        .and_then(Value::as_str)
    {
        Some("inferred") => Origin::Inferred,
        Some("documented") => Origin::Documented,
        _ => default,
    }
}

fn documented_names<'a>(operation: &'a Value, owner: &'a str) -> Vec<&'a str> {
    let parts = operation
        .get("x-merged")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let names: Vec<_> = parts
        .iter()
        .map(|part| text_of(part, "operationId"))
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() { vec![owner] } else { names }
}

fn rules_of(node: &Value, operation: &str, origin: Origin) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (key, inferred) in RULE_KEYS {
        let texts = node
            .get(key)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        for text in texts.iter().filter_map(Value::as_str) {
            rules.push(Rule {
                id: format!("{operation}/{}", short_hash(text)),
                operation: operation.to_owned(),
                origin: if inferred || is_marked_inferred(text) {
                    Origin::Inferred
                } else {
                    origin
                },
                text: text.to_owned(),
            });
        }
    }
    rules
}

/// Whether a mark begins the sentence or closes a clause of it. A sentence *about* marks is not marked, and a mark of a
/// detail only, as in `(source: case-sensitive)`, leaves the sentence documented.
fn is_marked_inferred(text: &str) -> bool {
    INFERRED_MARKS.iter().any(|mark| {
        text.match_indices(mark).any(|(at, _)| {
            let after = text.get(at + mark.len()..).unwrap_or_default();
            at == 0 || after.is_empty() || after.starts_with(['.', ';', ',', ':'])
        })
    })
}

fn errors_of(node: &Value, operation: &str, origin: Origin) -> Result<Vec<DocumentedError>, String> {
    let entries = node
        .get("x-errors")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mut errors = Vec::new();
    for entry in entries {
        let status = entry
            .get("status")
            .and_then(Value::as_u64)
            .and_then(|status| u16::try_from(status).ok());
        let status = status.ok_or_else(|| format!("an error of {operation} has no HTTP status"))?;
        let code = entry.get("code").and_then(code_text);
        errors.push(DocumentedError {
            id: format!("{operation}/{status}/{}", code.as_deref().unwrap_or("-")),
            operation: operation.to_owned(),
            origin: origin_of(entry, origin),
            status,
            code,
            message: text_of(entry, "message").to_owned(),
            when: text_of(entry, "when").to_owned(),
        });
    }
    let mut uses = BTreeMap::new();
    for error in &errors {
        *uses.entry(error.id.clone()).or_insert(0_usize) += 1;
    }
    for error in errors
        .iter_mut()
        .filter(|error| uses.get(&error.id).is_some_and(|uses| *uses > 1))
    {
        error.id = format!(
            "{}/{}",
            error.id,
            short_hash(&format!("{}\n{}", error.message, error.when))
        );
    }
    Ok(errors)
}

/// A code as text: most systems write text, Tingyu also numbers.
pub(super) fn code_text(code: &Value) -> Option<String> {
    match code {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The path of the first server's URL.
fn base_path(root: &Value) -> String {
    let url = root
        .pointer("/servers/0/url")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest
            .split_once('/')
            .map(|(_, path)| format!("/{path}"))
            .unwrap_or_default(),
        None => url.to_owned(),
    };
    path.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What the contract's own summary counts, per document: operations documented and inferred, rules, errors.
    const SUMMARY: [(&str, usize, usize, usize, usize); 9] = [
        ("cse", 8, 0, 39, 36),
        ("git", 23, 0, 58, 114),
        ("hilens", 58, 3, 213, 399),
        ("iotedge", 1, 22, 62, 75),
        ("mef-center", 47, 0, 253, 154),
        ("servicecomb", 30, 17, 148, 171),
        ("servicestage-v2", 33, 2, 236, 110),
        ("servicestage-v3", 62, 2, 271, 118),
        ("tingyu", 25, 0, 97, 37),
    ];

    #[test]
    fn totals_are_those_of_the_summary() {
        for (name, documented, inferred, rules, errors) in SUMMARY {
            let document = Document::load(name).unwrap();
            let count = |origin| {
                document
                    .operations
                    .iter()
                    .filter(|operation| operation.origin == origin)
                    .count()
            };
            assert_eq!(count(Origin::Documented), documented, "{name}: documented operations");
            assert_eq!(count(Origin::Inferred), inferred, "{name}: inferred operations");
            assert_eq!(document.rules.len(), rules, "{name}: rules");
            assert_eq!(document.errors.len(), errors, "{name}: errors");
        }
        assert_eq!(SUMMARY.map(|row| row.0).to_vec(), Document::names().collect::<Vec<_>>());
    }

    #[test]
    fn ids_are_unique() {
        for name in Document::names() {
            let document = Document::load(name).unwrap();
            let operations: BTreeSet<_> = document.operations.iter().map(|operation| &operation.id).collect();
            let rules: BTreeSet<_> = document.rules.iter().map(|rule| &rule.id).collect();
            let errors: BTreeSet<_> = document.errors.iter().map(|error| &error.id).collect();
            assert_eq!(operations.len(), document.operations.len(), "{name}: operations");
            assert_eq!(rules.len(), document.rules.len(), "{name}: rules");
            assert_eq!(errors.len(), document.errors.len(), "{name}: errors");
        }
    }

    #[test]
    fn marks_make_a_rule_inferred() {
        assert!(is_marked_inferred("[inferred] The answer is not paged."));
        assert!(is_marked_inferred("An unknown id is refused (source)."));
        assert!(is_marked_inferred(
            "A description left out is kept (source); the text does not say."
        ));
        assert!(!is_marked_inferred(
            "name is a search word (source: case-sensitive); an empty name is no filter."
        ));
        assert!(!is_marked_inferred(
            "Rules that end with (inferred) or (by example) are not stated literally."
        ));
    }

    #[test]
    fn rules_of_readings_and_of_inferred_operations_are_inferred() {
        let tingyu = Document::load("tingyu").unwrap();
        let read = |document: &Document, key: &str| {
            let texts = document.root.get(key).and_then(Value::as_array).unwrap().clone();
            texts
                .iter()
                .map(|text| format!("{GLOBAL}/{}", short_hash(text.as_str().unwrap())))
                .collect::<Vec<_>>()
        };
        for id in read(&tingyu, "x-rules-inferred") {
            assert_eq!(tingyu.rule(&id).unwrap().origin, Origin::Inferred, "{id}");
        }
        for id in read(&tingyu, "x-rules") {
            assert_eq!(tingyu.rule(&id).unwrap().origin, Origin::Documented, "{id}");
        }
        let hilens = Document::load("hilens").unwrap();
        let inferred: Vec<_> = hilens
            .operations
            .iter()
            .filter(|op| op.origin == Origin::Inferred)
            .collect();
        for rule in hilens
            .rules
            .iter()
            .filter(|rule| inferred.iter().any(|op| op.owner == rule.operation))
        {
            assert_eq!(rule.origin, Origin::Inferred, "{}", rule.id);
        }
    }

    #[test]
    fn merged_operations_share_a_path_and_errors_alike_are_told_apart() {
        let servicestage = Document::load("servicestage-v3").unwrap();
        let (create, import) = (
            servicestage.operation("createComponent").unwrap(),
            servicestage.operation("importComponent").unwrap(),
        );
        assert_eq!((&create.method, &create.path), (&import.method, &import.path));
        assert_eq!(create.owner, import.owner);
        let tingyu = Document::load("tingyu").unwrap();
        assert_eq!(tingyu.base_path, "/tingyu");
        let alike = tingyu
            .errors
            .iter()
            .filter(|error| error.id.starts_with("createContainers/200/500/"))
            .count();
        assert_eq!(alike, 2);
    }
}
