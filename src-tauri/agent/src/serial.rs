//! The serial number of a box.

use crate::sources::Sources;

/// What vendors write where no serial number was set.
const PLACEHOLDERS: &[&str] = &[
    "0",
    "00000000",
    "0123456789",
    "1234567890",
    "123456789",
    "12345678",
    "default string",
    "empty",
    "invalid",
    "n/a",
    "na",
    "no asset information",
    "none",
    "not applicable",
    "not available",
    "not specified",
    "null",
    "o.e.m.",
    "oem",
    "system serial number",
    "to be filled by o.e.m",
    "to be filled by o.e.m.",
    "undefined",
    "unknown",
    "xxxxxxxx",
];

/// The serial number: DMI, else the device tree, else `given`, else one out of the machine id; `None` without any.
pub fn serial(sources: &Sources, given: Option<&str>) -> Option<String> {
    let files = [
        "sys/class/dmi/id/product_serial",
        "sys/class/dmi/id/board_serial",
        "proc/device-tree/serial-number",
        "sys/firmware/devicetree/base/serial-number",
    ];
    let given = given.map(str::trim).filter(|serial| !serial.is_empty());
    // One that was asked for by name is not overruled by the board's.
    given
        .map(str::to_owned)
        .or_else(|| {
            files
                .iter()
                .filter_map(|file| sources.value(file))
                .find(|serial| is_real(serial))
        })
        .or_else(|| {
            let id = sources.value("etc/machine-id")?;
            let hex: String = id.chars().filter(char::is_ascii_hexdigit).take(16).collect();
            (hex.len() == 16).then(|| format!("mid-{hex}"))
        })
}

fn is_real(serial: &str) -> bool {
    let lower = serial.trim().to_ascii_lowercase();
    let mut characters = lower.chars().filter(char::is_ascii_alphanumeric);
    let first = characters.next();
    let one_character = characters.all(|c| Some(c) == first);
    lower.chars().count() <= 64 && !one_character && !PLACEHOLDERS.contains(&lower.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let sources = Sources {
            root: dir.path().to_owned(),
        };
        (dir, sources)
    }

    #[test]
    fn placeholders_are_passed_over() {
        let machine_id = ("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        for placeholder in [
            "To be filled by O.E.M.",
            "0",
            "None",
            "  ",
            "00000000000",
            "Default string",
            "-",
        ] {
            let (_dir, sources) = machine(&[("sys/class/dmi/id/product_serial", placeholder), machine_id]);
            assert_eq!(
                serial(&sources, None).as_deref(),
                Some("mid-0123456789abcdef"),
                "{placeholder}"
            );
        }
    }

    #[test]
    fn the_order() {
        let product = ("sys/class/dmi/id/product_serial", "2102313LKX10N5000011\n");
        let board = ("sys/class/dmi/id/board_serial", "023PVM10\n");
        let tree = ("proc/device-tree/serial-number", "10000000a1b2c3d4\0");
        let (_dir, all) = machine(&[product, board, tree]);
        assert_eq!(serial(&all, None).as_deref(), Some("2102313LKX10N5000011"));
        assert_eq!(serial(&all, Some("mine")).as_deref(), Some("mine"));
        let (_dir, none) = machine(&[("sys/class/dmi/id/product_serial", "None\n"), board, tree]);
        assert_eq!(serial(&none, None).as_deref(), Some("023PVM10"));
        let (_dir, arm) = machine(&[tree]);
        assert_eq!(serial(&arm, None).as_deref(), Some("10000000a1b2c3d4"));
        let (_dir, bare) = machine(&[]);
        assert_eq!(serial(&bare, None), None);
    }
}
