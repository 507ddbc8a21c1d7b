//! By which addresses peers reach the server. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use str0m::Candidate;
use str0m::net::{Protocol, TcpType};

/// Addresses that an answer names at the most. Each is one more that a peer tries.
const MAX_ADDRESSES: usize = 8;

/// The candidates of a UDP port that is bound to `bound`, and of a TCP port at the same addresses if there is one, on a machine with
/// these addresses, which others reach as `public`.
///
/// What is bound to one address is reached by it alone. The public addresses come besides: they are those of a NAT that leads
/// here, port for port. All are host candidates, as an ICE-lite agent has no other (RFC 8445 §2.5). Those of TCP have a
/// lower priority, so that they are used only where UDP does not pass.
pub(super) fn candidates(
    bound: SocketAddr,
    tcp_port: Option<u16>,
    of_machine: impl IntoIterator<Item = IpAddr>,
    public: &[IpAddr],
) -> Vec<Candidate> {
    let mut ips: Vec<IpAddr> = if bound.ip().is_unspecified() {
        let is_v6 = bound.is_ipv6();
        of_machine.into_iter().filter(|ip| is_useful(*ip) && (is_v6 || ip.is_ipv4())).collect()
    } else {
        vec![bound.ip()]
    };
    // Loopback last: it is for this machine only.
    ips.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv6(), *ip));
    ips.dedup();
    ips.truncate(MAX_ADDRESSES);
    if ips.is_empty() {
        ips.push(Ipv4Addr::LOCALHOST.into());
    }
    for public in public {
        // What comes to a public address arrives at one of the machine's own, of the same family.
        if !ips.contains(public) && ips.iter().any(|ip| ip.is_ipv4() == public.is_ipv4()) {
            ips.push(*public);
        }
    }
    let udp = ips.iter().filter_map(|ip| Candidate::host((*ip, bound.port()).into(), Protocol::Udp).ok());
    let tcp =
        tcp_port.into_iter().flat_map(|port| ips.iter().filter_map(move |ip| passive((*ip, port).into())));
    udp.chain(tcp).collect()
}

/// A candidate that peers connect to (RFC 6544 §4.5).
fn passive(address: SocketAddr) -> Option<Candidate> {
    Candidate::builder().tcp().host(address).tcptype(TcpType::Passive).build().ok()
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

    fn found(bound: &str, tcp_port: Option<u16>, machine: &[&str], public: &[&str]) -> Vec<Candidate> {
        let parse = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        candidates(bound.parse().unwrap(), tcp_port, parse(machine), &parse(public))
    }

    fn names(bound: &str, machine: &[&str], public: &[&str]) -> Vec<String> {
        let candidates = found(bound, None, machine, public);
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

    #[test]
    fn tcp_is_named_for_the_same_addresses_and_comes_after_udp() {
        let all = found("0.0.0.0:8000", Some(9000), &["10.0.0.5", "127.0.0.1"], &["203.0.113.9"]);
        let lines: Vec<String> = all.iter().map(Candidate::to_sdp_string).collect();
        for (line, end) in lines.iter().zip([
            "10.0.0.5 8000 typ host",
            "127.0.0.1 8000 typ host",
            "203.0.113.9 8000 typ host",
            "10.0.0.5 9000 typ host tcptype passive",
            "127.0.0.1 9000 typ host tcptype passive",
            "203.0.113.9 9000 typ host tcptype passive",
        ]) {
            assert!(line.ends_with(end), "{line}");
        }
        assert_eq!(lines.len(), 6);
        let prio = |protocol| all.iter().filter(move |one| one.proto() == protocol).map(Candidate::prio);
        assert!(prio(Protocol::Udp).min() > prio(Protocol::Tcp).max(), "{lines:?}");
    }
}
