//! The house rules as code: what a reviewer would otherwise have to see every time.
//!
//! Each violation is one line, `path:line: rule: what to do`. The rules look at manifests, documents, and source text whose
//! comments and literals are blanked; they are meant to catch slips, not to withstand somebody who hides from them.

mod files;
mod layers;
mod merges;
mod names;
mod sources;
mod text;
mod web;

use std::fmt;

use anyhow::bail;

use crate::icons;
use crate::workspace::Workspace;

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the repository, with forward slashes.
    path: String,
    /// From 1.
    line: usize,
    rule: &'static str,
    what_to_do: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.what_to_do)
    }
}

/// Checks all rules, prints every violation, and fails if there is one.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let files = files::read_all(workspace.root())?;
    let mut violations = layers::check(workspace, &files);
    for file in &files {
        violations.extend(merges::check(file));
        violations.extend(names::check(file));
        violations.extend(sources::check(file));
        violations.extend(web::check(file));
    }
    violations.extend(stale_icons(workspace)?);
    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} violations of the house rules", violations.len());
    }
    println!("{} files keep the house rules", files.len());
    Ok(())
}

fn stale_icons(workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    let stale = icons::stale(workspace.root())?;
    Ok(stale
        .into_iter()
        .map(|path| Violation {
            path: format!("{}/{path}", icons::FOLDER),
            line: 1,
            rule: "icons",
            what_to_do: "run `cargo xtask icons` after a change of a drawing, and commit what it makes"
                .to_owned(),
        })
        .collect())
}

/// What `check` finds in one file: lines and rules.
#[cfg(test)]
fn broken_rules(
    check: impl Fn(&files::File) -> Vec<Violation>,
    path: &str,
    text: &str,
) -> Vec<(usize, &'static str)> {
    let file = files::File { path: path.to_owned(), text: text.to_owned() };
    check(&file).into_iter().map(|violation| (violation.line, violation.rule)).collect()
}
