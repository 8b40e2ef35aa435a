//! Notices clients that seem to come from this machine's gateway, and tells the operator.
//!
//! In a container, or behind a NAT, all clients can seem to come from one private address: the
//! gateway's, or one of this machine's own. Then `--access local` admits everyone. The server can't
//! know who is behind such an address, so it warns the operator once, and says what to do.
//!
//! Only on Linux; elsewhere nothing is noticed.

use std::{
    fs::File,
    io::Read,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    time::Duration,
};

use crate::server::{
    core::access::Access,
    event_log::EventLog,
    network::{ClientAddress, is_near},
};

/// The kernel's routing tables; default routes, which name the gateways, are among the first lines.
const ROUTES_V4: &str = "/proc/net/route";
const ROUTES_V6: &str = "/proc/net/ipv6_route";
/// Bytes of a table that are read.
const TABLE_BYTES_MAX: u64 = 256 * 1024;
/// How often they are read: a network may come up, or change, after the server has started.
const READ_EVERY: Duration = Duration::from_secs(10);

/// See the module's docs.
pub(super) struct GatewayWatch {
    recorder: EventLog,
    gateways: Vec<IpAddr>,
    /// When they were read.
    read: Option<Duration>,
}

/// Why remote clients may be behind a private address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Forwarder {
    Gateway,
    OwnAddress,
}

impl GatewayWatch {
    /// `None` if access does not depend on the client's address.
    pub(super) fn start(access: Access, recorder: &EventLog) -> Option<Self> {
        (access == Access::Local).then(|| Self {
            recorder: recorder.clone(),
            gateways: Vec::new(),
            read: None,
        })
    }

    /// Checks a client that came from `client` to our address `own`. Returns true if it has warned:
    /// nothing more is to be noticed then.
    pub(super) fn sees(&mut self, client: ClientAddress, own: IpAddr, now: Duration) -> bool {
        let ClientAddress::Known(client) = client else {
            return false;
        };
        let client = client.ip();
        if !is_near(client) || client.is_loopback() {
            return false;
        }
        if self.read.is_none_or(|read| read + READ_EVERY <= now) {
            self.read = Some(now);
            self.gateways = gateways_v4(&table(ROUTES_V4));
            self.gateways.extend(gateways_v6(&table(ROUTES_V6)));
        }
        let Some(forwarder) = forwarder(client, own.to_canonical(), &self.gateways, is_own) else {
            return false;
        };
        let what = match forwarder {
            Forwarder::Gateway => "the gateway of this machine's network",
            Forwarder::OwnAddress => "another address of this machine",
        };
        self.recorder.warn(format!(
            "a client came from {client}, {what}: if connections are forwarded from there, as by a \
             container's published port or a NAT, --access local admits everyone; start with \
             --access invite, or with --proxy {client} if that speaks the PROXY protocol"
        ));
        true
    }
}

/// Whether connections may be forwarded from a private address. A client that connects to an
/// address of its own machine comes from that same address, and is no forwarder.
fn forwarder(
    client: IpAddr,
    own: IpAddr,
    gateways: &[IpAddr],
    is_own: impl Fn(IpAddr) -> bool,
) -> Option<Forwarder> {
    if client == own {
        None
    } else if gateways.contains(&client) {
        Some(Forwarder::Gateway)
    } else if is_own(client) {
        Some(Forwarder::OwnAddress)
    } else {
        None
    }
}

/// Whether an address is one of this machine's: a socket can be bound to no other.
fn is_own(address: IpAddr) -> bool {
    // If the system allows binding to any address, it can't be told.
    const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let can_bind = |address| UdpSocket::bind((address, 0)).is_ok();
    can_bind(address) && !can_bind(NOBODYS)
}

/// The contents of a table; empty if there is none.
fn table(path: &str) -> String {
    let mut said = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(TABLE_BYTES_MAX).read_to_end(&mut said);
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Parses the gateways of default routes in `/proc/net/route`. Columns: interface, destination,
/// gateway, flags, …, the eighth is the mask; addresses are hexadecimal, in this machine's byte
/// order.
fn gateways_v4(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let hex = |column: usize| u32::from_str_radix(columns.get(column)?, 16).ok();
        let (destination, gateway, mask) = (hex(1)?, hex(2)?, hex(7)?);
        let is_default = destination == 0 && mask == 0 && gateway != 0;
        is_default.then(|| IpAddr::from(gateway.to_ne_bytes()))
    };
    table.lines().filter_map(gateway).collect()
}

/// Parses the gateways of default routes in `/proc/net/ipv6_route`. Columns: destination, its
/// prefix length, source, its prefix length, next hop, …; addresses are hexadecimal.
fn gateways_v6(table: &str) -> Vec<IpAddr> {
    let gateway = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let hex = |column: usize| {
            let digits = columns.get(column).filter(|digits| digits.len() == 32)?;
            u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
        };
        let (destination, bits, gateway) = (hex(0)?, *columns.get(1)?, hex(4)?);
        let is_default = destination.is_unspecified() && bits == "00" && !gateway.is_unspecified();
        is_default.then_some(IpAddr::V6(gateway))
    };
    table.lines().filter_map(gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// As the kernel writes it on a little-endian machine.
    #[cfg(target_endian = "little")]
    #[test]
    fn gateways_are_read_from_the_tables_of_routes() {
        const HEAD: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT   \n";
        let default = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0   \n";
        let connected = "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0   \n";
        let second = "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n";
        // A route to one network, as a VPN sets it; and one to half of all addresses.
        let network = "tun0\t0000000A\t0101080A\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n";
        let half = "tun0\t00000000\t0101080A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n";
        for (lines, expected) in [
            (vec![], &[][..]),
            (vec![connected], &[]),
            (vec![default, connected], &["172.17.0.1"]),
            (vec![default, second], &["172.17.0.1", "192.168.1.1"]),
            (vec![network, half], &[]),
            (vec!["eth0\t00000000\t010011AC\n", "\n", "é x y\n"], &[]),
            (vec!["eth0 00000000 zz 0003 0 0 0 00000000"], &[]),
        ] {
            let found = gateways_v4(&(HEAD.to_owned() + &lines.concat()));
            let expected: Vec<_> = expected.iter().map(|text| ip(text)).collect();
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn gateways_of_ipv6_are_read_from_their_table() {
        let none = "0".repeat(32);
        let line = |destination: &str, bits: &str, hop: &str| {
            format!(
                "{destination} {bits} {none} 00 {hop} 00000400 00000001 00000000 00450003 eth0\n"
            )
        };
        let router = "fe800000000000000000000000000001";
        let bridge = "fd000000000000000000000000000001";
        for (table, expected) in [
            (String::new(), &[][..]),
            (line(&none, "00", router), &["fe80::1"]),
            (line(&none, "00", bridge), &["fd00::1"]),
            (
                line(&none, "00", router) + &line(&none, "00", bridge),
                &["fe80::1", "fd00::1"],
            ),
            // An unreachable route, a network, half of all addresses, and a line cut short.
            (line(&none, "00", &none), &[]),
            (line(bridge, "40", router), &[]),
            (line(&none, "01", router), &[]),
            (line(&none, "00", &router[1..]), &[]),
            ("é 00 é".to_owned(), &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|text| ip(text)).collect();
            assert_eq!(gateways_v6(&table), expected, "{table}");
        }
    }

    #[test]
    fn forwarders_are_told_from_neighbours_and_this_machine() {
        let gateways = [ip("172.17.0.1"), ip("fd00::1")];
        let owns = |address| [ip("172.17.0.2"), ip("10.9.0.1")].contains(&address);
        for (client, own, expected) in [
            ("172.17.0.1", "172.17.0.2", Some(Forwarder::Gateway)),
            ("fd00::1", "fd00::2", Some(Forwarder::Gateway)),
            ("172.17.0.3", "172.17.0.2", None),
            // A bridge of this machine, through which others connect.
            ("10.9.0.1", "172.17.0.2", Some(Forwarder::OwnAddress)),
            // A client on this machine, which connects to one of its addresses.
            ("172.17.0.2", "172.17.0.2", None),
            // A router that is the server itself.
            ("172.17.0.1", "172.17.0.1", None),
        ] {
            let found = forwarder(ip(client), ip(own), &gateways, owns);
            assert_eq!(found, expected, "{client} to {own}");
        }
        assert!(is_own(ip("127.0.0.1")) && !is_own(ip("192.0.2.7")));
    }

    #[test]
    fn it_is_watched_for_only_where_it_makes_a_difference() {
        for (access, watched) in [
            (Access::Local, true),
            (Access::Open, false),
            (Access::Invite, false),
            (Access::Password, false),
        ] {
            let watch = GatewayWatch::start(access, &EventLog::none());
            assert_eq!(watch.is_some(), watched, "{access:?}");
        }
    }
}
