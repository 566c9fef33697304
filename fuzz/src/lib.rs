//! Every parser of bytes from outside, as cargo-fuzz and the tests call it. Whatever the bytes are, it must return, and what
//! it lets through must hold what it promises.
//!
//! `cargo xtask fuzz` looks for inputs that break one; `corpus` holds what it found worth keeping, which the tests run.

#![forbid(unsafe_code)]

use edgedeck_model::{image, name, software};
use edgedeck_protocol::{FromAgent, ToAgent, decode, encode, package};
use std::{
    io::{self, Read, Write},
    path::Component,
};

/// A parser, and the folder in `corpus` with its inputs.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 10] = [
    ("certificates", certificates),
    ("cloud_signature", cloud_signature),
    ("frames", frames),
    ("image_archive", image_archive),
    ("manifest", manifest),
    ("mef_body", mef_body),
    ("npu_smi", npu_smi),
    ("process_package", process_package),
    ("software_package", software_package),
    ("texts", texts),
];

/// Chains and revocation lists that people import.
pub fn certificates(bytes: &[u8]) {
    edgedeck_engine::fuzzing::certificates(bytes);
}

/// Signed requests to the cloud dialects: the header, a date, a path and a query, a line each.
pub fn cloud_signature(bytes: &[u8]) {
    edgedeck_gateway::fuzzing::cloud_signature(bytes);
}

/// What agents send to the engine, and the engine to agents.
pub fn frames(bytes: &[u8]) {
    if let Ok(frame) = decode::<FromAgent>(bytes) {
        // NaN is not itself: what is compared is what goes over the wire.
        let again = encode(&frame).expect("a frame that came goes");
        let read = decode::<FromAgent>(&again).expect("a frame that goes comes");
        assert_eq!(encode(&read).expect("it goes again"), again);
    }
    if let Ok(frame) = decode::<ToAgent>(bytes) {
        let again = encode(&frame).expect("a frame that came goes");
        decode::<ToAgent>(&again).expect("a frame that goes comes");
    }
}

/// What `docker save` and `podman save` write, and who knows what else.
pub fn image_archive(bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room for an input");
    edgedeck_engine::fuzzing::image_archive(file);
}

/// Manifests that container tools push.
pub fn manifest(bytes: &[u8]) {
    edgedeck_engine::fuzzing::manifest(bytes);
}

/// Bodies of calls for MEF Center.
pub fn mef_body(bytes: &[u8]) {
    edgedeck_gateway::fuzzing::mef_body(bytes);
}

/// What the NPU tool prints.
pub fn npu_smi(bytes: &[u8]) {
    edgedeck_agent::npu::parse_any(bytes);
}

/// Packages of processes.
pub fn process_package(bytes: &[u8]) {
    let mut content = 0;
    let read = package::read(bytes, |entry| {
        assert!(
            entry.path.components().all(|part| matches!(part, Component::Normal(_))),
            "{:?} leads outside",
            entry.path
        );
        // As on a small disk: a bomb is the disk's matter, not the parser's.
        content += io::copy(&mut entry.content.take(1 << 20), &mut io::sink())?;
        if content > 4 << 20 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    });
    drop(read);
}

/// Packages of the agent's own software.
pub fn software_package(bytes: &[u8]) {
    struct SmallDisk(usize);
    impl io::Write for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > 4 << 20 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    if let Ok(opened) = edgedeck_protocol::software::open(bytes, &mut SmallDisk(0)) {
        assert!(opened.manifest.check().is_ok());
        assert!(!opened.is_signed_by(&[7; 32]), "signed by nobody's key");
    }
}

/// Short texts: names, image references, addresses, versions.
pub fn texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.as_ref();
    let tamed = name::tame(text, 64);
    assert!(tamed.chars().count() <= 64 && !tamed.chars().any(name::is_forbidden));
    if name::check_name("name", text).is_ok() {
        assert!(!text.chars().any(name::is_forbidden));
    }
    drop((
        name::check_description("description", text),
        name::check_label(text, text),
        name::check_password(text),
        image::check_address(text),
        image::check_account(text),
        image::registry_of(text),
        software::check_url(text),
    ));
    // Where files lie by these names.
    for good in [image::is_repository(text), image::is_tag(text), image::is_digest(text)] {
        assert!(!(good && text.split('/').any(|part| part == "..")), "{text}");
    }
    let (a, b) = text.split_at(text.floor_char_boundary(text.len() / 2));
    assert_eq!(software::compare(a, b), software::compare(b, a).reverse());
}
