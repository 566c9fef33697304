//! A real browser and the real window, driven by WebDriver.

use crate::{
    programs::{Process, free_port, program},
    wait::until,
};
use anyhow::{Context, Result};
use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use std::{
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// How long a page may take to show something.
pub const SHOWN: Duration = Duration::from_secs(20);

/// A page under control, with everything that was started for it.
pub struct Web {
    pub client: Client,
    /// In the desktop window rather than in Chromium.
    pub window: bool,
    /// The display that the window is on, as `:5`; empty for Chromium, which has none.
    pub display: String,
    /// The driver first.
    processes: Vec<Process>,
    _folder: TempDir,
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

async fn session(port: u16, capabilities: serde_json::Value) -> Result<Client> {
    let serde_json::Value::Object(capabilities) = capabilities else {
        anyhow::bail!("capabilities are an object");
    };
    until("WebDriver", SHOWN, async || {
        tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        Ok(Some(()))
    })
    .await?;
    let mut builder = ClientBuilder::new(HttpConnector::new());
    builder.capabilities(capabilities);
    Ok(builder.connect(&format!("http://127.0.0.1:{port}")).await?)
}

/// A display of its own; its name, as `:5`.
fn display(width: u32, height: u32) -> Result<(Process, String)> {
    let (mut reader, writer) = std::io::pipe()?;
    let mut command = Command::new("Xvfb");
    command
        .args([
            "-displayfd",
            "1",
            "-screen",
            "0",
            &format!("{width}x{height}x24"),
            "-nolisten",
            "tcp",
        ])
        .stdout(Stdio::from(writer))
        .stderr(Stdio::null());
    let process = Process::start(&mut command).context("Xvfb; `cargo xtask test` installs it")?;
    drop(command);
    let (mut number, mut byte) = (String::new(), [0]);
    while reader.read(&mut byte)? == 1 && byte != *b"\n" {
        number.push(byte[0].into());
    }
    Ok((process, format!(":{number}")))
}

impl Web {
    /// Chromium at an address, with a size and a language.
    ///
    /// # Errors
    /// When Chromium or its driver does not start.
    pub async fn chromium(address: &str, (width, height): (u32, u32), lang: &str) -> Result<Self> {
        let (port, folder) = (free_port()?, TempDir::new()?);
        let driver = Process::start(quiet("chromedriver").arg(format!("--port={port}")))
            .context("chromedriver; `cargo xtask test` installs it")?;
        let profile = format!("--user-data-dir={}", folder.path().display());
        let args = [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--force-device-scale-factor=1",
            &profile,
            &format!("--window-size={width},{height}"),
            &format!("--lang={lang}"),
            &format!("--accept-lang={lang}"),
        ];
        let capabilities = json!({
            "browserName": "chrome",
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": args },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let client = session(port, capabilities).await?;
        client.goto(address).await?;
        // The size that was asked for is the window's; the page has less.
        let missing = "return [outerWidth - innerWidth, outerHeight - innerHeight]";
        let missing = client.execute(missing, Vec::new()).await?;
        let (across, down): (u32, u32) = serde_json::from_value(missing)?;
        client.set_window_size(width + across, height + down).await?;
        Ok(Self {
            client,
            window: false,
            display: String::new(),
            processes: vec![driver],
            _folder: folder,
        })
    }

    /// The desktop window on a display of its own, with its lab in `data`.
    ///
    /// # Errors
    /// When the display, the driver or the window does not start.
    pub async fn window(data: &Path, size: (u32, u32), envs: &[(&str, PathBuf)]) -> Result<Self> {
        Self::window_at(data, size, envs, "127.0.0.1:0").await
    }

    /// As [`Self::window`], with the address where its engine listens to agents.
    ///
    /// # Errors
    /// When the display, the driver or the window does not start.
    pub async fn window_at(
        data: &Path,
        (width, height): (u32, u32),
        envs: &[(&str, PathBuf)],
        agents: &str,
    ) -> Result<Self> {
        let (port, folder) = (free_port()?, TempDir::new()?);
        let (xvfb, display) = display(width, height)?;
        let mut command = quiet("WebKitWebDriver");
        command
            .arg(format!("--port={port}"))
            .arg("--host=127.0.0.1")
            .env("DISPLAY", &display)
            .env("TAURI_WEBVIEW_AUTOMATION", "true")
            .env("XDG_RUNTIME_DIR", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CACHE_HOME", folder.path())
            .env("EDGEDECK_DATA", data)
            .envs(envs.iter().map(|(name, value)| (name, value)));
        let driver = Process::start(&mut command).context("WebKitWebDriver; `cargo xtask test` installs it")?;
        let binary = program("edgedeck")?;
        let free = "127.0.0.1:0";
        let args = [
            "--agents",
            agents,
            "--mef",
            free,
            "--cloud",
            free,
            "--tingyu",
            free,
            "--registry",
            free,
        ];
        let capabilities = json!({ "webkitgtk:browserOptions": { "binary": binary, "args": args } });
        let client = session(port, capabilities).await?;
        Ok(Self {
            client,
            window: true,
            display,
            processes: vec![driver, xvfb],
            _folder: folder,
        })
    }

    /// The process of the driver, which has started the browser or the window.
    pub fn driver(&self) -> Option<u32> {
        self.processes.first().map(Process::id)
    }

    /// The element that a selector finds, once it is shown.
    ///
    /// # Errors
    /// When it is not shown in time.
    pub async fn find(&self, css: &str) -> Result<Element> {
        until(css, SHOWN, async || {
            let element = self.client.find(Locator::Css(css)).await?;
            Ok(element.is_displayed().await?.then_some(element))
        })
        .await
    }

    /// Clicks what a selector finds.
    ///
    /// # Errors
    /// When it is not there, or something lies over it, for too long.
    pub async fn click(&self, css: &str) -> Result<()> {
        until(&format!("click on {css}"), SHOWN, async || {
            self.client.find(Locator::Css(css)).await?.click().await?;
            Ok(Some(()))
        })
        .await
    }

    /// Types into a field, replacing what is there.
    ///
    /// # Errors
    /// When the field is not there in time.
    pub async fn fill(&self, css: &str, text: &str) -> Result<()> {
        let field = self.find(css).await?;
        field.clear().await?;
        field.send_keys(text).await?;
        Ok(())
    }

    /// Chooses a file in a field for files.
    ///
    /// # Errors
    /// When the field is not there in time.
    pub async fn choose(&self, css: &str, file: &Path) -> Result<()> {
        Ok(self.find(css).await?.send_keys(&file.display().to_string()).await?)
    }

    /// Waits until what a selector finds contains a text.
    ///
    /// # Errors
    /// When it does not in time; the error has what was there instead.
    pub async fn shows(&self, css: &str, text: &str) -> Result<()> {
        let mut seen = String::new();
        let what = format!("{text:?} in {css}");
        let found = until(&what, SHOWN, async || {
            // WebKit's driver leaves out text that is cut with an ellipsis; the page's own reading has it.
            let element = self.client.find(Locator::Css(css)).await?;
            seen = element.prop("textContent").await?.unwrap_or_default();
            Ok(seen.contains(text).then_some(()))
        });
        found.await.with_context(|| format!("it showed {seen:?}"))
    }

    /// Waits until a selector finds nothing.
    ///
    /// # Errors
    /// When it still does after the deadline.
    pub async fn is_gone(&self, css: &str) -> Result<()> {
        until(&format!("end of {css}"), SHOWN, async || {
            Ok(self.client.find_all(Locator::Css(css)).await?.is_empty().then_some(()))
        })
        .await
    }

    /// Writes a picture of the page.
    ///
    /// # Errors
    /// When the driver or the disk fails.
    pub async fn picture(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        Ok(std::fs::write(path, self.client.screenshot().await?)?)
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When the driver does not answer.
    pub async fn close(self) -> Result<()> {
        Ok(self.client.clone().close().await?)
    }
}
