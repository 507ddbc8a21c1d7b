//! Which crate may use which, by the manifests; and what every manifest must say.

use std::collections::BTreeMap;

use super::Violation;
use super::files::File;
use super::text;
use crate::workspace::{Member, Workspace};

/// The crates of ours that each crate may use in what it ships. What they use in turn may be used too.
const MAY_USE: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("settings", &[]),
    ("xtask", &[]),
    ("media", &["protocol"]),
    ("signing", &["protocol"]),
    ("capture", &["media"]),
    ("publisher", &["protocol", "media", "signing"]),
    ("ingest-server", &["protocol", "media", "settings", "signing"]),
    ("session", &["capture", "publisher"]),
    ("longtake", &["session", "settings"]),
    // Those that ship to nobody.
    ("fuzz", &["media"]),
    ("testkit", &["capture", "publisher", "signing"]),
    ("bench", &["session", "ingest-server", "settings", "testkit"]),
    // The shell and its plugins.
    ("app", &["session"]),
    ("longtake-app", &["app"]),
    ("tauri-plugin-*", &["capture"]),
];

/// Libraries that only some crates may name.
const ONLY_FOR: &[(&str, &[&str])] = &[
    ("axum", &["ingest-server"]),
    ("sqlx", &["ingest-server"]),
    ("tauri", &["longtake-app", "tauri-plugin-*"]),
    ("nokhwa", &["capture"]),
    ("cpal", &["capture"]),
    ("anyhow", &["longtake", "ingest-server", "longtake-app", "bench", "testkit", "xtask"]),
];

/// Libraries that do I/O, start tasks or read clocks.
const IMPURE: &[&str] = &["tokio", "tokio-tungstenite", "hyper", "reqwest", "object_store", "async-nats"];
const PURE_CRATES: &[&str] = &["protocol", "media"];

/// Test binaries that must not share the machine with other tests.
const HEAVY: &[&str] = &["app", "crash", "faults", "killed_publisher", "session_60s", "watch"];
const NEXTEST: &str = ".config/nextest.toml";

pub(super) fn check(workspace: &Workspace, files: &[File]) -> Vec<Violation> {
    let nextest = std::fs::read_to_string(workspace.root().join(NEXTEST)).unwrap_or_default();
    let mut violations = Vec::new();
    for member in workspace.members() {
        let path = member
            .manifest
            .strip_prefix(workspace.root())
            .unwrap_or(&member.manifest)
            .to_string_lossy()
            .replace('\\', "/");
        let manifest = files.iter().find(|file| file.path == path).map_or("", |file| &file.text);
        let mut report = |word: &str, rule, what_to_do| {
            violations.push(Violation {
                path: path.clone(),
                line: line_of(manifest, word),
                rule,
                what_to_do,
            });
        };
        if !inherits_lints(manifest) {
            report("", "lints", "add `[lints]` with `workspace = true`".to_owned());
        }
        for (dependency, what_to_do) in forbidden(member) {
            report(&dependency, "layer", what_to_do);
        }
    }
    violations.extend(unlisted_heavy_tests(workspace.members(), &nextest));
    violations
}

/// The dependencies that `member` may not have, each with what to do.
fn forbidden(member: &Member) -> Vec<(String, String)> {
    let name = member.name.as_str();
    let Some(allowed) = reachable(name) else {
        let advice = format!("add `{name}` to the table of who may use whom in xtask/src/tidy/layers.rs");
        return vec![(String::new(), advice)];
    };
    let mut found = Vec::new();
    for dependency in member.dependencies.iter().filter(|dependency| dependency.is_normal) {
        let library = dependency.name.as_str();
        if dependency.is_ours && !allowed.contains(&library) {
            let advice =
                format!("`{name}` may not use `{library}`; meet in protocol or media, or test with it only");
            found.push((library.to_owned(), advice));
        }
        if let Some((_, crates)) = ONLY_FOR.iter().find(|(only, _)| *only == library)
            && !crates.iter().any(|pattern| fits(pattern, name))
        {
            let advice = format!("only {} may depend on `{library}`", crates.join(", "));
            found.push((library.to_owned(), advice));
        }
        if PURE_CRATES.contains(&name) && IMPURE.contains(&library) {
            found.push((library.to_owned(), format!("`{name}` does no I/O and starts no task")));
        }
    }
    found
}

/// All crates that `name` may use, directly or not; `None` for a crate that the table does not know.
fn reachable(name: &str) -> Option<Vec<&'static str>> {
    let table: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let (_, direct) = MAY_USE.iter().find(|(pattern, _)| fits(pattern, name))?;
    let mut all: Vec<&str> = direct.to_vec();
    let mut next = 0;
    while let Some(used) = all.get(next) {
        for more in table.get(used).copied().unwrap_or_default() {
            if !all.contains(more) {
                all.push(more);
            }
        }
        next += 1;
    }
    Some(all)
}

/// A pattern is a name, or the beginning of one and a star.
fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

fn inherits_lints(manifest: &str) -> bool {
    let lines: Vec<&str> = manifest.lines().map(str::trim).collect();
    lines.contains(&"lints.workspace = true")
        || lines.windows(2).any(|pair| pair == ["[lints]", "workspace = true"])
}

/// The line that begins with `word`, or the first one.
fn line_of(manifest: &str, word: &str) -> usize {
    text::lines(manifest)
        .find(|(_, line)| !word.is_empty() && line.trim_start().starts_with(word))
        .map_or(1, |(line, _)| line)
}

/// nextest refuses a filter that names a binary which does not exist, and so the list cannot be written ahead of it.
fn unlisted_heavy_tests(members: &[Member], nextest: &str) -> Vec<Violation> {
    members
        .iter()
        .flat_map(|member| &member.test_binaries)
        .filter(|name| HEAVY.contains(&name.as_str()))
        .map(|name| format!("binary(={name})"))
        .filter(|filter| !nextest.contains(filter.as_str()))
        .map(|filter| Violation {
            path: NEXTEST.to_owned(),
            line: 1,
            rule: "heavy",
            what_to_do: format!("add `| {filter}` to the filter of the test group `heavy`"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::workspace::Dependency;

    fn member(name: &str, dependencies: &[(&str, bool, bool)]) -> Member {
        Member {
            name: name.to_owned(),
            manifest: PathBuf::new(),
            dependencies: dependencies
                .iter()
                .map(|&(name, is_normal, is_ours)| Dependency { name: name.to_owned(), is_normal, is_ours })
                .collect(),
            test_binaries: Vec::new(),
        }
    }

    #[test]
    fn forbidden_dependencies_are_found_and_dev_dependencies_are_free() {
        for (name, dependency, is_normal, is_ours, expected) in [
            ("capture", "ingest-server", true, true, 1),
            ("ingest-server", "publisher", true, true, 1),
            ("ingest-server", "publisher", false, true, 0),
            ("capture", "media", true, true, 0),
            ("capture", "protocol", true, true, 0),
            ("longtake", "media", true, true, 0),
            ("media", "capture", true, true, 1),
            ("publisher", "testkit", true, true, 1),
            ("publisher", "testkit", false, true, 0),
            ("protocol", "tokio", true, false, 1),
            ("publisher", "tokio", true, false, 0),
            ("publisher", "axum", true, false, 1),
            ("media", "anyhow", true, false, 1),
            ("tauri-plugin-camera", "tauri", true, false, 0),
            ("longtake", "tauri", true, false, 1),
            ("surprise", "media", true, true, 1),
        ] {
            let found = forbidden(&member(name, &[(dependency, is_normal, is_ours)]));
            assert_eq!(found.len(), expected, "{name} uses {dependency}: {found:?}");
        }
    }

    #[test]
    fn both_ways_to_inherit_the_lints_count() {
        assert!(inherits_lints("[lints]\nworkspace = true\n"));
        assert!(inherits_lints("lints.workspace = true"));
        assert!(!inherits_lints("[package]\nversion.workspace = true"));
    }

    #[test]
    fn a_heavy_test_binary_has_to_be_listed() {
        let mut member = member("ingest-server", &[]);
        member.test_binaries = vec!["crash".to_owned(), "quick".to_owned()];
        assert_eq!(unlisted_heavy_tests(std::slice::from_ref(&member), "").len(), 1);
        assert!(unlisted_heavy_tests(&[member], "filter = 'binary(=crash)'").is_empty());
    }

    #[test]
    fn a_violation_points_at_the_line_of_the_dependency() {
        assert_eq!(line_of("[dependencies]\nmedia = 1\ntokio.workspace = true\n", "tokio"), 3);
        assert_eq!(line_of("[dependencies]\n", "tokio"), 1);
    }
}
