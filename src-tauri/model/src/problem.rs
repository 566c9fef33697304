//! One form for everything that can be refused or go wrong, for people and programs alike.

use crate::text::Lang;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What kind of refusal or failure. Stable: clients match on it, never on the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A field breaks a rule; `field` and `reason` say which.
    Invalid,
    /// The body is not JSON of the expected shape.
    Malformed,
    /// The body is larger than the limit.
    TooLarge,
    /// No session, or one that has ended.
    Unauthenticated,
    /// Name or password is wrong.
    WrongPassword,
    /// Too many wrong tries; `seconds` says how long to wait.
    Locked,
    /// The role does not allow it.
    Forbidden,
    NotFound,
    /// Another thing has that name, serial number …
    Taken,
    /// Somebody changed it since it was read.
    Changed,
    /// It is used elsewhere, or its state does not allow this.
    Conflict,
    /// It does not fit a node; `reason` says why.
    DoesNotFit,
    /// A join token is unknown, used up or expired.
    BadToken,
    /// The node cannot be reached now.
    Unreachable,
    /// The store cannot write now: the disk is full, read-only or failing.
    StoreUnavailable,
    /// Not built yet.
    NotBuilt,
    /// Something that should not happen did; the log has more.
    Internal,
}

/// A refusal or failure: a code, the facts to put into a sentence, and technical detail to copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub code: Code,
    /// Facts for the sentence: `field`, `reason`, `name`, `seconds` …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
    /// Technical detail in English, for a bug report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Problem {
    pub fn new(code: Code) -> Self {
        Self {
            code,
            facts: BTreeMap::new(),
            detail: None,
        }
    }

    /// A field that breaks the rule `reason` (a key of `text::reason`).
    pub fn invalid(field: &str, reason: &str) -> Self {
        Self::new(Code::Invalid).with("field", field).with("reason", reason)
    }

    /// `what` is a noun's key (`node`, `group` …).
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound).with("what", what)
    }

    pub fn taken(what: &str, name: &str) -> Self {
        Self::new(Code::Taken).with("what", what).with("name", name)
    }

    pub fn conflict(reason: &str) -> Self {
        Self::new(Code::Conflict).with("reason", reason)
    }

    pub fn internal(detail: impl fmt::Display) -> Self {
        Self {
            detail: Some(detail.to_string()),
            ..Self::new(Code::Internal)
        }
    }

    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.facts.insert(key.to_owned(), value.to_string());
        self
    }

    pub fn fact(&self, key: &str) -> &str {
        self.facts.get(key).map_or("", String::as_str)
    }

    /// As [`Self::text`], with what a machine has said about it.
    pub fn whole(&self, lang: Lang) -> String {
        match &self.detail {
            Some(detail) => format!("{} ({detail})", self.text(lang)),
            None => self.text(lang),
        }
    }

    /// What happened, to what, and what to do, in one or two sentences.
    pub fn text(&self, lang: Lang) -> String {
        crate::text::problem(self, lang)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.whole(Lang::En))
    }
}

impl std::error::Error for Problem {}
