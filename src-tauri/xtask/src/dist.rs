//! `cargo xtask dist`: the Debian package, and the static agents, under `<target>/dist`.
//!
//! dpkg's own tools make the package: they are on every machine that can build it, and dpkg-shlibdeps knows which
//! libraries, in which versions, the programs are linked to.

use crate::{
    agents, places, run, setup,
    step::{self, Steps},
};
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const DESKTOP_ENTRY: &str = "\
[Desktop Entry]
Type=Application
Name=EdgeDeck
GenericName=Edge lab console
GenericName[zh_CN]=边缘实验室控制台
Comment=Console and control plane of a lab of edge AI boxes
Comment[zh_CN]=边缘 AI 设备实验室的控制台与控制面
Exec=edgedeck %u
Icon=edgedeck
Terminal=false
Categories=System;Monitor;
StartupWMClass=edgedeck
MimeType=x-scheme-handler/edgedeck;
";

const DESCRIPTION: &str = "\
Description: console and control plane of a lab of edge AI boxes
 A window and an embedded engine for a lab of edge AI boxes: nodes, apps,
 deployments, alarms, NPU use and reports, offline. The program edgedeckd
 serves the same console to browsers, without a window. The agents for the
 boxes, x86_64 and aarch64, come with it.
";

const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: EdgeDeck

Files: *
Copyright: 2026 The EdgeDeck contributors
License: MIT or Apache-2.0
 The texts of both licences are beside this file; on Debian systems the second
 is also in /usr/share/common-licenses/Apache-2.0.
";

/// Builds everything as released and packs it.
pub fn dist() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("set-up", || setup::setup(setup::For::Dist))?;
    run::build_release(&mut steps)?;
    steps.step("agents of both kinds", || agents::build(true))?;
    let package = steps.step("package", pack)?;
    steps.print();
    for made in fs::read_dir(places::target().join("dist"))? {
        let made = made?;
        println!(
            "{:9.1} MB  {}",
            made.metadata()?.len() as f64 / 1e6,
            made.path().display()
        );
    }
    println!("install: apt-get install {}", package.display());
    Ok(())
}

fn pack() -> Result<PathBuf> {
    let arch = step::output(Command::new("dpkg").arg("--print-architecture"))?
        .trim()
        .to_owned();
    let dist = places::target().join("dist");
    // What an earlier version left would look like this one's.
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    fs::create_dir_all(&dist)?;
    for kind in ["x86_64", "aarch64"] {
        let name = format!("edgedeck-agent-{kind}");
        fs::copy(places::agents().join(&name), dist.join(&name)).with_context(|| format!("copy {name}"))?;
    }

    let tree = places::target().join("deb");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    let built = places::programs(true);
    for program in ["edgedeck", "edgedeckd"] {
        install(&built.join(program), &tree.join("usr/bin").join(program), 0o755)?;
    }
    for kind in ["x86_64", "aarch64"] {
        let name = format!("edgedeck-agent-{kind}");
        install(
            &places::agents().join(&name),
            &tree.join("usr/lib/edgedeck/agents").join(&name),
            0o755,
        )?;
    }
    let icons = tree.join("usr/share/icons/hicolor");
    for (file, place) in [
        ("32x32.png", "32x32/apps/edgedeck.png"),
        ("128x128.png", "128x128/apps/edgedeck.png"),
        ("icon.png", "512x512/apps/edgedeck.png"),
        ("icon.svg", "scalable/apps/edgedeck.svg"),
    ] {
        install(&Path::new("assets/icons").join(file), &icons.join(place), 0o644)?;
    }
    write(&tree.join("usr/share/applications/edgedeck.desktop"), DESKTOP_ENTRY)?;
    let documents = tree.join("usr/share/doc/edgedeck");
    write(&documents.join("copyright"), COPYRIGHT)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        install(Path::new(licence), &documents.join(licence), 0o644)?;
    }
    write(&tree.join("DEBIAN/control"), &control(&tree, &arch)?)?;

    let package = dist.join(format!("edgedeck_{VERSION}_{arch}.deb"));
    let mut build = Command::new("dpkg-deb");
    step::run(
        build
            .args(["--root-owner-group", "--build"])
            .arg(&tree)
            .arg(&package)
            .stdout(std::io::stderr()),
    )?;
    Ok(package)
}

fn control(tree: &Path, arch: &str) -> Result<String> {
    // dpkg-shlibdeps wants to stand in a source package.
    let source = places::target().join("deb-source");
    write(
        &source.join("debian/control"),
        "Source: edgedeck\n\nPackage: edgedeck\nArchitecture: any\n",
    )?;
    let mut shlibdeps = Command::new("dpkg-shlibdeps");
    shlibdeps.current_dir(&source).arg("-O");
    for program in ["edgedeck", "edgedeckd"] {
        shlibdeps.arg(format!("-e{}", tree.join("usr/bin").join(program).display()));
    }
    let output = step::output(&mut shlibdeps)?;
    let depends = output
        .lines()
        .find_map(|line| line.strip_prefix("shlibs:Depends="))
        .context("dpkg-shlibdeps did not tell which packages the programs need")?;
    let kilobytes = size(tree)?.div_ceil(1024);
    Ok(format!(
        "Package: edgedeck\nVersion: {VERSION}\nArchitecture: {arch}\nSection: net\nPriority: optional\n\
         Maintainer: The EdgeDeck contributors <edgedeck@localhost>\nInstalled-Size: {kilobytes}\n\
         Depends: {depends}\nRecommends: desktop-file-utils, fonts-noto-cjk, xdg-utils\nSuggests: docker.io\n{DESCRIPTION}"
    ))
}

fn install(from: &Path, to: &Path, mode: u32) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(mode))?;
    Ok(())
}

fn write(to: &Path, text: &str) -> Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::write(to, text).with_context(|| format!("write {}", to.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644))?;
    Ok(())
}

fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        sum += if kind.is_dir() {
            size(&entry.path())?
        } else {
            kind.len()
        };
    }
    Ok(sum)
}
