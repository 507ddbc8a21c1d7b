//! Real microphones, through cpal.
//!
//! On Linux cpal takes the PulseAudio server (or PipeWire, which speaks its protocol) when one answers, and ALSA
//! otherwise. Opening, starting and dropping a stream can block for as long as a sound server hangs, so
//! the stream lives on a [thread of its own](crate::device_thread).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    BufferSize, Data, ErrorKind, InputCallbackInfo, SampleFormat, SizedSample, Stream, StreamConfig,
    SupportedBufferSize, SupportedStreamConfig,
};

use super::remix::remix;
use super::resample::Resampler;
use crate::clock::{SessionClock, duration_us};
use crate::device::{Device, Next, Persistence, Source, Stop};
use crate::device_thread::{DeviceThread, Gate, Outlet};
use crate::devices::{DeviceChoice, DeviceInfo};
use crate::error::{DeviceError, DeviceKind, Phase};
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ};

const KIND: DeviceKind = DeviceKind::Microphone;

/// Runs of sound that wait between the stream's callback and the session: over a second's worth.
const WAITING_BLOCKS: usize = 128;

/// How much sound a callback should bring, in ms: less wakes the machine too often, more delays the sound.
const CALLBACK_MS: u32 = 20;

/// How often the stream's thread looks whether it is still wanted.
const WANTED_POLL: Duration = Duration::from_millis(25);

/// Sound that claims to be older than this carries a time that cannot be true.
const MAX_AGE_US: u64 = 2_000_000;

/// How long the sound server may take to create a stream.
const BUILD_PATIENCE: Duration = Duration::from_secs(4);

/// A microphone of this machine.
pub(crate) struct CpalMicrophone {
    choice: DeviceChoice,
    channels: u8,
    clock: Arc<dyn SessionClock>,
    stop: Stop,
    gate: Gate,
    dropped: Arc<AtomicU64>,
    name: String,
}

impl CpalMicrophone {
    /// `dropped` counts runs of sound that came while [`WAITING_BLOCKS`] were waiting.
    pub(crate) fn new(
        choice: DeviceChoice,
        channels: u8,
        clock: Arc<dyn SessionClock>,
        stop: Stop,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self { choice, channels, clock, stop, gate: Gate::default(), dropped, name: "Microphone".to_owned() }
    }
}

/// Sound as the device delivers it, but with the track's number of channels.
struct DeviceSound {
    samples: Vec<f32>,
    rate_hz: u32,
    capture_us: u64,
}

impl Source<PcmBlock> for CpalMicrophone {
    fn open(&mut self) -> Result<Box<dyn Device<PcmBlock>>, DeviceError> {
        let (choice, channels, clock) = (self.choice.clone(), self.channels, Arc::clone(&self.clock));
        let body = move |outlet: &Outlet<DeviceSound>| capture(&choice, channels, &clock, outlet);
        let thread = DeviceThread::spawn(KIND, &self.gate, WAITING_BLOCKS, &self.dropped, body)?;
        self.name = thread.wait_until_open(&self.stop)?;
        Ok(Box::new(OpenMicrophone { thread, channels, resampler: None }))
    }

    fn persistence(&self) -> Persistence {
        Persistence::Reopens
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

struct OpenMicrophone {
    thread: DeviceThread<DeviceSound>,
    channels: u8,
    resampler: Option<Resampler>,
}

impl Device<PcmBlock> for OpenMicrophone {
    fn next(&mut self, patience: Duration) -> Result<Next<PcmBlock>, DeviceError> {
        let sound = match self.thread.next(patience)? {
            Next::Ready(sound) => sound,
            Next::Nothing => return Ok(Next::Nothing),
            Next::Ended => return Err(DeviceError::Unplugged(KIND)),
        };
        if self.resampler.is_none() {
            self.resampler = Some(Resampler::new(KIND, sound.rate_hz, self.channels)?);
        }
        let block =
            self.resampler.as_mut().and_then(|resampler| resampler.push(sound.samples, sound.capture_us));
        Ok(block.map_or(Next::Nothing, Next::Ready))
    }
}

/// The microphones of this machine, the default one first.
///
/// # Errors
/// [`DeviceError`] when the system refuses to list them.
pub(crate) fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    let host = cpal::default_host();
    let default = host.default_input_device().and_then(|device| device.id().ok());
    let devices = host.input_devices().map_err(|error| typed(Phase::Opening, "", &error))?;
    let mut found: Vec<(u8, DeviceInfo)> = devices
        .filter_map(|device| {
            let id = device.id().ok()?;
            let name = device.description().ok()?.name().to_owned();
            let order = if Some(&id) == default.as_ref() { 0 } else { 1 + u8::from(is_secondary(id.id())) };
            let info = DeviceInfo { id: id.to_string(), name };
            (!is_pseudo_device(&info.id)).then_some((order, info))
        })
        .collect();
    found.sort_by(|a, b| (a.0, &a.1.name).cmp(&(b.0, &b.1.name)));
    Ok(found.into_iter().map(|(_, info)| info).collect())
}

/// What a loudspeaker plays can be recorded too, but it is no microphone.
fn is_secondary(id: &str) -> bool {
    id.ends_with(".monitor")
}

/// ALSA lists each card many times. `default` and `sysdefault` convert rates and formats; the others are
/// the same card under other names, and `null` is none.
fn is_pseudo_device(id: &str) -> bool {
    id.strip_prefix("alsa:").is_some_and(|pcm| pcm != "default" && !pcm.starts_with("sysdefault:"))
}

/// Runs a stream until it fails or is not wanted any more. Runs on the microphone's thread.
fn capture(
    choice: &DeviceChoice,
    channels: u8,
    clock: &Arc<dyn SessionClock>,
    outlet: &Outlet<DeviceSound>,
) -> Result<(), DeviceError> {
    let device = find(choice)?;
    let failed = |error: &cpal::Error| match (typed(Phase::Opening, &id_of(choice), error), choice) {
        // ALSA always has a default device; that there is no card shows when it is opened.
        (DeviceError::NotFound { .. }, DeviceChoice::Default) => DeviceError::NoDevice(KIND),
        (error, _) => error,
    };
    let supported = choose_config(&device, channels).map_err(|error| failed(&error))?;
    let broken = Arc::new(AtomicBool::new(false));
    let stream =
        build(&device, &supported, channels, clock, outlet, &broken).map_err(|error| failed(&error))?;
    stream.play().map_err(|error| failed(&error))?;
    let name =
        device.description().map_or_else(|_| id_of(choice), |description| description.name().to_owned());
    tracing::debug!(microphone = %name, config = ?supported, "microphone opened");
    outlet.opened(name);
    while outlet.wanted() && !broken.load(Ordering::Acquire) {
        std::thread::park_timeout(WANTED_POLL);
    }
    Ok(())
}

fn find(choice: &DeviceChoice) -> Result<cpal::Device, DeviceError> {
    let DeviceChoice::Id(id) = choice else {
        return cpal::default_host().default_input_device().ok_or(DeviceError::NoDevice(KIND));
    };
    let not_found = || DeviceError::NotFound { kind: KIND, id: id.clone() };
    let parsed: cpal::DeviceId = id.parse().map_err(|_| not_found())?;
    let host = cpal::host_from_id(parsed.host()).map_err(|error| typed(Phase::Opening, id, &error))?;
    host.device_by_id(&parsed).ok_or_else(not_found)
}

fn id_of(choice: &DeviceChoice) -> String {
    match choice {
        DeviceChoice::Default => "the default microphone".to_owned(),
        DeviceChoice::Id(id) => id.clone(),
    }
}

/// 48 kHz with the track's channels in the best sample format that the device offers, else what it prefers.
fn choose_config(device: &cpal::Device, channels: u8) -> Result<SupportedStreamConfig, cpal::Error> {
    const FORMATS: [SampleFormat; 4] =
        [SampleFormat::F32, SampleFormat::I32, SampleFormat::I24, SampleFormat::I16];
    let best = device.supported_input_configs()?.filter_map(|range| {
        let format = FORMATS.iter().position(|format| *format == range.sample_format())?;
        let config = range.try_with_sample_rate(SAMPLE_RATE_HZ)?;
        (config.channels() == u16::from(channels)).then_some((format, config))
    });
    match best.min_by_key(|(format, _)| *format) {
        Some((_, config)) => Ok(config),
        None => device.default_input_config(),
    }
}

/// Builds the stream with a short buffer, or with the device's own if it refuses that.
fn build(
    device: &cpal::Device,
    supported: &SupportedStreamConfig,
    channels: u8,
    clock: &Arc<dyn SessionClock>,
    outlet: &Outlet<DeviceSound>,
    broken: &Arc<AtomicBool>,
) -> Result<Stream, cpal::Error> {
    let mut config = supported.config();
    let short = config.sample_rate * CALLBACK_MS / 1000;
    if let SupportedBufferSize::Range { min, max } = supported.buffer_size() {
        config.buffer_size = BufferSize::Fixed(short.clamp(*min, *max));
        if let Ok(stream) = build_with(device, config, supported, channels, clock, outlet, broken) {
            return Ok(stream);
        }
        config.buffer_size = BufferSize::Default;
    }
    build_with(device, config, supported, channels, clock, outlet, broken)
}

fn build_with(
    device: &cpal::Device,
    config: StreamConfig,
    supported: &SupportedStreamConfig,
    channels: u8,
    clock: &Arc<dyn SessionClock>,
    outlet: &Outlet<DeviceSound>,
    broken: &Arc<AtomicBool>,
) -> Result<Stream, cpal::Error> {
    let (clock, sounds) = (Arc::clone(clock), outlet.clone());
    let (rate_hz, device_channels) = (config.sample_rate, usize::from(config.channels));
    let on_sound = move |buffer: &Data, info: &InputCallbackInfo| {
        let now_us = clock.now_us();
        let timestamp = info.timestamp();
        let age_us = duration_us(timestamp.callback.saturating_duration_since(timestamp.capture));
        let capture_us = now_us.saturating_sub(if age_us <= MAX_AGE_US { age_us } else { 0 });
        let samples = remix(&to_f32(buffer), device_channels, channels);
        sounds.offer(DeviceSound { samples, rate_hz, capture_us });
    };
    let (failures, broken) = (outlet.clone(), Arc::clone(broken));
    let on_error = move |error: cpal::Error| match error.kind() {
        // The stream goes on: the system moved it, lost a little, or gave it less priority.
        ErrorKind::DeviceChanged | ErrorKind::Xrun | ErrorKind::RealtimeDenied => {
            tracing::debug!(%error, "the microphone's stream was disturbed");
        }
        _ => {
            failures.fail(typed(Phase::Running, "", &error));
            broken.store(true, Ordering::Release);
        }
    };
    device.build_input_stream_raw(config, supported.sample_format(), on_sound, on_error, Some(BUILD_PATIENCE))
}

/// PCM samples between −1 and 1. A format that is none of PCM's becomes nothing, and the stall watchdog
/// reports it.
fn to_f32(buffer: &Data) -> Vec<f32> {
    fn convert<T>(buffer: &Data) -> Vec<f32>
    where
        T: SizedSample,
        f32: cpal::FromSample<T>,
    {
        buffer.as_slice::<T>().unwrap_or_default().iter().map(|sample| sample.to_sample()).collect()
    }
    match buffer.sample_format() {
        SampleFormat::I8 => convert::<i8>(buffer),
        SampleFormat::I16 => convert::<i16>(buffer),
        SampleFormat::I24 => convert::<cpal::I24>(buffer),
        SampleFormat::I32 => convert::<i32>(buffer),
        SampleFormat::I64 => convert::<i64>(buffer),
        SampleFormat::U8 => convert::<u8>(buffer),
        SampleFormat::U16 => convert::<u16>(buffer),
        SampleFormat::U24 => convert::<cpal::U24>(buffer),
        SampleFormat::U32 => convert::<u32>(buffer),
        SampleFormat::U64 => convert::<u64>(buffer),
        SampleFormat::F32 => convert::<f32>(buffer),
        SampleFormat::F64 => convert::<f64>(buffer),
        _ => Vec::new(),
    }
}

fn typed(phase: Phase, id: &str, error: &cpal::Error) -> DeviceError {
    classify(phase, id, error.kind(), &error.to_string())
}

fn classify(phase: Phase, id: &str, error: ErrorKind, text: &str) -> DeviceError {
    match (error, phase) {
        (ErrorKind::PermissionDenied, _) => DeviceError::PermissionDenied(KIND),
        (ErrorKind::DeviceBusy, _) => DeviceError::Busy(KIND),
        (
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated | ErrorKind::HostUnavailable,
            Phase::Running,
        ) => DeviceError::Unplugged(KIND),
        (ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable, Phase::Opening) => {
            DeviceError::NotFound { kind: KIND, id: id.to_owned() }
        }
        (ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation | ErrorKind::InvalidInput, _) => {
            DeviceError::Unsupported { kind: KIND, detail: text.to_owned() }
        }
        _ => crate::error::classify(KIND, phase, id, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_cpal_become_typed_errors() {
        let table = [
            (Phase::Opening, ErrorKind::PermissionDenied, "", "permission_denied"),
            (Phase::Opening, ErrorKind::DeviceBusy, "", "device_busy"),
            (Phase::Opening, ErrorKind::DeviceNotAvailable, "", "device_not_found"),
            (Phase::Running, ErrorKind::DeviceNotAvailable, "", "device_unplugged"),
            (Phase::Running, ErrorKind::StreamInvalidated, "PulseAudio disconnected", "device_unplugged"),
            (Phase::Running, ErrorKind::HostUnavailable, "", "device_unplugged"),
            (Phase::Opening, ErrorKind::UnsupportedConfig, "", "device_unsupported"),
            (Phase::Opening, ErrorKind::BackendError, "snd_pcm_open: (os error 16)", "device_busy"),
            (Phase::Running, ErrorKind::BackendError, "something else", "device_failed"),
        ];
        for (phase, kind, text, code) in table {
            assert_eq!(classify(phase, "x", kind, text).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn of_alsas_many_names_for_one_card_the_converting_ones_are_listed() {
        let ids = [
            "alsa:default",
            "alsa:sysdefault:CARD=PCH",
            "alsa:hw:CARD=PCH,DEV=0",
            "alsa:null",
            "pulseaudio:usb",
        ];
        let listed: Vec<&str> = ids.into_iter().filter(|id| !is_pseudo_device(id)).collect();
        assert_eq!(listed, ["alsa:default", "alsa:sysdefault:CARD=PCH", "pulseaudio:usb"]);
        assert!(is_secondary("alsa_output.pci.monitor") && !is_secondary("alsa_input.pci"));
    }
}
