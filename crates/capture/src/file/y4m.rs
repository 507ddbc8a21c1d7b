//! A YUV4MPEG2 (Y4M) file as a camera: what `ffmpeg -f yuv4mpegpipe -pix_fmt yuv420p -` writes.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use protocol::limits::MAX_PICTURE_SIDE;

use super::{Contents, Input, Pace};
use crate::camera::range::limit_range;
use crate::clock::SessionClock;
use crate::device::{Device, Next, Persistence, Source, Stop};
use crate::error::{DeviceError, DeviceKind, FileError};
use crate::frame::{Frame, I420, PicturePool};

/// The longest header line: ffmpeg's has about 80 bytes.
const MAX_LINE_BYTES: usize = 1_024;

/// A Y4M file as a camera.
pub(crate) struct Y4mCamera {
    input: Input,
    clock: Arc<dyn SessionClock>,
    stop: Stop,
}

impl Y4mCamera {
    pub(crate) fn new(path: &str, clock: Arc<dyn SessionClock>, stop: Stop) -> Self {
        Self { input: Input::new(path), clock, stop }
    }
}

impl Source<Frame> for Y4mCamera {
    fn open(&mut self) -> Result<Box<dyn Device<Frame>>, DeviceError> {
        let pace = Pace::open::<Pictures>(DeviceKind::Camera, &self.input, &self.clock, &self.stop)?;
        Ok(Box::new(OpenFile { pace, next_number: 0 }))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Once
    }

    fn name(&self) -> String {
        self.input.name()
    }
}

/// A picture and the rate of its file.
struct FilePicture {
    picture: Arc<I420>,
    rate: Rate,
}

/// Frames per second as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate {
    frames: u32,
    seconds: u32,
}

struct OpenFile {
    pace: Pace<FilePicture>,
    next_number: u64,
}

impl Device<Frame> for OpenFile {
    fn next(&mut self, patience: Duration) -> Result<Next<Frame>, DeviceError> {
        let number = self.next_number;
        Ok(match self.pace.next(patience, |file| file.rate.position_us(number), |_| 0)? {
            Next::Ready((file, capture_us)) => {
                self.next_number += 1;
                Next::Ready(Frame { picture: file.picture, capture_us })
            }
            Next::Nothing => Next::Nothing,
            Next::Ended => Next::Ended,
        })
    }
}

impl Rate {
    fn position_us(self, number: u64) -> u64 {
        let us = u128::from(number) * 1_000_000 * u128::from(self.seconds) / u128::from(self.frames);
        u64::try_from(us).unwrap_or(u64::MAX)
    }
}

#[derive(Debug, PartialEq)]
struct Header {
    width: usize,
    height: usize,
    rate: Rate,
    full_range: bool,
}

/// The pictures of a file.
struct Pictures {
    input: Input,
    reader: Box<dyn Read + Send>,
    header: Header,
    pool: PicturePool,
}

impl Contents<FilePicture> for Pictures {
    fn open(input: Input, mut reader: Box<dyn Read + Send>) -> Result<Self, FileError> {
        let line = line(&input, &mut reader)?.ok_or_else(|| input.malformed("Y4M", "it is empty"))?;
        let header = parse_header(&input, &line)?;
        Ok(Self { input, reader, header, pool: PicturePool::default() })
    }

    fn next(&mut self) -> Result<Option<FilePicture>, FileError> {
        let Some(line) = line(&self.input, &mut self.reader)? else { return Ok(None) };
        if !line.starts_with(b"FRAME") {
            return Err(self.input.malformed("Y4M", "a picture does not begin with FRAME"));
        }
        // A recording that was cut off ends with a piece of a picture.
        let picture = read_picture(&self.input, &mut self.reader, &self.header, &mut self.pool)?;
        Ok(picture.map(|picture| FilePicture { picture, rate: self.header.rate }))
    }
}

/// The next picture; `None` when the file ends before it is whole.
fn read_picture(
    input: &Input,
    reader: &mut dyn Read,
    header: &Header,
    pool: &mut PicturePool,
) -> Result<Option<Arc<I420>>, FileError> {
    let (width, height) = (header.width, header.height);
    if (width | height) & 1 == 0 {
        // Straight into a picture that was used before: its memory is there already.
        let filled = pool.fill(width, height, |picture| {
            let planes = picture.planes_mut();
            for plane in [&mut *planes.y, &mut *planes.u, &mut *planes.v] {
                if input.read_up_to(reader, plane)? < plane.len() {
                    return Err(Interrupted::Cut);
                }
            }
            if header.full_range {
                limit_range(planes.y, planes.u);
                limit_range(&mut [], planes.v);
            }
            Ok(())
        });
        return match filled {
            Ok(picture) => Ok(Some(picture)),
            Err(Interrupted::Cut) => Ok(None),
            Err(Interrupted::File(error)) => Err(error),
        };
    }
    let mut bytes = vec![0; width * height + 2 * (width.div_ceil(2) * height.div_ceil(2))];
    if input.read_up_to(reader, &mut bytes)? < bytes.len() {
        return Ok(None);
    }
    if header.full_range {
        let (luma, chroma) = bytes.split_at_mut(width * height);
        limit_range(luma, chroma);
    }
    Ok(I420::from_packed_planes(width, height, bytes).map(Arc::new))
}

/// Why a picture was not filled.
enum Interrupted {
    /// The file ends within it.
    Cut,
    /// The file cannot be read.
    File(FileError),
}

impl From<FileError> for Interrupted {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// A line without its end; `None` at the file's end.
fn line(input: &Input, reader: &mut dyn Read) -> Result<Option<Vec<u8>>, FileError> {
    let mut line = Vec::new();
    loop {
        let mut byte = [0];
        if input.read_up_to(reader, &mut byte)? == 0 {
            let cut = input.malformed("Y4M", "it ends within a header");
            return if line.is_empty() { Ok(None) } else { Err(cut) };
        }
        match byte[0] {
            b'\n' => return Ok(Some(line)),
            _ if line.len() == MAX_LINE_BYTES => {
                return Err(input.malformed("Y4M", "a header line is too long"));
            }
            other => line.push(other),
        }
    }
}

fn parse_header(input: &Input, line: &[u8]) -> Result<Header, FileError> {
    let malformed = |detail: String| input.malformed("Y4M", detail);
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some("YUV4MPEG2") {
        return Err(malformed("it does not begin with YUV4MPEG2".to_owned()));
    }
    let (mut width, mut height, mut rate, mut full_range) = (None, None, None, false);
    for word in words {
        let (tag, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        let side = || {
            let side: usize =
                value.parse().ok().filter(|side| (2..=MAX_PICTURE_SIDE as usize).contains(side))?;
            Some(side)
        };
        match tag {
            "W" => {
                width = Some(side().ok_or_else(|| malformed(format!("the width \"{value}\" is not usable")))?)
            }
            "H" => {
                height =
                    Some(side().ok_or_else(|| malformed(format!("the height \"{value}\" is not usable")))?)
            }
            "F" => {
                rate = Some(
                    parse_rate(value)
                        .ok_or_else(|| malformed(format!("the frame rate \"{value}\" is not usable")))?,
                )
            }
            "C" if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                return Err(FileError::PixelFormat { path: input.name(), found: value.to_owned() });
            }
            "X" => full_range |= value == "COLORRANGE=FULL",
            _ => {}
        }
    }
    let missing = |what: &str| malformed(format!("its header tells no {what}"));
    Ok(Header {
        width: width.ok_or_else(|| missing("width"))?,
        height: height.ok_or_else(|| missing("height"))?,
        rate: rate.ok_or_else(|| missing("frame rate"))?,
        full_range,
    })
}

/// A rate between one frame in ten seconds and 1,000 frames a second.
fn parse_rate(text: &str) -> Option<Rate> {
    let (frames, seconds) = text.split_once(':')?;
    let rate = Rate { frames: frames.parse().ok()?, seconds: seconds.parse().ok()? };
    let (frames, seconds) = (u64::from(rate.frames), u64::from(rate.seconds));
    (frames > 0 && seconds > 0 && frames <= 1000 * seconds && seconds <= 10 * frames).then_some(rate)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<Header, FileError> {
        parse_header(&Input::new("clip.y4m"), line.as_bytes())
    }

    #[test]
    fn headers_as_ffmpeg_writes_them_are_understood() {
        let header =
            parse("YUV4MPEG2 W640 H360 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG XCOLORRANGE=LIMITED")
                .unwrap();
        let rate = Rate { frames: 30_000, seconds: 1001 };
        assert_eq!(header, Header { width: 640, height: 360, rate, full_range: false });
        assert_eq!(rate.position_us(30_000), 1_001_000_000);
        assert!(parse("YUV4MPEG2 W640 H360 F25:1 C420mpeg2 XCOLORRANGE=FULL").unwrap().full_range);
        assert!(parse("YUV4MPEG2 W640 H360 F25:1").is_ok(), "without a format it is 4:2:0");
    }

    #[test]
    fn bad_headers_say_what_is_wrong() {
        for (line, says) in [
            ("RIFF", "does not begin with YUV4MPEG2"),
            ("YUV4MPEG2 H360 F25:1", "tells no width"),
            ("YUV4MPEG2 W640 F25:1", "tells no height"),
            ("YUV4MPEG2 W640 H360", "tells no frame rate"),
            ("YUV4MPEG2 W0 H360 F25:1", "the width \"0\""),
            ("YUV4MPEG2 W640 H99999999999999999999 F25:1", "the height"),
            ("YUV4MPEG2 W640 H360 F0:0", "the frame rate \"0:0\""),
            ("YUV4MPEG2 W640 H360 F25:1 C420p10", "-pix_fmt yuv420p"),
            ("YUV4MPEG2 W640 H360 F25:1 C444", "-pix_fmt yuv420p"),
            ("YUV4MPEG2 W640 H360 F25:1 Cmono", "pictures in mono"),
        ] {
            let text = parse(line).unwrap_err().to_string();
            assert!(text.contains(says) && text.contains("clip.y4m"), "{line}: {text}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_parsed_or_refused(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut header = b"YUV4MPEG2 ".to_vec();
            header.extend(line);
            let _ = parse_header(&Input::new("x"), &header);
        }
    }
}
