//! From runs of sound to packets of 20 ms whose times count PCM samples, yet stay with the session's clock.
//!
//! A packet's time is the time of the first one plus what has been encoded since, so that packets are
//! exactly contiguous. Two things pull that count and the clock apart:
//! - The device's crystal is a little fast or slow. The difference grows slowly; single PCM samples are
//!   slipped in or out until it is gone.
//! - The device loses sound. The difference jumps; counting starts anew at the clock's time, and that is
//!   reported.

use std::collections::VecDeque;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Adjustable as _, FixedAsync, Resampler as _, Slip};

use super::opus::{PACKET_DURATION_90K, PACKET_SAMPLES};
use crate::clock::us_to_90k;
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ, samples_us};

/// A difference beyond this is loss, not drift.
const RESYNC_US: i64 = 40_000;

/// So many blocks in a row must agree that sound was lost: one that is late only because the machine was busy
/// does not count.
const AGREEING_BLOCKS: usize = 8;

/// Slipping begins when the smoothed difference exceeds this, and ends below the second figure.
const SLIP_FROM_US: f64 = 3_000.0;
const SLIP_UNTIL_US: f64 = 1_000.0;

/// How fast slipping goes: crystals are seldom off by more than a fifth of this.
const SLIP_RATE: f64 = 0.000_5;

/// The share of a new block in the smoothed difference: it follows within about 2.5 s.
const SMOOTHING: f64 = 1.0 / 256.0;

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

pub(crate) struct Packets {
    channels: usize,
    anchor: Option<Anchor>,
    /// Packets since the anchor.
    packed: u64,
    /// Samples on their way into the next packet.
    waiting: Vec<f32>,
    /// Samples on their way through the slip.
    slipping: Vec<f32>,
    slip: Option<Slip<f32>>,
    differences_us: VecDeque<i64>,
    smoothed_us: f64,
    /// +1 while PCM samples are slipped in, −1 while out, else 0.
    direction: f64,
    /// Where the packets so far end: a new anchor may not lie before it.
    end_us: u64,
    /// The next block begins a new count, as after a device has come back.
    restart: bool,
}

impl Packets {
    pub(crate) fn new(channels: u8) -> Self {
        let channels = usize::from(channels);
        Self {
            channels,
            anchor: None,
            packed: 0,
            waiting: Vec::new(),
            slipping: Vec::new(),
            slip: Slip::new(PACKET_SAMPLES, channels, FixedAsync::Input).ok(),
            differences_us: VecDeque::with_capacity(AGREEING_BLOCKS),
            smoothed_us: 0.0,
            direction: 0.0,
            end_us: 0,
            restart: false,
        }
    }

    /// The device was away: whatever time the next block has, it is right.
    pub(crate) fn device_restored(&mut self) {
        self.restart = true;
    }

    /// Takes a run of sound and appends what is complete to `out`.
    pub(crate) fn push(&mut self, block: PcmBlock, out: &mut Vec<Output>) {
        if block.samples.is_empty() {
            return;
        }
        let mut samples = block.samples;
        if let Some(expected_us) = self.expected_us() {
            let shift_us = signed(block.capture_us) - signed(expected_us);
            if self.is_lost(shift_us) {
                self.flush(out);
                out.push(Output::Resynchronised { shift_us });
            }
        }
        if self.anchor.is_none() {
            // What was already counted is not encoded a second time.
            let surplus =
                to_samples(self.end_us.saturating_sub(block.capture_us)).saturating_mul(self.channels);
            samples.drain(..surplus.min(samples.len()));
            if samples.is_empty() {
                return;
            }
            self.start_at(block.capture_us.max(self.end_us));
        }
        if self.direction == 0.0 {
            self.waiting.append(&mut self.slipping);
            self.waiting.extend(samples);
        } else {
            self.slipping.extend(samples);
            self.slip();
        }
        self.pack(out);
    }

    /// Completes the last packet with silence. Nothing is lost at the end, and nothing is there twice.
    pub(crate) fn flush(&mut self, out: &mut Vec<Output>) {
        self.waiting.append(&mut self.slipping);
        let packet = PACKET_SAMPLES * self.channels;
        let whole = self.waiting.len().next_multiple_of(packet);
        self.waiting.resize(whole, 0.0);
        self.pack(out);
        self.anchor = None;
    }

    fn start_at(&mut self, us: u64) {
        self.anchor = Some(Anchor { us, pts_90k: us_to_90k(us) });
        self.packed = 0;
        self.differences_us.clear();
        self.smoothed_us = 0.0;
        self.direction = 0.0;
    }

    /// When the next block should have been captured, by counting. `None` before the first one and after
    /// a flush.
    fn expected_us(&self) -> Option<u64> {
        let waiting = (self.waiting.len() + self.slipping.len()) / self.channels;
        let counted = self.packed * PACKET_SAMPLES as u64 + waiting as u64;
        match self.anchor {
            Some(anchor) => Some(anchor.us + samples_us(counted, SAMPLE_RATE_HZ)),
            None if self.restart => Some(self.end_us),
            None => None,
        }
    }

    /// Notes a block's difference between clock and count, and decides whether sound was lost.
    fn is_lost(&mut self, difference_us: i64) -> bool {
        if std::mem::take(&mut self.restart) {
            return true;
        }
        if self.differences_us.len() == AGREEING_BLOCKS {
            self.differences_us.pop_front();
        }
        self.differences_us.push_back(difference_us);
        if difference_us.abs() < RESYNC_US {
            #[allow(clippy::cast_precision_loss)]
            let difference = difference_us as f64;
            self.smoothed_us += (difference - self.smoothed_us) * SMOOTHING;
        }
        if self.smoothed_us.abs() > SLIP_FROM_US {
            self.direction = self.smoothed_us.signum();
        } else if self.smoothed_us * self.direction < SLIP_UNTIL_US {
            self.direction = 0.0;
        }
        let all = |beyond: fn(&i64) -> bool| self.differences_us.iter().all(beyond);
        self.differences_us.len() == AGREEING_BLOCKS
            && (all(|difference| *difference > RESYNC_US) || all(|difference| *difference < -RESYNC_US))
    }

    /// Sends whole packets' worth of samples through the slip.
    fn slip(&mut self) {
        let batch = PACKET_SAMPLES * self.channels;
        let Some(slip) = &mut self.slip else {
            self.waiting.append(&mut self.slipping);
            return;
        };
        // The rate is far within what a slip takes, so that it cannot be refused.
        let _ = slip.set_resample_ratio(1.0 + self.direction * SLIP_RATE, false);
        while self.slipping.len() >= batch {
            let input = InterleavedSlice::new(&self.slipping[..batch], self.channels, PACKET_SAMPLES);
            let output = input.ok().and_then(|input| slip.process(&input, None).ok());
            match output {
                Some(output) => self.waiting.extend(output.take_data()),
                None => self.waiting.extend(&self.slipping[..batch]),
            }
            self.slipping.drain(..batch);
        }
    }

    fn pack(&mut self, out: &mut Vec<Output>) {
        let Some(anchor) = self.anchor else { return };
        let size = PACKET_SAMPLES * self.channels;
        while self.waiting.len() >= size {
            let rest = self.waiting.split_off(size);
            let samples = std::mem::replace(&mut self.waiting, rest);
            let capture_us = anchor.us + samples_us(self.packed * PACKET_SAMPLES as u64, SAMPLE_RATE_HZ);
            let pts_90k = anchor.pts_90k + self.packed * u64::from(PACKET_DURATION_90K);
            self.packed += 1;
            self.end_us = anchor.us + samples_us(self.packed * PACKET_SAMPLES as u64, SAMPLE_RATE_HZ);
            out.push(Output::Packet(Packet { samples, pts_90k, capture_us }));
        }
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

    fn assert_never_overlapping(packets: &[&Packet]) {
        for pair in packets.windows(2) {
            assert!(pair[0].pts_90k + 1800 <= pair[1].pts_90k, "{} and {}", pair[0].pts_90k, pair[1].pts_90k);
            assert_eq!(pair[1].samples.len(), PACKET_SAMPLES);
        }
    }

    #[test]
    fn packets_are_contiguous_whatever_the_blocks_and_their_jitter() {
        let (mut packer, mut out, mut at) = (Packets::new(1), Vec::new(), 0_u64);
        for n in 0..3000_u64 {
            let length = [441, 480, 100, 1024][n as usize % 4];
            let jitter = n * 7919 % 30_000;
            packer.push(block(123_456 + samples_us(at, 48_000) + jitter, length), &mut out);
            at += length as u64;
        }
        packer.flush(&mut out);
        assert!(shifts(&out).is_empty());
        for (n, packet) in packets(&out).iter().enumerate() {
            assert_eq!(packet.pts_90k, us_to_90k(123_456) + 1800 * n as u64);
        }
    }

    #[test]
    fn lost_sound_moves_the_count_to_the_clock_and_is_reported() {
        let (mut packer, mut out) = (Packets::new(1), Vec::new());
        for n in 0..200_u64 {
            let lost_us = if n < 105 { 0 } else { 500_000 };
            packer.push(block(n * 10_000 + lost_us, 480), &mut out);
        }
        packer.flush(&mut out);
        assert_eq!(shifts(&out), [500_000]);
        let packets = packets(&out);
        assert_never_overlapping(&packets);
        let end_us = packets.last().unwrap().capture_us + 20_000;
        assert!((2_500_000..2_520_000).contains(&end_us), "the end is where the clock says: {end_us}");
    }

    #[test]
    fn surplus_sound_is_cut_out_without_overlap() {
        let (mut packer, mut out) = (Packets::new(1), Vec::new());
        for n in 0..300_u64 {
            let surplus_us = if n < 105 { 0 } else { 70_000 };
            packer.push(block(1_000_000 + n * 10_000 - surplus_us, 480), &mut out);
        }
        packer.flush(&mut out);
        assert_eq!(shifts(&out), [-70_000]);
        let packets = packets(&out);
        assert_never_overlapping(&packets);
        let end_us = packets.last().unwrap().capture_us + 20_000;
        assert!(end_us.abs_diff(1_000_000 + 3_000_000 - 70_000) <= 20_000, "{end_us}");
    }

    #[test]
    fn a_device_that_comes_back_is_counted_from_its_own_time() {
        let (mut packer, mut out) = (Packets::new(1), Vec::new());
        (0..11).for_each(|n| packer.push(block(n * 10_000, 480), &mut out));
        packer.device_restored();
        (0..11).for_each(|n| packer.push(block(7_000_000 + n * 10_000, 480), &mut out));
        packer.flush(&mut out);
        assert_eq!(shifts(&out), [6_890_000]);
        let packets = packets(&out);
        assert_never_overlapping(&packets);
        assert_eq!(packets.len(), 12);
        assert_eq!(packets[6].capture_us, 7_000_000);
        assert_eq!(
            packets[5].samples.iter().filter(|sample| **sample == 0.0).count(),
            480,
            "padded with silence"
        );
    }

    #[test]
    fn a_crystal_that_is_off_is_followed_without_a_jump() {
        for ppm in [-150.0, -20.0, 80.0, 150.0] {
            let (mut packer, mut out, mut worst_us) = (Packets::new(1), Vec::new(), 0_i64);
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
            assert!(worst_us < 8_000, "{ppm} ppm: {worst_us} µs apart at worst in ten minutes");
        }
    }
}
