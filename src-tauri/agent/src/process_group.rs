//! Children that are ended as a whole.

use nix::{
    errno::Errno,
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::process::Child;

/// A child's process group, killed when this is dropped.
pub struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// The group of a child that was started as the leader of one and is not reaped.
    pub fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    /// The child has ended and is reaped: its number may soon be somebody else's.
    pub fn leave(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0
            && let Err(error) = killpg(group, Signal::SIGKILL)
            && error != Errno::ESRCH
        {
            tracing::warn!(%error, %group, "cannot stop a group of processes");
        }
    }
}
