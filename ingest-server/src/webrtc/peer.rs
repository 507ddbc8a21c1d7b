//! One peer connection with its place at the port: what comes in, what goes out, and when it is given up.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use str0m::net::{Protocol, Receive};
use str0m::{Event, Input, Output, Rtc, RtcError};

use super::batch::{Batch, Path};
use super::port::{Datagram, Place};
use super::routes::is_stun;
use crate::config::Bounds;

/// How long a connected peer may be silent at the most. Browsers check every 5 s at least that they may still send (RFC 7675 §5.1).
const MAX_SILENCE: Duration = Duration::from_secs(15);
/// Times that a connection may say in a row that it has something to do at once. It has a few reasons; this ends a loop.
const MAX_AT_ONCE: usize = 64;

/// Why a peer connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerEnd {
    /// The peer said goodbye.
    Left,
    /// It never connected.
    NeverConnected,
    /// It was connected, and then silent for too long.
    Silent,
    /// It and the server found no encryption that both take.
    NotEncrypted,
    /// What it sent made no sense, or its key is not the one in its offer.
    Broken,
}

impl PeerEnd {
    /// The reason for a log line.
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::Left => "the peer left",
            Self::NeverConnected => "no connection came about",
            Self::Silent => "the peer is gone",
            Self::NotEncrypted => {
                "DTLS failed; a peer needs an ECDSA certificate on the curve P-256 or P-384, \
                 which GStreamer has from 1.28 on and FFmpeg from 9 on"
            }
            Self::Broken => "the connection broke",
        }
    }
}

/// How long a peer is waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the answer to being connected.
    pub(super) connect: Duration,
    /// While it is connected.
    pub(super) silence: Duration,
}

impl Patience {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self { connect: bounds.opening, silence: bounds.idle.min(MAX_SILENCE) }
    }
}

/// A peer connection.
pub(super) struct Peer {
    rtc: Rtc,
    place: Place,
    batch: Batch,
    /// What happened and was not looked at yet.
    events: VecDeque<Event>,
    /// When the connection wants to hear that time has passed.
    wakes: Instant,
    opened: Instant,
    heard: Instant,
    is_connected: bool,
    /// What was sent last, apart from answers to connectivity checks, went over TCP.
    is_over_tcp: bool,
    patience: Patience,
    end: Option<PeerEnd>,
}

impl Peer {
    pub(super) fn new(rtc: Rtc, place: Place, patience: Patience, now: Instant) -> Self {
        Self {
            rtc,
            place,
            batch: Batch::default(),
            events: VecDeque::new(),
            wakes: now,
            opened: now,
            heard: now,
            is_connected: false,
            is_over_tcp: false,
            patience,
            end: None,
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Whether it goes over TCP now.
    pub(super) const fn is_over_tcp(&self) -> bool {
        self.is_over_tcp
    }

    /// The connection, for one change; [`Self::settle`] or [`Self::proceed`] comes after each.
    pub(super) const fn rtc(&mut self) -> &mut Rtc {
        &mut self.rtc
    }

    /// Waits for the next datagram. Losing the future loses nothing.
    pub(super) async fn datagram(&mut self) -> Option<Datagram> {
        self.place.datagram().await
    }

    /// Takes a datagram and those that wait behind it.
    pub(super) fn receive(&mut self, first: Datagram) {
        let mut next = Some(first);
        while let Some(datagram) = next {
            self.take(&datagram);
            next = self.place.try_datagram();
        }
    }

    fn take(&mut self, datagram: &Datagram) {
        self.heard = self.heard.max(datagram.at);
        let Datagram { protocol, source, destination, bytes, at } = datagram;
        // What is no packet of WebRTC is dropped, as by a network.
        let Ok(packet) = Receive::new(*protocol, *source, *destination, bytes) else { return };
        let input = Input::Receive(*at, packet);
        if self.rtc.accepts(&input) {
            if let Err(error) = self.rtc.handle_input(input) {
                self.fail(&error);
            }
            self.settle(*at);
        }
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        if now >= self.wakes {
            self.proceed(now);
        }
        if self.is_connected && now >= self.heard + self.patience.silence {
            self.end.get_or_insert(PeerEnd::Silent);
        }
        if !self.is_connected && now >= self.opened + self.patience.connect {
            self.end.get_or_insert(PeerEnd::NeverConnected);
        }
    }

    /// When [`Self::tick`] has something to do.
    pub(super) fn due(&self) -> Instant {
        let gives_up = match self.is_connected {
            true => self.heard + self.patience.silence,
            false => self.opened + self.patience.connect,
        };
        self.wakes.min(gives_up)
    }

    /// What was written to a stream goes out.
    pub(super) fn proceed(&mut self, now: Instant) {
        self.handle_time(now);
        self.settle(now);
    }

    fn handle_time(&mut self, now: Instant) {
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            self.fail(&error);
        }
    }

    fn fail(&mut self, error: &RtcError) {
        let end = match error {
            RtcError::Dtls(_) if !self.is_connected => PeerEnd::NotEncrypted,
            _ => PeerEnd::Broken,
        };
        self.end.get_or_insert(end);
    }

    /// Takes everything out of the connection that it has to say after a change.
    pub(super) fn settle(&mut self, now: Instant) {
        let mut at_once = 0;
        while self.rtc.is_alive() {
            match self.rtc.poll_output() {
                Ok(Output::Transmit(transmit)) => {
                    let (here, there) = (transmit.source.ip(), transmit.destination);
                    let path = Path { protocol: transmit.proto, here, there };
                    if !is_stun(&transmit.contents) {
                        self.is_over_tcp = path.protocol == Protocol::Tcp;
                    }
                    self.batch.push(path, &transmit.contents, self.place.max_datagrams());
                }
                Ok(Output::Event(event)) => self.take_event(event),
                Ok(Output::Timeout(at)) if at <= now && at_once < MAX_AT_ONCE => {
                    at_once += 1;
                    self.handle_time(now);
                }
                Ok(Output::Timeout(at)) => {
                    self.wakes = at;
                    return;
                }
                Err(error) => {
                    self.fail(&error);
                    return;
                }
            }
        }
        self.end.get_or_insert(PeerEnd::Left);
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Connected => self.is_connected = true,
            Event::Closed => self.end = self.end.or(Some(PeerEnd::Left)),
            _ => {}
        }
        self.events.push_back(event);
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends what there is to send.
    pub(super) async fn send(&mut self) {
        if !self.batch.is_empty() {
            self.place.send(&mut self.batch).await;
        }
    }

    /// Whether, and why, it is over.
    pub(super) const fn end(&self) -> Option<PeerEnd> {
        self.end
    }

    /// Says goodbye, if there is somebody to hear it.
    pub(super) async fn close(&mut self, now: Instant) {
        if self.rtc.is_alive() && self.rtc.close().is_ok() {
            self.settle(now);
        }
        self.send().await;
    }
}
