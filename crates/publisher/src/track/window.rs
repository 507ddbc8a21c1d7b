//! How many bytes may be under way on a connection, found by how long pings take.
//!
//! A ping is answered once everything that was written before it has been read by the server. So each pong says
//! two things: how much has arrived, and how long the way takes now. What it takes longer than on an empty path is
//! time spent in queues: the system's, the modem's, the network's. A sender that fills them delays its own newest
//! units and those of the other track, which share the way. The window therefore grows while pings come back
//! quickly and shrinks when they are late, as LEDBAT (RFC 6817) does it, and what is under way stays within it.
//! Where old units always wait, the queue would never be empty and its time be taken for the path's: backfill
//! therefore pauses now and then until pings have seen the path without it, as LEDBAT++ does.
//! A window is the connection's own. Only the empty path's time outlives the connection: after an outage both tracks begin at
//! once, and each would take the other's queue for the path.

use std::collections::VecDeque;
use std::time::Duration;

/// The time in queues that the window aims at, as in RFC 6817.
const TARGET: Duration = Duration::from_millis(100);

/// A window is never smaller: on a path of 300 ms it still carries 430 kbit/s, and a path of 1 Mbit/s carries it in
/// 131 ms, which sound can wait.
const SMALLEST_BYTES: u64 = 16 * 1024;
/// A fresh connection starts with so much, a little more than TCP itself (RFC 6928). Both tracks begin at once after an
/// outage, and a short queue on the path must not overflow: the sound would wait for what is sent again.
const START_BYTES: u64 = 20 * 1024;

/// Pings under way. While there are as many no more are written, and the window waits.
const MARKS: usize = 16;

/// Latenesses of single pings, by the air or by a busy machine, are not queues: the shortest of so many counts.
const RECENT: usize = 3;

/// The path may change: an empty path's time is the shortest of the last one to two such spans. At their turn
/// backfill pauses.
const BASE_SPAN: Duration = Duration::from_secs(30);

/// When the first ping takes so much longer than the path did before, it is another path.
const ANOTHER_PATH: Duration = Duration::from_millis(500);

/// The bytes under way, and how many may be.
#[derive(Debug)]
pub(super) struct Window {
    size_bytes: u64,
    largest_bytes: u64,
    written_bytes: u64,
    arrived_bytes: u64,
    marks: VecDeque<Mark>,
    next_mark: u32,
    base: Base,
    recent: VecDeque<Duration>,
    /// The size grows by what arrives, until the path shows its first queue.
    is_starting: bool,
    /// Something had to wait for room since the last pong.
    was_full: bool,
    pause: Option<Pause>,
    /// How late the other track is, which may share the way.
    others_delay: Duration,
}

/// Backfill pauses. The first pong tells that what was under way has arrived, the second how long the way takes then.
#[derive(Debug)]
struct Pause {
    pongs_left: u8,
    /// The ping that is waited for, or a later one.
    mark: u32,
}

/// A ping under way.
#[derive(Debug)]
struct Mark {
    number: u32,
    at: Duration,
    written_bytes: u64,
}

/// The shortest round trips of this span and of the one before.
#[derive(Debug)]
struct Base {
    since: Option<Duration>,
    shortest: Duration,
    before: Duration,
}

impl Window {
    /// `known` is the empty path's time, as the connection before saw it.
    pub(super) fn new(largest_bytes: u64, known: Option<Duration>) -> Self {
        Self {
            size_bytes: START_BYTES.min(largest_bytes),
            largest_bytes,
            written_bytes: 0,
            arrived_bytes: 0,
            marks: VecDeque::with_capacity(MARKS),
            next_mark: 0,
            base: Base { since: None, shortest: Duration::MAX, before: known.unwrap_or(Duration::MAX) },
            recent: VecDeque::with_capacity(RECENT),
            is_starting: true,
            was_full: false,
            pause: None,
            others_delay: Duration::ZERO,
        }
    }

    /// Another track, which has precedence, is so late.
    pub(super) const fn other_is_late(&mut self, delay: Duration) {
        self.others_delay = delay;
    }

    /// Whether a message with new units, or another piece of a large message, may be written. The last one may exceed the
    /// size.
    pub(super) fn has_room_for_live(&mut self) -> bool {
        self.has_room(self.under_way_bytes() < self.size_bytes)
    }

    /// Whether a message with so many bytes of old units may be written. It leaves a quarter to the new ones. Where the
    /// smallest window makes too long a queue, a quarter of it is all that old units get.
    pub(super) fn has_room_for_backfill(&mut self, more_bytes: usize) -> bool {
        let under_way = self.under_way_bytes();
        let is_slow = self.lateness() > 2 * TARGET;
        let fits = match is_slow {
            // What is less than a quarter may have no ping behind it, and must not be waited for.
            true => under_way < self.size_bytes / 4,
            false => under_way == 0 || under_way + more_bytes as u64 <= self.size_bytes / 4 * 3,
        };
        self.has_room(fits && self.pause.is_none())
    }

    /// Old units share a message up to this size.
    pub(super) const fn backfill_message_bytes(&self) -> usize {
        (self.size_bytes / 4) as usize
    }

    /// The time that this track's messages or those of the other one, whichever is later, spend in queues.
    fn lateness(&self) -> Duration {
        self.queueing().max(self.others_delay)
    }

    fn has_room(&mut self, has_room: bool) -> bool {
        self.was_full |= !has_room;
        has_room
    }

    pub(super) const fn wrote(&mut self, bytes: usize) {
        self.written_bytes += bytes as u64;
    }

    /// So many of the bytes that were to be written were not.
    pub(super) const fn took_back(&mut self, bytes: usize) {
        self.written_bytes -= bytes as u64;
    }

    /// Whether a ping should follow what was written. The first one goes ahead of everything and sees an empty path.
    pub(super) fn wants_mark(&self) -> bool {
        if self.next_mark == 0 {
            return true;
        }
        if let Some(pause) = &self.pause {
            return self.next_mark <= pause.mark;
        }
        let marked_bytes = self.marks.back().map_or(self.arrived_bytes, |mark| mark.written_bytes);
        self.marks.len() < MARKS && self.written_bytes - marked_bytes >= (self.size_bytes / 4).max(1)
    }

    /// A ping is written. Returns its number.
    pub(super) fn mark(&mut self, now: Duration) -> u32 {
        let number = self.next_mark;
        self.next_mark = number.saturating_add(1);
        self.marks.push_back(Mark { number, at: now, written_bytes: self.written_bytes });
        number
    }

    /// The pong of that ping came; a peer may answer only the newest of several pings. Returns the round trip's
    /// time; none for a pong that nobody waits for.
    pub(super) fn pong(&mut self, now: Duration, number: u32) -> Option<Duration> {
        let place = self.marks.iter().position(|mark| mark.number == number)?;
        let mark = self.marks.drain(..=place).next_back()?;
        let arrived_bytes = mark.written_bytes - self.arrived_bytes;
        self.arrived_bytes = mark.written_bytes;
        let round_trip = now.saturating_sub(mark.at);
        if number == 0 && round_trip > self.base.before.saturating_add(ANOTHER_PATH) {
            self.base.before = Duration::MAX;
        }
        if self.base.see(now, round_trip) && self.under_way_bytes() > 0 {
            self.pause = Some(Pause { pongs_left: 2, mark: self.next_mark });
        } else if let Some(pause) = self.pause.as_mut().filter(|pause| number >= pause.mark) {
            pause.pongs_left -= 1;
            pause.mark = self.next_mark;
            self.pause.take_if(|pause| pause.pongs_left == 0);
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(round_trip);
        self.resize(arrived_bytes);
        Some(round_trip)
    }

    /// The time that what is sent now spends in queues.
    pub(super) fn queueing(&self) -> Duration {
        let shortest = self.recent.iter().min().copied().unwrap_or_default();
        shortest.saturating_sub(self.base.shortest.min(self.base.before))
    }

    /// The same, as far as it is known before the next pong: the oldest ping has been under way for so long already.
    pub(super) fn queueing_so_far(&self, now: Duration) -> Duration {
        let waited = self.marks.front().map_or(Duration::ZERO, |mark| now.saturating_sub(mark.at));
        self.base().map_or(Duration::ZERO, |base| self.queueing().max(waited.saturating_sub(base)))
    }

    /// The empty path's time, as far as it is known.
    pub(super) fn base(&self) -> Option<Duration> {
        Some(self.base.shortest.min(self.base.before)).filter(|base| *base < Duration::MAX)
    }

    pub(super) const fn arrived_bytes(&self) -> u64 {
        self.arrived_bytes
    }

    /// The newest measured round trip; zero before the first.
    pub(super) fn round_trip(&self) -> Duration {
        self.recent.back().copied().unwrap_or_default()
    }

    pub(super) const fn under_way_bytes(&self) -> u64 {
        self.written_bytes - self.arrived_bytes
    }

    fn resize(&mut self, arrived_bytes: u64) {
        let queueing = self.lateness();
        self.is_starting &= queueing <= TARGET / 2;
        let was_full = std::mem::take(&mut self.was_full);
        let lateness = queueing.as_secs_f64() / TARGET.as_secs_f64();
        // Within one round trip the size doubles at the start, grows by a quarter later, and halves at the most.
        let change = match (self.is_starting, 1.0 - lateness) {
            (true, _) if was_full => 1.0,
            (false, room) if room > 0.0 && was_full => room / 4.0,
            (false, room) if room < 0.0 => room.max(-1.0) / 2.0,
            _ => 0.0,
        };
        let size_bytes = self.size_bytes as f64 + change * arrived_bytes as f64;
        self.size_bytes =
            (size_bytes as u64).clamp(SMALLEST_BYTES.min(self.largest_bytes), self.largest_bytes);
    }
}

impl Base {
    /// Says whether a span is over.
    fn see(&mut self, now: Duration, round_trip: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        let is_over = now.saturating_sub(since) >= BASE_SPAN;
        if is_over {
            self.before = self.shortest;
            self.shortest = Duration::MAX;
            self.since = Some(now);
        }
        self.shortest = self.shortest.min(round_trip);
        is_over
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LARGEST_BYTES: u64 = 4 << 20;
    const LATENCY: Duration = Duration::from_millis(40);

    /// A path that carries so many bytes a second, behind a queue without end.
    struct Path {
        bytes_per_second: u64,
        free_at: Duration,
        pongs: VecDeque<(Duration, u32)>,
    }

    impl Path {
        fn send(&mut self, now: Duration, bytes: usize) {
            let takes = Duration::from_micros(bytes as u64 * 1_000_000 / self.bytes_per_second);
            self.free_at = self.free_at.max(now) + takes;
        }
    }

    /// What came of filling a path, after the first ten seconds.
    struct Filled {
        /// Old units' bytes a second.
        old: f64,
        /// New units' bytes a second.
        new: f64,
        /// The longest queue on the path.
        queue: Duration,
        /// The longest time that a new unit waited for the window.
        wait: Duration,
    }

    const SHARED_BYTES: usize = 8_000;
    const UNIT_MS: u64 = 33;

    /// Sends new units of so many bytes a second for so long, and of old ones what the window allows besides.
    fn fill(bytes_per_second: u64, new_bytes_per_second: u64, seconds: u64) -> Filled {
        let mut window = Window::new(LARGEST_BYTES, None);
        let mut path = Path { bytes_per_second, free_at: Duration::ZERO, pongs: VecDeque::new() };
        let mut waiting = VecDeque::new();
        let (mut old_bytes, mut new_bytes) = (0, 0);
        let (mut queue, mut wait) = (Duration::ZERO, Duration::ZERO);
        for step in 0..seconds * 1_000 {
            let now = Duration::from_millis(step);
            if new_bytes_per_second > 0 && step.is_multiple_of(UNIT_MS) {
                waiting.push_back((now, (new_bytes_per_second * UNIT_MS / 1_000) as usize));
            }
            while path.pongs.front().is_some_and(|(at, _)| *at <= now) {
                let (at, number) = path.pongs.pop_front().unwrap();
                window.pong(at, number).unwrap();
            }
            let is_settled = step > 10_000;
            loop {
                if window.wants_mark() {
                    let number = window.mark(now);
                    path.pongs.push_back((path.free_at.max(now) + LATENCY, number));
                    continue;
                }
                let bytes = match waiting.front() {
                    Some(&(made_at, bytes)) if window.has_room_for_live() => {
                        waiting.pop_front();
                        new_bytes += if is_settled { bytes } else { 0 };
                        wait = wait.max(if is_settled { now - made_at } else { Duration::ZERO });
                        bytes
                    }
                    Some(_) => break,
                    None => {
                        let bytes = window.backfill_message_bytes().min(SHARED_BYTES);
                        if !window.has_room_for_backfill(bytes) {
                            break;
                        }
                        old_bytes += if is_settled { bytes } else { 0 };
                        bytes
                    }
                };
                window.wrote(bytes);
                path.send(now, bytes);
            }
            if is_settled {
                queue = queue.max(path.free_at.saturating_sub(now));
            }
        }
        let per_second = |bytes: usize| bytes as f64 / (seconds - 10) as f64;
        Filled { old: per_second(old_bytes), new: per_second(new_bytes), queue, wait }
    }

    #[test]
    fn a_path_is_filled_and_its_queue_stays_short() {
        for bytes_per_second in [60_000, 125_000, 500_000, 2_500_000, 12_500_000] {
            let Filled { old, queue, .. } = fill(bytes_per_second, 0, 300);
            let share = old / bytes_per_second as f64;
            assert!(share > 0.9, "{share:.2} of {bytes_per_second} bytes a second are used");
            let smallest = Duration::from_secs_f64(SMALLEST_BYTES as f64 / bytes_per_second as f64);
            assert!(queue <= (3 * TARGET).max(smallest), "{queue:?} at {bytes_per_second} bytes a second");
        }
    }

    #[test]
    fn a_backlog_has_what_new_units_leave_and_does_not_delay_them() {
        for (bytes_per_second, new_bytes_per_second) in
            [(375_000, 250_000), (1_000_000, 250_000), (5_000_000, 250_000), (1_000_000, 800_000)]
        {
            let path = format!("{bytes_per_second} bytes a second, {new_bytes_per_second} of them new");
            let Filled { old, new, queue, wait } = fill(bytes_per_second, new_bytes_per_second, 300);
            let share = old / (bytes_per_second as f64 - new);
            assert!(share > 0.9, "{share:.2} of the rest of {path} is used");
            assert!(new > 0.95 * new_bytes_per_second as f64, "{new:.0} of {path} came through");
            assert!(
                queue <= 4 * TARGET && wait <= TARGET,
                "{queue:?} of queue, {wait:?} of waiting at {path}"
            );
        }
    }

    #[test]
    fn what_was_known_of_the_path_tells_a_queue_from_the_way_unless_it_is_another_way() {
        let queueing = |round_trip_ms: u64| {
            let mut window = Window::new(LARGEST_BYTES, Some(Duration::from_millis(20)));
            for at_s in [100, 101, 102] {
                let now = Duration::from_secs(at_s);
                let number = window.mark(now);
                window.pong(now + Duration::from_millis(round_trip_ms), number).unwrap();
            }
            window.queueing()
        };
        assert_eq!(queueing(320), Duration::from_millis(300));
        assert_eq!(queueing(700), Duration::ZERO);
    }

    #[test]
    fn one_late_ping_does_not_shrink_the_window_and_three_do() {
        let mut window = Window::new(LARGEST_BYTES, None);
        let mut ping = |round_trip_ms: u64| {
            window.wrote(100_000);
            let number = window.mark(Duration::ZERO);
            window.pong(Duration::from_millis(round_trip_ms), number).unwrap();
            window.size_bytes
        };
        assert_eq!([20, 20, 500].map(&mut ping), [START_BYTES; 3]);
        assert_eq!(ping(500), START_BYTES);
        assert!(ping(500) < START_BYTES);
    }

    #[test]
    fn a_pong_that_answers_several_pings_counts_for_all_and_a_strange_one_for_none() {
        let mut window = Window::new(LARGEST_BYTES, None);
        window.wrote(1_000);
        window.mark(Duration::ZERO);
        window.wrote(500);
        let second = window.mark(Duration::from_millis(5));
        window.wrote(70);
        assert_eq!(window.pong(Duration::from_millis(25), 99), None);
        assert_eq!(window.pong(Duration::from_millis(25), second), Some(Duration::from_millis(20)));
        assert_eq!(window.under_way_bytes(), 70);
        assert_eq!(window.pong(Duration::from_millis(30), 0), None);
    }

    #[test]
    fn a_window_that_nothing_waits_for_keeps_its_size() {
        let mut window = Window::new(LARGEST_BYTES, None);
        for step in 0..100 {
            assert!(window.has_room_for_live());
            window.wrote(10_000);
            let number = window.mark(Duration::from_millis(step * 40));
            window.pong(Duration::from_millis(step * 40 + 20), number).unwrap();
        }
        assert_eq!(window.size_bytes, START_BYTES);
    }
}
