//! The level meter: how loud the microphone is.

/// What silence reads, in dBFS.
pub const SILENCE_DBFS: f32 = -100.0;

/// The level of a short run of sound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The largest sample, in dB relative to full scale; at least [`SILENCE_DBFS`].
    pub peak_dbfs: f32,
    /// The root mean square, in dB relative to full scale (a full-scale sine reads −3.01).
    pub rms_dbfs: f32,
}

/// The level of PCM samples between −1 and 1.
#[must_use]
pub fn level(samples: &[f32]) -> Level {
    let (mut peak, mut squares) = (0.0_f32, 0.0_f64);
    for sample in samples {
        peak = peak.max(sample.abs());
        squares += f64::from(sample * sample);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
    let rms = (squares / samples.len().max(1) as f64).sqrt() as f32;
    Level { peak_dbfs: dbfs(peak), rms_dbfs: dbfs(rms) }
}

fn dbfs(amplitude: f32) -> f32 {
    (20.0 * amplitude.log10()).max(SILENCE_DBFS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_relative_to_full_scale() {
        let silence = level(&[0.0; 480]);
        assert_eq!((silence.peak_dbfs, silence.rms_dbfs), (SILENCE_DBFS, SILENCE_DBFS));
        assert_eq!(level(&[]).rms_dbfs, SILENCE_DBFS);
        #[allow(clippy::cast_precision_loss)]
        let sine: Vec<f32> = (0..4800).map(|n| (n as f32 * std::f32::consts::TAU / 48.0).sin()).collect();
        let full = level(&sine);
        assert!(full.peak_dbfs.abs() < 0.01 && (full.rms_dbfs + 3.01).abs() < 0.01, "{full:?}");
    }
}
