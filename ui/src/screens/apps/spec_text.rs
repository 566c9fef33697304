//! A specification as JSON for people: printed, read back, and what is wrong named by its line.

use edgedeck_model::app::Spec;
use serde_json::Value;

/// What is wrong with a text, and on which line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextProblem {
    pub line: usize,
    pub what: Wrong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No JSON, or not of the expected form; in the parser's words.
    Form(String),
    /// A field that a specification does not have: most likely a slip of the pen.
    UnknownField(String),
}

/// Longest text that is read; a specification within the limits is far shorter.
const TEXT_MAX: usize = 1024 * 1024;

pub fn print(spec: &Spec) -> String {
    // A specification has only names as keys, so it cannot fail.
    serde_json::to_string_pretty(spec).unwrap_or_default()
}

pub fn read(text: &str) -> Result<Spec, TextProblem> {
    if text.len() > TEXT_MAX {
        return Err(TextProblem {
            line: 1,
            what: Wrong::Form(format!("longer than {TEXT_MAX} bytes")),
        });
    }
    let wrong = |error: &serde_json::Error| TextProblem {
        line: error.line().max(1),
        what: Wrong::Form(without_place(&error.to_string())),
    };
    let given: Value = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let spec: Spec = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let known = serde_json::to_value(&spec).unwrap_or(Value::Null);
    match unknown(&given, &known) {
        Some(field) => Err(TextProblem {
            line: line_of_key(text, &field),
            what: Wrong::UnknownField(field),
        }),
        None => Ok(spec),
    }
}

/// The parser ends its words with the place, which is shown apart.
fn without_place(words: &str) -> String {
    words
        .rsplit_once(" at line ")
        .map_or(words, |(words, _)| words)
        .to_owned()
}

/// Fields that are not printed while nothing is set.
const UNPRINTED: [&str; 10] = [
    "name",
    "host",
    "https",
    "liveness",
    "readiness",
    "privileged",
    "devices",
    "extra_hosts",
    "npu_model",
    "vnpu",
];

/// The first field that was given and is not known.
fn unknown(given: &Value, known: &Value) -> Option<String> {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => given.iter().find_map(|(key, value)| match known.get(key) {
            Some(known) => unknown(value, known),
            None if says_nothing(value) && UNPRINTED.contains(&key.as_str()) => None,
            None => Some(key.clone()),
        }),
        (Value::Array(given), Value::Array(known)) => {
            given.iter().zip(known).find_map(|(given, known)| unknown(given, known))
        }
        _ => None,
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn line_of_key(text: &str, key: &str) -> usize {
    let quoted = serde_json::to_string(key).unwrap_or_default();
    text.lines()
        .position(|line| line.contains(&quoted))
        .map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use edgedeck_model::app::{Container, Part, Port, Protocol, Resources, Restart, Run};

    fn spec() -> Spec {
        let container = Container {
            image: "registry/app:1".to_owned(),
            ports: vec![Port {
                name: String::new(),
                container: 80,
                host: 8080,
                host_ip: None,
                protocol: Protocol::Tcp,
            }],
            ..Container::default()
        };
        let part = Part {
            name: "app".to_owned(),
            run: Run::Container(container),
            args: vec!["--x".to_owned()],
            env: [("A".to_owned(), "二".to_owned())].into(),
            resources: Resources::default(),
            restart: Restart::OnFailure,
            liveness: None,
            readiness: None,
        };
        Spec { parts: vec![part] }
    }

    #[test]
    fn what_is_printed_is_read_back() {
        assert_eq!(read(&print(&spec())), Ok(spec()));
    }

    #[test]
    fn what_is_left_out_takes_its_usual_value() {
        let short = r#"{"parts":[{"name":"a","run":{"kind":"container","image":"x"}}]}"#;
        let read = read(short);
        assert_eq!(
            read.map(|spec| spec.parts.first().map(|part| part.restart)),
            Ok(Some(Restart::Always))
        );
    }

    #[test]
    fn problems_name_their_line() {
        let text = print(&spec());
        let broken = text.replace("\"registry/app:1\",", "\"registry/app:1\"");
        let line = broken
            .lines()
            .position(|line| line.contains("registry"))
            .map_or(0, |at| at + 1);
        let problem = read(&broken).expect_err("a comma is missing");
        // The parser notices where the next thing begins.
        assert!(problem.line == line + 1, "{problem:?}");
        let Wrong::Form(words) = problem.what else {
            panic!("it is no unknown field")
        };
        assert!(!words.contains("line"), "{words}");

        let slip = text.replace("\"host_network\"", "\"host_netwrok\"");
        let line = slip
            .lines()
            .position(|line| line.contains("netwrok"))
            .map_or(0, |at| at + 1);
        assert_eq!(
            read(&slip),
            Err(TextProblem {
                line,
                what: Wrong::UnknownField("host_netwrok".to_owned())
            })
        );
        assert_eq!(read("").map_err(|problem| problem.line), Err(1));
        assert!(read(&" ".repeat(TEXT_MAX + 1)).is_err());
    }

    #[test]
    fn a_field_that_is_not_printed_may_be_given_all_the_same() {
        let text = |fields: &str| {
            format!(r#"{{"parts":[{{"name":"a","liveness":null,"run":{{"kind":"container","image":"x",{fields}}}}}]}}"#)
        };
        assert!(read(&text(r#""privileged":false,"devices":[]"#)).is_ok());
        assert!(read(&text(r#""privileged":true"#)).is_ok());
        assert!(read(&text(r#""privilegde":false"#)).is_err());
    }

    #[test]
    fn names_of_variables_are_not_fields() {
        let text = print(&spec()).replace("\"A\"", "\"ANYTHING_AT_ALL\"");
        assert!(read(&text).is_ok());
    }
}
