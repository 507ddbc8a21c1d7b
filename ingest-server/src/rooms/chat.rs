//! What people write: made harmless, bounded, and not too often. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Why a text is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextError {
    /// Nothing of it can be seen.
    Empty,
    /// It has more characters than allowed.
    TooLong,
}

/// The text on one line, without what could change how other text around it looks. It is not escaped: it is to be
/// shown as text, never as markup.
pub(super) fn cleaned(text: &str, max_chars: usize) -> Result<String, TextError> {
    let mut clean = String::new();
    let mut chars = 0;
    // Spaces of all kinds, line ends and tabs become one space each run.
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        let word = word.chars().filter(|c| !is_hidden(*c));
        let mut is_first = true;
        for c in word {
            if is_first && !clean.is_empty() {
                clean.push(' ');
                chars += 1;
            }
            is_first = false;
            clean.push(c);
            chars += 1;
        }
        if chars > max_chars {
            return Err(TextError::TooLong);
        }
    }
    // A joiner alone is nothing that can be seen.
    if clean.chars().all(|c| c == ' ' || is_joiner(c)) { Err(TextError::Empty) } else { Ok(clean) }
}

/// Characters that cannot be seen and act on others: those that set the direction of writing (UAX #9 §2), marks of
/// byte order, spaces without width, annotations, and tags.
const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{00ad}'
            | '\u{061c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// What joins or chooses the form of its neighbours, as emoji and several scripts need it.
const fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{0300}'..='\u{036f}')
}

/// At most so many in so long a time.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    length: Duration,
    times: VecDeque<Duration>,
}

impl Window {
    pub(super) const fn new(most: usize, length: Duration) -> Self {
        Self { most, length, times: VecDeque::new() }
    }

    /// Whether there is room for one more now; if so, it has happened.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        self.forget(now);
        let is_free = self.times.len() < self.most;
        if is_free {
            self.times.push_back(now);
        }
        is_free
    }

    /// Whether nothing of late counts any more.
    pub(super) fn is_empty(&mut self, now: Duration) -> bool {
        self.forget(now);
        self.times.is_empty()
    }

    fn forget(&mut self, now: Duration) {
        while self.times.front().is_some_and(|&at| now >= at + self.length) {
            self.times.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_text_is_harmless_and_other_text_is_left_alone() {
        for (text, expected) in [
            ("hello", Ok("hello")),
            ("  much \t space \r\n here ", Ok("much space here")),
            ("Zoë, 你好, שלום, 👩‍👩‍👧", Ok("Zoë, 你好, שלום, 👩‍👩‍👧")),
            ("<script>alert(1)</script> & \"'", Ok("<script>alert(1)</script> & \"'")),
            ("\u{202e}txt.exe\u{202c}", Ok("txt.exe")),
            ("\u{2066}a\u{2069}\u{200f}b\u{feff}\u{200b}", Ok("ab")),
            ("\u{1b}[2Jscreen\u{7}\u{0}", Ok("[2Jscreen")),
            ("a\u{e0041}\u{e007f}", Ok("a")),
            ("", Err(TextError::Empty)),
            (" \u{200b}\u{2060}\u{3164} ", Err(TextError::Empty)),
            ("\u{200d}\u{fe0f}\u{301}", Err(TextError::Empty)),
            ("12345678901234567890123456789012345678901", Err(TextError::TooLong)),
        ] {
            assert_eq!(cleaned(text, 40).as_deref(), expected.as_ref().copied(), "{text:?}");
        }
        assert_eq!(
            cleaned(&"ä".repeat(28), 28).map(|text| text.chars().count()),
            Ok(28),
            "characters, not bytes"
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_stays_within_bounds(text in "\\PC*|[\\s\\S]{0,80}", most in 1usize..60) {
            if let Ok(clean) = cleaned(&text, most) {
                prop_assert!(clean.chars().count() <= most);
                prop_assert!(!clean.chars().any(|c| c.is_control() || is_hidden(c)));
                // What is clean stays as it is.
                let again = cleaned(&clean, most);
                prop_assert_eq!(again.as_deref(), Ok(clean.as_str()));
            }
        }
    }

    #[test]
    fn a_window_takes_so_many_in_so_long() {
        let at = Duration::from_secs;
        let mut window = Window::new(2, at(10));
        let taken = [0, 1, 9, 10, 10, 11, 12, 20].map(|second| window.take(at(second)));
        assert_eq!(taken, [true, true, false, true, false, true, false, true]);
        assert!(!window.is_empty(at(29)) && window.is_empty(at(30)));
    }
}
