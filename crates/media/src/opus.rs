//! The framing of Opus packets (RFC 6716 §3).

/// PCM samples at 48 kHz by which libopus delays its input, in its `audio` and `voip` modes: the
/// pre-skip of a stream that is encoded from its first PCM sample on (RFC 7845 §4.2).
///
/// An encoder reports its own value (`OPUS_GET_LOOKAHEAD`); this is for where there is none to ask.
pub const PRE_SKIP_48K: u16 = 312;

/// The longest packet, 120 ms, in PCM samples at 48 kHz (§3.2.5).
pub const MAX_PACKET_DURATION_48K: u32 = 5_760;

/// The longest frame in a packet, in bytes (§3.4, rule R2).
const MAX_FRAME_BYTES: usize = 1_275;

/// Why bytes are not an Opus packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpusError {
    /// A packet has at least one byte.
    #[error("the Opus packet is empty")]
    Empty,
    /// The packet ends within its framing.
    #[error("the Opus packet ends too early")]
    Truncated,
    /// The bytes cannot be shared out evenly between frames that must be equally long.
    #[error("the Opus packet's frames are not equally long")]
    UnevenFrames,
    /// A frame is longer than the codec allows.
    #[error("an Opus frame of {0} bytes exceeds the limit of {MAX_FRAME_BYTES}")]
    FrameTooLarge(usize),
    /// No frame, or more than 120 ms.
    #[error("an Opus packet cannot hold {frames} frames of {frame_48k} PCM samples")]
    Duration {
        /// How many frames the packet announces.
        frames: u32,
        /// PCM samples of each at 48 kHz.
        frame_48k: u32,
    },
}

/// How long a packet plays, in PCM samples at 48 kHz; its framing obeys rules R1 to R7 of §3.4.
///
/// Frames themselves are not decoded: any bytes are a frame to an Opus decoder.
///
/// # Errors
/// [`OpusError`] when a decoder would refuse the packet.
pub fn packet_duration_48k(packet: &[u8]) -> Result<u32, OpusError> {
    let (&toc, rest) = packet.split_first().ok_or(OpusError::Empty)?;
    let frame_48k = frame_duration_48k(toc >> 3);
    let frames = match toc & 3 {
        0 => {
            frame_of(rest.len())?;
            1
        }
        1 => {
            equal_frames(rest.len(), 2)?;
            2
        }
        2 => {
            let (first, rest) = split_length(rest)?;
            frame_of(rest.len().checked_sub(first).ok_or(OpusError::Truncated)?)?;
            2
        }
        _ => arbitrary_frames(rest, frame_48k)?,
    };
    Ok(frames * frame_48k)
}

/// Table 2: the 32 configurations, from the top five bits of the first byte.
const fn frame_duration_48k(configuration: u8) -> u32 {
    match configuration {
        // SILK: 10, 20, 40, 60 ms.
        0..=11 => [480, 960, 1920, 2880][(configuration & 3) as usize],
        // Hybrid: 10, 20 ms.
        12..=15 => [480, 960][(configuration & 1) as usize],
        // CELT: 2.5, 5, 10, 20 ms.
        _ => [120, 240, 480, 960][(configuration & 3) as usize],
    }
}

/// Code 3 (§3.2.5): a count byte, padding, and lengths when frames differ. Yields the count.
fn arbitrary_frames(rest: &[u8], frame_48k: u32) -> Result<u32, OpusError> {
    let (&count, mut rest) = rest.split_first().ok_or(OpusError::Truncated)?;
    let frames = u32::from(count & 0x3f);
    if frames == 0 || frames * frame_48k > MAX_PACKET_DURATION_48K {
        return Err(OpusError::Duration { frames, frame_48k });
    }
    if count & 0x40 != 0 {
        let mut padding_bytes = 0;
        loop {
            let (&length, after) = rest.split_first().ok_or(OpusError::Truncated)?;
            rest = after;
            padding_bytes += usize::from(length);
            if length < 255 {
                break;
            }
            // 255 stands for 254 bytes of padding and one more length byte.
            padding_bytes -= 1;
        }
        let kept = rest.len().checked_sub(padding_bytes).ok_or(OpusError::Truncated)?;
        rest = &rest[..kept];
    }
    if count & 0x80 == 0 {
        equal_frames(rest.len(), frames as usize)?;
        return Ok(frames);
    }
    let mut listed_bytes = 0;
    for _ in 1..frames {
        let (length, after) = split_length(rest)?;
        rest = after;
        listed_bytes += length;
    }
    frame_of(rest.len().checked_sub(listed_bytes).ok_or(OpusError::Truncated)?)?;
    Ok(frames)
}

const fn frame_of(bytes: usize) -> Result<(), OpusError> {
    if bytes > MAX_FRAME_BYTES { Err(OpusError::FrameTooLarge(bytes)) } else { Ok(()) }
}

const fn equal_frames(bytes: usize, frames: usize) -> Result<(), OpusError> {
    if !bytes.is_multiple_of(frames) { Err(OpusError::UnevenFrames) } else { frame_of(bytes / frames) }
}

/// A frame length of one or two bytes (§3.2.1); two bytes reach 1275 exactly.
fn split_length(bytes: &[u8]) -> Result<(usize, &[u8]), OpusError> {
    match bytes {
        [first @ 0..=251, rest @ ..] => Ok((usize::from(*first), rest)),
        [first, second, rest @ ..] => Ok((usize::from(*second) * 4 + usize::from(*first), rest)),
        _ => Err(OpusError::Truncated),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_follow_the_first_byte() {
        let cases: [(u8, u32); 10] = [
            (0, 480),
            (3, 2880),
            (7, 2880),
            (11, 2880),
            (12, 480),
            (15, 960),
            (16, 120),
            (17, 240),
            (30, 480),
            (31, 960),
        ];
        for (configuration, duration_48k) in cases {
            assert_eq!(packet_duration_48k(&[configuration << 3]), Ok(duration_48k), "{configuration}");
            assert_eq!(packet_duration_48k(&[configuration << 3 | 1, 7, 8]), Ok(2 * duration_48k));
            assert_eq!(packet_duration_48k(&[configuration << 3 | 2, 1, 7, 8]), Ok(2 * duration_48k));
        }
    }

    #[test]
    fn framing_is_checked() {
        let celt_20ms = 31 << 3;
        let table: &[(&[u8], Result<u32, OpusError>)] = &[
            (&[], Err(OpusError::Empty)),
            (&[celt_20ms | 1, 7], Err(OpusError::UnevenFrames)),
            (&[celt_20ms | 2], Err(OpusError::Truncated)),
            (&[celt_20ms | 2, 252], Err(OpusError::Truncated)),
            (&[celt_20ms | 2, 3, 1, 2], Err(OpusError::Truncated)),
            (&[celt_20ms | 3], Err(OpusError::Truncated)),
            (&[celt_20ms | 3, 0], Err(OpusError::Duration { frames: 0, frame_48k: 960 })),
            (&[celt_20ms | 3, 7], Err(OpusError::Duration { frames: 7, frame_48k: 960 })),
            (&[celt_20ms | 3, 6], Ok(5760)),
            (&[celt_20ms | 3, 2, 1, 2, 3], Err(OpusError::UnevenFrames)),
            (&[celt_20ms | 3, 0x41], Err(OpusError::Truncated)),
            (&[celt_20ms | 3, 0x41, 2, 0], Err(OpusError::Truncated)),
            (&[celt_20ms | 3, 0x41, 2, 9, 0, 0], Ok(960)),
            (&[celt_20ms | 3, 0x83, 1, 1, 7, 8, 9], Ok(2880)),
            (&[celt_20ms | 3, 0x83, 1, 9, 7, 8, 9], Err(OpusError::Truncated)),
            // 255 and 1: 254 + 1 bytes of padding, of which none is there.
            (&[celt_20ms | 3, 0x41, 255, 1], Err(OpusError::Truncated)),
        ];
        for (packet, expected) in table {
            assert_eq!(packet_duration_48k(packet), *expected, "{packet:?}");
        }
        let mut large = vec![0; 1 + MAX_FRAME_BYTES];
        large[0] = celt_20ms;
        assert_eq!(packet_duration_48k(&large), Ok(960));
        large.push(0);
        assert_eq!(packet_duration_48k(&large), Err(OpusError::FrameTooLarge(1276)));
    }

    proptest! {
        #[test]
        fn any_packet_has_a_legal_duration_or_none(packet in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(duration_48k) = packet_duration_48k(&packet) {
                prop_assert!((120..=MAX_PACKET_DURATION_48K).contains(&duration_48k));
            }
        }

        /// libopus is the judge of which packets exist.
        #[test]
        fn libopus_agrees(packet in prop::collection::vec(prop_oneof![Just(3u8), any::<u8>()], 1..40)) {
            let ours = packet_duration_48k(&packet).ok();
            let frames = opus::packet::parse(&packet).ok().map(|parsed| parsed.frames.len());
            let theirs = frames.and_then(|_| opus::packet::get_nb_samples(&packet, 48_000).ok());
            prop_assert_eq!(ours.map(|duration| duration as usize), theirs);
        }
    }
}
