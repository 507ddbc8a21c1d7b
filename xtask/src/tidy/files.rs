//! The files that the rules look at: our own sources, manifests and documents.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// A file of the repository.
#[derive(Debug)]
pub(super) struct File {
    /// Relative to the repository, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

impl File {
    /// The path's parts, the last one without its extension.
    pub(super) fn words(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.path.split('/').collect();
        if let Some(last) = words.last_mut() {
            *last = last.split('.').next().unwrap_or(last);
        }
        words
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Neither a manifest nor a document.
    pub(super) fn is_source(&self) -> bool {
        ![".toml", ".md"].iter().any(|end| self.path.ends_with(end))
    }

    /// True below a folder `tests`.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests")
    }
}

/// Folders whose content is made by tools or by running the programs.
const NOT_OURS: &[&str] = &["target", "node_modules", "recordings", "artifacts", "dist", "gen", "corpus"];

const EXTENSIONS: &[&str] = &["rs", "toml", "ts", "svelte", "kt", "swift", "md"];

/// Reads every source file, manifest and document below `root`.
pub(super) fn read_all(root: &Path) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    walk(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() && EXTENSIONS.iter().any(|one| name.ends_with(&format!(".{one}"))) {
            let text = fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(File { path, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_what_tools_make_is_not() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for path in ["a/src/lib.rs", "a/Cargo.toml", "target/x.rs", ".git/y.rs", "a/picture.png"] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
            fs::write(path, "").expect("written");
        }
        let files = read_all(root.path()).expect("readable");
        let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a/Cargo.toml", "a/src/lib.rs"]);
    }
}
