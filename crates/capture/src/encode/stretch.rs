//! Makes sound longer or shorter by parts per million, without clicks.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable as _, Async, FixedAsync, Resampler as _, Resizable as _, SincInterpolationParameters,
    WindowFunction,
};

use super::drift::MAX_CORRECTION_PPM;
use super::opus::PACKET_SAMPLES;

/// The length of the filter in PCM samples: up to 20 kHz, where Opus cuts off, it lets everything through.
const FILTER_SAMPLES: usize = 128;

/// The filter's delay: PCM samples that it must have seen beyond the one that it makes.
const DELAY: usize = FILTER_SAMPLES / 2;

/// Turns a run of sound into packets of exactly [`PACKET_SAMPLES`], from a little more or less than that.
pub(crate) trait Stretch {
    /// For 1 or 2 channels.
    fn new(channels: usize) -> Self;

    /// What comes next does not continue what came before.
    fn begin(&mut self);

    /// How much longer the sound is to become from the next packet on, in ppm, within ±[`MAX_CORRECTION_PPM`].
    fn set_ppm(&mut self, ppm: f64);

    /// PCM samples per channel that suffice for the next packet.
    fn wants(&self) -> usize;

    /// The next packet from interleaved `samples`, at least as many as it [wants](Self::wants), and how many per
    /// channel it took. Its first PCM sample was captured when the first one was that is [inside](Self::inside).
    fn packet(&mut self, samples: &[f32]) -> (Vec<f32>, usize);

    /// PCM samples per channel that were taken and have not come out.
    fn inside(&self) -> usize;
}

/// Band-limited interpolation, so that the sound can be moved by any fraction of a PCM sample.
pub(crate) struct Stretcher {
    channels: usize,
    filter: Async<f32>,
    ratio: f64,
    /// Nothing was put in yet. What then comes out first is the filter's delay, which nobody needs.
    is_fresh: bool,
}

impl Stretcher {
    /// Lets the filter make `out` PCM samples per channel from the first ones of `samples`; how many it took.
    fn convert(&mut self, samples: &[f32], out: usize, ratio: f64) -> (Vec<f32>, usize) {
        // Neither can be refused: both are within what the filter was made for.
        let _ = self.filter.set_chunk_size(out);
        let _ = self.filter.set_resample_ratio(ratio, false);
        let takes = self.filter.input_frames_next().min(samples.len() / self.channels);
        let taken = &samples[..takes * self.channels];
        let input = InterleavedSlice::new(taken, self.channels, takes).ok();
        let output = input.and_then(|input| self.filter.process(&input, None).ok());
        // Were it refused all the same, sound that is not stretched would be better than none.
        (output.map_or_else(|| taken.to_vec(), |output| output.take_data()), takes)
    }
}

impl Stretch for Stretcher {
    fn new(channels: usize) -> Self {
        let parameters = SincInterpolationParameters::new(FILTER_SAMPLES, WindowFunction::BlackmanHarris2);
        let most = 1.0 + 2.0 * MAX_CORRECTION_PPM / 1e6;
        let filter = Async::new_sinc(1.0, most, &parameters, PACKET_SAMPLES, channels, FixedAsync::Output)
            .expect("these figures are within what the filter takes");
        Self { channels, filter, ratio: 1.0, is_fresh: true }
    }

    fn begin(&mut self) {
        self.filter.reset();
        self.is_fresh = true;
    }

    fn set_ppm(&mut self, ppm: f64) {
        self.ratio = 1.0 + ppm.clamp(-MAX_CORRECTION_PPM, MAX_CORRECTION_PPM) / 1e6;
    }

    fn wants(&self) -> usize {
        let most = 1.0 + MAX_CORRECTION_PPM / 1e6;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let packet = (PACKET_SAMPLES as f64 * most).ceil() as usize + 1;
        packet + if self.is_fresh { FILTER_SAMPLES } else { 0 }
    }

    fn packet(&mut self, samples: &[f32]) -> (Vec<f32>, usize) {
        let skipped =
            if std::mem::take(&mut self.is_fresh) { self.convert(samples, DELAY - 1, 1.0).1 } else { 0 };
        let (mut packet, taken) =
            self.convert(&samples[skipped * self.channels..], PACKET_SAMPLES, self.ratio);
        packet.resize(PACKET_SAMPLES * self.channels, 0.0);
        (packet, skipped + taken)
    }

    fn inside(&self) -> usize {
        if self.is_fresh { 0 } else { DELAY }
    }
}

#[cfg(test)]
#[allow(clippy::cast_precision_loss)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn tone(hz: f64, seconds: usize) -> Vec<f32> {
        #[allow(clippy::cast_possible_truncation)]
        (0..48_000 * seconds).map(|n| ((n as f64 * TAU * hz / 48_000.0).sin() * 0.5) as f32).collect()
    }

    /// A tone through a stretcher whose correction swings between ±`ppm` as fast as it ever may, and the same tone
    /// computed at the very moments that come out.
    fn swung(hz: f64, seconds: usize, ppm: f64) -> (Vec<f32>, Vec<f64>) {
        let sound = tone(hz, seconds);
        let mut stretcher = Stretcher::new(1);
        let (mut out, mut ideal, mut at, mut n) = (Vec::new(), Vec::new(), 0, 0.0);
        // The filter's table is off by one of its 128 steps between two PCM samples: 0.16 µs.
        let mut moment = 1.0 / 128.0 - 1.0;
        while sound.len() - at >= stretcher.wants() {
            // 100 ppm per second are 2 ppm per packet: a triangle.
            let phase = (n * 2.0_f64) % (4.0 * ppm);
            let now_ppm = if phase < 2.0 * ppm { phase - ppm } else { 3.0 * ppm - phase };
            stretcher.set_ppm(now_ppm);
            let (packet, taken) = stretcher.packet(&sound[at..]);
            assert_eq!(packet.len(), PACKET_SAMPLES);
            (at, n) = (at + taken, n + 1.0);
            out.extend(packet);
            for _ in 0..PACKET_SAMPLES {
                moment += 1.0 / (1.0 + now_ppm / 1e6);
                ideal.push((moment * TAU * hz / 48_000.0).sin() * 0.5);
            }
        }
        // The tone begins as abruptly as no tone of a microphone does.
        (out.split_off(480), ideal.split_off(480))
    }

    fn power(sound: impl Iterator<Item = f64>) -> f64 {
        sound.map(|sample| sample * sample).sum()
    }

    #[test]
    fn a_tone_stays_clean_while_the_correction_swings() {
        for hz in [100.0, 1_000.0, 10_000.0] {
            let (out, ideal) = swung(hz, 60, 500.0);
            let rest = power(out.iter().zip(&ideal).map(|(out, ideal)| f64::from(*out) - ideal));
            let db = 10.0 * (rest / power(ideal.iter().copied())).log10();
            let apart = out.iter().zip(&ideal).map(|(out, ideal)| (f64::from(*out) - ideal).abs());
            let largest = apart.fold(0.0, f64::max) / 0.5;
            println!("{hz} Hz: THD+N {db:.1} dB; at most {largest:.1e} of the amplitude beside the ideal");
            assert!(db < -100.0, "{hz} Hz: {db} dB");
            assert!(largest < 1e-4, "{hz} Hz: a click of {largest} times the amplitude");
        }
    }

    #[test]
    fn everything_that_opus_carries_is_let_through_at_its_time() {
        for hz in [50.0, 1_000.0, 12_000.0, 20_000.0] {
            let (out, ideal) = swung(hz, 2, 1e-9);
            let apart = out.iter().zip(&ideal).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
            println!("{hz} Hz: {apart}");
            assert!(apart < 0.005, "{hz} Hz: {apart}");
        }
    }
}
