//! One WHEP viewer: reads along with a session at its own pace, and sends what it reads.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use media::h264::to_annexb;
use protocol::Track;
use protocol::codec::CodecParameters;
use str0m::Event;
use str0m::media::MediaTime;
use tokio::time::sleep_until;

use super::negotiation::Line;
use super::peer::Peer;
use super::playout::{Pace, WallClock};
use super::resources::Held;
use crate::clock::Clock;
use crate::fanout::{Delivery, LiveUnit, Subscription};
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
    subscription: Subscription,
    has_ended: bool,
}

impl Along {
    /// The next unit; none when the track has ended.
    async fn next(along: &mut Option<Self>) -> Option<(Line, Delivery)> {
        match along {
            Some(Self { line, subscription, has_ended: false }) => {
                subscription.next().await.map(|delivery| (*line, delivery))
            }
            _ => std::future::pending().await,
        }
    }

    const fn goes_on(along: &Option<Self>) -> bool {
        matches!(along, Some(Self { has_ended: false, .. }))
    }
}

impl Viewer {
    /// Serves the viewer to its end.
    pub(super) async fn run(mut self) {
        let id = self.session.info.id;
        let started = self.clock.now();
        let mut counters = ViewerCounters::default();
        let why = self.watch(&mut counters).await;
        self.peer.close(self.clock.instant_now()).await;
        if !self.peer.is_connected() {
            // An offer without a sequel is worth no line.
            tracing::debug!(session = id.short(), why, "a viewer never connected");
            return;
        }
        log::viewer_left(id, counters, self.clock.now().saturating_sub(started), why);
    }

    async fn watch(&mut self, counters: &mut ViewerCounters) -> &'static str {
        let Self { peer, session, clock, held, .. } = self;
        let (mut video, mut audio) = (None, None);
        let mut wall = WallClock::default();
        let mut pace = Pace::default();
        let mut timer = pin!(sleep_until(clock.instant_now().into()));
        let mut timer_at = None;
        loop {
            peer.tick(clock.instant_now());
            while let Some(event) = peer.next_event() {
                match event {
                    Event::Connected => {
                        held.connected();
                        wall = WallClock::starting(session.newest_live_90k(), clock.instant_now());
                        let along = |line: Option<Line>, track| {
                            line.map(|line| Along {
                                line,
                                subscription: session.subscribe(track),
                                has_ended: false,
                            })
                        };
                        video = along(self.video, Track::Video);
                        audio = along(self.audio, Track::Audio);
                        if let Some(line) = self.video {
                            bound_resends(peer, line);
                        }
                        log::viewer_joined(session.info.id, &session.info.room);
                    }
                    Event::KeyframeRequest(_) => {
                        counters.key_requests += 1;
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
            let pause = pace.waits_until(now);
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
                next = Along::next(&mut video), if pause.is_none() => match next {
                    Some((line, delivery)) => send(peer, line, &delivery, &mut wall, &mut pace, clock.instant_now(), counters),
                    None => end(&mut video),
                },
                next = Along::next(&mut audio) => match next {
                    Some((line, delivery)) => send(peer, line, &delivery, &mut wall, &mut pace, clock.instant_now(), counters),
                    None => end(&mut audio),
                },
                () = timer.as_mut() => timer_at = None,
                over = held.over() => return over.why(),
            }
        }
    }
}

fn end(along: &mut Option<Along>) {
    if let Some(along) = along {
        along.has_ended = true;
    }
}

/// Keeps a second of pictures for those that get lost, and not three.
fn bound_resends(peer: &mut Peer, line: Line) {
    if let Some(stream) = peer.rtc().direct_api().stream_tx_by_mid(line.mid, None) {
        stream.set_rtx_cache(RESEND_PACKETS, RESEND_AGE, None);
    }
}

fn send(
    peer: &mut Peer,
    line: Line,
    delivery: &Delivery,
    wall: &mut WallClock,
    pace: &mut Pace,
    now: Instant,
    counters: &mut ViewerCounters,
) {
    counters.skips += u64::from(delivery.has_skipped);
    let Some(payload) = payload(&delivery.live) else { return };
    let pts_90k = delivery.live.unit.pts_90k;
    let at = wall.at(pts_90k, now);
    pace.sent(payload.len(), now);
    if let Some(writer) = peer.rtc().writer(line.mid) {
        let writer = writer.playout_delay(MediaTime::ZERO, MediaTime::ZERO);
        // A payload type that was agreed on is known, and so nothing is refused.
        if writer.write(line.payload_type, at, MediaTime::from_90khz(pts_90k), payload).is_ok() {
            counters.units += 1;
        }
        peer.settle(now);
    }
}

/// A unit as WebRTC takes it. None for one that the ingest should not have let pass.
fn payload(live: &LiveUnit) -> Option<Arc<[u8]>> {
    match &*live.parameters {
        CodecParameters::H264 { avcc, .. } => {
            to_annexb(&live.unit.payload, &avcc.0, live.unit.key).ok().map(Arc::from)
        }
        CodecParameters::Opus { .. } => Some(Arc::from(&live.unit.payload[..])),
    }
}
