//! How often one peer may connect. Pure.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Peers that are told apart. Beyond them, newcomers share one allowance.
const MAX_PEERS: usize = 10_000;
/// How many seconds' worth a peer may connect at once: a page of recordings, a classroom behind one address.
const BURST_S: u32 = 10;

/// An allowance a peer that fills up with time.
#[derive(Debug)]
pub(crate) struct ConnectionRates {
    per_second: u32,
    /// By household; none for all that came when there were too many to tell apart.
    peers: HashMap<Option<IpAddr>, Allowance>,
}

/// What one household shares: an address, or the upper half of it in IPv6.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[derive(Debug, Clone, Copy)]
struct Allowance {
    connections: f64,
    at: Duration,
}

impl ConnectionRates {
    /// At most so many a second; 0 for any number.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, peers: HashMap::new() }
    }

    /// Whether this peer may connect now; if so, it has.
    pub(crate) fn allow(&mut self, now: Duration, peer: IpAddr) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let rate = f64::from(self.per_second);
        let full = rate * f64::from(BURST_S);
        let filled = |allowance: &Allowance| {
            (allowance.connections + rate * now.saturating_sub(allowance.at).as_secs_f64()).min(full)
        };
        let mut peer = Some(household(peer));
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&peer) {
            // A full allowance is what a peer has that was never seen.
            self.peers.retain(|_, allowance| filled(allowance) < full);
            if self.peers.len() >= MAX_PEERS {
                peer = None;
            }
        }
        let allowance = self.peers.entry(peer).or_insert(Allowance { connections: full, at: now });
        let connections = filled(allowance);
        let is_allowed = connections >= 1.0;
        *allowance = Allowance { connections: connections - f64::from(u8::from(is_allowed)), at: now };
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_connects_too_often_waits_and_others_do_not() {
        let mut rates = ConnectionRates::new(2);
        let (greedy, other): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let at = Duration::from_secs;
        let taken = (0..50).filter(|_| rates.allow(at(0), greedy)).count();
        assert_eq!(taken, 20, "ten seconds' worth at once");
        assert!(rates.allow(at(0), other));
        assert!(rates.allow(at(1), greedy) && rates.allow(at(1), greedy) && !rates.allow(at(1), greedy));
        assert!((0..1_000).all(|_| ConnectionRates::new(0).allow(at(0), greedy)));
    }

    #[test]
    fn addresses_of_one_household_count_as_one_and_memory_is_bounded() {
        let mut rates = ConnectionRates::new(1);
        let taken = (0..50u128)
            .filter(|host| rates.allow(Duration::ZERO, IpAddr::V6(((0x2001 << 112) | host).into())))
            .count();
        assert_eq!(taken, 10);
        for host in 0..20_000u32 {
            rates.allow(Duration::ZERO, IpAddr::V4(host.into()));
        }
        assert!(rates.peers.len() <= MAX_PEERS + 1);
    }
}
