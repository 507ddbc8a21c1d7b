//! What a merge left behind.

use super::Violation;
use super::files::File;
use super::text;

/// Git begins the lines around a conflict with them. The line between both sides, `=======`, also underlines titles.
const MARKERS: [&str; 3] = ["<<<<<<< ", "||||||| ", ">>>>>>> "];

pub(super) fn check(file: &File) -> Vec<Violation> {
    text::lines(&file.text)
        .filter(|(_, line)| MARKERS.iter().any(|marker| line.starts_with(marker)))
        .map(|(line, _)| Violation {
            path: file.path.clone(),
            line,
            rule: "merge",
            what_to_do: "a conflict is not resolved; keep what is right of both sides".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::broken_rules;

    #[test]
    fn the_lines_of_a_conflict_are_found() {
        let marker = |sign: &str| sign.repeat(7);
        let text = format!("- a\n{} HEAD\n- b\n=======\n- c\n{} other\n", marker("<"), marker(">"));
        assert_eq!(broken_rules(check, "CHANGELOG.md", &text), [(2, "merge"), (6, "merge")]);
        assert_eq!(broken_rules(check, "README.md", "Title\n=======\n"), []);
    }
}
