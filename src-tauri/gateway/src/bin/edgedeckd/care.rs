//! Tools for a lab's data folder.

use anyhow::{Context, Result, ensure};
use edgedeck_engine::{Actor, Clock, Engine, backup, random_hex};
use edgedeck_model::user::Role;
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn database(data: &Path) -> PathBuf {
    data.join("edgedeck.db")
}

fn read_only(path: &Path) -> Result<Connection> {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .with_context(|| format!("opening {}", path.display()))
}

fn integrity(connection: &Connection) -> Result<()> {
    let answer: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    ensure!(answer == "ok", "the database is damaged: {answer}. Restore a backup");
    Ok(())
}

/// Checks what can be checked without starting the engine; fails at the first thing that is wrong.
pub fn doctor(data: &Path) -> Result<()> {
    let mut wrong = 0;
    let mut check = |what: &str, outcome: Result<String>| match outcome {
        Ok(found) => println!("ok    {what}: {found}"),
        Err(error) => {
            wrong += 1;
            println!("WRONG {what}: {error:#}");
        }
    };
    check("data folder", folder_rights(data));
    check(
        "database",
        read_only(&database(data)).and_then(|connection| integrity(&connection).map(|()| "sound".to_owned())),
    );
    check("secret key", key(&data.join("secret.key")));
    check("free space", free_space(data));
    ensure!(wrong == 0, "{wrong} of 4 checks failed");
    Ok(())
}

fn folder_rights(data: &Path) -> Result<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(data)
        .with_context(|| format!("reading {}", data.display()))?
        .permissions()
        .mode()
        & 0o777;
    ensure!(
        mode & 0o077 == 0,
        "others may enter it ({mode:o}); run chmod 700 {}",
        data.display()
    );
    Ok(data.display().to_string())
}

fn key(path: &Path) -> Result<String> {
    let bytes = fs::metadata(path)
        .with_context(|| format!("reading {}; without it no secret can be opened", path.display()))?
        .len();
    ensure!(
        bytes == 32,
        "{} has {bytes} bytes, not 32; restore it from your copy",
        path.display()
    );
    Ok("present".to_owned())
}

fn free_space(data: &Path) -> Result<String> {
    let disk =
        nix::sys::statvfs::statvfs(data).with_context(|| format!("asking for the disk of {}", data.display()))?;
    let free = disk.blocks_available() as u64 * disk.fragment_size() as u64 / (1024 * 1024);
    ensure!(free >= 1024, "only {free} MiB are left; free at least 1024 MiB");
    Ok(format!("{free} MiB"))
}

/// The passphrase of a backup: from a file, from the environment, or typed in. Never from the command line, which
/// everybody on the machine can read.
pub fn passphrase(file: Option<&Path>, twice: bool) -> Result<String> {
    if let Some(file) = file {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if let Ok(text) = std::env::var("EDGEDECK_PASSPHRASE") {
        return Ok(text);
    }
    let ask = |prompt| {
        rpassword::prompt_password(prompt).context(
            "there is no terminal to ask for the passphrase: use --passphrase-file or EDGEDECK_PASSPHRASE · \
             没有终端可供输入口令，请使用 --passphrase-file 或 EDGEDECK_PASSPHRASE",
        )
    };
    let typed = ask("Passphrase of the backup · 备份口令: ")?;
    if twice {
        ensure!(
            typed == ask("Once more · 再次输入: ")?,
            "the two passphrases differ · 两次输入的口令不同"
        );
    }
    Ok(typed)
}

/// Writes a backup; the engine may run meanwhile.
pub fn backup(data: &Path, to: &Path, passphrase: &str) -> Result<()> {
    backup::write(data, to, passphrase)?;
    println!("{}", to.display());
    println!("Restoring it takes the passphrase; nobody can recover it. · 恢复时需要该口令，口令丢失后无法找回。");
    Ok(())
}

/// Puts a backup in place of the data folder's database and key; the present ones are kept beside.
pub fn restore(data: &Path, from: &Path, passphrase: &str) -> Result<()> {
    let restored = backup::restore(data, from, passphrase)?;
    if let Some(kept) = restored.kept {
        println!("{}", kept.display());
    }
    println!("restored · 已恢复");
    Ok(())
}

/// Gives a user a new random password.
pub async fn reset_password(data: &Path, user: &str) -> Result<()> {
    let engine = Engine::open(edgedeck_engine::Options {
        data: data.to_owned(),
        clock: Clock::system(),
        hosts: BTreeSet::new(),
        addresses: Vec::new(),
    })
    .await?;
    let password = random_hex::<8>()?;
    let actor = Actor {
        name: "reset-password".to_owned(),
        origin: "machine".to_owned(),
        role: Role::Admin,
    };
    let outcome = engine.reset_password(&actor, user, &password).await;
    engine.close().await;
    outcome?;
    println!("{user}: {password}");
    Ok(())
}
