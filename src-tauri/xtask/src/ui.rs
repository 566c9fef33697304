//! Builds the console's page: WebAssembly, its JavaScript glue, and the static files.
//!
//! The binder is a library of the same version that the page is compiled with (Cargo keeps them equal), so no tool has
//! to be installed. wasm-opt is left out on purpose: it saves little, and Debian's breaks the module without a word.

use crate::{places, step};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// A built page: each file's path below `ui/dist`, and its bytes.
type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Compiles and binds the page, and puts it into `ui/dist` if that differs.
pub fn build(release: bool) -> Result<()> {
    let (profile, folder) = if release { ("wasm", "wasm") } else { ("dev", "debug") };
    let target = "wasm32-unknown-unknown";
    step::run(&mut step::cargo([
        "build",
        "-p",
        "edgedeck-ui",
        "--target",
        target,
        "--profile",
        profile,
    ]))
    .context("the page does not compile")?;
    let wasm = places::target().join(target).join(folder).join("edgedeck-ui.wasm");
    let bound = places::target().join("ui").join(folder);
    bind(&wasm, &bound, release)?;

    let mut files = Files::new();
    read_all(&bound, Path::new(""), &mut files)?;
    read_all(Path::new("ui/static"), Path::new(""), &mut files)?;
    // The console's own words, for systems without a Chinese font.
    let font = Path::new("assets/fonts/edgedeck-cjk.woff2");
    files.insert(
        "edgedeck-cjk.woff2".into(),
        fs::read(font).with_context(|| format!("read {}", font.display()))?,
    );
    ensure!(
        files.contains_key(Path::new("index.html")),
        "ui/static/index.html is missing"
    );

    let dist = Path::new("ui/dist");
    let mut there = Files::new();
    if dist.is_dir() {
        read_all(dist, Path::new(""), &mut there)?;
    }
    // An untouched folder keeps the gateway, which embeds it, from being compiled again.
    if there != files {
        replace(dist, &files)?;
        if release {
            print_sizes(&files)?;
        }
    }
    Ok(())
}

/// Makes the module and its glue in `bound`, unless they are newer than the compiled module.
fn bind(wasm: &Path, bound: &Path, release: bool) -> Result<()> {
    let made = bound.join("edgedeck_ui_bg.wasm");
    let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let compiled = time(wasm).with_context(|| format!("read {}", wasm.display()))?;
    if time(&made).is_ok_and(|made| made > compiled) {
        return Ok(());
    }
    if bound.exists() {
        fs::remove_dir_all(bound)?;
    }
    fs::create_dir_all(bound)?;
    wasm_bindgen_cli_support::Bindgen::new()
        .input_path(wasm)
        .out_name("edgedeck_ui")
        .web(true)?
        .typescript(false)
        .omit_default_module_path(true)
        // Line tables would make a page of 80 MB; the names are enough to read a trace.
        .keep_debug(false)
        .remove_name_section(release)
        .remove_producers_section(release)
        .generate(bound)
        .context("bind the page's module")
}

fn read_all(folder: &Path, below: &Path, files: &mut Files) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("read the folder {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            read_all(&entry.path(), &name, files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Swaps in a complete new folder: whoever reads meanwhile sees the old page or the new one.
fn replace(dist: &Path, files: &Files) -> Result<()> {
    let process = std::process::id();
    let new = dist.with_extension(format!("new-{process}"));
    let old = dist.with_extension(format!("old-{process}"));
    for (name, bytes) in files {
        let path = new.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&new))?;
        fs::write(&path, bytes).with_context(|| format!("write {}", path.display()))?;
    }
    if dist.exists() {
        fs::rename(dist, &old)?;
    }
    fs::rename(&new, dist)?;
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}

/// Prints what the page weighs, raw and as a browser would fetch it.
fn print_sizes(files: &Files) -> Result<()> {
    let (mut raw_sum, mut packed_sum) = (0, 0);
    for (name, bytes) in files {
        let packed = brotli_size(bytes)?;
        if name
            .extension()
            .is_some_and(|kind| ["wasm", "js", "css", "html"].iter().any(|text| kind == *text))
        {
            raw_sum += bytes.len();
            packed_sum += packed;
        }
        eprintln!(
            "{:9.1} KB {:9.1} KB brotli  {}",
            kilobytes(bytes.len()),
            kilobytes(packed),
            name.display()
        );
    }
    eprintln!(
        "{:9.1} KB {:9.1} KB brotli  wasm, js, css and html",
        kilobytes(raw_sum),
        kilobytes(packed_sum)
    );
    Ok(())
}

fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1000.0
}

fn brotli_size(bytes: &[u8]) -> Result<usize> {
    let mut packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams {
        quality: 11,
        ..Default::default()
    };
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)?;
    Ok(packed.len())
}
