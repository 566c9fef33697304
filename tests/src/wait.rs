//! Waiting for a condition, the only place where a test lets time pass.

use std::time::Duration;
use tokio::time::Instant;

/// How long a condition may take to come true, unless a test says otherwise.
pub const USUAL: Duration = Duration::from_secs(30);

/// Asks until there is an answer.
///
/// # Errors
/// After the deadline; `what` says what was missing.
pub async fn until<T, F>(what: &str, deadline: Duration, mut ask: F) -> anyhow::Result<T>
where
    F: AsyncFnMut() -> anyhow::Result<Option<T>>,
{
    let end = Instant::now() + deadline;
    loop {
        let asked = ask().await;
        match asked {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if Instant::now() < end => {}
            Ok(None) => anyhow::bail!("after {deadline:?} there was still no {what}"),
            Err(error) if Instant::now() < end => drop(error),
            Err(error) => return Err(error.context(format!("after {deadline:?} there was still no {what}"))),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Rounds of waiting for something, where [`until`]'s closure cannot be sent between threads.
pub struct Rounds {
    what: &'static str,
    end: Instant,
}

impl Rounds {
    pub fn of(what: &'static str) -> Self {
        Self {
            what,
            end: Instant::now() + USUAL,
        }
    }

    /// Waits for the next round.
    ///
    /// # Errors
    /// After the usual deadline; it says what was missing.
    pub async fn next(&self) -> anyhow::Result<()> {
        anyhow::ensure!(Instant::now() < self.end, "there was still no {}", self.what);
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }
}
