//! Runs the cases of a document against a lab and judges them.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::case::{Case, Chapter, Lab};
use super::document::Document;
use super::recorder::{Call, Recording};

/// How long one case, and the start of one lab, may take. Cases wait for conditions with deadlines of their own that
/// say more; this only ends what hangs.
const LONGEST: Duration = Duration::from_secs(300);
/// How many rules of a document may be excused, and how many departed from.
pub const MAX_EXCEPTIONS: usize = 5;

/// A rule or documented error that no case shows, and why.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Exception {
    /// Id of the rule or error.
    pub rule: &'static str,
    pub why: &'static str,
}

/// What a case says it shows.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    pub operation: &'static str,
    pub rules: &'static [&'static str],
    pub errors: &'static [&'static str],
    pub place: &'static str,
}

/// How a case ended.
#[derive(Debug)]
pub struct CaseResult {
    pub binding: Binding,
    pub calls: Vec<Call>,
    /// Why it failed.
    pub failure: Option<String>,
}

type Runner = dyn Fn(Recording, Option<String>) -> BoxFuture<'static, Vec<CaseResult>> + Send + Sync;

/// The cases of a document.
pub struct Suite {
    pub document: &'static str,
    /// Rules that need missing hardware or a second machine.
    pub excused: &'static [Exception],
    /// Rules that a better system cannot hold.
    pub departed: &'static [Exception],
    pub bindings: Vec<Binding>,
    runner: Box<Runner>,
}

impl Suite {
    /// A document that has no cases yet.
    pub fn empty(document: &'static str) -> Self {
        Self {
            document,
            excused: &[],
            departed: &[],
            bindings: Vec::new(),
            runner: Box::new(|_, _| async { Vec::new() }.boxed()),
        }
    }

    /// The chapters of cases of a document.
    pub fn of<L: Lab>(document: &'static str, chapters: &'static [Chapter<L>]) -> Self {
        Self {
            bindings: chapters.iter().flat_map(|chapter| chapter.cases).map(binding).collect(),
            runner: Box::new(move |recording, only| run_chapters(chapters, recording, only).boxed()),
            ..Self::empty(document)
        }
    }

    #[must_use]
    pub fn excused(self, excused: &'static [Exception]) -> Self {
        Self { excused, ..self }
    }

    #[must_use]
    pub fn departed(self, departed: &'static [Exception]) -> Self {
        Self { departed, ..self }
    }

    /// What is wrong with the suite itself: ids that the document does not have, too many exceptions.
    pub fn mistakes(&self, document: &Document) -> Vec<String> {
        let mut mistakes = Vec::new();
        for binding in &self.bindings {
            let Binding { operation, place, .. } = binding;
            if document.operation(operation).is_none() {
                mistakes.push(format!("{place}: {} has no operation {operation}", document.name));
            }
            for rule in binding.rules.iter().filter(|rule| document.rule(rule).is_none()) {
                mistakes.push(format!("{place}: {} has no rule {rule}", document.name));
            }
            for error in binding.errors.iter().filter(|error| document.error(error).is_none()) {
                mistakes.push(format!("{place}: {} has no error {error}", document.name));
            }
        }
        let bound: BTreeSet<_> = self
            .bindings
            .iter()
            .flat_map(|b| b.rules.iter().chain(b.errors))
            .collect();
        let mut seen = BTreeSet::new();
        for (list, exceptions) in [("excused", self.excused), ("departed", self.departed)] {
            if exceptions.len() > MAX_EXCEPTIONS {
                mistakes.push(format!(
                    "{}: {} rules are {list}, at most {MAX_EXCEPTIONS} may be",
                    document.name,
                    exceptions.len()
                ));
            }
            for Exception { rule, why } in exceptions {
                if document.rule(rule).is_none() && document.error(rule).is_none() {
                    mistakes.push(format!("{list}: {} has no rule or error {rule}", document.name));
                }
                if why.trim().is_empty() {
                    mistakes.push(format!("{list}: {rule} lacks the reason"));
                }
                if bound.contains(rule) {
                    mistakes.push(format!("{list}: {rule} has a case, take it off the list"));
                }
                if !seen.insert(rule) {
                    mistakes.push(format!("{list}: {rule} is listed twice"));
                }
            }
        }
        mistakes
    }

    /// Runs the cases, or only those of one operation.
    pub async fn run(&self, recording: Recording, only: Option<&str>) -> Vec<CaseResult> {
        (self.runner)(recording, only.map(str::to_owned)).await
    }
}

fn binding<L>(case: &Case<L>) -> Binding {
    Binding {
        operation: case.operation,
        rules: case.rules,
        errors: case.errors,
        place: case.place,
    }
}

async fn run_chapters<L: Lab>(
    chapters: &'static [Chapter<L>],
    recording: Recording,
    only: Option<String>,
) -> Vec<CaseResult> {
    let mut results = Vec::new();
    for chapter in chapters {
        let wanted = |case: &&Case<L>| only.as_deref().is_none_or(|operation| case.operation == operation);
        let mut lab: Option<L> = None;
        for case in chapter.cases.iter().filter(wanted) {
            let running = match lab.take() {
                Some(running) => Ok(running),
                None => bounded(L::start(recording.clone())).await,
            };
            let mut running = match running {
                Ok(running) => running,
                Err(ended) => {
                    let failure = Some(format!(
                        "the lab of {} does not start: {}",
                        chapter.name,
                        ended.reason()
                    ));
                    results.push(CaseResult {
                        binding: binding(case),
                        calls: recording.recorder.take(),
                        failure,
                    });
                    continue;
                }
            };
            recording.recorder.take();
            let ended = bounded((case.run)(&mut running)).await;
            let calls = recording.recorder.take();
            let failure = match ended {
                Ok(()) => {
                    lab = Some(running);
                    unshown(&recording.document, case, &calls)
                }
                Err(Ended::Failed(reason)) => {
                    lab = Some(running);
                    Some(reason)
                }
                // Whatever it left half done must not reach the next case.
                Err(Ended::Broken(reason)) => Some(reason),
            };
            results.push(CaseResult {
                binding: binding(case),
                calls,
                failure,
            });
        }
        if let Some(lab) = lab {
            lab.stop().await;
        }
    }
    results
}

/// What a case that came to its end has nevertheless not shown.
fn unshown<L>(document: &Document, case: &Case<L>, calls: &[Call]) -> Option<String> {
    if !calls.iter().any(|call| call.operation == case.operation) {
        return Some(format!("never called {}", case.operation));
    }
    let received = |id: &&&str| {
        document
            .error(id)
            .is_some_and(|error| calls.iter().any(|call| call.fits && call.shows(error)))
    };
    case.errors
        .iter()
        .find(|id| !received(id))
        .map(|id| format!("never received the error {id} it is bound to"))
}

/// How something ended that did not succeed.
enum Ended {
    Failed(String),
    /// It panicked or hung.
    Broken(String),
}

impl Ended {
    fn reason(self) -> String {
        match self {
            Self::Failed(reason) | Self::Broken(reason) => reason,
        }
    }
}

async fn bounded<T>(work: impl Future<Output = anyhow::Result<T>>) -> Result<T, Ended> {
    match tokio::time::timeout(LONGEST, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(Ok(value))) => Ok(value),
        Ok(Ok(Err(error))) => Err(Ended::Failed(format!("{error:#}"))),
        Ok(Err(panic)) => Err(Ended::Broken(format!("panicked: {}", panic_text(panic.as_ref())))),
        Err(_) => Err(Ended::Broken(format!("did not end within {} s", LONGEST.as_secs()))),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message")
}
