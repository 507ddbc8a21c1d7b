//! One WHEP viewer: reads along with a session at its own pace, and sends what it reads.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use protocol::Track;
use str0m::media::MediaTime;
use str0m::rtp::{ExtensionValues, RtpWrite, SeqNo};
use str0m::{Event, Rtc};
use tokio::time::sleep_until;

use super::negotiation::Line;
use super::payloads::payloads;
use super::peer::Peer;
use super::playout::{Pace, WallClock};
use super::resources::Held;
use crate::clock::Clock;
use crate::fanout::{Delivery, Subscription};
use crate::log;
use crate::sessions::LiveSession;

/// Pictures that are kept to be repeated, for a second of 16 Mbit/s; and for how long.
const RESEND_PACKETS: usize = 2_048;
const RESEND_AGE: std::time::Duration = std::time::Duration::from_secs(1);

/// What happened to a viewer, for its log line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ViewerCounters {
    /// Units sent.
    pub(crate) units: u64,
    /// Times that it was too slow and went on at a later place.
    pub(crate) skips: u64,
    /// Times that it asked for an IDR picture.
    pub(crate) key_requests: u64,
    /// Whether it went over TCP in the end.
    pub(crate) is_over_tcp: bool,
}

pub(super) struct Viewer {
    pub(super) peer: Peer,
    pub(super) session: Arc<LiveSession>,
    pub(super) clock: Clock,
    pub(super) held: Held,
    pub(super) video: Option<Line>,
    pub(super) audio: Option<Line>,
}

/// A track on its way to a viewer.
struct Along {
    line: Line,
    track: Track,
    subscription: Subscription,
    /// The number of the next packet.
    number: SeqNo,
    has_ended: bool,
}

impl Along {
    fn new(session: &LiveSession, track: Track, line: Line) -> Self {
        let subscription = session.subscribe(track);
        // The first number is random (RFC 3550 §5.1), and the library draws it.
        Self { line, track, subscription, number: SeqNo::default(), has_ended: false }
    }

    /// The next unit; none when the track has ended.
    async fn next(along: &mut Option<Self>) -> Option<Delivery> {
        match along {
            Some(Self { subscription, has_ended: false, .. }) => subscription.next().await,
            _ => std::future::pending().await,
        }
    }

    const fn goes_on(along: &Option<Self>) -> bool {
        matches!(along, Some(Self { has_ended: false, .. }))
    }

    /// Gives a unit to the connection.
    fn write(&mut self, rtc: &mut Rtc, payloads: &[Arc<[u8]>], pts_90k: u64, at: Instant) {
        let Self { line, track, number, .. } = self;
        let mut api = rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(line.mid, None) else { return };
        let is_video = *track == Track::Video;
        let time = match track {
            Track::Video => pts_90k as u32,
            Track::Audio => (u128::from(pts_90k) * 8 / 15) as u32,
        };
        for (place, payload) in payloads.iter().enumerate() {
            let packet = RtpWrite::new(line.payload_type, number.inc(), time, at, Arc::clone(payload))
                .marker(is_video && place + 1 == payloads.len())
                .nackable(is_video)
                .ext_vals(ExtensionValues {
                    play_delay_min: Some(MediaTime::ZERO),
                    play_delay_max: Some(MediaTime::ZERO),
                    ..ExtensionValues::default()
                });
            stream.write_rtp(packet);
        }
    }
}

/// What both tracks of a viewer go by.
#[derive(Default)]
struct Flow {
    wall: WallClock,
    pace: Pace,
    counters: ViewerCounters,
}

impl Flow {
    /// Sends the next unit of a track, or takes note that it has ended.
    fn take(&mut self, peer: &mut Peer, along: &mut Option<Along>, next: Option<Delivery>, now: Instant) {
        let Some(along) = along else { return };
        let Some(Delivery { held, has_skipped }) = next else {
            along.has_ended = true;
            return;
        };
        self.counters.skips += u64::from(has_skipped);
        let payloads = held.payloads(payloads);
        if payloads.is_empty() {
            return;
        }
        let pts_90k = held.live.unit.pts_90k;
        let at = self.wall.at(pts_90k, now);
        self.pace.sent(held.live.unit.payload.len(), now);
        along.write(peer.rtc(), payloads, pts_90k, at);
        peer.proceed(now);
        self.counters.units += 1;
    }
}

impl Viewer {
    /// Serves the viewer to its end.
    pub(super) async fn run(mut self) {
        let id = self.session.info.id;
        let started = self.clock.now();
        let mut flow = Flow::default();
        let why = self.watch(&mut flow).await;
        flow.counters.is_over_tcp = self.peer.is_over_tcp();
        self.peer.close(self.clock.instant_now()).await;
        if !self.peer.is_connected() {
            // An offer without a sequel is worth no line.
            tracing::debug!(session = id.short(), why, "a viewer never connected");
            return;
        }
        log::viewer_left(id, flow.counters, self.clock.now().saturating_sub(started), why);
    }

    async fn watch(&mut self, flow: &mut Flow) -> &'static str {
        let Self { peer, session, clock, held, .. } = self;
        let (mut video, mut audio) = (None, None);
        let mut timer = pin!(sleep_until(clock.instant_now().into()));
        let mut timer_at = None;
        loop {
            peer.tick(clock.instant_now());
            while let Some(event) = peer.next_event() {
                match event {
                    Event::Connected => {
                        held.connected();
                        flow.wall = WallClock::starting(session.newest_live_90k(), clock.instant_now());
                        video = self.video.map(|line| Along::new(session, Track::Video, line));
                        audio = self.audio.map(|line| Along::new(session, Track::Audio, line));
                        if let Some(line) = self.video {
                            bound_resends(peer, line);
                        }
                        log::viewer_joined(session.info.id, &session.info.room);
                    }
                    Event::KeyframeRequest(_) => {
                        flow.counters.key_requests += 1;
                        session.request_key();
                    }
                    _ => {}
                }
            }
            peer.send().await;
            if let Some(end) = peer.end() {
                return end.why();
            }
            if peer.is_connected() && !Along::goes_on(&video) && !Along::goes_on(&audio) {
                return "the session has ended";
            }
            let now = clock.instant_now();
            let pause = flow.pace.waits_until(now);
            let due = pause.map_or(peer.due(), |until| until.min(peer.due()));
            if timer_at != Some(due) {
                timer_at = Some(due);
                timer.as_mut().reset(due.into());
            }
            tokio::select! {
                datagram = peer.datagram() => match datagram {
                    Some(datagram) => peer.receive(datagram),
                    None => return "the port is closed",
                },
                next = Along::next(&mut video), if pause.is_none() => flow.take(peer, &mut video, next, clock.instant_now()),
                next = Along::next(&mut audio) => flow.take(peer, &mut audio, next, clock.instant_now()),
                () = timer.as_mut() => timer_at = None,
                over = held.over() => return over.why(),
            }
        }
    }
}

/// Keeps a second of pictures for those that get lost, and not three.
fn bound_resends(peer: &mut Peer, line: Line) {
    if let Some(stream) = peer.rtc().direct_api().stream_tx_by_mid(line.mid, None) {
        stream.set_rtx_cache(RESEND_PACKETS, RESEND_AGE, None);
    }
}
