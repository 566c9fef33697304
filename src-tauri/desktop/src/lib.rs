//! The window: starts the engine, shows the console, and does what only a desktop can (files, notifications, tray).
//!
//! The console's page and its API come from the gateway's router over a scheme of the window's own, so that no port is
//! open for it. Nothing here knows a node or a deployment: what a person sees is the page's matter. May depend on
//! `gateway`, `engine` and `model`.

mod arguments;
mod commands;
mod failure;
mod page;
mod saving;
mod starting;
#[cfg(target_os = "linux")]
mod tray;
mod uploading;
mod window;

use anyhow::{Context, bail};
use std::{env, ffi::OsString};
use tauri::{Manager, RunEvent, WindowEvent};

/// Opens the window and serves it until it is quit.
///
/// # Errors
/// When there is no display, the command line is wrong, or the desktop's libraries do not start. A failure of the
/// engine is no error here: the window shows it.
pub fn run(command_line: impl Iterator<Item = OsString>) -> anyhow::Result<()> {
    let arguments = arguments::parse(command_line);
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("EDGEDECK_LOG").unwrap_or_else(|_| "info".into()))
        .with_writer(std::io::stderr)
        .init();
    if cfg!(target_os = "linux") && env::var_os("DISPLAY").is_none() && env::var_os("WAYLAND_DISPLAY").is_none() {
        bail!(
            "there is no display here. `edgedeckd serve` serves the same console to a browser.\n\
             这里没有图形显示。可运行 `edgedeckd serve`，在浏览器中使用同样的控制台。"
        );
    }

    let answers = starting::Answers::default();
    let pages = answers.clone();
    tauri::Builder::default()
        .plugin(
            tauri_plugin_single_instance::Builder::new()
                .dbus_id(arguments::bus_name(arguments.data_dir()))
                .callback(|app, command_line, _folder| window::raise(app, arguments::page_of(&command_line)))
                .build(),
        )
        .plugin(window::state_plugin())
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_notification::init())
        .register_asynchronous_uri_scheme_protocol(page::SCHEME, move |context, request, responder| {
            let answers = pages.clone();
            let label = context.webview_label().to_owned();
            tauri::async_runtime::spawn(
                async move { responder.respond(page::answer(&answers, &label, request).await) },
            );
        })
        .manage(answers)
        .manage(saving::Saved::default())
        .invoke_handler(tauri::generate_handler![
            commands::app_info,
            commands::notify,
            commands::open_saved,
            commands::save_file,
            commands::show_status,
            commands::upload_file,
        ])
        .setup(move |app| {
            // Not before this: a second start has ended by now, and must not touch the data folder.
            app.state::<starting::Answers>().start(arguments.options());
            window::open(app.handle(), arguments.page())?;
            #[cfg(target_os = "linux")]
            tray::start(app.handle());
            quit_on_signal(app.handle().clone());
            Ok(())
        })
        .on_window_event(|window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event
                && window::hides(window.app_handle())
            {
                api.prevent_close();
                if let Err(error) = window.hide() {
                    tracing::warn!("the window could not be hidden: {error}");
                }
            }
        })
        .build(tauri::generate_context!())
        .context("start the window")?
        .run(|app, event| {
            if let RunEvent::Exit = event {
                tauri::async_runtime::block_on(app.state::<starting::Answers>().stop());
            }
        });
    Ok(())
}

/// Ctrl-C and SIGTERM quit as the menu does: the engine is stopped first.
fn quit_on_signal(app: tauri::AppHandle) {
    use tokio::signal::unix::{SignalKind, signal};
    tauri::async_runtime::spawn(async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
        else {
            tracing::warn!("signals cannot be awaited: Ctrl-C ends the program without stopping the engine first");
            return;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        app.exit(0);
    });
}
