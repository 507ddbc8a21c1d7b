//! What may stand in which source file.

use super::Violation;
use super::files::File;
use super::text;

/// A word of Rust code that only some files may contain.
struct Confined {
    words: &'static [&'static str],
    rule: &'static str,
    what_to_do: &'static str,
    /// The files that the rule is about.
    applies_to: fn(&File) -> bool,
    /// Whether it holds for the unit tests at a file's end too.
    in_unit_tests: bool,
}

const CONFINED: &[Confined] = &[
    Confined {
        words: &["tokio", "std::fs", "std::net", "std::process", "std::thread", "Instant::now", "SystemTime"],
        rule: "pure",
        what_to_do: "protocol and media do no I/O, start no task and read no clock; take bytes and time as inputs",
        applies_to: |file| {
            (file.path.starts_with("crates/protocol/src/") || file.path.starts_with("crates/media/src/"))
                && !file.path.ends_with("/tests.rs")
        },
        in_unit_tests: false,
    },
    Confined {
        words: &["target_os"],
        rule: "platform",
        what_to_do: "choose the backend in a mod.rs and keep each platform in a file of its own",
        applies_to: |file| {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            !["mod.rs", "build.rs"].contains(&name) && !file.path.starts_with("xtask/")
        },
        in_unit_tests: true,
    },
    Confined {
        words: &["sqlx"],
        rule: "layer",
        what_to_do: "only the database module of ingest-server knows SQL",
        applies_to: |file| !in_module(file, "ingest-server/src/database"),
        in_unit_tests: true,
    },
    Confined {
        words: &["axum"],
        rule: "layer",
        what_to_do: "only the http module of ingest-server knows axum",
        applies_to: |file| !in_module(file, "ingest-server/src/http"),
        in_unit_tests: true,
    },
    Confined {
        words: &["todo!", "unimplemented!"],
        rule: "unfinished",
        what_to_do: "write it, or return an error that says what is not supported",
        applies_to: |_| true,
        in_unit_tests: true,
    },
    Confined {
        words: &["#[ignore"],
        rule: "ignored",
        what_to_do: "a test that does not run proves nothing; make it run or delete it",
        applies_to: |_| true,
        in_unit_tests: true,
    },
    Confined {
        words: &["sleep("],
        rule: "sleep",
        what_to_do: "advance the test clock, or wait for the condition with a deadline",
        applies_to: File::is_test,
        in_unit_tests: true,
    },
];

pub(super) fn check(file: &File) -> Vec<Violation> {
    if !file.is_rust() {
        return Vec::new();
    }
    let code = text::blanked(&file.text);
    let imports = spelled_out_imports(&code);
    let mut violations = Vec::new();
    for confined in CONFINED.iter().filter(|confined| (confined.applies_to)(file)) {
        let tests_start = match text::lines_before_tests(&code).last() {
            _ if confined.in_unit_tests => usize::MAX,
            Some((last, _)) => last + 1,
            None => 1,
        };
        let imports = imports.iter().map(|(line, path)| (*line, path.as_str()));
        let mut broken_lines: Vec<usize> = text::lines(&code)
            .chain(imports)
            .filter(|(line, _)| *line < tests_start)
            .filter(|(_, code)| confined.words.iter().any(|word| text::has_word(code, word)))
            .map(|(line, _)| line)
            .collect();
        broken_lines.sort_unstable();
        broken_lines.dedup();
        violations.extend(broken_lines.into_iter().map(|line| Violation {
            path: file.path.clone(),
            line,
            rule: confined.rule,
            what_to_do: confined.what_to_do.to_owned(),
        }));
    }
    violations
}

/// True for `<module>.rs` and everything below `<module>/`.
fn in_module(file: &File, module: &str) -> bool {
    file.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Each path of `use std::{…}` written out, as `std::fs`, with the line on which its statement begins: a group would
/// hide it from a search for words.
fn spelled_out_imports(code: &str) -> Vec<(usize, String)> {
    let mut paths = Vec::new();
    for (start, _) in code.match_indices("use std::{") {
        let line = code[..start].matches('\n').count() + 1;
        let mut depth = 0;
        let mut word = String::new();
        for letter in code[start + "use std::".len()..].chars().take_while(|letter| *letter != ';') {
            if letter.is_alphanumeric() || letter == '_' {
                word.push(letter);
                continue;
            }
            // Only the first name after `std::` counts: `std::{io::{net}}` is no network.
            if depth == 1 && !word.is_empty() {
                paths.push((line, format!("std::{word}")));
            }
            word.clear();
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        crate::tidy::broken_rules(check, path, text)
    }

    #[test]
    fn each_rule_finds_what_breaks_it_and_nothing_else() {
        for (path, text, expected) in [
            ("crates/media/src/a.rs", "use std::fs;", vec![(1, "pure")]),
            ("crates/media/src/a.rs", "use std::{\n    io,\n    net,\n};", vec![(1, "pure")]),
            ("crates/media/src/a.rs", "use std::{io::{self, Read}, fmt};", vec![]),
            ("crates/protocol/src/a.rs", "\nlet t = Instant::now();", vec![(2, "pure")]),
            ("crates/protocol/src/a.rs", "// std::fs is not used", vec![]),
            ("crates/protocol/src/a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\nuse std::fs;\n}", vec![]),
            ("crates/protocol/tests/a.rs", "use std::fs;", vec![]),
            ("crates/capture/src/a.rs", "use std::fs;", vec![]),
            ("crates/capture/src/a.rs", "#[cfg(target_os = \"linux\")]", vec![(1, "platform")]),
            ("crates/capture/src/camera/mod.rs", "#[cfg(target_os = \"linux\")]", vec![]),
            ("xtask/src/packages.rs", "if cfg!(target_os = \"macos\") {}", vec![]),
            ("ingest-server/src/session.rs", "use sqlx::Row;", vec![(1, "layer")]),
            ("ingest-server/src/database/rows.rs", "use sqlx::Row;", vec![]),
            ("ingest-server/src/database.rs", "use sqlx::Row;", vec![]),
            ("ingest-server/src/database_x.rs", "use sqlx::Row;", vec![(1, "layer")]),
            ("ingest-server/src/session.rs", "use axum::Router;", vec![(1, "layer")]),
            ("ingest-server/src/http/mod.rs", "use axum::Router;", vec![]),
            ("a/src/a.rs", "fn a() { todo!() }", vec![(1, "unfinished")]),
            ("a/src/a.rs", "#[ignore = \"slow\"]\nfn a() {}", vec![(1, "ignored")]),
            ("a/tests/a.rs", "std::thread::sleep(x);", vec![(1, "sleep")]),
            ("a/src/a.rs", "std::thread::sleep(x);", vec![]),
            ("ui/src/a.ts", "sqlx", vec![]),
        ] {
            assert_eq!(rules(path, text), expected, "{path}: {text}");
        }
    }
}
