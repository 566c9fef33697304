//! Running the tool within bounds of time and output.
//!
//! The tool can hang in the driver, start children, and print without end. It runs in a process group of its own, which
//! is killed as a whole when the deadline passes, when it printed too much, and when the caller stops waiting; and it
//! is always waited for, so that it does not stay as a zombie.

use super::{OUTPUT_MAX, ParseError, parse_info, parse_mappings};
use crate::process_group::ProcessGroup;
use edgedeck_model::{name, npu::NpuReport};
use std::{
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    time::{Instant, timeout},
};

/// The tool's usual place in the search path.
pub const TOOL: &str = "npu-smi";

/// How long the tool may take unless the caller says otherwise. A card that resets answers after some seconds.
pub const DEADLINE: Duration = Duration::from_secs(10);

/// How long a killed tool is waited for. One that is stuck in the driver dies only when the driver lets go of it; it is
/// then reaped in the background.
const REAP: Duration = Duration::from_secs(1);

/// Of what the tool says on its error output, this much is kept, in bytes.
const ERROR_OUTPUT_MAX: u64 = 4096;

/// Why the NPUs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NpuError {
    /// There is no such program: the node has no NPU, or no driver.
    #[error("the NPU tool {} is not installed; install the NPU driver if this node has an NPU", .tool.display())]
    NotInstalled {
        /// The program looked for.
        tool: PathBuf,
    },
    /// The program is there and cannot be started.
    #[error("cannot start the NPU tool {}; check that the agent may execute it", .tool.display())]
    Start {
        /// The program.
        tool: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The output could not be read.
    #[error("cannot read the output of the NPU tool {}", .tool.display())]
    Read {
        /// The program.
        tool: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It did not end in time and was killed.
    #[error("the NPU tool {} did not end within {} s and was stopped; check the NPU driver", .tool.display(), .after.as_secs_f32())]
    TimedOut {
        /// The program.
        tool: PathBuf,
        /// The time it had.
        after: Duration,
    },
    /// It printed more than [`OUTPUT_MAX`] and was killed.
    #[error("the NPU tool {} printed more than {OUTPUT_MAX} bytes and was stopped; check that it is the vendor's tool", .tool.display())]
    TooMuchOutput {
        /// The program.
        tool: PathBuf,
    },
    /// It ended with an error.
    #[error("the NPU tool {} failed ({status}): {said}", .tool.display())]
    Failed {
        /// The program.
        tool: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The last line it printed, shortened.
        said: String,
    },
    /// It ended well, and what it printed is not understood.
    #[error(
        "the NPU tool's output is not understood from line {line}: {text:?}; check the versions of tool and driver"
    )]
    Unparsable {
        /// Number of the first line that was not understood, from 1.
        line: u32,
        /// That line, shortened.
        text: String,
    },
}

/// Reads the NPUs of this node: the overview, with the logic ids from the list of chips where the tool has that.
///
/// `deadline` is for all of it; [`DEADLINE`] suits. Look at [`NpuReport::unread_lines`] before taking a missing chip for
/// gone.
///
/// # Errors
/// Any [`NpuError`], always about the overview: without the list of chips the report only lacks the logic ids.
pub async fn read(tool: &Path, deadline: Duration) -> Result<NpuReport, NpuError> {
    let ends = Instant::now() + deadline;
    let text = run(tool, &["info"], deadline).await?;
    let mut report = parse_info(&text).map_err(|error| match error {
        ParseError::TooLarge { .. } => NpuError::TooMuchOutput { tool: tool.to_owned() },
        ParseError::Unparsable { line, text } => NpuError::Unparsable { line, text },
    })?;
    let left = ends.saturating_duration_since(Instant::now());
    match run(tool, &["info", "-m"], left).await {
        Ok(text) => add_logic_ids(&mut report, &text),
        Err(error) => tracing::debug!(%error, "no logic ids of the NPU chips"),
    }
    Ok(report)
}

fn add_logic_ids(report: &mut NpuReport, text: &str) {
    let mappings = parse_mappings(text).unwrap_or_default();
    for chip in &mut report.chips {
        let same = |(npu_id, chip_id)| npu_id == chip.npu_id && chip_id == chip.chip_id;
        if let Some(mapping) = mappings.iter().find(|mapping| same((mapping.npu_id, mapping.chip_id))) {
            chip.logic_id = mapping.logic_id;
            chip.phy_id = chip.phy_id.or(mapping.phy_id);
        }
    }
}

/// Runs the tool with the arguments and returns what it printed; bytes that are not UTF-8 are replaced.
///
/// # Errors
/// Any [`NpuError`] but [`NpuError::Unparsable`]. After an error, and when the future is dropped, neither the tool nor
/// children of it go on running.
pub async fn run(tool: &Path, arguments: &[&str], deadline: Duration) -> Result<String, NpuError> {
    let mut child = start(tool, arguments)?;
    let mut group = ProcessGroup::of(&child);
    let ended = async {
        let (said, complaint) = output(tool, &mut child).await?;
        let status = child.wait().await.map_err(|source| NpuError::Read {
            tool: tool.to_owned(),
            source,
        })?;
        Ok((said, complaint, status))
    };
    let ended = timeout(deadline, ended).await.unwrap_or_else(|_| {
        Err(NpuError::TimedOut {
            tool: tool.to_owned(),
            after: deadline,
        })
    });
    let (said, complaint, status) = match ended {
        Ok(ended) => {
            group.leave();
            ended
        }
        Err(error) => {
            // In this order: as long as the tool is not reaped, nobody else can have the group's number.
            drop(group);
            // Past this time it is left to the runtime to reap, whenever the driver lets go of it.
            let _ = timeout(REAP, child.wait()).await;
            return Err(error);
        }
    };
    if !status.success() {
        let last = |text: &str| {
            text.lines()
                .map(|line| name::tame(line, 200))
                .rfind(|line| !line.is_empty())
        };
        let said = last(&complaint).or_else(|| last(&said)).unwrap_or_default();
        return Err(NpuError::Failed {
            tool: tool.to_owned(),
            status,
            said,
        });
    }
    Ok(said)
}

fn start(tool: &Path, arguments: &[&str]) -> Result<Child, NpuError> {
    let started = Command::new(tool)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    started.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => NpuError::NotInstalled { tool: tool.to_owned() },
        _ => NpuError::Start {
            tool: tool.to_owned(),
            source,
        },
    })
}

/// All of the output and the beginning of the error output, once both are closed.
async fn output(tool: &Path, child: &mut Child) -> Result<(String, String), NpuError> {
    let read = |source| NpuError::Read {
        tool: tool.to_owned(),
        source,
    };
    let said = async {
        let bytes = limited(child.stdout.take(), OUTPUT_MAX as u64 + 1)
            .await
            .map_err(read)?;
        // At once, not when the error output is closed too: the tool may never end.
        if bytes.len() > OUTPUT_MAX {
            Err(NpuError::TooMuchOutput { tool: tool.to_owned() })
        } else {
            Ok(bytes)
        }
    };
    let complaint = async {
        let mut pipe = child.stderr.take();
        let bytes = limited(pipe.as_mut(), ERROR_OUTPUT_MAX).await.map_err(read)?;
        // The rest is read and dropped, so that the tool does not wait for somebody to read it.
        if let Some(pipe) = &mut pipe {
            tokio::io::copy(pipe, &mut tokio::io::sink()).await.map_err(read)?;
        }
        Ok(bytes)
    };
    let (said, complaint) = tokio::try_join!(said, complaint)?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((text(said), text(complaint)))
}

async fn limited(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
