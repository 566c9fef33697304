//! The rules about what may stand where, which keep a dialect a projection and dependencies one-way.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Signs of SQL, of a lock, or of something kept between two requests.
const NOT_IN_A_DIALECT: [&str; 22] = [
    "rusqlite",
    "SELECT ",
    "INSERT ",
    "UPDATE ",
    "DELETE FROM",
    "Connection",
    ".store",
    "Mutex",
    "RwLock",
    "parking_lot",
    "Atomic",
    "RefCell",
    "OnceLock",
    "LazyLock",
    "OnceCell",
    "static ",
    "thread_local",
    "mpsc",
    "watch::",
    "Semaphore",
    "tokio::spawn",
    "std::fs",
];

fn offences(text: &str) -> Vec<String> {
    let code = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line.replace("'static ", "")));
    code.filter(|(_, line)| !line.trim_start().starts_with("//"))
        .flat_map(|(at, line)| {
            let signs = NOT_IN_A_DIALECT.iter().filter(|sign| line.contains(**sign));
            signs.map(|sign| format!("line {at}: {sign}")).collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn dialects_hold_no_sql_lock_or_state() {
    let files = sources(&root().join("src-tauri/gateway/src/dialects"));
    assert!(
        files.len() > 5,
        "the dialects have moved: only {} files found",
        files.len()
    );
    let mut wrong = Vec::new();
    for file in files {
        for offence in offences(&fs::read_to_string(&file).unwrap()) {
            wrong.push(format!("{}: {offence}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_check_of_dialects_sees_what_it_looks_for() {
    assert_eq!(offences("static COUNT: AtomicU64 = AtomicU64::new(0);").len(), 2);
    assert_eq!(offences("tx.execute(\"DELETE FROM node\", [])").len(), 1);
    assert!(offences("// a Mutex\nfn name() -> &'static str {").is_empty());
}

#[test]
fn only_the_offline_tools_of_the_gateway_open_a_database() {
    let gateway = root().join("src-tauri/gateway/src");
    for file in sources(&gateway)
        .into_iter()
        .filter(|file| !file.starts_with(gateway.join("bin")))
    {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            !text.contains("rusqlite"),
            "{} opens a database by itself",
            file.display()
        );
    }
}

/// Names of the crates under `[dependencies]` of a crate.
fn dependencies(folder: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let section = text.split("[dependencies]").nth(1).unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split(['.', '=', ' ']).next());
    names
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    assert!(
        dependencies("src-tauri/engine").iter().any(|name| name == "rusqlite"),
        "the engine's list is not read"
    );
    let web = ["axum", "hyper", "hyper-util", "tauri", "tower", "tower-http", "reqwest"];
    let io = ["tokio", "rusqlite", "jiff", "axum", "reqwest", "parking_lot", "rustls"];
    let own = |names: &[&str]| names.iter().map(|name| format!("edgedeck-{name}")).collect::<Vec<_>>();
    let rules = [
        ("src-tauri/model", io.map(str::to_owned).to_vec()),
        (
            "src-tauri/model",
            own(&["protocol", "engine", "gateway", "agent", "lab", "charts", "report"]),
        ),
        ("src-tauri/protocol", own(&["engine", "gateway", "agent", "lab"])),
        ("src-tauri/engine", web.map(str::to_owned).to_vec()),
        ("src-tauri/engine", own(&["gateway", "agent", "lab", "charts"])),
        ("src-tauri/agent", own(&["engine", "gateway", "lab"])),
        ("src-tauri/lab", own(&["engine", "gateway"])),
        ("src-tauri/gateway", vec!["tauri".to_owned()]),
    ];
    for (folder, forbidden) in rules {
        for name in dependencies(folder) {
            assert!(!forbidden.contains(&name), "{folder} must not depend on {name}");
        }
    }
}

/// What stands in the audit has words in both languages.
#[test]
fn every_audited_action_has_words() {
    let mut found = std::collections::BTreeSet::new();
    for folder in ["src-tauri/engine/src", "src-tauri/gateway/src"] {
        for path in sources(&root().join(folder)) {
            let text = fs::read_to_string(path).unwrap();
            for call in [".audit(", "audit_refusal(", ".require("] {
                for rest in text.split(call).skip(1) {
                    let quoted = rest.split('"').nth(1).unwrap_or_default();
                    let near = rest.find('"').is_some_and(|at| at < 120);
                    let is_key =
                        quoted.contains('.') && quoted.chars().all(|c| c.is_ascii_lowercase() || "-.".contains(c));
                    if near && is_key {
                        found.insert(quoted.to_owned());
                    }
                }
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    let wordless: Vec<_> = found
        .iter()
        .filter(|key| edgedeck_model::text::action(key, edgedeck_model::Lang::Zh) == key.as_str())
        .collect();
    assert!(wordless.is_empty(), "{wordless:?}");
}
