//! Dialects: the APIs of other systems, as projections of the one domain.

pub mod mef;
mod times;
pub mod tingyu;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// What would be a store, a lock or a state of a dialect's own.
    const NOT_THEIRS: [&str; 12] = [
        "rusqlite",
        ".store.",
        "SELECT ",
        "INSERT INTO",
        "DELETE FROM",
        "Mutex",
        "RwLock",
        "Atomic",
        "OnceLock",
        "LazyLock",
        "thread_local!",
        "static mut",
    ];

    fn look(folder: &Path, found: &mut Vec<String>) -> usize {
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                files += look(&path, found);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            let words = NOT_THEIRS.into_iter().filter(|word| text.contains(word));
            found.extend(words.map(|word| format!("{}: {word}", path.display())));
        }
        files
    }

    #[test]
    fn dialects_translate_and_own_nothing() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dialects");
        let mut found = Vec::new();
        let mut files = 0;
        for entry in fs::read_dir(folder)
            .unwrap()
            .flatten()
            .filter(|entry| entry.path().is_dir())
        {
            files += look(&entry.path(), &mut found);
        }
        assert!(files > 10, "{files} files");
        assert_eq!(found, Vec::<String>::new());
    }
}
