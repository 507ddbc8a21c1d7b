//! How far pictures are shrunk so that the screen keeps up with the camera: an even motion tells more than sharp edges.
//! A machine without a graphics processor draws a quarter of the pixels in time where it could not draw all.

use std::time::Duration;

/// A judgement is made over so long.
const SPAN: Duration = Duration::from_secs(2);
/// Fewer pictures in a span say nothing: the camera is opening, or stalls.
const FEWEST: u32 = 10;
/// When fewer of the camera's pictures than this share are shown, they are shrunk further.
const EVEN_SHARE: f64 = 0.8;
/// Sides are divided by this at the most: a picture of 1280×720 is shown in 426×240 then.
const LARGEST_FACTOR: usize = 3;
/// After so long of even motion larger pictures are tried. It doubles with each try that fails at once.
const FIRST_TRY: Duration = Duration::from_secs(20);
const LAST_TRY: Duration = Duration::from_secs(320);

/// Watches how many of the camera's pictures are shown, and says by which whole factor to shrink them.
#[derive(Debug)]
pub(super) struct Smoothness {
    factor: usize,
    span: Option<Span>,
    /// When the factor last changed.
    changed: Duration,
    was_a_try: bool,
    next_try: Duration,
}

#[derive(Debug)]
struct Span {
    since: Duration,
    offered: u32,
    sent: u32,
    /// The screen did not answer: it is hidden, and not slow.
    is_void: bool,
}

impl Default for Smoothness {
    fn default() -> Self {
        Self { factor: 1, span: None, changed: Duration::ZERO, was_a_try: false, next_try: FIRST_TRY }
    }
}

impl Smoothness {
    pub(super) const fn factor(&self) -> usize {
        self.factor
    }

    /// The camera has made a picture, and it was sent to the screen or left out.
    pub(super) fn offered(&mut self, now: Duration, was_sent: bool, unanswered: bool) {
        let new = Span { since: now, offered: 0, sent: 0, is_void: false };
        let span = self.span.get_or_insert(new);
        span.offered += 1;
        span.sent += u32::from(was_sent);
        span.is_void |= unanswered;
        if now >= span.since + SPAN
            && let Some(span) = self.span.take()
            && !span.is_void
            && span.offered >= FEWEST
        {
            self.judge(now, f64::from(span.sent) / f64::from(span.offered));
        }
    }

    fn judge(&mut self, now: Duration, share: f64) {
        if share < EVEN_SHARE && self.factor < LARGEST_FACTOR {
            let failed_at_once = self.was_a_try && now < self.changed + 2 * SPAN;
            self.next_try = if failed_at_once { (2 * self.next_try).min(LAST_TRY) } else { FIRST_TRY };
            self.change(now, self.factor + 1, false);
        } else if share >= EVEN_SHARE && self.factor > 1 && now >= self.changed + self.next_try {
            self.change(now, self.factor - 1, true);
        }
    }

    fn change(&mut self, now: Duration, factor: usize, is_a_try: bool) {
        (self.factor, self.changed, self.was_a_try) = (factor, now, is_a_try);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A camera of 30 pictures a second before a screen that shows every picture from a factor on, and half of them
    /// below it. Returns the factors at the end of each second.
    fn play(smoothness: &mut Smoothness, from: u64, seconds: u64, even_from: usize) -> Vec<usize> {
        let second = |second: u64| {
            for picture in 0..30 {
                let now = Duration::from_millis(second * 1_000 + picture * 33);
                let was_sent = smoothness.factor() >= even_from || picture % 2 == 0;
                smoothness.offered(now, was_sent, false);
            }
            smoothness.factor()
        };
        (from..from + seconds).map(second).collect()
    }

    #[test]
    fn a_screen_that_keeps_up_gets_whole_pictures() {
        assert_eq!(play(&mut Smoothness::default(), 0, 60, 1), [1; 60]);
    }

    #[test]
    fn pictures_shrink_until_motion_is_even_and_no_further() {
        let mut smoothness = Smoothness::default();
        assert_eq!(play(&mut smoothness, 0, 12, 2)[4..], [2; 8]);
        assert_eq!(play(&mut smoothness, 12, 20, 9).last(), Some(&LARGEST_FACTOR));
    }

    #[test]
    fn larger_ones_are_tried_less_and_less_often_and_stay_when_they_fit() {
        let mut smoothness = Smoothness::default();
        let factors = play(&mut smoothness, 0, 300, 2);
        let tries = factors[5..].windows(2).filter(|pair| pair[0] == 2 && pair[1] == 1).count();
        assert!((2..=4).contains(&tries), "{tries} tries in five minutes");
        let whole = factors[5..].iter().filter(|factor| **factor == 1).count();
        assert!(whole <= 4 * tries, "{whole} s of uneven motion");
        assert_eq!(play(&mut smoothness, 300, 400, 1).last(), Some(&1));
    }

    #[test]
    fn a_hidden_screen_and_a_camera_that_stalls_say_nothing() {
        let mut smoothness = Smoothness::default();
        for picture in 0..900 {
            smoothness.offered(Duration::from_millis(picture * 33), picture % 15 == 0, picture % 15 == 0);
        }
        for picture in 0..20 {
            smoothness.offered(Duration::from_secs(60 + picture), false, false);
        }
        assert_eq!(smoothness.factor(), 1);
    }
}
