//! The web site is embedded from `ui/dist-site`. Without Node.js nobody builds it, and the server is built all the same.

use std::fs;
use std::path::Path;

fn main() {
    let site = Path::new("../ui/dist-site");
    // An empty folder is a site that is not built; Cargo sees it change once somebody does.
    if !site.is_dir()
        && let Err(error) = fs::create_dir_all(site)
    {
        println!("cargo::error=cannot make {}: {error}", site.display());
    }
    println!("cargo::rerun-if-changed={}", site.display());
}
