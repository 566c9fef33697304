//! `curl`, as an integrator's script calls an API with its client certificate.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{fs, process::Command};
use tempfile::TempDir;

pub struct Curl {
    folder: TempDir,
    base: String,
}

impl Curl {
    /// Calls `base` with a certificate and its key, trusting `ca`; all PEM texts.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new(base: String, ca: &str, certificate: &str, key: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        for (name, pem) in [("ca.pem", ca), ("client.pem", certificate), ("client.key", key)] {
            fs::write(folder.path().join(name), pem)?;
        }
        Ok(Self { folder, base })
    }

    /// # Errors
    /// When curl gets no answer, or one that is no JSON.
    pub fn call(&self, arguments: &[&str], path: &str) -> Result<Value> {
        Ok(serde_json::from_slice(&self.bytes(arguments, path)?)?)
    }

    /// # Errors
    /// When curl gets no answer.
    pub fn bytes(&self, arguments: &[&str], path: &str) -> Result<Vec<u8>> {
        let file = |name: &str| self.folder.path().join(name);
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--cacert"])
            .arg(file("ca.pem"))
            .arg("--cert")
            .arg(file("client.pem"))
            .arg("--key")
            .arg(file("client.key"))
            .args(arguments)
            .arg(format!("{}{path}", self.base))
            .output()
            .context("curl; `cargo xtask test` installs it")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }
}
