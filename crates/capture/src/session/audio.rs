//! The two threads of the audio track.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use protocol::Track;
use protocol::codec::Params;
use protocol::unit::{Lane, Unit};

use super::event::Failure;
use super::stats::count;
use super::{CaptureEvent, Controls, StartError, spawn_thread, tell};
use crate::encode::AudioEncoder;
use crate::encode::opus::PACKET_DURATION_90K;
use crate::encode::packets::{Output, Packet, Packets};
use crate::level::level;
use crate::pcm::{PcmBlock, SAMPLE_RATE_HZ};
use crate::supervise::{Step, Supervisor};

const TRACK: Track = Track::Audio;

/// Runs of sound that wait for the encoder: one to two seconds. When it is full, the newest is dropped.
const SOUND_CAPACITY: usize = 100;

/// PCM samples per channel that one level event covers: 20 ms.
const LEVEL_SAMPLES: usize = SAMPLE_RATE_HZ as usize / 50;

/// What other threads want of the encoder.
#[derive(Debug, Clone, Default)]
pub(super) struct AudioControl {
    /// 0: no change is wanted.
    bitrate_bps: Arc<AtomicU32>,
}

impl AudioControl {
    pub(super) fn set_bitrate_bps(&self, bitrate_bps: u32) {
        self.bitrate_bps.store(bitrate_bps.clamp(6_000, 510_000), Ordering::Release);
    }
}

/// What the microphone thread hands to the encoder's.
enum Sound {
    Block(PcmBlock),
    /// The device was away before the next block.
    Restored,
    Failed(Failure),
}

pub(super) fn spawn(
    microphone: Supervisor<PcmBlock>,
    encoder: Box<dyn AudioEncoder>,
    channels: u8,
    controls: &Controls,
    events: &SyncSender<CaptureEvent>,
) -> Result<(), StartError> {
    let (queue, sounds) = sync_channel(SOUND_CAPACITY);
    let (microphone_controls, microphone_events) = (controls.clone(), events.clone());
    let (controls, events) = (controls.clone(), events.clone());
    spawn_thread(TRACK, "microphone", move || {
        capture(microphone, &queue, &microphone_controls, &microphone_events);
    })?;
    spawn_thread(TRACK, "encoder", move || {
        let mut coder = Coder { encoder, controls, events, next: 0 };
        let failure = coder.run(&sounds, channels).err();
        tell(&coder.events, CaptureEvent::Ended { track: TRACK, units: coder.next, failure });
    })
}

/// The microphone thread: hands sound on until the session stops, the source ends, or nobody reads.
fn capture(
    mut microphone: Supervisor<PcmBlock>,
    queue: &SyncSender<Sound>,
    controls: &Controls,
    events: &SyncSender<CaptureEvent>,
) {
    let mut metered = Vec::with_capacity(2 * LEVEL_SAMPLES);
    while !controls.stop.is_requested() {
        match microphone.step() {
            Step::Item(block) => {
                metered.extend_from_slice(&block.samples);
                if metered.len() >= LEVEL_SAMPLES * usize::from(block.channels) {
                    if events.try_send(CaptureEvent::Level(level(&metered))).is_err() {
                        count(&controls.counters.levels_dropped, 1);
                    }
                    metered.clear();
                }
                match queue.try_send(Sound::Block(block)) {
                    Ok(()) => {}
                    Err(TrySendError::Full(_)) => count(&controls.counters.sound_dropped, 1),
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            Step::Lost(error) => {
                tracing::warn!(%error, "microphone lost");
                if !tell(events, CaptureEvent::DeviceLost { track: TRACK, error }) {
                    return;
                }
            }
            Step::Restored { away_us } => {
                tracing::info!(away_ms = away_us / 1000, "microphone is back");
                let told = tell(events, CaptureEvent::DeviceRestored { track: TRACK, away_us });
                if !told || queue.send(Sound::Restored).is_err() {
                    return;
                }
            }
            Step::Idle => {}
            Step::Ended => return,
            Step::Failed(error) => {
                let _ = queue.send(Sound::Failed(error.into()));
                return;
            }
        }
    }
}

/// The encoder thread.
struct Coder {
    encoder: Box<dyn AudioEncoder>,
    controls: Controls,
    events: SyncSender<CaptureEvent>,
    next: u64,
}

impl Coder {
    /// Encodes what is in the queue until its other end is gone and it is empty.
    fn run(&mut self, sounds: &Receiver<Sound>, channels: u8) -> Result<(), Failure> {
        let mut packets = Packets::new(channels);
        let mut out = Vec::new();
        let mut failure = None;
        for sound in sounds {
            match sound {
                Sound::Block(block) => packets.push(block, &mut out),
                Sound::Restored => packets.device_restored(),
                Sound::Failed(reason) => failure = Some(reason),
            }
            if !self.emit(&mut out)? {
                return Ok(());
            }
        }
        packets.flush(&mut out);
        self.emit(&mut out)?;
        failure.map_or(Ok(()), Err)
    }

    /// Encodes and tells. `false` when nobody reads any more.
    fn emit(&mut self, out: &mut Vec<Output>) -> Result<bool, Failure> {
        for output in out.drain(..) {
            let packet = match output {
                Output::Packet(packet) => packet,
                Output::Resynchronised { shift_us } => {
                    tracing::info!(shift_ms = shift_us / 1000, "sound set to the clock");
                    if !tell(&self.events, CaptureEvent::Resynchronised { shift_us }) {
                        return Ok(false);
                    }
                    continue;
                }
            };
            match self.controls.audio.bitrate_bps.swap(0, Ordering::AcqRel) {
                0 => {}
                bitrate_bps => self.encoder.set_bitrate_bps(bitrate_bps)?,
            }
            if self.next == 0 {
                let params = Params { from_unit: 0, parameters: self.encoder.parameters() };
                if !tell(&self.events, CaptureEvent::Parameters { track: TRACK, params }) {
                    return Ok(false);
                }
            }
            let unit = self.encode(&packet)?;
            if !tell(&self.events, CaptureEvent::Unit { track: TRACK, unit }) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn encode(&mut self, packet: &Packet) -> Result<Unit, Failure> {
        let payload = self.encoder.encode(&packet.samples)?;
        count(&self.controls.counters.audio_units, 1);
        count(&self.controls.counters.audio_bytes, payload.len());
        let number = self.next;
        self.next += 1;
        Ok(Unit {
            lane: Lane::Live,
            key: true,
            number,
            pts_90k: packet.pts_90k,
            duration_90k: PACKET_DURATION_90K,
            capture_us: packet.capture_us,
            payload,
        })
    }
}
