//! A bad network in virtual time: what it does to messages is drawn from a seed.
//!
//! [`Weather`] says when the network is down and how fast it is. A [`Path`] is one direction of one
//! TCP connection over it: messages arrive in order, later when the network is slow, after the
//! outage when it is down. It knows nothing of what the messages say.

use std::time::Duration;

use fastrand::Rng;

/// A time during which nothing gets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When it begins.
    pub start: Duration,
    /// When the network is back.
    pub end: Duration,
    /// Whether both ends learn of it at once (a reset), or only by their own time-outs (silence).
    pub resets: bool,
}

/// The state of the network over a whole run.
#[derive(Debug, Clone)]
pub struct Weather {
    outages: Vec<Outage>,
    bytes_per_second: u64,
    latency: Duration,
    jitter: Duration,
}

impl Weather {
    /// A network that is always up, fast and near.
    #[must_use]
    pub fn fair() -> Self {
        Self {
            outages: Vec::new(),
            bytes_per_second: 100_000_000,
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
        }
    }

    /// A network with outages, little bandwidth and much latency, up again for good at `until`.
    ///
    /// `bytes_per_second` is what the sender needs; between 0.5 and 4 times that is drawn.
    pub fn bad(rng: &mut Rng, until: Duration, bytes_per_second: u64) -> Self {
        let mut outages = Vec::new();
        let mut at = Duration::ZERO;
        for _ in 0..rng.u32(0..6) {
            let start = at + between(rng, Duration::from_millis(10), until / 4);
            // Half of the outages are short enough that no time-out notices them.
            let longest = if rng.bool() { Duration::from_secs(2) } else { until / 3 };
            let end = start + between(rng, Duration::from_millis(1), longest);
            if end >= until {
                break;
            }
            outages.push(Outage { start, end, resets: rng.bool() });
            at = end;
        }
        Self {
            outages,
            bytes_per_second: bytes_per_second / 2 + rng.u64(0..bytes_per_second * 7 / 2),
            latency: between(rng, Duration::from_millis(1), Duration::from_millis(1_000)),
            jitter: between(rng, Duration::ZERO, Duration::from_millis(200)),
        }
    }

    /// The outage that covers this moment.
    #[must_use]
    pub fn outage_at(&self, now: Duration) -> Option<Outage> {
        self.outages.iter().copied().find(|outage| outage.start <= now && now < outage.end)
    }

    /// All outages, in order.
    #[must_use]
    pub fn outages(&self) -> &[Outage] {
        &self.outages
    }

    /// How long opening a connection takes when the network is up: three one-way trips.
    #[must_use]
    pub fn handshake(&self) -> Duration {
        3 * self.latency
    }
}

/// One direction of one connection: messages go in with the time, arrival times come out.
#[derive(Debug, Default)]
pub struct Path {
    /// When the last message has left the sender's interface.
    sent_until: Duration,
    /// When the last message arrives: TCP never lets one overtake another.
    arrived_until: Duration,
}

impl Path {
    /// When a message of this size that is sent now arrives; never before an earlier message.
    pub fn arrival(&mut self, weather: &Weather, rng: &mut Rng, now: Duration, bytes: usize) -> Duration {
        let on_the_wire = Duration::from_micros(bytes as u64 * 1_000_000 / weather.bytes_per_second.max(1));
        self.sent_until = self.sent_until.max(now) + on_the_wire;
        let mut arrival = self.sent_until + weather.latency + between(rng, Duration::ZERO, weather.jitter);
        // What would arrive during an outage is sent again after it.
        while let Some(outage) = weather.outage_at(arrival) {
            arrival = outage.end + weather.latency;
        }
        self.arrived_until = self.arrived_until.max(arrival);
        self.arrived_until
    }

    /// How long until the newest message has left: what a full send buffer makes a sender wait.
    #[must_use]
    pub fn backlog(&self, now: Duration) -> Duration {
        self.sent_until.saturating_sub(now)
    }
}

/// A time between the two, both included, drawn evenly.
pub fn between(rng: &mut Rng, shortest: Duration, longest: Duration) -> Duration {
    if longest <= shortest {
        return shortest;
    }
    let span_us = u64::try_from((longest - shortest).as_micros()).unwrap_or(u64::MAX);
    shortest + Duration::from_micros(rng.u64(0..=span_us))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_never_overtake_each_other_and_never_arrive_during_an_outage() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let weather = Weather::bad(&mut rng, Duration::from_secs(60), 250_000);
            let mut path = Path::default();
            let mut last = Duration::ZERO;
            for step in 0..500u32 {
                let now = step * Duration::from_millis(33);
                let arrival = path.arrival(&weather, &mut rng, now, 8_000);
                assert!(arrival >= last && arrival > now, "seed {seed}, step {step}");
                assert_eq!(weather.outage_at(arrival), None, "seed {seed}, step {step}");
                last = arrival;
            }
        }
    }

    #[test]
    fn a_narrow_path_takes_longer() {
        let mut rng = Rng::with_seed(1);
        let weather = Weather { bytes_per_second: 1_000, ..Weather::fair() };
        let mut path = Path::default();
        path.arrival(&weather, &mut rng, Duration::ZERO, 3_000);
        assert_eq!(path.backlog(Duration::from_secs(1)), Duration::from_secs(2));
        assert!(path.arrival(&weather, &mut rng, Duration::ZERO, 1_000) >= Duration::from_secs(4));
    }
}
