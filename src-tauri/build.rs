//! Puts the screen into the program.

use std::path::Path;
use std::process::exit;

fn main() {
    println!("cargo:rerun-if-changed=../ui/dist");
    if !Path::new("../ui/dist/index.html").is_file() {
        eprintln!(
            "the app's screen is not built: run `npm ci && npm run build` in the folder ui, or `cargo xtask app`"
        );
        exit(1);
    }
    tauri_build::build();
}
