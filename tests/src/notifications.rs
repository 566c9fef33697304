//! A desktop that shows notifications: a session bus of its own with the service that programs call.

use crate::programs::Process;
use anyhow::{Context, Result};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};
use zbus::{
    blocking::{Connection, connection::Builder},
    zvariant::Value,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub title: String,
    pub body: String,
}

/// The bus and what was told on it.
pub struct Desktop {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
    _service: Connection,
    _bus: Process,
}

struct Service(Arc<Mutex<Vec<Told>>>);

/// The freedesktop.org Desktop Notifications Specification, 1.2.
#[zbus::interface(name = "org.freedesktop.Notifications")]
impl Service {
    #[expect(clippy::too_many_arguments, reason = "the specification's signature")]
    fn notify(
        &self,
        _program: &str,
        _replaces: u32,
        _icon: &str,
        title: &str,
        body: &str,
        _actions: Vec<String>,
        _hints: HashMap<String, Value<'_>>,
        _expires: i32,
    ) -> u32 {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(Told {
            title: title.to_owned(),
            body: body.to_owned(),
        });
        u32::try_from(told.len()).unwrap_or(u32::MAX)
    }

    fn get_capabilities(&self) -> Vec<String> {
        vec!["body".to_owned()]
    }

    fn get_server_information(&self) -> (String, String, String, String) {
        let text = ToOwned::to_owned;
        (text("test"), text("EdgeDeck"), text("1"), text("1.2"))
    }
}

impl Desktop {
    /// # Errors
    /// When the bus does not start.
    pub fn start() -> Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let mut command = Command::new("dbus-daemon");
        command
            .args(["--session", "--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::from(writer))
            .stderr(Stdio::null());
        let bus = Process::start(&mut command).context("dbus-daemon; `cargo xtask test` installs it")?;
        drop(command);
        let mut address = String::new();
        BufReader::new(reader).read_line(&mut address)?;
        let address = address.trim().to_owned();
        let told = Arc::new(Mutex::new(Vec::new()));
        let service = Builder::address(address.as_str())?
            .name("org.freedesktop.Notifications")?
            .serve_at("/org/freedesktop/Notifications", Service(told.clone()))?
            .build()?;
        Ok(Self {
            address,
            told,
            _service: service,
            _bus: bus,
        })
    }

    /// For `DBUS_SESSION_BUS_ADDRESS`.
    pub fn bus(&self) -> &str {
        &self.address
    }

    /// Everything that was told so far.
    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
