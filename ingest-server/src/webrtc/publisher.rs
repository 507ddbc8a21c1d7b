//! One WHIP publisher: what arrives becomes a session like any other.
//!
//! Such a publisher knows nothing of units and digests, and what its network loses is gone. So the server numbers what arrives, and
//! signs the end of a track itself, saying that no device vouches for any unit of it.
//!
//! A publisher that has named its session may come back with it: until it says goodbye the session does not end, but is interrupted.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::codec::{CodecParameters, Params};
use protocol::control::{Device, Event as SessionEvent, EventKind, Hello, PublisherMessage, ServerMessage};
use protocol::error::{ErrorBody, ErrorCode};
use protocol::unit::Unit;
use protocol::{Interruption, InterruptionReason, PROTOCOL_VERSION, RoomName, Track};
use signing::SigningKey;
use str0m::Event;
use str0m::media::{KeyframeRequestKind, MediaData};
use tokio::time::{sleep_until, timeout};

use super::intake::{AudioIntake, IntakeError, Taken, VideoIntake};
use super::negotiation::Line;
use super::peer::{Peer, PeerEnd};
use super::resources::{Held, Over};
use super::take::{Claim, Take};
use super::timeline::{Report, Timeline};
use crate::access::Grant;
use crate::ingest::feed::{Feed, IngestContext};
use crate::ingest::{TrackIngest, Transmit};
use crate::log;

/// There is an IDR picture at least this often, if the publisher heeds requests: viewers join at one, and segments begin with one.
const KEY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a request for an IDR picture is given before the next one.
const KEY_PATIENCE: Duration = Duration::from_millis(500);
/// Losses within this time are one event, and a track has so many events at the most.
const LOSS_INTERVAL: Duration = Duration::from_secs(5);
const MAX_EVENTS: u32 = 1_000;
/// How often records that wait for room in the memory budget are tried again.
const BUDGET_INTERVAL: Duration = Duration::from_millis(20);
/// How long the end of a session may take to become durable.
const FINISH_PATIENCE: Duration = Duration::from_secs(8);
/// How long the word that a session has ended may come behind the end of its connection.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(5);
/// How long a publisher that sends pictures may leave out the parameter sets that decode them.
const PARAMETERS_PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Publisher {
    pub(super) peer: Peer,
    pub(super) context: Arc<IngestContext>,
    pub(super) key: Arc<SigningKey>,
    pub(super) held: Held,
    pub(super) grant: Grant,
    pub(super) room: RoomName,
    pub(super) claim: Option<Claim>,
    pub(super) device: Device,
    pub(super) video: Option<Line>,
    pub(super) audio: Option<Line>,
}

/// One track, open once its first unit has come.
#[derive(Default)]
struct Lane<'a> {
    feed: Option<Feed<'a>>,
    /// Losses that no event has told of yet, and when the last event was.
    losses: u32,
    told: Option<Duration>,
    next_event: u32,
    is_complete: bool,
}

impl Publisher {
    /// Serves the publisher to its end.
    pub(super) async fn run(self) {
        let context = Arc::clone(&self.context);
        let Self { mut peer, key, mut held, grant, room, claim, device, video, audio, .. } = self;
        let mut recording = Recording {
            context: &context,
            take: Take::new(claim, context.clock),
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
        let mut ending = recording.receive(&mut peer, &mut held, video, audio).await;
        peer.close(context.clock.instant_now()).await;
        if recording.take.may_be_resumed && matches!(ending, Ending::Goodbye) {
            // A browser closes the connection and sends its DELETE at the same time; only that ends the session.
            recording.flush();
            if let Ok(over) = timeout(GOODBYE_PATIENCE, held.over()).await {
                ending = Ending::Over(over);
            }
        }
        if recording.take.may_be_resumed && ending.may_come_back() {
            recording.leave().await;
        } else {
            recording.finish(&key).await;
        }
        recording.log(&ending);
    }
}

/// How a publisher ends.
enum Ending {
    /// The connection is gone.
    Gone(&'static str),
    /// The peer has closed it.
    Goodbye,
    /// Somebody has ended it.
    Over(Over),
    /// The track takes no more.
    Refused(ErrorBody),
}

impl Ending {
    /// Whether the publisher may still come back: nobody has said that it is over.
    fn may_come_back(&self) -> bool {
        match self {
            Self::Gone(_) | Self::Goodbye | Self::Over(Over::Stopping) => true,
            Self::Over(Over::Left | Over::Unwelcome) => false,
            // Most often it is back already, by a newer connection.
            Self::Refused(error) => error.retryable || error.code == ErrorCode::Superseded,
        }
    }

    fn why(&self) -> &str {
        match self {
            Self::Gone(why) => why,
            Self::Goodbye => PeerEnd::Left.why(),
            Self::Over(over) => over.why(),
            Self::Refused(error) => &error.message,
        }
    }
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
                return if end == PeerEnd::Left { Ending::Goodbye } else { Ending::Gone(end.why()) };
            }
            timer.as_mut().reset(self.due(peer.due()).into());
            tokio::select! {
                datagram = peer.datagram() => match datagram {
                    Some(datagram) => peer.receive(datagram),
                    None => return Ending::Gone("the port is closed"),
                },
                () = timer.as_mut() => {}
                () = news(&self.lanes) => {}
                over = held.over() => return Ending::Over(over),
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
        let arrived = take.elapsed(now);
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
        let arrived = self.take.elapsed(self.context.clock.now());
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
        let mut unit = unit;
        let mut params = parameters.map(|parameters| Params { from_unit: unit.number, parameters });
        if self.lanes[track as usize].feed.is_none() {
            let Some(first) = &mut params else { return Ok(()) };
            if self.take.earlier_tracks.contains(&track) {
                self.open(track, None).await?;
                self.go_on(track, &mut unit);
                first.from_unit = unit.number;
            } else {
                self.open(track, Some(first.clone())).await?;
            }
        }
        let Some(feed) = &mut self.lanes[track as usize].feed else { return Ok(()) };
        let (now, id) = (self.context.clock.now(), feed.attached.id);
        feed.with(|ingest| {
            let known = ingest.all_params().last().map(|known| known.parameters.clone());
            if let Some(params) = params.filter(|params| known.as_ref() != Some(&params.parameters)) {
                ingest.message(now, id, PublisherMessage::Params(params));
            }
            ingest.units(now, id, [Ok(unit)]);
        });
        feed.pass_on();
        Ok(())
    }

    /// Opens a track, a new one with its parameters.
    async fn open(&mut self, track: Track, params: Option<Params>) -> Result<(), ErrorBody> {
        let hello = Hello {
            version: PROTOCOL_VERSION,
            session: self.take.session,
            resume_key: self.take.resume_key.clone(),
            room: self.room.clone(),
            track,
            params: params.into_iter().collect(),
            device: self.device.clone(),
            started_unix_ms: self.take.started_unix_ms,
        };
        let attached = self.context.rooms.open(&self.grant, &hello).await?;
        let ingest = attached.session.ingest(track);
        let durable = ingest.stored().durable.clone();
        let codec = ingest.all_params().last().map_or("", |params| params.parameters.name());
        log::hello(hello.session, track, &self.room, &durable, codec);
        self.lanes[track as usize].next_event =
            ingest.stored().events.last().map_or(0, |event| event.number + 1);
        drop(ingest);
        self.lanes[track as usize].feed = Some(Feed::new(self.context, attached));
        Ok(())
    }

    /// Puts the first unit of this connection behind what there is of its track, and tells that something is missing between them.
    fn go_on(&mut self, track: Track, unit: &mut Unit) {
        let lane = &mut self.lanes[track as usize];
        let Some(feed) = &lane.feed else { return };
        let ingest = feed.attached.session.ingest(track);
        let (units, latest_90k) = (ingest.known_units(), ingest.latest_90k().unwrap_or(0));
        drop(ingest);
        match track {
            Track::Video => self.video.skip(units),
            Track::Audio => self.audio.skip(units),
        }
        unit.number += units;
        unit.pts_90k = unit.pts_90k.max(latest_90k + 1);
        self.timeline.continues(track, unit.pts_90k);
        let away_ms = (unit.pts_90k - latest_90k) / 90;
        let reason = InterruptionReason::ConnectionLost;
        let now = self.context.clock.now();
        for (kind, at_90k, away_ms) in
            [(EventKind::Interrupted, latest_90k, None), (EventKind::Resumed, unit.pts_90k, Some(away_ms))]
        {
            lane.tell(now, kind, at_90k, Interruption { reason, away_ms }.to_string());
        }
    }

    /// Lets the tracks do what time and the recorder ask of them, and hears what they have to say.
    fn keep_going(&mut self, now: Duration) -> Result<(), ErrorBody> {
        for lane in &mut self.lanes {
            lane.tell_losses(now, self.take.elapsed(now));
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
        for track in Track::ALL {
            let is_away = self.lanes[track as usize].feed.is_none();
            if is_away && self.take.earlier_tracks.contains(&track) && self.open(track, None).await.is_err() {
                // Nobody may end it any more, or it has ended.
                continue;
            }
            let lane = &mut self.lanes[track as usize];
            let now = clock.now();
            lane.told = None;
            lane.tell_losses(now, self.take.elapsed(now));
            if let Some(feed) = &mut lane.feed {
                let id = feed.attached.id;
                let take = &self.take;
                let mut is_ours = false;
                feed.with(|ingest| {
                    is_ours = ingest.connection() == Some(id);
                    let finish = take.unwitnessed_finish(key, track, ingest.known_units());
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
        self.detach().await;
    }

    /// Leaves the tracks as they are, for a publisher that may come back.
    async fn leave(&mut self) {
        let now = self.context.clock.now();
        for lane in &mut self.lanes {
            lane.told = None;
            lane.tell_losses(now, self.take.elapsed(now));
        }
        self.detach().await;
    }

    /// Gives what has arrived to the recorder.
    fn flush(&mut self) {
        for feed in self.lanes.iter_mut().filter_map(|lane| lane.feed.as_mut()) {
            feed.with(TrackIngest::flush);
            feed.pass_on();
        }
    }

    async fn detach(&mut self) {
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
                Ending::Refused(error) => log::refused(Some(session), track, error),
                Ending::Gone(_) | Ending::Goodbye | Ending::Over(_) => {
                    log::gone(session, track, counters, ending.why())
                }
            }
        }
        if self.lanes.iter().all(|lane| lane.feed.is_none()) {
            log::publisher_without_media(&self.room, ending.why());
        }
    }
}

impl Lane<'_> {
    /// Records losses as an event of the track, many as one.
    fn tell_losses(&mut self, now: Duration, since_start: Duration) {
        let is_due = self.told.is_none_or(|at| now >= at + LOSS_INTERVAL);
        if self.feed.is_none() || !is_due || self.losses == 0 {
            return;
        }
        let losses = std::mem::take(&mut self.losses);
        let at_90k = (since_start.as_micros() * 9 / 100) as u64;
        let detail =
            format!("on the way to the server, {losses} times: a WebRTC publisher sends nothing twice");
        self.told = Some(now);
        self.tell(now, EventKind::UnitsLost, at_90k, detail);
    }

    /// Records an event of the track.
    fn tell(&mut self, now: Duration, kind: EventKind, at_90k: u64, detail: String) {
        let Some(feed) = self.feed.as_mut().filter(|_| self.next_event < MAX_EVENTS) else { return };
        let event = SessionEvent { number: self.next_event, at_90k, kind, detail };
        self.next_event += 1;
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
