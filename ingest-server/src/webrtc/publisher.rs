//! One WHIP publisher: what arrives becomes a session like any other.
//!
//! Such a publisher knows nothing of units and digests, and what its network loses is gone. So the server numbers what arrives, and
//! signs the end of a track itself, saying that no device vouches for any unit of it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::codec::{CodecParameters, Params};
use protocol::control::{
    Device, Event as SessionEvent, EventKind, Finish, Hello, PublisherMessage, ServerMessage,
};
use protocol::digest::UnitDigests;
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::Unit;
use protocol::{Hex, PROTOCOL_VERSION, ResumeKey, RoomName, SessionId, Track, UnitRange, UnitRanges};
use signing::SigningKey;
use str0m::Event;
use str0m::media::{KeyframeRequestKind, MediaData};
use tokio::time::sleep_until;

use super::intake::{AudioIntake, IntakeError, Taken, VideoIntake};
use super::negotiation::Line;
use super::peer::Peer;
use super::resources::Held;
use super::timeline::{Report, Timeline};
use crate::access::Grant;
use crate::ingest::Transmit;
use crate::ingest::feed::{Feed, IngestContext};
use crate::log;

/// There is an IDR picture at least this often, if the publisher heeds requests: viewers join at one, and segments begin with one.
const KEY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a request for an IDR picture is given before the next one.
const KEY_PATIENCE: Duration = Duration::from_millis(500);
/// Losses within this time are one event, and a track has so many of such events at the most.
const LOSS_INTERVAL: Duration = Duration::from_secs(5);
const MAX_LOSS_EVENTS: u32 = 1_000;
/// How often records that wait for room in the memory budget are tried again.
const BUDGET_INTERVAL: Duration = Duration::from_millis(20);
/// How long the end of a session may take to become durable.
const FINISH_PATIENCE: Duration = Duration::from_secs(8);
/// How long a publisher that sends pictures may leave out the parameter sets that decode them.
const PARAMETERS_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Publisher {
    pub(super) peer: Peer,
    pub(super) context: Arc<IngestContext>,
    pub(super) key: Arc<SigningKey>,
    pub(super) held: Held,
    pub(super) grant: Grant,
    pub(super) room: RoomName,
    pub(super) device: Device,
    pub(super) video: Option<Line>,
    pub(super) audio: Option<Line>,
}

/// What all of a session's tracks have in common.
struct Take {
    session: SessionId,
    resume_key: ResumeKey,
    started_unix_ms: u64,
    /// When the session started, on the server's clock.
    started: Duration,
}

/// One track, open once its first unit has come.
#[derive(Default)]
struct Lane<'a> {
    feed: Option<Feed<'a>>,
    /// Losses that no event has told of yet, and when the last event was.
    losses: u32,
    told: Option<Duration>,
    loss_events: u32,
    is_complete: bool,
}

impl Publisher {
    /// Serves the publisher to its end.
    pub(super) async fn run(self) {
        let context = Arc::clone(&self.context);
        let Self { mut peer, key, mut held, grant, room, device, video, audio, .. } = self;
        let now = context.clock.now();
        let unix_ms = context.clock.unix_ms();
        let random = *uuid::Uuid::new_v4().as_bytes();
        let mut ten = [0; 10];
        ten.copy_from_slice(&random[..10]);
        let take = Take {
            session: SessionId::v7(unix_ms, ten),
            resume_key: ResumeKey::from_bytes(*uuid::Uuid::new_v4().as_bytes()),
            started_unix_ms: unix_ms,
            started: now,
        };
        let mut recording = Recording {
            context: &context,
            take,
            grant,
            room,
            device,
            timeline: Timeline::default(),
            lanes: [Lane::default(), Lane::default()],
            video: VideoIntake::default(),
            audio: AudioIntake::default(),
            key_at: None,
            key_asked: None,
            wants_key: false,
            without_parameters: None,
        };
        let ending = recording.receive(&mut peer, &mut held, video, audio).await;
        peer.close(context.clock.instant_now()).await;
        recording.finish(&key).await;
        recording.log(&ending);
    }
}

/// How a publisher ends.
enum Ending {
    Gone(&'static str),
    Refused(ErrorBody),
}

struct Recording<'a> {
    context: &'a IngestContext,
    take: Take,
    grant: Grant,
    room: RoomName,
    device: Device,
    timeline: Timeline,
    lanes: [Lane<'a>; 2],
    video: VideoIntake,
    audio: AudioIntake,
    /// When the last IDR picture came, and when one was asked for.
    key_at: Option<Duration>,
    key_asked: Option<Duration>,
    /// Whether somebody who watches wants one.
    wants_key: bool,
    /// Since when pictures come that nothing tells how to decode.
    without_parameters: Option<Duration>,
}

impl<'a> Recording<'a> {
    async fn receive(
        &mut self,
        peer: &mut Peer,
        held: &mut Held,
        video: Option<Line>,
        audio: Option<Line>,
    ) -> Ending {
        let clock = self.context.clock;
        let mut timer = pin!(sleep_until(clock.instant_now().into()));
        let is_of = |line: Option<Line>, media: &MediaData| line.is_some_and(|line| line.mid == media.mid);
        loop {
            peer.tick(clock.instant_now());
            while let Some(event) = peer.next_event() {
                let taken = match event {
                    Event::Connected => {
                        held.connected();
                        Ok(())
                    }
                    Event::MediaData(media) if is_of(video, &media) => self.picture(&media).await,
                    Event::MediaData(media) if is_of(audio, &media) => self.sound(&media).await,
                    _ => Ok(()),
                };
                if let Err(error) = taken {
                    return Ending::Refused(error);
                }
            }
            let now = clock.now();
            if let Err(error) = self.keep_going(now) {
                return Ending::Refused(error);
            }
            if let Some(line) = video.filter(|_| peer.is_connected() && self.is_key_due(now)) {
                self.key_asked = Some(now);
                self.wants_key = false;
                ask_for_key(peer, line, clock.instant_now());
            }
            peer.send().await;
            if let Some(end) = peer.end() {
                return Ending::Gone(end.why());
            }
            timer.as_mut().reset(self.due(peer.due()).into());
            tokio::select! {
                datagram = peer.datagram() => match datagram {
                    Some(datagram) => peer.receive(datagram),
                    None => return Ending::Gone("the port is closed"),
                },
                () = timer.as_mut() => {}
                () = news(&self.lanes) => {}
                why = held.over() => return Ending::Gone(why),
            }
        }
    }

    /// When there is something to do by itself.
    fn due(&self, peer: Instant) -> Instant {
        let clock = self.context.clock;
        let feeds = self.lanes.iter().filter_map(|lane| lane.feed.as_ref());
        let deadlines = feeds.filter_map(|feed| match feed.is_waiting() {
            true => Some(clock.now() + BUDGET_INTERVAL),
            false => feed.deadline,
        });
        let key = (self.lanes[Track::Video as usize].feed.is_some() || self.video.needs_key())
            .then(|| clock.now() + KEY_PATIENCE);
        let due = deadlines.chain(key).min().map(|at| clock.instant(at).into_std());
        due.map_or(peer, |due| due.min(peer))
    }

    fn is_key_due(&self, now: Duration) -> bool {
        let is_wanted =
            self.wants_key || self.video.needs_key() || self.key_at.is_none_or(|at| now >= at + KEY_INTERVAL);
        is_wanted && self.key_asked.is_none_or(|at| now >= at + KEY_PATIENCE)
    }

    async fn picture(&mut self, media: &MediaData) -> Result<(), ErrorBody> {
        let now = self.context.clock.now();
        let is_full = self.lanes[Track::Video as usize].feed.as_ref().is_some_and(Feed::is_full);
        if (!media.contiguous || is_full) && self.video.units() > 0 {
            self.video.lose();
            self.lanes[Track::Video as usize].losses += 1;
        }
        if is_full {
            return Ok(());
        }
        let Some((rtp_90k, report)) = times(media) else { return Ok(()) };
        let Self { timeline, video, take, .. } = self;
        let arrived = now.saturating_sub(take.started);
        let taken = video
            .take(&media.data, rtp_90k, || timeline.pts_90k(Track::Video, rtp_90k, arrived, report))
            .map_err(|error @ IntakeError::BFrames| {
                ErrorBody::new(ErrorCode::InvalidUnit, error.to_string())
            })?;
        match taken {
            Taken::Unit(unit, parameters) => {
                if unit.key {
                    self.key_at = Some(now);
                }
                self.without_parameters = None;
                self.give(Track::Video, unit, parameters).await
            }
            Taken::Dropped if self.video.units() == 0 => {
                let since = *self.without_parameters.get_or_insert(now);
                if now < since + PARAMETERS_PATIENCE {
                    return Ok(());
                }
                let message = "no IDR picture with its parameter sets (SPS and PPS) came; let the encoder repeat them, as \
                               GStreamer does with config-interval=-1";
                Err(ErrorBody::new(ErrorCode::InvalidParams, message))
            }
            Taken::Dropped | Taken::Nothing => Ok(()),
        }
    }

    async fn sound(&mut self, media: &MediaData) -> Result<(), ErrorBody> {
        let lane = &mut self.lanes[Track::Audio as usize];
        let is_full = lane.feed.as_ref().is_some_and(Feed::is_full);
        if (!media.contiguous || is_full) && self.audio.units() > 0 {
            lane.losses += 1;
        }
        let Some((rtp_90k, report)) = times(media).filter(|_| !is_full) else { return Ok(()) };
        let arrived = self.context.clock.now().saturating_sub(self.take.started);
        let pts_90k = self.timeline.pts_90k(Track::Audio, rtp_90k, arrived, report);
        match self.audio.take(&media.data, pts_90k) {
            Taken::Unit(unit, parameters) => self.give(Track::Audio, unit, parameters).await,
            Taken::Dropped | Taken::Nothing => Ok(()),
        }
    }

    /// Gives a unit to the track, which the first one opens.
    async fn give(
        &mut self,
        track: Track,
        unit: Unit,
        parameters: Option<CodecParameters>,
    ) -> Result<(), ErrorBody> {
        let params = parameters.map(|parameters| Params { from_unit: unit.number, parameters });
        if self.lanes[track as usize].feed.is_none() {
            let Some(params) = params.clone() else { return Ok(()) };
            self.open(track, params).await?;
        }
        let Some(feed) = &mut self.lanes[track as usize].feed else { return Ok(()) };
        let (now, id) = (self.context.clock.now(), feed.attached.id);
        feed.with(|ingest| {
            if let Some(params) = params.filter(|params| params.from_unit > 0) {
                ingest.message(now, id, PublisherMessage::Params(params));
            }
            ingest.units(now, id, [Ok(unit)]);
        });
        feed.pass_on();
        Ok(())
    }

    async fn open(&mut self, track: Track, params: Params) -> Result<(), ErrorBody> {
        let codec = params.parameters.name();
        let hello = Hello {
            version: PROTOCOL_VERSION,
            session: self.take.session,
            resume_key: self.take.resume_key.clone(),
            room: self.room.clone(),
            track,
            params: vec![params],
            device: self.device.clone(),
            started_unix_ms: self.take.started_unix_ms,
        };
        let attached = self.context.rooms.open(&self.grant, &hello).await?;
        log::hello(hello.session, track, &self.room, &UnitRanges::new(), codec);
        self.lanes[track as usize].feed = Some(Feed::new(self.context, attached));
        Ok(())
    }

    /// Lets the tracks do what time and the recorder ask of them, and hears what they have to say.
    fn keep_going(&mut self, now: Duration) -> Result<(), ErrorBody> {
        for lane in &mut self.lanes {
            lane.tell_losses(now, now.saturating_sub(self.take.started));
            let Some(feed) = &mut lane.feed else { continue };
            let id = feed.attached.id;
            feed.with(|ingest| {
                // The peer connection tells whether the publisher is there; a track of it may rest.
                ingest.heard(now, id);
                ingest.tick(now);
            });
            feed.pass_on();
            for transmit in feed.out.drain(..) {
                match transmit {
                    Transmit::Close(error) => return Err(error),
                    Transmit::Message(ServerMessage::KeyframeRequest {}) => self.wants_key = true,
                    Transmit::Message(ServerMessage::Complete { .. }) => lane.is_complete = true,
                    Transmit::Message(_) => feed.attached.session.heard_now(),
                }
            }
        }
        Ok(())
    }

    /// Ends the tracks, and waits until their ends are durable.
    async fn finish(&mut self, key: &SigningKey) {
        let clock = self.context.clock;
        for (track, units) in [(Track::Video, self.video.units()), (Track::Audio, self.audio.units())] {
            let lane = &mut self.lanes[track as usize];
            let now = clock.now();
            lane.told = None;
            lane.tell_losses(now, now.saturating_sub(self.take.started));
            if let Some(feed) = &mut lane.feed {
                let finish = unwitnessed_finish(key, &self.take, track, units);
                let id = feed.attached.id;
                let mut is_ours = false;
                feed.with(|ingest| {
                    is_ours = ingest.connection() == Some(id);
                    ingest.message(now, id, PublisherMessage::Finish(finish));
                });
                // Who was sent away is told nothing more.
                lane.is_complete |= !is_ours;
            }
        }
        let gives_up = clock.now() + FINISH_PATIENCE;
        while clock.now() < gives_up
            && self.keep_going(clock.now()).is_ok()
            && self.lanes.iter().any(|lane| lane.feed.is_some() && !lane.is_complete)
        {
            tokio::select! {
                () = news(&self.lanes) => {}
                () = tokio::time::sleep(BUDGET_INTERVAL) => {}
            }
        }
        for lane in &mut self.lanes {
            if let Some(feed) = &mut lane.feed {
                feed.detach().await;
            }
        }
    }

    fn log(&self, ending: &Ending) {
        let session = self.take.session;
        for (track, lane) in Track::ALL.into_iter().zip(&self.lanes) {
            let Some(feed) = &lane.feed else { continue };
            let counters = feed.attached.session.ingest(track).counters();
            match ending {
                Ending::Gone(why) => log::gone(session, track, counters, why),
                Ending::Refused(error) => log::refused(Some(session), track, error),
            }
        }
        if self.lanes.iter().all(|lane| lane.feed.is_none()) {
            match ending {
                Ending::Gone(why) => log::publisher_without_media(&self.room, why),
                Ending::Refused(error) => log::publisher_without_media(&self.room, &error.message),
            }
        }
    }
}

impl Lane<'_> {
    /// Records losses as an event of the track, many as one.
    fn tell_losses(&mut self, now: Duration, since_start: Duration) {
        let is_due = self.told.is_none_or(|at| now >= at + LOSS_INTERVAL);
        let Some(feed) = self.feed.as_mut().filter(|_| is_due && self.losses > 0) else { return };
        let losses = std::mem::take(&mut self.losses);
        if self.loss_events >= MAX_LOSS_EVENTS {
            return;
        }
        let event = SessionEvent {
            number: self.loss_events,
            at_90k: (since_start.as_micros() * 9 / 100) as u64,
            kind: EventKind::UnitsLost,
            detail: format!(
                "on the way to the server, {losses} times: a WebRTC publisher sends nothing twice"
            ),
        };
        self.told = Some(now);
        self.loss_events += 1;
        let id = feed.attached.id;
        feed.with(|ingest| ingest.message(now, id, PublisherMessage::Event(event)));
    }
}

/// Waits for news of any open track.
async fn news(lanes: &[Lane<'_>; 2]) {
    let of = |lane: &Lane<'_>| lane.feed.as_ref().map(|feed| feed.attached.news.clone());
    let [video, audio] = [of(&lanes[0]), of(&lanes[1])];
    let wait = async |news: Option<tokio::sync::watch::Receiver<()>>| match news {
        Some(mut news) => _ = news.changed().await,
        None => std::future::pending().await,
    };
    tokio::select! {
        () = wait(video) => {}
        () = wait(audio) => {}
    }
}

/// The RTP time of a picture or packet, and what the latest sender report says, in 1/90000 s.
fn times(media: &MediaData) -> Option<(i64, Option<Report>)> {
    let ticks = |time: str0m::media::MediaTime| {
        i64::try_from(u128::from(time.numer()) * 90_000 / u128::from(time.denom())).ok()
    };
    let report =
        media.last_sender_info.as_ref().and_then(|info| Report::new(ticks(info.rtp_time)?, info.ntp_time));
    Some((ticks(media.time)?, report))
}

fn ask_for_key(peer: &mut Peer, line: Line, now: Instant) {
    if let Some(mut writer) = peer.rtc().writer(line.mid) {
        // A publisher that has agreed to neither kind of request decides by itself.
        let _ = writer
            .request_keyframe(None, KeyframeRequestKind::Pli)
            .or_else(|_| writer.request_keyframe(None, KeyframeRequestKind::Fir));
        peer.settle(now);
    }
}

/// The end of a track of which no device has digests. The server signs it in the device's place, with its own key.
fn unwitnessed_finish(key: &SigningKey, take: &Take, track: Track, units: u64) -> Finish {
    let mut unwitnessed = UnitRanges::new();
    if let Some(last) = units.checked_sub(1) {
        unwitnessed.insert_range(UnitRange::new(0, last));
    }
    let digest = UnitDigests::new().track_digest(track, units, &unwitnessed).unwrap_or(Hex([0; 32]));
    let finish = Finish {
        units,
        lost: UnitRanges::new(),
        unwitnessed,
        digest,
        device_key: key.public(),
        signature: Hex([0; 64]),
    };
    let statement = finish.statement(take.session, track, take.started_unix_ms).to_json();
    Finish { signature: key.sign(&statement), ..finish }
}
