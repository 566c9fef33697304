//! Leaving a lab: the engine is told, and every trace goes.

use crate::{
    home::{Home, HomeError, HomeLock},
    join::{self, JoinError},
    metering, service,
    session::{AgentError, Base, Options},
};
use edgedeck_model::Lang;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a running agent has to end.
const END_MAX: Duration = Duration::from_secs(30);
/// How long removing every workload may take.
const REMOVE_MAX: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub enum LeaveError {
    #[error("this machine has joined no lab (nothing in {0})")]
    NotJoined(String),
    #[error("the running agent (process {0}) does not end")]
    StillRunning(u32),
    #[error("some workloads could not be removed; nothing else was removed, so that leaving can be tried again")]
    LeftBehind,
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("stopping or removing the service")]
    Service(#[source] std::io::Error),
}

impl LeaveError {
    /// What went wrong and what to do about it.
    pub fn text(&self, lang: Lang) -> String {
        match self {
            Self::NotJoined(path) => lang.pick(
                format!("本机没有加入任何实验室（{path} 中没有记录）。如果使用了其他目录，请加 --state。"),
                format!("This machine has joined no lab (nothing in {path}). If another folder was used, name it with --state."),
            ),
            Self::StillRunning(pid) => lang.pick(
                format!("正在运行的代理（进程 {pid}）没有结束。请手动结束它后重试。"),
                format!("The running agent (process {pid}) does not end. End it yourself and try again."),
            ),
            Self::LeftBehind => lang.pick(
                "有工作负载无法清除（容器引擎可能没有响应）。其余内容保留，修复后请重新运行 leave。".to_owned(),
                "Some workloads could not be removed (the container engine may not answer). Everything else was kept: mend it and run leave again.".to_owned(),
            ),
            Self::Agent(error) => crate::chain(error),
            Self::Service(error) => lang.pick(
                format!("无法停止或移除 systemd 服务：{error}。请用 root 运行。"),
                format!("The systemd service cannot be stopped or removed: {error}. Run this as root."),
            ),
        }
    }
}

/// What leaving has to tell.
#[derive(Debug)]
pub struct Left {
    /// Why the engine could not be told; the node is still in its list then.
    pub untold: Option<JoinError>,
}

/// Leaves. `say` is told each step.
///
/// # Errors
/// [`LeaveError`]; it can be tried again.
pub async fn leave(options: &Options) -> Result<Left, LeaveError> {
    let home = &options.home;
    if !home.is_joined() {
        return Err(LeaveError::NotJoined(home.path().display().to_string()));
    }
    service::stop().map_err(LeaveError::Service)?;
    let _lock = take_over(home).await?;
    let base = Base::start(options)?;
    let access = base.access.read().await.clone();
    let untold = join::leave(&access.trust, &access.identity, &access.addresses)
        .await
        .err();
    if !base.workloads.remove_all(REMOVE_MAX).await {
        return Err(LeaveError::LeftBehind);
    }
    base.outsides.remove();
    metering::end(&options.sources, base.state.node);
    drop(base);
    service::remove().map_err(LeaveError::Service)?;
    home.remove().map_err(AgentError::Home)?;
    Ok(Left { untold })
}

/// Ends the agent that runs out of this folder, if there is one, and takes its place.
async fn take_over(home: &Home) -> Result<HomeLock, LeaveError> {
    let until = Instant::now() + END_MAX;
    let mut asked = 0;
    loop {
        match home.lock() {
            Ok(lock) => return Ok(lock),
            Err(HomeError::InUse { pid, .. }) => {
                if Instant::now() > until {
                    return Err(LeaveError::StillRunning(pid));
                }
                // Once each: who ended and was started again by somebody is another one.
                if let Ok(raw) = i32::try_from(pid)
                    && raw > 1
                    && asked != pid
                {
                    asked = pid;
                    let _ = kill(Pid::from_raw(raw), Signal::SIGTERM);
                }
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(AgentError::Home(error).into()),
        }
    }
}
