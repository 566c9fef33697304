//! The console: one WebAssembly program for the window and for browsers.
//!
//! Layers, each knowing only those before it: `browser` (what the page offers), `i18n` and `format` (words, numbers,
//! times), `state` (who is signed in, language, theme), `api` (calls), `store` and `feed` (the lab as the engine tells
//! it), `components` (what screens are made of), `screens`, `frame` (navigation and everything around a screen).
//! Logic that needs no page (filters, sorting, palette, feed) is in plain functions and tested natively.
//! Names that come from boxes are only ever rendered as text.

mod api;
mod browser;
mod components;
mod csv;
mod desktop;
mod feed;
mod format;
mod frame;
mod i18n;
mod load;
mod match_text;
mod screens;
mod state;
mod store;
mod url;

fn main() {
    console_error_panic_hook::set_once();
    state::start();
    leptos::mount::mount_to_body(frame::Console);
}
