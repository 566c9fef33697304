//! Tests bound to the contract: a case names the operation it is about and the rules and errors it shows.

use std::future::Future;

use futures::future::BoxFuture;

use super::recorder::Recording;

/// What a case's body becomes.
pub type CaseFuture<'a> = BoxFuture<'a, anyhow::Result<()>>;

/// A running system that the cases of one dialect work on: a real engine with the dialect's listener, and the nodes
/// that the cases need.
pub trait Lab: Send + Sized + 'static {
    /// Starts it. Clients made by `recording.client` hold every answer against the contract.
    fn start(recording: Recording) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Ends it; dropping must be enough after a case that panicked.
    fn stop(self) -> impl Future<Output = ()> + Send {
        async { drop(self) }
    }
}

/// One test. It must call its operation, and it must have received every error it names.
pub struct Case<L> {
    /// The documented name of the operation.
    pub operation: &'static str,
    /// Ids of the rules it shows.
    pub rules: &'static [&'static str],
    /// Ids of the documented errors it provokes.
    pub errors: &'static [&'static str],
    /// Where it stands: file and line.
    pub place: &'static str,
    pub run: for<'a> fn(&'a mut L) -> CaseFuture<'a>,
}

/// Cases that share one lab and run in the order they stand in. Every chapter starts a lab of its own; after a case
/// that panics or hangs the chapter goes on with a fresh one.
pub struct Chapter<L: 'static> {
    pub name: &'static str,
    pub cases: &'static [Case<L>],
}

/// Writes a [`Case`]. The body may use `?`; it passes when it comes to its end.
///
/// ```ignore
/// pub const GROUPS: Chapter<MefLab> = Chapter { name: "groups", cases: &[
///     case! {
///         operation: "createNodeGroup",
///         rules: ["createNodeGroup/1a2b3c4d"],
///         errors: ["createNodeGroup/400/40012000"],
///         async |lab: &mut MefLab| {
///             let body = json!({ "nodeGroupName": "twice" });
///             lab.north.call("createNodeGroup").json(&body).send().await?.success()?;
///             let again = lab.north.call("createNodeGroup").json(&body).send().await?;
///             again.expect_error(lab.north.document(), "createNodeGroup/400/40012000")?;
///         }
///     },
/// ] };
/// ```
#[macro_export]
macro_rules! case {
    {
        operation: $operation:literal,
        $(rules: [$($rule:literal),* $(,)?],)?
        $(errors: [$($error:literal),* $(,)?],)?
        async |$lab:ident: &mut $lab_type:ty| $body:block
    } => {
        $crate::contract::Case {
            operation: $operation,
            rules: &[$($($rule),*)?],
            errors: &[$($($error),*)?],
            place: concat!(file!(), ":", line!()),
            run: {
                fn run<'a>($lab: &'a mut $lab_type) -> $crate::contract::CaseFuture<'a> {
                    Box::pin(async move {
                        $body
                        Ok(())
                    })
                }
                run
            },
        }
    };
}
