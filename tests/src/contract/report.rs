//! What a run has shown of a document, counted from the document.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::document::{Document, Origin};
use super::recorder::Recording;
use super::suite::{CaseResult, Exception, Suite};

/// The figures of one document; its JSON is what other programs read.
#[derive(Debug, Serialize)]
pub struct Report {
    pub document: &'static str,
    pub operations: Operations,
    /// Rules that the original text states.
    pub rules: Coverage,
    /// Rules that the contract adds.
    pub inferred_rules: Coverage,
    /// Documented errors.
    pub errors: Coverage,
    /// Cases that failed, and mistakes of the suite. Not part of the figures.
    #[serde(skip)]
    pub failures: Vec<String>,
}

/// Operations that a passed case called with success, the answer fitting the contract.
#[derive(Debug, Serialize)]
pub struct Operations {
    pub served: usize,
    pub total: usize,
    pub missing: Vec<String>,
}

/// Rules or errors with a case bound to them that ran and passed. `total` is `tested` and the three lists together.
#[derive(Debug, Serialize)]
pub struct Coverage {
    pub tested: usize,
    pub total: usize,
    pub untested: Vec<String>,
    pub excused: Vec<Exception>,
    pub departed: Vec<Exception>,
}

/// Runs a suite and counts.
///
/// # Errors
/// The document cannot be read.
pub async fn run(suite: &Suite, only: Option<&str>) -> anyhow::Result<Report> {
    let document = Document::load(suite.document)?;
    let mistakes = suite.mistakes(&document);
    let results = suite.run(Recording::new(document.clone()), only).await;
    Ok(count(&document, suite, &results, mistakes))
}

fn count(document: &Document, suite: &Suite, results: &[CaseResult], mistakes: Vec<String>) -> Report {
    let passed: Vec<_> = results.iter().filter(|result| result.failure.is_none()).collect();
    let shown: BTreeSet<&str> = passed
        .iter()
        .flat_map(|result| result.binding.rules.iter().chain(result.binding.errors))
        .copied()
        .collect();
    let served: BTreeSet<&str> = passed
        .iter()
        .flat_map(|result| &result.calls)
        .filter(|call| call.success && call.fits)
        .map(|call| call.operation.as_str())
        .collect();
    let (served, missing): (Vec<_>, Vec<_>) = document
        .operations
        .iter()
        .map(|operation| operation.id.clone())
        .partition(|id| served.contains(id.as_str()));
    let rules = |origin| {
        document
            .rules
            .iter()
            .filter(move |rule| rule.origin == origin)
            .map(|rule| rule.id.as_str())
    };
    let mut failures = mistakes;
    for CaseResult { binding, failure, .. } in results {
        if let Some(failure) = failure {
            let bound: Vec<_> = binding.rules.iter().chain(binding.errors).copied().collect();
            failures.push(format!(
                "{} {} [{}]: {failure}",
                binding.place,
                binding.operation,
                bound.join(", ")
            ));
        }
    }
    Report {
        document: document.name,
        operations: Operations {
            served: served.len(),
            total: document.operations.len(),
            missing,
        },
        rules: coverage(rules(Origin::Documented), &shown, suite),
        inferred_rules: coverage(rules(Origin::Inferred), &shown, suite),
        errors: coverage(document.errors.iter().map(|error| error.id.as_str()), &shown, suite),
        failures,
    }
}

fn coverage<'a>(ids: impl Iterator<Item = &'a str>, shown: &BTreeSet<&str>, suite: &Suite) -> Coverage {
    let mut coverage = Coverage {
        tested: 0,
        total: 0,
        untested: vec![],
        excused: vec![],
        departed: vec![],
    };
    for id in ids {
        let listed = |exceptions: &[Exception]| exceptions.iter().find(|exception| exception.rule == id).copied();
        coverage.total += 1;
        if let Some(exception) = listed(suite.excused) {
            coverage.excused.push(exception);
        } else if let Some(exception) = listed(suite.departed) {
            coverage.departed.push(exception);
        } else if shown.contains(id) {
            coverage.tested += 1;
        } else {
            coverage.untested.push(id.to_owned());
        }
    }
    coverage
}

/// The reports for a person: a table, then what is missing, by name.
pub fn table(reports: &[Report]) -> String {
    let mut text = format!(
        "{:<16} {:>11} {:>11} {:>15} {:>11}\n",
        "document", "operations", "rules", "inferred rules", "errors"
    );
    let pair = |done: usize, total: usize| format!("{done}/{total}");
    for Report {
        document,
        operations,
        rules,
        inferred_rules,
        errors,
        ..
    } in reports
    {
        let _ = writeln!(
            text,
            "{document:<16} {:>11} {:>11} {:>15} {:>11}",
            pair(operations.served, operations.total),
            pair(rules.tested, rules.total),
            pair(inferred_rules.tested, inferred_rules.total),
            pair(errors.tested, errors.total),
        );
    }
    for report in reports {
        let _ = writeln!(text, "\n{}", report.document);
        list(&mut text, "operations missing", &report.operations.missing);
        let parts = [
            ("rules", &report.rules),
            ("inferred rules", &report.inferred_rules),
            ("errors", &report.errors),
        ];
        for (name, coverage) in parts {
            list(&mut text, &format!("{name} untested"), &coverage.untested);
            for Exception { rule, why } in &coverage.excused {
                let _ = writeln!(text, "  excused {rule}: {why}");
            }
            for Exception { rule, why } in &coverage.departed {
                let _ = writeln!(text, "  departed {rule}: {why}");
            }
        }
    }
    text
}

fn list(text: &mut String, name: &str, ids: &[String]) {
    if !ids.is_empty() {
        let _ = writeln!(text, "  {name} ({}): {}", ids.len(), ids.join(" "));
    }
}
