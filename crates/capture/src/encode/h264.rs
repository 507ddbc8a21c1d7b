//! H.264 by OpenH264.
//!
//! Constrained Baseline, one slice, Low complexity, with adaptive quantisation, background detection and
//! scene-change detection off: measured at 720p, that is both faster and better (VMAF 86.5) than Medium
//! complexity with them (85.3). CABAC in High profile would add 1 to 3 points for about a tenth more processor
//! time, but every WebRTC viewer decodes Baseline, and not every one decodes High; units are never
//! transcoded, so what all can decode wins.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, FrameType, MatrixCoefficients, RateControlMode,
    VuiConfig,
};
use openh264::formats::YUVSource;
use openh264::{OpenH264API, Timestamp};
use openh264_sys2::{
    ENCODER_OPTION, ENCODER_OPTION_BITRATE, ENCODER_OPTION_FRAME_RATE, ENCODER_OPTION_MAX_BITRATE,
    ENCODER_OPTION_TRACE_CALLBACK, ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, ENCODER_OPTION_TRACE_LEVEL,
    LAYER_NUM, SBitrateInfo, SPATIAL_LAYER_0, SPATIAL_LAYER_ALL, WELS_LOG_INFO, WelsTraceCallback,
};
use protocol::codec::CodecParameters;

use super::{EncodeError, EncodedPicture, VideoEncoder};
use crate::frame::{Frame, I420};

/// The longest time between two IDR pictures, in µs.
pub const IDR_INTERVAL_US: u64 = 2_000_000;

/// OpenH264 refuses less.
const MIN_BITRATE_BPS: u32 = 10_000;

/// More than any level that OpenH264 encodes allows.
const MAX_BITRATE_BPS: u32 = 240_000_000;

/// The encoder.
pub struct H264Encoder {
    fps: u32,
    /// One frame of so many comes.
    thinning: u32,
    bitrate_bps: u32,
    /// The encoder and the size it was started for; `None` before the first frame.
    running: Option<(Encoder, [usize; 2])>,
    idr_wanted: bool,
    last_idr_us: u64,
    parameters: Option<CodecParameters>,
}

impl H264Encoder {
    /// An encoder for pictures of any size at a nominal rate.
    #[must_use]
    pub fn new(fps: u32, bitrate_bps: u32) -> Self {
        let bitrate_bps = usable(bitrate_bps);
        Self {
            fps: fps.max(1),
            thinning: 1,
            bitrate_bps,
            running: None,
            idr_wanted: false,
            last_idr_us: 0,
            parameters: None,
        }
    }

    /// The nominal time between two frames, in 1/90000 s.
    #[must_use]
    pub const fn frame_duration_90k(&self) -> u32 {
        90_000 / self.fps
    }

    /// How many frames come in a second.
    #[allow(clippy::cast_precision_loss)]
    fn rate_hz(&self) -> f32 {
        self.fps as f32 / self.thinning as f32
    }

    /// OpenH264 alone, set up as it is used here: what the rest of the capture path is measured against.
    ///
    /// # Errors
    /// [`EncodeError`] when OpenH264 refuses the settings.
    pub fn bare(&self) -> Result<Encoder, EncodeError> {
        let rate = FrameRate::from_hz(self.rate_hz());
        let config = EncoderConfig::new()
            .complexity(Complexity::Low)
            .adaptive_quantization(false)
            .background_detection(false)
            .scene_change_detect(false)
            .rate_control_mode(RateControlMode::Bitrate)
            .bitrate(BitRate::from_bps(self.bitrate_bps))
            .max_frame_rate(rate)
            .num_threads(1)
            // Cameras deliver BT.601 coefficients with the primaries of BT.709; without this a
            // player guesses by the size of the picture.
            .vui(VuiConfig::bt709().matrix_coefficients(MatrixCoefficients::Smpte170M));
        Encoder::with_api_config(OpenH264API::from_source(), config).map_err(refused)
    }
}

impl VideoEncoder for H264Encoder {
    fn encode(&mut self, frame: &Frame) -> Result<Option<EncodedPicture>, EncodeError> {
        let size = [frame.picture.width(), frame.picture.height()];
        let frame_us = 1_000_000 * u64::from(self.thinning) / u64::from(self.fps);
        let since_idr_us = frame.capture_us.saturating_sub(self.last_idr_us);
        // Half a frame early, so that jitter does not make the interval a frame longer.
        let idr_due = since_idr_us + frame_us / 2 >= IDR_INTERVAL_US;
        let encoder = match &mut self.running {
            Some((encoder, running)) if *running == size => {
                if self.idr_wanted || idr_due {
                    encoder.force_intra_frame();
                }
                encoder
            }
            _ => {
                // A new encoder for a new size: OpenH264's own restart would forget the current bit rate.
                let encoder = self.bare()?;
                &mut self.running.insert((encoder, size)).0
            }
        };
        let stream = encoder
            .encode_at(&Picture(&frame.picture), Timestamp::from_millis(frame.capture_us / 1000))
            .map_err(refused)?;
        let annexb = match stream.frame_type() {
            FrameType::Skip => return Ok(None),
            FrameType::Invalid => return Err(EncodeError::H264("it refuses the picture".to_owned())),
            _ => stream.to_vec(),
        };
        if annexb.is_empty() {
            return Ok(None);
        }
        let unit = media::h264::access_unit_from_annexb(&annexb)?;
        if unit.key {
            self.idr_wanted = false;
            self.last_idr_us = frame.capture_us;
        }
        if let Some(sets) = &unit.parameter_sets {
            self.parameters = Some(media::h264::codec_parameters(sets, self.frame_duration_90k())?);
        }
        let parameters = if unit.key { self.parameters.clone() } else { None };
        Ok(Some(EncodedPicture { payload: unit.payload, key: unit.key, parameters }))
    }

    fn request_idr(&mut self) {
        self.idr_wanted = true;
    }

    fn set_fps(&mut self, fps: u32) {
        let fps = fps.max(1);
        if fps != self.fps {
            self.fps = fps;
            // Its rate control counts on the rate that it was started with.
            self.running = None;
        }
    }

    fn set_thinning(&mut self, thinning: u32) -> Result<(), EncodeError> {
        self.thinning = thinning.max(1);
        let rate_hz = self.rate_hz();
        match &mut self.running {
            Some((encoder, _)) => set_frame_rate(encoder, rate_hz),
            None => Ok(()),
        }
    }

    fn set_bitrate_bps(&mut self, bitrate_bps: u32) -> Result<(), EncodeError> {
        let bitrate_bps = usable(bitrate_bps);
        let raises = bitrate_bps > self.bitrate_bps;
        self.bitrate_bps = bitrate_bps;
        if let Some((encoder, _)) = &mut self.running {
            // The layer's bit rate may not exceed its maximum, so to raise it the maximum goes first. To
            // lower it the maximum stays: it would be refused below the current bit rate.
            if raises {
                set_bitrate(encoder, ENCODER_OPTION_MAX_BITRATE, SPATIAL_LAYER_0, bitrate_bps)?;
            }
            set_bitrate(encoder, ENCODER_OPTION_BITRATE, SPATIAL_LAYER_ALL, bitrate_bps)?;
        }
        Ok(())
    }
}

/// The nearest bit rate that OpenH264 takes. It computes with 24 bits of precision, and a rounding above the
/// maximum would be refused.
fn usable(bitrate_bps: u32) -> u32 {
    bitrate_bps.clamp(MIN_BITRATE_BPS, MAX_BITRATE_BPS) & !0xff
}

#[allow(clippy::needless_pass_by_value)]
fn refused(error: openh264::Error) -> EncodeError {
    EncodeError::H264(error.to_string())
}

#[allow(unsafe_code)]
fn set_bitrate(
    encoder: &mut Encoder,
    option: ENCODER_OPTION,
    layer: LAYER_NUM,
    bitrate_bps: u32,
) -> Result<(), EncodeError> {
    let value = c_int::try_from(bitrate_bps).unwrap_or(c_int::MAX);
    let mut info = SBitrateInfo { iLayer: layer, iBitrate: value };
    // SAFETY: both options read an `SBitrateInfo` during the call and keep no pointer to it
    // (`CWelsH264SVCEncoder::SetOption`); the encoder has been initialised, and is borrowed exclusively.
    let code = unsafe { encoder.raw_api().set_option(option, (&raw mut info).cast::<c_void>()) };
    if code == 0 {
        Ok(())
    } else {
        Err(EncodeError::H264(format!("it refuses {bitrate_bps} bit/s (code {code})")))
    }
}

#[allow(unsafe_code)]
fn set_frame_rate(encoder: &mut Encoder, mut rate_hz: f32) -> Result<(), EncodeError> {
    // SAFETY: the option reads a `float` during the call and keeps no pointer to it
    // (`CWelsH264SVCEncoder::SetOption`); the encoder has been initialised, and is borrowed exclusively.
    let code = unsafe {
        encoder.raw_api().set_option(ENCODER_OPTION_FRAME_RATE, (&raw mut rate_hz).cast::<c_void>())
    };
    if code == 0 {
        Ok(())
    } else {
        Err(EncodeError::H264(format!("it refuses {rate_hz} frames per second (code {code})")))
    }
}

/// A picture as OpenH264's wrapper reads it.
struct Picture<'a>(&'a I420);

impl YUVSource for Picture<'_> {
    fn dimensions(&self) -> (usize, usize) {
        (self.0.width(), self.0.height())
    }

    fn strides(&self) -> (usize, usize, usize) {
        (self.0.stride(), self.0.chroma_stride(), self.0.chroma_stride())
    }

    fn y(&self) -> &[u8] {
        self.0.y()
    }

    fn u(&self) -> &[u8] {
        self.0.u()
    }

    fn v(&self) -> &[u8] {
        self.0.v()
    }
}

/// Whether this program's OpenH264 was built with its assembly code. Without it (the assembler `nasm` was
/// missing when it was built) encoding costs 2.4 times as much.
///
/// OpenH264 does not tell, but it logs which processor features it uses, and without assembly that is
/// none. So a tiny picture is encoded while its log is read. Only x86 needs nasm; elsewhere the
/// answer is yes.
#[must_use]
pub fn has_assembly() -> bool {
    if !cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        return true;
    }
    let bare = AtomicBool::new(false);
    let Ok(mut encoder) = H264Encoder::new(30, 100_000).bare() else { return true };
    trace_to(&mut encoder, &bare);
    let picture = I420::black(16, 16);
    let outcome = encoder.encode_at(&Picture(&picture), Timestamp::ZERO).map(|_| ());
    // The log must not be written to after `bare` is gone.
    drop(encoder);
    outcome.is_err() || !bare.load(Ordering::Relaxed)
}

#[allow(unsafe_code)]
fn trace_to(encoder: &mut Encoder, bare: &AtomicBool) {
    let mut level = WELS_LOG_INFO;
    let mut callback: WelsTraceCallback = Some(on_trace);
    let mut context = std::ptr::from_ref(bare).cast_mut().cast::<c_void>();
    // SAFETY: the three options are accepted before the encoder is initialised; each is a value that is
    // copied during the call. The context stays valid as the caller drops the encoder before `bare`.
    unsafe {
        let api = encoder.raw_api();
        api.set_option(ENCODER_OPTION_TRACE_CALLBACK_CONTEXT, (&raw mut context).cast());
        api.set_option(ENCODER_OPTION_TRACE_CALLBACK, (&raw mut callback).cast());
        api.set_option(ENCODER_OPTION_TRACE_LEVEL, (&raw mut level).cast());
    }
}

#[allow(unsafe_code)]
unsafe extern "C" fn on_trace(context: *mut c_void, _level: c_int, text: *const c_char) {
    // SAFETY: `trace_to` set the context to an `AtomicBool` that outlives the encoder, and OpenH264
    // passes a C string that is valid during the call.
    let (bare, text) = unsafe { (&*context.cast::<AtomicBool>(), CStr::from_ptr(text)) };
    if says_no_features(&text.to_string_lossy()) {
        bare.store(true, Ordering::Relaxed);
    }
}

fn says_no_features(log_line: &str) -> bool {
    log_line.contains("CPU features/capacities (0x0)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_without_nasm_is_recognised_by_its_log() {
        assert!(says_no_features(
            "[OpenH264] this = 0x1, Info:WELS CPU features/capacities (0x0) detected: \tHTT: N"
        ));
        assert!(!says_no_features("WELS CPU features/capacities (0x427f3f) detected: \tHTT:      Y, MMX: Y"));
    }

    #[test]
    fn the_encoder_of_this_build_has_its_assembly() {
        assert!(
            has_assembly(),
            "install nasm and build again (apt install nasm; cargo clean -p openh264-sys2)"
        );
    }
}
