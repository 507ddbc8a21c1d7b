//! The sound: runs of PCM become packets of 20 ms, and those numbered units.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use protocol::Track;
use protocol::codec::Params;
use protocol::unit::{Lane, Unit};

use super::CaptureEvent;
use super::event::Failure;
use super::inputs::Mute;
use super::stats::{Counters, count};
use super::take::{Coder, Outbox};
use crate::clock::SessionClock;
use crate::encode::AudioEncoder;
use crate::encode::opus::PACKET_DURATION_90K;
use crate::encode::packets::{Crystal, Output, Packet, Packets};
use crate::microphone::remix::remix;
use crate::pcm::PcmBlock;

const TRACK: Track = Track::Audio;

/// What other threads want of the encoder. 0: no change is wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct AudioControl {
    bitrate_bps: Arc<AtomicU32>,
}

impl AudioControl {
    pub(super) fn set_bitrate_bps(&self, bitrate_bps: u32) {
        self.bitrate_bps.store(bitrate_bps.clamp(6_000, 510_000), Ordering::Release);
    }
}

/// Encodes sound in contiguous packets.
pub(super) struct AudioCoder {
    encoder: Box<dyn AudioEncoder>,
    channels: u8,
    control: AudioControl,
    mute: Mute,
    counters: Arc<Counters>,
    clock: Arc<dyn SessionClock>,
    /// When the session begins, on the clock that sound is stamped by.
    origin_us: u64,
    packets: Packets,
    /// Kept for its memory.
    ready: Vec<Output>,
    next: u64,
}

impl AudioCoder {
    pub(super) fn new(
        encoder: Box<dyn AudioEncoder>,
        channels: u8,
        control: AudioControl,
        mute: Mute,
        counters: Arc<Counters>,
        clock: Arc<dyn SessionClock>,
        origin_us: u64,
    ) -> Self {
        let (packets, ready) = (Packets::new(channels), Vec::new());
        Self { encoder, channels, control, mute, counters, clock, origin_us, packets, ready, next: 0 }
    }

    fn emit(&mut self, out: &mut Outbox) -> Result<(), Failure> {
        let mut ready = std::mem::take(&mut self.ready);
        for output in ready.drain(..) {
            match output {
                Output::Packet(packet) => self.encode_packet(&packet, out)?,
                Output::Resynchronised { shift_us } => {
                    tracing::info!(shift_ms = shift_us / 1000, "sound set to the clock");
                    out.tell(CaptureEvent::Resynchronised { shift_us });
                }
            }
        }
        self.ready = ready;
        Ok(())
    }

    fn encode_packet(&mut self, packet: &Packet, out: &mut Outbox) -> Result<(), Failure> {
        match self.control.bitrate_bps.swap(0, Ordering::AcqRel) {
            0 => {}
            bitrate_bps => self.encoder.set_bitrate_bps(bitrate_bps)?,
        }
        if self.next == 0 {
            let params = Params { from_unit: 0, parameters: self.encoder.parameters() };
            out.tell(CaptureEvent::Parameters { track: TRACK, params });
        }
        let begun_us = self.clock.now_us();
        let payload = self.encoder.encode(&packet.samples)?;
        count(&self.counters.audio_encode_us, self.clock.now_us().saturating_sub(begun_us));
        count(&self.counters.audio_units, 1);
        count(&self.counters.audio_bytes, payload.len() as u64);
        let unit = Unit {
            lane: Lane::Live,
            key: true,
            number: self.next,
            pts_90k: packet.pts_90k,
            duration_90k: PACKET_DURATION_90K,
            capture_us: packet.capture_us,
            payload,
        };
        self.next += 1;
        out.tell(CaptureEvent::Unit { track: TRACK, unit });
        Ok(())
    }
}

impl Coder<PcmBlock> for AudioCoder {
    fn encode(&mut self, block: PcmBlock, out: &mut Outbox) -> Result<(), Failure> {
        // Sound from before the session is not of the session.
        let Some(capture_us) = block.capture_us.checked_sub(self.origin_us) else { return Ok(()) };
        let mut samples = block.samples;
        if block.channels != self.channels {
            samples = remix(&samples, block.channels.into(), self.channels);
        }
        if self.mute.is_on() {
            samples.fill(0.0);
        }
        self.packets.push(PcmBlock { samples, channels: self.channels, capture_us }, &mut self.ready);
        self.counters.set_clock_drift(self.packets.clock_drift());
        self.emit(out)
    }

    fn dropped(&mut self) {
        count(&self.counters.sound_dropped, 1);
    }

    fn restored(&mut self, is_other: bool) {
        self.packets.device_restored(if is_other { Crystal::Other } else { Crystal::Same });
    }

    fn finish(&mut self, out: &mut Outbox) -> Result<(), Failure> {
        self.packets.flush(&mut self.ready);
        self.emit(out)
    }

    fn units(&self) -> u64 {
        self.next
    }
}
