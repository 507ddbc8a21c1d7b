//! From the device's number of channels to the track's.

/// Interleaved PCM samples of `from` channels as interleaved PCM samples of `to` (1 or 2) channels.
///
/// Of more than two channels the first two are taken: they are left and right in every common layout.
pub(crate) fn remix(samples: &[f32], from: usize, to: u8) -> Vec<f32> {
    match (from, to) {
        (0, _) => Vec::new(),
        (1, 1) | (2, 2) => samples.to_vec(),
        (1, _) => samples.iter().flat_map(|sample| [*sample; 2]).collect(),
        (_, 1) => samples.chunks_exact(from).map(|all| f32::midpoint(all[0], all[1])).collect(),
        _ => samples.chunks_exact(from).flat_map(|all| [all[0], all[1]]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::remix;

    #[test]
    fn channels_are_doubled_averaged_or_left_out() {
        assert_eq!(remix(&[0.1, 0.2], 1, 1), [0.1, 0.2]);
        assert_eq!(remix(&[0.1, 0.2], 1, 2), [0.1, 0.1, 0.2, 0.2]);
        assert_eq!(remix(&[0.5, 0.25, -0.5, 0.5], 2, 1), [0.375, 0.0]);
        assert_eq!(remix(&[0.5, 0.25, 9.0, 0.1, 0.2, 9.0], 3, 2), [0.5, 0.25, 0.1, 0.2]);
        assert!(remix(&[1.0], 0, 2).is_empty());
    }
}
