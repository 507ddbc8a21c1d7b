//! One path that all connections of a session share: a queue of limited depth before a bottleneck whose rate changes,
//! and TCP as far as it matters here.
//!
//! A connection is a stream of bytes that arrives in order. What it may have under way grows with each ack and halves
//! at a loss (Reno); what finds the queue full, or reaches the far side during an outage, is lost and sent again,
//! after an outage at intervals that double (RFC 6298). Closing a connection leaves it with what was written: its
//! system goes on sending that, when nobody waits for it any more.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

/// What goes through the queue as a whole, at most.
const SEGMENT_BYTES: u64 = 8 * 1024;
/// What a fresh connection may have under way (RFC 6928), and the least after a loss.
const FIRST_WINDOW_BYTES: u64 = 14_600;
const LEAST_WINDOW_BYTES: u64 = 2_920;
/// The first wait before a segment is sent again, at least.
const LEAST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// A message on its way to the server.
#[derive(Debug, Clone)]
pub(crate) enum Up {
    Text(String),
    /// A binary message, or a piece of one: whether it ends with this.
    Binary {
        bytes: Bytes,
        is_last: bool,
    },
    Ping(u32),
    /// The publisher has closed.
    Gone,
}

/// A time without the network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outage {
    pub(crate) start: Duration,
    pub(crate) end: Duration,
    /// Whether the system tears the connections down at its start: the device knows that its network is away.
    pub(crate) is_known: bool,
}

/// What the path is like.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// One way, without queues.
    pub(crate) latency: Duration,
    pub(crate) queue_bytes: u64,
    pub(crate) outages: Vec<Outage>,
    /// Bytes a second from each time on; begins at zero.
    pub(crate) rates: Vec<(Duration, u64)>,
    pub(crate) send_buffer_bytes: u64,
}

impl Weather {
    pub(crate) fn outage_at(&self, now: Duration) -> Option<Outage> {
        self.outages.iter().copied().find(|outage| outage.start <= now && now < outage.end)
    }

    pub(crate) fn rate_at(&self, now: Duration) -> u64 {
        let at = self.rates.partition_point(|(from, _)| *from <= now);
        self.rates[at.saturating_sub(1)].1
    }

    /// Whether the path was or will be the same, and up, between these times.
    pub(crate) fn is_steady(&self, from: Duration, to: Duration) -> bool {
        self.outages.iter().all(|outage| outage.end <= from || outage.start > to)
            && self.rates.iter().all(|(at, _)| *at <= from || *at > to)
    }

    /// When so many bytes have gone through the bottleneck.
    fn served_at(&self, now: Duration, bytes: u64) -> Duration {
        let (mut at, mut left) = (now, bytes as f64);
        loop {
            let rate = self.rate_at(at) as f64;
            let end = at + Duration::from_secs_f64(left / rate);
            match self.rates.iter().map(|(from, _)| *from).find(|from| *from > at) {
                Some(change) if change < end => {
                    left -= (change - at).as_secs_f64() * rate;
                    at = change;
                }
                _ => return end.max(now + Duration::from_micros(1)),
            }
        }
    }
}

/// What happens on the path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Happening {
    /// The bottleneck is through with a segment.
    Served,
    /// Bytes up to here reach the server's system.
    Arrived { id: u64, until: u64 },
    /// The publisher's system hears of it.
    Acked { id: u64, until: u64 },
    /// What was lost is sent again.
    Again { id: u64, attempt: u32 },
}

#[derive(Debug)]
struct Segment {
    id: u64,
    from: u64,
    until: u64,
}

#[derive(Debug, Default)]
struct Stream {
    messages: VecDeque<(u64, Up)>,
    written: u64,
    sent: u64,
    arrived: u64,
    acked: u64,
    window: u64,
    slow_start_until: u64,
    /// A loss is waited for; each one has a number.
    is_waiting: bool,
    losses: u32,
    timeouts: u32,
    /// When the newest message to the publisher arrives.
    down_until: Duration,
}

/// The path and its connections.
pub(crate) struct Network {
    pub(crate) weather: Weather,
    streams: BTreeMap<u64, Stream>,
    queue: VecDeque<Segment>,
    queued_bytes: u64,
    due: Vec<(Duration, Happening)>,
}

impl Network {
    pub(crate) fn new(weather: Weather) -> Self {
        Self { weather, streams: BTreeMap::new(), queue: VecDeque::new(), queued_bytes: 0, due: Vec::new() }
    }

    pub(crate) fn open(&mut self, id: u64) {
        let stream = Stream { window: FIRST_WINDOW_BYTES, slow_start_until: u64::MAX, ..Stream::default() };
        self.streams.insert(id, stream);
    }

    /// What is to happen and when, since it was asked last.
    pub(crate) fn take_due(&mut self) -> std::vec::Drain<'_, (Duration, Happening)> {
        self.due.drain(..)
    }

    /// Whether the connection's system takes another message.
    pub(crate) fn has_room(&self, id: u64) -> bool {
        self.streams
            .get(&id)
            .is_some_and(|stream| stream.written - stream.acked < self.weather.send_buffer_bytes)
    }

    pub(crate) fn write(&mut self, now: Duration, id: u64, bytes: usize, message: Up) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.written += bytes as u64;
            stream.messages.push_back((stream.written, message));
            self.send(now, id);
        }
    }

    /// Nothing of the connection arrives any more.
    pub(crate) fn cut(&mut self, id: u64) {
        self.streams.remove(&id);
    }

    /// When a message to the publisher that is sent now arrives.
    pub(crate) fn down(&mut self, now: Duration, id: u64) -> Option<Duration> {
        let mut arrival = now + self.weather.latency;
        while let Some(outage) = self.weather.outage_at(arrival) {
            // The system has waited for about as long as the outage lasted, or half of that.
            arrival = outage.end + (outage.end - outage.start).min(LONGEST_RETRY) / 4 + self.weather.latency;
        }
        let stream = self.streams.get_mut(&id)?;
        stream.down_until = stream.down_until.max(arrival);
        Some(stream.down_until)
    }

    /// Returns the messages that the server reads.
    pub(crate) fn happen(&mut self, now: Duration, happening: Happening) -> Vec<(u64, Up)> {
        match happening {
            Happening::Served => self.served(now),
            Happening::Arrived { id, until } => return self.arrived(now, id, until),
            Happening::Acked { id, until } => self.acked(now, id, until),
            Happening::Again { id, attempt } => {
                if let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.losses == attempt) {
                    stream.is_waiting = false;
                    self.send(now, id);
                }
            }
        }
        Vec::new()
    }

    fn send(&mut self, now: Duration, id: u64) {
        while let Some(stream) = self.streams.get_mut(&id) {
            let is_over = stream.sent == stream.written || stream.sent - stream.acked >= stream.window;
            if stream.is_waiting || is_over {
                return;
            }
            let bytes = SEGMENT_BYTES.min(stream.written - stream.sent);
            let is_full = self.queued_bytes + bytes > self.weather.queue_bytes && !self.queue.is_empty();
            if is_full {
                stream.window = (stream.window / 2).max(LEAST_WINDOW_BYTES);
                stream.slow_start_until = stream.window;
                // Found by the acks of what follows, a round trip later.
                let queueing = self.queued_bytes as f64 / self.weather.rate_at(now) as f64;
                let wait = self.weather.latency * 2 + Duration::from_secs_f64(queueing);
                return self.again(now, id, wait);
            }
            let segment = Segment { id, from: stream.sent, until: stream.sent + bytes };
            stream.sent += bytes;
            self.queued_bytes += bytes;
            self.queue.push_back(segment);
            if self.queue.len() == 1 {
                self.due.push((self.weather.served_at(now, bytes), Happening::Served));
            }
        }
    }

    fn again(&mut self, now: Duration, id: u64, wait: Duration) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.is_waiting = true;
            stream.losses += 1;
            self.due.push((now + wait, Happening::Again { id, attempt: stream.losses }));
        }
    }

    fn served(&mut self, now: Duration) {
        let Some(Segment { id, from, until }) = self.queue.pop_front() else { return };
        self.queued_bytes -= until - from;
        if let Some(next) = self.queue.front() {
            let served_at = self.weather.served_at(now, next.until - next.from);
            self.due.push((served_at, Happening::Served));
        }
        let is_out = self.weather.outage_at(now).is_some();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if from != stream.arrived {
            // What was before it is lost, and it will come again behind that.
        } else if is_out {
            stream.sent = from;
            stream.slow_start_until = (stream.window / 2).max(LEAST_WINDOW_BYTES);
            stream.window = LEAST_WINDOW_BYTES;
            let first = LEAST_RETRY.max(self.weather.latency * 3);
            let wait = (first * 2_u32.pow(stream.timeouts.min(10))).min(LONGEST_RETRY);
            stream.timeouts += 1;
            self.again(now, id, wait);
        } else {
            stream.arrived = until;
            self.due.push((now + self.weather.latency, Happening::Arrived { id, until }));
        }
    }

    fn arrived(&mut self, now: Duration, id: u64, until: u64) -> Vec<(u64, Up)> {
        let mut messages = Vec::new();
        if let Some(acked_at) = self.down(now, id) {
            self.due.push((acked_at, Happening::Acked { id, until }));
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            while stream.messages.front().is_some_and(|(end, _)| *end <= until) {
                messages.extend(stream.messages.pop_front().map(|(_, message)| (id, message)));
            }
        }
        messages
    }

    fn acked(&mut self, now: Duration, id: u64, until: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let news = until.saturating_sub(stream.acked);
        stream.acked = stream.acked.max(until);
        stream.timeouts = 0;
        stream.window += match stream.window < stream.slow_start_until {
            true => news,
            false => (news * 1_460 / stream.window.max(1)).max(1),
        };
        self.send(now, id);
    }
}
