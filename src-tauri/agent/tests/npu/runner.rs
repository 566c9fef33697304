//! The runner against programs that stand in for the tool.

use crate::{folder, overview};
use edgedeck_agent::npu::{DEADLINE, NpuError, read, run};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A shell script in a folder of its own; `{folder}` in it is that folder, `{samples}` the samples'.
struct Tool {
    folder: TempDir,
}

impl Tool {
    fn new(script: &str) -> Self {
        let tool = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let here = tool.folder.path().to_str().unwrap();
        let script = script
            .replace("{folder}", here)
            .replace("{samples}", folder().to_str().unwrap());
        let text = tool.folder.path().join("script");
        fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
        // Another process writes the program: a test that forks now would hold it open for writing, and a program
        // that is open for writing cannot be started.
        let installed = Command::new("install")
            .args(["-m", "755"])
            .arg(&text)
            .arg(tool.path())
            .status()
            .unwrap();
        assert!(installed.success());
        tool
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("npu-smi")
    }

    /// The process ids that the script wrote to `pids`.
    async fn pids(&self, how_many: usize) -> Vec<String> {
        let file = self.folder.path().join("pids");
        let mut pids = Vec::new();
        until("the script wrote its process ids", || {
            pids = fs::read_to_string(&file)
                .unwrap_or_default()
                .lines()
                .map(str::to_owned)
                .collect();
            pids.len() == how_many
        })
        .await;
        pids
    }

    async fn assert_gone(&self, how_many: usize) {
        for pid in self.pids(how_many).await {
            until(&format!("process {pid} is gone, zombies too"), || {
                !Path::new("/proc").join(&pid).exists()
            })
            .await;
        }
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let ends = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < ends, "waited 20 s until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A script that answers `info` with the one sample and `info -m` with the other.
fn answering(info: &str, list: &str) -> Tool {
    Tool::new(&format!(
        "case \"$*\" in info) cat '{{samples}}/{info}.txt';; 'info -m') cat '{{samples}}/{list}.txt';; *) exit 1;; esac"
    ))
}

#[tokio::test]
async fn a_tool_that_works_is_read() {
    let tool = answering("info-310-atlas800-3000-v21.0.4", "info-m-310-mcu-atlas800-3000-v21.0.4");
    let report = read(&tool.path(), DEADLINE).await.unwrap();
    let chips: Vec<_> = report
        .chips
        .iter()
        .map(|chip| (chip.npu_id, chip.chip_id, chip.logic_id, chip.device_id))
        .collect();
    let expected = (0..4).map(|chip| (6, Some(chip), Some(chip), Some(chip + 3)));
    assert_eq!(chips, expected.collect::<Vec<_>>());
    assert_eq!(report.unread_lines, 0);
}

#[tokio::test]
async fn the_list_of_chips_may_fail_or_hang() {
    for list in ["echo 'unknown option' >&2; exit 1", "exec sleep 1000", "echo nonsense"] {
        let tool = Tool::new(&format!(
            "test \"$*\" = info && exec cat '{{samples}}/info-910B4-v25.5.2-head.txt'; echo $$ >> {{folder}}/pids; {list}"
        ));
        let report = read(&tool.path(), Duration::from_secs(2)).await.unwrap();
        assert_eq!(
            report.chips.iter().map(overview::written).collect::<Vec<_>>(),
            overview::EXPECTED[14].4,
            "{list}"
        );
        tool.assert_gone(1).await;
    }
}

#[tokio::test]
async fn a_missing_tool_is_not_installed() {
    let tool = tempfile::tempdir().unwrap();
    let error = read(&tool.path().join("npu-smi"), DEADLINE).await.unwrap_err();
    assert!(matches!(error, NpuError::NotInstalled { .. }), "{error:?}");
    // A folder is there and cannot be started.
    let error = read(tool.path(), DEADLINE).await.unwrap_err();
    assert!(matches!(error, NpuError::Start { .. }), "{error:?}");
}

#[tokio::test]
async fn a_tool_that_hangs_is_killed_with_its_children() {
    // The child keeps the output open, and both ignore a polite request to end.
    let tool =
        Tool::new("trap '' TERM INT HUP\nsleep 1000 & echo $! >> {folder}/pids\necho $$ >> {folder}/pids\nsleep 1000");
    let began = Instant::now();
    let deadline = Duration::from_millis(700);
    let error = read(&tool.path(), deadline).await.unwrap_err();
    assert!(
        matches!(error, NpuError::TimedOut { after, .. } if after == deadline),
        "{error:?}"
    );
    assert!(
        began.elapsed() >= deadline && began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    tool.assert_gone(2).await;
}

#[tokio::test]
async fn a_tool_that_closes_its_output_and_hangs_is_killed() {
    let tool = Tool::new("echo $$ >> {folder}/pids\nexec sleep 1000 >&- 2>&-");
    let error = read(&tool.path(), Duration::from_millis(700)).await.unwrap_err();
    assert!(matches!(error, NpuError::TimedOut { .. }), "{error:?}");
    tool.assert_gone(1).await;
}

#[tokio::test]
async fn a_reader_that_stops_waiting_leaves_nothing_running() {
    let tool = Tool::new("sleep 1000 & echo $! >> {folder}/pids\necho $$ >> {folder}/pids\nwait");
    let path = tool.path();
    let reading = tokio::spawn(async move { read(&path, DEADLINE).await });
    tool.pids(2).await;
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());
    tool.assert_gone(2).await;
}

#[tokio::test]
async fn a_tool_that_prints_without_end_is_killed() {
    for script in [
        "echo $$ >> {folder}/pids\nhead -c 104857600 /dev/zero",
        "echo $$ >> {folder}/pids\nexec yes '| 0     910B4               | OK            |'",
    ] {
        let tool = Tool::new(script);
        let error = read(&tool.path(), DEADLINE).await.unwrap_err();
        assert!(matches!(error, NpuError::TooMuchOutput { .. }), "{error:?}");
        tool.assert_gone(1).await;
    }
}

#[tokio::test]
async fn errors_without_end_do_not_block_the_tool() {
    let tool = Tool::new("head -c 10485760 /dev/zero >&2; cat '{samples}/info-950-nochip-column.txt'");
    assert_eq!(read(&tool.path(), DEADLINE).await.unwrap().chips.len(), 1);
}

#[tokio::test]
async fn half_a_line_is_no_report() {
    let tool = Tool::new("head -c 700 '{samples}/info-910B4-v25.5.2-head.txt'");
    let error = read(&tool.path(), DEADLINE).await.unwrap_err();
    assert!(
        matches!(&error, NpuError::Unparsable { line: 8, text } if text.starts_with("| 0")),
        "{error:?}"
    );
    let tool = Tool::new("printf '| npu-s'");
    let error = read(&tool.path(), DEADLINE).await.unwrap_err();
    assert!(
        matches!(&error, NpuError::Unparsable { line: 1, text } if text == "| npu-s"),
        "{error:?}"
    );
}

#[tokio::test]
async fn output_that_ends_early_says_that_chips_may_be_missing() {
    let tool = Tool::new("head -c 1234 '{samples}/info-910A-x8-atlas800-9010-v22.0.3.1.txt'");
    let report = read(&tool.path(), DEADLINE).await.unwrap();
    assert!(!report.chips.is_empty() && report.chips.len() < 8, "{report:?}");
    assert!(report.unread_lines > 0);
}

#[tokio::test]
async fn a_tool_that_fails_is_quoted() {
    let tool = Tool::new("echo 'dcmi module initialize failed. ret is -8005'; exit 3");
    let error = read(&tool.path(), DEADLINE).await.unwrap_err();
    assert!(
        matches!(&error, NpuError::Failed { status, said, .. }
            if status.code() == Some(3) && said == "dcmi module initialize failed. ret is -8005"),
        "{error:?}"
    );
    let tool = Tool::new("printf 'a\\nno device\\033[31m\\n\\n' >&2; kill -9 $$");
    let error = read(&tool.path(), DEADLINE).await.unwrap_err();
    assert!(
        matches!(&error, NpuError::Failed { status, said, .. } if status.code().is_none() && said.starts_with("no device")),
        "{error:?}"
    );
    assert!(!error.to_string().contains('\u{1b}'));
}

#[tokio::test]
async fn the_tool_gets_the_arguments_and_no_input() {
    let tool = Tool::new("cat; printf '%s,' \"$@\"");
    assert_eq!(
        run(&tool.path(), &["info", "-t", "board", "-i", "0"], DEADLINE)
            .await
            .unwrap(),
        "info,-t,board,-i,0,"
    );
}
