//! The link as a QR code of characters: each is one module wide and two high.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// A wider code would wrap on a terminal, and nothing could read it.
const MAX_COLUMNS: usize = 78;

/// Black on white, whatever the terminal's own colours are: not every reader takes a code the other way round.
const BLACK_ON_WHITE: &str = "\u{1b}[38;5;16;48;5;231m";
const RESET: &str = "\u{1b}[0m";

/// The code with its quiet zone, line by line; none if the text is too long for a terminal.
pub(super) fn lines(text: &str) -> Option<Vec<String>> {
    // On a screen nothing gets scratched, and the lowest level of correction makes the smallest code.
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code.render::<Dense1x2>().quiet_zone(true).build();
    let lines: Vec<&str> = drawn.lines().collect();
    let fits = lines.iter().all(|line| line.chars().count() <= MAX_COLUMNS);
    fits.then(|| lines.iter().map(|line| format!("{BLACK_ON_WHITE}{line}{RESET}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a camera reads off the lines.
    fn scanned(lines: &[String]) -> String {
        const SCALE: usize = 4;
        let plain: Vec<Vec<char>> = lines
            .iter()
            .map(|line| {
                line.strip_prefix(BLACK_ON_WHITE).unwrap().strip_suffix(RESET).unwrap().chars().collect()
            })
            .collect();
        let is_dark = |x: usize, y: usize| match plain[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            ' ' => false,
            other => panic!("{other:?} in a code"),
        };
        let (width, height) = (plain[0].len() * SCALE, plain.len() * 2 * SCALE);
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 }
        });
        let codes = picture.detect_grids();
        assert_eq!(codes.len(), 1);
        codes[0].decode().unwrap().1
    }

    #[test]
    fn a_camera_reads_the_link_off_the_terminal() {
        for text in [
            "longtake://pair?server=http%3A%2F%2F127.0.0.1%3A8000".to_owned(),
            "longtake://pair?server=http%3A%2F%2F192.168.1.20%3A8000&token=correct-horse&room=studio"
                .to_owned(),
            format!("longtake://pair?server=https%3A%2F%2Fcam.example&token={}", "k".repeat(200)),
        ] {
            assert_eq!(scanned(&lines(&text).unwrap()), text);
        }
    }

    #[test]
    fn a_text_that_no_terminal_can_show_gives_no_code() {
        for length in [600, 3_000] {
            assert_eq!(lines(&"k".repeat(length)), None, "{length}");
        }
    }
}
