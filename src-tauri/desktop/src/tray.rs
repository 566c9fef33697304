//! The tray: opens the window, quits, and shows the lab's state in a line. A desktop without one is no failure: then
//! closing the window quits.

use crate::window;
use ksni::{
    Icon, MenuItem, OfflineReason, Status, ToolTip,
    blocking::{Handle, TrayMethods},
    menu::StandardItem,
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tauri::{AppHandle, Manager};

/// What the rest of the window knows of the tray.
struct Shown {
    /// Whether a desktop shows it now.
    visible: Arc<AtomicBool>,
    handle: OnceLock<Handle<Tray>>,
}

struct Tray {
    app: AppHandle,
    visible: Arc<AtomicBool>,
    icon: Vec<Icon>,
    status: String,
    attention: bool,
}

/// Asks the desktop to show the tray, in a thread of its own: a session bus may answer late or never.
pub fn start(app: &AppHandle) {
    let visible = Arc::new(AtomicBool::new(false));
    let tray = Tray {
        app: app.clone(),
        visible: visible.clone(),
        icon: app.default_window_icon().map(argb).into_iter().collect(),
        status: String::new(),
        attention: false,
    };
    app.manage(Shown {
        visible,
        handle: OnceLock::new(),
    });
    let app = app.clone();
    thread::spawn(move || match tray.spawn() {
        Ok(handle) => {
            let shown = app.state::<Shown>();
            shown.visible.store(true, Ordering::Relaxed);
            // Set once: this thread is started once.
            _ = shown.handle.set(handle);
        }
        Err(error) => tracing::info!("there is no tray here ({error}): closing the window quits"),
    });
}

/// Whether a tray shows the program now.
pub fn visible(app: &AppHandle) -> bool {
    app.try_state::<Shown>()
        .is_some_and(|shown| shown.visible.load(Ordering::Relaxed))
}

/// Puts a line into the tray's menu and tooltip, and marks it when it needs attention.
pub fn show_status(app: &AppHandle, text: String, attention: bool) {
    let Some(handle) = app.try_state::<Shown>().and_then(|shown| shown.handle.get().cloned()) else {
        return;
    };
    thread::spawn(move || {
        // None when the tray has ended: then there is nothing to show it in.
        handle.update(|tray| {
            tray.status = text;
            tray.attention = attention;
        })
    });
}

/// The icon as the tray wants it: ARGB instead of RGBA.
fn argb(image: &tauri::image::Image<'_>) -> Icon {
    let mut data = image.rgba().to_vec();
    for pixel in data.as_chunks_mut::<4>().0 {
        pixel.rotate_right(1);
    }
    Icon {
        width: i32::try_from(image.width()).unwrap_or(0),
        height: i32::try_from(image.height()).unwrap_or(0),
        data,
    }
}

impl Tray {
    /// The window's own work belongs to the main thread.
    fn raise(&self) {
        let app = self.app.clone();
        if let Err(error) = self.app.run_on_main_thread(move || window::raise(&app, None)) {
            tracing::warn!("the tray could not open the window: {error}");
        }
    }
}

impl ksni::Tray for Tray {
    fn id(&self) -> String {
        "org.edgedeck.desktop".into()
    }

    fn title(&self) -> String {
        "EdgeDeck".into()
    }

    fn status(&self) -> Status {
        if self.attention {
            Status::NeedsAttention
        } else {
            Status::Active
        }
    }

    fn icon_pixmap(&self) -> Vec<Icon> {
        self.icon.clone()
    }

    fn attention_icon_pixmap(&self) -> Vec<Icon> {
        self.icon.clone()
    }

    fn tool_tip(&self) -> ToolTip {
        ToolTip {
            title: "EdgeDeck".into(),
            description: self.status.clone(),
            ..ToolTip::default()
        }
    }

    fn activate(&mut self, _x: i32, _y: i32) {
        self.raise();
    }

    fn menu(&self) -> Vec<MenuItem<Self>> {
        let mut items = Vec::new();
        if !self.status.is_empty() {
            items.push(
                StandardItem {
                    label: self.status.clone(),
                    enabled: false,
                    ..StandardItem::default()
                }
                .into(),
            );
            items.push(MenuItem::Separator);
        }
        let open = StandardItem {
            label: "打开 · Open".into(),
            activate: Box::new(|tray: &mut Self| tray.raise()),
            ..StandardItem::default()
        };
        let quit = StandardItem {
            label: "退出 · Quit".into(),
            activate: Box::new(|tray: &mut Self| tray.app.exit(0)),
            ..StandardItem::default()
        };
        items.push(open.into());
        items.push(quit.into());
        items
    }

    fn watcher_online(&self) {
        self.visible.store(true, Ordering::Relaxed);
    }

    fn watcher_offline(&self, _reason: OfflineReason) -> bool {
        self.visible.store(false, Ordering::Relaxed);
        // A hidden window must not become one that nobody can call back.
        self.raise();
        true
    }
}
