//! From runs of sound to packets of 20 ms whose times count PCM samples, yet stay with the session's clock.
//!
//! A packet's time is the time of the first one plus what has been encoded since, so that packets are
//! exactly contiguous. Two things pull that count and the clock apart:
//! - The device's crystal is a little fast or slow. The difference grows slowly; [`Drift`] measures it and a
//!   [`Stretch`] makes the sound longer or shorter by as much.
//! - The device loses sound, or the system sleeps. The difference jumps; counting starts anew at the clock's time, and
//!   that is reported.

use protocol::ClockDrift;

use super::drift::{Drift, punctual};
use super::opus::{PACKET_DURATION_90K, PACKET_SAMPLES};
use super::stretch::{Stretch, Stretcher};
use crate::clock::us_to_90k;
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ, samples_us};

/// A difference beyond this is loss, not drift.
const RESYNC_US: i64 = 40_000;

/// Sound waits for this long on the clock before a count begins: the punctual blocks among those that wait say when.
const BEGINS_AFTER_US: u64 = 200_000;

/// And so long before one begins anew. A machine that was only busy has delivered its late blocks, all at once, in less.
const LOST_AFTER_US: u64 = 500_000;

/// So many blocks must wait, however long they are.
const DECIDING_BLOCKS: usize = 4;

/// More sound than this never waits, whatever the clock says.
const MAX_HELD_US: u64 = 3_000_000;

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Output {
    /// 20 ms of sound.
    Packet(Packet),
    /// The count was set to the clock: positive when sound is missing, negative when there was too much of
    /// it and some was cut out.
    Resynchronised {
        /// By how much, in µs.
        shift_us: i64,
    },
}

/// 20 ms of sound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Packet {
    /// [`PACKET_SAMPLES`] PCM samples per channel, interleaved.
    pub(crate) samples: Vec<f32>,
    /// When the first one was captured, in 1/90000 s.
    pub(crate) pts_90k: u64,
    /// The same in µs.
    pub(crate) capture_us: u64,
}

/// Where counting started.
#[derive(Clone, Copy)]
struct Anchor {
    us: u64,
    pts_90k: u64,
}

/// Which device a restored one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crystal {
    /// The one that was lost.
    Same,
    /// Another one, whose rate is not known.
    Other,
}

/// Blocks that are not counted yet: before a count begins, or because they do not fit into it.
#[derive(Default)]
struct Held {
    samples: Vec<f32>,
    /// How much sound they are, in PCM samples per channel.
    len: usize,
    /// Of each block: its time less what the count says, or less that of the sound before it when there is no count.
    differences_us: Vec<i64>,
    first_us: u64,
    last_us: u64,
}

impl Held {
    fn push(&mut self, block: &PcmBlock, difference_us: i64) {
        if self.differences_us.is_empty() {
            self.first_us = block.capture_us;
        }
        self.last_us = block.capture_us;
        self.differences_us.push(difference_us);
        self.samples.extend_from_slice(&block.samples);
        self.len += block.len_48k();
    }

    /// Whether there is enough to tell where the count belongs.
    fn decides(&self, after_us: u64) -> bool {
        let waited_us = self.last_us.saturating_sub(self.first_us);
        self.differences_us.len() >= DECIDING_BLOCKS && waited_us >= after_us
            || samples_us(self.len as u64, SAMPLE_RATE_HZ) >= MAX_HELD_US
    }

    /// Whether a block that does not fit does so in another way than these: these were only late then.
    fn contradicts(&self, difference_us: i64) -> bool {
        let jumped = |last: &i64| last.signum() != difference_us.signum() || difference_us > last + RESYNC_US;
        self.differences_us.last().is_some_and(jumped)
    }
}

/// Packs the sound of one session's track.
pub(crate) struct Packets<S = Stretcher> {
    channels: usize,
    stretch: S,
    drift: Drift,
    anchor: Option<Anchor>,
    /// Packets since the anchor.
    packed: u64,
    /// Samples on their way into the next packet.
    waiting: Vec<f32>,
    held: Held,
    /// Where the packets so far end: a new anchor may not lie before it.
    end_us: u64,
    /// The next block begins a new count, as after a device has come back.
    restart: bool,
}

impl<S: Stretch> Packets<S> {
    pub(crate) fn new(channels: u8) -> Self {
        let channels = usize::from(channels);
        Self {
            channels,
            stretch: S::new(channels),
            drift: Drift::default(),
            anchor: None,
            packed: 0,
            waiting: Vec::new(),
            held: Held::default(),
            end_us: 0,
            restart: false,
        }
    }

    /// The device was away, or another one has taken over: whatever time the next block has, it is right.
    pub(crate) fn device_restored(&mut self, crystal: Crystal) {
        self.restart = true;
        if crystal == Crystal::Other {
            self.drift.other_device();
        }
    }

    /// The device's clock against the session's; none before a second of sound.
    pub(crate) fn clock_drift(&self) -> Option<ClockDrift> {
        self.drift.stated()
    }

    #[cfg(test)]
    pub(crate) const fn correction_ppm(&self) -> f64 {
        self.drift.correction_ppm()
    }

    /// Takes a run of sound and appends what is complete to `out`.
    pub(crate) fn push(&mut self, block: PcmBlock, out: &mut Vec<Output>) {
        if block.samples.is_empty() {
            return;
        }
        if std::mem::take(&mut self.restart) {
            self.flush(out);
        }
        let Some(expected_us) = self.expected_us() else {
            let before_us = samples_us(self.held.len as u64, SAMPLE_RATE_HZ);
            self.held.push(&block, signed(block.capture_us) - signed(before_us));
            if self.held.decides(BEGINS_AFTER_US) {
                self.begin();
                self.pack(out);
            }
            return;
        };
        let difference_us = signed(block.capture_us) - signed(expected_us);
        if difference_us.abs() >= RESYNC_US {
            if self.held.contradicts(difference_us) {
                self.release(out);
            }
            self.held.push(&block, difference_us);
            if self.held.decides(LOST_AFTER_US) {
                self.resynchronise(out);
            }
        } else {
            self.release(out);
            self.drift.see(difference_us, samples_us(block.len_48k() as u64, SAMPLE_RATE_HZ));
            self.waiting.extend(block.samples);
            self.pack(out);
        }
    }

    /// Completes the last packet with silence. Nothing is lost at the end, and nothing is there twice.
    pub(crate) fn flush(&mut self, out: &mut Vec<Output>) {
        if self.anchor.is_none() {
            self.begin();
        }
        self.release(out);
        self.complete(out);
    }

    /// Blocks that did not fit were only late: they are counted where they are.
    fn release(&mut self, out: &mut Vec<Output>) {
        let held = std::mem::take(&mut self.held);
        self.waiting.extend(held.samples);
        self.pack(out);
    }

    /// Ends the count, and begins the next one with the blocks that did not fit.
    fn resynchronise(&mut self, out: &mut Vec<Output>) {
        let Some(counted_us) = self.counted_us() else { return };
        let shift_us = punctual(&mut self.held.differences_us);
        self.complete(out);
        out.push(Output::Resynchronised { shift_us });
        self.held.differences_us = vec![signed(counted_us) + shift_us];
        self.begin();
        self.pack(out);
    }

    /// Begins a count with the blocks that are held, at the time that the punctual ones among them tell.
    fn begin(&mut self) {
        let mut held = std::mem::take(&mut self.held);
        if held.len == 0 {
            return;
        }
        let start_us = u64::try_from(punctual(&mut held.differences_us)).unwrap_or(0);
        // What was already counted is not encoded a second time.
        let surplus = to_samples(self.end_us.saturating_sub(start_us));
        if surplus >= held.len {
            return;
        }
        self.waiting = held.samples.split_off(surplus * self.channels);
        let us = start_us.max(self.end_us);
        self.anchor = Some(Anchor { us, pts_90k: us_to_90k(us) });
        self.packed = 0;
        self.drift.recounted();
        self.stretch.begin();
    }

    /// Ends the count: what it still holds is filled up with silence.
    fn complete(&mut self, out: &mut Vec<Output>) {
        let mut left = self.waiting.len() / self.channels + self.stretch.inside();
        while left > 0 && self.anchor.is_some() {
            let wanted = self.stretch.wants() * self.channels;
            if self.waiting.len() < wanted {
                self.waiting.resize(wanted, 0.0);
            }
            self.packet(out);
            left = left.saturating_sub(PACKET_SAMPLES);
        }
        self.waiting.clear();
        self.anchor = None;
    }

    /// Where the count is, with everything that was counted. `None` without one.
    fn counted_us(&self) -> Option<u64> {
        let anchor = self.anchor?;
        let waiting = self.waiting.len() / self.channels + self.stretch.inside();
        let counted = self.packed * PACKET_SAMPLES as u64 + waiting as u64;
        Some(anchor.us + samples_us(counted, SAMPLE_RATE_HZ))
    }

    /// When the next block should have been captured, by counting. `None` without a count.
    fn expected_us(&self) -> Option<u64> {
        Some(self.counted_us()? + samples_us(self.held.len as u64, SAMPLE_RATE_HZ))
    }

    fn pack(&mut self, out: &mut Vec<Output>) {
        while self.anchor.is_some() && self.waiting.len() >= self.stretch.wants() * self.channels {
            self.packet(out);
        }
    }

    fn packet(&mut self, out: &mut Vec<Output>) {
        let Some(anchor) = self.anchor else { return };
        self.stretch.set_ppm(self.drift.correction_ppm());
        let (samples, taken) = self.stretch.packet(&self.waiting);
        self.waiting.drain(..taken * self.channels);
        let capture_us = anchor.us + samples_us(self.packed * PACKET_SAMPLES as u64, SAMPLE_RATE_HZ);
        let pts_90k = anchor.pts_90k + self.packed * u64::from(PACKET_DURATION_90K);
        self.packed += 1;
        self.end_us = anchor.us + samples_us(self.packed * PACKET_SAMPLES as u64, SAMPLE_RATE_HZ);
        out.push(Output::Packet(Packet { samples, pts_90k, capture_us }));
    }
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// PCM samples per channel in a time, rounded up.
fn to_samples(us: u64) -> usize {
    usize::try_from((us.saturating_mul(u64::from(SAMPLE_RATE_HZ))).div_ceil(1_000_000)).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
mod tests {
    use super::*;
    use crate::encode::hours::Model;

    fn block(capture_us: u64, samples: usize) -> PcmBlock {
        PcmBlock { samples: vec![0.5; samples], channels: 1, capture_us }
    }

    fn packets(out: &[Output]) -> Vec<&Packet> {
        out.iter()
            .filter_map(|output| match output {
                Output::Packet(packet) => Some(packet),
                Output::Resynchronised { .. } => None,
            })
            .collect()
    }

    fn shifts(out: &[Output]) -> Vec<i64> {
        out.iter()
            .filter_map(|output| match output {
                Output::Packet(_) => None,
                Output::Resynchronised { shift_us } => Some(*shift_us),
            })
            .collect()
    }

    /// Once, by so much to within a PCM sample and a half.
    fn assert_shifted(out: &[Output], by_us: i64) {
        let shifts = shifts(out);
        assert!(matches!(shifts[..], [shift_us] if (shift_us - by_us).abs() <= 31), "{shifts:?}");
    }

    fn assert_never_overlapping(packets: &[&Packet]) {
        for pair in packets.windows(2) {
            assert!(pair[0].pts_90k + 1800 <= pair[1].pts_90k, "{} and {}", pair[0].pts_90k, pair[1].pts_90k);
            assert_eq!(pair[1].samples.len(), PACKET_SAMPLES);
        }
    }

    #[test]
    fn packets_are_contiguous_whatever_the_blocks_and_their_jitter() {
        let (mut packer, mut out, mut at) = (Packets::<Stretcher>::new(1), Vec::new(), 0_u64);
        for n in 0..3000_u64 {
            let length = [441, 480, 100, 1024][n as usize % 4];
            let jitter = n * 7919 % 30_000;
            packer.push(block(123_456 + samples_us(at, 48_000) + jitter, length), &mut out);
            at += length as u64;
        }
        packer.flush(&mut out);
        assert!(shifts(&out).is_empty());
        let first = packets(&out)[0];
        assert!(
            (123_456..127_000).contains(&first.capture_us),
            "jitter does not decide: {}",
            first.capture_us
        );
        for (n, packet) in packets(&out).iter().enumerate() {
            assert_eq!(packet.pts_90k, us_to_90k(first.capture_us) + 1800 * n as u64);
        }
    }

    #[test]
    fn lost_sound_moves_the_count_to_the_clock_and_is_reported() {
        let (mut packer, mut out) = (Packets::<Stretcher>::new(1), Vec::new());
        for n in 0..200_u64 {
            let lost_us = if n < 105 { 0 } else { 500_000 };
            packer.push(block(n * 10_000 + lost_us, 480), &mut out);
        }
        packer.flush(&mut out);
        assert_shifted(&out, 500_000);
        let packets = packets(&out);
        assert_never_overlapping(&packets);
        let end_us = packets.last().unwrap().capture_us + 20_000;
        assert!((2_500_000..2_520_000).contains(&end_us), "the end is where the clock says: {end_us}");
    }

    #[test]
    fn surplus_sound_is_cut_out_without_overlap() {
        let (mut packer, mut out) = (Packets::<Stretcher>::new(1), Vec::new());
        for n in 0..300_u64 {
            let surplus_us = if n < 105 { 0 } else { 70_000 };
            packer.push(block(1_000_000 + n * 10_000 - surplus_us, 480), &mut out);
        }
        packer.flush(&mut out);
        assert_shifted(&out, -70_000);
        let packets = packets(&out);
        assert_never_overlapping(&packets);
        let end_us = packets.last().unwrap().capture_us + 20_000;
        assert!(end_us.abs_diff(1_000_000 + 3_000_000 - 70_000) <= 20_000, "{end_us}");
    }

    #[test]
    fn a_device_that_comes_back_is_counted_from_its_own_time() {
        let (mut packer, mut out) = (Packets::<Stretcher>::new(1), Vec::new());
        (0..11).for_each(|n| packer.push(block(n * 10_000, 480), &mut out));
        packer.device_restored(Crystal::Same);
        (0..11).for_each(|n| packer.push(block(7_000_000 + n * 10_000, 480), &mut out));
        packer.flush(&mut out);
        assert!(shifts(&out).is_empty(), "that it was away is told elsewhere");
        let packets = packets(&out);
        assert_never_overlapping(&packets);
        assert_eq!(packets.len(), 12);
        assert_eq!(packets[6].capture_us, 7_000_000);
        assert_eq!(
            packets[5].samples.iter().filter(|sample| sample.abs() < 0.25).count(),
            480,
            "padded with silence"
        );
    }

    #[test]
    fn a_crystal_that_is_off_is_followed_without_a_jump() {
        for ppm in [-150.0, -20.0, 80.0, 150.0] {
            let (mut packer, mut out, mut worst_us) = (Packets::<Model>::new(1), Vec::new(), 0_i64);
            let mut count = 0_usize;
            for n in 0..60_000_u64 {
                // The device's n-th block is captured when its own clock says n × 10 ms.
                let true_us = (n as f64 * 10_000.0 * (1.0 - ppm / 1e6)) as u64;
                let jitter = n * 7919 % 4_000;
                packer.push(block(5_000_000 + true_us + jitter, 480), &mut out);
                if let Some(expected_us) = packer.expected_us() {
                    let difference = signed(5_000_000 + true_us + 10_000) - signed(expected_us);
                    worst_us = worst_us.max(difference.abs());
                }
                if out.len() > 1000 {
                    count += packets(&out).len();
                    assert!(shifts(&out).is_empty(), "{ppm} ppm");
                    out.clear();
                }
            }
            assert!(count > 29_000);
            assert!(worst_us < 5_500, "{ppm} ppm: {worst_us} µs apart at worst in ten minutes");
        }
    }
}
