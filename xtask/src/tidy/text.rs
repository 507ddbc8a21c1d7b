//! Rust source as the rules read it: line by line, without comments and without what stands in literals.

/// The source with every comment and literal replaced by spaces, so that lines and columns stay where they are.
pub(super) fn blanked(source: &str) -> String {
    let letters: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < letters.len() {
        let end = match letters[at] {
            '/' if letters.get(at + 1) == Some(&'/') => line_end(&letters, at),
            '/' if letters.get(at + 1) == Some(&'*') => block_comment_end(&letters, at),
            '"' => string_end(&letters, at),
            '\'' => char_end(&letters, at),
            'r' | 'b' | 'c' if !follows_word(&letters, at) => raw_string_end(&letters, at),
            _ => at,
        };
        if end == at {
            out.push(letters[at]);
            at += 1;
        } else {
            out.extend(letters[at..end].iter().map(|&letter| if letter == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// The lines of blanked source with their numbers, up to the test module that ends a file by our convention.
pub(super) fn lines_before_tests(blanked: &str) -> impl Iterator<Item = (usize, &str)> {
    lines(blanked).take_while(|(_, line)| {
        let line = line.trim();
        !(line.starts_with("#[cfg(test") || line.starts_with("#[cfg(all(test"))
    })
}

/// All lines with their numbers, from 1.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

/// True if `line` contains `wanted` and no letter, digit or underscore touches it.
pub(super) fn has_word(line: &str, wanted: &str) -> bool {
    line.match_indices(wanted).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + wanted.len()..].chars().next();
        let first = wanted.starts_with(is_word);
        let last = wanted.ends_with(is_word);
        let touches_before = first && before.is_some_and(is_word);
        let touches_after = last && after.is_some_and(is_word);
        !touches_before && !touches_after
    })
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn follows_word(letters: &[char], at: usize) -> bool {
    at > 0 && is_word(letters[at - 1])
}

fn line_end(letters: &[char], at: usize) -> usize {
    (at..letters.len()).find(|&index| letters[index] == '\n').unwrap_or(letters.len())
}

fn block_comment_end(letters: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut index = at;
    while index + 1 < letters.len() {
        match (letters[index], letters[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    letters.len()
}

fn string_end(letters: &[char], at: usize) -> usize {
    let mut index = at + 1;
    while index < letters.len() {
        match letters[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    letters.len()
}

/// The end of a character literal, or `at` for a lifetime.
fn char_end(letters: &[char], at: usize) -> usize {
    match letters.get(at + 1) {
        Some('\\') => (at + 3..letters.len())
            .find(|&index| letters[index] == '\'')
            .map_or(letters.len(), |index| index + 1),
        Some(_) if letters.get(at + 2) == Some(&'\'') => at + 3,
        _ => at,
    }
}

/// The end of `r"…"`, `br#"…"#` and the like, or `at` if none starts here.
fn raw_string_end(letters: &[char], at: usize) -> usize {
    let mut index = at;
    if matches!(letters[index], 'b' | 'c') {
        index += 1;
    }
    if letters.get(index) != Some(&'r') {
        return at;
    }
    index += 1;
    let hashes = letters[index..].iter().take_while(|&&letter| letter == '#').count();
    index += hashes;
    if letters.get(index) != Some(&'"') {
        return at;
    }
    let mut end = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    (index + 1..letters.len())
        .find(|&start| letters[start..].starts_with(&end))
        .map_or(letters.len(), |start| start + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_not() {
        for (source, gone, kept) in [
            ("a(); // std::fs", "std::fs", "a();"),
            ("/* x /* std::fs */ y */ b();", "std::fs", "b();"),
            ("let s = \"std::fs \\\" x\"; c();", "std::fs", "c();"),
            ("let s = r#\"std::fs \" x\"#; d();", "std::fs", "d();"),
            ("let s = b\"std::fs\"; e();", "std::fs", "e();"),
            ("let c = '\"'; f(); // std::fs", "std::fs", "f();"),
            ("let c = '\\''; g(); // std::fs", "std::fs", "g();"),
            ("fn h<'a>(x: &'a str) {} // std::fs", "std::fs", "fn h<'a>(x: &'a str) {}"),
            ("let var = r; i(\"std::fs\");", "std::fs", "let var = r; i("),
        ] {
            let blanked = blanked(source);
            assert!(!blanked.contains(gone), "{source} gave {blanked}");
            assert!(blanked.contains(kept), "{source} gave {blanked}");
            assert_eq!(blanked.chars().count(), source.chars().count());
        }
    }

    #[test]
    fn blanking_keeps_the_lines() {
        let source = "a\n/* b\nc */\n\"d\ne\"\nf";
        assert_eq!(blanked(source).lines().count(), source.lines().count());
    }

    #[test]
    fn a_word_is_not_a_part_of_another() {
        assert!(has_word("use std::fs;", "std::fs"));
        assert!(has_word("std::fs::read()", "std::fs"));
        assert!(!has_word("use std::fsx;", "std::fs"));
        assert!(!has_word("use notokio::x;", "tokio"));
        assert!(!has_word("tokio_tungstenite", "tokio"));
        assert!(has_word("thread::sleep(x)", "sleep("));
        assert!(!has_word("no_sleep(x)", "sleep("));
    }
}
