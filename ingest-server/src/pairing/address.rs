//! By which of its addresses others reach the machine. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use if_addrs::{IfOperStatus, Interface};

/// How the names of interfaces begin that lead to containers and virtual machines on the machine itself.
const INNER_NETWORKS: [&str; 7] = ["docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "vEthernet"];

/// What to know about a link's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Without a token the server listens on this machine only.
    NeedsToken,
    /// The server is set to listen on this machine only.
    Loopback,
    /// The machine has no address that others could use.
    NoNetwork,
    /// An address in numbers stands in few certificates.
    Certificate,
}

impl Hint {
    /// Whether no other device can use the address.
    #[must_use]
    pub const fn is_this_machine_only(self) -> bool {
        matches!(self, Self::NeedsToken | Self::Loopback | Self::NoNetwork)
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeedsToken => {
                "It works on this machine only. To pair another device, set STREAMING_ACCESS_TOKEN."
            }
            Self::Loopback => {
                "It works on this machine only. To pair another device, leave out listen, or set public-url."
            }
            Self::NoNetwork => {
                "It works on this machine only: the machine is in no network. Connect it, or set public-url."
            }
            Self::Certificate => {
                "If the certificate is for a name, set public-url to the https:// address with that name."
            }
        })
    }
}

/// The address to give to others, for a server that listens on `listen` of a machine with these interfaces.
pub(super) fn reachable(
    listen: SocketAddr,
    interfaces: &[Interface],
    has_token: bool,
) -> (SocketAddr, Option<Hint>) {
    let ip = listen.ip();
    let loopback: IpAddr =
        if ip == Ipv6Addr::LOCALHOST { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() };
    let (ip, hint) = if ip.is_loopback() {
        (loopback, Some(if has_token { Hint::Loopback } else { Hint::NeedsToken }))
    } else if !ip.is_unspecified() {
        (ip, None)
    } else {
        // An interface of the lowest rank, and of those the one that the system names first.
        let best = interfaces
            .iter()
            .filter_map(|one| Some((rank(one, ip)?, one.ip())))
            .min_by_key(|(rank, _)| *rank);
        best.map_or((loopback, Some(Hint::NoNetwork)), |(_, ip)| (ip, None))
    };
    (SocketAddr::new(ip, listen.port()), hint)
}

/// How well others reach the machine by this interface, the best first; none if they do not.
fn rank(interface: &Interface, listen: IpAddr) -> Option<u8> {
    let ip = interface.ip();
    let is_inner = INNER_NETWORKS.iter().any(|start| interface.name.starts_with(start));
    if is_inner || ip.is_loopback() || interface.oper_status == IfOperStatus::Down {
        return None;
    }
    match ip {
        IpAddr::V4(ip) if ip.is_link_local() || ip.is_unspecified() => None,
        // The network at home or in the studio, before a tunnel to another place.
        IpAddr::V4(ip) if ip.is_private() && !interface.is_p2p => Some(0),
        IpAddr::V4(_) => Some(1),
        IpAddr::V6(_) if listen.is_ipv4() => None,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => None,
        IpAddr::V6(_) => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use if_addrs::{IfAddr, Ifv4Addr, Ifv6Addr};

    use super::*;

    fn interface(name: &str, ip: &str) -> Interface {
        let addr = match ip.parse().unwrap() {
            IpAddr::V4(ip) => {
                IfAddr::V4(Ifv4Addr { ip, netmask: Ipv4Addr::BROADCAST, prefixlen: 32, broadcast: None })
            }
            IpAddr::V6(ip) => {
                IfAddr::V6(Ifv6Addr { ip, netmask: Ipv6Addr::LOCALHOST, prefixlen: 64, broadcast: None })
            }
        };
        Interface {
            name: name.to_owned(),
            addr,
            index: None,
            oper_status: IfOperStatus::Up,
            is_p2p: false,
            #[cfg(windows)]
            adapter_name: String::new(),
        }
    }

    #[test]
    fn the_address_is_the_one_by_which_others_reach_the_machine() {
        let lo = || interface("lo", "127.0.0.1");
        let docker = || interface("docker0", "172.17.0.1");
        let lan = || interface("wlan0", "192.168.1.20");
        let v6 = || interface("eth0", "2001:db8::7");
        let public = || interface("eth1", "203.0.113.9");
        for (listen, interfaces, has_token, expected, hint) in [
            ("127.0.0.1:1", vec![lo(), lan()], false, "127.0.0.1:1", Some(Hint::NeedsToken)),
            ("127.0.0.1:1", vec![lan()], true, "127.0.0.1:1", Some(Hint::Loopback)),
            ("[::1]:1", vec![lan()], true, "[::1]:1", Some(Hint::Loopback)),
            ("10.0.0.9:1", vec![lan()], true, "10.0.0.9:1", None),
            ("0.0.0.0:1", vec![lo(), docker(), v6(), public(), lan()], true, "192.168.1.20:1", None),
            ("0.0.0.0:1", vec![lo(), v6(), public()], true, "203.0.113.9:1", None),
            ("[::]:1", vec![lo(), v6()], true, "[2001:db8::7]:1", None),
            ("[::]:1", vec![v6(), lan()], true, "192.168.1.20:1", None),
            ("0.0.0.0:1", vec![lo(), docker(), v6()], true, "127.0.0.1:1", Some(Hint::NoNetwork)),
            (
                "[::]:1",
                vec![interface("a", "fe80::1"), interface("b", "169.254.7.7")],
                true,
                "127.0.0.1:1",
                Some(Hint::NoNetwork),
            ),
        ] {
            let found = reachable(listen.parse().unwrap(), &interfaces, has_token);
            assert_eq!(found, (expected.parse().unwrap(), hint), "{listen} {interfaces:?}");
        }
    }
}
