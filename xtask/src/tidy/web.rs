//! What may stand in which source file of the screen.

use super::Violation;
use super::files::File;
use super::text;

/// Only this folder may import them, so that the screen also runs where there is no Tauri.
const TAURI_FOLDER: &str = "ui/src/lib/platform/tauri/";
/// As it stands in an import, static or not: behind a quote.
const TAURI_PACKAGES: &[&str] = &["'@tauri-apps/", "\"@tauri-apps/", "`@tauri-apps/"];

/// What makes a test not run, or keeps the others from running.
const LEFT_OUT: &[&str] =
    &["test.skip", "test.only", "test.todo", "it.skip", "it.only", "describe.skip", "describe.only"];

pub(super) fn check(file: &File) -> Vec<Violation> {
    if !file.path.starts_with("ui/") || !(file.path.ends_with(".ts") || file.path.ends_with(".svelte")) {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for (line, code) in text::lines(&file.text) {
        let mut report = |rule, what_to_do: &str| {
            violations.push(Violation {
                path: file.path.clone(),
                line,
                rule,
                what_to_do: what_to_do.to_owned(),
            });
        };
        if !file.path.starts_with(TAURI_FOLDER) && TAURI_PACKAGES.iter().any(|name| code.contains(name)) {
            report("layer", "only ui/src/lib/platform/tauri imports @tauri-apps; go through the Platform");
        }
        if LEFT_OUT.iter().any(|word| text::has_word(code, word)) {
            report("ignored", "a test that does not run proves nothing; make it run or delete it");
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&File { path: path.to_owned(), text: text.to_owned() })
            .into_iter()
            .map(|violation| (violation.line, violation.rule))
            .collect()
    }

    #[test]
    fn each_rule_finds_what_it_is_about() {
        let import = "\nimport { invoke } from '@tauri-apps/api/core';";
        for (path, text, expected) in [
            ("ui/src/app/App.svelte", import, vec![(2, "layer")]),
            ("ui/src/lib/platform/open.ts", "await import(\"@tauri-apps/api\")", vec![(1, "layer")]),
            ("ui/src/lib/platform/tauri/platform.ts", import, vec![]),
            ("ui/src/lib/platform/tauriish.ts", import, vec![(2, "layer")]),
            ("ui/src/app/App.svelte", "// as @tauri-apps does", vec![]),
            ("ui/src/app/App.test.ts", "test.skip('x', () => {});", vec![(1, "ignored")]),
            ("ui/src/app/App.test.ts", "describe.only('x', () => {});", vec![(1, "ignored")]),
            ("ui/src/app/App.test.ts", "test('only', () => {});", vec![]),
            ("xtask/src/a.rs", import, vec![]),
        ] {
            assert_eq!(rules(path, text), expected, "{path}: {text}");
        }
    }
}
