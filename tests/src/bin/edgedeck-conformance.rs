//! Runs the contract cases against a running lab and prints what they have shown.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Parser;
use edgedeck_tests::contract::{Document, report, suites};

/// Contract conformance: per document the operations served and the rules and documented errors with a passed test.
/// Ends with 1 when a case fails.
#[derive(Parser)]
struct Options {
    /// The documents to run; all by default.
    documents: Vec<String>,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Run only the cases of this operation.
    #[arg(long, value_name = "OPERATION")]
    only: Option<String>,
    /// Run nothing; list the rules and errors of a document, or of one of its operations, with their ids.
    #[arg(long, num_args = 1..=2, value_names = ["DOCUMENT", "OPERATION"], conflicts_with_all = ["documents", "json", "only"])]
    rules: Option<Vec<String>>,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    if let Some(wanted) = &options.rules {
        let document = wanted.first().map(String::as_str).unwrap_or_default();
        let document = Document::load(document)?;
        print!("{}", rules(&document, wanted.get(1).map(String::as_str))?);
        return Ok(ExitCode::SUCCESS);
    }
    for name in &options.documents {
        Document::load(name)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut reports = Vec::new();
    for suite in suites::all() {
        if options.documents.is_empty() || options.documents.iter().any(|name| name == suite.document) {
            reports.push(runtime.block_on(report::run(&suite, options.only.as_deref()))?);
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        print!("{}", report::table(&reports));
    }
    let failures: Vec<_> = reports.iter().flat_map(|report| &report.failures).collect();
    for failure in &failures {
        eprintln!("failed: {failure}");
    }
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The rules and errors of a document or of one operation, as people copy them into a case.
fn rules(document: &Document, operation: Option<&str>) -> anyhow::Result<String> {
    let owner = match operation {
        None | Some("global") => operation,
        Some(id) => match document.operation(id) {
            Some(operation) => Some(operation.owner.as_str()),
            None => anyhow::bail!("{} has no operation {id}", document.name),
        },
    };
    let mut text = String::new();
    for rule in document
        .rules
        .iter()
        .filter(|rule| owner.is_none_or(|owner| owner == rule.operation))
    {
        let origin = format!("{:?}", rule.origin).to_lowercase();
        let _ = writeln!(text, "{}  {origin}\n    {}", rule.id, rule.text);
    }
    for error in document
        .errors
        .iter()
        .filter(|error| owner.is_none_or(|owner| owner == error.operation))
    {
        let origin = format!("{:?}", error.origin).to_lowercase();
        let _ = writeln!(
            text,
            "{}  {origin}\n    {}  when: {}",
            error.id, error.message, error.when
        );
    }
    Ok(text)
}
