//! A folder's files and their SHA-256, in the form that `sha256sum --check` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use sha2::{Digest, Sha256};

const FILE: &str = "SHA256SUMS";

/// Writes the checksums of everything in the folder beside it.
pub(super) fn record(folder: &Path) -> anyhow::Result<()> {
    let mut text = String::new();
    for (path, sum) in of_files(folder)? {
        writeln!(text, "{sum}  {path}")?;
    }
    fs::write(folder.join(FILE), text).context("cannot write the checksums")
}

/// The files that are not as they were when the checksums were recorded, are new, or are gone.
pub(super) fn differences(folder: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(folder.join(FILE))
        .with_context(|| format!("{} has no {FILE}", folder.display()))?;
    let recorded: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once("  ")).map(|(sum, path)| (path, sum)).collect();
    let found = of_files(folder)?;
    let paths: BTreeSet<&str> = recorded.keys().copied().chain(found.keys().map(String::as_str)).collect();
    Ok(paths
        .into_iter()
        .filter(|path| recorded.get(path).copied() != found.get(*path).map(String::as_str))
        .map(str::to_owned)
        .collect())
}

/// Every file below the folder by its path with forward slashes, apart from the record itself.
fn of_files(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut sums = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push((entry.path(), format!("{path}/")));
            } else if path != FILE {
                sums.insert(path, sum(&fs::read(entry.path())?));
            }
        }
    }
    Ok(sums)
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_new_and_a_missing_file_are_found_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("ios")).expect("created");
        for name in ["mark.svg", "ios/a.png", "ios/b.png"] {
            fs::write(path(name), name).expect("written");
        }
        record(folder.path()).expect("recorded");
        assert!(differences(folder.path()).expect("readable").is_empty());

        fs::write(path("mark.svg"), "another drawing").expect("written");
        fs::remove_file(path("ios/a.png")).expect("removed");
        fs::write(path("new.png"), "").expect("written");
        assert_eq!(differences(folder.path()).expect("readable"), ["ios/a.png", "mark.svg", "new.png"]);
    }

    #[test]
    fn a_sum_is_what_sha256sum_prints() {
        assert_eq!(sum(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
