//! A WAV file as a microphone: PCM of 16, 24 or 32 bits or 32-bit floating point, at any rate, and of
//! unknown length as a pipe from ffmpeg has it.
//!
//! Layout: Microsoft's *Multimedia Programming Interface and Data Specifications 1.0* (RIFF), and
//! `WAVEFORMATEXTENSIBLE` in `mmreg.h`.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::{Contents, Input, Pace};
use crate::clock::SessionClock;
use crate::device::{Device, Next, Persistence, Source, Stop};
use crate::error::{DeviceError, DeviceKind, FileError};
use crate::microphone::remix::remix;
use crate::microphone::resample::Resampler;
use crate::pcm::{PcmBlock, samples_us};

/// How much sound is delivered at once, in ms: a packet's worth, so that each wakes its thread once.
const BLOCK_MS: u32 = 20;

/// A WAV file as a microphone.
pub(crate) struct WavMicrophone {
    input: Input,
    clock: Arc<dyn SessionClock>,
    stop: Stop,
    channels: u8,
}

impl WavMicrophone {
    pub(crate) fn new(path: &str, channels: u8, clock: Arc<dyn SessionClock>, stop: Stop) -> Self {
        Self { input: Input::new(path), clock, stop, channels }
    }
}

impl Source<PcmBlock> for WavMicrophone {
    fn open(&mut self) -> Result<Box<dyn Device<PcmBlock>>, DeviceError> {
        let pace = Pace::open::<Sounds>(DeviceKind::Microphone, &self.input, &self.clock, &self.stop)?;
        Ok(Box::new(OpenFile { pace, channels: self.channels, position: 0, resampler: None, ended: false }))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Once
    }

    fn name(&self) -> String {
        self.input.name()
    }
}

/// A run of sound as the file has it.
struct FileSound {
    samples: Vec<f32>,
    format: Format,
}

impl FileSound {
    fn len(&self) -> u64 {
        (self.samples.len() / usize::from(self.format.channels)) as u64
    }
}

struct OpenFile {
    pace: Pace<FileSound>,
    channels: u8,
    /// PCM samples per channel before the next run.
    position: u64,
    resampler: Option<Resampler>,
    /// The file is over; only what the resampler held may still have come out.
    ended: bool,
}

impl Device<PcmBlock> for OpenFile {
    fn next(&mut self, patience: Duration) -> Result<Next<PcmBlock>, DeviceError> {
        if self.ended {
            return Ok(Next::Ended);
        }
        let position = self.position;
        let begins = |sound: &FileSound| samples_us(position, sound.format.rate_hz);
        let lasts = |sound: &FileSound| samples_us(sound.len(), sound.format.rate_hz);
        let (sound, capture_us) = match self.pace.next(patience, begins, lasts)? {
            Next::Ready(ready) => ready,
            Next::Nothing => return Ok(Next::Nothing),
            Next::Ended => {
                self.ended = true;
                let rest = self.resampler.as_mut().and_then(Resampler::finish);
                return Ok(rest.map_or(Next::Ended, Next::Ready));
            }
        };
        self.position += sound.len();
        let samples = remix(&sound.samples, sound.format.channels.into(), self.channels);
        if self.resampler.is_none() {
            self.resampler =
                Some(Resampler::new(DeviceKind::Microphone, sound.format.rate_hz, self.channels)?);
        }
        let block = self.resampler.as_mut().and_then(|resampler| resampler.push(samples, capture_us));
        Ok(block.map_or(Next::Nothing, Next::Ready))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Integer16,
    Integer24,
    Integer32,
    Float32,
}

impl Coding {
    const fn bytes(self) -> usize {
        match self {
            Self::Integer16 => 2,
            Self::Integer24 => 3,
            Self::Integer32 | Self::Float32 => 4,
        }
    }

    fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let integers = |shift: u32| {
            bytes.chunks_exact(self.bytes()).map(move |sample| {
                let value = sample.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
                #[allow(clippy::cast_precision_loss)]
                let scaled = (value << shift).cast_signed() as f32;
                scaled / 2_147_483_648.0
            })
        };
        match self {
            Self::Integer16 => integers(16).collect(),
            Self::Integer24 => integers(8).collect(),
            Self::Integer32 => integers(0).collect(),
            Self::Float32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|sample| f32::from_le_bytes(*sample))
                .map(|sample| if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 })
                .collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    coding: Coding,
    channels: u16,
    rate_hz: u32,
}

impl Format {
    /// One PCM sample of each channel.
    fn frame_bytes(self) -> usize {
        self.coding.bytes() * usize::from(self.channels)
    }
}

/// The sound of a file.
struct Sounds {
    input: Input,
    reader: Box<dyn Read + Send>,
    format: Format,
    /// Bytes up to the end; `None` when the writer did not know.
    left: Option<u64>,
    buffer: Vec<u8>,
}

impl Contents<FileSound> for Sounds {
    fn open(input: Input, mut reader: Box<dyn Read + Send>) -> Result<Self, FileError> {
        let (format, left) = read_header(&input, &mut reader)?;
        let samples = (format.rate_hz * BLOCK_MS / 1000).max(1) as usize;
        let buffer = vec![0; samples * format.frame_bytes()];
        Ok(Self { input, reader, format, left, buffer })
    }

    fn next(&mut self) -> Result<Option<FileSound>, FileError> {
        let room = self.buffer.len();
        let wanted = self.left.map_or(room, |left| room.min(left.try_into().unwrap_or(usize::MAX)));
        let filled = self.input.read_up_to(&mut self.reader, &mut self.buffer[..wanted])?;
        let whole = filled / self.format.frame_bytes() * self.format.frame_bytes();
        if whole == 0 {
            return Ok(None);
        }
        self.left = self.left.map(|left| left - filled as u64);
        let (format, samples) = (self.format, self.format.coding.decode(&self.buffer[..whole]));
        Ok(Some(FileSound { samples, format }))
    }
}

/// Reads up to the first PCM sample. The second value is how many bytes of them there are, `None` when
/// the writer did not know.
fn read_header(input: &Input, reader: &mut dyn Read) -> Result<(Format, Option<u64>), FileError> {
    let malformed = |detail: &str| input.malformed("WAV", detail);
    let mut riff = [0; 12];
    if input.read_up_to(reader, &mut riff)? < 12 || &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
        return Err(malformed("it does not begin with RIFF and WAVE"));
    }
    let mut format = None;
    loop {
        let mut head = [0; 8];
        if input.read_up_to(reader, &mut head)? < 8 {
            return Err(malformed("it holds no sound (there is no data chunk)"));
        }
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        match &head[..4] {
            b"fmt " => {
                let mut bytes = [0; 40];
                let known = bytes.len().min(length as usize);
                if input.read_up_to(reader, &mut bytes[..known])? < known {
                    return Err(malformed("it ends within its header"));
                }
                format = Some(parse_format(input, &bytes[..known])?);
                skip(input, reader, padded(length) - known as u64)?;
            }
            b"data" => {
                let format = format.ok_or_else(|| malformed("its sound comes before its format"))?;
                // A pipe cannot go back to fill the length in: ffmpeg leaves all ones, sox nearly that,
                // others zero.
                let unknown = length == 0 || length >= 0x7fff_f000;
                return Ok((format, (!unknown).then_some(u64::from(length))));
            }
            _ => skip(input, reader, padded(length))?,
        }
    }
}

/// RIFF chunks begin at even positions.
const fn padded(length: u32) -> u64 {
    length as u64 + (length & 1) as u64
}

fn skip(input: &Input, reader: &mut dyn Read, bytes: u64) -> Result<(), FileError> {
    match std::io::copy(&mut reader.take(bytes), &mut std::io::sink()) {
        Ok(_) => Ok(()),
        Err(error) => Err(input.unreadable(&error)),
    }
}

fn parse_format(input: &Input, bytes: &[u8]) -> Result<Format, FileError> {
    let word = |at: usize| bytes.get(at..at + 2).map_or(0, |word| u16::from_le_bytes([word[0], word[1]]));
    let rate_hz = u32::from(word(6)) << 16 | u32::from(word(4));
    let (mut code, channels, bits) = (word(0), word(2), word(14));
    // WAVE_FORMAT_EXTENSIBLE: the format code is the beginning of a GUID.
    if code == 0xfffe {
        code = word(24);
    }
    let coding = match (code, bits) {
        (1, 16) => Coding::Integer16,
        (1, 24) => Coding::Integer24,
        (1, 32) => Coding::Integer32,
        (3, 32) => Coding::Float32,
        _ => {
            let found = format!("format {code} with {bits} bits");
            return Err(FileError::SampleFormat { path: input.name(), found });
        }
    };
    if !(1..=32).contains(&channels) || !(1_000..=768_000).contains(&rate_hz) {
        let detail = format!("{channels} channels at {rate_hz} Hz are not usable");
        return Err(input.malformed("WAV", detail));
    }
    Ok(Format { coding, channels, rate_hz })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wav(code: u16, channels: u16, rate_hz: u32, bits: u16, length: u32) -> Vec<u8> {
        let mut bytes = b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        bytes.extend([code, channels].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend([rate_hz, 0].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend([channels * bits / 8, bits].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(b"data");
        bytes.extend(length.to_le_bytes());
        bytes
    }

    fn header(bytes: &[u8]) -> Result<(Format, Option<u64>), FileError> {
        read_header(&Input::new("tone.wav"), &mut &bytes[..])
    }

    #[test]
    fn pcm_headers_are_understood_also_without_a_length() {
        let (format, length) = header(&wav(1, 2, 44_100, 16, 400)).unwrap();
        assert_eq!(format, Format { coding: Coding::Integer16, channels: 2, rate_hz: 44_100 });
        assert_eq!(length, Some(400));
        assert_eq!(header(&wav(3, 1, 48_000, 32, 0xffff_ffff)).unwrap().1, None);
        assert_eq!(header(&wav(1, 1, 48_000, 24, 0)).unwrap().1, None);
    }

    #[test]
    fn bad_headers_say_what_is_wrong() {
        for (bytes, says) in [
            (b"YUV4MPEG2 W2 H2".to_vec(), "does not begin with RIFF"),
            (b"RIFF".to_vec(), "does not begin with RIFF"),
            (b"RIFF\0\0\0\0WAVE".to_vec(), "no data chunk"),
            (b"RIFF\0\0\0\0WAVEdata\0\0\0\0".to_vec(), "before its format"),
            (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01".to_vec(), "ends within its header"),
            (wav(2, 1, 48_000, 4, 9), "ffmpeg -c:a pcm_s16le"),
            (wav(1, 0, 48_000, 16, 9), "0 channels"),
            (wav(1, 1, 0, 16, 9), "0 Hz"),
        ] {
            let text = header(&bytes).unwrap_err().to_string();
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn samples_of_every_width_are_scaled_to_one() {
        assert_eq!(Coding::Integer16.decode(&[0, 0x80, 0, 0x40]), [-1.0, 0.5]);
        assert_eq!(Coding::Integer24.decode(&[0, 0, 0x80, 0, 0, 0x40]), [-1.0, 0.5]);
        assert_eq!(Coding::Integer32.decode(&[0, 0, 0, 0xc0]), [-0.5]);
        let floats: Vec<u8> = [0.25_f32, 7.0, f32::NAN].iter().flat_map(|f| f.to_le_bytes()).collect();
        assert_eq!(Coding::Float32.decode(&floats), [0.25, 1.0, 0.0]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
            file.extend(bytes);
            let _ = header(&file);
        }
    }
}
