//! Runs every stored input again.

use edgedeck_fuzz::TARGETS;
use std::{fs, path::Path};

#[test]
fn no_stored_input_breaks_its_parser() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, parse) in TARGETS {
        let mut inputs = 0;
        for file in fs::read_dir(root.join("corpus").join(name)).unwrap() {
            let path = file.unwrap().path();
            println!("{}", path.display());
            parse(&fs::read(path).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{name} has no inputs");
    }
}

#[test]
fn every_program_has_its_parser() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut programs: Vec<String> = fs::read_dir(root.join("targets"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    programs.sort();
    assert_eq!(programs, TARGETS.map(|(name, _)| name));
}
