//! By which addresses peers reach the UDP port. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use str0m::Candidate;

/// Addresses that an answer names at the most. Each is one more that a peer tries.
const MAX_ADDRESSES: usize = 8;

/// The candidates of a port that is bound to `bound`, on a machine with these addresses, which others reach as `public`.
///
/// What is bound to one address is reached by it alone. The public addresses come besides: they are those of a NAT that leads
/// here, port for port. All are host candidates, as an ICE-lite agent has no other (RFC 8445 §2.5).
pub(super) fn candidates(
    bound: SocketAddr,
    of_machine: impl IntoIterator<Item = IpAddr>,
    public: &[IpAddr],
) -> Vec<Candidate> {
    let port = bound.port();
    let mut own: Vec<IpAddr> = if bound.ip().is_unspecified() {
        let is_v6 = bound.is_ipv6();
        of_machine.into_iter().filter(|ip| is_useful(*ip) && (is_v6 || ip.is_ipv4())).collect()
    } else {
        vec![bound.ip()]
    };
    // Loopback last: it is for this machine only.
    own.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6(), *ip));
    own.dedup();
    own.truncate(MAX_ADDRESSES);
    if own.is_empty() {
        own.push(Ipv4Addr::LOCALHOST.into());
    }
    for public in public {
        // What comes to a public address arrives at one of the machine's own, of the same family.
        if !own.contains(public) && own.iter().any(|ip| ip.is_ipv4() == public.is_ipv4()) {
            own.push(*public);
        }
    }
    own.iter().filter_map(|ip| Candidate::host((*ip, port).into(), "udp").ok()).collect()
}

/// Whether a peer can do something with an address. One that holds for a single link only needs the link's name too.
fn is_useful(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bound: &str, machine: &[&str], public: &[&str]) -> Vec<String> {
        let parse = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        let candidates = candidates(bound.parse().unwrap(), parse(machine), &parse(public));
        candidates.iter().map(|one| format!("{} {}", one.kind(), one.addr())).collect()
    }

    #[test]
    fn every_address_that_peers_can_use_is_named() {
        let machine =
            ["127.0.0.1", "192.168.1.7", "fe80::1", "169.254.3.3", "2001:db8::7", "::1", "192.168.1.7"];
        assert_eq!(names("0.0.0.0:8000", &machine, &[]), ["host 192.168.1.7:8000", "host 127.0.0.1:8000"]);
        assert_eq!(
            names("[::]:8000", &machine, &[]),
            ["host 192.168.1.7:8000", "host [2001:db8::7]:8000", "host 127.0.0.1:8000", "host [::1]:8000"]
        );
        assert_eq!(names("127.0.0.1:8000", &machine, &[]), ["host 127.0.0.1:8000"]);
        assert_eq!(names("0.0.0.0:8000", &[], &[]), ["host 127.0.0.1:8000"]);
    }

    #[test]
    fn a_public_address_comes_besides_where_the_machine_has_one_of_its_family() {
        let machine = ["10.0.0.5", "127.0.0.1"];
        assert_eq!(
            names("0.0.0.0:8000", &machine, &["203.0.113.9", "2001:db8::9"]),
            ["host 10.0.0.5:8000", "host 127.0.0.1:8000", "host 203.0.113.9:8000"]
        );
        assert_eq!(names("0.0.0.0:1", &["203.0.113.9"], &["203.0.113.9"]), ["host 203.0.113.9:1"]);
    }

    #[test]
    fn a_machine_of_many_addresses_names_a_few() {
        let machine: Vec<String> = (1..100).map(|host| format!("10.0.0.{host}")).collect();
        let machine: Vec<&str> = machine.iter().map(String::as_str).collect();
        assert_eq!(names("0.0.0.0:8000", &machine, &[]).len(), MAX_ADDRESSES);
    }
}
