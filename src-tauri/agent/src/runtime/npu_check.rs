//! Whether a box can give the NPUs that a part asks for.

use crate::{npu, reconcile::Trouble};
use edgedeck_model::{app::Resources, deployment::Reason};
use std::path::Path;

/// Refuses what would otherwise be given as something else: a whole chip instead of a share, or another model.
///
/// # Errors
/// [`Reason::NoSuchDevice`], with what is asked for and what is there.
pub async fn check(asked: &Resources, tool: &Path) -> Result<(), Trouble> {
    let refused = |why: String| Err(Trouble::new(Reason::NoSuchDevice, why));
    if let Some(template) = &asked.vnpu {
        return refused(format!(
            "asked for a virtual NPU ({template}); this agent gives whole chips only"
        ));
    }
    let Some(model) = asked.npu_model.as_deref().filter(|_| asked.npus > 0) else {
        return Ok(());
    };
    let report = match npu::read(tool, npu::DEADLINE).await {
        Ok(report) => report,
        Err(error) => return refused(format!("asked for an NPU of model {model}: {}", crate::chain(&error))),
    };
    // Which device is which of the tool's chips differs by product, so a mixture is no place to choose from.
    match report.chips.iter().find(|chip| !chip.is_model(model)) {
        Some(other) => refused(format!("asked for an NPU of model {model}; there is a {}", other.name)),
        None if report.chips.is_empty() => refused(format!("asked for an NPU of model {model}; there is none")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    /// The vendor's tool, as a script that prints captured output.
    #[tokio::test]
    async fn only_what_is_asked_for_is_given() {
        let dir = tempfile::tempdir().unwrap();
        let captured = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/npu/info-310P3-v22.0.4.txt");
        let tool = dir.path().join("npu-smi");
        fs::write(&tool, format!("#!/bin/sh\n[ \"$*\" = info ] && cat {captured}\n")).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let missing = dir.path().join("missing");
        for (npus, model, vnpu, tool, refused) in [
            (1, None, None, &missing, ""),
            (0, Some("910"), None, &missing, ""),
            (1, Some("310P"), None, &tool, ""),
            (1, Some("310P3"), None, &tool, ""),
            (1, Some("310"), None, &tool, "there is a 310P3"),
            (1, Some("910B"), None, &tool, "there is a 310P3"),
            (1, Some("310P"), None, &missing, "not installed"),
            (1, None, Some("vir01"), &tool, "virtual NPU (vir01)"),
            (1, Some("310P"), Some("vir04_3c"), &tool, "virtual NPU (vir04_3c)"),
        ] {
            let asked = Resources {
                npus,
                npu_model: model.map(str::to_owned),
                vnpu: vnpu.map(str::to_owned),
                ..Resources::default()
            };
            match check(&asked, tool).await {
                Ok(()) => assert_eq!(refused, "", "{asked:?}"),
                Err(trouble) => {
                    assert!(!refused.is_empty() && trouble.detail.contains(refused), "{trouble:?}");
                    assert_eq!(trouble.reason, Reason::NoSuchDevice);
                }
            }
        }
    }
}
