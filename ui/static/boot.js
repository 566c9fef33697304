import init from "/edgedeck_ui.js";
await init({ module_or_path: "/edgedeck_ui_bg.wasm" });
