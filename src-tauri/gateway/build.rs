//! The UI's files are taken into the program at compile time; without a build of them, a page that says so is.

use std::{fs, path::Path};

fn main() {
    let dist = Path::new("../../ui/dist");
    let index = dist.join("index.html");
    if !index.exists() {
        let page = "<!doctype html><meta charset=utf-8><title>EdgeDeck</title><p>The console is not built. Run <code>cargo xtask ui</code>. 控制台尚未构建，请运行 <code>cargo xtask ui</code>。";
        fs::create_dir_all(dist)
            .and_then(|()| fs::write(&index, page))
            .expect("write the placeholder page");
    }
    println!("cargo:rerun-if-changed=../../ui/dist");
}
