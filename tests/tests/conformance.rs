//! Every contract case, as `edgedeck-conformance` runs them: none may fail.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use edgedeck_tests::contract::{report, suites};

#[tokio::test(flavor = "multi_thread")]
async fn no_contract_case_fails() {
    let mut failures = Vec::new();
    for suite in suites::all() {
        failures.extend(report::run(&suite, None).await.unwrap().failures);
    }
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
