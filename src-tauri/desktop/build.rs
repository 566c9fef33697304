//! Makes Tauri's context, and the permissions for the window's own commands.

fn main() {
    println!("cargo:rerun-if-changed=src-tauri/capabilities");
    // A command that is not listed here could be called by every window.
    let commands = tauri_build::AppManifest::new().commands(&[
        "app_info",
        "notify",
        "open_saved",
        "save_file",
        "show_status",
        "upload_file",
    ]);
    tauri_build::try_build(
        tauri_build::Attributes::new()
            .capabilities_path_pattern("src-tauri/capabilities/**/*")
            .app_manifest(commands),
    )
    .expect("the desktop's build script");
}
