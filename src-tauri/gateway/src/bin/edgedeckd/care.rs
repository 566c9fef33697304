//! Tools for a lab's data folder.

use anyhow::{Context, Result, bail, ensure};
use edgedeck_engine::{Actor, Clock, Engine, random_hex};
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

/// Writes a consistent copy; the engine may run meanwhile.
pub fn backup(data: &Path, to: &Path) -> Result<()> {
    ensure!(!to.exists(), "{} exists already; choose another name", to.display());
    read_only(&database(data))?
        .execute("VACUUM INTO ?1", [to.to_string_lossy()])
        .with_context(|| format!("writing {}", to.display()))?;
    println!("{}", to.display());
    println!(
        "Keep {} with it: without that key the certificates and secrets in the copy cannot be opened.",
        data.join("secret.key").display()
    );
    println!(
        "请一并保存 {}：没有该密钥，备份中的证书和机密无法打开。",
        data.join("secret.key").display()
    );
    Ok(())
}

/// Puts a sound copy in place of the database; the present one is kept beside it.
pub fn restore(data: &Path, from: &Path) -> Result<()> {
    integrity(&read_only(from)?)?;
    let lock = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(data.join("lock"))
        .context("opening the lock")?;
    if lock.try_lock().is_err() {
        bail!("the engine runs on {}; stop it first", data.display());
    }
    let target = database(data);
    let staged = data.join("edgedeck.db.restored");
    fs::copy(from, &staged).with_context(|| format!("copying {}", from.display()))?;
    fs::File::open(&staged)?.sync_all()?;
    if target.exists() {
        let kept = data.join("edgedeck.db.before-restore");
        // Takes what the write-ahead log still holds along.
        Connection::open(&target)?.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        fs::rename(&target, &kept)?;
        println!("{}", kept.display());
    }
    for ending in ["-wal", "-shm"] {
        let path = data.join(format!("edgedeck.db{ending}"));
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    fs::rename(&staged, &target)?;
    fs::File::open(data)?.sync_all()?;
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
