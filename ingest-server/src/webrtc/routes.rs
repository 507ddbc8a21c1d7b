//! Whose a datagram is: by the address it comes from, or by the name that a connectivity check gives. Pure.
//!
//! Both are one look into a table, however many peers there are.

use std::collections::HashMap;
use std::net::SocketAddr;

use str0m::ice::StunMessage;

/// Addresses that one peer may come from: its interfaces, and those that a roaming phone gets in the course of time. The oldest go.
const MAX_ADDRESSES: usize = 16;

/// Names one peer of the port. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PeerNumber(u64);

/// Where each peer's datagrams go: `T` is its inbox.
///
/// Invariant: an address leads to the peer that answered it last, which has checked by then that who sends from it knows
/// its ICE password.
#[derive(Debug)]
pub(super) struct Routes<T> {
    peers: HashMap<PeerNumber, Peer<T>>,
    by_ufrag: HashMap<String, PeerNumber>,
    by_address: HashMap<SocketAddr, PeerNumber>,
    next: u64,
}

#[derive(Debug)]
struct Peer<T> {
    inbox: T,
    ufrag: String,
    addresses: Vec<SocketAddr>,
}

impl<T> Default for Routes<T> {
    fn default() -> Self {
        Self { peers: HashMap::new(), by_ufrag: HashMap::new(), by_address: HashMap::new(), next: 0 }
    }
}

impl<T> Routes<T> {
    /// Adds a peer. None if another one has the name.
    pub(super) fn add(&mut self, ufrag: &str, inbox: T) -> Option<PeerNumber> {
        if self.by_ufrag.contains_key(ufrag) {
            return None;
        }
        let number = PeerNumber(self.next);
        self.next += 1;
        self.by_ufrag.insert(ufrag.to_owned(), number);
        self.peers.insert(number, Peer { inbox, ufrag: ufrag.to_owned(), addresses: Vec::new() });
        Some(number)
    }

    /// The peer has answered this address: what comes from there is its own from now on.
    pub(super) fn claim(&mut self, number: PeerNumber, address: SocketAddr) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        if !peer.addresses.contains(&address) {
            if peer.addresses.len() >= MAX_ADDRESSES {
                let oldest = peer.addresses.remove(0);
                if self.by_address.get(&oldest) == Some(&number) {
                    self.by_address.remove(&oldest);
                }
            }
            peer.addresses.push(address);
        }
        self.by_address.insert(address, number);
    }

    /// The inbox that a datagram goes to.
    pub(super) fn find(&self, source: SocketAddr, datagram: &[u8]) -> Option<&T> {
        match stun(datagram).as_ref().and_then(local_ufrag) {
            Some(ufrag) => self.of_name(ufrag),
            None => self.inbox(self.by_address.get(&source)?),
        }
    }

    /// The inbox of the peer that a connectivity check is for, if the packet is one.
    pub(super) fn checked(&self, packet: &[u8]) -> Option<&T> {
        let message = stun(packet)?;
        message.is_binding_request().then(|| self.of_name(local_ufrag(&message)?)).flatten()
    }

    fn of_name(&self, ufrag: &str) -> Option<&T> {
        self.inbox(self.by_ufrag.get(ufrag)?)
    }

    fn inbox(&self, number: &PeerNumber) -> Option<&T> {
        self.peers.get(number).map(|peer| &peer.inbox)
    }

    /// Forgets a peer.
    pub(super) fn remove(&mut self, number: PeerNumber) {
        let Some(peer) = self.peers.remove(&number) else { return };
        self.by_ufrag.remove(&peer.ufrag);
        for address in peer.addresses {
            // Another peer may have taken it over.
            if self.by_address.get(&address) == Some(&number) {
                self.by_address.remove(&address);
            }
        }
    }
}

/// Whether a datagram is STUN, by its first byte (RFC 7983 §7).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 2)
}

fn stun(datagram: &[u8]) -> Option<StunMessage<'_>> {
    is_stun(datagram).then(|| StunMessage::parse(datagram).ok()).flatten()
}

/// The receiver's name in a connectivity check (RFC 8445 §7.2.2): the USERNAME up to the colon.
fn local_ufrag<'a>(message: &StunMessage<'a>) -> Option<&'a str> {
    message.username()?.split_once(':').map(|(local, _)| local)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use str0m::ice::TransId;

    use super::*;

    fn check(username: &str) -> Vec<u8> {
        let mut bytes = vec![0; 200];
        let message = StunMessage::binding_request(username, TransId::new(), true, 1, 1, false);
        let length = message.to_bytes(Some(b"password"), &mut bytes, |_, _| [0; 20]).unwrap();
        bytes.truncate(length);
        bytes
    }

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    const MEDIA: [u8; 20] = [0x80; 20];

    #[test]
    fn a_check_is_routed_by_the_name_in_it_and_the_rest_by_address() {
        let mut routes = Routes::default();
        let first = routes.add("first", 1).unwrap();
        let second = routes.add("second", 2).unwrap();
        assert!(routes.add("first", 3).is_none(), "a name is one peer's");
        assert_eq!(routes.find(address(9), &check("second:browser")), Some(&2));
        for unknown in ["third:browser", "firs:browser", ":browser"] {
            assert_eq!(routes.find(address(9), &check(unknown)), None, "{unknown}");
        }
        assert_eq!(routes.find(address(9), &MEDIA), None, "nobody has answered this address");
        routes.claim(first, address(9));
        assert_eq!(routes.find(address(9), &MEDIA), Some(&1));
        assert_eq!(routes.checked(&check("second:browser")), Some(&2));
        assert_eq!(routes.checked(&check("third:browser")), None);
        assert_eq!(routes.checked(&MEDIA), None, "no check at all");
        assert_eq!(routes.find(address(9), &check("second:browser")), Some(&2), "the name counts more");
        // The page was opened again, and its browser uses the same port.
        routes.claim(second, address(9));
        assert_eq!(routes.find(address(9), &MEDIA), Some(&2));
        routes.remove(first);
        assert_eq!(routes.find(address(9), &MEDIA), Some(&2));
        assert_eq!(routes.find(address(9), &check("first:browser")), None);
        routes.remove(second);
        routes.claim(second, address(9));
        assert_eq!(routes.find(address(9), &MEDIA), None);
        assert!(routes.by_address.is_empty() && routes.by_ufrag.is_empty() && routes.peers.is_empty());
    }

    #[test]
    fn a_peer_that_roams_keeps_its_latest_addresses() {
        let mut routes = Routes::default();
        let peer = routes.add("peer", ()).unwrap();
        for port in 1..1_000 {
            routes.claim(peer, address(port));
            assert!(routes.find(address(port), &MEDIA).is_some());
        }
        assert_eq!(routes.by_address.len(), MAX_ADDRESSES);
    }

    proptest! {
        #[test]
        fn any_datagram_is_routed_or_dropped(mut bytes in prop::collection::vec(any::<u8>(), 0..200), at: usize, byte: u8) {
            let mut routes = Routes::default();
            routes.add("peer", ()).unwrap();
            let _ = (routes.find(address(1), &bytes), routes.checked(&bytes));
            let length = bytes.len().max(1);
            if let Some(changed) = bytes.get_mut(at % length) {
                *changed = byte;
            }
            let mut check = check("peer:browser");
            let at = at % check.len();
            check[at] = byte;
            let _ = (routes.find(address(1), &check), routes.checked(&check));
        }
    }
}
